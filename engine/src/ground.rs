//! What the intents of a transaction are applied to: the state at its place in the order, or the state that it reads.
//!
//! The committer applies them to its open group. A transaction that reads what it has written itself applies them to
//! its own snapshot before that; what comes of it is never committed.

use thalweg_model::{CollectionId, CommitTs};

use crate::catalog::Catalog;
use crate::commit::{Change, Commit};
use crate::error::EngineError;
use crate::group::{DocumentKey, Group, Image, State};
use crate::index::writer::IndexPage;
use crate::index::{IndexId, IndexStatistics};
use crate::snapshot::Snapshot;

/// Collections and indexes that a transaction makes are numbered from here on until they are committed, so that they
/// are none of those that there are.
const PROVISIONAL: u32 = 1 << 31;

/// A state that intents are applied to.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'g> {
    pub(crate) base: &'g Snapshot,
    /// The group that the base is of; `None` for a snapshot of what is published.
    group: Option<&'g Group>,
    /// What is counted, and which names are given, below the group; `None` where nothing is decided by it.
    state: Option<&'g State>,
}

impl<'g> Ground<'g> {
    pub(crate) fn of_group(group: &'g Group) -> Self {
        Ground {
            base: &group.base,
            group: Some(group),
            state: None,
        }
    }

    pub(crate) fn of_snapshot(base: &'g Snapshot) -> Self {
        Ground {
            base,
            group: None,
            state: None,
        }
    }

    /// The same with what the group stands on.
    pub(crate) fn counted_in(self, state: &'g State) -> Self {
        Ground {
            state: Some(state),
            ..self
        }
    }

    /// What is counted, and which names are given, below the commits of the group.
    pub(crate) fn state(self) -> Option<&'g State> {
        self.state
    }

    /// The commits of the group.
    pub(crate) fn commits(self) -> &'g [Commit] {
        self.group.map_or(&[], |group| &group.commits)
    }

    /// Whether what is applied here is committed.
    pub(crate) fn is_group(self) -> bool {
        self.group.is_some()
    }

    pub(crate) fn catalog(self) -> &'g Catalog {
        &self.base.catalog
    }

    pub(crate) fn next_collection(self) -> u32 {
        self.group
            .map_or(PROVISIONAL, |group| group.next_collection)
    }

    pub(crate) fn next_index(self) -> u32 {
        self.group.map_or(PROVISIONAL, |group| group.next_index)
    }

    /// The image of a document.
    pub(crate) fn image(self, key: &DocumentKey) -> Result<Image, EngineError> {
        self.base.image(key)
    }

    /// The background work on indexes that is already in the group.
    pub(crate) fn index_pages(self) -> impl Iterator<Item = &'g IndexPage> {
        self.group.into_iter().flat_map(Group::index_pages)
    }

    /// What is counted of an index.
    pub(crate) fn index_statistics(self, index: IndexId) -> Option<&'g IndexStatistics> {
        self.group?.index_statistics.get(&index)
    }

    /// When a collection was last emptied at once.
    pub(crate) fn emptied_ts(self, collection: CollectionId) -> Result<CommitTs, EngineError> {
        let newest = self.group.and_then(|group| group.emptied_ts(collection));
        newest.map_or_else(|| self.base.emptied_ts(collection), Ok)
    }

    /// What the commits that the reader may lack did to a document, each with its time.
    pub(crate) fn newest_changes(
        self,
        key: &'g DocumentKey,
    ) -> impl Iterator<Item = (CommitTs, &'g Change)> {
        let group = self.group.into_iter();
        group.flat_map(move |group| group.newest_changes(key))
    }

    /// Whether one of those commits deletes a document for good after `after`.
    pub(crate) fn erases_after(self, key: &DocumentKey, after: CommitTs) -> bool {
        self.group
            .is_some_and(|group| group.erases_after(key, after))
    }
}

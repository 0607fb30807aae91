//! Making a page of events of commits, be they in memory or in the log.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use thalweg_model::{CollectionId, CommitTs};

use super::names::{self, Names};
use super::{ChangeEvent, ChangeEventKind, Filter, PAGE_BYTES_MAX, PAGE_EVENTS_MAX};
use crate::commit::{Change, ChangeKind, Commit};
use crate::error::EngineError;
use crate::group::Image;
use crate::log::entry::{Entry, LoggedChange};
use crate::log::read;
use crate::snapshot::Snapshot;

/// About what an event takes beside its images and its id.
const EVENT_BYTES: usize = 128;

/// What a commit did.
pub(super) enum Items<'c> {
    InMemory(&'c Commit),
    Logged {
        snapshot: &'c Snapshot,
        ts: CommitTs,
        entry: Entry<'c>,
    },
}

/// One thing that a commit did. Its images are not read yet.
enum Item<'c> {
    Emptied(CollectionId),
    InMemory(&'c Change),
    Logged {
        snapshot: &'c Snapshot,
        ts: CommitTs,
        change: LoggedChange<'c>,
    },
}

impl Items<'_> {
    /// All of them, in the order in which a stream tells them: a place in it means the same wherever they come from.
    fn iter<'i>(&'i self) -> Box<dyn Iterator<Item = Item<'i>> + 'i> {
        // A transaction may empty a collection twice, which looks like once.
        let mut seen = FxHashSet::default();
        let emptied = self.emptied().iter();
        let emptied = emptied.filter(move |collection| seen.insert(**collection));
        let emptied = emptied.map(|collection| Item::Emptied(*collection));
        match self {
            Items::InMemory(commit) => {
                Box::new(emptied.chain(commit.changes.iter().map(Item::InMemory)))
            }
            Items::Logged {
                snapshot,
                ts,
                entry,
            } => {
                let logged = entry.changes().map(|change| Item::Logged {
                    snapshot,
                    ts: *ts,
                    change,
                });
                Box::new(emptied.chain(logged))
            }
        }
    }

    fn emptied(&self) -> &[CollectionId] {
        match self {
            Items::InMemory(commit) => &commit.emptied,
            Items::Logged { entry, .. } => &entry.emptied,
        }
    }
}

impl Item<'_> {
    fn collection(&self) -> CollectionId {
        match self {
            Item::Emptied(collection) => *collection,
            Item::InMemory(change) => change.collection,
            Item::Logged { change, .. } => change.collection,
        }
    }

    fn id(&self) -> Option<&str> {
        match self {
            Item::Emptied(_) => None,
            Item::InMemory(change) => Some(change.id.as_str()),
            Item::Logged { change, .. } => Some(change.id),
        }
    }

    fn kind(&self) -> Option<ChangeKind> {
        match self {
            Item::Emptied(_) => None,
            Item::InMemory(change) => Some(change.kind()),
            Item::Logged { change, .. } => Some(change.kind),
        }
    }

    /// The images that an event of this shows.
    fn images(&self) -> Result<(Image, Image), EngineError> {
        match self {
            Item::Emptied(_) => Ok((None, None)),
            Item::InMemory(change) => shown(
                change.kind(),
                || Ok(change.before.clone()),
                || Ok(change.after.clone()),
            ),
            Item::Logged {
                snapshot,
                ts,
                change,
            } => shown(
                change.kind,
                || read::image_before(snapshot, change),
                || read::image_after(snapshot, *ts, change),
            ),
        }
    }
}

/// The images that a change of that kind shows.
fn shown(
    kind: ChangeKind,
    before: impl FnOnce() -> Result<Image, EngineError>,
    after: impl FnOnce() -> Result<Image, EngineError>,
) -> Result<(Image, Image), EngineError> {
    let live = |image: Image| image.filter(|record| !record.is_deleted());
    Ok(match kind {
        ChangeKind::Create | ChangeKind::Restore => (None, after()?),
        ChangeKind::Update => (before()?, after()?),
        ChangeKind::Delete => (live(before()?), None),
        // What is deleted for good is not shown any more.
        ChangeKind::Purge => (None, None),
    })
}

/// A page that is being made.
pub(super) struct Builder<'b> {
    filter: Option<&'b Filter>,
    names: &'b mut Names,
    events: Vec<ChangeEvent>,
    bytes: usize,
}

impl<'b> Builder<'b> {
    pub(super) fn new(filter: Option<&'b Filter>, names: &'b mut Names) -> Self {
        Builder {
            filter,
            names,
            events: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn finish(self) -> Vec<ChangeEvent> {
        self.events
    }

    fn is_full(&self) -> bool {
        self.bytes >= PAGE_BYTES_MAX || self.events.len() >= PAGE_EVENTS_MAX
    }

    /// Adds what is still to be told of the next commit after `position`, which is the last commit that was told as a
    /// whole and how much of the next one was. Returns whether there is room for more commits.
    pub(super) fn take(
        &mut self,
        ts: CommitTs,
        items: &Items<'_>,
        position: &mut (CommitTs, usize),
    ) -> Result<bool, EngineError> {
        self.learn(items)?;
        let begun = self.events.len();
        for (place, item) in items.iter().enumerate().skip(position.1) {
            let Some(name) = self.names.get(item.collection()) else {
                continue;
            };
            let filter = self.filter;
            if filter.is_some_and(|filter| !filter.admits(item.collection(), name)) {
                continue;
            }
            // That there is one more has to be known: it is why the event before does not end the commit.
            if self.is_full() {
                position.1 = place;
                return Ok(false);
            }
            let name = Arc::clone(name);
            self.push(ts, name, &item)?;
        }
        if let Some(last) = self.events[begun..].last_mut() {
            last.ends_commit = true;
        }
        *position = (ts, 0);
        Ok(!self.is_full())
    }

    fn push(
        &mut self,
        commit_ts: CommitTs,
        collection: Arc<str>,
        item: &Item<'_>,
    ) -> Result<(), EngineError> {
        let kind = item.kind();
        let kind = kind.map_or(ChangeEventKind::Truncate, ChangeEventKind::Document);
        let (before, after) = item.images()?;
        let images = before
            .iter()
            .chain(&after)
            .map(|image| image.stored().len());
        self.bytes += EVENT_BYTES + images.sum::<usize>();
        self.events.push(ChangeEvent {
            commit_ts,
            collection,
            id: item.id().map(Into::into),
            kind,
            before,
            after,
            ends_commit: false,
        });
        Ok(())
    }

    /// Learns the names that the commit gave, before anything of it is told.
    fn learn(&mut self, items: &Items<'_>) -> Result<(), EngineError> {
        for item in items.iter() {
            if let Some(kind) = item.kind()
                && names::is_naming(item.collection(), kind)
                && let (_, Some(document)) = item.images()?
            {
                self.names.learn(&document)?;
            }
        }
        Ok(())
    }
}

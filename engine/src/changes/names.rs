//! What collections were called at a commit.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_model::{CollectionId, CommitTs};

use crate::as_of;
use crate::catalog::{COLLECTIONS, Catalog, StoredCollection};
use crate::commit::ChangeKind;
use crate::error::EngineError;
use crate::history::Hidden;
use crate::record::Record;
use crate::snapshot::Snapshot;

/// How many collections are read at a time to know what they were called.
const COLLECTIONS_READ: usize = 1000;

/// The names of collections as of a commit: those of some catalog, and where they differ from it.
#[derive(Clone, Debug)]
pub(super) struct Names {
    catalog: Arc<Catalog>,
    /// `None` for a collection that is in the catalog, but not (or not yet) there.
    others: FxHashMap<CollectionId, Option<Arc<str>>>,
}

impl Names {
    /// The names as of `ts`, which must not be after the snapshot.
    pub(super) fn at(snapshot: &Snapshot, ts: CommitTs) -> Result<Self, EngineError> {
        let catalog = Arc::clone(snapshot.catalog());
        let mut others = FxHashMap::default();
        super::check_followed(snapshot, ts)?;
        if ts < catalog.version {
            let then = stored_at(snapshot, ts)?;
            for collection in catalog.collections() {
                if !then.contains_key(&collection.id) {
                    others.insert(collection.id, None);
                }
            }
            for (id, name) in then {
                if catalog.by_id(id).is_none_or(|now| now.name != name) {
                    others.insert(id, Some(name));
                }
            }
        }
        Ok(Names { catalog, others })
    }

    /// The name of a collection; `None` of the system's, and of one that is not there.
    pub(super) fn get(&self, collection: CollectionId) -> Option<&Arc<str>> {
        match self.others.get(&collection) {
            Some(name) => name.as_ref(),
            None => self.catalog.by_id(collection).map(|known| &known.name),
        }
    }

    /// Learns what a collection is called from its document in `_collections`. One that is dropped need not be
    /// forgotten: nothing happens to it any more.
    pub(super) fn learn(&mut self, document: &Record<'_>) -> Result<(), EngineError> {
        let stored = StoredCollection::from_document(document.document())?;
        if self.get(stored.id) != Some(&stored.name) {
            self.others.insert(stored.id, Some(stored.name));
        }
        Ok(())
    }

    /// Takes a newer catalog instead, if the names of `ts` are those in it.
    pub(super) fn catch_up(&mut self, ts: CommitTs, newest: &Arc<Catalog>) {
        if ts >= newest.version && !Arc::ptr_eq(&self.catalog, newest) {
            self.catalog = Arc::clone(newest);
            self.others.clear();
        }
    }
}

/// Whether a change of that kind in that collection says what a collection is called.
pub(super) fn is_naming(collection: CollectionId, kind: ChangeKind) -> bool {
    collection == COLLECTIONS && kind != ChangeKind::Purge
}

/// The collections at `ts`, as they are stored.
fn stored_at(
    snapshot: &Snapshot,
    ts: CommitTs,
) -> Result<FxHashMap<CollectionId, Arc<str>>, EngineError> {
    let mut names = FxHashMap::default();
    let mut after = None;
    loop {
        let after_id = after.as_deref();
        let page = as_of::page(
            snapshot,
            COLLECTIONS,
            Some((ts, Hidden::Show)),
            after_id,
            COLLECTIONS_READ,
        )?;
        for row in &page.rows {
            let stored = StoredCollection::from_document(row.document())?;
            names.insert(stored.id, stored.name);
        }
        after = page.next;
        if after.is_none() {
            return Ok(names);
        }
    }
}

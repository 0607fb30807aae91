//! Transactions on their way into one backend batch.
//!
//! A [`Group`] is the transactions that will be committed together. Each is applied whole or not at all: it works on
//! a [`Draft`] that is merged into the group only when its last intent has succeeded. The group in turn is merged
//! into the committer's [`State`] only when its batch is durable.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use thalweg_model::{CollectionId, CommitTs, DocumentId};
use thalweg_schema_infer::{CollectionSchema, NameRegistry};
use thalweg_storage::Snapshot as Reader;

use crate::catalog::{COLLECTIONS, Catalog, Collection};
use crate::commit::{Change, Commit};
use crate::draft::{ApplyError, Draft, Drafted, Rules};
use crate::error::{EngineError, TransactionError};
use crate::intent::{Intent, Step};
use crate::record::Record;
use crate::snapshot::read_document;
use crate::statistics::Statistics;

/// A document's image, where there is one.
pub(crate) type Image = Option<Arc<Record<'static>>>;
pub(crate) type DocumentKey = (CollectionId, DocumentId);

/// What the committer knows of the newest committed state.
pub(crate) struct State {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) names: NameRegistry,
    pub(crate) statistics: FxHashMap<CollectionId, Statistics>,
    pub(crate) next_collection: u32,
}

impl State {
    fn counted(&self, collection: CollectionId) -> Statistics {
        self.statistics
            .get(&collection)
            .cloned()
            .unwrap_or_default()
    }
}

/// Transactions on their way into one batch.
pub(crate) struct Group {
    pub(crate) reader: Box<dyn Reader>,
    images: FxHashMap<DocumentKey, Image>,
    emptied: FxHashSet<CollectionId>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) next_collection: u32,
    pub(crate) commits: Vec<Commit>,
    /// What the new images take.
    pub(crate) bytes: usize,
}

/// What the committer's state becomes once the group is durable.
pub(crate) struct Outcome {
    pub(crate) commits: Vec<Commit>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) catalog_changed: bool,
    pub(crate) statistics: FxHashMap<CollectionId, Statistics>,
    pub(crate) next_collection: u32,
}

impl Group {
    pub(crate) fn new(reader: Box<dyn Reader>, state: &State) -> Self {
        Group {
            reader,
            images: FxHashMap::default(),
            emptied: FxHashSet::default(),
            catalog: Arc::clone(&state.catalog),
            next_collection: state.next_collection,
            commits: Vec::new(),
            bytes: 0,
        }
    }

    /// Applies one transaction as of `ts`, or refuses it and leaves the group as it was.
    pub(crate) fn apply(
        &mut self,
        intents: Vec<Intent>,
        ts: CommitTs,
        rules: &Rules,
    ) -> Result<Vec<Step>, TransactionError> {
        let mut draft = Draft::new(self, rules, ts);
        let mut steps = Vec::with_capacity(intents.len());
        for (step, intent) in intents.into_iter().enumerate() {
            match draft.apply(intent) {
                Ok(done) => steps.push(done),
                Err(ApplyError::Intent(error)) => {
                    return Err(TransactionError::Intent { step, error });
                }
                Err(ApplyError::Engine(error)) => return Err(TransactionError::Engine(error)),
            }
        }
        let drafted = draft.finish();
        self.merge(ts, drafted)?;
        Ok(steps)
    }

    fn merge(&mut self, ts: CommitTs, drafted: Drafted) -> Result<(), EngineError> {
        let Drafted {
            mut images,
            written,
            emptied,
            catalog,
            next_collection,
        } = drafted;
        let mut changes = Vec::with_capacity(written.len());
        for key in written {
            let Some(after) = images.remove(&key) else {
                continue;
            };
            let before = if emptied.contains(&key.0) {
                None
            } else {
                self.image(&key)?
            };
            if before.is_none() && after.is_none() {
                continue;
            }
            let (collection, id) = key;
            changes.push(Change {
                collection,
                id,
                before,
                after,
            });
        }
        if changes.is_empty() && emptied.is_empty() && catalog.is_none() {
            return Ok(());
        }
        for collection in &emptied {
            self.images.retain(|(of, _), _| of != collection);
            self.emptied.insert(*collection);
        }
        for change in &changes {
            self.bytes += change
                .after
                .as_ref()
                .map_or(0, |image| image.stored().len());
            self.images
                .insert((change.collection, change.id.clone()), change.after.clone());
        }
        if let Some(catalog) = catalog {
            self.catalog = Arc::new(catalog);
        }
        self.next_collection = next_collection;
        self.commits.push(Commit {
            ts,
            changes,
            emptied,
            catalog: None,
        });
        Ok(())
    }

    /// Whether the group creates, renames or drops a collection.
    pub(crate) fn changes_catalog(&self, state: &State) -> bool {
        !Arc::ptr_eq(&self.catalog, &state.catalog)
    }

    /// The image of a document after the transactions that are already in the group.
    pub(crate) fn image(&self, key: &DocumentKey) -> Result<Image, EngineError> {
        if let Some(image) = self.images.get(key) {
            return Ok(image.clone());
        }
        if self.emptied.contains(&key.0) {
            return Ok(None);
        }
        let record = read_document(&*self.reader, key.0, key.1.as_str())?;
        Ok(record.map(|record| Arc::new(record.into_owned())))
    }

    /// Counts what the group changed and derives the types that follow from it, which may add names to the state:
    /// they have to be taken back if the group's batch fails. Types need not be derived for each
    /// transaction: nobody can read between the transactions of one batch.
    pub(crate) fn finish(mut self, state: &mut State) -> Outcome {
        let mut statistics: FxHashMap<CollectionId, Statistics> = FxHashMap::default();
        for commit in &self.commits {
            for collection in &commit.emptied {
                let counted = statistics.entry(*collection);
                let counted = counted.or_insert_with(|| state.counted(*collection));
                *counted = counted.emptied(commit.ts);
            }
            for change in commit
                .changes
                .iter()
                .filter(|change| change.collection != COLLECTIONS)
            {
                statistics
                    .entry(change.collection)
                    .or_insert_with(|| state.counted(change.collection))
                    .apply(change);
            }
        }
        let mut catalog_changed = !Arc::ptr_eq(&self.catalog, &state.catalog);
        for collection in self.catalog.collections() {
            let known = state.catalog.by_id(collection.id);
            if known.is_none_or(|known| !Arc::ptr_eq(known, collection)) {
                statistics
                    .entry(collection.id)
                    .or_insert_with(|| state.counted(collection.id));
            }
        }
        // In the order in which the collections were created, so that the older one gets a name that two would have.
        let mut counted: Vec<_> = statistics.iter().collect();
        counted.sort_unstable_by_key(|(id, _)| **id);
        for (id, statistics) in counted {
            let Some(collection) = self.catalog.by_id(*id) else {
                continue;
            };
            let names = match state.catalog.by_id(*id) {
                Some(known) if known.name != collection.name => {
                    state.names.rename_collection(&known.name, &collection.name)
                }
                _ => state.names.collection(&collection.name),
            };
            let derived = CollectionSchema::derive(
                &names,
                statistics.types_shape(),
                statistics.publishes_id(),
                &mut state.names,
            );
            if derived != *collection.schema {
                let changed = Collection {
                    schema: Arc::new(derived),
                    ..(**collection).clone()
                };
                Arc::make_mut(&mut self.catalog).insert(changed);
                catalog_changed = true;
            }
        }
        if catalog_changed && let Some(last) = self.commits.last_mut() {
            Arc::make_mut(&mut self.catalog).version = last.ts;
            last.catalog = Some(Arc::clone(&self.catalog));
        }
        Outcome {
            commits: self.commits,
            catalog: self.catalog,
            catalog_changed,
            statistics,
            next_collection: self.next_collection,
        }
    }
}

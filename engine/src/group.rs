//! Transactions on their way into one backend batch.
//!
//! A [`Group`] is the transactions that will be committed together. Each is applied whole or not at all: it works on
//! a [`Draft`] that is merged into the group only when its last intent has succeeded. The group in turn is merged
//! into the committer's [`State`] when it is closed, so that the next one can stand on it before it is durable; if its batch
//! fails, the state is loaded anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_model::{CollectionId, CommitTs, DocumentId};
use thalweg_schema_infer::{CollectionSchema, Evolution, NameRegistry, Pins};
use thalweg_storage::Write;

use crate::catalog::{COLLECTIONS, Catalog, Collection};
use crate::commit::{Change, Commit};
use crate::draft::{Draft, Drafted, Rules};
use crate::error::{EngineError, TransactionError};
use crate::ground::Ground;
use crate::idempotency::FirstAnswer;
use crate::index::writer::IndexPage;
use crate::index::{IndexId, IndexStatistics};
use crate::intent::{Intents, Step};
use crate::overlay::Delta;
use crate::published_types::{self, Imports, TypesChange};
use crate::record::Record;
use crate::relations::name_relations;
use crate::snapshot::Snapshot;
use crate::statistics::Statistics;

/// A document's image, where there is one.
pub(crate) type Image = Option<Arc<Record<'static>>>;
pub(crate) type DocumentKey = (CollectionId, DocumentId);

/// What the committer knows of the newest committed state.
pub(crate) struct State {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) names: NameRegistry,
    pub(crate) statistics: FxHashMap<CollectionId, Statistics>,
    /// The published types of collections as they are stored.
    pub(crate) stored_types: FxHashMap<CollectionId, Arc<CollectionSchema>>,
    pub(crate) next_collection: u32,
    pub(crate) index_statistics: Arc<FxHashMap<IndexId, IndexStatistics>>,
    pub(crate) next_index: u32,
}

/// Transactions on their way into one batch.
pub(crate) struct Group {
    /// The state after the transactions that are already in the group: the backend's, and over it what groups that are
    /// not durable yet and this one have changed.
    pub(crate) base: Snapshot,
    /// The commits that the reader of `base` may lack.
    in_flight: Vec<Arc<Commit>>,
    pub(crate) next_collection: u32,
    pub(crate) next_index: u32,
    pub(crate) commits: Vec<Commit>,
    /// What changes beside documents. It is written before what the commits write: a due entry that one commit makes
    /// may have the key of one that is taken away as out of date.
    upkeep: Vec<Write>,
    /// What erases history that is no longer kept. It is written before `upkeep`, as a whole, or not at all.
    erasures: Vec<Write>,
    /// Answers that have to be found again under their idempotency keys.
    pub(crate) answers: Vec<(Arc<str>, Arc<FirstAnswer>)>,
    /// The background work on indexes of each commit that has some.
    index_pages: Vec<(CommitTs, IndexPage)>,
    /// What is done to published types beside what follows from the documents.
    types: Vec<TypesChange>,
    /// The names that collections and their fields are to get when the group ends.
    pins: Vec<(CollectionId, Pins)>,
    /// What is counted of indexes in the state that the group stands on.
    pub(crate) index_statistics: Arc<FxHashMap<IndexId, IndexStatistics>>,
    /// What the new images take.
    pub(crate) bytes: usize,
}

/// What the committer's state becomes with the group.
pub(crate) struct Outcome {
    pub(crate) commits: Vec<Arc<Commit>>,
    pub(crate) index_pages: Vec<(CommitTs, IndexPage)>,
    pub(crate) next_index: u32,
    /// The changed images, for the groups that are opened before this one is durable.
    pub(crate) delta: Delta,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) catalog_changed: bool,
    /// The collections whose statistics the group changes.
    pub(crate) counted: BTreeSet<CollectionId>,
    pub(crate) next_collection: u32,
    /// What to write before what the commits write.
    pub(crate) upkeep: Vec<Write>,
    /// What to write before that, unless erasing is held back: then it is left undone.
    pub(crate) erasures: Vec<Write>,
}

/// One transaction to be applied.
pub(crate) struct Applicant {
    pub(crate) ts: CommitTs,
    pub(crate) intents: Intents,
    /// What its random choices are made of.
    pub(crate) seed: u64,
    /// Commit it even if none of its writes changes anything, because an answer goes with it.
    pub(crate) is_kept: bool,
}

impl Group {
    /// A group on the state that `base` shows; its reader may lack the commits `in_flight`.
    pub(crate) fn new(base: Snapshot, in_flight: Vec<Arc<Commit>>, state: &State) -> Self {
        Group {
            base,
            in_flight,
            next_collection: state.next_collection,
            next_index: state.next_index,
            commits: Vec::new(),
            upkeep: Vec::new(),
            erasures: Vec::new(),
            answers: Vec::new(),
            index_pages: Vec::new(),
            types: Vec::new(),
            pins: Vec::new(),
            index_statistics: Arc::clone(&state.index_statistics),
            bytes: 0,
        }
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.base.catalog
    }

    /// Applies one transaction, or refuses it and leaves the group as it was.
    pub(crate) fn apply(
        &mut self,
        applicant: Applicant,
        state: &State,
        rules: Rules,
    ) -> Result<Vec<Step>, TransactionError> {
        let Applicant {
            ts,
            intents,
            seed,
            is_kept,
        } = applicant;
        let Intents { list, ends, origin } = intents;
        let ground = Ground::of_group(self).counted_in(state);
        let mut draft = Draft::new(ground, rules, ts, seed, origin);
        let mut steps = Vec::with_capacity(list.len());
        let mut ends = ends.into_iter().peekable();
        for (step, intent) in list.into_iter().enumerate() {
            if ends.next_if_eq(&step).is_some() {
                draft.end_statement(step)?;
            }
            let done = draft.apply(intent).map_err(|error| error.at(step))?;
            steps.push(done);
        }
        draft.end_statement(steps.len())?;
        if let Err((key, error)) = draft.check_indexes() {
            return Err(error.at(last_step(&steps, &key)));
        }
        let drafted = draft.finish();
        // Images that it told of carry its time, so the time is its own even where its writes undo each other.
        let is_kept = is_kept || steps.iter().any(|step| step.changed);
        self.merge(ts, drafted, is_kept)?;
        Ok(steps)
    }

    fn merge(&mut self, ts: CommitTs, drafted: Drafted, is_kept: bool) -> Result<(), EngineError> {
        let Drafted {
            mut own,
            written,
            before: mut known,
            emptied,
            catalog,
            next_collection,
            next_index,
            pages,
            types,
            pins,
            unique,
            upkeep,
            erasures,
        } = drafted;
        let mut changes = Vec::with_capacity(written.len());
        for key in written {
            let Some(after) = own.take(key.0, key.1.as_str()) else {
                continue;
            };
            let before = match known.remove(&key) {
                _ if emptied.contains(&key.0) => None,
                Some(before) => before,
                None => self.base.image(&key)?,
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
        let is_nothing = changes.is_empty()
            && emptied.is_empty()
            && catalog.is_none()
            && pages.is_empty()
            && types.is_empty()
            && pins.is_empty();
        if is_nothing && upkeep.is_empty() && erasures.is_empty() && !is_kept {
            return Ok(());
        }
        self.upkeep.extend(upkeep);
        self.erasures.extend(erasures);
        self.types.extend(types);
        for collection in &emptied {
            self.base.overlay.empty(*collection);
        }
        for change in &changes {
            self.bytes += change
                .after
                .as_ref()
                .map_or(0, |image| image.stored().len());
            self.base
                .overlay
                .put(change.collection, change.id.clone(), change.after.clone());
        }
        if let Some(catalog) = catalog {
            self.base.catalog = Arc::new(catalog);
        }
        self.base.ts = ts;
        self.next_collection = next_collection;
        self.next_index = next_index;
        self.base.overlay.change_unique(unique);
        self.pins.extend(pins);
        self.index_pages
            .extend(pages.into_iter().map(|page| (ts, page)));
        self.commits.push(Commit {
            ts,
            changes,
            emptied,
            catalog: None,
        });
        Ok(())
    }

    /// Notes what is answered under an idempotency key.
    pub(crate) fn keep_answer(&mut self, key: Arc<str>, answer: Arc<FirstAnswer>) {
        self.base
            .overlay
            .put_answer(Arc::clone(&key), Arc::clone(&answer));
        self.answers.push((key, answer));
    }

    /// Whether the group creates, renames or drops a collection.
    pub(crate) fn changes_catalog(&self, state: &State) -> bool {
        !Arc::ptr_eq(self.catalog(), &state.catalog)
    }

    /// The background work on indexes that is already in the group.
    pub(crate) fn index_pages(&self) -> impl Iterator<Item = &IndexPage> {
        self.index_pages.iter().map(|(_, page)| page)
    }

    /// The commits that the reader of `base` may lack, in order: those on their way and those of this group.
    pub(crate) fn newest_commits(&self) -> impl Iterator<Item = &Commit> {
        let in_flight = self.in_flight.iter().map(|commit| &**commit);
        in_flight.chain(&self.commits)
    }

    /// The last of the newest commits that empties a collection at once.
    pub(crate) fn emptied_ts(&self, collection: CollectionId) -> Option<CommitTs> {
        self.newest_commits()
            .filter(|commit| commit.emptied.contains(&collection))
            .map(|commit| commit.ts)
            .last()
    }

    /// What the newest commits did to a document, each with its time.
    pub(crate) fn newest_changes<'a>(
        &'a self,
        key: &'a DocumentKey,
    ) -> impl Iterator<Item = (CommitTs, &'a Change)> {
        self.newest_commits().flat_map(move |commit| {
            let changes = commit.changes.iter();
            let changes =
                changes.filter(|change| (change.collection, &change.id) == (key.0, &key.1));
            changes.map(move |change| (commit.ts, change))
        })
    }

    /// Whether one of the newest commits deletes a document for good after `after`.
    pub(crate) fn erases_after(&self, key: &DocumentKey, after: CommitTs) -> bool {
        self.newest_changes(key)
            .any(|(ts, change)| ts > after && change.erases())
    }

    /// Counts what the group changed and lets the published types follow from it, which may add names to the state:
    /// they have to be taken back if the group's batch fails, and so has the state itself. Types need not be derived for each
    /// transaction: nobody can read between the transactions of one batch.
    pub(crate) fn finish(
        mut self,
        state: &mut State,
        evolution: Evolution,
        imports: &Imports,
    ) -> Outcome {
        // In the order in which the collections were created, so that the older one gets a name that two would have.
        let mut counted: BTreeSet<CollectionId> = BTreeSet::new();
        for commit in &self.commits {
            for collection in &commit.emptied {
                counted.insert(*collection);
                let statistics = state.statistics.entry(*collection).or_default();
                *statistics = statistics.emptied(commit.ts);
            }
            for change in commit
                .changes
                .iter()
                .filter(|change| change.collection != COLLECTIONS)
            {
                counted.insert(change.collection);
                state
                    .statistics
                    .entry(change.collection)
                    .or_default()
                    .apply(change);
            }
        }
        let mut catalog_changed = !Arc::ptr_eq(self.catalog(), &state.catalog);
        if catalog_changed {
            let collections = self.base.catalog.collections();
            let changed = collections.filter(|collection| {
                let known = state.catalog.by_id(collection.id);
                known.is_none_or(|known| !Arc::ptr_eq(known, collection))
            });
            counted.extend(changed.map(|collection| collection.id));
        }
        counted.extend(self.types.iter().map(TypesChange::collection));
        counted.extend(self.pins.iter().map(|(collection, _)| *collection));
        for id in &counted {
            let statistics = state.statistics.entry(*id).or_default();
            let Some(collection) = self.base.catalog.by_id(*id) else {
                continue;
            };
            let known = state.catalog.by_id(*id);
            if let Some(known) = known
                && known.name != collection.name
            {
                state.names.rename_collection(&known.name, &collection.name);
            }
            let pins: Vec<&Pins> = (self.pins.iter())
                .filter(|(of, _)| of == id)
                .map(|(_, pins)| pins)
                .collect();
            for pins in &pins {
                // It was tried when the transaction was applied. What another one of the group has taken since is named
                // as if nothing had been declared.
                let _ = state.names.pin(&collection.name, pins);
            }
            let names = state.names.collection(&collection.name);
            let changes: Vec<TypesChange> = self
                .types
                .iter()
                .filter(|it| it.collection() == *id)
                .cloned()
                .collect();
            let step = published_types::Step {
                published: &collection.latched,
                names: &names,
                statistics,
                evolution,
                settling: imports.settling(&collection.name),
                changes: &changes,
                ts: self.base.ts,
            };
            let latched = step.take(&mut state.names);
            // From now on they are stored by themselves.
            statistics.former = None;
            let is_declared_anew = known.is_none_or(|known| known.declared != collection.declared);
            let schema = match &collection.declared {
                _ if Arc::ptr_eq(&latched, &collection.latched)
                    && pins.is_empty()
                    && !is_declared_anew =>
                {
                    Arc::clone(&collection.schema)
                }
                Some(declared) => {
                    let published = declared.publish((*latched).clone(), &mut state.names);
                    match published == *collection.schema {
                        true => Arc::clone(&collection.schema),
                        false => Arc::new(published),
                    }
                }
                None => Arc::clone(&latched),
            };
            let is_same = Arc::ptr_eq(&latched, &collection.latched)
                && Arc::ptr_eq(&schema, &collection.schema);
            if !is_same {
                let changed = Collection {
                    schema,
                    latched,
                    ..(**collection).clone()
                };
                Arc::make_mut(&mut self.base.catalog).insert(changed);
                catalog_changed = true;
            }
        }
        // Which fields there are for relations depends on the collections, their names and their types.
        if catalog_changed {
            name_relations(Arc::make_mut(&mut self.base.catalog), &mut state.names);
        }
        if catalog_changed && let Some(last) = self.commits.last_mut() {
            Arc::make_mut(&mut self.base.catalog).version = last.ts;
            last.catalog = Some(Arc::clone(&self.base.catalog));
        }
        Outcome {
            commits: self.commits.into_iter().map(Arc::new).collect(),
            index_pages: self.index_pages,
            next_index: self.next_index,
            delta: self.base.overlay.into_top(),
            catalog: self.base.catalog,
            catalog_changed,
            counted,
            next_collection: self.next_collection,
            upkeep: self.upkeep,
            erasures: self.erasures,
        }
    }
}

/// The last of the intents that wrote a document.
fn last_step(steps: &[Step], (collection, id): &DocumentKey) -> usize {
    let wrote = |step: &Step| {
        let of = |image: &Image| {
            image
                .as_ref()
                .is_some_and(|image| image.id() == id.as_str())
        };
        step.changed
            && step.collection == Some(*collection)
            && (of(&step.after) || of(&step.before))
    };
    steps.iter().rposition(wrote).unwrap_or_default()
}

//! The optimistic half of a transaction: it runs on a snapshot, and what it reads and wants to write is recorded.
//!
//! It sees its own writes. They are intents, so a read that follows some has them applied to the images of the
//! snapshot first, as the committer will apply them to those of their turn; what such a read shows then depends on the
//! images that its writes found. Where nothing is read after a write, nothing is applied here, and nothing depends on them.

use std::any::Any;
use std::sync::Arc;

use rustc_hash::FxHashSet;
use thalweg_model::{CollectionId, CommitTs, DocumentId, ErrorCode};
use thalweg_schema_infer::CollectionSchema;

use crate::budget::Interrupt;
use crate::catalog::{Catalog, Collection};
use crate::committer::Ordered;
use crate::dependency::{Dependency, DependencySet, Scope};
use crate::draft::{Draft, Rules};
use crate::error::{EngineError, TransactionError};
use crate::field::FieldMask;
use crate::find::{Choice, Find};
use crate::ground::Ground;
use crate::group::DocumentKey;
use crate::idempotency::IdempotencyKey;
use crate::intent::{Intent, Intents, Origin, Step};
use crate::join;
use crate::made_id::made_id;
use crate::record::Record;
use crate::snapshot::Snapshot;

/// A transaction while its code runs.
///
/// The code may run more than once: on a conflict the engine runs it again on a newer snapshot. So it must have no
/// effect but through this value.
pub struct Transaction<'s> {
    ground: Ground<'s>,
    dependencies: DependencySet,
    intents: Intents,
    run: Run,
    /// How many ids it has made.
    ids_made: u32,
    /// Its writes as its reads see them: made by the first read that follows a write.
    own: Option<OwnWrites<'s>>,
}

/// The writes of a transaction, applied to what it reads.
struct OwnWrites<'s> {
    draft: Draft<'s>,
    /// How many of the intents are applied.
    applied: usize,
    /// How many statements have been ended.
    ended: usize,
    /// The documents that they were meant for, whether or not those were there to be written.
    targets: Vec<DocumentKey>,
    /// Those that it depends on already.
    depended: FxHashSet<DocumentKey>,
}

/// What one run of a transaction is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) writes_max: usize,
    pub(crate) rules: Rules,
    pub(crate) now: CommitTs,
    pub(crate) seed: u64,
}

/// What a committed transaction did.
#[derive(Debug)]
pub struct Committed<T> {
    /// What its code returned.
    pub value: T,
    /// Its place in the one order; for one that wrote nothing, the snapshot that it read.
    pub commit_ts: CommitTs,
    /// The catalog after the transaction.
    pub catalog: Arc<Catalog>,
    /// What each intent did, in the order of [`Transaction::write`].
    pub steps: Vec<Step>,
}

pub(crate) type Erased = Box<dyn Any + Send>;

/// The code of a transaction with its result's type erased, so that the committer can run any.
pub(crate) type Code =
    dyn Fn(&mut Transaction<'_>) -> Result<Erased, TransactionError> + Send + Sync;

/// A transaction as the engine carries it through its runs.
pub(crate) struct TransactionCode {
    pub(crate) code: Box<Code>,
    /// The same in all runs.
    pub(crate) seed: u64,
    pub(crate) once: Option<Once>,
}

/// That a transaction is to be committed once, however often it is sent.
pub(crate) struct Once {
    pub(crate) key: IdempotencyKey,
    /// Makes the answer that repetitions get.
    pub(crate) answer: Box<dyn Fn(Erased, Ordered) -> Vec<u8> + Send + Sync>,
}

impl TransactionCode {
    /// Runs it on a state.
    pub(crate) fn run(
        &self,
        ground: Ground<'_>,
        run: Run,
    ) -> Result<(Erased, DependencySet, Intents), TransactionError> {
        let mut transaction = Transaction {
            ground,
            dependencies: DependencySet::none(),
            intents: Intents::default(),
            run,
            ids_made: 0,
            own: None,
        };
        let value = (self.code)(&mut transaction)?;
        Ok((value, transaction.dependencies, transaction.intents))
    }
}

impl<'s> Transaction<'s> {
    /// The time that the transaction reads at.
    pub fn read_ts(&self) -> CommitTs {
        self.ground.base.ts()
    }

    /// The time that this run takes for now: never before what it reads, and no dependency.
    pub fn now(&self) -> CommitTs {
        self.run.now
    }

    /// What to make random choices of. It is the same in every run of one transaction, so that running it again makes
    /// the same choices, and another for every transaction. It is no secret.
    pub fn seed(&self) -> u64 {
        self.run.seed
    }

    /// The collections and their types, as of then; what the transaction itself changes of them does not show. It runs
    /// again when they change before it commits.
    pub fn catalog(&mut self) -> &'s Arc<Catalog> {
        self.dependencies.catalog();
        self.ground.base.catalog()
    }

    /// How many more documents this run may look at, and who is asked now and then whether it is to go on. As for
    /// [`Snapshot::limit_rows`](crate::Snapshot::limit_rows) and [`Snapshot::set_interrupt`](crate::Snapshot::set_interrupt).
    pub fn set_budget(&mut self, rows_max: Option<u64>, interrupt: Option<Arc<dyn Interrupt>>) {
        self.ground.base.limit_rows(rows_max);
        self.ground.base.set_interrupt(interrupt);
    }

    /// About how many documents [`Transaction::find`] will look at. Is no dependency.
    pub fn estimate(&self, find: &Find) -> Result<u64, TransactionError> {
        Ok(self.ground.base.estimate(find)?)
    }

    /// The types that promotion would publish of a collection. It runs again when any document of it changes before it
    /// commits.
    pub fn promoted_types(
        &mut self,
        collection: &Collection,
    ) -> Result<Arc<CollectionSchema>, EngineError> {
        self.dependencies.read(Dependency::whole(collection.id));
        let promoted = self.ground.base.promoted_types(collection.id)?;
        Ok(promoted.unwrap_or_else(|| Arc::clone(&collection.schema)))
    }

    /// Reads one document. `mask` says which of its fields matter.
    ///
    /// Fails where an earlier write of the transaction cannot be applied, as the transaction would.
    pub fn get(
        &mut self,
        collection: CollectionId,
        id: &DocumentId,
        mask: FieldMask,
    ) -> Result<Option<Record<'s>>, TransactionError> {
        let scope = Scope::Document(id.clone());
        self.dependencies.read(Dependency {
            collection,
            scope,
            mask,
        });
        self.apply_own_writes()?;
        let snapshot = self.ground.base;
        let Some(own) = &mut self.own else {
            return Ok(snapshot.get(collection, id.as_str())?);
        };
        own.depend_on_targets(&Reading::Document(collection, id), &mut self.dependencies);
        let found = snapshot.get_under(Some(own.draft.own()), collection, id.as_str())?;
        Ok(found.map(Record::into_owned))
    }

    /// Reads a page of documents. Fails as [`Transaction::get`] does.
    pub fn find(&mut self, find: &Find) -> Result<Vec<Record<'s>>, TransactionError> {
        self.find_by(find, Choice::Any)
    }

    /// Reads a page of documents, found in one of the ways that are given. What it depends on is the same.
    pub fn find_by(
        &mut self,
        find: &Find,
        choice: Choice,
    ) -> Result<Vec<Record<'s>>, TransactionError> {
        self.apply_own_writes()?;
        let snapshot = self.ground.base;
        let Some(own) = &mut self.own else {
            let found = snapshot.find_by(find, choice)?;
            self.dependencies.merge(found.dependencies);
            return Ok(found.rows);
        };
        let mut depend = |collection| {
            own.depend_on_targets(&Reading::Collection(collection), &mut self.dependencies);
        };
        depend(find.collection);
        join::collections(&find.filter, &mut depend);
        let found = snapshot.find_under(Some(own.draft.own()), find, choice)?;
        self.dependencies.merge(found.dependencies);
        Ok(found.rows.into_iter().map(Record::into_owned).collect())
    }

    /// Applies those of its writes that are not applied yet to what it reads.
    fn apply_own_writes(&mut self) -> Result<(), TransactionError> {
        let written = self.intents.list.len();
        if written == self.own.as_ref().map_or(0, |own| own.applied) {
            return Ok(());
        }
        // A read shows what policies make of what was written.
        self.intents.end_statement();
        // What a write does depends on which collections there are and on their settings.
        self.dependencies.catalog();
        let (ground, run) = (self.ground, self.run);
        let mut own = match self.own.take() {
            Some(own) => own,
            None => {
                // After all that it reads, so that an image of this time is one of its own.
                let ts = run.now.max(ground.base.ts().next());
                let origin = self.intents.origin.clone();
                OwnWrites {
                    draft: Draft::new(ground, run.rules, ts, run.seed, origin),
                    applied: 0,
                    ended: 0,
                    targets: Vec::new(),
                    depended: FxHashSet::default(),
                }
            }
        };
        while own.applied < written {
            own.end_statement(&self.intents)?;
            let step = own.applied;
            let made = (self.ids_made, run);
            let intent = &mut self.intents.list[step];
            if let Some(id) = intent.missing_id() {
                *id = Some(next_id(made));
                self.ids_made += 1;
            }
            let named = intent.target().cloned();
            let done = own
                .draft
                .apply(intent.clone())
                .map_err(|error| error.at(step))?;
            own.applied += 1;
            if let Some(collection) = done.collection
                && let Some(id) = named.or_else(|| done.after.as_deref().and_then(id_of))
            {
                own.targets.push((collection, id));
            }
        }
        own.end_statement(&self.intents)?;
        self.dependencies.merge(own.draft.take_dependencies());
        self.own = Some(own);
        Ok(())
    }

    /// Ends a statement: what relations declare of documents that name one which has gone is done before the next write. It
    /// is also done before a read, and at the end of the transaction.
    pub fn end_statement(&mut self) {
        self.intents.end_statement();
    }

    /// A new id. It is made of the transaction's seed and time, so no other transaction makes the same.
    pub fn make_id(&mut self) -> DocumentId {
        let id = next_id((self.ids_made, self.run));
        self.ids_made += 1;
        id
    }

    pub(crate) fn snapshot(&self) -> &'s Snapshot {
        self.ground.base
    }

    /// Notes that the transaction depends on all documents of a collection.
    pub(crate) fn depend_on_all(&mut self, collection: CollectionId) {
        self.dependencies.read_whole(collection);
    }

    /// Says who makes the transaction; kept with every revision that it writes.
    pub fn set_origin(&mut self, origin: Origin) {
        self.intents.origin = origin;
    }

    /// Adds a write and returns its number, under which [`Committed::steps`] says what it did.
    pub fn write(&mut self, intent: Intent) -> Result<usize, TransactionError> {
        if self.intents.list.len() == self.run.writes_max {
            return Err(TransactionError::Refused {
                code: ErrorCode::LimitExceeded,
                message: format!(
                    "a transaction writes at most {} documents; split the work",
                    self.run.writes_max
                ),
                part: self.intents.list.len(),
            });
        }
        self.intents.list.push(intent);
        Ok(self.intents.list.len() - 1)
    }

    /// Adds several writes, whose numbers follow each other.
    pub fn write_all(&mut self, intents: &[Intent]) -> Result<(), TransactionError> {
        self.intents.list.reserve(intents.len());
        for intent in intents {
            self.write(intent.clone())?;
        }
        Ok(())
    }
}

fn id_of(record: &Record<'_>) -> Option<DocumentId> {
    DocumentId::new(record.id()).ok()
}

/// The number is shifted by half of the seed: unlike commits, two runs may be of one time.
fn next_id((ids_made, run): (u32, Run)) -> DocumentId {
    const SHIFT_MASK: u64 = (1 << 29) - 1;
    let shift = u32::try_from((run.seed >> 32) & SHIFT_MASK).expect("of 29 bits");
    made_id(run.now, shift.wrapping_add(ids_made), run.seed)
}

/// What a read looks at.
enum Reading<'r> {
    Document(CollectionId, &'r DocumentId),
    Collection(CollectionId),
}

impl OwnWrites<'_> {
    /// Ends the statement that ends here, if one does.
    fn end_statement(&mut self, intents: &Intents) -> Result<(), TransactionError> {
        if intents.ends.get(self.ended) == Some(&self.applied) {
            self.ended += 1;
            self.draft.end_statement(self.applied)?;
        }
        Ok(())
    }

    /// Adds the documents of what is read that it writes: what a read shows of them is made of the images that the writes
    /// found. One that was not there is among them: had it been, it would have been written.
    fn depend_on_targets(&mut self, read: &Reading<'_>, dependencies: &mut DependencySet) {
        let policies = self.draft.policies();
        let shows = |target: &&DocumentKey| {
            let is_read = match read {
                Reading::Document(collection, id) => (*collection, *id) == (target.0, &target.1),
                Reading::Collection(collection) => *collection == target.0,
            };
            // What goes may take others with it.
            is_read || !policies.about(target.0).is_empty()
        };
        for target in self.targets.iter().filter(shows) {
            if self.depended.insert(target.clone()) {
                dependencies.read(Dependency {
                    collection: target.0,
                    scope: Scope::Document(target.1.clone()),
                    mask: FieldMask::all(),
                });
            }
        }
    }
}

//! The optimistic half of a transaction: it runs on a snapshot, and what it reads and wants to write is recorded.

use std::any::Any;
use std::sync::Arc;

use thalweg_model::{CollectionId, CommitTs, DocumentId, ErrorCode};

use crate::catalog::Catalog;
use crate::committer::Ordered;
use crate::dependency::{Dependency, DependencySet, Scope};
use crate::error::{EngineError, TransactionError};
use crate::field::FieldMask;
use crate::find::{Choice, Find};
use crate::idempotency::IdempotencyKey;
use crate::intent::{Intent, Intents, Origin, Step};
use crate::record::Record;
use crate::snapshot::Snapshot;

/// A transaction while its code runs.
///
/// The code may run more than once: on a conflict the engine runs it again on a newer snapshot. So it must have no
/// effect but through this value.
pub struct Transaction<'s> {
    snapshot: &'s Snapshot,
    dependencies: DependencySet,
    intents: Intents,
    run: Run,
}

/// What one run of a transaction is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) writes_max: usize,
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
        snapshot: &Snapshot,
        run: Run,
    ) -> Result<(Erased, DependencySet, Intents), TransactionError> {
        let mut transaction = Transaction {
            snapshot,
            dependencies: DependencySet::none(),
            intents: Intents::default(),
            run,
        };
        let value = (self.code)(&mut transaction)?;
        Ok((value, transaction.dependencies, transaction.intents))
    }
}

impl<'s> Transaction<'s> {
    /// The time that the transaction reads at.
    pub fn read_ts(&self) -> CommitTs {
        self.snapshot.ts()
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

    /// The collections and their types, as of then. The transaction runs again when they change before it commits.
    pub fn catalog(&mut self) -> &'s Arc<Catalog> {
        self.dependencies.catalog();
        self.snapshot.catalog()
    }

    /// Reads one document. `mask` says which of its fields matter.
    pub fn get(
        &mut self,
        collection: CollectionId,
        id: &DocumentId,
        mask: FieldMask,
    ) -> Result<Option<Record<'s>>, EngineError> {
        let scope = Scope::Document(id.clone());
        self.dependencies.read(Dependency {
            collection,
            scope,
            mask,
        });
        self.snapshot.get(collection, id.as_str())
    }

    /// Reads a page of documents.
    pub fn find(&mut self, find: &Find) -> Result<Vec<Record<'s>>, EngineError> {
        self.find_by(find, Choice::Any)
    }

    /// Reads a page of documents, found in one of the ways that are given. What it depends on is the same.
    pub fn find_by(&mut self, find: &Find, choice: Choice) -> Result<Vec<Record<'s>>, EngineError> {
        let found = self.snapshot.find_by(find, choice)?;
        self.dependencies.merge(found.dependencies);
        Ok(found.rows)
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
}

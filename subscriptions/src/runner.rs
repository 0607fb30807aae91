//! What runs a live query.

use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
use thalweg_engine::{Catalog, DependencySet, EngineError, Snapshot};

/// Runs queries for this crate.
pub trait Runner: Send + Sync + 'static {
    /// A query, ready to run.
    type Query: Send + Sync + 'static;
    /// Equal keys are equal queries: they are evaluated once for all their subscribers.
    type Key: Clone + Eq + Hash + Send + Sync + 'static;

    /// The query's identity.
    fn key(&self, query: &Self::Query) -> Self::Key;

    /// Runs the query on a snapshot. What is wrong with the query is part of its result; an error means that the
    /// store could not be read, and the query will be run again.
    fn run(&self, query: &Self::Query, snapshot: &Snapshot) -> Result<Evaluation, EngineError>;

    /// The query in terms of another catalog; or, where it is not valid there, the errors that end it.
    fn revalidate(&self, query: &Self::Query, catalog: &Arc<Catalog>)
    -> Result<Self::Query, Bytes>;

    /// The errors that end a query whose code panicked.
    fn broken(&self) -> Bytes;

    /// Is told of a defect: the result that the changes told is another one than that of a run in full.
    fn mismatched(&self, query: &Self::Query, maintained: &[u8], fresh: &[u8]);
}

/// The result of a query at a timestamp.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// What is told of it: equal bytes are the same result.
    pub result: Bytes,
    /// Where in `result` the data begins, which ends with it and can be patched; `None` for a result with errors.
    pub data_from: Option<usize>,
    /// What the result depends on.
    pub dependencies: DependencySet,
}

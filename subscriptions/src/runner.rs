//! What runs a live query.

use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
use thalweg_engine::{Catalog, DependencySet, EngineError, Snapshot};
use thalweg_model::CommitTs;

/// Runs queries for this crate.
pub trait Runner: Send + Sync + 'static {
    /// A query, ready to run. It may be large, so it is kept only while it is run now and then.
    type Query: Send + Sync + 'static;
    /// Equal keys are equal queries: they are evaluated once for all their subscribers. A key is all that is kept of a
    /// query for as long as it lives.
    type Key: Eq + Hash + Send + Sync + 'static;

    /// The query's identity.
    fn key(&self, query: &Self::Query) -> Arc<Self::Key>;

    /// The query of a key, in terms of a catalog; or, where it is not valid there, the errors that end it.
    fn prepare(&self, key: &Self::Key, catalog: &Arc<Catalog>) -> Result<Self::Query, Bytes>;

    /// Whether a query has to be kept itself, because it is more than what its key says.
    fn is_more_than_its_key(&self, query: &Self::Query) -> bool;

    /// Since when queries mean what they mean with a catalog: with two catalogs of one version every query means the same.
    /// `None` where that is not known.
    fn version(&self, catalog: &Arc<Catalog>) -> Option<CommitTs>;

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

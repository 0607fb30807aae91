//! What there is of one live query.

use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::KeptReads;
use thalweg_model::CommitTs;

use super::Subscriber;
use crate::entries::SmallSet;
use crate::outcome::Outcome;
use crate::runner::{Evaluation, Runner};
use crate::usage::Usage;

/// A run that took longer than this is slow, and a query that is so twice in a row.
pub(super) const SLOW: Duration = Duration::from_millis(10);
pub(super) const SLOW_RUNS: u8 = 2;

/// What the runs of a live query have cost since it was registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// How often it was run because a commit touched it.
    pub runs: u64,
    /// In how many of them all that costs something to read was told by the changes.
    pub maintained: u64,
    /// How long they took together.
    pub time: Duration,
}

/// So many queries are kept ready to run; others are prepared anew when they are.
pub(super) const READY_MAX: usize = 16_384;

/// One live query, shared by its subscribers. Most are never touched by a commit, so this is small.
pub(super) struct Live<R: Runner> {
    pub(super) key: Arc<R::Key>,
    pub(super) newest: Arc<Outcome>,
    /// The state that it was last evaluated at, whether or not the result had changed.
    pub(super) evaluated_ts: CommitTs,
    pub(super) subscribers: SmallSet<Subscriber>,
    /// What there is of one that was touched, or is more than its key.
    pub(super) busy: Option<Box<Busy<R>>>,
}

/// What makes the next run of a live query fast, and what the last ones have cost.
pub(super) struct Busy<R: Runner> {
    pub(super) query: Option<Arc<R::Query>>,
    /// Whether the query has to be kept.
    pub(super) is_pinned: bool,
    /// What is kept of its reads. It has followed each commit since the last run that was matched and touches it.
    pub(super) kept: Option<KeptReads>,
    /// What of that counts as used.
    pub(super) kept_bytes: usize,
    pub(super) cost: Cost,
    /// How many of the last runs were slow.
    pub(super) slow_runs: u8,
}

impl<R: Runner> Default for Busy<R> {
    fn default() -> Self {
        Busy {
            query: None,
            is_pinned: false,
            kept: None,
            kept_bytes: 0,
            cost: Cost::default(),
            slow_runs: 0,
        }
    }
}

/// A live query that is to be run.
pub(crate) struct ToRun<R: Runner> {
    pub(crate) key: Arc<R::Key>,
    /// If it is ready to run.
    pub(crate) query: Option<Arc<R::Query>>,
    /// What is kept of its reads, which is given back with the run.
    pub(crate) kept: KeptReads,
}

/// What became of a run of a live query.
pub(crate) struct Ran<R: Runner> {
    pub(crate) query: Arc<R::Query>,
    pub(crate) evaluation: Evaluation,
    pub(crate) kept: Option<KeptReads>,
    pub(crate) took: Duration,
}

impl<R: Runner> Live<R> {
    /// Keeps these reads in place of others, which are returned.
    pub(super) fn keep(&mut self, kept: Option<KeptReads>, usage: &Usage) -> Option<KeptReads> {
        if kept.is_none() && self.busy.is_none() {
            return None;
        }
        let busy = self.busy.get_or_insert_default();
        usage.kept_bytes.give_back(busy.kept_bytes);
        busy.kept_bytes = kept.as_ref().map_or(0, KeptReads::bytes);
        usage.kept_bytes.take(busy.kept_bytes);
        std::mem::replace(&mut busy.kept, kept)
    }

    pub(super) fn cost(&self) -> Cost {
        self.busy.as_ref().map(|busy| busy.cost).unwrap_or_default()
    }
}

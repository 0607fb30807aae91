//! The live queries there are, with their newest results.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};
use thalweg_model::CommitTs;
use tokio::sync::watch;

use crate::index::{DependencyIndex, LiveId};
use crate::live::Event;
use crate::runner::{Evaluation, Runner};

/// The newest of what a live query has to tell.
#[derive(Clone, Debug)]
pub(crate) enum Newest {
    Event(Event),
    Ended(Bytes),
}

/// One live query, shared by its subscribers.
struct Live<R: Runner> {
    query: Arc<R::Query>,
    key: R::Key,
    newest: watch::Sender<Newest>,
    /// The start of the newest body that is the result.
    result_bytes: usize,
    /// The state that it was last evaluated at, whether or not the result had changed.
    evaluated_ts: CommitTs,
    subscribers: usize,
}

/// All live queries, found by key, by id and by what they depend on.
pub(crate) struct Registry<R: Runner> {
    ids: FxHashMap<R::Key, LiveId>,
    live: FxHashMap<LiveId, Live<R>>,
    pub(crate) index: DependencyIndex,
    next_id: u64,
    /// Every commit up to this has been matched against the index.
    pub(crate) matched_ts: CommitTs,
    /// Live queries that are not known to be up to date with `matched_ts` and must be run again.
    pub(crate) stale: FxHashSet<LiveId>,
    /// The length of all newest bodies.
    pub(crate) body_bytes: usize,
}

impl<R: Runner> Registry<R> {
    pub(crate) fn new(matched_ts: CommitTs) -> Self {
        Registry {
            ids: FxHashMap::default(),
            live: FxHashMap::default(),
            index: DependencyIndex::default(),
            next_id: 0,
            matched_ts,
            stale: FxHashSet::default(),
            body_bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    /// Joins the live query of that key, if there is one.
    pub(crate) fn join(&mut self, key: &R::Key) -> Option<(LiveId, watch::Receiver<Newest>)> {
        let id = *self.ids.get(key)?;
        let live = self.live.get_mut(&id)?;
        live.subscribers += 1;
        Some((id, live.newest.subscribe()))
    }

    /// The same, unless it has to be run again first.
    pub(crate) fn join_current(
        &mut self,
        key: &R::Key,
    ) -> Option<(LiveId, watch::Receiver<Newest>)> {
        let id = self.ids.get(key)?;
        if self.stale.contains(id) {
            None
        } else {
            self.join(key)
        }
    }

    /// Registers a live query with its first result.
    pub(crate) fn insert(
        &mut self,
        key: R::Key,
        query: Arc<R::Query>,
        ts: CommitTs,
        evaluation: Evaluation,
    ) -> (LiveId, watch::Receiver<Newest>) {
        let id = LiveId(self.next_id);
        self.next_id += 1;
        let result_bytes = evaluation.result().len();
        self.body_bytes += evaluation.body.len();
        let event = Event {
            commit_ts: ts,
            body: evaluation.body,
        };
        let (newest, receiver) = watch::channel(Newest::Event(event));
        self.index.set(id, Arc::new(evaluation.dependencies));
        self.ids.insert(key.clone(), id);
        let live = Live {
            query,
            key,
            newest,
            result_bytes,
            evaluated_ts: ts,
            subscribers: 1,
        };
        self.live.insert(id, live);
        (id, receiver)
    }

    /// Takes one subscriber away; the last one takes the live query with it.
    pub(crate) fn leave(&mut self, id: LiveId) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        live.subscribers -= 1;
        if live.subscribers == 0 {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: LiveId) -> Option<Live<R>> {
        let live = self.live.remove(&id)?;
        self.forget_key(&live.key, id);
        self.index.remove(id);
        self.stale.remove(&id);
        self.body_bytes -= body_bytes(&live.newest.borrow());
        Some(live)
    }

    /// Two queries can come to have one key when the types change; the key then names one of them.
    fn forget_key(&mut self, key: &R::Key, id: LiveId) {
        if self.ids.get(key) == Some(&id) {
            self.ids.remove(key);
        }
    }

    pub(crate) fn queries(&self) -> Vec<(LiveId, Arc<R::Query>)> {
        self.live
            .iter()
            .map(|(id, live)| (*id, Arc::clone(&live.query)))
            .collect()
    }

    pub(crate) fn query(&self, id: LiveId) -> Option<Arc<R::Query>> {
        self.live.get(&id).map(|live| Arc::clone(&live.query))
    }

    /// Replaces the query by itself in terms of a newer catalog.
    pub(crate) fn update_query(&mut self, id: LiveId, query: R::Query, key: R::Key) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        live.query = Arc::new(query);
        if live.key != key {
            let old = std::mem::replace(&mut live.key, key.clone());
            self.forget_key(&old, id);
            self.ids.entry(key).or_insert(id);
        }
    }

    /// Ends a live query with errors.
    pub(crate) fn end(&mut self, id: LiveId, errors: Bytes) {
        if let Some(live) = self.remove(id) {
            live.newest.send_replace(Newest::Ended(errors));
        }
    }

    /// Notes a new evaluation, and tells the subscribers if the result has changed. One that is older than what is
    /// there is dropped.
    pub(crate) fn update(&mut self, id: LiveId, ts: CommitTs, evaluation: Evaluation) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        if ts >= self.matched_ts {
            self.stale.remove(&id);
        }
        if ts < live.evaluated_ts {
            return;
        }
        live.evaluated_ts = ts;
        let result_bytes = evaluation.result().len();
        let unchanged = match &*live.newest.borrow() {
            Newest::Event(old) => old.body[..live.result_bytes] == *evaluation.result(),
            Newest::Ended(_) => true,
        };
        if !unchanged {
            live.result_bytes = result_bytes;
            self.body_bytes += evaluation.body.len();
            let event = Event {
                commit_ts: ts,
                body: evaluation.body,
            };
            let old = live.newest.send_replace(Newest::Event(event));
            self.body_bytes -= body_bytes(&old);
        }
        self.index.set(id, Arc::new(evaluation.dependencies));
    }
}

fn body_bytes(newest: &Newest) -> usize {
    match newest {
        Newest::Event(event) => event.body.len(),
        Newest::Ended(_) => 0,
    }
}

//! Which live queries there are, their newest results, and who has been told what.
//!
//! All of it is behind one lock, which is held to look up and to note, never to run a query or to make a message.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};
use thalweg_engine::DependencySet;
use thalweg_model::CommitTs;
use tokio::sync::Notify;

use crate::entries::SmallSet;
use crate::figures::Figures;
use crate::index::{DependencyIndex, LiveId};
use crate::live::LiveLimits;
use crate::outcome::Outcome;
use crate::runner::{Evaluation, Runner};

/// Names a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Names a subscription of a connection, which chooses it: no two at a time are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(pub u64);

pub(crate) type Subscriber = (ConnectionId, SubscriptionId);

/// One live query, shared by its subscribers.
struct Live<R: Runner> {
    query: Arc<R::Query>,
    key: R::Key,
    newest: Arc<Outcome>,
    /// The state that it was last evaluated at, whether or not the result had changed.
    evaluated_ts: CommitTs,
    subscribers: SmallSet<Subscriber>,
}

/// How a client wants to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follow {
    /// From where it comes back: it has the result of that state.
    pub resume_from: Option<CommitTs>,
    /// Whether it takes patches.
    pub patch: bool,
}

/// What a subscription has been told.
pub(crate) enum Told {
    /// Nothing yet.
    Nothing,
    /// The result with this timestamp.
    Result(CommitTs),
    /// This result, and the client patches it. It has been told so many times since the last complete one.
    Base(Arc<Outcome>, u64),
}

struct Following {
    live: LiveId,
    patch: bool,
    told: Told,
    /// Whether it is in its connection's list of those that have something to tell.
    is_due: bool,
    /// The errors with which it ended.
    ended: Option<Bytes>,
}

/// One connection's subscriptions.
struct Member {
    subscriptions: FxHashMap<SubscriptionId, Following>,
    due: Vec<SubscriptionId>,
    /// It is told nothing of an earlier state.
    not_before: CommitTs,
    /// What the results take that only it keeps, because it has been slow to take newer ones.
    held_bytes: usize,
    wake: Arc<Notify>,
}

/// What a connection is to be told of one subscription.
pub(crate) struct Delivery {
    pub(crate) subscription: SubscriptionId,
    pub(crate) news: News,
}

pub(crate) enum News {
    /// The result, and its number if the client takes patches.
    Result(Arc<Outcome>, Option<u64>),
    /// The result, to be told as the difference from another, and its number.
    Change {
        from: Arc<Outcome>,
        to: Arc<Outcome>,
        revision: u64,
    },
    Ended(Bytes),
}

/// All live queries, found by key, by id and by what they depend on.
pub(crate) struct Registry<R: Runner> {
    ids: FxHashMap<R::Key, LiveId>,
    live: FxHashMap<LiveId, Live<R>>,
    connections: FxHashMap<ConnectionId, Member>,
    pub(crate) index: DependencyIndex,
    next_id: u64,
    /// Every commit up to this has been matched against the index.
    pub(crate) matched_ts: CommitTs,
    /// Every live query is up to date with this timestamp, and nobody is told of a later one.
    served_ts: CommitTs,
    /// Live queries that are not known to be up to date with `matched_ts` and must be run again.
    pub(crate) stale: FxHashSet<LiveId>,
    /// Connections that wait for `served_ts` to move.
    ahead: FxHashSet<ConnectionId>,
    /// The length of all newest results.
    pub(crate) result_bytes: usize,
    held: Held,
    pub(crate) figures: Arc<Figures>,
}

/// What results take that are kept only because a slow client patches them.
struct Held {
    bytes: usize,
    bytes_max: usize,
    /// For one connection.
    connection_bytes_max: usize,
}

impl<R: Runner> Registry<R> {
    pub(crate) fn new(ts: CommitTs, limits: &LiveLimits, figures: Arc<Figures>) -> Self {
        Registry {
            ids: FxHashMap::default(),
            live: FxHashMap::default(),
            connections: FxHashMap::default(),
            index: DependencyIndex::default(),
            next_id: 0,
            matched_ts: ts,
            served_ts: ts,
            stale: FxHashSet::default(),
            ahead: FxHashSet::default(),
            result_bytes: 0,
            held: Held {
                bytes: 0,
                bytes_max: limits.held_bytes_max,
                connection_bytes_max: limits.connection_held_bytes_max,
            },
            figures,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn connect(&mut self, wake: Arc<Notify>) -> ConnectionId {
        let id = ConnectionId(self.next_id());
        let member = Member {
            subscriptions: FxHashMap::default(),
            due: Vec::new(),
            not_before: self.served_ts,
            held_bytes: 0,
            wake,
        };
        self.connections.insert(id, member);
        id
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        let Some(member) = self.connections.remove(&connection) else {
            return;
        };
        self.ahead.remove(&connection);
        self.held.bytes -= member.held_bytes;
        for (subscription, following) in member.subscriptions {
            self.leave(following.live, (connection, subscription));
        }
    }

    /// The live query of that key, unless it has to be run again first.
    pub(crate) fn current(&self, key: &R::Key) -> Option<LiveId> {
        let live = self.ids.get(key)?;
        (!self.stale.contains(live)).then_some(*live)
    }

    /// The live query of that key.
    pub(crate) fn find(&self, key: &R::Key) -> Option<LiveId> {
        self.ids.get(key).copied()
    }

    /// Registers a live query with its first result. It has no subscriber yet.
    pub(crate) fn insert(
        &mut self,
        key: R::Key,
        query: Arc<R::Query>,
        ts: CommitTs,
        evaluation: Evaluation,
    ) -> LiveId {
        let id = LiveId(self.next_id());
        let newest = Arc::new(Outcome::new(ts, &evaluation, None));
        self.result_bytes += newest.result.len();
        self.index.set(id, Arc::new(evaluation.dependencies));
        self.ids.insert(key.clone(), id);
        let live = Live {
            query,
            key,
            newest,
            evaluated_ts: ts,
            subscribers: SmallSet::None,
        };
        self.live.insert(id, live);
        id
    }

    /// Whether a live query has been evaluated on a state that includes a commit.
    pub(crate) fn shows(&self, live: LiveId, commit_ts: CommitTs) -> bool {
        self.live
            .get(&live)
            .is_some_and(|live| live.evaluated_ts >= commit_ts)
    }

    /// The newest result of a live query.
    pub(crate) fn newest(&self, live: LiveId) -> Option<&Arc<Outcome>> {
        self.live.get(&live).map(|live| &live.newest)
    }

    /// Makes a connection a subscriber, which is told nothing older than `not_before`. False where the connection or
    /// the live query is gone.
    pub(crate) fn join(
        &mut self,
        (connection, subscription): Subscriber,
        live: LiveId,
        patch: bool,
        told: Told,
        not_before: CommitTs,
    ) -> bool {
        self.unsubscribe(connection, subscription);
        let Some(found) = self.live.get_mut(&live) else {
            return false;
        };
        let Some(member) = self.connections.get_mut(&connection) else {
            return false;
        };
        found.subscribers.insert((connection, subscription));
        member.not_before = member.not_before.max(not_before);
        member.subscriptions.insert(
            subscription,
            Following {
                live,
                patch,
                told,
                is_due: true,
                ended: None,
            },
        );
        member.due.push(subscription);
        self.figures.registered.add(1);
        member.wake.notify_one();
        true
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&mut self, connection: ConnectionId, subscription: SubscriptionId) {
        let Some(member) = self.connections.get_mut(&connection) else {
            return;
        };
        if let Some(following) = member.subscriptions.remove(&subscription) {
            self.leave(following.live, (connection, subscription));
        }
    }

    /// Takes one subscriber away; the last one takes the live query with it.
    fn leave(&mut self, live: LiveId, subscriber: Subscriber) {
        self.figures.registered.subtract(1);
        if let Some(found) = self.live.get_mut(&live)
            && found.subscribers.remove(subscriber)
        {
            self.remove(live);
        }
    }

    /// Forgets a live query that nobody has joined.
    pub(crate) fn remove_unused(&mut self, live: LiveId) {
        if self
            .live
            .get(&live)
            .is_some_and(|live| live.subscribers.len() == 0)
        {
            self.remove(live);
        }
    }

    fn remove(&mut self, id: LiveId) -> Option<Live<R>> {
        let live = self.live.remove(&id)?;
        self.forget_key(&live.key, id);
        self.index.remove(id);
        self.stale.remove(&id);
        self.result_bytes -= live.newest.result.len();
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
    pub(crate) fn end(&mut self, id: LiveId, errors: &Bytes) {
        let Some(live) = self.remove(id) else { return };
        let connections = &mut self.connections;
        live.subscribers.each(&mut |(connection, subscription)| {
            let Some(member) = connections.get_mut(&connection) else {
                return;
            };
            if let Some(following) = member.subscriptions.get_mut(&subscription) {
                following.ended = Some(errors.clone());
                member.make_due(subscription);
                member.wake.notify_one();
            }
        });
    }

    /// Notes a new evaluation; its subscribers are to be told if the result has changed. One that is older than what is
    /// there is dropped.
    pub(crate) fn update(
        &mut self,
        id: LiveId,
        ts: CommitTs,
        evaluation: &Evaluation,
        woken: &mut FxHashSet<ConnectionId>,
    ) {
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
        if live.newest.result == evaluation.result {
            self.figures.suppressed.add(1);
        } else {
            let newest = Arc::new(Outcome::new(ts, evaluation, Some(live.newest.ts)));
            self.result_bytes += newest.result.len();
            let old = std::mem::replace(&mut live.newest, newest);
            self.result_bytes -= old.result.len();
            let (connections, held) = (&mut self.connections, &mut self.held);
            let figures = &self.figures;
            live.subscribers.each(&mut |(connection, subscription)| {
                if let Some(member) = connections.get_mut(&connection) {
                    member.outdate(subscription, &old, held, figures);
                    woken.insert(connection);
                }
            });
        }
        self.index
            .set(id, Arc::new(evaluation.dependencies.clone()));
    }

    /// Everybody is up to date with `ts`: `woken`, and those who wait for that, are told.
    pub(crate) fn serve(&mut self, ts: CommitTs, woken: &mut FxHashSet<ConnectionId>) {
        self.served_ts = self.served_ts.max(ts);
        woken.extend(self.ahead.drain());
        for connection in woken.drain() {
            if let Some(member) = self.connections.get(&connection) {
                member.wake.notify_one();
            }
        }
    }

    /// Wakes these when `served_ts` moves.
    pub(crate) fn wake_when_served(&mut self, woken: FxHashSet<ConnectionId>) {
        self.ahead.extend(woken);
    }

    pub(crate) fn wake_all(&self) {
        for member in self.connections.values() {
            member.wake.notify_one();
        }
    }

    /// What a connection has to be told, all as of one timestamp, which is given with it; it counts as told. `None`
    /// where there is nothing, or nothing yet.
    pub(crate) fn take_due(
        &mut self,
        connection: ConnectionId,
    ) -> Option<(CommitTs, Vec<Delivery>)> {
        let member = self.connections.get_mut(&connection)?;
        if member.due.is_empty() {
            return None;
        }
        if member.not_before > self.served_ts {
            self.ahead.insert(connection);
            return None;
        }
        let mut deliveries = Vec::new();
        let mut waiting = Vec::new();
        for subscription in std::mem::take(&mut member.due) {
            let Some(following) = member.subscriptions.get_mut(&subscription) else {
                continue;
            };
            following.is_due = false;
            if let Some(errors) = following.ended.take() {
                member.subscriptions.remove(&subscription);
                self.figures.registered.subtract(1);
                let news = News::Ended(errors);
                deliveries.push(Delivery { subscription, news });
                continue;
            }
            let Some(live) = self.live.get(&following.live) else {
                continue;
            };
            if live.newest.ts > self.served_ts {
                following.is_due = true;
                waiting.push(subscription);
            } else if let Some(news) = following.tell(&live.newest) {
                deliveries.push(Delivery { subscription, news });
            }
        }
        self.held.bytes -= std::mem::take(&mut member.held_bytes);
        if !waiting.is_empty() {
            member.due = waiting;
            self.ahead.insert(connection);
        }
        (!deliveries.is_empty()).then_some((self.served_ts, deliveries))
    }

    /// How many clients follow each live query, and what it depends on.
    pub(crate) fn each_live(
        &self,
        mut visit: impl FnMut(&Arc<R::Query>, usize, &Outcome, Option<&Arc<DependencySet>>),
    ) {
        for (id, live) in &self.live {
            visit(
                &live.query,
                live.subscribers.len(),
                &live.newest,
                self.index.dependencies_of(*id),
            );
        }
    }
}

impl Member {
    fn make_due(&mut self, subscription: SubscriptionId) -> bool {
        match self.subscriptions.get_mut(&subscription) {
            Some(following) if !following.is_due => {
                following.is_due = true;
                self.due.push(subscription);
                true
            }
            _ => false,
        }
    }

    /// There is a newer result than `old`. What a slow client patches is kept for it within bounds; past them it is
    /// sent a complete result again.
    fn outdate(
        &mut self,
        subscription: SubscriptionId,
        old: &Arc<Outcome>,
        held: &mut Held,
        figures: &Figures,
    ) {
        if !self.make_due(subscription) {
            figures.conflated.add(1);
        }
        let Some(following) = self.subscriptions.get_mut(&subscription) else {
            return;
        };
        if let Told::Base(base, _) = &following.told
            && base.ts == old.ts
        {
            let bytes = base.result.len();
            if self.held_bytes + bytes > held.connection_bytes_max
                || held.bytes + bytes > held.bytes_max
            {
                following.told = Told::Nothing;
            } else {
                self.held_bytes += bytes;
                held.bytes += bytes;
            }
        }
    }
}

impl Following {
    /// What to tell of a result, if anything; it then counts as told.
    fn tell(&mut self, newest: &Arc<Outcome>) -> Option<News> {
        let told = std::mem::replace(&mut self.told, Told::Nothing);
        let (news, told) = match told {
            Told::Result(ts) if ts == newest.ts => (None, Told::Result(ts)),
            Told::Base(base, revision) if base.ts == newest.ts => {
                (None, Told::Base(base, revision))
            }
            Told::Base(base, revision) if newest.data().is_some() => {
                let revision = revision + 1;
                let told = Told::Base(Arc::clone(newest), revision);
                let to = Arc::clone(newest);
                let from = base;
                (Some(News::Change { from, to, revision }), told)
            }
            _ if self.patch && newest.data().is_some() => {
                let told = Told::Base(Arc::clone(newest), 1);
                (Some(News::Result(Arc::clone(newest), Some(1))), told)
            }
            _ => {
                let told = Told::Result(newest.ts);
                (Some(News::Result(Arc::clone(newest), None)), told)
            }
        };
        self.told = told;
        news
    }
}

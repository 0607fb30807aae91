//! The live queries of a lane, their newest results, and who has been told what.
//!
//! All of it is behind one lock, which is held to look up and to note, never to run a query or to make a message.

mod member;
mod moving;
mod query;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};
use slotmap::SlotMap;
use thalweg_engine::{Commit, DependencySet, KeptReads};
use thalweg_model::CommitTs;
use tokio::sync::Notify;

use crate::entries::SmallSet;
use crate::figures::Figures;
use crate::index::{DependencyIndex, LiveId};
use crate::live::{Listed, LiveLimits, Rank};
use crate::outcome::Outcome;
use crate::runner::{Evaluation, Runner};
use crate::usage::Usage;

pub use self::member::Follow;
use self::member::{Bounds, Following, Member};
pub(crate) use self::member::{Delivery, News, Seat, Told};
pub use self::query::Cost;
use self::query::{Busy, Live, READY_MAX, SLOW, SLOW_RUNS};
pub(crate) use self::query::{Ran, ToRun};

/// Names a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Names a subscription of a connection, which chooses it: no two at a time are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(pub u64);

pub(crate) type Subscriber = (ConnectionId, SubscriptionId);

/// All live queries, found by key, by id and by what they depend on.
pub(crate) struct Registry<R: Runner> {
    ids: FxHashMap<Arc<R::Key>, LiveId>,
    live: SlotMap<LiveId, Live<R>>,
    /// Those that are kept ready to run, the longest first; some may have gone since.
    ready: VecDeque<LiveId>,
    connections: FxHashMap<ConnectionId, Member>,
    pub(crate) index: DependencyIndex,
    /// Every commit up to this has been matched against the index.
    pub(crate) matched_ts: CommitTs,
    /// Every live query is up to date with this timestamp, and nobody is told of a later one.
    served_ts: CommitTs,
    /// Live queries that are not known to be up to date with `matched_ts` and must be run again.
    pub(crate) stale: FxHashSet<LiveId>,
    /// Connections that wait for `served_ts` to move.
    ahead: FxHashSet<ConnectionId>,
    /// Connections that have come from the other lane: what they follow has not been run here, so that until it is nothing is
    /// known of any timestamp of this lane.
    arriving: FxHashSet<ConnectionId>,
    pub(crate) usage: Arc<Usage>,
    bounds: Bounds,
    pub(crate) figures: Arc<Figures>,
}

impl<R: Runner> Registry<R> {
    pub(crate) fn new(
        ts: CommitTs,
        limits: &LiveLimits,
        usage: Arc<Usage>,
        figures: Arc<Figures>,
    ) -> Self {
        Registry {
            ids: FxHashMap::default(),
            live: SlotMap::with_key(),
            ready: VecDeque::new(),
            connections: FxHashMap::default(),
            index: DependencyIndex::default(),
            matched_ts: ts,
            served_ts: ts,
            stale: FxHashSet::default(),
            ahead: FxHashSet::default(),
            arriving: FxHashSet::default(),
            usage,
            bounds: Bounds {
                held: limits.held_bytes_max,
                connection_held: limits.connection_held_bytes_max,
                kept: limits.kept_bytes_max,
            },
            figures,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    pub(crate) fn connect(&mut self, id: ConnectionId) -> Arc<Seat> {
        let seat = Arc::new(Seat {
            id,
            is_slow: AtomicBool::new(false),
            wake: Notify::new(),
        });
        let member = Member {
            subscriptions: FxHashMap::default(),
            ended: Vec::new(),
            due: Vec::new(),
            not_before: self.served_ts,
            held_bytes: 0,
            seat: Arc::clone(&seat),
        };
        self.connections.insert(id, member);
        seat
    }

    pub(crate) fn has(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        let Some(member) = self.connections.remove(&connection) else {
            return;
        };
        self.ahead.remove(&connection);
        self.arriving.remove(&connection);
        self.usage.held_bytes.give_back(member.held_bytes);
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

    /// Registers a live query with its first result. It has no subscriber yet. The query is given where it has to be kept.
    pub(crate) fn insert(
        &mut self,
        key: Arc<R::Key>,
        pinned: Option<Arc<R::Query>>,
        ts: CommitTs,
        evaluation: Evaluation,
    ) -> LiveId {
        self.skip_to(ts);
        let newest = Arc::new(Outcome::new(ts, &evaluation, None));
        let busy = pinned.map(|query| {
            Box::new(Busy {
                query: Some(query),
                is_pinned: true,
                ..Busy::default()
            })
        });
        let live = Live {
            key,
            newest,
            evaluated_ts: ts,
            subscribers: SmallSet::None,
            busy,
        };
        let mut dependencies = evaluation.dependencies;
        dependencies.shrink();
        self.insert_live(live, Arc::new(dependencies))
    }

    /// While there is no live query, nobody is interested in the commits up to `ts`.
    fn skip_to(&mut self, ts: CommitTs) {
        if self.live.is_empty() {
            self.matched_ts = self.matched_ts.max(ts);
            self.served_ts = self.served_ts.max(ts);
        }
    }

    fn insert_live(&mut self, live: Live<R>, dependencies: Arc<DependencySet>) -> LiveId {
        self.usage.queries.take(1);
        self.usage.result_bytes.take(live.newest.result.len());
        let key = Arc::clone(&live.key);
        let id = self.live.insert(live);
        self.ids.insert(key, id);
        self.index.set(id, dependencies);
        id
    }

    /// The newest result of a live query.
    pub(crate) fn newest(&self, live: LiveId) -> Option<&Arc<Outcome>> {
        self.live.get(live).map(|live| &live.newest)
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
        let Some(found) = self.live.get_mut(live) else {
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
                has_ended: false,
            },
        );
        member.due.push(subscription);
        self.figures.registered.add(1);
        member.seat.wake.notify_one();
        true
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&mut self, connection: ConnectionId, subscription: SubscriptionId) {
        let Some(member) = self.connections.get_mut(&connection) else {
            return;
        };
        if let Some(following) = member.subscriptions.remove(&subscription) {
            member.ended.retain(|(id, _)| *id != subscription);
            self.leave(following.live, (connection, subscription));
        }
    }

    /// Takes one subscriber away; the last one takes the live query with it.
    fn leave(&mut self, live: LiveId, subscriber: Subscriber) {
        self.figures.registered.subtract(1);
        if let Some(found) = self.live.get_mut(live)
            && found.subscribers.remove(subscriber)
        {
            self.remove(live);
        }
    }

    /// Forgets a live query that nobody has joined.
    pub(crate) fn remove_unused(&mut self, live: LiveId) {
        if self
            .live
            .get(live)
            .is_some_and(|live| live.subscribers.len() == 0)
        {
            self.remove(live);
        }
    }

    fn remove(&mut self, id: LiveId) -> Option<Live<R>> {
        let mut live = self.live.remove(id)?;
        self.forget_key(&live.key, id);
        self.index.remove(id);
        self.stale.remove(&id);
        self.usage.queries.give_back(1);
        self.usage.result_bytes.give_back(live.newest.result.len());
        live.keep(None, &self.usage);
        Some(live)
    }

    /// Two queries can come to have one key when the types change; the key then names one of them.
    fn forget_key(&mut self, key: &R::Key, id: LiveId) {
        if self.ids.get(key) == Some(&id) {
            self.ids.remove(key);
        }
    }

    /// All are to be run again.
    pub(crate) fn all_stale(&mut self) {
        self.stale.extend(self.live.keys());
    }

    pub(crate) fn keys(&self) -> Vec<(LiveId, Arc<R::Key>)> {
        self.live
            .iter()
            .map(|(id, live)| (id, Arc::clone(&live.key)))
            .collect()
    }

    /// The query itself, of one that has to be kept.
    pub(crate) fn pinned(&self, id: LiveId) -> Option<Arc<R::Query>> {
        let busy = self.live.get(id)?.busy.as_ref()?;
        busy.query.clone().filter(|_| busy.is_pinned)
    }

    /// Replaces a pinned query by itself in terms of a newer catalog; any other is prepared anew when it is run next.
    pub(crate) fn replace_query(&mut self, id: LiveId, pinned: Option<R::Query>) {
        if let Some(busy) = self.live.get_mut(id).and_then(|live| live.busy.as_mut()) {
            busy.query = pinned.map(Arc::new);
        }
    }

    /// A live query that is to be run.
    pub(crate) fn begin_run(&mut self, id: LiveId) -> Option<ToRun<R>> {
        let live = self.live.get_mut(id)?;
        let kept = live.keep(None, &self.usage).unwrap_or_default();
        Some(ToRun {
            key: Arc::clone(&live.key),
            query: live.busy.as_ref().and_then(|busy| busy.query.clone()),
            kept,
        })
    }

    /// A commit touches a live query, unless it shows that already.
    pub(crate) fn touch(&mut self, id: LiveId, commit: &Commit) {
        if let Some(live) = self.live.get_mut(id)
            && live.evaluated_ts < commit.ts
        {
            if let Some(kept) = live.busy.as_mut().and_then(|busy| busy.kept.as_mut()) {
                kept.follow(commit);
            }
            self.stale.insert(id);
        }
    }

    /// Which commits touch whom is not known: all have to be run, and nothing that is kept can be trusted.
    pub(crate) fn touch_all(&mut self) {
        for live in self.live.values_mut() {
            live.keep(None, &self.usage);
        }
        self.all_stale();
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
                following.has_ended = true;
                member.ended.push((subscription, errors.clone()));
                member.make_due(subscription);
                member.seat.wake.notify_one();
            }
        });
    }

    /// Notes a run. Returns whether the query has come to be a slow one.
    pub(crate) fn ran(
        &mut self,
        id: LiveId,
        ts: CommitTs,
        ran: Ran<R>,
        woken: &mut FxHashSet<ConnectionId>,
    ) -> bool {
        let Ran {
            query,
            evaluation,
            kept,
            took,
        } = ran;
        let is_current = self.update(id, ts, evaluation, woken);
        let Some(live) = self.live.get_mut(id) else {
            return false;
        };
        let kept = kept.filter(|kept| {
            let has_room = self.usage.kept_bytes.get() + kept.bytes() <= self.bounds.kept;
            is_current && !kept.is_empty() && has_room
        });
        let was_maintained = kept.as_ref().is_some_and(KeptReads::was_enough);
        if kept.is_some() {
            live.keep(kept, &self.usage);
        }
        let busy = live.busy.get_or_insert_default();
        busy.cost.runs += 1;
        busy.cost.time += took;
        if was_maintained {
            busy.cost.maintained += 1;
            self.figures.maintained.add(1);
        }
        busy.slow_runs = match took > SLOW {
            true => busy.slow_runs.saturating_add(1),
            false => 0,
        };
        let is_slow = busy.slow_runs >= SLOW_RUNS;
        if busy.query.replace(query).is_none() {
            self.ready.push_back(id);
            self.make_room();
        }
        is_slow
    }

    /// Forgets the query that has been ready to run for the longest, where there are more than may be.
    fn make_room(&mut self) {
        while self.ready.len() > READY_MAX {
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            let busy = self.live.get_mut(id).and_then(|live| live.busy.as_mut());
            if let Some(busy) = busy.filter(|busy| !busy.is_pinned) {
                busy.query = None;
            }
        }
    }

    /// Notes a new evaluation; its subscribers are to be told if the result has changed. One that is older than what is
    /// there is dropped; returns whether it was not.
    pub(crate) fn update(
        &mut self,
        id: LiveId,
        ts: CommitTs,
        mut evaluation: Evaluation,
        woken: &mut FxHashSet<ConnectionId>,
    ) -> bool {
        let Some(live) = self.live.get_mut(id) else {
            return false;
        };
        if ts >= self.matched_ts {
            self.stale.remove(&id);
        }
        if ts < live.evaluated_ts {
            return false;
        }
        live.evaluated_ts = ts;
        // What it has followed need not be what this evaluation depends on.
        live.keep(None, &self.usage);
        if *live.newest.result == *evaluation.result {
            self.figures.suppressed.add(1);
        } else {
            let newest = Arc::new(Outcome::new(ts, &evaluation, Some(live.newest.ts)));
            self.replace_newest(id, newest, woken);
        }
        if !self.index.is_set(id, &evaluation.dependencies) {
            evaluation.dependencies.shrink();
            self.index.set(id, Arc::new(evaluation.dependencies));
        }
        true
    }

    fn replace_newest(
        &mut self,
        id: LiveId,
        newest: Arc<Outcome>,
        woken: &mut FxHashSet<ConnectionId>,
    ) {
        let Some(live) = self.live.get_mut(id) else {
            return;
        };
        self.usage.result_bytes.take(newest.result.len());
        let old = std::mem::replace(&mut live.newest, newest);
        self.usage.result_bytes.give_back(old.result.len());
        let (connections, bounds) = (&mut self.connections, self.bounds);
        let (usage, figures) = (&self.usage, &self.figures);
        live.subscribers.each(&mut |(connection, subscription)| {
            if let Some(member) = connections.get_mut(&connection) {
                member.outdate(subscription, &old, bounds, usage, figures);
                woken.insert(connection);
            }
        });
    }

    /// The connections that follow a live query.
    pub(crate) fn followers(&self, id: LiveId) -> FxHashSet<ConnectionId> {
        let mut found = FxHashSet::default();
        if let Some(live) = self.live.get(id) {
            live.subscribers.each(&mut |(connection, _)| {
                found.insert(connection);
            });
        }
        found
    }

    /// Everybody is up to date with `ts`: `woken`, and those who wait for that, are told.
    pub(crate) fn serve(&mut self, ts: CommitTs, woken: &mut FxHashSet<ConnectionId>) {
        self.served_ts = self.served_ts.max(ts);
        woken.extend(self.ahead.drain());
        woken.extend(self.arriving.drain());
        for connection in woken.drain() {
            if let Some(member) = self.connections.get(&connection) {
                member.seat.wake.notify_one();
            }
        }
    }

    /// Wakes these when `served_ts` moves.
    pub(crate) fn wake_when_served(&mut self, woken: FxHashSet<ConnectionId>) {
        self.ahead.extend(woken);
    }

    pub(crate) fn wake_all(&self) {
        for member in self.connections.values() {
            member.seat.wake.notify_one();
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
        if self.arriving.contains(&connection) {
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
            if following.has_ended {
                member.subscriptions.remove(&subscription);
                self.figures.registered.subtract(1);
                let place = member.ended.iter().position(|(id, _)| *id == subscription);
                if let Some(place) = place {
                    let (_, errors) = member.ended.swap_remove(place);
                    let news = News::Ended(errors);
                    deliveries.push(Delivery { subscription, news });
                }
                continue;
            }
            let Some(live) = self.live.get(following.live) else {
                continue;
            };
            if live.newest.ts > self.served_ts {
                following.is_due = true;
                waiting.push(subscription);
            } else if let Some(news) = following.tell(&live.newest) {
                deliveries.push(Delivery { subscription, news });
            }
        }
        let held = std::mem::take(&mut member.held_bytes);
        self.usage.held_bytes.give_back(held);
        if !waiting.is_empty() {
            member.due = waiting;
            self.ahead.insert(connection);
        }
        (!deliveries.is_empty()).then_some((self.served_ts, deliveries))
    }

    /// Whether connections have come from the other lane for which nothing has been run yet.
    pub(crate) fn has_arrivals(&self) -> bool {
        !self.arriving.is_empty()
    }

    /// The state that all which a connection has been told shows; `None` while there is something that it has not been told.
    pub(crate) fn shown(&self, connection: ConnectionId) -> Option<CommitTs> {
        let member = self.connections.get(&connection)?;
        let is_shown = member.due.is_empty()
            && member.not_before <= self.served_ts
            && !self.arriving.contains(&connection);
        is_shown.then_some(self.served_ts)
    }

    /// Those of the highest rank, `most` of them.
    pub(crate) fn top(&self, most: usize, rank: Rank) -> Vec<Listed<R::Key>> {
        let weight = |live: &Live<R>| match rank {
            Rank::Subscribers => live.subscribers.len() as u128,
            Rank::Time => live.cost().time.as_nanos(),
        };
        let mut ranked: Vec<_> = self
            .live
            .iter()
            .map(|(id, live)| (Reverse(weight(live)), id))
            .collect();
        if ranked.len() > most {
            ranked.select_nth_unstable(most);
            ranked.truncate(most);
        }
        ranked.sort_unstable();
        let listed = ranked.iter().map(|(_, id)| (*id, &self.live[*id]));
        listed
            .map(|(id, live)| Listed {
                key: Arc::clone(&live.key),
                subscribers: live.subscribers.len(),
                result_bytes: live.newest.result.len(),
                result_ts: live.newest.ts,
                dependencies: self
                    .index
                    .dependencies_of(id)
                    .map(Arc::clone)
                    .unwrap_or_default(),
                cost: live.cost(),
            })
            .collect()
    }
}

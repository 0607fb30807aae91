//! The live queries of an engine: starting them, and registering one.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use thalweg_engine::{DependencySet, Engine, EngineError};
use thalweg_model::CommitTs;
use thiserror::Error;
use tokio::sync::{Notify, Semaphore, watch};

use crate::connection::Connection;
use crate::figures::Figures;
use crate::index::LiveId;
use crate::outcome::Outcome;
use crate::registry::{ConnectionId, Cost, Follow, Registry, Seat, SubscriptionId, Told};
use crate::runner::Runner;
use crate::usage::Usage;
use crate::worker;

/// How often a first evaluation is repeated because commits overtook it, before the worker is left to repeat it.
const REGISTER_ATTEMPTS_MAX: usize = 3;

/// How many first evaluations may be under way. Each has a thread, and what a thread allocates takes memory of its own.
const REGISTERING_MAX: usize = 16;

/// Bounds of what live queries may take.
#[derive(Clone, Debug)]
pub struct LiveLimits {
    /// How many distinct live queries there may be.
    pub queries_max: usize,
    /// What their newest results may take in memory together, in bytes.
    pub results_bytes_max: usize,
    /// What older results may take together that are kept for clients which are slow to take patches, in bytes. Past
    /// it a client gets a complete result instead of a patch.
    pub held_bytes_max: usize,
    /// The same for one connection.
    pub connection_held_bytes_max: usize,
    /// What may be kept of reads together, in bytes, so that the changes alone tell the next result. Past it queries are
    /// run again in full.
    pub kept_bytes_max: usize,
    /// Whether each result that the changes tell is compared with that of a run in full. For tests: it costs what the
    /// changes save.
    pub verify: bool,
}

impl Default for LiveLimits {
    fn default() -> Self {
        LiveLimits {
            queries_max: 1_000_000,
            results_bytes_max: 1 << 30,
            held_bytes_max: 256 << 20,
            connection_held_bytes_max: 4 << 20,
            kept_bytes_max: 256 << 20,
            verify: false,
        }
    }
}

/// Why a subscription was not taken.
#[derive(Debug, Error)]
pub enum SubscribeError {
    /// The store failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There are as many live queries as are allowed.
    #[error("there are {queries_max} live queries already, as many as are allowed")]
    TooMany {
        /// The limit.
        queries_max: usize,
    },
    /// The results of the live queries take as much memory as is allowed.
    #[error(
        "the results of the live queries take {results_bytes_max} bytes already, all that is allowed"
    )]
    TooLarge {
        /// The limit.
        results_bytes_max: usize,
    },
    /// The types have just changed, and the query is no longer valid; its errors.
    #[error("the schema has changed, and the query is no longer valid")]
    Invalid(Bytes),
    /// The query's code panicked.
    #[error("the query failed in a way that it should not")]
    Broken,
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Closed,
}

/// The live queries of an engine. Cloning shares them; they end with the last clone and the last connection.
pub struct LiveQueries<R: Runner> {
    shared: Arc<Shared<R>>,
}

impl<R: Runner> Clone for LiveQueries<R> {
    fn clone(&self) -> Self {
        LiveQueries {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Connections that are told by one thread. Each is in one lane, so that what it is told is of one timestamp; those that
/// follow a slow query are in a lane of their own, so that they delay nobody else.
pub(crate) struct Lane<R: Runner> {
    pub(crate) is_slow: bool,
    pub(crate) registry: Mutex<Registry<R>>,
    /// Wakes its worker without a commit.
    pub(crate) nudge: Arc<Notify>,
}

pub(crate) struct Shared<R: Runner> {
    pub(crate) engine: Engine,
    pub(crate) runner: R,
    quick: Lane<R>,
    slow: Lane<R>,
    usage: Arc<Usage>,
    pub(crate) figures: Arc<Figures>,
    connections: AtomicU64,
    /// One permit for each first evaluation that may be under way.
    pub(crate) registering: Arc<Semaphore>,
    /// Set when the worker has ended, so that nobody waits for it.
    closed: AtomicBool,
    pub(crate) limits: LiveLimits,
}

impl<R: Runner> Drop for Shared<R> {
    fn drop(&mut self) {
        self.quick.nudge.notify_one();
        self.slow.nudge.notify_one();
    }
}

/// Which live queries are shown first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rank {
    /// Those with the most subscribers.
    #[default]
    Subscribers,
    /// Those whose runs have taken the most time.
    Time,
}

/// A live query as it is shown to those who look after the server.
#[derive(Clone, Debug)]
pub struct Listed<K> {
    /// The query's identity.
    pub key: Arc<K>,
    /// How many clients follow it.
    pub subscribers: usize,
    /// How long its newest result is, in bytes.
    pub result_bytes: usize,
    /// Since when it has that result.
    pub result_ts: CommitTs,
    /// What it depends on.
    pub dependencies: Arc<DependencySet>,
    /// What its runs have cost.
    pub cost: Cost,
}

impl<R: Runner> LiveQueries<R> {
    /// Starts the thread that keeps them up to date.
    pub fn start(engine: Engine, runner: R, limits: LiveLimits) -> Result<Self, EngineError> {
        let head = engine.head();
        let ts = *head.borrow();
        let figures = Arc::new(Figures::default());
        let usage = Arc::new(Usage::default());
        let lane = |is_slow| {
            let (usage, figures) = (Arc::clone(&usage), Arc::clone(&figures));
            Lane {
                is_slow,
                registry: Mutex::new(Registry::new(ts, &limits, usage, figures)),
                nudge: Arc::new(Notify::new()),
            }
        };
        let shared = Arc::new(Shared {
            engine,
            runner,
            quick: lane(false),
            slow: lane(true),
            usage: Arc::clone(&usage),
            figures: Arc::clone(&figures),
            connections: AtomicU64::new(0),
            registering: Arc::new(Semaphore::new(REGISTERING_MAX)),
            closed: AtomicBool::new(false),
            limits,
        });
        for (name, is_slow) in [("live-queries", false), ("slow-live-queries", true)] {
            start_worker(&shared, name, is_slow, &head)?;
        }
        Ok(LiveQueries { shared })
    }

    /// A connection for a client.
    pub fn connect(&self) -> Connection<R> {
        Connection::open(Arc::clone(&self.shared))
    }

    /// How many distinct live queries there are.
    pub fn live_queries(&self) -> usize {
        self.shared.usage.queries.get()
    }

    /// What they have done so far.
    pub fn figures(&self) -> &Figures {
        &self.shared.figures
    }

    /// The live queries of the highest rank, the highest first, at most `most` of them.
    pub fn list(&self, most: usize, rank: Rank) -> Vec<Listed<R::Key>> {
        let Shared { quick, slow, .. } = &*self.shared;
        let mut all = quick.registry.lock().top(most, rank);
        all.extend(slow.registry.lock().top(most, rank));
        match rank {
            Rank::Subscribers => all.sort_by_key(|listed| Reverse(listed.subscribers)),
            Rank::Time => all.sort_by_key(|listed| Reverse(listed.cost.time)),
        }
        all.truncate(most);
        all
    }
}

fn start_worker<R: Runner>(
    shared: &Arc<Shared<R>>,
    name: &str,
    is_slow: bool,
    head: &watch::Receiver<CommitTs>,
) -> Result<(), EngineError> {
    let thread = |error: std::io::Error| EngineError::Thread {
        reason: error.to_string(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(thread)?;
    let served = worker::Served::new(shared, is_slow, head.clone());
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || runtime.block_on(worker::run(served)))
        .map_err(thread)?;
    Ok(())
}

impl<R: Runner> Shared<R> {
    /// Ends all waiting: the worker is gone.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for lane in [&self.quick, &self.slow] {
            lane.registry.lock().wake_all();
            lane.nudge.notify_one();
        }
    }

    pub(crate) fn lane(&self, is_slow: bool) -> &Lane<R> {
        if is_slow { &self.slow } else { &self.quick }
    }

    pub(crate) fn connect(&self) -> Arc<Seat> {
        let id = ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed));
        self.quick.registry.lock().connect(id)
    }

    /// The lane that a connection is in, locked; `None` where the connection is gone.
    pub(crate) fn seated(&self, seat: &Seat) -> Option<(&Lane<R>, MutexGuard<'_, Registry<R>>)> {
        loop {
            let is_slow = seat.is_slow();
            let lane = self.lane(is_slow);
            let registry = lane.registry.lock();
            if registry.has(seat.id) {
                return Some((lane, registry));
            }
            // It changes under both locks.
            if seat.is_slow() == is_slow {
                return None;
            }
        }
    }

    /// Moves those who follow one of these live queries of the quick lane to the slow one.
    pub(crate) fn slow_down(&self, slow: &[LiveId]) {
        if slow.is_empty() {
            return;
        }
        // Always in this order.
        let mut quick = self.quick.registry.lock();
        let mut into = self.slow.registry.lock();
        for live in slow {
            for connection in quick.followers(*live) {
                if let Some(moving) = quick.take_out(connection) {
                    into.take_in(connection, moving);
                }
            }
        }
        drop((quick, into));
        self.slow.nudge.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Joins a live query that is there and up to date, if nothing has to be read for it.
    pub(crate) fn join_current(
        &self,
        seat: &Seat,
        subscription: SubscriptionId,
        query: &R::Query,
        follow: Follow,
    ) -> Option<Result<(), SubscribeError>> {
        if self.is_closed() {
            return Some(Err(SubscribeError::Closed));
        }
        let key = self.runner.key(query);
        // What was acknowledged before this call is shown.
        let head = *self.engine.head().borrow();
        let (live, newest, dependencies) = {
            let (_, registry) = self.seated(seat)?;
            let live = registry.current(&key)?;
            let dependencies = registry.index.dependencies_of(live)?;
            (
                live,
                Arc::clone(registry.newest(live)?),
                Arc::clone(dependencies),
            )
        };
        let told = match follow.resume_from {
            None => Told::Nothing,
            // Many commits may have come since, which are not looked through under the lock.
            Some(ts) if self.untouched(ts, &dependencies) => Told::Result(newest, 1),
            Some(_) => return None,
        };
        let (_, mut registry) = self.seated(seat)?;
        // It may have ended meanwhile, or be another one of the other lane.
        if registry.find(&key) != Some(live) {
            return None;
        }
        let subscriber = (seat.id, subscription);
        let joined = registry.join(subscriber, live, follow.patch, told, head);
        joined.then_some(Ok(()))
    }

    /// Evaluates a query and registers it, or joins it if somebody else has registered it meanwhile.
    pub(crate) fn register(
        &self,
        seat: &Seat,
        subscription: SubscriptionId,
        query: &R::Query,
        follow: Follow,
    ) -> Result<(), SubscribeError> {
        let LiveLimits {
            queries_max,
            results_bytes_max,
            ..
        } = self.limits;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let snapshot = self.engine.snapshot()?;
            // The types may have changed since the query was prepared.
            let query = self
                .runner
                .revalidate(query, snapshot.catalog())
                .map_err(SubscribeError::Invalid)?;
            let key = self.runner.key(&query);
            let evaluation = self.runner.run(&query, &snapshot)?;
            let ts = snapshot.ts();
            let types_ts = self.runner.version(snapshot.catalog());
            drop(snapshot);
            let past = self.past(&query, follow.resume_from, types_ts);
            let Some((lane, mut registry)) = self.seated(seat) else {
                return Err(SubscribeError::Closed);
            };
            // What has been matched already will not be matched again for this query.
            let overtaken =
                registry.matched_ts > ts && self.touched_since(ts, &evaluation.dependencies);
            if overtaken && attempts < REGISTER_ATTEMPTS_MAX {
                continue;
            }
            let live = match registry.find(&key) {
                Some(live) => {
                    // This evaluation is at least as new as this call; the one that is there may not be.
                    let mut woken = Default::default();
                    registry.update(live, ts, evaluation, &mut woken);
                    registry.wake_when_served(woken);
                    live
                }
                None if self.usage.queries.get() >= queries_max => {
                    return Err(SubscribeError::TooMany { queries_max });
                }
                None if self.usage.result_bytes.get() + evaluation.result.len()
                    > results_bytes_max =>
                {
                    return Err(SubscribeError::TooLarge { results_bytes_max });
                }
                None => {
                    if registry.is_empty() && lane.is_slow {
                        // Its worker sleeps.
                        lane.nudge.notify_one();
                    }
                    let pinned = self.runner.is_more_than_its_key(&query);
                    let pinned = pinned.then(|| Arc::new(query));
                    registry.insert(key, pinned, ts, evaluation)
                }
            };
            if overtaken {
                registry.stale.insert(live);
            }
            let told = match past {
                Some(past) => resumed(past, follow.patch),
                None => Told::Nothing,
            };
            let subscriber = (seat.id, subscription);
            let joined = registry.join(subscriber, live, follow.patch, told, ts);
            if !joined {
                registry.remove_unused(live);
            }
            drop(registry);
            if overtaken {
                lane.nudge.notify_one();
            }
            return joined.then_some(()).ok_or(SubscribeError::Closed);
        }
    }

    /// The result of a query at the state from which a client resumes, where that is still known and was of the same types.
    fn past(
        &self,
        query: &R::Query,
        resume_from: Option<CommitTs>,
        types_ts: Option<CommitTs>,
    ) -> Option<Outcome> {
        let ts = resume_from?;
        // A timestamp that has not been yet is of another store, or of this one before it was restored.
        if ts > *self.engine.head().borrow() || types_ts? > ts {
            return None;
        }
        let snapshot = self.engine.snapshot_at(ts).ok()?;
        let evaluation = self.runner.run(query, &snapshot).ok()?;
        Some(Outcome::new(ts, &evaluation, None))
    }

    /// Whether a client that resumes has the result already, as far as the newest commits in memory tell.
    fn untouched(&self, ts: CommitTs, dependencies: &DependencySet) -> bool {
        ts <= *self.engine.head().borrow() && !self.touched_since(ts, dependencies)
    }

    /// Whether a commit after `ts` may have changed what depends on this; yes if that is no longer known.
    fn touched_since(&self, ts: CommitTs, dependencies: &DependencySet) -> bool {
        match self.engine.recent_commits(ts) {
            None => true,
            Some(commits) => commits
                .iter()
                .any(|commit| commit.catalog.is_some() || dependencies.touched_by(commit)),
        }
    }
}

/// The client has the result of a past state. If the newest is the same, nothing is told; one with errors cannot be patched.
fn resumed(past: Outcome, patch: bool) -> Told {
    match patch && past.data().is_none() {
        true => Told::Nothing,
        false => Told::Result(Arc::new(past), 1),
    }
}

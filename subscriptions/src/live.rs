//! The live queries of an engine: starting them, and registering one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use thalweg_engine::{DependencySet, Engine, EngineError};
use thalweg_model::CommitTs;
use thiserror::Error;
use tokio::sync::Notify;

use crate::connection::Connection;
use crate::figures::Figures;
use crate::outcome::Outcome;
use crate::registry::{Follow, Registry, Subscriber, Told};
use crate::runner::Runner;
use crate::worker;

/// How often a first evaluation is repeated because commits overtook it, before the worker is left to repeat it.
const REGISTER_ATTEMPTS_MAX: usize = 3;

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
}

impl Default for LiveLimits {
    fn default() -> Self {
        LiveLimits {
            queries_max: 1_000_000,
            results_bytes_max: 1 << 30,
            held_bytes_max: 256 << 20,
            connection_held_bytes_max: 4 << 20,
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

pub(crate) struct Shared<R: Runner> {
    pub(crate) engine: Engine,
    pub(crate) runner: R,
    pub(crate) registry: Mutex<Registry<R>>,
    /// Wakes the worker without a commit.
    pub(crate) nudge: Arc<Notify>,
    pub(crate) figures: Arc<Figures>,
    /// Set when the worker has ended, so that nobody waits for it.
    closed: AtomicBool,
    limits: LiveLimits,
}

impl<R: Runner> Drop for Shared<R> {
    fn drop(&mut self) {
        self.nudge.notify_one();
    }
}

/// A live query as it is shown to those who look after the server.
#[derive(Clone, Debug)]
pub struct Listed<Q> {
    /// The query.
    pub query: Arc<Q>,
    /// How many clients follow it.
    pub subscribers: usize,
    /// How long its newest result is, in bytes.
    pub result_bytes: usize,
    /// Since when it has that result.
    pub result_ts: CommitTs,
    /// What it depends on.
    pub dependencies: Arc<DependencySet>,
}

impl<R: Runner> LiveQueries<R> {
    /// Starts the thread that keeps them up to date.
    pub fn start(engine: Engine, runner: R, limits: LiveLimits) -> Result<Self, EngineError> {
        let head = engine.head();
        let ts = *head.borrow();
        let figures = Arc::new(Figures::default());
        let shared = Arc::new(Shared {
            engine,
            runner,
            registry: Mutex::new(Registry::new(ts, &limits, Arc::clone(&figures))),
            nudge: Arc::new(Notify::new()),
            figures,
            closed: AtomicBool::new(false),
            limits,
        });
        let weak = Arc::downgrade(&shared);
        let thread = |error: std::io::Error| EngineError::Thread {
            reason: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(thread)?;
        std::thread::Builder::new()
            .name("live-queries".to_owned())
            .spawn(move || runtime.block_on(worker::run(weak, head)))
            .map_err(thread)?;
        Ok(LiveQueries { shared })
    }

    /// A connection for a client.
    pub fn connect(&self) -> Connection<R> {
        Connection::open(Arc::clone(&self.shared))
    }

    /// How many distinct live queries there are.
    pub fn live_queries(&self) -> usize {
        self.shared.registry.lock().len()
    }

    /// What they have done so far.
    pub fn figures(&self) -> &Figures {
        &self.shared.figures
    }

    /// The live queries with the most subscribers, `most` of them.
    pub fn list(&self, most: usize) -> Vec<Listed<R::Query>> {
        let mut all = Vec::new();
        let registry = self.shared.registry.lock();
        registry.each_live(|query, subscribers, newest, dependencies| {
            all.push(Listed {
                query: Arc::clone(query),
                subscribers,
                result_bytes: newest.result.len(),
                result_ts: newest.ts,
                dependencies: dependencies.map(Arc::clone).unwrap_or_default(),
            });
        });
        drop(registry);
        all.sort_by_key(|listed| std::cmp::Reverse(listed.subscribers));
        all.truncate(most);
        all
    }
}

impl<R: Runner> Shared<R> {
    /// Ends all waiting: the worker is gone.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.registry.lock().wake_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Joins a live query that is there and up to date, if nothing has to be read for it.
    pub(crate) fn join_current(
        &self,
        subscriber: Subscriber,
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
            let registry = self.registry.lock();
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
            Some(ts) if self.untouched(ts, &dependencies) => has(&newest, follow.patch),
            Some(_) => return None,
        };
        let mut registry = self.registry.lock();
        let joined = registry.join(subscriber, live, follow.patch, told, head);
        // It may have ended meanwhile.
        joined.then_some(Ok(()))
    }

    /// Evaluates a query and registers it, or joins it if somebody else has registered it meanwhile.
    pub(crate) fn register(
        &self,
        subscriber: Subscriber,
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
            let catalog_ts = snapshot.catalog().version;
            drop(snapshot);
            let past = self.past(&query, follow.resume_from, catalog_ts);
            let mut registry = self.registry.lock();
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
                    registry.update(live, ts, &evaluation, &mut woken);
                    registry.wake_when_served(woken);
                    live
                }
                None if registry.len() >= queries_max => {
                    return Err(SubscribeError::TooMany { queries_max });
                }
                None if registry.result_bytes + evaluation.result.len() > results_bytes_max => {
                    return Err(SubscribeError::TooLarge { results_bytes_max });
                }
                None => registry.insert(key, Arc::new(query), ts, evaluation),
            };
            if overtaken {
                registry.stale.insert(live);
            }
            let told = match past {
                Some(past) => resumed(past, registry.newest(live), follow.patch),
                None => Told::Nothing,
            };
            let joined = registry.join(subscriber, live, follow.patch, told, ts);
            if !joined {
                registry.remove_unused(live);
            }
            drop(registry);
            if overtaken {
                self.nudge.notify_one();
            }
            return joined.then_some(()).ok_or(SubscribeError::Closed);
        }
    }

    /// The result of a query at the state from which a client resumes, where that is still known and was of the same types.
    fn past(
        &self,
        query: &R::Query,
        resume_from: Option<CommitTs>,
        catalog_ts: CommitTs,
    ) -> Option<Outcome> {
        let ts = resume_from?;
        // A timestamp that has not been yet is of another store, or of this one before it was restored.
        if ts > *self.engine.head().borrow() || catalog_ts > ts {
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

/// The client has this result.
fn has(newest: &Arc<Outcome>, patch: bool) -> Told {
    if patch && newest.data().is_some() {
        Told::Base(Arc::clone(newest), 1)
    } else {
        Told::Result(newest.ts)
    }
}

/// The client has the result of a past state.
fn resumed(past: Outcome, newest: Option<&Arc<Outcome>>, patch: bool) -> Told {
    match newest {
        Some(newest) if newest.result == past.result => has(newest, patch),
        _ if patch && past.data().is_some() => Told::Base(Arc::new(past), 1),
        _ => Told::Nothing,
    }
}

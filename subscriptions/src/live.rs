//! Subscribing to a live query, and reading its events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use thalweg_engine::{DependencySet, Engine, EngineError};
use thalweg_model::CommitTs;
use thiserror::Error;
use tokio::sync::{Notify, watch};

use crate::index::LiveId;
use crate::registry::{Newest, Registry};
use crate::runner::Runner;
use crate::worker;

/// How often a first evaluation is repeated because commits overtook it, before the worker is left to repeat it.
const REGISTER_ATTEMPTS_MAX: usize = 3;

/// A result of a live query.
#[derive(Clone, Debug)]
pub struct Event {
    /// The state that it shows.
    pub commit_ts: CommitTs,
    /// The message for the client.
    pub body: Bytes,
}

/// What a subscription yields.
#[derive(Clone, Debug)]
pub enum Item {
    /// A new result.
    Event(Event),
    /// The query is no longer valid; the errors say why. Nothing follows.
    Ended(Bytes),
}

/// Bounds of what live queries may take.
#[derive(Clone, Debug)]
pub struct LiveLimits {
    /// How many distinct live queries there may be.
    pub queries_max: usize,
    /// What their newest results may take in memory together, in bytes.
    pub results_bytes_max: usize,
}

impl Default for LiveLimits {
    fn default() -> Self {
        LiveLimits {
            queries_max: 1_000_000,
            results_bytes_max: 1 << 30,
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

/// The live queries of an engine. Cloning shares them; they end with the last clone.
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
    /// Every live query is up to date with this timestamp at least.
    pub(crate) served_ts: watch::Sender<CommitTs>,
    /// Set when the worker has ended, so that nobody waits for it.
    closed: AtomicBool,
    limits: LiveLimits,
}

impl<R: Runner> Drop for Shared<R> {
    fn drop(&mut self) {
        self.nudge.notify_one();
    }
}

impl<R: Runner> LiveQueries<R> {
    /// Starts the thread that keeps them up to date.
    pub fn start(engine: Engine, runner: R, limits: LiveLimits) -> Result<Self, EngineError> {
        let head = engine.head();
        let ts = *head.borrow();
        let shared = Arc::new(Shared {
            engine,
            runner,
            registry: Mutex::new(Registry::new(ts)),
            nudge: Arc::new(Notify::new()),
            served_ts: watch::Sender::new(ts),
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

    /// How many distinct live queries there are.
    pub fn live_queries(&self) -> usize {
        self.shared.registry.lock().len()
    }

    /// Subscribes to a query. The first event shows every commit that was acknowledged before this call.
    ///
    /// With `resume_from`, the first event is left out if nothing has changed since that timestamp, as far as the
    /// newest commits in memory tell.
    pub async fn subscribe(
        &self,
        query: R::Query,
        resume_from: Option<CommitTs>,
    ) -> Result<Subscription<R>, SubscribeError> {
        let key = self.shared.runner.key(&query);
        let joined = self.shared.registry.lock().join_current(&key);
        let (id, newest) = match joined {
            Some((id, newest)) => {
                // From here on the subscription leaves again if anything fails.
                let subscription = self.subscription(id, newest);
                self.shared.wait_until_served().await?;
                return Ok(subscription.resumed(resume_from));
            }
            None => {
                let shared = Arc::clone(&self.shared);
                let register = move || shared.register(&query);
                match tokio::task::spawn_blocking(register).await {
                    Ok(registered) => registered?,
                    Err(error) if error.is_panic() => return Err(SubscribeError::Broken),
                    Err(_) => return Err(SubscribeError::Closed),
                }
            }
        };
        Ok(self.subscription(id, newest).resumed(resume_from))
    }

    fn subscription(&self, id: LiveId, newest: watch::Receiver<Newest>) -> Subscription<R> {
        Subscription {
            shared: Arc::clone(&self.shared),
            id,
            newest,
            first: true,
        }
    }
}

impl<R: Runner> Shared<R> {
    /// Ends all waiting: the worker is gone.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.served_ts.send_replace(CommitTs::MAX);
    }

    /// Waits until the live queries show what is published now.
    async fn wait_until_served(&self) -> Result<(), SubscribeError> {
        let head = *self.engine.head().borrow();
        let mut served = self.served_ts.subscribe();
        // The sender lives as long as this does.
        let _ = served.wait_for(|served| *served >= head).await;
        if self.closed.load(Ordering::SeqCst) {
            Err(SubscribeError::Closed)
        } else {
            Ok(())
        }
    }

    /// Evaluates a query and registers it, or joins it if somebody else has registered it meanwhile.
    fn register(
        &self,
        query: &R::Query,
    ) -> Result<(LiveId, watch::Receiver<Newest>), SubscribeError> {
        let LiveLimits {
            queries_max,
            results_bytes_max,
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
            drop(snapshot);
            let mut registry = self.registry.lock();
            // What has been matched already will not be matched again for this query.
            let overtaken =
                registry.matched_ts > ts && self.touched_since(ts, &evaluation.dependencies);
            if overtaken && attempts < REGISTER_ATTEMPTS_MAX {
                continue;
            }
            if let Some((id, newest)) = registry.join(&key) {
                // This evaluation is at least as new as this call; the one that is there may not be.
                registry.update(id, ts, evaluation);
                return Ok((id, newest));
            }
            if registry.len() >= queries_max {
                return Err(SubscribeError::TooMany { queries_max });
            }
            if registry.body_bytes + evaluation.body.len() > results_bytes_max {
                return Err(SubscribeError::TooLarge { results_bytes_max });
            }
            let (id, newest) = registry.insert(key, Arc::new(query), ts, evaluation);
            if overtaken {
                registry.stale.insert(id);
                self.nudge.notify_one();
            }
            return Ok((id, newest));
        }
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

/// One client's part in a live query. Dropping it ends it.
pub struct Subscription<R: Runner> {
    shared: Arc<Shared<R>>,
    id: LiveId,
    newest: watch::Receiver<Newest>,
    /// Whether the present result is still to be told.
    first: bool,
}

impl<R: Runner> Subscription<R> {
    /// Waits for the next result: the newest there is. `None` after the end.
    pub async fn next(&mut self) -> Option<Item> {
        if !std::mem::take(&mut self.first) && self.newest.changed().await.is_err() {
            return None;
        }
        match self.newest.borrow_and_update().clone() {
            Newest::Event(event) => Some(Item::Event(event)),
            Newest::Ended(errors) => Some(Item::Ended(errors)),
        }
    }

    /// Leaves out the first event if nothing has changed since the client was here last.
    fn resumed(mut self, resume_from: Option<CommitTs>) -> Self {
        let Some(ts) = resume_from else { return self };
        // Marked first: what comes after this line is told, whatever the check finds.
        self.newest.mark_unchanged();
        self.first = !self.unchanged_since(ts);
        self
    }

    fn unchanged_since(&self, ts: CommitTs) -> bool {
        // A timestamp that has not been yet is of another store, or of this one before it was restored.
        if ts > *self.shared.engine.head().borrow() {
            return false;
        }
        let dependencies = self.shared.registry.lock().index.dependencies_of(self.id);
        dependencies.is_some_and(|dependencies| !self.shared.touched_since(ts, &dependencies))
    }
}

impl<R: Runner> Drop for Subscription<R> {
    fn drop(&mut self) {
        self.shared.registry.lock().leave(self.id);
    }
}

impl<R: Runner> std::fmt::Debug for Subscription<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

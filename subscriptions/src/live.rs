//! Subscribing to a live query, and reading its events.

use std::sync::Arc;

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

/// Why a subscription was not taken.
#[derive(Debug, Error)]
pub enum SubscribeError {
    /// The store failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There are as many live queries as are allowed.
    #[error("there are {live_queries_max} live queries already, as many as are allowed")]
    TooMany {
        /// The limit.
        live_queries_max: usize,
    },
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
    live_queries_max: usize,
}

impl<R: Runner> Drop for Shared<R> {
    fn drop(&mut self) {
        self.nudge.notify_one();
    }
}

impl<R: Runner> LiveQueries<R> {
    /// Starts the thread that keeps them up to date.
    pub fn start(engine: Engine, runner: R, live_queries_max: usize) -> Result<Self, EngineError> {
        let commits = engine.commits();
        let ts = engine.snapshot()?.ts();
        let shared = Arc::new(Shared {
            engine,
            runner,
            registry: Mutex::new(Registry::new(ts)),
            nudge: Arc::new(Notify::new()),
            served_ts: watch::Sender::new(ts),
            live_queries_max,
        });
        let weak = Arc::downgrade(&shared);
        let thread = |error: std::io::Error| EngineError::Thread {
            reason: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(thread)?;
        std::thread::Builder::new()
            .name("live-queries".to_owned())
            .spawn(move || runtime.block_on(worker::run(weak, commits)))
            .map_err(thread)?;
        Ok(LiveQueries { shared })
    }

    /// The runner.
    pub fn runner(&self) -> &R {
        &self.shared.runner
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
        let joined = self.shared.registry.lock().join(&key);
        let (id, newest) = match joined {
            Some(joined) => joined,
            None => self.register(key, query)?,
        };
        let mut subscription = Subscription {
            shared: Arc::clone(&self.shared),
            id,
            newest,
            first: true,
        };
        self.wait_until_served().await?;
        if resume_from.is_some_and(|ts| subscription.unchanged_since(ts)) {
            subscription.first = false;
            subscription.newest.mark_unchanged();
        }
        Ok(subscription)
    }

    /// Waits until the live queries show what is committed now.
    async fn wait_until_served(&self) -> Result<(), SubscribeError> {
        let head = self.shared.engine.snapshot()?.ts();
        let mut served = self.shared.served_ts.subscribe();
        if *served.borrow() >= head {
            return Ok(());
        }
        served
            .wait_for(|served| *served >= head)
            .await
            .map_err(|_| SubscribeError::Closed)?;
        Ok(())
    }

    fn register(
        &self,
        key: R::Key,
        query: R::Query,
    ) -> Result<(LiveId, watch::Receiver<Newest>), SubscribeError> {
        let live_queries_max = self.shared.live_queries_max;
        if self.shared.registry.lock().len() >= live_queries_max {
            return Err(SubscribeError::TooMany { live_queries_max });
        }
        let snapshot = self.shared.engine.snapshot()?;
        let evaluation = self.shared.runner.run(&query, &snapshot);
        let mut registry = self.shared.registry.lock();
        // Somebody may have registered the same query meanwhile.
        if let Some(joined) = registry.join(&key) {
            return Ok(joined);
        }
        let dependencies = evaluation.dependencies.clone();
        let (id, newest) = registry.insert(key, Arc::new(query), snapshot.ts(), evaluation);
        if registry.matched_ts > snapshot.ts()
            && self.shared.touched_since(snapshot.ts(), &dependencies)
        {
            // Those commits have been matched before this query was there to be found.
            registry.stale.insert(id);
            self.shared.nudge.notify_one();
        }
        Ok((id, newest))
    }
}

impl<R: Runner> Shared<R> {
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

    fn unchanged_since(&self, ts: CommitTs) -> bool {
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

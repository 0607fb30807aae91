//! Opening a store, and the two things one does with it: take snapshots and run transactions.

mod backup;
mod once;
mod sent;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use thalweg_model::{CollectionId, CommitTs};
use thalweg_schema_infer::Evolution;
use thalweg_storage::{Backend, Snapshot as Reader, Usage};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot, watch};

use crate::as_of::HistoricalPage;
use crate::catalog::Catalog;
use crate::changes::PAGES_READ_MAX;
use crate::clock::{Clock, ClockAlarm, EngineClock, SystemClock};
use crate::commit::{Commit, RecentCommits};
use crate::committer::{self, Committer, Ordered, Request, Start, Verdict};
use crate::error::{EngineError, TransactionError};
use crate::format;
use crate::ground::Ground;
use crate::leadership::KeeperThread;
use crate::load::{load, stored_catalog_version};
use crate::log::{self, LoggedCommit};
use crate::maintenance::{self, Maintenance, MaintenanceMode};
use crate::pipeline::{self, EngineStepper, Inbox};
use crate::published::Published;
use crate::snapshot::Snapshot;
use crate::takeover::take_over;
use crate::transaction::{Code, Committed, Erased, Once, Transaction, TransactionCode};
use crate::upkeep::{UpkeepMode, UpkeepState};
use crate::vanished::NotedUses;
use crate::writer::Writer;

pub use self::sent::Sent;
use self::sent::{VerdictReceiver, answered};

/// What can be set of an engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How many transactions are committed with one sync, at most.
    pub group_transactions_max: usize,
    /// How many bytes of new images are committed with one sync, about.
    pub group_bytes_max: usize,
    /// How often an execution may lose before it is run at the head of the line.
    pub optimistic_attempts_max: u32,
    /// How many documents a transaction may look at when it is run in the line, where all others wait for it.
    pub line_documents_max: u64,
    /// How many writes one transaction may have.
    pub transaction_writes_max: usize,
    /// How many documents one transaction may write because they name others that it deletes.
    pub policy_writes_max: usize,
    /// How many bytes of new images one transaction may have.
    pub transaction_bytes_max: usize,
    /// Longest document, in bytes of JSON.
    pub document_bytes_max: usize,
    /// Memory for the newest commits, which executions are validated against.
    pub recent_commits_bytes_max: usize,
    /// How long the log is kept, and earlier images at least.
    pub recovery_window: Duration,
    /// Who expires documents and erases history when that is due.
    pub upkeep: UpkeepMode,
    /// How long answers are kept under their idempotency keys.
    pub answers_kept: Duration,
    /// Who does the background work.
    pub maintenance: MaintenanceMode,
    /// Whether a thread looks for relations in the documents; else whoever calls [`Engine::detect_relations`].
    pub detect_relations: bool,
    /// How many documents one transaction of background work on an index looks at, and how many rows it erases.
    pub index_page_max: usize,
    /// How the published types of collections follow their documents.
    pub evolution: Evolution,
    /// How long a field that no document has is kept after it vanished, or was last used by an operation.
    pub deprecated_kept: Duration,
    /// How long a backup may hold back the erasing of what is no longer kept.
    pub pin_max: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            group_transactions_max: 1024,
            group_bytes_max: 16 << 20,
            optimistic_attempts_max: 3,
            line_documents_max: 1_000_000,
            transaction_writes_max: 100_000,
            policy_writes_max: 10_000,
            transaction_bytes_max: 256 << 20,
            document_bytes_max: 16 << 20,
            recent_commits_bytes_max: 64 << 20,
            recovery_window: Duration::from_secs(600),
            upkeep: UpkeepMode::Background,
            answers_kept: Duration::from_secs(24 * 60 * 60),
            maintenance: MaintenanceMode::Background,
            detect_relations: false,
            index_page_max: 256,
            evolution: Evolution::Follow,
            deprecated_kept: Duration::from_secs(30 * 24 * 60 * 60),
            pin_max: Duration::from_secs(6 * 60 * 60),
        }
    }
}

/// A database: its collections and documents, its transactions, its commit log. Cloning shares it.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    clock: Arc<EngineClock>,
    options: EngineOptions,
    pub(crate) published: Arc<Published>,
    /// For making pages of change streams from what is stored.
    pages: Semaphore,
    pub(crate) requests: Mutex<Door>,
    pipeline: Mutex<Vec<JoinHandle<()>>>,
    /// Only where the store is shared with other servers.
    keeper: Mutex<Option<KeeperThread>>,
    maintenance_thread: Mutex<Option<JoinHandle<()>>>,
    pub(crate) detection_thread: Mutex<Option<JoinHandle<()>>>,
    /// Makes the seeds of this leadership's transactions differ from those of another.
    epoch: AtomicU64,
    transactions: AtomicU64,
    pub(crate) upkeep: UpkeepState,
    /// Of fields that no document has.
    pub(crate) uses: Arc<NotedUses>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.published.upkeep.stop();
        self.published.maintenance.close();
        self.published.detection.close();
    }
}

/// The way to the committer.
pub(crate) enum Door {
    Open {
        requests: mpsc::Sender<Request>,
        /// Dropped to have the committer take nothing more, not even from who still waits to be taken.
        _shut: oneshot::Sender<()>,
    },
    /// The committer is in another server.
    Elsewhere,
    Closed,
}

/// Executions that wait for the committer before transactions have to wait to be taken.
const REQUESTS_MAX: usize = 4096;

impl Engine {
    /// Opens a store with the system's clock.
    pub fn open(backend: Arc<dyn Backend>, options: EngineOptions) -> Result<Engine, EngineError> {
        Engine::open_with_clock(backend, options, Arc::new(SystemClock::new()))
    }

    /// Opens a store. Takes it over first: a server that still writes to it finds itself deposed.
    pub fn open_with_clock(
        backend: Arc<dyn Backend>,
        options: EngineOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Engine, EngineError> {
        let leadership = backend.lead()?;
        let engine = Engine::assemble(backend, options, clock)?;
        if leadership.is_some() {
            let start = engine.shared.take_over()?;
            // Another server may have written until a moment ago.
            engine.catch_up()?;
            engine.shared.start_pipeline(start)?;
        }
        if engine.shared.backend.is_shared() {
            let keeper = KeeperThread::start(&engine, leadership)?;
            *engine.shared.keeper.lock() = Some(keeper);
        }
        if engine.shared.options.maintenance == MaintenanceMode::Background {
            engine.start_maintenance()?;
        }
        if engine.shared.options.detect_relations {
            engine.start_detection()?;
        }
        if engine.shared.options.upkeep == UpkeepMode::Background {
            engine.start_upkeep()?;
        }
        Ok(engine)
    }

    /// Opens a store without any thread: nothing is committed but by the stepper. For simulations.
    pub fn open_stepped(
        backend: Arc<dyn Backend>,
        options: EngineOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(Engine, EngineStepper), EngineError> {
        let engine = Engine::assemble(backend, options, clock)?;
        let (committer, writer, inbox) = engine.shared.pipeline(engine.shared.take_over()?);
        Ok((engine, EngineStepper::new(committer, writer, inbox)))
    }

    /// An engine that reads.
    fn assemble(
        backend: Arc<dyn Backend>,
        options: EngineOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Engine, EngineError> {
        let reader = backend.snapshot()?;
        format::check(&*reader)?;
        let head = reader.head().map_or(CommitTs::ZERO, |head| head.commit_ts);
        let catalog = load(&*reader)?.catalog;
        drop(reader);
        let recent = RecentCommits::new(head, options.recent_commits_bytes_max);
        let published = Published::new(head, catalog, recent, options.recovery_window);
        let clock = Arc::new(EngineClock::new(clock, head));
        let shared = Shared {
            backend,
            clock,
            options,
            published: Arc::new(published),
            pages: Semaphore::new(PAGES_READ_MAX),
            requests: Mutex::new(Door::Elsewhere),
            pipeline: Mutex::default(),
            keeper: Mutex::default(),
            maintenance_thread: Mutex::default(),
            detection_thread: Mutex::default(),
            epoch: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
            upkeep: UpkeepState::default(),
            uses: Arc::default(),
        };
        Ok(Engine {
            shared: Arc::new(shared),
        })
    }

    fn start_maintenance(&self) -> Result<(), EngineError> {
        let shared = Arc::downgrade(&self.shared);
        let published = Arc::clone(&self.shared.published);
        let thread = std::thread::Builder::new()
            .name("maintenance".to_owned())
            .spawn(move || maintenance::run(&shared, &published.maintenance))
            .map_err(|error| EngineError::Thread {
                reason: error.to_string(),
            })?;
        *self.shared.maintenance_thread.lock() = Some(thread);
        Ok(())
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Engine {
        Engine { shared }
    }

    /// Whether this server is the one who writes.
    pub(crate) fn leads(&self) -> bool {
        matches!(*self.shared.requests.lock(), Door::Open { .. })
    }

    /// The background work, to be done a piece at a time; see [`EngineOptions::maintenance`].
    pub fn maintenance(&self) -> Maintenance {
        Maintenance::new(self.clone())
    }

    /// The newest state: it includes every commit that was acknowledged before the call.
    pub fn snapshot(&self) -> Result<Snapshot, EngineError> {
        loop {
            let reader = self.shared.backend.snapshot()?;
            let ts = reader.head().map_or(CommitTs::ZERO, |head| head.commit_ts);
            if self.shared.backend.is_shared() {
                let catalog = self.shared.stored_catalog(&*reader)?;
                return Ok(Snapshot::new(reader, ts, catalog));
            }
            // A thread that slept between these two lines for many changes of the catalog looks again.
            if let Some(catalog) = self.shared.published.catalog_at(ts) {
                return Ok(Snapshot::new(reader, ts, catalog));
            }
        }
    }

    /// The catalog of the newest published commit.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.published.newest_catalog()
    }

    /// The catalog of the state at `ts`, if it is still known: those of the last 64 commits that changed anything in it
    /// are, and of none before the engine was opened.
    pub fn catalog_at(&self, ts: CommitTs) -> Option<Arc<Catalog>> {
        let catalog = self.shared.published.catalog_at(ts)?;
        // The one that the engine was opened with stands for the time before it, too.
        (catalog.version <= ts).then_some(catalog)
    }

    /// Runs a transaction until it is committed. The code may run several times, so it must have no effect but
    /// through the [`Transaction`]. It runs where this is called, so it should be short; see
    /// [`Engine::transact_blocking`].
    ///
    /// Returns after the commit is durable. An error means that nothing was written, unless its class is
    /// `Indeterminate`.
    pub async fn transact<T: Send + 'static>(
        &self,
        code: impl Fn(&mut Transaction<'_>) -> Result<T, TransactionError> + Send + Sync + 'static,
    ) -> Result<Committed<T>, TransactionError> {
        self.transact_on(Place::Caller, code).await
    }

    /// The same for code that may read a lot: it runs on one of the runtime's threads for blocking work.
    pub async fn transact_blocking<T: Send + 'static>(
        &self,
        code: impl Fn(&mut Transaction<'_>) -> Result<T, TransactionError> + Send + Sync + 'static,
    ) -> Result<Committed<T>, TransactionError> {
        self.transact_on(Place::BlockingThread, code).await
    }

    async fn transact_on<T: Send + 'static>(
        &self,
        place: Place,
        code: impl Fn(&mut Transaction<'_>) -> Result<T, TransactionError> + Send + Sync + 'static,
    ) -> Result<Committed<T>, TransactionError> {
        let code = self.code(erase(code), None);
        match self.transact_erased(place, code).await? {
            Verdict::Committed(value, ordered) => Ok(committed(value, ordered)),
            Verdict::Answered(_) | Verdict::Conflict => {
                unreachable!("a transaction without a key ends with its own result")
            }
        }
    }

    fn code(&self, code: Box<Code>, once: Option<Once>) -> Arc<TransactionCode> {
        let number = self.shared.transactions.fetch_add(1, Ordering::Relaxed);
        Arc::new(TransactionCode {
            code,
            seed: mix(mix(self.shared.epoch.load(Ordering::Relaxed)).wrapping_add(number)),
            once,
        })
    }

    /// Runs a transaction until it is committed or answered; never ends with a conflict.
    async fn transact_erased(
        &self,
        place: Place,
        code: Arc<TransactionCode>,
    ) -> Result<Verdict, TransactionError> {
        for _ in 0..self.shared.options.optimistic_attempts_max {
            let (execution, catalog) = self.execute(place, &code).await?;
            if execution.intents.is_empty() && code.once.is_none() {
                let ordered = Ordered {
                    commit_ts: execution.read_ts,
                    catalog,
                    steps: Vec::new(),
                };
                return Ok(Verdict::Committed(execution.value, ordered));
            }
            match self.request(&code, Some(execution)).await? {
                Verdict::Conflict => {}
                verdict => return Ok(verdict),
            }
        }
        self.request(&code, None).await
    }

    async fn request(
        &self,
        code: &Arc<TransactionCode>,
        execution: Option<committer::Execution>,
    ) -> Result<Verdict, TransactionError> {
        answered(self.send(code, execution).await?).await
    }

    async fn send(
        &self,
        code: &Arc<TransactionCode>,
        execution: Option<committer::Execution>,
    ) -> Result<VerdictReceiver, EngineError> {
        let (reply, verdict) = oneshot::channel();
        self.enqueue(Request {
            code: Arc::clone(code),
            execution,
            reply,
        })
        .await?;
        Ok(verdict)
    }

    async fn execute(
        &self,
        place: Place,
        code: &Arc<TransactionCode>,
    ) -> Result<(committer::Execution, Arc<Catalog>), TransactionError> {
        match place {
            Place::Caller => self.execute_here(code),
            Place::BlockingThread => {
                let (engine, code) = (self.clone(), Arc::clone(code));
                match tokio::task::spawn_blocking(move || engine.execute_here(&code)).await {
                    Ok(execution) => execution,
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(_) => Err(EngineError::Closed.into()),
                    },
                }
            }
        }
    }

    fn execute_here(
        &self,
        code: &TransactionCode,
    ) -> Result<(committer::Execution, Arc<Catalog>), TransactionError> {
        let snapshot = self.snapshot()?;
        let Shared { options, clock, .. } = &*self.shared;
        let execution = committer::run(Ground::of_snapshot(&snapshot), code, options, clock)?;
        Ok((execution, Arc::clone(snapshot.catalog())))
    }

    async fn enqueue(&self, request: Request) -> Result<(), EngineError> {
        let sender = match &*self.shared.requests.lock() {
            Door::Open { requests, .. } => requests.clone(),
            Door::Elsewhere => {
                let failure = self.shared.published.failure();
                return Err(failure.unwrap_or(EngineError::Following));
            }
            Door::Closed => return Err(EngineError::Closed),
        };
        sender.send(request).await.map_err(|_| EngineError::Closed)
    }

    /// The timestamp of the newest published commit, to wait for the next one; [`Engine::recent_commits`] has the
    /// commits themselves.
    pub fn head(&self) -> watch::Receiver<CommitTs> {
        self.shared.published.head()
    }

    /// The commits after `ts`, oldest first; `None` where some are no longer in memory.
    pub fn recent_commits(&self, ts: CommitTs) -> Option<Vec<Arc<Commit>>> {
        let recent = self.shared.published.recent.read();
        Some(recent.after(ts)?.cloned().collect())
    }

    /// The commits after `ts` that are in memory, oldest first, about `bytes_max` bytes of them, but at least one;
    /// `None` where some are no longer in memory.
    pub(crate) fn recent_page(&self, ts: CommitTs, bytes_max: usize) -> Option<Vec<Arc<Commit>>> {
        self.shared.published.recent.read().page(ts, bytes_max)
    }

    /// Waits until a page of changes may be read from the store: each takes memory until it is made.
    pub(crate) async fn page_permit(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed, so there always is one.
        self.shared.pages.acquire().await.ok()
    }

    /// The commits after `ts`, oldest first, as the log has them: about `bytes_max` bytes, but at least one; none where
    /// `ts` is the newest. So a server follows the commits of another one. Fails with [`EngineError::ChangesGone`]
    /// where some are no longer in the log. Blocks for as long as it reads.
    pub fn logged_after(
        &self,
        ts: CommitTs,
        bytes_max: usize,
    ) -> Result<Vec<LoggedCommit>, EngineError> {
        log::read::commits(&self.snapshot()?, ts, bytes_max)
    }

    /// The same from memory where that reaches back far enough, else from the log. Those from the log have no catalog;
    /// see [`LoggedCommit`].
    pub fn changes_after(
        &self,
        ts: CommitTs,
        bytes_max: usize,
    ) -> Result<Vec<Arc<Commit>>, EngineError> {
        if let Some(commits) = self.recent_page(ts, bytes_max) {
            return Ok(commits);
        }
        let logged = self.logged_after(ts, bytes_max)?;
        Ok(logged.into_iter().map(|logged| logged.commit).collect())
    }

    /// The state as it was at `at`: documents, counts and finds answer as of then, the types are those of now. A time
    /// after the newest commit is refused; a time of which a collection's history is no longer kept when that
    /// collection is read, with [`EngineError::HistoryGone`]. A collection that did not exist then is empty.
    pub fn snapshot_at(&self, at: CommitTs) -> Result<Snapshot, EngineError> {
        self.snapshot()?.looking_back_to(at)
    }

    /// Reads a collection as it was at `at`, in order of the ids, from after `after` on: at most `documents_max`
    /// documents, fewer where they are large. For who reads a long collection at leisure: no reader of the backend is
    /// held between two pages.
    pub fn historical_page(
        &self,
        collection: CollectionId,
        at: CommitTs,
        after: Option<&str>,
        documents_max: usize,
    ) -> Result<HistoricalPage, EngineError> {
        self.snapshot_at(at)?.page(collection, after, documents_max)
    }

    /// The engine's time, in microseconds since the Unix epoch: what expiry goes by. Never goes back.
    pub fn now_micros(&self) -> u64 {
        let head = self.shared.published.head().borrow().as_micros();
        self.shared.clock.now_micros().max(head)
    }

    /// Whether the machine's wall clock is so far ahead that it is not followed.
    pub fn clock_alarm(&self) -> Option<ClockAlarm> {
        self.shared.clock.alarm()
    }

    /// Follows the machine's wall clock from now on, although it is far ahead: what is due by then is due.
    pub fn confirm_clock(&self) {
        self.shared.clock.confirm();
        self.shared.published.upkeep.tell(0);
    }

    pub(crate) fn monotonic_micros(&self) -> u64 {
        self.shared.clock.monotonic_micros()
    }

    pub(crate) fn options(&self) -> &EngineOptions {
        &self.shared.options
    }

    /// How many commits were published after `ts`; `None` where they are too many to know.
    pub(crate) fn count_commits_after(&self, ts: CommitTs) -> Option<usize> {
        let recent = self.shared.published.recent.read();
        recent.after(ts).map(Iterator::count)
    }

    /// Whether the engine can read and write, and if not, why.
    pub fn ready(&self) -> Result<(), EngineError> {
        if let Some(error) = self.shared.published.failure() {
            return Err(error);
        }
        if self.leads() {
            self.shared.backend.writable()?;
        }
        self.snapshot().map(drop)
    }

    /// How much room the store takes.
    pub fn usage(&self) -> Result<Usage, EngineError> {
        Ok(self.shared.backend.usage()?)
    }

    /// Stops taking transactions and waits until those that were taken are committed. Blocks.
    pub fn close(&self) {
        self.shared.published.maintenance.close();
        self.shared.published.detection.close();
        if let Some(thread) = self.shared.detection_thread.lock().take() {
            // One that panicked is over.
            let _ = thread.join();
        }
        if let Some(thread) = self.shared.maintenance_thread.lock().take() {
            // One that panicked has nothing left to wait for.
            let _ = thread.join();
        }
        self.stop_upkeep();
        let keeper = self.shared.keeper.lock().take();
        // Kept until all that was taken is committed: the next leader would fence it.
        let leadership = keeper.and_then(KeeperThread::stop);
        self.shared.close_door(Door::Closed);
        self.shared.join_pipeline();
        drop(leadership);
    }
}

impl Shared {
    /// The catalog that a reader of a shared store sees, which another server may have changed.
    fn stored_catalog(&self, reader: &dyn Reader) -> Result<Arc<Catalog>, EngineError> {
        let version = stored_catalog_version(reader)?;
        if let Some(catalog) = self.published.catalog_of(version) {
            return Ok(catalog);
        }
        let catalog = load(reader)?.catalog;
        self.published.announce(&catalog);
        Ok(catalog)
    }

    /// Becomes the one who writes.
    pub(crate) fn take_over(&self) -> Result<Start, EngineError> {
        let head = take_over(&*self.backend)?;
        let reader = self.backend.snapshot()?;
        self.epoch.store(head.epoch, Ordering::Relaxed);
        self.clock.not_before(head.commit_ts);
        Ok(Start {
            state: load(&*reader)?,
            head,
            log_from: log::oldest(&*reader)?,
        })
    }

    /// A committer, its writer, and what is asked of them from now on.
    fn pipeline(&self, start: Start) -> (Committer, Writer, Inbox) {
        let committer = Committer::new(
            Arc::clone(&self.backend),
            Arc::clone(&self.clock),
            self.options.clone(),
            Arc::clone(&self.published),
            start,
        );
        let writer = Writer {
            backend: Arc::clone(&self.backend),
            published: Arc::clone(&self.published),
        };
        self.published.imports.unsettle_all();
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        let (shut, is_shut) = oneshot::channel();
        *self.requests.lock() = Door::Open {
            requests: sender,
            _shut: shut,
        };
        (committer, writer, Inbox { requests, is_shut })
    }

    pub(crate) fn start_pipeline(&self, start: Start) -> Result<(), EngineError> {
        let (committer, writer, inbox) = self.pipeline(start);
        *self.pipeline.lock() = pipeline::start(committer, writer, inbox)?;
        self.published.maintenance.wake();
        self.published.upkeep.tell(0);
        Ok(())
    }

    /// Takes no more requests; those that were taken are still answered.
    pub(crate) fn close_door(&self, door: Door) {
        *self.requests.lock() = door;
    }

    pub(crate) fn join_pipeline(&self) {
        for thread in std::mem::take(&mut *self.pipeline.lock()) {
            // A thread that panicked has nothing left to wait for.
            let _ = thread.join();
        }
    }
}

fn erase<T: Send + 'static>(
    code: impl Fn(&mut Transaction<'_>) -> Result<T, TransactionError> + Send + Sync + 'static,
) -> Box<Code> {
    Box::new(move |transaction| code(transaction).map(|value| Box::new(value) as Erased))
}

fn committed<T: 'static>(value: Erased, ordered: Ordered) -> Committed<T> {
    let value = (value as Box<dyn Any>)
        .downcast::<T>()
        .expect("the code returned a T");
    Committed {
        value: *value,
        commit_ts: ordered.commit_ts,
        catalog: ordered.catalog,
        steps: ordered.steps,
    }
}

/// Spreads a counter over all bits (the finalizer of SplitMix64: Steele, Lea and Flood, OOPSLA 2014).
fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Where a transaction's code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where the engine is called: for code that is short.
    Caller,
    /// On one of the runtime's threads for blocking work: for code that may read a lot.
    BlockingThread,
}

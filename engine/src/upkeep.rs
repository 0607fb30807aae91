//! What the engine does by itself: expiry and purge, erasing hidden history, due entries for documents that were there
//! before a setting, retention, and taking away fields that no document has any more.
//!
//! All of it is done in bounded transactions through the committer, so everybody who follows the log sees it, and it
//! can be driven step by step ([`Engine::upkeep_step`]); a thread around that ([`run`]) sleeps until the next thing is
//! due. A step only says what to look at: what is done is decided by the committer ([`crate::draft`]).
//!
//! **Pace.** A page of up to [`DUE_MAX`] due entries is one transaction, in order of their times. After a page during
//! which others committed too, the thread rests three times as long as the page took, so upkeep has a quarter of the
//! commit capacity at most; with nobody else there it goes on at once. What is due is late by the pages before it: an
//! unoptimised build on two cores carried out 20,000 expiries a second on the embedded backend, so 5,000 a second leave
//! it well within a second, a quarter of the capacity included.

use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use thalweg_model::{CollectionId, CommitTs, DocumentId, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader};

use crate::catalog::{Catalog, Collection};
use crate::commit::Commit;
use crate::due::{self, DueEntry, DueKind, due_of};
use crate::engine::{Engine, Shared};
use crate::error::{EngineError, TransactionError};
use crate::history::{self, EarlierImage};
use crate::intent::{Intent, Origin, Upkeep};
use crate::keyspace;
use crate::leadership::Role;
use crate::published_types::TypesChange;
use crate::relations::Looked;
use crate::retention::{self, Sweep, Sweeping};
use crate::snapshot::Snapshot;
use crate::vanished::Uses;

/// How many due entries one transaction takes on.
const DUE_MAX: usize = 500;
/// How many earlier images one transaction erases, about.
const ERASED_MAX: usize = 1000;
/// How many documents one transaction gives due entries.
const SCHEDULED_MAX: usize = 1000;
/// The longest sleep: now and then the wall clock is compared with the monotonic one.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// How long a failed step is not tried again.
const FAILED_REST: Duration = Duration::from_secs(1);
/// Who writes what expires.
const AUTHOR: &str = "system:expiry";

/// Who takes the steps of upkeep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpkeepMode {
    /// A thread of the engine's.
    #[default]
    Background,
    /// The caller, by [`Engine::upkeep_step`].
    Stepped,
}

/// What a step of upkeep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpkeepStep {
    /// A transaction; there may be more to do.
    Worked {
        /// Whether others committed meanwhile.
        contended: bool,
    },
    /// Nothing was to be done.
    Idle {
        /// When there will be, as far as known, in microseconds since the Unix epoch.
        until: Option<u64>,
    },
}

/// A piece of work for the committer.
#[derive(Clone, Debug)]
pub(crate) enum UpkeepWork {
    /// Expire or purge a document, if that is due to it.
    CarryOut(DueEntry),
    Schedule(Schedule),
    Erase(Erasure),
    Sweep(Sweep),
    Types(TypesChange),
    /// Store when fields that no document has were last used.
    NoteUses {
        collection: CollectionId,
        uses: Uses,
    },
    /// Take in what was found of relations.
    Relations(Looked),
}

/// Due entries for documents that were there when the settings changed.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) collection: CollectionId,
    /// The settings that they follow: those of that commit.
    pub(crate) configured_ts: CommitTs,
    pub(crate) entries: Vec<DueEntry>,
    /// The last document that was looked at; `None` at the end of the collection.
    pub(crate) next: Option<String>,
}

/// Earlier images of a document that was deleted for good.
#[derive(Clone, Debug)]
pub(crate) struct Erasure {
    pub(crate) collection: CollectionId,
    pub(crate) images: Vec<EarlierImage>,
    /// The due entry that is done with, where these are the last images.
    pub(crate) finished: Option<DueEntry>,
}

/// What a duty has to do.
pub(crate) enum Found {
    Work(Vec<UpkeepWork>),
    /// Nothing before that time, as far as known.
    Nothing(Option<u64>),
}

/// What an engine keeps for its upkeep.
#[derive(Debug, Default)]
pub(crate) struct UpkeepState {
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Which duty comes first next.
    turn: AtomicUsize,
    failure: Mutex<Option<EngineError>>,
}

impl Engine {
    pub(crate) fn start_upkeep(&self) -> Result<(), EngineError> {
        let failed = |error: std::io::Error| EngineError::Thread {
            reason: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(failed)?;
        let shared = Arc::downgrade(&self.shared);
        let signal = Arc::clone(&self.shared.published.upkeep);
        let thread = std::thread::Builder::new()
            .name("upkeep".to_owned())
            .spawn(move || run(&shared, &signal, &runtime))
            .map_err(failed)?;
        *self.shared.upkeep.thread.lock() = Some(thread);
        Ok(())
    }

    pub(crate) fn stop_upkeep(&self) {
        self.shared.published.upkeep.stop();
        if let Some(thread) = self.shared.upkeep.thread.lock().take() {
            // Upkeep that panicked is over.
            let _ = thread.join();
        }
    }

    /// Why the last step of upkeep failed, if it did: what is due stays due, and is tried again.
    pub fn upkeep_failure(&self) -> Option<EngineError> {
        self.shared.upkeep.failure.lock().clone()
    }

    /// Does the next piece of what the engine does by itself, if anything is due. With [`UpkeepMode::Background`] a
    /// thread calls it; to call it too does no harm.
    pub async fn upkeep_step(&self) -> Result<UpkeepStep, EngineError> {
        let step = self.take_upkeep_step().await;
        *self.shared.upkeep.failure.lock() = step.as_ref().err().cloned();
        step
    }

    async fn take_upkeep_step(&self) -> Result<UpkeepStep, EngineError> {
        let work = match self.find_upkeep()? {
            Found::Nothing(until) => return Ok(UpkeepStep::Idle { until }),
            Found::Work(work) => work,
        };
        let before = *self.head().borrow();
        let work: Vec<Upkeep> = work.into_iter().map(Upkeep).collect();
        let committed = self.transact(move |transaction| {
            transaction.set_origin(Origin::by(AUTHOR));
            for work in &work {
                transaction.write(Intent::Upkeep(work.clone()))?;
            }
            Ok(())
        });
        committed.await.map_err(|error| match error {
            TransactionError::Engine(error) => error,
            refused => EngineError::Upkeep {
                reason: refused.to_string(),
            },
        })?;
        let others = self.count_commits_after(before);
        Ok(UpkeepStep::Worked {
            contended: others.is_none_or(|commits| commits > 1),
        })
    }

    fn find_upkeep(&self) -> Result<Found, EngineError> {
        if self.role() == Role::Follower {
            // The leader does it.
            return Ok(Found::Nothing(None));
        }
        let snapshot = self.snapshot()?;
        let now = self.now_micros();
        let window = self.options().recovery_window;
        let is_held_back = self.holds_back();
        let duties: [&dyn Fn() -> Result<Found, EngineError>; 4] = [
            &|| find_due(&snapshot, now, is_held_back),
            &|| find_scheduling(&snapshot),
            &|| self.find_vanished(&snapshot, now),
            &|| match is_held_back {
                true => Ok(Found::Nothing(None)),
                false => find_sweeping(&snapshot, window, now),
            },
        ];
        // Each in turn comes first, so that none waits for the others to end.
        let first = self.shared.upkeep.turn.fetch_add(1, Ordering::Relaxed);
        let mut until: Option<u64> = None;
        for offset in 0..duties.len() {
            match duties[(first % duties.len() + offset) % duties.len()]()? {
                Found::Nothing(next) => until = until.into_iter().chain(next).min(),
                work => return Ok(work),
            }
        }
        Ok(Found::Nothing(until))
    }
}

fn find_due(snapshot: &Snapshot, now: u64, is_held_back: bool) -> Result<Found, EngineError> {
    let (entries, next) = due::first_due(snapshot.reader(), now, DUE_MAX, is_held_back)?;
    if entries.is_empty() {
        return Ok(Found::Nothing(next));
    }
    let mut work = Vec::with_capacity(entries.len());
    let mut erased = 0;
    for entry in entries {
        if entry.kind != DueKind::Erase {
            work.push(UpkeepWork::CarryOut(entry));
            continue;
        }
        if erased >= ERASED_MAX {
            break;
        }
        let erasure = find_erasure(snapshot, entry, ERASED_MAX - erased)?;
        erased += erasure.images.len();
        work.push(UpkeepWork::Erase(erasure));
    }
    Ok(Found::Work(work))
}

fn find_erasure(
    snapshot: &Snapshot,
    entry: DueEntry,
    images_max: usize,
) -> Result<Erasure, EngineError> {
    let reader = snapshot.reader();
    let collection = snapshot.catalog().by_id(entry.collection);
    let indexes = collection.map_or(&[][..], |collection| &collection.indexes);
    let id = entry.id.as_str();
    let from = keyspace::history(entry.collection, id, entry.erase_before);
    let to = keyspace::histories_to(entry.collection, id.as_bytes());
    let mut images = Vec::new();
    let mut is_all = true;
    let mut failure = None;
    reader.scan(
        // An image of that very commit is of the document that took the id at once.
        Bound::Excluded(&from),
        Bound::Excluded(&to),
        Direction::Forward,
        &mut |key, value| {
            if images.len() == images_max {
                is_all = false;
                return ControlFlow::Break(());
            }
            match EarlierImage::read(reader, indexes, key, value) {
                Ok(Some(image)) => images.push(image),
                Ok(None) => failure = Some(history::corrupt()),
                Err(error) => failure = Some(error),
            }
            match failure {
                None => ControlFlow::Continue(()),
                Some(_) => ControlFlow::Break(()),
            }
        },
    )?;
    if let Some(error) = failure {
        return Err(error);
    }
    Ok(Erasure {
        collection: entry.collection,
        images,
        finished: is_all.then_some(entry),
    })
}

/// The first of the collections for which something is stored under a name, and what.
fn first_meta(
    reader: &dyn Reader,
    name: &str,
) -> Result<Option<(CollectionId, Vec<u8>)>, EngineError> {
    let prefix = keyspace::metas(name);
    let end = prefix_end(&prefix).expect("a meta key does not consist of 0xff bytes");
    let mut first = None;
    reader.scan(
        Bound::Included(&prefix),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, value| {
            first = Some(keyspace::parse_meta(key).map(|collection| (collection, value.to_vec())));
            ControlFlow::Break(())
        },
    )?;
    first.transpose()
}

fn find_scheduling(snapshot: &Snapshot) -> Result<Found, EngineError> {
    let Some((id, after)) = first_meta(snapshot.reader(), keyspace::SCHEDULING)? else {
        return Ok(Found::Nothing(None));
    };
    let Some(collection) = snapshot.catalog().by_id(id) else {
        return Ok(Found::Nothing(None));
    };
    let after = String::from_utf8(after).map_err(|_| EngineError::Corrupt {
        what: "schedule of a collection",
    })?;
    let schedule = schedule(
        snapshot,
        collection,
        Some(&*after).filter(|id| !id.is_empty()),
    )?;
    Ok(Found::Work(vec![UpkeepWork::Schedule(schedule)]))
}

fn schedule(
    snapshot: &Snapshot,
    collection: &Collection,
    after: Option<&str>,
) -> Result<Schedule, EngineError> {
    let page = snapshot.page(collection.id, after, SCHEDULED_MAX)?;
    let mut entries = Vec::new();
    for record in &page.rows {
        if let Some((at, kind)) = due_of(record, &collection.settings) {
            let id = DocumentId::new(record.id());
            entries.push(DueEntry {
                at,
                kind,
                collection: collection.id,
                id: id.map_err(|_| EngineError::Corrupt { what: "id" })?,
                erase_before: CommitTs::ZERO,
            });
        }
    }
    Ok(Schedule {
        collection: collection.id,
        configured_ts: collection.configured_ts,
        entries,
        next: page.next,
    })
}

fn find_sweeping(snapshot: &Snapshot, window: Duration, now: u64) -> Result<Found, EngineError> {
    let mut until: Option<u64> = None;
    for collection in snapshot.catalog().collections() {
        match retention::next_page(snapshot.reader(), collection, window, now)? {
            Sweeping::Page(sweep) => return Ok(Found::Work(vec![UpkeepWork::Sweep(sweep)])),
            Sweeping::Rest(next) => until = until.into_iter().chain(next).min(),
        }
    }
    Ok(Found::Nothing(until))
}

/// Wakes the thread when there is something to do earlier than it knew.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SignalState {
    /// The earliest time that was told since the last step began, in microseconds since the Unix epoch.
    due: Option<u64>,
    stopped: bool,
}

impl Signal {
    /// Tells that something is due at a time.
    pub(crate) fn tell(&self, due: u64) {
        let mut state = self.state.lock();
        if state.due.is_none_or(|known| due < known) {
            state.due = Some(due);
            self.changed.notify_all();
        }
    }

    /// Tells what commits make due. A new catalog may change anything.
    pub(crate) fn tell_commits(
        &self,
        commits: &[Arc<Commit>],
        catalog: &Catalog,
        window: Duration,
    ) {
        let mut earliest: Option<u64> = None;
        for commit in commits {
            if commit.catalog.is_some() {
                earliest = Some(0);
            }
            for change in &commit.changes {
                if let Some(collection) = catalog.by_id(change.collection) {
                    let due = due::due_after(change, &collection.settings, commit.ts, window);
                    earliest = earliest.into_iter().chain(due).min();
                }
            }
        }
        if let Some(due) = earliest {
            self.tell(due);
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// From here on, what is told counts.
    fn begin(&self) {
        self.state.lock().due = None;
    }

    /// Sleeps; only stopping ends it early.
    fn rest(&self, pause: Duration) {
        let mut state = self.state.lock();
        if !state.stopped && !pause.is_zero() {
            let stopped = |state: &mut SignalState| !state.stopped;
            self.changed.wait_while_for(&mut state, stopped, pause);
        }
    }

    /// Sleeps until that time, or an earlier one that is told, but not for long at once.
    fn sleep(&self, until: Option<u64>, now: u64) {
        let mut state = self.state.lock();
        let due = until.into_iter().chain(state.due).min();
        let pause = due.map_or(SLEEP_MAX, |due| {
            Duration::from_micros(due.saturating_sub(now)).min(SLEEP_MAX)
        });
        if !state.stopped && !pause.is_zero() {
            let told = state.due;
            let unchanged = |state: &mut SignalState| !state.stopped && state.due == told;
            self.changed.wait_while_for(&mut state, unchanged, pause);
        }
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }
}

/// Takes step after step until it is stopped or the engine is gone.
fn run(shared: &Weak<Shared>, signal: &Signal, runtime: &tokio::runtime::Runtime) {
    while !signal.is_stopped() {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let engine = Engine { shared };
        signal.begin();
        let started = engine.monotonic_micros();
        let step = runtime.block_on(engine.upkeep_step());
        let now = engine.now_micros();
        let took = Duration::from_micros(engine.monotonic_micros().saturating_sub(started));
        // Nothing that sleeps may keep the engine open.
        drop(engine);
        match step {
            Ok(UpkeepStep::Worked { contended: true }) => signal.rest(took * 3),
            Ok(UpkeepStep::Worked { contended: false }) => {}
            Ok(UpkeepStep::Idle { until }) => signal.sleep(until, now),
            Err(_) => signal.rest(FAILED_REST),
        }
    }
}

//! The thread that keeps the live queries of a lane up to date: it follows the commits, finds whom they affect, and runs
//! those again, once for all commits that have come in the meantime.
//!
//! A round takes a snapshot and matches the commits up to it against the index, under the registry's lock; whoever is
//! affected is *stale* until it has been run on a state that includes them. All of a round are run on that snapshot, outside
//! of the lock. Then their results become the newest ones at once, `served_ts` moves to the snapshot's timestamp, and those
//! who wait are woken: so whoever is told sees one state.
//!
//! A run reads what its query has kept of its reads, which the commits that touch it have moved along (see
//! [`KeptReads`]), so that most runs look at no document that has not changed.
//!
//! [`KeptReads`]: thalweg_engine::KeptReads

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustc_hash::FxHashSet;
use thalweg_engine::{Catalog, EngineError, Snapshot};
use thalweg_model::{CollectionId, CommitTs};
use tokio::sync::{Notify, watch};

use crate::index::LiveId;
use crate::live::{Lane, Shared};
use crate::registry::{Ran, ToRun};
use crate::runner::Runner;

/// How long one snapshot is used; a backend's reader must not live long. What a round has not run by then is run on
/// a newer one, and until all is, nobody is told anything.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_secs(10);
/// After a round of so many runs the worker rests for as long as that took, so that under a steady load of writes it takes
/// half a processor at the most, and more commits are shown by one run.
const RUNS_BEFORE_REST: usize = 64;
const REST_MAX: Duration = Duration::from_millis(50);
/// How long to wait before reading a store again that could not be read.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How long a state may be readable before its commits are published. It takes microseconds, unless this process follows
/// another's commits.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(1);

/// A lane that is to be served.
pub(crate) struct Served<R: Runner> {
    shared: Weak<Shared<R>>,
    is_slow: bool,
    nudge: Arc<Notify>,
    head: watch::Receiver<CommitTs>,
    /// No live query of the lane is of older types.
    known: Option<Known>,
}

impl<R: Runner> Served<R> {
    /// A lane that has no live query yet.
    pub(crate) fn new(
        shared: &Arc<Shared<R>>,
        is_slow: bool,
        head: watch::Receiver<CommitTs>,
    ) -> Self {
        Served {
            known: Some(Known::of(shared, shared.engine.catalog())),
            nudge: Arc::clone(&shared.lane(is_slow).nudge),
            shared: Arc::downgrade(shared),
            is_slow,
            head,
        }
    }
}

/// Serves a lane until the engine or the last handle is gone.
pub(crate) async fn run<R: Runner>(served: Served<R>) {
    let Served {
        shared,
        is_slow,
        nudge,
        mut head,
        mut known,
    } = served;
    let mut again = false;
    // While nobody is in the slow lane, commits do not wake its worker.
    let mut sleeps = is_slow;
    loop {
        let alive = tokio::select! {
            changed = head.changed(), if !sleeps => changed.is_ok(),
            () = nudge.notified() => true,
            () = tokio::time::sleep(RETRY_PAUSE), if again => true,
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if !alive {
            shared.close();
        }
        if shared.is_closed() {
            return;
        }
        let lane = shared.lane(is_slow);
        sleeps = is_slow && lane.registry.lock().is_empty();
        if sleeps {
            (again, known) = (false, None);
            continue;
        }
        let begun = Instant::now();
        let done = round(&shared, lane, &mut head, &mut known).await;
        // Where the store cannot be read now, who is stale stays so.
        let done = done.unwrap_or(Round {
            is_whole: false,
            runs: 0,
        });
        again = !done.is_whole;
        drop(shared);
        if done.runs >= RUNS_BEFORE_REST {
            tokio::time::sleep(begun.elapsed().min(REST_MAX)).await;
        }
    }
}

/// What a round has done.
struct Round {
    /// Whether nothing is left for another one, before a commit causes it.
    is_whole: bool,
    /// How many live queries were run.
    runs: usize,
}

/// The types in terms of which the queries of a lane were seen to be valid.
struct Known {
    catalog: Arc<Catalog>,
    version: Option<CommitTs>,
}

impl Known {
    fn of<R: Runner>(shared: &Shared<R>, catalog: Arc<Catalog>) -> Known {
        Known {
            version: shared.runner.version(&catalog),
            catalog,
        }
    }
}

/// One round.
async fn round<R: Runner>(
    shared: &Shared<R>,
    lane: &Lane<R>,
    head: &mut watch::Receiver<CommitTs>,
    known: &mut Option<Known>,
) -> Result<Round, EngineError> {
    let begun = Instant::now();
    head.mark_unchanged();
    let view = shared.engine.snapshot()?;
    let ts = view.ts();
    let published = head.wait_for(|head| *head >= ts);
    match tokio::time::timeout(PUBLISHED_WITHIN, published).await {
        Ok(Ok(_)) => {}
        // The engine is gone, which the caller sees too.
        Ok(Err(_)) => {
            return Ok(Round {
                is_whole: true,
                runs: 0,
            });
        }
        Err(_) => {
            return Ok(Round {
                is_whole: false,
                runs: 0,
            });
        }
    }
    // What was published while it waited counts as seen, and is not among what this round shows.
    if *head.borrow() > ts {
        head.mark_changed();
    }
    if lane.registry.lock().has_arrivals() {
        // With which types they were run in the other lane is not known here.
        *known = None;
    }
    if match_commits(shared, lane, ts) || known.is_none() {
        take_in_types(shared, lane, known, view.catalog());
    }
    let stale: Vec<LiveId> = lane.registry.lock().stale.iter().copied().collect();
    let mut ran = Vec::with_capacity(stale.len());
    let read = run_all(shared, lane, &stale, &view, &mut ran);
    drop(view);
    let mut woken = FxHashSet::default();
    let mut slow = Vec::new();
    let mut registry = lane.registry.lock();
    for (id, ran) in ran {
        match ran {
            Ok(ran) => {
                if registry.ran(id, ts, ran, &mut woken) {
                    slow.push(id);
                }
            }
            Err(errors) => registry.end(id, &errors),
        }
    }
    let is_served = registry.stale.is_empty();
    if is_served {
        registry.serve(ts, &mut woken);
    } else {
        // They are told when everybody is up to date.
        registry.wake_when_served(woken);
    }
    drop(registry);
    if !lane.is_slow {
        shared.slow_down(&slow);
    }
    if !stale.is_empty() {
        shared.figures.rounds.add(1);
        shared.figures.latencies.note(begun.elapsed());
    }
    read?;
    Ok(Round {
        is_whole: is_served,
        runs: stale.len(),
    })
}

/// Runs as many as come to their turn while the snapshot is young; or says with which errors one ends.
fn run_all<R: Runner>(
    shared: &Shared<R>,
    lane: &Lane<R>,
    stale: &[LiveId],
    view: &Snapshot,
    ran: &mut Vec<(LiveId, Result<Ran<R>, Bytes>)>,
) -> Result<(), EngineError> {
    let since = Instant::now();
    for id in stale {
        let Some(ToRun { key, query, kept }) = lane.registry.lock().begin_run(*id) else {
            continue;
        };
        shared.figures.woken.add(1);
        let begun = Instant::now();
        let ready = query.map_or_else(
            || shared.runner.prepare(&key, view.catalog()).map(Arc::new),
            Ok,
        );
        let query = match ready {
            Ok(query) => query,
            Err(errors) => {
                ran.push((*id, Err(errors)));
                continue;
            }
        };
        view.keep_reads(kept);
        let run = catch_unwind(AssertUnwindSafe(|| shared.runner.run(&query, view)));
        let kept = view.take_kept_reads();
        let Ok(evaluation) = run else {
            ran.push((*id, Err(shared.runner.broken())));
            continue;
        };
        let mut done = Ran {
            query,
            evaluation: evaluation?,
            kept,
            took: begun.elapsed(),
        };
        if shared.limits.verify {
            verify(shared, view, &mut done)?;
        }
        ran.push((*id, Ok(done)));
        if since.elapsed() > SNAPSHOT_AGE_MAX {
            break;
        }
    }
    Ok(())
}

/// Compares a result with that of a run in full, which it is replaced by if they differ.
fn verify<R: Runner>(
    shared: &Shared<R>,
    view: &Snapshot,
    done: &mut Ran<R>,
) -> Result<(), EngineError> {
    let fresh = shared.runner.run(&done.query, view)?;
    if fresh.result != done.evaluation.result {
        shared.figures.mismatched.add(1);
        let maintained = &done.evaluation.result;
        shared
            .runner
            .mismatched(&done.query, maintained, &fresh.result);
        done.kept = None;
        done.evaluation = fresh;
    }
    Ok(())
}

/// Marks as stale whom the commits up to `ts` affect. Returns whether one of them changed the catalog.
fn match_commits<R: Runner>(shared: &Shared<R>, lane: &Lane<R>, ts: CommitTs) -> bool {
    let since = lane.registry.lock().matched_ts;
    if since >= ts {
        return false;
    }
    let commits = shared.engine.recent_commits(since);
    let mut registry = lane.registry.lock();
    let registry = &mut *registry;
    registry.matched_ts = registry.matched_ts.max(ts);
    let Some(commits) = commits else {
        // More has come than is kept in memory.
        registry.touch_all();
        return true;
    };
    let mut changes_catalog = false;
    let mut affected = FxHashSet::default();
    for commit in commits.iter().filter(|commit| commit.ts <= ts) {
        registry.index.affected(commit, &mut affected);
        if !lane.is_slow {
            shared.figures.commits.add(1);
        }
        shared.figures.matched.add(affected.len() as u64);
        // Who was registered on a newer snapshot than the last round's shows the commit already.
        for live in affected.drain() {
            registry.touch(live, commit);
        }
        changes_catalog |= commit.catalog.is_some();
    }
    changes_catalog
}

/// The types may have changed: those that they concern are ended, or to be run again.
fn take_in_types<R: Runner>(
    shared: &Shared<R>,
    lane: &Lane<R>,
    known: &mut Option<Known>,
    newest: &Arc<Catalog>,
) {
    let newest = Known::of(shared, Arc::clone(newest));
    let version = known.as_ref().and_then(|known| known.version);
    if version.is_none() || version != newest.version {
        revalidate(shared, lane, &newest.catalog);
    }
    match known {
        Some(known) => wake_readers(lane, &changed_collections(&known.catalog, &newest.catalog)),
        None => lane.registry.lock().all_stale(),
    }
    *known = Some(newest);
}

/// Moves every query on to the newest types, or ends it.
fn revalidate<R: Runner>(shared: &Shared<R>, lane: &Lane<R>, newest: &Arc<Catalog>) {
    let keys = lane.registry.lock().keys();
    for (id, key) in keys {
        let pinned = lane.registry.lock().pinned(id);
        let moved = match pinned {
            Some(query) => shared.runner.revalidate(&query, newest).map(Some),
            None => shared.runner.prepare(&key, newest).map(|_| None),
        };
        let mut registry = lane.registry.lock();
        match moved {
            Ok(pinned) => registry.replace_query(id, pinned),
            Err(errors) => registry.end(id, &errors),
        }
    }
}

/// Those that read a collection whose types have changed are to be run again, since the same documents may be shown
/// differently.
fn wake_readers<R: Runner>(lane: &Lane<R>, changed: &FxHashSet<CollectionId>) {
    if changed.is_empty() {
        return;
    }
    let mut registry = lane.registry.lock();
    for (id, _) in registry.keys() {
        let reads = registry.index.dependencies_of(id);
        let reads_changed = reads.is_some_and(|set| {
            set.reads()
                .iter()
                .any(|read| changed.contains(&read.collection))
        });
        if reads_changed {
            registry.stale.insert(id);
        }
    }
}

fn changed_collections(known: &Catalog, newest: &Catalog) -> FxHashSet<CollectionId> {
    let same = |id| match (known.by_id(id), newest.by_id(id)) {
        (Some(known), Some(newest)) => known.schema == newest.schema,
        _ => false,
    };
    let ids = known
        .collections()
        .chain(newest.collections())
        .map(|collection| collection.id);
    ids.filter(|id| !same(*id)).collect()
}

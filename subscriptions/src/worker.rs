//! The thread that keeps live queries up to date: it follows the commits, finds whom they affect, and runs those
//! again, once for all commits that have come in the meantime.
//!
//! A round takes a snapshot and matches the commits up to it against the index, under the registry's lock; whoever is
//! affected is *stale* until it has been run on a state that includes them. All of a round are run on that snapshot, outside
//! of the lock. Then their results become the newest ones at once, `served_ts` moves to the snapshot's timestamp, and those
//! who wait are woken: so whoever is told sees one state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;
use thalweg_engine::{Catalog, EngineError, Snapshot};
use thalweg_model::{CollectionId, CommitTs};
use tokio::sync::watch;

use crate::index::LiveId;
use crate::live::Shared;
use crate::runner::{Evaluation, Runner};

/// How long one snapshot is used; a backend's reader must not live long. What a round has not run by then is run on
/// a newer one, and until all is, nobody is told anything.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_secs(10);
/// How long to wait before reading a store again that could not be read.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How long a state may be readable before its commits are published. It takes microseconds, unless this process follows
/// another's commits.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(1);

/// Serves until the engine or the last handle is gone.
pub(crate) async fn run<R: Runner>(shared: Weak<Shared<R>>, mut head: watch::Receiver<CommitTs>) {
    let Some(nudge) = shared.upgrade().map(|shared| Arc::clone(&shared.nudge)) else {
        return;
    };
    let mut again = false;
    let mut catalog = None;
    loop {
        let alive = tokio::select! {
            changed = head.changed() => changed.is_ok(),
            () = nudge.notified() => true,
            () = tokio::time::sleep(RETRY_PAUSE), if again => true,
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if !alive {
            shared.close();
            return;
        }
        let known = catalog.get_or_insert_with(|| shared.engine.catalog());
        // Where the store cannot be read now, who is stale stays so.
        again = round(&shared, &mut head, known).await.unwrap_or(true);
    }
}

/// What became of a live query in a round.
enum Ran {
    Evaluated(Evaluation),
    Panicked,
}

/// One round. Returns whether something is left for another one, without a commit that causes it.
async fn round<R: Runner>(
    shared: &Shared<R>,
    head: &mut watch::Receiver<CommitTs>,
    known: &mut Arc<Catalog>,
) -> Result<bool, EngineError> {
    let begun = Instant::now();
    head.mark_unchanged();
    let view = shared.engine.snapshot()?;
    let ts = view.ts();
    let published = head.wait_for(|head| *head >= ts);
    match tokio::time::timeout(PUBLISHED_WITHIN, published).await {
        Ok(Ok(_)) => {}
        // The engine is gone, which the caller sees too.
        Ok(Err(_)) => return Ok(false),
        Err(_) => return Ok(true),
    }
    if match_commits(shared, ts) {
        revalidate(shared, known, view.catalog());
        *known = Arc::clone(view.catalog());
    }
    let stale: Vec<LiveId> = shared.registry.lock().stale.iter().copied().collect();
    let mut ran = Vec::with_capacity(stale.len());
    let read = run_all(shared, &stale, &view, &mut ran);
    drop(view);
    let mut woken = FxHashSet::default();
    let mut registry = shared.registry.lock();
    for (id, ran) in ran {
        match ran {
            Ran::Evaluated(evaluation) => registry.update(id, ts, &evaluation, &mut woken),
            Ran::Panicked => registry.end(id, &shared.runner.broken()),
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
    if !stale.is_empty() {
        shared.figures.rounds.add(1);
        shared.figures.latencies.note(begun.elapsed());
    }
    read?;
    Ok(!is_served)
}

/// Runs as many as come to their turn while the snapshot is young.
fn run_all<R: Runner>(
    shared: &Shared<R>,
    stale: &[LiveId],
    view: &Snapshot,
    ran: &mut Vec<(LiveId, Ran)>,
) -> Result<(), EngineError> {
    let since = Instant::now();
    for id in stale {
        let Some(query) = shared.registry.lock().query(*id) else {
            continue;
        };
        shared.figures.re_executed.add(1);
        match catch_unwind(AssertUnwindSafe(|| shared.runner.run(&query, view))) {
            Ok(evaluation) => ran.push((*id, Ran::Evaluated(evaluation?))),
            Err(_) => ran.push((*id, Ran::Panicked)),
        }
        if since.elapsed() > SNAPSHOT_AGE_MAX {
            break;
        }
    }
    Ok(())
}
/// Marks as stale whom the commits up to `ts` affect. Returns whether one of them changed the catalog.
fn match_commits<R: Runner>(shared: &Shared<R>, ts: CommitTs) -> bool {
    let since = shared.registry.lock().matched_ts;
    if since >= ts {
        return false;
    }
    let commits = shared.engine.recent_commits(since);
    let mut registry = shared.registry.lock();
    let registry = &mut *registry;
    registry.matched_ts = ts;
    let Some(commits) = commits else {
        // More has come than is kept in memory.
        let all = registry.queries();
        registry.stale.extend(all.into_iter().map(|(id, _)| id));
        return true;
    };
    let mut changes_catalog = false;
    let mut affected = FxHashSet::default();
    for commit in commits.iter().filter(|commit| commit.ts <= ts) {
        registry.index.affected(commit, &mut affected);
        shared.figures.commits.add(1);
        shared.figures.matched.add(affected.len() as u64);
        // Who was registered on a newer snapshot than the last round's shows the commit already.
        for live in affected.drain() {
            if !registry.shows(live, commit.ts) {
                registry.stale.insert(live);
            }
        }
        changes_catalog |= commit.catalog.is_some();
    }
    changes_catalog
}

/// Moves every query on to the newest types, or ends it. Those that read a collection whose types have changed are
/// stale, since the same documents may be shown differently.
fn revalidate<R: Runner>(shared: &Shared<R>, known: &Catalog, newest: &Arc<Catalog>) {
    let changed = changed_collections(known, newest);
    let queries = shared.registry.lock().queries();
    for (id, query) in queries {
        match shared.runner.revalidate(&query, newest) {
            Ok(query) => {
                let key = shared.runner.key(&query);
                let mut registry = shared.registry.lock();
                registry.update_query(id, query, key);
                let reads_changed = registry.index.dependencies_of(id).is_some_and(|set| {
                    set.reads()
                        .iter()
                        .any(|read| changed.contains(&read.collection))
                });
                if reads_changed {
                    registry.stale.insert(id);
                }
            }
            Err(errors) => shared.registry.lock().end(id, &errors),
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

//! The thread that keeps live queries up to date: it follows the commits, finds whom they affect, and runs those
//! again, once for all commits that have come in the meantime.
//!
//! A round first matches the commits against the index, under the registry's lock, and moves `matched_ts`; whoever is
//! affected is *stale* until it has been run on a state that includes them. Running is outside of the lock. Only when
//! nothing is stale any more does `served_ts` move, so a subscriber that waits for it sees what was committed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;
use thalweg_engine::{Catalog, Commit, EngineError, Snapshot};
use thalweg_model::{CollectionId, CommitTs};
use tokio::sync::watch;

use crate::live::Shared;
use crate::runner::Runner;

/// How long one snapshot is used; a backend's reader must not live long.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_secs(1);
/// How long to wait before reading a store again that could not be read.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the engine or the last handle is gone.
pub(crate) async fn run<R: Runner>(shared: Weak<Shared<R>>, mut head: watch::Receiver<CommitTs>) {
    let Some(nudge) = shared.upgrade().map(|shared| Arc::clone(&shared.nudge)) else {
        return;
    };
    let mut retry = false;
    let mut catalog = None;
    loop {
        let alive = tokio::select! {
            changed = head.changed() => changed.is_ok(),
            () = nudge.notified() => true,
            () = tokio::time::sleep(RETRY_PAUSE), if retry => true,
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if !alive {
            shared.close();
            return;
        }
        let known = catalog.get_or_insert_with(|| shared.engine.catalog());
        retry = match serve(&shared, &mut head, known) {
            Ok(()) => false,
            // The store cannot be read now. Who is stale stays so.
            Err(_) => true,
        };
    }
}

fn serve<R: Runner>(
    shared: &Shared<R>,
    head: &mut watch::Receiver<CommitTs>,
    known: &mut Arc<Catalog>,
) -> Result<(), EngineError> {
    let ts = *head.borrow_and_update();
    let new_catalog = match_commits(shared, ts);
    if new_catalog {
        let newest = shared.engine.catalog();
        revalidate(shared, known, &newest);
        *known = newest;
    }
    let stale: Vec<_> = shared.registry.lock().stale.iter().copied().collect();
    let mut snapshot: Option<(Snapshot, Instant)> = None;
    for id in stale {
        let Some(query) = shared.registry.lock().query(id) else {
            continue;
        };
        let fresh = snapshot
            .take()
            .filter(|(_, since)| since.elapsed() < SNAPSHOT_AGE_MAX);
        let (view, _) = match fresh {
            Some(fresh) => snapshot.insert(fresh),
            None => snapshot.insert((shared.engine.snapshot()?, Instant::now())),
        };
        match catch_unwind(AssertUnwindSafe(|| shared.runner.run(&query, view))) {
            Ok(evaluation) => shared.registry.lock().update(id, view.ts(), evaluation?),
            Err(_) => shared.registry.lock().end(id, shared.runner.broken()),
        }
    }
    shared
        .served_ts
        .send_if_modified(|served| std::mem::replace(served, ts.max(*served)) < ts);
    Ok(())
}

/// Marks as stale whom the commits up to `ts` affect. Returns whether one of them changed the catalog.
fn match_commits<R: Runner>(shared: &Shared<R>, ts: CommitTs) -> bool {
    let since = shared.registry.lock().matched_ts;
    let commits = shared.engine.recent_commits(since);
    let mut registry = shared.registry.lock();
    let registry = &mut *registry;
    registry.matched_ts = registry.matched_ts.max(ts);
    match commits {
        Some(commits) => {
            for commit in &commits {
                registry.index.affected(commit, &mut registry.stale);
                registry.matched_ts = registry.matched_ts.max(commit.ts);
            }
            commits
                .iter()
                .any(|commit: &Arc<Commit>| commit.catalog.is_some())
        }
        // More has come than is kept in memory.
        None => {
            let all = registry.queries();
            registry.stale.extend(all.into_iter().map(|(id, _)| id));
            true
        }
    }
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
            Err(errors) => shared.registry.lock().end(id, errors),
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

//! The thread that keeps live queries up to date: it follows the commits, finds whom they affect, and runs those
//! again, once for all commits that have come in the meantime.

use std::sync::{Arc, Weak};

use rustc_hash::FxHashSet;
use thalweg_engine::{Catalog, Commit};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::index::LiveId;
use crate::live::Shared;
use crate::runner::Runner;

/// What came in since the last round.
enum Round {
    Commits(Vec<Arc<Commit>>),
    /// So much that some commits were dropped.
    Missed,
    /// Somebody asks for stale queries to be run again.
    Nudge,
    /// The engine is gone.
    Closed,
}

/// Serves until the engine or the last handle is gone.
pub(crate) async fn run<R: Runner>(shared: Weak<Shared<R>>, mut commits: Receiver<Arc<Commit>>) {
    let Some(nudge) = shared.upgrade().map(|shared| Arc::clone(&shared.nudge)) else {
        return;
    };
    loop {
        let round = tokio::select! {
            received = commits.recv() => gather(received, &mut commits),
            () = nudge.notified() => Round::Nudge,
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match round {
            Round::Closed => return,
            round => serve(&shared, &round),
        }
    }
}

fn gather(received: Result<Arc<Commit>, RecvError>, commits: &mut Receiver<Arc<Commit>>) -> Round {
    let mut batch = match received {
        Ok(commit) => vec![commit],
        Err(RecvError::Lagged(_)) => return Round::Missed,
        Err(RecvError::Closed) => return Round::Closed,
    };
    loop {
        match commits.try_recv() {
            Ok(commit) => batch.push(commit),
            Err(TryRecvError::Lagged(_)) => return Round::Missed,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Round::Commits(batch),
        }
    }
}

fn serve<R: Runner>(shared: &Shared<R>, round: &Round) {
    let Ok(snapshot) = shared.engine.snapshot() else {
        // The store cannot be read now. Everybody is run again with the first commit after it can.
        let mut registry = shared.registry.lock();
        let all = registry.queries().into_iter().map(|(id, _)| id);
        registry.stale.extend(all);
        return;
    };
    let mut affected = FxHashSet::default();
    let mut new_catalog = false;
    {
        let mut registry = shared.registry.lock();
        affected.extend(std::mem::take(&mut registry.stale));
        match round {
            Round::Commits(commits) => {
                for commit in commits {
                    registry.index.affected(commit, &mut affected);
                    new_catalog |= commit.catalog.is_some();
                    registry.matched_ts = registry.matched_ts.max(commit.ts);
                }
            }
            Round::Missed => {
                affected.extend(registry.queries().into_iter().map(|(id, _)| id));
                new_catalog = true;
                // What was missed is older than the snapshot, which all are run on.
                registry.matched_ts = registry.matched_ts.max(snapshot.ts());
            }
            Round::Nudge | Round::Closed => {}
        }
    }
    if new_catalog {
        revalidate(shared, snapshot.catalog(), &mut affected);
    }
    for id in affected {
        let Some(query) = shared.registry.lock().query(id) else {
            continue;
        };
        let evaluation = shared.runner.run(&query, &snapshot);
        shared.registry.lock().update(id, snapshot.ts(), evaluation);
    }
    shared.served_ts.send_if_modified(|served| {
        let newer = snapshot.ts() > *served;
        *served = snapshot.ts().max(*served);
        newer
    });
}

/// Moves every query on to the newest types, or ends it.
fn revalidate<R: Runner>(
    shared: &Shared<R>,
    catalog: &Arc<Catalog>,
    affected: &mut FxHashSet<LiveId>,
) {
    let queries = shared.registry.lock().queries();
    for (id, query) in queries {
        match shared.runner.revalidate(&query, catalog) {
            Ok(query) => {
                let key = shared.runner.key(&query);
                shared.registry.lock().update_query(id, query, key);
                // New types may show the same documents differently.
                affected.insert(id);
            }
            Err(errors) => shared.registry.lock().end(id, errors),
        }
    }
}

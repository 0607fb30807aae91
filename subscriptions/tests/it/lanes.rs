//! A query that is slow to run delays those alone who follow it, and they too see one state at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use thalweg_engine::{Catalog, EngineError, Snapshot};
use thalweg_model::CommitTs;
use thalweg_subscriptions::{Evaluation, LiveLimits, LiveQueries, Runner};

use crate::delivery::{Client, ONE, PATCHES, Rows, TWO, world_of};
use crate::{Keyed, Query, all, commit, equal, query, set};

/// Runs queries with a name that begins with `slow` slowly, and not at all while it is held.
#[derive(Clone, Default)]
struct Slow {
    is_held: Arc<AtomicBool>,
}

impl Runner for Slow {
    type Query = Arc<Query>;
    type Key = Keyed;

    fn key(&self, query: &Arc<Query>) -> Arc<Keyed> {
        Rows.key(query)
    }

    fn prepare(&self, key: &Keyed, catalog: &Arc<Catalog>) -> Result<Arc<Query>, Bytes> {
        Rows.prepare(key, catalog)
    }

    fn is_more_than_its_key(&self, query: &Arc<Query>) -> bool {
        Rows.is_more_than_its_key(query)
    }

    fn version(&self, catalog: &Arc<Catalog>) -> Option<CommitTs> {
        Rows.version(catalog)
    }

    fn run(&self, query: &Arc<Query>, snapshot: &Snapshot) -> Result<Evaluation, EngineError> {
        if query.name.starts_with("slow") {
            std::thread::sleep(Duration::from_millis(11));
            while self.is_held.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Rows.run(query, snapshot)
    }

    fn revalidate(&self, query: &Arc<Query>, catalog: &Arc<Catalog>) -> Result<Arc<Query>, Bytes> {
        Rows.revalidate(query, catalog)
    }

    fn broken(&self) -> Bytes {
        Rows.broken()
    }

    fn mismatched(&self, query: &Arc<Query>, maintained: &[u8], fresh: &[u8]) {
        Rows.mismatched(query, maintained, fresh);
    }
}

fn slow() -> Arc<Query> {
    query("slow by k", equal("k", 1), "n", 100)
}

async fn world() -> (thalweg_engine::Engine, LiveQueries<Slow>, Arc<AtomicBool>) {
    let runner = Slow::default();
    let is_held = Arc::clone(&runner.is_held);
    let (engine, live) = world_of(runner, LiveLimits::default()).await;
    (engine, live, is_held)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_query_delays_those_alone_who_follow_it() {
    let (engine, live, is_held) = world().await;
    let (patient, hasty) = (live.connect(), live.connect());
    patient.subscribe(ONE, slow(), PATCHES).await.unwrap();
    patient.subscribe(TWO, all(), PATCHES).await.unwrap();
    hasty.subscribe(ONE, all(), PATCHES).await.unwrap();
    let (mut slowly, mut at_once) = (Client::default(), Client::default());
    // It is slow twice, and then has a lane of its own.
    for title in ["a", "b", "c"] {
        commit(&engine, set("07", "title", &format!("\"{title}\""))).await;
        while at_once.data.is_empty() || at_once.title_of(ONE, "07") != title {
            at_once.next(&hasty).await;
        }
        while slowly.data.len() < 2 || slowly.title_of(ONE, "07") != title {
            slowly.next(&patient).await;
        }
    }
    is_held.store(true, Ordering::SeqCst);
    for title in ["d", "e"] {
        commit(&engine, set("07", "title", &format!("\"{title}\""))).await;
        at_once.next(&hasty).await;
        assert_eq!(at_once.title_of(ONE, "07"), title);
    }
    slowly.hears_nothing(&patient).await;
    is_held.store(false, Ordering::SeqCst);
    while slowly.title_of(ONE, "07") != "e" {
        slowly.next(&patient).await;
        assert_eq!(slowly.title_of(ONE, "07"), slowly.title_of(TWO, "07"));
    }
    // A state that it skipped is no state that it misses; what it has, it has once.
    slowly.hears_nothing(&patient).await;
    drop(patient);
    assert_eq!(live.live_queries(), 1);
    drop(hasty);
    assert_eq!(live.live_queries(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_lanes_sees_one_state_at_a_time() {
    let (engine, live, _) = world().await;
    let mut clients = Vec::new();
    for n in 0..6 {
        let connection = live.connect();
        connection.subscribe(ONE, all(), PATCHES).await.unwrap();
        if n % 2 == 0 {
            connection.subscribe(TWO, slow(), PATCHES).await.unwrap();
        }
        clients.push((
            connection,
            Client::default(),
            if n % 2 == 0 { 2 } else { 1 },
        ));
    }
    let writer = tokio::spawn(async move {
        for n in 0..200 {
            commit(&engine, set("07", "title", &format!("\"{n}\""))).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let follow = |(connection, mut client, subscriptions): (_, Client, usize)| async move {
        loop {
            client.next::<Slow>(&connection).await;
            let is_whole = client.data.len() == subscriptions;
            if is_whole && subscriptions == 2 {
                let (one, two) = (client.title_of(ONE, "07"), client.title_of(TWO, "07"));
                assert_eq!(one, two, "at {}", client.ts);
            }
            if is_whole && client.title_of(ONE, "07") == "199" {
                client.hears_nothing(&connection).await;
                break;
            }
        }
    };
    let followers: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(follow(client)))
        .collect();
    for follower in followers {
        follower.await.unwrap();
    }
    writer.await.unwrap();
    assert_eq!(live.live_queries(), 0);
}

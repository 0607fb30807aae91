//! Several servers on one store: one leads, the others follow, and one of them takes over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use thalweg_engine::{Engine, EngineOptions, Role};
use thalweg_model::{CommitTs, ErrorCode};
use thalweg_storage::{
    Backend, Batch, CommitError, Leadership, MemoryBackend, Snapshot, StorageError, Usage, Wake,
};

use crate::fixture::{collection, commit, create, increment, json_of, patch};

/// A store in memory that several servers use.
#[derive(Default)]
struct Shared {
    inner: MemoryBackend,
    leader: Mutex<Option<Arc<AtomicBool>>>,
    wakes: Mutex<Vec<Wake>>,
    is_away: AtomicBool,
    /// The next batch lands, but its answer is lost.
    loses_answer: AtomicBool,
}

/// One server's way to it.
struct Connection(Arc<Shared>);

struct Guard {
    shared: Arc<Shared>,
    is_held: Arc<AtomicBool>,
}

impl Leadership for Guard {
    fn is_held(&self) -> bool {
        self.is_held.load(Ordering::SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut leader = self.shared.leader.lock();
        if leader
            .as_ref()
            .is_some_and(|held| Arc::ptr_eq(held, &self.is_held))
        {
            *leader = None;
        }
    }
}

impl Shared {
    fn check(&self) -> Result<(), StorageError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(StorageError::Unavailable {
                reason: "the test has stopped it".into(),
            });
        }
        Ok(())
    }

    /// As when the leader's connection is cut.
    fn cut_leader(&self) {
        if let Some(held) = self.leader.lock().take() {
            held.store(false, Ordering::SeqCst);
        }
    }
}

impl Backend for Connection {
    fn name(&self) -> &'static str {
        "shared"
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        self.0.check()?;
        self.0.inner.snapshot()
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        self.0.check().map_err(CommitError::NotCommitted)?;
        self.0.inner.commit(batch)?;
        if self.0.loses_answer.swap(false, Ordering::SeqCst) {
            return Err(CommitError::Indeterminate(StorageError::Unavailable {
                reason: "the answer was lost".into(),
            }));
        }
        for wake in self.0.wakes.lock().iter() {
            wake();
        }
        Ok(())
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        self.0.inner.usage()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn lead(&self) -> Result<Option<Box<dyn Leadership>>, StorageError> {
        self.0.check()?;
        let mut leader = self.0.leader.lock();
        if leader.is_some() {
            return Ok(None);
        }
        let is_held = Arc::new(AtomicBool::new(true));
        *leader = Some(Arc::clone(&is_held));
        Ok(Some(Box::new(Guard {
            shared: Arc::clone(&self.0),
            is_held,
        })))
    }

    fn on_commit(&self, wake: Wake) {
        self.0.wakes.lock().push(wake);
    }
}

fn open(shared: &Arc<Shared>) -> Engine {
    let connection = Arc::new(Connection(Arc::clone(shared)));
    Engine::open(connection, EngineOptions::default()).unwrap()
}

/// Waits for what the keeper does in its own time.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("this did not come to be: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_reads_what_was_acknowledged_and_is_woken() {
    let shared = Arc::new(Shared::default());
    let leader = open(&shared);
    let follower = open(&shared);
    assert_eq!(
        (leader.role(), follower.role()),
        (Role::Leader, Role::Follower)
    );
    let mut head = follower.head();
    for n in 0..50 {
        // Each brings a new field, so the catalog changes too.
        let json = format!(r#"{{"id":"{n}","n":0,"field{n}":1}}"#);
        let committed = commit(&leader, vec![create("a", &json)]).await.unwrap();
        let snapshot = follower.snapshot().unwrap();
        assert!(snapshot.ts() >= committed.commit_ts);
        let a = snapshot.catalog().by_name("a").unwrap();
        assert_eq!(a.schema.object.fields.len(), 2 + n, "{:?}", a.schema.object);
        assert_eq!(json_of(&snapshot, a.id, &n.to_string()).unwrap(), json);
    }
    let newest = *leader.head().borrow();
    head.wait_for(|head| *head >= newest).await.unwrap();
    let told = follower.recent_commits(CommitTs::ZERO).unwrap();
    let made = leader.recent_commits(CommitTs::ZERO).unwrap();
    assert_eq!(told.len(), made.len());
    for (told, made) in told.iter().zip(&made) {
        assert_eq!(told.ts, made.ts);
        assert_eq!(told.catalog.is_some(), made.catalog.is_some());
        assert_eq!(format!("{:?}", told.changes), format!("{:?}", made.changes));
    }
    let refused = commit(&follower, vec![create("a", "{}")])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable);
    assert!(
        refused.to_string().contains("follows another one"),
        "{refused}"
    );
    follower.ready().unwrap();
    leader.close();
    follower.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_takes_over_when_the_leader_ends() {
    let shared = Arc::new(Shared::default());
    let leader = open(&shared);
    let follower = open(&shared);
    commit(&leader, vec![create("a", r#"{"id":"x","n":1}"#)])
        .await
        .unwrap();
    leader.close();
    until("the follower leads", || follower.role() == Role::Leader).await;
    let a = collection(&follower, "a");
    let committed = commit(&follower, vec![patch(a, "x", vec![increment("n", 1)])])
        .await
        .unwrap();
    let snapshot = follower.snapshot().unwrap();
    assert_eq!(json_of(&snapshot, a, "x").unwrap(), r#"{"id":"x","n":2}"#);
    assert_eq!(snapshot.ts(), committed.commit_ts);
    follower.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_cut_off_follows_the_next_one() {
    let shared = Arc::new(Shared::default());
    let first = open(&shared);
    let second = open(&shared);
    commit(&first, vec![create("a", r#"{"id":"x","n":1}"#)])
        .await
        .unwrap();
    shared.cut_leader();
    let engines = [&first, &second];
    let leads = |engine: &&&Engine| engine.role() == Role::Leader && engine.ready().is_ok();
    until("one leads and one follows", || {
        // The one that was cut off does not know it before its keeper looks.
        shared.leader.lock().is_some() && engines.iter().filter(leads).count() == 1
    })
    .await;
    let a = collection(&first, "a");
    let mut done = false;
    for engine in engines {
        done |= commit(engine, vec![patch(a, "x", vec![increment("n", 1)])])
            .await
            .is_ok();
    }
    assert!(done);
    for engine in engines {
        let json = json_of(&engine.snapshot().unwrap(), a, "x").unwrap();
        assert_eq!(json, r#"{"id":"x","n":2}"#);
        engine.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_gets_over_a_lost_answer_and_a_store_that_was_away() {
    let shared = Arc::new(Shared::default());
    let engine = open(&shared);
    commit(&engine, vec![create("a", r#"{"id":"x","n":0}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let add = || commit(&engine, vec![patch(a, "x", vec![increment("n", 1)])]);
    let mut head = engine.head();
    head.mark_unchanged();
    shared.loses_answer.store(true, Ordering::SeqCst);
    let lost = add().await.unwrap_err();
    assert_eq!(lost.code(), ErrorCode::Indeterminate);
    // It has landed, and whoever follows is told once that is known.
    head.changed().await.unwrap();
    until("it writes again", || engine.ready().is_ok()).await;
    add().await.unwrap();
    shared.is_away.store(true, Ordering::SeqCst);
    assert!(add().await.is_err());
    assert!(engine.ready().is_err());
    shared.cut_leader();
    until("it has noticed", || engine.role() == Role::Follower).await;
    shared.is_away.store(false, Ordering::SeqCst);
    until("it leads again", || engine.role() == Role::Leader).await;
    add().await.unwrap();
    let json = json_of(&engine.snapshot().unwrap(), a, "x").unwrap();
    assert_eq!(json, r#"{"id":"x","n":3}"#);
    engine.close();
}

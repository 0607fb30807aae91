//! Several servers on one store: one leads, the others follow, and one of them takes over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use thalweg_engine::{ChangeStream, ChangesStart, Engine, EngineOptions, Intent, Role};
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
struct Connection {
    shared: Arc<Shared>,
    is_cut: Arc<AtomicBool>,
}

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
        self.shared.check()?;
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(StorageError::Unavailable {
                reason: "the test has cut the connection".into(),
            });
        }
        self.shared.inner.snapshot()
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        self.shared.check().map_err(CommitError::NotCommitted)?;
        self.shared.inner.commit(batch)?;
        if self.shared.loses_answer.swap(false, Ordering::SeqCst) {
            return Err(CommitError::Indeterminate(StorageError::Unavailable {
                reason: "the answer was lost".into(),
            }));
        }
        for wake in self.shared.wakes.lock().iter() {
            wake();
        }
        Ok(())
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        self.shared.inner.usage()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn lead(&self) -> Result<Option<Box<dyn Leadership>>, StorageError> {
        self.shared.check()?;
        let mut leader = self.shared.leader.lock();
        if leader.is_some() {
            return Ok(None);
        }
        let is_held = Arc::new(AtomicBool::new(true));
        *leader = Some(Arc::clone(&is_held));
        Ok(Some(Box::new(Guard {
            shared: Arc::clone(&self.shared),
            is_held,
        })))
    }

    fn on_commit(&self, wake: Wake) {
        self.shared.wakes.lock().push(wake);
    }
}

fn open(shared: &Arc<Shared>) -> Engine {
    open_cuttable(shared).0
}

/// A server, and what cuts it off from the store.
fn open_cuttable(shared: &Arc<Shared>) -> (Engine, Arc<AtomicBool>) {
    let is_cut = Arc::new(AtomicBool::new(false));
    let connection = Connection {
        shared: Arc::clone(shared),
        is_cut: Arc::clone(&is_cut),
    };
    let engine = Engine::open(Arc::new(connection), EngineOptions::default()).unwrap();
    (engine, is_cut)
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

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_cut_off_knows_the_newest_catalog() {
    let shared = Arc::new(Shared::default());
    let leader = open(&shared);
    commit(&leader, vec![create("a", r#"{"id":"x","n":1}"#)])
        .await
        .unwrap();
    let a = collection(&leader, "a");
    let (follower, is_cut) = open_cuttable(&shared);
    is_cut.store(true, Ordering::SeqCst);
    commit(&leader, vec![create("b", "{}")]).await.unwrap();
    let last = commit(&leader, vec![patch(a, "x", vec![increment("n", 1)])]).await;
    is_cut.store(false, Ordering::SeqCst);
    let last = last.unwrap().commit_ts;
    until("it has caught up", || *follower.head().borrow() == last).await;
    assert!(follower.catalog().by_name("b").is_some());
}

/// A commit whose images are gone cannot be published, but the change stream still tells it.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_cut_off_while_a_collection_was_emptied_looks_anew() {
    let shared = Arc::new(Shared::default());
    let leader = open(&shared);
    let begun = commit(&leader, vec![create("a", r#"{"id":"x","n":1}"#)]).await;
    let begun = begun.unwrap().commit_ts;
    let a = collection(&leader, "a");
    let (follower, is_cut) = open_cuttable(&shared);
    let start = ChangesStart::After(begun);
    let mut changes = ChangeStream::open(&follower, None, start).unwrap();
    is_cut.store(true, Ordering::SeqCst);
    commit(&leader, vec![patch(a, "x", vec![increment("n", 1)])])
        .await
        .unwrap();
    let truncate = Intent::TruncateCollection { name: "a".into() };
    let last = commit(&leader, vec![truncate]).await.unwrap().commit_ts;
    is_cut.store(false, Ordering::SeqCst);
    until("it has caught up", || *follower.head().borrow() == last).await;
    assert!(follower.recent_commits(begun).is_none());
    let page = changes.next().await.unwrap().unwrap();
    let told: Vec<_> = page
        .events
        .iter()
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(told, ["UPDATE", "TRUNCATE"]);
    assert!(page.events[0].after.is_none());
}

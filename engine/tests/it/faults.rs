//! A backend that can be held up and made to fail: what happens inside a group, and after a batch went wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use thalweg_engine::{
    Choice, CollectionRef, Engine, EngineError, EngineOptions, FieldMask, FieldRef, Find,
    IndexDefinition, IndexId, IndexStatus, Intent, MaintenanceMode, Predicate, Test,
    TransactionError,
};
use thalweg_model::ErrorCode;
use thalweg_storage::{Backend, Batch, CommitError, MemoryBackend, Snapshot, StorageError, Usage};

use crate::fixture::{collection, commit, create, id, json_of, patch, set};

/// What becomes of the next batches.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    Commit,
    /// Waits until the fate changes.
    Hold,
    Refuse,
    /// Lands, but says that it does not know.
    LandUnknown,
}

pub(crate) struct Faulty {
    inner: MemoryBackend,
    fate: Mutex<Fate>,
    changed: Condvar,
    held: AtomicUsize,
}

impl Faulty {
    pub(crate) fn new() -> Arc<Faulty> {
        Arc::new(Faulty {
            inner: MemoryBackend::new(),
            fate: Mutex::new(Fate::Commit),
            changed: Condvar::new(),
            held: AtomicUsize::new(0),
        })
    }

    pub(crate) fn set(&self, fate: Fate) {
        *self.fate.lock() = fate;
        self.changed.notify_all();
    }

    async fn wait_until_held(&self) {
        while self.held.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn broken() -> StorageError {
    StorageError::Unavailable {
        reason: "says the test".into(),
    }
}

impl Backend for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        self.inner.snapshot()
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let mut fate = self.fate.lock();
        while *fate == Fate::Hold {
            self.held.fetch_add(1, Ordering::SeqCst);
            self.changed.wait(&mut fate);
        }
        match *fate {
            Fate::Refuse => Err(CommitError::NotCommitted(broken())),
            Fate::LandUnknown => {
                self.inner.commit(batch)?;
                Err(CommitError::Indeterminate(broken()))
            }
            Fate::Commit | Fate::Hold => self.inner.commit(batch),
        }
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        self.inner.usage()
    }
}

fn open(backend: &Arc<Faulty>) -> Engine {
    Engine::open(
        Arc::clone(backend) as Arc<dyn Backend>,
        EngineOptions::default(),
    )
    .unwrap()
}

/// Waits until everything that was spawned has been sent to the committer, which is held.
async fn let_them_queue() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_dependency_is_checked_inside_a_group_too() {
    let backend = Faulty::new();
    let engine = open(&backend);
    commit(&engine, vec![create("seed", r#"{"id":1}"#)])
        .await
        .unwrap();
    backend.set(Fate::Hold);
    let spawn = |intent: Intent| {
        let engine = engine.clone();
        tokio::spawn(async move { commit(&engine, vec![intent]).await })
    };
    let plug = spawn(create("seed", r#"{"id":2}"#));
    backend.wait_until_held().await;
    let creates = spawn(Intent::CreateCollection { name: "x".into() });
    let_them_queue().await;
    let looks = {
        let engine = engine.clone();
        tokio::spawn(async move {
            engine
                .transact(|transaction| {
                    let there = transaction.catalog().by_name("x").is_some();
                    transaction.write(create("seed", r#"{"note":1}"#))?;
                    Ok(there)
                })
                .await
        })
    };
    let_them_queue().await;
    backend.set(Fate::Commit);
    plug.await.unwrap().unwrap();
    let created = creates.await.unwrap().unwrap();
    let looked = looks.await.unwrap().unwrap();
    assert!(looked.commit_ts < created.commit_ts || looked.value);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_conflict_costs_one_more_run() {
    let backend = Faulty::new();
    let engine = open(&backend);
    commit(&engine, vec![create("a", r#"{"id":"x","n":0}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    backend.set(Fate::Hold);
    let first = {
        let engine = engine.clone();
        tokio::spawn(async move { commit(&engine, vec![create("b", "{}")]).await })
    };
    backend.wait_until_held().await;
    let writes = {
        let engine = engine.clone();
        tokio::spawn(async move { commit(&engine, vec![patch(a, "x", vec![set("n", "1")])]).await })
    };
    let_them_queue().await;
    let runs = Arc::new(AtomicU32::new(0));
    let reads = {
        let (engine, runs) = (engine.clone(), Arc::clone(&runs));
        tokio::spawn(async move {
            engine
                .transact(move |transaction| {
                    runs.fetch_add(1, Ordering::SeqCst);
                    let record = transaction
                        .get(a, &id("x"), FieldMask::all())?
                        .expect("there");
                    let n = record
                        .document()
                        .get("n")
                        .and_then(|n| n.as_i64())
                        .expect("a number");
                    transaction.write(patch(a, "x", vec![set("seen", &n.to_string())]))?;
                    Ok(())
                })
                .await
        })
    };
    let_them_queue().await;
    backend.set(Fate::Commit);
    first.await.unwrap().unwrap();
    writes.await.unwrap().unwrap();
    reads.await.unwrap().unwrap();
    let json = json_of(&engine.snapshot().unwrap(), a, "x").unwrap();
    assert_eq!(json, r#"{"id":"x","n":1,"seen":1}"#);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

/// In one group: documents that a build has not come to are written, it comes to its end, and one is written again.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_build_and_writes_share_a_group() {
    let backend = Faulty::new();
    let options = EngineOptions {
        maintenance: MaintenanceMode::Manual,
        ..EngineOptions::default()
    };
    let engine = Engine::open(Arc::clone(&backend) as Arc<dyn Backend>, options).unwrap();
    let index = |unique| Intent::CreateIndex {
        collection: CollectionRef::Name {
            name: "a".into(),
            create: true,
        },
        definition: IndexDefinition::parse(["n"], unique).unwrap(),
    };
    for of in ["w", "x", "y"] {
        let json = format!(r#"{{"id":"{of}","n":"{of}"}}"#);
        commit(&engine, vec![create("a", &json)]).await.unwrap();
    }
    commit(&engine, vec![index(false), index(true)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    backend.set(Fate::Hold);
    let spawn = |intent: Intent| {
        let engine = engine.clone();
        tokio::spawn(async move { commit(&engine, vec![intent]).await })
    };
    let plug = spawn(create("seed", "{}"));
    backend.wait_until_held().await;
    let mut queued = Vec::new();
    let maintain = |number: u32| Intent::MaintainIndex {
        collection: a,
        index: IndexId(number),
    };
    for intent in [
        patch(a, "w", vec![set("other", "1")]),
        patch(a, "x", vec![set("n", "\"x2\"")]),
        maintain(1),
        maintain(2),
        // A second page in the group has nothing to do.
        maintain(1),
        patch(a, "y", vec![set("other", "1")]),
        patch(a, "w", vec![set("n", "\"w2\"")]),
    ] {
        queued.push(spawn(intent));
        let_them_queue().await;
    }
    backend.set(Fate::Commit);
    plug.await.unwrap().unwrap();
    for queued in queued {
        queued.await.unwrap().unwrap();
    }
    let snapshot = engine.snapshot().unwrap();
    for index in snapshot.catalog().by_id(a).unwrap().indexes.iter() {
        assert_eq!(index.status, IndexStatus::Ready);
        assert_eq!(snapshot.index_progress(a, index.id).unwrap().rows, 3);
        let find = |text: &str| {
            let n = FieldRef::Path(crate::fixture::path("n"));
            let equal = Test::Eq(thalweg_model::Value::string(text));
            let find = Find {
                filter: Arc::new(Predicate::Field(n, equal)),
                ..crate::fixture::find_all(a)
            };
            let found = snapshot.find_by(&find, Choice::Index(index.id)).unwrap();
            assert!(!found.plan.is_scan());
            found.rows.len()
        };
        assert_eq!(["w", "w2", "x", "x2", "y"].map(find), [0, 1, 0, 1, 1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_changes_nothing_and_writing_goes_on() {
    let backend = Faulty::new();
    let engine = open(&backend);
    commit(&engine, vec![create("a", r#"{"id":"x","n":0}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let before = engine.snapshot().unwrap().ts();
    backend.set(Fate::Refuse);
    let writes = vec![patch(a, "x", vec![set("new", "1")]), create("b", "{}")];
    let refused = commit(&engine, writes.clone()).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable);
    assert_eq!(engine.snapshot().unwrap().ts(), before);
    assert!(engine.catalog().by_name("b").is_none());
    assert_eq!(
        engine
            .catalog()
            .by_name("a")
            .unwrap()
            .schema
            .object
            .fields
            .len(),
        1
    );
    engine.ready().unwrap();
    backend.set(Fate::Commit);
    commit(&engine, writes).await.unwrap();
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(
        json_of(&snapshot, a, "x").unwrap(),
        r#"{"id":"x","n":0,"new":1}"#
    );
    assert_eq!(snapshot.statistics(a).unwrap().documents, 1);
    assert_eq!(
        engine
            .catalog()
            .by_name("a")
            .unwrap()
            .schema
            .object
            .fields
            .len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_without_new_types_leaves_the_catalog() {
    let backend = Faulty::new();
    let engine = open(&backend);
    commit(&engine, vec![create("a", r#"{"id":"x","n":0}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let version = engine.snapshot().unwrap().catalog().version;
    backend.set(Fate::Refuse);
    for n in 1..4 {
        let write = patch(a, "x", vec![set("n", &n.to_string())]);
        commit(&engine, vec![write]).await.unwrap_err();
        assert_eq!(engine.snapshot().unwrap().catalog().version, version);
    }
    assert_eq!(engine.catalog().version, version);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_stops_writing_until_the_store_is_opened_again() {
    let backend = Faulty::new();
    let engine = open(&backend);
    backend.set(Fate::LandUnknown);
    let unknown = commit(&engine, vec![create("a", r#"{"id":"x"}"#)])
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::Indeterminate);
    backend.set(Fate::Commit);
    let stopped = commit(&engine, vec![create("a", r#"{"id":"y"}"#)])
        .await
        .unwrap_err();
    assert_eq!(stopped.code(), ErrorCode::Indeterminate);
    assert!(engine.ready().is_err());
    let engine = open(&backend);
    let a = collection(&engine, "a");
    let snapshot = engine.snapshot().unwrap();
    assert!(snapshot.get(a, "x").unwrap().is_some(), "it had landed");
    assert!(snapshot.get(a, "y").unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_panics_at_the_head_of_the_line_ends_alone() {
    let options = EngineOptions {
        optimistic_attempts_max: 0,
        ..EngineOptions::default()
    };
    let engine = Engine::open(Faulty::new(), options).unwrap();
    let failed = engine
        .transact(|transaction| {
            assert!(
                transaction.read_ts().as_micros() == u64::MAX,
                "as the test wants it"
            );
            Ok(())
        })
        .await
        .unwrap_err();
    assert!(matches!(
        failed,
        TransactionError::Refused {
            code: ErrorCode::Internal,
            ..
        }
    ));
    commit(&engine, vec![create("a", "{}")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_that_is_shown_is_committed() {
    let backend = Faulty::new();
    let engine = open(&backend);
    backend.set(Fate::Hold);
    let pending = {
        let engine = engine.clone();
        tokio::spawn(async move { commit(&engine, vec![create("a", "{}")]).await })
    };
    backend.wait_until_held().await;
    assert!(engine.catalog().by_name("a").is_none());
    assert!(engine.snapshot().unwrap().catalog().by_name("a").is_none());
    backend.set(Fate::Refuse);
    let refused = pending.await.unwrap().unwrap_err();
    assert!(matches!(
        refused,
        TransactionError::Engine(EngineError::Storage(_))
    ));
}

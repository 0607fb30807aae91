//! A small world: an engine on the memory backend, and short ways to write and read.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thalweg_engine::{
    Clock, CollectionRef, Committed, Deleted, Engine, EngineOptions, ExpiryChange, FieldMask, Find,
    Intent, OrderKey, Predicate, Snapshot, TransactionError, UpkeepMode, UpkeepStep,
};
use thalweg_model::{CollectionId, Document, DocumentId, FieldPath, Patch, PatchOperation, Value};
use thalweg_storage::{Backend, Direction, MemoryBackend};

pub(crate) fn engine() -> Engine {
    Engine::open(Arc::new(MemoryBackend::new()), EngineOptions::default()).unwrap()
}

/// A clock that stands still until it is moved.
pub(crate) struct SetClock {
    wall: AtomicU64,
    monotonic: AtomicU64,
}

impl SetClock {
    pub(crate) fn new(micros: u64) -> SetClock {
        SetClock {
            wall: AtomicU64::new(micros),
            monotonic: AtomicU64::new(0),
        }
    }

    /// Time passes.
    pub(crate) fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap();
        self.wall.fetch_add(micros, Ordering::SeqCst);
        self.monotonic.fetch_add(micros, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock.
    pub(crate) fn set_wall(&self, micros: u64) {
        self.wall.store(micros, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn wall_micros(&self) -> u64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn monotonic_micros(&self) -> u64 {
        self.monotonic.load(Ordering::SeqCst)
    }
}

/// An engine whose time and whose upkeep a test drives.
pub(crate) fn stepped(
    backend: Arc<dyn Backend>,
    clock: &Arc<SetClock>,
    recovery_window: Duration,
) -> Engine {
    let options = EngineOptions {
        recovery_window,
        upkeep: UpkeepMode::Stepped,
        ..EngineOptions::default()
    };
    Engine::open_with_clock(backend, options, clock.clone()).unwrap()
}

/// Takes steps of upkeep until nothing is due; returns when there will be.
pub(crate) async fn settle(engine: &Engine) -> Option<u64> {
    for _ in 0..10_000 {
        if let UpkeepStep::Idle { until } = engine.upkeep_step().await.unwrap() {
            return until;
        }
    }
    panic!("upkeep does not come to an end");
}

/// How many images a collection has in its history, hidden ones and marks included.
pub(crate) fn earlier_images(backend: &dyn Backend, collection: CollectionId) -> usize {
    const HISTORY: u8 = 0x11;
    let mut prefix = vec![0, 0, 0, 0, HISTORY];
    prefix.extend_from_slice(&collection.0.to_be_bytes());
    let end = thalweg_model::prefix_end(&prefix).unwrap();
    let mut images = 0;
    let snapshot = backend.snapshot().unwrap();
    snapshot
        .scan(
            Bound::Included(&prefix),
            Bound::Excluded(&end),
            Direction::Forward,
            &mut |_, _| {
                images += 1;
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    images
}

pub(crate) fn document(json: &str) -> Document {
    Document::parse(json.as_bytes()).unwrap()
}

pub(crate) fn value(json: &str) -> Value {
    Value::parse(json.as_bytes()).unwrap()
}

pub(crate) fn id(id: &str) -> DocumentId {
    DocumentId::new(id).unwrap()
}

pub(crate) fn path(dotted: &str) -> FieldPath {
    FieldPath::new(dotted.split('.')).unwrap()
}

pub(crate) fn named(collection: &str) -> CollectionRef {
    CollectionRef::Name {
        name: collection.into(),
        create: true,
    }
}

pub(crate) fn create(collection: &str, json: &str) -> Intent {
    Intent::Create {
        collection: named(collection),
        id: None,
        document: document(json),
        expiry: ExpiryChange::KEEP,
    }
}

pub(crate) fn patch(collection: CollectionId, of: &str, operations: Vec<PatchOperation>) -> Intent {
    Intent::Patch {
        collection,
        id: id(of),
        patch: Patch { operations },
        if_version: None,
        otherwise: None,
        expiry: ExpiryChange::KEEP,
    }
}

pub(crate) fn set(at: &str, json: &str) -> PatchOperation {
    PatchOperation::Set {
        path: path(at),
        value: value(json),
    }
}

pub(crate) fn increment(at: &str, by: i64) -> PatchOperation {
    PatchOperation::Increment {
        path: path(at),
        by: Value::int(by),
    }
}

/// One transaction of intents that are known beforehand.
pub(crate) async fn commit(
    engine: &Engine,
    intents: Vec<Intent>,
) -> Result<Committed<()>, TransactionError> {
    engine
        .transact(move |transaction| {
            for intent in &intents {
                transaction.write(intent.clone())?;
            }
            Ok(())
        })
        .await
}

pub(crate) fn collection(engine: &Engine, name: &str) -> CollectionId {
    engine
        .catalog()
        .by_name(name)
        .expect("the collection exists")
        .id
}

pub(crate) fn find_all(collection: CollectionId) -> Find {
    Find {
        collection,
        filter: Arc::new(Predicate::True),
        deleted: Deleted::Exclude,
        order: Arc::from(Vec::<OrderKey>::new()),
        after: None,
        before: None,
        offset: 0,
        limit: 1000,
        from_end: false,
        count_total: true,
        read: FieldMask::all(),
    }
}

pub(crate) fn json_of(snapshot: &Snapshot, collection: CollectionId, id: &str) -> Option<String> {
    let record = snapshot.get(collection, id).unwrap()?;
    Some(String::from_utf8(record.document().json().to_vec()).unwrap())
}

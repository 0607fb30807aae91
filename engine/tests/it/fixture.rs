//! A small world: an engine on the memory backend, and short ways to write and read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thalweg_engine::{
    Clock, CollectionRef, Committed, Deleted, Engine, EngineOptions, FieldMask, Find, Intent,
    OrderKey, Predicate, Snapshot, TransactionError,
};
use thalweg_model::{CollectionId, Document, DocumentId, FieldPath, Patch, PatchOperation, Value};
use thalweg_storage::MemoryBackend;

pub(crate) fn engine() -> Engine {
    Engine::open(Arc::new(MemoryBackend::new()), EngineOptions::default()).unwrap()
}

/// A clock that stands still until it is moved.
pub(crate) struct SetClock(AtomicU64);

impl SetClock {
    pub(crate) fn new(micros: u64) -> SetClock {
        SetClock(AtomicU64::new(micros))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap();
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now_micros(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
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
    }
}

pub(crate) fn patch(collection: CollectionId, of: &str, operations: Vec<PatchOperation>) -> Intent {
    Intent::Patch {
        collection,
        id: id(of),
        patch: Patch { operations },
        if_version: None,
        otherwise: None,
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

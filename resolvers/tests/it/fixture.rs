//! A database in memory, with a clock that stands still unless it is set, so that responses are the same in every run.

use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use thalweg_engine::{
    Clock, CollectionRef, Engine, EngineOptions, Evolution, ExpiryChange, Intent, Snapshot,
    UpkeepMode, UpkeepStep,
};
use thalweg_model::{Document, Value};
use thalweg_resolvers::{
    Evaluation, Extensions, Failure, IdNames, Limits, Operation, OperationKind, Request, Resolvers,
};
use thalweg_storage::{
    Backend, Batch, CommitError, Direction, FirstRows, Head, ManyVisitor, MemoryBackend,
    StorageError, Usage, Visitor,
};

/// 2026-11-23T00:00:00Z
const NOW: u64 = 1_795_392_000_000_000;

/// How many microseconds have passed.
#[derive(Default)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn wall_micros(&self) -> u64 {
        NOW + self.monotonic_micros()
    }

    fn monotonic_micros(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A store that counts how often it is asked, as if each time took a round trip.
#[derive(Default)]
pub(crate) struct Counting {
    inner: MemoryBackend,
    exchanges: Arc<AtomicU64>,
}

impl Counting {
    pub(crate) fn exchanges(&self) -> u64 {
        self.exchanges.load(Ordering::Relaxed)
    }
}

struct CountingSnapshot {
    inner: Box<dyn thalweg_storage::Snapshot>,
    exchanges: Arc<AtomicU64>,
}

impl Backend for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn snapshot(&self) -> Result<Box<dyn thalweg_storage::Snapshot>, StorageError> {
        Ok(Box::new(CountingSnapshot {
            inner: self.inner.snapshot()?,
            exchanges: Arc::clone(&self.exchanges),
        }))
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        self.inner.commit(batch)
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        self.inner.usage()
    }
}

impl CountingSnapshot {
    fn count(&self) -> &dyn thalweg_storage::Snapshot {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        &*self.inner
    }
}

impl thalweg_storage::Snapshot for CountingSnapshot {
    fn head(&self) -> Option<Head> {
        self.inner.head()
    }

    fn get<'s>(&'s self, key: &[u8]) -> Result<Option<Cow<'s, [u8]>>, StorageError> {
        self.count().get(key)
    }

    fn get_many<'s>(
        &'s self,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Cow<'s, [u8]>>>, StorageError> {
        self.count().get_many(keys)
    }

    fn scan<'s>(
        &'s self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: Visitor<'_, 's>,
    ) -> Result<(), StorageError> {
        self.count().scan(from, to, direction, visit)
    }

    fn scan_many<'s>(
        &'s self,
        ranges: &[FirstRows<'_>],
        visit: ManyVisitor<'_, 's>,
    ) -> Result<(), StorageError> {
        self.count().scan_many(ranges, visit)
    }
}

pub(crate) struct Database {
    pub(crate) resolvers: Resolvers,
    clock: Arc<TestClock>,
    runtime: tokio::runtime::Runtime,
}

impl Database {
    pub(crate) fn empty() -> Self {
        Database::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        Database::open(limits, Evolution::Follow, IdNames::Local)
    }

    /// One whose types are latched, as `serve` does.
    pub(crate) fn latched() -> Self {
        Database::open(Limits::default(), Evolution::Additive, IdNames::Local)
    }

    /// One whose API schema is for clients of Relay.
    pub(crate) fn for_relay() -> Self {
        Database::open(Limits::default(), Evolution::Follow, IdNames::Relay)
    }

    /// One whose store counts how often it is asked.
    pub(crate) fn counting() -> (Self, Arc<Counting>) {
        let backend = Arc::<Counting>::default();
        let store = Arc::clone(&backend);
        let database = Database::over(store, Limits::default(), Evolution::Follow, IdNames::Local);
        (database, backend)
    }

    fn open(limits: Limits, evolution: Evolution, ids: IdNames) -> Self {
        Database::over(Arc::new(MemoryBackend::new()), limits, evolution, ids)
    }

    fn over(backend: Arc<dyn Backend>, limits: Limits, evolution: Evolution, ids: IdNames) -> Self {
        let options = EngineOptions {
            upkeep: UpkeepMode::Stepped,
            evolution,
            ..EngineOptions::default()
        };
        let clock = Arc::new(TestClock::default());
        let engine =
            Engine::open_with_clock(backend, options, Arc::<TestClock>::clone(&clock)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        Database {
            resolvers: Resolvers::new(engine, limits, ids),
            clock,
            runtime,
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap();
        self.clock.0.fetch_add(micros, Ordering::Relaxed);
    }

    /// Carries out what has come due.
    pub(crate) fn upkeep(&self) {
        const STEPS_MAX: usize = 1_000;
        let engine = self.resolvers.engine();
        let mut steps = 0;
        while let UpkeepStep::Worked { .. } = self.runtime.block_on(engine.upkeep_step()).unwrap() {
            steps += 1;
            assert!(steps < STEPS_MAX, "upkeep comes to no end");
        }
    }

    /// Looks for relations in the documents. Whether there was a reason to.
    pub(crate) fn detect(&self) -> bool {
        let engine = self.resolvers.engine();
        self.runtime.block_on(engine.detect_relations()).unwrap()
    }

    /// Waits until the background work on indexes has led to something.
    pub(crate) fn wait_for(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let patience = Instant::now() + Duration::from_secs(30);
        while !is_so(self) {
            assert!(Instant::now() < patience, "{what} does not come");
            std::thread::yield_now();
        }
    }

    /// Puts documents into a collection, in one commit.
    pub(crate) fn insert(&self, collection: &str, documents: &[Json]) {
        let documents: Vec<Document> = documents
            .iter()
            .map(|document| Document::parse(document.to_string().as_bytes()).unwrap())
            .collect();
        let name: Arc<str> = Arc::from(collection);
        let code = move |transaction: &mut thalweg_engine::Transaction<'_>| {
            for document in &documents {
                transaction.write(Intent::Create {
                    collection: CollectionRef::Name {
                        name: Arc::clone(&name),
                        create: true,
                    },
                    id: None,
                    document: document.clone(),
                    expiry: ExpiryChange::KEEP,
                })?;
            }
            Ok(())
        };
        self.runtime
            .block_on(self.resolvers.engine().transact(code))
            .unwrap();
    }

    pub(crate) fn try_run(&self, request: &Request) -> Result<Evaluation, Failure> {
        let operation = self.resolvers.prepare(request)?;
        Ok(match operation.kind() {
            OperationKind::Mutation => self.mutate(&operation),
            _ => {
                let snapshot = self.resolvers.engine().snapshot().unwrap();
                let evaluation = self.resolvers.run(&operation, &snapshot);
                self.check_key(&operation, &snapshot, &evaluation);
                evaluation
            }
        })
    }

    /// What is kept of a live query says all of it.
    fn check_key(&self, operation: &Operation, snapshot: &Snapshot, evaluation: &Evaluation) {
        if operation.is_more_than_its_key() {
            return;
        }
        let key = operation.key();
        let again = self.resolvers.prepare_key(key, snapshot.catalog()).unwrap();
        assert_eq!(again.key(), key);
        let again = self.resolvers.run(&again, snapshot);
        assert_eq!(again.body(), evaluation.body(), "{key:?}");
    }

    pub(crate) fn mutate(&self, operation: &Operation) -> Evaluation {
        self.runtime.block_on(self.resolvers.mutate(operation))
    }

    /// The response to an operation, refused or not.
    pub(crate) fn respond(&self, request: &Request) -> Json {
        let body = match self.try_run(request) {
            Ok(evaluation) => evaluation.body().clone(),
            Err(failure) => failure.body(),
        };
        serde_json::from_slice(&body).expect("a response is JSON")
    }

    pub(crate) fn send(&self, query: &str) -> Json {
        self.respond(&Request::text(query))
    }

    /// The response of a query that is answered once, with what its extensions ask for.
    pub(crate) fn send_once(&self, query: &str, extensions: &Json) -> Json {
        let extensions = Value::parse(extensions.to_string().as_bytes()).unwrap();
        let request = Request {
            extensions: Some(extensions),
            ..Request::text(query)
        };
        let operation = self.resolvers.prepare(&request).unwrap();
        let snapshot = self.resolvers.engine().snapshot().unwrap();
        let extensions = Extensions::of(&request).unwrap();
        let evaluation = self.resolvers.run_once(&operation, &snapshot, &extensions);
        serde_json::from_slice(evaluation.body()).unwrap()
    }

    pub(crate) fn send_with(&self, query: &str, variables: &Json) -> Json {
        let variables = Value::parse(variables.to_string().as_bytes()).unwrap();
        self.respond(&Request {
            variables: Some(variables),
            ..Request::text(query)
        })
    }

    /// The `data` of an operation that has no errors.
    pub(crate) fn data(&self, query: &str) -> Json {
        let response = self.send(query);
        assert!(response.get("errors").is_none(), "{query}\n{response:#}");
        response["data"].clone()
    }

    /// The code and message of the first error, and its path.
    pub(crate) fn error(&self, query: &str) -> (String, String, Json) {
        first_error(&self.send(query))
    }
}

pub(crate) fn first_error(response: &Json) -> (String, String, Json) {
    let error = &response["errors"][0];
    let text = |value: &Json| {
        value
            .as_str()
            .unwrap_or_else(|| panic!("{response:#}"))
            .to_owned()
    };
    (
        text(&error["extensions"]["code"]),
        text(&error["message"]),
        error["path"].clone(),
    )
}

/// A few films with every kind of field.
pub(crate) fn films() -> Database {
    let database = Database::empty();
    database.insert("films", &film_documents());
    database
}

pub(crate) fn film_documents() -> Vec<Json> {
    serde_json::from_str(
        r#"[
        {"id": "a", "title": "Alien", "year": 1979, "rating": 8.5, "seen": true, "gross": 104931801,
         "budget": 9007199254740993, "tags": ["horror", "space"], "released": "1979-05-25",
         "added": "2020-01-01T00:00:00Z", "mixed": 1,
         "studio": {"name": "Fox", "city": {"zip": "90064"}},
         "cast": [{"name": "Weaver", "age": 30}, {"name": "Hurt", "age": 39}]},
        {"id": "b", "title": "Brazil", "year": 1985, "rating": 8, "seen": false, "gross": 9929000,
         "budget": 15000000, "tags": ["satire"], "released": "1985-02-20",
         "added": "2020-01-01T02:00:00+02:00", "mixed": "one",
         "studio": {"name": "Embassy"}, "cast": []},
        {"id": "c", "title": null, "year": 1982, "rating": 8.1, "tags": [], "released": "1982-06-25",
         "added": "2021-06-01T12:30:00.5Z", "mixed": {"deep": [1, 2]}, "studio": null,
         "cast": [{"name": "Ford", "age": null}]},
        {"id": "d", "title": "Dune", "year": 1984, "rating": 6.3, "seen": true, "budget": -3,
         "tags": ["space", null, "desert"], "mixed": null, "US Gross": 30925690}
        ]"#,
    )
    .unwrap()
}

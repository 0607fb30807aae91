//! Live queries over a real engine: every event equals a fresh run at its timestamp, nothing is sent without need,
//! and the newest result always comes.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets an error it does not expect should stop there"
)]

mod delivery;
mod lanes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use thalweg_engine::{
    Catalog, CollectionRef, Deleted, Engine, EngineError, EngineOptions, ExpiryChange, FieldMask,
    FieldRef, Find, Intent, OrderKey, Predicate, Snapshot, Test,
};
use thalweg_model::{
    CollectionId, CommitTs, Document, DocumentId, FieldPath, Patch, PatchOperation, Value,
};
use thalweg_storage::MemoryBackend;
use thalweg_subscriptions::{
    Connection, Evaluation, Follow, Item, LiveLimits, LiveQueries, Runner, SubscribeError,
    SubscriptionId,
};

const A: CollectionId = CollectionId(16);

/// Shows `title` of the documents of a find, and counts its runs.
#[derive(Default)]
struct Titles {
    runs: Arc<AtomicUsize>,
    store_fails: Arc<AtomicBool>,
}

struct Query {
    name: String,
    find: Find,
}

/// Queries of one name are the same.
#[derive(Clone)]
struct Keyed(Arc<Query>);

impl PartialEq for Keyed {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Keyed {}

impl std::hash::Hash for Keyed {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl Runner for Titles {
    type Query = Arc<Query>;
    type Key = Keyed;

    fn key(&self, query: &Arc<Query>) -> Arc<Keyed> {
        Arc::new(Keyed(Arc::clone(query)))
    }

    fn prepare(&self, key: &Keyed, catalog: &Arc<Catalog>) -> Result<Arc<Query>, Bytes> {
        self.revalidate(&key.0, catalog)
    }

    fn is_more_than_its_key(&self, _: &Arc<Query>) -> bool {
        false
    }

    fn version(&self, catalog: &Arc<Catalog>) -> Option<CommitTs> {
        Some(catalog.version)
    }

    fn run(&self, query: &Arc<Query>, snapshot: &Snapshot) -> Result<Evaluation, EngineError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        if query.name == "panics" && self.runs.load(Ordering::SeqCst) > 1 {
            panic!("as the test wants it");
        }
        if self.store_fails.load(Ordering::SeqCst) {
            return Err(EngineError::Corrupt {
                what: "store, says the test",
            });
        }
        let found = snapshot.find(&query.find)?;
        let result = found
            .rows
            .iter()
            .map(|row| {
                let title = row
                    .document()
                    .get("title")
                    .map_or(b"-".as_slice(), |title| title.json());
                format!("{}={}", row.id(), String::from_utf8_lossy(title))
            })
            .collect::<Vec<_>>()
            .join(",");
        Ok(Evaluation {
            result: result.into(),
            data_from: None,
            dependencies: found.dependencies,
        })
    }

    fn revalidate(&self, query: &Arc<Query>, catalog: &Arc<Catalog>) -> Result<Arc<Query>, Bytes> {
        match catalog.by_id(query.find.collection) {
            Some(_) => Ok(Arc::clone(query)),
            None => Err(Bytes::from_static(b"SCHEMA_CHANGED")),
        }
    }

    fn broken(&self) -> Bytes {
        Bytes::from_static(b"BROKEN")
    }

    fn mismatched(&self, query: &Arc<Query>, maintained: &[u8], fresh: &[u8]) {
        let [maintained, fresh] = [maintained, fresh].map(String::from_utf8_lossy);
        // It is counted, and replaced by the right one: the test looks at the count.
        eprintln!("{}: told {maintained}, but it is {fresh}", query.name);
    }
}

fn field(name: &str) -> FieldRef {
    FieldRef::Path(FieldPath::top(name))
}

fn query(name: &str, filter: Predicate, order: &str, limit: usize) -> Arc<Query> {
    let mut read = FieldMask::none();
    read.add(field("title"));
    let order = match order {
        "" => vec![],
        by => vec![OrderKey {
            field: field(by),
            descending: true,
            instant: false,
        }],
    };
    Arc::new(Query {
        name: name.to_owned(),
        find: Find {
            collection: A,
            filter: Arc::new(filter),
            deleted: Deleted::Exclude,
            order: order.into(),
            after: None,
            before: None,
            offset: 0,
            limit,
            from_end: false,
            count_total: false,
            read,
        },
    })
}

fn all() -> Arc<Query> {
    query("all", Predicate::True, "", 100)
}

fn equal(name: &str, value: i64) -> Predicate {
    Predicate::Field(field(name), Test::Eq(Value::int(value)))
}

fn put(id: &str, json: &str) -> Intent {
    Intent::Put {
        collection: CollectionRef::Name {
            name: "a".into(),
            create: true,
        },
        id: Some(DocumentId::new(id).unwrap()),
        document: Document::parse(json.as_bytes()).unwrap(),
        expiry: ExpiryChange::KEEP,
    }
}

fn set(id: &str, name: &str, json: &str) -> Intent {
    let value = Value::parse(json.as_bytes()).unwrap();
    let operation = PatchOperation::Set {
        path: FieldPath::top(name),
        value,
    };
    Intent::Patch {
        collection: A,
        id: DocumentId::new(id).unwrap(),
        patch: Patch {
            operations: vec![operation],
        },
        if_version: None,
        otherwise: None,
        expiry: ExpiryChange::KEEP,
    }
}

async fn commit(engine: &Engine, intent: Intent) -> CommitTs {
    let done = engine
        .transact(move |transaction| transaction.write(intent.clone()).map(drop))
        .await
        .unwrap();
    done.commit_ts
}

struct World {
    engine: Engine,
    live: LiveQueries<Titles>,
    runs: Arc<AtomicUsize>,
    store_fails: Arc<AtomicBool>,
}

async fn world() -> World {
    world_with(LiveLimits::default()).await
}

async fn world_with(limits: LiveLimits) -> World {
    let engine = Engine::open(Arc::new(MemoryBackend::new()), EngineOptions::default()).unwrap();
    commit(&engine, put("1", r#"{"title":"one","n":1,"k":1}"#)).await;
    commit(
        &engine,
        put("2", r#"{"title":"two","n":2,"k":1,"unread":0}"#),
    )
    .await;
    let titles = Titles::default();
    let (runs, store_fails) = (Arc::clone(&titles.runs), Arc::clone(&titles.store_fails));
    let live = LiveQueries::start(engine.clone(), titles, limits).unwrap();
    World {
        engine,
        live,
        runs,
        store_fails,
    }
}

/// A connection with one subscription.
#[derive(Debug)]
struct Subscription {
    connection: Connection<Titles>,
}

/// A result, and the state that it shows.
struct Event {
    commit_ts: CommitTs,
    result: String,
}

async fn subscribe(
    live: &LiveQueries<Titles>,
    query: Arc<Query>,
    resume_from: Option<CommitTs>,
) -> Result<Subscription, SubscribeError> {
    let connection = live.connect();
    let follow = Follow {
        resume_from,
        patch: false,
    };
    connection
        .subscribe(SubscriptionId(0), query, follow)
        .await?;
    Ok(Subscription { connection })
}

impl Subscription {
    async fn next(&mut self) -> Option<(CommitTs, Item)> {
        let mut told = self.connection.next().await?;
        let (_, item) = told.items.pop()?;
        assert!(told.items.is_empty(), "there is one subscription");
        Some((told.commit_ts, item))
    }
}

fn result(event: &Event) -> String {
    event.result.clone()
}

async fn event(subscription: &mut Subscription) -> Event {
    let item = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await;
    match item.expect("an event within ten seconds") {
        Some((commit_ts, Item::Result { result, .. })) => Event {
            commit_ts,
            result: String::from_utf8(result.to_vec()).unwrap(),
        },
        other => panic!("expected an event, got {other:?}"),
    }
}

/// Passes once every commit so far has been matched: a live query of its own shows one that it waits for.
async fn settle(world: &World) {
    let ts = commit(&world.engine, put("settle", r#"{"n":-1}"#)).await;
    let marker = Predicate::Field(FieldRef::Id, Test::Eq(Value::string("settle")));
    let subscription = subscribe(&world.live, query("settle", marker, "", 1), None)
        .await
        .unwrap();
    drop(subscription);
    assert!(world.engine.snapshot().unwrap().ts() >= ts);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_event_is_the_result_now_and_changes_follow() {
    let world = world().await;
    let mut subscription = subscribe(&world.live, all(), None).await.unwrap();
    assert_eq!(
        result(&event(&mut subscription).await),
        r#"1="one",2="two""#
    );
    let ts = commit(&world.engine, set("2", "title", "\"zwei\"")).await;
    let changed = event(&mut subscription).await;
    assert_eq!(result(&changed), r#"1="one",2="zwei""#);
    assert_eq!(changed.commit_ts, ts);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_matter_neither_sends_nor_runs() {
    let world = world().await;
    let top = query("top", equal("k", 1), "n", 1);
    let mut subscription = subscribe(&world.live, top, None).await.unwrap();
    assert_eq!(result(&event(&mut subscription).await), r#"2="two""#);
    let runs = world.runs.load(Ordering::SeqCst);
    for write in [
        set("2", "unread", "1"),
        set("1", "title", "\"below the page\""),
        put("3", r#"{"title":"another k","n":9,"k":2}"#),
    ] {
        commit(&world.engine, write).await;
    }
    settle(&world).await;
    assert_eq!(
        world.runs.load(Ordering::SeqCst),
        runs + 1,
        "only the one that settles"
    );
    commit(&world.engine, set("3", "k", "1")).await;
    assert_eq!(result(&event(&mut subscription).await), r#"3="another k""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_queries_are_evaluated_once() {
    let world = world().await;
    let mut subscriptions = Vec::new();
    for _ in 0..50 {
        subscriptions.push(subscribe(&world.live, all(), None).await.unwrap());
    }
    assert_eq!(
        (world.live.live_queries(), world.runs.load(Ordering::SeqCst)),
        (1, 1)
    );
    for subscription in &mut subscriptions {
        event(subscription).await;
    }
    commit(&world.engine, set("1", "title", "\"x\"")).await;
    for subscription in &mut subscriptions {
        assert_eq!(result(&event(subscription).await), r#"1="x",2="two""#);
    }
    assert_eq!(world.runs.load(Ordering::SeqCst), 2);
    drop(subscriptions);
    assert_eq!(world.live.live_queries(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_sees_what_was_acknowledged_before_it_came() {
    let world = world().await;
    let keep = subscribe(&world.live, all(), None).await.unwrap();
    for n in 0..200 {
        let title = format!("\"{n}\"");
        commit(&world.engine, set("1", "title", &title)).await;
        let mut late = subscribe(&world.live, all(), None).await.unwrap();
        let first = result(&event(&mut late).await);
        assert_eq!(first, format!("1={title},2=\"two\""));
    }
    drop(keep);
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_skips_what_has_not_changed() {
    let world = world().await;
    let mut subscription = subscribe(&world.live, all(), None).await.unwrap();
    let seen = event(&mut subscription).await.commit_ts;
    drop(subscription);
    commit(&world.engine, set("1", "unread", "5")).await;
    let mut resumed = subscribe(&world.live, all(), Some(seen)).await.unwrap();
    commit(&world.engine, set("1", "title", "\"new\"")).await;
    assert_eq!(result(&event(&mut resumed).await), r#"1="new",2="two""#);
    drop(resumed);
    let mut resumed = subscribe(&world.live, all(), Some(seen)).await.unwrap();
    assert_eq!(
        result(&event(&mut resumed).await),
        r#"1="new",2="two""#,
        "it has changed since"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_no_longer_valid_ends() {
    let world = world().await;
    let mut subscription = subscribe(&world.live, all(), None).await.unwrap();
    event(&mut subscription).await;
    commit(&world.engine, Intent::DropCollection { name: "a".into() }).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), subscription.next())
        .await
        .unwrap();
    assert!(matches!(ended, Some((_, Item::Ended(_)))), "{ended:?}");
    let silent = tokio::time::timeout(Duration::from_millis(50), subscription.next()).await;
    assert!(silent.is_err(), "{silent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn emptying_a_collection_wakes_everybody() {
    let world = world().await;
    let by_value = query("by value", equal("k", 1), "", 10);
    let mut subscription = subscribe(&world.live, by_value, None).await.unwrap();
    event(&mut subscription).await;
    commit(
        &world.engine,
        Intent::TruncateCollection { name: "a".into() },
    )
    .await;
    assert_eq!(result(&event(&mut subscription).await), "");
}

#[tokio::test]
async fn there_is_a_limit() {
    let engine = Engine::open(Arc::new(MemoryBackend::new()), EngineOptions::default()).unwrap();
    commit(&engine, put("1", "{}")).await;
    let limits = LiveLimits {
        queries_max: 1,
        ..LiveLimits::default()
    };
    let live = LiveQueries::start(engine, Titles::default(), limits).unwrap();
    let first = subscribe(&live, all(), None).await.unwrap();
    let shared = subscribe(&live, all(), None).await.unwrap();
    let error = subscribe(&live, query("other", equal("k", 1), "", 1), None)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "there are 1 live queries already, as many as are allowed"
    );
    drop((first, shared));
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_bounded_in_memory() {
    let engine = Engine::open(Arc::new(MemoryBackend::new()), EngineOptions::default()).unwrap();
    commit(&engine, put("1", r#"{"title":"quite a long title","n":1}"#)).await;
    let limits = LiveLimits {
        results_bytes_max: 30,
        ..LiveLimits::default()
    };
    let live = LiveQueries::start(engine, Titles::default(), limits).unwrap();
    let first = subscribe(&live, all(), None).await.unwrap();
    let second = query("by n", equal("n", 1), "", 1);
    let error = subscribe(&live, Arc::clone(&second), None)
        .await
        .unwrap_err();
    assert!(matches!(error, SubscribeError::TooLarge { .. }), "{error}");
    drop(first);
    subscribe(&live, second, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_read_delays_but_loses_nothing() {
    let world = world().await;
    let mut subscription = subscribe(&world.live, all(), None).await.unwrap();
    event(&mut subscription).await;
    world.store_fails.store(true, Ordering::SeqCst);
    commit(&world.engine, set("1", "title", "\"late\"")).await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    let refused = subscribe(&world.live, query("new", equal("k", 1), "", 1), None).await;
    assert!(
        matches!(refused, Err(SubscribeError::Engine(_))),
        "{refused:?}"
    );
    world.store_fails.store(false, Ordering::SeqCst);
    assert_eq!(
        result(&event(&mut subscription).await),
        r#"1="late",2="two""#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_panics_ends_alone() {
    let world = world().await;
    let mut good = subscribe(&world.live, all(), None).await.unwrap();
    event(&mut good).await;
    world.runs.store(0, Ordering::SeqCst);
    let bad = query("panics", equal("k", 1), "", 10);
    let mut bad = subscribe(&world.live, bad, None).await.unwrap();
    event(&mut bad).await;
    commit(&world.engine, set("1", "title", "\"x\"")).await;
    assert_eq!(result(&event(&mut good).await), r#"1="x",2="two""#);
    assert!(matches!(bad.next().await, Some((_, Item::Ended(errors))) if *errors == *b"BROKEN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_collection_runs_nothing_again() {
    let world = world().await;
    let mut subscriptions = Vec::new();
    for k in 0..20 {
        let query = query(&format!("k{k}"), equal("k", k), "", 10);
        subscriptions.push(subscribe(&world.live, query, None).await.unwrap());
    }
    let runs = world.runs.load(Ordering::SeqCst);
    commit(
        &world.engine,
        Intent::CreateCollection {
            name: "other".into(),
        },
    )
    .await;
    settle(&world).await;
    assert_eq!(
        world.runs.load(Ordering::SeqCst),
        runs + 1,
        "only the one that settles"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timestamp_that_has_not_been_yet_gets_a_snapshot() {
    let world = world().await;
    let future = CommitTs::from_micros(u64::MAX - 1);
    let mut resumed = subscribe(&world.live, all(), Some(future)).await.unwrap();
    assert_eq!(result(&event(&mut resumed).await), r#"1="one",2="two""#);
}

/// Subscribing races with writes: whatever is committed while a query is registered reaches it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_while_registering() {
    let world = world().await;
    let engine = world.engine.clone();
    let writer = tokio::spawn(async move {
        for n in 0..400 {
            commit(&engine, set("1", "title", &format!("\"{n}\""))).await;
        }
    });
    let mut subscriptions = Vec::new();
    for n in 0..100 {
        let query = query(&format!("all {n}"), Predicate::True, "", 100);
        subscriptions.push(subscribe(&world.live, query, None).await.unwrap());
    }
    writer.await.unwrap();
    for subscription in &mut subscriptions {
        while result(&event(subscription).await) != r#"1="399",2="two""# {}
    }
}

/// Commits that follow each other closely, and then none that would wake anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_of_a_burst_of_commits_is_told() {
    let world = world().await;
    let mut subscription = subscribe(&world.live, all(), None).await.unwrap();
    for n in 0..600 {
        let burst = (0..4).map(|m| {
            let engine = world.engine.clone();
            let write = set("1", "title", &format!("\"{n} {m}\""));
            tokio::spawn(async move { commit(&engine, write).await })
        });
        let burst: Vec<_> = burst.collect();
        for commit in burst {
            commit.await.unwrap();
        }
        let snapshot = world.engine.snapshot().unwrap();
        let last = Titles::default().run(&all(), &snapshot).unwrap().result;
        while result(&event(&mut subscription).await) != String::from_utf8_lossy(&last) {}
    }
}

/// Random live queries under random writes.
async fn check_exactness(writes: Vec<Intent>) {
    let limits = LiveLimits {
        verify: true,
        ..LiveLimits::default()
    };
    let world = world_with(limits).await;
    // So many that a page is worth keeping.
    for id in 10..40 {
        let document = format!(r#"{{"title":"t{id}","n":{},"k":{}}}"#, id % 5, id % 3);
        commit(&world.engine, put(&id.to_string(), &document)).await;
    }
    let queries = [
        all(),
        query("k", equal("k", 1), "", 10),
        query("top", Predicate::True, "n", 2),
        query("k top", equal("k", 2), "n", 1),
    ];
    let mut subscriptions = Vec::new();
    for query in &queries {
        subscriptions.push(
            subscribe(&world.live, Arc::clone(query), None)
                .await
                .unwrap(),
        );
    }
    let reference = Titles::default();
    let mut states: Vec<BTreeMap<CommitTs, String>> = vec![BTreeMap::new(); queries.len()];
    let mut note = |engine: &Engine| {
        let snapshot = engine.snapshot().unwrap();
        for (query, states) in queries.iter().zip(&mut states) {
            let evaluation = reference.run(query, &snapshot).unwrap();
            let result = evaluation.result.to_vec();
            states.insert(snapshot.ts(), String::from_utf8(result).unwrap());
        }
    };
    note(&world.engine);
    for write in writes {
        commit(&world.engine, write).await;
        note(&world.engine);
    }
    for ((subscription, states), query) in subscriptions.iter_mut().zip(&states).zip(&queries) {
        let (_, last) = states.last_key_value().unwrap();
        let mut before = CommitTs::ZERO;
        loop {
            let event = event(subscription).await;
            assert!(event.commit_ts > before, "timestamps grow");
            before = event.commit_ts;
            let (_, state) = states.range(..=event.commit_ts).next_back().unwrap();
            assert_eq!(
                result(&event),
                *state,
                "{} at {}",
                query.name,
                event.commit_ts
            );
            if *state == *last {
                break;
            }
        }
    }
    assert_eq!(world.live.figures().mismatched.get(), 0);
}

fn a_write() -> impl Strategy<Value = Intent> {
    let id = || prop_oneof!["1", "2", "3", "1[0-9]"].prop_map(|id| id);
    prop_oneof![
        (id(), 0..4i64, 0..3i64, 0..3u8)
            .prop_map(|(id, n, k, t)| put(&id, &format!(r#"{{"title":"t{t}","n":{n},"k":{k}}}"#))),
        (
            id(),
            prop_oneof![Just("title"), Just("n"), Just("k"), Just("x")],
            0..4i64
        )
            .prop_map(|(id, field, value)| set(&id, field, &value.to_string())),
        (id(), any::<bool>()).prop_map(|(id, permanent)| Intent::Delete {
            collection: A,
            id: DocumentId::new(&id).unwrap(),
            permanent,
            if_version: None,
            purge_at: None,
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_event_equals_a_fresh_query_and_the_last_one_comes(
        writes in proptest::collection::vec(a_write(), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(check_exactness(writes));
    }
}

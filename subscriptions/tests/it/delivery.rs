//! What a connection is told: patches, one state at a time, and only what changed to one that comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value as Json, json};
use thalweg_engine::{Catalog, Engine, EngineError, EngineOptions, Snapshot};
use thalweg_model::CommitTs;
use thalweg_storage::MemoryBackend;
use thalweg_subscriptions::{
    Connection, Evaluation, Follow, Item, LiveLimits, LiveQueries, Runner, SubscriptionId, Told,
};

use crate::{Keyed, Query, all, commit, equal, put, query, set};

/// Shows the documents of a find as rows of `data`.
pub(crate) struct Rows;

impl Runner for Rows {
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
        let found = snapshot.find(&query.find)?;
        let rows: Vec<Json> = found
            .rows
            .iter()
            .map(|row| {
                let title = row
                    .document()
                    .get("title")
                    .map(|title| title.json().to_vec());
                let title: Json =
                    serde_json::from_slice(&title.unwrap_or(b"null".to_vec())).unwrap();
                json!({ "id": row.id(), "title": title })
            })
            .collect();
        let has_errors = rows.iter().any(|row| row["title"] == "error");
        let mut result = format!("{{\"data\":{}", json!({ "rows": rows }));
        if has_errors {
            result.push_str(",\"errors\":[]");
        }
        Ok(Evaluation {
            result: result.into(),
            data_from: (!has_errors).then_some(8),
            dependencies: found.dependencies,
        })
    }

    fn revalidate(&self, query: &Arc<Query>, _: &Arc<Catalog>) -> Result<Arc<Query>, Bytes> {
        Ok(Arc::clone(query))
    }

    fn broken(&self) -> Bytes {
        Bytes::from_static(b"BROKEN")
    }

    fn mismatched(&self, _: &Self::Query, maintained: &[u8], fresh: &[u8]) {
        let [maintained, fresh] = [maintained, fresh].map(String::from_utf8_lossy);
        panic!("told {maintained}, but it is {fresh}");
    }
}

pub(crate) const PATCHES: Follow = Follow {
    resume_from: None,
    patch: true,
};

fn resume(ts: CommitTs) -> Follow {
    Follow {
        resume_from: Some(ts),
        ..PATCHES
    }
}

/// What a client has of its subscriptions.
#[derive(Default)]
pub(crate) struct Client {
    pub(crate) data: BTreeMap<SubscriptionId, (Json, u64)>,
    /// The kinds of messages that it got.
    pub(crate) log: Vec<&'static str>,
    pub(crate) ts: CommitTs,
}

impl Client {
    pub(crate) fn take(&mut self, told: Told) {
        assert!(told.commit_ts >= self.ts, "timestamps never fall");
        self.ts = told.commit_ts;
        for (subscription, item) in told.items {
            match item {
                Item::Result { result, revision } => {
                    let mut text = result.to_vec();
                    text.push(b'}');
                    let response: Json = serde_json::from_slice(&text).unwrap();
                    assert_eq!(revision.is_none(), response.get("errors").is_some());
                    let data = response["data"].clone();
                    self.data
                        .insert(subscription, (data, revision.unwrap_or(0)));
                    self.log.push("result");
                }
                Item::Patch {
                    operations,
                    revision,
                } => {
                    let (data, before) = self.data.get_mut(&subscription).unwrap();
                    assert_eq!(revision, *before + 1, "revisions count on");
                    let patch: json_patch::Patch = serde_json::from_slice(&operations).unwrap();
                    json_patch::patch(data, &patch).unwrap();
                    *before = revision;
                    self.log.push("patch");
                }
                Item::Ended(errors) => panic!("ended: {errors:?}"),
            }
        }
    }

    pub(crate) async fn next<R: Runner>(&mut self, connection: &Connection<R>) {
        let told = tokio::time::timeout(Duration::from_secs(10), connection.next()).await;
        self.take(told.expect("told within ten seconds").unwrap());
    }

    pub(crate) async fn hears_nothing<R: Runner>(&mut self, connection: &Connection<R>) {
        let told = tokio::time::timeout(Duration::from_millis(100), connection.next()).await;
        assert!(told.is_err(), "{told:?}");
    }

    pub(crate) fn title_of(&self, subscription: SubscriptionId, id: &str) -> Json {
        let rows = self.data[&subscription].0["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["id"] == id).unwrap();
        row["title"].clone()
    }

    fn titles(&self, subscription: SubscriptionId) -> String {
        let rows = self.data[&subscription].0["rows"].as_array().unwrap();
        let titles: Vec<String> = rows.iter().map(|row| row["title"].to_string()).collect();
        titles.join(" ")
    }
}

async fn world(limits: LiveLimits) -> (Engine, LiveQueries<Rows>) {
    world_of(Rows, limits).await
}

pub(crate) async fn world_of<R: Runner>(runner: R, limits: LiveLimits) -> (Engine, LiveQueries<R>) {
    let engine = Engine::open(Arc::new(MemoryBackend::new()), EngineOptions::default()).unwrap();
    for n in 0..20 {
        let document = format!(
            r#"{{"title":"title {n} {}","n":{n},"k":1,"unread":0}}"#,
            "x".repeat(50)
        );
        commit(&engine, put(&format!("{n:02}"), &document)).await;
    }
    let live = LiveQueries::start(engine.clone(), runner, limits).unwrap();
    (engine, live)
}

pub(crate) const ONE: SubscriptionId = SubscriptionId(1);
pub(crate) const TWO: SubscriptionId = SubscriptionId(2);

#[tokio::test(flavor = "multi_thread")]
async fn after_the_first_result_come_patches() {
    let (engine, live) = world(LiveLimits::default()).await;
    let connection = live.connect();
    connection.subscribe(ONE, all(), PATCHES).await.unwrap();
    let mut client = Client::default();
    client.next(&connection).await;
    for title in ["\"a\"", "\"error\"", "\"b\"", "\"c\""] {
        commit(&engine, set("07", "title", title)).await;
        client.next(&connection).await;
        assert!(client.titles(ONE).contains(title));
    }
    // An error is a complete result, and what follows it begins anew.
    assert_eq!(client.log, ["result", "patch", "result", "result", "patch"]);
    assert_eq!(client.data[&ONE].1, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_connection_is_told_is_of_one_state() {
    let (engine, live) = world(LiveLimits::default()).await;
    let connection = live.connect();
    let mut client = Client::default();
    // Two views of one document, of which one is read by another way.
    connection.subscribe(ONE, all(), PATCHES).await.unwrap();
    let by_k = query("by k", equal("k", 1), "n", 100);
    connection.subscribe(TWO, by_k, PATCHES).await.unwrap();
    let writer = {
        let engine = engine.clone();
        tokio::spawn(async move {
            for n in 0..300 {
                commit(&engine, set("07", "title", &format!("\"{n}\""))).await;
            }
        })
    };
    let title = |client: &Client, subscription| client.title_of(subscription, "07");
    loop {
        client.next(&connection).await;
        if client.data.len() == 2 {
            assert_eq!(title(&client, ONE), title(&client, TWO), "at {}", client.ts);
            if title(&client, ONE) == "299" {
                break;
            }
        }
    }
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_is_told_what_has_changed_since() {
    let (engine, live) = world(LiveLimits::default()).await;
    let connection = live.connect();
    connection.subscribe(ONE, all(), PATCHES).await.unwrap();
    let mut client = Client::default();
    client.next(&connection).await;
    drop(connection);
    let left_at = client.ts;

    commit(&engine, set("03", "unread", "1")).await;
    let connection = live.connect();
    connection
        .subscribe(ONE, all(), resume(left_at))
        .await
        .unwrap();
    client.hears_nothing(&connection).await;
    drop(connection);

    commit(&engine, set("03", "title", "\"new\"")).await;
    let connection = live.connect();
    connection
        .subscribe(ONE, all(), resume(left_at))
        .await
        .unwrap();
    client.next(&connection).await;
    assert_eq!(client.log, ["result", "patch"]);
    assert!(client.titles(ONE).contains("\"new\""));
    drop(connection);

    // There and back again: nothing has changed, though it was touched.
    let left_at = client.ts;
    commit(&engine, set("03", "title", "\"newer\"")).await;
    commit(&engine, set("03", "title", "\"new\"")).await;
    let connection = live.connect();
    connection
        .subscribe(ONE, all(), resume(left_at))
        .await
        .unwrap();
    client.hears_nothing(&connection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_is_told_the_newest_within_bounds() {
    let limits = LiveLimits {
        connection_held_bytes_max: 10,
        ..LiveLimits::default()
    };
    for (limits, expected) in [(LiveLimits::default(), "patch"), (limits, "result")] {
        let (engine, live) = world(limits).await;
        let connection = live.connect();
        connection.subscribe(ONE, all(), PATCHES).await.unwrap();
        let mut client = Client::default();
        client.next(&connection).await;
        for n in 0..50 {
            commit(&engine, set("07", "title", &format!("\"{n}\""))).await;
        }
        // Nobody asked meanwhile.
        let other = live.connect();
        other
            .subscribe(ONE, all(), Follow::default())
            .await
            .unwrap();
        other.next().await.unwrap();
        client.next(&connection).await;
        assert!(client.titles(ONE).contains("\"49\""));
        assert_eq!(client.log, ["result", expected]);
        client.hears_nothing(&connection).await;
    }
}

/// The result that it has is not kept for it, and comes again after another one that it has skipped.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_is_not_told_again_what_it_has() {
    let limits = LiveLimits {
        connection_held_bytes_max: 10,
        ..LiveLimits::default()
    };
    let (engine, live) = world(limits).await;
    let (slow, witness) = (live.connect(), live.connect());
    let (mut client, mut seen) = (Client::default(), Client::default());
    for connection in [&slow, &witness] {
        connection.subscribe(ONE, all(), PATCHES).await.unwrap();
    }
    client.next(&slow).await;
    seen.next(&witness).await;
    let before = client.title_of(ONE, "07");
    for title in ["\"x\"", &before.to_string()] {
        commit(&engine, set("07", "title", title)).await;
        seen.next(&witness).await;
    }
    client.hears_nothing(&slow).await;
    commit(&engine, set("07", "title", "\"y\"")).await;
    client.next(&slow).await;
    assert_eq!(client.title_of(ONE, "07"), "y");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_has_ended_says_nothing() {
    let (engine, live) = world(LiveLimits::default()).await;
    let connection = live.connect();
    connection.subscribe(ONE, all(), PATCHES).await.unwrap();
    let mut client = Client::default();
    client.next(&connection).await;
    connection.unsubscribe(ONE);
    commit(&engine, set("07", "title", "\"x\"")).await;
    client.hears_nothing(&connection).await;
    assert_eq!(live.live_queries(), 0);
    assert_eq!(live.figures().registered.get(), 0);
}

use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::Value;
use thalweg_engine::EngineOptions;
use thalweg_gateway::{Api, GraphqlRequest};
use thalweg_storage::MemoryBackend;

use super::*;
use crate::config::Settings;
use crate::service::{Service, ServiceOperation};

/// A service that keeps that much of the newest commits in memory; what is older it reads from the log.
fn service_with(recent_commits_bytes_max: usize) -> Service {
    let options = EngineOptions {
        recent_commits_bytes_max,
        ..EngineOptions::default()
    };
    let engine = Engine::open(Arc::new(MemoryBackend::new()), options).expect("an empty store");
    Service::start(engine, &Settings::dev()).expect("a service")
}

fn prepare(service: &Service, query: &str) -> Result<ServiceOperation, Value> {
    let request = GraphqlRequest {
        query: Some(query.to_owned()),
        ..GraphqlRequest::default()
    };
    service
        .prepare(request)
        .map_err(|refused| json(&refused.body))
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// Runs a mutation that must succeed; gives its commit.
async fn mutate(service: &Service, query: &str) -> CommitTs {
    let operation = prepare(service, query).expect("valid");
    let body = json(&service.execute(operation).await.body);
    assert_eq!(body["errors"], Value::Null, "{body}");
    let ts = body["extensions"]["thalweg"]["commitTs"].as_str();
    ts.and_then(|ts| ts.parse().ok()).expect("a commitTs")
}

async fn insert(service: &Service, collection: &str, documents: &str) -> CommitTs {
    let query = format!(
        "mutation {{ insertDocuments(collection: \"{collection}\", documents: [{documents}]) }}"
    );
    mutate(service, &query).await
}

type Messages = <Service as Api>::Events;

async fn subscribe(
    service: &Service,
    query: &str,
    resume_from: Option<CommitTs>,
) -> Result<Messages, Value> {
    let operation = prepare(service, query)?;
    let subscribed = service.subscribe(operation, resume_from).await;
    subscribed.map_err(|refused| json(&refused.body))
}

/// The next message and from where to resume after it.
async fn next(messages: &mut Messages) -> (Value, Option<CommitTs>) {
    match messages.next().await {
        Some(LiveItem::Event(event)) => (json(&event.body), event.resume_from),
        other => panic!("{other:?}"),
    }
}

fn code(body: &Value) -> &str {
    body["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or("none")
}

#[tokio::test]
async fn a_subscription_gets_each_commit_whole() {
    let service = service_with(64 << 20);
    let begun = insert(&service, "movies", r#"{id: "a", n: 1}"#).await;
    let query = format!(
        "subscription {{ all: changes(since: \"{begun}\") {{ __typename kind of: id collection commitTs before after }} }}"
    );
    let mut messages = subscribe(&service, &query, None).await.expect("valid");
    let ts = mutate(
        &service,
        r#"mutation { updateMovie(id: "a", patch: {n: 2}) { id } createMovie(id: "b", input: {n: 3}) { id } }"#,
    )
    .await;
    let dropped = mutate(
        &service,
        r#"mutation { dropCollection(name: "movies") { name } }"#,
    )
    .await;
    let (message, resume_from) = next(&mut messages).await;
    assert_eq!(resume_from, Some(ts));
    let (ts, dropped) = (ts.to_string(), dropped.to_string());
    let expected = serde_json::json!({
        "data": { "all": [
            { "__typename": "Change", "kind": "UPDATE", "of": "a", "collection": "movies", "commitTs": ts,
              "before": { "id": "a", "n": 1 }, "after": { "id": "a", "n": 2 } },
            { "__typename": "Change", "kind": "CREATE", "of": "b", "collection": "movies", "commitTs": ts,
              "before": null, "after": { "id": "b", "n": 3 } },
        ] },
        "extensions": { "thalweg": { "commitTs": ts } },
    });
    assert_eq!(message, expected);
    let (message, _) = next(&mut messages).await;
    let truncate = serde_json::json!([
        { "__typename": "Change", "kind": "TRUNCATE", "of": null, "collection": "movies", "commitTs": dropped,
          "before": null, "after": null },
    ]);
    assert_eq!(message["data"]["all"], truncate);
}

/// Documents are told as stored, whatever the API schema calls ids.
#[tokio::test]
async fn a_subscription_calls_ids_as_the_schema_does() {
    let engine = Engine::open(Arc::new(MemoryBackend::new()), EngineOptions::default());
    let settings = Settings {
        ids: thalweg_resolvers::IdNames::Relay,
        ..Settings::dev()
    };
    let service = Service::start(engine.expect("an empty store"), &settings).expect("a service");
    let begun = insert(&service, "movies", r#"{id: "a", n: 1}"#).await;
    let query =
        format!("subscription {{ changes(since: \"{begun}\") {{ rowId again: rowId after }} }}");
    let mut messages = subscribe(&service, &query, None).await.expect("valid");
    let update = r#"mutation { updateMovie(rowId: "a", patch: {n: 2}) { id } }"#;
    mutate(&service, update).await;
    let (message, _) = next(&mut messages).await;
    let expected =
        serde_json::json!([{ "rowId": "a", "again": "a", "after": { "id": "a", "n": 2 } }]);
    assert_eq!(message["data"]["changes"], expected);
    let other = subscribe(&service, "subscription { changes { id } }", None).await;
    assert_eq!(code(&other.err().expect("refused")), "VALIDATION_FAILED");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_the_first_message() {
    let service = service_with(0);
    let begun = insert(&service, "movies", r#"{id: "a"}"#).await;
    for (arguments, expected) in [
        (r#"(collections: ["films"])"#.to_owned(), "BAD_REQUEST"),
        ("(collections: [])".to_owned(), "BAD_REQUEST"),
        (
            format!("(since: \"{begun}\", snapshot: true)"),
            "BAD_REQUEST",
        ),
        (format!("(since: \"{begun}0\")"), "BAD_REQUEST"),
        (r#"(since: "yesterday")"#.to_owned(), "VALIDATION_FAILED"),
        (r#"(until: "1")"#.to_owned(), "VALIDATION_FAILED"),
    ] {
        let query = format!("subscription {{ changes{arguments} {{ id }} }}");
        let refused = subscribe(&service, &query, None)
            .await
            .err()
            .expect("refused");
        assert_eq!(code(&refused), expected, "{arguments}: {refused}");
    }
    let refused = prepare(&service, "{ changes { id } }")
        .err()
        .expect("refused");
    assert_eq!(code(&refused), "VALIDATION_FAILED", "it is no query");
    let both = ChangesOptions {
        since: Some(begun),
        snapshot: true,
        ..ChangesOptions::default()
    };
    let refused = service.changes(both).await.err().expect("refused");
    assert_eq!(refused.code, ErrorCode::BadRequest);
}

#[tokio::test]
async fn a_snapshot_can_be_resumed_from_only_when_it_is_whole() {
    let service = service_with(0);
    let documents: Vec<String> = (0..450).map(|n| format!("{{id: \"{n:03}\"}}")).collect();
    let at = insert(&service, "movies", &documents.join(",")).await;
    let query = "subscription { changes(snapshot: true) { id kind } }";
    let mut messages = subscribe(&service, query, None).await.expect("valid");
    let mut ids = Vec::new();
    loop {
        let (message, resume_from) = next(&mut messages).await;
        let changes = message["data"]["changes"].as_array().expect("a list");
        ids.extend(changes.iter().map(|change| change["id"].clone()));
        assert!(changes.iter().all(|change| change["kind"] == "SNAPSHOT"));
        let told = &message["extensions"]["thalweg"]["commitTs"];
        match resume_from {
            Some(ts) => {
                assert_eq!((ts, told.as_str()), (at, Some(&*at.to_string())));
                break;
            }
            None => assert_eq!(told, &Value::Null),
        }
    }
    assert_eq!(ids.len(), 450);
    // A client that resumes does not get the snapshot again, whatever its operation says.
    let mut messages = subscribe(&service, query, Some(at)).await.expect("valid");
    insert(&service, "movies", r#"{id: "new"}"#).await;
    let (message, _) = next(&mut messages).await;
    assert_eq!(
        message["data"]["changes"],
        serde_json::json!([{ "id": "new", "kind": "CREATE" }])
    );
}

#[tokio::test]
async fn only_the_last_change_of_a_commit_has_an_id() {
    let service = service_with(64 << 20);
    let begun = insert(&service, "movies", r#"{id: "a"}"#).await;
    let mut changes = service
        .changes(ChangesOptions::default())
        .await
        .expect("valid");
    let first = changes.next().await.expect("an item").expect("no error");
    assert!(first[0].json.is_none(), "only from where to resume");
    assert_eq!(first[0].resume_from, Some(begun));
    let ts = insert(&service, "movies", r#"{id: "b"}, {id: "c"}"#).await;
    let items = changes.next().await.expect("an item").expect("no error");
    let [b, c] = &items[..] else {
        panic!("{items:?}");
    };
    assert_eq!((b.resume_from, c.resume_from), (None, Some(ts)));
    let told = json(c.json.as_ref().expect("a change"));
    let expected = serde_json::json!({
        "commitTs": ts.to_string(), "collection": "movies", "id": "c", "kind": "CREATE", "before": null,
        "after": { "id": "c" },
    });
    assert_eq!(told, expected);
}

/// A client that was told nothing for long can still resume: it is told from where.
#[tokio::test(start_paused = true)]
async fn what_a_filter_hides_moves_the_point_to_resume_from() {
    let service = service_with(64 << 20);
    insert(&service, "movies", r#"{id: "a"}"#).await;
    let options = ChangesOptions {
        collections: Some(vec!["movies".to_owned()]),
        ..ChangesOptions::default()
    };
    let mut changes = service.changes(options).await.expect("valid");
    changes.next().await.expect("an item").expect("no error");
    let query = r#"subscription { changes(collections: ["movies"]) { id } }"#;
    let mut messages = subscribe(&service, query, None).await.expect("valid");
    let other = insert(&service, "people", r#"{id: "a"}"#).await;
    let items = changes.next().await.expect("an item").expect("no error");
    assert!(items.len() == 1 && items[0].json.is_none());
    assert_eq!(items[0].resume_from, Some(other));
    let (message, resume_from) = next(&mut messages).await;
    assert_eq!(resume_from, Some(other));
    assert_eq!(message["data"]["changes"], serde_json::json!([]));
    assert_eq!(
        message["extensions"]["thalweg"]["commitTs"],
        other.to_string()
    );
}

/// However often it is cut off, and wherever what it reads comes from, a client that resumes gets every commit once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resuming_anywhere_loses_and_repeats_nothing() {
    for recent in [0, 20_000, 64 << 20] {
        let service = Arc::new(service_with(recent));
        let begun = insert(&service, "movies", r#"{id: "first"}"#).await;
        let writer = tokio::spawn({
            let service = Arc::clone(&service);
            async move {
                let mut written = Vec::new();
                for n in 0..120 {
                    // Every tenth is larger than a page.
                    let count = if n % 10 == 0 { 3 } else { 1 };
                    let text = "x".repeat(if n % 10 == 0 { 200 << 10 } else { 10 });
                    let documents =
                        (0..count).map(|part| format!("{{id: \"{n}-{part}\", text: \"{text}\"}}"));
                    let documents: Vec<String> = documents.collect();
                    insert(&service, "movies", &documents.join(",")).await;
                    written.extend((0..count).map(|part| format!("{n}-{part}")));
                }
                insert(&service, "movies", r#"{id: "last"}"#).await;
                written
            }
        });
        let (mut resume_from, mut seen, mut patience) = (begun, Vec::new(), 0);
        let query = "subscription { changes { id } }";
        while seen.last().map(String::as_str) != Some("last") {
            let subscribed = subscribe(&service, query, Some(resume_from)).await;
            let mut messages = subscribed.expect("valid");
            // What has come of a commit that was not whole when the client was cut off is thrown away.
            let mut open = Vec::new();
            patience = (patience * 5 + 3) % 17;
            for _ in 0..patience {
                let (message, at) = next(&mut messages).await;
                let changes = message["data"]["changes"].as_array().expect("a list");
                open.extend(
                    changes
                        .iter()
                        .filter_map(|change| Some(change["id"].as_str()?.to_owned())),
                );
                if at > Some(resume_from) {
                    resume_from = at.expect("greater than some");
                    seen.append(&mut open);
                }
                if seen.last().map(String::as_str) == Some("last") {
                    break;
                }
            }
        }
        let mut written = writer.await.expect("no panic");
        written.push("last".to_owned());
        assert_eq!(seen, written);
    }
}

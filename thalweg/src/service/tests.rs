use thalweg_engine::EngineOptions;
use thalweg_gateway::{ImportOptions, ImportRecord, ImportSink, LiveListing, LiveRank};
use thalweg_model::Document;
use thalweg_storage::MemoryBackend;

use super::*;

/// A service with a collection of so many documents.
async fn service(documents: u64) -> Service {
    let backend = Arc::new(MemoryBackend::new());
    let engine = Engine::open(backend, EngineOptions::default()).expect("an empty store");
    let service = Service::start(engine, &Settings::dev());
    let service = service.expect("a service");
    let mut import = service
        .import("movies", ImportOptions::default())
        .expect("allowed");
    let records = (1..=documents).map(|line| ImportRecord {
        line,
        document: Document::parse(format!("{{\"n\":{line}}}").as_bytes()).expect("an object"),
    });
    let mut outcome = import.push(records.collect()).await.expect("taken");
    let (settled, error) = import.settle().await;
    assert!(error.is_none());
    outcome.add(settled);
    assert_eq!(outcome.inserted, documents);
    service
}

fn prepare(service: &Service, query: &str) -> ServiceOperation {
    let request = GraphqlRequest {
        query: Some(query.to_owned()),
        ..GraphqlRequest::default()
    };
    match service.prepare(request) {
        Ok(operation) => operation,
        Err(refused) => panic!("{}", String::from_utf8_lossy(&refused.body)),
    }
}

/// One list of a collection may be short while many of the same are not.
#[tokio::test]
async fn a_query_is_short_when_its_lists_are_together() {
    let service = service(INLINE_DOCUMENTS_MAX / 2).await;
    for (lists, short) in [(1, true), (2, true), (3, false), (20, false)] {
        let lists: String = (0..lists)
            .map(|number| {
                format!("l{number}: movies(filter: {{n: {{eq: 7}}}}) {{ nodes {{ n }} }} ")
            })
            .collect();
        let prepared = prepare(&service, &format!("{{ {lists} }}"));
        let snapshot = service.engine.snapshot().expect("open");
        let ServiceOperation::Prepared { operation, .. } = &prepared else {
            panic!("it has no idempotency key");
        };
        assert_eq!(is_short(operation, &snapshot), short, "{lists}");
        // Wherever it is run, the answer is the same.
        drop(snapshot);
        let response = service.execute(prepared).await;
        let body = String::from_utf8_lossy(&response.body);
        assert!(
            body.starts_with(r#"{"data":{"l0":{"nodes":[{"n":7}]}"#),
            "{body}"
        );
    }
}

/// Whoever registers a text by sending it with its hash may repeat the request with the hash alone.
#[tokio::test]
async fn a_key_belongs_to_the_text_that_a_hash_names() {
    let service = service(0).await;
    let add = "mutation { insertDocuments(collection: \"a\", documents: [{n: 1}]) }";
    let hash = thalweg_resolvers::text_hash(add);
    let extensions = format!(r#"{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}}}}"#);
    let send = async |query: Option<&str>, key: &str| {
        let request = GraphqlRequest {
            query: query.map(str::to_owned),
            extensions: RawValue::from_string(extensions.clone()).ok(),
            idempotency_key: Some(key.to_owned()),
            ..GraphqlRequest::default()
        };
        match service.prepare(request) {
            Ok(operation) => text(&service.execute(operation).await),
            Err(refused) => text(&refused),
        }
    };
    assert!(send(None, "k").await.contains("PersistedQueryNotFound"));
    let first = send(Some(add), "k").await;
    assert!(first.contains("commitTs"), "{first}");
    assert_eq!(send(None, "k").await, first);
    assert_ne!(send(None, "l").await, first);
}

/// What somebody sends who was given no answer: the same again.
async fn send(
    service: &Service,
    query: &str,
    header: Option<&str>,
    extensions: Option<&str>,
) -> GraphqlResponse {
    let request = GraphqlRequest {
        query: Some(query.to_owned()),
        document_id: None,
        operation_name: None,
        variables: None,
        extensions: extensions.map(|json| RawValue::from_string(json.to_owned()).expect("JSON")),
        idempotency_key: header.map(str::to_owned),
    };
    match service.prepare(request) {
        Ok(operation) => service.execute(operation).await,
        Err(refused) => refused,
    }
}

fn text(response: &GraphqlResponse) -> String {
    String::from_utf8(response.body.to_vec()).expect("text")
}

#[tokio::test]
async fn a_repeated_mutation_gets_the_first_answer_after_a_restart_too() {
    let backend: Arc<dyn thalweg_storage::Backend> = Arc::new(MemoryBackend::new());
    let open = || {
        let engine = Engine::open(Arc::clone(&backend), EngineOptions::default()).expect("opens");
        Service::start(engine, &Settings::dev()).expect("a service")
    };
    let add = "mutation { insertDocuments(collection: \"a\", documents: [{n: 1}]) }";
    let count = "{ collections { count } }";
    let service = open();
    let first = text(&send(&service, add, Some("k"), None).await);
    assert!(
        first.contains(r#""n":1"#) && first.contains("commitTs"),
        "{first}"
    );
    let inside = r#"{"thalweg":{"idempotencyKey":"k"}}"#;
    assert_eq!(text(&send(&service, add, None, Some(inside)).await), first);

    // What has committed may have changed the schema: the text need not be valid any more.
    let create = "mutation { createA(input: {n: 2}) { n _commitTs } }";
    let drop_it = "mutation { dropCollection(name: \"a\") { name count } }";
    let created = text(&send(&service, create, Some("c"), None).await);
    let dropped = text(&send(&service, drop_it, Some("d"), None).await);
    assert!(dropped.contains(r#""count":2"#), "{dropped}");
    drop(service);
    let service = open();
    for (query, key, answer) in [
        (add, "k", &first),
        (create, "c", &created),
        (drop_it, "d", &dropped),
    ] {
        assert_eq!(text(&send(&service, query, Some(key), None).await), *answer);
    }
    assert!(
        text(&send(&service, count, Some("q"), None).await)
            .starts_with(r#"{"data":{"collections":[]}"#)
    );
}

#[tokio::test]
async fn keys_that_cannot_be_meant_are_refused() {
    let service = service(1).await;
    let add = "mutation { createMovie(input: {n: 1}) { n } }";
    let first = send(&service, add, Some("k"), None).await;
    assert!(first.has_data);
    let other = "mutation { createMovie(input: {n: 2}) { n } }";
    let long = "k".repeat(201);
    let differs = r#"{"thalweg":{"idempotencyKey":"l"}}"#;
    let kind = r#"{"thalweg":{"idempotencyKey":1}}"#;
    for (query, header, extensions, message) in [
        (other, Some("k"), None, "was used for another request"),
        (add, Some(""), None, "1 to 200 bytes, this one has 0"),
        (add, Some(&*long), None, "this one has 201"),
        (add, Some("k"), Some(differs), "differ"),
        (add, None, Some(kind), "must be a string"),
    ] {
        let refused = send(&service, query, header, extensions).await;
        assert_eq!(refused.failure, Some(ErrorCode::BadRequest), "{message}");
        assert!(text(&refused).contains(message), "{}", text(&refused));
    }
    // One that was refused when it was run has no answer to repeat; it runs anew.
    let twice = "mutation { createMovie(input: {id: \"x\"}) { id } }";
    let remove = "mutation { deleteMovie(id: \"x\", permanent: true) { id } }";
    assert!(text(&send(&service, twice, None, None).await).contains(r#""id":"x""#));
    assert!(text(&send(&service, twice, Some("x"), None).await).contains("UNIQUE_VIOLATION"));
    send(&service, remove, None, None).await;
    assert!(
        text(&send(&service, twice, Some("x"), None).await)
            .contains(r#"{"createMovie":{"id":"x"}}"#)
    );
}

/// A service with as many documents, and settings.
async fn configured(documents: u64, settings: &Settings) -> Service {
    let backend = Arc::new(MemoryBackend::new());
    let engine = Engine::open(backend, EngineOptions::default()).expect("an empty store");
    let service = Service::start(engine, settings).expect("a service");
    let mut import = service
        .import("movies", ImportOptions::default())
        .expect("allowed");
    let records = (1..=documents).map(|line| ImportRecord {
        line,
        document: Document::parse(format!("{{\"n\":{line}}}").as_bytes()).expect("an object"),
    });
    import.push(records.collect()).await.expect("taken");
    assert!(import.settle().await.1.is_none());
    service
}

#[tokio::test]
async fn an_operation_has_so_much_time_and_no_more() {
    let settings = Settings {
        time_max: Duration::from_millis(1),
        live_time_max: Duration::from_millis(1),
        ..Settings::dev()
    };
    // More than can be looked at in a millisecond, in this place or in another.
    let service = configured(20_000, &settings).await;
    let slow = "movies(filter: {n: {eq: 7}}) { nodes { n } }";
    let query = service
        .execute(prepare(&service, &format!("{{ {slow} }}")))
        .await;
    let said = text(&query);
    assert!(
        said.contains("\"code\":\"TIMEOUT\"") && said.contains("more than 1ms"),
        "{said}"
    );
    let bulk = "mutation { updateMovies(filter: {n: {gte: 0}}, patch: {n: 0}) { count } }";
    let said = text(&service.execute(prepare(&service, bulk)).await);
    assert!(
        said.contains("\"code\":\"TIMEOUT\"") && said.contains("nothing was written"),
        "{said}"
    );
    // Somebody who follows it is told, too, rather than left waiting.
    let live = prepare(&service, &format!("subscription {{ {slow} }}"));
    let mut events = service.subscribe(live, None).await.expect("subscribed");
    match futures_util::StreamExt::next(&mut events).await {
        Some(LiveItem::Event(event)) => {
            let body = String::from_utf8_lossy(&event.body);
            assert!(body.contains("\"code\":\"TIMEOUT\""), "{body}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_run_ends_when_nobody_waits_for_it() {
    let patience = Patience::of(Duration::from_secs(3600));
    let waiting = Waiting(Arc::clone(&patience));
    assert_eq!(patience.interrupted(), None);
    let (engine, operation) = {
        let service = configured(20_000, &Settings::dev()).await;
        let text = "{ movies(filter: {n: {eq: 7}}) { nodes { n } } }";
        let ServiceOperation::Prepared { operation, .. } = prepare(&service, text) else {
            panic!("it has no idempotency key");
        };
        (service, operation)
    };
    drop(waiting);
    let snapshot = engine.engine.snapshot().expect("open");
    let operation = operation.interrupted_by(patience);
    let before = snapshot.documents_read();
    let evaluation = engine.resolvers.run(&operation, &snapshot);
    let said = String::from_utf8_lossy(evaluation.body()).into_owned();
    assert!(said.contains("nobody waits"), "{said}");
    // It did not look at what was left.
    assert!(snapshot.documents_read() - before < 1_000);
}

/// A long list by way of chunks, of which a short-looking query does not know before it runs.
#[tokio::test]
async fn a_long_response_is_the_same_in_chunks() {
    let service = service(0).await;
    let mut import = service
        .import("pages", ImportOptions::default())
        .expect("allowed");
    let padding = "x".repeat(5_000);
    let records = (1..=500).map(|line| ImportRecord {
        line,
        document: Document::parse(format!("{{\"n\":{line},\"text\":\"{padding}\"}}").as_bytes())
            .expect("an object"),
    });
    import.push(records.collect()).await.expect("taken");
    assert!(import.settle().await.1.is_none());
    for (query, is_long) in [
        (
            "{ pages(first: 500) { nodes { n text } totalCount } }",
            true,
        ),
        (
            "{ pages(first: 500, filter: {n: {gt: 0}}) { edges { node { n text } } } }",
            true,
        ),
        (
            "{ a: pages(first: 1) { nodes { n } } b: pages(first: 500) { nodes { text } } }",
            true,
        ),
        ("{ pages(first: 500) { nodes { n } } }", false),
        (
            "{ pages(first: 500) { nodes { text } } b: pages(first: -1) { nodes { n } } }",
            false,
        ),
    ] {
        let whole = text(&service.execute(prepare(&service, query)).await);
        let answered = match service.execute_in_chunks(prepare(&service, query)).await {
            Answer::Whole(response) => {
                assert!(!is_long, "{query}");
                text(&response)
            }
            Answer::Chunks(chunks) => {
                assert!(is_long, "{query}");
                let chunks: Vec<Result<Bytes, ApiError>> = chunks.collect().await;
                let mut all = Vec::new();
                for chunk in chunks {
                    let chunk = chunk.expect("whole");
                    assert!(chunk.len() < 300_000, "{}", chunk.len());
                    all.extend_from_slice(&chunk);
                }
                String::from_utf8(all).expect("text")
            }
        };
        assert!(answered == whole, "{query}");
    }
}

#[tokio::test]
async fn live_queries_are_listed_with_what_wakes_them() {
    let service = service(3).await;
    let list = |first, by| {
        let text = service.live_queries(LiveListing { first, by });
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    assert_eq!(
        list(100, LiveRank::Cost)["liveQueries"],
        serde_json::json!([])
    );

    let request = GraphqlRequest {
        query: Some(
            "query Watch($n: [Int!]) @live { movies(filter: {n: {in: $n}}, orderBy: [{n: DESC}], first: 1) { nodes { n } } }"
                .to_owned(),
        ),
        variables: Some(RawValue::from_string("{\"n\":[1,2]}".to_owned()).expect("JSON")),
        ..GraphqlRequest::default()
    };
    let connection = service.connect();
    for number in 0..2 {
        let Ok(operation) = service.prepare(clone_of(&request)) else {
            panic!("it is valid");
        };
        connection
            .subscribe(number, operation, None)
            .await
            .expect("followed");
    }
    let other = prepare(&service, "subscription { collections { name } }");
    connection
        .subscribe(2, other, None)
        .await
        .expect("followed");

    let listed = list(1, LiveRank::Subscribers);
    assert_eq!(
        (&listed["total"], &listed["subscriptions"]),
        (&2.into(), &3.into())
    );
    let [live] = listed["liveQueries"].as_array().expect("a list").as_slice() else {
        panic!("{listed}");
    };
    assert_eq!(live["operationName"], "Watch");
    assert_eq!(live["variables"], serde_json::json!({"n": [1, 2]}));
    assert_eq!(live["subscribers"], 2);
    assert_eq!(
        live["cost"],
        serde_json::json!({"runs": 0, "maintained": 0, "micros": 0})
    );
    let dependencies = live["dependencies"].as_array().expect("a list");
    assert_eq!(live["dependenciesTotal"], dependencies.len());
    assert_eq!(
        dependencies[0],
        serde_json::json!({
            "collection": "movies",
            "on": "n in [1, 2], in order of n DESC, id up to a place in it",
            "fields": ["n"],
        })
    );
    let all = list(100, LiveRank::Cost);
    assert_eq!(all["liveQueries"].as_array().expect("a list").len(), 2);
    assert_eq!(
        list(0, LiveRank::Cost)["liveQueries"],
        serde_json::json!([])
    );
}

fn clone_of(request: &GraphqlRequest) -> GraphqlRequest {
    GraphqlRequest {
        query: request.query.clone(),
        variables: request.variables.clone(),
        ..GraphqlRequest::default()
    }
}

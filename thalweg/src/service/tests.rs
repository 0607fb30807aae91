use thalweg_engine::EngineOptions;
use thalweg_gateway::{ImportOptions, ImportRecord, ImportSink};
use thalweg_model::Document;
use thalweg_storage::MemoryBackend;

use super::*;

/// A service with a collection of so many documents.
async fn service(documents: u64) -> Service {
    let backend = Arc::new(MemoryBackend::new());
    let engine = Engine::open(backend, EngineOptions::default()).expect("an empty store");
    let service = Service::start(engine, Limits::default(), LiveLimits::default());
    let service = service.expect("a service");
    let mut import = service
        .import("movies", ImportOptions::default())
        .expect("allowed");
    let records = (1..=documents).map(|line| ImportRecord {
        line,
        document: Document::parse(format!("{{\"n\":{line}}}").as_bytes()).expect("an object"),
    });
    let outcome = import.push(records.collect()).await.expect("committed");
    assert_eq!(outcome.inserted, documents);
    service
}

fn prepare(service: &Service, query: &str) -> ServiceOperation {
    let request = GraphqlRequest {
        query: Some(query.to_owned()),
        operation_name: None,
        variables: None,
        extensions: None,
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
        let operation = prepare(&service, &format!("{{ {lists} }}"));
        let snapshot = service.engine.snapshot().expect("open");
        assert_eq!(is_short(&operation.operation, &snapshot), short, "{lists}");
        // Wherever it is run, the answer is the same.
        drop(snapshot);
        let response = service.execute(operation).await;
        let body = String::from_utf8_lossy(&response.body);
        assert!(
            body.starts_with(r#"{"data":{"l0":{"nodes":[{"n":7}]}"#),
            "{body}"
        );
    }
}

use thalweg_model::{Document, FieldPath};
use thalweg_storage::MemoryBackend;

use super::*;

fn begin(atomic: bool) -> (Engine, Import) {
    let backend = Arc::new(MemoryBackend::new());
    let engine = Engine::open(backend, EngineOptions::default()).expect("an empty store");
    let options = ImportOptions {
        id_field: Some(FieldPath::top("id")),
        atomic,
    };
    let import = Import::begin(engine.clone(), "a", options, true).expect("allowed");
    (engine, import)
}

fn records(documents: &[&str]) -> Vec<ImportRecord> {
    let parse = |text: &&str| Document::parse(text.as_bytes()).expect("an object");
    documents
        .iter()
        .map(parse)
        .zip(1..)
        .map(|(document, line)| ImportRecord { line, document })
        .collect()
}

/// Before a batch is transacted, so that it is transacted once, whatever is wrong with it.
#[tokio::test]
async fn what_cannot_be_stored_is_refused_before_the_rest_is_committed() {
    let long_id = format!(r#"{{"id":"{}"}}"#, "x".repeat(200));
    let large = format!(r#"{{"id":"l","text":"{}"}}"#, "x".repeat(300));
    let documents = [&large, r#"{"id":"1"}"#, &long_id, r#"{"id":"2"}"#, &large];
    let (engine, mut import) = begin(false);
    import.document_bytes_max = 250;
    // The engine's own limit is larger, so it is not what refuses.
    assert!(import.document_bytes_max < EngineOptions::default().document_bytes_max);
    let outcome = import.push(records(&documents)).await.expect("committed");
    let refused: Vec<(u64, ErrorCode)> = outcome
        .failures
        .iter()
        .map(|failure| (failure.line, failure.code))
        .collect();
    let expected = [
        (1, ErrorCode::LimitExceeded),
        (3, ErrorCode::BadRequest),
        (5, ErrorCode::LimitExceeded),
    ];
    assert_eq!(refused, expected);
    assert!(outcome.failures[0].message.contains("at most 250"));
    assert_eq!((outcome.inserted, outcome.replaced), (2, 0));
    let collection = engine.catalog().by_name("a").expect("it was made").id;
    let snapshot = engine.snapshot().expect("open");
    assert_eq!(snapshot.stored_count(collection).expect("readable"), 2);
}

#[tokio::test]
async fn an_atomic_import_reports_what_cannot_be_stored_as_it_reads() {
    let (_engine, mut import) = begin(true);
    import.document_bytes_max = 20;
    let documents = [r#"{"id":"1"}"#, r#"{"id":"2","text":"too long"}"#];
    let outcome = import.push(records(&documents)).await.expect("read");
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(outcome.failures[0].line, 2);
}

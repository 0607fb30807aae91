use thalweg_model::{Document, FieldPath};
use thalweg_storage::MemoryBackend;

use super::*;

fn begin(atomic: bool) -> (Engine, Import) {
    begin_with(EngineOptions::default(), atomic)
}

fn begin_with(engine: EngineOptions, atomic: bool) -> (Engine, Import) {
    let backend = Arc::new(MemoryBackend::new());
    let engine = Engine::open(backend, engine).expect("an empty store");
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

/// What has become of one batch.
async fn take(import: &mut Import, documents: &[&str]) -> ImportOutcome {
    let mut outcome = import.push(records(documents)).await.expect("taken");
    let (settled, error) = import.settle().await;
    assert!(error.is_none());
    outcome.add(settled);
    outcome
}

fn stored(engine: &Engine, id: &str) -> Option<String> {
    let collection = engine.catalog().by_name("a").expect("it was made").id;
    let snapshot = engine.snapshot().expect("open");
    let record = snapshot.get(collection, id).expect("readable")?;
    Some(String::from_utf8_lossy(record.document().json()).into_owned())
}

#[tokio::test]
async fn batches_take_effect_in_their_order() {
    let (engine, mut import) = begin(false);
    let mut outcome = ImportOutcome::default();
    for number in 0..50 {
        let own = format!(r#"{{"id":"own {number}"}}"#);
        let same = format!(r#"{{"id":"same","n":{number}}}"#);
        let taken = import.push(records(&[&own, &same])).await;
        outcome.add(taken.expect("taken"));
    }
    let (settled, error) = import.settle().await;
    outcome.add(settled);
    assert!(error.is_none() && outcome.failures.is_empty());
    assert_eq!((outcome.inserted, outcome.replaced), (51, 49));
    let same = stored(&engine, "same").expect("it is there");
    assert_eq!(same, r#"{"id":"same","n":49}"#);
}

/// Though by then others are behind it, some with the same documents.
#[tokio::test]
async fn what_only_the_engine_refuses_is_left_out_of_its_batch() {
    let options = EngineOptions {
        document_bytes_max: 100,
        ..EngineOptions::default()
    };
    let (engine, mut import) = begin_with(options, false);
    let large = format!(r#"{{"id":"large","text":"{}"}}"#, "x".repeat(200));
    let batches = [
        &[r#"{"id":"1"}"#, &large, r#"{"id":"same","n":0}"#, &large][..],
        &[r#"{"id":"2"}"#, r#"{"id":"same","n":1}"#],
        &[&large],
        &[r#"{"id":"3"}"#],
    ];
    let mut outcome = ImportOutcome::default();
    for batch in batches {
        outcome.add(import.push(records(batch)).await.expect("taken"));
    }
    let (settled, error) = import.settle().await;
    outcome.add(settled);
    assert!(error.is_none());
    let mut lines: Vec<u64> = outcome.failures.iter().map(|it| it.line).collect();
    lines.sort_unstable();
    assert_eq!(lines, [1, 2, 4]);
    assert_eq!((outcome.inserted, outcome.replaced), (4, 1));
    for (id, there) in [("1", true), ("2", true), ("3", true), ("large", false)] {
        assert_eq!(stored(&engine, id).is_some(), there, "{id}");
    }
    let same = stored(&engine, "same").expect("it is there");
    assert_eq!(same, r#"{"id":"same","n":1}"#);
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
    let outcome = take(&mut import, &documents).await;
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

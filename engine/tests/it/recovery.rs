//! What is committed is there after the store is opened again, and only one engine writes.

use std::sync::Arc;

use thalweg_engine::{Engine, EngineError, EngineOptions, Intent, TransactionError};
use thalweg_storage::{Backend, EmbeddedBackend, EmbeddedOptions, MemoryBackend};

use crate::fixture::{collection, commit, create, json_of, patch, set};

fn open(backend: Arc<dyn Backend>) -> Engine {
    Engine::open(backend, EngineOptions::default()).unwrap()
}

#[tokio::test]
async fn documents_types_and_numbers_survive() {
    let directory = tempfile::tempdir().unwrap();
    let backend =
        || Arc::new(EmbeddedBackend::open(directory.path(), EmbeddedOptions::default()).unwrap());
    let engine = open(backend());
    commit(
        &engine,
        vec![create("US Films", r#"{"id":1,"US Gross":5}"#)],
    )
    .await
    .unwrap();
    let number = collection(&engine, "US Films");
    let schema = engine.catalog().by_name("US Films").unwrap().schema.clone();
    let ts = engine.snapshot().unwrap().ts();
    engine.close();
    drop(engine);
    let engine = open(backend());
    assert_eq!(engine.snapshot().unwrap().ts(), ts);
    assert_eq!(collection(&engine, "US Films"), number);
    assert_eq!(engine.catalog().by_name("US Films").unwrap().schema, schema);
    assert_eq!(
        engine
            .snapshot()
            .unwrap()
            .statistics(number)
            .unwrap()
            .documents,
        1
    );
    commit(&engine, vec![create("other", r#"{"id":1}"#)])
        .await
        .unwrap();
    assert_ne!(
        collection(&engine, "other"),
        number,
        "numbers are not reused"
    );
    assert!(engine.snapshot().unwrap().ts() > ts);
}

#[tokio::test]
async fn the_number_of_a_dropped_collection_is_not_given_again() {
    let backend = Arc::new(MemoryBackend::new());
    let engine = open(backend.clone());
    let documents = [create("a", "{}"), create("b", "{}")];
    commit(&engine, documents.to_vec()).await.unwrap();
    let dropped = collection(&engine, "b");
    let drop = Intent::DropCollection { name: "b".into() };
    commit(&engine, vec![drop]).await.unwrap();
    engine.close();
    let engine = open(backend.clone());
    // One that comes and goes within one transaction has had a number as well.
    let passing = [
        Intent::CreateCollection { name: "c".into() },
        Intent::DropCollection { name: "c".into() },
    ];
    commit(&engine, passing.to_vec()).await.unwrap();
    engine.close();
    let engine = open(backend);
    commit(&engine, vec![create("d", "{}")]).await.unwrap();
    assert_eq!(collection(&engine, "d").0, dropped.0 + 2);
}

#[tokio::test]
async fn a_deposed_engine_stops_writing() {
    let backend = Arc::new(MemoryBackend::new());
    let old = open(backend.clone());
    commit(&old, vec![create("a", r#"{"id":"x","n":1}"#)])
        .await
        .unwrap();
    let new = open(backend);
    let a = collection(&new, "a");
    commit(&new, vec![patch(a, "x", vec![set("n", "2")])])
        .await
        .unwrap();
    let refused = commit(&old, vec![patch(a, "x", vec![set("n", "3")])])
        .await
        .unwrap_err();
    assert!(
        matches!(refused, TransactionError::Engine(EngineError::Deposed)),
        "{refused:?}"
    );
    assert!(old.ready().is_err());
    assert_eq!(
        json_of(&new.snapshot().unwrap(), a, "x").unwrap(),
        r#"{"id":"x","n":2}"#
    );
}

#[tokio::test]
async fn a_closed_engine_refuses() {
    let engine = open(Arc::new(MemoryBackend::new()));
    engine.close();
    let refused = commit(&engine, vec![create("a", "{}")]).await.unwrap_err();
    assert!(matches!(
        refused,
        TransactionError::Engine(EngineError::Closed)
    ));
}

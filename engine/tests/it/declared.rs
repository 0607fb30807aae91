//! Declarations: judged at their turn, enforced in every commit, and older documents brought to satisfy them in pages that
//! survive a restart.

use std::sync::Arc;

use thalweg_engine::{
    Declaration, Engine, EngineOptions, Intent, IntentError, MaintenanceMode, Rename,
    TransactionError, verify,
};
use thalweg_model::{ErrorCode, Value};
use thalweg_schema_infer::DeclaredSchema;
use thalweg_storage::{Backend, MemoryBackend};

use crate::fixture::{collection, commit, create, id, named, patch, set};

fn open(backend: &Arc<MemoryBackend>) -> Engine {
    let options = EngineOptions {
        maintenance: MaintenanceMode::Manual,
        ..EngineOptions::default()
    };
    Engine::open(Arc::clone(backend) as Arc<dyn Backend>, options).unwrap()
}

fn declare(schema: &str, renames: &[(&str, &str)]) -> Intent {
    let schema = Value::parse(schema.as_bytes()).unwrap();
    let mut declaration = Declaration::new(DeclaredSchema::from_json(schema.as_ref()));
    assert!(declaration.schema.is_some());
    declaration.renames = renames
        .iter()
        .map(|(from, to)| Rename {
            from: (*from).into(),
            to: (*to).into(),
        })
        .collect();
    Intent::Declare {
        collection: named("a"),
        declaration,
    }
}

fn json(engine: &Engine, document: &str) -> String {
    let snapshot = engine.snapshot().unwrap();
    let record = snapshot.get(collection(engine, "a"), document).unwrap();
    let record = record.unwrap();
    String::from_utf8(record.document().json().to_vec()).unwrap()
}

const RENAMED: &str = r#"{"strict":true,"fields":[{"name":"title","type":"String","required":true},
    {"name":"n","type":"Int","required":true,"default":{"value":1}}]}"#;

#[tokio::test]
async fn older_documents_are_brought_along_in_pages_across_restarts() {
    let backend = Arc::new(MemoryBackend::new());
    let mut engine = open(&backend);
    for page in 0..4 {
        let documents =
            (0..400).map(|n| create("a", &format!(r#"{{"id":"{page}-{n:03}","name":"x"}}"#)));
        commit(&engine, documents.collect()).await.unwrap();
    }
    commit(&engine, vec![declare(RENAMED, &[("name", "title")])])
        .await
        .unwrap();
    let mut steps = 0;
    while engine.maintenance().step().await.unwrap() {
        steps += 1;
        // A store is in order at every step, whatever is left to do.
        let found = verify(&*backend).unwrap();
        assert_eq!(found.findings, [], "step {steps}");
        drop(engine);
        engine = open(&backend);
    }
    // Three passes of at least four pages.
    assert!(steps >= 8, "{steps}");
    let catalog = engine.catalog();
    let declared = catalog.by_name("a").unwrap().declared.clone().unwrap();
    assert_eq!(declared.backfills, []);
    assert_eq!(
        json(&engine, "3-399"),
        r#"{"id":"3-399","title":"x","n":1}"#
    );
    assert_eq!(
        json(&engine, "0-000"),
        r#"{"id":"0-000","title":"x","n":1}"#
    );
}

#[tokio::test]
async fn a_write_between_pages_is_kept() {
    let backend = Arc::new(MemoryBackend::new());
    let engine = open(&backend);
    commit(&engine, vec![create("a", r#"{"id":"x","name":"1"}"#)])
        .await
        .unwrap();
    commit(&engine, vec![declare(RENAMED, &[("name", "title")])])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    // As a client of the new schema writes: where the field is read from now.
    commit(&engine, vec![patch(a, "x", vec![set("name", "\"2\"")])])
        .await
        .unwrap();
    assert_eq!(
        json(&engine, "x"),
        r#"{"id":"x","name":"2","title":"2","n":1}"#
    );
    while engine.maintenance().step().await.unwrap() {}
    assert_eq!(json(&engine, "x"), r#"{"id":"x","title":"2","n":1}"#);
}

#[tokio::test]
async fn a_declaration_is_judged_by_what_is_there_when_its_turn_comes() {
    let engine = open(&Arc::new(MemoryBackend::new()));
    let ints = r#"{"strict":false,"fields":[{"name":"n","type":"Int"}]}"#;
    // In one transaction with a document that it does not allow, before it or after it.
    let one = create("a", r#"{"id":"x","n":"1"}"#);
    let error = commit(&engine, vec![one.clone(), declare(ints, &[])])
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::SchemaViolation);
    assert!(
        matches!(&error, TransactionError::Intent { step: 1, error: IntentError::NotSatisfied { violations } } if violations[0].mistake.count == 1),
        "{error:?}"
    );
    commit(&engine, vec![create("a", r#"{"id":"y","n":1}"#)])
        .await
        .unwrap();
    let error = commit(&engine, vec![declare(ints, &[]), one])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, TransactionError::Intent { step: 1, error: IntentError::SchemaViolation { id: of, .. } } if *of == id("x")),
        "{error:?}"
    );
    // Refused as a whole: nothing is declared.
    assert!(engine.catalog().by_name("a").unwrap().declared.is_none());
}

#[tokio::test]
async fn a_backfill_that_cannot_go_on_says_why_and_goes_on_when_it_is_declared_again() {
    let backend = Arc::new(MemoryBackend::new());
    let engine = open(&backend);
    let twice = ["x", "y"].map(|id| create("a", &format!(r#"{{"id":"{id}","name":"same"}}"#)));
    commit(&engine, twice.to_vec()).await.unwrap();
    commit(&engine, vec![declare(RENAMED, &[("name", "title")])])
        .await
        .unwrap();
    let unique = thalweg_engine::IndexDefinition::parse(["title"], true).unwrap();
    commit(
        &engine,
        vec![Intent::CreateIndex {
            collection: named("a"),
            definition: unique.clone(),
        }],
    )
    .await
    .unwrap();
    while engine.maintenance().step().await.unwrap() {}
    let declared = |engine: &Engine| {
        engine
            .catalog()
            .by_name("a")
            .unwrap()
            .declared
            .clone()
            .unwrap()
    };
    let failure = declared(&engine).backfills[0].failure.clone().unwrap();
    assert!(failure.contains("same"), "{failure}");
    commit(
        &engine,
        vec![Intent::DropIndex {
            collection: named("a"),
            definition: unique,
        }],
    )
    .await
    .unwrap();
    commit(&engine, vec![declare(RENAMED, &[])]).await.unwrap();
    while engine.maintenance().step().await.unwrap() {}
    assert_eq!(declared(&engine).backfills, []);
    assert_eq!(json(&engine, "y"), r#"{"id":"y","title":"same","n":1}"#);
}

use std::sync::Arc;

use futures_util::TryStreamExt;
use thalweg_engine::{EngineOptions, ExpiryChange, Intent, Transaction, Update};
use thalweg_gateway::{ImportOptions, ImportRecord, ImportSink};
use thalweg_model::{Document, DocumentId, FieldPath, Patch};
use thalweg_storage::MemoryBackend;

use super::*;
use crate::service::Import;

fn engine() -> Engine {
    Engine::open(Arc::new(MemoryBackend::new()), EngineOptions::default()).expect("an empty store")
}

async fn import(engine: &Engine, lines: &str, id_field: Option<&str>) {
    let options = ImportOptions {
        id_field: id_field.map(FieldPath::top),
        atomic: false,
    };
    let mut import = Import::begin(engine.clone(), "a", options, true).expect("allowed");
    let records = lines.lines().zip(1..).map(|(text, line)| ImportRecord {
        line,
        document: Document::parse(text.as_bytes()).expect("an object"),
    });
    let mut outcome = import.push(records.collect()).await.expect("taken");
    let (settled, error) = import.settle().await;
    assert!(error.is_none());
    outcome.add(settled);
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
}

async fn chunks(engine: &Engine, meta: bool) -> Vec<Bytes> {
    let stream = export(engine.clone(), "a", meta).expect("the collection is there");
    stream.try_collect().await.expect("readable")
}

async fn exported(engine: &Engine, meta: bool) -> String {
    String::from_utf8(chunks(engine, meta).await.concat()).expect("JSON is UTF-8")
}

/// A stored member `id` may say nothing, or something else than the id of the document.
#[tokio::test]
async fn an_export_is_imported_as_the_same_documents() {
    let first = engine();
    let by_key = r#"{"key":"k1","id":null}
{"key":"k2","a":1,"id":1.5,"b":2}
{"key":"k3","id":"k1"}
{"key":"k4","id":"k4"}
{"key":5,"id":5}
{"key":"k6","id":{"id":"k1"}}
{"key":"k7"}"#;
    import(&first, by_key, Some("key")).await;
    let whole = exported(&first, false).await;
    let expected = r#"{"key":5,"id":5}
{"id":"k1","key":"k1"}
{"id":"k2","key":"k2","a":1,"b":2}
{"id":"k3","key":"k3"}
{"key":"k4","id":"k4"}
{"id":"k6","key":"k6"}
{"id":"k7","key":"k7"}
"#;
    assert_eq!(whole, expected);
    let second = engine();
    import(&second, &whole, None).await;
    assert_eq!(exported(&second, false).await, whole);
}

/// A document without any id of its own gets one, which its export shows.
#[tokio::test]
async fn a_generated_id_is_kept() {
    let first = engine();
    import(&first, "{}\n{\"id\":null,\"n\":1}\n{\"id\":0.5}", None).await;
    let whole = exported(&first, false).await;
    assert_eq!(whole.matches("\"id\":\"").count(), 3, "{whole}");
    let second = engine();
    import(&second, &whole, None).await;
    assert_eq!(exported(&second, false).await, whole);
}

#[tokio::test]
async fn a_member_comes_before_a_system_field_of_its_name() {
    let engine = engine();
    let lines = r#"{"id":"1"}
{"id":"2","_version":"mine","_updatedAt":null}"#;
    import(&engine, lines, None).await;
    let whole = exported(&engine, true).await;
    let (plain, own) = whole.split_once('\n').expect("two lines");
    assert!(
        plain.starts_with(r#"{"id":"1","_version":1,"_commitTs":""#),
        "{plain}"
    );
    assert!(plain.contains(r#"","_createdAt":""#), "{plain}");
    assert!(plain.contains(r#"Z","_updatedAt":""#), "{plain}");
    let begin = r#"{"id":"2","_version":"mine","_updatedAt":null,"_commitTs":""#;
    assert!(own.starts_with(begin), "{own}");
    assert_eq!(own.matches("_version").count(), 1, "{own}");
    assert_eq!(own.matches("_updatedAt").count(), 1, "{own}");
    for line in whole.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    }
}

#[tokio::test]
async fn what_expires_says_when() {
    let engine = engine();
    import(&engine, "{\"id\":\"1\"}\n{\"id\":\"2\"}", None).await;
    let movies = engine
        .catalog()
        .collections()
        .next()
        .expect("it is there")
        .id;
    let expires = move |transaction: &mut Transaction<'_>| {
        transaction.write(Intent::Patch {
            collection: movies,
            id: DocumentId::new("2").expect("an id"),
            patch: Patch::default(),
            if_version: None,
            otherwise: None,
            expiry: ExpiryChange {
                at: Update::Set(4_000_000_000_000_000),
                on_expire: Update::Keep,
            },
        })
    };
    engine.transact(expires).await.expect("committed");
    let whole = exported(&engine, true).await;
    assert_eq!(whole.matches("_expiresAt").count(), 1, "{whole}");
    assert!(
        whole.contains(r#","_expiresAt":"2096-10-02T07:06:40.000000Z"}"#),
        "{whole}"
    );
}

#[tokio::test]
async fn large_documents_are_read_a_few_at_a_time() {
    let engine = engine();
    let text = "x".repeat(300 << 10);
    let lines: Vec<String> = (0..20)
        .map(|n| format!(r#"{{"id":"{n:02}","text":"{text}"}}"#))
        .collect();
    import(&engine, &lines.join("\n"), None).await;
    let chunks = chunks(&engine, false).await;
    for chunk in &chunks {
        assert!(chunk.len() < 2 << 20, "{}", chunk.len());
    }
    assert_eq!(chunks.concat(), (lines.join("\n") + "\n").as_bytes());
}

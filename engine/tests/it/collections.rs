//! Collections come, go, and get their types from what is in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thalweg_engine::{CollectionRef, Engine, EngineOptions, ExpiryChange, Intent};
use thalweg_model::ErrorCode;
use thalweg_storage::{Backend, Batch, CommitError, MemoryBackend, Snapshot, StorageError, Usage};

use crate::fixture::{collection, commit, create, document, engine, id, patch, set};

fn field_names(engine: &Engine, name: &str) -> Vec<String> {
    let catalog = engine.catalog();
    let schema = &catalog.by_name(name).unwrap().schema;
    schema
        .object
        .fields
        .iter()
        .map(|field| field.name.clone())
        .collect()
}

#[tokio::test]
async fn types_follow_the_documents_in_the_same_commit() {
    let engine = engine();
    let first = commit(&engine, vec![create("films", r#"{"id":1,"title":"Up"}"#)])
        .await
        .unwrap();
    assert_eq!(first.catalog.version, first.commit_ts);
    assert_eq!(field_names(&engine, "films"), ["title"]);
    let second = commit(&engine, vec![create("films", r#"{"id":2,"year":2009}"#)])
        .await
        .unwrap();
    assert_eq!(second.catalog.version, second.commit_ts);
    assert_eq!(field_names(&engine, "films"), ["title", "year"]);
    let third = commit(&engine, vec![create("films", r#"{"id":3,"year":2010}"#)])
        .await
        .unwrap();
    assert_eq!(third.catalog.version, second.commit_ts, "nothing new in it");
    assert_eq!(
        engine.snapshot().unwrap().catalog().version,
        second.commit_ts
    );
}

#[tokio::test]
async fn permanent_deletion_narrows_the_types_again() {
    let engine = engine();
    commit(
        &engine,
        vec![
            create("a", r#"{"id":1,"n":1}"#),
            create("a", r#"{"id":2,"odd":"x"}"#),
        ],
    )
    .await
    .unwrap();
    let a = collection(&engine, "a");
    let delete = Intent::Delete {
        collection: a,
        id: id("2"),
        permanent: true,
        if_version: None,
        purge_at: None,
    };
    commit(&engine, vec![delete]).await.unwrap();
    assert_eq!(field_names(&engine, "a"), ["n"]);
}

/// Whatever empties it, an open client's operations stay valid; new documents decide anew.
#[tokio::test]
async fn an_emptied_collection_keeps_its_types() {
    let backend = Arc::new(MemoryBackend::new());
    let engine = Engine::open(backend.clone(), EngineOptions::default()).unwrap();
    commit(
        &engine,
        vec![
            create("a", r#"{"id":1,"n":1}"#),
            create("a", r#"{"id":2,"s":"x"}"#),
        ],
    )
    .await
    .unwrap();
    let a = collection(&engine, "a");
    let delete = |of| Intent::Delete {
        collection: a,
        id: id(of),
        permanent: true,
        if_version: None,
        purge_at: None,
    };
    commit(&engine, vec![delete("1")]).await.unwrap();
    assert_eq!(field_names(&engine, "a"), ["s"]);
    commit(&engine, vec![delete("2")]).await.unwrap();
    assert_eq!(field_names(&engine, "a"), ["s"]);
    engine.close();
    let engine = Engine::open(backend, EngineOptions::default()).unwrap();
    assert_eq!(
        field_names(&engine, "a"),
        ["s"],
        "also after the store was opened again"
    );
    commit(&engine, vec![create("a", r#"{"id":3,"t":"x"}"#)])
        .await
        .unwrap();
    assert_eq!(field_names(&engine, "a"), ["t"]);
    commit(
        &engine,
        vec![Intent::TruncateCollection { name: "a".into() }],
    )
    .await
    .unwrap();
    assert_eq!(field_names(&engine, "a"), ["t"]);
}

#[tokio::test]
async fn an_id_member_of_another_value_is_a_field() {
    let engine = engine();
    let intent = Intent::Create {
        collection: CollectionRef::Name {
            name: "a".into(),
            create: true,
        },
        id: Some(id("code")),
        document: document(r#"{"id":5,"n":1}"#),
        expiry: ExpiryChange::KEEP,
    };
    commit(&engine, vec![intent]).await.unwrap();
    assert_eq!(field_names(&engine, "a"), ["id_", "n"]);
}

#[tokio::test]
async fn collections_are_created_renamed_truncated_and_dropped() {
    let engine = engine();
    let rename = || Intent::RenameCollection {
        from: "a".into(),
        to: "b".into(),
    };
    commit(&engine, vec![Intent::CreateCollection { name: "a".into() }])
        .await
        .unwrap();
    let again = commit(&engine, vec![Intent::CreateCollection { name: "a".into() }]).await;
    assert_eq!(again.unwrap_err().code(), ErrorCode::UniqueViolation);
    commit(&engine, vec![create("a", r#"{"id":1,"n":1}"#)])
        .await
        .unwrap();
    let number = collection(&engine, "a");
    commit(&engine, vec![rename()]).await.unwrap();
    assert!(engine.catalog().by_name("a").is_none());
    assert_eq!(collection(&engine, "b"), number);
    assert_eq!(field_names(&engine, "b"), ["n"]);
    assert_eq!(
        engine
            .catalog()
            .by_name("b")
            .unwrap()
            .schema
            .names
            .collection,
        "b"
    );
    commit(
        &engine,
        vec![Intent::TruncateCollection { name: "b".into() }],
    )
    .await
    .unwrap();
    assert_eq!(
        engine.snapshot().unwrap().document_count(number).unwrap(),
        0
    );
    commit(&engine, vec![create("b", r#"{"id":1}"#)])
        .await
        .unwrap();
    commit(&engine, vec![Intent::DropCollection { name: "b".into() }])
        .await
        .unwrap();
    assert!(engine.catalog().by_name("b").is_none());
    let gone = commit(&engine, vec![patch(number, "1", vec![set("n", "2")])])
        .await
        .unwrap_err();
    assert_eq!(gone.code(), ErrorCode::NotFound);
    let absent = commit(&engine, vec![rename()]).await.unwrap_err();
    assert_eq!(absent.code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn names_that_cannot_be() {
    let engine = engine();
    let long = "x".repeat(101);
    for name in ["", "_system", "a/b", "tab\t", "…", &long] {
        let error = commit(
            &engine,
            vec![Intent::CreateCollection { name: name.into() }],
        )
        .await
        .unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadRequest, "{name:?}: {error}");
    }
}

#[tokio::test]
async fn truncating_and_filling_in_one_transaction() {
    let engine = engine();
    commit(
        &engine,
        vec![
            create("a", r#"{"id":1,"old":1}"#),
            create("a", r#"{"id":2}"#),
        ],
    )
    .await
    .unwrap();
    commit(
        &engine,
        vec![
            create("a", r#"{"id":3}"#),
            Intent::TruncateCollection { name: "a".into() },
            create("a", r#"{"id":1,"new":1}"#),
        ],
    )
    .await
    .unwrap();
    let a = collection(&engine, "a");
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(snapshot.document_count(a).unwrap(), 1);
    assert_eq!(snapshot.get(a, "1").unwrap().unwrap().version(), 1);
    assert!(snapshot.get(a, "3").unwrap().is_none());
    assert_eq!(field_names(&engine, "a"), ["new"]);
}

#[tokio::test]
async fn a_refused_transaction_takes_no_names() {
    let engine = engine();
    let twice = create("US Films", r#"{"id":1}"#);
    commit(&engine, vec![twice.clone(), twice])
        .await
        .unwrap_err();
    commit(&engine, vec![create("us_films", r#"{"id":1}"#)])
        .await
        .unwrap();
    assert_eq!(type_name(&engine, "us_films"), "UsFilm");
    // In one transaction the collection that came first has the plain name.
    let both = [create("big-films", "{}"), create("big_films", "{}")];
    commit(&engine, both.to_vec()).await.unwrap();
    assert_eq!(type_name(&engine, "big-films"), "BigFilm");
    assert_ne!(type_name(&engine, "big_films"), "BigFilm");
}

#[tokio::test]
async fn a_failed_batch_takes_no_names() {
    let backend = Arc::new(FailsOnDemand::default());
    let engine = Engine::open(backend.clone(), EngineOptions::default()).unwrap();
    backend.fails.store(true, Ordering::SeqCst);
    commit(&engine, vec![create("US Films", r#"{"id":1}"#)])
        .await
        .unwrap_err();
    backend.fails.store(false, Ordering::SeqCst);
    commit(&engine, vec![create("us_films", r#"{"id":1}"#)])
        .await
        .unwrap();
    assert_eq!(type_name(&engine, "us_films"), "UsFilm");
}

fn type_name(engine: &Engine, collection: &str) -> String {
    let catalog = engine.catalog();
    let schema = &catalog.by_name(collection).unwrap().schema;
    schema.names.type_name.clone()
}

#[derive(Default)]
struct FailsOnDemand {
    inner: MemoryBackend,
    fails: AtomicBool,
}

impl Backend for FailsOnDemand {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        self.inner.snapshot()
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        if self.fails.load(Ordering::SeqCst) {
            let reason = "on demand".to_owned();
            return Err(CommitError::NotCommitted(StorageError::Unavailable {
                reason,
            }));
        }
        self.inner.commit(batch)
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        self.inner.usage()
    }
}

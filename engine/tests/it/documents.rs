//! What each intent does to a document.

use thalweg_engine::{ExpiryChange, Intent, IntentError, TransactionError};
use thalweg_model::{ErrorCode, PatchOperation};

use crate::fixture::{
    collection, commit, create, document, engine, id, increment, json_of, named, patch, path, set,
    value,
};

#[tokio::test]
async fn creates_with_the_documents_own_id_or_a_new_one() {
    let engine = engine();
    let done = commit(
        &engine,
        vec![create("a", r#"{"id":7,"n":1}"#), create("a", r#"{"n":2}"#)],
    )
    .await
    .unwrap();
    let ids: Vec<_> = done
        .steps
        .iter()
        .map(|step| step.after.as_ref().unwrap().id().to_owned())
        .collect();
    assert_eq!(ids[0], "7");
    assert_eq!(ids[1].len(), 36, "a UUID");
    let snapshot = engine.snapshot().unwrap();
    let record = snapshot
        .get(collection(&engine, "a"), "7")
        .unwrap()
        .unwrap();
    assert_eq!(record.version(), 1);
    assert_eq!(record.commit_ts(), done.commit_ts);
    assert_eq!(record.document().json(), br#"{"id":7,"n":1}"#);
}

#[tokio::test]
async fn generated_ids_ascend_within_a_transaction() {
    let engine = engine();
    let intents = (0..500)
        .map(|n| create("a", &format!(r#"{{"n":{n}}}"#)))
        .collect();
    let done = commit(&engine, intents).await.unwrap();
    let ids: Vec<_> = done
        .steps
        .iter()
        .map(|step| step.after.as_ref().unwrap().id().to_owned())
        .collect();
    assert!(
        ids.is_sorted(),
        "so that documents list in the order in which they came"
    );
}

#[tokio::test]
async fn a_taken_id_refuses_the_whole_transaction() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x"}"#)])
        .await
        .unwrap();
    let error = commit(
        &engine,
        vec![create("a", r#"{"id":"y"}"#), create("a", r#"{"id":"x"}"#)],
    )
    .await
    .unwrap_err();
    assert_eq!(error.code(), ErrorCode::UniqueViolation);
    assert!(matches!(error, TransactionError::Intent { step: 1, .. }));
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(json_of(&snapshot, collection(&engine, "a"), "y"), None);
}

#[tokio::test]
async fn patches_of_different_fields_both_survive_and_increments_add_up() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x","n":1,"s":"a"}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let done = commit(
        &engine,
        vec![
            patch(a, "x", vec![set("s", "\"b\""), increment("n", 2)]),
            patch(a, "x", vec![set("deep.er", "true"), increment("n", 3)]),
            patch(a, "absent", vec![set("s", "1")]),
        ],
    )
    .await
    .unwrap();
    let first = done.steps[0].after.as_ref().unwrap();
    assert_eq!(
        first.document().json(),
        br#"{"id":"x","n":3,"s":"b"}"#,
        "the state at its step"
    );
    let second = done.steps[1].after.as_ref().unwrap();
    assert_eq!(
        second.document().json(),
        br#"{"id":"x","n":6,"s":"b","deep":{"er":true}}"#
    );
    assert_eq!(second.version(), 2, "one commit, one version");
    assert!(done.steps[2].after.is_none() && !done.steps[2].changed);
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_none() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x","n":1}"#)])
        .await
        .unwrap();
    let before = engine.snapshot().unwrap().ts();
    let a = collection(&engine, "a");
    let done = commit(&engine, vec![patch(a, "x", vec![set("n", "1")])])
        .await
        .unwrap();
    assert!(!done.steps[0].changed);
    assert_eq!(done.steps[0].after.as_ref().unwrap().version(), 1);
    assert_eq!(engine.snapshot().unwrap().ts(), before);
}

#[tokio::test]
async fn if_version_must_match() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x"}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let replace = |if_version| Intent::Replace {
        collection: a,
        id: id("x"),
        document: document(r#"{"id":"x","n":1}"#),
        if_version: Some(if_version),
        expiry: ExpiryChange::KEEP,
    };
    let error = commit(&engine, vec![replace(2)]).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::VersionMismatch);
    assert_eq!(error.to_string(), r#"document "x" is at version 1, not 2"#);
    let done = commit(&engine, vec![replace(1)]).await.unwrap();
    assert_eq!(done.steps[0].after.as_ref().unwrap().version(), 2);
}

#[tokio::test]
async fn if_version_of_what_is_not_there_does_not_match() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"deleted"}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let delete = |of: &str, permanent, if_version| Intent::Delete {
        collection: a,
        id: id(of),
        permanent,
        if_version,
        purge_at: None,
    };
    commit(&engine, vec![delete("deleted", false, None)])
        .await
        .unwrap();
    let patch = |of: &str, otherwise: Option<&str>| Intent::Patch {
        collection: a,
        id: id(of),
        patch: thalweg_model::Patch {
            operations: vec![set("n", "1")],
        },
        if_version: Some(1),
        otherwise: otherwise.map(document),
        expiry: ExpiryChange::KEEP,
    };
    let replace = |of: &str| Intent::Replace {
        collection: a,
        id: id(of),
        document: document("{}"),
        if_version: Some(1),
        expiry: ExpiryChange::KEEP,
    };
    for of in ["absent", "deleted"] {
        for intent in [
            delete(of, false, Some(1)),
            patch(of, None),
            patch(of, Some("{}")),
            replace(of),
        ] {
            let error = commit(&engine, vec![intent]).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::VersionMismatch);
            let message = format!("document {of:?} is not there, so it is not at version 1");
            assert_eq!(error.to_string(), message);
        }
    }
    let gone = commit(&engine, vec![delete("absent", true, Some(1))]).await;
    assert_eq!(gone.unwrap_err().code(), ErrorCode::VersionMismatch);
    // For good one deletes what is softly deleted, so its version counts.
    let done = commit(&engine, vec![delete("deleted", true, Some(2))]).await;
    assert!(done.unwrap().steps[0].changed);
}

#[tokio::test]
async fn what_is_created_over_a_deleted_document_is_new() {
    let engine = engine();
    let first = commit(&engine, vec![create("a", r#"{"id":"x","n":1}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let delete = Intent::Delete {
        collection: a,
        id: id("x"),
        permanent: false,
        if_version: None,
        purge_at: None,
    };
    commit(&engine, vec![delete]).await.unwrap();
    let again = commit(&engine, vec![create("a", r#"{"id":"x","n":1}"#)])
        .await
        .unwrap();
    assert!(again.steps[0].before.is_none());
    let created = again.steps[0].after.as_ref().unwrap();
    assert_eq!(created.version(), 3);
    assert_eq!(created.created_at(), again.commit_ts.as_micros());
    assert!(created.created_at() > first.commit_ts.as_micros());
}

#[tokio::test]
async fn soft_deletion_hides_and_can_be_taken_back() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x","n":1}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let delete = |permanent| Intent::Delete {
        collection: a,
        id: id("x"),
        permanent,
        if_version: None,
        purge_at: None,
    };
    let done = commit(&engine, vec![delete(false)]).await.unwrap();
    let deleted = done.steps[0].after.clone().unwrap();
    assert_eq!(deleted.deleted_at(), Some(done.commit_ts.as_micros()));
    let statistics = engine.snapshot().unwrap().statistics(a).unwrap();
    assert_eq!((statistics.documents, statistics.deleted), (0, 1));
    // Deleting it again, and patching it, finds nothing.
    let done = commit(
        &engine,
        vec![delete(false), patch(a, "x", vec![set("n", "2")])],
    )
    .await;
    assert!(done.unwrap().steps.iter().all(|step| !step.changed));
    let restore = Intent::Restore {
        collection: a,
        id: id("x"),
        to: None,
    };
    let done = commit(&engine, vec![restore]).await.unwrap();
    let restored = done.steps[0].after.as_ref().unwrap();
    assert!(!restored.is_deleted());
    assert_eq!(
        (restored.version(), restored.created_at()),
        (3, deleted.created_at())
    );
    let done = commit(&engine, vec![delete(true)]).await.unwrap();
    assert!(done.steps[0].after.is_none() && done.steps[0].changed);
    assert_eq!(
        engine.snapshot().unwrap().statistics(a).unwrap().documents,
        0
    );
}

#[tokio::test]
async fn put_replaces_and_upsert_creates() {
    let engine = engine();
    let put = |json| Intent::Put {
        collection: named("a"),
        id: Some(id("k")),
        document: document(json),
        expiry: ExpiryChange::KEEP,
    };
    commit(&engine, vec![put(r#"{"n":1}"#)]).await.unwrap();
    let done = commit(&engine, vec![put(r#"{"n":2}"#)]).await.unwrap();
    assert!(done.steps[0].before.is_some());
    let a = collection(&engine, "a");
    let upsert = Intent::Patch {
        collection: a,
        id: id("new"),
        patch: thalweg_model::Patch {
            operations: vec![set("n", "1")],
        },
        if_version: None,
        otherwise: Some(document(r#"{"n":9}"#)),
        expiry: ExpiryChange::KEEP,
    };
    commit(&engine, vec![upsert]).await.unwrap();
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(json_of(&snapshot, a, "k").unwrap(), r#"{"n":2}"#);
    assert_eq!(json_of(&snapshot, a, "new").unwrap(), r#"{"n":9}"#);
}

#[tokio::test]
async fn bad_patches_say_what_is_wrong() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x","s":"text"}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let error = commit(&engine, vec![patch(a, "x", vec![increment("s", 1)])])
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::BadRequest);
    let twice = vec![
        set("s", "1"),
        PatchOperation::Push {
            path: path("s"),
            values: vec![value("1")],
        },
    ];
    let error = commit(&engine, vec![patch(a, "x", twice)])
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        TransactionError::Intent {
            error: IntentError::PatchConflict { .. },
            ..
        }
    ));
}

#[tokio::test]
async fn long_documents_are_stored_and_their_limit_is_named() {
    let engine = engine();
    let text = "x".repeat(5 << 20);
    let json = format!(r#"{{"id":"long","text":"{text}"}}"#);
    commit(&engine, vec![create("a", &json)]).await.unwrap();
    let a = collection(&engine, "a");
    assert_eq!(
        json_of(&engine.snapshot().unwrap(), a, "long").unwrap(),
        json
    );
    commit(&engine, vec![patch(a, "long", vec![set("n", "1")])])
        .await
        .unwrap();
    commit(
        &engine,
        vec![patch(a, "long", vec![set("text", "\"short\"")])],
    )
    .await
    .unwrap();
    assert_eq!(
        json_of(&engine.snapshot().unwrap(), a, "long").unwrap(),
        r#"{"id":"long","text":"short","n":1}"#
    );
    let error = commit(
        &engine,
        vec![create(
            "a",
            &format!(r#"{{"t":"{}"}}"#, "x".repeat(16 << 20)),
        )],
    )
    .await
    .unwrap_err();
    assert_eq!(error.code(), ErrorCode::LimitExceeded);
    assert!(error.to_string().contains("16777216"), "{error}");
}

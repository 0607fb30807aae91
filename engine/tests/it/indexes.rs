//! Indexes come, are built, hold what is unique, and go.

use std::sync::Arc;

use thalweg_engine::{
    Engine, EngineOptions, IndexDefinition, IndexStatus, Intent, IntentError, MaintenanceMode,
    Retain, SettingsChange, TransactionError,
};
use thalweg_model::ErrorCode;
use thalweg_storage::{Backend, MemoryBackend};

use crate::fixture::{collection, commit, create, id, named, patch, set};

fn open(backend: &Arc<MemoryBackend>, maintenance: MaintenanceMode) -> Engine {
    let options = EngineOptions {
        maintenance,
        index_page_max: 3,
        ..EngineOptions::default()
    };
    Engine::open(Arc::clone(backend) as Arc<dyn Backend>, options).unwrap()
}

fn manual() -> Engine {
    open(&Arc::new(MemoryBackend::new()), MaintenanceMode::Manual)
}

fn create_index(fields: &[&str], unique: bool) -> Intent {
    Intent::CreateIndex {
        collection: named("a"),
        definition: IndexDefinition::parse(fields, unique).unwrap(),
    }
}

async fn build(engine: &Engine) {
    while engine.maintenance().step().await.unwrap() {}
}

fn statuses(engine: &Engine) -> Vec<IndexStatus> {
    let catalog = engine.catalog();
    let indexes = &catalog.by_name("a").unwrap().indexes;
    indexes.iter().map(|index| index.status.clone()).collect()
}

#[track_caller]
fn violation(result: Result<thalweg_engine::Committed<()>, TransactionError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::UniqueViolation);
    error.to_string()
}

#[tokio::test]
async fn an_index_is_built_in_pages_and_survives_a_restart() {
    let backend = Arc::new(MemoryBackend::new());
    let engine = open(&backend, MaintenanceMode::Manual);
    for n in 0..10 {
        commit(
            &engine,
            vec![create("a", &format!(r#"{{"id":{n},"n":{n}}}"#))],
        )
        .await
        .unwrap();
    }
    let created = commit(&engine, vec![create_index(&["n DESC"], false)])
        .await
        .unwrap();
    assert!(created.steps[0].changed);
    let again = commit(&engine, vec![create_index(&["n DESC"], false)])
        .await
        .unwrap();
    assert!(!again.steps[0].changed);
    assert_eq!(statuses(&engine), [IndexStatus::Building]);
    assert!(engine.maintenance().step().await.unwrap());
    let a = collection(&engine, "a");
    let index = engine.catalog().by_id(a).unwrap().indexes[0].id;
    let progress = engine.snapshot().unwrap().index_progress(a, index).unwrap();
    assert_eq!(
        (
            progress.documents_done,
            progress.documents_total,
            progress.rows
        ),
        (3, 10, 3)
    );
    engine.close();
    let engine = open(&backend, MaintenanceMode::Manual);
    assert_eq!(statuses(&engine), [IndexStatus::Building]);
    for _ in 0..3 {
        assert!(engine.maintenance().step().await.unwrap());
    }
    assert_eq!(statuses(&engine), [IndexStatus::Ready]);
    assert!(!engine.maintenance().step().await.unwrap());
}

#[tokio::test]
async fn a_unique_violation_names_the_fields_the_value_and_the_other_document() {
    let engine = manual();
    commit(&engine, vec![create_index(&["email"], true)])
        .await
        .unwrap();
    commit(&engine, vec![create("a", r#"{"id":"x","email":"e"}"#)])
        .await
        .unwrap();
    let twice = commit(
        &engine,
        vec![
            create("a", r#"{"id":"z"}"#),
            create("a", r#"{"id":"y","email":"e"}"#),
        ],
    )
    .await
    .unwrap_err();
    let TransactionError::Intent { step: 1, error } = &twice else {
        panic!("{twice:?}");
    };
    assert_eq!(
        *error,
        IntentError::UniqueViolation {
            collection: "a".into(),
            fields: vec!["email".into()],
            value: "\"e\"".into(),
            id: id("x"),
        }
    );
    let message = twice.to_string();
    for part in ["email", "\"e\"", "\"a\"", "\"x\""] {
        assert!(message.contains(part), "{message}");
    }
    let engine = manual();
    commit(&engine, vec![create_index(&["a", "b"], true)])
        .await
        .unwrap();
    commit(&engine, vec![create("a", r#"{"id":"x","a":1,"b":"2"}"#)])
        .await
        .unwrap();
    let twice = commit(&engine, vec![create("a", r#"{"a":1.0,"b":"2"}"#)]).await;
    assert!(violation(twice).contains("[1.0,\"2\"]"));
}

#[tokio::test]
async fn null_and_missing_are_nobodys() {
    let engine = manual();
    commit(&engine, vec![create_index(&["a", "b"], true)])
        .await
        .unwrap();
    for json in [
        r#"{"a":1}"#,
        r#"{"a":1}"#,
        r#"{"a":1,"b":null}"#,
        "{}",
        "{}",
    ] {
        commit(&engine, vec![create("a", json)]).await.unwrap();
    }
}

#[tokio::test]
async fn documents_swap_their_values_in_one_transaction() {
    let engine = manual();
    commit(
        &engine,
        vec![
            create_index(&["n"], true),
            create("a", r#"{"id":"x","n":1}"#),
            create("a", r#"{"id":"y","n":2}"#),
        ],
    )
    .await
    .unwrap();
    let a = collection(&engine, "a");
    let swap = vec![
        patch(a, "x", vec![set("n", "2")]),
        patch(a, "y", vec![set("n", "1")]),
    ];
    commit(&engine, swap.clone()).await.unwrap();
    violation(
        commit(
            &engine,
            swap[1..]
                .iter()
                .cloned()
                .chain([patch(a, "x", vec![set("n", "1")])])
                .collect(),
        )
        .await,
    );
    build(&engine).await;
    commit(
        &engine,
        vec![
            patch(a, "x", vec![set("n", "3")]),
            create("a", r#"{"n":2}"#),
        ],
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_deleted_document_gives_its_value_up_and_restoring_claims_it() {
    let engine = manual();
    commit(
        &engine,
        vec![
            create_index(&["n"], true),
            create("a", r#"{"id":"x","n":1}"#),
        ],
    )
    .await
    .unwrap();
    let a = collection(&engine, "a");
    let delete = |of, permanent| Intent::Delete {
        collection: a,
        id: id(of),
        permanent,
        if_version: None,
        purge_at: None,
    };
    let restore = |of| Intent::Restore {
        collection: a,
        id: id(of),
        to: None,
    };
    commit(&engine, vec![delete("x", false)]).await.unwrap();
    commit(&engine, vec![create("a", r#"{"id":"y","n":1}"#)])
        .await
        .unwrap();
    violation(commit(&engine, vec![restore("x")]).await);
    commit(&engine, vec![delete("y", true)]).await.unwrap();
    commit(&engine, vec![restore("x")]).await.unwrap();
    violation(commit(&engine, vec![create("a", r#"{"n":1}"#)]).await);
    let truncate = Intent::TruncateCollection { name: "a".into() };
    commit(&engine, vec![truncate, create("a", r#"{"n":1}"#)])
        .await
        .unwrap();
    violation(commit(&engine, vec![create("a", r#"{"n":1}"#)]).await);
}

#[tokio::test]
async fn each_item_of_a_unique_list_is_one_documents_own() {
    let engine = manual();
    let first = vec![
        create_index(&["t[]"], true),
        create("a", r#"{"id":"x","t":[1,1,2]}"#),
    ];
    commit(&engine, first).await.unwrap();
    assert!(violation(commit(&engine, vec![create("a", r#"{"t":[3,2]}"#)]).await).contains(" 2 "));
    commit(&engine, vec![create("a", r#"{"t":[3,4]}"#)])
        .await
        .unwrap();
}

#[tokio::test]
async fn long_values_are_told_apart() {
    let engine = manual();
    commit(&engine, vec![create_index(&["s"], true)])
        .await
        .unwrap();
    let of = |end: &str| create("a", &format!(r#"{{"s":"{}{end}"}}"#, "é".repeat(5000)));
    commit(&engine, vec![of("1")]).await.unwrap();
    commit(&engine, vec![of("2")]).await.unwrap();
    let message = violation(commit(&engine, vec![of("1")]).await);
    assert!(message.len() < 1000 && message.contains("éé…"), "{message}");
}

/// What is stored of a collection may be longer than a backend takes in one value.
#[tokio::test]
async fn many_long_definitions_survive_a_restart() {
    let backend = Arc::new(MemoryBackend::new());
    let engine = open(&backend, MaintenanceMode::Manual);
    for n in 0..64 {
        let fields: Vec<_> = (0..16)
            .map(|field| format!("{}{n}.f{field}", "x".repeat(1010)))
            .collect();
        let definition = IndexDefinition::parse(&fields, false).unwrap();
        let create = Intent::CreateIndex {
            collection: named("a"),
            definition,
        };
        commit(&engine, vec![create]).await.unwrap();
    }
    engine.close();
    let engine = open(&backend, MaintenanceMode::Manual);
    assert_eq!(statuses(&engine).len(), 64);
    build(&engine).await;
    assert!(
        statuses(&engine)
            .iter()
            .all(|status| *status == IndexStatus::Ready)
    );
}

#[tokio::test]
async fn a_build_fails_on_values_that_two_documents_have() {
    let engine = manual();
    for of in ["x", "y", "z"] {
        let json = format!(r#"{{"id":"{of}","n":"same"}}"#);
        commit(&engine, vec![create("a", &json)]).await.unwrap();
    }
    commit(&engine, vec![create_index(&["n"], true)])
        .await
        .unwrap();
    build(&engine).await;
    let statuses_now = statuses(&engine);
    let [IndexStatus::Failed { reason }] = statuses_now.as_slice() else {
        panic!("{statuses_now:?}");
    };
    for part in ["\"x\"", "\"y\"", "\"same\"", "n"] {
        assert!(reason.contains(part), "{reason}");
    }
    // It is not maintained, and made good it is built anew.
    let a = collection(&engine, "a");
    commit(&engine, vec![create("a", r#"{"id":"w","n":"same"}"#)])
        .await
        .unwrap();
    for of in ["x", "y", "w"] {
        commit(
            &engine,
            vec![patch(a, of, vec![set("n", &format!("\"{of}\""))])],
        )
        .await
        .unwrap();
    }
    let first = engine.catalog().by_id(a).unwrap().indexes[0].id;
    commit(&engine, vec![create_index(&["n"], true)])
        .await
        .unwrap();
    build(&engine).await;
    assert_eq!(statuses(&engine), [IndexStatus::Ready]);
    assert_ne!(engine.catalog().by_id(a).unwrap().indexes[0].id, first);
    violation(commit(&engine, vec![create("a", r#"{"n":"same"}"#)]).await);
}

/// A document that the build has not come to yet gives up a value that another one has taken meanwhile.
#[tokio::test]
async fn an_unbuilt_document_cannot_give_up_what_another_one_holds() {
    let engine = manual();
    commit(&engine, vec![create("a", r#"{"id":"x","n":1}"#)])
        .await
        .unwrap();
    commit(
        &engine,
        vec![
            create_index(&["n"], true),
            create("a", r#"{"id":"y","n":1}"#),
        ],
    )
    .await
    .unwrap();
    let a = collection(&engine, "a");
    let both = vec![
        patch(a, "x", vec![set("n", "2")]),
        create("a", r#"{"id":"z","n":1}"#),
    ];
    violation(commit(&engine, both).await);
    commit(&engine, vec![patch(a, "x", vec![set("n", "2")])])
        .await
        .unwrap();
    build(&engine).await;
    assert_eq!(statuses(&engine), [IndexStatus::Ready]);
}

#[tokio::test]
async fn a_dropped_index_leaves_nothing_and_its_number_is_not_given_again() {
    let backend = Arc::new(MemoryBackend::new());
    let engine = open(&backend, MaintenanceMode::Manual);
    for n in 0..10 {
        commit(
            &engine,
            vec![create("a", &format!(r#"{{"id":{n},"n":{n}}}"#))],
        )
        .await
        .unwrap();
    }
    let a = collection(&engine, "a");
    let keys = || {
        let mut keys = 0;
        let snapshot = backend.snapshot().unwrap();
        let prefixes = [[0, 0, 0, 0, 0x50].as_slice(), &[0, 0, 0, 0, 0x52]];
        snapshot
            .scan(
                std::ops::Bound::Included(prefixes[0]),
                std::ops::Bound::Excluded(prefixes[1]),
                thalweg_storage::Direction::Forward,
                &mut |_, _| {
                    keys += 1;
                    std::ops::ControlFlow::Continue(())
                },
            )
            .unwrap();
        keys
    };
    commit(&engine, vec![create_index(&["n"], false)])
        .await
        .unwrap();
    build(&engine).await;
    commit(&engine, vec![patch(a, "3", vec![set("n", "30")])])
        .await
        .unwrap();
    assert_eq!(keys(), 11, "ten rows and one that ended");
    let first = engine.catalog().by_id(a).unwrap().indexes[0].id;
    let drop = Intent::DropIndex {
        collection: named("a"),
        definition: IndexDefinition::parse(["n"], false).unwrap(),
    };
    assert!(commit(&engine, vec![drop.clone()]).await.unwrap().steps[0].changed);
    assert!(!commit(&engine, vec![drop]).await.unwrap().steps[0].changed);
    assert_eq!(statuses(&engine), [IndexStatus::Dropping]);
    build(&engine).await;
    assert_eq!((statuses(&engine), keys()), (vec![], 0));
    engine.close();
    let engine = open(&backend, MaintenanceMode::Manual);
    commit(&engine, vec![create_index(&["n"], false)])
        .await
        .unwrap();
    assert!(engine.catalog().by_id(a).unwrap().indexes[0].id > first);
    build(&engine).await;
    assert_eq!(keys(), 10);
    commit(&engine, vec![Intent::DropCollection { name: "a".into() }])
        .await
        .unwrap();
    assert_eq!(keys(), 0);
}

#[tokio::test]
async fn bounds_are_named() {
    let engine = manual();
    commit(&engine, vec![create_index(&["t[]"], false)])
        .await
        .unwrap();
    let list = |count: usize| {
        let items: Vec<_> = (0..count).map(|n| n.to_string()).collect();
        create("a", &format!(r#"{{"t":[{}]}}"#, items.join(",")))
    };
    commit(&engine, vec![list(1000)]).await.unwrap();
    let error = commit(&engine, vec![list(1001)]).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::LimitExceeded);
    assert!(error.to_string().contains("1000"), "{error}");
    for n in 1..64 {
        commit(&engine, vec![create_index(&[&format!("f{n}")], false)])
            .await
            .unwrap();
    }
    let error = commit(&engine, vec![create_index(&["one", "more"], false)])
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::LimitExceeded);
    assert!(error.to_string().contains("64"), "{error}");
}

#[tokio::test]
async fn ended_rows_go_with_the_images_that_they_belong_to() {
    let backend = Arc::new(MemoryBackend::new());
    let clock = Arc::new(crate::fixture::SetClock::new(1_000_000_000));
    let options = EngineOptions {
        recovery_window: std::time::Duration::from_secs(1),
        maintenance: MaintenanceMode::Manual,
        ..EngineOptions::default()
    };
    let engine = Engine::open_with_clock(backend.clone(), options, clock.clone()).unwrap();
    commit(
        &engine,
        vec![
            create_index(&["n"], false),
            create("a", r#"{"id":"x","n":1}"#),
        ],
    )
    .await
    .unwrap();
    let a = collection(&engine, "a");
    let forget = Intent::Configure {
        collection: thalweg_engine::CollectionRef::Id(a),
        change: SettingsChange {
            retain: Some(Retain::Nothing),
            ..SettingsChange::default()
        },
    };
    commit(&engine, vec![forget]).await.unwrap();
    for n in 2..10 {
        commit(&engine, vec![patch(a, "x", vec![set("n", &n.to_string())])])
            .await
            .unwrap();
    }
    let ended = || {
        let mut keys = 0;
        let snapshot = backend.snapshot().unwrap();
        snapshot
            .scan(
                std::ops::Bound::Included(&[0, 0, 0, 0, 0x51]),
                std::ops::Bound::Excluded(&[0, 0, 0, 0, 0x52]),
                thalweg_storage::Direction::Forward,
                &mut |_, _| {
                    keys += 1;
                    std::ops::ControlFlow::Continue(())
                },
            )
            .unwrap();
        keys
    };
    assert_eq!(ended(), 8);
    clock.advance(std::time::Duration::from_secs(5));
    commit(&engine, vec![create("b", "{}")]).await.unwrap();
    assert_eq!(ended(), 0);
}

/// The thread of the engine builds while writers write; in the end every document is found by its value.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_built_while_writes_go_on() {
    let engine = open(&Arc::new(MemoryBackend::new()), MaintenanceMode::Background);
    for n in 0..200 {
        commit(
            &engine,
            vec![create("a", &format!(r#"{{"id":{n},"n":0}}"#))],
        )
        .await
        .unwrap();
    }
    let a = collection(&engine, "a");
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let engine = engine.clone();
            tokio::spawn(async move {
                for round in 1..=20 {
                    for n in (writer..200).step_by(16) {
                        let of = n.to_string();
                        let set = patch(a, &of, vec![set("n", &round.to_string())]);
                        commit(&engine, vec![set]).await.unwrap();
                    }
                }
            })
        })
        .collect();
    commit(&engine, vec![create_index(&["n"], false)])
        .await
        .unwrap();
    let mut head = engine.head();
    while statuses(&engine) != [IndexStatus::Ready] {
        head.changed().await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let snapshot = engine.snapshot().unwrap();
    let index = snapshot.catalog().by_id(a).unwrap().indexes[0].id;
    let of = |n: u32| thalweg_engine::Find {
        filter: Arc::new(thalweg_engine::Predicate::Field(
            thalweg_engine::FieldRef::Path(crate::fixture::path("n")),
            thalweg_engine::Test::Eq(crate::fixture::value(&n.to_string())),
        )),
        ..crate::fixture::find_all(a)
    };
    let mut all = 0;
    for n in 0..=20 {
        let choice = thalweg_engine::Choice::Index(index);
        let found = snapshot.find_by(&of(n), choice).unwrap();
        let scanned = snapshot
            .find_by(&of(n), thalweg_engine::Choice::Scan)
            .unwrap();
        assert_eq!(found.total, scanned.total);
        assert_eq!(found.rows.len(), scanned.rows.len());
        all += found.rows.len();
    }
    assert_eq!(all, 200);
    assert_eq!(snapshot.index_progress(a, index).unwrap().rows, 200);
    engine.close();
}

//! Of any writes exactly those are refused that would leave a unique value with two documents, durable or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use thalweg_engine::{
    Choice, Deleted, Engine, EngineOptions, ExpiryChange, Find, IndexDefinition, IndexStatus,
    Intent, MaintenanceMode, TransactionError,
};
use thalweg_model::{CollectionId, ErrorCode};
use thalweg_storage::MemoryBackend;

use crate::faults::{Fate, Faulty};
use crate::fixture::{collection, commit, create, find_all, id, json_of, named, patch, set};
use crate::pipeline::Stepped;
use crate::world::{self, IDS};

const A: CollectionId = CollectionId(16);

fn unique(fields: &[&str]) -> IndexDefinition {
    IndexDefinition::parse(fields, true).unwrap()
}

fn create_index(definition: &IndexDefinition) -> Intent {
    Intent::CreateIndex {
        collection: named("a"),
        definition: definition.clone(),
    }
}

fn definitions() -> impl Strategy<Value = Vec<IndexDefinition>> {
    let any = [
        ["a"].as_slice(),
        &["a", "b DESC"],
        &["t[]"],
        &["r[].k", "a"],
        &["c.d INSTANT"],
    ];
    proptest::sample::subsequence(any.map(unique).to_vec(), 1..4)
}

/// Whether some live documents share a value that is not null.
fn has_duplicates(engine: &Engine, definition: &IndexDefinition) -> bool {
    let snapshot = engine.snapshot().unwrap();
    let all = snapshot.find_by(&find_all(A), Choice::Scan).unwrap();
    let mut holders: BTreeMap<String, String> = BTreeMap::new();
    all.rows.iter().any(|record| {
        tuples(definition, record.document())
            .into_iter()
            .any(|tuple| {
                let other = holders.insert(tuple, record.id().to_owned());
                other.is_some_and(|other| other != record.id())
            })
    })
}

/// The values of a document's rows without null, as text in which equal values are equal.
fn tuples(definition: &IndexDefinition, document: thalweg_model::ValueRef<'_>) -> Vec<String> {
    let mut tuples = vec![String::new()];
    for field in &definition.fields {
        let thalweg_engine::FieldRef::Path(path) = &field.field else {
            unreachable!("no system field is generated")
        };
        let value = document.at(path);
        let values: Vec<_> = match (&field.items, value) {
            (None, value) => vec![value],
            (Some(_), None) => Vec::new(),
            (Some(thalweg_engine::ListItems::Whole), Some(list)) => {
                list.items().map(Some).collect()
            }
            (Some(thalweg_engine::ListItems::Field(inner)), Some(list)) => {
                list.items().map(|item| item.at(inner)).collect()
            }
        };
        let values = values
            .into_iter()
            .flatten()
            .filter(|value| !value.is_null());
        let texts: Vec<String> = values
            .map(|value| {
                let text = value.as_str().filter(|_| field.instant);
                match text.and_then(|text| thalweg_model::parse_rfc3339(&text)) {
                    Some(micros) => micros.to_string(),
                    None => String::from_utf8_lossy(value.json()).into_owned(),
                }
            })
            .collect();
        tuples = tuples
            .iter()
            .flat_map(|tuple| texts.iter().map(move |text| format!("{tuple} {text}")))
            .collect();
    }
    tuples
}

/// Makes a document of one engine what it is in another.
async fn copy(from: &Engine, to: &Engine, of: &str) {
    let snapshot = from.snapshot().unwrap();
    let record = snapshot.get(A, of).unwrap();
    let delete = |permanent| Intent::Delete {
        collection: A,
        id: id(of),
        permanent,
        if_version: None,
        purge_at: None,
    };
    let mut intents = vec![delete(true)];
    if let Some(record) = &record {
        let json = String::from_utf8(record.document().json().to_vec()).unwrap();
        intents.push(Intent::Put {
            collection: named("a"),
            id: Some(id(of)),
            document: crate::fixture::document(&json),
            expiry: ExpiryChange::KEEP,
        });
        if record.is_deleted() {
            intents.push(delete(false));
        }
    }
    commit(to, intents).await.unwrap();
}

fn manual() -> Engine {
    let options = EngineOptions {
        maintenance: MaintenanceMode::Manual,
        index_page_max: 2,
        ..EngineOptions::default()
    };
    Engine::open(Arc::new(MemoryBackend::new()), options).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_would_leave_two_holders_is_refused_and_nothing_else(
        definitions in definitions(),
        transactions in proptest::collection::vec(
            proptest::collection::vec(world::write(A), 1..4), 1..24,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (plain, indexed) = (manual(), manual());
            for engine in [&plain, &indexed] {
                let intents = vec![Intent::CreateCollection { name: "a".into() }];
                commit(engine, intents).await.unwrap();
            }
            commit(&indexed, definitions.iter().map(create_index).collect()).await.unwrap();
            while indexed.maintenance().step().await.unwrap() {}
            for intents in transactions {
                let done = commit(&plain, intents.clone()).await;
                let is_wrong = definitions.iter().any(|it| has_duplicates(&plain, it));
                let result = commit(&indexed, intents).await;
                match (done, result) {
                    (Ok(_), Ok(_)) => prop_assert!(!is_wrong, "it has to be refused"),
                    (Ok(_), Err(error)) => {
                        prop_assert_eq!(error.code(), ErrorCode::UniqueViolation);
                        prop_assert!(is_wrong, "{}", error);
                        for of in IDS {
                            copy(&indexed, &plain, of).await;
                        }
                    }
                    (Err(_), result) => prop_assert!(result.is_err()),
                }
            }
            Ok(())
        })?;
    }

    /// However a build and writes follow each other: a ready index has one holder for each value, and one that
    /// failed had a reason.
    #[test]
    fn an_index_that_becomes_ready_is_unique(
        definitions in definitions(),
        documents in proptest::collection::vec(world::document(), 0..6),
        writes in proptest::collection::vec(proptest::option::weighted(0.7, world::write(A)), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let engine = manual();
            let mut intents = vec![Intent::CreateCollection { name: "a".into() }];
            intents.extend(documents.iter().zip(IDS).map(|(json, of)| Intent::Put {
                collection: named("a"),
                id: Some(id(of)),
                document: crate::fixture::document(json),
                expiry: ExpiryChange::KEEP,
            }));
            commit(&engine, intents).await.unwrap();
            commit(&engine, definitions.iter().map(create_index).collect()).await.unwrap();
            for write in writes {
                match write {
                    Some(write) => drop(commit(&engine, vec![write]).await),
                    None => drop(engine.maintenance().step().await.unwrap()),
                }
            }
            while engine.maintenance().step().await.unwrap() {}
            for index in engine.catalog().by_id(A).unwrap().indexes.iter() {
                match &index.status {
                    IndexStatus::Ready => {
                        prop_assert!(!has_duplicates(&engine, &index.definition), "{:?}", index);
                    }
                    IndexStatus::Failed { reason } => prop_assert!(reason.contains("both have")),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            Ok(())
        })?;
    }
}

/// A value that is taken by what is on its way to the disk is taken; if that is lost, it is free.
#[tokio::test]
async fn a_value_on_its_way_is_taken() {
    for fate in [Fate::Commit, Fate::Refuse] {
        let backend = Faulty::new();
        let mut world = Stepped::open(Arc::clone(&backend) as Arc<_>);
        let ready = vec![
            create_index(&unique(&["n"])),
            create("a", r#"{"id":"w","n":0}"#),
        ];
        let ready = world.send_commit(ready).await;
        world.run().await;
        ready.await.unwrap().unwrap();
        let a = collection(&world.engine, "a");
        let first = vec![
            create("a", r#"{"id":"x","n":1}"#),
            patch(a, "w", vec![set("n", "5")]),
        ];
        let first = world.send_commit(first).await;
        world.order();
        world.hand_over();
        let second = world
            .send_commit(vec![create("a", r#"{"id":"y","n":1}"#)])
            .await;
        let third = world
            .send_commit(vec![create("a", r#"{"id":"z","n":0}"#)])
            .await;
        world.order();
        backend.set(fate);
        world.stepper.step(thalweg_engine::Stage::Write);
        backend.set(Fate::Commit);
        world.run().await;
        let code = |result: Result<_, TransactionError>| result.map_err(|error| error.code()).err();
        let taken = Some(ErrorCode::UniqueViolation);
        let expect = match fate {
            Fate::Commit => [None, taken, None],
            _ => [Some(ErrorCode::Unavailable), None, taken],
        };
        let results = [first, second, third];
        for (result, expect) in results.into_iter().zip(expect) {
            assert_eq!(code(result.await.unwrap()), expect);
        }
        let everything = Find {
            deleted: Deleted::Include,
            ..find_all(a)
        };
        let snapshot = world.engine.snapshot().unwrap();
        assert_eq!(
            snapshot.find(&everything).unwrap().total,
            Some(if expect[0].is_none() { 3 } else { 2 })
        );
        assert_eq!(json_of(&snapshot, a, "y").is_some(), expect[1].is_none());
    }
}

//! A transaction reads what it has written itself, and depends on what that was made of.

use std::sync::Arc;

use proptest::prelude::*;
use thalweg_engine::{
    Choice, CollectionRef, EngineOptions, ExpiryChange, FieldMask, Find, Intent, MaintenanceMode,
    Record, TransactionError,
};
use thalweg_model::{CollectionId, ErrorCode};
use thalweg_storage::MemoryBackend;

use crate::fixture::{
    collection, commit, create, document, engine, find_all, id, increment, json_of, named, patch,
};
use crate::index_finds::{definition, finds, harmless, pages};
use crate::pipeline::Stepped;
use crate::world::{self, IDS};

const A: CollectionId = CollectionId(16);

fn ids(rows: &[Record<'_>]) -> Vec<String> {
    rows.iter().map(|row| row.id().to_owned()).collect()
}

#[tokio::test]
async fn a_read_shows_the_writes_before_it_and_none_after() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x","n":1}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let done = engine
        .transact(move |transaction| {
            transaction.write(patch(a, "x", vec![increment("n", 1)]))?;
            let first = transaction.get(a, &id("x"), FieldMask::all())?;
            let first = first.map(|record| record.document().json().to_vec());
            transaction.write(create("a", r#"{"id":"y"}"#))?;
            transaction.write(Intent::Delete {
                collection: a,
                id: id("x"),
                permanent: true,
                purge_at: None,
                if_version: None,
            })?;
            let found = ids(&transaction.find(&find_all(a))?);
            transaction.write(patch(a, "y", vec![increment("n", 5)]))?;
            let last = transaction.get(a, &id("y"), FieldMask::all())?;
            let last = last.map(|record| record.document().json().to_vec());
            Ok((first, found, last))
        })
        .await
        .unwrap();
    let (first, found, last) = done.value;
    assert_eq!(first.unwrap(), br#"{"id":"x","n":2}"#);
    assert_eq!(found, ["y"]);
    assert_eq!(last.unwrap(), br#"{"id":"y","n":5}"#);
    assert_eq!(done.steps.len(), 4);
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(json_of(&snapshot, a, "y").unwrap(), r#"{"id":"y","n":5}"#);
    assert_eq!(json_of(&snapshot, a, "x"), None);
}

#[tokio::test]
async fn an_id_that_a_read_shows_is_the_one_that_is_committed() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x"}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let done = engine
        .transact(move |transaction| {
            for n in 0..3 {
                transaction.write(create("a", &format!(r#"{{"n":{n}}}"#)))?;
            }
            let made = transaction.make_id();
            let found = ids(&transaction.find(&find_all(a))?);
            for of in &found {
                transaction.write(patch(a, of, vec![increment("n", 10)]))?;
            }
            Ok((found, made))
        })
        .await
        .unwrap();
    let (found, made) = done.value;
    let snapshot = engine.snapshot().unwrap();
    let rows = snapshot.find(&find_all(a)).unwrap().rows;
    assert_eq!(ids(&rows), found);
    assert_eq!(found.len(), 4);
    assert!(!found.contains(&made.as_str().to_owned()));
    let mut numbers: Vec<_> = rows
        .iter()
        .map(|row| row.document().get("n").unwrap().as_i64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [10, 10, 11, 12]);
}

#[tokio::test]
async fn a_write_that_cannot_be_fails_the_read_after_it() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x"}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let done = engine
        .transact(move |transaction| {
            transaction.write(create("a", r#"{"id":"y"}"#))?;
            transaction.write(create("a", r#"{"id":"x"}"#))?;
            transaction.find(&find_all(a)).map(|rows| rows.len())
        })
        .await;
    match done.unwrap_err() {
        TransactionError::Intent { step: 1, error } => {
            assert_eq!(error.code(), ErrorCode::UniqueViolation);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(json_of(&engine.snapshot().unwrap(), a, "y"), None);
}

#[tokio::test]
async fn what_is_emptied_or_made_by_the_transaction_itself_shows() {
    let engine = engine();
    commit(
        &engine,
        vec![create("a", r#"{"id":"x"}"#), create("b", r#"{"id":"z"}"#)],
    )
    .await
    .unwrap();
    let (a, b) = (collection(&engine, "a"), collection(&engine, "b"));
    let done = engine
        .transact(move |transaction| {
            // A collection that comes to be here is none of those that are there.
            transaction.write(create("new", r#"{"id":"n"}"#))?;
            transaction.write(Intent::TruncateCollection { name: "a".into() })?;
            transaction.write(create("a", r#"{"id":"y"}"#))?;
            transaction.write(Intent::DropCollection { name: "b".into() })?;
            let found = (
                ids(&transaction.find(&find_all(a))?),
                ids(&transaction.find(&find_all(b))?),
            );
            Ok(found)
        })
        .await
        .unwrap();
    assert_eq!(done.value, (vec!["y".to_owned()], Vec::new()));
    let new = collection(&engine, "new");
    assert_eq!(new, CollectionId(18));
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(json_of(&snapshot, new, "n").unwrap(), r#"{"id":"n"}"#);
    assert_eq!(json_of(&snapshot, a, "x"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_that_are_read_at_once_are_all_told_apart() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x","n":0}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let tasks = (0..8).map(|_| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let mut seen = Vec::new();
            for _ in 0..20 {
                let done = engine
                    .transact(move |transaction| {
                        transaction.write(patch(a, "x", vec![increment("n", 1)]))?;
                        let record = transaction.get(a, &id("x"), FieldMask::all())?;
                        let record = record.expect("it is there");
                        Ok(record.document().get("n").and_then(|n| n.as_i64()))
                    })
                    .await;
                seen.push(done.unwrap().value.unwrap());
            }
            seen
        })
    });
    let mut seen = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        seen.extend(task.await.unwrap());
    }
    seen.sort_unstable();
    let expect: Vec<i64> = (1..=160).collect();
    assert_eq!(seen, expect);
}

/// What is seen of rows: the times of the commit are not known before it.
fn shown(rows: &[Record<'_>]) -> Vec<String> {
    let one = |row: &Record<'_>| {
        let json = String::from_utf8_lossy(row.document().json()).into_owned();
        let deleted = row.is_deleted();
        format!("{} {} {deleted} {json}", row.id(), row.version())
    };
    rows.iter().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever comes between a transaction and its commit: its reads show what it leaves.
    #[test]
    fn what_is_read_after_writes_is_what_is_there_after_the_commit(
        documents in proptest::collection::vec(world::document(), 0..8),
        definitions in proptest::collection::vec(definition(), 0..3),
        others in proptest::collection::vec(harmless(), 0..4),
        writes in proptest::collection::vec(harmless(), 1..6),
        truncates in proptest::bool::weighted(0.1),
        pages in pages(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = Stepped::open_with(
                Arc::new(MemoryBackend::new()),
                EngineOptions { maintenance: MaintenanceMode::Manual, ..EngineOptions::default() },
            );
            let mut intents = vec![Intent::CreateCollection { name: "a".into() }];
            intents.extend(documents.iter().zip(IDS).map(|(json, of)| Intent::Put {
                collection: named("a"),
                id: Some(id(of)),
                document: document(json),
                expiry: ExpiryChange::KEEP,
            }));
            let created = definitions.iter().map(|definition| Intent::CreateIndex {
                collection: CollectionRef::Id(A),
                definition: definition.clone(),
            });
            let built = (1..3).map(|number| Intent::MaintainIndex {
                collection: A,
                index: thalweg_engine::IndexId(number),
            });
            for intents in [intents].into_iter().chain(created.chain(built).map(|it| vec![it])) {
                let task = world.send_commit(intents).await;
                world.run().await;
                task.await.unwrap().unwrap();
            }
            let finds: Vec<Find> = finds(&world.engine.snapshot().unwrap(), &pages);
            let choices = || [Choice::Any, Choice::Scan].into_iter()
                .chain([1, 2].map(|number| Choice::Index(thalweg_engine::IndexId(number))));
            let run = {
                let (engine, finds, writes) = (world.engine.clone(), finds.clone(), writes.clone());
                async move {
                    engine.transact(move |transaction| {
                        if truncates {
                            transaction.write(Intent::TruncateCollection { name: "a".into() })?;
                        }
                        let mut seen = Vec::new();
                        for write in &writes {
                            transaction.write(write.clone())?;
                            seen.clear();
                            for find in &finds {
                                for choice in choices() {
                                    seen.push(shown(&transaction.find_by(find, choice)?));
                                }
                            }
                            for of in IDS {
                                let record = transaction.get(A, &id(of), FieldMask::all())?;
                                seen.push(shown(record.as_slice()));
                            }
                        }
                        Ok(seen)
                    }).await
                }
            };
            let mut tasks = Vec::new();
            for intent in &others {
                tasks.push(world.send_commit(vec![intent.clone()]).await);
            }
            let reader = world.send(run).await;
            world.run().await;
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            let mut seen = reader.await.unwrap().unwrap().value.into_iter();
            let snapshot = world.engine.snapshot().unwrap();
            for find in &finds {
                let expect = shown(&snapshot.find_by(find, Choice::Scan).unwrap().rows);
                for choice in choices() {
                    prop_assert_eq!(seen.next().unwrap(), expect.clone(), "{:?} {:#?}", choice, find);
                }
            }
            for of in IDS {
                let record = snapshot.get(A, of).unwrap();
                prop_assert_eq!(seen.next().unwrap(), shown(record.as_slice()));
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn writes_that_undo_each_other_are_a_commit_of_the_time_that_they_tell() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x"}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let before = engine.snapshot().unwrap().ts();
    let delete = Intent::Delete {
        collection: a,
        id: id("y"),
        permanent: true,
        purge_at: None,
        if_version: None,
    };
    let intents = vec![create("a", r#"{"id":"y"}"#), delete];
    let done = commit(&engine, intents).await.unwrap();
    let told = done.steps[0].after.as_deref().unwrap().commit_ts();
    assert!(before < told);
    assert_eq!(done.commit_ts, told);
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(snapshot.ts(), told);
    assert_eq!(json_of(&snapshot, a, "y"), None);
}

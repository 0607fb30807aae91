//! Conflicts: found by range, re-executed by the engine, never shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use thalweg_engine::{Engine, ExpiryChange, FieldMask, FieldRef, Find, Intent, Predicate, Test};
use thalweg_model::CollectionId;

use crate::fixture::{
    collection, commit, create, engine, find_all, id, increment, json_of, named, patch, path, set,
    value,
};

fn mask(field: &str) -> FieldMask {
    let mut mask = FieldMask::none();
    mask.add(FieldRef::Path(path(field)));
    mask
}

/// Reads `n`, then writes what it read plus one: right only if nothing comes between.
async fn read_modify_write(engine: &Engine, a: CollectionId, runs: Arc<AtomicU32>) {
    engine
        .transact(move |transaction| {
            runs.fetch_add(1, Ordering::Relaxed);
            let record = transaction.get(a, &id("x"), mask("n"))?.expect("it exists");
            let n = record
                .document()
                .get("n")
                .and_then(|n| n.as_i64())
                .expect("an integer");
            transaction.write(patch(a, "x", vec![set("n", &(n + 1).to_string())]))?;
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_modify_write_of_a_hot_document_is_lost() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x","n":0}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let runs = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::new();
    for _ in 0..16 {
        let (engine, runs) = (engine.clone(), Arc::clone(&runs));
        tasks.push(tokio::spawn(async move {
            for _ in 0..25 {
                read_modify_write(&engine, a, Arc::clone(&runs)).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        json_of(&engine.snapshot().unwrap(), a, "x").unwrap(),
        r#"{"id":"x","n":400}"#
    );
    let runs = runs.load(Ordering::Relaxed);
    assert!(
        runs <= 400 * 4,
        "each runs at most three times before it gets the lane: {runs}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_need_no_second_run() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x","n":0}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let runs = Arc::new(AtomicU32::new(0));
    let tasks = (0..8).map(|_| {
        let (engine, runs) = (engine.clone(), Arc::clone(&runs));
        tokio::spawn(async move {
            for _ in 0..50 {
                let runs = Arc::clone(&runs);
                engine
                    .transact(move |transaction| {
                        runs.fetch_add(1, Ordering::Relaxed);
                        transaction.write(patch(a, "x", vec![increment("n", 1)]))?;
                        Ok(())
                    })
                    .await
                    .unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(
        json_of(&engine.snapshot().unwrap(), a, "x").unwrap(),
        r#"{"id":"x","n":400}"#
    );
    assert_eq!(runs.load(Ordering::Relaxed), 400);
}

/// At most one doctor may go off duty: each transaction counts those on duty and leaves only if two are. Under
/// snapshot isolation both would leave (write skew); a range dependency catches it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn write_skew_cannot_occur() {
    for _ in 0..50 {
        let engine = engine();
        commit(
            &engine,
            vec![
                create("doctors", r#"{"id":"a","on":true}"#),
                create("doctors", r#"{"id":"b","on":true}"#),
            ],
        )
        .await
        .unwrap();
        let doctors = collection(&engine, "doctors");
        let leave = |who: &'static str| {
            let engine = engine.clone();
            tokio::spawn(async move {
                engine
                    .transact(move |transaction| {
                        let on =
                            Predicate::Field(FieldRef::Path(path("on")), Test::Eq(value("true")));
                        let find = Find {
                            filter: Arc::new(on),
                            ..find_all(doctors)
                        };
                        if transaction.find(&find)?.len() == 2 {
                            transaction.write(patch(doctors, who, vec![set("on", "false")]))?;
                        }
                        Ok(())
                    })
                    .await
                    .unwrap();
            })
        };
        let (a, b) = (leave("a"), leave("b"));
        a.await.unwrap();
        b.await.unwrap();
        let snapshot = engine.snapshot().unwrap();
        let on = Predicate::Field(FieldRef::Path(path("on")), Test::Eq(value("true")));
        let count = snapshot
            .count(doctors, Arc::new(on), Default::default())
            .unwrap();
        assert_eq!(count, 1);
    }
}

/// Two that insert if nothing is there yet: the absence is a dependency too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn phantoms_cannot_occur() {
    for _ in 0..50 {
        let engine = engine();
        commit(&engine, vec![Intent::CreateCollection { name: "a".into() }])
            .await
            .unwrap();
        let a = collection(&engine, "a");
        let insert = |which: &'static str| {
            let engine = engine.clone();
            tokio::spawn(async move {
                engine
                    .transact(move |transaction| {
                        if transaction.find(&find_all(a))?.is_empty() {
                            transaction.write(Intent::Create {
                                collection: named("a"),
                                id: Some(id(which)),
                                document: crate::fixture::document("{}"),
                                expiry: ExpiryChange::KEEP,
                            })?;
                        }
                        Ok(())
                    })
                    .await
                    .unwrap();
            })
        };
        let (one, two) = (insert("one"), insert("two"));
        one.await.unwrap();
        two.await.unwrap();
        assert_eq!(engine.snapshot().unwrap().document_count(a).unwrap(), 1);
    }
}

#[tokio::test]
async fn a_snapshot_is_not_moved_by_later_commits() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x","n":1}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let before = engine.snapshot().unwrap();
    commit(
        &engine,
        vec![
            patch(a, "x", vec![set("n", "2")]),
            create("a", r#"{"id":"y"}"#),
        ],
    )
    .await
    .unwrap();
    assert_eq!(json_of(&before, a, "x").unwrap(), r#"{"id":"x","n":1}"#);
    assert_eq!(before.find(&find_all(a)).unwrap().total, Some(1));
    assert_eq!(
        engine.snapshot().unwrap().find(&find_all(a)).unwrap().total,
        Some(2)
    );
}

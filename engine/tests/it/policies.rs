//! Referential policies: what becomes of documents when one goes that they name, by whichever way it goes.

use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::{
    CollectionRef, DeclaredRelation, Engine, EngineOptions, ExpiryChange, FieldMask, Intent,
    IntentError, TransactionError, Update,
};
use thalweg_model::{CollectionId, ErrorCode};
use thalweg_schema_infer::{OnDelete, RelationKey};
use thalweg_storage::MemoryBackend;

use crate::fixture::{
    SetClock, collection, commit, create, document, engine, find_all, id, json_of, patch, path,
    set, settle, stepped,
};

fn relation(field: &str, is_list: bool, key: RelationKey, on_delete: OnDelete) -> DeclaredRelation {
    DeclaredRelation {
        field: path(field),
        is_list,
        target: "people".into(),
        key,
        name: None,
        inverse: None,
        on_delete,
        is_indexed: true,
    }
}

fn relate(of: &str, relations: Vec<DeclaredRelation>) -> Intent {
    Intent::Relate {
        collection: CollectionRef::Name {
            name: of.into(),
            create: false,
        },
        relations,
        refused: Vec::new(),
    }
}

/// People p and q, and movies that name them: 1 and 2 name p, 3 names q, 4 nobody; 5 is softly deleted and names p.
async fn fill(engine: &Engine, relations: Vec<DeclaredRelation>) -> (CollectionId, CollectionId) {
    commit(
        engine,
        vec![
            create("people", r#"{"id":"p","code":"c1"}"#),
            create("people", r#"{"id":"q","code":"c2"}"#),
            create(
                "movies",
                r#"{"id":"1","by":"p","all":["p","q"],"code":"c1"}"#,
            ),
            create("movies", r#"{"id":"2","by":"p","all":["q"],"code":"c2"}"#),
            create("movies", r#"{"id":"3","by":"q","all":[],"code":"c2"}"#),
            create("movies", r#"{"id":"4","by":null}"#),
            create("movies", r#"{"id":"5","by":"p"}"#),
        ],
    )
    .await
    .unwrap();
    let (people, movies) = (collection(engine, "people"), collection(engine, "movies"));
    commit(engine, vec![delete(movies, "5", false)])
        .await
        .unwrap();
    commit(engine, vec![relate("movies", relations)])
        .await
        .unwrap();
    (people, movies)
}

fn delete(from: CollectionId, of: &str, permanent: bool) -> Intent {
    Intent::Delete {
        collection: from,
        id: id(of),
        permanent,
        purge_at: None,
        if_version: None,
    }
}

fn shown(engine: &Engine, of: CollectionId) -> Vec<String> {
    let snapshot = engine.snapshot().unwrap();
    let rows = snapshot.find(&find_all(of)).unwrap().rows;
    rows.iter().map(|row| row.id().to_owned()).collect()
}

fn by(on_delete: OnDelete) -> Vec<DeclaredRelation> {
    vec![relation("by", false, RelationKey::Id, on_delete)]
}

fn refusal(error: TransactionError) -> (usize, IntentError) {
    match error {
        TransactionError::Intent { step, error } => (step, error),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_named_and_restricted_stays() {
    let engine = engine();
    let (people, movies) = fill(&engine, by(OnDelete::Restrict)).await;
    for permanent in [false, true] {
        let intents = vec![
            patch(people, "q", vec![set("x", "1")]),
            delete(people, "p", permanent),
        ];
        let (step, error) = refusal(commit(&engine, intents).await.unwrap_err());
        assert_eq!((step, error.code()), (1, ErrorCode::SchemaViolation));
        assert_eq!(
            error,
            IntentError::Restricted {
                target: "people".into(),
                collection: "movies".into(),
                field: "by".into(),
                count: 2,
                ids: Box::new(["1".into(), "2".into()]),
            }
        );
    }
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(
        json_of(&snapshot, people, "q").unwrap(),
        r#"{"id":"q","code":"c2"}"#
    );
    // Those that name it may go in the same statement, before it or after it.
    commit(
        &engine,
        vec![
            delete(movies, "1", false),
            delete(people, "p", false),
            delete(movies, "2", false),
        ],
    )
    .await
    .unwrap();
    assert_eq!(shown(&engine, people), ["q"]);
    for intent in [
        Intent::TruncateCollection {
            name: "people".into(),
        },
        Intent::DropCollection {
            name: "people".into(),
        },
    ] {
        let (_, error) = refusal(commit(&engine, vec![intent]).await.unwrap_err());
        assert!(
            matches!(error, IntentError::Restricted { count: 1, .. }),
            "{error}"
        );
    }
    commit(
        &engine,
        vec![patch(movies, "3", vec![set("by", "\"nobody\"")])],
    )
    .await
    .unwrap();
    commit(
        &engine,
        vec![Intent::TruncateCollection {
            name: "people".into(),
        }],
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn what_goes_with_it_goes_however_it_goes() {
    for truncates in [false, true] {
        for permanent in [false, true] {
            let engine = engine();
            let (people, movies) = fill(&engine, by(OnDelete::Cascade)).await;
            let (intent, left) = match truncates {
                true => (
                    Intent::TruncateCollection {
                        name: "people".into(),
                    },
                    vec!["4"],
                ),
                false => (delete(people, "p", permanent), vec!["3", "4"]),
            };
            let done = commit(&engine, vec![intent]).await.unwrap();
            assert_eq!(done.steps.len(), 1);
            assert_eq!(shown(&engine, movies), left);
            let snapshot = engine.snapshot().unwrap();
            // As their own collection deletes: softly.
            assert!(snapshot.get(movies, "1").unwrap().unwrap().is_deleted());
        }
    }
}

#[tokio::test]
async fn names_are_taken_back_from_fields_and_from_lists() {
    let engine = engine();
    let relations = vec![
        relation("by", false, RelationKey::Id, OnDelete::SetNull),
        relation("all", true, RelationKey::Id, OnDelete::SetNull),
    ];
    let (people, movies) = fill(&engine, relations).await;
    commit(&engine, vec![delete(people, "p", false)])
        .await
        .unwrap();
    let snapshot = engine.snapshot().unwrap();
    let json = |of| json_of(&snapshot, movies, of).unwrap();
    assert_eq!(json("1"), r#"{"id":"1","by":null,"all":["q"],"code":"c1"}"#);
    assert_eq!(json("2"), r#"{"id":"2","by":null,"all":["q"],"code":"c2"}"#);
    assert_eq!(
        json("5"),
        r#"{"id":"5","by":"p"}"#,
        "a deleted document stays as it was"
    );
    drop(snapshot);
    commit(
        &engine,
        vec![Intent::DropCollection {
            name: "people".into(),
        }],
    )
    .await
    .unwrap();
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(
        json_of(&snapshot, movies, "3").unwrap(),
        r#"{"id":"3","by":null,"all":[],"code":"c2"}"#
    );
}

#[tokio::test]
async fn circles_end_and_chains_are_followed() {
    let engine = engine();
    commit(
        &engine,
        vec![
            create("people", r#"{"id":"a","parent":"c"}"#),
            create("people", r#"{"id":"b","parent":"a"}"#),
            create("people", r#"{"id":"c","parent":"b"}"#),
            create("people", r#"{"id":"d","parent":"d"}"#),
            create("people", r#"{"id":"e","parent":3}"#),
        ],
    )
    .await
    .unwrap();
    let people = collection(&engine, "people");
    let parent = relation("parent", false, RelationKey::Id, OnDelete::Cascade);
    commit(&engine, vec![relate("people", vec![parent])])
        .await
        .unwrap();
    commit(&engine, vec![delete(people, "b", true)])
        .await
        .unwrap();
    assert_eq!(shown(&engine, people), ["d", "e"]);
    // The same id, as a number.
    commit(
        &engine,
        vec![
            create("people", r#"{"id":"3"}"#),
            delete(people, "d", false),
        ],
    )
    .await
    .unwrap();
    commit(&engine, vec![delete(people, "3", false)])
        .await
        .unwrap();
    assert!(shown(&engine, people).is_empty());
}

#[tokio::test]
async fn a_name_that_another_value_takes_the_place_of() {
    for (on_delete, is_refused) in [
        (OnDelete::Restrict, true),
        (OnDelete::Cascade, true),
        (OnDelete::SetNull, false),
    ] {
        let engine = engine();
        let key = RelationKey::Field(path("code"));
        let (people, movies) = fill(&engine, vec![relation("code", false, key, on_delete)]).await;
        // Others have the names in the end.
        let swap = vec![
            patch(people, "p", vec![set("code", "\"c2\"")]),
            patch(people, "q", vec![set("code", "\"c1\"")]),
        ];
        commit(&engine, swap).await.unwrap();
        let done = commit(
            &engine,
            vec![patch(people, "q", vec![set("code", "\"c9\"")])],
        )
        .await;
        if is_refused {
            let (_, error) = refusal(done.unwrap_err());
            assert!(
                matches!(error, IntentError::Restricted { count: 1, .. }),
                "{error}"
            );
            continue;
        }
        done.unwrap();
        let snapshot = engine.snapshot().unwrap();
        assert_eq!(
            json_of(&snapshot, movies, "1").unwrap(),
            r#"{"id":"1","by":"p","all":["p","q"],"code":null}"#
        );
        assert!(json_of(&snapshot, movies, "2").unwrap().contains("\"c2\""));
    }
}

#[tokio::test]
async fn how_many_follow_is_bounded() {
    let options = EngineOptions {
        policy_writes_max: 1,
        ..EngineOptions::default()
    };
    let engine = Engine::open(Arc::new(MemoryBackend::new()), options).unwrap();
    let (people, movies) = fill(&engine, by(OnDelete::Cascade)).await;
    let (_, error) = refusal(
        commit(&engine, vec![delete(people, "p", false)])
            .await
            .unwrap_err(),
    );
    assert_eq!(error.code(), ErrorCode::LimitExceeded);
    assert_eq!(shown(&engine, movies), ["1", "2", "3", "4"]);
    commit(&engine, vec![delete(people, "q", false)])
        .await
        .unwrap();
    assert_eq!(shown(&engine, movies), ["1", "2", "4"]);
}

#[tokio::test]
async fn statements_end_in_order() {
    let engine = engine();
    let (people, movies) = fill(&engine, by(OnDelete::Cascade)).await;
    let done = engine
        .transact(move |transaction| {
            transaction.write(delete(people, "p", false))?;
            let left = transaction.find(&find_all(movies))?.len();
            transaction.write(create("movies", r#"{"id":"1","by":"q"}"#))?;
            transaction.end_statement();
            transaction.write(delete(people, "q", false))?;
            transaction.end_statement();
            transaction.write(create("people", r#"{"id":"q"}"#))?;
            let last = transaction.get(movies, &id("1"), FieldMask::all())?;
            Ok((left, last.is_some_and(|last| last.is_deleted())))
        })
        .await
        .unwrap();
    assert_eq!(done.value, (2, true));
    assert_eq!(shown(&engine, movies), ["4"]);
    assert_eq!(shown(&engine, people), ["q"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_names_it_first_is_found() {
    let engine = engine();
    let (people, movies) = fill(&engine, by(OnDelete::Restrict)).await;
    for round in 0..40 {
        let name = format!("r{round}");
        commit(
            &engine,
            vec![create("people", &format!(r#"{{"id":"{name}"}}"#))],
        )
        .await
        .unwrap();
        let insert = {
            let (engine, name) = (engine.clone(), name.clone());
            tokio::spawn(async move {
                engine
                    .transact(move |transaction| {
                        let there = transaction.get(people, &id(&name), FieldMask::none())?;
                        if there.is_some_and(|record| !record.is_deleted()) {
                            let json = format!(r#"{{"id":"{name}","by":"{name}"}}"#);
                            transaction.write(create("movies", &json))?;
                        }
                        Ok(())
                    })
                    .await
                    .unwrap();
            })
        };
        let delete = {
            let (engine, name) = (engine.clone(), name.clone());
            tokio::spawn(async move { commit(&engine, vec![delete(people, &name, true)]).await })
        };
        insert.await.unwrap();
        let is_deleted = delete.await.unwrap().is_ok();
        let snapshot = engine.snapshot().unwrap();
        let is_named = snapshot.get(movies, &name).unwrap().is_some();
        assert_ne!(is_deleted, is_named, "{name}");
        assert_eq!(snapshot.get(people, &name).unwrap().is_some(), is_named);
    }
}

#[tokio::test]
async fn an_expiry_takes_others_along_or_is_put_off() {
    for on_delete in [OnDelete::Cascade, OnDelete::Restrict] {
        let clock = Arc::new(SetClock::new(1_000_000_000));
        let window = Duration::from_secs(600);
        let engine = stepped(Arc::new(MemoryBackend::new()), &clock, window);
        let (people, movies) = fill(&engine, by(on_delete)).await;
        let expires = Intent::Put {
            collection: CollectionRef::Id(people),
            id: Some(id("p")),
            document: document(r#"{"id":"p","code":"c1","x":1}"#),
            expiry: ExpiryChange {
                at: Update::Set(1_000_000_000 + 60_000_000),
                ..ExpiryChange::KEEP
            },
        };
        commit(&engine, vec![expires]).await.unwrap();
        clock.advance(Duration::from_secs(61));
        settle(&engine).await;
        if on_delete == OnDelete::Cascade {
            assert_eq!(shown(&engine, people), ["q"]);
            assert_eq!(shown(&engine, movies), ["3", "4"]);
            continue;
        }
        assert_eq!(shown(&engine, people), ["p", "q"]);
        assert_eq!(shown(&engine, movies), ["1", "2", "3", "4"]);
        let postponed = |engine: &Engine| {
            let snapshot = engine.snapshot().unwrap();
            snapshot.get(people, "p").unwrap().unwrap().expires_at()
        };
        let later = postponed(&engine).unwrap();
        assert!(later > 1_000_000_000 + 3_600_000_000, "{later}");
        let gone = vec![delete(movies, "1", false), delete(movies, "2", false)];
        commit(&engine, gone).await.unwrap();
        clock.advance(Duration::from_secs(3700));
        settle(&engine).await;
        assert_eq!(shown(&engine, people), ["q"]);
    }
}

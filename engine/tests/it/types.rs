//! Published types are latched: what data changes of them, and what it does not, in one life of a store and over many.

use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::{Engine, EngineOptions, Intent, UpkeepMode, inspect, verify, write_stored};
use thalweg_model::DocumentId;
use thalweg_schema_infer::{Evolution, FieldType, ObjectType};
use thalweg_storage::MemoryBackend;

use crate::fixture::{SetClock, collection, commit, create, settle};

/// `a:Int b!:[String]`: an exclamation mark for a field that no document has.
fn types(engine: &Engine, name: &str) -> String {
    let catalog = engine.catalog();
    let schema = &catalog.by_name(name).expect("it is there").schema;
    text(&schema.object)
}

fn text(object: &ObjectType) -> String {
    let fields = object.fields.iter().map(|field| {
        let mark = if field.deprecated.is_some() { "!" } else { "" };
        let ty = match &field.ty {
            FieldType::Object(inner) => format!("{{{}}}", text(inner)),
            ty => {
                let mut out = String::new();
                ty.write_output(&mut out);
                out
            }
        };
        format!("{}{mark}:{ty}", field.name)
    });
    fields.collect::<Vec<_>>().join(" ")
}

struct World {
    backend: Arc<MemoryBackend>,
    clock: Arc<SetClock>,
}

impl World {
    fn new() -> World {
        World {
            backend: Arc::new(MemoryBackend::new()),
            clock: Arc::new(SetClock::new(1_700_000_000_000_000)),
        }
    }

    fn open(&self, evolution: Evolution) -> Engine {
        let options = EngineOptions {
            evolution,
            upkeep: UpkeepMode::Stepped,
            maintenance: thalweg_engine::MaintenanceMode::Manual,
            deprecated_kept: Duration::from_secs(30 * 86400),
            ..EngineOptions::default()
        };
        Engine::open_with_clock(self.backend.clone(), options, self.clock.clone()).unwrap()
    }
}

fn delete(engine: &Engine, name: &str, id: &str) -> Intent {
    Intent::Delete {
        collection: collection(engine, name),
        id: DocumentId::new(id).unwrap(),
        permanent: true,
        purge_at: None,
        if_version: None,
    }
}

async fn maintain(engine: &Engine) {
    while engine.maintenance().step().await.unwrap() {}
}

#[tokio::test]
async fn latched_types_survive_restarts_and_backups() {
    let world = World::new();
    let engine = world.open(Evolution::Additive);
    commit(&engine, vec![create("a", r#"{"id":1,"n":1,"o":{"x":1}}"#)])
        .await
        .unwrap();
    let before = engine.catalog();
    commit(
        &engine,
        vec![create("a", r#"{"id":2,"n":"x","o":{"x":0.5,"y":true}}"#)],
    )
    .await
    .unwrap();
    assert_eq!(types(&engine, "a"), "n:Int o:{x:Int y:Boolean}");
    commit(&engine, vec![create("a", r#"{"id":3,"n":0.5,"o":[]}"#)])
        .await
        .unwrap();
    assert_eq!(types(&engine, "a"), "n:Int o:{x:Int y:Boolean}");
    assert!(before.version < engine.catalog().version);
    // The name that nested types begin with is the collection's.
    let rename = Intent::RenameCollection {
        from: "a".into(),
        to: "b".into(),
    };
    commit(&engine, vec![rename]).await.unwrap();
    let catalog = engine.catalog();
    let renamed = catalog.by_name("b").unwrap().schema.clone();
    assert!(
        matches!(&renamed.object.fields[1].ty, FieldType::Object(object) if object.name == "BO")
    );
    let commits = *engine.head().borrow();
    engine.close();

    let again = world.open(Evolution::Additive);
    assert_eq!(again.catalog().by_name("b").unwrap().schema, renamed);
    maintain(&again).await;
    assert_eq!(*again.head().borrow(), commits, "nothing had to be done");
    again.close();

    assert_eq!(verify(&*world.backend).unwrap().findings, []);
    let mut backup = Vec::new();
    write_stored(&*world.backend, &mut backup).unwrap();
    assert_eq!(inspect(&mut backup.as_slice()).unwrap().documents, 3);
    let copy = World::new();
    let proved = thalweg_engine::ProvedBackup::prove(std::io::Cursor::new(backup)).unwrap();
    proved.restore(&*copy.backend).unwrap();
    assert_eq!(verify(&*copy.backend).unwrap().findings, []);
    let restored = copy.open(Evolution::Additive);
    assert_eq!(restored.catalog().by_name("b").unwrap().schema, renamed);
}

#[tokio::test]
async fn promotion_accepts_what_the_data_says() {
    for evolution in [Evolution::Additive, Evolution::Manual] {
        let world = World::new();
        let engine = world.open(evolution);
        commit(&engine, vec![create("a", r#"{"id":1,"n":1,"gone":1}"#)])
            .await
            .unwrap();
        commit(
            &engine,
            vec![
                create("a", r#"{"id":1,"n":1}"#),
                create("a", r#"{"id":2,"n":"x","s":"x"}"#),
            ],
        )
        .await
        .unwrap_err();
        commit(
            &engine,
            vec![
                create("a", r#"{"id":2,"n":"x","s":"x"}"#),
                delete(&engine, "a", "1"),
            ],
        )
        .await
        .unwrap();
        let added = if evolution == Evolution::Additive {
            " s:String"
        } else {
            ""
        };
        assert_eq!(types(&engine, "a"), format!("n:Int gone!:Int{added}"));
        let snapshot = engine.snapshot().unwrap();
        let a = collection(&engine, "a");
        let drift = snapshot.drift(a).unwrap();
        assert_eq!(drift[0].published.as_deref(), Some("Int"));
        assert_eq!((&*drift[0].found, drift[0].values), ("String", 1));
        let preview = snapshot.promoted_types(a).unwrap().unwrap();
        assert_eq!(text(&preview.object), "n:String s:String");
        let promote = || Intent::PromoteTypes {
            collection: "a".into(),
        };
        commit(&engine, vec![promote()]).await.unwrap();
        assert_eq!(types(&engine, "a"), "n:String s:String");
        assert_eq!(engine.catalog().by_name("a").unwrap().schema, preview);
        assert!(engine.snapshot().unwrap().drift(a).unwrap().is_empty());
        let nowhere = Intent::PromoteTypes {
            collection: "b".into(),
        };
        commit(&engine, vec![nowhere]).await.unwrap_err();
        assert_eq!(verify(&*world.backend).unwrap().findings, []);
    }
}

#[tokio::test]
async fn a_policy_takes_effect_when_the_store_is_opened_with_it() {
    let world = World::new();
    let engine = world.open(Evolution::Additive);
    commit(&engine, vec![create("a", r#"{"id":1,"n":1}"#)])
        .await
        .unwrap();
    commit(&engine, vec![create("a", r#"{"id":2,"n":0.5}"#)])
        .await
        .unwrap();
    assert_eq!(types(&engine, "a"), "n:Int");
    engine.close();
    let engine = world.open(Evolution::Follow);
    maintain(&engine).await;
    assert_eq!(types(&engine, "a"), "n:Float");
}

#[tokio::test]
async fn what_an_import_brings_settles_until_it_ends() {
    let world = World::new();
    let engine = world.open(Evolution::Additive);
    commit(&engine, vec![create("a", r#"{"id":1,"old":1}"#)])
        .await
        .unwrap();
    let import = engine.begin_import("a");
    let other = engine.begin_import("new");
    commit(
        &engine,
        vec![
            create("a", r#"{"id":2,"n":1}"#),
            create("new", r#"{"id":1,"m":1}"#),
        ],
    )
    .await
    .unwrap();
    assert_eq!(types(&engine, "a"), "old:Int n:Int");
    commit(
        &engine,
        vec![
            create("a", r#"{"id":3,"n":0.5,"old":"x"}"#),
            create("new", r#"{"id":2,"m":[]}"#),
        ],
    )
    .await
    .unwrap();
    assert_eq!(
        types(&engine, "a"),
        "old:Int n:Float",
        "old is not the import's"
    );
    assert_eq!(types(&engine, "new"), "m:JSON");
    commit(&engine, vec![delete(&engine, "a", "1")])
        .await
        .unwrap();
    drop((import, other));
    maintain(&engine).await;
    assert_eq!(types(&engine, "a"), "old:Int n:Float");
    commit(
        &engine,
        vec![
            create("a", r#"{"id":4,"n":"x"}"#),
            delete(&engine, "a", "3"),
        ],
    )
    .await
    .unwrap();
    assert_eq!(types(&engine, "a"), "old!:Int n:Float");
}

#[tokio::test]
async fn after_a_crash_in_an_import_its_types_are_latched() {
    let world = World::new();
    let engine = world.open(Evolution::Additive);
    let import = engine.begin_import("a");
    commit(&engine, vec![create("a", r#"{"id":1,"n":1}"#)])
        .await
        .unwrap();
    let successor = world.open(Evolution::Additive);
    maintain(&successor).await;
    assert_eq!(types(&successor, "a"), "n:Int");
    commit(&successor, vec![create("a", r#"{"id":2,"n":0.5}"#)])
        .await
        .unwrap();
    assert_eq!(types(&successor, "a"), "n:Int");
    drop(import);
}

#[tokio::test]
async fn what_vanishes_while_an_import_runs_is_told_when_it_ends() {
    let world = World::new();
    let engine = world.open(Evolution::Additive);
    commit(
        &engine,
        vec![
            create("a", r#"{"id":1,"n":1}"#),
            create("a", r#"{"id":2,"m":1}"#),
        ],
    )
    .await
    .unwrap();
    let import = engine.begin_import("a");
    commit(&engine, vec![delete(&engine, "a", "1")])
        .await
        .unwrap();
    assert_eq!(types(&engine, "a"), "n:Int m:Int", "it may come yet");
    drop(import);
    maintain(&engine).await;
    assert_eq!(types(&engine, "a"), "n!:Int m:Int");
}

const DAY: Duration = Duration::from_secs(86400);

#[tokio::test]
async fn a_vanished_field_goes_after_the_grace_period() {
    let world = World::new();
    let engine = world.open(Evolution::Additive);
    let two = || {
        vec![
            create("a", r#"{"id":1,"n":1,"o":{"x":1,"y":1}}"#),
            create("a", r#"{"id":2,"m":1,"o":{"y":1}}"#),
        ]
    };
    commit(&engine, two()).await.unwrap();
    commit(&engine, vec![delete(&engine, "a", "1")])
        .await
        .unwrap();
    let all = "n!:Int o:{x!:Int y:Int} m:Int";
    assert_eq!(types(&engine, "a"), all);
    let path =
        |names: &[&str]| -> Vec<Arc<str>> { names.iter().map(|name| Arc::from(*name)).collect() };
    // A use starts the period anew, and is remembered over a restart.
    world.clock.advance(DAY * 20);
    engine.note_field_use(collection(&engine, "a"), &path(&["o", "x"]));
    settle(&engine).await;
    engine.close();
    let engine = world.open(Evolution::Additive);
    world.clock.advance(DAY * 11);
    settle(&engine).await;
    assert_eq!(
        types(&engine, "a"),
        "o:{x!:Int y:Int} m:Int",
        "n was not used"
    );
    // A document that has it again takes the mark away.
    commit(&engine, vec![create("a", r#"{"id":3,"o":{"x":2}}"#)])
        .await
        .unwrap();
    assert_eq!(types(&engine, "a"), "o:{x:Int y:Int} m:Int");
    world.clock.advance(DAY * 60);
    settle(&engine).await;
    assert_eq!(types(&engine, "a"), "o:{x:Int y:Int} m:Int");
    commit(&engine, vec![delete(&engine, "a", "3")])
        .await
        .unwrap();
    let until = settle(&engine).await.expect("it goes some time");
    // What a live query uses is used for as long as it runs.
    let held = engine.hold_fields(Box::new([(
        collection(&engine, "a"),
        path(&["o", "x"]).into(),
    )]));
    world.clock.advance(DAY * 100);
    settle(&engine).await;
    assert_eq!(types(&engine, "a"), "o:{x!:Int y:Int} m:Int");
    drop(held);
    settle(&engine).await;
    world.clock.advance(DAY * 30 - Duration::from_secs(1));
    settle(&engine).await;
    assert_eq!(types(&engine, "a"), "o:{x!:Int y:Int} m:Int");
    world.clock.advance(Duration::from_secs(2));
    assert!(until <= engine.now_micros());
    settle(&engine).await;
    assert_eq!(types(&engine, "a"), "o:{y:Int} m:Int");
    assert_eq!(verify(&*world.backend).unwrap().findings, []);
}

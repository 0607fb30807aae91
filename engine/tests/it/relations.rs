//! Relations of collections: declared, found, stored, and gone with what they lead to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg_engine::{
    Collection, CollectionRef, DeclaredRelation, Engine, EngineOptions, IndexStatus, Intent,
};
use thalweg_model::{ErrorCode, FieldPath};
use thalweg_schema_infer::{OnDelete, RelationKey, RelationOrigin};
use thalweg_storage::MemoryBackend;

use crate::fixture::{commit, create, engine};

fn named(engine: &Engine, name: &str) -> Arc<Collection> {
    Arc::clone(engine.catalog().by_name(name).unwrap())
}

fn by_name(name: &str) -> CollectionRef {
    CollectionRef::Name {
        name: name.into(),
        create: false,
    }
}

fn declared(field: &str, target: &str, key: Option<&str>) -> DeclaredRelation {
    DeclaredRelation {
        field: FieldPath::top(field),
        is_list: false,
        target: target.into(),
        key: key.map_or(RelationKey::Id, |key| {
            RelationKey::Field(FieldPath::top(key))
        }),
        name: None,
        inverse: None,
        on_delete: OnDelete::Cascade,
        is_indexed: true,
    }
}

fn relate(relations: Vec<DeclaredRelation>, refused: &[&str]) -> Intent {
    Intent::Relate {
        collection: by_name("books"),
        relations,
        refused: refused.iter().map(|field| FieldPath::top(field)).collect(),
    }
}

async fn fill(engine: &Engine) {
    let mut writes = vec![
        create("cities", r#"{"id":"c","code":"X"}"#),
        create("cities", r#"{"id":"d","code":"Y"}"#),
    ];
    for number in 0..5 {
        let author = format!(r#"{{"id":"author-{number}","name":"n{number}"}}"#);
        writes.push(create("authors", &author));
    }
    for number in 0..20 {
        let author = number % 5;
        let book = format!(r#"{{"id":"b{number}","author_id":"author-{author}","city":"X"}}"#);
        writes.push(create("books", &book));
    }
    commit(engine, writes).await.unwrap();
}

/// The names of the relations, and the fields of the indexes that are kept, those of the database in brackets.
fn shown(collection: &Collection) -> (Vec<String>, Vec<String>) {
    let relations = collection.relations.iter();
    let indexes = collection.indexes.iter();
    let kept = indexes.filter(|index| index.status != IndexStatus::Dropping);
    (
        relations
            .map(|it| format!("{} {}", it.name, it.inverse))
            .collect(),
        kept.map(|index| match index.automatic {
            true => format!("[{}]", index.definition),
            false => index.definition.to_string(),
        })
        .collect(),
    )
}

#[tokio::test]
async fn declared_relations_are_stored_with_their_indexes_and_go_with_their_targets() {
    let backend = Arc::new(MemoryBackend::new());
    let engine = Engine::open(backend.clone(), EngineOptions::default()).unwrap();
    fill(&engine).await;
    let both = vec![
        declared("author_id", "authors", None),
        declared("city", "cities", Some("code")),
    ];
    commit(&engine, vec![relate(both, &["title"])])
        .await
        .unwrap();
    let expected = (
        vec![
            "author booksByAuthor".to_owned(),
            "cityRef booksByCity".to_owned(),
        ],
        vec!["[(author_id)]".to_owned(), "[(city)]".to_owned()],
    );
    assert_eq!(shown(&named(&engine, "books")), expected);
    assert_eq!(shown(&named(&engine, "cities")).1, ["[(code)]"]);

    // Somebody declares one of the indexes: it stays when the relation goes.
    let index = Intent::CreateIndex {
        collection: by_name("books"),
        definition: thalweg_engine::IndexDefinition::parse(["city"], false).unwrap(),
    };
    commit(&engine, vec![index]).await.unwrap();
    let before = named(&engine, "books");
    engine.close();
    drop(engine);
    let engine = Engine::open(backend, EngineOptions::default()).unwrap();
    let after = named(&engine, "books");
    assert_eq!(after.relations, before.relations);
    assert_eq!(after.stored_relations, before.stored_relations);
    assert_eq!(after.relations[0].on_delete, OnDelete::Cascade);

    let drop_cities = Intent::DropCollection {
        name: "cities".into(),
    };
    commit(&engine, vec![drop_cities]).await.unwrap();
    let (relations, indexes) = shown(&named(&engine, "books"));
    assert_eq!(relations, ["author booksByAuthor"]);
    assert_eq!(indexes, ["[(author_id)]", "(city)"]);

    let rename = Intent::RenameCollection {
        from: "books".into(),
        to: "works".into(),
    };
    commit(&engine, vec![rename]).await.unwrap();
    let (relations, _) = shown(&named(&engine, "works"));
    assert_eq!(relations, ["author worksByAuthor"]);
}

#[tokio::test]
async fn what_cannot_be_related_is_refused() {
    let engine = engine();
    fill(&engine).await;
    let twice = vec![
        declared("author_id", "authors", None),
        declared("author_id", "cities", None),
    ];
    let cases = [
        (
            relate(vec![declared("author_id", "nowhere", None)], &[]),
            "no collection \"nowhere\"",
        ),
        (relate(twice, &[]), "declared twice"),
        (
            relate(vec![declared("author_id", "authors", None)], &["author_id"]),
            "declared to be none",
        ),
    ];
    for (intent, part) in cases {
        let refused = commit(&engine, vec![intent]).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::BadRequest);
        assert!(refused.to_string().contains(part), "{refused}");
    }
    assert_eq!(shown(&named(&engine, "books")), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn relations_are_found_when_the_documents_rest() {
    let options = EngineOptions {
        detect_relations: true,
        ..EngineOptions::default()
    };
    let engine = Engine::open(Arc::new(MemoryBackend::new()), options).unwrap();
    fill(&engine).await;
    let patience = Instant::now() + Duration::from_secs(60);
    while named(&engine, "books").relations.is_empty() {
        assert!(Instant::now() < patience, "nothing is found");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let books = named(&engine, "books");
    assert_eq!(shown(&books).0, ["author booksByAuthor"]);
    let stored = &books.stored_relations.list[0];
    assert_eq!(stored.origin, RelationOrigin::Detected);
    let evidence = stored.evidence.unwrap();
    assert_eq!(
        (evidence.documents, evidence.matching, evidence.distinct),
        (20, 20, 5)
    );
    // Both have been looked at, and there is no reason to do it again.
    assert!(!engine.detect_relations().await.unwrap());
    engine.close();
}

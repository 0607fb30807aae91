//! What a declared schema says, and what is wrong with one.

use thalweg_engine::{OnExpire, Retain, Settings};
use thalweg_schema_infer::IdNames;

use super::*;
use crate::limits::Limits;

fn declared(sdl: &str) -> Vec<DeclaredCollection> {
    match read(sdl, IdNames::Local, &Limits::default()) {
        Ok(declaration) => declaration.collections,
        Err(errors) => panic!("{sdl}\n{errors:#?}"),
    }
}

fn errors(sdl: &str) -> Vec<String> {
    match read(sdl, IdNames::Local, &Limits::default()) {
        Ok(declaration) => panic!("{sdl}\n{declaration:#?}"),
        Err(errors) => errors.into_iter().map(|error| error.message).collect(),
    }
}

fn texts(collection: &DeclaredCollection) -> Vec<String> {
    let text = |index: &DeclaredIndex| match index {
        DeclaredIndex::Exact(definition) => definition.to_string(),
        DeclaredIndex::OfField { like, unique, .. } => format!("{like} {unique}"),
    };
    collection.indexes.iter().map(text).collect()
}

#[test]
fn settings_and_indexes_are_read() {
    let found = declared(
        r#"
        type Movie @collection(name: "my movies", softDelete: false, ttl: "P1D", onExpire: SOFT, purgeAfter: "36h", retain: "30d")
          @index(fields: ["genre", "year DESC"]) @index(fields: "tags[]", unique: true) {
          title: String! @unique
          published: DateTime @index
          tags: [String] @index(unique: false)
          cast: [Actor!]
        }
        type Actor { name: String }
        type Plain @collection
        "#,
    );
    let [movie, plain] = &found[..] else {
        panic!("{found:#?}");
    };
    assert_eq!(&*movie.type_name, "Movie");
    assert_eq!(movie.name.as_deref(), Some("my movies"));
    let day = std::time::Duration::from_secs(86_400);
    assert_eq!(
        movie.settings,
        Settings {
            retain: Retain::For(30 * day),
            soft_delete: false,
            purge_after: Some(day * 3 / 2),
            ttl: Some(day),
            on_expire: Some(OnExpire::Soft),
        }
    );
    assert_eq!(
        texts(movie),
        [
            "(genre, year DESC)",
            "unique (tags[])",
            "title true",
            "published INSTANT false",
            "tags[] false"
        ]
    );
    assert_eq!((&*plain.type_name, &plain.name), ("Plain", &None));
    assert_eq!(plain.settings, Settings::default());
    assert_eq!(plain.indexes, []);
}

#[test]
fn an_extension_declares_too_and_definitions_of_the_directives_may_come_along() {
    let found = declared(
        r#"
        directive @collection(name: String) on OBJECT
        scalar Duration
        type Movie { title: String }
        extend type Movie @collection(ttl: "1h") @index(fields: ["title"])
        "#,
    );
    assert_eq!(texts(&found[0]), ["(title)"]);
    assert!(found[0].settings.ttl.is_some());
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let found = errors(
        r#"type Movie @collection(ttl: "soon", retain: "a bit", mode: STRICT, typ: "Film") @index @index(fields: ["a["]) {
  title: Strng
  year: Int @default(value: "x") @index(fields: ["year"])
  director: String @relation @unknown
  genre: Genre!
  self: Loop
  at: Date @default(value: null)
  a: Int @was(name: "b")
  b: Int
  a2: Int @field(name: "a")
}
type Inner { name: String @unique }
enum Genre { DRAMA }
type Loop { again: [Loop]  was: Int @was(name: "x") }
type Free @collection { x: Int @default(value: 1) }
"#,
    );
    let expected = [
        "sdl 1:",
        "ttl: \"soon\" is not a duration",
        "retain is \"a bit\"",
        "`typ`",
        "@index names its fields",
        "is no field of an index",
        "Strng",
        "the default of year does not fit: year is a string, but must be Int",
        "on a field, @index takes no fields",
        "sdl 4:20: @relation names the stored field that holds the keys",
        "@unknown",
        "values of type Genre are not stored",
        "Loop contains itself",
        "the default of at is null",
        "which is declared beside it",
        "are both stored as \"a\"",
        "only the fields of documents themselves can be renamed",
        "fields of a FLEXIBLE collection are not declared",
        "declares no collection",
    ];
    let all = found.join("\n");
    for part in expected {
        assert!(all.contains(part), "{part:?} is not in\n{all}");
    }
    // In the order of the text, each once.
    let lines: Vec<usize> = found
        .iter()
        .filter_map(|error| error.strip_prefix("sdl ")?.split(':').next()?.parse().ok())
        .collect();
    assert!(lines.is_sorted(), "{all}");
}

#[test]
fn the_system_has_its_fields_by_either_way_of_naming_ids() {
    for (fields, expected) in [
        ("id: ID! title: String", &["title"][..]),
        ("nodeId: ID! id: ID! title: String", &["title"]),
        ("id: ID! rowId: ID! title: String", &["title"]),
        ("rowId: ID! title: String", &["title"]),
        // As a store has it that published the field before the name was the system's.
        ("nodeId: ID! id: ID! rowId: ID", &["rowId"]),
        ("id: ID! rowId_: ID! rowId: String", &["rowId"]),
        ("rowId: [ID!]", &["rowId"]),
        (
            "id: ID! rowId: ID! rowId_: ID @field(name: \"rowId\")",
            &["rowId_"],
        ),
    ] {
        let found = declared(&format!("type A @collection(mode: PARTIAL) {{ {fields} }}"));
        let names = found[0].fields.iter().map(|field| &*field.name);
        assert_eq!(names.collect::<Vec<_>>(), expected, "{fields}");
    }
}

#[test]
fn what_is_no_schema_is_refused() {
    for (sdl, part) in [
        ("type Movie @collection {", "syntax error"),
        ("{ movies { title } }", "operation definition"),
        ("type Movie { title: String }", "declares no collection"),
        ("", "syntax error"),
        ("scalar Url", "declares no collection"),
        (
            "type A @collection @index(fields: []) { a: Int }",
            "at least one field",
        ),
        ("type A @collection { a: Int @unique @unique }", "unique"),
        (
            "type A @collection @index(fields: [\"a\"]) @index(fields: [\"a\"])",
            "declared twice",
        ),
        ("type A @collection(ttl: 30)", "ttl takes a string"),
        ("type A @collection(softDelete: 1)", "of type Boolean"),
    ] {
        let all = errors(sdl).join("\n");
        assert!(all.contains(part), "{sdl}: {all}");
    }
    let code = |sdl| read(sdl, IdNames::Local, &Limits::default()).unwrap_err()[0].code;
    assert_eq!(code("type {"), thalweg_model::ErrorCode::ParseFailed);
    assert_eq!(
        code("type A { a: B }"),
        thalweg_model::ErrorCode::BadRequest
    );
}

//! Whatever collections and fields are called, the schema is valid GraphQL.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};
use thalweg_model::Document;
use thalweg_schema_infer::IdNames;

use crate::{infer, infer_with, validated};

/// Names that mean something to the system, to GraphQL, or to the naming of nested types.
const NASTY: &[&str] = &[
    "",
    "_",
    "__",
    "___",
    "__typename",
    "__type",
    "_1",
    "1",
    "1a",
    "id",
    "id_",
    "nodeId",
    "rowId",
    "and",
    "or",
    "not",
    "true",
    "false",
    "null",
    "_set",
    "_inc",
    "_extra",
    "_json",
    "_version",
    "Input",
    "input",
    "Patch",
    "filter",
    "listFilter",
    "ListFilter",
    "list",
    "entry",
    "Entry",
    "map",
    "mapFilter",
    "value",
    "key",
    "field",
    "connection",
    "edge",
    "orderBy",
    "increment",
    "listItems",
    "nested",
    "a b",
    "a_b",
    "a-b",
    "aB",
    "A",
    "a",
    "日本",
    "é",
    "\"",
    "\\",
    "\n",
    "\u{0}",
    "\u{7f}",
    "\u{feff}",
    "\"\"\"",
    "#",
    "{",
    "on",
    "type",
    "Query",
    "query",
    "Int",
    "String",
    "DateTime",
    "node",
    "nodes",
    "collection",
    "collections",
    "schema",
    "movie",
    "movies",
    "movieInput",
    "movieInputs",
    "moviesAggregate",
    "stringLists",
    "nestedList",
    "StringFilter",
    "pageInfo",
    "deleted",
    "insertDocuments",
    "createCollection",
    "bulkResults",
    "orderDirection",
];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(NASTY).prop_map(str::to_owned),
        1 => "[ _a-zA-Z0-9-]{0,5}",
        1 => ".{0,4}",
    ]
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(1)),
        Just(json!(5_000_000_000_u64)),
        Just(json!(1.5)),
        Just(json!("x")),
        Just(json!("2024-05-01")),
        Just(json!("2024-05-01T00:00:00Z")),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::vec((name(), inner.clone()), 0..5)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
            inner.prop_map(|value| json!({ "2023": value, "2024": value })),
        ]
    })
}

fn document() -> impl Strategy<Value = Document> {
    prop::collection::vec((name(), value()), 0..8).prop_map(|members| {
        let object: Map<String, Json> = members.into_iter().collect();
        Document::parse(Json::Object(object).to_string().as_bytes()).expect("an object")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_names_make_a_valid_schema(
        collections in prop::collection::hash_map(name(), prop::collection::vec(document(), 0..3), 0..6),
    ) {
        let collections: Vec<_> = collections.into_iter().collect();
        let borrowed: Vec<_> =
            collections.iter().map(|(name, documents)| (name.as_str(), documents.clone())).collect();
        for ids in IdNames::ALL {
            validated(infer_with(ids, &borrowed).sdl());
        }
    }
}

#[test]
fn all_nasty_names_at_once() {
    let object: Map<String, Json> = NASTY
        .iter()
        .map(|name| {
            (
                (*name).to_owned(),
                json!([{ (*name): { "a": [1], "2024": "x" } }]),
            )
        })
        .collect();
    let document = Document::parse(Json::Object(object).to_string().as_bytes()).expect("an object");
    let collections: Vec<_> = NASTY
        .iter()
        .map(|name| (*name, vec![document.clone()]))
        .collect();
    validated(infer(&collections).sdl());
}

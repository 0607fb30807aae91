//! The laws of shapes, on random documents; and the codec and the report by example.

mod bounds;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use thalweg_model::Document;

use super::*;
use crate::names::NameRegistry;
use crate::types::CollectionSchema;

fn document(json: &Json) -> Document {
    Document::parse(json.to_string().as_bytes()).expect("test documents are objects")
}

fn shape_of(documents: &[Json]) -> Shape {
    let mut shape = Shape::new();
    for json in documents {
        shape.add(document(json).root());
    }
    shape
}

fn merged(a: &Shape, b: &Shape) -> Shape {
    let mut merged = a.clone();
    merged.merge(b);
    merged
}

fn node_count(shape: &Shape) -> (usize, usize) {
    (shape.nodes, shape.root.nodes())
}

/// Few names and many kinds, so that documents meet at the same positions.
fn any_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-1e9..1e9).prop_map(Json::from),
        "[a-z]{0,3}".prop_map(Json::from),
        Just(json!("2024-05-01")),
        Just(json!("2024-05-01T10:00:00Z")),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-e]", inner, 0..5)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn any_document() -> impl Strategy<Value = Json> {
    prop::collection::btree_map("[a-f]", any_value(), 0..6)
        .prop_map(|members| Json::Object(members.into_iter().collect()))
}

fn any_documents() -> impl Strategy<Value = Vec<Json>> {
    prop::collection::vec(any_document(), 0..8)
}

proptest! {
    #[test]
    fn subtract_undoes_add(documents in any_documents(), extra in any_document()) {
        let before = shape_of(&documents);
        let mut shape = before.clone();
        shape.add(document(&extra).root());
        shape.subtract(document(&extra).root());
        prop_assert_eq!(&shape, &before);
        prop_assert_eq!(shape.encode(), before.encode());
        let (counted, actual) = node_count(&shape);
        prop_assert_eq!(counted, actual);
    }

    #[test]
    fn subtracting_everything_leaves_nothing(documents in any_documents()) {
        let mut shape = shape_of(&documents);
        for json in documents.iter().rev() {
            shape.subtract(document(json).root());
        }
        prop_assert_eq!(shape, Shape::new());
    }

    #[test]
    fn order_of_documents_does_not_matter(documents in any_documents()) {
        let reversed: Vec<Json> = documents.iter().rev().cloned().collect();
        prop_assert_eq!(shape_of(&documents), shape_of(&reversed));
    }

    #[test]
    fn order_of_documents_changes_types_in_the_order_of_fields_only(documents in any_documents()) {
        let types = |documents: &[Json]| {
            let mut registry = NameRegistry::new();
            let names = registry.collection("things");
            let shape = shape_of(documents);
            let schema = CollectionSchema::derive(&names, &shape, false, &mut registry);
            let mut fields: Vec<String> = schema
                .object
                .fields
                .iter()
                .map(|field| {
                    let mut ty = String::new();
                    field.ty.write_output(&mut ty);
                    format!("{}: {ty}", field.name)
                })
                .collect();
            fields.sort();
            fields
        };
        let reversed: Vec<Json> = documents.iter().rev().cloned().collect();
        prop_assert_eq!(types(&documents), types(&reversed));
    }

    #[test]
    fn merge_is_adding(a in any_documents(), b in any_documents()) {
        let together: Vec<Json> = a.iter().chain(&b).cloned().collect();
        let shape = merged(&shape_of(&a), &shape_of(&b));
        prop_assert_eq!(&shape, &shape_of(&together));
        let (counted, actual) = node_count(&shape);
        prop_assert_eq!(counted, actual);
    }

    #[test]
    fn merge_is_commutative_and_associative(
        a in any_documents(), b in any_documents(), c in any_documents(),
    ) {
        let (a, b, c) = (shape_of(&a), shape_of(&b), shape_of(&c));
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &Shape::new()), a);
    }

    #[test]
    fn subtyping_is_an_order_with_merge_above(
        a in any_documents(), b in any_documents(), c in any_documents(),
    ) {
        let (a, b, c) = (shape_of(&a), shape_of(&b), shape_of(&c));
        prop_assert!(a.is_subtype_of(&a));
        prop_assert!(Shape::new().is_subtype_of(&a));
        let above = merged(&a, &b);
        prop_assert!(a.is_subtype_of(&above));
        prop_assert!(b.is_subtype_of(&above));
        prop_assert!(a.is_subtype_of(&merged(&above, &c)));
        if a.is_subtype_of(&b) && b.is_subtype_of(&c) {
            prop_assert!(a.is_subtype_of(&c));
        }
    }

    #[test]
    fn stored_form_round_trips(documents in any_documents()) {
        let shape = shape_of(&documents);
        let decoded = Shape::decode(&shape.encode()).expect("what was encoded decodes");
        prop_assert_eq!(&decoded, &shape);
        prop_assert_eq!(decoded.encode(), shape.encode());
        let (counted, actual) = node_count(&decoded);
        prop_assert_eq!(counted, actual);
    }

    #[test]
    fn corrupt_bytes_are_refused_or_harmless(
        documents in any_documents(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        extra in any_document(),
    ) {
        let mut bytes = shape_of(&documents).encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(mut shape) = Shape::decode(&bytes) {
            shape.add(document(&extra).root());
            shape.subtract(document(&extra).root());
            let mut registry = NameRegistry::new();
            let names = registry.collection("things");
            CollectionSchema::derive(&names, &shape, true, &mut registry);
            shape.to_json();
        }
        prop_assert!(Shape::decode(&bytes[..at]).is_err());
    }

    #[test]
    fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Shape::decode(&bytes);
        let mut versioned = vec![2];
        versioned.extend(bytes);
        let _ = Shape::decode(&versioned);
    }
}

#[test]
fn subtyping_by_example() {
    let cases = [
        (json!({"a": 1}), json!({"a": 1.5}), true),
        (json!({"a": 1.5}), json!({"a": 1}), false),
        (json!({"a": 1}), json!({"a": 5_000_000_000_u64}), true),
        (json!({"a": 5_000_000_000_u64}), json!({"a": 1}), false),
        (json!({"a": "2024-05-01"}), json!({"a": "x"}), true),
        (json!({"a": "x"}), json!({"a": "2024-05-01"}), false),
        (json!({"a": null}), json!({"a": 1}), false),
        (json!({}), json!({"a": 1}), true),
        (json!({"a": 1}), json!({}), false),
        (json!({"a": [1, 2]}), json!({"a": [1.5]}), true),
        (json!({"a": {"b": true}}), json!({"a": {"b": "x"}}), false),
    ];
    for (inner, outer, expected) in cases {
        let fits = shape_of(std::slice::from_ref(&inner))
            .is_subtype_of(&shape_of(std::slice::from_ref(&outer)));
        assert_eq!(fits, expected, "{inner} fits {outer}");
    }
}

#[test]
fn depth_is_bounded() {
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!({ "a": [deep] });
    }
    let shape = shape_of(&[deep.clone(), deep.clone()]);
    assert!(shape.nodes <= 3 * DEPTH_MAX);
    assert_eq!(Shape::decode(&shape.encode()).as_ref(), Ok(&shape));
    let mut halved = shape;
    halved.subtract(document(&deep).root());
    assert_eq!(halved, shape_of(&[deep]));
}

#[test]
fn order_of_first_sight_survives_storage() {
    let shape = shape_of(&[json!({"z": 1}), json!({"a": 1, "z": 2})]);
    let decoded = Shape::decode(&shape.encode()).expect("decodes");
    let names: Vec<&str> = decoded
        .root
        .record
        .iter()
        .map(|member| &*member.name)
        .collect();
    assert_eq!(names, ["z", "a"]);
}

#[test]
fn report_shows_the_counts() {
    let shape = shape_of(&[
        json!({"year": 1999, "tags": ["a", "b"], "at": {"date": "2024-05-01"}}),
        json!({"year": null, "tags": []}),
    ]);
    let report: Json = serde_json::from_slice(&shape.to_json()).expect("valid JSON");
    assert_eq!(
        report,
        json!({
            "documents": 2,
            "fields": {
                "at": {
                    "count": 1, "object": 1, "emptyObject": 0,
                    "fields": {"date": {"count": 1, "string": 1, "date": 1}},
                },
                "tags": {
                    "count": 2, "list": 2, "emptyList": 1,
                    "items": {"count": 2, "string": 2},
                },
                "year": {"count": 2, "int": 1, "null": 1},
            },
        })
    );
}

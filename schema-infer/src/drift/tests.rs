//! Drift by example.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use thalweg_model::Document;

use super::*;
use crate::names::NameRegistry;
use crate::shape::Shape;

fn shape(documents: &[Json]) -> Shape {
    let mut shape = Shape::new();
    for json in documents {
        let document = Document::parse(json.to_string().as_bytes()).expect("an object");
        shape.add(document.root());
    }
    shape
}

/// The drift of documents, on types that are made of others.
fn check(published: &[Json], data: &[Json], expect: &[&str]) {
    let mut registry = NameRegistry::new();
    let names = registry.collection("things");
    let schema = CollectionSchema::derive(&names, &shape(published), false, &mut registry);
    let found = Arc::new(schema).drift(Evidence {
        shape: &shape(data),
        publishes_id: false,
    });
    let found: Vec<String> = found
        .iter()
        .map(|drift| {
            let kinds = drift.kinds.iter();
            let kinds: Vec<String> = kinds
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect();
            format!(
                "{} ({}): {} is {}, {}",
                drift.path.join("."),
                drift.original_path.join("."),
                drift.published.as_deref().unwrap_or("nothing"),
                drift.found,
                kinds.join(" ")
            )
        })
        .collect();
    assert_eq!(found, expect);
}

#[test]
fn every_kind_that_does_not_fit_is_counted() {
    check(
        &[
            json!({"a": 1, "b": 5_000_000_000_u64, "c": 0.5, "d": "2024-05-01", "e": "x", "f": true}),
        ],
        &[
            json!({"a": 5_000_000_000_u64, "b": 1, "c": 1, "d": "2024-06-01", "e": "y", "f": null}),
            json!({"a": "x", "b": 0.5, "c": "x", "d": "soon", "e": 1, "f": [true]}),
            json!({"a": "y", "id": 7}),
        ],
        &[
            "a (a): Int is JSON, 2 string 1 bigInt",
            "b (b): BigInt is Float, 1 float",
            "c (c): Float is JSON, 1 string",
            "d (d): Date is String, 1 string",
            "e (e): String is JSON, 1 int",
            "f (f): Boolean is [Boolean], 1 list",
        ],
    );
}

#[test]
fn lists_objects_and_maps_are_looked_into() {
    check(
        &[json!({"US Gross": [1], "o": {"x": 1}, "m": {"2024-01-01": 1, "2024-01-02": 2}})],
        &[
            json!({"US Gross": [1, "x", 0.5], "o": {"x": {"y": 1}, "new": "x"}}),
            json!({"US Gross": 1, "o": [], "m": {"2024-01-01": "x", "2024-01-02": 2}}),
        ],
        &[
            "US_Gross (US Gross): [Int] is JSON, 1 int",
            "US_Gross.[] (US Gross.[]): Int is JSON, 1 float 1 string",
            "o (o): ThingO is JSON, 1 list",
            "o.x (o.x): Int is object, 1 object",
            "o.new (o.new): nothing is String, 1 string",
            "m.{} (m.{}): Int is JSON, 1 string",
        ],
    );
}

#[test]
fn what_has_no_kind_is_no_drift() {
    check(
        &[json!({"a": 1})],
        &[json!({"a": null, "b": null, "c": {}, "d": [[]]})],
        &[],
    );
}

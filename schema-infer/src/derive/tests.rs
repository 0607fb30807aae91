//! Types by example: documents in, the fields of the type out.

use serde_json::{Value as Json, json};
use thalweg_model::Document;

use super::*;

fn derive_with(registry: &mut NameRegistry, documents: &[Json], publish_id: bool) -> ObjectType {
    let mut shape = Shape::new();
    for json in documents {
        let document = Document::parse(json.to_string().as_bytes()).expect("an object");
        shape.add(document.root());
    }
    let names = registry.collection("things");
    let schema = CollectionSchema::derive(&names, &shape, publish_id, registry);
    ObjectType::clone(&schema.object)
}

/// The type of the field `a` over documents that have these values there.
fn check(values: &[Json], expect: Option<&str>) {
    let documents: Vec<Json> = values.iter().map(|value| json!({ "a": value })).collect();
    let object = derive_with(&mut NameRegistry::new(), &documents, false);
    let found = object.field("a").map(|field| {
        let mut ty = String::new();
        field.ty.write_output(&mut ty);
        ty
    });
    assert_eq!(found.as_deref(), expect, "{values:?}");
}

#[test]
fn what_has_no_kind_is_not_published() {
    check(&[json!(null)], None);
    check(&[json!({}), json!([]), json!(null)], None);
    check(&[json!([null, null])], None);
    check(&[json!([[], {}])], None);
    check(&[json!({"b": null})], None);
    check(&[json!({"b": {"c": []}})], None);
    check(&[json!([{"b": null}])], None);
}

#[test]
fn scalars() {
    check(&[json!(true), json!(null)], Some("Boolean"));
    check(&[json!(1), json!(-2147483648)], Some("Int"));
    check(&[json!(1), json!(2147483648_u64)], Some("BigInt"));
    check(&[json!(9007199254740993_u64)], Some("BigInt"));
    check(&[json!(u64::MAX)], Some("BigInt"));
    check(&[json!(1), json!(1.5)], Some("Float"));
    check(&[json!(u64::MAX), json!(1.5)], Some("Float"));
    check(&[json!(0.5)], Some("Float"));
    check(&[json!("x")], Some("String"));
    check(&[json!("")], Some("String"));
    check(&[json!("2024-05-01")], Some("Date"));
    check(&[json!("2024-02-30")], Some("String"));
    check(
        &[json!("2024-05-01T10:00:00Z"), json!(null)],
        Some("DateTime"),
    );
    check(&[json!("2024-05-01T10:00:00+02:00")], Some("DateTime"));
    check(
        &[json!("2024-05-01T10:00:00Z"), json!("2024-05-01")],
        Some("String"),
    );
    check(
        &[json!("2024-05-01T10:00:00Z"), json!("soon")],
        Some("String"),
    );
}

#[test]
fn mixed_kinds() {
    check(&[json!(1), json!("x")], Some("JSON"));
    check(&[json!(true), json!(1)], Some("JSON"));
    check(&[json!("x"), json!({})], Some("JSON"));
    check(&[json!("x"), json!([])], Some("JSON"));
    check(&[json!([1]), json!({"b": 1})], Some("JSON"));
    check(&[json!({"b": 1}), json!([])], Some("JSON"));
}

#[test]
fn lists_and_objects() {
    check(&[json!([1, null]), json!([])], Some("[Int]"));
    check(&[json!([1, "x"])], Some("[JSON]"));
    check(&[json!([[1.5], [2]])], Some("[[Float]]"));
    check(&[json!({"b": 1}), json!({})], Some("ThingA"));
    check(&[json!([{"b": 1}, {"c": 2}])], Some("[ThingA]"));
    check(&[json!({"1": "x", "2": "y"})], Some("[ThingAEntry!]"));
    check(&[json!([{"1": "x", "2": "y"}])], Some("[[ThingAEntry!]]"));
}

/// A value in so many lists.
fn in_lists(levels: usize, value: Json) -> Json {
    (0..levels).fold(value, |value, _| json!([value]))
}

#[test]
fn lists_deeper_than_introspection_sees_are_json() {
    let types = |levels: usize, value: Json| -> Vec<String> {
        let documents =
            [json!({"a": in_lists(levels, value.clone()), "m": {"2024": in_lists(levels, value)}})];
        let object = derive_with(&mut NameRegistry::new(), &documents, false);
        let FieldType::Map { entry } = &object.fields[1].ty else {
            panic!("a map")
        };
        let written = [&object.fields[0].ty, &entry.value].map(|ty| {
            let mut out = String::new();
            ty.write_output(&mut out);
            out
        });
        written.into()
    };
    assert_eq!(types(5, json!(1)), ["[[[[[Int]]]]]"; 2]);
    assert_eq!(types(6, json!(1)), ["JSON"; 2]);
    assert_eq!(types(6, json!({"b": 1})), ["JSON"; 2]);
    // A map is a list of entries.
    let map = json!({"2024": 1, "2025": 2});
    assert_eq!(types(4, map.clone())[0], "[[[[[ThingAEntry!]]]]]");
    assert_eq!(types(5, map), ["JSON"; 2]);
    // Inside a record the count begins anew.
    check(
        &[in_lists(5, json!({"b": in_lists(5, json!(1))}))],
        Some("[[[[[ThingA]]]]]"),
    );
}

#[test]
fn deeper_than_looked_into_is_json() {
    let value = (0..40).fold(json!(1), |value, _| json!({ "b": value }));
    let object = derive_with(&mut NameRegistry::new(), &[json!({ "a": value })], false);
    let mut ty = &object.fields[0].ty;
    let mut objects = 0;
    while let FieldType::Object(inner) = ty {
        objects += 1;
        ty = &inner.fields[0].ty;
    }
    assert_eq!((objects, ty), (32, &FieldType::Json));
}

#[test]
fn nested_names_are_paths() {
    let documents = [json!({"home address": {"geo": {"lat": 1.5}}, "rates": {"2024": {"x": 1}}})];
    let object = derive_with(&mut NameRegistry::new(), &documents, false);
    let FieldType::Object(address) = &object.fields[0].ty else {
        panic!("an object")
    };
    assert_eq!(
        (address.name.as_str(), object.fields[0].name.as_str()),
        ("ThingHomeAddress", "home_address")
    );
    let FieldType::Object(geo) = &address.fields[0].ty else {
        panic!("an object")
    };
    assert_eq!(geo.name, "ThingHomeAddressGeo");
    let FieldType::Map { entry } = &object.fields[1].ty else {
        panic!("a map")
    };
    let FieldType::Object(value) = &entry.value else {
        panic!("an object")
    };
    assert_eq!(entry.entry_name, "ThingRatesEntry");
    assert_eq!(value.name, "ThingRatesValue");
}

#[test]
fn the_id_member_is_the_system_field() {
    let documents = [json!({"id": "a", "inner": {"id": 1}})];
    let object = derive_with(&mut NameRegistry::new(), &documents, false);
    assert_eq!(object.fields.len(), 1);
    let FieldType::Object(inner) = &object.fields[0].ty else {
        panic!("an object")
    };
    assert_eq!(inner.fields[0].name, "id");
    let object = derive_with(&mut NameRegistry::new(), &documents, true);
    assert_eq!(
        (object.fields[0].name.as_str(), &*object.fields[0].json_name),
        ("id_", "id")
    );
}

#[test]
fn field_order_is_the_order_of_first_sight() {
    let mut registry = NameRegistry::new();
    derive_with(&mut registry, &[json!({"b": 1}), json!({"a": 1})], false);
    let object = derive_with(&mut registry, &[json!({"0": 1, "a": 1, "b": 1})], false);
    let names: Vec<&str> = object
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    // serde_json sorts members; the registry remembers that `b` came first.
    assert_eq!(names, ["b", "a", "_0"]);
}

#[test]
fn equal_counts_give_equal_types() {
    let documents = [
        json!({"a": {"x": 1}, "b": [{"y": "z"}]}),
        json!({"c": true}),
    ];
    let mut registry = NameRegistry::new();
    let first = derive_with(&mut registry, &documents, false);
    let revision = registry.revision();
    let mut decoded = NameRegistry::decode(&registry.encode()).expect("decodes");
    assert_eq!(derive_with(&mut decoded, &documents, false), first);
    assert_eq!(derive_with(&mut registry, &documents, false), first);
    assert_eq!((registry.revision(), decoded.revision()), (revision, 0));
}

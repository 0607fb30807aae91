//! Beyond the bounds: `subtract` stays exact, and documents keep their fields.

use std::collections::BTreeMap;

use super::*;

fn bounded(members: usize, nodes: usize) -> Shape {
    Shape {
        limits: Limits { members, nodes },
        ..Shape::new()
    }
}

fn any_bounds() -> impl Strategy<Value = Shape> {
    (1..4usize, 0..40usize).prop_map(|(members, nodes)| bounded(members, nodes))
}

/// Each tracked name must count exactly the documents that have it, and the overflow all others.
fn check_root(shape: &Shape, live: &[Json]) -> Result<(), TestCaseError> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for json in live {
        for name in json.as_object().expect("an object").keys() {
            *counts.entry(name).or_default() += 1;
        }
    }
    for member in shape.root.record.iter() {
        let count = counts.remove(&*member.name);
        prop_assert_eq!(count, Some(member.node.total()), "{}", member.name);
    }
    let others: u64 = counts.into_values().sum();
    let overflow = shape.root.overflow.as_ref().map_or(0, |node| node.total());
    prop_assert_eq!(overflow, others);
    prop_assert!(shape.root.record.len() <= shape.limits.members);
    let (counted, actual) = node_count(shape);
    prop_assert_eq!(counted, actual);
    prop_assert!(counted <= shape.limits.nodes + 3 * shape.limits.members + 2);
    Ok(())
}

proptest! {
    #[test]
    fn subtract_undoes_add_beyond_the_bounds(
        empty in any_bounds(), documents in any_documents(), extra in any_documents(),
    ) {
        let mut shape = empty;
        for json in &documents {
            shape.add(document(json).root());
        }
        let before = shape.clone();
        for json in &extra {
            shape.add(document(json).root());
        }
        // In the order of adding: what was tracked first is the first to go.
        for json in &extra {
            shape.subtract(document(json).root());
        }
        prop_assert_eq!(shape.encode(), before.encode());
        check_root(&shape, &documents)?;
        for json in &documents {
            shape.subtract(document(json).root());
        }
        prop_assert_eq!(shape, Shape::new());
    }

    /// The empty document keeps the shape from being reset as a whole when the others have gone.
    #[test]
    fn any_sequence_beyond_the_bounds_is_exact(
        empty in any_bounds(),
        steps in prop::collection::vec((any_document(), prop::option::of(any::<prop::sample::Index>())), 0..24),
    ) {
        let anchor = json!({});
        let mut shape = empty;
        shape.add(document(&anchor).root());
        let mut live: Vec<Json> = Vec::new();
        for (json, removed) in steps {
            match removed {
                Some(index) if !live.is_empty() => {
                    let gone = live.swap_remove(index.index(live.len()));
                    shape.subtract(document(&gone).root());
                }
                _ => {
                    shape.add(document(&json).root());
                    live.push(json);
                }
            }
            check_root(&shape, &live)?;
            let decoded = Shape::decode(&shape.encode());
            prop_assert_eq!(decoded.as_ref(), Ok(&shape));
        }
        while let Some(gone) = live.pop() {
            shape.subtract(document(&gone).root());
            check_root(&shape, &live)?;
        }
        prop_assert_eq!(&shape, &shape_of(&[anchor]));
        prop_assert_eq!(shape.nodes, 0);
    }

    #[test]
    fn merge_beyond_the_bounds_keeps_the_sums(
        empty in any_bounds(), a in any_documents(), b in any_documents(),
    ) {
        let mut shape = empty.clone();
        let mut other = empty;
        a.iter().for_each(|json| shape.add(document(json).root()));
        b.iter().for_each(|json| other.add(document(json).root()));
        shape.merge(&other);
        let together: Vec<Json> = a.iter().chain(&b).cloned().collect();
        prop_assert_eq!(shape.documents(), together.len() as u64);
        prop_assert_eq!(shape.root.values().total(), shape_of(&together).root.values().total());
        prop_assert!(shape.root.record.len() <= shape.limits.members);
        let (counted, actual) = node_count(&shape);
        prop_assert_eq!(counted, actual);
    }
}

fn wide(names: std::ops::Range<usize>) -> Json {
    Json::Object(
        names
            .map(|number| (format!("name {number}"), json!(number)))
            .collect(),
    )
}

fn types(registry: &mut NameRegistry, shape: &Shape) -> BTreeMap<String, String> {
    let names = registry.collection("things");
    let schema = CollectionSchema::derive(&names, shape, false, registry);
    let fields = schema.object.fields.iter().map(|field| {
        let mut ty = String::new();
        field.ty.write_output(&mut ty);
        (field.json_name.to_string(), ty)
    });
    fields.collect()
}

#[test]
fn one_wide_document_takes_no_field_away() {
    let mut registry = NameRegistry::new();
    let mut shape = shape_of(&[json!({"title": "x", "tags": ["y"], "at": {"lat": 1.5}})]);
    let before = shape.clone();
    let types_before = types(&mut registry, &shape);
    assert_eq!(types_before.len(), 3);
    let wide = wide(0..1_001);
    shape.add(document(&wide).root());
    let types_beyond = types(&mut registry, &shape);
    assert_eq!(types_beyond.len(), MEMBERS_MAX);
    assert!(
        types_before
            .iter()
            .all(|(name, ty)| types_beyond.get(name) == Some(ty))
    );
    assert_eq!(Shape::decode(&shape.encode()).as_ref(), Ok(&shape));
    shape.subtract(document(&wide).root());
    assert_eq!(shape.encode(), before.encode());
    assert_eq!(types(&mut registry, &shape), types_before);
}

#[test]
fn a_table_with_many_columns_publishes_the_first() {
    let columns: Vec<String> = (0..1_100).map(|n| format!("\"c{n}\":\"{n}\"")).collect();
    let row = Document::parse(format!("{{{}}}", columns.join(",")).as_bytes()).expect("an object");
    let mut shape = Shape::new();
    shape.add(row.root());
    shape.add(row.root());
    let types = types(&mut NameRegistry::new(), &shape);
    assert_eq!(types.len(), MEMBERS_MAX);
    assert!((0..MEMBERS_MAX).all(|n| types.contains_key(&format!("c{n}"))));
    let overflow = shape.root.overflow.as_ref().expect("more than are tracked");
    assert_eq!(overflow.total(), 200);
}

#[test]
fn a_new_name_in_each_document_takes_no_field_away() {
    let documents: Vec<Json> = (0..1_200)
        .map(|n| json!({"id": n, "name": "x", "tags": ["y"], format!("k{n}"): n}))
        .collect();
    let shape = shape_of(&documents);
    let types = types(&mut NameRegistry::new(), &shape);
    assert_eq!(types.get("name").map(String::as_str), Some("String"));
    assert_eq!(types.get("tags").map(String::as_str), Some("[String]"));
    assert_eq!(
        types.len(),
        MEMBERS_MAX - 1,
        "all that are tracked but `id`"
    );
}

#[test]
fn a_wide_object_in_a_document_is_a_map_and_a_record_again() {
    let documents = [
        json!({"m": {"a": 1, "b": "x"}}),
        json!({"m": wide(0..1_100)}),
    ];
    let mut registry = NameRegistry::new();
    let mut shape = shape_of(&documents);
    assert_eq!(types(&mut registry, &shape)["m"], "[ThingMEntry!]");
    let report: Json = serde_json::from_slice(&shape.to_json()).expect("valid JSON");
    assert_eq!(report["fields"]["m"]["otherFields"]["count"], json!(102));
    shape.subtract(document(&documents[1]).root());
    assert_eq!(shape, shape_of(&documents[..1]));
    assert_eq!(types(&mut registry, &shape)["m"], "ThingM");
}

#[test]
fn positions_are_bounded_and_documents_keep_their_fields() {
    let record = json!({"title": "x", "tags": ["y"], "at": {"lat": 1.5}});
    let huge: Vec<Json> = (0..40)
        .map(|number| Json::Object([(format!("m{number}"), wide(0..900))].into_iter().collect()))
        .collect();
    let mut registry = NameRegistry::new();
    let mut shape = shape_of(std::slice::from_ref(&record));
    let before = shape.clone();
    let types_before = types(&mut registry, &shape);
    for json in &huge {
        shape.add(document(json).root());
    }
    assert!(
        shape.nodes <= NODES_MAX + 3 * MEMBERS_MAX,
        "{} nodes",
        shape.nodes
    );
    // Fields of documents that come when there is no more room are published as well.
    let late = json!({"late": "x", "lately": [1]});
    shape.add(document(&late).root());
    let types_beyond = types(&mut registry, &shape);
    assert!(
        types_before
            .iter()
            .all(|(name, ty)| types_beyond.get(name) == Some(ty))
    );
    assert_eq!(types_beyond["late"], "String");
    assert_eq!(types_beyond["lately"], "[Int]");
    assert_eq!(types_beyond.len(), 3 + 40 + 2);
    for json in huge.iter().chain([&late]) {
        shape.subtract(document(json).root());
    }
    assert_eq!(shape.encode(), before.encode());
    assert_eq!(types(&mut registry, &shape), types_before);
}

#[test]
fn subtyping_beyond_the_bounds() {
    let fits = |inner: &Json, outer: &Json| {
        shape_of(std::slice::from_ref(inner)).is_subtype_of(&shape_of(std::slice::from_ref(outer)))
    };
    let wide = json!({"m": wide(0..1_100)});
    assert!(fits(&wide, &wide));
    assert!(fits(&json!({"m": {"other": 1}}), &wide));
    assert!(!fits(&json!({"m": {"other": "x"}}), &wide));
    assert!(!fits(&wide, &json!({"m": {"other": 1}})));
}

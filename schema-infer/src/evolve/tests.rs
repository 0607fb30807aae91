//! Types by example: what was published, what came, what is published then.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use thalweg_model::Document;

use super::*;

/// A collection whose documents come and go.
struct World {
    registry: NameRegistry,
    shape: Shape,
    schema: Arc<CollectionSchema>,
    clock: u64,
}

impl World {
    fn new() -> World {
        let mut registry = NameRegistry::new();
        let names = registry.collection("things");
        let schema = CollectionSchema::derive(&names, &Shape::new(), false, &mut registry);
        World {
            registry,
            shape: Shape::new(),
            schema: Arc::new(schema),
            clock: 0,
        }
    }

    fn change(&mut self, add: &[Json], remove: &[Json], evolution: Evolution) {
        for (documents, is_added) in [(remove, false), (add, true)] {
            for json in documents {
                let document = Document::parse(json.to_string().as_bytes()).expect("an object");
                match is_added {
                    true => self.shape.add(document.root()),
                    false => self.shape.subtract(document.root()),
                }
            }
        }
        self.clock += 1;
        let latch = Latch {
            evolution,
            vanished_at: Some(CommitTs::from_micros(self.clock)),
        };
        let evidence = Evidence {
            shape: &self.shape,
            publishes_id: false,
        };
        self.schema = self.schema.evolve(evidence, latch, &mut self.registry);
        // What is stored is what there is.
        let names = self.schema.names.clone();
        let stored = self.schema.encode();
        let revision = self.registry.revision();
        let read = CollectionSchema::decode(&stored, &names, &mut self.registry).expect("decodes");
        assert_eq!(read, *self.schema);
        assert_eq!(revision, self.registry.revision(), "all had names");
    }

    fn text(&self) -> String {
        let mut out = String::new();
        write(&self.schema.object, &mut out);
        out
    }
}

/// `a:Int b:{c:String} gone!:Int`
fn write(object: &ObjectType, out: &mut String) {
    for (index, field) in object.fields.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { " " });
        out.push_str(&field.name);
        out.push_str(if field.deprecated.is_some() {
            "!:"
        } else {
            ":"
        });
        write_type(&field.ty, out);
    }
}

fn write_type(ty: &FieldType, out: &mut String) {
    match ty {
        FieldType::List(item, _) => {
            out.push('[');
            write_type(item, out);
            out.push(']');
        }
        FieldType::Object(object) => {
            out.push('{');
            write(object, out);
            out.push('}');
        }
        FieldType::Map { entry } => {
            out.push('<');
            write_type(&entry.value, out);
            out.push('>');
        }
        scalar => out.push_str(scalar.scalar_name().expect("a scalar")),
    }
}

/// The types after each step: `+` adds a document, `-` removes one.
fn check(evolution: Evolution, steps: &[(&str, Json, &str)]) {
    let mut world = World::new();
    for (sign, document, expect) in steps {
        let document = std::slice::from_ref(document);
        match *sign {
            "+" => world.change(document, &[], evolution),
            _ => world.change(&[], document, evolution),
        }
        assert_eq!(world.text(), *expect, "after {sign} {document:?}");
    }
}

#[test]
fn additive_adds_and_never_changes() {
    check(
        Evolution::Additive,
        &[
            ("+", json!({"a": 1}), "a:Int"),
            ("+", json!({"a": 5_000_000_000_u64}), "a:Int"),
            ("+", json!({"a": "x", "b": "x"}), "a:Int b:String"),
            ("+", json!({"a": {"c": 1}, "b": [1]}), "a:Int b:String"),
            ("+", json!({"o": {"x": 1}}), "a:Int b:String o:{x:Int}"),
            (
                "+",
                json!({"o": {"x": 0.5, "y": [{"z": true}]}}),
                "a:Int b:String o:{x:Int y:[{z:Boolean}]}",
            ),
            (
                "+",
                json!({"o": {"y": [{"z": 1, "w": "2024-05-01"}, 7]}}),
                "a:Int b:String o:{x:Int y:[{z:Boolean w:Date}]}",
            ),
            (
                "+",
                json!({"o": {"y": [{"w": "soon"}]}, "n": null}),
                "a:Int b:String o:{x:Int y:[{z:Boolean w:Date}]}",
            ),
        ],
    );
}

#[test]
fn what_vanishes_is_deprecated_until_it_comes_back() {
    let (one, two) = (
        json!({"a": 1, "o": {"x": 1}}),
        json!({"b": 1, "o": {"y": 1}}),
    );
    check(
        Evolution::Additive,
        &[
            ("+", one.clone(), "a:Int o:{x:Int}"),
            ("+", two.clone(), "a:Int o:{x:Int y:Int} b:Int"),
            ("-", one.clone(), "a!:Int o:{x!:Int y:Int} b:Int"),
            ("+", json!({"a": null}), "a:Int o:{x!:Int y:Int} b:Int"),
            ("+", one.clone(), "a:Int o:{x:Int y:Int} b:Int"),
            ("-", one, "a:Int o:{x!:Int y:Int} b:Int"),
            ("-", json!({"a": null}), "a!:Int o:{x!:Int y:Int} b:Int"),
            // Of a collection without documents nothing can be said.
            ("-", two, "a!:Int o:{x!:Int y:Int} b:Int"),
        ],
    );
}

#[test]
fn an_emptied_collection_keeps_its_types() {
    for evolution in [Evolution::Follow, Evolution::Additive, Evolution::Manual] {
        check(
            evolution,
            &[
                ("+", json!({"a": 1}), "a:Int"),
                ("-", json!({"a": 1}), "a:Int"),
            ],
        );
    }
}

#[test]
fn follow_follows_and_manual_waits() {
    check(
        Evolution::Follow,
        &[
            ("+", json!({"a": 1}), "a:Int"),
            ("+", json!({"a": 0.5, "b": 1}), "a:Float b:Int"),
            ("-", json!({"a": 0.5, "b": 1}), "a:Int"),
        ],
    );
    check(
        Evolution::Manual,
        &[
            ("+", json!({"a": 1}), "a:Int"),
            ("+", json!({"a": 0.5, "b": 1}), "a:Int"),
            ("-", json!({"a": 1}), "a:Int"),
        ],
    );
}

#[test]
fn records_stay_records_and_maps_maps() {
    let map = json!({"m": {"2024-01-01": {"n": 1}, "2024-01-02": {"n": 2}}});
    check(
        Evolution::Additive,
        &[
            ("+", json!({"r": {"x": 1}}), "r:{x:Int}"),
            ("+", map, "r:{x:Int} m:<{n:Int}>"),
            (
                "+",
                json!({"m": {"darkMode": {"n": 3, "t": "x"}}}),
                "r:{x:Int} m:<{n:Int t:String}>",
            ),
        ],
    );
    let mut world = World::new();
    world.change(&[json!({"r": {"k1": 1}})], &[], Evolution::Additive);
    let many: Vec<Json> = (2..80)
        .map(|n| json!({"r": {format!("k{n}"): n}}))
        .collect();
    world.change(&many, &[], Evolution::Additive);
    assert_eq!(world.text(), "r:{k1:Int}", "keys are no fields");
}

#[test]
fn a_deprecated_field_goes_when_it_is_over() {
    let mut world = World::new();
    let (one, two) = (json!({"a": 1, "o": {"x": 1}}), json!({"o": {"y": 1}}));
    world.change(&[one.clone(), two], &[], Evolution::Additive);
    world.change(&[], &[one], Evolution::Additive);
    assert_eq!(world.text(), "a!:Int o:{x!:Int y:Int}");
    let paths: Vec<String> = world
        .schema
        .deprecated()
        .iter()
        .map(|(path, deprecated)| format!("{} {}", path.join("."), deprecated.since))
        .collect();
    assert_eq!(paths, ["a 2", "o.x 2"]);
    let kept = world.schema.without_vanished(&mut |_, _| false);
    assert!(Arc::ptr_eq(&kept, &world.schema));
    world.schema = world
        .schema
        .without_vanished(&mut |path, _| path.len() == 2);
    assert_eq!(world.text(), "a!:Int o:{y:Int}");
    world.schema = world.schema.without_vanished(&mut |_, _| true);
    assert_eq!(world.text(), "o:{y:Int}");
}

#[test]
fn corrupt_bytes_are_refused() {
    let mut world = World::new();
    world.change(&[json!({"a": [{"b": 1}]})], &[], Evolution::Additive);
    let stored = world.schema.encode();
    let names = world.schema.names.clone();
    for end in 0..stored.len() {
        let cut = CollectionSchema::decode(&stored[..end], &names, &mut world.registry);
        assert!(cut.is_err(), "{end} bytes");
    }
}

fn value() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(1)),
        Just(json!(5_000_000_000_u64)),
        Just(json!(0.5)),
        Just(json!("x")),
        Just(json!("2024-05-01")),
    ];
    scalar.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            object(inner),
        ]
    })
}

fn object(inner: impl Strategy<Value = Json>) -> impl Strategy<Value = Json> {
    prop::collection::hash_map("[a-d]|2024-0[1-9]-01", inner, 0..4)
        .prop_map(|members| Json::from(members.into_iter().collect::<serde_json::Map<_, _>>()))
}

/// Whether whatever was valid on the old type is on the new one.
fn keeps(old: &ObjectType, new: &ObjectType) -> bool {
    old.name == new.name
        && old.fields.iter().all(|field| {
            new.field(&field.name)
                .is_some_and(|found| keeps_type(&field.ty, &found.ty))
        })
}

fn keeps_type(old: &FieldType, new: &FieldType) -> bool {
    match (old, new) {
        (FieldType::List(old, _), FieldType::List(new, _)) => keeps_type(old, new),
        (FieldType::Object(old), FieldType::Object(new)) => keeps(old, new),
        (FieldType::Map { entry: old }, FieldType::Map { entry: new }) => {
            old.name == new.name && keeps_type(&old.value, &new.value)
        }
        (old, new) => old == new,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_published_type_never_changes(
        batches in prop::collection::vec(prop::collection::vec(object(value()), 0..4), 1..12),
        removals in prop::collection::vec(any::<prop::sample::Index>(), 12),
    ) {
        let mut world = World::new();
        let mut documents: Vec<Json> = Vec::new();
        for (batch, removal) in batches.iter().zip(&removals) {
            let before = Arc::clone(&world.schema);
            let removed: Vec<Json> = match documents.is_empty() {
                true => Vec::new(),
                false => vec![documents.remove(removal.index(documents.len()))],
            };
            documents.extend(batch.iter().cloned());
            world.change(batch, &removed, Evolution::Additive);
            prop_assert!(keeps(&before.object, &world.schema.object));
            // Promotion comes to what is derived, whatever was before.
            let evidence = Evidence { shape: &world.shape, publishes_id: false };
            let promoted = world.schema.promote(evidence, &mut world.registry);
            if !documents.is_empty() {
                let names = world.schema.names.clone();
                let derived =
                    CollectionSchema::derive(&names, &world.shape, false, &mut world.registry);
                prop_assert_eq!(&*promoted, &derived);
                let left = promoted.drift(evidence);
                prop_assert!(left.is_empty(), "{:?}", left);
            }
        }
    }
}

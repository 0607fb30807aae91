//! What is accepted, what the counts say, and what is filled in: by example, and against each other.

use proptest::prelude::*;
use thalweg_model::{Document, Value};

use super::check::Found;
use super::counted::{Renamed, Tally};
use super::*;
use crate::names::NameRegistry;
use crate::shape::Shape;
use crate::types::CollectionSchema;

fn scalar(scalar: DeclaredScalar) -> DeclaredType {
    DeclaredType::Scalar(scalar)
}

fn field(name: &str, ty: DeclaredType) -> DeclaredField {
    DeclaredField {
        name: name.into(),
        ty,
        is_required: false,
        default: None,
    }
}

fn required(name: &str, ty: DeclaredType) -> DeclaredField {
    DeclaredField {
        is_required: true,
        ..field(name, ty)
    }
}

fn with_default(default: &str, field: DeclaredField) -> DeclaredField {
    DeclaredField {
        default: Some(DefaultValue::Constant(
            Value::parse(default.as_bytes()).unwrap(),
        )),
        ..field
    }
}

fn list(item: DeclaredType, is_required: bool) -> DeclaredType {
    DeclaredType::List {
        item: Box::new(item),
        is_required,
    }
}

fn object(fields: Vec<DeclaredField>) -> DeclaredType {
    DeclaredType::Object(DeclaredObject::new(fields))
}

fn schema(is_strict: bool, fields: Vec<DeclaredField>) -> DeclaredSchema {
    DeclaredSchema {
        is_strict,
        object: DeclaredObject::new(fields),
    }
}

fn films(is_strict: bool) -> DeclaredSchema {
    let studio = object(vec![
        required("name", scalar(DeclaredScalar::String)),
        with_default(
            "\"US\"",
            required("country", scalar(DeclaredScalar::String)),
        ),
    ]);
    schema(
        is_strict,
        vec![
            required("title", scalar(DeclaredScalar::String)),
            field("year", scalar(DeclaredScalar::Int)),
            with_default("0.5", required("rating", scalar(DeclaredScalar::Float))),
            field("tags", list(scalar(DeclaredScalar::String), true)),
            field("studio", studio),
            field(
                "names",
                DeclaredType::Map {
                    value: Box::new(scalar(DeclaredScalar::String)),
                    is_required: true,
                },
            ),
            field("released", scalar(DeclaredScalar::Date)),
        ],
    )
}

fn document(json: &str) -> Document {
    Document::parse(json.as_bytes()).unwrap()
}

fn told(schema: &DeclaredSchema, json: &str) -> String {
    schema.check(document(json).root(), &[]).to_string()
}

#[test]
fn every_mistake_of_a_document_is_told_with_its_path() {
    let partial = films(false);
    let right = r#"{"id":7,"title":"Alien","year":1979,"rating":1,"tags":["a"],"studio":{"name":"x","country":"UK"},
        "names":{"de":"Alien"},"released":"1979-05-25","more":[1,null]}"#;
    assert_eq!(told(&partial, right), "");
    assert_eq!(told(&films(true), right), "more is not declared");
    assert_eq!(
        told(
            &partial,
            r#"{"title":null,"year":3000000000,"rating":"x","tags":["a",null,2],"studio":{"country":null},"names":{"de":null},"released":"1979"}"#
        ),
        "title is null, but must be String!; year is an integer beyond 32 bits, but must be Int; \
         rating is a string, but must be Float!; tags[] is null, but must be String!; tags[] is an integer, but must be String!; \
         studio.country is null, but must be String!; studio.name is missing, but must be String!; \
         names{} is null, but must be String!; released is a string, but must be Date"
    );
    assert_eq!(
        told(&partial, "{}"),
        "title is missing, but must be String!; rating is missing, but must be Float!"
    );
}

#[test]
fn what_is_told_of_a_document_is_bounded() {
    let fields = (0..50).map(|n| required(&format!("f{n}"), scalar(DeclaredScalar::Int)));
    let mistakes = schema(false, fields.collect()).check(document("{}").root(), &[]);
    assert_eq!((mistakes.list.len(), mistakes.more), (20, 30));
    assert!(mistakes.to_string().ends_with("; and 30 more"));
}

#[test]
fn defaults_are_filled_in_wherever_their_object_is() {
    let schema = schema(
        false,
        vec![
            with_default(
                "{\"a\": 1}",
                field(
                    "own",
                    object(vec![
                        field("a", scalar(DeclaredScalar::Int)),
                        with_default("2", field("b", scalar(DeclaredScalar::Int))),
                    ]),
                ),
            ),
            field(
                "list",
                list(
                    object(vec![with_default(
                        "[]",
                        field("x", list(scalar(DeclaredScalar::Int), false)),
                    )]),
                    false,
                ),
            ),
            DeclaredField {
                default: Some(DefaultValue::Now),
                ..field("at", scalar(DeclaredScalar::DateTime))
            },
        ],
    );
    let fill = |json: &str| {
        let filled = schema.fill(document(json).root(), b"\"now\"");
        filled.map(|json| String::from_utf8(json).unwrap())
    };
    assert_eq!(
        fill(r#"{"list":[{},null,{"x":1},3]}"#).unwrap(),
        r#"{"list":[{"x":[]},null,{"x":1},3],"own":{"a":1,"b":2},"at":"now"}"#
    );
    assert_eq!(fill(r#"{"own":null,"at":null}"#), None);
}

#[test]
fn the_counts_tell_what_the_documents_would() {
    let mut shape = Shape::new();
    for json in [
        r#"{"title":"a","year":"1990","studio":{"name":"x"}}"#,
        r#"{"title":null,"tags":["a",null],"studio":{}}"#,
        r#"{"year":1990.5,"odd":1}"#,
    ] {
        shape.add(document(json).root());
    }
    let verdict = films(true).judge(&shape, &[]);
    let told: Vec<String> = verdict.mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "title must be String!, but is missing 1 times",
            "title must be String!, but is null 1 times",
            "year must be Int, but is a fraction 1 times",
            "year must be Int, but is a string 1 times",
            "tags[] must be String!, but is null 1 times",
            "studio.name must be String!, but is missing 1 times",
            "odd is not declared, but is there 1 times",
        ]
    );
    assert_eq!(verdict.to_fill, ["rating", "studio.country"]);
    assert_eq!(verdict.unknown, [] as [&str; 0]);
}

#[test]
fn a_field_that_is_renamed_is_counted_under_its_old_name() {
    let mut shape = Shape::new();
    shape.add(document(r#"{"name":"a"}"#).root());
    let schema = schema(
        true,
        vec![required("title", scalar(DeclaredScalar::String))],
    );
    let renamed = [Renamed {
        from: "name",
        to: "title",
    }];
    assert_eq!(schema.judge(&shape, &renamed), Default::default());
    assert_eq!(schema.judge(&shape, &[]).mistakes.len(), 2);
}

#[test]
fn formats_that_are_not_counted_have_to_be_looked_at() {
    let schema = schema(false, vec![field("for", scalar(DeclaredScalar::Duration))]);
    let mut shape = Shape::new();
    shape.add(document(r#"{"for":null}"#).root());
    assert_eq!(schema.judge(&shape, &[]), Default::default());
    shape.add(document(r#"{"for":"P1D"}"#).root());
    assert_eq!(schema.judge(&shape, &[]).unknown, ["for"]);
}

#[test]
fn a_declared_field_is_published_before_any_document_has_it() {
    let mut registry = NameRegistry::new();
    let names = registry.collection("films");
    let mut shape = Shape::new();
    shape.add(document(r#"{"year":1979,"studio":{"zip":1},"US Gross":1}"#).root());
    let inferred = CollectionSchema::derive(&names, &shape, false, &mut registry);
    let declared = films(false);
    let published = Published {
        declared: &declared,
        renamed: vec![Renamed {
            from: "US Gross",
            to: "released",
        }],
        hidden: Vec::new(),
        unfilled: vec!["rating"],
    };
    let schema = inferred.publish(&published, &mut registry);
    let mut text = String::new();
    fn write(object: &crate::types::ObjectType, text: &mut String) {
        for field in &object.fields {
            text.push_str(&format!("{} ({}): ", field.name, field.json_name));
            field.write_output(text);
            text.push('\n');
            if let crate::types::FieldType::Object(inner) = &field.ty {
                write(inner, text);
            }
        }
    }
    write(&schema.object, &mut text);
    assert_eq!(
        text,
        "year (year): Int\n\
         studio (studio): FilmStudio\n\
         zip (zip): Int\n\
         name (name): String!\n\
         country (country): String!\n\
         title (title): String!\n\
         rating (rating): Float\n\
         tags (tags): [String!]\n\
         names (names): [FilmNamesEntry!]\n\
         released (US Gross): Date\n"
    );
}

/// Types, bounded in depth.
fn types() -> impl Strategy<Value = DeclaredType> {
    let leaf = proptest::sample::select(DeclaredScalar::ALL).prop_map(DeclaredType::Scalar);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), any::<bool>()).prop_map(|(item, required)| list(item, required)),
            (inner.clone(), any::<bool>()).prop_map(|(value, is_required)| DeclaredType::Map {
                value: Box::new(value),
                is_required,
            }),
            fields(inner).prop_map(object),
        ]
    })
}

fn fields(ty: impl Strategy<Value = DeclaredType>) -> impl Strategy<Value = Vec<DeclaredField>> {
    let default = proptest::option::weighted(0.3, values());
    let one = (ty, any::<bool>(), default).prop_map(|(ty, is_required, default)| {
        let default = default.map(|json| Value::parse(json.to_string().as_bytes()).unwrap());
        DeclaredField {
            is_required,
            // One that fits, or none.
            default: default
                .filter(|value| {
                    let whole = schema(true, vec![required("a", ty.clone())]);
                    let json = format!("{{\"a\":{}}}", String::from_utf8_lossy(value.json()));
                    whole.check(document(&json).root(), &[]).is_empty()
                })
                .map(DefaultValue::Constant),
            ..field("", ty)
        }
    });
    proptest::collection::vec(one, 1..4).prop_map(|fields| {
        let named = fields.into_iter().zip(["a", "b", "c"]);
        named
            .map(|(field, name)| DeclaredField {
                name: name.into(),
                ..field
            })
            .collect()
    })
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        prop_oneof![Just(1i64), Just(1 << 40), Just(i64::MAX)].prop_map(Into::into),
        Just(0.5).prop_map(Into::into),
        proptest::sample::select(vec![
            "",
            "x",
            "AAAA",
            "P1D",
            "2020-01-01",
            "2020-01-01T00:00:00Z"
        ])
        .prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
            proptest::collection::btree_map(
                proptest::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned),
                inner,
                0..4
            )
            .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn documents() -> impl Strategy<Value = Vec<Document>> {
    let one = proptest::collection::btree_map(
        proptest::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned),
        values(),
        0..4,
    )
    .prop_map(|members| {
        let whole = serde_json::Value::Object(members.into_iter().collect());
        document(&whole.to_string())
    });
    proptest::collection::vec(one, 0..5)
}

/// What a document must be like, said as plainly as it can be: the reference.
fn satisfies(object: &DeclaredObject, strict: bool, top: bool, json: &serde_json::Value) -> bool {
    let serde_json::Value::Object(members) = json else {
        return false;
    };
    let declared = |name: &str| object.fields().iter().find(|field| *field.name == *name);
    let others = !strict
        || members
            .keys()
            .all(|name| (top && name == "id") || declared(name).is_some());
    others
        && object
            .fields()
            .iter()
            .all(|field| match members.get(&*field.name) {
                None => !field.is_required,
                Some(value) => fits(&field.ty, field.is_required, strict, value),
            })
}

fn fits(ty: &DeclaredType, required: bool, strict: bool, json: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match (ty, json) {
        (_, Json::Null) => !required,
        (DeclaredType::Scalar(DeclaredScalar::Json), _) => true,
        (DeclaredType::Scalar(scalar), json) => match scalar {
            DeclaredScalar::Boolean => json.is_boolean(),
            DeclaredScalar::Int => json.as_i64().is_some_and(|n| n.abs() < 1 << 31),
            DeclaredScalar::BigInt => json.is_i64() || json.is_u64(),
            DeclaredScalar::Float => json.is_number(),
            DeclaredScalar::String | DeclaredScalar::Id => json.is_string(),
            DeclaredScalar::DateTime => json == "2020-01-01T00:00:00Z",
            DeclaredScalar::Date => json == "2020-01-01",
            DeclaredScalar::Duration => json == "P1D",
            DeclaredScalar::Bytes => json == "" || json == "AAAA",
            DeclaredScalar::Json => true,
        },
        (DeclaredType::List { item, is_required }, Json::Array(items)) => items
            .iter()
            .all(|json| fits(item, *is_required, strict, json)),
        (DeclaredType::Map { value, is_required }, Json::Object(members)) => members
            .values()
            .all(|json| fits(value, *is_required, strict, json)),
        (DeclaredType::Object(object), json) => satisfies(object, strict, false, json),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_stored_is_read_back(is_strict: bool, fields in fields(types())) {
        let schema = schema(is_strict, fields);
        let mut json = Vec::new();
        schema.write_json(&mut json);
        let stored = Value::parse(&json).unwrap();
        prop_assert_eq!(DeclaredSchema::from_json(stored.as_ref()), Some(schema));
    }

    #[test]
    fn a_document_is_accepted_if_the_reference_accepts_it(
        is_strict: bool, fields in fields(types()), documents in documents()
    ) {
        let schema = schema(is_strict, fields);
        for document in documents {
            let json: serde_json::Value = serde_json::from_slice(document.json()).unwrap();
            let mistakes = schema.check(document.root(), &[]);
            let expected = satisfies(&schema.object, is_strict, true, &json);
            prop_assert_eq!(mistakes.is_empty(), expected, "{} {}", mistakes, json);
        }
    }

    #[test]
    fn a_filled_document_lacks_nothing(fields in fields(types()), documents in documents()) {
        let schema = schema(false, fields);
        for document in documents {
            if let Some(filled) = schema.fill(document.root(), b"\"2020-01-01T00:00:00Z\"") {
                let filled = Document::parse(&filled).unwrap();
                prop_assert_eq!(schema.fill(filled.root(), b"0"), None);
                // Nothing that was there is touched, but what it had inside may have grown.
                for (name, _) in document.root().members() {
                    prop_assert!(filled.root().get(&name).is_some());
                }
            }
        }
    }

    #[test]
    fn the_counts_say_what_a_scan_says(
        is_strict: bool, fields in fields(types()), documents in documents()
    ) {
        let schema = schema(is_strict, fields);
        let mut shape = Shape::new();
        let mut scanned = Tally::default();
        let mut lacking = false;
        for document in &documents {
            shape.add(document.root());
            let filled = schema.fill(document.root(), b"0");
            lacking |= filled.is_some();
            // The counts are of the documents as they are: a default that is filled in later is no mistake.
            let mut mistakes = schema.check(document.root(), &[]);
            mistakes.list.retain(|mistake| {
                mistake.found != Found::Nothing || !has_default(&schema.object, &mistake.path)
            });
            scanned.add("x", &mistakes);
        }
        let verdict = schema.judge(&shape, &[]);
        if !verdict.unknown.is_empty() {
            return Ok(());
        }
        prop_assert_eq!(!verdict.to_fill.is_empty(), lacking);
        let sorted = |mistakes: Vec<CountedMistake>| {
            let mut all: Vec<_> = mistakes
                .into_iter()
                .map(|one| (one.path, one.found, one.expected, one.count))
                .collect();
            all.sort();
            all
        };
        prop_assert_eq!(sorted(verdict.mistakes), sorted(scanned.into_mistakes()));
    }
}

use super::counted::CountedMistake;

/// Whether the field at a path, in the notation of mistakes, has a default.
fn has_default(object: &DeclaredObject, path: &str) -> bool {
    let mut object = object;
    let mut segments = path.split('.').peekable();
    while let Some(segment) = segments.next() {
        let name = segment.trim_end_matches(['[', ']', '{', '}']);
        let Some(field) = object.field(name) else {
            return false;
        };
        if segments.peek().is_none() {
            return field.default.is_some();
        }
        let mut ty = &field.ty;
        object = loop {
            ty = match ty {
                DeclaredType::List { item, .. } => item,
                DeclaredType::Map { value, .. } => value,
                DeclaredType::Object(inner) => break inner,
                DeclaredType::Scalar(_) => return false,
            };
        };
    }
    false
}

//! The bindings agree with the SDL: whatever it offers is found, and nothing else.

use std::sync::Arc;

use apollo_compiler::schema::ExtendedType;
use thalweg_model::{CollectionId, CommitTs, Document};
use thalweg_schema_infer::{
    ApiCollection, ApiSchema, CollectionSchema, FieldType, FilterKey, ListOperator, MapOperator,
    MutationField, ObjectType, QueryField, ScalarOperator, TypeBinding,
};

use crate::{infer, validated};

fn example() -> ApiSchema {
    let document = |json: &str| Document::parse(json.as_bytes()).expect("an object");
    infer(&[
        (
            "movies",
            vec![document(
                r#"{"id": "a", "US Gross": 1, "cast": [{"name": "n"}], "not": {"id": 1, "or": [2]},
                    "rates": {"1": {"x": 1}}, "grid": [[{"x": 1}]], "deep": [[1]]}"#,
            )],
        ),
        ("news", vec![document(r#"{"headline": "h"}"#)]),
        ("_jobs", vec![document(r#"{"secret": 1}"#)]),
    ])
}

#[test]
fn root_fields() {
    let api = example();
    let schema = validated(api.sdl());
    let fields = |name: &str| -> Vec<String> {
        let object = schema.get_object(name).expect("a root type");
        object.fields.keys().map(|name| name.to_string()).collect()
    };
    assert_eq!(
        [fields("Query"), vec!["changes".to_owned()]].concat(),
        fields("Subscription")
    );
    for name in fields("Subscription") {
        assert!(api.query_field(&name).is_some(), "{name}");
    }
    for name in fields("Mutation") {
        assert!(api.mutation_field(&name).is_some(), "{name}");
    }
    assert_eq!(fields("Query").len(), 3 + 2 * 3);
    assert_eq!(fields("Mutation").len(), 7 + 2 * 9);
    assert_eq!(api.query_field("newsById"), Some(QueryField::ById(1)));
    assert_eq!(api.query_field("news"), Some(QueryField::List(1)));
    assert_eq!(
        api.mutation_field("createManyNews"),
        Some(MutationField::CreateMany(1))
    );
    assert_eq!(
        api.mutation_field("updateMovies"),
        Some(MutationField::UpdateMany(0))
    );
    assert_eq!(api.query_field("createMovie"), None);
    assert_eq!(
        api.collections().len(),
        2,
        "the system collection is left out"
    );
    assert!(!api.sdl().contains("secret"));
}

#[test]
fn types_of_an_older_store_keep_names_that_are_reserved_by_now() {
    let documents = |text: &str| vec![Document::parse(text.as_bytes()).expect("a document")];
    // Each with a registry of its own, as if neither had known of the other's names.
    let mut collections = Vec::new();
    for (name, text) in [
        ("movies", r#"{"n": 1, "in": {"n": 1}}"#),
        ("movie_aggregate_sums", r#"{"n": 1}"#),
        ("time_units", r#"{"n": 1}"#),
    ] {
        let api = infer(&[(name, documents(text))]);
        collections.extend(api.collections().iter().cloned());
    }
    let mut colliding = Vec::new();
    for (name, id) in collections.iter_mut().zip(0..) {
        name.id = CollectionId(id);
        // `TimeUnit_` already gives way in a registry of now; a store that is older has it bare.
        let mut schema = (*name.schema).clone();
        if schema.names.type_name == "TimeUnit_" {
            schema.names.type_name = "TimeUnit".to_owned();
            schema.object = Arc::new(ObjectType::new(
                "TimeUnit".to_owned(),
                schema.object.fields.clone(),
            ));
        }
        colliding.push(ApiCollection {
            schema: Arc::new(schema),
            ..name.clone()
        });
    }
    let api = ApiSchema::build(colliding, CommitTs::from_micros(1));
    let schema = validated(api.sdl());
    let sum = schema
        .get_object("MovieAggregateSum")
        .expect("the collection's");
    assert!(sum.fields.contains_key("_version"));
    assert!(schema.get_object("MovieAggregateSum_").is_some());
    assert!(schema.get_enum("TimeUnit_").is_some());
}

#[test]
fn every_type_and_key_of_the_sdl_is_bound() {
    let api = example();
    let schema = validated(api.sdl());
    for (name, ty) in &schema.types {
        if name.starts_with("__") {
            continue;
        }
        match ty {
            ExtendedType::Object(object) => {
                let binding = api.type_binding(name);
                assert!(binding.is_some(), "{name}");
                for field in object.fields.keys() {
                    match binding {
                        Some(TypeBinding::Collection(index)) => {
                            let collection = &api.collections()[*index].schema;
                            assert!(collection.output_field(field).is_some(), "{name}.{field}");
                        }
                        Some(TypeBinding::Object { object, .. }) => {
                            assert!(object.field(field).is_some(), "{name}.{field}");
                        }
                        _ => {}
                    }
                }
            }
            ExtendedType::Interface(_) => {
                assert_eq!(api.type_binding(name), Some(&TypeBinding::Node));
            }
            _ => {}
        }
    }
    for collection in api.collections() {
        check_inputs(&schema, &collection.schema);
    }
}

fn keys(schema: &apollo_compiler::Schema, input: &str) -> Vec<String> {
    let input = schema
        .get_input_object(input)
        .unwrap_or_else(|| panic!("no input {input}"));
    input.fields.keys().map(|name| name.to_string()).collect()
}

fn check_inputs(schema: &apollo_compiler::Schema, collection: &CollectionSchema) {
    let names = &collection.names;
    for key in keys(schema, &names.filter) {
        assert!(
            collection.filter_key(&key).is_some(),
            "{}.{key}",
            names.filter
        );
    }
    for key in keys(schema, &names.order_by) {
        assert!(
            collection.order_target(&key).is_some(),
            "{}.{key}",
            names.order_by
        );
    }
    for key in keys(schema, &names.input) {
        assert!(
            collection.input_key(&key).is_some(),
            "{}.{key}",
            names.input
        );
    }
    for key in keys(schema, &names.patch) {
        assert!(
            collection.patch_key(&key).is_some(),
            "{}.{key}",
            names.patch
        );
    }
    assert!(collection.filter_key("_json").is_none() && collection.filter_key("nodeId").is_none());
    for field in &collection.object.fields {
        check_filter(schema, &field.ty);
    }
}

fn check_filter(schema: &apollo_compiler::Schema, ty: &FieldType) {
    match ty {
        FieldType::Object(object) => check_object_filter(schema, object),
        FieldType::Map { entry } => {
            for key in keys(schema, &format!("{}MapFilter", entry.name)) {
                assert!(MapOperator::from_graphql_name(&key).is_some(), "{key}");
            }
            assert_eq!(
                keys(schema, &format!("{}EntryFilter", entry.name)),
                ["key", "value"]
            );
            check_filter(schema, &entry.value);
        }
        // What is in lists of lists has a filter only if it is scalar.
        FieldType::List(item, _) if matches!(&**item, FieldType::List(..)) && !item.is_leaf() => {}
        FieldType::List(item, _) => {
            if let FieldType::Object(object) = &**item {
                for key in keys(schema, &format!("{}ListFilter", object.name)) {
                    assert!(ListOperator::from_graphql_name(&key).is_some(), "{key}");
                }
            }
            check_filter(schema, item);
        }
        scalar => {
            let name = scalar.scalar_name().expect("a scalar");
            for key in keys(schema, &format!("{name}Filter")) {
                let operator = ScalarOperator::from_graphql_name(&key).expect("an operator");
                assert_eq!(operator.graphql_name(), key);
            }
        }
    }
}

fn check_object_filter(schema: &apollo_compiler::Schema, object: &ObjectType) {
    for key in keys(schema, &format!("{}Filter", object.name)) {
        match object.filter_key(&key) {
            Some(FilterKey::Member(field)) => check_filter(schema, &field.ty),
            Some(FilterKey::And | FilterKey::Or | FilterKey::Not) => {}
            Some(FilterKey::IsNull | FilterKey::Exists) => {}
            other => panic!("{}.{key}: {other:?}", object.name),
        }
    }
}

//! The bindings agree with the SDL: whatever it offers is found, and nothing else.

use std::sync::Arc;

use apollo_compiler::schema::ExtendedType;
use thalweg_model::{CollectionId, CommitTs, Document, FieldPath};
use thalweg_schema_infer::{
    ApiCollection, ApiSchema, CollectionSchema, FieldType, FilterKey, IdNames, InputKey,
    ListOperator, MapOperator, MutationField, ObjectType, OnDelete, OrderTarget, OutputField,
    QueryField, Relation, RelationKey, RelationOrigin, ScalarOperator, SystemField, TypeBinding,
    Way,
};

use crate::{infer, infer_with, validated};

fn example() -> ApiSchema {
    example_with(IdNames::Local)
}

fn example_with(ids: IdNames) -> ApiSchema {
    let document = |json: &str| Document::parse(json.as_bytes()).expect("an object");
    let collections = [
        (
            "movies",
            vec![document(
                r#"{"id": "a", "US Gross": 1, "cast": [{"name": "n"}], "not": {"id": 1, "or": [2]},
                    "rates": {"1": {"x": 1}}, "grid": [[{"x": 1}]], "deep": [[1]]}"#,
            )],
        ),
        ("news", vec![document(r#"{"headline": "h"}"#)]),
        ("_jobs", vec![document(r#"{"secret": 1}"#)]),
    ];
    infer_with(ids, &collections)
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
    let api = ApiSchema::build(colliding, CommitTs::from_micros(1), IdNames::Local, None);
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
    for ids in IdNames::ALL {
        check(&example_with(ids));
    }
}

fn check(api: &ApiSchema) {
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
                            assert!(
                                collection.output_field(field, api.ids()).is_some(),
                                "{name}.{field}"
                            );
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
        check_inputs(&schema, &collection.schema, api.ids());
    }
}

/// Where an SDL names ids: the arguments of root fields, and the fields and keys of types that are not inside documents.
fn id_names(api: &ApiSchema) -> Vec<String> {
    let schema = validated(api.sdl());
    let is_id = |name: &str| matches!(name, "id" | "nodeId" | "rowId");
    let mut found = Vec::new();
    for (name, ty) in &schema.types {
        let fields: Vec<&str> = match ty {
            _ if name.starts_with("MovieNot") => continue,
            ExtendedType::Object(object) => {
                for (field, definition) in &object.fields {
                    let arguments = definition.arguments.iter();
                    let ids = arguments.filter(|argument| is_id(&argument.name));
                    found.extend(ids.map(|argument| format!("{name}.{field}({})", argument.name)));
                }
                object.fields.keys().map(|name| name.as_str()).collect()
            }
            ExtendedType::Interface(interface) => {
                interface.fields.keys().map(|name| name.as_str()).collect()
            }
            ExtendedType::InputObject(input) => {
                input.fields.keys().map(|name| name.as_str()).collect()
            }
            _ => continue,
        };
        let ids = fields.iter().filter(|field| is_id(field));
        found.extend(ids.map(|field| format!("{name}.{field}")));
    }
    found
}

#[test]
fn relay_gets_every_id_under_its_other_name_and_nothing_else_changes() {
    let [local, relay] = IdNames::ALL.map(example_with);
    let swapped: Vec<String> = id_names(&local)
        .iter()
        .map(|path| match path.strip_suffix("nodeId") {
            Some(global) => format!("{global}id"),
            None => match path.strip_suffix("(nodeId)") {
                Some(node) => format!("{node}(id)"),
                None => path.replace(".id", ".rowId").replace("(id)", "(rowId)"),
            },
        })
        .collect();
    assert_eq!(id_names(&relay), swapped);
    for expected in [
        "Query.movie(rowId)",
        "Query.node(id)",
        "Subscription.movie(rowId)",
        "Mutation.createMovie(rowId)",
        "Mutation.restoreMovie(rowId)",
        "Movie.id",
        "Movie.rowId",
        "MovieFilter.rowId",
        "MovieOrderBy.rowId",
        "MovieInput.rowId",
        "Change.rowId",
        "Node.id",
    ] {
        assert!(swapped.iter().any(|path| path == expected), "{expected}");
    }
    assert_eq!(local.sdl().lines().count(), relay.sdl().lines().count());
    // What is inside documents is called what it is called there.
    assert!(relay.sdl().contains("type MovieNot {\n  id: Int\n"));
    let movies = &relay.collections()[0].schema;
    let ids = IdNames::Relay;
    assert_eq!(
        movies.output_field("id", ids),
        Some(OutputField::System(SystemField::NodeId))
    );
    assert_eq!(
        movies.order_target("rowId", ids),
        Some(OrderTarget::System(SystemField::Id))
    );
    assert_eq!(movies.input_key("rowId", ids), Some(InputKey::Id));
    for unknown in ["id", "nodeId"] {
        assert_eq!(movies.filter_key(unknown, ids), None, "{unknown}");
        assert_eq!(movies.input_key(unknown, ids), None, "{unknown}");
    }
}

#[test]
fn names_that_an_older_store_gave_before_row_id_was_reserved_are_kept() {
    let document = Document::parse(br#"{"rowId": "x", "other": 1}"#).expect("an object");
    let api = infer(&[("movies", vec![document])]);
    let collection = &api.collections()[0];
    assert!(
        collection.schema.object.field("rowId_").is_some(),
        "it is reserved now"
    );
    let mut fields = collection.schema.object.fields.clone();
    fields[0].name = "rowId".to_owned();
    let mut schema = (*collection.schema).clone();
    schema.object = Arc::new(ObjectType::new(schema.object.name.clone(), fields));
    let relation = |field: &str, name: &str, inverse: &str| {
        Arc::new(Relation {
            field: FieldPath::top(field),
            is_list: false,
            target: CollectionId(0),
            key: RelationKey::Id,
            name: name.to_owned(),
            inverse: inverse.to_owned(),
            on_delete: OnDelete::NoAction,
            origin: RelationOrigin::Declared,
        })
    };
    let with = |schema: &CollectionSchema, relations: Vec<Arc<Relation>>, ids| {
        let collection = ApiCollection {
            schema: Arc::new(schema.clone()),
            relations: relations.into(),
            ..collection.clone()
        };
        ApiSchema::build(vec![collection], CommitTs::from_micros(1), ids, None)
    };

    for ids in IdNames::ALL {
        let api = with(&schema, Vec::new(), ids);
        check(&api);
        let schema = &api.collections()[0].schema;
        let Some(OutputField::Member(field)) = schema.output_field("rowId", ids) else {
            panic!("{ids:?}: the field has gone");
        };
        assert_eq!(&*field.json_name, "rowId");
    }
    let api = with(&schema, Vec::new(), IdNames::Relay);
    let own = api.collections()[0]
        .schema
        .output_field("rowId_", IdNames::Relay);
    assert_eq!(own, Some(OutputField::System(SystemField::Id)));

    let relations = vec![
        relation("other", "rowId", "back"),
        relation("rowId", "rowId_", "rowId"),
    ];
    let schema = &collection.schema;
    let mut fields = schema.object.fields.clone();
    fields[0].name = "row".to_owned();
    let mut schema = (**schema).clone();
    schema.object = Arc::new(ObjectType::new(schema.object.name.clone(), fields));
    let api = with(&schema, relations, IdNames::Relay);
    let movie = validated(api.sdl());
    let movie = movie.get_object("Movie").expect("the collection's");
    for (name, way) in [("rowId_", Way::One), ("rowId__", Way::One)] {
        assert!(movie.fields.contains_key(name), "{name}");
        let link = api.link("Movie", name).expect(name);
        assert_eq!(link.way, way, "{name}");
    }
    let own = api.collections()[0]
        .schema
        .output_field("rowId", IdNames::Relay);
    assert_eq!(own, Some(OutputField::System(SystemField::Id)));
    assert!(api.link("Movie", "rowId").is_none());
}

fn keys(schema: &apollo_compiler::Schema, input: &str) -> Vec<String> {
    let input = schema
        .get_input_object(input)
        .unwrap_or_else(|| panic!("no input {input}"));
    input.fields.keys().map(|name| name.to_string()).collect()
}

fn check_inputs(schema: &apollo_compiler::Schema, collection: &CollectionSchema, ids: IdNames) {
    let names = &collection.names;
    for key in keys(schema, &names.filter) {
        assert!(
            collection.filter_key(&key, ids).is_some(),
            "{}.{key}",
            names.filter
        );
    }
    for key in keys(schema, &names.order_by) {
        assert!(
            collection.order_target(&key, ids).is_some(),
            "{}.{key}",
            names.order_by
        );
    }
    for key in keys(schema, &names.input) {
        assert!(
            collection.input_key(&key, ids).is_some(),
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
    for name in ["_json", ids.global()] {
        assert!(collection.filter_key(name, ids).is_none(), "{name}");
    }
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

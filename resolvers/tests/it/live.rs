//! What live queries need: dependencies, comparable results, pinned schemas.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use thalweg_model::ErrorCode;
use thalweg_resolvers::{Evaluation, Extensions, Operation, Request};

use crate::fixture::{Database, films};

fn evaluate(database: &Database, operation: &Operation) -> Evaluation {
    let snapshot = database.resolvers.engine().snapshot().unwrap();
    database.resolvers.run(operation, &snapshot)
}

/// Whether a mutation touches what a query depends on. A changed result must.
fn touches(query: &str, mutation: &str) -> bool {
    let database = films();
    let operation = database.resolvers.prepare(&Request::text(query)).unwrap();
    let before = evaluate(&database, &operation);
    database.data(mutation);
    let after = evaluate(&database, &operation);
    let engine = database.resolvers.engine();
    let commits = engine.recent_commits(before.commit_ts()).unwrap();
    let touched = commits
        .iter()
        .any(|commit| before.dependencies().touched_by(commit));
    assert!(
        touched || before.result() == after.result(),
        "{query} missed {mutation}"
    );
    touched
}

#[test]
fn only_what_can_matter_touches() {
    let update = "mutation { updateFilm(id: \"a\", patch: {year: 2001}) { id } }";
    let retitle = "mutation { updateFilm(id: \"a\", patch: {title: \"x\"}) { id } }";
    let top = "{ films(orderBy: [{rating: DESC}], first: 2) { nodes { id year } } }";
    assert!(touches(top, update));
    assert!(!touches(top, retitle));
    assert!(!touches(
        top,
        "mutation { updateFilm(id: \"d\", patch: {year: 1}) { id } }"
    ));
    assert!(touches(
        top,
        "mutation { updateFilm(id: \"d\", patch: {rating: 9.5}) { id } }"
    ));
    assert!(!touches("{ film(id: \"a\") { title } }", update));
    assert!(touches("{ film(id: \"a\") { _json } }", update));
    assert!(touches("{ film(id: \"a\") { _version } }", update));
    assert!(touches(
        "{ film(id: \"new\") { id } }",
        "mutation { createFilm(input: {id: \"new\"}) { id } }"
    ));
    assert!(!touches(
        "{ film(id: \"new\") { id } }",
        "mutation { createFilm(input: {id: \"old\"}) { id } }"
    ));
    assert!(touches(
        "{ film(id: \"a\") { studio { city { zip } } } }",
        "mutation { updateFilm(id: \"a\", patch: {studio: null}) { id } }"
    ));
    assert!(touches(
        "{ films { totalCount } }",
        "mutation { deleteFilm(id: \"b\") { id } }"
    ));
    assert!(!touches("{ films { totalCount } }", update));
    assert!(!touches(
        "{ films(filter: {year: {lt: 1970}}) { nodes { id } totalCount } }",
        update
    ));
    assert!(touches(
        "{ collections { name count } }",
        "mutation { deleteFilm(id: \"b\") { id } }"
    ));
    assert!(!touches(
        "{ collections { name } }",
        "mutation { deleteFilm(id: \"b\") { id } }"
    ));
    assert!(touches(
        "{ collections { name } }",
        "mutation { createCollection(name: \"x\") { name } }"
    ));
    assert!(touches(
        "{ node(nodeId: \"MTY6YQ\") { ... on Film { year } } }",
        update
    ));
}

#[test]
fn a_changed_result_implies_a_touched_dependency() {
    let queries = prop::sample::select(vec![
        "{ films(orderBy: [{rating: DESC}], first: 2) { nodes { id title } pageInfo { hasNextPage } } }",
        "{ films(orderBy: [{year: ASC}], last: 2) { nodes { id year } pageInfo { hasPreviousPage } } }",
        "{ films(first: 2) { edges { cursor node { title } } totalCount } }",
        "{ films(first: 1, offset: 2, orderBy: [{title: DESC}]) { nodes { id } } }",
        "{ films(filter: {year: {gt: 1982}}) { totalCount pageInfo { endCursor } } }",
        "{ films(filter: {tags: {some: {eq: \"space\"}}}, first: 1) { nodes { id tags } } }",
        "{ films(filter: {studio: {name: {isNull: true}}}) { nodes { id studio { city { zip } } } } }",
        "{ films(deleted: INCLUDE) { nodes { id _deletedAt } totalCount } }",
        "{ film(id: \"b\") { title studio { name } } }",
        "{ film(id: \"b\", deleted: ONLY) { id } n: node(nodeId: \"MTY6Yg\") { ... on Film { _version } } }",
        "{ collections { name count } film(id: \"n\") { year } }",
        "{ collections { shape } }",
        "{ filmsAggregate { count sum { year } } }",
        "{ filmsAggregate(filter: {year: {gt: 1982}}) { count } }",
        "{ filmsAggregate { avg { rating } min { title studio { city { zip } } } max { year _updatedAt } } }",
        "{ filmsAggregate(groupBy: [title]) { groupCount groups { key { title } count countDistinct { year } } } }",
        "{ filmsAggregate(groupBy: [studio], having: {max: {year: {gt: 1980}}}, first: 1) { groups { key { studio { name } } } } }",
        "{ filmsAggregate(bucket: [{field: _updatedAt, unit: DAY}], orderBy: [{avg: {rating: DESC}}]) { groups { count } } }",
        "{ filmsAggregate(deleted: ONLY) { countDistinct { tags } } }",
        "{ collections { drift { path documents } } schema { version changes { kind } } }",
    ]);
    let id = prop::sample::select(vec!["a", "b", "c", "d", "n"]);
    let patch = prop::sample::select(vec![
        "{year: 1983}",
        "{title: null}",
        "{title: \"Z\"}",
        "{rating: 8.2}",
        "{studio: null}",
        "{studio: {name: \"New\", city: {zip: \"1\"}}}",
        "{tags: [\"space\"]}",
        "{_set: {studio: {}}}",
        "{}",
    ]);
    let mutation = (id, patch, 0..5_u8).prop_map(|(id, patch, kind)| match kind {
        0 => format!("mutation {{ deleteFilm(id: \"{id}\") {{ id }} }}"),
        1 => format!("mutation {{ upsertFilm(id: \"{id}\", input: {{year: 1983, rating: 8.4}}) {{ id }} }}"),
        2 => format!("mutation {{ updateFilms(filter: {{id: {{gte: \"{id}\"}}}}, patch: {patch}) {{ count }} }}"),
        _ => format!("mutation {{ updateFilm(id: \"{id}\", patch: {patch}) {{ id }} }}"),
    });
    let config = ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest::test_runner::TestRunner::new(config)
        .run(&(queries, mutation), |(query, mutation)| {
            touches(query, &mutation);
            Ok(())
        })
        .unwrap();
}

#[test]
fn results_compare_without_their_timestamps() {
    let database = films();
    let operation = database
        .resolvers
        .prepare(&Request::text("query @live { film(id: \"a\") { title } }"))
        .unwrap();
    assert!(operation.is_live());
    let first = evaluate(&database, &operation);
    database.data("mutation { updateFilm(id: \"b\", patch: {title: \"x\"}) { id } }");
    let second = evaluate(&database, &operation);
    assert_eq!(first.result(), second.result());
    assert_ne!(first.body(), second.body());
    assert_eq!(first.body_at(second.commit_ts()), *second.body());
    let snapshot = database.resolvers.engine().snapshot().unwrap();
    let once = database
        .resolvers
        .run_once(&operation, &snapshot, &Extensions::default());
    let body: serde_json::Value = serde_json::from_slice(once.body()).unwrap();
    assert_eq!(body["extensions"]["thalweg"]["live"], json!(false));
}

#[test]
fn live_can_be_switched_off() {
    let database = films();
    let query = "query ($live: Boolean!) @live(if: $live) { __typename }";
    for live in [true, false] {
        let variables = thalweg_model::Value::parse(json!({ "live": live }).to_string().as_bytes());
        let request = Request {
            variables: Some(variables.unwrap()),
            ..Request::text(query)
        };
        assert_eq!(
            database.resolvers.prepare(&request).unwrap().is_live(),
            live
        );
    }
}

#[test]
fn equal_operations_have_equal_keys() {
    let database = films();
    let key = |query: &str, variables: serde_json::Value| {
        let variables = thalweg_model::Value::parse(variables.to_string().as_bytes()).unwrap();
        let request = Request {
            variables: Some(variables),
            ..Request::text(query)
        };
        database.resolvers.prepare(&request).unwrap().key().clone()
    };
    let query =
        "query ($n: Int = 3, $f: FilmFilter) { films(first: $n, filter: $f) { totalCount } }";
    let filter = json!({ "year": { "in": 1 }, "title": { "eq": "x" } });
    let same = json!({ "title": { "eq": "x" }, "year": { "in": [1] } });
    assert_eq!(
        key(query, json!({ "f": filter })),
        key(query, json!({ "f": same, "n": 3 }))
    );
    assert_ne!(key(query, json!({ "n": 3 })), key(query, json!({ "n": 4 })));
    assert_ne!(key(query, json!({ "f": null })), key(query, json!({})));
}

#[test]
fn operations_move_on_with_the_schema_or_end() {
    let database = films();
    let resolvers = &database.resolvers;
    let typed = resolvers
        .prepare(&Request::text("{ film(id: \"d\") { year } }"))
        .unwrap();
    let filtered = resolvers
        .prepare(&Request::text(
            "{ films(filter: {year: {gt: 1}}) { totalCount } }",
        ))
        .unwrap();
    let nested = resolvers
        .prepare(&Request::text("{ film(id: \"a\") { studio { name } } }"))
        .unwrap();
    let same = resolvers
        .revalidate(&typed, &resolvers.engine().catalog())
        .unwrap();
    assert_eq!(same.schema_version(), typed.schema_version());

    database.insert(
        "films",
        &[json!({ "id": "z", "year": "unknown", "studio": "none", "fresh": 1 })],
    );
    let catalog: Arc<_> = resolvers.engine().catalog();
    let moved = resolvers.revalidate(&typed, &catalog).unwrap();
    assert_eq!(moved.schema_version(), catalog.version);
    assert!(resolvers.revalidate(&filtered, &catalog).is_ok());
    let ended = resolvers.revalidate(&nested, &catalog).unwrap_err();
    assert_eq!(ended.code(), ErrorCode::SchemaChanged);
}

#[test]
fn a_value_that_no_longer_fits_its_type_is_null_and_said_so() {
    let database = films();
    let query = "{ films(filter: {id: {eq: \"z\"}}) { nodes { id year studio { name } tags rating _json } } }";
    let pinned = database.resolvers.prepare(&Request::text(query)).unwrap();
    database.insert(
        "films",
        &[json!({ "id": "z", "year": 3000000000_u64, "studio": "none", "tags": ["t", 1], "rating": true })],
    );
    let response = evaluate(&database, &pinned);
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    let node = &body["data"]["films"]["nodes"][0];
    assert_eq!(node["year"], json!(null));
    assert_eq!(node["studio"], json!(null));
    assert_eq!(node["tags"], json!(["t", null]));
    assert_eq!(node["_json"]["year"], json!(3000000000_u64));
    let errors: Vec<_> = body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["extensions"]["code"].clone(), error["path"].clone()))
        .collect();
    let drift = |path: serde_json::Value| (json!("TYPE_DRIFT"), path);
    assert_eq!(
        errors,
        [
            drift(json!(["films", "nodes", 0, "year"])),
            drift(json!(["films", "nodes", 0, "studio"])),
            drift(json!(["films", "nodes", 0, "tags", 1])),
            drift(json!(["films", "nodes", 0, "rating"])),
        ]
    );
    assert_eq!(body["errors"][0]["locations"][0]["line"], 1);
}

#[test]
fn introspection_depends_on_the_catalog() {
    let mutation = "mutation { updateFilm(id: \"a\", patch: {_set: {brandNew: 1}}) { id } }";
    let description = "__type(name: \"Film\") { fields { name } }";
    assert!(touches(&format!("{{ {description} }}"), mutation));
    assert!(touches(
        &format!("{{ {description} film(id: \"b\") {{ title }} }}"),
        mutation
    ));
    assert!(!touches("{ __typename }", mutation));
}

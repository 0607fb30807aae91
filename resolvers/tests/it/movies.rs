//! The example data, messy as it is, and what clients ask of its schema.

use std::path::Path;

use serde_json::Value as Json;

use crate::fixture::Database;

/// `None`, and a line that says so, if the data has not been fetched; with
/// `THALWEG_REQUIRE_TEST_DATA=1` that is a failure.
fn movies() -> Option<Database> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-data/movies.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        let message = format!("{} is missing: run `cargo xtask fetch`", file.display());
        let required = std::env::var_os("THALWEG_REQUIRE_TEST_DATA").is_some_and(|it| it == "1");
        assert!(!required, "{message}");
        eprintln!("skipped: {message}");
        return None;
    };
    let documents: Vec<Json> = serde_json::from_str(&text).unwrap();
    let database = Database::empty();
    database.insert("movies", &documents);
    Some(database)
}

#[test]
fn the_example_data_is_served_whole() {
    let Some(database) = movies() else {
        return;
    };
    let data = database.data(
        "{ movies(filter: {IMDB_Rating: {gte: 8.5}}, orderBy: [{IMDB_Rating: DESC}], first: 5) {
             nodes { id Title Director IMDB_Rating } totalCount }
           all: movies { totalCount }
           numbers: movies(filter: {Title: {gt: 0}}) { nodes { Title } } }",
    );
    assert_eq!(data["all"]["totalCount"], 3201);
    let nodes = data["movies"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 5);
    assert_eq!(nodes[0]["Title"], "The Godfather");
    let ratings: Vec<f64> = nodes
        .iter()
        .map(|node| node["IMDB_Rating"].as_f64().unwrap())
        .collect();
    assert!(ratings.is_sorted_by(|a, b| a >= b), "{ratings:?}");
    let numbers = data["numbers"]["nodes"].as_array().unwrap();
    assert!(!numbers.is_empty() && numbers.iter().all(|node| node["Title"].is_number()));
}

#[test]
fn an_empty_database_has_a_valid_schema() {
    let data = Database::empty()
        .data("{ collections { name } __schema { queryType { name } } schema { version } }");
    assert_eq!(data["__schema"]["queryType"]["name"], "Query");
}

/// What GraphiQL and code generators send.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description queryType { name } mutationType { name }
    subscriptionType { name } types { ...FullType } directives { name description isRepeatable locations
    args(includeDeprecated: true) { ...InputValue } } } }
  fragment FullType on __Type { kind name description specifiedByURL
    fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue }
      type { ...TypeRef } isDeprecated deprecationReason }
    inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
  fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
  fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }";

#[test]
fn the_full_introspection_query_describes_the_schema() {
    let Some(database) = movies() else {
        return;
    };
    let data = database.data(INTROSPECTION);
    let types = data["__schema"]["types"].as_array().unwrap();
    let find = |name: &str| {
        types
            .iter()
            .find(|ty| ty["name"] == name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    let movie = find("Movie");
    let title = movie["fields"]
        .as_array()
        .unwrap()
        .iter()
        .find(|field| field["name"] == "Title")
        .unwrap();
    assert_eq!(title["type"]["name"], "JSON");
    assert_eq!(find("Node")["possibleTypes"][0]["name"], "Movie");
    assert_eq!(data["__schema"]["subscriptionType"]["name"], "Subscription");
    let directives = data["__schema"]["directives"].as_array().unwrap();
    assert!(
        directives
            .iter()
            .any(|directive| directive["name"] == "live")
    );
    // Again, from the cache.
    assert_eq!(database.data(INTROSPECTION), data);
}

#[test]
fn a_new_field_is_served_at_once() {
    let Some(database) = movies() else {
        return;
    };
    let before = database.resolvers.sdl().unwrap();
    database.data("mutation { insertDocuments(collection: \"movies\", documents: [{id: \"new\", brandNew: true}]) }");
    assert_ne!(before, database.resolvers.sdl().unwrap());
    let data = database.data("{ movie(id: \"new\") { brandNew } }");
    assert_eq!(data["movie"]["brandNew"], true);
}

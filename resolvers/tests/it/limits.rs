//! Operations that ask for too much are refused, quickly and precisely.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use thalweg_model::ErrorCode;
use thalweg_resolvers::{Limits, Request};

use crate::fixture::{Database, films, first_error};

fn refused(database: &Database, query: String, expect: &str) {
    let start = Instant::now();
    let failure = database.try_run(&Request::text(query)).unwrap_err();
    // Generous: tests are built without optimisation and run beside others.
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "took {:?}",
        start.elapsed()
    );
    assert_eq!(failure.code(), ErrorCode::LimitExceeded, "{failure}");
    assert!(failure.to_string().contains(expect), "{failure}");
}

#[test]
fn a_text_of_five_megabytes() {
    refused(
        &films(),
        format!("{{ films {{ totalCount }} }} #{}", "x".repeat(5 << 20)),
        "1048576",
    );
}

#[test]
fn a_million_tokens() {
    refused(
        &films(),
        format!("{{ {} }}", "a ".repeat(500_000)),
        "100000 tokens",
    );
}

#[test]
fn ten_thousand_aliases() {
    let aliases: String = (0..10_000).map(|n| format!("a{n}:__typename ")).collect();
    refused(&films(), format!("{{ {aliases} }}"), "at most");
    let aliases: String = (0..501).map(|n| format!("a{n}:id ")).collect();
    refused(
        &films(),
        format!("{{ film(id: 1) {{ {aliases} }} }}"),
        "501 aliases; at most 500",
    );
}

#[test]
fn five_hundred_levels() {
    let database = films();
    for levels in [26, 150, 500, 20_000] {
        let query = format!("{}x{}", "{ a ".repeat(levels), "}".repeat(levels));
        refused(&database, query, "25");
    }
    let values = format!(
        "{{ films(filter: {}{}) {{ totalCount }} }}",
        "{not:".repeat(500),
        "}".repeat(500)
    );
    refused(&database, values, "deep");
}

#[test]
fn fragments_that_double() {
    let mut query = "{ film(id: 1) { ...F0 } }".to_owned();
    for n in 0..60 {
        query.push_str(&format!(
            " fragment F{n} on Film {{ a{n}: id ...F{0} b{n}: id ...F{0} }}",
            n + 1
        ));
    }
    query.push_str(" fragment F60 on Film { id }");
    refused(&films(), query, "at most");
}

#[test]
fn fragments_in_a_circle_are_invalid_rather_than_endless() {
    let query = "{ film(id: 1) { ...A } } fragment A on Film { ...B } fragment B on Film { ...A }";
    let failure = films().try_run(&Request::text(query)).unwrap_err();
    assert_eq!(failure.code(), ErrorCode::ValidationFailed, "{failure}");
}

#[test]
fn deep_introspection() {
    let query = "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }";
    refused(&films(), query.to_owned(), "3 deep");
}

#[test]
fn a_response_that_is_too_long() {
    let database = Database::with_limits(Limits {
        response_bytes_max: 2_000,
        ..Limits::default()
    });
    let documents: Vec<_> = (0..100).map(|n| serde_json::json!({ "n": n })).collect();
    database.insert("things", &documents);
    let (code, message, _) = database.error("{ things { nodes { nodeId _json } } }");
    assert_eq!(code, "LIMIT_EXCEEDED", "{message}");
    assert!(message.contains("2000 bytes"), "{message}");
    database.data("{ things(first: 3) { nodes { n } } }");
}

#[test]
fn errors_are_capped() {
    let failure = films()
        .try_run(&Request::text(format!(
            "{{ {} }}",
            (0..120).map(|n| format!("nope{n} ")).collect::<String>()
        )))
        .unwrap_err();
    assert_eq!(failure.errors().len(), 51);
    assert!(failure.to_string().contains("70 more errors"), "{failure}");
}

#[test]
fn texts_that_are_slow_to_validate_are_refused() {
    let database = films();
    let operations: String = (0..4_000)
        .map(|n| format!("query A{n} {{ ...F }} "))
        .collect();
    let fields = "film(id: 1) { id } ".repeat(90);
    refused(
        &database,
        format!("{operations} fragment F on Query {{ {fields} }}"),
        "fields",
    );
    let variables: String = (0..8_000).map(|n| format!("$v{n}: Int ")).collect();
    refused(
        &database,
        format!("query ({variables}) {{ __typename }}"),
        "variables",
    );
}

#[test]
fn deep_values_are_allowed_as_far_as_documents_nest() {
    let database = films();
    let nested = |levels: usize, open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
    };
    let filter = nested(100, "{not: ", "{year: {gt: 1}}", "}");
    let data = database.data(&format!("{{ films(filter: {filter}) {{ totalCount }} }}"));
    assert_eq!(data["films"]["totalCount"], 4);
    let list = nested(100, "[", "1", "]");
    database.data(&format!(
        "mutation {{ insertDocuments(collection: \"films\", documents: [{{deep: {list}}}]) }}"
    ));
    let variable = nested(120, "{\"not\": ", "{}", "}");
    let variables = serde_json::from_str(&format!("{{\"f\": {variable}}}")).unwrap();
    let query = "query ($f: FilmFilter) { films(filter: $f) { totalCount } }";
    assert_eq!(
        database.send_with(query, &variables)["data"]["films"]["totalCount"],
        5
    );
}

#[test]
fn variables_that_are_repeated() {
    let database = films();
    let long = "x".repeat(100_000);
    let list = "$d ".repeat(3_000);
    let ids: Vec<String> = (0..20_000).map(|n| format!("id{n}")).collect();
    let cases = [
        (
            format!(
                "query ($d: JSON) {{ films(filter: {{mixed: {{eq: [{list}]}}}}) {{ totalCount }} }}"
            ),
            json!({ "d": long }),
        ),
        (
            format!(
                "query ($d: FilmFilter!) {{ films(filter: {{and: [{list}]}}) {{ totalCount }} }}"
            ),
            json!({ "d": {"title": {"in": ids}} }),
        ),
        (
            format!("mutation ($d: FilmInput!) {{ createFilms(inputs: [{list}]) {{ id }} }}"),
            json!({ "d": {"title": long} }),
        ),
        (
            format!(
                "query ($d: String!) {{ {} }}",
                (0..190)
                    .map(|n| format!(
                        "a{n}: films(filter: {{title: {{eq: $d}}}}) {{ totalCount }} "
                    ))
                    .collect::<String>()
            ),
            json!({ "d": long }),
        ),
    ];
    for (query, variables) in cases {
        let start = Instant::now();
        let response = database.send_with(&query, &variables);
        assert!(start.elapsed() < Duration::from_secs(5));
        let (code, message, _) = first_error(&response);
        assert_eq!(code, "LIMIT_EXCEEDED", "{message}");
        assert!(
            message.contains("$d") && message.contains("16777216"),
            "{message}"
        );
        assert_eq!(response["errors"].as_array().map(Vec::len), Some(1));
    }
    // A large value is free where it is used once, and small ones may be used often.
    let query = "query ($d: String!) { films(filter: {title: {eq: $d}}) { totalCount } }";
    let response = database.send_with(query, &json!({ "d": "x".repeat(20 << 20) }));
    assert_eq!(response["data"]["films"]["totalCount"], 0);
    let query = format!(
        "query ($d: Int!) {{ films(filter: {{year: {{in: [{list}]}}}}) {{ totalCount }} }}"
    );
    let response = database.send_with(&query, &json!({ "d": 1979 }));
    assert_eq!(response["data"]["films"]["totalCount"], 1);
}

fn small_responses() -> Database {
    let database = Database::with_limits(Limits {
        response_bytes_max: 100_000,
        ..Limits::default()
    });
    let list: Vec<Json> = (0..500)
        .map(|n| json!({ "k": "x".repeat(50), "n": n }))
        .collect();
    database.insert(
        "things",
        &[json!({ "id": "1", "t": "x".repeat(10_000), "list": list })],
    );
    database
}

/// The response is refused as a whole, and was not much longer than the bound at any time.
fn overflows(database: &Database, query: &str) {
    let response = database.send(query);
    let (code, message, _) = first_error(&response);
    assert_eq!(code, "LIMIT_EXCEEDED", "{query}: {message}");
    assert_eq!(response["data"], Json::Null, "{query}");
    assert_eq!(
        response["errors"].as_array().map(Vec::len),
        Some(1),
        "{query}"
    );
}

#[test]
fn every_part_of_a_response_is_bounded() {
    let database = small_responses();
    let repeat = |count: usize, field: &str| -> String {
        (0..count).map(|n| format!("a{n}: {field} ")).collect()
    };
    overflows(
        &database,
        &format!("{{ thing(id: 1) {{ {} }} }}", repeat(400, "_json")),
    );
    overflows(
        &database,
        &format!("{{ {} }}", repeat(150, "thing(id: 1) { t }")),
    );
    overflows(
        &database,
        &format!("{{ {} }}", repeat(20, "schema { sdl }")),
    );
    overflows(
        &database,
        &format!("{{ thing(id: 1) {{ {} }} }}", repeat(50, "list { k n }")),
    );
    let many: String = repeat(9, "k");
    overflows(
        &database,
        &format!("{{ thing(id: 1) {{ list {{ {many} }} }} }}"),
    );
    database.data("{ thing(id: 1) { _json list { k } } }");
}

#[test]
fn a_committed_mutation_says_so_when_it_is_too_long_to_show() {
    let database = small_responses();
    let long: String = (0..20).map(|n| format!("a{n}: _json ")).collect();
    let response = database.send(&format!(
        "mutation {{
            a: updateThing(id: 1, patch: {{t: \"y\"}}) {{ _version }}
            b: updateThing(id: 1, patch: {{_set: {{u: 1}}}}) {{ {long} }}
            c: updateThing(id: 1, patch: {{_set: {{u: 2}}}}) {{ t }}
        }}"
    ));
    let (code, message, path) = first_error(&response);
    assert_eq!(code, "LIMIT_EXCEEDED");
    assert!(message.contains("the mutation is committed"), "{message}");
    assert_eq!(path[0], "b");
    assert_eq!(response["data"]["b"], Json::Null);
    assert_eq!(response["data"]["c"]["t"], "y");
    assert!(response["extensions"]["thalweg"]["commitTs"].is_string());

    let response = database.send(&format!(
        "mutation {{ createThing(id: 2, input: {{t: \"{}\"}}) {{ {long} }} }}",
        "z".repeat(10_000)
    ));
    assert_eq!(response["data"], Json::Null);
    assert!(
        first_error(&response)
            .1
            .contains("the mutation is committed")
    );
    assert!(response["extensions"]["thalweg"]["commitTs"].is_string());
    let data = database.data("{ things { totalCount } }");
    assert_eq!(data["things"]["totalCount"], 2);
}

#[test]
fn introspection_that_is_repeated() {
    let database = films();
    let roots: String = (0..5)
        .map(|n| format!("a{n}: __schema {{ ...F }} "))
        .collect();
    refused(
        &database,
        format!("{{ {roots} }} fragment F on __Schema {{ types {{ name }} }}"),
        "5 introspection fields; at most 4",
    );
    let aliases: String = (0..9).map(|n| format!("a{n}: name ")).collect();
    refused(
        &database,
        format!("{{ ...R }} fragment R on Query {{ __schema {{ types {{ {aliases} }} }} }}"),
        "9 aliases below introspection fields; at most 8",
    );
    let small = Database::with_limits(Limits {
        response_bytes_max: 200,
        ..Limits::default()
    });
    overflows(&small, "{ __schema { types { name } } }");
}

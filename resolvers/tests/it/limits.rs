//! Operations that ask for too much are refused, quickly and precisely.

use std::time::{Duration, Instant};

use thalweg_model::ErrorCode;
use thalweg_resolvers::{Limits, Request};

use crate::fixture::{Database, films};

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
    for levels in [51, 150, 500, 20_000] {
        let query = format!("{}x{}", "{ a ".repeat(levels), "}".repeat(levels));
        refused(&database, query, "50");
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

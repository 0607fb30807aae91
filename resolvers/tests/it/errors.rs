//! Bad input of every kind, and what the client is told.

use proptest::prelude::*;
use serde_json::json;
use thalweg_model::ErrorCode;
use thalweg_resolvers::Request;

use crate::fixture::{Database, films, first_error};

fn check(database: &Database, query: &str, code: &str, message: &str) {
    let (found, text, _) = database.error(query);
    assert_eq!(found, code, "{query}: {text}");
    assert!(text.contains(message), "{query}: {text}");
}

#[test]
fn refusals_before_anything_runs() {
    let database = films();
    let cases = [
        ("", "PARSE_FAILED", "empty"),
        ("{ films { ", "PARSE_FAILED", "syntax error"),
        ("{ nothing }", "VALIDATION_FAILED", "nothing"),
        (
            "{ films }",
            "VALIDATION_FAILED",
            "the field `films` holds objects",
        ),
        (
            "{ x: films(first: 1) }",
            "VALIDATION_FAILED",
            "the field `films` holds objects",
        ),
        ("{ film(id: \"a\") { id(x: 1) } }", "VALIDATION_FAILED", "x"),
        (
            "query ($a: Int) { film(id: \"a\") { id } }",
            "VALIDATION_FAILED",
            "$a",
        ),
        (
            "{ films(first: \"1\") { totalCount } }",
            "VALIDATION_FAILED",
            "Int",
        ),
        (
            "{ films(filter: {added: {gt: \"yesterday\"}}) { totalCount } }",
            "VALIDATION_FAILED",
            "RFC 3339",
        ),
        (
            "{ films(filter: {released: {gt: \"1979-13-01\"}}) { totalCount } }",
            "VALIDATION_FAILED",
            "a date",
        ),
        (
            "{ films(filter: {budget: {gt: 1.5}}) { totalCount } }",
            "VALIDATION_FAILED",
            "BigInt",
        ),
        (
            "{ films(filter: {year: {gt: 1, gt: 2}}) { totalCount } }",
            "VALIDATION_FAILED",
            "twice",
        ),
        (
            "{ films(filter: {mixed: {eq: {a: $v}}}) { totalCount } }",
            "VALIDATION_FAILED",
            "$v",
        ),
        (
            "{ films(filter: {mixed: {eq: ONE}}) { totalCount } }",
            "VALIDATION_FAILED",
            "quote it",
        ),
        (
            "query A { __typename } query B { __typename }",
            "BAD_REQUEST",
            "A, B",
        ),
        (
            "mutation @live { deleteFilm(id: \"a\") { id } }",
            "VALIDATION_FAILED",
            "live",
        ),
        (
            "subscription { films { totalCount } film(id: \"a\") { id } }",
            "VALIDATION_FAILED",
            "one root field",
        ),
    ];
    for (query, code, message) in cases {
        check(&database, query, code, message);
        let response = database.send(query);
        assert!(response.get("data").is_none(), "{query}");
    }
}

#[test]
fn all_errors_are_told_with_their_places() {
    let response = films().send("{\n  films { nodes { nope } }\n  nada\n}");
    let errors = response["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{response:#}");
    assert_eq!(errors[0]["locations"], json!([{ "line": 2, "column": 19 }]));
    assert_eq!(errors[1]["locations"], json!([{ "line": 3, "column": 3 }]));
}

#[test]
fn arguments_that_cannot_be_meant() {
    let database = films();
    let cases = [
        ("films(first: -1)", "BAD_REQUEST", "0 or more"),
        (
            "films(first: 1, last: 1)",
            "BAD_REQUEST",
            "cannot be combined",
        ),
        ("films(last: 1, offset: 1)", "BAD_REQUEST", "offset"),
        ("films(first: 1001)", "LIMIT_EXCEEDED", "1000"),
        ("films(offset: 100001)", "LIMIT_EXCEEDED", "100000"),
        ("films(after: \"x\")", "BAD_REQUEST", "not a cursor"),
        (
            "films(after: \"AQAAAAAA\")",
            "BAD_REQUEST",
            "another ordering",
        ),
        ("films(orderBy: [{}])", "BAD_REQUEST", "exactly one key"),
        (
            "films(orderBy: [{year: ASC, title: ASC}])",
            "BAD_REQUEST",
            "this one has 2",
        ),
        (
            "films(orderBy: [{year: null}])",
            "BAD_REQUEST",
            "ASC or DESC",
        ),
        ("films(filter: {year: {gt: null}})", "BAD_REQUEST", "isNull"),
        ("films(filter: {year: null})", "BAD_REQUEST", "isNull"),
    ];
    for (field, code, message) in cases {
        let query = format!("{{ films: {field} {{ totalCount }} __typename }}");
        check(&database, &query, code, message);
        let response = database.send(&query);
        assert!(response["data"].is_null(), "{response:#}");
        assert_eq!(response["errors"][0]["path"], json!(["films"]));
        assert_eq!(
            response["errors"][0]["locations"],
            json!([{ "line": 1, "column": 3 }])
        );
    }
}

#[test]
fn variables_that_do_not_fit() {
    let database = films();
    let query = "query ($n: Int!, $f: FilmFilter, $d: DateTime, $o: OrderDirection) {
        films(first: $n, filter: $f, orderBy: [{year: $o}]) { totalCount }
        b: films(filter: {added: {gt: $d}}) { totalCount } }";
    let cases = [
        (json!({}), "$n of type Int! is required"),
        (json!({ "n": null }), "$n is null"),
        (
            json!({ "n": "1" }),
            "$n is \"1\", but Int takes an integer of 32 bits",
        ),
        (json!({ "n": 2147483648_u64 }), "integer of 32 bits"),
        (json!({ "n": 1, "f": { "yeer": {} } }), "\"yeer\""),
        (
            json!({ "n": 1, "f": { "year": { "gt": "x" } } }),
            "$f.year.gt is \"x\"",
        ),
        (
            json!({ "n": 1, "f": { "and": [{ "year": { "in": [1, "x"] } }] } }),
            "$f.and[0].year.in[1]",
        ),
        (json!({ "n": 1, "d": "soon" }), "RFC 3339"),
        (json!({ "n": 1, "o": "UP" }), "ASC, DESC"),
        (json!({ "n": 1, "f": [1] }), "takes an object"),
    ];
    for (variables, message) in cases {
        let response = database.send_with(query, &variables);
        let (code, text, _) = first_error(&response);
        assert_eq!(code, "BAD_REQUEST", "{variables}: {text}");
        assert!(text.contains(message), "{variables}: {text}");
        assert!(response.get("data").is_none(), "{response:#}");
    }
    let both = database.send_with(query, &json!({ "n": "1", "d": 1 }));
    assert_eq!(both["errors"].as_array().unwrap().len(), 2);
}

#[test]
fn nullable_variables_in_nested_places_are_checked() {
    let database = films();
    let query = "query ($x: [Int!]) { films(filter: {year: {eq: $x}}) { totalCount } }";
    let (code, text, _) = first_error(&database.send_with(query, &json!({ "x": [1] })));
    assert_eq!(code, "VALIDATION_FAILED", "{text}");
    let query = "query ($f: FilmFilter) { films(filter: {and: [$f]}) { totalCount } }";
    let (code, text, _) = first_error(&database.send_with(query, &json!({ "f": {} })));
    assert_eq!(code, "VALIDATION_FAILED", "{text}");
    // A default makes it valid, and does not keep null from being sent.
    let query = "query ($f: FilmFilter = {}) { films(filter: {and: [$f]}) { totalCount } }";
    let (code, text, _) = first_error(&database.send_with(query, &json!({ "f": null })));
    assert_eq!(code, "BAD_REQUEST", "{text}");
}

#[test]
fn requests_without_text() {
    let database = films();
    let failure = database.try_run(&Request::default()).unwrap_err();
    assert_eq!(failure.code(), ErrorCode::BadRequest);
    let extensions = br#"{"persistedQuery": {"version": 1, "sha256Hash": "x"}}"#;
    let persisted = Request {
        extensions: Request::object_from_json("extensions", extensions).unwrap(),
        ..Request::default()
    };
    let failure = database.try_run(&persisted).unwrap_err();
    assert_eq!(failure.code(), ErrorCode::PersistedQueryNotFound);
    let named = Request {
        operation_name: Some("C".into()),
        ..Request::text("query A { __typename }")
    };
    let failure = database.try_run(&named).unwrap_err();
    assert!(failure.to_string().contains("which has A"), "{failure}");
}

#[test]
fn no_request_makes_it_panic() {
    let database = films();
    let tokens = prop::sample::select(vec![
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ":",
        "!",
        "$v",
        "$w",
        "...",
        "...F",
        "on Film",
        "@skip(if: $v)",
        "@include(if: true)",
        "@live",
        "query",
        "mutation",
        "subscription",
        "fragment F",
        "films",
        "film",
        "id",
        "title",
        "studio",
        "name",
        "nodes",
        "edges",
        "cursor",
        "filter:",
        "orderBy:",
        "year",
        "eq:",
        "in:",
        "and:",
        "not:",
        "DESC",
        "null",
        "\"x\"",
        "\"\"\"",
        "1",
        "-1",
        "1e999",
        "12345678901234567890",
        "first:",
        "after:",
        "\"AQAAAAAA\"",
        "Boolean",
        "Int",
        "FilmFilter",
        "=",
        "__typename",
        "__schema",
        "types",
        "createFilm",
        "input:",
        "_extra:",
        "updateFilm",
        "patch:",
        "_inc:",
        "#",
        "\u{feff}",
        "é",
        "\\u{1F600}",
        "node",
        "nodeId:",
        ",",
    ]);
    let texts = prop::collection::vec(tokens, 0..40).prop_map(|tokens| tokens.join(" "));
    // Around a valid operation, so that more of them get past the parser.
    let around = (texts.clone(), any::<prop::sample::Index>()).prop_map(|(text, at)| {
        let valid = "query ($v: Boolean = true) { films(filter: {year: {gt: 1}}, first: 2) { nodes { id title } } }";
        let (before, after) = valid.split_at(at.index(valid.len()));
        format!("{before} {text} {after}")
    });
    let variables = prop::sample::select(vec!["{}", "{\"v\":null}", "{\"v\":[{}],\"w\":1e5}"]);
    let config = ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest::test_runner::TestRunner::new(config)
        .run(
            &(prop_oneof![texts, around], variables),
            |(text, variables)| {
                let variables: serde_json::Value = serde_json::from_str(variables).unwrap();
                let response = database.send_with(&text, &variables);
                prop_assert!(response.get("data").is_some() || response.get("errors").is_some());
                Ok(())
            },
        )
        .unwrap();
}

#[test]
fn conditions_of_one_operation_bind_no_other() {
    let database = films();
    let text = "query A($c: Int) { films(first: $c) { totalCount } }
        query B($c: Boolean!) { films { totalCount @skip(if: $c) ...F } }
        query C($c: Boolean) { films(deleted: INCLUDE) { totalCount } film(id: 1, deleted: null) { id } c: film(id: 2) { id @include(if: true) } node(nodeId: \"x\") { nodeId } schema @skip(if: $d) { version } }
        fragment F on FilmConnection { nodes @include(if: $c) { id } }";
    let text = text.replace("query C($c: Boolean)", "query C($d: Boolean = true)");
    let run = |name: &str, variables: &str| {
        database.respond(&Request {
            operation_name: Some(name.to_owned()),
            variables: Some(thalweg_model::Value::parse(variables.as_bytes()).unwrap()),
            ..Request::text(text.clone())
        })
    };
    assert_eq!(run("A", "{\"c\": 1}")["data"]["films"]["totalCount"], 4);
    assert_eq!(run("A", "{}")["data"]["films"]["totalCount"], 4);
    let shown = run("B", "{\"c\": true}");
    assert_eq!(
        shown["data"]["films"]["nodes"].as_array().map(Vec::len),
        Some(4)
    );
    let refused = run("C", "{\"d\": null}");
    assert!(first_error(&refused).1.contains("$d decides"), "{refused}");
}

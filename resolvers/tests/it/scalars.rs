//! Values come back exactly as they went in, whatever way they went in and come out.

use proptest::prelude::*;
use thalweg_model::Value;
use thalweg_resolvers::Request;

use crate::fixture::Database;

/// The response as text: a parser of JSON would make other numbers of the digits.
fn text(database: &Database, query: &str, variables: &str) -> String {
    let variables = Value::parse(variables.as_bytes()).unwrap();
    let request = Request {
        variables: Some(variables),
        ..Request::text(query)
    };
    let body = match database.try_run(&request) {
        Ok(evaluation) => evaluation.body().to_vec(),
        Err(failure) => failure.body().to_vec(),
    };
    String::from_utf8(body).unwrap()
}

/// Puts a value in by every way and looks at it by every way. `shown` is what a typed field shows of it.
fn round_trip(value: &str, scalar: &str, shown: &str) {
    let database = Database::empty();
    let insert = "mutation ($documents: [JSON!]!) { insertDocuments(collection: \"items\", documents: $documents) }";
    let stored = text(
        &database,
        insert,
        &format!("{{\"documents\":[{{\"id\":\"1\",\"v\":{value}}}]}}"),
    );
    assert!(stored.contains(&format!("\"v\":{value}")), "{stored}");
    let check = |what: &str, response: &str| {
        assert!(
            response.contains(&format!("\"v\":{shown}")),
            "{what} of {value}: {response}"
        );
        assert!(
            !response.contains("\"errors\""),
            "{what} of {value}: {response}"
        );
    };
    // As a literal of JSON, of the field's type, in an object of a variable, and as what a typed field has shown.
    let literal = format!(
        "mutation {{ insertDocuments(collection: \"items\", documents: [{{id: \"2\", v: {value}}}]) }}"
    );
    let response = text(&database, &literal, "{}");
    assert!(response.contains(&format!("\"v\":{value}")), "{response}");
    let literal =
        format!("mutation {{ createItem(input: {{id: \"3\", v: {value}}}) {{ v _json }} }}");
    check("a literal", &text(&database, &literal, "{}"));
    let typed = format!(
        "mutation ($v: {scalar}) {{ createItem(input: {{id: \"4\", v: $v}}) {{ v _json }} }}"
    );
    check(
        "a variable",
        &text(&database, &typed, &format!("{{\"v\":{shown}}}")),
    );
    let object = "mutation ($input: ItemInput!) { createItem(input: $input) { v _json } }";
    check(
        "an input",
        &text(
            &database,
            object,
            &format!("{{\"input\":{{\"id\":\"5\",\"v\":{value}}}}}"),
        ),
    );
    let patch = "mutation ($set: JSON) { createItem(input: {id: \"6\"}) { id } updateItem(id: \"6\", patch: {_set: $set}) { v _json } }";
    check(
        "a patch",
        &text(&database, patch, &format!("{{\"set\":{{\"v\":{value}}}}}")),
    );

    // However it was written, it is stored as it was given.
    let all = text(&database, "{ items { nodes { id v _json } } }", "{}");
    assert_eq!(
        all.matches(&format!("\"v\":{shown},\"_json\":{{")).count(),
        6,
        "{all}"
    );
    let raw = all.matches(&format!("\"v\":{value}}}")).count();
    assert_eq!(raw, 6, "{all}");
    // It equals itself, and stands at one place of an order.
    let filter = format!(
        "query ($v: {scalar}) {{ items(filter: {{v: {{eq: $v}}}}) {{ totalCount }} in: items(filter: {{v: {{in: [{value}]}}}}) {{ totalCount }} }}"
    );
    let found = text(&database, &filter, &format!("{{\"v\":{shown}}}"));
    assert_eq!(found.matches("\"totalCount\":6").count(), 2, "{found}");
    let mut after = "null".to_owned();
    for id in 1..=6 {
        let page = "query ($after: String) { items(orderBy: [{v: DESC}], first: 1, after: $after) { nodes { id } pageInfo { endCursor } } }";
        let page = text(&database, page, &format!("{{\"after\":{after}}}"));
        assert!(page.contains(&format!("\"id\":\"{id}\"")), "{id}: {page}");
        let start = page.find("\"endCursor\":").unwrap() + "\"endCursor\":".len();
        after = page[start..start + page[start..].find('}').unwrap()].to_owned();
    }
}

#[test]
fn numbers_keep_their_digits() {
    for (value, scalar, shown) in [
        ("0", "Int", "0"),
        ("-0", "Int", "-0"),
        ("2147483647", "Int", "2147483647"),
        ("2147483648", "BigInt", "2147483648"),
        ("1000000000000001", "BigInt", "1000000000000001"),
        ("9007199254740991", "BigInt", "9007199254740991"),
        ("9007199254740992", "BigInt", "9007199254740992"),
        ("9007199254740993", "BigInt", "\"9007199254740993\""),
        ("-9007199254740993", "BigInt", "\"-9007199254740993\""),
        ("9223372036854775808", "BigInt", "\"9223372036854775808\""),
        (
            "1234567890123456789012345678901234567890",
            "BigInt",
            "\"1234567890123456789012345678901234567890\"",
        ),
        ("1e-7", "Float", "1e-7"),
        ("1E+2", "Float", "1E+2"),
        ("-0.0", "Float", "-0.0"),
        ("0.30000000000000004", "Float", "0.30000000000000004"),
        ("0.1000", "Float", "0.1000"),
        (
            "123456789012345678901234567890.5",
            "Float",
            "123456789012345678901234567890.5",
        ),
        ("1e-400", "Float", "1e-400"),
        ("1.7976931348623157e308", "Float", "1.7976931348623157e308"),
    ] {
        round_trip(value, scalar, shown);
    }
}

#[test]
fn texts_keep_their_characters() {
    let long = format!("\"{}\"", "\u{1f389}x".repeat(20_000));
    for (value, scalar) in [
        ("\"\"", "String"),
        ("\"\u{1f389} \u{0301}e\"", "String"),
        ("\"\\u0000\"", "String"),
        ("\"a\\u0000b\\u001f\"", "String"),
        ("\"\\\"\\\\\\n\\t\\r\\b\\f\"", "String"),
        ("\"\u{2028}\u{feff}\u{fffd}\"", "String"),
        (long.as_str(), "String"),
        ("\"2024-02-29T23:59:60Z\"", "String"),
        ("\"2024-02-29T12:00:00.123456789+05:30\"", "DateTime"),
        ("\"2024-02-29t12:00:00z\"", "DateTime"),
        ("\"2024-02-29\"", "Date"),
        ("true", "Boolean"),
    ] {
        let scalar = match value.contains(":60Z") {
            // A leap second, at a time that had none or had one.
            true => published(value),
            false => scalar.to_owned(),
        };
        round_trip(value, &scalar, value);
    }
}

/// The type that a field of that value has.
fn published(value: &str) -> String {
    let database = Database::empty();
    let insert = "mutation ($documents: [JSON!]!) { insertDocuments(collection: \"items\", documents: $documents) }";
    text(
        &database,
        insert,
        &format!("{{\"documents\":[{{\"id\":\"1\",\"v\":{value}}}]}}"),
    );
    let data = database.data("{ __type(name: \"Item\") { fields { name type { name } } } }");
    let fields = data["__type"]["fields"].as_array().unwrap();
    let field = fields.iter().find(|field| field["name"] == "v").unwrap();
    field["type"]["name"].as_str().unwrap().to_owned()
}

#[test]
fn what_json_cannot_hold_is_refused() {
    let database = Database::empty();
    database.insert(
        "items",
        &[serde_json::json!({ "id": "1", "v": 0.5, "s": "x" })],
    );
    let refused = |query: &str, codes: &[&str]| {
        let (code, message, _) = database.error(query);
        assert!(codes.contains(&code.as_str()), "{query}: {code} {message}");
        message
    };
    let anywhere = &["BAD_REQUEST", "VALIDATION_FAILED", "PARSE_FAILED"];
    let create = |v: &str| format!("mutation {{ createItem(input: {{v: {v}}}) {{ id }} }}");
    refused(&create("1E400"), anywhere);
    refused(&create("-1e999"), anywhere);
    refused(
        "mutation { insertDocuments(collection: \"items\", documents: [{v: 1E400}]) }",
        anywhere,
    );
    refused(
        "{ items(filter: {v: {lt: 1E400}}) { totalCount } }",
        anywhere,
    );
    refused(
        "mutation { createItem(input: {s: \"\\ud800\"}) { id } }",
        anywhere,
    );
    refused(
        "mutation { insertDocuments(collection: \"items\", documents: [{s: \"a\\udc00b\"}]) }",
        anywhere,
    );
    for variables in [
        r#"{"v":1E400}"#,
        r#"{"s":"\ud800"}"#,
        r#"{"s":"\udc00\ud800"}"#,
    ] {
        let failure = Request::object_from_json("variables", variables.as_bytes()).unwrap_err();
        assert!(anywhere.contains(&failure.code().as_str()), "{variables}");
    }
    // A pair of surrogates is one character.
    let pair = database.data("mutation { createItem(input: {s: \"\\ud83c\\udf89\"}) { s } }");
    assert_eq!(pair["createItem"]["s"], "\u{1f389}");
    assert_eq!(
        database.data("{ items { totalCount } }")["items"]["totalCount"],
        2
    );
}

#[test]
fn any_number_and_any_text_round_trip() {
    let digits = prop_oneof![
        "-?(0|[1-9][0-9]{0,30})",
        "-?(0|[1-9][0-9]{0,5})\\.[0-9]{1,20}",
        "-?[1-9]\\.[0-9]{1,4}[eE][+-]?[0-9]{1,2}"
    ];
    let texts = any::<String>();
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest::test_runner::TestRunner::new(config)
        .run(&(digits, texts), |(number, text)| {
            let mut json = Vec::new();
            thalweg_model::write_json_string(&text, &mut json);
            let json = String::from_utf8(json).unwrap();
            round_trip(&json, &published(&json), &json);
            let scalar = published(&number);
            let is_long = scalar == "BigInt"
                && number
                    .parse::<i128>()
                    .is_ok_and(|it| it.unsigned_abs() > 1 << 53);
            let shown = if is_long {
                format!("\"{number}\"")
            } else {
                number.clone()
            };
            round_trip(&number, &scalar, &shown);
            Ok(())
        })
        .unwrap();
}

//! The judgment is graphql-js's, on pairs of schemas that `tests/e2e/schema-diff-cases.mjs` makes with it.

use super::*;

/// What graphql-js calls a change, if it finds it breaking.
fn of_graphql_js(change: &ApiChange) -> String {
    let kind = match change.kind {
        "TYPE_KIND_CHANGED" => "TYPE_CHANGED_KIND",
        "UNION_MEMBER_REMOVED" => "TYPE_REMOVED_FROM_UNION",
        "ENUM_VALUE_REMOVED" => "VALUE_REMOVED_FROM_ENUM",
        "OBJECT_TYPE_INTERFACE_REMOVED" => "IMPLEMENTED_INTERFACE_REMOVED",
        "INPUT_FIELD_REMOVED" => "FIELD_REMOVED",
        "INPUT_FIELD_ADDED" => "REQUIRED_INPUT_FIELD_ADDED",
        "FIELD_ARGUMENT_REMOVED" => "ARG_REMOVED",
        "FIELD_ARGUMENT_ADDED" => "REQUIRED_ARG_ADDED",
        "DIRECTIVE_ARGUMENT_REMOVED" => "DIRECTIVE_ARG_REMOVED",
        "DIRECTIVE_ARGUMENT_ADDED" => "REQUIRED_DIRECTIVE_ARG_ADDED",
        "FIELD_TYPE_CHANGED" | "INPUT_FIELD_TYPE_CHANGED" => {
            return format!("FIELD_CHANGED_KIND {}", change.path);
        }
        "FIELD_ARGUMENT_TYPE_CHANGED" => return format!("ARG_CHANGED_KIND {}", change.path),
        same => same,
    };
    kind.to_owned()
}

#[test]
fn breaking_is_what_graphql_js_finds_breaking() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("graphql_js.json")).expect("JSON");
    let base = file["base"].as_str().expect("a text");
    let cases = file["cases"].as_array().expect("a list");
    assert!(cases.len() > 80);
    for case in cases {
        let text = |side: &str| case[side].as_str().unwrap_or(base);
        let changes = diff_sdl(text("old"), text("new")).expect("both are schemas");
        let breaking = changes.iter().filter(|change| change.breaking);
        let mut found: Vec<String> = breaking.map(of_graphql_js).collect();
        found.sort();
        let expected: Vec<&str> = case["breaking"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(serde_json::Value::as_str)
            .collect();
        assert_eq!(found, expected, "{}", case["name"]);
    }
}

fn check(old: &str, new: &str, expect: &[&str]) {
    let changes = diff_sdl(old, new).expect("both are schemas");
    let found: Vec<String> = changes
        .iter()
        .map(|change| {
            let mark = if change.breaking { "!" } else { "" };
            format!(
                "{}{mark} {}: {}",
                change.kind, change.path, change.description
            )
        })
        .collect();
    assert_eq!(found, expect);
}

#[test]
fn changes_are_told_in_words() {
    let old = "type Query { a: Int b(x: Int = 1): E } enum E { A B } input N { a: Int }";
    check(old, old, &[]);
    check(
        old,
        "type Query { a: String @deprecated(reason: \"gone\") c: Int b(x: Int! = 2, y: Int!): E } \
         enum E { B C } input N { a: Int = 1 b: Int } type T { a: Int }",
        &[
            "FIELD_TYPE_CHANGED! Query.a: field `Query.a` changed from `Int` to `String`",
            "FIELD_DEPRECATION_ADDED Query.a: field `Query.a` is deprecated: gone",
            "FIELD_ARGUMENT_TYPE_CHANGED! Query.b.x: argument `Query.b.x` changed from `Int` to `Int!`",
            "FIELD_ARGUMENT_DEFAULT_CHANGED Query.b.x: the default of argument `Query.b.x` changed from `1` to `2`",
            "FIELD_ARGUMENT_ADDED! Query.b.y: required argument `Query.b.y` was added",
            "FIELD_ADDED Query.c: field `Query.c` was added",
            "ENUM_VALUE_REMOVED! E.A: enum value `E.A` was removed",
            "ENUM_VALUE_ADDED E.C: enum value `E.C` was added",
            "INPUT_FIELD_DEFAULT_VALUE_CHANGED N.a: the default of input field `N.a` changed from none to `1`",
            "INPUT_FIELD_ADDED N.b: input field `N.b` was added",
            "TYPE_ADDED T: type `T` was added",
        ],
    );
}

#[test]
fn a_text_that_is_no_schema_is_refused_with_its_place() {
    let (which, refused) =
        diff_sdl("type Query { a: Int }", "type Query { a: Nothing }").unwrap_err();
    assert_eq!(which, 1);
    assert!(refused.to_string().starts_with("1:17: "), "{refused}");
}

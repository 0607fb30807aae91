//! Texts that are valid, and texts that are not, where the validator underneath would say otherwise.

use apollo_compiler::Schema;
use apollo_compiler::validation::Valid;
use thalweg_model::ErrorCode;

use super::parse;
use crate::limits::Limits;

fn schema() -> Valid<Schema> {
    let sdl = "
        directive @stream(if: Boolean! = true, label: String, initialCount: Int = 0) on FIELD
        scalar JSON
        interface Node { id: ID! }
        type Film implements Node { id: ID!, year: Int, title: String!, tags(first: Int, order: [String!]): [String!]! }
        type Actor implements Node { id: ID!, name: String, films(filter: Filter, json: JSON): [Film!]! }
        input Filter { and: [Filter!], year: Range, tags: [String!], limit: Int! = 10, id: ID!, json: JSON }
        input Range { from: Int!, to: Int }
        type Query {
            node(id: ID): Node
            film(id: ID!): Film
            films(filter: Filter, filters: [Filter!], ids: [ID!], first: Int! = 10): [Film!]!
            actors: [Actor!]!
        }
        type Mutation { insert(documents: [JSON!]!, document: JSON!, matrix: [[Int!]!]): Int }
        type Subscription { films: [Film!]!, actors: [Actor!]! }
    ";
    Schema::parse_and_validate(sdl, "schema").expect("is valid")
}

#[track_caller]
fn check_valid(text: &str) {
    if let Err(failure) = parse(text, &schema(), &Limits::default()) {
        panic!("{text}\n{:?}", failure.errors());
    }
}

/// A text that is refused, with a part of the first message.
#[track_caller]
fn check_refused(text: &str, code: ErrorCode, expected: &str) {
    let Err(failure) = parse(text, &schema(), &Limits::default()) else {
        panic!("{text}\nis accepted");
    };
    let error = &failure.errors()[0];
    assert_eq!(error.code, code, "{text}\n{error:?}");
    assert!(error.message.contains(expected), "{text}\n{error:?}");
    assert!(!error.locations.is_empty(), "{text}\n{error:?}");
}

#[track_caller]
fn check_invalid(text: &str, expected: &str) {
    check_refused(text, ErrorCode::ValidationFailed, expected);
}

#[test]
fn a_colon_that_is_missing_is_a_syntax_error() {
    for (text, name) in [
        ("{ film(id) { id } }", "id"),
        ("{ film(id first: 1) { id } }", "id"),
        ("{ films(filter: {id: 1 and}) { id } }", "and"),
        ("{ films(filter: {id: 1 tags and: []}) { id } }", "tags"),
        ("{ films(filter: {id: 1, json: {a}}) { id } }", "a"),
        ("{ films @include(if) { id } }", "if"),
    ] {
        let expected = format!("expected `:` after the name `{name}`");
        check_refused(text, ErrorCode::ParseFailed, &expected);
    }
}

#[test]
fn what_is_executed_may_have_a_description() {
    check_valid("\"all\" query { films { id } }");
    check_valid(
        "\"\"\"all\"\"\" query Q(\"of them\" $id: ID = \"a\" \"or\" $b: ID!) { node(id: $id) { ...F } film(id: $b) { id } }
         \"the id\" fragment F on Node { id }",
    );
    check_refused("\"all\" { films { id } }", ErrorCode::ParseFailed, "");
}

#[test]
fn what_follows_a_description_is_where_it_was() {
    let text = "\"\"\"é\n\"\"\" query(\"é\" $a: Int) { films { id } }";
    let Err(failure) = parse(text, &schema(), &Limits::default()) else {
        panic!("the variable is not used");
    };
    let location = &failure.errors()[0].locations[0];
    assert_eq!((location.line, location.column), (2, 15));

    let text = "\"éé\" query { film(id) { id } }";
    check_refused(text, ErrorCode::ParseFailed, "after the name `id`");
}

#[test]
fn a_subscription_has_one_field_on_no_condition() {
    check_valid(
        "subscription { films { id } films { year } ...F } fragment F on Subscription { films { title } }",
    );
    for text in [
        "subscription { films { id } actors { id } }",
        "subscription { films @include(if: true) { id } }",
        "subscription { ... @skip(if: false) { films { id } } }",
        "subscription ($v: Boolean!) { ...F } fragment F on Subscription { films @include(if: $v) { id } }",
        "subscription { __typename }",
    ] {
        check_invalid(text, "");
    }
}

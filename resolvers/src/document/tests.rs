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
fn variables_fit_where_they_stand_however_deep() {
    // The declaration of the variable, its use, and whether it fits.
    for (declared, used, fits) in [
        ("ID", "film(id: $v) { id }", false),
        ("ID = \"a\"", "film(id: $v) { id }", true),
        ("ID = null", "film(id: $v) { id }", false),
        ("ID!", "film(id: $v) { id }", true),
        ("Int", "films(first: $v) { id }", true),
        ("Int = null", "films(first: $v) { id }", true),
        ("ID", "films(filter: {id: $v}) { id }", false),
        ("ID = 1", "films(filter: {id: $v}) { id }", true),
        ("Int", "films(filter: {id: 1, limit: $v}) { id }", true),
        (
            "Int",
            "films(filter: {id: 1, year: {from: $v}}) { id }",
            false,
        ),
        (
            "Int!",
            "films(filter: {id: 1, year: {from: $v}}) { id }",
            true,
        ),
        ("Range", "films(filter: {id: 1, year: $v}) { id }", true),
        (
            "Range",
            "films(filter: {id: 1, and: [{id: 1, year: $v}]}) { id }",
            true,
        ),
        ("Filter", "films(filter: {id: 1, and: [$v]}) { id }", false),
        ("Filter!", "films(filter: {id: 1, and: [$v]}) { id }", true),
        ("Filter!", "films(filter: {id: 1, and: $v}) { id }", false),
        (
            "[Filter!]",
            "films(filter: {id: 1, and: [$v]}) { id }",
            false,
        ),
        ("[Filter!]", "films(filter: {id: 1, and: $v}) { id }", true),
        ("[Filter]", "films(filter: {id: 1, and: $v}) { id }", false),
        ("ID", "films(ids: [$v]) { id }", false),
        ("ID = 1", "films(ids: [$v]) { id }", true),
        ("[ID!]", "films(ids: [$v]) { id }", false),
    ] {
        let text = format!("query ($v: {declared}) {{ {used} }}");
        if fits {
            check_valid(&text);
        } else {
            check_invalid(&text, "v");
        }
    }
}

#[test]
fn variables_fit_in_fragments_and_directives_as_well() {
    let fragment = "fragment F on Actor { films(filter: {id: 1, year: {from: $v}}) { id } }";
    check_valid(&format!(
        "query ($v: Int!) {{ actors {{ ...F }} }} {fragment}"
    ));
    check_invalid(
        &format!("query ($v: Int) {{ actors {{ ...F }} }} {fragment}"),
        "the variable `$v` is of the type Int, and stands where Int! is expected",
    );
    check_invalid(
        &format!(
            "query A($v: Int!) {{ actors {{ ...F }} }} query B {{ actors {{ ...F }} }} {fragment}"
        ),
        "variable `$v` is not defined",
    );
    check_invalid("query ($v: Boolean) { films @include(if: $v) { id } }", "v");
}

#[test]
fn inside_custom_scalars_any_variable_that_is_defined_fits() {
    check_valid("query ($v: [Int]) { actors { films(json: {a: [$v]}) { id } } }");
    check_invalid(
        "{ actors { films(json: {a: [$v]}) { id } } }",
        "variable `$v` is not defined by the anonymous operation",
    );
    check_valid("query ($v: [Int]) { actors { films(json: [$v, [$v]]) { id } } }");
    check_valid("mutation ($v: Int) { insert(documents: [[$v]], document: [null, $v]) }");
    check_invalid("{ actors { films(json: [$v]) { id } } }", "$v");
    for text in [
        "query ($v: [Int]) { actors { films(json: $v) { id } } }",
        "mutation ($v: JSON) { insert(documents: [[1]], document: $v) }",
        "mutation ($v: JSON) { insert(documents: [$v], document: 1) }",
        "mutation ($v: Int) { insert(documents: [$v], document: 1) }",
        "mutation ($v: JSON) { insert(documents: [1], document: 1, matrix: [[$v]]) }",
    ] {
        check_invalid(text, "v");
    }
}

#[test]
fn null_may_stand_in_a_list_that_is_a_custom_scalar() {
    check_valid("mutation { insert(documents: [[null], {a: null}], document: [null, [null]]) }");
    check_valid("mutation ($d: [JSON!]! = [[null]]) { insert(documents: $d, document: 1) }");
    for text in [
        "mutation { insert(documents: [null], document: 1) }",
        "mutation { insert(documents: [[null]], document: null) }",
        "mutation ($d: [JSON!]! = [null]) { insert(documents: $d, document: 1) }",
        "mutation { insert(documents: [[null]], document: 1, matrix: [[null]]) }",
        "mutation { insert(documents: [[null]], document: 1, matrix: [[true]]) }",
    ] {
        check_invalid(text, "");
    }
}

#[test]
fn fields_whose_arguments_differ_in_length_or_as_written_do_not_merge() {
    let conflict = "selected several times, with different arguments";
    let films = |one: &str, other: &str| {
        format!(
            "{{ films {{ tags(order: {one}) }} ... on Query {{ films {{ tags(order: {other}) }} }} }}"
        )
    };
    check_valid(&films("[\"a\"]", "[\"a\"]"));
    check_invalid(&films("[\"a\"]", "[\"a\", \"b\"]"), conflict);
    check_invalid(&films("[]", "[\"a\"]"), conflict);
    check_invalid(&films("\"a\"", "\"\"\"a\"\"\""), conflict);
    check_valid(&films("\"\"\"a\"\"\"", "\"\"\"\n  a\n\"\"\""));
    check_invalid(
        "{ a: films(filter: {id: 1, tags: []}) { id } ...F }
         fragment F on Query { a: films(filter: {tags: [\"b\"], id: 1}) { id } }",
        conflict,
    );
    // What is not merged may differ.
    check_valid("{ films { tags(order: [\"a\"]) } actors { films { tags(order: []) } } }");
}

#[test]
fn fields_that_are_merged_stream_alike() {
    let conflict = "different `@stream`";
    check_valid(
        "{ films @stream(initialCount: 1) { id } films @stream(initialCount: 1) { year } }",
    );
    check_invalid("{ films @stream { id } films { year } }", conflict);
    check_invalid(
        "{ actors { films @stream(initialCount: 1) { id } } actors { films @stream { id } } }",
        conflict,
    );
}

#[test]
fn fields_that_tell_of_types_stand_beside_those_of_other_objects() {
    check_valid("{ node { ... on Film { a: __typename } ... on Actor { a: name } } }");
    check_valid("{ node { ... on Film { __typename: year } ... on Actor { __typename } } }");
    for text in [
        "{ node { ... on Film { a: __typename a: title } } }",
        "{ node { ... on Film { a: __typename } a: id } }",
        "{ node { ... on Film { a: year } ... on Actor { a: name } } }",
        "{ node { a: __typename ... on Film { a: year } ... on Actor { a: name } } }",
    ] {
        check_invalid(text, "");
    }
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

//! Filters mean what a plain reading of them on the JSON documents says.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::fixture::{Database, film_documents, films};

fn ids(database: &Database, filter: &str) -> Vec<String> {
    let data = database.data(&format!(
        "{{ films(filter: {filter}) {{ nodes {{ id }} totalCount }} }}"
    ));
    let nodes = data["films"]["nodes"].as_array().unwrap();
    assert_eq!(data["films"]["totalCount"], nodes.len());
    nodes
        .iter()
        .map(|node| node["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_operator() {
    let database = films();
    let cases = [
        ("{}", "abcd"),
        ("{title: {eq: \"Alien\"}}", "a"),
        ("{title: {ne: \"Alien\"}}", "bcd"),
        ("{title: {eq: null}}", "c"),
        ("{title: {ne: null}}", "abd"),
        ("{title: {in: [\"Dune\", \"Alien\"]}}", "ad"),
        ("{title: {notIn: [\"Dune\", \"Alien\"]}}", "bc"),
        ("{title: {startsWith: \"A\"}}", "a"),
        ("{title: {endsWith: \"l\"}}", "b"),
        ("{title: {contains: \"u\"}}", "d"),
        ("{title: {like: \"_l%n\"}}", "a"),
        ("{title: {exists: true}}", "abcd"),
        ("{title: {isNull: false}}", "abd"),
        ("{seen: {exists: false}}", "c"),
        ("{seen: {ne: true}}", "bc"),
        ("{seen: {eq: false}}", "b"),
        ("{year: {gt: 1982}}", "bd"),
        ("{year: {lte: 1982, ne: 1979}}", "c"),
        ("{rating: {gte: 8, lt: 8.5}}", "bc"),
        ("{budget: {gt: \"9007199254740992\"}}", "a"),
        ("{budget: {lt: 0}}", "d"),
        ("{US_Gross: {isNull: false}}", "d"),
        ("{released: {lt: \"1982-01-01\"}}", "a"),
        ("{added: {eq: \"2020-01-01T01:00:00+01:00\"}}", "ab"),
        ("{added: {in: [\"2020-01-01T00:00:00Z\"]}}", "ab"),
        ("{added: {gt: \"2020-01-01T00:00:00Z\"}}", "c"),
        ("{added: {ne: \"2020-01-01T00:00:00Z\"}}", "cd"),
        ("{added: {notIn: [\"2020-01-01T00:00:00Z\"]}}", "cd"),
        ("{added: {eq: null}}", "d"),
        ("{mixed: {gt: 0}}", "a"),
        ("{mixed: {gte: \"a\"}}", "b"),
        ("{mixed: {eq: {deep: [1, 2.0]}}}", "c"),
        ("{mixed: {eq: null}}", "d"),
        ("{studio: {name: {eq: \"Fox\"}}}", "a"),
        ("{studio: {city: {zip: {isNull: true}}}}", "bcd"),
        ("{studio: {isNull: true}}", "cd"),
        ("{studio: {isNull: false, name: {ne: \"Fox\"}}}", "b"),
        ("{studio: {exists: true}}", "abc"),
        ("{studio: {exists: false}}", "d"),
        ("{studio: {not: {exists: true}}}", "d"),
        ("{studio: {city: {isNull: false}}}", "a"),
        (
            "{studio: {or: [{isNull: true}, {city: {exists: true}}]}}",
            "acd",
        ),
        ("{cast: {some: {isNull: true}}}", ""),
        ("{cast: {every: {isNull: false}}}", "abc"),
        (
            "{studio: {or: [{name: {eq: \"Fox\"}}, {city: {zip: {eq: \"90064\"}}}]}}",
            "a",
        ),
        ("{studio: {not: {name: {eq: \"Fox\"}}}}", "bcd"),
        ("{tags: {some: {eq: \"space\"}}}", "ad"),
        ("{tags: {every: {ne: \"space\"}}}", "bc"),
        ("{tags: {none: {eq: \"space\"}}}", "bc"),
        ("{tags: {length: {gte: 2}}}", "ad"),
        ("{tags: {some: {isNull: true}}}", "d"),
        ("{cast: {some: {age: {gt: 35}}}}", "a"),
        ("{cast: {every: {name: {contains: \"r\"}}}}", "abc"),
        ("{cast: {none: {name: {eq: \"Ford\"}}}}", "ab"),
        ("{cast: {length: {eq: 0}}}", "b"),
        ("{cast: {exists: false}}", "d"),
        ("{and: [{year: {gt: 1980}}, {rating: {gt: 8}}]}", "c"),
        ("{or: [{year: {lt: 1980}}, {title: {eq: \"Dune\"}}]}", "ad"),
        ("{or: []}", ""),
        ("{and: []}", "abcd"),
        ("{not: {year: {gt: 1980}}}", "a"),
        ("{not: {}}", ""),
        ("{id: {in: [\"a\", \"zz\"]}}", "a"),
        ("{id: {gt: \"b\"}}", "cd"),
        ("{_version: {eq: 1}}", "abcd"),
        ("{_version: {gt: 1}}", ""),
        ("{_commitTs: {lte: \"1795392000000000\"}}", "abcd"),
        ("{_createdAt: {gt: \"2026-11-23T00:00:00Z\"}}", ""),
        ("{_createdAt: {eq: \"2026-11-23T01:00:00+01:00\"}}", "abcd"),
        ("{_deletedAt: {isNull: true}}", "abcd"),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&database, filter).concat(), expected, "{filter}");
    }
}

/// A filter on the films, as GraphQL and as a function of a document.
#[derive(Debug, Clone)]
enum Filter {
    Number {
        field: &'static str,
        operator: &'static str,
        operand: i64,
    },
    Text {
        operator: &'static str,
        operand: String,
    },
    Null {
        field: &'static str,
        wanted: bool,
    },
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
}

impl Filter {
    fn graphql(&self) -> String {
        let list = |filters: &[Filter]| {
            filters
                .iter()
                .map(Filter::graphql)
                .collect::<Vec<_>>()
                .join(", ")
        };
        match self {
            Filter::Number {
                field,
                operator,
                operand,
            } => {
                format!("{{{field}: {{{operator}: {operand}}}}}")
            }
            Filter::Text { operator, operand } => {
                format!("{{title: {{{operator}: \"{operand}\"}}}}")
            }
            Filter::Null { field, wanted } => format!("{{{field}: {{isNull: {wanted}}}}}"),
            Filter::All(filters) => format!("{{and: [{}]}}", list(filters)),
            Filter::Any(filters) => format!("{{or: [{}]}}", list(filters)),
            Filter::Not(filter) => format!("{{not: {}}}", filter.graphql()),
        }
    }

    fn holds(&self, document: &Json) -> bool {
        match self {
            Filter::Number {
                field,
                operator,
                operand,
            } => {
                let value = document[field].as_f64();
                let operand = *operand as f64;
                let compare = |test: fn(f64, f64) -> bool| value.is_some_and(|v| test(v, operand));
                match *operator {
                    "eq" => compare(|a, b| a == b),
                    "ne" => !compare(|a, b| a == b),
                    "lt" => compare(|a, b| a < b),
                    "lte" => compare(|a, b| a <= b),
                    "gt" => compare(|a, b| a > b),
                    _ => compare(|a, b| a >= b),
                }
            }
            Filter::Text { operator, operand } => {
                let value = document["title"].as_str();
                match *operator {
                    "eq" => value == Some(operand),
                    "ne" => value != Some(operand),
                    "contains" => value.is_some_and(|text| text.contains(operand.as_str())),
                    _ => value.is_some_and(|text| text.starts_with(operand.as_str())),
                }
            }
            Filter::Null { field, wanted } => document[field].is_null() == *wanted,
            Filter::All(filters) => filters.iter().all(|filter| filter.holds(document)),
            Filter::Any(filters) => filters.iter().any(|filter| filter.holds(document)),
            Filter::Not(filter) => !filter.holds(document),
        }
    }
}

fn filter() -> impl Strategy<Value = Filter> {
    let operators = prop::sample::select(vec!["eq", "ne", "lt", "lte", "gt", "gte"]);
    let number = (
        prop::sample::select(vec![("year", 1978..1987_i64), ("rating", 6..9)]),
        operators,
    )
        .prop_flat_map(|((field, operands), operator)| {
            operands.prop_map(move |operand| Filter::Number {
                field,
                operator,
                operand,
            })
        });
    let text = (
        prop::sample::select(vec!["eq", "ne", "contains", "startsWith"]),
        prop::sample::select(vec!["Alien", "A", "i", "", "Dune"]),
    )
        .prop_map(|(operator, operand)| Filter::Text {
            operator,
            operand: operand.to_owned(),
        });
    let null = (
        prop::sample::select(vec!["title", "year", "seen", "studio"]),
        any::<bool>(),
    )
        .prop_filter("objects have no isNull", |(field, _)| *field != "studio")
        .prop_map(|(field, wanted)| Filter::Null { field, wanted });
    prop_oneof![number, text, null].prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Any),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

#[test]
fn filters_agree_with_a_plain_model() {
    let database = films();
    let documents = film_documents();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&filter(), |filter| {
            let expected: Vec<String> = documents
                .iter()
                .filter(|document| filter.holds(document))
                .map(|document| document["id"].as_str().unwrap_or_default().to_owned())
                .collect();
            prop_assert_eq!(
                ids(&database, &filter.graphql()),
                expected,
                "{}",
                filter.graphql()
            );
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_filter_from_a_variable_means_the_same() {
    let database = films();
    let query = "query ($f: FilmFilter) { films(filter: $f) { nodes { id } } }";
    let response = database.send_with(query, &json!({ "f": { "or": [{ "year": { "lt": 1980 } }, { "tags": { "length": { "eq": 3 } } }] } }));
    assert_eq!(
        response["data"]["films"]["nodes"],
        json!([{ "id": "a" }, { "id": "d" }])
    );
}

#[test]
fn timestamps_beyond_any_commit_compare_as_the_last() {
    let database = films();
    let data = database.data(
        "{
            a: films(filter: {_commitTs: {lt: \"18446744073709551615\"}}) { totalCount }
            b: films(filter: {_commitTs: {in: [\"9999999999999999999\"]}}) { totalCount }
            c: films(filter: {_commitTs: {gte: \"9999999999999999999\"}}) { totalCount }
        }",
    );
    assert_eq!(data["a"]["totalCount"], 4);
    assert_eq!(data["b"]["totalCount"], 0);
    assert_eq!(data["c"]["totalCount"], 0);
}

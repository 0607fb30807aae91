//! What operations cost: estimated, counted, told, and refused beyond the bound; and ended when their time is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use thalweg_engine::{Interrupt, Interruption};
use thalweg_resolvers::{Limits, OperationKind, Request};

use crate::fixture::{Database, first_error};

/// Fifty documents, of which nothing has an index, and a bound.
fn numbers(rows_max: u64) -> Database {
    let database = Database::with_limits(Limits {
        rows_max,
        ..Limits::default()
    });
    let documents: Vec<Json> = (10..60)
        .map(|n| json!({ "id": n.to_string(), "n": n }))
        .collect();
    database.insert("numbers", &documents);
    database
}

fn cost_of(database: &Database, query: &str) -> (u64, u64) {
    let response = database.send_once(query, &json!({ "explain": true }));
    let cost = &response["extensions"]["thalweg"]["cost"];
    let count = |name: &str| {
        cost[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{response:#}"))
    };
    (count("estimated"), count("rows"))
}

#[test]
fn the_cost_is_told_to_whoever_asks() {
    let database = numbers(1_000);
    database.data("mutation { updateNumber(id: 10, patch: {n: 0}) { n } }");
    for (query, estimated, rows) in [
        ("{ number(id: 10) { n } }", 1, 1),
        (
            "{ a: number(id: 10) { n } b: number(id: 11) { n } collections { name } }",
            2,
            2,
        ),
        ("{ numbers(first: 5) { nodes { n } } }", 6, 6),
        ("{ numbers(first: 5, offset: 10) { nodes { n } } }", 16, 16),
        ("{ numbers { totalCount } }", 1, 1),
        ("{ numbers(filter: {n: {gt: 30}}) { totalCount } }", 50, 50),
        (
            "{ numbers(orderBy: [{n: DESC}], first: 2) { edges { node { n } } } }",
            50,
            50,
        ),
        (
            "{ number(id: 10) { _history(first: 3) { nodes { at } } } }",
            4,
            3,
        ),
        (
            "{ numbers(first: 5) { nodes { _history(first: 3) { nodes { at } } } } }",
            21,
            12,
        ),
        ("{ __schema { types { name } } }", 0, 0),
    ] {
        assert_eq!(cost_of(&database, query), (estimated, rows), "{query}");
    }
    let silent = database.send_once("{ number(id: 10) { n } }", &json!({}));
    assert!(silent["extensions"]["thalweg"].get("cost").is_none());
}

#[test]
fn what_would_cost_too_much_is_not_run_and_an_index_is_named() {
    let query = "{ numbers(filter: {n: {eq: 30}}) { nodes { id } } }";
    for rows_max in [50, 51] {
        let found = numbers(rows_max).data(query);
        assert_eq!(found["numbers"]["nodes"][0]["id"], "30");
    }
    let database = numbers(49);
    let (code, message, path) = database.error(query);
    assert_eq!(
        (code.as_str(), &path),
        ("LIMIT_EXCEEDED", &json!(["numbers"]))
    );
    for part in [
        "about 50 documents",
        "at most 49",
        "@index(fields: [\"n\"])",
        "numbers",
    ] {
        assert!(message.contains(part), "{message}");
    }
    // Together they are too much, and the dearest one is named.
    let (_, message, path) = database.error(
        "{ few: numbers(first: 19) { nodes { id } } many: numbers(first: 39) { nodes { id } } }",
    );
    assert_eq!(path, json!(["many"]));
    assert!(
        message.contains("about 60 documents, 40 of them for this field"),
        "{message}"
    );
    // With the index it costs next to nothing.
    database.data(
        "mutation { applySchema(sdl: \"type Number @collection @index(fields: [\\\"n\\\"])\") { changes } }",
    );
    database.wait_for("the index", |database| {
        database.send(query)["data"]["numbers"]["nodes"][0]["id"] == "30"
    });
}

#[test]
fn what_was_estimated_too_low_is_counted() {
    let database = numbers(40);
    // A page is expected to end the reading; but most documents are not shown.
    for n in 10..55 {
        database.data(&format!("mutation {{ deleteNumber(id: {n}) {{ id }} }}"));
    }
    let (code, message, path) = database.error("{ numbers(first: 1) { nodes { id } } }");
    assert_eq!(
        (code.as_str(), path),
        ("LIMIT_EXCEEDED", json!(["numbers"]))
    );
    assert!(message.contains("more than 40 documents"), "{message}");
    // The root fields count together, each within what the others have left.
    let each: String = (0..20)
        .map(|n| format!("a{n}: number(id: 55) {{ n }} "))
        .collect();
    database.data(&format!("{{ {each} }}"));
    let each: String = (0..41)
        .map(|n| format!("a{n}: number(id: 55) {{ n }} "))
        .collect();
    assert!(
        database
            .error(&format!("{{ {each} }}"))
            .1
            .contains("about 41 documents")
    );
}

#[test]
fn bulk_mutations_are_bounded_likewise() {
    let all = "mutation { updateNumbers(filter: {n: {gte: 0}}, patch: {n: 1}) { count } }";
    assert_eq!(numbers(50).data(all)["updateNumbers"]["count"], 50);
    let database = numbers(49);
    let (code, message, path) = database.error(all);
    assert_eq!(
        (code.as_str(), path),
        ("LIMIT_EXCEEDED", json!(["updateNumbers"]))
    );
    assert!(
        message.contains("about 50 documents; at most 49"),
        "{message}"
    );
    let unchanged = database.data("{ number(id: 10) { n _version } }");
    assert_eq!(unchanged["number"], json!({ "n": 10, "_version": 1 }));
}

#[test]
fn a_refused_live_query_comes_back_when_there_is_less_to_look_at() {
    let database = numbers(49);
    let query = "{ numbers(filter: {n: {eq: 30}}) { nodes { id } } }";
    let refused = database.try_run(&Request::text(query)).unwrap();
    assert!(refused.has_errors());
    let head = *database.resolvers.engine().head().borrow();
    // Not one that the filter selects.
    database.data("mutation { deleteNumber(id: 59, permanent: true) { id } }");
    let commits = database.resolvers.engine().recent_commits(head).unwrap();
    let touches = commits
        .iter()
        .any(|commit| refused.dependencies().touched_by(commit));
    assert!(touches);
    assert!(
        !database
            .try_run(&Request::text(query))
            .unwrap()
            .has_errors()
    );
}

/// Lets so many questions pass, then says that time is up.
struct Patience(AtomicU64);

impl Interrupt for Patience {
    fn interrupted(&self) -> Option<Interruption> {
        let left = |left: u64| left.checked_sub(1);
        let asked = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        let time_max = Duration::from_secs(7);
        asked.err().map(|_| Interruption::TimedOut { time_max })
    }
}

fn run_with_patience(database: &Database, query: &str, questions: u64) -> Json {
    let operation = database.resolvers.prepare(&Request::text(query)).unwrap();
    let operation = operation.interrupted_by(Arc::new(Patience(AtomicU64::new(questions))));
    let evaluation = match operation.kind() {
        OperationKind::Mutation => database.mutate(&operation),
        _ => {
            let snapshot = database.resolvers.engine().snapshot().unwrap();
            let evaluation = database.resolvers.run(&operation, &snapshot);
            // Whoever runs next on the snapshot has its own time.
            assert!(snapshot.interrupt().is_none());
            // That time is up is a result to show, not a store to be read again and again.
            assert!(database.resolvers.run_live(&operation, &snapshot).is_ok());
            evaluation
        }
    };
    serde_json::from_slice(evaluation.body()).unwrap()
}

#[test]
fn a_run_ends_when_its_time_is_up() {
    let database = Database::empty();
    let documents: Vec<Json> = (0..2_000).map(|n| json!({ "n": n })).collect();
    database.insert("numbers", &documents);
    let query = "{ numbers(filter: {n: {eq: 30}}) { nodes { n } } }";
    let found = run_with_patience(&database, query, 1_000);
    assert_eq!(found["data"]["numbers"]["nodes"][0]["n"], 30);
    let (code, message, path) = first_error(&run_with_patience(&database, query, 2));
    assert_eq!((code.as_str(), path), ("TIMEOUT", json!(["numbers"])));
    for part in ["more than 7s", "@index(fields: [\"n\"])"] {
        assert!(message.contains(part), "{message}");
    }
    let all = "mutation { updateNumbers(filter: {n: {gte: 0}}, patch: {n: 5}) { count } }";
    let (code, message, _) = first_error(&run_with_patience(&database, all, 2));
    assert_eq!(code, "TIMEOUT");
    assert!(message.contains("nothing was written"), "{message}");
    let five = database.data("{ numbers(filter: {n: {eq: 5}}) { totalCount } }");
    assert_eq!(five["numbers"]["totalCount"], 1);
    assert_eq!(
        run_with_patience(&database, all, 1_000)["data"]["updateNumbers"]["count"],
        2_000
    );
}

/// A piece of a hostile operation, with its size.
fn hostile() -> impl Strategy<Value = String> {
    let size = || prop_oneof![1..40usize, 1_000..3_000usize];
    let repeat = |size: usize, piece: &str| piece.repeat(size);
    prop_oneof![
        size().prop_map(|size| (0..size).map(|n| format!("a{n}: __typename ")).collect()),
        size().prop_map(move |size| format!(
            "numbers(filter: {}{{n: {{eq: 1}}}}{}) {{ totalCount }} ",
            repeat(size, "{not: "),
            repeat(size, "}")
        )),
        size().prop_map(move |size| format!(
            "numbers(filter: {{or: [{}]}}) {{ totalCount }} ",
            repeat(size, "{n: {eq: 1}} ")
        )),
        size().prop_map(move |size| format!(
            "numbers(filter: {{n: {{in: [{}]}}}}) {{ nodes {{ n }} }} ",
            repeat(size, "1 ")
        )),
        size().prop_map(move |size| format!(
            "numbers {{ {}{} }} ",
            repeat(size, "nodes { _history { nodes { document { "),
            repeat(size, "} } } }")
        )),
        size().prop_map(|size| (0..size)
            .map(|n| format!("h{n}: numbers(first: 1000) {{ nodes {{ _history(first: 1000) {{ nodes {{ json }} }} }} }} "))
            .collect()),
        size().prop_map(move |size| format!(
            "__schema {{ types {{ {} fields {{ name }} }} }} ",
            repeat(size, "name ")
        )),
        size().prop_map(move |size| format!("... {}__typename{} ", repeat(size, "{ ... "), repeat(size, "}"))),
        Just("...F ".to_owned()),
        Just("...Missing ".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever is sent is answered, soon, and within what the bounds allow.
    #[test]
    fn hostile_operations_are_answered_soon(
        pieces in proptest::collection::vec(hostile(), 1..5),
        fragments in prop_oneof![0..30usize, 500..1_500usize],
    ) {
        let database = numbers(2_000);
        let mut text = format!("{{ {} }}", pieces.concat());
        for n in 0..fragments {
            let name = if n == 0 { "F".to_owned() } else { format!("F{n}") };
            text.push_str(&format!(" fragment {name} on Query {{ ...F{0} b{n}: __typename ...F{0} }}", n + 1));
        }
        let start = Instant::now();
        let response = database.send(&text);
        // Tests are built without optimisation and run beside others.
        prop_assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        prop_assert!(response.get("data").is_some() || response.get("errors").is_some());
    }
}

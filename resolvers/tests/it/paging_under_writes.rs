//! Pages while others write: whoever walks them sees each document that stays where it is exactly once.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::fixture::Database;

/// What somebody else does between two pages. Ids and ranks are drawn from the same few as those that stay.
#[derive(Debug, Clone)]
enum Write {
    Insert { id: u8, rank: i64 },
    Move { id: u8, rank: i64 },
    Delete { id: u8, permanent: bool },
}

impl Write {
    fn mutation(&self) -> String {
        match self {
            Write::Insert { id, rank } | Write::Move { id, rank } => {
                format!(
                    "mutation {{ upsertThing(id: \"{id:02}x\", input: {{rank: {rank}}}) {{ id }} }}"
                )
            }
            Write::Delete { id, permanent } => {
                format!(
                    "mutation {{ deleteThing(id: \"{id:02}x\", permanent: {permanent}) {{ id }} }}"
                )
            }
        }
    }
}

fn writes() -> impl Strategy<Value = Vec<Vec<Write>>> {
    let write = (0..20_u8, -1..5_i64, 0..4_u8).prop_map(|(id, rank, kind)| match kind {
        0 => Write::Insert { id, rank },
        1 => Write::Move { id, rank },
        _ => Write::Delete {
            id,
            permanent: kind == 3,
        },
    });
    prop::collection::vec(prop::collection::vec(write, 0..4), 1..12)
}

/// The ids that stay, in order.
fn staying(descending: bool) -> Vec<String> {
    let mut all: Vec<(i64, String)> = (0..20_i64).map(|n| (n % 4, format!("{n:02}"))).collect();
    all.sort_by_key(|(rank, id)| (if descending { -*rank } else { *rank }, id.clone()));
    all.into_iter().map(|(_, id)| id).collect()
}

fn database(indexed: bool) -> Database {
    let database = Database::empty();
    let mut documents: Vec<Json> = (0..20)
        .map(|n| json!({ "id": format!("{n:02}"), "rank": n % 4 }))
        .collect();
    documents.extend(
        (0..20)
            .step_by(3)
            .map(|n| json!({ "id": format!("{n:02}x"), "rank": n % 5 })),
    );
    database.insert("things", &documents);
    if indexed {
        database.data("mutation { applySchema(sdl: \"type Thing @collection @index(fields: [\\\"rank\\\"])\") { changes } }");
        database.wait_for("the index", |database| {
            let data = database.data("{ collections { indexes { status } } }");
            data["collections"][0]["indexes"][0]["status"] == "READY"
        });
    }
    database
}

#[test]
fn documents_that_stay_are_seen_once() {
    let config = ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let inputs = (writes(), any::<[bool; 3]>(), 1..6_usize);
    proptest::test_runner::TestRunner::new(config)
        .run(&inputs, |(writes, [backward, descending, indexed], size)| {
            let database = database(indexed);
            let direction = if descending { "DESC" } else { "ASC" };
            let (count, cursor, more, edge) = match backward {
                true => ("last", "before", "hasPreviousPage", "startCursor"),
                false => ("first", "after", "hasNextPage", "endCursor"),
            };
            let query = format!(
                "query ($at: String) {{ things(orderBy: [{{rank: {direction}}}], {count}: {size}, {cursor}: $at) {{
                    nodes {{ id }} pageInfo {{ {more} {edge} }} }} }}"
            );
            let mut position = Json::Null;
            let mut seen: Vec<String> = Vec::new();
            let mut writes = writes.iter().cycle();
            for _ in 0..200 {
                let response = database.send_with(&query, &json!({ "at": position }));
                let page = &response["data"]["things"];
                let ids = page["nodes"].as_array().unwrap().iter();
                let ids = ids.map(|node| node["id"].as_str().unwrap().to_owned());
                match backward {
                    true => seen = ids.chain(seen).collect(),
                    false => seen.extend(ids),
                }
                if page["pageInfo"][more] == false {
                    break;
                }
                position = page["pageInfo"][edge].clone();
                for write in writes.next().unwrap() {
                    database.send(&write.mutation());
                }
            }
            seen.retain(|id| id.len() == 2);
            prop_assert_eq!(seen, staying(descending));
            Ok(())
        })
        .unwrap();
}

/// Every combination of the arguments, against a plain reading of the Relay specification ("Pagination algorithm").
#[test]
fn every_combination_of_arguments() {
    let database = Database::empty();
    let ids: Vec<String> = (0..5).map(|n| n.to_string()).collect();
    let documents: Vec<Json> = ids.iter().map(|id| json!({ "id": id })).collect();
    database.insert("things", &documents);
    let data = database.data("{ things { edges { cursor } } }");
    let cursors: Vec<&str> = data["things"]["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| edge["cursor"].as_str().unwrap())
        .collect();
    let places = || std::iter::once(None).chain((0..5).map(Some));
    let counts = || std::iter::once(None).chain((0..=6_usize).map(Some));
    for after in places() {
        for before in places() {
            for (first, last) in counts()
                .map(|it| (it, None))
                .chain((0..=6).map(|it| (None, Some(it))))
            {
                for offset in [None, Some(0), Some(2)] {
                    let mut arguments = json!({});
                    for (name, place) in [("after", after), ("before", before)] {
                        if let Some(place) = place {
                            arguments[name] = json!(cursors[place]);
                        }
                    }
                    for (name, count) in [("first", first), ("last", last), ("offset", offset)] {
                        if let Some(count) = count {
                            arguments[name] = json!(count);
                        }
                    }
                    let response = database.send_with(
                        "query ($first: Int, $after: String, $last: Int, $before: String, $offset: Int) {
                             things(first: $first, after: $after, last: $last, before: $before, offset: $offset) {
                                 nodes { id } edges { cursor } totalCount
                                 pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }",
                        &arguments,
                    );
                    let page = &response["data"]["things"];
                    if last.is_some() && offset.is_some() {
                        assert_eq!(
                            response["errors"][0]["extensions"]["code"], "BAD_REQUEST",
                            "{arguments}"
                        );
                        continue;
                    }
                    let window: Vec<usize> = (0..5)
                        .filter(|it| {
                            after.is_none_or(|after| *it > after)
                                && before.is_none_or(|before| *it < before)
                        })
                        .skip(offset.unwrap_or(0))
                        .collect();
                    let (rows, has_next, has_previous) = match last {
                        Some(last) => {
                            let from = window.len().saturating_sub(last);
                            (&window[from..], before.is_some(), from > 0)
                        }
                        None => {
                            let to = first.unwrap_or(100).min(window.len());
                            let passed_over = after.is_some() || offset.unwrap_or(0) > 0;
                            (&window[..to], to < window.len(), passed_over)
                        }
                    };
                    let expected = json!({
                        "nodes": rows.iter().map(|row| json!({ "id": ids[*row] })).collect::<Vec<_>>(),
                        "edges": rows.iter().map(|row| json!({ "cursor": cursors[*row] })).collect::<Vec<_>>(),
                        "totalCount": 5,
                        "pageInfo": {
                            "hasNextPage": has_next, "hasPreviousPage": has_previous,
                            "startCursor": rows.first().map(|row| cursors[*row]),
                            "endCursor": rows.last().map(|row| cursors[*row]) }
                    });
                    assert_eq!(*page, expected, "{arguments}");
                }
            }
        }
    }
}

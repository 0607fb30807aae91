//! Pages: walking them gives exactly the sorted list, whatever their sizes.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::fixture::Database;

/// Documents with many ties in `rank`, and some without it.
fn documents() -> Vec<Json> {
    (0..37_u64)
        .map(|n| {
            let id = format!("{:02}", (n * 17) % 37);
            match n % 5 {
                0 => json!({ "id": id, "even": n % 2 == 0 }),
                _ => json!({ "id": id, "rank": (n * 7) % 4, "even": n % 2 == 0 }),
            }
        })
        .collect()
}

/// The ids in the order of `rank` (missing least), ties by id.
fn sorted(only_even: bool, descending: bool) -> Vec<String> {
    let mut documents = documents();
    documents.retain(|document| !only_even || document["even"] == true);
    documents.sort_by(|a, b| {
        let rank = |document: &Json| document["rank"].as_u64();
        let by_rank = rank(a).cmp(&rank(b));
        let by_rank = if descending {
            by_rank.reverse()
        } else {
            by_rank
        };
        by_rank.then_with(|| a["id"].as_str().cmp(&b["id"].as_str()))
    });
    documents
        .iter()
        .map(|document| document["id"].as_str().unwrap().to_owned())
        .collect()
}

struct Walk {
    only_even: bool,
    descending: bool,
    backward: bool,
    sizes: Vec<usize>,
}

fn walk(database: &Database, walk: &Walk) -> Vec<String> {
    let filter = if walk.only_even {
        "filter: {even: {eq: true}}, "
    } else {
        ""
    };
    let direction = if walk.descending { "DESC" } else { "ASC" };
    let (count, cursor, more, edge) = if walk.backward {
        ("last", "before", "hasPreviousPage", "startCursor")
    } else {
        ("first", "after", "hasNextPage", "endCursor")
    };
    let mut seen: Vec<String> = Vec::new();
    let mut position = Json::Null;
    for size in walk.sizes.iter().cycle().take(200) {
        let query = format!(
            "query ($at: String) {{ things({filter}orderBy: [{{rank: {direction}}}], {count}: {size}, {cursor}: $at) {{
                edges {{ cursor node {{ id }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} totalCount }} }}"
        );
        let response = database.send_with(&query, &json!({ "at": position }));
        let page = &response["data"]["things"];
        let edges = page["edges"]
            .as_array()
            .unwrap_or_else(|| panic!("{response:#}"));
        assert_eq!(
            page["totalCount"],
            sorted(walk.only_even, walk.descending).len()
        );
        let ids = edges
            .iter()
            .map(|edge| edge["node"]["id"].as_str().unwrap().to_owned());
        if walk.backward {
            seen = ids.chain(seen).collect();
        } else {
            seen.extend(ids);
        }
        if page["pageInfo"][more] == false {
            return seen;
        }
        assert_eq!(edges.len(), *size, "only the last page is short");
        assert_eq!(page["pageInfo"]["startCursor"], edges[0]["cursor"]);
        position = page["pageInfo"][edge].clone();
    }
    panic!("the walk does not end");
}

#[test]
fn walking_pages_gives_the_sorted_list() {
    let database = Database::empty();
    database.insert("things", &documents());
    let config = ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let walks = (any::<[bool; 3]>(), prop::collection::vec(1..9_usize, 1..4));
    proptest::test_runner::TestRunner::new(config)
        .run(&walks, |([only_even, descending, backward], sizes)| {
            let seen = walk(
                &database,
                &Walk {
                    only_even,
                    descending,
                    backward,
                    sizes,
                },
            );
            prop_assert_eq!(seen, sorted(only_even, descending));
            Ok(())
        })
        .unwrap();
}

#[test]
fn defaults_bounds_and_offsets() {
    let database = Database::empty();
    let many: Vec<Json> = (0..150)
        .map(|n| json!({ "id": format!("{n:03}") }))
        .collect();
    database.insert("things", &many);
    let ids = |arguments: &str| -> Vec<String> {
        let data = database.data(&format!("{{ things{arguments} {{ nodes {{ id }} }} }}"));
        let nodes = data["things"]["nodes"].as_array().unwrap().clone();
        nodes
            .iter()
            .map(|node| node["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids("").len(), 100);
    assert_eq!(ids("(first: 1000)").len(), 150);
    assert_eq!(ids("(first: 0)").len(), 0);
    assert_eq!(ids("(first: 2, offset: 149)"), ["149"]);
    assert_eq!(ids("(offset: 100000)").len(), 0);
    assert_eq!(ids("(last: 2)"), ["148", "149"]);
    assert_eq!(ids("(first: 2, orderBy: [{id: DESC}])"), ["149", "148"]);
    let page = database.data("{ things(first: 3) { edges { cursor } } }");
    let cursor = page["things"]["edges"][1]["cursor"].as_str().unwrap();
    assert_eq!(
        ids(&format!("(first: 2, after: \"{cursor}\")")),
        ["002", "003"]
    );
    assert_eq!(ids(&format!("(first: 5, before: \"{cursor}\")")), ["000"]);
    assert_eq!(
        ids(&format!("(first: 1, offset: 1, after: \"{cursor}\")")),
        ["003"]
    );
    let (code, _, _) = database.error(&format!(
        "{{ things(orderBy: [{{_version: ASC}}], after: \"{cursor}\") {{ totalCount }} }}"
    ));
    assert_eq!(code, "BAD_REQUEST");
}

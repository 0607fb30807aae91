use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn patch_of(old: &Json, new: &Json) -> Json {
    let (old, new) = (old.to_string(), new.to_string());
    let patch = patch(old.as_bytes(), new.as_bytes()).expect("both are JSON");
    serde_json::from_slice(&patch).expect("a patch is JSON")
}

fn apply(old: &Json, patch: &Json) -> Json {
    let operations: json_patch::Patch =
        serde_json::from_value(patch.clone()).expect("a patch is well formed");
    let mut made = old.clone();
    json_patch::patch(&mut made, &operations).expect("a patch applies");
    made
}

#[track_caller]
fn check([old, new, expected]: [Json; 3]) {
    let patch = patch_of(&old, &new);
    assert_eq!(patch, expected);
    assert_eq!(apply(&old, &patch), new);
}

/// Long enough that a patch is shorter.
fn row(id: &str, n: i64) -> Json {
    json!({ "id": id, "n": n, "filler": "x".repeat(200) })
}

#[test]
fn a_changed_field_of_a_row_is_one_replacement() {
    check([
        json!({ "films": { "nodes": [row("a", 1), row("b", 2)] } }),
        json!({ "films": { "nodes": [row("a", 1), row("b", 3)] } }),
        json!([{ "op": "replace", "path": "/films/nodes/1/n", "value": 3 }]),
    ]);
}

#[test]
fn a_row_that_moves_is_moved() {
    check([
        json!([row("a", 1), row("b", 2), row("c", 3), row("d", 4)]),
        json!([row("b", 2), row("c", 3), row("d", 4), row("a", 1)]),
        json!([{ "op": "move", "from": "/0", "path": "/3" }]),
    ]);
    check([
        json!([row("a", 1), row("b", 2), row("c", 3)]),
        json!([row("c", 9), row("a", 1), row("b", 2)]),
        json!([
            { "op": "move", "from": "/2", "path": "/0" },
            { "op": "replace", "path": "/0/n", "value": 9 },
        ]),
    ]);
}

#[test]
fn a_row_that_comes_pushes_another_out() {
    check([
        json!({ "nodes": [row("a", 1), row("b", 2), row("c", 3)], "more": "x".repeat(300) }),
        json!({ "nodes": [row("z", 0), row("a", 1), row("b", 2)], "more": "x".repeat(300) }),
        json!([
            { "op": "remove", "path": "/nodes/2" },
            { "op": "add", "path": "/nodes/0", "value": row("z", 0) },
        ]),
    ]);
}

#[test]
fn edges_are_known_by_their_nodes() {
    let edge = |id: &str, cursor: &str| json!({ "cursor": cursor, "node": row(id, 1) });
    check([
        json!([edge("a", "1"), edge("b", "2")]),
        json!([edge("b", "1"), edge("a", "2")]),
        json!([
            { "op": "move", "from": "/1", "path": "/0" },
            { "op": "replace", "path": "/0/cursor", "value": "1" },
            { "op": "replace", "path": "/1/cursor", "value": "2" },
        ]),
    ]);
}

#[test]
fn a_list_without_ids_is_written_where_it_differs() {
    let filler = "x".repeat(200);
    check([
        json!({ "tags": ["a", "b", "c"], "filler": filler }),
        json!({ "tags": ["a", "x", "y", "c"], "filler": filler }),
        json!([
            { "op": "replace", "path": "/tags/1", "value": "x" },
            { "op": "add", "path": "/tags/2", "value": "y" },
        ]),
    ]);
}

#[test]
fn names_are_escaped_as_pointers_and_as_json() {
    let filler = "x".repeat(200);
    check([
        json!({ "a/b~c\"d": 1, "filler": filler }),
        json!({ "a/b~c\"d": 2, "filler": filler }),
        json!([{ "op": "replace", "path": "/a~1b~0c\"d", "value": 2 }]),
    ]);
}

#[test]
fn what_differs_everywhere_is_replaced_whole() {
    check([
        json!({ "a": 1 }),
        json!({ "b": 2 }),
        json!([{ "op": "replace", "path": "", "value": { "b": 2 } }]),
    ]);
}

fn leaf() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-3_i64..3).prop_map(Json::from),
        "[a/~é\"]{0,2}".prop_map(Json::from),
    ]
}

fn any_json() -> impl Strategy<Value = Json> {
    leaf().prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map("[ab/~]{1,2}|id|node", inner.clone(), 0..4)
                .prop_map(|members| members.into_iter().collect()),
            // Rows, so that ids come.
            prop::collection::vec((0_u8..8, inner), 0..8).prop_map(|rows| {
                rows.into_iter()
                    .map(|(id, value)| json!({ "id": id, "value": value }))
                    .collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_patch_makes_the_new_result_of_the_old(old in any_json(), new in any_json()) {
        let patch = patch_of(&old, &new);
        prop_assert_eq!(apply(&old, &patch), new);
    }

    /// With a long text beside them, so that the patch is never replaced by the whole.
    #[test]
    fn rows_in_any_new_order_come_right(
        old in Just((0..12).collect::<Vec<i32>>()).prop_shuffle(),
        new in Just((4..16).collect::<Vec<i32>>()).prop_shuffle(),
        cut in 0_usize..12,
    ) {
        let rows = |ids: &[i32]| -> Vec<Json> { ids.iter().map(|id| json!({ "id": id })).collect() };
        let filler = "x".repeat(5_000);
        let old = json!({ "rows": rows(&old), "filler": filler });
        let new = json!({ "rows": rows(&new[cut..]), "filler": filler });
        let patch = patch_of(&old, &new);
        prop_assert_eq!(apply(&old, &patch), new);
    }
}

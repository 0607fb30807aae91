//! Writes of every other kind beside the pairs, so that a check of the store has something to check: changes, deletions
//! of both sorts and their undoing, long documents, collections that are emptied, dropped and made anew, indexes that are
//! built and dropped, and documents that expire under settings that change.
//!
//! Who wins among them is not checked here; that what is left agrees with itself is.

use serde_json::{Value, json};

use super::Random;

const DOCUMENTS: u64 = 40;
/// Longer than a value that a backend takes.
const LONG_BYTES: usize = 1_200_000;

/// Makes the collection, so that its fields are in the API schema.
pub(super) fn beginning(cycle: u32) -> String {
    insert("ripples", &ripple(u64::from(cycle), 0))
}

/// What is declared of the collection, one after the other: indexes come and go, and so do times.
const DECLARATIONS: [&str; 4] = [
    r#"type Ripple @collection(name: "ripples", ttl: "1s", purgeAfter: "1s") @index(fields: ["n"])"#,
    r#"type Ripple @collection(name: "ripples", purgeAfter: "2s", retain: "none")
        @index(fields: ["rings[].depth", "n DESC"])"#,
    r#"type Ripple @collection(name: "ripples", ttl: "2s", onExpire: PERMANENT) @index(fields: ["n"])"#,
    r#"type Ripple @collection(name: "ripples", retain: "1h") @index(fields: ["n"]) @index(fields: ["_updatedAt"])"#,
];

/// A document that is given a new id.
fn ripple(n: u64, filler: usize) -> Value {
    json!({ "n": n, "rings": [n, { "depth": n }], "filler": "~".repeat(filler) })
}

fn insert(collection: &str, document: &Value) -> String {
    json!({
        "query": "mutation ($collection: String!, $document: JSON!) {
            insertDocuments(collection: $collection, documents: [$document])
        }",
        "variables": { "collection": collection, "document": document },
    })
    .to_string()
}

/// Declares something else than before.
fn declare(random: &mut Random) -> String {
    let which = random.next() % DECLARATIONS.len() as u64;
    let declaration = DECLARATIONS[usize::try_from(which).unwrap_or_default()];
    json!({
        "query": "mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } }",
        "variables": { "sdl": declaration },
    })
    .to_string()
}

/// The bodies of a writer's next requests.
pub(super) fn requests(writer: u32, random: &mut Random) -> Vec<String> {
    let id = (random.next() % DOCUMENTS).to_string();
    let n = random.next() % 1000;
    let pool = format!("pool {writer}");
    let query = match random.next() % 128 {
        0..=39 => {
            "mutation ($id: ID!, $n: Int!) {
            upsertRipple(id: $id, input: {n: $n}) { _version }
        }"
        }
        40..=84 => "mutation ($id: ID!) { updateRipple(id: $id, patch: {_inc: {n: 1}}) { n } }",
        85..=99 => "mutation ($id: ID!) { deleteRipple(id: $id) { id } }",
        100..=109 => "mutation ($id: ID!) { deleteRipple(id: $id, permanent: true) { id } }",
        110..=114 => "mutation ($id: ID!) { restoreRipple(id: $id) { id } }",
        115..=117 => return vec![declare(random)],
        118..=121 => return vec![insert(&pool, &ripple(n, 0))],
        122 => {
            let long = ripple(n, LONG_BYTES);
            return vec![insert("ripples", &long)];
        }
        123..=125 => {
            "mutation ($n: Int!) {
            updateRipples(filter: {n: {gte: $n}}, patch: {n: 0}) { count }
        }"
        }
        126 => "mutation { truncateCollection(name: \"ripples\") { name } }",
        _ => {
            // It may not be there, and dropping nothing is an error.
            let drop = json!({
                "query": "mutation ($pool: String!) { dropCollection(name: $pool) { name } }",
                "variables": { "pool": pool },
            });
            return vec![insert(&pool, &ripple(n, 0)), drop.to_string()];
        }
    };
    let variables = json!({ "id": id, "n": n });
    vec![json!({ "query": query, "variables": variables }).to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_requests_and_all_kinds_come() {
        let requests = |seed| -> Vec<String> {
            let mut random = Random(seed);
            (0..500).flat_map(|_| requests(1, &mut random)).collect()
        };
        assert_eq!(requests(3), requests(3));
        let all = requests(3).concat();
        for field in [
            "upsertRipple",
            "updateRipple(",
            "permanent: true",
            "restoreRipple",
            "updateRipples",
            "truncateCollection",
            "dropCollection",
            "applySchema",
            "~~~~",
        ] {
            assert!(all.contains(field), "{field}");
        }
    }
}

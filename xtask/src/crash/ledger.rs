//! What the crash test wrote, what was acknowledged, and what must therefore be there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The collection that the crash test writes into.
pub(super) const COLLECTION: &str = "events";

const HALVES: [&str; 2] = ["a", "b"];

/// Two documents that were written in one transaction, identified by who wrote them and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) cycle: u32,
    pub(super) writer: u32,
    pub(super) sequence: u32,
}

impl Pair {
    fn name(self) -> String {
        format!("{}-{}-{}", self.cycle, self.writer, self.sequence)
    }

    fn from_name(name: &str) -> Option<Pair> {
        let mut numbers = name.split('-').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let pair = Pair {
            cycle: next()?,
            writer: next()?,
            sequence: next()?,
        };
        (pair.name() == name).then_some(pair)
    }

    /// The whole content of one half: a function of the pair, so that it can be checked later
    /// without having been remembered. Some are large enough to need more than one page.
    fn document(self, half: &str) -> Value {
        let filler = "thalweg ".repeat((self.sequence % 64 * 16) as usize);
        json!({
            "id": format!("{}-{half}", self.name()),
            "pair": self.name(),
            "sequence": self.sequence,
            "filler": filler,
        })
    }

    /// The body of the GraphQL request that writes both halves; every other pair uses two fields.
    pub(super) fn request(self) -> String {
        let [first, second] = HALVES.map(|half| self.document(half));
        let request = if self.sequence.is_multiple_of(2) {
            json!({
                "query": "mutation ($collection: String!, $both: [JSON!]!) {
                    both: insertDocuments(collection: $collection, documents: $both)
                }",
                "variables": { "collection": COLLECTION, "both": [first, second] },
            })
        } else {
            json!({
                "query": "mutation ($collection: String!, $first: [JSON!]!, $second: [JSON!]!) {
                    first: insertDocuments(collection: $collection, documents: $first)
                    second: insertDocuments(collection: $collection, documents: $second)
                }",
                "variables": { "collection": COLLECTION, "first": [first], "second": [second] },
            })
        };
        request.to_string()
    }
}

/// The body of the request that throws all pairs away.
pub(super) fn emptying() -> String {
    json!({
        "query": "mutation ($name: String!) { truncateCollection(name: $name) { name } }",
        "variables": { "name": COLLECTION },
    })
    .to_string()
}

/// Everything that was acknowledged since the collection was last emptied.
#[derive(Default)]
pub(super) struct Ledger {
    acknowledged: BTreeSet<Pair>,
    /// Before this cycle wrote, the collection was emptied.
    emptied_before: u32,
}

impl Ledger {
    pub(super) fn acknowledge(&mut self, pairs: BTreeSet<Pair>) {
        self.acknowledged.extend(pairs);
    }

    pub(super) fn has_any(&self) -> bool {
        !self.acknowledged.is_empty()
    }

    /// Notes that the collection was emptied before that cycle wrote.
    pub(super) fn empty(&mut self, cycle: u32) {
        self.acknowledged.clear();
        self.emptied_before = cycle;
    }

    /// Checks an export (NDJSON) against the promises; gives how many pairs it holds.
    pub(super) fn check(&self, export: &str) -> Result<usize> {
        let mut halves: BTreeMap<Pair, usize> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for (index, line) in export.lines().enumerate() {
            let line_number = index + 1;
            let document: Value = serde_json::from_str(line)
                .with_context(|| format!("line {line_number} of the export is not JSON"))?;
            let pair = document["pair"]
                .as_str()
                .and_then(Pair::from_name)
                .with_context(|| format!("nobody wrote line {line_number}: {line}"))?;
            if pair.cycle < self.emptied_before {
                bail!("line {line_number} was thrown away and is there again: {line}");
            }
            if !HALVES.iter().any(|half| pair.document(half) == document) {
                bail!("changed content in line {line_number}: {line}");
            }
            if !ids.insert(document["id"].to_string()) {
                bail!("{} is there twice", document["id"]);
            }
            *halves.entry(pair).or_default() += 1;
        }
        if let Some((pair, _)) = halves.iter().find(|(_, count)| **count != HALVES.len()) {
            bail!("half a transaction: pair {} lacks a document", pair.name());
        }
        let lost: Vec<String> = self
            .acknowledged
            .iter()
            .filter(|pair| !halves.contains_key(pair))
            .map(|pair| pair.name())
            .collect();
        if !lost.is_empty() {
            let some = &lost[..lost.len().min(10)];
            bail!(
                "{} acknowledged pairs are lost: {} …",
                lost.len(),
                some.join(", ")
            );
        }
        Ok(halves.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(sequence: u32) -> Pair {
        Pair {
            cycle: 1,
            writer: 2,
            sequence,
        }
    }

    fn export(pairs: &[u32]) -> String {
        let documents = pairs
            .iter()
            .flat_map(|sequence| HALVES.map(|half| pair(*sequence).document(half).to_string()));
        documents.map(|document| document + "\n").collect()
    }

    fn ledger(pairs: &[u32]) -> Ledger {
        Ledger {
            acknowledged: pairs.iter().copied().map(pair).collect(),
            emptied_before: 0,
        }
    }

    #[track_caller]
    fn violated(acknowledged: &[u32], export: &str, expected: &str) {
        let error = ledger(acknowledged).check(export).expect_err("a violation");
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn everything_acknowledged_and_perhaps_more() {
        assert_eq!(ledger(&[]).check("").expect("nothing promised"), 0);
        assert_eq!(
            ledger(&[0, 1]).check(&export(&[0, 1])).expect("all there"),
            2
        );
        assert_eq!(
            ledger(&[0])
                .check(&export(&[0, 7]))
                .expect("7 was in doubt"),
            2
        );
    }

    #[test]
    fn what_was_thrown_away_does_not_come_back() {
        let mut ledger = ledger(&[0, 1]);
        ledger.empty(2);
        assert_eq!(ledger.check("").expect("nothing is promised"), 0);
        let error = ledger.check(&export(&[0])).expect_err("it came back");
        assert!(error.to_string().contains("there again"), "{error}");
    }

    #[test]
    fn each_broken_promise_is_seen() {
        violated(
            &[0, 1, 2],
            &export(&[1]),
            "2 acknowledged pairs are lost: 1-2-0, 1-2-2",
        );
        let all = export(&[3]);
        let half = all.lines().next().expect("a line");
        violated(&[], half, "half a transaction");
        violated(&[], &format!("{half}\n{half}\n"), "is there twice");
        violated(
            &[],
            &all.replace("\"sequence\":3", "\"sequence\":4"),
            "changed content",
        );
        violated(&[], &all.replace("thalweg ", "thalweg_"), "changed content");
        violated(&[], "{\"pair\":\"1-2\"}", "nobody wrote");
        violated(&[], "{\"pa", "not JSON");
    }

    #[test]
    fn a_request_writes_both_halves_either_way() {
        for sequence in [0, 1] {
            let request: Value =
                serde_json::from_str(&pair(sequence).request()).expect("a JSON body");
            let text = request["variables"].to_string();
            for half in HALVES {
                assert!(text.contains(&format!("1-2-{sequence}-{half}")), "{text}");
            }
        }
    }
}

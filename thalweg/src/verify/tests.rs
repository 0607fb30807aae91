//! What the reports look like.

use std::collections::BTreeMap;

use thalweg_engine::{Finding, FindingKind};

use super::*;

fn wrong() -> Verification {
    Verification {
        documents: 7,
        counts: BTreeMap::from([(FindingKind::Chunk, 1), (FindingKind::Document, 101)]),
        findings: vec![Finding {
            kind: FindingKind::Document,
            place: "document \"1\"".to_owned(),
            detail: "it is gone".to_owned(),
        }],
        ..Verification::default()
    }
}

#[test]
fn a_report_for_people_names_what_is_wrong_and_counts_the_rest() {
    let report = text("./data", &wrong());
    assert_eq!(
        report,
        "document: document \"1\": it is gone\nand 101 more\n\
         ./data: 102 things are wrong; 0 collections, 7 documents, 0 earlier images, 0 log entries, as of commit 0\n"
    );
    let clean = text("./data", &Verification::default());
    assert!(clean.starts_with("./data: clean; "), "{clean}");
}

#[test]
fn a_report_for_programs_is_one_line_of_json() {
    let report = json(&wrong());
    let value: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report.lines().count(), 1);
    assert_eq!(value["clean"], false);
    assert_eq!(value["counts"], json!({ "document": 101, "chunk": 1 }));
    assert_eq!(value["findings"][0]["kind"], "document");
    assert_eq!(value["commitTs"], "0");
}

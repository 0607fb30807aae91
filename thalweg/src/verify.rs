//! `thalweg verify`: checks a store, and says what is wrong with it.

use std::fmt::Write;
use std::io::{Write as _, stdout};

use anyhow::Context;
use serde_json::json;
use thalweg_engine::Verification;

use crate::Outcome;
use crate::cli::{ReportFormat, VerifyArguments};
use crate::export::quiet_when_reader_left;
use crate::store;

/// Checks what the arguments name. That something is wrong is a failure, told as a report.
pub(crate) fn run(arguments: &VerifyArguments) -> anyhow::Result<Outcome> {
    let store = arguments.store.url();
    let backend = store::open_existing(&store).map_err(|error| {
        if store::is_in_use(&error) {
            error.context("a store is checked while no server has it open, or as a restored backup")
        } else {
            error
        }
    })?;
    let verification =
        thalweg_engine::verify(&*backend).with_context(|| format!("cannot check {store}"))?;
    let report = match arguments.format {
        ReportFormat::Text => text(&store.to_string(), &verification),
        ReportFormat::Json => json(&verification),
    };
    quiet_when_reader_left(stdout().write_all(report.as_bytes()))?;
    Ok(if verification.is_clean() {
        Outcome::Done
    } else {
        Outcome::Failed
    })
}

fn text(store: &str, verification: &Verification) -> String {
    let mut report = String::new();
    for finding in &verification.findings {
        let kind = finding.kind.as_str();
        // Writing to a string cannot fail.
        let _ = writeln!(report, "{kind}: {}: {}", finding.place, finding.detail);
    }
    let found: u64 = verification.counts.values().sum();
    let told = verification.findings.len() as u64;
    if told < found {
        let _ = writeln!(report, "and {} more", found - told);
    }
    let _ = writeln!(
        report,
        "{store}: {}; {} collections, {} documents, {} earlier images, {} log entries, as of commit {}",
        if found == 0 {
            "clean".to_owned()
        } else {
            format!("{found} things are wrong")
        },
        verification.collections,
        verification.documents,
        verification.earlier_images,
        verification.log_entries,
        verification.commit_ts,
    );
    report
}

fn json(verification: &Verification) -> String {
    let counts = verification.counts.iter();
    let counts: serde_json::Map<_, _> = counts
        .map(|(kind, count)| (kind.as_str().to_owned(), json!(count)))
        .collect();
    let findings = verification.findings.iter().map(|finding| {
        json!({
            "kind": finding.kind.as_str(),
            "place": finding.place,
            "detail": finding.detail,
        })
    });
    let report = json!({
        "clean": verification.is_clean(),
        "commitTs": verification.commit_ts.to_string(),
        "collections": verification.collections,
        "documents": verification.documents,
        "earlierImages": verification.earlier_images,
        "logEntries": verification.log_entries,
        "counts": counts,
        "findings": findings.collect::<Vec<_>>(),
    });
    format!("{report}\n")
}

#[cfg(test)]
mod tests;

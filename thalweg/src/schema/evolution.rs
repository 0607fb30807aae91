//! `thalweg schema diff` and `thalweg schema promote`: what changes, and whether clients may break.

use std::io::{Write, stderr, stdout};
use std::path::Path;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use thalweg_resolvers::diff_sdl;

use super::read;
use crate::Outcome;
use crate::cli::{ReportFormat, SchemaDiffArguments, SchemaPromoteArguments};
use crate::client::{Client, ClientError, ServerUrl};
use crate::export::quiet_when_reader_left;

/// One change, as servers tell it and as it is printed.
#[derive(Debug, Deserialize, Serialize)]
struct Change {
    kind: String,
    path: String,
    breaking: bool,
    description: String,
}

/// What is printed for programs.
#[derive(Serialize)]
struct Report<'c> {
    breaking: bool,
    changes: &'c [Change],
}

/// Tells what has changed between two schemas; failed where that may break clients.
pub(crate) fn diff(arguments: &SchemaDiffArguments) -> anyhow::Result<Outcome> {
    let texts = [text(&arguments.old)?, text(&arguments.new)?];
    let changes = match diff_sdl(&texts[0], &texts[1]) {
        Ok(changes) => changes,
        Err((which, invalid)) => {
            let source = [&arguments.old, &arguments.new][which];
            for message in &invalid.messages {
                quiet_when_reader_left(writeln!(stderr(), "{source}:{message}"))?;
            }
            bail!("{source} is not a schema");
        }
    };
    let changes: Vec<Change> = changes
        .into_iter()
        .map(|change| Change {
            kind: change.kind.to_owned(),
            path: change.path,
            breaking: change.breaking,
            description: change.description,
        })
        .collect();
    print(&changes, arguments.format)?;
    Ok(match changes.iter().any(|change| change.breaking) {
        true => Outcome::Failed,
        false => Outcome::Done,
    })
}

/// A file, standard input, or what a server serves.
fn text(source: &str) -> anyhow::Result<String> {
    if !source.contains("://") {
        return read(Path::new(source));
    }
    let url: ServerUrl = match source.parse() {
        Ok(url) => url,
        Err(reason) => bail!("{source}: {reason}"),
    };
    Ok(Client::new(&url).get(&["schema.graphql"])?.text()?)
}

const PROMOTE: &str = "mutation ($collection: String!, $dryRun: Boolean!) { \
    promoteSchema(collection: $collection, dryRun: $dryRun) { changes { kind path breaking description } } }";

#[derive(Deserialize)]
struct Promoted {
    #[serde(rename = "promoteSchema")]
    promotion: Promotion,
}

#[derive(Deserialize)]
struct Promotion {
    changes: Vec<Change>,
}

/// Publishes of a collection's types what its documents say now, and tells what that changes.
pub(crate) fn promote(arguments: &SchemaPromoteArguments) -> anyhow::Result<Outcome> {
    let client = Client::new(&arguments.server.url);
    let variables = serde_json::json!({
        "collection": arguments.collection,
        "dryRun": arguments.dry_run,
    });
    match client.query_with::<Promoted>(PROMOTE, &variables) {
        Ok(promoted) => {
            print(&promoted.promotion.changes, arguments.format)?;
            Ok(Outcome::Done)
        }
        Err(ClientError::Refused { message, .. }) => {
            quiet_when_reader_left(writeln!(stderr(), "{message}"))?;
            Ok(Outcome::Failed)
        }
        Err(error) => Err(error.into()),
    }
}

fn print(changes: &[Change], format: ReportFormat) -> anyhow::Result<()> {
    let text = match format {
        ReportFormat::Json => serde_json::to_string(&Report {
            breaking: changes.iter().any(|change| change.breaking),
            changes,
        })?,
        ReportFormat::Text if changes.is_empty() => "nothing changes".to_owned(),
        ReportFormat::Text => {
            let lines = changes.iter().map(|change| {
                let mark = if change.breaking {
                    "breaking"
                } else {
                    "safe    "
                };
                format!(
                    "{mark} {} {}: {}",
                    change.kind, change.path, change.description
                )
            });
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    quiet_when_reader_left(writeln!(stdout(), "{text}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ServerArguments;
    use crate::test_server::{TestServer, answer};

    fn compare(old: &str, new: &str) -> anyhow::Result<Outcome> {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.to_str().expect("UTF-8").to_owned()
        };
        diff(&SchemaDiffArguments {
            old: file("old.graphql", old),
            new: file("new.graphql", new),
            format: ReportFormat::Json,
        })
    }

    #[test]
    fn a_breaking_difference_fails() {
        let old = "type Query { a: Int }";
        assert_eq!(compare(old, old).expect("compared"), Outcome::Done);
        let more = "type Query { a: Int b: Int }";
        assert_eq!(compare(old, more).expect("compared"), Outcome::Done);
        assert_eq!(compare(more, old).expect("compared"), Outcome::Failed);
        let refused = compare(old, "type Query { a: Nothing }").expect_err("no schema");
        assert!(refused.to_string().ends_with("new.graphql is not a schema"));
    }

    #[test]
    fn a_served_schema_can_be_compared() {
        let server = TestServer::start(vec![answer("200 OK", "type Query { a: Int b: Int }")]);
        let directory = tempfile::tempdir().expect("a directory");
        let old = directory.path().join("old.graphql");
        std::fs::write(&old, "type Query { a: Int }").expect("written");
        let outcome = diff(&SchemaDiffArguments {
            old: old.to_str().expect("UTF-8").to_owned(),
            new: server.url.to_string(),
            format: ReportFormat::Text,
        });
        assert_eq!(outcome.expect("compared"), Outcome::Done);
    }

    #[test]
    fn a_promotion_is_asked_for_and_told() {
        let done = r#"{"data":{"promoteSchema":{"changes":[{"kind":"FIELD_TYPE_CHANGED","path":"A.n","breaking":true,"description":"x"}]}}}"#;
        let server = TestServer::start(vec![answer("200 OK", done)]);
        let outcome = promote(&SchemaPromoteArguments {
            collection: "as".to_owned(),
            dry_run: true,
            format: ReportFormat::Text,
            server: ServerArguments {
                url: server.url.clone(),
            },
        });
        assert_eq!(outcome.expect("an answer"), Outcome::Done);
        let request: serde_json::Value =
            serde_json::from_str(&server.received()[0].body).expect("JSON");
        assert_eq!(
            request["variables"],
            serde_json::json!({"collection": "as", "dryRun": true})
        );
    }
}

//! `thalweg schema`: the API schema of a running server, as SDL, declaring collections to it, and how it evolves.

mod evolution;

use std::io::{Read, Write, stderr, stdin, stdout};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::cli::{ReportFormat, SchemaApplyArguments, ServerArguments};
use crate::client::{Client, ClientError};
use crate::export::quiet_when_reader_left;

pub(crate) use evolution::{diff, promote};

/// Prints the SDL as the server sends it.
pub(crate) fn print(arguments: &ServerArguments) -> anyhow::Result<()> {
    let sdl = Client::new(&arguments.url)
        .get(&["schema.graphql"])?
        .text()?;
    quiet_when_reader_left(stdout().write_all(sdl.as_bytes()))?;
    Ok(())
}

const APPLY: &str = "mutation ($sdl: String!, $dry: Boolean) { applySchema(sdl: $sdl, dryRun: $dry) { changes collections { name } } }";

#[derive(Deserialize)]
struct Applied {
    #[serde(rename = "applySchema")]
    change: Change,
}

#[derive(Deserialize, Serialize)]
struct Change {
    changes: Vec<String>,
    collections: Vec<Named>,
}

#[derive(Deserialize, Serialize)]
struct Named {
    name: String,
}

/// Declares what a file says, and prints what that changed.
pub(crate) fn apply(arguments: &SchemaApplyArguments) -> anyhow::Result<Outcome> {
    let sdl = read(&arguments.file)?;
    let client = Client::new(&arguments.server.url);
    let variables = serde_json::json!({ "sdl": sdl, "dry": arguments.dry_run });
    let change = match client.query_with::<Applied>(APPLY, &variables) {
        Ok(applied) => applied.change,
        Err(ClientError::Refused { message, .. }) => {
            let text = readable(&with_file(&message, &arguments.file));
            quiet_when_reader_left(writeln!(stderr(), "{text}"))?;
            return Ok(Outcome::Failed);
        }
        Err(error) => return Err(error.into()),
    };
    let text = match arguments.format {
        ReportFormat::Json => serde_json::to_string(&change)?,
        ReportFormat::Text if change.changes.is_empty() => "nothing to change".to_owned(),
        ReportFormat::Text => change.changes.join("\n"),
    };
    quiet_when_reader_left(writeln!(stdout(), "{text}"))?;
    Ok(Outcome::Done)
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        let mut sdl = String::new();
        stdin()
            .read_to_string(&mut sdl)
            .context("cannot read standard input")?;
        return Ok(sdl);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The server's messages, with the file's name in place of `sdl` where they name a place in it.
fn with_file(message: &str, file: &Path) -> String {
    let lines: Vec<String> = message
        .lines()
        .map(|line| match line.strip_prefix("sdl ") {
            Some(rest) => format!("{}:{rest}", file.display()),
            None => line.to_owned(),
        })
        .collect();
    lines.join("\n")
}

/// A message that lists what is wrong with many documents, each on a line of its own.
fn readable(message: &str) -> String {
    const HEAD: &str = "documents are not as declared, so nothing is changed: ";
    match message.split_once(HEAD) {
        None => message.to_owned(),
        Some((before, list)) => {
            let head = HEAD.trim_end();
            format!("{before}{head}\n  {}", list.replace("; ", "\n  "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::{TestServer, answer};

    fn run(body: &str) -> (Outcome, String) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("schema.graphql");
        std::fs::write(&file, "type A @collection").expect("written");
        let server = TestServer::start(vec![answer("200 OK", body)]);
        let arguments = SchemaApplyArguments {
            file,
            dry_run: true,
            format: ReportFormat::Text,
            server: ServerArguments {
                url: server.url.clone(),
            },
        };
        let outcome = apply(&arguments).expect("an answer");
        (outcome, server.received()[0].body.clone())
    }

    #[test]
    fn a_file_is_sent_as_a_variable() {
        let done =
            r#"{"data":{"applySchema":{"changes":["as: created"],"collections":[{"name":"as"}]}}}"#;
        let (outcome, body) = run(done);
        assert_eq!(outcome, Outcome::Done);
        let request: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(request["variables"]["sdl"], "type A @collection");
        assert_eq!(request["variables"]["dry"], true);
        assert!(
            request["query"]
                .as_str()
                .is_some_and(|text| text.contains("applySchema"))
        );
    }

    #[test]
    fn a_refusal_fails_and_names_places_in_the_file() {
        let refused = r#"{"data":null,"errors":[{"message":"sdl 1:2: no"},{"message":"neither"}]}"#;
        assert_eq!(run(refused).0, Outcome::Failed);
        let text = with_file("sdl 1:2: no\nneither", Path::new("s.graphql"));
        assert_eq!(text, "s.graphql:1:2: no\nneither");
        let counted = "documents are not as declared, so nothing is changed: a: x; b: y";
        assert_eq!(
            readable(counted),
            "documents are not as declared, so nothing is changed:\n  a: x\n  b: y"
        );
    }
}

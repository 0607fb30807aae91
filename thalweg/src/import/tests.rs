//! What is sent for each file, and what the report says of the answers.

use std::fs;

use clap::Parser;
use tempfile::TempDir;

use super::*;
use crate::cli::{Arguments, Command};
use crate::client::ServerUrl;
use crate::test_server::{TestServer, answer};

/// Files in a directory of their own, and the arguments that import them.
struct Setup {
    directory: TempDir,
    arguments: ImportArguments,
}

fn setup(server: &ServerUrl, files: &[(&str, &str)], options: &[&str]) -> Setup {
    let directory = tempfile::tempdir().expect("a directory");
    let mut line = vec!["thalweg".to_owned(), "import".to_owned()];
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::write(&path, content).expect("written");
        line.push(path.display().to_string());
    }
    line.extend(["--collection", "things"].map(str::to_owned));
    line.extend(options.iter().map(|option| (*option).to_owned()));
    line.extend(["--server".to_owned(), server.to_string()]);
    match Arguments::try_parse_from(line)
        .expect("valid arguments")
        .command
    {
        Command::Import(arguments) => Setup {
            directory,
            arguments,
        },
        other => panic!("{other:?}"),
    }
}

fn done(inserted: u64) -> String {
    answer(
        "200 OK",
        &format!(r#"{{"inserted":{inserted},"replaced":0,"failed":0,"errors":[]}}"#),
    )
}

#[test]
fn each_file_is_one_request_with_its_type() {
    let server = TestServer::start(vec![done(1), done(2), done(3)]);
    let files = [
        ("a.json", "[{}]"),
        ("b.jsonl", "{}\n{}\n"),
        ("c.csv", "id\n1\n2\n3\n"),
    ];
    let setup = setup(&server.url, &files, &["--id-field", "a.b c"]);
    let mut report = Report::default();
    import_all(&setup.arguments, &mut report).expect("all sent");

    let received = server.received();
    let types = ["application/json", "application/x-ndjson", "text/csv"];
    for ((request, (_, content)), content_type) in received.iter().zip(files).zip(types) {
        assert_eq!(request.line, "POST /import/things?idField=a.b%20c");
        assert_eq!(request.content_type.as_deref(), Some(content_type));
        assert_eq!(request.body, content);
    }
    assert_eq!(
        (report.inserted, report.failed, report.files.len()),
        (6, 0, 3)
    );
}

#[test]
fn a_large_file_arrives_whole() {
    let content = "{\"text\":\"0123456789abcdef\"}\n".repeat(100_000);
    let server = TestServer::start(vec![done(100_000)]);
    let setup = setup(&server.url, &[("a.ndjson", &content)], &[]);
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let outcome = run_to(&setup.arguments, &mut out, &mut errors).expect("sent");
    assert_eq!(outcome, Outcome::Done);
    assert!(
        String::from_utf8(out)
            .expect("text")
            .contains("100000 inserted")
    );
    assert!(errors.is_empty());
    assert!(server.received()[0].body == content);
}

#[test]
fn faulty_lines_are_reported_and_fail_the_command() {
    let body = r#"{"inserted":1,"replaced":1,"failed":3,"errors":[
        {"line":812,"message":"expected ',' or '}' at byte 17"},
        {"line":900,"message":"odd"}]}"#;
    let server = TestServer::start(vec![answer("200 OK", body)]);
    let setup = setup(&server.url, &[("a.ndjson", "")], &[]);
    let mut report = Report::default();
    import_all(&setup.arguments, &mut report).expect("sent");
    report.files[0].seconds = 1.25;

    let file = setup
        .directory
        .path()
        .join("a.ndjson")
        .display()
        .to_string();
    let mut text = Vec::new();
    report.write_errors(&mut text).expect("written");
    report.write_summary(&mut text).expect("written");
    assert_eq!(
        String::from_utf8(text).expect("text"),
        format!(
            "{file}:812: expected ',' or '}}' at byte 17\n{file}:900: odd\n{file}: and 1 more\n\
             {file}: 1 inserted, 1 replaced, 3 failed in 1.2 s\n"
        ),
    );
}

#[test]
fn the_command_fails_when_a_document_did() {
    let body = r#"{"inserted":1,"replaced":0,"failed":1,"errors":[{"line":2,"message":"bad"}]}"#;
    let server = TestServer::start(vec![answer("200 OK", body)]);
    let setup = setup(
        &server.url,
        &[("a.ndjson", "{}\n{\n")],
        &["--format", "json"],
    );
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let outcome = run_to(&setup.arguments, &mut out, &mut errors).expect("sent");
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        errors.is_empty(),
        "a program reads the errors in the report"
    );
    let json: serde_json::Value = serde_json::from_slice(&out).expect("one JSON object");
    assert_eq!(json["failed"], 1);
    assert_eq!(json["errors"][0]["line"], 2);
    assert_eq!(json["errors"][0]["message"], "bad");
    assert_eq!(json["files"][0]["file"], json["errors"][0]["file"]);
}

#[test]
fn a_refused_atomic_file_stops_the_rest() {
    let body = r#"{"inserted":0,"replaced":0,"failed":1,"errors":[{"line":2,"message":"bad"}]}"#;
    let server = TestServer::start(vec![done(1), answer("400 Bad Request", body)]);
    let files = [
        ("a.ndjson", "{}"),
        ("b.ndjson", "{}\n{"),
        ("c.ndjson", "{}"),
    ];
    let setup = setup(&server.url, &files, &["--atomic"]);
    let mut report = Report::default();
    let error = import_all(&setup.arguments, &mut report).expect_err("stopped");
    assert_eq!(error.to_string(), "stopped: 1 of 3 files not sent");
    assert_eq!(
        (report.inserted, report.failed, report.files.len()),
        (1, 1, 2)
    );
    assert_eq!(server.received()[1].line, "POST /import/things?atomic=true");
}

#[test]
fn a_refused_request_names_the_file_and_the_reason() {
    let body = r#"{"errors":[{"message":"too large","extensions":{"code":"LIMIT_EXCEEDED"}}]}"#;
    let server = TestServer::start(vec![answer("413 Payload Too Large", body)]);
    let setup = setup(&server.url, &[("a.ndjson", "{}")], &[]);
    let error = import_all(&setup.arguments, &mut Report::default()).expect_err("refused");
    let message = format!("{error:#}");
    assert!(
        message.contains("a.ndjson: the server refused (413 LIMIT_EXCEEDED)"),
        "{message}"
    );
}

#[test]
fn a_missing_file_is_found_before_anything_is_sent() {
    let server = TestServer::start(vec![]);
    let mut setup = setup(&server.url, &[("a.ndjson", "{}")], &[]);
    setup
        .arguments
        .files
        .push(setup.directory.path().join("missing.json"));
    let error = import_all(&setup.arguments, &mut Report::default()).expect_err("missing");
    assert!(format!("{error:#}").contains("cannot open"), "{error:#}");
    setup.arguments.files[1] = setup.directory.path().to_owned();
    let error = import_all(&setup.arguments, &mut Report::default()).expect_err("a directory");
    assert!(format!("{error:#}").contains("is a directory"), "{error:#}");
}

#[test]
fn an_import_that_the_server_ended_is_a_failure_without_a_line() {
    let body =
        r#"{"inserted":500,"replaced":0,"failed":0,"errors":[{"message":"the disk is full"}]}"#;
    let server = TestServer::start(vec![answer("503 Service Unavailable", body)]);
    let setup = setup(&server.url, &[("a.ndjson", "{}"), ("b.ndjson", "{}")], &[]);
    let mut report = Report::default();
    let error = import_all(&setup.arguments, &mut report).expect_err("stopped");
    assert_eq!(error.to_string(), "stopped: 1 of 2 files not sent");
    assert_eq!(report.outcome(), Outcome::Failed);
    let mut text = Vec::new();
    report.write_errors(&mut text).expect("written");
    assert!(
        String::from_utf8(text)
            .expect("text")
            .ends_with("a.ndjson: the disk is full\n")
    );
}

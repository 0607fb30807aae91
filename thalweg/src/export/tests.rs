//! Where each collection goes, and that a broken stream leaves no file behind.

use clap::Parser;

use super::*;
use crate::cli::{Arguments, Command};
use crate::test_server::{TestServer, answer, chunked};

fn arguments(server: &TestServer, options: &[&str], out: &Path) -> ExportArguments {
    let (url, out) = (server.url.to_string(), out.display().to_string());
    let line = ["thalweg", "export", "--server", &url, "--out", &out];
    match Arguments::try_parse_from(line.iter().chain(options))
        .expect("valid")
        .command
    {
        Command::Export(arguments) => arguments,
        other => panic!("{other:?}"),
    }
}

fn entries(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn one_collection_goes_to_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out.ndjson");
    fs::write(&path, "old").expect("written");
    let server = TestServer::start(vec![chunked(&["{\"id\":1}\n{\"i", "d\":2}\n"], true)]);
    run(&arguments(&server, &["--collection", "a b"], &path)).expect("exported");
    assert_eq!(
        fs::read_to_string(&path).expect("a file"),
        "{\"id\":1}\n{\"id\":2}\n"
    );
    assert_eq!(entries(directory.path()), ["out.ndjson"]);
    assert_eq!(server.received()[0].line, "GET /export/a%20b");
}

#[test]
fn several_collections_go_to_a_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("new");
    let server = TestServer::start(vec![answer("200 OK", "{}\n"), answer("200 OK", "")]);
    run(&arguments(
        &server,
        &["--collection", "a", "--collection", "../b"],
        &out,
    ))
    .expect("exported");
    assert_eq!(entries(&out), ["%2E.%2Fb.ndjson", "a.ndjson"]);
}

#[test]
fn without_names_every_collection_is_exported() {
    let directory = tempfile::tempdir().expect("a directory");
    let listed = r#"{"data":{"collections":[{"name":"movies"}]}}"#;
    let server = TestServer::start(vec![answer("200 OK", listed), answer("200 OK", "{}\n")]);
    run(&arguments(&server, &[], directory.path())).expect("exported");
    assert_eq!(entries(directory.path()), ["movies.ndjson"]);
    let lines: Vec<String> = server
        .received()
        .into_iter()
        .map(|request| request.line)
        .collect();
    assert_eq!(lines, ["POST /graphql", "GET /export/movies"]);
}

#[test]
fn a_broken_stream_leaves_what_was_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out.ndjson");
    fs::write(&path, "old").expect("written");
    let server = TestServer::start(vec![chunked(&["{}\n"], false)]);
    let error = run(&arguments(&server, &["--collection", "a"], &path)).expect_err("cut off");
    assert!(
        format!("{error:#}").starts_with("cannot export a: "),
        "{error:#}"
    );
    assert_eq!(entries(directory.path()), ["out.ndjson"]);
    assert_eq!(fs::read_to_string(&path).expect("a file"), "old");
}

#[test]
fn an_unknown_collection_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let body = r#"{"errors":[{"message":"no such collection","extensions":{"code":"NOT_FOUND"}}]}"#;
    let server = TestServer::start(vec![answer("404 Not Found", body)]);
    let error = run(&arguments(
        &server,
        &["--collection", "x"],
        &directory.path().join("f"),
    ))
    .expect_err("refused");
    assert_eq!(
        format!("{error:#}"),
        "x: the server refused (404 NOT_FOUND): no such collection"
    );
    assert!(entries(directory.path()).is_empty());
}

#[test]
fn file_names_stay_in_their_directory() {
    for (collection, expected) in [
        ("movies", "movies.ndjson"),
        ("Größe 1", "Gr%C3%B6%C3%9Fe 1.ndjson"),
        ("a/b", "a%2Fb.ndjson"),
        ("..", "%2E..ndjson"),
        ("100%", "100%25.ndjson"),
    ] {
        assert_eq!(file_name(collection), expected);
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    assert!(quiet_when_reader_left(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
    assert!(quiet_when_reader_left(Err(io::ErrorKind::StorageFull.into())).is_err());
}

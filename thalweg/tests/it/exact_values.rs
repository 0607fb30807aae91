//! Numbers and texts pass the whole server as they are: import, variables over HTTP, typed fields, export.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::lost_answer::Server;

/// What JSON holds and careless parsers do not keep, and what a typed field shows of it.
const VALUES: [(&str, &str); 12] = [
    ("1000000000000001", "1000000000000001"),
    ("9007199254740993", "\"9007199254740993\""),
    ("9223372036854775808", "\"9223372036854775808\""),
    ("-0", "-0"),
    ("1e-7", "1e-7"),
    ("0.30000000000000004", "0.30000000000000004"),
    ("0.10", "0.10"),
    ("\"\u{1f389}\"", "\"\u{1f389}\""),
    ("\"a\\u0000b\"", "\"a\\u0000b\""),
    (
        "\"2024-02-29T12:00:00.123456789+05:30\"",
        "\"2024-02-29T12:00:00.123456789+05:30\"",
    ),
    ("\"2024-02-29\"", "\"2024-02-29\""),
    ("\"\\\"\\\\\\n\"", "\"\\\"\\\\\\n\""),
];

fn ask(server: &Server, method: &str, path: &str, kind: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(&server.address).expect("it listens");
    // HTTP/1.0, so that the body ends with the connection and is not sent in chunks.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    body.to_owned()
}

#[test]
fn values_pass_the_server_unchanged() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path());
    let member = |position: usize, value: &str| format!("\"f{position}\":{value}");
    let members = |values: &dyn Fn(usize) -> String| -> String {
        let all: Vec<String> = (0..VALUES.len()).map(values).collect();
        all.join(",")
    };
    let stored = members(&|position| member(position, VALUES[position].0));
    let shown = members(&|position| member(position, VALUES[position].1));
    let line = format!("{{\"id\":\"imported\",{stored}}}");
    let report = ask(
        &server,
        "POST",
        "/import/things",
        "application/x-ndjson",
        &format!("{line}\n"),
    );
    assert!(report.contains("\"inserted\":1"), "{report}");

    // What a typed field shows is what a typed input takes.
    let mutation = format!(
        "{{\"query\":\"mutation ($input: ThingInput!) {{ createThing(input: $input) {{ id }} }}\",\
          \"variables\":{{\"input\":{{\"id\":\"typed\",{shown}}}}}}}"
    );
    let created = ask(&server, "POST", "/graphql", "application/json", &mutation);
    assert!(
        created.contains("\"createThing\":{\"id\":\"typed\"}"),
        "{created}"
    );
    let insert = format!(
        "{{\"query\":\"mutation ($documents: [JSON!]!) {{ insertDocuments(collection: \\\"things\\\", documents: $documents) }}\",\
          \"variables\":{{\"documents\":[{{\"id\":\"untyped\",{stored}}}]}}}}"
    );
    let inserted = ask(&server, "POST", "/graphql", "application/json", &insert);
    assert!(
        inserted.contains(&format!("{{\"id\":\"untyped\",{stored}}}")),
        "{inserted}"
    );

    let fields: Vec<String> = (0..VALUES.len()).map(|it| format!("f{it}")).collect();
    let query = format!(
        "{{\"query\":\"{{ things {{ nodes {{ {} }} }} }}\"}}",
        fields.join(" ")
    );
    let read = ask(&server, "POST", "/graphql", "application/json", &query);
    assert_eq!(read.matches(&format!("{{{shown}}}")).count(), 3, "{read}");
    let exported = ask(&server, "GET", "/export/things", "application/json", "");
    for id in ["imported", "typed", "untyped"] {
        assert!(
            exported
                .lines()
                .any(|line| line == format!("{{\"id\":\"{id}\",{stored}}}")),
            "{id}: {exported}"
        );
    }
    for refused in ["{\"f4\":1E400}", "{\"f7\":\"\\ud800\"}"] {
        let report = ask(
            &server,
            "POST",
            "/import/things",
            "application/x-ndjson",
            refused,
        );
        assert!(
            report.contains("\"failed\":1") || report.contains("\"errors\""),
            "{report}"
        );
    }
}

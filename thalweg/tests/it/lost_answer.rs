//! A client whose server is killed before it has read the answer asks again, and gets the first answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running server; killed when it is dropped.
pub(super) struct Server {
    process: Child,
    pub(super) address: String,
}

impl Server {
    pub(super) fn start(data: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_thalweg"))
            .args(["dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it is");
        let address = line
            .trim_end()
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .expect("a URL");
        let address = address.to_owned();
        Server { process, address }
    }

    /// Sends an operation and leaves the answer to whoever wants to read it.
    fn send(&self, query: &str, key: Option<&str>) -> TcpStream {
        let body = format!("{{\"query\":\"{query}\"}}");
        let key = key.map_or(String::new(), |key| format!("Idempotency-Key: {key}\r\n"));
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let request = format!(
            "POST /graphql HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{key}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        stream
    }

    fn ask(&self, query: &str, key: Option<&str>) -> String {
        let mut answer = String::new();
        self.send(query, key)
            .read_to_string(&mut answer)
            .expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        body.to_owned()
    }

    /// As with `kill -9`.
    fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_retry_after_a_lost_answer_gets_it() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start(data.path());
    let add = "mutation { insertDocuments(collection: \\\"orders\\\", documents: [{total: 7}]) }";
    let count = "{ collections { count } }";
    let unread = server.send(add, Some("order-7"));
    while !server.ask(count, None).contains(r#""count":1"#) {
        std::thread::yield_now();
    }
    server.kill();
    drop(unread);

    let server = Server::start(data.path());
    let answer = server.ask(add, Some("order-7"));
    assert!(answer.contains(r#""total":7"#), "{answer}");
    assert_eq!(server.ask(add, Some("order-7")), answer);
    assert!(server.ask(count, None).contains(r#""count":1"#));
    let written = server.ask("{ orders { nodes { _commitTs } } }", None);
    let commit_ts = answer
        .split_once("\"commitTs\":\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .expect("it has a commitTs")
        .0;
    assert!(written.contains(commit_ts), "{written}");
    // Another request cannot have the answer.
    let other = add.replace('7', "8");
    assert!(server.ask(&other, Some("order-7")).contains("BAD_REQUEST"));
}

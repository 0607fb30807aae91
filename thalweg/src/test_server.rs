//! A tiny HTTP server for the tests of the client side: answers requests with prepared bytes, and
//! gives back what it was sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use crate::client::ServerUrl;

/// A request as it arrived, its body no longer in chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// Method and target, such as `GET /export/a`.
    pub(crate) line: String,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
}

/// A server that answers one request per prepared answer, then stops listening.
pub(crate) struct TestServer {
    pub(crate) url: ServerUrl,
    thread: JoinHandle<Vec<Received>>,
}

impl TestServer {
    /// Serves `answers` (whole HTTP responses) in order, each on a connection of its own.
    pub(crate) fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let thread = thread::spawn(move || {
            answers
                .into_iter()
                .map(|answer| {
                    let (mut stream, _) = listener.accept().expect("a connection");
                    let received = read_request(&stream);
                    stream
                        .write_all(answer.as_bytes())
                        .expect("the client reads");
                    received
                })
                .collect()
        });
        let url = format!("http://{address}").parse().expect("a valid URL");
        TestServer { url, thread }
    }

    /// What was received, once every prepared answer has been given.
    pub(crate) fn received(self) -> Vec<Received> {
        self.thread
            .join()
            .expect("the server thread does not panic")
    }
}

/// A complete response with that status, such as `200 OK`.
pub(crate) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// A chunked response; `complete` says whether the last chunk is sent.
pub(crate) fn chunked(chunks: &[&str], complete: bool) -> String {
    let mut text =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n".to_owned();
    for chunk in chunks {
        text.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    }
    if complete {
        text.push_str("0\r\n\r\n");
    }
    text
}

fn read_request(stream: &TcpStream) -> Received {
    let mut reader = BufReader::new(stream);
    let line = read_line(&mut reader);
    let (mut content_type, mut length, mut in_chunks) = (None, 0, false);
    loop {
        let header = read_line(&mut reader);
        let Some((name, value)) = header.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-type" => content_type = Some(value.to_owned()),
            "content-length" => length = value.parse().expect("a length"),
            "transfer-encoding" => in_chunks = value == "chunked",
            _ => {}
        }
    }
    let mut body = Vec::new();
    while in_chunks {
        let size = usize::from_str_radix(&read_line(&mut reader), 16).expect("a chunk size");
        read_exactly(&mut reader, size, &mut body);
        assert_eq!(read_line(&mut reader), "");
        in_chunks = size > 0;
    }
    read_exactly(&mut reader, length, &mut body);
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    Received {
        line,
        content_type,
        body: String::from_utf8(body).expect("text"),
    }
}

fn read_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

fn read_exactly(reader: &mut impl Read, size: usize, into: &mut Vec<u8>) {
    let read = reader.take(size as u64).read_to_end(into).expect("a body");
    assert_eq!(read, size);
}

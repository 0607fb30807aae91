//! The forms of answer that are understood, and that a cut-off one is an error.

use super::*;

#[track_caller]
fn check(text: &str, expected: Option<(u16, &str)>) {
    let read = read_response(&mut text.as_bytes()).ok();
    let expected = expected.map(|(status, body)| Response {
        status,
        body: body.into(),
    });
    assert_eq!(read, expected, "{text:?}");
}

#[test]
fn a_length_or_chunks() {
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        Some((200, "abc")),
    );
    check(
        "HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n",
        Some((404, "")),
    );
    let chunks =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n";
    check(&format!("{chunks}0\r\n\r\n"), Some((200, "abc0123456789")));
    check(chunks, None);
}

#[test]
fn anything_else_is_an_error() {
    check("", None);
    check("HTTP/1.1 2", None);
    check("SSH-2.0-x\r\n\r\n", None);
    check("HTTP/1.1 200 OK\r\n\r\n", None);
    check("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc", None);
    check(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        None,
    );
}

#[test]
fn a_connection_serves_several_requests() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut seen = Vec::new();
        for expected in ["GET /a HTTP/1.1", "POST /b HTTP/1.1"] {
            let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
            assert_eq!(read_line(&mut reader).expect("a line"), expected);
            while !read_line(&mut reader).expect("a header").is_empty() {}
            let body = if expected.starts_with("POST") { 2 } else { 0 };
            seen.extend(read_exactly(&mut reader, body).expect("a body"));
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")
                .expect("sent");
        }
        seen
    });
    let mut connection = Connection::open(&address).expect("connected");
    assert_eq!(connection.get("/a").expect("an answer").body, b"x");
    assert_eq!(
        connection.post_json("/b", "{}").expect("an answer").status,
        200
    );
    assert_eq!(server.join().expect("no panic"), b"{}");
}

//! Addresses, and what each kind of bad answer becomes.

use std::net::TcpListener;

use super::*;
use crate::test_server::{TestServer, answer, chunked};

#[test]
fn server_urls() {
    for (text, expected) in [
        ("http://127.0.0.1:4000", Ok("http://127.0.0.1:4000")),
        ("HTTP://db.example/", Ok("http://db.example")),
        ("http://[::1]:80/thalweg/", Ok("http://[::1]:80/thalweg")),
        ("https://db.example", Err("https is not in this build")),
        ("ftp://db.example", Err("not http")),
        ("127.0.0.1:4000", Err("expected a URL")),
        ("http://", Err("expected http://")),
        ("http://db?x=1", Err("without user, query")),
        ("http://user@db", Err("without user, query")),
        ("http://a b", Err("expected http://")),
    ] {
        match (text.parse::<ServerUrl>(), expected) {
            (Ok(url), Ok(expected)) => assert_eq!(url.to_string(), expected, "{text}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn names_are_escaped_in_paths_and_queries() {
    let client = Client::new(&"http://db/x".parse().expect("valid"));
    assert_eq!(
        client.url(
            &["import", "a/b ü"],
            &[("idField", "x&y.z"), ("atomic", "true")]
        ),
        "http://db/x/import/a%2Fb%20%C3%BC?idField=x%26y.z&atomic=true",
    );
}

#[test]
fn no_server_says_how_to_start_one() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let error = Client::new(&url.parse().expect("valid"))
        .get(&["x"])
        .expect_err("nobody listens");
    assert!(
        matches!(error, ClientError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("thalweg dev"), "{error}");
}

#[test]
fn a_refusal_shows_the_reason_of_the_server() {
    let body = r#"{"errors":[{"message":"no collection `x`","extensions":{"code":"NOT_FOUND"}}]}"#;
    for (body, expected) in [
        (
            body,
            "the server refused (404 NOT_FOUND): no collection `x`",
        ),
        ("nothing here\n", "the server refused (404): nothing here"),
        ("", "the server refused (404): no reason given"),
    ] {
        let server = TestServer::start(vec![answer("404 Not Found", body)]);
        let error = Client::new(&server.url)
            .get(&["export", "x"])
            .expect_err("refused");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_query_gives_data_or_the_first_error() {
    #[derive(Debug, Deserialize)]
    struct Data {
        n: u8,
    }
    let run = |body: &str| {
        let server = TestServer::start(vec![answer("200 OK", body)]);
        let result = Client::new(&server.url).query::<Data>("{ n }");
        let received = server.received();
        assert_eq!(received[0].line, "POST /graphql");
        assert_eq!(received[0].body, r#"{"query":"{ n }"}"#);
        result
    };
    assert_eq!(run(r#"{"data":{"n":7}}"#).expect("data").n, 7);
    let refused =
        run(r#"{"data":null,"errors":[{"message":"no","extensions":{"code":"TIMEOUT"}}]}"#);
    assert_eq!(
        refused.expect_err("an error").to_string(),
        "the server refused (200 TIMEOUT): no"
    );
    assert!(matches!(run("{}"), Err(ClientError::NotUnderstood { .. })));
    assert!(matches!(
        run("<html>"),
        Err(ClientError::NotUnderstood { .. })
    ));
}

#[test]
fn an_answer_that_is_cut_off_is_an_error() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_owned();
    for response in [cut, chunked(&["abc"], false)] {
        let server = TestServer::start(vec![response]);
        let answer = Client::new(&server.url)
            .get(&["x"])
            .expect("the head arrived");
        let error = answer.text().expect_err("the body did not");
        assert!(
            matches!(error, ClientError::Interrupted { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn a_body_that_cannot_be_read_is_not_blamed_on_the_connection() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("bad sector"))
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let client = Client::new(&url.parse().expect("valid"));
    let error = client
        .post(&["x"], &[], "text/csv", &mut Broken)
        .expect_err("unreadable");
    assert!(matches!(&error, ClientError::Input(_)), "{error:?}");
    assert!(error.to_string().contains("bad sector"), "{error}");
}

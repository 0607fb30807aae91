//! GraphQL over HTTP: negotiation, statuses, and requests that are not well-formed.

use std::time::Duration;

use crate::double::{Served, until};
use crate::http::{Connection, ask, get};

const JSON: &str = "content-type: application/json";
const GRAPHQL: &str = "accept: application/graphql-response+json";

#[tokio::test]
async fn the_media_type_follows_the_accept_header() {
    let served = Served::start().await;
    let body = r#"{"query":"{ value }"}"#;
    for (accept, expected) in [
        ("x-none: 1", "application/json; charset=utf-8"),
        ("accept: */*", "application/json; charset=utf-8"),
        (
            "accept: application/json",
            "application/json; charset=utf-8",
        ),
        (GRAPHQL, "application/graphql-response+json; charset=utf-8"),
    ] {
        let response = ask(served.address, "POST", "/graphql", &[JSON, accept], body).await;
        assert_eq!(response.status, 200, "{accept}");
        assert_eq!(response.header("content-type"), Some(expected), "{accept}");
        assert_eq!(response.body, r#"{"data":{"value":1}}"#);
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    let response = ask(
        served.address,
        "POST",
        "/graphql",
        &[JSON, "accept: image/png"],
        body,
    )
    .await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (406, "BAD_REQUEST")
    );
}

#[tokio::test]
async fn a_wish_for_a_protocol_that_is_not_spoken_is_ignored() {
    let served = Served::start().await;
    let target = "/graphql?query=%7Bvalue%7D";
    let h2c = [
        "connection: upgrade, http2-settings",
        "upgrade: h2c",
        "http2-settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ];
    for headers in [&h2c[..], &["connection: upgrade", "upgrade: TLS/1.3, foo"]] {
        let response = ask(served.address, "GET", target, headers, "").await;
        assert_eq!(
            (response.status, response.body.as_str()),
            (200, r#"{"data":{"value":1}}"#)
        );
    }
    let half = ["connection: upgrade", "upgrade: h2c, WebSocket"];
    let response = ask(served.address, "GET", target, &half, "").await;
    assert_eq!(response.status, 400);
}

#[tokio::test]
async fn statuses_tell_failures_only_in_the_media_type_that_allows_it() {
    let served = Served::start().await;
    for (query, status, code) in [
        ("{", 400, "PARSE_FAILED"),
        ("{ nothing }", 400, "VALIDATION_FAILED"),
        ("{ forbidden }", 403, "FORBIDDEN"),
        ("{ panic }", 500, "INTERNAL"),
    ] {
        let body = format!("{{\"query\":\"{query}\"}}");
        let response = ask(served.address, "POST", "/graphql", &[JSON, GRAPHQL], &body).await;
        assert_eq!(
            (response.status, response.code().as_str()),
            (status, code),
            "{query}"
        );
        assert!(response.json().get("data").is_none());
        let response = ask(served.address, "POST", "/graphql", &[JSON], &body).await;
        assert_eq!(
            (response.status, response.code().as_str()),
            (200, code),
            "{query}"
        );
    }
    let failing = r#"{"query":"{ failing }"}"#;
    let response = ask(
        served.address,
        "POST",
        "/graphql",
        &[JSON, GRAPHQL],
        failing,
    )
    .await;
    assert_eq!(
        response.status, 200,
        "data is null, but the operation was executed"
    );
}

#[tokio::test]
async fn requests_that_are_not_well_formed_are_refused() {
    let served = Served::start().await;
    for (headers, body, status) in [
        (&[][..], "{\"query\":\"{value}\"}", 415),
        (
            &["content-type: text/plain"],
            "{\"query\":\"{value}\"}",
            415,
        ),
        (
            &["content-type: application/json; charset=utf-16"],
            "{\"query\":\"{value}\"}",
            415,
        ),
        (&[JSON], "", 400),
        (&[JSON], "{\"query", 400),
        (&[JSON], "[]", 400),
        (&[JSON], "[{\"query\":\"{value}\"}", 400),
        (&[JSON], "{\"query\":\"{value}\",\"variables\":[]}", 400),
    ] {
        let response = ask(served.address, "POST", "/graphql", headers, body).await;
        assert_eq!(
            (response.status, response.code().as_str()),
            (status, "BAD_REQUEST"),
            "{body}"
        );
    }
    for method in ["PUT", "DELETE", "PATCH"] {
        let response = ask(served.address, method, "/graphql", &[], "").await;
        assert_eq!(
            (response.status, response.code().as_str()),
            (405, "BAD_REQUEST"),
            "{method}"
        );
        assert_eq!(response.header("allow"), Some("GET,HEAD,POST"), "{method}");
    }
}

#[tokio::test]
async fn get_reads_and_never_writes() {
    let served = Served::start().await;
    let response = get(
        served.address,
        "/graphql?query=%7Bvariables%7D&variables=%7B%22a%22:1%7D",
    )
    .await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (200, r#"{"data":{"a":1}}"#)
    );
    for accept in [
        GRAPHQL,
        "accept: application/json",
        "accept: text/event-stream",
    ] {
        let target = "/graphql?query=mutation%20%7Bvalue%7D";
        let response = ask(served.address, "GET", target, &[accept], "").await;
        assert_eq!(
            (response.status, response.header("allow")),
            (405, Some("POST")),
            "{accept}"
        );
    }
    assert_eq!(*served.double.value.borrow(), 1);
    assert_eq!(get(served.address, "/graphql").await.status, 400);
    let page = ask(
        served.address,
        "GET",
        "/graphql",
        &["accept: text/html,*/*;q=0.8"],
        "",
    )
    .await;
    assert_eq!((page.status, page.header("location")), (303, Some("/")));
}

#[tokio::test]
async fn a_subscription_needs_a_transport_that_streams_and_a_live_query_does_not() {
    let served = Served::start().await;
    let body = r#"{"query":"subscription { value }"}"#;
    let response = ask(served.address, "POST", "/graphql", &[JSON, GRAPHQL], body).await;
    assert_eq!(response.status, 406);
    assert!(response.message().contains("text/event-stream"));
    let body = r#"{"query":"query @live { value }"}"#;
    let response = ask(served.address, "POST", "/graphql", &[JSON], body).await;
    assert_eq!(response.json()["extensions"]["thalweg"]["live"], false);
}

#[tokio::test]
async fn a_text_of_5_mb_is_refused_at_once_and_the_connection_goes_on() {
    let served = Served::start().await;
    let body = format!("{{\"query\":\"{{ value {} }}\"}}", "x".repeat(5_000_000));
    let mut connection = Connection::open(served.address).await;
    let response = connection.ask("POST", "/graphql", &[JSON], &body).await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (413, "LIMIT_EXCEEDED")
    );
    assert!(response.message().contains("4194304 bytes"));
    let response = connection
        .ask("POST", "/graphql", &[JSON], r#"{"query":"{ value }"}"#)
        .await;
    assert_eq!(response.status, 200);

    let text = format!("{{\"query\":\"{{ value {} }}\"}}", "x".repeat(2_000_000));
    let response = connection.ask("POST", "/graphql", &[JSON], &text).await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (413, "LIMIT_EXCEEDED")
    );
    assert!(response.message().contains("send data as variables"));

    let head = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 5000000\r\nexpect: 100-continue\r\n\r\n";
    let mut connection = Connection::open(served.address).await;
    connection.write(head.as_bytes()).await;
    assert_eq!(
        connection.receive().await.status,
        413,
        "without `100 Continue` before"
    );
}

#[tokio::test]
async fn a_panic_is_answered_and_the_server_lives() {
    let served = Served::start().await;
    let mut connection = Connection::open(served.address).await;
    let body = r#"{"query":"{ panic in prepare }"}"#;
    let response = connection.ask("POST", "/graphql", &[JSON], body).await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (500, "INTERNAL")
    );
    let body = r#"{"query":"mutation { panic }"}"#;
    let response = connection
        .ask("POST", "/graphql", &[JSON, GRAPHQL], body)
        .await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (500, "INTERNAL")
    );
    assert_eq!(get(served.address, "/healthz").await.status, 200);
}

#[tokio::test]
async fn a_mutation_runs_to_its_end_when_the_client_hangs_up() {
    let served = Served::start().await;
    let mut connection = Connection::open(served.address).await;
    connection
        .send(
            "POST",
            "/graphql",
            &[JSON],
            br#"{"query":"mutation { slow }"}"#,
        )
        .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(connection);
    until(|| {
        served
            .double
            .mutations
            .load(std::sync::atomic::Ordering::SeqCst)
            == 1
    })
    .await;
}

#[tokio::test]
async fn a_long_response_leaves_in_chunks() {
    let served = Served::start().await;
    let long = r#"{"query":"{ long }"}"#;
    for accept in [GRAPHQL, "accept: application/json"] {
        let response = ask(served.address, "POST", "/graphql", &[JSON, accept], long).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
        let media = accept.trim_start_matches("accept: ");
        let content_type = format!("{media}; charset=utf-8");
        assert_eq!(response.header("content-type"), Some(&*content_type));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        let data = response.json()["data"].as_str().map(str::len);
        assert_eq!(data, Some(1 << 20));
    }
    // One that cannot be completed must not look whole.
    let failing = r#"{"query":"{ long failing }"}"#;
    let response = ask(served.address, "POST", "/graphql", &[JSON], failing).await;
    assert!(!response.whole);
}

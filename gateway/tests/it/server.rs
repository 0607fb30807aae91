//! Origins, connections, and shutting down.

use std::time::{Duration, Instant};

use thalweg_gateway::{Drained, GatewayOptions, OriginPolicy};
use tokio::net::TcpStream;

use crate::double::{Served, within};
use crate::http::{Connection, ask, get};

const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn foreign_hosts_and_origins_get_nothing() {
    let served = Served::start().await;
    let body = r#"{"query":"mutation { value }"}"#;
    for (header, status) in [
        ("host: evil.test", 403),
        ("host: localhost:1", 200),
        ("origin: http://evil.test", 403),
        ("origin: null", 403),
        ("origin: http://localhost:3000", 200),
    ] {
        let response = ask(served.address, "POST", "/graphql", &[JSON, header], body).await;
        assert_eq!(response.status, status, "{header}");
        if status == 403 {
            assert_eq!(response.code(), "FORBIDDEN", "{header}");
            assert!(response.header("access-control-allow-origin").is_none());
        }
    }
    assert_eq!(*served.double.value.borrow(), 3);
    let rebound = ask(
        served.address,
        "GET",
        "http://evil.test/",
        &["host: localhost"],
        "",
    )
    .await;
    assert_eq!(rebound.status, 403, "an absolute target has precedence");
    let import = ask(
        served.address,
        "POST",
        "/import/c",
        &["origin: http://evil.test"],
        "{}",
    )
    .await;
    assert_eq!(import.status, 403);
}

#[tokio::test]
async fn allowed_origins_pass_preflight_and_may_read() {
    let options = GatewayOptions {
        origins: OriginPolicy::AllowList {
            hosts: vec![],
            origins: vec!["https://app.example.com".into()],
        },
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let origin = "origin: https://app.example.com";
    let preflight = [
        origin,
        "access-control-request-method: POST",
        "access-control-request-headers: content-type,x-own",
    ];
    let response = ask(served.address, "OPTIONS", "/graphql", &preflight, "").await;
    assert_eq!(response.status, 204);
    assert_eq!(
        response.header("access-control-allow-origin"),
        Some("https://app.example.com")
    );
    assert_eq!(
        response.header("access-control-allow-headers"),
        Some("content-type,x-own")
    );
    let response = ask(served.address, "GET", "/healthz", &[origin], "").await;
    assert_eq!(
        response.header("access-control-allow-origin"),
        Some("https://app.example.com")
    );
    let foreign = [
        "origin: https://other.example.com",
        "access-control-request-method: POST",
    ];
    assert_eq!(
        ask(served.address, "OPTIONS", "/graphql", &foreign, "")
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_others_to_end() {
    let options = GatewayOptions {
        connections_max: 1,
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let mut first = Connection::open(served.address).await;
    assert_eq!(first.ask("GET", "/healthz", &[], "").await.status, 200);
    let mut second = Connection::open(served.address).await;
    second.send("GET", "/healthz", &[], b"").await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.head()).await;
    assert!(early.is_err(), "not yet accepted");
    drop(first);
    assert_eq!(second.receive().await.status, 200);
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_idle_connections_are_closed() {
    let mut served = Served::start().await;
    let mut idle = Connection::open(served.address).await;
    assert_eq!(idle.ask("GET", "/healthz", &[], "").await.status, 200);
    let mut stream = Connection::open(served.address).await;
    let body = br#"{"query":"subscription { value }"}"#;
    stream
        .send(
            "POST",
            "/graphql",
            &[JSON, "accept: text/event-stream"],
            body,
        )
        .await;
    stream.head().await;
    assert!(stream.chunk().await.is_some());
    let mut busy = Connection::open(served.address).await;
    busy.send(
        "POST",
        "/graphql",
        &[JSON],
        br#"{"query":"mutation { slow }"}"#,
    )
    .await;
    tokio::time::sleep(Duration::from_millis(50)).await;

    served.begin_shutdown();
    let response = busy.receive().await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (200, r#"{"data":{"set":true}}"#)
    );
    while let Some(chunk) = stream.chunk().await {
        assert!(
            !chunk.contains("complete"),
            "a client that is not told `complete` comes back"
        );
    }
    let address = served.address;
    assert_eq!(within(served.shut_down()).await, Drained::Completely);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_drain_takes_no_longer_than_it_may() {
    let options = GatewayOptions {
        drain_timeout: Duration::from_millis(100),
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let mut connection = Connection::open(served.address).await;
    connection
        .write(b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n")
        .await;
    connection
        .write(b"content-type: application/json\r\n\r\n{")
        .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    assert_eq!(within(served.shut_down()).await, Drained::CutOff(1));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_client_that_sends_too_slowly_is_told_so() {
    let options = GatewayOptions {
        read_timeout: Duration::from_millis(50),
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let mut connection = Connection::open(served.address).await;
    let head = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\
                content-type: application/json\r\n\r\n{";
    connection.write(head.as_bytes()).await;
    let response = connection.receive().await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (408, "TIMEOUT")
    );
    assert_eq!(get(served.address, "/healthz").await.status, 200);
}

#[tokio::test]
async fn a_client_that_sends_now_and_then_is_told_so_too() {
    let options = GatewayOptions {
        read_timeout: Duration::from_millis(200),
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let mut connection = Connection::open(served.address).await;
    let head = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\
                content-type: application/json\r\n\r\n{";
    connection.write(head.as_bytes()).await;
    for _ in 0..7 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        connection.write(b" ").await;
    }
    let response = connection.receive().await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (408, "TIMEOUT")
    );
    assert!(response.message().contains("was not whole"));
    assert_eq!(response.header("connection"), Some("close"));
}

//! `graphql-transport-ws`: every message, every close code, and clients that do not read.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use thalweg_gateway::{Drained, GatewayOptions};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::double::{Served, until, within};
use crate::http::ask;

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(served: &Served, protocol: Option<&str>) -> Self {
        let mut request = format!("ws://{}/graphql", served.address)
            .into_client_request()
            .expect("a valid address");
        if let Some(protocol) = protocol {
            let value = protocol.parse().expect("a header's value");
            request
                .headers_mut()
                .insert("sec-websocket-protocol", value);
        }
        let stream = TcpStream::connect(served.address)
            .await
            .expect("the server listens");
        // The client checks that a protocol it asked for is chosen; what the server does is tested anyway.
        let (socket, _) = client_async(request, stream).await.expect("a handshake");
        Self(socket)
    }

    async fn ready(served: &Served) -> Self {
        let mut socket = Self::open(served, Some("graphql-transport-ws")).await;
        socket
            .send(json!({"type": "connection_init", "payload": {"any": "thing"}}))
            .await;
        assert_eq!(socket.next().await, json!({"type": "connection_ack"}));
        socket
    }

    async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    async fn send_text(&mut self, text: &str) {
        self.0
            .send(Message::text(text))
            .await
            .expect("the server reads");
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({"id": id, "type": "subscribe", "payload": {"query": query}}))
            .await;
    }

    async fn next(&mut self) -> Value {
        loop {
            match within(self.0.next())
                .await
                .expect("open")
                .expect("no error")
            {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Close(frame) => panic!("closed with {frame:?}"),
                _ => {}
            }
        }
    }

    /// Reads to the close frame: its code and reason.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            match within(self.0.next())
                .await
                .expect("a close frame")
                .expect("no error")
            {
                Message::Close(Some(frame)) => {
                    return (frame.code.into(), frame.reason.as_str().to_owned());
                }
                Message::Close(None) => panic!("closed without a code"),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn operations_of_every_kind_run() {
    let served = Served::start().await;
    let mut socket = Socket::ready(&served).await;
    for query in ["{ value }", "mutation { value }"] {
        socket.subscribe("1", query).await;
        let next = socket.next().await;
        assert_eq!(
            (next["type"].as_str(), next["id"].as_str()),
            (Some("next"), Some("1"))
        );
        assert!(next["payload"]["data"].is_object());
        assert_eq!(socket.next().await, json!({"type": "complete", "id": "1"}));
    }
    socket.subscribe("2", "subscription { finite }").await;
    assert_eq!(socket.next().await["payload"]["data"]["value"], 1);
    assert_eq!(socket.next().await["payload"]["data"]["value"], 2);
    assert_eq!(socket.next().await, json!({"type": "complete", "id": "2"}));
    socket.subscribe("3", "query @live { value }").await;
    assert_eq!(socket.next().await["payload"]["data"]["value"], 2);
    served.double.value.send_replace(9);
    assert_eq!(socket.next().await["payload"]["data"]["value"], 9);
    let variables =
        json!({"query": "{ variables }", "variables": {"a": "\n"}, "operationName": null});
    socket
        .send(json!({"id": "4", "type": "subscribe", "payload": variables}))
        .await;
    assert_eq!(socket.next().await["payload"]["data"]["a"], "\n");
}

#[tokio::test]
async fn failures_before_execution_are_error_messages() {
    let served = Served::start().await;
    let mut socket = Socket::ready(&served).await;
    for (query, code) in [
        ("{", "PARSE_FAILED"),
        ("{ nothing }", "VALIDATION_FAILED"),
        ("{ forbidden }", "FORBIDDEN"),
        ("subscription { forbidden }", "FORBIDDEN"),
        ("{ panic }", "INTERNAL"),
        ("{ panic in prepare }", "INTERNAL"),
        ("mutation { panic }", "INTERNAL"),
        ("subscription { panic }", "INTERNAL"),
    ] {
        socket.subscribe("1", query).await;
        let error = socket.next().await;
        assert_eq!(error["type"], "error", "{query}");
        assert_eq!(error["payload"][0]["extensions"]["code"], code, "{query}");
    }
    socket
        .subscribe("1", &format!("{{ value {} }}", "x".repeat(1 << 20)))
        .await;
    assert_eq!(
        socket.next().await["payload"][0]["extensions"]["code"],
        "LIMIT_EXCEEDED"
    );
    socket.subscribe("1", "subscription { failing }").await;
    assert_eq!(socket.next().await["type"], "next");
    assert_eq!(socket.next().await["type"], "next");
    assert_eq!(
        socket.next().await["payload"][0]["extensions"]["code"],
        "SCHEMA_CHANGED"
    );
    socket.subscribe("1", "{ failing }").await;
    assert_eq!(socket.next().await["type"], "next", "null data is a result");
}

#[tokio::test]
async fn pings_are_answered() {
    let served = Served::start().await;
    let mut socket = Socket::open(&served, Some("graphql-transport-ws")).await;
    socket
        .send(json!({"type": "ping", "payload": {"at": 1}}))
        .await;
    assert_eq!(
        socket.next().await,
        json!({"type": "pong", "payload": {"at": 1}})
    );
    socket.send(json!({"type": "ping"})).await;
    assert_eq!(socket.next().await, json!({"type": "pong"}));
    socket.send(json!({"type": "pong"})).await;
    socket
        .0
        .send(Message::Ping("x".into()))
        .await
        .expect("open");
    let pong = within(socket.0.next())
        .await
        .expect("open")
        .expect("no error");
    assert_eq!(pong, Message::Pong("x".into()));
}

#[tokio::test]
async fn every_breach_has_its_close_code() {
    let served = Served::start().await;
    let init = json!({"type": "connection_init"});
    let subscribe =
        json!({"id": "a", "type": "subscribe", "payload": {"query": "subscription { value }"}});
    let table = [
        (vec!["not json".to_owned()], 4400, "Invalid message"),
        (
            vec![json!({"type": "hello"}).to_string()],
            4400,
            "Invalid message type 'hello'",
        ),
        (
            vec![init.to_string(), json!({"type": "complete"}).to_string()],
            4400,
            "needs an id",
        ),
        (
            vec![
                init.to_string(),
                json!({"id": "a", "type": "subscribe", "payload": {"query": 1}}).to_string(),
            ],
            4400,
            "`query` must be a string",
        ),
        (vec![subscribe.to_string()], 4401, "Unauthorized"),
        (
            vec![init.to_string(), init.to_string()],
            4429,
            "Too many initialisation requests",
        ),
        (
            vec![
                init.to_string(),
                subscribe.to_string(),
                subscribe.to_string(),
            ],
            4409,
            "Subscriber for a already exists",
        ),
        (vec!["x".repeat(5_000_000)], 1009, "4194304 bytes"),
    ];
    for (messages, code, reason) in table {
        let mut socket = Socket::open(&served, Some("graphql-transport-ws")).await;
        for message in &messages {
            socket.send_text(message).await;
        }
        let closed = socket.closed().await;
        assert_eq!(closed.0, code, "{closed:?}");
        assert!(closed.1.contains(reason), "{closed:?}");
    }
    let mut socket = Socket::open(&served, Some("graphql-transport-ws")).await;
    socket
        .0
        .send(Message::binary(b"{}".to_vec()))
        .await
        .expect("open");
    assert_eq!(socket.closed().await.0, 4400);
    let mut socket = Socket::open(&served, None).await;
    assert_eq!(
        socket.closed().await,
        (4406, "Subprotocol not acceptable".into())
    );
    until(|| served.double.living.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn initialisation_must_come_in_time() {
    let options = GatewayOptions {
        init_timeout: Duration::from_millis(50),
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let mut socket = Socket::open(&served, Some("graphql-transport-ws")).await;
    assert_eq!(
        socket.closed().await,
        (4408, "Connection initialisation timeout".into())
    );
}

#[tokio::test]
async fn complete_ends_an_operation_and_frees_its_id() {
    let served = Served::start().await;
    let mut socket = Socket::ready(&served).await;
    for _ in 0..20 {
        socket.subscribe("1", "subscription { value }").await;
        assert_eq!(socket.next().await["type"], "next");
        socket.send(json!({"type": "complete", "id": "1"})).await;
    }
    until(|| served.double.living.load(Ordering::SeqCst) == 0).await;
    socket
        .send(json!({"type": "complete", "id": "unknown"}))
        .await;
    socket.subscribe("2", "mutation { slow }").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    socket.send(json!({"type": "complete", "id": "2"})).await;
    until(|| served.double.mutations.load(Ordering::SeqCst) == 1).await;
    socket.subscribe("3", "{ value }").await;
    assert_eq!(
        socket.next().await["id"],
        "3",
        "nothing is sent for what was completed"
    );
}

#[tokio::test]
async fn operations_over_the_limit_are_refused_one_by_one() {
    let options = GatewayOptions {
        operations_per_socket_max: 2,
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let mut socket = Socket::ready(&served).await;
    for id in ["1", "2"] {
        socket.subscribe(id, "subscription { value }").await;
        assert_eq!(socket.next().await["type"], "next");
    }
    socket.subscribe("3", "{ value }").await;
    let error = socket.next().await;
    assert_eq!(
        (&error["type"], &error["id"]),
        (&json!("error"), &json!("3"))
    );
    assert_eq!(error["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    socket.send(json!({"type": "complete", "id": "1"})).await;
    until(|| served.double.living.load(Ordering::SeqCst) == 1).await;
    socket.subscribe("4", "{ value }").await;
    assert_eq!(socket.next().await["type"], "next");
}

#[tokio::test]
async fn a_client_that_does_not_read_skips_states_and_is_dropped_in_the_end() {
    let options = GatewayOptions {
        write_timeout: Duration::from_millis(400),
        keep_alive: Duration::from_secs(60),
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let mut socket = Socket::ready(&served).await;
    socket.subscribe("1", "subscription { big value }").await;
    for value in 2..100 {
        served.double.value.send_replace(value);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut seen = Vec::new();
    while seen.last() != Some(&99) {
        let value = socket.next().await["payload"]["data"]["value"]
            .as_u64()
            .expect("a number");
        assert!(
            seen.last().is_none_or(|last| *last < value),
            "never backwards"
        );
        seen.push(value);
    }
    assert!(seen.len() < 60, "states were skipped: {seen:?}");
    for value in 100..200 {
        served.double.value.send_replace(value);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    until(|| served.double.living.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_client_that_vanishes_is_noticed() {
    let options = GatewayOptions {
        keep_alive: Duration::from_millis(50),
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let mut socket = Socket::ready(&served).await;
    socket.subscribe("1", "subscription { value }").await;
    // Whoever reads answers pings and stays.
    let reading = tokio::time::timeout(Duration::from_millis(300), async {
        loop {
            socket.0.next().await.expect("open").expect("no error");
        }
    });
    assert!(reading.await.is_err(), "still open");
    assert_eq!(served.double.living.load(Ordering::SeqCst), 1);
    until(|| served.double.living.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_shutdown_finishes_what_runs_and_says_goodbye() {
    let mut served = Served::start().await;
    let mut socket = Socket::ready(&served).await;
    socket.subscribe("1", "subscription { value }").await;
    assert_eq!(socket.next().await["id"], "1");
    socket.subscribe("2", "mutation { slow }").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    served.begin_shutdown();
    assert_eq!(socket.next().await["id"], "2");
    assert_eq!(socket.next().await, json!({"type": "complete", "id": "2"}));
    assert_eq!(
        socket.closed().await,
        (CloseCode::Away.into(), "Going away".into())
    );
    while socket.0.next().await.is_some() {}
    assert_eq!(within(served.shut_down()).await, Drained::Completely);
}

/// Its live queries are told together; the change stream, which has a position of its own, is not among them.
#[tokio::test]
async fn a_shutdown_says_from_where_live_queries_are_resumed() {
    let mut served = Served::start().await;
    let mut idle = Socket::ready(&served).await;
    let mut streams = Socket::ready(&served).await;
    streams.subscribe("1", "subscription { value }").await;
    assert_eq!(streams.next().await["id"], "1");
    served.begin_shutdown();
    let (code, reason) = idle.closed().await;
    assert_eq!(
        (code, reason.as_str()),
        (CloseCode::Away.into(), "Going away; resumeFrom=7")
    );
    let (code, reason) = streams.closed().await;
    assert_eq!(
        (code, reason.as_str()),
        (CloseCode::Away.into(), "Going away")
    );
}

#[tokio::test]
async fn handshakes_from_foreign_origins_are_refused() {
    let served = Served::start().await;
    let handshake = [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let with = |header| [&handshake[..], &[header]].concat();
    let refused = ask(
        served.address,
        "GET",
        "/graphql",
        &with("origin: http://evil.test"),
        "",
    )
    .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "FORBIDDEN")
    );
    let broken = ask(
        served.address,
        "GET",
        "/graphql",
        &["upgrade: websocket"],
        "",
    )
    .await;
    assert_eq!(
        (broken.status, broken.code().as_str()),
        (400, "BAD_REQUEST")
    );
}

//! GraphQL over SSE: framing, resuming, and how streams end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use thalweg_gateway::GatewayOptions;

use crate::double::{Served, until};
use crate::http::{Connection, ask};

const JSON: &str = "content-type: application/json";
const EVENTS: &str = "accept: text/event-stream";

#[tokio::test]
async fn a_single_result_is_a_stream_of_one() {
    let served = Served::start().await;
    let body = r#"{"query":"{ value }"}"#;
    let response = ask(served.address, "POST", "/graphql", &[JSON, EVENTS], body).await;
    assert_eq!(
        response.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(
        response.header("cache-control"),
        Some("no-cache, no-transform")
    );
    assert_eq!(
        response.body,
        "event: next\ndata: {\"data\":{\"value\":1}}\n\nevent: complete\ndata:\n\n"
    );
    let response = ask(
        served.address,
        "GET",
        "/graphql?query=%7Bvalue%7D",
        &[EVENTS],
        "",
    )
    .await;
    assert!(response.body.starts_with("event: next\n"));
}

#[tokio::test]
async fn errors_before_execution_are_events() {
    let served = Served::start().await;
    for query in ["{", "subscription { forbidden }"] {
        let body = format!("{{\"query\":\"{query}\"}}");
        let response = ask(served.address, "POST", "/graphql", &[JSON, EVENTS], &body).await;
        assert_eq!(response.status, 200);
        assert!(
            response
                .body
                .starts_with("event: next\ndata: {\"errors\":["),
            "{}",
            response.body
        );
        assert!(response.body.ends_with("event: complete\ndata:\n\n"));
    }
    let response = ask(served.address, "POST", "/graphql", &[JSON, EVENTS], "{").await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (400, "BAD_REQUEST")
    );
}

#[tokio::test]
async fn events_carry_ids_and_streams_resume_after_them() {
    let served = Served::start().await;
    let target = "/graphql?query=subscription%20%7Bfinite%7D";
    let response = ask(served.address, "GET", target, &[EVENTS], "").await;
    let expected = "event: next\nid: 1\ndata: {\"data\":{\"value\":1},\"extensions\":\"\"}\n\n\
                    event: next\nid: 2\ndata: {\"data\":{\"value\":2},\"extensions\":\"\"}\n\n\
                    event: complete\ndata:\n\n";
    assert_eq!(response.body, expected);
    let response = ask(
        served.address,
        "GET",
        target,
        &[EVENTS, "last-event-id: 7"],
        "",
    )
    .await;
    assert!(
        response.body.starts_with("event: next\nid: 8\n"),
        "{}",
        response.body
    );
    let response = ask(
        served.address,
        "GET",
        target,
        &[EVENTS, "last-event-id: x"],
        "",
    )
    .await;
    assert!(response.body.contains("BAD_REQUEST"), "{}", response.body);
}

#[tokio::test]
async fn an_operation_that_cannot_go_on_says_why_and_completes() {
    let served = Served::start().await;
    let body = r#"{"query":"subscription { failing }"}"#;
    let response = ask(served.address, "POST", "/graphql", &[JSON, EVENTS], body).await;
    let end = "event: next\ndata: {\"errors\":[{\"message\":\"changed\",\"extensions\":{\"code\":\
               \"SCHEMA_CHANGED\"}}]}\n\nevent: complete\ndata:\n\n";
    assert!(response.body.ends_with(end), "{}", response.body);
    let body = r#"{"query":"subscription { panic }"}"#;
    let response = ask(served.address, "POST", "/graphql", &[JSON, EVENTS], body).await;
    assert!(response.body.contains("INTERNAL"), "{}", response.body);
}

#[tokio::test]
async fn a_live_query_follows_changes_until_the_client_leaves() {
    let options = GatewayOptions {
        keep_alive: Duration::from_millis(50),
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let mut connection = Connection::open(served.address).await;
    let body = br#"{"query":"query @live { value }"}"#;
    let accept = "accept: application/json, text/event-stream";
    connection
        .send("POST", "/graphql", &[JSON, accept], body)
        .await;
    assert_eq!(connection.head().await.status, 200);
    assert!(
        connection
            .chunk()
            .await
            .expect("an event")
            .contains("id: 1\n")
    );
    served.double.value.send_replace(5);
    let mut seen = Vec::new();
    while !seen.iter().any(|chunk: &String| chunk.contains("id: 5\n")) {
        seen.push(connection.chunk().await.expect("an event"));
    }
    assert_eq!(
        connection.chunk().await.as_deref(),
        Some(":\n\n"),
        "a comment keeps it alive"
    );
    assert_eq!(served.double.living.load(Ordering::SeqCst), 1);
    drop(connection);
    until(|| served.double.living.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_in_the_end() {
    let options = GatewayOptions {
        write_timeout: Duration::from_millis(300),
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let mut connection = Connection::open(served.address).await;
    let body = br#"{"query":"subscription { big value }"}"#;
    connection
        .send("POST", "/graphql", &[JSON, EVENTS], body)
        .await;
    assert_eq!(connection.head().await.status, 200);
    for value in 2..100 {
        served.double.value.send_replace(value);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    until(|| served.double.living.load(Ordering::SeqCst) == 0).await;
}

//! `multipart/mixed`: queries in parts, and live operations as payload frames.

use std::sync::atomic::Ordering;

use crate::double::{Served, until};
use crate::http::{Connection, Response, ask};

const JSON: &str = "content-type: application/json";

/// The JSON of each part, once the framing has been found right.
fn parts(response: &Response) -> Vec<String> {
    let body = response.body.strip_prefix("\r\n--graphql\r\n");
    let body = body.unwrap_or_else(|| panic!("{:?}", response.body));
    let body = body.strip_suffix("\r\n--graphql--\r\n");
    let body = body.unwrap_or_else(|| panic!("{:?}", response.body));
    body.split("\r\n--graphql\r\n")
        .map(|part| {
            let head = "Content-Type: application/json; charset=utf-8\r\n\r\n";
            part.strip_prefix(head).expect("a part").to_owned()
        })
        .collect()
}

async fn answer(served: &Served, accept: &str, query: &str) -> Response {
    let body = serde_json::json!({ "query": query }).to_string();
    ask(served.address, "POST", "/graphql", &[JSON, accept], &body).await
}

#[tokio::test]
async fn parts_come_in_the_format_that_was_asked_for() {
    let served = Served::start().await;
    for (accept, format, parameter) in [
        ("multipart/mixed", "Defer20220824", "deferSpec=20220824"),
        (
            "multipart/mixed;deferSpec=20220824, application/json",
            "Defer20220824",
            "deferSpec=20220824",
        ),
        (
            "multipart/mixed;incrementalSpec=v0.2, application/json",
            "IncrementalV02",
            "incrementalSpec=v0.2",
        ),
    ] {
        let accept = format!("accept: {accept}");
        let response = answer(&served, &accept, "{ ... @defer { value } }").await;
        assert_eq!(response.status, 200);
        let content_type = format!("multipart/mixed; boundary=\"graphql\"; {parameter}");
        assert_eq!(response.header("content-type"), Some(&*content_type));
        assert_eq!(
            parts(&response),
            [
                "{\"data\":{},\"hasNext\":true}".to_owned(),
                format!("{{\"format\":\"{format}\",\"hasNext\":false}}"),
            ]
        );
    }
}

#[tokio::test]
async fn everything_else_is_answered_as_json() {
    let served = Served::start().await;
    let only = "accept: multipart/mixed;deferSpec=20220824";
    for (accept, query) in [
        (only, "{ value }"),
        ("accept: application/json", "{ ... @defer { value } }"),
        (
            "accept: multipart/mixed;deferSpec=20990101",
            "{ ... @defer { value } }",
        ),
        (only, "query @live { value }"),
    ] {
        let response = answer(&served, accept, query).await;
        assert_eq!(response.status, 200, "{accept} {query}");
        let content_type = response.header("content-type");
        assert_eq!(content_type, Some("application/json; charset=utf-8"));
        assert_eq!(response.json()["data"]["value"], 1);
    }
    let refused = answer(&served, only, "{ ... @defer { forbidden } }").await;
    assert_eq!(refused.code(), "FORBIDDEN");
    let malformed = answer(&served, only, "{ ... @defer { value }").await;
    assert_eq!(malformed.code(), "PARSE_FAILED");
}

#[tokio::test]
async fn parts_that_break_off_do_not_look_whole() {
    let served = Served::start().await;
    let response = answer(
        &served,
        "accept: multipart/mixed",
        "{ ... @defer { failing } }",
    )
    .await;
    assert!(!response.whole);
    assert!(response.body.contains("\"hasNext\":true}\r\n--graphql"));
    assert!(!response.body.contains("--graphql--"));
}

#[tokio::test]
async fn live_operations_are_frames_with_payloads() {
    let served = Served::start().await;
    let accept = "accept: multipart/mixed;boundary=graphql;subscriptionSpec=1.0, application/json";
    let response = answer(&served, accept, "subscription { finite }").await;
    assert_eq!(
        response.header("content-type"),
        Some("multipart/mixed; boundary=\"graphql\"; subscriptionSpec=1.0")
    );
    // The first heartbeat tells that the operation has been accepted, unless a result was there before it.
    let frames: Vec<serde_json::Value> = parts(&response)
        .iter()
        .map(|part| serde_json::from_str(part).expect("JSON"))
        .filter(|frame| *frame != serde_json::json!({}))
        .collect();
    assert_eq!(frames.len(), 2, "{frames:?}");
    assert_eq!(frames[0]["payload"]["data"]["value"], 1);
    assert_eq!(frames[1]["payload"]["data"]["value"], 2);

    let response = answer(&served, accept, "subscription { failing }").await;
    let frames = parts(&response);
    let last: serde_json::Value = serde_json::from_str(frames.last().expect("one")).expect("JSON");
    assert!(last["payload"].is_null());
    assert_eq!(last["errors"][0]["extensions"]["code"], "SCHEMA_CHANGED");

    let refused = answer(&served, accept, "subscription { forbidden }").await;
    assert_eq!(refused.code(), "FORBIDDEN");
}

#[tokio::test]
async fn a_live_query_ends_with_its_connection() {
    let served = Served::start().await;
    let mut connection = Connection::open(served.address).await;
    let body = r#"{"query":"query @live { value }"}"#;
    let accept = "accept: multipart/mixed;subscriptionSpec=1.0";
    connection
        .send("POST", "/graphql", &[JSON, accept], body.as_bytes())
        .await;
    let living = &served.double.living;
    until(|| living.load(Ordering::SeqCst) == 1).await;
    drop(connection);
    until(|| living.load(Ordering::SeqCst) == 0).await;
}

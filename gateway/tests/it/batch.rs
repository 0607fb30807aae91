//! Batches of requests, how many operations may be under way at once, and that they end with their clients.

use std::sync::atomic::Ordering;

use thalweg_gateway::GatewayOptions;

use crate::double::{Served, until};
use crate::http::{Connection, Response, ask};

const JSON: &str = "content-type: application/json";
const GRAPHQL: &str = "accept: application/graphql-response+json";

async fn post(served: &Served, body: &str) -> Response {
    ask(served.address, "POST", "/graphql", &[JSON], body).await
}

#[tokio::test]
async fn the_answers_of_a_batch_come_in_order_whatever_becomes_of_each() {
    let served = Served::start().await;
    let body = r#" [{"query":"{ value }"}, {"query":"{ nothing }"}, {"query":"mutation { value }"},
        {"query":"subscription { value }"}, {"query":7}, 8, {"query":"{ panic }"}, {"query":"{ value }"}]"#;
    for (accept, content_type) in [
        ("x-none: 1", "application/json; charset=utf-8"),
        (GRAPHQL, "application/graphql-response+json; charset=utf-8"),
    ] {
        let before = served.double.mutations.load(Ordering::SeqCst);
        let response = ask(served.address, "POST", "/graphql", &[JSON, accept], body).await;
        assert_eq!(response.status, 200, "{}", response.body);
        assert_eq!(response.header("content-type"), Some(content_type));
        let answers: Vec<serde_json::Value> =
            serde_json::from_str(&response.body).expect("a JSON list");
        let codes: Vec<&str> = answers
            .iter()
            .map(|answer| {
                let code = &answer["errors"][0]["extensions"]["code"];
                code.as_str().unwrap_or("data")
            })
            .collect();
        assert_eq!(
            codes,
            [
                "data",
                "VALIDATION_FAILED",
                "data",
                "BAD_REQUEST",
                "BAD_REQUEST",
                "BAD_REQUEST",
                "INTERNAL",
                "data"
            ]
        );
        // They run in order: the last one sees what the mutation wrote.
        assert_eq!(answers[0]["data"]["value"], before + 1);
        assert_eq!(answers[7]["data"]["value"], before + 2);
    }
}

#[tokio::test]
async fn a_batch_has_so_many_requests_and_no_more() {
    let served = Served::start().await;
    let batch =
        |requests: usize| format!("[{}]", vec![r#"{"query":"{ value }"}"#; requests].join(","));
    for (requests, status) in [(1, 200), (9, 200), (10, 200), (11, 400)] {
        assert_eq!(
            post(&served, &batch(requests)).await.status,
            status,
            "{requests}"
        );
    }
    let refused = post(&served, &batch(11)).await;
    assert_eq!(refused.code(), "LIMIT_EXCEEDED");
    assert!(
        refused.body.contains("11 requests; at most 10"),
        "{}",
        refused.body
    );
    assert_eq!(post(&served, "[]").await.code(), "BAD_REQUEST");
    assert_eq!(post(&served, "[{").await.code(), "BAD_REQUEST");

    let none = GatewayOptions {
        batch_max: 0,
        ..GatewayOptions::default()
    };
    let served = Served::start_with(none).await;
    let refused = post(&served, &batch(1)).await;
    assert!(
        refused.body.contains("not taken by this server"),
        "{}",
        refused.body
    );
}

#[tokio::test]
async fn a_batch_takes_no_key_for_all_and_no_stream() {
    let served = Served::start().await;
    let body = r#"[{"query":"{ value }"}]"#;
    let key = [JSON, "idempotency-key: \"k\""];
    let refused = ask(served.address, "POST", "/graphql", &key, body).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "BAD_REQUEST")
    );
    let events = [JSON, "accept: text/event-stream"];
    let refused = ask(served.address, "POST", "/graphql", &events, body).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (406, "BAD_REQUEST")
    );
}

#[tokio::test]
async fn what_is_left_of_a_batch_is_not_run_when_its_answers_are_long() {
    let options = GatewayOptions {
        batch_response_bytes_max: 1 << 20,
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let body = r#"[{"query":"{ big }"},{"query":"mutation { value }"}]"#;
    let response = post(&served, body).await;
    let answers: serde_json::Value = serde_json::from_str(&response.body).expect("JSON");
    assert!(answers[0]["data"].is_string());
    assert_eq!(
        answers[1]["errors"][0]["extensions"]["code"],
        "LIMIT_EXCEEDED"
    );
    assert_eq!(served.double.mutations.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn beyond_so_many_operations_a_client_is_told_to_come_back() {
    let options = GatewayOptions {
        operations_max: 2,
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let slow = r#"{"query":"{ slow }"}"#;
    let (one, two, three) = tokio::join!(post(&served, slow), post(&served, slow), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        post(&served, r#"[{"query":"{ value }"}]"#).await
    });
    assert_eq!((one.status, two.status, three.status), (200, 200, 503));
    assert_eq!(three.code(), "UNAVAILABLE");
    assert_eq!(three.header("retry-after"), Some("1"));
    assert!(
        three.body.contains("2 operations are under way"),
        "{}",
        three.body
    );
    // There is room again when they have ended.
    assert_eq!(post(&served, r#"{"query":"{ value }"}"#).await.status, 200);
}

#[tokio::test]
async fn a_query_ends_when_its_client_goes() {
    let served = Served::start().await;
    for body in [
        r#"{"query":"{ slow forever }"}"#,
        r#"[{"query":"{ slow forever }"},{"query":"mutation { value }"}]"#,
    ] {
        let mut connection = Connection::open(served.address).await;
        connection
            .send("POST", "/graphql", &[JSON], body.as_bytes())
            .await;
        until(|| served.double.living.load(Ordering::SeqCst) == 1).await;
        drop(connection);
        until(|| served.double.living.load(Ordering::SeqCst) == 0).await;
    }
    // What had not begun when the client went is not begun.
    assert_eq!(served.double.mutations.load(Ordering::SeqCst), 0);
}

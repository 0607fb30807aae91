//! The change stream over SSE: framing, resuming, refusing, and clients that do not read.

use std::sync::atomic::Ordering;
use std::time::Duration;

use thalweg_gateway::GatewayOptions;

use crate::double::{Served, until};
use crate::http::{Connection, ask};

#[tokio::test]
async fn only_whole_commits_can_be_resumed_from_and_the_end_is_told() {
    let served = Served::start().await;
    for (target, header) in [
        ("/changes?since=4", None),
        ("/changes?since=1", Some("last-event-id: 4")),
        ("/changes?snapshot=true", Some("last-event-id: 4")),
    ] {
        let headers: Vec<&str> = header.into_iter().collect();
        let response = ask(served.address, "GET", target, &headers, "").await;
        assert_eq!(response.status, 200);
        let content_type = response.header("content-type");
        assert_eq!(content_type, Some("text/event-stream; charset=utf-8"));
        let expected = "data: [5,1,\"\"]\n\nid: 5\ndata: [5,2]\n\ndata: [6,1,\"\"]\n\nid: 6\ndata: [6,2]\n\n\
                        event: failed\ndata: {\"errors\":[{\"message\":\"gone; begin with a snapshot\",\
                        \"extensions\":{\"code\":\"HISTORY_GONE\"}}]}\n\n";
        assert_eq!(response.body, expected, "{target}");
        assert!(response.whole);
    }
}

#[tokio::test]
async fn what_cannot_begin_is_refused_with_a_status() {
    let served = Served::start().await;
    for (target, header, status, code) in [
        ("/changes?since=3", None, 410, "HISTORY_GONE"),
        ("/changes", Some("last-event-id: 3"), 410, "HISTORY_GONE"),
        ("/changes", Some("last-event-id: x"), 400, "BAD_REQUEST"),
        ("/changes?since=x", None, 400, "BAD_REQUEST"),
        ("/changes?until=9", None, 400, "BAD_REQUEST"),
    ] {
        let headers: Vec<&str> = header.into_iter().collect();
        let response = ask(served.address, "GET", target, &headers, "").await;
        assert_eq!(
            (response.status, response.code().as_str()),
            (status, code),
            "{target}"
        );
    }
    let response = ask(served.address, "POST", "/changes", &[], "").await;
    assert_eq!(response.status, 405);
}

#[tokio::test]
async fn a_drain_ends_the_stream_so_that_it_can_be_resumed_elsewhere() {
    let mut served = Served::start().await;
    let mut connection = Connection::open(served.address).await;
    connection.send("GET", "/changes?since=998", &[], b"").await;
    assert_eq!(connection.head().await.status, 200);
    let event = connection.read_until("id: 999\ndata: [999,2]\n\n").await;
    assert!(event.is_some());
    served.begin_shutdown();
    // The end of a chunked body, without anything about a failure before it.
    let rest = connection.read_until("\r\n0\r\n\r\n").await;
    assert!(!rest.expect("an end").contains("failed"));
    until(|| served.double.living.load(Ordering::SeqCst) == 0).await;
    served.shut_down().await;
}

/// Nothing is read ahead of a client that does not read, beyond what the sockets hold; and in the end it is dropped.
#[tokio::test]
async fn a_slow_client_is_not_buffered_for() {
    let options = GatewayOptions {
        write_timeout: Duration::from_millis(300),
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let mut connection = Connection::open(served.address).await;
    connection
        .send("GET", "/changes?collections=big", &[], b"")
        .await;
    assert_eq!(connection.head().await.status, 200);
    until(|| served.double.living.load(Ordering::SeqCst) == 0).await;
    let polled = served.double.polled.load(Ordering::SeqCst);
    assert!(polled < 50, "{polled} MB of 900 MB were taken");
}

//! The console, the schema, health, and what is not there.

use crate::double::Served;
use crate::http::{ask, get};

#[tokio::test]
async fn the_console_is_embedded_and_forbids_other_hosts() {
    let served = Served::start().await;
    let page = get(served.address, "/").await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("connect-src 'self' ws://127")
    );

    let script = page
        .body
        .split('"')
        .find(|part| part.ends_with(".js"))
        .expect("a script");
    assert!(script.starts_with('/'), "{script}");
    for encoding in ["identity", "gzip"] {
        let header = format!("accept-encoding: {encoding}");
        let response = ask(served.address, "GET", script, &[&header], "").await;
        assert_eq!(response.status, 200);
        assert_eq!(
            response.header("content-type"),
            Some("text/javascript; charset=utf-8")
        );
        assert_eq!(
            response.header("content-encoding").unwrap_or("identity"),
            encoding
        );
        assert_eq!(
            response.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
        let tag = format!("if-none-match: {}", response.header("etag").expect("a tag"));
        let again = ask(served.address, "GET", script, &[&header, &tag], "").await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
    }
    assert_eq!(
        get(served.address, "/console/none.js").await.code(),
        "NOT_FOUND"
    );
}

#[tokio::test]
async fn the_schema_is_served_with_a_tag() {
    let served = Served::start().await;
    let schema = get(served.address, "/schema.graphql").await;
    assert_eq!(
        (schema.status, schema.body.as_str()),
        (200, "type Query { value: Int }\n")
    );
    let tag = format!("if-none-match: {}", schema.header("etag").expect("a tag"));
    let again = ask(served.address, "GET", "/schema.graphql", &[&tag], "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
}

#[tokio::test]
async fn live_queries_are_listed() {
    let served = Served::start().await;
    let listed = get(served.address, "/live").await;
    assert_eq!(
        (listed.status, listed.body.as_str()),
        (200, r#"{"total":100,"by":"Subscribers"}"#)
    );
    assert_eq!(
        listed.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(listed.header("cache-control"), Some("no-store"));
    let listed = get(served.address, "/live?by=cost&first=7").await;
    assert_eq!(listed.body, r#"{"total":7,"by":"Cost"}"#);
    for (query, message) in [
        (
            "first=1001",
            "`first` is `1001`; it must be a number from 0 to 1000",
        ),
        (
            "by=time",
            "`by` is `time`; it must be `subscribers` or `cost`",
        ),
        (
            "since=1",
            "`since` is not a parameter of the list of live queries; there are `first` and `by`",
        ),
    ] {
        let refused = get(served.address, &format!("/live?{query}")).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, "BAD_REQUEST")
        );
        assert_eq!(refused.message(), message);
    }
    // Whoever may not read metrics may not read this.
    let foreign = ask(served.address, "GET", "/live", &["host: evil.test"], "").await;
    assert_eq!(
        (foreign.status, foreign.code().as_str()),
        (403, "FORBIDDEN")
    );
}

#[tokio::test]
async fn health_and_readiness_differ() {
    let served = Served::start().await;
    assert_eq!(get(served.address, "/healthz").await.status, 200);
    assert_eq!(get(served.address, "/readyz").await.status, 200);
    let metrics = get(served.address, "/metrics").await;
    assert_eq!(metrics.status, 200);
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    *served.double.ready.lock().expect("fine") = Err("the store cannot be reached".into());
    let response = get(served.address, "/readyz").await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (503, "UNAVAILABLE")
    );
    assert_eq!(response.message(), "the store cannot be reached");
    let probe = ask(
        served.address,
        "GET",
        "/healthz",
        &["host: 10.1.2.3:4000"],
        "",
    )
    .await;
    assert_eq!(probe.status, 200, "probes ask addresses");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_json() {
    let served = Served::start().await;
    let response = get(served.address, "/nothing").await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (404, "NOT_FOUND")
    );
    let response = ask(served.address, "POST", "/healthz", &[], "").await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (405, "BAD_REQUEST")
    );
    assert_eq!(response.header("allow"), Some("GET,HEAD"));
}

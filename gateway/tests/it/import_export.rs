//! Imports of each format with bad lines, limits, and exports.

use thalweg_gateway::GatewayOptions;

use crate::double::{Served, until};
use crate::http::{Connection, Response, ask, get};

const NDJSON: &str = "content-type: application/x-ndjson";

async fn import(served: &Served, query: &str, content_type: &str, body: &str) -> Response {
    let target = format!("/import/c{query}");
    ask(served.address, "POST", &target, &[content_type], body).await
}

fn counts(response: &Response) -> (u64, u64, u64) {
    let json = response.json();
    let count = |name: &str| json[name].as_u64().expect("a count");
    (count("inserted"), count("replaced"), count("failed"))
}

fn documents(served: &Served) -> usize {
    served
        .double
        .collections
        .lock()
        .expect("fine")
        .get("c")
        .map_or(0, |documents| documents.len())
}

/// 1,500 documents, the one on line 812 malformed.
fn ndjson_with_a_bad_line() -> String {
    let line = |number| match number {
        812 => "{\"id\":812,\"name\":oops}\n".to_owned(),
        _ => format!("{{\"id\":{number},\"name\":\"n\"}}\n"),
    };
    (1..=1_500).map(line).collect()
}

#[tokio::test]
async fn a_bad_line_is_reported_and_the_rest_is_in() {
    let served = Served::start().await;
    let body = ndjson_with_a_bad_line();
    let response = import(&served, "", NDJSON, &body).await;
    assert_eq!((response.status, counts(&response)), (200, (1_499, 0, 1)));
    let error = &response.json()["errors"][0];
    assert_eq!(error["line"], 812);
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty())
    );
    assert_eq!(error["extensions"]["code"], "BAD_REQUEST");
    assert_eq!(documents(&served), 1_499);
    let response = import(&served, "", NDJSON, &body).await;
    assert_eq!(counts(&response), (0, 1_499, 1));
}

#[tokio::test]
async fn an_atomic_import_with_a_bad_line_puts_in_nothing() {
    let served = Served::start().await;
    let response = import(&served, "?atomic=true", NDJSON, &ndjson_with_a_bad_line()).await;
    assert_eq!((response.status, counts(&response)), (400, (0, 0, 1)));
    assert_eq!(response.json()["errors"][0]["line"], 812);
    assert_eq!(documents(&served), 0);
    let response = import(
        &served,
        "?atomic=true",
        NDJSON,
        "{\"id\":1}\n{\"id\":\"2\"}",
    )
    .await;
    assert_eq!((response.status, counts(&response)), (200, (2, 0, 0)));
}

#[tokio::test]
async fn every_format_is_read() {
    let served = Served::start().await;
    let array = "[\n{\"id\":1},\n{\"id\":2,},\n{\"id\":\n3}\n]";
    let response = import(&served, "", "content-type: application/json", array).await;
    assert_eq!(
        (response.status, counts(&response)),
        (200, (2, 0, 1)),
        "{}",
        response.body
    );
    assert_eq!(response.json()["errors"][0]["line"], 3);

    let csv = "id,name,size\n4,\"x\ny\",1.5\n5,short\n6,,007\n";
    let response = import(&served, "", "content-type: text/csv", csv).await;
    assert_eq!((response.status, counts(&response)), (200, (2, 0, 1)));
    assert_eq!(response.json()["errors"][0]["line"], 4);
    let stored = served.double.collections.lock().expect("fine")["c"].clone();
    assert_eq!(stored["4"], "{\"id\":4,\"name\":\"x\\ny\",\"size\":1.5}");
    assert_eq!(stored["6"], "{\"id\":6,\"name\":null,\"size\":\"007\"}");

    let plain = "content-type: application/x-www-form-urlencoded";
    for (body, inserted) in [
        ("\u{feff}{\"id\":7}\r\n\r\n{\"id\":8}", 2),
        ("[{\"id\":9}]", 1),
        ("id,a\n10,1", 1),
        (" \n", 0),
    ] {
        let response = import(&served, "", plain, body).await;
        assert_eq!(
            (response.status, counts(&response)),
            (200, (inserted, 0, 0)),
            "{body}"
        );
    }
    let response = import(&served, "?format=csv", plain, "id\n11").await;
    assert_eq!(counts(&response), (1, 0, 0));
    let response = import(
        &served,
        "?idField=key.id",
        plain,
        "{\"key\":{\"id\":\"a\"}}",
    )
    .await;
    assert_eq!(counts(&response), (1, 0, 0));
}

#[tokio::test]
async fn an_array_that_cannot_be_followed_says_where_reading_stopped() {
    let served = Served::start().await;
    let body = "[{\"id\":1}, {\"id\":[2}, {\"id\":3}]";
    let response = import(&served, "", "content-type: application/json", body).await;
    assert_eq!((response.status, counts(&response)), (400, (1, 0, 1)));
    assert!(
        response.message().contains("reading stopped here"),
        "{}",
        response.body
    );
}

#[tokio::test]
async fn what_the_database_refuses_is_reported_with_its_line() {
    let served = Served::start().await;
    let response = import(&served, "", NDJSON, "{\"id\":1}\n{\"no\":2}\n{\"id\":3}").await;
    assert_eq!((response.status, counts(&response)), (200, (2, 0, 1)));
    assert_eq!(response.json()["errors"][0]["line"], 2);
    assert_eq!(response.code(), "SCHEMA_VIOLATION");
}

#[tokio::test]
async fn an_import_that_must_stop_says_what_is_in() {
    let served = Served::start().await;
    let body: String = (0..2_000)
        .map(|number| format!("{{\"id\":{number}}}\n"))
        .chain(["{\"id\":\"stop\"}\n".to_owned()])
        .chain((3_000..200_000).map(|number| format!("{{\"id\":{number}}}\n")))
        .collect();
    let response = import(&served, "", NDJSON, &body).await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (503, "UNAVAILABLE")
    );
    assert_eq!(counts(&response), (2_000, 0, 0));
    assert!(response.json()["errors"][0].get("line").is_none());
}

#[tokio::test]
async fn limits_are_named() {
    let options = GatewayOptions {
        import_record_bytes_max: 100,
        import_errors_max: 3,
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let body = format!(
        "{{\"id\":1}}\n{{\"id\":\"{}\"}}\n{{\"id\":3}}\n",
        "x".repeat(200)
    );
    let response = import(&served, "", NDJSON, &body).await;
    assert_eq!(counts(&response), (2, 0, 1));
    assert_eq!(response.code(), "LIMIT_EXCEEDED");
    assert!(response.message().contains("100 bytes"));
    let response = import(&served, "", NDJSON, &"oops\n".repeat(5_000)).await;
    assert_eq!(counts(&response), (0, 0, 5_000));
    assert_eq!(response.json()["errors"].as_array().map(Vec::len), Some(3));
}

/// Else the first row would be taken for the header, and wrong documents would go in.
#[tokio::test]
async fn a_header_that_is_too_large_ends_the_import() {
    let options = GatewayOptions {
        import_record_bytes_max: 100,
        ..GatewayOptions::default()
    };
    let served = Served::start_with(options).await;
    let body = format!("id,{}\n1,alpha\n2,x\n3,z\n", "h".repeat(200));
    let response = import(&served, "", "content-type: text/csv", &body).await;
    let json = response.json();
    assert_eq!(
        (json["inserted"].as_u64(), documents(&served)),
        (Some(0), 0)
    );
    assert_eq!(response.status, 400);
    let messages = json["errors"].to_string();
    assert!(
        messages.contains("header") && messages.contains("100 bytes"),
        "{messages}"
    );
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let served = Served::start().await;
    for (target, header, body, status) in [
        ("/import/c?atomic=maybe", NDJSON, "{}", 400),
        ("/import/c?upsert=true", NDJSON, "{}", 400),
        ("/import/c?format=xml", NDJSON, "{}", 400),
        ("/import/%ff", NDJSON, "{}", 400),
        ("/import/_system", NDJSON, "{}", 403),
        ("/import/c", "content-encoding: gzip", "{}", 415),
        ("/import/c", "content-type: application/xml", "<a/>", 415),
    ] {
        let response = ask(served.address, "POST", target, &[header], body).await;
        assert_eq!(
            response.status, status,
            "{target} {header}: {}",
            response.body
        );
        assert!(["BAD_REQUEST", "FORBIDDEN"].contains(&response.code().as_str()));
    }
    assert_eq!(get(served.address, "/import/c").await.status, 405);
}

#[tokio::test]
async fn an_atomic_import_whose_client_vanishes_is_abandoned() {
    let served = Served::start().await;
    let mut connection = Connection::open(served.address).await;
    let head = "POST /import/c?atomic=true HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\
                content-type: application/x-ndjson\r\n\r\n";
    connection.write(head.as_bytes()).await;
    connection.write(b"{\"id\":1}\n").await;
    drop(connection);
    let other = import(&served, "", NDJSON, "{\"id\":2}").await;
    assert_eq!(counts(&other), (1, 0, 0));
    until(|| documents(&served) == 1).await;
}

#[tokio::test]
async fn exports_are_streamed_as_stored() {
    let served = Served::start().await;
    import(&served, "", NDJSON, "{\"id\":1}\n{\"id\":2}").await;
    let response = get(served.address, "/export/c").await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (200, "{\"id\":1}\n{\"id\":2}\n")
    );
    assert_eq!(
        response.header("content-type"),
        Some("application/x-ndjson; charset=utf-8")
    );
    assert!(
        get(served.address, "/export/c?meta=true")
            .await
            .body
            .starts_with("{\"_meta\":1,")
    );
    let missing = get(served.address, "/export/d").await;
    assert_eq!(
        (missing.status, missing.code().as_str()),
        (404, "NOT_FOUND")
    );
    assert_eq!(get(served.address, "/export/c?meta=1").await.status, 400);
}

#[tokio::test]
async fn an_export_that_fails_on_its_way_is_seen_to_be_broken_off() {
    let served = Served::start().await;
    import(&served, "", NDJSON, "{\"id\":1}\n{\"id\":\"broken\"}").await;
    let response = get(served.address, "/export/c").await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (200, "{\"id\":1}\n")
    );
    assert!(!response.whole);
    let served = Served::start().await;
    import(&served, "", NDJSON, "{\"id\":\"broken\"}").await;
    let response = get(served.address, "/export/c").await;
    assert_eq!(
        (response.status, response.code().as_str()),
        (503, "UNAVAILABLE")
    );
}

#[tokio::test]
async fn much_white_space_before_the_documents_is_skipped() {
    let served = Served::start().await;
    let blank = "    \n".repeat(60_000);
    let body = format!("{blank}[{{\"id\":1}},\n{{\"id\":oops}}]");
    let response = import(&served, "", "content-type: application/json", &body).await;
    assert_eq!(counts(&response).0, 1, "{}", response.body);
    assert_eq!(response.json()["errors"][0]["line"], 60_002);
    let response = import(&served, "", "content-type: application/json", &blank).await;
    assert_eq!((response.status, counts(&response)), (200, (0, 0, 0)));
}

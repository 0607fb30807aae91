use std::io::Read;

use axum::response::IntoResponse;
use flate2::read::GzDecoder;

use super::*;

fn headers(value: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
    headers
}

#[test]
fn gzip_is_asked_for_by_name_or_by_star() {
    for (value, expected) in [
        ("gzip", true),
        ("br, gzip;q=0.5", true),
        ("x-gzip", true),
        ("*", true),
        ("gzip;q=0", false),
        ("gzip; q=0.0", false),
        ("br, zstd", false),
        ("", false),
    ] {
        assert_eq!(takes_gzip(&headers(value)), expected, "{value}");
    }
    assert!(!takes_gzip(&HeaderMap::new()));
}

fn json(body: Body) -> Response {
    ([(CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

fn plain(compressed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(compressed)
        .read_to_end(&mut out)
        .expect("gzip");
    out
}

async fn bytes(response: Response) -> Result<Bytes, axum::Error> {
    axum::body::to_bytes(response.into_body(), usize::MAX).await
}

/// Text of which pieces do not repeat each other.
fn text(length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|at| b'a' + (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as u8)
        .collect()
}

#[tokio::test]
async fn what_is_compressed_comes_back_equal() {
    for length in [
        1_000,
        INLINE_BYTES_MAX + 1,
        PIECE_BYTES_MAX,
        3 * PIECE_BYTES_MAX + 7,
    ] {
        let response = compressed(json(Body::from(text(length))), true, 1_000);
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(response.headers()[VARY], "accept-encoding");
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
        let out = bytes(response).await.expect("whole");
        assert!(out.len() < length, "{length}: {}", out.len());
        assert_eq!(plain(&out), text(length));
    }
}

#[tokio::test]
async fn a_stream_is_compressed_as_it_comes() {
    let chunks = (0..10).map(|_| Ok::<_, io::Error>(Bytes::from(text(50_000))));
    let response = compressed(json(Body::from_stream(stream::iter(chunks))), true, 1_000);
    let out = bytes(response).await.expect("whole");
    assert_eq!(plain(&out), text(50_000).repeat(10));
}

#[tokio::test]
async fn a_source_that_breaks_off_does_not_look_whole() {
    let chunks = [
        Ok(Bytes::from(text(50_000))),
        Err(io::Error::other("broken")),
    ];
    let response = compressed(json(Body::from_stream(stream::iter(chunks))), true, 1_000);
    assert!(bytes(response).await.is_err());
}

#[tokio::test]
async fn what_is_not_worth_it_stays_as_it_is() {
    let unchanged = async |response: Response, takes: bool| {
        let before = response.headers().get(CONTENT_ENCODING).cloned();
        let response = compressed(response, takes, 1_000);
        assert_eq!(response.headers().get(CONTENT_ENCODING), before.as_ref());
        bytes(response).await.expect("whole")
    };
    assert_eq!(
        unchanged(json(Body::from(text(999))), true).await,
        text(999)
    );
    assert_eq!(
        unchanged(json(Body::from(text(5_000))), false).await,
        text(5_000)
    );
    for (name, value) in [
        (CONTENT_TYPE, "text/event-stream"),
        (CONTENT_TYPE, "multipart/mixed; boundary=\"-\""),
        (CONTENT_TYPE, "image/png"),
        (CONTENT_ENCODING, "br"),
    ] {
        let mut response = json(Body::from(text(5_000)));
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
        assert_eq!(unchanged(response, true).await, text(5_000));
    }
}

#[test]
fn a_tag_of_other_bytes_is_weak() {
    let mut response = json(Body::from(text(5_000)));
    let tag = HeaderValue::from_static("\"a\"");
    response.headers_mut().insert(ETAG, tag);
    assert_eq!(compressed(response, true, 1_000).headers()[ETAG], "W/\"a\"");
}

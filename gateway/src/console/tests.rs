use super::*;

/// gzip of "hello".
const HELLO: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 203, 72, 205, 201, 201, 7, 0, 134, 166, 16, 54, 5, 0, 0, 0,
];

const ASSET: Asset = Asset {
    name: "app-0123ABCD.js",
    compressed: true,
    tag: "\"t\"",
    bytes: HELLO,
};

fn request(name: &'static str, value: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_static(value));
    headers
}

async fn body(response: Response) -> Vec<u8> {
    axum::body::to_bytes(response.into_body(), 1_000)
        .await
        .expect("short")
        .to_vec()
}

#[tokio::test]
async fn gzip_is_passed_on_and_inflated_for_others() {
    let response = respond(&ASSET, &request("accept-encoding", "br, gzip;q=0.5"));
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    assert_eq!(
        response.headers()[CACHE_CONTROL],
        "public, max-age=31536000, immutable"
    );
    assert_eq!(response.headers()[ETAG], "\"t\"");
    assert_eq!(body(response).await, HELLO);

    for encoding in ["identity", "gzip;q=0", ""] {
        let response = respond(&ASSET, &request("accept-encoding", encoding));
        assert!(response.headers().get(CONTENT_ENCODING).is_none());
        assert_eq!(response.headers()[ETAG], "\"t-plain\"");
        assert_eq!(body(response).await, b"hello");
    }
}

#[tokio::test]
async fn a_known_version_is_not_sent_again() {
    let response = respond(&ASSET, &request("if-none-match", "\"t-plain\""));
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert!(body(response).await.is_empty());
}

#[test]
fn hashed_names_are_recognised() {
    for name in [
        "console-4YDUTJWD.js",
        "assets/codicon-37A3DWZT.ttf",
        "a.0123abcd.css",
    ] {
        assert!(is_hashed(name), "{name}");
    }
    for name in [
        "index.html",
        "worker-internals.js",
        "a-deadbeef.js",
        "THIRD-PARTY-LICENSES.txt",
    ] {
        assert!(!is_hashed(name), "{name}");
    }
}

#[test]
fn the_policy_names_this_host_only() {
    let policy = content_security_policy(Some("localhost:4000"));
    assert!(policy.contains("connect-src 'self' ws://localhost:4000 wss://localhost:4000;"));
    assert!(!content_security_policy(Some("a; script-src *")).contains("script-src *"));
    assert!(content_security_policy(None).contains("connect-src 'self';"));
}

#[test]
fn the_table_is_sorted_and_whole() {
    assert!(ASSETS.is_sorted_by(|a, b| a.name < b.name));
    for asset in ASSETS.iter().filter(|asset| asset.compressed) {
        let mut plain = Vec::new();
        GzDecoder::new(asset.bytes)
            .read_to_end(&mut plain)
            .expect("gzip");
        assert!(!plain.is_empty(), "{}", asset.name);
    }
}

//! `GET /schema.graphql`: the API schema as SDL, and entity tags.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::api::Api;
use crate::error::HttpError;
use crate::router::Shared;

/// `GET /schema.graphql`
pub(crate) async fn get<A: Api>(
    State(shared): State<Arc<Shared<A>>>,
    headers: HeaderMap,
) -> Response {
    let sdl = shared.api.sdl();
    let Ok(tag) = HeaderValue::from_str(&format!("\"{:016x}\"", fingerprint(sdl.as_bytes())))
    else {
        return HttpError::internal().into_response();
    };
    let caching = [
        (ETAG, tag.clone()),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
    ];
    if matches(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, sdl.as_bytes().to_vec()).into_response()
}

/// Whether the client has the version with this entity tag (RFC 9110, section 13.1.2).
pub(crate) fn matches(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let Ok(tag) = tag.to_str() else { return false };
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|known| known.trim())
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// FNV-1a, 64 bits: tells versions of a text apart; it protects nothing.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_version_is_recognised() {
        let tag = HeaderValue::from_static("\"a\"");
        for (known, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(known));
            assert_eq!(matches(&headers, &tag), expected, "{known}");
        }
        assert!(!matches(&HeaderMap::new(), &tag));
    }

    #[test]
    fn the_fingerprint_is_fnv_1a() {
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}

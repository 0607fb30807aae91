//! The console: files embedded in the binary, served without anything from elsewhere.
//!
//! Files are embedded as gzip, which every browser takes on any connection (Brotli is only offered on secure
//! ones); the rare client that does not is served inflated bytes. The Content-Security-Policy allows this
//! host alone.

use std::io::Read;

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST,
    REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use thalweg_model::ErrorCode;

use crate::compress::takes_gzip;
use crate::error::HttpError;
use crate::schema::matches;

/// One embedded file.
struct Asset {
    name: &'static str,
    /// Whether `bytes` are gzip.
    compressed: bool,
    /// The entity tag, quotes included.
    tag: &'static str,
    bytes: &'static [u8],
}

/// Sorted by name.
static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/console_assets.rs"));

/// `GET /`
pub(crate) async fn index(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

/// `GET /console/{path}`
pub(crate) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    serve(&path, &headers)
}

fn serve(name: &str, headers: &HeaderMap) -> Response {
    let Ok(found) = ASSETS.binary_search_by(|asset| asset.name.cmp(name)) else {
        return HttpError::new(
            StatusCode::NOT_FOUND,
            ErrorCode::NotFound,
            format!("the console has no file `{name}`; the console itself is at /"),
        )
        .into_response();
    };
    respond(&ASSETS[found], headers)
}

fn respond(asset: &Asset, headers: &HeaderMap) -> Response {
    let compressed = asset.compressed && takes_gzip(headers);
    // The two encodings of a file are two representations, and need two tags.
    let tag = match (asset.compressed, compressed) {
        (true, false) => format!("\"{}-plain\"", asset.tag.trim_matches('"')),
        _ => asset.tag.to_owned(),
    };
    let Ok(tag) = HeaderValue::from_str(&tag) else {
        return HttpError::internal().into_response();
    };
    let mut response = if matches(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if asset.compressed && !compressed {
        let mut plain = Vec::new();
        match GzDecoder::new(asset.bytes).read_to_end(&mut plain) {
            Ok(_) => plain.into_response(),
            Err(_) => return HttpError::internal().into_response(),
        }
    } else {
        asset.bytes.into_response()
    };
    let cache = if is_hashed(asset.name) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let out = response.headers_mut();
    out.insert(ETAG, tag);
    out.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(content_type(asset.name)),
    );
    out.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    out.append(VARY, HeaderValue::from_static("accept-encoding"));
    if compressed {
        out.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if let Ok(policy) = HeaderValue::from_str(&content_security_policy(host)) {
        out.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The policy forbids every other host. Inline styles are what the editor sets on its elements; the
/// WebSocket address is spelled out because not every browser counts it as the same origin.
fn content_security_policy(host: Option<&str>) -> String {
    let plain = |host: &&str| {
        host.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    };
    let sockets = match host.filter(|host| !host.is_empty()).filter(plain) {
        Some(host) => format!(" ws://{host} wss://{host}"),
        None => String::new(),
    };
    format!(
        "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'{sockets}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// Whether a file's name ends in a hash of its content, as a bundler writes it: `name-HASH.ext`. Such a
/// file never changes.
fn is_hashed(name: &str) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return false;
    };
    if matches!(extension, "html" | "txt") {
        return false;
    }
    let Some((_, hash)) = stem.rsplit_once(['-', '.']) else {
        return false;
    };
    let one_case = |letter: fn(&u8) -> bool| {
        hash.bytes()
            .all(|byte| byte.is_ascii_digit() || letter(&byte))
    };
    hash.len() >= 8
        && (one_case(u8::is_ascii_uppercase)
            || one_case(|byte| (b'a'..=b'f').contains(byte))
                && hash.bytes().any(|byte| byte.is_ascii_digit()))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "ttf" => "font/ttf",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;

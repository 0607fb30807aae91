//! What stands in front of every path: Host and Origin checks, CORS, and a net for panics.
//!
//! The deciding part ([`decide`]) is pure. A browser names the origin of a page in every request that
//! another site's page could make to write something, and in all it could read through CORS, so one rule
//! suffices: a request that names an origin which is not allowed gets nothing.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use thalweg_model::ErrorCode;

use crate::api::Api;
use crate::body::Chunks;
use crate::compress::{compressed, takes_gzip};
use crate::error::HttpError;
use crate::execution::caught;
use crate::options::OriginPolicy;
use crate::router::Shared;

const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The middleware around all handlers.
pub(crate) async fn guard<A: Api>(
    State(shared): State<Arc<Shared<A>>>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let takes_gzip = takes_gzip(request.headers());
    let mut response = match check(&shared.options.origins, &request) {
        Err(refusal) => {
            let (parts, body) = request.into_parts();
            Chunks::new(&parts.headers, body, shared.options.read_timeout).discard();
            let mut response = refusal.into_response();
            finish(response.headers_mut());
            return response;
        }
        Ok(()) if origin.is_some() && is_preflight(&request) => preflight(request.headers()),
        Ok(()) => caught(next.run(request))
            .await
            .unwrap_or_else(|_| HttpError::internal().into_response()),
    };
    response = compressed(response, takes_gzip, shared.options.compress_bytes_min);
    let headers = response.headers_mut();
    finish(headers);
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("etag"),
        );
    }
    response
}

/// What every response says, refusals included.
fn finish(headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers a preflight of an allowed origin. Which headers it may send is not restricted: the origin is
/// trusted, and credentials are not.
fn preflight(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let out = response.headers_mut();
    out.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, POST"),
    );
    out.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(requested) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        out.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested.clone());
    }
    response
}

fn check(policy: &OriginPolicy, request: &Request) -> Result<(), HttpError> {
    let path = request.uri().path();
    // Whoever probes for health often asks an address instead of a name, and learns nothing else here.
    let host = match path {
        "/healthz" | "/readyz" => None,
        _ => Some(host(request)?),
    };
    let origin = match request.headers().get(ORIGIN) {
        None => None,
        Some(value) => Some(
            value
                .to_str()
                .map_err(|_| forbidden_origin("that is not text"))?,
        ),
    };
    decide(policy, host, origin)
}

/// The host that was asked for: what an absolute request target says, else the Host header.
fn host(request: &Request) -> Result<&str, HttpError> {
    if let Some(authority) = request.uri().authority() {
        return Ok(authority.as_str());
    }
    let mut values = request.headers().get_all(HOST).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (Some(Ok(host)), None) => Ok(host),
        _ => Err(HttpError::bad_request(
            "a request needs exactly one Host header",
        )),
    }
}

/// Whether a request to this host (unchecked when `None`), made by a page of this origin, is served.
fn decide(
    policy: &OriginPolicy,
    host: Option<&str>,
    origin: Option<&str>,
) -> Result<(), HttpError> {
    let host_listed = |host: &str| match policy {
        OriginPolicy::Localhost => is_loopback(host),
        OriginPolicy::AllowList { hosts, .. } => hosts.iter().any(|listed| {
            host.eq_ignore_ascii_case(listed) || without_port(host).eq_ignore_ascii_case(listed)
        }),
    };
    if let Some(host) = host {
        let any = matches!(policy, OriginPolicy::AllowList { hosts, .. } if hosts.is_empty());
        if !any && !host_listed(host) {
            return Err(forbidden_host(policy, host));
        }
    }
    let Some(origin) = origin else { return Ok(()) };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let allowed = match policy {
        OriginPolicy::Localhost => authority.is_some_and(is_loopback),
        OriginPolicy::AllowList { origins, .. } => {
            origins
                .iter()
                .any(|listed| listed.eq_ignore_ascii_case(origin))
                || authority.is_some_and(|authority| {
                    host_listed(authority)
                        && host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
                })
        }
    };
    if allowed {
        Ok(())
    } else {
        Err(forbidden_origin(origin))
    }
}

fn is_loopback(authority: &str) -> bool {
    let name = without_port(authority);
    LOOPBACK_NAMES
        .iter()
        .any(|loopback| name.eq_ignore_ascii_case(loopback))
}

/// The host name of `name:port`. What follows the colon must be a port, or nothing is cut off.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => authority,
    }
}

fn forbidden_host(policy: &OriginPolicy, host: &str) -> HttpError {
    let served = match policy {
        OriginPolicy::Localhost => "localhost, 127.0.0.1 and [::1]",
        OriginPolicy::AllowList { .. } => "the hosts in its configuration",
    };
    let message = format!("this server does not serve the host `{host}`, only {served}");
    HttpError::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message)
}

fn forbidden_origin(origin: &str) -> HttpError {
    let message = format!(
        "pages of the origin `{origin}` may not ask this server; an operator can add it to the allowed \
         origins"
    );
    HttpError::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(policy: &OriginPolicy, host: &str, origin: Option<&str>) -> bool {
        decide(policy, Some(host), origin).is_ok()
    }

    #[test]
    fn localhost_means_loopback_names_with_any_port() {
        for host in [
            "localhost",
            "LOCALHOST:4000",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:4000",
        ] {
            assert!(allowed(&OriginPolicy::Localhost, host, None), "{host}");
            let origin = format!("http://{host}");
            assert!(
                allowed(&OriginPolicy::Localhost, "localhost:4000", Some(&origin)),
                "{origin}"
            );
        }
        for host in [
            "",
            "evil.test",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "localhost:x",
            "::1",
            "[::2]",
        ] {
            assert!(!allowed(&OriginPolicy::Localhost, host, None), "{host}");
            let origin = format!("https://{host}");
            assert!(
                !allowed(&OriginPolicy::Localhost, "localhost", Some(&origin)),
                "{origin}"
            );
        }
        assert!(!allowed(
            &OriginPolicy::Localhost,
            "localhost",
            Some("null")
        ));
    }

    #[test]
    fn a_list_allows_what_it_lists_and_pages_of_its_hosts() {
        let policy = OriginPolicy::AllowList {
            hosts: vec!["api.example.com".into(), "other.example.com:8443".into()],
            origins: vec!["https://app.example.com".into()],
        };
        let table = [
            ("api.example.com", None, true),
            ("API.example.com:443", None, true),
            ("other.example.com:8443", None, true),
            ("other.example.com", None, false),
            ("evil.test", None, false),
            ("api.example.com", Some("https://app.example.com"), true),
            ("api.example.com", Some("http://app.example.com"), false),
            ("api.example.com", Some("https://api.example.com"), true),
            (
                "api.example.com",
                Some("https://other.example.com:8443"),
                false,
            ),
            ("api.example.com", Some("null"), false),
        ];
        for (host, origin, expected) in table {
            assert_eq!(
                allowed(&policy, host, origin),
                expected,
                "{host} {origin:?}"
            );
        }
    }

    #[test]
    fn without_hosts_no_page_is_trusted_for_its_address() {
        let policy = OriginPolicy::AllowList {
            hosts: vec![],
            origins: vec![],
        };
        assert!(allowed(&policy, "rebound.test", None));
        assert!(!allowed(
            &policy,
            "rebound.test",
            Some("http://rebound.test")
        ));
        assert!(decide(&policy, None, None).is_ok());
    }
}

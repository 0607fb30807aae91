//! `/healthz`, `/readyz` and `/metrics`: whether the process lives, whether it can serve, and what it has done.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use thalweg_model::ErrorCode;

use crate::api::Api;
use crate::error::HttpError;
use crate::router::Shared;

/// `GET /healthz`: the process answers.
pub(crate) async fn alive() -> Response {
    status("{\"status\":\"alive\"}\n")
}

/// `GET /readyz`: requests can be served now, else 503 and why not.
pub(crate) async fn ready<A: Api>(State(shared): State<Arc<Shared<A>>>) -> Response {
    let ready = if shared.is_draining() {
        Err("the server is shutting down".to_owned())
    } else {
        shared.api.ready()
    };
    match ready {
        Ok(()) => status("{\"status\":\"ready\"}\n"),
        Err(reason) => HttpError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Unavailable,
            reason,
        )
        .into_response(),
    }
}

/// `GET /metrics`: figures for Prometheus, in its text format.
pub(crate) async fn metrics<A: Api>(State(shared): State<Arc<Shared<A>>>) -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, shared.api.metrics()).into_response()
}

fn status(body: &'static str) -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}

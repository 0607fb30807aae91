//! GraphQL over HTTP: `POST /graphql` and `GET /graphql`.
//!
//! Follows the GraphQL over HTTP draft (graphql.github.io/graphql-over-http). Requests that are not
//! well-formed are refused with the fitting 4xx whatever the media type; a well-formed request is answered
//! with 200 as `application/json`, and with a status that says whether it failed before execution as
//! `application/graphql-response+json`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, UPGRADE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::accept::{Accepted, MediaType, accepted, content_type};
use crate::api::{Answer, Api, GraphqlRequest, GraphqlResponse, OperationKind};
use crate::error::{HttpError, status_of};
use crate::router::Shared;
use crate::{batch, body, execution, multipart, request, sse, websocket};

/// Whether a request may change data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Post,
}

/// What a body asks for.
enum Asked {
    One(GraphqlRequest),
    Several(batch::Batch),
}

/// `POST /graphql`
pub(crate) async fn post<A: Api>(
    State(shared): State<Arc<Shared<A>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let accept = accepted(&headers);
    let read = read_post(&shared, &headers, body);
    answer(&shared, &headers, accept, Method::Post, read).await
}

/// `GET /graphql`: a query in the URL, or the beginning of a WebSocket.
pub(crate) async fn get<A: Api>(
    State(shared): State<Arc<Shared<A>>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if asks_for_websocket(&headers) {
        return match upgrade {
            Ok(upgrade) => websocket::accept(shared, upgrade),
            Err(rejection) => HttpError::bad_request(format!(
                "this is not a WebSocket handshake: {}",
                rejection.body_text()
            ))
            .into_response(),
        };
    }
    let accept = accepted(&headers);
    let query = query.unwrap_or_default();
    if query.is_empty() && accept.page {
        // Somebody has opened the address of the API in a browser: the console is what they want.
        return (
            StatusCode::SEE_OTHER,
            [(LOCATION, HeaderValue::from_static("/"))],
        )
            .into_response();
    }
    let read = async {
        let request = request::from_url(&query, shared.options.query_bytes_max);
        request.map(Asked::One)
    };
    answer(&shared, &headers, accept, Method::Get, read).await
}

/// Any other protocol that the client would like is none of those spoken here, and its wish is ignored
/// (RFC 9110 §7.8).
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers
        .get_all(UPGRADE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
}

async fn read_post<A: Api>(
    shared: &Shared<A>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Asked, HttpError> {
    let options = &shared.options;
    if let Err(error) = check_content_type(headers) {
        body::Chunks::new(headers, body, options.read_timeout).discard();
        return Err(error);
    }
    let limits = body::Limits {
        bytes_max: options.request_bytes_max,
        pause_max: options.read_timeout,
        time_max: options.read_timeout * 2,
    };
    let body = body::read_whole(headers, body, limits).await?;
    let key = idempotency_key(headers)?;
    if batch::is_batch(&body) {
        if key.is_some() {
            return Err(HttpError::bad_request(
                "the header Idempotency-Key cannot tell the requests of a batch apart; give each its own \
                 extensions.thalweg.idempotencyKey",
            ));
        }
        let batch = batch::read(&body, options.batch_max, options.query_bytes_max)?;
        return Ok(Asked::Several(batch));
    }
    let mut request = request::from_json(&body, options.query_bytes_max)?;
    request.idempotency_key = key;
    Ok(Asked::One(request))
}

/// The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a string, whose quotes many leave out.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, HttpError> {
    let mut given = headers.get_all("idempotency-key").iter();
    let Some(key) = given.next() else {
        return Ok(None);
    };
    if given.next().is_some() {
        return Err(HttpError::bad_request(
            "the header Idempotency-Key is there twice; give it once",
        ));
    }
    let Ok(key) = key.to_str() else {
        return Err(HttpError::bad_request(
            "the header Idempotency-Key has characters other than visible ASCII ones",
        ));
    };
    let bare = key
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    Ok(Some(bare.unwrap_or(key).to_owned()))
}

fn check_content_type(headers: &HeaderMap) -> Result<(), HttpError> {
    let given = headers
        .get(CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or_default());
    let Some(given) = given else {
        return Err(HttpError::unsupported_media_type(
            "the request has no Content-Type; send `Content-Type: application/json`",
        ));
    };
    let parsed = content_type(given);
    if parsed.name != "application/json" {
        return Err(HttpError::unsupported_media_type(format!(
            "the body's type is `{given}`; send `Content-Type: application/json`"
        )));
    }
    if !parsed.utf8 {
        return Err(HttpError::unsupported_media_type(format!(
            "the body's type is `{given}`; JSON is read as UTF-8 only"
        )));
    }
    Ok(())
}

async fn answer<A: Api>(
    shared: &Arc<Shared<A>>,
    headers: &HeaderMap,
    accept: Accepted,
    method: Method,
    read: impl Future<Output = Result<Asked, HttpError>>,
) -> Response {
    let Some(media) = accept.single else {
        // The body is still read, so that the connection stays usable.
        let _ = read.await;
        return HttpError::not_acceptable(
            "nothing that the Accept header lists can be served here; accept \
             application/graphql-response+json, application/json, text/event-stream or multipart/mixed",
        )
        .into_response();
    };
    let result = match read.await {
        Ok(Asked::One(request)) => run(shared, headers, accept, media, method, request).await,
        Ok(Asked::Several(batch)) => batch::run(shared, media, batch).await,
        Err(error) => Err(error),
    };
    let mut response = result.unwrap_or_else(|error| error.into_response_as(media));
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("accept"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn run<A: Api>(
    shared: &Arc<Shared<A>>,
    headers: &HeaderMap,
    accept: Accepted,
    media: MediaType,
    method: Method,
    request: GraphqlRequest,
) -> Result<Response, HttpError> {
    let operation = match shared.api.prepare(request) {
        Ok(operation) => operation,
        Err(response) => return Ok(respond(media, response)),
    };
    let kind = shared.api.kind(&operation);
    if kind == OperationKind::Mutation && method == Method::Get {
        return Err(HttpError::method_not_allowed(
            "POST",
            "a GET never changes anything; send mutations with POST",
        ));
    }
    let streams = kind == OperationKind::Subscription || shared.api.is_live(&operation);
    if streams && accept.events {
        return Ok(sse::stream(shared, headers, operation).await);
    }
    if streams && accept.multipart.live {
        let begun = multipart::live(shared, operation).await;
        return Ok(begun.unwrap_or_else(|failure| respond(media, failure)));
    }
    if kind == OperationKind::Subscription {
        return Err(HttpError::not_acceptable(
            "a subscription needs a response that streams; send `Accept: text/event-stream` or `Accept: \
             multipart/mixed;subscriptionSpec=1.0`, or use a WebSocket with the subprotocol graphql-transport-ws",
        ));
    }
    let _admitted = shared.admit()?;
    if let Some(format) = accept.multipart.parts
        && shared.api.is_incremental(&operation)
    {
        let begun = multipart::query(shared, operation, format).await;
        return Ok(begun.unwrap_or_else(|failure| respond(media, failure)));
    }
    if kind == OperationKind::Query && media != MediaType::EventStream {
        return Ok(
            match execution::execute_in_chunks(shared, operation).await {
                Answer::Whole(response) => respond(media, response),
                Answer::Chunks(chunks) => chunked(media, Body::from_stream(chunks)),
            },
        );
    }
    Ok(respond(media, execution::execute(shared, operation).await))
}

fn respond(media: MediaType, response: GraphqlResponse) -> Response {
    let status = match media {
        MediaType::EventStream => return sse::single(&response.body),
        // A failing status could also come from a proxy, so this type reserves 200 for GraphQL responses.
        MediaType::Json => StatusCode::OK,
        MediaType::GraphqlResponse if response.has_data => StatusCode::OK,
        MediaType::GraphqlResponse => response.failure.map_or(StatusCode::BAD_REQUEST, status_of),
    };
    let content_type = HeaderValue::from_static(media.content_type());
    (status, [(CONTENT_TYPE, content_type)], response.body).into_response()
}

/// A response that has data, and whose length is not known yet.
fn chunked(media: MediaType, body: Body) -> Response {
    let content_type = HeaderValue::from_static(media.content_type());
    ([(CONTENT_TYPE, content_type)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(values: &[&'static [u8]]) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value).expect("a header");
            headers.append("Idempotency-Key", value);
        }
        idempotency_key(&headers).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn an_idempotency_key_is_read_with_and_without_quotes() {
        assert_eq!(key_of(&[]), Ok(None));
        assert_eq!(key_of(&[b"a1"]), Ok(Some("a1".to_owned())));
        assert_eq!(key_of(&[b"\"a1\""]), Ok(Some("a1".to_owned())));
        assert_eq!(key_of(&[b"\""]), Ok(Some("\"".to_owned())));
        assert_eq!(key_of(&[b""]), Ok(Some(String::new())));
        assert!(key_of(&[b"a", b"a"]).is_err_and(|message| message.contains("twice")));
        assert!(key_of(&[b"\xff"]).is_err_and(|message| message.contains("ASCII")));
    }
}

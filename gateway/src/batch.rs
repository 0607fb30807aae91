//! Batches: a JSON array of requests in the body of one POST, answered by an array in the same order.
//!
//! Clients that collect requests (Apollo's `BatchHttpLink` and its like) send them. Each request stands for itself: one
//! that is refused has its error in its place and the others are run. They run one after the other, so a query sees
//! what a mutation before it has written, and a batch takes no more of the server at a time than a single request.

use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use thalweg_model::ErrorCode;

use crate::accept::MediaType;
use crate::api::{Api, GraphqlRequest, GraphqlResponse, OperationKind};
use crate::error::HttpError;
use crate::execution;
use crate::request;
use crate::router::Shared;

/// The requests of a batch, each as far as it could be read.
pub(crate) type Batch = Vec<Result<GraphqlRequest, HttpError>>;

/// Whether a body is a batch rather than one request.
pub(crate) fn is_batch(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// Reads the body of a batch.
pub(crate) fn read(
    body: &[u8],
    requests_max: usize,
    query_bytes_max: usize,
) -> Result<Batch, HttpError> {
    let requests: Vec<&RawValue> = serde_json::from_slice(body)
        .map_err(|error| HttpError::bad_request(format!("the body is not valid JSON: {error}")))?;
    if requests.is_empty() {
        return Err(HttpError::bad_request(
            "the batch is empty; send a JSON array of requests, or one request as an object",
        ));
    }
    if requests.len() > requests_max {
        let message = match requests_max {
            0 => "batches of requests are not taken by this server; send one JSON object for each request".to_owned(),
            _ => format!(
                "the batch has {} requests; at most {requests_max} are allowed: send several batches",
                requests.len()
            ),
        };
        return Err(HttpError::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::LimitExceeded,
            message,
        ));
    }
    let one = |request: &RawValue| request::from_json(request.get().as_bytes(), query_bytes_max);
    Ok(requests.into_iter().map(one).collect())
}

/// Runs a batch and writes its answers. As with a single request, `application/json` is always 200; so is
/// `application/graphql-response+json` here, since there is no one status for several results.
pub(crate) async fn run<A: Api>(
    shared: &Arc<Shared<A>>,
    media: MediaType,
    batch: Batch,
) -> Result<Response, HttpError> {
    let media = match media {
        MediaType::EventStream => {
            return Err(HttpError::not_acceptable(
                "a batch is answered with a JSON array; accept application/json",
            ));
        }
        media => media,
    };
    let _admitted = shared.admit()?;
    let bytes_max = shared.options.batch_response_bytes_max;
    let mut body = vec![b'['];
    for (index, request) in batch.into_iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        let response = match request {
            Err(error) => GraphqlResponse::request_error(error.code(), error.message()),
            Ok(_) if body.len() > bytes_max => not_run(bytes_max),
            Ok(request) => one(shared, request).await,
        };
        body.extend_from_slice(&response.body);
    }
    body.push(b']');
    let content_type = HeaderValue::from_static(media.content_type());
    Ok((StatusCode::OK, [(CONTENT_TYPE, content_type)], body).into_response())
}

async fn one<A: Api>(shared: &Arc<Shared<A>>, request: GraphqlRequest) -> GraphqlResponse {
    let prepared = execution::caught(async { shared.api.prepare(request) }).await;
    let operation = match prepared.unwrap_or_else(|panicked| Err(execution::internal(panicked))) {
        Ok(operation) => operation,
        Err(response) => return response,
    };
    if shared.api.kind(&operation) == OperationKind::Subscription {
        return GraphqlResponse::request_error(
            ErrorCode::BadRequest,
            "a batch has one answer for each request; send a subscription on its own, over a transport that streams",
        );
    }
    execution::execute(shared, operation).await
}

/// The answer to a request whose turn came when the answers before it were long enough.
fn not_run(bytes_max: usize) -> GraphqlResponse {
    let message = format!(
        "the answers to the requests before this one have more than {bytes_max} bytes, the most that a batch may have; \
         this one was not run: send it on its own"
    );
    GraphqlResponse::request_error(ErrorCode::LimitExceeded, &message)
}

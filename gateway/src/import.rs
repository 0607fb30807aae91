//! `POST /import/{collection}`: documents in, streamed.
//!
//! The body is split into records while it arrives ([`record`] and the splitters), records are parsed a batch
//! at a time on threads that may block ([`pipeline`]), and batches go to the [`ImportSink`] in order. At any
//! moment a handful of batches is in memory, whatever the size of the body.
//!
//! The answer is `{"inserted", "replaced", "failed", "errors": [{"line", "message", "extensions": {"code"}}]}`:
//! 200 when the body was read to its end, even if some of its documents failed; 400 when an atomic import
//! failed, which then has put in nothing; another status, with an error that has no `line`, when the import
//! had to stop, in which case the counts say what is in.
//!
//! [`ImportSink`]: crate::ImportSink

mod csv;
mod format;
mod json;
mod lines;
pub(crate) mod parameters;
mod pipeline;
mod record;
mod report;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::accept::content_type;
use crate::api::Api;
use crate::body::Chunks;
use crate::error::HttpError;
use crate::router::Shared;

/// `POST /import/{collection}?idField=&atomic=&format=`
pub(crate) async fn post<A: Api>(
    State(shared): State<Arc<Shared<A>>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let mut chunks = Chunks::new(&headers, body, shared.options.read_timeout);
    let result = async {
        let collection = parameters::collection_name(path)?;
        let parameters = parameters::Parameters::read(&query.unwrap_or_default())?;
        check_encoding(&headers)?;
        let named = match parameters.format {
            Some(format) => format::Named::Exactly(format),
            None => format::named_by(&content_type_of(&headers)),
        };
        let atomic = parameters.options.atomic;
        let (format, head) = format::settle(named, &mut chunks).await?;
        let sink = shared.api.import(&collection, parameters.options)?;
        Ok(pipeline::run(&shared.options, sink, atomic, format, head, &mut chunks).await)
    }
    .await;
    // After an early end the rest of the body is on its way; without one this reads nothing.
    chunks.discard();
    result.map(report::Report::into_response)
}

fn content_type_of(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    content_type(value).name
}

fn check_encoding(headers: &HeaderMap) -> Result<(), HttpError> {
    let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::to_str);
    match encoding {
        None => Ok(()),
        Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("identity") => Ok(()),
        Some(_) => Err(HttpError::unsupported_media_type(
            "the body is compressed, as its Content-Encoding says; send it as it is",
        )),
    }
}

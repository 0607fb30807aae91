//! `GET /export/{collection}`: the documents of one snapshot as NDJSON, streamed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

use crate::api::Api;
use crate::error::HttpError;
use crate::import::parameters::{collection_name, flag};
use crate::router::Shared;

/// `GET /export/{collection}?meta=`
pub(crate) async fn get<A: Api>(
    State(shared): State<Arc<Shared<A>>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, HttpError> {
    let collection = collection_name(path)?;
    let meta = wants_meta(&query.unwrap_or_default())?;
    let mut chunks = Box::pin(shared.api.export(&collection, meta).await?);
    // A failure before the first byte can be told in words. A later one can only be told by breaking the
    // response off, which an error in the body does.
    let first = chunks.next().await.transpose()?;
    let chunks = stream::iter(first.map(Ok)).chain(chunks);
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-ndjson; charset=utf-8"),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

fn wants_meta(query: &str) -> Result<bool, HttpError> {
    let mut meta = false;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "meta" => meta = flag("meta", &value)?,
            _ => {
                return Err(HttpError::bad_request(format!(
                    "`{name}` is not a parameter of an export; there is only `meta`"
                )));
            }
        }
    }
    Ok(meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read() {
        assert!(!wants_meta("").expect("fine"));
        assert!(wants_meta("meta=true").expect("fine"));
        assert!(
            wants_meta("meta=yes")
                .expect_err("no")
                .message()
                .contains("true or false")
        );
        assert!(
            wants_meta("mata=true")
                .expect_err("no")
                .message()
                .contains("only `meta`")
        );
    }
}

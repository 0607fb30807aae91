//! `multipart/mixed` responses: queries in parts, and live operations as payload frames.
//!
//! Incremental delivery follows the framing of the GraphQL over HTTP working group's RFC (IncrementalDelivery.md), whose
//! payloads exist in two formats, chosen by a parameter of the media type: `deferSpec=20220824`, also meant when there is
//! none, and `incrementalSpec=v0.2`. Live operations follow Apollo's protocol for subscriptions over multipart,
//! `subscriptionSpec=1.0`: each result is `{"payload": …}`, `{}` is a heartbeat, and a fatal error stands beside a payload
//! that is null.
//!
//! The delimiter after a part is sent with the part, since clients take a part for whole only when they see it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use thalweg_model::ErrorCode;

use crate::api::{Api, GraphqlResponse, LiveItem, PartsFormat};
use crate::error::{INTERNAL_MESSAGE, errors_list};
use crate::execution::{self, Panicked, caught};
use crate::router::Shared;
use crate::sse::Feed;

const PART: &[u8] = b"\r\nContent-Type: application/json; charset=utf-8\r\n\r\n";
const DELIMITER: &[u8] = b"\r\n--graphql";
const END: &[u8] = b"--\r\n";
const HEARTBEAT: &[u8] =
    b"\r\nContent-Type: application/json; charset=utf-8\r\n\r\n{}\r\n--graphql";

/// The response to a query of which parts come later.
pub(crate) fn parts<S>(parts: S, format: PartsFormat) -> Response
where
    S: Stream<Item = Result<Bytes, crate::api::ApiError>> + Send + 'static,
{
    let content_type = match format {
        PartsFormat::Defer20220824 => "multipart/mixed; boundary=\"graphql\"; deferSpec=20220824",
        PartsFormat::IncrementalV02 => {
            "multipart/mixed; boundary=\"graphql\"; incrementalSpec=v0.2"
        }
    };
    let framed = parts.map(|part| {
        part.map(|json| {
            let mut out = Vec::with_capacity(json.len() + 96);
            write_part(&json, &mut out);
            Bytes::from(out)
        })
    });
    // A stream that breaks off never comes to the end, so the client sees that it is not whole.
    let chunks = stream::iter([Ok(Bytes::from_static(DELIMITER))])
        .chain(framed)
        .chain(stream::iter([Ok(Bytes::from_static(END))]));
    response(content_type, Body::from_stream(chunks))
}

/// The response of a subscription or a live query.
pub(crate) async fn live<A: Api>(
    shared: &Arc<Shared<A>>,
    operation: A::Operation,
) -> Result<Response, GraphqlResponse> {
    let events = execution::subscribe(shared, operation, None).await?;
    let feed = Feed::new(
        events,
        shared.drain(),
        shared.options.keep_alive,
        HEARTBEAT,
        write_item,
    );
    let begin = stream::iter([Ok(Bytes::from_static(DELIMITER))]);
    let content_type = "multipart/mixed; boundary=\"graphql\"; subscriptionSpec=1.0";
    let body = Body::from_stream(begin.chain(feed.into_chunks()));
    Ok(response(content_type, body))
}

fn response(content_type: &'static str, body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        // Asks the proxies that know it not to collect parts before they pass them on.
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    (headers, body).into_response()
}

fn write_part(json: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(PART);
    out.extend_from_slice(json);
    out.extend_from_slice(DELIMITER);
}

/// Writes what a live operation yielded; returns whether that was the last.
fn write_item(came: Result<Option<LiveItem>, Panicked>, out: &mut Vec<u8>) -> bool {
    match came {
        Ok(Some(LiveItem::Event(event))) => {
            write_part(&[b"{\"payload\":", &*event.body, b"}"].concat(), out);
            return false;
        }
        Ok(Some(LiveItem::Ended(errors))) => write_fatal(&errors, out),
        Ok(Some(LiveItem::Complete) | None) => {}
        Err(Panicked) => write_fatal(&errors_list(ErrorCode::Internal, INTERNAL_MESSAGE), out),
    }
    out.extend_from_slice(END);
    true
}

fn write_fatal(errors: &[u8], out: &mut Vec<u8>) {
    write_part(
        &[b"{\"payload\":null,\"errors\":", errors, b"}"].concat(),
        out,
    );
}

/// Runs a query in parts; fails with the whole response where it cannot begin.
pub(crate) async fn query<A: Api>(
    shared: &Arc<Shared<A>>,
    operation: A::Operation,
    format: PartsFormat,
) -> Result<Response, GraphqlResponse> {
    let begun = caught(shared.api.execute_in_parts(operation, format))
        .await
        .unwrap_or_else(|panicked| Err(execution::internal(panicked)))?;
    Ok(parts(begun, format))
}

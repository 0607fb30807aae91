//! GraphQL over SSE, distinct connections mode: one response streams one operation.
//!
//! Follows PROTOCOL.md of enisdenjo/graphql-sse. Results are `next` events and `complete` is the last; what
//! fails before execution is reported as a `next` event too, since a browser's `EventSource` shows no body
//! of a failed request. The `id` of an event is its `commitTs`, which a client sends back as
//! `Last-Event-ID` to resume.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use thalweg_model::{CommitTs, ErrorCode};
use tokio::time::{Instant, sleep_until};

use crate::accept::MediaType;
use crate::api::{Api, GraphqlResponse, LiveItem};
use crate::error::{INTERNAL_MESSAGE, errors_list};
use crate::execution::{self, Panicked, caught};
use crate::router::{Drain, Shared};

const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";
pub(crate) const COMMENT: &[u8] = b":\n\n";

/// The response of an operation that has one result.
pub(crate) fn single(body: &[u8]) -> Response {
    let mut out = Vec::with_capacity(body.len() + 64);
    write_next(None, body, &mut out);
    out.extend_from_slice(COMPLETE);
    response(Body::from(out))
}

/// The response of a subscription or a live query.
pub(crate) async fn stream<A: Api>(
    shared: &Arc<Shared<A>>,
    headers: &HeaderMap,
    operation: A::Operation,
) -> Response {
    let subscribed = match last_event_id(headers) {
        Ok(resume_from) => execution::subscribe(shared, operation, resume_from).await,
        Err(message) => Err(GraphqlResponse::request_error(
            ErrorCode::BadRequest,
            message,
        )),
    };
    match subscribed {
        Ok(events) => {
            let feed = Feed::new(
                events,
                shared.drain(),
                shared.options.keep_alive,
                COMMENT,
                write_item,
            );
            response(Body::from_stream(feed.into_chunks()))
        }
        Err(failure) => single(&failure.body),
    }
}

/// From where a client that comes back wants to resume; the error says what is wrong with its header.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<CommitTs>, &'static str> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    match value.to_str().unwrap_or_default().trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            "the Last-Event-ID header is not the id of an event of this server; leave it out to begin \
             anew"
        }),
    }
}

/// An event stream.
pub(crate) fn response(body: Body) -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static(MediaType::EventStream.content_type()),
        ),
        (
            CACHE_CONTROL,
            HeaderValue::from_static("no-cache, no-transform"),
        ),
        // Asks the proxies that know it not to collect events before they pass them on.
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    (headers, body).into_response()
}

fn write_next(id: Option<CommitTs>, body: &[u8], out: &mut Vec<u8>) {
    write_event(Some("next"), id, body, out);
}

/// Writes an event. JSON may hold line ends between its tokens; each line is a `data` field.
pub(crate) fn write_event(
    name: Option<&str>,
    id: Option<CommitTs>,
    body: &[u8],
    out: &mut Vec<u8>,
) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    if let Some(id) = id {
        out.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    for line in body.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// A stream on its way into a response body. Nothing is read ahead: the next item is asked for when the
/// connection has taken the one before.
pub(crate) struct Feed<S, W> {
    events: Pin<Box<S>>,
    write: W,
    drain: Drain,
    keep_alive: Duration,
    /// What is sent to show that the connection lives.
    comment: &'static [u8],
    comment_at: Instant,
    done: bool,
}

impl<S, W> Feed<S, W>
where
    S: Stream<Item: Send> + Send + 'static,
    W: FnMut(Result<Option<S::Item>, Panicked>, &mut Vec<u8>) -> bool + Send + 'static,
{
    /// `write` appends what the stream yielded, `None` for its end, and tells whether the body ends with that.
    pub(crate) fn new(
        events: S,
        drain: Drain,
        keep_alive: Duration,
        comment: &'static [u8],
        write: W,
    ) -> Self {
        // The first comment is due at once: it tells the client that the operation is accepted, however
        // long its first result takes.
        let comment_at = Instant::now();
        Self {
            events: Box::pin(events),
            write,
            drain,
            keep_alive,
            comment,
            comment_at,
            done: false,
        }
    }

    pub(crate) fn into_chunks(
        self,
    ) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send {
        stream::unfold(self, |mut feed| async move {
            let chunk = feed.next_chunk().await?;
            Some((Ok(chunk), feed))
        })
    }

    /// The next piece of the body. A drain ends the body without `complete`, so that clients come back.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        let item = tokio::select! {
            biased;
            () = self.drain.begun() => return None,
            item = caught(self.events.next()) => item,
            () = sleep_until(self.comment_at) => {
                self.comment_at = Instant::now() + self.keep_alive;
                return Some(Bytes::from_static(self.comment));
            }
        };
        self.comment_at = Instant::now() + self.keep_alive;
        let mut out = Vec::new();
        self.done = (self.write)(item, &mut out);
        Some(Bytes::from(out))
    }
}

/// Writes what a live operation yielded; returns whether that was the last.
fn write_item(came: Result<Option<LiveItem>, Panicked>, out: &mut Vec<u8>) -> bool {
    match came {
        Ok(Some(LiveItem::Event(event))) => {
            write_next(event.resume_from, &event.body, out);
            return false;
        }
        Ok(Some(LiveItem::Ended(errors))) => write_errors(&errors, out),
        Ok(Some(LiveItem::Complete) | None) => {}
        Err(Panicked) => write_errors(&errors_list(ErrorCode::Internal, INTERNAL_MESSAGE), out),
    }
    out.extend_from_slice(COMPLETE);
    true
}

fn write_errors(errors: &[u8], out: &mut Vec<u8>) {
    write_next(None, &[b"{\"errors\":", errors, b"}"].concat(), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_framed_with_its_id() {
        let mut out = Vec::new();
        write_next(Some(CommitTs::from_micros(7)), b"{\"data\":1}", &mut out);
        assert_eq!(out, b"event: next\nid: 7\ndata: {\"data\":1}\n\n");
    }

    #[test]
    fn every_line_of_a_result_is_a_data_field() {
        let mut out = Vec::new();
        write_next(None, b"{\n\"data\":\r1}", &mut out);
        assert_eq!(out, b"event: next\ndata: {\ndata: \"data\":\ndata: 1}\n\n");
    }
}

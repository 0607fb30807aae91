//! Compressing response bodies for the clients that take it.
//!
//! Only text that is longer than one packet: below that the packet is sent all the same, and the processor time is lost.
//! Event streams and multipart responses are left alone, since each of their parts must arrive when it is sent. A long
//! body is compressed piece by piece as the connection takes it, so it is never in memory twice. gzip at its fastest
//! level, which every client takes: on JSON the higher ones cost several times the time for a tenth of the bytes.

use std::io::{self, Write};
use std::mem;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{Stream, StreamExt, stream};

/// Bytes that are compressed at a time.
const PIECE_BYTES_MAX: usize = 128 << 10;
/// Bytes that are compressed where the request is handled: about a tenth of a millisecond's work.
const INLINE_BYTES_MAX: usize = 16 << 10;

/// Whether a client takes gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, parameter) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = parameter
                .trim()
                .strip_prefix("q=")
                .is_some_and(|quality| quality.trim().parse::<f32>() == Ok(0.0));
            !refused && matches!(name.trim(), "gzip" | "x-gzip" | "*")
        })
}

/// Compresses a response where that is worth while: its type is text, and its length unknown or at least `bytes_min`.
pub(crate) fn compressed(response: Response, takes_gzip: bool, bytes_min: usize) -> Response {
    if !is_compressible(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Also of what is not compressed: a cache must not give somebody else's form to the next who asks.
    parts
        .headers
        .append(VARY, HeaderValue::from_static("accept-encoding"));
    let exact = body.size_hint().exact();
    let is_long = exact.is_none_or(|length| length >= bytes_min as u64);
    if !takes_gzip || !is_long || body.is_end_stream() {
        return Response::from_parts(parts, body);
    }
    parts.headers.remove(CONTENT_LENGTH);
    parts
        .headers
        .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    weaken_tag(&mut parts.headers);
    let pieces = Pieces::of(body).into_stream();
    Response::from_parts(parts, Body::from_stream(pieces))
}

fn is_compressible(headers: &HeaderMap) -> bool {
    if headers.contains_key(CONTENT_ENCODING) {
        return false;
    }
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type.is_some_and(|value| {
        [
            &b"application/json"[..],
            b"application/graphql-response+json",
            b"application/x-ndjson",
            b"text/plain",
        ]
        .iter()
        .any(|name| value.starts_with(name))
    })
}

/// A strong entity tag names bytes, and those are others now (RFC 9110, section 8.8.3.3).
fn weaken_tag(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG).and_then(|tag| tag.to_str().ok()) else {
        return;
    };
    if let Ok(weak) = HeaderValue::from_str(&format!("W/{tag}"))
        && !tag.starts_with("W/")
    {
        headers.insert(ETAG, weak);
    }
}

/// A body on its way through the encoder.
struct Pieces {
    source: BodyDataStream,
    /// What has come of the source and is not compressed yet.
    waiting: Bytes,
    /// `None` while it works on another thread, and when the body has ended.
    encoder: Option<Encoder>,
}

type Encoder = GzEncoder<Vec<u8>>;

impl Pieces {
    fn of(body: Body) -> Self {
        Pieces {
            source: body.into_data_stream(),
            waiting: Bytes::new(),
            encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())),
        }
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send {
        stream::unfold(self, |mut pieces| async move {
            let piece = pieces.next().await?;
            if piece.is_err() {
                pieces.encoder = None;
            }
            Some((piece, pieces))
        })
    }

    /// The next compressed bytes. An error of the source breaks the body off, so that it does not look whole.
    async fn next(&mut self) -> Option<Result<Bytes, axum::Error>> {
        loop {
            let mut encoder = self.encoder.take()?;
            if self.waiting.is_empty() {
                match self.source.next().await {
                    Some(Ok(chunk)) => self.waiting = chunk,
                    Some(Err(error)) => return Some(Err(error)),
                    None => {
                        return Some(encoder.finish().map(Bytes::from).map_err(axum::Error::new));
                    }
                }
            }
            let length = self.waiting.len().min(PIECE_BYTES_MAX);
            let piece = self.waiting.split_to(length);
            let work = move || write(&mut encoder, &piece).map(|out| (encoder, out));
            let done = if length <= INLINE_BYTES_MAX {
                work()
            } else {
                tokio::task::spawn_blocking(work)
                    .await
                    .unwrap_or_else(|failed| Err(io::Error::other(failed)))
            };
            match done {
                Ok((encoder, out)) => {
                    self.encoder = Some(encoder);
                    if !out.is_empty() {
                        return Some(Ok(Bytes::from(out)));
                    }
                }
                Err(error) => return Some(Err(axum::Error::new(error))),
            }
        }
    }
}

fn write(encoder: &mut Encoder, piece: &[u8]) -> io::Result<Vec<u8>> {
    encoder.write_all(piece)?;
    Ok(mem::take(encoder.get_mut()))
}

#[cfg(test)]
mod tests;

//! Reading request bodies within limits of size and time.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use thalweg_model::ErrorCode;

use crate::error::HttpError;

/// How much of a refused body is read and thrown away, so that the client gets to see the refusal.
const DISCARD_BYTES_MAX: usize = 256 << 20;
/// For how long that is done.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(10);

/// A body as chunks; a client that pauses for too long, or breaks off, is an error.
pub(crate) struct Chunks {
    stream: BodyDataStream,
    pause_max: Duration,
    waits_for_continue: bool,
    ended: bool,
}

impl Chunks {
    pub(crate) fn new(headers: &HeaderMap, body: Body, pause_max: Duration) -> Self {
        let waits_for_continue = headers.contains_key(EXPECT);
        Self {
            stream: body.into_data_stream(),
            pause_max,
            waits_for_continue,
            ended: false,
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, HttpError>> {
        self.waits_for_continue = false;
        match tokio::time::timeout(self.pause_max, self.stream.next()).await {
            Ok(None) => {
                self.ended = true;
                None
            }
            Ok(Some(Ok(chunk))) => Some(Ok(chunk)),
            Ok(Some(Err(error))) => Some(Err(HttpError::bad_request(format!(
                "the body ended before it was whole: {error}"
            ))
            .closing())),
            Err(_) => Some(Err(too_slow(format!(
                "nothing of the body arrived for {} s",
                self.pause_max.as_secs()
            )))),
        }
    }

    /// Reads what is left in the background and drops it, while the refusal goes out. A client that is
    /// still sending would otherwise find its connection reset and never read why. One that waits for
    /// `100 Continue` has not begun to send.
    pub(crate) fn discard(mut self) {
        if self.waits_for_continue || self.ended {
            return;
        }
        tokio::spawn(tokio::time::timeout(DISCARD_TIME_MAX, async move {
            let mut discarded = 0;
            while let Some(Ok(chunk)) = self.stream.next().await {
                discarded += chunk.len();
                if discarded > DISCARD_BYTES_MAX {
                    break;
                }
            }
        }));
    }
}

/// What a body that is read as a whole may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes_max: usize,
    /// Without a byte.
    pub(crate) pause_max: Duration,
    /// From the first byte to the last, so that a client cannot hold a connection by sending now and then.
    pub(crate) time_max: Duration,
}

/// Reads a whole body within limits.
pub(crate) async fn read_whole(
    headers: &HeaderMap,
    body: Body,
    limits: Limits,
) -> Result<Bytes, HttpError> {
    let read = read_in_time(headers, body, limits);
    let read = tokio::time::timeout(limits.time_max, read).await;
    read.unwrap_or_else(|_| {
        Err(too_slow(format!(
            "the body was not whole after {} s",
            limits.time_max.as_secs()
        )))
    })
}

async fn read_in_time(headers: &HeaderMap, body: Body, limits: Limits) -> Result<Bytes, HttpError> {
    let Limits {
        bytes_max,
        pause_max,
        ..
    } = limits;
    let mut chunks = Chunks::new(headers, body, pause_max);
    let announced: Option<u64> = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) {
        chunks.discard();
        return Err(too_large(bytes_max));
    }
    let Some(first) = chunks.next().await.transpose()? else {
        return Ok(Bytes::new());
    };
    if first.len() > bytes_max {
        chunks.discard();
        return Err(too_large(bytes_max));
    }
    let Some(second) = chunks.next().await.transpose()? else {
        return Ok(first);
    };
    let mut whole = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(chunk) = next {
        if whole.len() + chunk.len() > bytes_max {
            chunks.discard();
            return Err(too_large(bytes_max));
        }
        whole.extend_from_slice(&chunk);
        next = chunks.next().await.transpose()?;
    }
    Ok(whole.freeze())
}

fn too_slow(message: String) -> HttpError {
    HttpError::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::Timeout, message).closing()
}

fn too_large(bytes_max: usize) -> HttpError {
    HttpError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::LimitExceeded,
        format!("the body has more than {bytes_max} bytes, the most that one request may have"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn limits(bytes_max: usize) -> Limits {
        Limits {
            bytes_max,
            pause_max: Duration::from_secs(1),
            time_max: Duration::from_secs(2),
        }
    }

    async fn read(parts: &[&'static str], bytes_max: usize) -> Result<Bytes, HttpError> {
        let parts: Vec<Result<Bytes, std::io::Error>> = parts
            .iter()
            .map(|part| Ok(Bytes::from_static(part.as_bytes())))
            .collect();
        let body = Body::from_stream(stream::iter(parts));
        read_whole(&HeaderMap::new(), body, limits(bytes_max)).await
    }

    #[tokio::test]
    async fn the_limit_holds_whatever_the_chunks() {
        assert_eq!(read(&[], 4).await.expect("fits"), "");
        assert_eq!(read(&["abcd"], 4).await.expect("fits"), "abcd");
        assert_eq!(read(&["a", "b", "cd"], 4).await.expect("fits"), "abcd");
        for parts in [
            &["abcde"][..],
            &["abcd", "e"][..],
            &["a", "b", "c", "de"][..],
        ] {
            let error = read(parts, 4).await.expect_err("too large");
            assert_eq!(error.code(), ErrorCode::LimitExceeded);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_pauses_is_not_waited_for() {
        let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let error = read_whole(&HeaderMap::new(), body, limits(4)).await;
        assert_eq!(error.expect_err("too slow").code(), ErrorCode::Timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_now_and_then_is_not_waited_for_either() {
        let trickle = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
        });
        let started = tokio::time::Instant::now();
        let body = Body::from_stream(trickle);
        let read = read_whole(&HeaderMap::new(), body, limits(1 << 20)).await;
        let error = read.expect_err("too slow");
        assert_eq!(error.code(), ErrorCode::Timeout);
        assert!(error.message().contains("not whole after 2 s"));
        assert_eq!(started.elapsed(), Duration::from_secs(2));
    }
}

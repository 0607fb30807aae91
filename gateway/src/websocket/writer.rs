//! The writing half of a socket: one short queue, keep-alive pings, and a limit to patience.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Closing;

/// Messages that may wait for a socket. Short: what is behind it should wait before it takes its result.
pub(super) const QUEUE_MAX: usize = 4;

/// What is to be written.
pub(super) enum Outgoing {
    /// A text message, unless its operation has been cancelled in the meantime.
    Text {
        text: String,
        cancelled: Option<Arc<AtomicBool>>,
    },
    /// The last frame.
    Close(Closing),
}

/// Writes what the queue yields until the socket breaks, a write takes too long, or it has been closed.
pub(super) async fn write(
    sink: &mut SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Outgoing>,
    keep_alive: Duration,
    write_timeout: Duration,
) {
    let mut pings = interval(keep_alive);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let first = tokio::select! {
            outgoing = queue.recv() => match outgoing {
                Some(outgoing) => outgoing,
                None => return,
            },
            _ = pings.tick() => {
                let ping = sink.send(Message::Ping(Bytes::new()));
                match timeout(write_timeout, ping).await {
                    Ok(Ok(())) => continue,
                    _ => return,
                }
            }
        };
        match timeout(write_timeout, write_all(sink, first, &mut queue)).await {
            Ok(Ok(Written::Open)) => {}
            _ => return,
        }
    }
}

enum Written {
    Open,
    Closed,
}

/// Writes one message and those that already wait behind it, with a single flush. No more than the queue
/// holds, so that a steady supply is not mistaken for a client that does not read.
async fn write_all(
    sink: &mut SplitSink<WebSocket, Message>,
    first: Outgoing,
    queue: &mut mpsc::Receiver<Outgoing>,
) -> Result<Written, axum::Error> {
    let waiting = std::iter::from_fn(|| queue.try_recv().ok()).take(QUEUE_MAX);
    for outgoing in std::iter::once(first).chain(waiting) {
        match outgoing {
            Outgoing::Text {
                cancelled: Some(flag),
                ..
            } if flag.load(Ordering::Acquire) => {}
            Outgoing::Text { text, .. } => sink.feed(Message::Text(text.into())).await?,
            Outgoing::Close(closing) => {
                sink.send(Message::Close(Some(closing.frame()))).await?;
                return Ok(Written::Closed);
            }
        }
    }
    sink.flush().await?;
    Ok(Written::Open)
}

//! The writing half of a socket: what live operations tell, one short queue for all else, keep-alive pings, and a limit to
//! patience.

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
use super::operation::Operations;
use crate::api::{Api, Told};

/// What is to be written.
pub(super) enum Outgoing {
    /// A text message, unless its operation has been cancelled in the meantime.
    Text {
        text: String,
        cancelled: Option<Arc<AtomicBool>>,
    },
    /// Nothing; but what live operations are told next is left out, because the server shuts down.
    Drain,
}

/// See the module.
pub(super) struct Writer<A: Api> {
    pub(super) sink: SplitSink<WebSocket, Message>,
    pub(super) queue: mpsc::Receiver<Outgoing>,
    pub(super) operations: Arc<Operations<A>>,
    pub(super) keep_alive: Duration,
    pub(super) write_timeout: Duration,
    /// Whether live operations are still told what is new.
    pub(super) tells: bool,
}

/// Why writing has ended.
pub(super) enum Ended {
    /// The socket has broken, or a write took too long.
    Broken,
    /// There will be nothing to tell any more.
    NothingComes,
}

/// What there is to do.
enum Turn {
    Queued(Outgoing),
    Told(Told),
    Ping,
}

impl<A: Api> Writer<A> {
    /// Writes what there is for as long as that can be.
    pub(super) async fn write(&mut self) -> Ended {
        let mut pings = interval(self.keep_alive);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        loop {
            let turn = tokio::select! {
                queued = self.queue.recv() => match queued {
                    Some(queued) => Turn::Queued(queued),
                    None => return Ended::Broken,
                },
                told = self.operations.next_told(), if self.tells => match told {
                    Some(told) => Turn::Told(told),
                    None => return Ended::NothingComes,
                },
                _ = pings.tick() => Turn::Ping,
            };
            match timeout(self.write_timeout, self.take(turn)).await {
                Ok(Ok(())) => {}
                _ => return Ended::Broken,
            }
        }
    }

    /// Writes what still waits, and the close frame.
    pub(super) async fn finish(&mut self, closing: Closing) {
        let write_timeout = self.write_timeout;
        let last = async {
            while let Ok(queued) = self.queue.try_recv() {
                self.feed(queued).await?;
            }
            let close = Message::Close(Some(closing.frame()));
            self.sink.send(close).await
        };
        // If it cannot be said, the peer finds out.
        let _ = timeout(write_timeout, last).await;
    }

    /// All of a turn is written with a single flush.
    async fn take(&mut self, turn: Turn) -> Result<(), axum::Error> {
        match turn {
            Turn::Ping => self.sink.feed(Message::Ping(Bytes::new())).await?,
            Turn::Told(told) => {
                for (number, item) in told {
                    // Not before its turn, since it may be cancelled meanwhile.
                    if let Some(text) = self.operations.message(number, item) {
                        self.sink.feed(Message::Text(text.into())).await?;
                    }
                }
            }
            Turn::Queued(first) => {
                self.feed(first).await?;
                // No more than the queue holds, so that a steady supply is not mistaken for a client that does not read.
                for _ in 0..self.queue.len() {
                    match self.queue.try_recv() {
                        Ok(queued) => self.feed(queued).await?,
                        Err(_) => break,
                    }
                }
            }
        }
        self.sink.flush().await
    }

    async fn feed(&mut self, queued: Outgoing) -> Result<(), axum::Error> {
        match queued {
            Outgoing::Text {
                cancelled: Some(flag),
                ..
            } if flag.load(Ordering::Acquire) => Ok(()),
            Outgoing::Text { text, .. } => self.sink.feed(Message::Text(text.into())).await,
            Outgoing::Drain => {
                self.tells = false;
                self.operations.has_told();
                Ok(())
            }
        }
    }
}

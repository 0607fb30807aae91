//! GraphQL over WebSocket, subprotocol `graphql-transport-ws`.
//!
//! Follows PROTOCOL.md of enisdenjo/graphql-ws with all its close codes. One connection is several tasks: the *reader*
//! ([`session`]) takes messages and starts operations, each *operation* ([`operation`]) is a task of its own until it is
//! done or has become a live query, and the *writer* ([`writer`]) asks the live queries together what there is to tell, and
//! sends that and what the operations produce. Between operations and writer there is one short queue, between live queries
//! and writer none: a client that does not read makes them wait, and a live query that waits skips states, so a slow client
//! costs no memory.

mod message;
mod operation;
mod session;
mod writer;

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Utf8Bytes, WebSocketUpgrade};
use axum::response::Response;
use thalweg_model::CommitTs;

use crate::api::Api;
use crate::router::Shared;

/// The name of the subprotocol.
const SUBPROTOCOL: &str = "graphql-transport-ws";

/// A socket keeps a read buffer of this size for its whole life, and most sockets are idle.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// Answers the handshake and serves the socket.
pub(crate) fn accept<A: Api>(shared: Arc<Shared<A>>, upgrade: WebSocketUpgrade) -> Response {
    // Up to twice the limit is read, so that a message over it is refused with its own close code.
    let hard_limit = shared.options.request_bytes_max.saturating_mul(2);
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(hard_limit)
        .max_frame_size(hard_limit)
        .on_upgrade(move |socket| session::serve(shared, socket))
}

/// Why the server closes a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Closing {
    /// 1001: the server shuts down. All that the client has been told of live queries shows that state, where it is known, so
    /// that it may resume from there.
    GoingAway(Option<CommitTs>),
    /// 1009: the message is larger than this many bytes.
    TooBig(usize),
    /// 4400: not a message of the protocol.
    InvalidMessage(String),
    /// 4401: an operation before `connection_ack`.
    Unauthorized,
    /// 4406: the client does not speak this subprotocol.
    SubprotocolNotAcceptable,
    /// 4408: no `connection_init` in time.
    InitialisationTimeout,
    /// 4409: the id of an operation that is still under way.
    SubscriberExists(String),
    /// 4429: a second `connection_init`.
    TooManyInitialisations,
}

impl Closing {
    fn code(&self) -> u16 {
        match self {
            Self::GoingAway(_) => 1001,
            Self::TooBig(_) => 1009,
            Self::InvalidMessage(_) => 4400,
            Self::Unauthorized => 4401,
            Self::SubprotocolNotAcceptable => 4406,
            Self::InitialisationTimeout => 4408,
            Self::SubscriberExists(_) => 4409,
            Self::TooManyInitialisations => 4429,
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::GoingAway(None) => "Going away".into(),
            Self::GoingAway(Some(shown)) => format!("Going away; resumeFrom={shown}"),
            Self::TooBig(max) => format!("Message too big: {max} bytes are the most"),
            Self::InvalidMessage(why) => why.clone(),
            Self::Unauthorized => "Unauthorized".into(),
            Self::SubprotocolNotAcceptable => "Subprotocol not acceptable".into(),
            Self::InitialisationTimeout => "Connection initialisation timeout".into(),
            Self::SubscriberExists(id) => format!("Subscriber for {id} already exists"),
            Self::TooManyInitialisations => "Too many initialisation requests".into(),
        }
    }

    fn frame(&self) -> CloseFrame {
        CloseFrame {
            code: self.code(),
            reason: Utf8Bytes::from(shortened(self.reason())),
        }
    }
}

/// A control frame has room for 125 bytes, two of which are the code (RFC 6455, section 5.5).
const REASON_BYTES_MAX: usize = 123;

fn shortened(mut reason: String) -> String {
    if reason.len() > REASON_BYTES_MAX {
        let mut end = REASON_BYTES_MAX;
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert_eq!(shortened("short".into()), "short");
        let cut = shortened("ä".repeat(100));
        assert_eq!(cut.len(), 122);
    }
}

//! One socket from handshake to close: the reading half, and how the halves end together.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use thalweg_model::ErrorCode;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::Closing;
use super::message::{self, ClientMessage};
use super::operation::{NotStarted, Operations};
use super::writer::{Ended, Outgoing, Writer};
use crate::api::Api;
use crate::error::errors_list;
use crate::request;
use crate::router::Shared;

/// How long a peer may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Messages that may wait for a socket. Short: what is behind it should wait before it takes its result.
const QUEUE_MAX: usize = 4;

/// Serves a socket until it is closed from either side.
pub(super) async fn serve<A: Api>(shared: Arc<Shared<A>>, socket: WebSocket) {
    let agreed = socket.protocol().is_some();
    let (sink, mut stream) = socket.split();
    let (outgoing, queue) = mpsc::channel(QUEUE_MAX);
    let (keep_alive, write_timeout) = (shared.options.keep_alive, shared.options.write_timeout);
    let operations = Arc::new(Operations::new(Arc::clone(&shared), outgoing.clone()));
    let mut writer = Writer {
        sink,
        queue,
        operations: Arc::clone(&operations),
        keep_alive,
        write_timeout,
        tells: true,
    };
    let session = Session {
        operations: Arc::clone(&operations),
        outgoing,
        shared,
    };
    // A task of its own, so that the many messages of live operations do not wake it.
    let mut reader = tokio::spawn(async move {
        let closing = session.read(&mut stream, agreed).await;
        (closing, stream)
    });
    let (read, ended) = tokio::select! {
        read = &mut reader => (Some(read), None),
        ended = writer.write() => (None, Some(ended)),
    };
    operations.cancel_all();
    if let Some(ended) = ended {
        if matches!(ended, Ended::NothingComes) {
            writer.finish(Closing::GoingAway(None)).await;
        }
        reader.abort();
        return;
    }
    // It may have panicked, which the panic hook has reported.
    let Some(Ok((closing, mut stream))) = read else {
        return;
    };
    if let Some(closing) = closing {
        writer.finish(closing).await;
    }
    // Waiting for the peer's close frame keeps unread data from resetting the connection, which would take
    // our close frame with it.
    let _ = timeout(CLOSE_TIMEOUT, async {
        let _ = writer.sink.close().await;
        while let Some(Ok(_)) = stream.next().await {}
    })
    .await;
}

struct Session<A: Api> {
    shared: Arc<Shared<A>>,
    operations: Arc<Operations<A>>,
    outgoing: mpsc::Sender<Outgoing>,
}

impl<A: Api> Session<A> {
    /// Takes messages until there is a reason to close; `None` when the peer has closed or vanished.
    async fn read(&self, stream: &mut SplitStream<WebSocket>, agreed: bool) -> Option<Closing> {
        if !agreed {
            return Some(Closing::SubprotocolNotAcceptable);
        }
        let options = &self.shared.options;
        let mut drain = self.shared.drain();
        let init_by = Instant::now() + options.init_timeout;
        let mut initialised = false;
        loop {
            // Pings are answered by every client, so silence over two of them means that nobody is there.
            let deadline = if initialised {
                Instant::now() + options.keep_alive * 2
            } else {
                init_by
            };
            let received = tokio::select! {
                biased;
                () = drain.begun() => {
                    let _ = self.outgoing.send(Outgoing::Drain).await;
                    let shown = self.operations.wind_down().await;
                    return Some(Closing::GoingAway(shown));
                }
                received = timeout_at(deadline, stream.next()) => received,
            };
            let text = match received {
                Err(_) if initialised => return None,
                Err(_) => return Some(Closing::InitialisationTimeout),
                Ok(None | Some(Err(_) | Ok(Message::Close(_)))) => return None,
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
                Ok(Some(Ok(Message::Binary(_)))) => {
                    let why = "Invalid message: send text frames, not binary ones";
                    return Some(Closing::InvalidMessage(why.into()));
                }
                Ok(Some(Ok(Message::Text(text)))) => text,
            };
            if text.len() > options.request_bytes_max {
                return Some(Closing::TooBig(options.request_bytes_max));
            }
            if let Err(closing) = self.take(&text, &mut initialised).await {
                return Some(closing);
            }
        }
    }

    async fn take(&self, text: &str, initialised: &mut bool) -> Result<(), Closing> {
        match message::read(text).map_err(Closing::InvalidMessage)? {
            ClientMessage::ConnectionInit if *initialised => Err(Closing::TooManyInitialisations),
            ClientMessage::ConnectionInit => {
                *initialised = true;
                self.send(message::CONNECTION_ACK.to_owned()).await;
                Ok(())
            }
            ClientMessage::Ping(payload) => {
                self.send(message::pong(payload)).await;
                Ok(())
            }
            ClientMessage::Pong => Ok(()),
            ClientMessage::Subscribe { .. } if !*initialised => Err(Closing::Unauthorized),
            ClientMessage::Subscribe { id, payload } => self.subscribe(id, payload.get()).await,
            ClientMessage::Complete { id } => {
                self.operations.cancel(&id);
                Ok(())
            }
        }
    }

    async fn subscribe(&self, id: String, payload: &str) -> Result<(), Closing> {
        let request =
            match request::from_json(payload.as_bytes(), self.shared.options.query_bytes_max) {
                Ok(request) => request,
                Err(error) if error.code() == ErrorCode::LimitExceeded => {
                    let errors = errors_list(error.code(), error.message());
                    self.send(message::error(&id, &errors)).await;
                    return Ok(());
                }
                Err(error) => {
                    return Err(Closing::InvalidMessage(format!(
                        "Invalid message: {}",
                        error.message()
                    )));
                }
            };
        match self.operations.start(id.clone(), request) {
            Ok(()) => Ok(()),
            Err(NotStarted::IdInUse) => Err(Closing::SubscriberExists(id)),
            Err(NotStarted::TooMany(most)) => {
                let message = format!(
                    "{most} operations are under way on this socket, which is the most; complete some, or \
                     open another socket"
                );
                let errors = errors_list(ErrorCode::LimitExceeded, &message);
                self.send(message::error(&id, &errors)).await;
                Ok(())
            }
        }
    }

    async fn send(&self, text: String) {
        // A closed queue means that the writer has ended, and this future is about to be dropped.
        let _ = self
            .outgoing
            .send(Outgoing::Text {
                text,
                cancelled: None,
            })
            .await;
    }
}

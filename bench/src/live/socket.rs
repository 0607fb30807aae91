//! A client of `graphql-transport-ws` with many subscriptions on one socket.

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// An open socket, past its handshake.
pub(super) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    pub(super) async fn open(address: &str) -> Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let mut request = format!("ws://{address}/graphql").into_client_request()?;
        let protocol = "graphql-transport-ws".parse()?;
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
        let (stream, _) = client_async(request, tcp).await?;
        let mut socket = Socket { stream };
        socket.send(&json!({ "type": "connection_init" })).await?;
        let answer = socket.message().await?;
        if message_type(&answer) != "connection_ack" {
            bail!("connection_init was answered with {answer}");
        }
        Ok(socket)
    }

    /// Begins a subscription and waits for its first event, the result as it is now.
    pub(super) async fn subscribe(
        &mut self,
        id: usize,
        query: &str,
        variables: &Value,
    ) -> Result<String> {
        let payload = json!({ "query": query, "variables": variables });
        let message = json!({ "id": id.to_string(), "type": "subscribe", "payload": payload });
        self.send(&message).await?;
        let first = self.event().await?;
        if first.contains("\"errors\"") {
            bail!("{query} was answered with {first}");
        }
        Ok(first)
    }

    /// The next event of any subscription.
    pub(super) async fn event(&mut self) -> Result<String> {
        let message = self.message().await?;
        match message_type(&message) {
            "next" => Ok(message),
            _ => bail!("instead of an event there came {message}"),
        }
    }

    async fn send(&mut self, message: &Value) -> Result<()> {
        Ok(self.stream.send(Message::text(message.to_string())).await?)
    }

    async fn message(&mut self) -> Result<String> {
        loop {
            let message = self
                .stream
                .next()
                .await
                .context("the socket was closed")??;
            match message {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(frame) => bail!("the server closed the socket: {frame:?}"),
                // Pings are answered by the library with the next read.
                _ => {}
            }
        }
    }
}

/// The type of a message. Found as text: parsing each event would be a part of the latency.
fn message_type(message: &str) -> &str {
    let after = message.split_once("\"type\":\"").map(|(_, after)| after);
    after
        .and_then(|after| after.split('"').next())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_found_wherever_it_stands() {
        assert_eq!(
            message_type(r#"{"id":"1","type":"next","payload":{}}"#),
            "next"
        );
        assert_eq!(
            message_type(r#"{"type":"connection_ack"}"#),
            "connection_ack"
        );
        assert_eq!(message_type("{}"), "");
    }
}

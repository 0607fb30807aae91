//! A client of `graphql-transport-ws` with many subscriptions on one socket.
//!
//! It does no more for a message than find where it ends, since all of what it does is a part of each measured latency,
//! and it keeps little memory, since there are ten thousand of them. What it does not know it takes for an error:
//! messages in several frames, extensions, other protocols.

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const READ_BYTES: usize = 4 << 10;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// An open socket, past its handshake.
pub(super) struct Socket {
    stream: TcpStream,
    received: BytesMut,
    /// How much of what was received is the frame that was handed out last.
    handed_out: usize,
}

impl Socket {
    /// Connects, agrees on the protocol and begins the connection.
    pub(super) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut socket = Socket {
            stream,
            received: BytesMut::new(),
            handed_out: 0,
        };
        socket.shake_hands(address).await?;
        socket
            .send(&json!({ "type": "connection_init" }).to_string())
            .await?;
        let answer = socket.message().await?;
        if message_type(answer) != "connection_ack" {
            bail!("connection_init was answered with {answer}");
        }
        Ok(socket)
    }

    async fn shake_hands(&mut self, address: &str) -> Result<()> {
        let request = format!(
            "GET /graphql HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
        );
        self.stream.write_all(request.as_bytes()).await?;
        let end = loop {
            self.receive().await?;
            if let Some(at) = self.received.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = self.received.split_to(end);
        ensure!(
            head.starts_with(b"HTTP/1.1 101 "),
            "the handshake was answered with {}",
            String::from_utf8_lossy(&head)
        );
        Ok(())
    }

    /// Begins a subscription and waits for its first event, the result as it is now.
    pub(super) async fn subscribe(
        &mut self,
        id: usize,
        query: &str,
        variables: &Value,
    ) -> Result<&str> {
        self.send(&subscribe(id, query, variables)).await?;
        let first = self.event().await?;
        if first.contains("\"errors\"") {
            bail!("{query} was answered with {first}");
        }
        Ok(first)
    }

    /// The next event of any subscription.
    pub(super) async fn event(&mut self) -> Result<&str> {
        let message = self.message().await?;
        match message_type(message) {
            "next" => Ok(message),
            _ => bail!("instead of an event there came {message}"),
        }
    }

    /// Sends a message.
    pub(super) async fn send(&mut self, text: &str) -> Result<()> {
        self.send_all([text]).await
    }

    /// Sends messages with one write.
    pub(super) async fn send_all<'m>(
        &mut self,
        texts: impl IntoIterator<Item = &'m str>,
    ) -> Result<()> {
        let mut frames = Vec::new();
        for text in texts {
            write_frame(TEXT, text.as_bytes(), &mut frames);
        }
        Ok(self.stream.write_all(&frames).await?)
    }

    async fn message(&mut self) -> Result<&str> {
        // What was handed out before is no longer borrowed.
        self.received.advance(std::mem::take(&mut self.handed_out));
        let head = loop {
            let head = match Head::read(&self.received)? {
                Some(head) if self.received.len() >= head.end() => head,
                _ => {
                    self.receive().await?;
                    continue;
                }
            };
            match head.opcode {
                TEXT => break head,
                CLOSE => {
                    let reason = &self.received[head.start..head.end()];
                    bail!(
                        "the server closed the socket: {}",
                        String::from_utf8_lossy(reason)
                    );
                }
                PING => {
                    let mut pong = Vec::new();
                    write_frame(PONG, &self.received[head.start..head.end()], &mut pong);
                    self.stream.write_all(&pong).await?;
                }
                _ => {}
            }
            self.received.advance(head.end());
        };
        self.handed_out = head.end();
        Ok(std::str::from_utf8(&self.received[head.start..head.end()])?)
    }

    async fn receive(&mut self) -> Result<()> {
        self.received.reserve(READ_BYTES);
        let read = self.stream.read_buf(&mut self.received).await?;
        ensure!(read > 0, "the socket was closed");
        Ok(())
    }
}

/// A `subscribe` message.
pub(super) fn subscribe(id: usize, query: &str, variables: &Value) -> String {
    let payload = json!({ "query": query, "variables": variables });
    json!({ "id": id.to_string(), "type": "subscribe", "payload": payload }).to_string()
}

/// Which subscription a message is of. Found as text, as all here: parsing each event would be a part of the latency.
pub(super) fn message_id(message: &str) -> Result<usize> {
    let id = after(message, "\"id\":\"").context("a message without an id")?;
    Ok(id.split('"').next().unwrap_or_default().parse()?)
}

/// The number that follows `"NAME":` in a message.
pub(super) fn number_of(message: &str, name: &str) -> Result<u64> {
    let found = after(message, &format!("\"{name}\":"));
    let text = found.with_context(|| format!("no {name} in {message}"))?;
    let end = text
        .find(|it: char| !it.is_ascii_digit())
        .unwrap_or(text.len());
    Ok(text[..end].parse()?)
}

/// How long the data of an event is, without what it is wrapped in.
pub(super) fn data_bytes(event: &str) -> usize {
    let data = after(event, "\"payload\":").unwrap_or_default();
    let end = data.rfind(",\"extensions\"").unwrap_or(data.len());
    data[..end].len()
}

fn message_type(message: &str) -> &str {
    let kind = after(message, "\"type\":\"").unwrap_or_default();
    kind.split('"').next().unwrap_or_default()
}

fn after<'t>(text: &'t str, what: &str) -> Option<&'t str> {
    text.split_once(what).map(|(_, after)| after)
}

/// Where the payload of a frame is (RFC 6455, section 5.2).
#[derive(Debug, PartialEq, Eq)]
struct Head {
    opcode: u8,
    start: usize,
    length: usize,
}

impl Head {
    /// `None` as long as not all of it is there.
    fn read(bytes: &[u8]) -> Result<Option<Head>> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        ensure!(first & 0xf0 == 0x80, "a frame that is not a whole message");
        let (start, length) = match (second, rest) {
            (126, [a, b, ..]) => (4, u16::from_be_bytes([*a, *b]).into()),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
                (10, usize::try_from(length)?)
            }
            (126 | 127, _) => return Ok(None),
            (length, _) => {
                ensure!(*length < 126, "a masked frame from a server");
                (2, usize::from(*length))
            }
        };
        Ok(Some(Head {
            opcode: first & 0x0f,
            start,
            length,
        }))
    }

    fn end(&self) -> usize {
        self.start + self.length
    }
}

/// A frame as clients send it, masked; a mask of zeros changes nothing.
fn write_frame(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    const MASKED: u8 = 0x80;
    out.push(0x80 | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..126), _) => out.push(MASKED | length),
        (_, Ok(length)) => {
            out.push(MASKED | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"type":"next","id":"12","payload":{"data":{"item":{"quantity":7}},"extensions":{"a":{}}}}"#;

    #[test]
    fn the_parts_of_a_message_are_found_wherever_they_stand() {
        let other_order =
            r#"{"id":"3","type":"next","payload":{"data":{"item":{"quantity":10,"a":1}}}}"#;
        for (message, id, quantity) in [(EVENT, 12, 7), (other_order, 3, 10)] {
            assert_eq!(message_type(message), "next");
            assert_eq!(message_id(message).ok(), Some(id));
            assert_eq!(number_of(message, "quantity").ok(), Some(quantity));
        }
        assert_eq!(message_type("{}"), "");
        assert_eq!(
            data_bytes(EVENT),
            r#"{"data":{"item":{"quantity":7}}"#.len()
        );
    }

    #[test]
    fn a_frame_is_found_once_all_of_its_head_is_there() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let mut frame = Vec::new();
            write_frame(TEXT, &vec![b'a'; length], &mut frame);
            // A server's has no mask.
            frame[1] &= 0x7f;
            let mask = frame.len() - length - 4;
            frame.drain(mask..mask + 4);
            let head = Head::read(&frame).expect("it is whole");
            let expected = Head {
                opcode: TEXT,
                start: mask,
                length,
            };
            assert_eq!(head, Some(expected));
            assert_eq!(Head::read(&frame[..mask - 1]).expect("it is begun"), None);
        }
    }
}

//! The messages of `graphql-transport-ws`, read and written.
//!
//! Reading is strict: what PROTOCOL.md does not describe is an error, and its text becomes the reason of
//! close code 4400. Payloads stay text in both directions.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use thalweg_model::write_json_string;

/// A message from a client.
#[derive(Debug)]
pub(super) enum ClientMessage<'a> {
    ConnectionInit,
    Ping(Option<&'a RawValue>),
    Pong,
    Subscribe { id: String, payload: &'a RawValue },
    Complete { id: String },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

/// Reads a text frame.
pub(super) fn read(text: &str) -> Result<ClientMessage<'_>, String> {
    if !text.trim_start().starts_with('{') {
        return Err("Invalid message: not a JSON object".into());
    }
    let envelope: Envelope<'_> =
        serde_json::from_str(text).map_err(|error| format!("Invalid message: {error}"))?;
    match envelope.kind.as_ref() {
        "connection_init" => {
            map(&envelope)?;
            Ok(ClientMessage::ConnectionInit)
        }
        "ping" => Ok(ClientMessage::Ping(map(&envelope)?)),
        "pong" => {
            map(&envelope)?;
            Ok(ClientMessage::Pong)
        }
        "subscribe" => {
            let id = id(&envelope)?;
            let payload = map(&envelope)?
                .ok_or("Invalid message: 'subscribe' needs a payload with a query".to_owned())?;
            Ok(ClientMessage::Subscribe { id, payload })
        }
        "complete" => Ok(ClientMessage::Complete { id: id(&envelope)? }),
        other => Err(format!("Invalid message type '{other}'")),
    }
}

fn id(envelope: &Envelope<'_>) -> Result<String, String> {
    let id: Option<String> = envelope
        .id
        .and_then(|id| serde_json::from_str(id.get()).ok());
    id.filter(|id| !id.is_empty()).ok_or_else(|| {
        format!(
            "Invalid message: '{}' needs an id, a non-empty string",
            envelope.kind
        )
    })
}

fn map<'a>(envelope: &Envelope<'a>) -> Result<Option<&'a RawValue>, String> {
    match envelope.payload {
        Some(payload) if !payload.get().starts_with('{') => Err(format!(
            "Invalid message: the payload of '{}' must be an object",
            envelope.kind
        )),
        payload => Ok(payload),
    }
}

/// The answer to `connection_init`.
pub(super) const CONNECTION_ACK: &str = "{\"type\":\"connection_ack\"}";

/// The answer to a ping, which carries the ping's payload back.
pub(super) fn pong(payload: Option<&RawValue>) -> String {
    match payload {
        Some(payload) => format!("{{\"type\":\"pong\",\"payload\":{}}}", payload.get()),
        None => "{\"type\":\"pong\"}".into(),
    }
}

/// A result of an operation: a complete response map.
pub(super) fn next(id: &str, result: &[u8]) -> String {
    with_payload("next", id, result)
}

/// The end of an operation that failed before its execution, or could not go on: a list of errors.
pub(super) fn error(id: &str, errors: &[u8]) -> String {
    with_payload("error", id, errors)
}

/// The end of an operation.
pub(super) fn complete(id: &str) -> String {
    let mut out = Vec::with_capacity(id.len() + 40);
    begin("complete", id, &mut out);
    out.push(b'}');
    text(out)
}

fn with_payload(kind: &str, id: &str, payload: &[u8]) -> String {
    let mut out = Vec::with_capacity(payload.len() + id.len() + 48);
    begin(kind, id, &mut out);
    out.extend_from_slice(b",\"payload\":");
    out.extend_from_slice(payload);
    out.push(b'}');
    text(out)
}

fn begin(kind: &str, id: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"id\":");
    write_json_string(id, out);
}

/// Responses are JSON and so UTF-8. Were one not, its bad bytes would be replaced rather than the socket
/// broken for all its other operations.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_message_is_read() {
        assert!(matches!(
            read(r#"{"type":"connection_init"}"#),
            Ok(ClientMessage::ConnectionInit)
        ));
        assert!(matches!(
            read(r#" {"payload":{"token":"x"},"type":"connection_init"}"#),
            Ok(ClientMessage::ConnectionInit)
        ));
        assert!(matches!(
            read(r#"{"type":"ping","payload":null}"#),
            Ok(ClientMessage::Ping(None))
        ));
        assert!(matches!(
            read(r#"{"type":"pong"}"#),
            Ok(ClientMessage::Pong)
        ));
        let Ok(ClientMessage::Subscribe { id, payload }) =
            read(r#"{"id":"\u0061","type":"subscribe","payload":{"query":"{a}"}}"#)
        else {
            panic!("a subscribe message");
        };
        assert_eq!((id.as_str(), payload.get()), ("a", r#"{"query":"{a}"}"#));
        assert!(matches!(
            read(r#"{"type":"complete","id":"1"}"#),
            Ok(ClientMessage::Complete { id }) if id == "1"
        ));
    }

    #[test]
    fn what_is_not_a_message_is_refused() {
        for (text, reason) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("{", "EOF"),
            ("{}", "missing field `type`"),
            (r#"{"type":1}"#, "invalid type"),
            (r#"{"type":"next","id":"1"}"#, "type 'next'"),
            (
                r#"{"type":"connection_init","payload":"x"}"#,
                "must be an object",
            ),
            (r#"{"type":"subscribe","payload":{}}"#, "needs an id"),
            (r#"{"type":"subscribe","id":1,"payload":{}}"#, "needs an id"),
            (
                r#"{"type":"subscribe","id":"","payload":{}}"#,
                "needs an id",
            ),
            (r#"{"type":"subscribe","id":"1"}"#, "needs a payload"),
            (
                r#"{"type":"subscribe","id":"1","payload":[]}"#,
                "must be an object",
            ),
            (r#"{"type":"complete"}"#, "needs an id"),
        ] {
            let error = read(text).expect_err("must be refused");
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn server_messages_are_json() {
        assert_eq!(
            next("a\"b", b"{\"data\":null}"),
            r#"{"type":"next","id":"a\"b","payload":{"data":null}}"#
        );
        assert_eq!(
            error("1", b"[]"),
            r#"{"type":"error","id":"1","payload":[]}"#
        );
        assert_eq!(complete("1"), r#"{"type":"complete","id":"1"}"#);
        assert_eq!(pong(None), r#"{"type":"pong"}"#);
    }
}

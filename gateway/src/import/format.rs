//! Which format a body has: what the request says, else what the body's beginning shows.
//!
//! [`Look`] decides; [`settle`] reads just as much of the body as it needs.

use bytes::{Bytes, BytesMut};

use super::csv::Csv;
use super::json::Json;
use super::lines::Lines;
use super::record::Splitter;
use crate::body::Chunks;
use crate::error::HttpError;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How far to look for the first thing that is not white space, and from there for the end of its line.
const LOOK_BYTES_MAX: usize = 64 << 10;

/// The format of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A document a line.
    Ndjson,
    /// An array of documents, or documents one after the other, over any number of lines.
    Json,
    /// Rows under a header.
    Csv,
}

impl Format {
    pub(super) fn splitter(self) -> Box<dyn Splitter> {
        match self {
            Self::Ndjson => Box::new(Lines::new()),
            Self::Json => Box::new(Json::new()),
            Self::Csv => Box::new(Csv::new()),
        }
    }
}

/// What a request says about the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Exactly(Format),
    /// JSON of some kind: `application/json` is also what is often said of NDJSON.
    SomeJson,
    /// Nothing that helps.
    Unclear(String),
}

/// What a media type, in lower case, says about the format.
pub(super) fn named_by(media_type: &str) -> Named {
    match media_type {
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines" => Named::Exactly(Format::Ndjson),
        "text/csv" | "application/csv" => Named::Exactly(Format::Csv),
        "application/json" => Named::SomeJson,
        other => Named::Unclear(other.to_owned()),
    }
}

/// Reads the beginning of a body until its format is certain; returns it without a byte order mark.
pub(super) async fn settle(
    named: Named,
    chunks: &mut Chunks,
) -> Result<(Format, Bytes), HttpError> {
    let mut head = BytesMut::new();
    let mut look = Look::default();
    loop {
        let chunk = chunks.next().await.transpose()?;
        let ended = chunk.is_none();
        head.extend_from_slice(&chunk.unwrap_or_default());
        if head.len() < BYTE_ORDER_MARK.len() && !ended {
            continue;
        }
        let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head);
        if let Some(decided) = look.decide(&named, text, ended) {
            let skip = head.len() - text.len();
            return Ok((decided?, head.freeze().slice(skip..)));
        }
    }
}

/// What has been seen of a growing beginning, so that no part of it is looked at for each chunk that arrives.
#[derive(Debug, Default)]
struct Look {
    /// Bytes of white space that it begins with.
    blank: usize,
    /// Bytes after those in which no line ends.
    line: usize,
}

impl Look {
    /// The format, or `None` when more of the body must be seen.
    fn decide(
        &mut self,
        named: &Named,
        head: &[u8],
        ended: bool,
    ) -> Option<Result<Format, HttpError>> {
        if let Named::Exactly(format) = named {
            return Some(Ok(*format));
        }
        let unseen = head.get(self.blank..).unwrap_or_default();
        let blank = unseen.iter().take_while(|byte| byte.is_ascii_whitespace());
        self.blank += blank.count();
        let head = head.get(self.blank..).unwrap_or_default();
        let Some(first) = head.first() else {
            return match ended {
                // Nothing but white space has no documents in any format.
                true => Some(Ok(Format::Ndjson)),
                // JSON is the one format to which white space means nothing, however long.
                false => (self.blank > LOOK_BYTES_MAX).then_some(Ok(Format::Json)),
            };
        };
        let seen = std::mem::replace(&mut self.line, head.len());
        let unseen = head.get(seen..).unwrap_or_default();
        let line = match memchr::memchr(b'\n', unseen) {
            Some(end) => &head[..seen + end],
            None if ended || head.len() > LOOK_BYTES_MAX => head,
            None if *first == b'[' => head,
            None => return None,
        };
        Some(match (named, first) {
            (_, b'[') => Ok(Format::Json),
            // A document that ends with its line is followed by others of that kind, or by nothing.
            (_, b'{') if line.len() > LOOK_BYTES_MAX || is_closed(line) => Ok(Format::Ndjson),
            (Named::SomeJson, _) | (_, b'{') => Ok(Format::Json),
            (Named::Unclear(_), _) if is_csv_header(line) => Ok(Format::Csv),
            (Named::Unclear(given), _) => Err(unclear(given)),
            (Named::Exactly(format), _) => Ok(*format),
        })
    }
}

fn unclear(given: &str) -> HttpError {
    let given = if given.is_empty() {
        "none".to_owned()
    } else {
        format!("`{given}`")
    };
    HttpError::unsupported_media_type(format!(
        "the body's format cannot be told from its beginning, and its Content-Type is {given}; send \
         application/x-ndjson, application/json or text/csv, or add `?format=` with ndjson, json or csv"
    ))
}

/// Whether as many brackets are closed as are opened, outside of strings.
fn is_closed(line: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_i64, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    depth <= 0
}

/// Whether a line looks like names separated by commas, and like nothing else.
fn is_csv_header(line: &[u8]) -> bool {
    line.contains(&b',')
        && std::str::from_utf8(line).is_ok()
        && !line
            .iter()
            .any(|byte| b"{}[]<>".contains(byte) || (*byte < b' ' && *byte != b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::HeaderMap;
    use futures_util::stream;

    fn decide_at_once(
        named: &Named,
        head: &[u8],
        ended: bool,
    ) -> Option<Result<Format, HttpError>> {
        Look::default().decide(named, head, ended)
    }

    #[test]
    fn the_beginning_tells_the_format() {
        let unclear = || named_by("application/octet-stream");
        let table = [
            (named_by("application/x-ndjson"), "[", Format::Ndjson),
            (named_by("text/csv"), "{", Format::Csv),
            (named_by("application/json"), " \n[", Format::Json),
            (
                named_by("application/json"),
                "{\"a\":\"{\"}\n{",
                Format::Ndjson,
            ),
            (named_by("application/json"), "{\n\"a\":1}", Format::Json),
            (named_by("application/json"), "{\"a\":1}", Format::Ndjson),
            (named_by("application/json"), "oops", Format::Json),
            (unclear(), "[{}]", Format::Json),
            (unclear(), "{}\n{}", Format::Ndjson),
            (unclear(), "{\n}", Format::Json),
            (unclear(), "id,name\r\n1,2", Format::Csv),
            (unclear(), " \n", Format::Ndjson),
        ];
        for (named, head, expected) in table {
            let decided = decide_at_once(&named, head.as_bytes(), true).expect("all is there");
            assert_eq!(decided.expect("certain"), expected, "{named:?} {head}");
        }
        for head in ["oops", "a b c\nd", "<a>,<b>\n"] {
            let decided = decide_at_once(&unclear(), head.as_bytes(), true).expect("all is there");
            let message = decided.expect_err("not certain").message().to_owned();
            assert!(message.contains("?format="), "{message}");
        }
    }

    #[test]
    fn more_is_read_until_the_first_line_is_whole() {
        let json = named_by("application/json");
        assert!(decide_at_once(&json, b"", false).is_none());
        assert!(decide_at_once(&json, b"{\"a\":", false).is_none());
        assert!(decide_at_once(&json, b"[", false).is_some());
        let long = format!("{{\"a\":\"{}", "x".repeat(LOOK_BYTES_MAX));
        let decided = decide_at_once(&json, long.as_bytes(), false).expect("long enough");
        assert_eq!(decided.expect("certain"), Format::Ndjson);
    }

    #[test]
    fn a_beginning_that_grows_is_decided_like_a_whole_one() {
        let json = named_by("application/json");
        for text in [" \n\n  {\"a\":1}\n{", "  {\n\"a\":1}", "\n\n oops\n", " [1"] {
            let at_once = decide_at_once(&json, text.as_bytes(), false)
                .expect("certain")
                .ok();
            let mut look = Look::default();
            let bit_by_bit = (1..=text.len())
                .find_map(|length| look.decide(&json, &text.as_bytes()[..length], false));
            assert_eq!(bit_by_bit.expect("certain").ok(), at_once, "{text}");
        }
    }

    /// A body that never shows anything must neither be kept nor be looked at again and again.
    #[tokio::test]
    async fn endless_white_space_is_decided_early() {
        for media_type in ["application/json", ""] {
            let blank = || Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1000]));
            let body = Body::from_stream(stream::repeat_with(blank));
            let mut chunks = Chunks::new(&HeaderMap::new(), body, Duration::from_secs(1));
            let (format, head) = settle(named_by(media_type), &mut chunks)
                .await
                .expect("decided");
            assert_eq!(format, Format::Json);
            assert!(head.len() <= LOOK_BYTES_MAX + 1000, "{}", head.len());
        }
    }
}

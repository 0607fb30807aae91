//! Which format a body has: what the request says, else what the body's beginning shows.
//!
//! [`decide`] is pure; [`settle`] reads just as much of the body as it needs.

use bytes::{Bytes, BytesMut};

use super::csv::Csv;
use super::json::Json;
use super::lines::Lines;
use super::record::Splitter;
use crate::body::Chunks;
use crate::error::HttpError;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How far to look for the end of the first line.
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
    loop {
        let chunk = chunks.next().await.transpose()?;
        let ended = chunk.is_none();
        head.extend_from_slice(&chunk.unwrap_or_default());
        if head.len() < BYTE_ORDER_MARK.len() && !ended {
            continue;
        }
        let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head);
        if let Some(decided) = decide(&named, text, ended) {
            let skip = head.len() - text.len();
            return Ok((decided?, head.freeze().slice(skip..)));
        }
    }
}

/// The format, or `None` when more of the body must be seen.
fn decide(named: &Named, head: &[u8], ended: bool) -> Option<Result<Format, HttpError>> {
    if let Named::Exactly(format) = named {
        return Some(Ok(*format));
    }
    let Some(start) = head.iter().position(|byte| !byte.is_ascii_whitespace()) else {
        // Nothing but white space has no documents in any format.
        return ended.then_some(Ok(Format::Ndjson));
    };
    let head = &head[start..];
    let line = match memchr::memchr(b'\n', head) {
        Some(end) => &head[..end],
        None if ended || head.len() > LOOK_BYTES_MAX => head,
        None if head[0] == b'[' => head,
        None => return None,
    };
    Some(match (named, head[0]) {
        (_, b'[') => Ok(Format::Json),
        // A document that ends with its line is followed by others of that kind, or by nothing.
        (_, b'{') if line.len() > LOOK_BYTES_MAX || is_closed(line) => Ok(Format::Ndjson),
        (Named::SomeJson, _) | (_, b'{') => Ok(Format::Json),
        (Named::Unclear(_), _) if is_csv_header(line) => Ok(Format::Csv),
        (Named::Unclear(given), _) => Err(unclear(given)),
        (Named::Exactly(format), _) => Ok(*format),
    })
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
            let decided = decide(&named, head.as_bytes(), true).expect("all is there");
            assert_eq!(decided.expect("certain"), expected, "{named:?} {head}");
        }
        for head in ["oops", "a b c\nd", "<a>,<b>\n"] {
            let decided = decide(&unclear(), head.as_bytes(), true).expect("all is there");
            let message = decided.expect_err("not certain").message().to_owned();
            assert!(message.contains("?format="), "{message}");
        }
    }

    #[test]
    fn more_is_read_until_the_first_line_is_whole() {
        let json = named_by("application/json");
        assert!(decide(&json, b"", false).is_none());
        assert!(decide(&json, b"{\"a\":", false).is_none());
        assert!(decide(&json, b"[", false).is_some());
        let long = format!("{{\"a\":\"{}", "x".repeat(LOOK_BYTES_MAX));
        let decided = decide(&json, long.as_bytes(), false).expect("long enough");
        assert_eq!(decided.expect("certain"), Format::Ndjson);
    }
}

//! Which part of a list is asked for: `first`, `last`, `after`, `before`, `offset`.
//!
//! A cursor is opaque to clients: base64url of a version, a fingerprint of the order that it is a position in, and
//! the position. One of another order is refused rather than misread.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thalweg_engine::Position;

use crate::failure::Refusal;
use crate::input::Fields;
use crate::limits::Limits;

const CURSOR_VERSION: u8 = 1;
/// The version and the fingerprint.
const CURSOR_HEAD_BYTES: usize = 5;

/// A part of an ordered list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) after: Option<Position>,
    pub(crate) before: Option<Position>,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
    /// The last rows rather than the first.
    pub(crate) from_end: bool,
}

impl Page {
    /// Reads the paging arguments of a list in the order of that fingerprint.
    pub(crate) fn from_arguments(
        arguments: &Fields,
        fingerprint: u32,
        limits: &Limits,
    ) -> Result<Page, Refusal> {
        let first = count(arguments, "first", limits.page_max)?;
        let last = count(arguments, "last", limits.page_max)?;
        let offset = count(arguments, "offset", limits.offset_max)?;
        if first.is_some() && last.is_some() {
            return Err(Refusal::bad_request(
                "first and last cannot be combined: say first to page forward, last to page backward",
            ));
        }
        if last.is_some() && offset.is_some() {
            return Err(Refusal::bad_request(
                "offset counts from the start, so it goes with first; last takes a cursor in before",
            ));
        }
        Ok(Page {
            after: cursor(arguments, "after", fingerprint)?,
            before: cursor(arguments, "before", fingerprint)?,
            offset: offset.unwrap_or(0),
            limit: first
                .or(last)
                .unwrap_or(limits.page_default.min(limits.page_max)),
            from_end: last.is_some(),
        })
    }
}

/// An argument that counts rows, up to a bound.
pub(crate) fn count(arguments: &Fields, name: &str, max: usize) -> Result<Option<usize>, Refusal> {
    let Some(value) = arguments.integer(name) else {
        return Ok(None);
    };
    let Ok(value) = usize::try_from(value) else {
        return Err(Refusal::bad_request(format!(
            "{name} is {value}, but it counts rows, so it must be 0 or more"
        )));
    };
    if value > max {
        return Err(Refusal::limit(format!(
            "{name} is {value}; at most {max} are allowed"
        )));
    }
    Ok(Some(value))
}

fn cursor(arguments: &Fields, name: &str, fingerprint: u32) -> Result<Option<Position>, Refusal> {
    let Some(text) = arguments.text(name) else {
        return Ok(None);
    };
    let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).unwrap_or_default();
    let Some((head, position)) = bytes.split_at_checked(CURSOR_HEAD_BYTES) else {
        return Err(not_a_cursor(name));
    };
    let (version, order) = (head[0], &head[1..]);
    if version != CURSOR_VERSION {
        return Err(not_a_cursor(name));
    }
    if order != fingerprint.to_be_bytes() {
        return Err(Refusal::bad_request(format!(
            "{name} is a cursor of another ordering; use it with the orderBy that it came from"
        )));
    }
    Ok(Some(Position::from_bytes(position.to_vec())))
}

fn not_a_cursor(name: &str) -> Refusal {
    Refusal::bad_request(format!(
        "{name} is not a cursor; take one from edges.cursor or pageInfo of an earlier page"
    ))
}

/// Appends a cursor as a JSON string.
pub(crate) fn write_cursor(fingerprint: u32, position: &Position, out: &mut Vec<u8>) {
    let mut bytes = Vec::with_capacity(CURSOR_HEAD_BYTES + position.as_bytes().len());
    bytes.push(CURSOR_VERSION);
    bytes.extend_from_slice(&fingerprint.to_be_bytes());
    bytes.extend_from_slice(position.as_bytes());
    out.push(b'"');
    out.extend_from_slice(URL_SAFE_NO_PAD.encode(bytes).as_bytes());
    out.push(b'"');
}

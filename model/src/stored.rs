//! The stored form of a value: its canonical JSON text, and tables of the offsets in it.
//!
//! ```text
//! byte 0          width of a word: 1 = two bytes, 2 = four bytes (all words little-endian)
//! word            length of the text
//! word            the root's table
//! text            canonical JSON
//! words           the tables
//! ```
//!
//! A table is named by the position of its first word among the words of all tables, plus one; zero
//! is "no table". Offsets count from the start of the text.
//!
//! - an object with members: `count`; then `name offset, value offset, table of the value` each, in
//!   the order of the text; `end`, the offset behind its closing bracket;
//! - a list that contains lists or objects: `count`; then `item offset, table of the item` each;
//!   `end`;
//! - all other values have none: scalars are their text, and a list of scalars is quickly scanned.
//!
//! Where a value ends follows from the word behind its entry, because canonical text has exactly one
//! byte between neighbours. Tables of inner values stand before those of outer ones.

use bytes::Bytes;
use thiserror::Error;

use crate::error::{ErrorClass, ErrorCode};

const NARROW: u8 = 1;
const WIDE: u8 = 2;

/// The words of an entry in an object's table.
pub(crate) const MEMBER_WORDS: usize = 3;
/// The words of an entry in a list's table.
pub(crate) const ITEM_WORDS: usize = 2;

/// The bytes are not the stored form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CorruptValue {
    /// The first byte says no format that is known.
    #[error("stored value of unknown format")]
    UnknownFormat,
    /// The lengths in the header contradict the length of the bytes.
    #[error("stored value with lengths that do not fit")]
    Lengths,
}

impl CorruptValue {
    /// The code that clients see.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::Internal
    }

    /// Always [`ErrorClass::Corruption`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Corruption
    }
}

/// What the header says, checked against the length of the whole.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    /// Where the text begins, in bytes of the whole.
    pub(crate) text: u32,
    /// Where the text ends and the tables begin.
    pub(crate) tables: u32,
    /// The table of the root.
    pub(crate) root: u32,
}

/// Bytes per word.
#[inline]
pub(crate) fn word_width(stored: &[u8]) -> usize {
    if stored.first() == Some(&NARROW) {
        2
    } else {
        4
    }
}

/// Where the text begins.
#[inline]
pub(crate) fn text_start(stored: &[u8]) -> usize {
    1 + 2 * word_width(stored)
}

/// Adjacent words, from a byte position on.
#[inline]
pub(crate) fn words_at<const N: usize>(
    stored: &[u8],
    position: usize,
    width: usize,
) -> Option<[u32; N]> {
    let bytes = stored.get(position..)?;
    if width == 2 {
        let words: &[[u8; 2]; N] = bytes.as_chunks().0.first_chunk()?;
        Some(words.map(|word| u32::from(u16::from_le_bytes(word))))
    } else {
        let words: &[[u8; 4]; N] = bytes.as_chunks().0.first_chunk()?;
        Some(words.map(u32::from_le_bytes))
    }
}

/// Reads and checks the header; looks at nothing else.
#[inline]
pub(crate) fn read_header(stored: &[u8]) -> Result<Header, CorruptValue> {
    if !matches!(stored.first(), Some(&(NARROW | WIDE))) {
        return Err(CorruptValue::UnknownFormat);
    }
    let width = word_width(stored);
    let text = text_start(stored);
    let [length, root] = words_at(stored, 1, width).ok_or(CorruptValue::Lengths)?;
    // All positions are kept in 32 bits, and sums are made in 64.
    let end = text as u64 + u64::from(length);
    let total = stored.len() as u64;
    if length == 0 || end > total || total > u64::from(u32::MAX) {
        return Err(CorruptValue::Lengths);
    }
    let words = (total - end) / width as u64;
    if words * width as u64 != total - end || u64::from(root) > words {
        return Err(CorruptValue::Lengths);
    }
    Ok(Header {
        text: text as u32,
        tables: end as u32,
        root,
    })
}

/// Puts text and tables together. Neither has more than `u32::MAX` elements: the parser sees to it.
pub(crate) fn assemble(text: &[u8], words: &[u32], root: u32) -> Bytes {
    // No word exceeds the larger of the two lengths, so one test covers them all.
    let narrow = text.len().max(words.len()) <= usize::from(u16::MAX);
    let width = if narrow { 2 } else { 4 };
    let mut stored = Vec::with_capacity(1 + (2 + words.len()) * width + text.len());
    let header = [text.len() as u32, root];
    if narrow {
        stored.push(NARROW);
        stored.extend(header.iter().flat_map(|word| (*word as u16).to_le_bytes()));
        stored.extend_from_slice(text);
        stored.extend(words.iter().flat_map(|word| (*word as u16).to_le_bytes()));
    } else {
        stored.push(WIDE);
        stored.extend(header.iter().flat_map(|word| word.to_le_bytes()));
        stored.extend_from_slice(text);
        stored.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    Bytes::from(stored)
}

#[cfg(test)]
mod tests;

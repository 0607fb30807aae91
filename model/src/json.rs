//! The text of JSON strings, escaped and not, and what can be wrong with JSON text.
//!
//! The canonical text of a string escapes only what must be escaped: `"` and `\`, and the control
//! characters, as `\b \f \n \r \t` or `\u00xx` in lower case. All else stands as raw UTF-8.

use std::borrow::Cow;

use thiserror::Error;

use crate::error::{ErrorClass, ErrorCode};
use crate::parse::{DEPTH_MAX, TEXT_BYTES_MAX};

/// Why a text is not taken as a JSON value, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{reason} at byte {offset}")]
pub struct JsonError {
    /// The place in the text, in bytes from its start.
    pub offset: usize,
    /// What is wrong there.
    pub reason: JsonErrorReason,
}

impl JsonError {
    /// The code that clients see.
    pub fn code(&self) -> ErrorCode {
        match self.reason {
            JsonErrorReason::TooDeep | JsonErrorReason::TooLong => ErrorCode::LimitExceeded,
            _ => ErrorCode::BadRequest,
        }
    }

    /// The class of the code.
    pub fn class(&self) -> ErrorClass {
        self.code().class()
    }
}

/// What can be wrong with JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JsonErrorReason {
    /// The text stops inside a value, or is empty.
    #[error("unexpected end of the text")]
    UnexpectedEnd,
    /// Something else where a value must begin.
    #[error("expected a value")]
    ExpectedValue,
    /// A value of another kind where only an object is taken.
    #[error("expected an object")]
    ExpectedObject,
    /// Something else where the name of a member must begin.
    #[error("expected a name in double quotes")]
    ExpectedName,
    /// Something else behind a name.
    #[error("expected ':'")]
    ExpectedColon,
    /// Something else behind a member.
    #[error("expected ',' or '}}'")]
    ExpectedCommaOrBrace,
    /// Something else behind an item.
    #[error("expected ',' or ']'")]
    ExpectedCommaOrBracket,
    /// Something behind the value.
    #[error("expected the end of the text")]
    TrailingText,
    /// A control character stands unescaped in a string.
    #[error("control character in a string")]
    ControlCharacter,
    /// A backslash is followed by something that is no escape.
    #[error("invalid escape")]
    InvalidEscape,
    /// Half of a surrogate pair, which is no character.
    #[error("lone surrogate in a string")]
    LoneSurrogate,
    /// It begins like a number but is none.
    #[error("invalid number")]
    InvalidNumber,
    /// A number that is infinite as a double, or whose exponent has more than nine digits.
    #[error("number out of range")]
    NumberOutOfRange,
    /// The text is not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// Lists and objects are nested too deeply.
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// The text is too long for one value.
    #[error("longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
}

/// Appends the text as a JSON string, quoted and escaped canonically.
///
/// ```
/// let mut out = Vec::new();
/// thalweg_model::write_json_string("line\n\"two\"", &mut out);
/// assert_eq!(out, br#""line\n\"two\"""#);
/// ```
pub fn write_json_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = special_offset(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(&special) = rest.get(plain) else {
            break;
        };
        write_escape(special, out);
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
}

/// Appends the canonical text of one character inside a string.
pub(crate) fn write_char(character: char, out: &mut Vec<u8>) {
    match character {
        '"' | '\\' | '\0'..='\x1f' => write_escape(character as u8, out),
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Appends the escape of a byte that cannot stand for itself.
fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Where the first byte stands that ends or interrupts a run of plain string text: a quote, a
/// backslash or a control character; the length if there is none.
///
/// Eight bytes at a time: subtracting turns the high bit on exactly in the lowest byte that is
/// smaller than the subtrahend (higher bytes may be wrong because of the borrow, but only the lowest
/// hit counts), and an exclusive or with the wanted byte makes that byte the one smaller than 1.
#[inline]
pub(crate) fn special_offset(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGH;

    let mut offset = 0;
    let (chunks, tail) = text.as_chunks::<8>();
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        let hits = below(word, 0x20)
            | below(word ^ (ONES * u64::from(b'"')), 1)
            | below(word ^ (ONES * u64::from(b'\\')), 1);
        if hits != 0 {
            return offset + hits.trailing_zeros() as usize / 8;
        }
        offset += 8;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    offset + tail.iter().position(is_special).unwrap_or(tail.len())
}

/// Reads an escape; `text` begins at its backslash. Gives the character and the length of the
/// escape, or what is wrong.
pub(crate) fn read_escape(text: &[u8]) -> Result<(char, usize), JsonErrorReason> {
    let character = match text.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\x08',
        Some(b'f') => '\x0c',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return read_unicode_escape(text),
        Some(_) => return Err(JsonErrorReason::InvalidEscape),
        None => return Err(JsonErrorReason::UnexpectedEnd),
    };
    Ok((character, 2))
}

fn read_unicode_escape(text: &[u8]) -> Result<(char, usize), JsonErrorReason> {
    let first = read_hex(text.get(2..6))?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 6));
    }
    // Not a character, hence a surrogate: a high one must be followed by a low one.
    if !(0xd800..0xdc00).contains(&first) || text.get(6..8) != Some(b"\\u") {
        return Err(JsonErrorReason::LoneSurrogate);
    }
    let second = read_hex(text.get(8..12))?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err(JsonErrorReason::LoneSurrogate);
    }
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(code)
        .map(|character| (character, 12))
        .ok_or(JsonErrorReason::LoneSurrogate)
}

fn read_hex(text: Option<&[u8]>) -> Result<u32, JsonErrorReason> {
    let text = text.ok_or(JsonErrorReason::InvalidEscape)?;
    text.iter().try_fold(0, |code, byte| {
        let digit = char::from(*byte)
            .to_digit(16)
            .ok_or(JsonErrorReason::InvalidEscape)?;
        Ok(code << 4 | digit)
    })
}

/// The text of a string from between its quotes. `None` if it is no valid string text, which only
/// corrupt bytes give.
pub(crate) fn unescape(escaped: &[u8]) -> Option<Cow<'_, str>> {
    let Some(first) = memchr::memchr(b'\\', escaped) else {
        return std::str::from_utf8(escaped).ok().map(Cow::Borrowed);
    };
    let mut text = String::with_capacity(escaped.len());
    let mut rest = escaped;
    let mut next = Some(first);
    while let Some(backslash) = next {
        text.push_str(std::str::from_utf8(&rest[..backslash]).ok()?);
        let (character, length) = read_escape(&rest[backslash..]).ok()?;
        text.push(character);
        rest = &rest[backslash + length..];
        next = memchr::memchr(b'\\', rest);
    }
    text.push_str(std::str::from_utf8(rest).ok()?);
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests;

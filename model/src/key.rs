//! Keys: values and tuples as bytes whose lexicographic order is the order of the values.
//!
//! Every component is self-delimiting (none is a prefix of another of its type), so the encoding of
//! a tuple is that of its components one after the other, and sorts as the tuple does.
//!
//! A value begins with a tag for its rank ([`ValueRef::compare`] has the order of ranks):
//!
//! | value | bytes |
//! |---|---|
//! | null, false, true | `10`, `11`, `12` |
//! | number | `20`, then the number |
//! | string | `30`, then the string |
//! | list | `40`, the items as values, `00` |
//! | object | `50`, for each member in order of names `30`, the name as a string, the value; `00` |
//!
//! *String:* the UTF-8 bytes with `00` written as `00 ff`, then `00 01`.
//!
//! *Number:* zero is `80`. Other numbers are normalised to `0.d₁d₂… × 10^exponent`, so that equal
//! numbers have equal keys. A positive one is its exponent, then its digits in pairs, each pair plus
//! one as a byte, then `00`; a negative one is the same with all bits inverted. Exponents from -60
//! to 60 are one byte, `82` to `fa`; smaller ones are `81`, larger ones `fb`, and eight more bytes.
//!
//! In descending order a value is the same bytes, all inverted.

use std::borrow::Cow;

use crate::compare::Rank;
use crate::decimal::Decimal;
use crate::parse::DEPTH_MAX;
use crate::value::ValueRef;

const TAG_NULL: u8 = 0x10;
const TAG_FALSE: u8 = 0x11;
const TAG_TRUE: u8 = 0x12;
const TAG_NUMBER: u8 = 0x20;
const TAG_STRING: u8 = 0x30;
const TAG_LIST: u8 = 0x40;
const TAG_OBJECT: u8 = 0x50;
/// Ends a list, an object and the digits of a number. Smaller than any tag and any pair of digits.
const END: u8 = 0x00;

/// In a string: what follows a zero byte that is part of it, and what follows the one that ends it.
const ZERO_ESCAPED: u8 = 0xff;
const STRING_END: [u8; 2] = [0x00, 0x01];

const ZERO: u8 = 0x80;
const SMALL_EXPONENT: u8 = 0x81;
const FIRST_EXPONENT: u8 = 0x82;
const LARGE_EXPONENT: u8 = 0xfb;
/// The largest exponent with one byte; its negative is the smallest.
const SHORT_EXPONENT: i64 = 60;

/// Appends the key of the value, self-delimiting.
///
/// ```
/// use thalweg_model::{Value, key::encode_value};
///
/// let key = |json: &str| {
///     let value = Value::parse(json.as_bytes()).expect("valid JSON");
///     let mut key = Vec::new();
///     encode_value(value.as_ref(), &mut key);
///     key
/// };
/// assert!(key("null") < key("-1e3"));
/// assert!(key("-1e3") < key("2"));
/// assert!(key("2") < key("10"));
/// assert_eq!(key("10"), key("1.0e1"));
/// assert!(key("10") < key(r#""10""#));
/// ```
pub fn encode_value(value: ValueRef<'_>, out: &mut Vec<u8>) {
    encode_at(value, out, 0);
}

/// Appends the key of the value for descending order.
pub fn encode_value_descending(value: ValueRef<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    encode_value(value, out);
    invert(&mut out[start..]);
}

/// How many bytes the key of a value has that `encoded` begins with; `None` where it begins with none.
///
/// ```
/// use thalweg_model::{Value, key::{encode_value, value_key_len}};
///
/// let mut key = Vec::new();
/// encode_value(Value::parse(b"[1, \"a\"]").expect("valid JSON").as_ref(), &mut key);
/// let bytes = key.len();
/// key.extend_from_slice(b"and more");
/// assert_eq!(value_key_len(&key), Some(bytes));
/// ```
pub fn value_key_len(encoded: &[u8]) -> Option<usize> {
    skip_value(encoded, 0x00)
}

/// The same of a key that [`encode_value_descending`] made.
pub fn value_key_len_descending(encoded: &[u8]) -> Option<usize> {
    skip_value(encoded, 0xff)
}

/// Steps over one value whose bytes were combined with `flip`.
fn skip_value(encoded: &[u8], flip: u8) -> Option<usize> {
    let mut at = 0;
    let mut depth = 0_usize;
    loop {
        let tag = encoded.get(at)? ^ flip;
        at += 1;
        match tag {
            TAG_NULL | TAG_FALSE | TAG_TRUE => {}
            TAG_NUMBER => at += skip_number(encoded.get(at..)?, flip)?,
            TAG_STRING => at += skip_string(encoded.get(at..)?, flip)?,
            TAG_LIST | TAG_OBJECT => depth += 1,
            END => depth = depth.checked_sub(1)?,
            _ => return None,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

fn skip_number(encoded: &[u8], flip: u8) -> Option<usize> {
    let first = encoded.first()? ^ flip;
    if first == ZERO {
        return Some(1);
    }
    let flip = if first < ZERO { flip ^ 0xff } else { flip };
    let digits_at = match encoded.first()? ^ flip {
        SMALL_EXPONENT | LARGE_EXPONENT => 1 + 8,
        FIRST_EXPONENT..LARGE_EXPONENT => 1,
        _ => return None,
    };
    let digits = encoded.get(digits_at..)?;
    Some(digits_at + memchr::memchr(END ^ flip, digits)? + 1)
}

fn skip_string(encoded: &[u8], flip: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr(flip, encoded.get(at..)?)? + 2;
        match encoded.get(at - 1)? ^ flip {
            ZERO_ESCAPED => {}
            marker if marker == STRING_END[1] => return Some(at),
            _ => return None,
        }
    }
}

/// Only corrupt bytes nest deeper than the bound, which is there for them.
fn encode_at(value: ValueRef<'_>, out: &mut Vec<u8>, depth: usize) {
    match value.rank() {
        Rank::Null => out.push(TAG_NULL),
        Rank::False => out.push(TAG_FALSE),
        Rank::True => out.push(TAG_TRUE),
        Rank::Number => {
            out.push(TAG_NUMBER);
            encode_number(Decimal::new(value.json()), out);
        }
        Rank::String => {
            out.push(TAG_STRING);
            encode_string(value.as_str().unwrap_or_default().as_bytes(), out);
        }
        Rank::List => {
            out.push(TAG_LIST);
            if depth < DEPTH_MAX {
                for item in value.items() {
                    encode_at(item, out, depth + 1);
                }
            }
            out.push(END);
        }
        Rank::Object => {
            out.push(TAG_OBJECT);
            if depth < DEPTH_MAX {
                for (name, member) in value.sorted_members() {
                    out.push(TAG_STRING);
                    encode_string(name.as_bytes(), out);
                    encode_at(member, out, depth + 1);
                }
            }
            out.push(END);
        }
    }
}

fn encode_number(number: Decimal<'_>, out: &mut Vec<u8>) {
    if number.is_zero() {
        out.push(ZERO);
        return;
    }
    let start = out.len();
    let exponent = number.exponent;
    if (-SHORT_EXPONENT..=SHORT_EXPONENT).contains(&exponent) {
        out.push(FIRST_EXPONENT + (exponent + SHORT_EXPONENT) as u8);
    } else {
        out.push(if exponent < 0 {
            SMALL_EXPONENT
        } else {
            LARGE_EXPONENT
        });
        // Flipping the sign bit makes two's complement sort as unsigned.
        out.extend_from_slice(&(exponent ^ i64::MIN).to_be_bytes());
    }
    let mut digits = number.digits().map(|digit| digit.wrapping_sub(b'0') % 10);
    while let Some(tens) = digits.next() {
        out.push(tens * 10 + digits.next().unwrap_or(0) + 1);
    }
    out.push(END);
    if number.is_negative {
        invert(&mut out[start..]);
    }
}

fn encode_string(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(zero) = memchr::memchr(0, rest) {
        out.extend_from_slice(&rest[..=zero]);
        out.push(ZERO_ESCAPED);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&STRING_END);
}

fn invert(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = !*byte;
    }
}

/// The smallest key that is greater than every key with the prefix; `None` if there is none, because
/// the prefix is empty or all `ff`.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Builds the key of a tuple, component by component.
///
/// ```
/// use thalweg_model::{KeyReader, KeyWriter};
///
/// let key = KeyWriter::new().u8(3).string("movies").u64(7).finish();
/// let mut reader = KeyReader::new(&key);
/// assert_eq!(reader.u8(), Some(3));
/// assert_eq!(reader.string().as_deref(), Some("movies"));
/// assert_eq!(reader.u64(), Some(7));
/// assert!(reader.rest().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct KeyWriter(Vec<u8>);

impl KeyWriter {
    /// An empty key.
    pub fn new() -> KeyWriter {
        KeyWriter::default()
    }

    /// Appends a byte.
    pub fn u8(&mut self, number: u8) -> &mut KeyWriter {
        self.0.push(number);
        self
    }

    /// Appends four bytes.
    pub fn u32(&mut self, number: u32) -> &mut KeyWriter {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, number: u64) -> &mut KeyWriter {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Appends eight bytes, the larger number first.
    pub fn u64_descending(&mut self, number: u64) -> &mut KeyWriter {
        self.u64(!number)
    }

    /// Appends a string, self-delimiting; without a tag, so not comparable with values.
    pub fn string(&mut self, text: &str) -> &mut KeyWriter {
        encode_string(text.as_bytes(), &mut self.0);
        self
    }

    /// Appends a value.
    pub fn value(&mut self, value: ValueRef<'_>) -> &mut KeyWriter {
        encode_value(value, &mut self.0);
        self
    }

    /// Appends a value, the larger first.
    pub fn value_descending(&mut self, value: ValueRef<'_>) -> &mut KeyWriter {
        encode_value_descending(value, &mut self.0);
        self
    }

    /// Appends bytes that are encoded already, or that end the key.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut KeyWriter {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The key so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key; the writer is empty again.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Reads the components of a key back, in the order in which they were written. `None` means that
/// the key has no such component there; the reader then stays where it is.
#[derive(Clone, Debug)]
pub struct KeyReader<'k> {
    rest: &'k [u8],
}

impl<'k> KeyReader<'k> {
    /// At the start of the key.
    pub fn new(key: &'k [u8]) -> KeyReader<'k> {
        KeyReader { rest: key }
    }

    /// A byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number written in descending order.
    pub fn u64_descending(&mut self) -> Option<u64> {
        self.u64().map(|number| !number)
    }

    /// A string; borrowed unless it has zero bytes.
    pub fn string(&mut self) -> Option<Cow<'k, str>> {
        let (bytes, rest) = decode_string(self.rest)?;
        let text = match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
        };
        self.rest = rest;
        Some(text)
    }

    /// What has not been read.
    pub fn rest(&self) -> &'k [u8] {
        self.rest
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*head)
    }
}

/// The bytes of the string at the start, and what follows its end.
fn decode_string(encoded: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut text = Cow::Borrowed(&encoded[..0]);
    let mut rest = encoded;
    loop {
        let zero = memchr::memchr(0, rest)?;
        let (run, after) = (&rest[..zero], &rest[zero + 1..]);
        let (marker, after) = after.split_first()?;
        if text.is_empty() {
            text = Cow::Borrowed(run);
        } else {
            text.to_mut().extend_from_slice(run);
        }
        match *marker {
            ZERO_ESCAPED => text.to_mut().push(0),
            marker if marker == STRING_END[1] => return Some((text, after)),
            _ => return None,
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests;

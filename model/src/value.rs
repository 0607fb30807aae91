//! Values: any JSON value in stored form, owned ([`Value`]) or borrowed ([`ValueRef`]).
//!
//! Making and reading scalars is here; finding members and items is in `access`, order in `compare`.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::json::{JsonError, unescape, write_json_string};
use crate::parse::parse;
use crate::stored::{CorruptValue, assemble, read_header, text_start};

/// The kind of a value. Integers and other numbers are told apart by their text: `1` is an integer,
/// `1.0` and `1e0` are not, and all three are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number without fraction and exponent, of any size.
    Int,
    /// A number with a fraction or an exponent.
    Float,
    /// A string.
    String,
    /// A list.
    List,
    /// An object.
    Object,
}

/// A JSON value in stored form. Cloning is cheap: the bytes are shared.
///
/// Equality and order are those of the values ([`ValueRef::compare`]), not of the texts.
///
/// ```
/// use thalweg_model::{Kind, Value};
///
/// let value = Value::parse(br#" { "title": "\u0041lien", "year": 1979, "cast": ["Weaver"] } "#)?;
/// assert_eq!(value.json(), br#"{"title":"Alien","year":1979,"cast":["Weaver"]}"#);
///
/// let year = value.as_ref().get("year").expect("the member is there");
/// assert_eq!(year.kind(), Kind::Int);
/// assert_eq!(year.as_i64(), Some(1979));
/// assert_eq!(year.to_value(), Value::parse(b"1.979e3")?);
///
/// let stored = value.as_stored().clone();
/// assert_eq!(Value::from_stored(stored)?, value);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Value {
    /// Has passed [`read_header`].
    stored: Bytes,
}

impl Value {
    /// Checks JSON text and puts it into stored form.
    pub fn parse(json: &[u8]) -> Result<Value, JsonError> {
        parse(json).map(|stored| Value { stored })
    }

    /// Takes bytes that [`Value::as_stored`] gave. Looks at the header only: other damage shows as
    /// absent members and items, never as a panic.
    pub fn from_stored(stored: Bytes) -> Result<Value, CorruptValue> {
        read_header(&stored)?;
        Ok(Value { stored })
    }

    /// The stored form.
    pub fn as_stored(&self) -> &Bytes {
        &self.stored
    }

    /// The value, borrowed, for reading.
    #[inline]
    pub fn as_ref(&self) -> ValueRef<'_> {
        ValueRef::from_stored(&self.stored).expect("the header was checked on construction")
    }

    /// The canonical JSON text.
    pub fn json(&self) -> &[u8] {
        self.as_ref().json()
    }

    /// `null`
    pub fn null() -> Value {
        Value::scalar(b"null")
    }

    /// `true` or `false`
    pub fn boolean(value: bool) -> Value {
        Value::scalar(if value { b"true" } else { b"false" })
    }

    /// An integer.
    pub fn int(value: i64) -> Value {
        Value::scalar(value.to_string().as_bytes())
    }

    /// A string.
    pub fn string(text: &str) -> Value {
        let mut json = Vec::new();
        write_json_string(text, &mut json);
        Value::scalar(&json)
    }

    /// From the canonical text of a scalar.
    fn scalar(json: &[u8]) -> Value {
        Value {
            stored: assemble(json, &[], 0),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(formatter)
    }
}

/// A value inside a stored form. Copying is free; the stored form is not copied.
#[derive(Clone, Copy)]
pub struct ValueRef<'a> {
    /// The whole stored form. It has passed [`read_header`].
    pub(crate) stored: &'a [u8],
    /// Where the text of this value begins and ends in `stored`; inside the text of the whole, and
    /// not empty.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Where the tables begin in `stored`.
    pub(crate) tables: u32,
    /// The table of this value; zero if it has none.
    pub(crate) table: u32,
}

impl<'a> ValueRef<'a> {
    /// The root value of a stored form. Takes constant time: only the header is checked, and
    /// corruption behind it shows as absent members and items.
    #[inline]
    pub fn from_stored(stored: &'a [u8]) -> Result<ValueRef<'a>, CorruptValue> {
        let header = read_header(stored)?;
        Ok(ValueRef {
            stored,
            start: header.text,
            end: header.tables,
            tables: header.tables,
            table: header.root,
        })
    }

    /// The kind, from the text.
    #[inline]
    pub fn kind(self) -> Kind {
        match self.json() {
            [b'"', ..] => Kind::String,
            [b'{', ..] => Kind::Object,
            [b'[', ..] => Kind::List,
            [b't' | b'f', ..] => Kind::Boolean,
            number @ [b'-' | b'0'..=b'9', ..] => {
                if number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
                    Kind::Float
                } else {
                    Kind::Int
                }
            }
            _ => Kind::Null,
        }
    }

    /// The JSON text of exactly this value.
    #[inline]
    pub fn json(self) -> &'a [u8] {
        self.stored
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The boolean that it is.
    pub fn as_bool(self) -> Option<bool> {
        match self.json() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The integer that it is, if it is of [`Kind::Int`] and fits.
    pub fn as_i64(self) -> Option<i64> {
        if self.kind() != Kind::Int {
            return None;
        }
        std::str::from_utf8(self.json()).ok()?.parse().ok()
    }

    /// The double nearest to the number that it is.
    pub fn as_f64(self) -> Option<f64> {
        if !matches!(self.kind(), Kind::Int | Kind::Float) {
            return None;
        }
        let number: f64 = std::str::from_utf8(self.json()).ok()?.parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// The text of the string that it is; borrowed unless it has escapes.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        unescape(self.string_body()?)
    }

    /// What stands between the quotes of a string, still escaped.
    pub(crate) fn string_body(self) -> Option<&'a [u8]> {
        self.json().strip_prefix(b"\"")?.strip_suffix(b"\"")
    }

    /// A copy of its own.
    pub fn to_value(self) -> Value {
        let json = self.json();
        match self.kind() {
            _ if json.len() == self.tables as usize - text_start(self.stored) => Value {
                stored: Bytes::copy_from_slice(self.stored),
            },
            // Canonical text that came through the parser goes through it again.
            Kind::List | Kind::Object => Value::parse(json).unwrap_or_else(|_| Value::null()),
            _ => Value::scalar(json),
        }
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(self.json()))
    }
}

#[cfg(test)]
mod tests;

//! Which stored values are of which scalar type, one by one and counted.

use thalweg_model::{Kind, ValueRef, is_date, parse_rfc3339};

use crate::shape::{Counter, Node};
use crate::types::FieldType;

/// A declared scalar type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclaredScalar {
    /// `true` or `false`.
    Boolean,
    /// An integer of 32 bits.
    Int,
    /// An integer of any size.
    BigInt,
    /// A number.
    Float,
    /// A string.
    String,
    /// A string that names something.
    Id,
    /// A string that is an RFC 3339 date-time.
    DateTime,
    /// A string that is a calendar date.
    Date,
    /// A string that is an ISO 8601 span of time.
    Duration,
    /// A string that is base64 text.
    Bytes,
    /// Anything.
    Json,
}

/// How many values at a position are not of a type.
pub(super) enum Misfits {
    /// So many of each kind.
    Known(Vec<(&'static str, u64)>),
    /// Their format is not counted.
    Unknown,
}

impl DeclaredScalar {
    /// Every one.
    pub const ALL: &'static [DeclaredScalar] = &[
        DeclaredScalar::Boolean,
        DeclaredScalar::Int,
        DeclaredScalar::BigInt,
        DeclaredScalar::Float,
        DeclaredScalar::String,
        DeclaredScalar::Id,
        DeclaredScalar::DateTime,
        DeclaredScalar::Date,
        DeclaredScalar::Duration,
        DeclaredScalar::Bytes,
        DeclaredScalar::Json,
    ];

    /// Its name in GraphQL.
    pub fn as_str(self) -> &'static str {
        match self {
            DeclaredScalar::Boolean => "Boolean",
            DeclaredScalar::Int => "Int",
            DeclaredScalar::BigInt => "BigInt",
            DeclaredScalar::Float => "Float",
            DeclaredScalar::String => "String",
            DeclaredScalar::Id => "ID",
            DeclaredScalar::DateTime => "DateTime",
            DeclaredScalar::Date => "Date",
            DeclaredScalar::Duration => "Duration",
            DeclaredScalar::Bytes => "Bytes",
            DeclaredScalar::Json => "JSON",
        }
    }

    /// The scalar of that name.
    pub fn from_name(name: &str) -> Option<DeclaredScalar> {
        let mut all = DeclaredScalar::ALL.iter().copied();
        all.find(|scalar| scalar.as_str() == name)
    }

    pub(super) fn field_type(self) -> FieldType {
        match self {
            DeclaredScalar::Boolean => FieldType::Boolean,
            DeclaredScalar::Int => FieldType::Int,
            DeclaredScalar::BigInt => FieldType::BigInt,
            DeclaredScalar::Float => FieldType::Float,
            DeclaredScalar::String => FieldType::String,
            DeclaredScalar::Id => FieldType::Id,
            DeclaredScalar::DateTime => FieldType::DateTime,
            DeclaredScalar::Date => FieldType::Date,
            DeclaredScalar::Duration => FieldType::Duration,
            DeclaredScalar::Bytes => FieldType::Bytes,
            DeclaredScalar::Json => FieldType::Json,
        }
    }

    /// Whether a value other than null is of this type.
    pub fn takes(self, value: ValueRef<'_>) -> bool {
        let kind = value.kind();
        let is_text = |holds: fn(&str) -> bool| value.as_str().is_some_and(|text| holds(&text));
        match self {
            DeclaredScalar::Json => true,
            DeclaredScalar::Boolean => kind == Kind::Boolean,
            DeclaredScalar::Int => {
                kind == Kind::Int
                    && value
                        .as_i64()
                        .is_some_and(|number| i32::try_from(number).is_ok())
            }
            DeclaredScalar::BigInt => kind == Kind::Int,
            DeclaredScalar::Float => matches!(kind, Kind::Int | Kind::Float),
            DeclaredScalar::String | DeclaredScalar::Id => kind == Kind::String,
            DeclaredScalar::DateTime => is_text(is_date_time),
            DeclaredScalar::Date => is_text(is_date),
            DeclaredScalar::Duration => is_text(is_duration),
            DeclaredScalar::Bytes => is_text(is_base64),
        }
    }

    /// How many of the scalars at a position are not of this type, nulls aside.
    pub(super) fn misfits(self, node: &Node) -> Misfits {
        let strings = node.get(Counter::String);
        let fitting_strings = match self {
            DeclaredScalar::Json => return Misfits::Known(Vec::new()),
            DeclaredScalar::String | DeclaredScalar::Id => strings,
            DeclaredScalar::DateTime => node.get(Counter::DateTime),
            DeclaredScalar::Date => node.get(Counter::Date),
            DeclaredScalar::Duration | DeclaredScalar::Bytes if strings > 0 => {
                return Misfits::Unknown;
            }
            _ => 0,
        };
        let takes = |counter| {
            matches!(
                (self, counter),
                (DeclaredScalar::Boolean, Counter::Boolean)
                    | (DeclaredScalar::Int, Counter::Int32)
                    | (
                        DeclaredScalar::BigInt | DeclaredScalar::Float,
                        Counter::Int32 | Counter::Int53 | Counter::IntBeyond,
                    )
                    | (DeclaredScalar::Float, Counter::Float)
            )
        };
        let beyond = [Counter::Int53, Counter::IntBeyond];
        let count = |counters: &[Counter]| -> u64 {
            let misfits = counters.iter().filter(|counter| !takes(**counter));
            misfits.map(|counter| node.get(*counter)).sum()
        };
        let kinds = [
            ("a boolean", count(&[Counter::Boolean])),
            ("an integer", count(&[Counter::Int32])),
            ("an integer beyond 32 bits", count(&beyond)),
            ("a fraction", count(&[Counter::Float])),
            ("a string", strings.saturating_sub(fitting_strings)),
        ];
        Misfits::Known(kinds.into_iter().filter(|(_, count)| *count > 0).collect())
    }
}

fn is_date_time(text: &str) -> bool {
    parse_rfc3339(text).is_some()
}

/// `P1Y2M10DT2H30M`, `PT0.5S`, `P6W` (ISO 8601-1:2019, section 5.5.2).
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else {
        return false;
    };
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (rest, None),
    };
    let has_time = time.is_some_and(|time| !time.is_empty() && are_parts(time, "HMS"));
    match time {
        Some(_) => has_time && are_parts(date, "YMWD"),
        None => !date.is_empty() && are_parts(date, "YMWD"),
    }
}

/// Numbers, each with one of these letters behind it, in their order.
fn are_parts(text: &str, mut letters: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let Some(at) = rest.find(|c: char| c.is_ascii_uppercase()) else {
            return false;
        };
        let Some(letter) = letters.find(&rest[at..=at]) else {
            return false;
        };
        if !is_number(&rest[..at]) {
            return false;
        }
        letters = &letters[letter + 1..];
        rest = &rest[at + 1..];
    }
    true
}

fn is_number(text: &str) -> bool {
    let mut parts = text.splitn(2, ['.', ',']);
    parts.all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Of the standard alphabet, padded (RFC 4648, section 4).
fn is_base64(text: &str) -> bool {
    let bytes = text.as_bytes();
    let body = text.trim_end_matches('=');
    let padding = bytes.len() - body.len();
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let digits = body.as_bytes();
    if !bytes.len().is_multiple_of(4) || padding > 2 || !digits.iter().all(is_digit) {
        return false;
    }
    // The bits behind the last whole byte are zero.
    let last = digits.last().copied().unwrap_or(b'A');
    match padding {
        0 => true,
        1 => b"AEIMQUYcgkosw048".contains(&last),
        _ => b"AQgw".contains(&last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_base64_are_told_from_other_text() {
        for text in ["P1D", "PT0.5S", "P1Y2M10DT2H30M", "P6W"] {
            assert!(is_duration(text), "{text}");
        }
        for text in [
            "", "P", "PT", "P1", "P1H", "PT1D", "P1DT", "1D", "PD", "P1M1Y", "soon", "h", "36h",
            "é",
        ] {
            assert!(!is_duration(text), "{text}");
        }
        for text in ["", "AA==", "AAA=", "AAAA", "+/8="] {
            assert!(is_base64(text), "{text}");
        }
        for text in ["A", "AB==", "AAB=", "A===", "AA=", "AA=A", "é===", "-_8="] {
            assert!(!is_base64(text), "{text}");
        }
    }
}

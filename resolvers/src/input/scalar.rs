//! What each scalar takes as input.
//!
//! The validator knows the built-in scalars only and lets anything pass for the others, and for values from
//! variables nothing has been checked at all; this is the one place that decides.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thalweg_engine::parse_duration;
use thalweg_model::{CommitTs, Kind, Value, ValueRef, is_date, parse_rfc3339};

/// Coerces a JSON value other than null to a scalar type, or says what the type takes.
///
/// A scalar that is not known here takes anything.
pub(super) fn coerce(type_name: &str, value: ValueRef<'_>) -> Result<Value, &'static str> {
    let kind = value.kind();
    match type_name {
        "Int" => int32(value).ok_or("an integer of 32 bits"),
        "Float" => match kind {
            Kind::Int | Kind::Float => Ok(value.to_value()),
            _ => Err("a number"),
        },
        "String" => match kind {
            Kind::String => Ok(value.to_value()),
            _ => Err("a string"),
        },
        "Boolean" => match kind {
            Kind::Boolean => Ok(value.to_value()),
            _ => Err("true or false"),
        },
        "ID" => match kind {
            Kind::String => Ok(value.to_value()),
            Kind::Int => Ok(text_of(value)),
            _ => Err("a string or an integer"),
        },
        "BigInt" => big_integer(value).ok_or("an integer, or a string of its digits"),
        "DateTime" => {
            let is_valid = value
                .as_str()
                .is_some_and(|text| parse_rfc3339(&text).is_some());
            if is_valid {
                Ok(value.to_value())
            } else {
                Err("an RFC 3339 date-time, for example \"2026-11-23T01:02:03Z\"")
            }
        }
        "Date" => {
            if value.as_str().is_some_and(|text| is_date(&text)) {
                Ok(value.to_value())
            } else {
                Err("a date, for example \"2026-11-23\"")
            }
        }
        "Duration" => {
            let is_valid = value
                .as_str()
                .is_some_and(|text| parse_duration(&text).is_ok());
            if is_valid {
                Ok(value.to_value())
            } else {
                Err("a span of time, for example \"P30D\", \"PT1H30M\" or \"30d\"")
            }
        }
        "Timestamp" => timestamp(value).ok_or("a commit timestamp, as a string of digits"),
        "Bytes" => {
            let is_valid = value
                .as_str()
                .is_some_and(|text| STANDARD.decode(&*text).is_ok());
            if is_valid {
                Ok(value.to_value())
            } else {
                Err("base64 text")
            }
        }
        _ => Ok(value.to_value()),
    }
}

/// A whole number in 32 bits. `2.0` is one: JSON does not tell it from `2`.
fn int32(value: ValueRef<'_>) -> Option<Value> {
    let integer = match value.kind() {
        Kind::Int => {
            i32::try_from(value.as_i64()?).ok()?;
            // As it was written: `-0` stays what it is.
            return Some(value.to_value());
        }
        Kind::Float => {
            let float = value.as_f64()?;
            if float.fract() != 0.0 || float.abs() > f64::from(i32::MAX) + 1.0 {
                return None;
            }
            // Exact: the fraction is zero and the magnitude is at most 2^31.
            float as i64
        }
        _ => return None,
    };
    i32::try_from(integer).ok()?;
    Some(Value::int(integer))
}

/// An integer of any size, from a number or from its digits in a string.
fn big_integer(value: ValueRef<'_>) -> Option<Value> {
    match value.kind() {
        Kind::Int => Some(value.to_value()),
        Kind::String => {
            let text = value.as_str()?;
            let digits = text.strip_prefix('-').unwrap_or(&text);
            let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if !is_integer {
                return None;
            }
            // Leading zeros are not JSON, so the parser refuses them.
            Value::parse(text.as_bytes()).ok()
        }
        _ => None,
    }
}

fn timestamp(value: ValueRef<'_>) -> Option<Value> {
    let text = match value.kind() {
        Kind::Int => text_of(value),
        Kind::String => value.to_value(),
        _ => return None,
    };
    let is_valid = text.as_ref().as_str()?.parse::<CommitTs>().is_ok();
    is_valid.then_some(text)
}

/// The JSON text of a number, as a string.
fn text_of(value: ValueRef<'_>) -> Value {
    Value::string(&String::from_utf8_lossy(value.json()))
}

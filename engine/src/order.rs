//! The order of a result, and positions in it.
//!
//! A [`Position`] is the order-preserving encoding of a document's order keys followed by its id, so positions
//! compare as bytes, no two documents share one, and pages never overlap.

use thalweg_model::{KeyWriter, Value, encode_value};

use crate::field::{FieldRef, FieldValue, Image};
use crate::predicate::instant;
use crate::record::Record;

/// One key of an order. Ties of all keys are broken by id, ascending.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderKey {
    /// What to order by; absent sorts as null, which is least.
    pub field: FieldRef,
    /// Greatest first.
    pub descending: bool,
    /// Take RFC 3339 strings as the instants they name.
    pub instant: bool,
}

/// A place in an order: where a document stands, or stood.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(Vec<u8>);

impl Position {
    /// Where a document stands in that order.
    pub fn of(record: &Record<'_>, order: &[OrderKey]) -> Position {
        let mut bytes = Vec::new();
        write(record, order, &mut bytes);
        Position(bytes)
    }

    /// The position that [`Position::as_bytes`] gave. Any bytes are a position, though perhaps of no document.
    pub fn from_bytes(bytes: Vec<u8>) -> Position {
        Position(bytes)
    }

    /// The bytes of a cursor.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Appends a document's position.
pub(crate) fn write(record: &Record<'_>, order: &[OrderKey], out: &mut Vec<u8>) {
    if !order.is_empty() {
        let image = Image::of(record);
        for key in order {
            write_key(image, key, out);
        }
    }
    out.extend_from_slice(record.id().as_bytes());
}

fn write_key(image: Image<'_>, key: &OrderKey, out: &mut Vec<u8>) {
    encode_field(image.field(&key.field), key.instant, key.descending, out);
}

/// Appends the key of one part of an order: where a document stands that is perhaps not there, which is least.
pub fn write_order_key(record: Option<&Record<'_>>, key: &OrderKey, out: &mut Vec<u8>) {
    match record {
        Some(record) => write_key(Image::of(record), key, out),
        None => encode_field(FieldValue::Absent, false, key.descending, out),
    }
}

/// Appends the key of a field's value; of RFC 3339 strings, with `as_instant`, that of the instant they name.
pub(crate) fn encode_field(
    field: FieldValue<'_>,
    as_instant: bool,
    descending: bool,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    match field {
        FieldValue::Stored(value) => match as_instant.then(|| instant(field)).flatten() {
            Some(micros) => encode_value(Value::int(micros).as_ref(), out),
            None => encode_value(value, out),
        },
        other => encode_value(other.to_value().as_ref(), out),
    }
    if descending {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// The position in id order that is an id itself.
pub(crate) fn id_of_position(position: &Position) -> &[u8] {
    &position.0
}

/// A stable fingerprint of an order, so that a cursor of another one is recognised.
pub fn fingerprint(order: &[OrderKey]) -> u32 {
    let mut key = KeyWriter::new();
    for part in order {
        key.string(&format!("{:?}", part.field));
        key.u8(u8::from(part.descending) | u8::from(part.instant) << 1);
    }
    // FNV-1a: stable over versions and machines, unlike the standard library's hasher.
    key.finish().iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

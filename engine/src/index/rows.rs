//! The rows of one image in an index: pure, so that whoever verifies a store can compute them too.
//!
//! The values of a row are the keys of the index's fields one after the other. Where they are longer than
//! [`VALUES_BYTES_MAX`], the row has their first bytes, a hash of all of them and a mark. Rows with equal values after
//! that count as equal; rows that agree in the first bytes are in no particular order.

use thalweg_model::{CommitTs, KeyWriter, ValueRef};
use thiserror::Error;

use super::definition::{IndexDefinition, IndexField, ListItems};
use super::state::IndexId;
use crate::error::EngineError;
use crate::field::{FieldValue, Image};
use crate::keyspace;
use crate::order::encode_field;
use crate::record::Record;

/// How many rows one document may have in an index: one for each distinct item of a list.
pub const INDEX_ROWS_MAX: usize = 1000;
/// Longest values that a row has as they are. With the longest id and a timestamp a key stays within what a backend
/// takes.
pub(crate) const VALUES_BYTES_MAX: usize = 200;
/// How much of longer ones it has.
pub(crate) const VALUES_PREFIX_BYTES: usize = 184;
/// Ends cut values, so that no whole ones equal them: they have one byte more than whole ones may have.
const CUT: u8 = 0xff;

/// A document has more distinct items than an index takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the document has more than {INDEX_ROWS_MAX} distinct items in an indexed list")]
pub struct TooManyRows;

/// A row of an image: its values as they stand in the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) values: Vec<u8>,
    /// Whether some of the values is null, so that they are nobody's own.
    pub(crate) has_null: bool,
}

/// The keys, within their index, of the rows that a document must have, in order: the values, then the id.
///
/// Softly deleted documents have them too.
pub fn rows(
    definition: &IndexDefinition,
    record: &Record<'_>,
) -> Result<Vec<Vec<u8>>, TooManyRows> {
    let rows = rows_of(definition, record)?;
    let with_id = |mut row: Row| {
        write_id(record.id(), &mut row.values);
        row.values
    };
    Ok(rows.into_iter().map(with_id).collect())
}

/// The rows of an image, in order, each once.
pub(crate) fn rows_of(
    definition: &IndexDefinition,
    record: &Record<'_>,
) -> Result<Vec<Row>, TooManyRows> {
    let image = Image::of(record);
    let mut fields = Vec::with_capacity(definition.fields.len());
    let mut list = None;
    for (position, field) in definition.fields.iter().enumerate() {
        if field.items.is_some() {
            list = Some((position, items(field, image)?));
            fields.push(Vec::new());
        } else {
            let mut key = Vec::new();
            encode_field(
                image.field(&field.field),
                field.instant,
                field.descending,
                &mut key,
            );
            fields.push(key);
        }
    }
    let Some((position, items)) = list else {
        return Ok(vec![row(definition, &fields)]);
    };
    let mut rows: Vec<Row> = items
        .into_iter()
        .map(|item| {
            fields[position] = item;
            row(definition, &fields)
        })
        .collect();
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

/// The keys of the distinct items of a list; none of anything else.
fn items(field: &IndexField, image: Image<'_>) -> Result<Vec<Vec<u8>>, TooManyRows> {
    let FieldValue::Stored(list) = image.field(&field.field) else {
        return Ok(Vec::new());
    };
    let mut keys = Vec::new();
    for item in list.items() {
        let mut key = Vec::new();
        encode_field(
            item_value(field, item),
            field.instant,
            field.descending,
            &mut key,
        );
        keys.push(key);
        if keys.len() > INDEX_ROWS_MAX {
            keys.sort_unstable();
            keys.dedup();
            if keys.len() > INDEX_ROWS_MAX {
                return Err(TooManyRows);
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

fn item_value<'a>(field: &IndexField, item: ValueRef<'a>) -> FieldValue<'a> {
    match &field.items {
        Some(ListItems::Field(path)) => {
            item.at(path).map_or(FieldValue::Absent, FieldValue::Stored)
        }
        _ => FieldValue::Stored(item),
    }
}

fn row(definition: &IndexDefinition, fields: &[Vec<u8>]) -> Row {
    let is_null = |(field, key): (&IndexField, &Vec<u8>)| **key == null_key(field.descending);
    Row {
        values: join(fields),
        has_null: definition.fields.iter().zip(fields).any(is_null),
    }
}

fn null_key(descending: bool) -> [u8; 1] {
    let mut key = Vec::with_capacity(1);
    encode_field(FieldValue::Absent, false, descending, &mut key);
    [key[0]]
}

/// The values of a row from the keys of its fields.
pub(crate) fn join(fields: &[Vec<u8>]) -> Vec<u8> {
    let length: usize = fields.iter().map(Vec::len).sum();
    let mut values = Vec::with_capacity(length.min(VALUES_BYTES_MAX + 1));
    for field in fields {
        let room = VALUES_BYTES_MAX.saturating_sub(values.len());
        values.extend_from_slice(&field[..field.len().min(room)]);
    }
    if length > VALUES_BYTES_MAX {
        values.truncate(VALUES_PREFIX_BYTES);
        let mut hash = FNV_OFFSET;
        for field in fields {
            let length = field.len() as u64;
            hash = fnv(hash, &length.to_be_bytes());
            // Field by field, so that one that many rows share could be hashed once.
            hash = fnv(hash, &fnv(FNV_OFFSET, field).to_be_bytes());
        }
        values.extend_from_slice(&hash.to_be_bytes());
        values.push(CUT);
    }
    values
}

/// FNV-1a of 128 bits: stable over versions and machines.
const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

fn fnv(hash: u128, bytes: &[u8]) -> u128 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(FNV_PRIME)
    })
}

/// Appends an id as it ends the key of a row.
pub(crate) fn write_id(id: &str, key: &mut Vec<u8>) {
    let mut writer = KeyWriter::new();
    key.extend_from_slice(writer.string(id).as_bytes());
}

/// The key of a row of a current image.
pub(crate) fn current_key(index: IndexId, values: &[u8], id: &str) -> Vec<u8> {
    let mut key = keyspace::index_rows(index);
    key.extend_from_slice(values);
    write_id(id, &mut key);
    key
}

/// The key of a row that held until `until`.
pub(crate) fn ended_key(index: IndexId, values: &[u8], id: &str, until: CommitTs) -> Vec<u8> {
    let mut key = keyspace::ended_rows(index);
    key.extend_from_slice(values);
    write_id(id, &mut key);
    key.extend_from_slice(&(!until.as_micros()).to_be_bytes());
    key
}

/// What is stored under the key of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowValue {
    /// It holds from this commit on, or from an earlier one.
    pub(crate) from: CommitTs,
    /// How many bytes of the key are the values.
    pub(crate) values_bytes: usize,
    /// Whether the image is softly deleted.
    pub(crate) is_deleted: bool,
}

impl RowValue {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(10);
        bytes.extend_from_slice(&self.from.as_micros().to_be_bytes());
        bytes.push(u8::try_from(self.values_bytes).expect("values are cut to 201 bytes"));
        bytes.push(u8::from(self.is_deleted));
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<RowValue, EngineError> {
        let (from, rest) = bytes.split_first_chunk::<8>().ok_or_else(corrupt)?;
        let &[values_bytes, deleted] = rest else {
            return Err(corrupt());
        };
        Ok(RowValue {
            from: CommitTs::from_micros(u64::from_be_bytes(*from)),
            values_bytes: usize::from(values_bytes),
            is_deleted: deleted != 0,
        })
    }
}

pub(crate) fn corrupt() -> EngineError {
    EngineError::Corrupt { what: "index row" }
}

/// The values of a row as JSON, for a message: that of one field by itself, of several as a list. Long ones are cut.
pub(crate) fn values_json(definition: &IndexDefinition, record: &Record<'_>, row: &Row) -> String {
    let image = Image::of(record);
    let mut texts = Vec::with_capacity(definition.fields.len());
    let json = |value: FieldValue<'_>| {
        let value = value.to_value();
        String::from_utf8_lossy(value.json()).into_owned()
    };
    for field in &definition.fields {
        match (&field.items, image.field(&field.field)) {
            (None, value) => texts.push(json(value)),
            (Some(_), FieldValue::Stored(list)) => {
                let mut keys: Vec<Vec<u8>> = Vec::new();
                for other in &definition.fields {
                    let mut key = Vec::new();
                    let value = image.field(&other.field);
                    encode_field(value, other.instant, other.descending, &mut key);
                    keys.push(key);
                }
                let position = definition.fields.iter().position(|it| it.items.is_some());
                let item = list.items().find(|item| {
                    let mut key = Vec::new();
                    let value = item_value(field, *item);
                    encode_field(value, field.instant, field.descending, &mut key);
                    if let Some(place) = position.and_then(|position| keys.get_mut(position)) {
                        *place = key;
                    }
                    join(&keys) == row.values
                });
                texts.push(item.map_or("null".to_owned(), |item| json(item_value(field, item))));
            }
            (Some(_), _) => texts.push("null".to_owned()),
        }
    }
    let mut text = match texts.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(",")),
    };
    if text.len() > SHOWN_BYTES_MAX {
        text.truncate(text.floor_char_boundary(SHOWN_BYTES_MAX));
        text.push('…');
    }
    text
}

/// How much of a value a message shows.
const SHOWN_BYTES_MAX: usize = 500;

#[cfg(test)]
mod tests;

//! The stored form of the published types of a collection.
//!
//! A version byte, then the tree of types with the original names of the fields. GraphQL names are not stored: the name
//! registry has them, under whatever name the collection goes.

use std::sync::Arc;

use thalweg_model::CommitTs;

use crate::error::CorruptTypes;
use crate::names::{CollectionNames, NameRegistry};
use crate::types::{CollectionSchema, Deprecation, Field, FieldType, Items, MapType, ObjectType};
use crate::wire::{Reader, WireError, write_number, write_text};

const VERSION: u8 = 1;

/// Shapes end far above this; only corrupt bytes nest deeper.
const DEPTH_MAX: usize = 100;

/// The flag of a field that no document has.
const DEPRECATED: u8 = 1;

const BOOLEAN: u8 = 0;
const INT: u8 = 1;
const BIG_INT: u8 = 2;
const FLOAT: u8 = 3;
const STRING: u8 = 4;
const DATE_TIME: u8 = 5;
const DATE: u8 = 6;
const JSON: u8 = 7;
const LIST: u8 = 8;
const OBJECT: u8 = 9;
const MAP: u8 = 10;

impl CollectionSchema {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        write_object(&self.object, &mut out);
        out
    }

    /// Reads what [`CollectionSchema::encode`] wrote, for a collection of these names.
    pub fn decode(
        bytes: &[u8],
        names: &CollectionNames,
        registry: &mut NameRegistry,
    ) -> Result<CollectionSchema, CorruptTypes> {
        let object = decode(&mut Reader::new(bytes)).map_err(|error| CorruptTypes {
            offset: error.offset,
            reason: error.reason,
        })?;
        let unnamed = CollectionSchema {
            names: names.clone(),
            object: Arc::new(object),
        };
        Ok(unnamed.renamed(names, registry))
    }
}

fn decode(reader: &mut Reader<'_>) -> Result<ObjectType, WireError> {
    if reader.byte()? != VERSION {
        return Err(reader.error("unknown version"));
    }
    let object = read_object(reader, 0)?;
    reader.finish()?;
    Ok(object)
}

fn write_object(object: &ObjectType, out: &mut Vec<u8>) {
    write_number(object.fields.len() as u64, out);
    for field in &object.fields {
        write_text(&field.json_name, out);
        match field.deprecated {
            None => out.push(0),
            Some(Deprecation { since }) => {
                out.push(DEPRECATED);
                write_number(since.as_micros(), out);
            }
        }
        write_type(&field.ty, out);
    }
}

fn write_type(ty: &FieldType, out: &mut Vec<u8>) {
    match ty {
        FieldType::Boolean => out.push(BOOLEAN),
        FieldType::Int => out.push(INT),
        FieldType::BigInt => out.push(BIG_INT),
        FieldType::Float => out.push(FLOAT),
        // The others come from declarations, which are stored by themselves.
        FieldType::String | FieldType::Id | FieldType::Duration | FieldType::Bytes => {
            out.push(STRING);
        }
        FieldType::DateTime => out.push(DATE_TIME),
        FieldType::Date => out.push(DATE),
        FieldType::Json => out.push(JSON),
        FieldType::List(item, _) => {
            out.push(LIST);
            write_type(item, out);
        }
        FieldType::Object(object) => {
            out.push(OBJECT);
            write_object(object, out);
        }
        FieldType::Map { entry } => {
            out.push(MAP);
            write_type(&entry.value, out);
        }
    }
}

fn read_object(reader: &mut Reader<'_>, depth: usize) -> Result<ObjectType, WireError> {
    let count = reader.count()?;
    let mut fields = Vec::with_capacity(count.min(1024));
    let mut seen = std::collections::HashSet::new();
    for _ in 0..count {
        let json_name: Arc<str> = Arc::from(reader.text()?);
        if !seen.insert(Arc::clone(&json_name)) {
            return Err(reader.error("a field twice"));
        }
        let deprecated = match reader.byte()? {
            0 => None,
            DEPRECATED => Some(Deprecation {
                since: CommitTs::from_micros(reader.number()?),
            }),
            _ => return Err(reader.error("unknown flags")),
        };
        let ty = read_type(reader, depth + 1)?;
        fields.push(Field {
            deprecated,
            // It is named when all has been read.
            ..Field::inferred(String::new(), json_name, ty)
        });
    }
    Ok(ObjectType::new(String::new(), fields))
}

fn read_type(reader: &mut Reader<'_>, depth: usize) -> Result<FieldType, WireError> {
    if depth > DEPTH_MAX {
        return Err(reader.error("nested too deep"));
    }
    Ok(match reader.byte()? {
        BOOLEAN => FieldType::Boolean,
        INT => FieldType::Int,
        BIG_INT => FieldType::BigInt,
        FLOAT => FieldType::Float,
        STRING => FieldType::String,
        DATE_TIME => FieldType::DateTime,
        DATE => FieldType::Date,
        JSON => FieldType::Json,
        LIST => FieldType::List(Box::new(read_type(reader, depth + 1)?), Items::Nullable),
        OBJECT => FieldType::Object(Arc::new(read_object(reader, depth)?)),
        MAP => FieldType::Map {
            entry: Arc::new(MapType {
                name: String::new(),
                entry_name: String::new(),
                value: read_type(reader, depth + 1)?,
                is_value_required: false,
            }),
        },
        _ => return Err(reader.error("unknown type")),
    })
}

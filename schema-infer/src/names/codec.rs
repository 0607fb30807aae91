//! The stored form of a [`NameRegistry`].
//!
//! A version byte, then the collections in order of allocation, each with the stems of its names,
//! the tree of scopes and the names of relations, which the first version did not have. What follows from those (all derived names, what is taken) is rebuilt.

use std::sync::Arc;

use super::relations::RelationEntry;
use super::scope::{FieldEntry, Scope};
use super::{NameRegistry, Stems};
use crate::error::CorruptNames;
use crate::wire::{Reader, WireError, write_number, write_text};

const VERSION: u8 = 2;
/// The version without relations.
const VERSION_WITHOUT_RELATIONS: u8 = 1;

/// Shapes end far above this; only corrupt bytes nest deeper.
const DEPTH_MAX: usize = 100;

const HAS_TYPE_NAME: u8 = 1;
const HAS_MAP_NAME: u8 = 2;
const READS_AS_MAP: u8 = 4;
const HAS_VALUE: u8 = 8;

impl NameRegistry {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        write_number(self.collections.len() as u64, &mut out);
        for entry in &self.collections {
            write_text(&entry.name, &mut out);
            write_stems(&entry.stems, &mut out);
            write_scope(&entry.scope, &mut out);
            write_relations(&entry.relations, &mut out);
        }
        if !self.retired.is_empty() {
            write_number(self.retired.len() as u64, &mut out);
            for stems in &self.retired {
                write_stems(stems, &mut out);
            }
        }
        out
    }

    /// Reads what [`NameRegistry::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<NameRegistry, CorruptNames> {
        decode(&mut Reader::new(bytes)).map_err(|error| CorruptNames {
            offset: error.offset,
            reason: error.reason,
        })
    }
}

fn decode(reader: &mut Reader<'_>) -> Result<NameRegistry, WireError> {
    let version = reader.byte()?;
    if !matches!(version, VERSION_WITHOUT_RELATIONS | VERSION) {
        return Err(reader.error("unknown version"));
    }
    let mut registry = NameRegistry::new();
    for _ in 0..reader.count()? {
        let name: Arc<str> = Arc::from(reader.text()?);
        if registry.by_name.contains_key(&name) {
            return Err(reader.error("a collection named twice"));
        }
        let stems = read_stems(reader)?;
        let mut fields = 0;
        let scope = read_scope(reader, &mut fields, 0)?;
        scope.take_type_names(&mut registry.types);
        let index = registry.insert(name, stems, scope, fields);
        if version == VERSION {
            for _ in 0..reader.count()? {
                let entry = read_relation(reader)?;
                registry.collections[index].take_relation(entry);
            }
        }
    }
    // Where there are none, nothing is written of them.
    if reader.finish().is_err() {
        for _ in 0..reader.count()? {
            let stems = read_stems(reader)?;
            registry.retire(stems);
        }
    }
    reader.finish()?;
    Ok(registry)
}

const HAS_SOURCE: u8 = 1;
const HAS_WANTED: u8 = 2;

fn write_relations(relations: &[RelationEntry], out: &mut Vec<u8>) {
    write_number(relations.len() as u64, out);
    for entry in relations {
        let has_source = u8::from(entry.source.is_some()) * HAS_SOURCE;
        let has_wanted = u8::from(entry.wanted.is_some()) * HAS_WANTED;
        out.push(has_source | has_wanted);
        for text in [&entry.source, &entry.wanted].into_iter().flatten() {
            write_text(text, out);
        }
        write_number(entry.path.len() as u64, out);
        for name in &entry.path {
            write_text(name, out);
        }
        write_text(&entry.name, out);
    }
}

fn read_relation(reader: &mut Reader<'_>) -> Result<RelationEntry, WireError> {
    let flags = reader.byte()?;
    if flags > HAS_SOURCE | HAS_WANTED {
        return Err(reader.error("unknown flags"));
    }
    let mut text = |flag: u8| match flags & flag {
        0 => Ok(None),
        _ => reader.text().map(|text| Some(Arc::from(text))),
    };
    let (source, wanted) = (text(HAS_SOURCE)?, text(HAS_WANTED)?);
    let mut path = Vec::new();
    for _ in 0..reader.count()? {
        path.push(Arc::from(reader.text()?));
    }
    Ok(RelationEntry {
        path,
        source,
        wanted,
        name: reader.text()?.to_owned(),
    })
}

fn write_stems(stems: &Stems, out: &mut Vec<u8>) {
    write_text(&stems.type_name, out);
    write_text(&stems.list_field, out);
    write_text(&stems.by_id_field, out);
    write_text(&stems.many, out);
}

fn read_stems(reader: &mut Reader<'_>) -> Result<Stems, WireError> {
    Ok(Stems {
        type_name: reader.text()?.to_owned(),
        list_field: reader.text()?.to_owned(),
        by_id_field: reader.text()?.to_owned(),
        many: reader.text()?.to_owned(),
    })
}

fn write_scope(scope: &Scope, out: &mut Vec<u8>) {
    let mut flags = 0;
    for (is_set, flag) in [
        (scope.type_name.is_some(), HAS_TYPE_NAME),
        (scope.map_name.is_some(), HAS_MAP_NAME),
        (scope.reads_as_map, READS_AS_MAP),
        (scope.value.is_some(), HAS_VALUE),
    ] {
        if is_set {
            flags |= flag;
        }
    }
    out.push(flags);
    for name in [&scope.type_name, &scope.map_name].into_iter().flatten() {
        write_text(name, out);
    }
    write_number(scope.fields.len() as u64, out);
    for field in &scope.fields {
        write_text(&field.json_name, out);
        write_text(&field.name, out);
        write_scope(&field.scope, out);
    }
    if let Some(value) = &scope.value {
        write_scope(value, out);
    }
}

fn read_scope(
    reader: &mut Reader<'_>,
    fields: &mut usize,
    depth: usize,
) -> Result<Scope, WireError> {
    if depth > DEPTH_MAX {
        return Err(reader.error("nested too deep"));
    }
    let flags = reader.byte()?;
    if flags >= HAS_VALUE << 1 {
        return Err(reader.error("unknown flags"));
    }
    let mut scope = Scope::default();
    if flags & HAS_TYPE_NAME != 0 {
        scope.type_name = Some(reader.text()?.to_owned());
    }
    if flags & HAS_MAP_NAME != 0 {
        scope.map_name = Some(reader.text()?.to_owned());
    }
    scope.reads_as_map = flags & READS_AS_MAP != 0;
    for _ in 0..reader.count()? {
        let json_name: Arc<str> = Arc::from(reader.text()?);
        if scope.field(&json_name).is_some() {
            return Err(reader.error("a field named twice"));
        }
        let name = reader.text()?.to_owned();
        let inner = read_scope(reader, fields, depth + 1)?;
        *fields += 1;
        scope.insert(FieldEntry {
            json_name,
            name,
            scope: inner,
        });
    }
    if flags & HAS_VALUE != 0 {
        scope.value = Some(Box::new(read_scope(reader, fields, depth + 1)?));
    }
    Ok(scope)
}

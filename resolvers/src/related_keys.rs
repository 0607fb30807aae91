//! What names a document, and the documents that are named: loaded together.

use std::ops::Bound as Side;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_engine::{
    Deleted, Dependency, DependencySet, EngineError, FieldMask, FieldRef, Find, Predicate,
    Range as Span, Record, Scope, Snapshot, Test, write_field_key,
};
use thalweg_model::{CollectionId, DocumentId, Kind, Value, ValueRef, encode_value};
use thalweg_schema_infer::RelationKey;

/// How many values a find by another field than the id takes at once, so that an index is read in ranges.
const VALUES_MAX: usize = 256;
/// Up to so many documents are dependencies of their own; more are one range.
const DOCUMENTS_MAX: usize = 128;

/// Which documents are named, and what of them is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Named<'n> {
    pub(crate) target: CollectionId,
    pub(crate) key: &'n RelationKey,
    /// The field by which they are found is in it.
    pub(crate) mask: &'n FieldMask,
}

/// What names a document.
#[derive(Clone)]
pub(crate) struct Key {
    /// The text of an id, or the encoded value of a field.
    pub(crate) bytes: Box<[u8]>,
    /// The value of a field; none where the text says it all.
    value: Option<Value>,
}

impl Key {
    /// The text of an id.
    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    fn to_value(&self) -> Value {
        match &self.value {
            Some(value) => value.clone(),
            None => Value::string(self.text()),
        }
    }
}

/// The key that a value is; `None` of a value that names nothing.
pub(crate) fn key_of(key: &RelationKey, value: ValueRef<'_>) -> Option<Key> {
    let of_text = |text: &str| Key {
        bytes: text.as_bytes().into(),
        value: None,
    };
    match (key, value.kind()) {
        (RelationKey::Id, Kind::String) => value.as_str().map(|text| of_text(&text)),
        (RelationKey::Id, Kind::Int) => {
            let id = DocumentId::from_value(value)?.ok()?;
            Some(of_text(id.as_str()))
        }
        (RelationKey::Id, _) | (_, Kind::Null | Kind::List | Kind::Object) => None,
        (RelationKey::Field(_), _) => {
            let mut encoded = Vec::new();
            encode_value(value, &mut encoded);
            Some(Key {
                bytes: encoded.into(),
                value: Some(value.to_value()),
            })
        }
    }
}

/// The documents that are named, in the order of the keys, which ascend, each once. A softly deleted one is not there.
pub(crate) fn load<'s>(
    snapshot: &'s Snapshot,
    named: Named<'_>,
    keys: &[Key],
    dependencies: &mut DependencySet,
) -> Result<Vec<Option<Record<'s>>>, EngineError> {
    if !snapshot.is_past() {
        depend(named, keys, dependencies);
    }
    match named.key {
        RelationKey::Id => by_id(snapshot, named, keys),
        RelationKey::Field(path) => by_field(snapshot, named, &FieldRef::Path(path.clone()), keys),
    }
}

/// Each document that is named is a dependency of its own, there or not.
fn depend(named: Named<'_>, keys: &[Key], dependencies: &mut DependencySet) {
    let collection = named.target;
    let field = match named.key {
        RelationKey::Id if keys.len() <= DOCUMENTS_MAX => {
            for key in keys {
                // What is no id names no document, and never will.
                if let Ok(id) = DocumentId::new(key.text()) {
                    dependencies.read(Dependency {
                        collection,
                        scope: Scope::Document(id),
                        mask: named.mask.clone(),
                    });
                }
            }
            return;
        }
        RelationKey::Id => FieldRef::Id,
        RelationKey::Field(path) => FieldRef::Path(path.clone()),
    };
    let values = keys.iter().map(Key::to_value).collect();
    let range = Span {
        filter: Arc::new(Predicate::Field(field, Test::In(values))),
        deleted: Deleted::Exclude,
        order: Arc::from([]),
        from: Side::Unbounded,
        to: Side::Unbounded,
    };
    dependencies.read(Dependency {
        collection,
        scope: Scope::Range(range),
        mask: named.mask.clone(),
    });
}

fn by_id<'s>(
    snapshot: &'s Snapshot,
    named: Named<'_>,
    keys: &[Key],
) -> Result<Vec<Option<Record<'s>>>, EngineError> {
    let ids: Vec<&str> = keys.iter().map(Key::text).collect();
    let mut records = snapshot.get_many(named.target, &ids)?;
    for record in &mut records {
        record.take_if(|record| record.is_deleted());
    }
    Ok(records)
}

/// Of several documents with one value that of the least id.
fn by_field<'s>(
    snapshot: &'s Snapshot,
    named: Named<'_>,
    field: &FieldRef,
    keys: &[Key],
) -> Result<Vec<Option<Record<'s>>>, EngineError> {
    let mut records: Vec<Option<Record<'s>>> = Vec::with_capacity(keys.len());
    for keys in keys.chunks(VALUES_MAX) {
        let values: Vec<Value> = keys.iter().map(Key::to_value).collect();
        // Where no two documents share a value, there are no more than that.
        let found = snapshot.find(&find_by(named, field, Test::In(values), keys.len()))?;
        let mut by_key: FxHashMap<Vec<u8>, Record<'s>> = FxHashMap::default();
        let is_all = !found.has_after;
        for record in found.rows {
            let mut encoded = Vec::new();
            write_field_key(&record, field, &mut encoded);
            by_key.entry(encoded).or_insert(record);
        }
        for key in keys {
            let known = by_key.remove(&*key.bytes);
            records.push(match known {
                None if !is_all => {
                    // Some value has many documents, which took the places of others.
                    let one = find_by(named, field, Test::Eq(key.to_value()), 1);
                    snapshot.find(&one)?.rows.pop()
                }
                known => known,
            });
        }
    }
    Ok(records)
}

fn find_by(named: Named<'_>, field: &FieldRef, test: Test, limit: usize) -> Find {
    Find {
        collection: named.target,
        filter: Arc::new(Predicate::Field(field.clone(), test)),
        deleted: Deleted::Exclude,
        order: Arc::from([]),
        after: None,
        before: None,
        offset: 0,
        limit,
        from_end: false,
        count_total: false,
        read: named.mask.clone(),
    }
}

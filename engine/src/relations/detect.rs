//! Finding relations in the documents: fields whose values are keys of documents elsewhere.
//!
//! A look at the database counts, for every field that could hold keys, which values it has in how many documents, then
//! looks those up in the collections that they may name, by id and by the fields whose values no two documents share.
//! What that comes to is judged by [`Candidate::is_relation`]. All of it happens on snapshots, beside the committer, which
//! is only sent the outcome. What a look holds in memory is bounded; where there is more, the evidence is of a part.
//!
//! A collection is looked at when it is new, when it has come to twice the documents, and when it has other fields; then
//! all relations from it and to it are, so that it does not matter which of two collections was there first.

use std::collections::BTreeSet;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::Hasher;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use thalweg_model::{
    CollectionId, DocumentId, FieldPath, Kind, Value, ValueRef, encode_value, prefix_end,
};
use thalweg_schema_infer::{
    Candidate, CollectionSchema, FieldType, ObjectType, OnDelete, RelationKey, RelationOrigin,
    ValuesLook,
};
use thalweg_storage::Direction;

use super::{LookedAt, RELATIONS_MAX, RelationEvidence, StoredRelation};
use crate::catalog::{Catalog, Collection};
use crate::engine::Engine;
use crate::error::{EngineError, TransactionError};
use crate::intent::{Intent, Upkeep};
use crate::keyspace;
use crate::record::Record;
use crate::snapshot::Snapshot;
use crate::upkeep::UpkeepWork;

/// A collection of fewer documents says nothing.
const DOCUMENTS_MIN: u64 = 3;
/// How many documents of a collection are looked at.
const DOCUMENTS_MAX: usize = 200_000;
/// How many different values of one field are followed.
const DISTINCT_MAX: usize = 10_000;
/// How many fields of one collection are followed.
const FIELDS_MAX: usize = 64;
/// A field that holds longer texts holds no keys.
const KEY_BYTES_MAX: usize = DocumentId::BYTES_MAX;

/// What a look found of one collection. The committer takes in as much of it as is still so.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    pub(crate) collection: CollectionId,
    /// Relations that there were not, and those that there were, with what speaks for them now.
    pub(crate) found: Vec<StoredRelation>,
    pub(crate) at: LookedAt,
}

impl Engine {
    /// Looks once for relations between the documents, where there is a reason to, and takes in what it finds. Whether
    /// there was a reason.
    pub async fn detect_relations(&self) -> Result<bool, TransactionError> {
        if !self.leads() {
            return Ok(false);
        }
        let looked = look(self)?;
        if looked.is_empty() {
            return Ok(false);
        }
        self.transact(move |transaction| {
            for looked in &looked {
                let work = UpkeepWork::Relations(looked.clone());
                transaction.write(Intent::Upkeep(Upkeep(work)))?;
            }
            Ok(())
        })
        .await?;
        Ok(true)
    }
}

/// The collections that there is a reason to look at, with how they are now.
fn changed(snapshot: &Snapshot) -> Result<Vec<(CollectionId, LookedAt)>, EngineError> {
    let mut changed = Vec::new();
    for collection in snapshot.catalog().collections() {
        let documents = snapshot.document_count(collection.id)?;
        let now = LookedAt {
            documents,
            fields: fields_of(&collection.schema).len() as u64,
        };
        let is_new = match collection.stored_relations.looked_at {
            None => true,
            Some(before) => documents >= before.documents.max(1) * 2 || now.fields != before.fields,
        };
        if is_new && documents >= DOCUMENTS_MIN {
            changed.push((collection.id, now));
        }
    }
    Ok(changed)
}

fn look(engine: &Engine) -> Result<Vec<Looked>, EngineError> {
    let snapshot = engine.snapshot()?;
    let changed = changed(&snapshot)?;
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let catalog = Arc::clone(snapshot.catalog());
    drop(snapshot);
    let is_changed = |id: CollectionId| changed.iter().any(|(of, _)| *of == id);
    let mut looked: FxHashMap<CollectionId, Looked> = FxHashMap::default();
    for (collection, at) in &changed {
        let none = Looked {
            collection: *collection,
            found: Vec::new(),
            at: *at,
        };
        looked.insert(*collection, none);
    }
    let mut keys = Keys::default();
    for source in catalog.collections() {
        let targets: Vec<&Arc<Collection>> = catalog
            .collections()
            .filter(|target| is_changed(source.id) || is_changed(target.id))
            .collect();
        let fields = fields_of(&source.schema);
        if targets.is_empty() || fields.is_empty() {
            continue;
        }
        if engine.shared.published.detection.is_closed() {
            return Ok(Vec::new());
        }
        // A reader for each collection: none is held for long.
        let snapshot = engine.snapshot()?;
        let counted = count(&snapshot, source, fields)?;
        drop(snapshot);
        let at = engine.now_micros();
        for field in &counted.fields {
            let found = best(engine, &catalog, source, &targets, field, &mut keys)?;
            let Some((relation, mut evidence)) = found else {
                continue;
            };
            evidence.sampled |= counted.sampled;
            evidence.at = at;
            let relation = StoredRelation {
                evidence: Some(evidence),
                ..relation
            };
            let entry = looked.entry(source.id).or_insert_with(|| Looked {
                collection: source.id,
                found: Vec::new(),
                at: source.stored_relations.looked_at.unwrap_or_default(),
            });
            entry.found.push(relation);
        }
    }
    let mut looked: Vec<Looked> = looked.into_values().collect();
    looked.sort_by_key(|looked| looked.collection);
    Ok(looked)
}

/// A field that could hold keys.
#[derive(Clone, Debug, PartialEq)]
struct Field {
    path: FieldPath,
    is_list: bool,
}

/// The fields of a collection's documents that could hold keys: texts and integers, and lists of them, also in objects
/// inside the documents.
fn fields_of(schema: &CollectionSchema) -> Vec<Field> {
    let mut found = Vec::new();
    add_fields(&schema.object, None, &mut found);
    found.truncate(FIELDS_MAX);
    found
}

fn add_fields(object: &ObjectType, prefix: Option<&FieldPath>, found: &mut Vec<Field>) {
    for field in &object.fields {
        let path = match prefix {
            Some(prefix) => prefix.child(&field.json_name),
            None => FieldPath::top(&field.json_name),
        };
        // The id of the document itself, or of one that is inside another.
        if &*field.json_name == "id" {
            continue;
        }
        match &field.ty {
            FieldType::Object(inner) => add_fields(inner, Some(&path), found),
            FieldType::List(item, _) if is_key_type(item) => found.push(Field {
                path,
                is_list: true,
            }),
            ty if is_key_type(ty) => found.push(Field {
                path,
                is_list: false,
            }),
            _ => {}
        }
    }
}

fn is_key_type(ty: &FieldType) -> bool {
    matches!(
        ty,
        FieldType::String | FieldType::Id | FieldType::Int | FieldType::BigInt
    )
}

/// What was counted of a collection.
struct Counted {
    fields: Vec<CountedField>,
    sampled: bool,
}

struct CountedField {
    field: Field,
    /// How many documents have values there that are followed.
    documents: u64,
    /// By value, in how many documents it is.
    values: FxHashMap<Box<[u8]>, (Value, u64)>,
    /// In how many documents the field names the document itself.
    own: u64,
    is_partial: bool,
    /// Whether it holds something that is no key.
    is_out: bool,
}

/// Visits the documents of a collection that are not softly deleted, up to the most that are looked at. Whether those
/// are all.
fn visit(
    snapshot: &Snapshot,
    collection: CollectionId,
    visit: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
) -> Result<bool, EngineError> {
    let prefix = keyspace::documents(collection);
    let end = prefix_end(&prefix).expect("a document key does not consist of 0xff bytes");
    let mut documents = 0;
    snapshot.scan_documents(
        collection,
        Bound::Included(&prefix),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |_, record| {
            documents += 1;
            if documents > DOCUMENTS_MAX {
                return ControlFlow::Break(());
            }
            if record.is_deleted() {
                return ControlFlow::Continue(());
            }
            visit(&record)
        },
    )?;
    Ok(documents <= DOCUMENTS_MAX)
}

fn count(
    snapshot: &Snapshot,
    source: &Collection,
    fields: Vec<Field>,
) -> Result<Counted, EngineError> {
    let refused = &source.stored_relations.refused;
    let mut counted: Vec<CountedField> = fields
        .into_iter()
        .filter(|field| !refused.contains(&field.path))
        .map(|field| CountedField {
            field,
            documents: 0,
            values: FxHashMap::default(),
            own: 0,
            is_partial: false,
            is_out: false,
        })
        .collect();
    let is_all = visit(snapshot, source.id, &mut |record| {
        let document = record.document();
        for field in counted.iter_mut().filter(|field| !field.is_out) {
            if let Some(value) = document.at(&field.field.path) {
                field.add(value, record.id());
            }
        }
        ControlFlow::Continue(())
    })?;
    counted.retain(|field| !field.is_out && field.documents > 0);
    Ok(Counted {
        fields: counted,
        sampled: !is_all,
    })
}

impl CountedField {
    fn add(&mut self, value: ValueRef<'_>, id: &str) {
        if value.is_null() {
            return;
        }
        if (value.kind() == Kind::List) != self.field.is_list {
            self.is_out = true;
            return;
        }
        let is_list = self.field.is_list;
        let items = is_list.then(|| value.items()).into_iter().flatten();
        let mut values: Vec<(Box<[u8]>, ValueRef<'_>)> = Vec::new();
        for value in items.chain((!is_list).then_some(value)) {
            if value.is_null() {
                continue;
            }
            if !is_key(value) {
                self.is_out = true;
                return;
            }
            let mut encoded = Vec::new();
            encode_value(value, &mut encoded);
            values.push((encoded.into(), value));
        }
        if values.is_empty() {
            return;
        }
        let is_new = |key: &[u8]| !self.values.contains_key(key);
        if self.values.len() >= DISTINCT_MAX && values.iter().any(|(key, _)| is_new(key)) {
            self.is_partial = true;
            return;
        }
        self.documents += 1;
        values.sort_unstable_by(|one, two| one.0.cmp(&two.0));
        values.dedup_by(|one, two| one.0 == two.0);
        for (key, value) in values {
            if id_text(value).is_some_and(|text| text.as_str() == id) {
                self.own += 1;
            }
            match self.values.entry(key) {
                Entry::Occupied(mut known) => known.get_mut().1 += 1,
                Entry::Vacant(place) => {
                    place.insert((value.to_value(), 1));
                }
            }
        }
    }

    fn look(&self) -> ValuesLook {
        let mut shortest = usize::MAX;
        for (value, _) in self.values.values() {
            let value = value.as_ref();
            match value.as_str() {
                Some(text) if text.parse::<i64>().is_err() => shortest = shortest.min(text.len()),
                _ => return ValuesLook::Numbers,
            }
        }
        ValuesLook::Texts { shortest }
    }
}

fn is_key(value: ValueRef<'_>) -> bool {
    match value.kind() {
        Kind::Int => true,
        Kind::String => value.json().len() <= KEY_BYTES_MAX + 2,
        _ => false,
    }
}

fn id_text(value: ValueRef<'_>) -> Option<DocumentId> {
    DocumentId::from_value(value)?.ok()
}

/// What the values of the fields of collections are, for those whose values no two documents share.
#[derive(Default)]
struct Keys {
    of: FxHashMap<CollectionId, Vec<KeyField>>,
}

struct KeyField {
    path: FieldPath,
    values: FxHashSet<u64>,
}

impl Keys {
    /// The fields of a collection that tell its documents apart.
    fn of(&mut self, engine: &Engine, target: &Collection) -> Result<&[KeyField], EngineError> {
        if let Entry::Vacant(place) = self.of.entry(target.id) {
            let snapshot = engine.snapshot()?;
            place.insert(unique_fields(&snapshot, target)?);
        }
        Ok(&self.of[&target.id])
    }
}

/// Of a collection that is too large to be looked at as a whole there is none: nobody knows whether they are unique.
fn unique_fields(snapshot: &Snapshot, target: &Collection) -> Result<Vec<KeyField>, EngineError> {
    let mut fields: Vec<KeyField> = fields_of(&target.schema)
        .into_iter()
        .filter(|field| !field.is_list && field.path.segments().len() == 1)
        .map(|field| KeyField {
            path: field.path,
            values: FxHashSet::default(),
        })
        .collect();
    let mut documents = 0_usize;
    let is_all = visit(snapshot, target.id, &mut |record| {
        documents += 1;
        let document = record.document();
        fields.retain_mut(|field| match document.at(&field.path) {
            Some(value) if is_key(value) => field.values.insert(hash_of(value)),
            // A key is there in every document, but for a few.
            Some(value) if !value.is_null() => false,
            _ => field.values.len() * 10 + 10 >= documents * 9,
        });
        match fields.is_empty() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    if !is_all {
        return Ok(Vec::new());
    }
    fields.retain(|field| field.values.len() as u64 >= DOCUMENTS_MIN);
    fields.retain(|field| field.values.len() * 10 >= documents * 9);
    Ok(fields)
}

fn hash_of(value: ValueRef<'_>) -> u64 {
    let mut encoded = Vec::new();
    encode_value(value, &mut encoded);
    let mut hasher = DefaultHasher::new();
    hasher.write(&encoded);
    hasher.finish()
}

/// The relation that a field is, if it is one, with what speaks for it: of several that it could be, that between the
/// names that are most alike, by id rather than by another field.
fn best(
    engine: &Engine,
    catalog: &Catalog,
    source: &Collection,
    targets: &[&Arc<Collection>],
    field: &CountedField,
    keys: &mut Keys,
) -> Result<Option<(StoredRelation, RelationEvidence)>, EngineError> {
    let path = &field.field.path;
    let stored = &source.stored_relations;
    if let Some(known) = stored.list.iter().find(|it| it.field == *path) {
        return evidence_of(engine, catalog, targets, known, field, keys);
    }
    if stored.list.len() >= RELATIONS_MAX {
        return Ok(None);
    }
    let look = field.look();
    let name = path.segments().last().map_or("", |name| name);
    let mut best: Option<((u8, bool, u64), StoredRelation, RelationEvidence)> = None;
    for target in targets {
        let is_own = target.id == source.id;
        // Those that name themselves mostly are a second id.
        if is_own && field.own * 10 > field.documents {
            continue;
        }
        let mut candidate = Candidate {
            field: name,
            target: &target.name,
            key: None,
            is_own,
            documents: field.documents,
            matching: field.documents,
            distinct: field.values.len() as u64,
            values: look,
        };
        let mut ways: Vec<RelationKey> = Vec::new();
        if candidate.is_relation() {
            ways.push(RelationKey::Id);
        }
        if !is_own {
            for key in keys.of(engine, target)? {
                let key_name = key.path.segments().last().map_or("", |name| name);
                let by_key = Candidate {
                    key: Some(key_name),
                    ..candidate
                };
                if by_key.is_relation() {
                    ways.push(RelationKey::Field(key.path.clone()));
                }
            }
        }
        for key in &ways {
            let evidence = matching(engine, target, key, field, keys)?;
            candidate.matching = evidence.matching;
            candidate.key = match key {
                RelationKey::Id => None,
                RelationKey::Field(path) => path.segments().last().map(|name| &**name),
            };
            if !candidate.is_relation() {
                continue;
            }
            let rank = (
                candidate.likeness(),
                *key == RelationKey::Id,
                evidence.matching,
            );
            if best.as_ref().is_none_or(|(known, ..)| rank > *known) {
                let relation = StoredRelation {
                    field: path.clone(),
                    is_list: field.field.is_list,
                    target: target.id,
                    key: key.clone(),
                    name: None,
                    inverse: None,
                    origin: RelationOrigin::Detected,
                    on_delete: OnDelete::NoAction,
                    is_indexed: true,
                    evidence: None,
                };
                best = Some((rank, relation, evidence));
            }
        }
    }
    Ok(best.map(|(_, relation, evidence)| (relation, evidence)))
}

/// What speaks now for a relation that there is.
fn evidence_of(
    engine: &Engine,
    catalog: &Catalog,
    targets: &[&Arc<Collection>],
    known: &StoredRelation,
    field: &CountedField,
    keys: &mut Keys,
) -> Result<Option<(StoredRelation, RelationEvidence)>, EngineError> {
    let target = catalog.by_id(known.target);
    let target = target.filter(|target| targets.iter().any(|it| it.id == target.id));
    let Some(target) = target.filter(|_| known.is_list == field.field.is_list) else {
        return Ok(None);
    };
    if let RelationKey::Field(path) = &known.key
        && !keys.of(engine, target)?.iter().any(|key| key.path == *path)
    {
        return Ok(None);
    }
    let evidence = matching(engine, target, &known.key, field, keys)?;
    Ok(Some((known.clone(), evidence)))
}

/// In how many documents the values of a field all are keys of the target's documents.
fn matching(
    engine: &Engine,
    target: &Collection,
    key: &RelationKey,
    field: &CountedField,
    keys: &mut Keys,
) -> Result<RelationEvidence, EngineError> {
    let missing_in: u64 = match key {
        RelationKey::Field(path) => {
            let known = keys.of(engine, target)?;
            let known = known.iter().find(|key| key.path == *path);
            let is_there = |value: &Value| {
                known.is_some_and(|key| key.values.contains(&hash_of(value.as_ref())))
            };
            let values = field.values.values();
            values
                .filter(|(value, _)| !is_there(value))
                .map(|(_, documents)| documents)
                .sum()
        }
        RelationKey::Id => {
            let snapshot = engine.snapshot()?;
            let mut missing = 0;
            let ids: BTreeSet<(Option<DocumentId>, u64)> = field
                .values
                .values()
                .map(|(value, documents)| (id_text(value.as_ref()), *documents))
                .collect();
            for (id, documents) in ids {
                let found = match &id {
                    Some(id) => snapshot.get(target.id, id.as_str())?,
                    None => None,
                };
                if found.is_none_or(|record| record.is_deleted()) {
                    missing += documents;
                }
            }
            missing
        }
    };
    Ok(RelationEvidence {
        documents: field.documents,
        // A list in which several items name nothing is counted for each, which only makes the figure smaller.
        matching: field.documents.saturating_sub(missing_in),
        distinct: field.values.len() as u64,
        sampled: field.is_partial,
        at: 0,
    })
}

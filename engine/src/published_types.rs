//! The published types of collections: how they evolve with the groups of commits, and where they are kept.
//!
//! What the API says of a collection is not derived anew from its documents at every turn: it is *latched*
//! ([`Evolution`]), so it is state, stored under a key of its own whenever it changes, in the batch that changes it.
//! A store from before that was so has none of a collection until it is next written to; until then its types are those
//! that its documents have.
//!
//! While an import runs, the fields that it has brought are *settling*: they follow the data until it ends, since its
//! first documents say little about the type of a field. [`Imports`] has the types that the collection had before; each
//! group makes the new ones of those. Nothing has to be written when the import ends, or is cut off, or the server
//! crashes: what was published last is what stays. Only fields that have vanished are marked later, by
//! [`TypesDuty`].

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use thalweg_model::{CollectionId, CommitTs, prefix_end};
use thalweg_schema_infer::{
    CollectionNames, CollectionSchema, Drift, Evolution, Latch, NameRegistry, Shape,
};
use thalweg_storage::{Direction, Snapshot as Reader, Write};

use crate::chunk;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::intent::{Intent, Upkeep};
use crate::keyspace;
use crate::load::load_names;
use crate::maintenance::Duty;
use crate::published::Published;
use crate::snapshot::Snapshot;
use crate::statistics::Statistics;
use crate::upkeep::UpkeepWork;

/// What a transaction does to the published types of a collection, beside what its documents do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TypesChange {
    /// Has them looked at, although no document changes.
    Settle(CollectionId),
    /// Accepts what the data says.
    Promote(CollectionId),
    /// Takes away fields that have been deprecated for long enough.
    Drop(CollectionId, Vec<Vanished>),
}

impl TypesChange {
    pub(crate) fn collection(&self) -> CollectionId {
        match self {
            TypesChange::Settle(collection)
            | TypesChange::Promote(collection)
            | TypesChange::Drop(collection, _) => *collection,
        }
    }
}

/// A field that no document has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vanished {
    /// The original names on the way to it.
    pub(crate) path: Vec<Arc<str>>,
    pub(crate) since: CommitTs,
}

/// What the types of a collection become with a group of commits.
pub(crate) struct Step<'a> {
    pub(crate) published: &'a Arc<CollectionSchema>,
    /// The names that it has after the group.
    pub(crate) names: &'a CollectionNames,
    pub(crate) statistics: &'a Statistics,
    pub(crate) evolution: Evolution,
    /// The types from before the imports that are running, if any are.
    pub(crate) settling: Option<Settling>,
    pub(crate) changes: &'a [TypesChange],
    pub(crate) ts: CommitTs,
}

/// The types that a collection had before the imports into it that are running; `None` of one that was not there.
type Settling = Option<Arc<CollectionSchema>>;

impl Step<'_> {
    pub(crate) fn take(self, registry: &mut NameRegistry) -> Arc<CollectionSchema> {
        let renamed = |schema: &Arc<CollectionSchema>, registry: &mut NameRegistry| {
            if schema.names == *self.names {
                Arc::clone(schema)
            } else {
                Arc::new(schema.renamed(self.names, registry))
            }
        };
        let published = renamed(self.published, registry);
        let evidence = self.statistics.evidence();
        if (self.changes.iter()).any(|change| matches!(change, TypesChange::Promote(_))) {
            return published.promote(evidence, registry);
        }
        let published = self.without_dropped(&published);
        let latch = |vanished_at| Latch {
            evolution: self.evolution,
            vanished_at,
        };
        match &self.settling {
            None => published.evolve(evidence, latch(Some(self.ts)), registry),
            Some(before) => {
                let before = match before {
                    Some(before) => renamed(before, registry),
                    None => Arc::new(nothing(self.names, registry)),
                };
                let settled = before.evolve(evidence, latch(None), registry);
                if settled == published || evidence.shape.documents() == 0 {
                    published
                } else {
                    settled
                }
            }
        }
    }

    fn without_dropped(&self, published: &Arc<CollectionSchema>) -> Arc<CollectionSchema> {
        let dropped = self.changes.iter().flat_map(|change| match change {
            TypesChange::Drop(_, fields) => &fields[..],
            TypesChange::Settle(_) | TypesChange::Promote(_) => &[],
        });
        let dropped: Vec<&Vanished> = dropped.collect();
        without(published, &dropped)
    }
}

/// The types without fields whose time is over; the same ones where none of them can go.
pub(crate) fn without(
    published: &Arc<CollectionSchema>,
    dropped: &[&Vanished],
) -> Arc<CollectionSchema> {
    if dropped.is_empty() {
        return Arc::clone(published);
    }
    published.without_vanished(&mut |path, deprecated| {
        let mut dropped = dropped.iter();
        dropped.any(|field| field.path == path && field.since == deprecated.since)
    })
}

/// The types of a collection without fields.
fn nothing(names: &CollectionNames, registry: &mut NameRegistry) -> CollectionSchema {
    CollectionSchema::derive(names, &Shape::new(), false, registry)
}

/// The stored types of a collection; `None` where there are none.
pub(crate) fn read(
    reader: &dyn Reader,
    collection: CollectionId,
    names: &CollectionNames,
    registry: &mut NameRegistry,
) -> Result<Option<CollectionSchema>, EngineError> {
    let key = keyspace::types(collection);
    let Some(stored) = reader.get(&key)? else {
        return Ok(None);
    };
    let whole = chunk::resolve(reader, stored, || key)?;
    decode(&whole, names, registry).map(Some)
}

/// Reads what was stored as a whole.
pub(crate) fn decode(
    whole: &[u8],
    names: &CollectionNames,
    registry: &mut NameRegistry,
) -> Result<CollectionSchema, EngineError> {
    let corrupt = EngineError::Corrupt {
        what: "published types",
    };
    let bytes = whole.get(1..).ok_or(corrupt.clone())?;
    CollectionSchema::decode(bytes, names, registry).map_err(|_| corrupt)
}

/// Appends what stores the types of collections where others are stored.
pub(crate) fn write(
    schemas: impl Iterator<Item = (CollectionId, Arc<CollectionSchema>)>,
    stored: &mut FxHashMap<CollectionId, Arc<CollectionSchema>>,
    writes: &mut Vec<Write>,
) {
    for (collection, schema) in schemas {
        if stored
            .get(&collection)
            .is_some_and(|known| *known == schema)
        {
            continue;
        }
        let mut value = vec![chunk::WHOLE];
        value.extend_from_slice(&schema.encode());
        put_long(keyspace::types(collection), &value, writes);
        stored.insert(collection, schema);
    }
}

/// Appends what puts a value that may be long in place of another one.
fn put_long(key: Vec<u8>, value: &[u8], writes: &mut Vec<Write>) {
    chunk::erase(&key, 0, writes);
    chunk::put(key, 0, value, writes);
}

/// The imports that are running, and which collections have to be looked at without a commit that asks for it.
#[derive(Default)]
pub(crate) struct Imports {
    state: Mutex<ImportsState>,
}

#[derive(Default)]
struct ImportsState {
    running: BTreeMap<Arc<str>, Running>,
    unsettled: Unsettled,
}

struct Running {
    imports: usize,
    before: Settling,
}

/// The collections whose types may not be what they should be by now.
#[derive(Default, PartialEq)]
enum Unsettled {
    #[default]
    None,
    /// Those into which an import has ended.
    Some(Vec<Arc<str>>),
    /// This server has just begun to write, maybe with other options than the one before.
    All,
}

impl Imports {
    /// The types from before the running imports into a collection, if there are any.
    pub(crate) fn settling(&self, collection: &str) -> Option<Settling> {
        let state = self.state.lock();
        Some(state.running.get(collection)?.before.clone())
    }

    /// Has all collections looked at.
    pub(crate) fn unsettle_all(&self) {
        self.state.lock().unsettled = Unsettled::All;
    }

    fn begin(&self, name: &Arc<str>, before: Settling) {
        let mut state = self.state.lock();
        let running = state
            .running
            .entry(Arc::clone(name))
            .or_insert(Running { imports: 0, before });
        running.imports += 1;
    }

    fn end(&self, name: &Arc<str>) {
        let mut state = self.state.lock();
        let Some(running) = state.running.get_mut(name) else {
            return;
        };
        running.imports -= 1;
        if running.imports > 0 {
            return;
        }
        state.running.remove(name);
        match &mut state.unsettled {
            Unsettled::All => {}
            Unsettled::Some(names) => names.push(Arc::clone(name)),
            unsettled @ Unsettled::None => *unsettled = Unsettled::Some(vec![Arc::clone(name)]),
        }
    }

    fn take_unsettled(&self) -> Unsettled {
        std::mem::take(&mut self.state.lock().unsettled)
    }
}

/// An import that is running; it ends when this is dropped.
pub struct ImportGuard {
    published: Arc<Published>,
    collection: Arc<str>,
}

impl Drop for ImportGuard {
    fn drop(&mut self) {
        self.published.imports.end(&self.collection);
        self.published.maintenance.wake();
    }
}

impl Engine {
    /// Says that documents are coming in, in many transactions: until the guard is dropped, the fields that they bring
    /// follow the data, whatever [`EngineOptions::evolution`](crate::EngineOptions::evolution) says.
    pub fn begin_import(&self, collection: &str) -> ImportGuard {
        let published = Arc::clone(&self.shared.published);
        let collection: Arc<str> = collection.into();
        let catalog = published.newest_catalog();
        let known = catalog.by_name(&collection);
        let before = known.map(|known| Arc::clone(&known.latched));
        published.imports.begin(&collection, before);
        ImportGuard {
            published,
            collection,
        }
    }

    /// How published types follow the data.
    pub fn evolution(&self) -> Evolution {
        self.options().evolution
    }
}

impl Snapshot {
    /// What in the documents of a collection does not fit its published types.
    pub fn drift(&self, collection: CollectionId) -> Result<Vec<Drift>, EngineError> {
        let Some(found) = self.catalog().by_id(collection) else {
            return Ok(Vec::new());
        };
        Ok(self.statistics(collection)?.drift(found))
    }

    /// The types that promotion would publish of a collection now.
    pub fn promoted_types(
        &self,
        collection: CollectionId,
    ) -> Result<Option<Arc<CollectionSchema>>, EngineError> {
        let Some(found) = self.catalog().by_id(collection) else {
            return Ok(None);
        };
        let mut names = load_names(self.reader())?;
        let statistics = self.statistics(collection)?;
        let promoted = found.latched.promote(statistics.evidence(), &mut names);
        Ok(Some(match &found.declared {
            Some(declared) => Arc::new(declared.publish((*promoted).clone(), &mut names)),
            None => promoted,
        }))
    }
}

/// Looks at the types of collections after an import, and after this server has begun to write.
pub(crate) struct TypesDuty;

impl Duty for TypesDuty {
    fn next(&self, engine: &Engine) -> Result<Option<Vec<Intent>>, EngineError> {
        let imports = &engine.shared.published.imports;
        let unsettled = imports.take_unsettled();
        if unsettled == Unsettled::None {
            return Ok(None);
        }
        let found = find_unsettled(engine, &unsettled);
        if found.is_err() {
            imports.unsettle_all();
        }
        found
    }
}

fn find_unsettled(
    engine: &Engine,
    unsettled: &Unsettled,
) -> Result<Option<Vec<Intent>>, EngineError> {
    let imports = &engine.shared.published.imports;
    let is_among = |name: &Arc<str>| match unsettled {
        Unsettled::None => false,
        Unsettled::Some(names) => names.contains(name),
        Unsettled::All => true,
    };
    let snapshot = engine.snapshot()?;
    let mut names = load_names(snapshot.reader())?;
    let mut intents = Vec::new();
    for collection in snapshot.catalog().collections() {
        if !is_among(&collection.name) || imports.settling(&collection.name).is_some() {
            continue;
        }
        let statistics = snapshot.statistics(collection.id)?;
        let step = Step {
            published: &collection.latched,
            names: &collection.latched.names,
            statistics: &statistics,
            evolution: engine.evolution(),
            settling: None,
            changes: &[],
            ts: snapshot.ts(),
        };
        if !Arc::ptr_eq(&step.take(&mut names), &collection.latched) {
            let settle = UpkeepWork::Types(TypesChange::Settle(collection.id));
            intents.push(Intent::Upkeep(Upkeep(settle)));
        }
    }
    Ok((!intents.is_empty()).then_some(intents))
}

/// A key and the value that is stored under it.
pub(crate) type StoredTypes = (Vec<u8>, Vec<u8>);

/// All types that are stored, for `verify`.
pub(crate) fn all_stored(reader: &dyn Reader) -> Result<Vec<StoredTypes>, EngineError> {
    let prefix = keyspace::metas(keyspace::TYPES);
    let end = prefix_end(&prefix).expect("a meta key does not consist of 0xff bytes");
    let mut found = Vec::new();
    reader.scan(
        Bound::Included(&prefix),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, stored| {
            found.push((key.to_vec(), stored.into_owned()));
            ControlFlow::Continue(())
        },
    )?;
    Ok(found)
}

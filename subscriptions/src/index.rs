//! From a commit to the live queries that it may change.
//!
//! Each read of a live query is filed under what it requires of a document at the least (its [`Anchor`]): an id, the value
//! of a field, an interval of values or of positions. What a change touches is found by looking those up in the images
//! before and after it, and then tested exactly, so what a commit costs depends on how many live queries it concerns, not
//! on how many there are. Reads of which nothing can be looked up (a `like`, say) are grouped by what they read: each
//! distinct filter is tested once for each change, however many live queries have it.

mod groups;

use std::collections::hash_map::Entry as Slot;
use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use slotmap::{SecondaryMap, new_key_type};
use thalweg_engine::{
    Anchor, AnchorField, Change, Commit, DependencySet, KeyInterval, OrderKey, Position, Record,
    Scope,
};
use thalweg_model::{CollectionId, DocumentId};

use self::groups::Groups;
use crate::entries::{Entries, Entry};
use crate::interval::Intervals;

new_key_type! {
    /// Names a live query while it is registered.
    pub(crate) struct LiveId;
}

/// Live queries.
pub(crate) type Ids = FxHashSet<LiveId>;

/// Who depends on what.
#[derive(Default)]
pub(crate) struct DependencyIndex {
    dependencies: SecondaryMap<LiveId, Arc<DependencySet>>,
    collections: FxHashMap<CollectionId, CollectionIndex>,
    /// Those that depend on the catalog, the counts or the shapes.
    system: Ids,
}

/// The reads of the documents of one collection.
#[derive(Default)]
struct CollectionIndex {
    documents: FxHashMap<DocumentId, Entries>,
    fields: FxHashMap<AnchorField, Keys>,
    positions: FxHashMap<Arc<[OrderKey]>, Intervals>,
    groups: Groups,
}

/// Reads by the values of one field.
#[derive(Default)]
struct Keys {
    points: FxHashMap<Box<[u8]>, Entries>,
    intervals: Intervals,
}

impl DependencyIndex {
    /// Whether this is what a live query is filed under.
    pub(crate) fn is_set(&self, live: LiveId, dependencies: &DependencySet) -> bool {
        self.dependencies
            .get(live)
            .is_some_and(|old| **old == *dependencies)
    }

    /// Files what a live query depends on, in place of what it depended on before.
    pub(crate) fn set(&mut self, live: LiveId, dependencies: Arc<DependencySet>) {
        self.remove(live);
        if dependencies.depends_on_system() {
            self.system.insert(live);
        }
        for (entry, read) in entries(live, &dependencies) {
            let collection = self.collections.entry(read.collection).or_default();
            collection.insert(&read.scope, entry);
        }
        self.dependencies.insert(live, dependencies);
    }

    /// What a live query depends on.
    pub(crate) fn dependencies_of(&self, live: LiveId) -> Option<&Arc<DependencySet>> {
        self.dependencies.get(live)
    }

    /// Forgets a live query.
    pub(crate) fn remove(&mut self, live: LiveId) {
        let Some(dependencies) = self.dependencies.remove(live) else {
            return;
        };
        self.system.remove(&live);
        for (entry, read) in entries(live, &dependencies) {
            if let Slot::Occupied(mut collection) = self.collections.entry(read.collection) {
                collection.get_mut().remove(&read.scope, entry);
                if collection.get().is_empty() {
                    collection.remove();
                }
            }
        }
    }

    /// Adds to `affected` the live queries whose result the commit may have changed.
    pub(crate) fn affected(&self, commit: &Commit, affected: &mut Ids) {
        for live in &self.system {
            if !affected.contains(live) && self.dependencies[*live].system_touched_by(commit) {
                affected.insert(*live);
            }
        }
        for collection in &commit.emptied {
            if let Some(collection) = self.collections.get(collection) {
                collection.all(&mut |entry| {
                    affected.insert(entry.live);
                });
            }
        }
        for change in &commit.changes {
            if let Some(collection) = self.collections.get(&change.collection) {
                collection.candidates(change, &mut |entry| {
                    if !affected.contains(&entry.live) && self.touches(entry, change) {
                        affected.insert(entry.live);
                    }
                });
                collection.groups.affected(change, |entry, sight| {
                    let mask = &self.read(entry).mask;
                    if !affected.contains(&entry.live) && sight.shows(mask) {
                        affected.insert(entry.live);
                    }
                });
            }
        }
    }

    fn read(&self, entry: Entry) -> &thalweg_engine::Dependency {
        &self.dependencies[entry.live].reads()[entry.read as usize]
    }

    fn touches(&self, entry: Entry, change: &Change) -> bool {
        self.read(entry).touched_by(change)
    }
}

/// The reads of a live query, each with its place.
fn entries(
    live: LiveId,
    dependencies: &DependencySet,
) -> impl Iterator<Item = (Entry, &thalweg_engine::Dependency)> {
    (0..)
        .zip(dependencies.reads())
        .map(move |(read, dependency)| (Entry { live, read }, dependency))
}

impl CollectionIndex {
    fn insert(&mut self, scope: &Scope, entry: Entry) {
        let range = match scope {
            Scope::Document(id) => {
                let entries = self.documents.entry(id.clone()).or_default();
                return entries.insert(entry);
            }
            Scope::Range(range) => range,
        };
        match range.anchor() {
            Anchor::Field(field, intervals) => {
                let keys = self.fields.entry(field).or_default();
                for interval in intervals {
                    keys.insert(interval, entry);
                }
            }
            Anchor::Position(order, interval) => {
                let intervals = self.positions.entry(order).or_default();
                intervals.insert(&interval, entry);
            }
            Anchor::Filter => self.groups.insert(range, entry),
        }
    }

    fn remove(&mut self, scope: &Scope, entry: Entry) {
        let range = match scope {
            Scope::Document(id) => return remove_from(&mut self.documents, id, entry),
            Scope::Range(range) => range,
        };
        match range.anchor() {
            Anchor::Field(field, intervals) => {
                if let Slot::Occupied(mut keys) = self.fields.entry(field) {
                    for interval in intervals {
                        keys.get_mut().remove(&interval, entry);
                    }
                    if keys.get().is_empty() {
                        keys.remove();
                    }
                }
            }
            Anchor::Position(order, interval) => {
                if let Slot::Occupied(mut intervals) = self.positions.entry(order) {
                    intervals.get_mut().remove(&interval, entry);
                    if intervals.get().is_empty() {
                        intervals.remove();
                    }
                }
            }
            Anchor::Filter => self.groups.remove(range, entry),
        }
    }

    fn is_empty(&self) -> bool {
        self.documents.is_empty()
            && self.fields.is_empty()
            && self.positions.is_empty()
            && self.groups.is_empty()
    }

    /// Visits the reads, those in groups aside, that a change may touch; one perhaps more than once.
    fn candidates(&self, change: &Change, visit: &mut impl FnMut(Entry)) {
        if let Some(entries) = self.documents.get(&change.id) {
            entries.each(visit);
        }
        let mut key = Vec::new();
        for (field, keys) in &self.fields {
            for_each_key(
                change,
                &mut key,
                |image, key| field.write_key(image, key),
                |key| keys.around(key, visit),
            );
        }
        for (order, intervals) in &self.positions {
            for_each_key(
                change,
                &mut key,
                |image, key| key.extend_from_slice(Position::of(image, order).as_bytes()),
                |key| intervals.around(key, &mut |entries| entries.each(visit)),
            );
        }
    }

    fn all(&self, visit: &mut impl FnMut(Entry)) {
        for entries in self.documents.values() {
            entries.each(visit);
        }
        for keys in self.fields.values() {
            for entries in keys.points.values() {
                entries.each(visit);
            }
            keys.intervals.all(&mut |entries| entries.each(visit));
        }
        for intervals in self.positions.values() {
            intervals.all(&mut |entries| entries.each(visit));
        }
        self.groups.all(visit);
    }
}

/// Looks up the key of the image before a change and of that after it, once if they are the same.
fn for_each_key(
    change: &Change,
    key: &mut Vec<u8>,
    write: impl Fn(&Record<'_>, &mut Vec<u8>),
    mut look_up: impl FnMut(&[u8]),
) {
    key.clear();
    if let Some(before) = &change.before {
        write(before, key);
        look_up(key);
    }
    if let Some(after) = &change.after {
        let start = key.len();
        write(after, key);
        if change.before.is_none() || key[..start] != key[start..] {
            look_up(&key[start..]);
        }
    }
}

impl Keys {
    fn insert(&mut self, interval: KeyInterval, entry: Entry) {
        if interval.is_point {
            let entries = self.points.entry(interval.from.into()).or_default();
            entries.insert(entry);
        } else {
            self.intervals.insert(&interval, entry);
        }
    }

    fn remove(&mut self, interval: &KeyInterval, entry: Entry) {
        if interval.is_point {
            remove_from(&mut self.points, interval.from.as_slice(), entry);
        } else {
            self.intervals.remove(interval, entry);
        }
    }

    fn around(&self, key: &[u8], visit: &mut impl FnMut(Entry)) {
        if let Some(entries) = self.points.get(key) {
            entries.each(visit);
        }
        self.intervals
            .around(key, &mut |entries| entries.each(visit));
    }

    fn is_empty(&self) -> bool {
        self.points.is_empty() && self.intervals.is_empty()
    }
}

fn remove_from<K, Q>(map: &mut FxHashMap<K, Entries>, key: &Q, entry: Entry)
where
    K: Hash + Eq + std::borrow::Borrow<Q>,
    Q: Hash + Eq + ?Sized,
{
    if map
        .get_mut(key)
        .is_some_and(|entries| entries.remove(entry))
    {
        map.remove(key);
    }
}

/// A live query for tests that have no registry.
#[cfg(test)]
pub(crate) fn live_id(number: u64) -> LiveId {
    LiveId::from(slotmap::KeyData::from_ffi(1 << 32 | number))
}

#[cfg(test)]
mod tests;

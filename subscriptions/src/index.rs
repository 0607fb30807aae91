//! From a commit to the live queries that it may change.
//!
//! Dependencies on single documents and on ranges whose filter requires a field to equal a value are found by lookup,
//! so their cost does not depend on how many there are. All other ranges of a collection are tested one by one. What
//! is found by lookup is then tested exactly, mask and range included.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use thalweg_engine::{Change, Commit, DependencySet, FieldRef, Scope, write_field_key};
use thalweg_model::{CollectionId, DocumentId, encode_value};

/// Names a live query while it is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LiveId(pub(crate) u64);

type Ids = FxHashSet<LiveId>;

/// The dependencies on the documents of one collection.
#[derive(Default)]
struct CollectionIndex {
    documents: FxHashMap<DocumentId, Ids>,
    /// By field, by the key of the value that it must equal.
    equalities: FxHashMap<FieldRef, FxHashMap<Vec<u8>, Ids>>,
    ranges: Ids,
}

/// Who depends on what.
#[derive(Default)]
pub(crate) struct DependencyIndex {
    dependencies: FxHashMap<LiveId, Arc<DependencySet>>,
    collections: FxHashMap<CollectionId, CollectionIndex>,
    /// Those that depend on the catalog, the counts or the shapes.
    system: Ids,
}

/// Where a dependency is filed. The same for the same dependency, so that it is found again to be removed.
enum Place<'d> {
    Document(&'d DocumentId),
    Equality(&'d FieldRef, Vec<u8>),
    Range,
}

fn place(scope: &Scope) -> Place<'_> {
    match scope {
        Scope::Document(id) => Place::Document(id),
        Scope::Range(range) => match range.filter.required_equality() {
            Some((field, value)) => {
                let mut key = Vec::new();
                encode_value(value.as_ref(), &mut key);
                Place::Equality(field, key)
            }
            None => Place::Range,
        },
    }
}

impl DependencyIndex {
    /// Files what a live query depends on, in place of what it depended on before.
    pub(crate) fn set(&mut self, id: LiveId, dependencies: Arc<DependencySet>) {
        if self
            .dependencies
            .get(&id)
            .is_some_and(|old| **old == *dependencies)
        {
            return;
        }
        self.remove(id);
        if dependencies.depends_on_system() {
            self.system.insert(id);
        }
        for read in dependencies.reads() {
            let collection = self.collections.entry(read.collection).or_default();
            let ids = match place(&read.scope) {
                Place::Document(document) => {
                    collection.documents.entry(document.clone()).or_default()
                }
                Place::Equality(field, key) => collection
                    .equalities
                    .entry(field.clone())
                    .or_default()
                    .entry(key)
                    .or_default(),
                Place::Range => &mut collection.ranges,
            };
            ids.insert(id);
        }
        self.dependencies.insert(id, dependencies);
    }

    /// What a live query depends on.
    pub(crate) fn dependencies_of(&self, id: LiveId) -> Option<Arc<DependencySet>> {
        self.dependencies.get(&id).cloned()
    }

    /// Forgets a live query.
    pub(crate) fn remove(&mut self, id: LiveId) {
        let Some(dependencies) = self.dependencies.remove(&id) else {
            return;
        };
        self.system.remove(&id);
        for read in dependencies.reads() {
            let Some(collection) = self.collections.get_mut(&read.collection) else {
                continue;
            };
            match place(&read.scope) {
                Place::Document(document) => {
                    remove_from(collection.documents.entry(document.clone()), id);
                }
                Place::Equality(field, key) => {
                    if let Some(values) = collection.equalities.get_mut(field) {
                        remove_from(values.entry(key), id);
                        if values.is_empty() {
                            collection.equalities.remove(field);
                        }
                    }
                }
                Place::Range => {
                    collection.ranges.remove(&id);
                }
            }
        }
    }

    /// Adds to `affected` the live queries whose result the commit may have changed.
    pub(crate) fn affected(&self, commit: &Commit, affected: &mut Ids) {
        for id in &self.system {
            if !affected.contains(id) && self.dependencies[id].system_touched_by(commit) {
                affected.insert(*id);
            }
        }
        for collection in &commit.emptied {
            if let Some(collection) = self.collections.get(collection) {
                collection.everybody(affected);
            }
        }
        let mut candidates = Ids::default();
        for change in &commit.changes {
            if let Some(collection) = self.collections.get(&change.collection) {
                candidates.clear();
                collection.candidates(change, &mut candidates);
                for id in &candidates {
                    if !affected.contains(id) && self.touches(*id, change) {
                        affected.insert(*id);
                    }
                }
            }
        }
    }

    fn touches(&self, id: LiveId, change: &Change) -> bool {
        self.dependencies[&id]
            .reads()
            .iter()
            .any(|read| read.collection == change.collection && read.touched_by(change))
    }
}

impl CollectionIndex {
    fn candidates(&self, change: &Change, candidates: &mut Ids) {
        if let Some(ids) = self.documents.get(&change.id) {
            candidates.extend(ids);
        }
        let mut key = Vec::new();
        for (field, values) in &self.equalities {
            for image in change.before.iter().chain(&change.after) {
                key.clear();
                write_field_key(image, field, &mut key);
                if let Some(ids) = values.get(&key) {
                    candidates.extend(ids);
                }
            }
        }
        candidates.extend(&self.ranges);
    }

    fn everybody(&self, affected: &mut Ids) {
        affected.extend(self.documents.values().flatten());
        affected.extend(
            self.equalities
                .values()
                .flat_map(FxHashMap::values)
                .flatten(),
        );
        affected.extend(&self.ranges);
    }
}

fn remove_from<K>(entry: Entry<'_, K, Ids>, id: LiveId) {
    if let Entry::Occupied(mut ids) = entry {
        ids.get_mut().remove(&id);
        if ids.get().is_empty() {
            ids.remove();
        }
    }
}

//! GraphQL names for collections, fields and nested types.
//!
//! A [`NameRegistry`] is stored beside the data. It allocates a name when something is first seen and
//! never changes or reuses it: a client that was written against a name finds the same thing under it
//! for ever. Where two things would take one name, the later one gets a number; where a thing would
//! take a name of the system, it gets a suffix `_`.
//!
//! - `legal`: how a JSON name becomes a legal GraphQL name.
//! - `inflect`: the singular of a collection's name.
//! - `reserved`: what belongs to the system.
//! - `pin`: names that are declared.
//! - `scope`: the names inside one object, and inside what it contains.
//! - `relations`: the names of relations between collections.

mod codec;
mod inflect;
mod legal;
mod pin;
mod relations;
mod reserved;
mod scope;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use thalweg_model::FieldPath;

use relations::RelationEntry;
use scope::Used;

pub use pin::{FieldPin, MAP_VALUE, PinConflict, Pins};
pub use relations::RelationNaming;
pub(crate) use scope::{Names, Scope};

/// The words of a name.
pub(crate) fn plain_words(name: &str) -> Vec<String> {
    legal::words(name)
}

/// The singular of a word.
pub(crate) fn singular(word: &str) -> String {
    inflect::singular(word)
}

/// Everything that is named after a collection. GraphQL names but for `collection`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionNames {
    /// The collection's own name.
    pub collection: String,
    /// The object type: `Movie`.
    pub type_name: String,
    /// The root field of the connection: `movies`.
    pub list_field: String,
    /// The root field of one document: `movie`, or `compatById` where the list has that name.
    pub by_id_field: String,
    /// `createMovie`
    pub create: String,
    /// `createMovies`
    pub create_many: String,
    /// `updateMovie`
    pub update: String,
    /// `updateMovies`
    pub update_many: String,
    /// `upsertMovie`
    pub upsert: String,
    /// `replaceMovie`
    pub replace: String,
    /// `deleteMovie`
    pub delete: String,
    /// `deleteMovies`
    pub delete_many: String,
    /// `restoreMovie`
    pub restore: String,
    /// `MovieInput`
    pub input: String,
    /// `MoviePatch`
    pub patch: String,
    /// `MovieFilter`
    pub filter: String,
    /// `MovieOrderBy`
    pub order_by: String,
    /// `MovieConnection`
    pub connection: String,
    /// `MovieEdge`
    pub edge: String,
    /// `MovieField`, the enum of the top-level fields.
    pub field_enum: String,
}

impl CollectionNames {
    /// `moviesAggregate`
    pub fn aggregate_field(&self) -> String {
        format!("{}Aggregate", self.list_field)
    }

    /// `MovieRevision`
    pub fn revision(&self) -> String {
        format!("{}Revision", self.type_name)
    }

    /// `MovieRevisionConnection`
    pub fn revision_connection(&self) -> String {
        format!("{}RevisionConnection", self.type_name)
    }

    /// `MovieRevisionEdge`
    pub fn revision_edge(&self) -> String {
        format!("{}RevisionEdge", self.type_name)
    }

    /// `MovieReferenceFilter`, of the document that a relation leads to.
    pub fn reference_filter(&self) -> String {
        format!("{}ReferenceFilter", self.type_name)
    }

    /// `MovieRelationFilter`, of the documents that a relation leads to.
    pub fn relation_filter(&self) -> String {
        format!("{}RelationFilter", self.type_name)
    }
}

/// What a collection is called, unless it is named, whose documents are declared to have this type: `movies` for
/// `Movie`.
pub fn default_collection_name(type_name: &str) -> String {
    let last = type_name.rfind(|c: char| c.is_ascii_uppercase());
    let (head, last) = type_name.split_at(last.unwrap_or(0));
    let plural = format!("{head}{}", pluralizer::pluralize(last, 2, false));
    let gives_the_type =
        |name: &String| NameRegistry::new().collection(name).type_name == type_name;
    let candidates = [plural.as_str(), type_name].map(legal::lower_first);
    let fitting = candidates.iter().find(|name| gives_the_type(name));
    fitting.unwrap_or(&candidates[0]).clone()
}

/// The type of a collection's documents, unless it is declared or taken: `Movie` for `movies`.
pub fn default_type_name(collection: &str) -> String {
    Stems::new(collection, 1).type_name
}

/// The stored, append-only allocation of GraphQL names.
#[derive(Clone, Debug, Default)]
pub struct NameRegistry {
    collections: Vec<CollectionEntry>,
    by_name: HashMap<Arc<str>, usize>,
    types: Used,
    query: Used,
    mutation: Used,
    /// What collections were called before a declaration named their types: nothing else gets those names.
    retired: Vec<Stems>,
    revision: u64,
}

#[derive(Clone, Debug)]
struct CollectionEntry {
    name: Arc<str>,
    stems: Stems,
    names: CollectionNames,
    scope: Scope,
    /// How many fields and relations have names, in all objects of the collection.
    fields: usize,
    relations: Vec<RelationEntry>,
}

/// What all names of a collection are made of; this is what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stems {
    type_name: String,
    list_field: String,
    by_id_field: String,
    /// What follows `create`, `update` and `delete` in the names of bulk mutations.
    many: String,
}

/// True for collections that belong to the system. They are never part of the API schema.
pub fn is_system_collection(name: &str) -> bool {
    name.starts_with('_')
}

impl NameRegistry {
    /// A registry with nothing but the system's own names.
    pub fn new() -> NameRegistry {
        NameRegistry::default()
    }

    /// Counts changes: what was stored is out of date if and only if this has grown since.
    /// It starts at zero with each `new` and `decode`.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The names of a collection, allocated at first use.
    pub fn collection(&mut self, json_name: &str) -> CollectionNames {
        let index = self.collection_index(json_name);
        self.collections[index].names.clone()
    }

    /// The names of a collection that has been seen before.
    pub fn known_collection(&self, json_name: &str) -> Option<&CollectionNames> {
        self.by_name
            .get(json_name)
            .map(|&index| &self.collections[index].names)
    }

    /// The GraphQL name of the field at a path of original names, if it has one. A path through a
    /// keyed map ends at the map: its keys are data and have no names.
    pub fn field(&self, collection: &str, path: &FieldPath) -> Option<&str> {
        let index = *self.by_name.get(collection)?;
        let mut scope = &self.collections[index].scope;
        let mut name = None;
        for segment in path.segments() {
            let (field, inner) = scope.field(segment)?;
            scope = inner;
            name = Some(field);
        }
        name
    }

    /// Carries the field names of a collection over to its new name.
    ///
    /// The new name gets root fields and types of its own (or those it had before); the old ones stay
    /// taken and come back if a collection of the old name is created again. Fields keep their names
    /// and order, nested types are named after the new collection.
    pub fn rename_collection(&mut self, from: &str, to: &str) -> CollectionNames {
        let target = self.collection_index(to);
        if let Some(&source) = self.by_name.get(from)
            && source != target
        {
            let mut scope = self.collections[source].scope.clone();
            scope.forget_type_names();
            let entry = &mut self.collections[target];
            entry.scope.adopt(scope, true);
            entry.fields = entry.scope.count() + entry.relations.len();
            self.revision += 1;
        }
        self.collections[target].names.clone()
    }

    /// The names inside the documents of a collection, for derivation.
    pub(crate) fn scope(&mut self, json_name: &str) -> (&mut Scope, Names<'_>) {
        let index = self.collection_index(json_name);
        let entry = &mut self.collections[index];
        let names = Names {
            types: &mut self.types,
            fields: &mut entry.fields,
            revision: &mut self.revision,
        };
        (&mut entry.scope, names)
    }

    fn collection_index(&mut self, json_name: &str) -> usize {
        if let Some(&index) = self.by_name.get(json_name) {
            return index;
        }
        let stems = self.allocate(json_name);
        self.revision += 1;
        self.insert(Arc::from(json_name), stems, Scope::default(), 0)
    }

    fn insert(&mut self, name: Arc<str>, stems: Stems, scope: Scope, fields: usize) -> usize {
        let names = CollectionNames::of(&name, &stems);
        let index = self.collections.len();
        self.by_name.insert(Arc::clone(&name), index);
        self.collections.push(CollectionEntry {
            name,
            stems,
            names,
            scope,
            fields,
            relations: Vec::new(),
        });
        self.take(index);
        index
    }

    /// Marks the names of a collection as taken.
    fn take(&mut self, index: usize) {
        let entry = &self.collections[index];
        for taken in entry.names.query_fields() {
            self.query.insert(taken);
        }
        for taken in entry.names.mutation_fields() {
            self.mutation.insert(taken.clone());
        }
        for taken in reserved::collection_types(&entry.stems.type_name) {
            self.types.insert(taken);
        }
    }

    /// Keeps names that a collection had from being given to anything else.
    fn retire(&mut self, stems: Stems) {
        let names = CollectionNames::of("", &stems);
        for taken in names.query_fields() {
            self.query.insert(taken);
        }
        for taken in names.mutation_fields() {
            self.mutation.insert(taken.clone());
        }
        for taken in reserved::collection_types(&stems.type_name) {
            self.types.insert(taken);
        }
        self.retired.push(stems);
    }

    /// The first stems, counting up, none of whose names is taken.
    fn allocate(&self, json_name: &str) -> Stems {
        let mut number = 1;
        loop {
            let stems = Stems::new(json_name, number);
            let names = CollectionNames::of(json_name, &stems);
            let free = names
                .query_fields()
                .iter()
                .all(|name| self.query.is_free(name))
                && names
                    .mutation_fields()
                    .iter()
                    .all(|name| self.mutation.is_free(name) && !reserved::is_mutation_field(name))
                && reserved::collection_types(&stems.type_name)
                    .iter()
                    .all(|name| self.types.is_free(name) && !reserved::is_type(name));
            if free {
                return stems;
            }
            number += 1;
        }
    }
}

impl PartialEq for NameRegistry {
    /// The same allocations; the revision does not count.
    fn eq(&self, other: &NameRegistry) -> bool {
        self.collections.len() == other.collections.len()
            && self
                .collections
                .iter()
                .zip(&other.collections)
                .all(|(a, b)| {
                    a.name == b.name
                        && a.stems == b.stems
                        && a.scope == b.scope
                        && a.fields == b.fields
                        && a.relations == b.relations
                })
            && self.retired == other.retired
    }
}

impl Eq for NameRegistry {}

impl Stems {
    fn new(json_name: &str, number: u32) -> Stems {
        let plural = legal::words(json_name);
        let mut singular = plural.clone();
        if let Some(last) = singular.last_mut() {
            *last = inflect::singular(last);
        }
        let mut type_name = legal::numbered(&legal::pascal_case(&singular), number);
        if reserved::is_type(&type_name) {
            type_name.push('_');
        }
        let mut list_field = legal::numbered(&legal::camel_case(&plural), number);
        if reserved::is_query_field(&list_field) {
            list_field.push('_');
        }
        let mut by_id_field = legal::numbered(&legal::camel_case(&singular), number);
        if reserved::is_query_field(&by_id_field) {
            by_id_field.push('_');
        }
        let many = if by_id_field == list_field {
            by_id_field.push_str("ById");
            format!("Many{type_name}")
        } else {
            legal::upper_first(&list_field)
        };
        Stems {
            type_name,
            list_field,
            by_id_field,
            many,
        }
    }
}

impl CollectionNames {
    fn of(collection: &str, stems: &Stems) -> CollectionNames {
        let Stems {
            type_name,
            list_field,
            by_id_field,
            many,
        } = stems;
        CollectionNames {
            collection: collection.to_owned(),
            type_name: type_name.clone(),
            list_field: list_field.clone(),
            by_id_field: by_id_field.clone(),
            create: format!("create{type_name}"),
            create_many: format!("create{many}"),
            update: format!("update{type_name}"),
            update_many: format!("update{many}"),
            upsert: format!("upsert{type_name}"),
            replace: format!("replace{type_name}"),
            delete: format!("delete{type_name}"),
            delete_many: format!("delete{many}"),
            restore: format!("restore{type_name}"),
            input: format!("{type_name}Input"),
            patch: format!("{type_name}Patch"),
            filter: format!("{type_name}Filter"),
            order_by: format!("{type_name}OrderBy"),
            connection: format!("{type_name}Connection"),
            edge: format!("{type_name}Edge"),
            field_enum: format!("{type_name}Field"),
        }
    }

    /// The fields of `Query` that belong to the collection, those of later versions included: what a
    /// later version adds for an old collection must not be taken by then.
    fn query_fields(&self) -> [String; 4] {
        [
            self.list_field.clone(),
            self.by_id_field.clone(),
            self.aggregate_field(),
            format!("search{}", legal::upper_first(&self.list_field)),
        ]
    }

    fn mutation_fields(&self) -> [&String; 9] {
        [
            &self.create,
            &self.create_many,
            &self.update,
            &self.update_many,
            &self.upsert,
            &self.replace,
            &self.delete,
            &self.delete_many,
            &self.restore,
        ]
    }
}

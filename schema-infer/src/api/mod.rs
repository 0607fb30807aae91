//! The API schema of a database: everything its GraphQL clients see.
//!
//! [`ApiSchema::build`] renders the SDL (`sdl`, with `roots`, `filters`, `inputs`, `aggregates`, `revisions`, `relations` and
//! `declared`) and fills the tables ([`bindings`]) through which an executor gets from a name in a validated
//! operation to what it stands for. An executor never takes a name apart: it asks [`ApiSchema`] for
//! root fields and object types, and [`CollectionSchema`] and [`ObjectType`] for
//! fields and the keys of input objects.
//!
//! Both sides come from the same values, so whatever the SDL offers has a binding.

mod aggregates;
pub mod bindings;
mod declared;
mod evolution;
mod filters;
mod ids;
mod inputs;
mod related_inputs;
mod relations;
mod revisions;
mod roots;
mod sdl;
mod writer;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use thalweg_model::{CollectionId, CommitTs};

use crate::declared::CollectionMode;
use crate::relation::Relation;
use crate::types::{CollectionSchema, FieldType, ObjectType};

pub use evolution::DeprecatedField;
use evolution::DeprecatedFields;
pub use ids::IdNames;
pub use relations::{Link, Way};

pub use bindings::{
    AggregateFunction, FilterKey, InputKey, ListOperator, MapOperator, MapPatchKey, MutationField,
    OrderTarget, OutputField, PatchKey, QueryField, ScalarOperator, SystemField, TypeBinding,
};

/// A collection as the API schema knows it.
#[derive(Clone, Debug)]
pub struct ApiCollection {
    /// The engine's id of the collection.
    pub id: CollectionId,
    /// Its names and types.
    pub schema: Arc<CollectionSchema>,
    /// How its documents name others.
    pub relations: Arc<[Arc<Relation>]>,
    /// How much of its types is declared.
    pub mode: CollectionMode,
    /// What was declared of it, as the directives of its type: `@collection(name: "movies")`. Whoever knows what they
    /// mean writes them.
    pub directives: Arc<str>,
}

/// One version of the API schema: SDL and bindings. Immutable; a request is pinned to one.
#[derive(Debug)]
pub struct ApiSchema {
    version: CommitTs,
    ids: IdNames,
    parts: sdl::Parts,
    /// The parts in one piece, once somebody has asked for that.
    sdl: OnceLock<Arc<str>>,
    collections: Vec<ApiCollection>,
    query: HashMap<String, QueryField>,
    mutation: HashMap<String, MutationField>,
    types: HashMap<String, TypeBinding>,
    links: relations::Links,
    deprecated: DeprecatedFields,
}

impl ApiSchema {
    /// The API schema of these collections. `version` is the timestamp of the commit that made it.
    /// The order of the collections is the order in the SDL; it does not change what is served.
    /// System collections are left out. What is the same in an earlier version is shared with it.
    pub fn build(
        collections: Vec<ApiCollection>,
        version: CommitTs,
        ids: IdNames,
        previous: Option<&ApiSchema>,
    ) -> ApiSchema {
        let collections: Vec<_> = collections
            .into_iter()
            .filter(|collection| sdl::is_exposed(&collection.schema))
            .collect();
        let links = relations::Links::of(&collections, ids);
        let taken = aggregates::Taken::of(collections.iter().map(|it| &*it.schema));
        let previous = previous.map(|previous| &previous.parts);
        let parts = sdl::Parts::new(&collections, &links, taken, ids, previous);
        let mut api = ApiSchema {
            version,
            ids,
            parts,
            sdl: OnceLock::new(),
            query: QueryField::system_fields().collect(),
            mutation: MutationField::system_fields().collect(),
            types: TypeBinding::system_types().collect(),
            links,
            collections: Vec::with_capacity(collections.len()),
            deprecated: DeprecatedFields::new(),
        };
        for collection in collections {
            let index = api.collections.len();
            let taken = api.parts.taken();
            api.types
                .extend(aggregates::types(&collection.schema, taken, index));
            api.bind(collection);
        }
        api
    }

    /// The whole schema as SDL text.
    pub fn sdl(&self) -> &Arc<str> {
        self.sdl.get_or_init(|| Arc::from(self.parts.to_text()))
    }

    /// The same in parts, each of whole definitions. A part that is in an earlier version too may be the same text.
    pub fn sdl_parts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.parts.texts()
    }

    /// The timestamp of the commit that made this version.
    pub fn version(&self) -> CommitTs {
        self.version
    }

    /// What it calls ids.
    pub fn ids(&self) -> IdNames {
        self.ids
    }

    /// The collections; the indices in bindings point into this slice.
    pub fn collections(&self) -> &[ApiCollection] {
        &self.collections
    }

    /// What a field of `Query` stands for. `Subscription` has the same fields, and
    /// `changes`.
    pub fn query_field(&self, name: &str) -> Option<QueryField> {
        self.query.get(name).copied()
    }

    /// What a field of `Mutation` stands for.
    pub fn mutation_field(&self, name: &str) -> Option<MutationField> {
        self.mutation.get(name).copied()
    }

    /// What an object type (or the interface `Node`) stands for.
    pub fn type_binding(&self, name: &str) -> Option<&TypeBinding> {
        self.types.get(name)
    }

    /// The relation that a field of an object type is.
    pub fn link(&self, type_name: &str, field: &str) -> Option<&Link> {
        self.links.find(type_name, field)
    }

    /// Whether there is any field that no document has.
    pub fn has_deprecated_fields(&self) -> bool {
        !self.deprecated.is_empty()
    }

    /// The field of that name of an object type, or of an input type made of it, if no document has it.
    pub fn deprecated_field(&self, type_name: &str, field: &str) -> Option<&DeprecatedField> {
        self.deprecated.get(type_name)?.get(field)
    }

    fn bind(&mut self, collection: ApiCollection) {
        evolution::add_deprecated(&collection, &mut self.deprecated);
        let index = self.collections.len();
        let schema = &collection.schema;
        let names = &schema.names;
        self.query
            .insert(names.by_id_field.clone(), QueryField::ById(index));
        self.query
            .insert(names.list_field.clone(), QueryField::List(index));
        for (name, field) in MutationField::of_collection(names, index) {
            self.mutation.insert(name.to_owned(), field);
        }
        self.types
            .insert(names.type_name.clone(), TypeBinding::Collection(index));
        self.types
            .insert(names.connection.clone(), TypeBinding::Connection(index));
        self.types
            .insert(names.edge.clone(), TypeBinding::Edge(index));
        self.query
            .insert(names.aggregate_field(), QueryField::Aggregate(index));
        for (name, binding) in revisions::types(names, index) {
            self.types.insert(name, binding);
        }
        for field in &schema.object.fields {
            bind_nested(&field.ty, index, &mut self.types);
        }
        self.collections.push(collection);
    }
}

fn bind_nested(ty: &FieldType, collection: usize, types: &mut HashMap<String, TypeBinding>) {
    match ty {
        FieldType::List(item, _) => bind_nested(item, collection, types),
        FieldType::Object(object) => {
            let binding = TypeBinding::Object {
                collection,
                object: Arc::clone(object),
            };
            types.insert(object.name.clone(), binding);
            for field in &object.fields {
                bind_nested(&field.ty, collection, types);
            }
        }
        FieldType::Map { entry } => {
            let binding = TypeBinding::MapEntry {
                collection,
                entry: Arc::clone(entry),
            };
            types.insert(entry.entry_name.clone(), binding);
            bind_nested(&entry.value, collection, types);
        }
        _ => {}
    }
}

/// True if a list of documents can be ordered by something in this object.
fn has_order(object: &ObjectType) -> bool {
    object.fields.iter().any(|field| is_orderable(&field.ty))
}

fn is_orderable(ty: &FieldType) -> bool {
    match ty {
        FieldType::List(..) | FieldType::Map { .. } => false,
        FieldType::Object(object) => has_order(object),
        _ => true,
    }
}

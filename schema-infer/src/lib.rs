//! Shapes inferred from documents, and the GraphQL API schema made of them.
//!
//! The way from data to types, one module a step:
//!
//! - [`shape`]: what the documents of a collection look like, *counted*: a mergeable and subtractable
//!   statistic that the engine maintains in the commit that changes the documents.
//! - `keyed_map`: is an object a record with fields, or a map from keys to values?
//! - [`names`]: which GraphQL name a collection, a field or a nested type has. Names are allocated
//!   once, stored, and never reused.
//! - [`types`] and `derive`: the GraphQL types of one collection.
//! - [`evolve`](CollectionSchema::evolve): what becomes of published types when the data changes; [`drift`]: what in the
//!   data does not fit them.
//! - [`relation`]: what leads from the documents of one collection to those of another.
//! - [`declared`]: schemas that are declared: what they demand of documents, and which types they give.
//! - [`api`]: the API schema of a whole database: its SDL, and the tables through which an executor
//!   gets from a GraphQL name to what it stands for.
//!
//! Invariants
//!
//! - `subtract` undoes `add`, however wide, deep or many the documents are. Within the bounds on a
//!   shape's memory `merge` is adding, and the order in which documents arrived does not change a shape
//!   (two shapes that differ only in the order of first sight are equal).
//! - No document that is added takes a published field of the collection away.
//! - Derived types are a function of the counts and the name registry; no clock, no randomness.
//! - Where types are latched, data adds fields and never changes or removes a published one.
//! - Every SDL text made here is valid GraphQL, whatever the names in the documents are.
//!
//! Not here: the finding of relations, and all I/O. This crate is
//! pure: it is handed values and gives values back.

pub mod api;
pub mod declared;
mod derive;
pub mod drift;
pub mod error;
mod evolve;
mod keyed_map;
pub mod names;
pub mod relation;
pub mod shape;
pub mod types;
mod types_codec;
mod wire;

pub use api::{
    AggregateFunction, ApiCollection, ApiSchema, DeprecatedField, FilterKey, IdNames, InputKey,
    Link, ListOperator, MapOperator, MapPatchKey, MutationField, OrderTarget, OutputField,
    PatchKey, QueryField, ScalarOperator, SystemField, TypeBinding, Way,
};
pub use declared::{CollectionMode, DeclaredSchema};
pub use drift::Drift;
pub use error::{CorruptNames, CorruptShape, CorruptTypes};
pub use evolve::{Evidence, Evolution, Latch};
pub use names::{
    CollectionNames, FieldPin, MAP_VALUE, NameRegistry, PinConflict, Pins, RelationNaming,
    default_collection_name, default_type_name,
};
pub use relation::{Candidate, OnDelete, Relation, RelationKey, RelationOrigin, ValuesLook};
pub use shape::Shape;
pub use types::{
    CollectionSchema, DeclaredAs, Deprecation, Field, FieldType, Items, MapType, ObjectType,
};

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
//! - [`api`]: the API schema of a whole database: its SDL, and the tables through which an executor
//!   gets from a GraphQL name to what it stands for.
//!
//! Invariants
//!
//! - `subtract` undoes `add`, however wide, deep or many the documents are. Within the bounds on a
//!   shape's memory `merge` is adding, and the order in which documents arrived does not change a shape
//!   (two shapes that differ only in the order of first sight are equal).
//! - No document that is added takes a published field of the collection away.
//! - Types are a function of the counts and the name registry; no clock, no randomness.
//! - Every SDL text made here is valid GraphQL, whatever the names in the documents are.
//!
//! Not here: latching of published types, declared schemas, relations, and all I/O. This crate is
//! pure: it is handed values and gives values back.

pub mod api;
mod derive;
pub mod error;
mod keyed_map;
pub mod names;
pub mod shape;
pub mod types;
mod wire;

pub use api::{
    ApiCollection, ApiSchema, FilterKey, InputKey, ListOperator, MapOperator, MapPatchKey,
    MutationField, OrderTarget, OutputField, PatchKey, QueryField, ScalarOperator, SystemField,
    TypeBinding,
};
pub use error::{CorruptNames, CorruptShape};
pub use names::{CollectionNames, NameRegistry, default_collection_name};
pub use shape::Shape;
pub use types::{CollectionSchema, Field, FieldType, MapType, ObjectType};

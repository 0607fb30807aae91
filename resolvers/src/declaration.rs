//! Declared schemas: SDL with directives that says what collections there are to be, what their documents are like, what
//! they do with time, and which indexes they have.
//!
//! ```graphql
//! type Movie @collection(mode: PARTIAL, ttl: "30d") @index(fields: ["genre", "year DESC"]) {
//!   title: String! @unique
//!   rating: Float! @default(value: 0.5)
//! }
//! ```
//!
//! A declaration replaces what was declared of the collections that it names, and of no others: an index that it does
//! not name is dropped, a setting that it does not name is as by default, a collection that is missing is created.
//!
//! The fields of a `PARTIAL` or `STRICT` collection are enforced from then on. Those of a `FLEXIBLE` one declare nothing
//! but the names that others are stored under (`@field`); and so do fields with `@inferred`, which is how those are printed
//! that are not declared. Types without `@collection` change nothing by themselves. So the whole API schema, as it is
//! printed, declares exactly what is so already.
//!
//! Fields whose type is that of a collection, and fields with arguments, stand beside what is stored; they are read over
//! here (`fields`).
//!
//! | module | holds |
//! |---|---|
//! | `fields` | the fields of declared types |
//! | `schema` | from those to a declared schema, with original names, and what it changes in words |
//! | `read` | from SDL to a [`Declaration`], with every mistake and its place |
//! | `change` | from a declaration and a catalog to what has to be written: pure |
//! | `relations` | all three for relations |
//! | `print` | from a collection to the directives that declare it |

mod change;
mod fields;
mod print;
mod read;
mod relations;
mod schema;

use std::sync::Arc;

use thalweg_engine::{IndexDefinition, IndexField, Settings};
use thalweg_schema_infer::CollectionMode;

use fields::SdlField;

pub(crate) use change::{Change, changes};
pub(crate) use print::directives;
pub(crate) use read::read;
pub(crate) use relations::DeclaredRelations;
pub(crate) use schema::backfill_fields;

/// What a declared schema says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declaration {
    pub(crate) collections: Vec<DeclaredCollection>,
}

/// What is declared of one collection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeclaredCollection {
    /// The name of the type that declares it.
    pub(crate) type_name: Box<str>,
    /// The collection's own name, where it is given.
    pub(crate) name: Option<Arc<str>>,
    /// The name that its type is to have, where it is given.
    pub(crate) type_override: Option<Arc<str>>,
    pub(crate) mode: CollectionMode,
    pub(crate) fields: Vec<SdlField>,
    pub(crate) settings: Settings,
    pub(crate) indexes: Vec<DeclaredIndex>,
    pub(crate) relations: DeclaredRelations,
}

/// A declared index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DeclaredIndex {
    /// Its fields are under their original names.
    Exact(IndexDefinition),
    /// It is over a field of the API schema, whose original name the catalog knows.
    OfField {
        field: Box<str>,
        /// The index where the original name is the same.
        like: IndexField,
        unique: bool,
    },
}

#[cfg(test)]
mod tests;

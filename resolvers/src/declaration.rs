//! Declared schemas: SDL with directives that says what collections there are to be, what they do with time, and which
//! indexes they have.
//!
//! ```graphql
//! type Movie @collection(name: "movies", ttl: "30d") @index(fields: ["genre", "year DESC"]) {
//!   title: String @unique
//! }
//! ```
//!
//! A declaration replaces what was declared of the collections that it names, and of no others: an index that it does
//! not name is dropped, a setting that it does not name is as by default, a collection that is missing is created.
//! Collections are flexible: the types of the fields are checked for being types, and are not enforced. Types without
//! `@collection` change nothing, so the whole API schema, as it is printed, declares exactly what is so already.
//!
//! | module | holds |
//! |---|---|
//! | `read` | from SDL to a [`Declaration`], with every mistake and its place |
//! | `change` | from a declaration and a catalog to what has to be written: pure |
//! | `relations` | all three for relations |
//! | `print` | from a collection to the directives that declare it |

mod change;
mod print;
mod read;
mod relations;

use std::sync::Arc;

use thalweg_engine::{IndexDefinition, IndexField, Settings};

pub(crate) use change::{Change, changes};
pub(crate) use print::directives;
pub(crate) use read::read;
pub(crate) use relations::DeclaredRelations;

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

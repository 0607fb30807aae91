//! Relations between the documents of collections, as plain values.
//!
//! A relation belongs to the collection whose documents *name* others: a stored field of it holds the key of a document
//! of the target collection, or a list of such keys. It is read in both directions, so it has two names: one beside the
//! stored field, one on the target's type for the way back.

mod judge;

use thalweg_model::{CollectionId, FieldPath};

pub use judge::{Candidate, ValuesLook};

/// A relation of a collection, with the names that the API has for it. Equality means "the same API fields".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The stored field that holds keys, under its original names. Only objects are on the way to it.
    pub field: FieldPath,
    /// Whether it holds a list of keys.
    pub is_list: bool,
    /// The collection whose documents it names.
    pub target: CollectionId,
    /// By what it names them.
    pub key: RelationKey,
    /// The GraphQL name beside the stored field.
    pub name: String,
    /// The GraphQL name of the way back, on the target's type.
    pub inverse: String,
    /// Where it comes from.
    pub origin: RelationOrigin,
    /// What becomes of a document when the one that it names goes.
    pub on_delete: OnDelete,
}

/// What a relation's field holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RelationKey {
    /// Ids of documents; `1` and `"1"` are one id.
    Id,
    /// Values of this field of them, which no two share.
    Field(FieldPath),
}

/// Where a relation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelationOrigin {
    /// Somebody declared it.
    Declared,
    /// The documents were found to be so.
    Detected,
}

/// What becomes of the documents that name one which is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum OnDelete {
    /// Nothing: they name a document that is not there.
    #[default]
    NoAction,
    /// They keep it from being deleted.
    Restrict,
    /// They name nothing from then on.
    SetNull,
    /// They are deleted too.
    Cascade,
}

impl RelationOrigin {
    /// The name in GraphQL.
    pub fn as_str(self) -> &'static str {
        match self {
            RelationOrigin::Declared => "DECLARED",
            RelationOrigin::Detected => "DETECTED",
        }
    }
}

impl OnDelete {
    /// All of them, in the order of the SDL.
    pub const ALL: [OnDelete; 4] = [
        OnDelete::NoAction,
        OnDelete::Restrict,
        OnDelete::SetNull,
        OnDelete::Cascade,
    ];

    /// The name in GraphQL.
    pub fn as_str(self) -> &'static str {
        match self {
            OnDelete::NoAction => "NO_ACTION",
            OnDelete::Restrict => "RESTRICT",
            OnDelete::SetNull => "SET_NULL",
            OnDelete::Cascade => "CASCADE",
        }
    }

    /// The policy with this name.
    pub fn from_name(name: &str) -> Option<OnDelete> {
        OnDelete::ALL.into_iter().find(|it| it.as_str() == name)
    }
}

//! Declared schemas: what the documents of a collection have to be like.
//!
//! A [`DeclaredSchema`] says for a `PARTIAL` collection what its declared fields hold, and for a `STRICT` one that there
//! are no others. (A `FLEXIBLE` collection has none: all of its types are inferred.) It is a value of the same lattice as
//! shapes: "do all documents satisfy it" is asked of the counts ([`counted`]), and gives what asking every document
//! ([`check`]) gives, wherever the counts can tell.
//!
//! | module | holds |
//! |---|---|
//! | `scalar` | which stored values are of which scalar type |
//! | [`check`] | one document against a declared schema: every mistake, with its path |
//! | [`counted`] | a shape against a declared schema: how many mistakes of which kind, or that it cannot be told |
//! | `fill` | the defaults that a document lacks |
//! | `publish` | declared types in place of inferred ones |
//! | `codec` | the stored form |
//!
//! Invariants
//!
//! - A field that has a default is never absent from a document that was written since ([`DeclaredSchema::fill`]).
//! - Filling a document that lacks nothing changes nothing, and a filled one lacks nothing.
//! - What the counts say holds of the documents that were counted: no mistake is missed, none is made up.

pub mod check;
mod codec;
pub mod counted;
mod fill;
mod publish;
mod scalar;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use thalweg_model::{Value, write_json_string};

pub use publish::Published;
pub use scalar::DeclaredScalar;

/// How much of a collection's types is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CollectionMode {
    /// All types are inferred.
    #[default]
    Flexible,
    /// Declared fields are enforced, the rest is inferred.
    Partial,
    /// Undeclared fields are refused.
    Strict,
}

impl CollectionMode {
    /// As GraphQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            CollectionMode::Flexible => "FLEXIBLE",
            CollectionMode::Partial => "PARTIAL",
            CollectionMode::Strict => "STRICT",
        }
    }

    /// Of [`CollectionMode::as_str`].
    pub fn from_name(name: &str) -> Option<CollectionMode> {
        let all = [
            CollectionMode::Flexible,
            CollectionMode::Partial,
            CollectionMode::Strict,
        ];
        all.into_iter().find(|mode| mode.as_str() == name)
    }
}

/// What the documents of a collection have to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredSchema {
    /// Whether there may be other fields, at any depth.
    pub is_strict: bool,
    /// The fields of documents.
    pub object: DeclaredObject,
}

/// The declared fields of an object.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeclaredObject {
    fields: Vec<DeclaredField>,
    /// Positions in `fields`, sorted by name.
    by_name: Vec<u32>,
}

/// A declared field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredField {
    /// The name in the stored document.
    pub name: Arc<str>,
    /// The type of its values.
    pub ty: DeclaredType,
    /// Whether it must be there, and not null.
    pub is_required: bool,
    /// What it is where it is not given.
    pub default: Option<DefaultValue>,
}

/// A declared type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeclaredType {
    /// A scalar.
    Scalar(DeclaredScalar),
    /// A list.
    List {
        /// The type of its items.
        item: Box<DeclaredType>,
        /// Whether no item may be null.
        is_required: bool,
    },
    /// An object with fields.
    Object(DeclaredObject),
    /// An object with any names, and values of one type.
    Map {
        /// The type of the values.
        value: Box<DeclaredType>,
        /// Whether no value may be null.
        is_required: bool,
    },
}

/// What a field is where it is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// This value.
    Constant(Value),
    /// The time of the commit that writes the document.
    Now,
}

impl DeclaredSchema {
    /// The mode of a collection that has this.
    pub fn mode(&self) -> CollectionMode {
        if self.is_strict {
            CollectionMode::Strict
        } else {
            CollectionMode::Partial
        }
    }
}

impl DeclaredObject {
    /// An object of these fields. Of two with one name the later is not found.
    pub fn new(fields: Vec<DeclaredField>) -> DeclaredObject {
        let mut by_name: Vec<u32> = (0..).take(fields.len()).collect();
        by_name.sort_by(|a, b| fields[*a as usize].name.cmp(&fields[*b as usize].name));
        DeclaredObject { fields, by_name }
    }

    /// The fields in the order of their declaration.
    pub fn fields(&self) -> &[DeclaredField] {
        &self.fields
    }

    /// The field of that name in stored documents.
    pub fn field(&self, name: &str) -> Option<&DeclaredField> {
        self.position(name).map(|position| &self.fields[position])
    }

    fn position(&self, name: &str) -> Option<usize> {
        let found = self
            .by_name
            .binary_search_by(|&field| (*self.fields[field as usize].name).cmp(name));
        found.ok().map(|index| self.by_name[index] as usize)
    }

    /// Whether something in it has a default.
    fn has_defaults(&self) -> bool {
        let mut fields = self.fields.iter();
        fields.any(|field| field.default.is_some() || field.ty.has_defaults())
    }
}

impl DeclaredType {
    fn has_defaults(&self) -> bool {
        match self {
            DeclaredType::Scalar(_) => false,
            DeclaredType::List { item, .. } => item.has_defaults(),
            DeclaredType::Object(object) => object.has_defaults(),
            DeclaredType::Map { value, .. } => value.has_defaults(),
        }
    }
}

/// As in SDL, with `{}` for an object and `{X}` for a map of `X`, which have names in SDL alone.
impl fmt::Display for DeclaredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |is_required: &bool| if *is_required { "!" } else { "" };
        match self {
            DeclaredType::Scalar(scalar) => f.write_str(scalar.as_str()),
            DeclaredType::List { item, is_required } => {
                write!(f, "[{item}{}]", mark(is_required))
            }
            DeclaredType::Object(_) => f.write_str("an object"),
            DeclaredType::Map { value, is_required } => {
                write!(f, "a map of {value}{}", mark(is_required))
            }
        }
    }
}

impl DeclaredField {
    /// The type with its `!`, for messages.
    pub fn describe(&self) -> String {
        format!("{}{}", self.ty, if self.is_required { "!" } else { "" })
    }
}

/// The path of a member in the notation of indexes: `address.city`, with quotes where a name needs them.
pub fn member_path(parent: &str, name: &str) -> String {
    let mut path = String::with_capacity(parent.len() + name.len() + 1);
    path.push_str(parent);
    if !parent.is_empty() {
        path.push('.');
    }
    let is_plain = !name.is_empty()
        && name
            .chars()
            .all(|character| character.is_alphanumeric() || matches!(character, '_' | '-' | '$'));
    if is_plain {
        path.push_str(name);
    } else {
        let mut quoted = Vec::new();
        write_json_string(name, &mut quoted);
        path.push_str(&String::from_utf8_lossy(&quoted));
    }
    path
}

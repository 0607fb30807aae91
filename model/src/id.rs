//! Identifiers of collections and documents.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::error::{ErrorClass, ErrorCode};
use crate::value::{Kind, ValueRef};

/// The number of a collection: given once, never reused, so that renaming moves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionId(pub u32);

impl fmt::Display for CollectionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The id of a document within its collection: 1 to 128 bytes of UTF-8, ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(Arc<str>);

impl DocumentId {
    /// The longest id, in bytes.
    pub const BYTES_MAX: usize = 128;

    /// Checks the length.
    pub fn new(id: &str) -> Result<DocumentId, IdError> {
        match id.len() {
            0 => Err(IdError::Empty),
            1..=Self::BYTES_MAX => Ok(DocumentId(id.into())),
            bytes => Err(IdError::TooLong { bytes }),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id that a value stands for: a string as it is, an integer as its text, so that `1` and
    /// `"1"` are the same document. Values of other kinds are no ids: `None`.
    pub fn from_value(value: ValueRef<'_>) -> Option<Result<DocumentId, IdError>> {
        match value.kind() {
            Kind::String => Some(DocumentId::new(&value.as_str()?)),
            Kind::Int => {
                let text = std::str::from_utf8(value.json()).ok()?;
                // The one integer with two texts.
                Some(DocumentId::new(if text == "-0" { "0" } else { text }))
            }
            _ => None,
        }
    }
}

impl Borrow<str> for DocumentId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for DocumentId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Debug for DocumentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// The text cannot be the id of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// It has no bytes.
    #[error("a document id must not be empty")]
    Empty,
    /// It has too many.
    #[error(
        "a document id has at most {} bytes, this one has {bytes}",
        DocumentId::BYTES_MAX
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl IdError {
    /// The code that clients see.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::BadRequest
    }

    /// The class of the code.
    pub fn class(&self) -> ErrorClass {
        self.code().class()
    }
}

#[cfg(test)]
mod tests;

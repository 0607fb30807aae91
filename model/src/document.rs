//! Documents: values whose root is an object.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use crate::error::{ErrorClass, ErrorCode};
use crate::json::{JsonError, JsonErrorReason};
use crate::value::{Kind, Value, ValueRef};

/// A JSON object in stored form. Cloning is cheap.
///
/// ```
/// use thalweg_model::{Document, FieldPath};
///
/// let document = Document::parse(br#"{"name": "Ripley", "ship": {"name": "Nostromo"}}"#)?;
/// let ship = document.root().at(&FieldPath::top("ship").child("name"));
/// assert_eq!(ship.and_then(|name| name.as_str()).as_deref(), Some("Nostromo"));
/// assert!(Document::parse(b"[1, 2]").is_err());
/// # Ok::<(), thalweg_model::JsonError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Document(Value);

impl Document {
    /// Checks JSON text and puts it into stored form. Text of another value than an object is
    /// refused with [`JsonErrorReason::ExpectedObject`].
    pub fn parse(json: &[u8]) -> Result<Document, JsonError> {
        Document::from_value(Value::parse(json)?).map_err(|NotAnObject { .. }| JsonError {
            offset: json
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count(),
            reason: JsonErrorReason::ExpectedObject,
        })
    }

    /// Takes a value that is an object.
    pub fn from_value(value: Value) -> Result<Document, NotAnObject> {
        match value.as_ref().kind() {
            Kind::Object => Ok(Document(value)),
            kind => Err(NotAnObject { kind }),
        }
    }

    /// The root, for reading.
    #[inline]
    pub fn root(&self) -> ValueRef<'_> {
        self.0.as_ref()
    }

    /// The canonical JSON text.
    pub fn json(&self) -> &[u8] {
        self.0.json()
    }

    /// The stored form.
    pub fn as_stored(&self) -> &Bytes {
        self.0.as_stored()
    }

    /// The document as a value.
    pub fn as_value(&self) -> &Value {
        &self.0
    }
}

impl From<Document> for Value {
    fn from(document: Document) -> Value {
        document.0
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The value cannot be a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a document is an object, this value is of kind {kind:?}")]
pub struct NotAnObject {
    /// The kind of the value.
    pub kind: Kind,
}

impl NotAnObject {
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

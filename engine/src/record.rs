//! A document as the engine stores it: its system fields before its stored form.
//!
//! Layout: `1 · flags · id length · id · commit_ts · created_at · version · [deleted_at] · stored document`, integers
//! big-endian. The id is repeated from the key so that a record means the same wherever it lies.

use std::borrow::Cow;

use thalweg_model::{CommitTs, Document, DocumentId, ValueRef};

use crate::chunk;
use crate::error::EngineError;

const DELETED: u8 = 1;
/// `1 · flags · id length`
const HEAD_BYTES: usize = 3;
/// `commit_ts · created_at · version`
const TIMES_BYTES: usize = 24;

/// One image of a document. `'s` is the snapshot that it was read from; an owned one is `Record<'static>`.
#[derive(Clone)]
pub struct Record<'s> {
    bytes: Cow<'s, [u8]>,
}

/// The system fields of an image, as values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SystemFields {
    pub(crate) id: DocumentId,
    pub(crate) commit_ts: CommitTs,
    /// Microseconds since the Unix epoch.
    pub(crate) created_at: u64,
    pub(crate) version: u64,
    /// Microseconds since the Unix epoch.
    pub(crate) deleted_at: Option<u64>,
}

impl Record<'static> {
    pub(crate) fn new(fields: &SystemFields, document: &Document) -> Self {
        let id = fields.id.as_str().as_bytes();
        let stored = document.as_stored();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + id.len() + TIMES_BYTES + 8 + stored.len());
        bytes.push(chunk::WHOLE);
        bytes.push(if fields.deleted_at.is_some() {
            DELETED
        } else {
            0
        });
        bytes.push(u8::try_from(id.len()).expect("an id has at most 128 bytes"));
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(&fields.commit_ts.as_micros().to_be_bytes());
        bytes.extend_from_slice(&fields.created_at.to_be_bytes());
        bytes.extend_from_slice(&fields.version.to_be_bytes());
        if let Some(deleted_at) = fields.deleted_at {
            bytes.extend_from_slice(&deleted_at.to_be_bytes());
        }
        bytes.extend_from_slice(stored);
        Record {
            bytes: Cow::Owned(bytes),
        }
    }
}

impl<'s> Record<'s> {
    /// Takes whole stored bytes (see [`chunk::resolve`]) after checking that every accessor will find its part.
    pub(crate) fn from_stored(bytes: Cow<'s, [u8]>) -> Result<Self, EngineError> {
        let corrupt = EngineError::Corrupt { what: "document" };
        let record = Record { bytes };
        let id = record
            .bytes
            .get(HEAD_BYTES..record.times_at())
            .ok_or(corrupt.clone())?;
        std::str::from_utf8(id).map_err(|_| corrupt.clone())?;
        let stored = record
            .bytes
            .get(record.document_at()..)
            .ok_or(corrupt.clone())?;
        ValueRef::from_stored(stored).map_err(|_| corrupt)?;
        Ok(record)
    }

    pub(crate) fn stored(&self) -> &[u8] {
        &self.bytes
    }

    fn times_at(&self) -> usize {
        HEAD_BYTES + usize::from(self.bytes.get(2).copied().unwrap_or(0))
    }

    fn document_at(&self) -> usize {
        let deleted = if self.is_deleted() { 8 } else { 0 };
        self.times_at() + TIMES_BYTES + deleted
    }

    fn integer(&self, at: usize) -> u64 {
        let bytes = self.bytes[at..at + 8].try_into();
        u64::from_be_bytes(bytes.expect("from_stored checked the length"))
    }

    /// The document's id, unique in its collection.
    pub fn id(&self) -> &str {
        let id = &self.bytes[HEAD_BYTES..self.times_at()];
        std::str::from_utf8(id).expect("from_stored checked the encoding")
    }

    /// The document itself; its root is an object.
    pub fn document(&self) -> ValueRef<'_> {
        ValueRef::from_stored(&self.bytes[self.document_at()..])
            .expect("from_stored checked the document")
    }

    /// How many commits wrote this document; 1 when it was created.
    pub fn version(&self) -> u64 {
        self.integer(self.times_at() + 16)
    }

    /// The commit that wrote this image.
    pub fn commit_ts(&self) -> CommitTs {
        CommitTs::from_micros(self.integer(self.times_at()))
    }

    /// When the document was created, in microseconds since the Unix epoch.
    pub fn created_at(&self) -> u64 {
        self.integer(self.times_at() + 8)
    }

    /// When this image was written, in microseconds since the Unix epoch.
    pub fn updated_at(&self) -> u64 {
        self.commit_ts().as_micros()
    }

    /// When the document was softly deleted, in microseconds since the Unix epoch.
    pub fn deleted_at(&self) -> Option<u64> {
        self.is_deleted()
            .then(|| self.integer(self.times_at() + TIMES_BYTES))
    }

    /// Whether the document is softly deleted.
    pub fn is_deleted(&self) -> bool {
        self.bytes.get(1).is_some_and(|flags| flags & DELETED != 0)
    }

    /// The same image, borrowed.
    pub(crate) fn borrowed(&self) -> Record<'_> {
        Record {
            bytes: Cow::Borrowed(&self.bytes),
        }
    }

    /// Copies the image out of its snapshot.
    pub fn into_owned(self) -> Record<'static> {
        Record {
            bytes: Cow::Owned(self.bytes.into_owned()),
        }
    }

    pub(crate) fn system_fields(&self) -> Result<SystemFields, EngineError> {
        Ok(SystemFields {
            id: DocumentId::new(self.id()).map_err(|_| EngineError::Corrupt { what: "id" })?,
            commit_ts: self.commit_ts(),
            created_at: self.created_at(),
            version: self.version(),
            deleted_at: self.deleted_at(),
        })
    }

    pub(crate) fn to_document(&self) -> Result<Document, EngineError> {
        Document::from_value(self.document().to_value())
            .map_err(|_| EngineError::Corrupt { what: "document" })
    }
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id())
            .field("commit_ts", &self.commit_ts())
            .field("version", &self.version())
            .field("deleted_at", &self.deleted_at())
            .field("document", &String::from_utf8_lossy(self.document().json()))
            .finish()
    }
}

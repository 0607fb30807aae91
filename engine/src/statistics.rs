//! What is counted of a collection in the commit that changes it: its documents and their shape.

use std::sync::Arc;

use thalweg_model::{DocumentId, ValueRef};
use thalweg_schema_infer::Shape;

use crate::chunk;
use crate::commit::Change;
use crate::error::EngineError;
use crate::record::Record;

/// The counts of a collection at a timestamp.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Documents, without the softly deleted ones.
    pub documents: u64,
    /// Softly deleted documents.
    pub deleted: u64,
    /// Documents whose stored member `id` is not their id, so that it has to be published as a field of its own.
    pub(crate) foreign_ids: u64,
    /// The shape of all documents, the softly deleted ones included, since they can be read.
    pub shape: Shape,
}

impl Statistics {
    pub(crate) fn apply(&mut self, change: &Change) {
        if let Some(before) = &change.before {
            self.count(before, u64::wrapping_sub);
            self.shape.subtract(before.document());
        }
        if let Some(after) = &change.after {
            self.count(after, u64::wrapping_add);
            self.shape.add(after.document());
        }
    }

    fn count(&mut self, record: &Arc<Record<'static>>, step: fn(u64, u64) -> u64) {
        let documents = if record.is_deleted() {
            &mut self.deleted
        } else {
            &mut self.documents
        };
        *documents = step(*documents, 1);
        if has_foreign_id(record.document(), record.id()) {
            self.foreign_ids = step(self.foreign_ids, 1);
        }
    }

    /// The counts in front, so that they are read without the shape.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![chunk::WHOLE];
        for count in [self.documents, self.deleted, self.foreign_ids] {
            bytes.extend_from_slice(&count.to_be_bytes());
        }
        bytes.extend_from_slice(&self.shape.encode());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Statistics, EngineError> {
        let corrupt = || EngineError::Corrupt {
            what: "collection statistics",
        };
        let shape = bytes.get(25..).ok_or_else(corrupt)?;
        Ok(Statistics {
            documents: count_at(bytes, 0).ok_or_else(corrupt)?,
            deleted: count_at(bytes, 1).ok_or_else(corrupt)?,
            foreign_ids: count_at(bytes, 2).ok_or_else(corrupt)?,
            shape: Shape::decode(shape).map_err(|_| corrupt())?,
        })
    }

    /// Only the number of documents, from encoded statistics.
    pub(crate) fn decode_documents(bytes: &[u8]) -> Result<u64, EngineError> {
        count_at(bytes, 0).ok_or(EngineError::Corrupt {
            what: "collection statistics",
        })
    }
}

fn count_at(bytes: &[u8], index: usize) -> Option<u64> {
    let at = 1 + index * 8;
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn has_foreign_id(document: ValueRef<'_>, id: &str) -> bool {
    match document.get("id") {
        None => false,
        Some(member) => match DocumentId::from_value(member) {
            Some(Ok(own)) => own.as_str() != id,
            _ => true,
        },
    }
}

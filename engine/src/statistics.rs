//! What is counted of a collection in the commit that changes it: its documents and their shape.

use std::ops::{Bound, ControlFlow};

use thalweg_model::{CollectionId, CommitTs, DocumentId, ValueRef, prefix_end};
use thalweg_schema_infer::{Drift, Evidence, Shape};
use thalweg_storage::{Direction, Snapshot as Reader};

use crate::catalog::Collection;
use crate::chunk;
use crate::commit::Change;
use crate::error::EngineError;
use crate::keyspace;
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
    /// The commit that last emptied the collection at once, which leaves no history of what was there before.
    pub(crate) emptied_ts: CommitTs,
    /// Whether the stored statistics lie in chunks, which then have to be erased with them.
    pub(crate) is_long: bool,
    /// The shape of all documents, the softly deleted ones included, since they can be read.
    pub shape: Shape,
    /// What the types of a collection without documents are made of in a store from before types were stored.
    pub(crate) former: Option<Former>,
}

/// What an emptied collection was like.
#[derive(Clone, Debug)]
pub(crate) struct Former {
    shape: Shape,
    publishes_id: bool,
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

    /// Counts one document in.
    pub(crate) fn add(&mut self, record: &Record<'_>) {
        self.count(record, u64::wrapping_add);
        self.shape.add(record.document());
    }

    /// Whether counting all documents anew gives the same. Where a shape is beyond its bounds, it depends on the order
    /// of the documents what it tells, so only their number is compared.
    pub(crate) fn agrees_with(&self, recounted: &Statistics) -> bool {
        let counts = |of: &Statistics| (of.documents, of.deleted, of.foreign_ids);
        let shapes_agree = if self.shape.is_exact() && recounted.shape.is_exact() {
            self.shape == recounted.shape
        } else {
            self.shape.documents() == recounted.shape.documents()
        };
        counts(self) == counts(recounted) && shapes_agree
    }

    /// These statistics where a recount agrees with them; else the recount, with what it cannot tell.
    pub(crate) fn corrected(self, recounted: Statistics) -> Statistics {
        if self.agrees_with(&recounted) {
            return self;
        }
        let has_documents = recounted.shape.documents() > 0;
        Statistics {
            emptied_ts: self.emptied_ts,
            former: self.former.filter(|_| !has_documents),
            ..recounted
        }
    }

    fn count(&mut self, record: &Record<'_>, step: fn(u64, u64) -> u64) {
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

    /// What they are once the commit at `ts` has emptied the collection.
    pub(crate) fn emptied(&self, ts: CommitTs) -> Statistics {
        Statistics {
            emptied_ts: ts,
            is_long: self.is_long,
            ..Statistics::default()
        }
    }

    /// What types are made of.
    pub(crate) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            shape: &self.shape,
            publishes_id: self.foreign_ids > 0,
        }
    }

    /// What in the documents does not fit the published types of their collection.
    pub fn drift(&self, collection: &Collection) -> Vec<Drift> {
        collection.schema.drift(self.evidence())
    }

    /// What the types are made of in a store from before they were stored.
    pub(crate) fn former_evidence(&self) -> Evidence<'_> {
        match &self.former {
            Some(former) if self.shape.documents() == 0 => Evidence {
                shape: &former.shape,
                publishes_id: former.publishes_id,
            },
            _ => self.evidence(),
        }
    }

    /// The numbers in front, so that they are read without the shape.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![chunk::WHOLE];
        let emptied_ts = self.emptied_ts.as_micros();
        for number in [self.documents, self.deleted, self.foreign_ids, emptied_ts] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        let former = self.former.as_ref().map_or(Vec::new(), Former::encode);
        let length = u32::try_from(former.len()).expect("a shape is bounded far below 4 GiB");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&former);
        bytes.extend_from_slice(&self.shape.encode());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Statistics, EngineError> {
        let rest = bytes.get(FORMER_AT..).ok_or_else(corrupt)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(corrupt)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (former, shape) = rest.split_at_checked(length).ok_or_else(corrupt)?;
        Ok(Statistics {
            former: Former::decode(former)?,
            documents: number_at(bytes, 0)?,
            deleted: number_at(bytes, 1)?,
            foreign_ids: number_at(bytes, 2)?,
            emptied_ts: Self::decode_emptied_ts(bytes)?,
            is_long: chunk::is_long(bytes.len()),
            shape: Shape::decode(shape).map_err(|_| corrupt())?,
        })
    }

    /// Only the number of documents, from encoded statistics.
    pub(crate) fn decode_documents(bytes: &[u8]) -> Result<u64, EngineError> {
        number_at(bytes, 0)
    }

    /// Only the number of documents with the softly deleted ones, from encoded statistics.
    pub(crate) fn decode_stored(bytes: &[u8]) -> Result<u64, EngineError> {
        Ok(number_at(bytes, 0)?.saturating_add(number_at(bytes, 1)?))
    }

    /// Only the commit that last emptied the collection, from encoded statistics.
    pub(crate) fn decode_emptied_ts(bytes: &[u8]) -> Result<CommitTs, EngineError> {
        number_at(bytes, 3).map(CommitTs::from_micros)
    }
}

#[cfg(test)]
impl Statistics {
    /// What was stored of the collection before types were, once all of its documents had been deleted.
    pub(crate) fn encode_emptied(&self) -> Vec<u8> {
        let former = Former {
            shape: self.shape.clone(),
            publishes_id: self.foreign_ids > 0,
        };
        let emptied = Statistics {
            former: Some(former),
            ..Statistics::default()
        };
        emptied.encode()
    }
}

impl Former {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.publishes_id)];
        bytes.extend_from_slice(&self.shape.encode());
        bytes
    }

    /// Of no bytes, none.
    fn decode(bytes: &[u8]) -> Result<Option<Former>, EngineError> {
        let Some((publishes_id, shape)) = bytes.split_first() else {
            return Ok(None);
        };
        let shape = Shape::decode(shape).map_err(|_| corrupt())?;
        Ok(Some(Former {
            shape,
            publishes_id: *publishes_id != 0,
        }))
    }
}

/// Where what follows the numbers begins in encoded statistics: after the first byte and four numbers.
const FORMER_AT: usize = 1 + 4 * 8;

fn number_at(bytes: &[u8], index: usize) -> Result<u64, EngineError> {
    let at = 1 + index * 8;
    let number = bytes.get(at..at + 8).and_then(|it| it.try_into().ok());
    number.map(u64::from_be_bytes).ok_or_else(corrupt)
}

fn corrupt() -> EngineError {
    EngineError::Corrupt {
        what: "collection statistics",
    }
}

/// The highest number that a collection ever had. The statistics of a dropped one stay, so that its number is not
/// given to another.
pub(crate) fn last_collection(reader: &dyn Reader) -> Result<Option<CollectionId>, EngineError> {
    let prefix = keyspace::all_statistics();
    let end = prefix_end(&prefix).expect("a statistics key does not consist of 0xff bytes");
    let mut last = None;
    reader.scan(
        Bound::Included(&prefix),
        Bound::Excluded(&end),
        Direction::Backward,
        &mut |key, _| {
            last = Some(keyspace::parse_statistics(key));
            ControlFlow::Break(())
        },
    )?;
    last.transpose()
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

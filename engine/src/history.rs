//! Earlier images of documents: how they are stored, which of them still count, and erasing them.
//!
//! A current image holds from its commit on; an image in the history holds from its own commit until the one that is
//! written before its bytes. Not every stored image counts:
//!
//! - A permanent deletion hides what was before it at once, by a mark that lies before the document's images. Images
//!   and mark are erased when the recovery window has passed ([`crate::due::DueKind::Erase`]); until then the log still
//!   finds the images that it refers to.
//! - A collection's history is complete from [`kept_from`] on: what ended by then may already be erased, so it
//!   is not shown, and a state of before then cannot be read.

use std::borrow::Cow;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use thalweg_model::{CollectionId, CommitTs};
use thalweg_storage::{Direction, Snapshot as Reader, Write};

use crate::chunk;
use crate::error::EngineError;
use crate::index::{self, Index};
use crate::keyspace;
use crate::record::Record;

/// Moves an image to the history; it held until `until`.
pub(crate) fn put(collection: CollectionId, image: &Record<'_>, until: CommitTs) -> Write {
    let written = image.commit_ts();
    let stored = chunk::stored_form(image.stored(), written.as_micros());
    let mut value = Vec::with_capacity(8 + stored.len());
    value.extend_from_slice(&until.as_micros().to_be_bytes());
    value.extend_from_slice(&stored);
    Write::Put {
        key: keyspace::history(collection, image.id(), written),
        value,
    }
}

/// An image in the history that is to be erased, and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EarlierImage {
    id: String,
    written: CommitTs,
    /// It lies in chunks, which go with it.
    is_long: bool,
    /// What erases its ended rows in the indexes of its collection.
    row_erasures: Vec<Write>,
}

/// Appends what erases an image. Every image that leaves the history, but with its whole collection, leaves it here.
pub(crate) fn erase(
    collection: CollectionId,
    id: &str,
    written: CommitTs,
    is_long: bool,
    writes: &mut Vec<Write>,
) {
    writes.push(Write::Delete {
        key: keyspace::history(collection, id, written),
    });
    if is_long {
        let owner = keyspace::document(collection, id);
        chunk::erase(&owner, written.as_micros(), writes);
    }
}

impl EarlierImage {
    /// Reads what lies under a key of the history; `None` where it is no image but a mark.
    pub(crate) fn read(
        reader: &dyn Reader,
        indexes: &[Arc<Index>],
        key: &[u8],
        value: Cow<'_, [u8]>,
    ) -> Result<Option<EarlierImage>, EngineError> {
        let (collection, id, written) = keyspace::parse_history(key)?;
        let Entry::Image { until, stored, .. } = Entry::decode(written, value)? else {
            return Ok(None);
        };
        let is_long = chunk::length(&stored).1;
        let mut row_erasures = Vec::new();
        if !indexes.is_empty() {
            match resolve(reader, collection, &id, stored) {
                Ok(image) => index::writer::erase_ended(indexes, &image, until, &mut row_erasures),
                // Its rows cannot be told; they are candidates for an image that will not be there.
                Err(EngineError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(EarlierImage {
            id,
            written,
            is_long,
            row_erasures,
        }))
    }

    /// Appends what erases it.
    pub(crate) fn erase(&self, collection: CollectionId, writes: &mut Vec<Write>) {
        erase(collection, &self.id, self.written, self.is_long, writes);
        writes.extend_from_slice(&self.row_erasures);
    }
}

/// The history of a collection is complete from there on, but for what was deleted for good.
pub(crate) fn kept_from(
    reader: &dyn Reader,
    emptied: CommitTs,
    collection: CollectionId,
) -> Result<CommitTs, EngineError> {
    let swept = read_ts(reader, &keyspace::swept(collection))?;
    let trimmed = read_ts(reader, &keyspace::images_trimmed(collection))?;
    Ok(emptied.max(swept).max(trimmed))
}

/// A timestamp that is stored under a key; zero where none is.
pub(crate) fn read_ts(reader: &dyn Reader, key: &[u8]) -> Result<CommitTs, EngineError> {
    match reader.get(key)? {
        None => Ok(CommitTs::ZERO),
        Some(bytes) => {
            let bytes = (*bytes).try_into();
            let bytes = bytes.map_err(|_| EngineError::Corrupt { what: "timestamp" })?;
            Ok(CommitTs::from_micros(u64::from_be_bytes(bytes)))
        }
    }
}

/// Up to which commit the log has been trimmed.
pub(crate) fn trimmed(reader: &dyn Reader) -> Result<CommitTs, EngineError> {
    read_ts(reader, &keyspace::trimmed())
}

/// The earlier image of a document that the commit at `written` wrote, hidden or not.
pub(crate) fn image(
    reader: &dyn Reader,
    collection: CollectionId,
    id: &str,
    written: CommitTs,
) -> Result<Option<Record<'static>>, EngineError> {
    let Some(value) = reader.get(&keyspace::history(collection, id, written))? else {
        return Ok(None);
    };
    match Entry::decode(written, value)? {
        Entry::Image { stored, .. } => {
            resolve(reader, collection, id, stored).map(|record| Some(record.into_owned()))
        }
        Entry::Erased(_) => Ok(None),
    }
}

/// A value of the history keyspace.
pub(crate) enum Entry<'s> {
    /// The document was deleted for good then: what is older is hidden.
    Erased(CommitTs),
    /// An image, as stored.
    Image {
        written: CommitTs,
        until: CommitTs,
        stored: Cow<'s, [u8]>,
    },
}

impl<'s> Entry<'s> {
    pub(crate) fn decode(written: CommitTs, value: Cow<'s, [u8]>) -> Result<Self, EngineError> {
        let first = value.first_chunk::<8>().ok_or(corrupt())?;
        let until = CommitTs::from_micros(u64::from_be_bytes(*first));
        if written == CommitTs::MAX {
            return Ok(Entry::Erased(until));
        }
        let stored = match value {
            Cow::Borrowed(value) => Cow::Borrowed(&value[8..]),
            Cow::Owned(mut value) => {
                value.drain(..8);
                Cow::Owned(value)
            }
        };
        Ok(Entry::Image {
            written,
            until,
            stored,
        })
    }
}

/// The image behind a stored one of the history.
pub(crate) fn resolve<'s>(
    reader: &'s dyn Reader,
    collection: CollectionId,
    id: &str,
    stored: Cow<'s, [u8]>,
) -> Result<Record<'s>, EngineError> {
    let owner = || keyspace::document(collection, id);
    Record::from_stored(chunk::resolve(reader, stored, owner)?)
}

/// Whether to see what was hidden by a permanent deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// No: it is gone for everybody who reads the past.
    Skip,
    /// Yes, while it is there: for who tells the changes, the deletion among them.
    Show,
}

/// An image of the history, and until when it held.
pub(crate) struct Earlier<'s> {
    pub(crate) record: Record<'s>,
    pub(crate) until: CommitTs,
}

/// The newest image in the history of a document that was written at `at` or before.
pub(crate) fn newest_written_by<'s>(
    reader: &'s dyn Reader,
    collection: CollectionId,
    id: &str,
    at: CommitTs,
    hidden: Hidden,
) -> Result<Option<Earlier<'s>>, EngineError> {
    let erased = match hidden {
        Hidden::Skip => read_ts(reader, &keyspace::erased(collection, id))?,
        Hidden::Show => CommitTs::ZERO,
    };
    let from = keyspace::history(collection, id, at);
    let to = keyspace::histories_to(collection, id.as_bytes());
    let mut found = None;
    reader.scan(
        Bound::Included(&from),
        Bound::Excluded(&to),
        Direction::Forward,
        &mut |key, value| {
            let parsed = keyspace::parse_history(key);
            found = Some(parsed.and_then(|(_, _, written)| Entry::decode(written, value)));
            ControlFlow::Break(())
        },
    )?;
    match found.transpose()? {
        Some(Entry::Image {
            written,
            until,
            stored,
        }) if written >= erased => Ok(Some(Earlier {
            record: resolve(reader, collection, id, stored)?,
            until,
        })),
        _ => Ok(None),
    }
}

/// The image in the history of a document that held at `at`.
pub(crate) fn spanning<'s>(
    reader: &'s dyn Reader,
    collection: CollectionId,
    id: &str,
    at: CommitTs,
    hidden: Hidden,
) -> Result<Option<Record<'s>>, EngineError> {
    let found = newest_written_by(reader, collection, id, at, hidden)?;
    Ok(found
        .filter(|earlier| at < earlier.until)
        .map(|earlier| earlier.record))
}

pub(crate) fn corrupt() -> EngineError {
    EngineError::Corrupt {
        what: "earlier image",
    }
}

//! Earlier images of documents, and reading a collection as it was at a timestamp.
//!
//! A current image holds from its commit on; an image in the history holds from its own commit until the one that is
//! written before its bytes. So a state of a while ago is the current images that were written by then, and the
//! earlier ones that span it. This is how a long export outlives the short life of a backend reader.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use thalweg_model::{CollectionId, CommitTs, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader, Write};

use crate::chunk;
use crate::error::EngineError;
use crate::keyspace;
use crate::record::Record;
use crate::snapshot::{Snapshot, read_document};

/// About how many bytes of images a page looks at, of current ones and of earlier ones each. One more image may begin
/// below this and end above it.
const PAGE_BYTES_MAX: usize = 1 << 20;

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

/// Documents of a collection at a timestamp, in order of their ids.
#[derive(Debug)]
pub struct HistoricalPage {
    /// The documents, the softly deleted ones included.
    pub rows: Vec<Record<'static>>,
    /// Pass this to read on; `None` at the end of the collection.
    pub next: Option<String>,
}

/// Up to which commit the history has been erased.
pub(crate) fn trimmed(reader: &dyn Reader) -> Result<CommitTs, EngineError> {
    let corrupt = EngineError::Corrupt { what: "trim mark" };
    match reader.get(&keyspace::trimmed())? {
        None => Ok(CommitTs::ZERO),
        Some(bytes) => {
            let bytes = (*bytes).try_into().map_err(|_| corrupt)?;
            Ok(CommitTs::from_micros(u64::from_be_bytes(bytes)))
        }
    }
}

/// The earlier image of a document that the commit at `written` wrote.
pub(crate) fn image(
    reader: &dyn Reader,
    collection: CollectionId,
    id: &str,
    written: CommitTs,
) -> Result<Option<Record<'static>>, EngineError> {
    let Some(value) = reader.get(&keyspace::history(collection, id, written))? else {
        return Ok(None);
    };
    let (_, stored) = value.split_first_chunk::<8>().ok_or(EngineError::Corrupt {
        what: "earlier image",
    })?;
    let owner = || keyspace::document(collection, id);
    let whole = chunk::resolve(reader, Cow::Borrowed(stored), owner)?;
    Record::from_stored(Cow::Owned(whole.into_owned())).map(Some)
}

/// Reads on from `after` (exclusive) as of `at`. Looks at about `images_max` current images at most, or as many as
/// have [`PAGE_BYTES_MAX`] bytes, and at as many earlier ones, except that it looks at all earlier images of a document
/// or at none.
pub(crate) fn page(
    snapshot: &Snapshot,
    collection: CollectionId,
    at: CommitTs,
    after: Option<&str>,
    images_max: usize,
) -> Result<HistoricalPage, EngineError> {
    let reader = snapshot.reader();
    if at < trimmed(reader)? || at < snapshot.emptied_ts(collection)? {
        return Err(EngineError::HistoryGone);
    }
    let mut rows = Rows::new();
    let part = Part { collection, after };
    let current_last = current_images(snapshot, part, at, Budget::new(images_max), &mut rows)?;
    let up_to = current_last.as_deref();
    let earlier_last = earlier_images(reader, part, up_to, at, Budget::new(images_max), &mut rows)?;
    if let Some(last) = &earlier_last {
        // The earlier images of what follows have not been looked at.
        rows.retain(|id, _| id <= last);
    }
    Ok(HistoricalPage {
        rows: rows.into_values().collect(),
        next: earlier_last.or(current_last),
    })
}

type Rows = BTreeMap<String, Record<'static>>;

/// The documents of a collection from an id on, exclusive.
#[derive(Clone, Copy)]
struct Part<'a> {
    collection: CollectionId,
    after: Option<&'a str>,
}

/// What may still be looked at; what begins within it is looked at as a whole.
struct Budget {
    images: usize,
    bytes: usize,
}

impl Budget {
    fn new(images_max: usize) -> Self {
        Budget {
            images: images_max.max(1),
            bytes: PAGE_BYTES_MAX,
        }
    }

    fn take(&mut self, bytes: usize) {
        self.images = self.images.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn is_used_up(&self) -> bool {
        self.images == 0 || self.bytes == 0
    }
}

/// Returns the last id that was looked at, or `None` where the end was reached.
fn current_images(
    snapshot: &Snapshot,
    part: Part<'_>,
    at: CommitTs,
    mut budget: Budget,
    rows: &mut Rows,
) -> Result<Option<String>, EngineError> {
    let prefix = keyspace::documents(part.collection);
    let end = prefix_end(&prefix).expect("a document key does not consist of 0xff bytes");
    let after = part.after.map(|id| keyspace::document(part.collection, id));
    let from = after
        .as_ref()
        .map_or(Bound::Included(&prefix), Bound::Excluded);
    let mut last = None;
    snapshot.scan_documents(
        part.collection,
        from,
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |_, record| {
            budget.take(record.stored().len());
            if budget.is_used_up() {
                last = Some(record.id().to_owned());
            }
            if record.commit_ts() <= at {
                rows.insert(record.id().to_owned(), record.into_owned());
            }
            if last.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    )?;
    Ok(last)
}

/// Looks at documents up to `up_to`. Returns the last id that was looked at, or `None` where all were.
fn earlier_images(
    reader: &dyn Reader,
    part: Part<'_>,
    up_to: Option<&str>,
    at: CommitTs,
    mut budget: Budget,
    rows: &mut Rows,
) -> Result<Option<String>, EngineError> {
    let end_of = |prefix: Vec<u8>| {
        prefix_end(&prefix).expect("a history key does not consist of 0xff bytes")
    };
    let from = match part.after {
        Some(id) => end_of(keyspace::histories_of(part.collection, id)),
        None => keyspace::histories(part.collection),
    };
    let to = end_of(match up_to {
        Some(id) => keyspace::histories_of(part.collection, id),
        None => keyspace::histories(part.collection),
    });
    let mut document = String::new();
    let mut last = None;
    let mut failure = None;
    let mut look = |key: &[u8], value: &[u8]| -> Result<ControlFlow<()>, EngineError> {
        let (_, id, written) = keyspace::parse_history(key)?;
        if id != document {
            if budget.is_used_up() {
                last = Some(std::mem::take(&mut document));
                return Ok(ControlFlow::Break(()));
            }
            document = id;
        }
        let owner = || keyspace::document(part.collection, &document);
        if let Some(record) = spanning(reader, value, written, at, owner)? {
            budget.take(record.stored().len());
            rows.insert(document.clone(), record);
        } else {
            budget.take(value.len());
        }
        Ok(ControlFlow::Continue(()))
    };
    reader.scan(
        Bound::Included(&from),
        Bound::Excluded(&to),
        Direction::Forward,
        &mut |key, value| {
            look(key, &value).unwrap_or_else(|error| {
                failure = Some(error);
                ControlFlow::Break(())
            })
        },
    )?;
    failure.map_or(Ok(last), Err)
}

/// The earlier image of a document that the commit at `written` wrote, if it is still kept.
pub(crate) fn image_written(
    reader: &dyn Reader,
    collection: CollectionId,
    id: &str,
    written: CommitTs,
) -> Result<Option<Record<'static>>, EngineError> {
    let Some(value) = reader.get(&keyspace::history(collection, id, written))? else {
        return Ok(None);
    };
    spanning(reader, &value, written, written, || {
        keyspace::document(collection, id)
    })
}

/// A document as it was at `at`.
pub(crate) fn image_at<'s>(
    snapshot: &'s Snapshot,
    collection: CollectionId,
    id: &str,
    at: CommitTs,
) -> Result<Option<Record<'s>>, EngineError> {
    // Images over those of the backend are later than anything that is asked for.
    let reader = snapshot.reader();
    snapshot.count_read();
    let current = read_document(reader, collection, id)?;
    if current
        .as_ref()
        .is_some_and(|image| image.commit_ts() <= at)
    {
        return Ok(current);
    }
    let from = keyspace::history(collection, id, at);
    let to = prefix_end(&keyspace::histories_of(collection, id));
    let to = to.expect("a history key does not consist of 0xff bytes");
    // The latest that was written by then comes first, and no other one can span that time.
    let mut found = Ok(None);
    reader.scan(
        Bound::Included(&from),
        Bound::Excluded(&to),
        Direction::Forward,
        &mut |key, value| {
            let owner = || keyspace::document(collection, id);
            found = keyspace::parse_history(key)
                .and_then(|(_, _, written)| spanning(reader, &value, written, at, owner));
            ControlFlow::Break(())
        },
    )?;
    found
}

/// The image of a history entry that was written at `written`, if it held at `at`.
fn spanning(
    reader: &dyn Reader,
    value: &[u8],
    written: CommitTs,
    at: CommitTs,
    owner: impl FnOnce() -> Vec<u8>,
) -> Result<Option<Record<'static>>, EngineError> {
    let corrupt = EngineError::Corrupt {
        what: "earlier image",
    };
    let (until, stored) = value.split_first_chunk::<8>().ok_or(corrupt)?;
    if at.as_micros() >= u64::from_be_bytes(*until) || written > at {
        return Ok(None);
    }
    let whole = chunk::resolve(reader, Cow::Borrowed(stored), owner)?;
    Ok(Some(Record::from_stored(Cow::Owned(whole.into_owned()))?))
}

//! A consistent view of everything at one timestamp.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::sync::Arc;

use thalweg_model::{CollectionId, CommitTs};
use thalweg_storage::{Direction, Snapshot as Reader};

use crate::catalog::Catalog;
use crate::chunk;
use crate::error::EngineError;
use crate::find::{self, Choice, Deleted, Find, Found};
use crate::history;
use crate::index::{self, IndexId, IndexProgress, IndexRow};
use crate::keyspace;
use crate::overlay::{Overlaid, Overlay};
use crate::predicate::Predicate;
use crate::record::Record;
use crate::statistics::Statistics;

/// A view of the state at [`Snapshot::ts`]: one reader of the backend and the catalog of that time.
///
/// It holds a backend reader, whose life the backend bounds: hold it for one execution, not for a connection.
pub struct Snapshot {
    reader: Box<dyn Reader>,
    /// Images that go before the reader's; empty but in the committer.
    pub(crate) overlay: Overlay,
    pub(crate) ts: CommitTs,
    pub(crate) catalog: Arc<Catalog>,
    /// How many documents were looked at.
    documents_read: Cell<u64>,
}

impl Snapshot {
    pub(crate) fn new(reader: Box<dyn Reader>, ts: CommitTs, catalog: Arc<Catalog>) -> Self {
        Snapshot {
            reader,
            overlay: Overlay::default(),
            ts,
            catalog,
            documents_read: Cell::new(0),
        }
    }

    pub(crate) fn reader(&self) -> &dyn Reader {
        &*self.reader
    }

    /// How many documents were looked at through it.
    pub fn documents_read(&self) -> u64 {
        self.documents_read.get()
    }

    pub(crate) fn count_read(&self) {
        self.documents_read.set(self.documents_read.get() + 1);
    }

    /// The newest commit that the backend's part of the view includes.
    pub(crate) fn stored_ts(&self) -> CommitTs {
        self.reader
            .head()
            .map_or(CommitTs::ZERO, |head| head.commit_ts)
    }

    /// The newest commit that the view includes.
    pub fn ts(&self) -> CommitTs {
        self.ts
    }

    /// The collections and their types at that time.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// A document by its id, softly deleted or not.
    pub fn get(
        &self,
        collection: CollectionId,
        id: &str,
    ) -> Result<Option<Record<'_>>, EngineError> {
        self.count_read();
        match self.overlay.image(collection, id) {
            Overlaid::Known(image) => Ok(image.map(|image| image.borrowed())),
            Overlaid::Unknown => read_document(&*self.reader, collection, id),
        }
    }

    /// A page of documents.
    pub fn find<'s>(&'s self, find: &Find) -> Result<Found<'s>, EngineError> {
        find::find(self, None, find, Choice::Any)
    }

    /// A page of documents, found in one of the ways that are given.
    pub fn find_by<'s>(&'s self, find: &Find, choice: Choice) -> Result<Found<'s>, EngineError> {
        find::find(self, None, find, choice)
    }

    /// A page of the documents as they were at `at`. Works for as long as earlier images are kept, and until the
    /// collection is emptied at once. Its dependencies are those of the find now: what the past was does not change.
    pub fn find_at<'s>(
        &'s self,
        at: CommitTs,
        find: &Find,
        choice: Choice,
    ) -> Result<Found<'s>, EngineError> {
        if at >= self.ts {
            return find::find(self, None, find, choice);
        }
        if at < history::trimmed(&*self.reader)? || at < self.emptied_ts(find.collection)? {
            return Err(EngineError::HistoryGone);
        }
        find::find(self, Some(at), find, choice)
    }

    /// How many documents satisfy a filter.
    pub fn count(
        &self,
        collection: CollectionId,
        filter: Arc<Predicate>,
        deleted: Deleted,
    ) -> Result<u64, EngineError> {
        let counting = Find {
            collection,
            filter,
            deleted,
            order: Arc::from([]),
            after: None,
            before: None,
            offset: 0,
            limit: 0,
            from_end: false,
            count_total: true,
            read: crate::field::FieldMask::none(),
        };
        find::count(self, None, &counting)
    }

    /// Rows of current images as they are stored in an index, in order: up to `rows_max` of those after the key
    /// `after`. What a document must have is [`index::rows`]; to compare the two is to verify the index.
    pub fn index_rows(
        &self,
        index: IndexId,
        after: Option<&[u8]>,
        rows_max: usize,
    ) -> Result<Vec<IndexRow>, EngineError> {
        index::cursor::stored_rows(&*self.reader, index, after, rows_max)
    }

    /// How many rows an index has, and how far it is built.
    pub fn index_progress(
        &self,
        collection: CollectionId,
        index: IndexId,
    ) -> Result<IndexProgress, EngineError> {
        let counted = index::read_statistics(&*self.reader, index)?;
        Ok(IndexProgress {
            documents_done: counted.documents_done,
            documents_total: self.stored_count(collection)?,
            rows: counted.rows,
        })
    }

    /// The document counts and the shape of a collection.
    pub fn statistics(&self, collection: CollectionId) -> Result<Statistics, EngineError> {
        read_statistics(&*self.reader, collection)
    }

    /// The number of documents of a collection, without the softly deleted ones.
    pub fn document_count(&self, collection: CollectionId) -> Result<u64, EngineError> {
        let stored = match stored_statistics(&*self.reader, collection)? {
            Some(bytes) => Statistics::decode_documents(&bytes)?,
            None => 0,
        };
        self.overlaid_count(collection, stored, |image| !image.is_deleted())
    }

    /// The number of documents that a scan of a collection visits: the softly deleted ones included.
    pub fn stored_count(&self, collection: CollectionId) -> Result<u64, EngineError> {
        let stored = match stored_statistics(&*self.reader, collection)? {
            Some(bytes) => Statistics::decode_stored(&bytes)?,
            None => 0,
        };
        self.overlaid_count(collection, stored, |_| true)
    }

    /// What a count of the stored documents becomes with the images over them.
    fn overlaid_count(
        &self,
        collection: CollectionId,
        stored: u64,
        counts: impl Fn(&Record<'_>) -> bool,
    ) -> Result<u64, EngineError> {
        let Some(known) = self.overlay.collection(collection) else {
            return Ok(stored);
        };
        let mut count = if known.hides_stored { 0 } else { stored };
        for (id, image) in &known.images {
            if !known.hides_stored
                && read_document(&*self.reader, collection, id)?.is_some_and(|image| counts(&image))
            {
                count = count.saturating_sub(1);
            }
            if image.is_some_and(|image| counts(image)) {
                count += 1;
            }
        }
        Ok(count)
    }

    /// The commit that last emptied a collection at once; zero where none did.
    pub(crate) fn emptied_ts(&self, collection: CollectionId) -> Result<CommitTs, EngineError> {
        match stored_statistics(&*self.reader, collection)? {
            Some(bytes) => Statistics::decode_emptied_ts(&bytes),
            None => Ok(CommitTs::ZERO),
        }
    }

    /// Visits the current images between two document keys. A corrupt one ends the scan with an error.
    pub(crate) fn scan_documents<'s>(
        &'s self,
        collection: CollectionId,
        from: Bound<&Vec<u8>>,
        to: Bound<&Vec<u8>>,
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], Record<'s>) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let mut visit = |key: &[u8], record: Record<'s>| {
            self.count_read();
            visit(key, record)
        };
        let known = self.overlay.collection(collection);
        let Some(known) = known else {
            return self.scan_stored(from, to, direction, &mut visit);
        };
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (from.map(Vec::as_slice), to.map(Vec::as_slice));
        let images = known
            .images
            .into_iter()
            .map(|(id, image)| (keyspace::document(collection, id), image))
            .filter(|(key, _)| RangeBounds::<[u8]>::contains(&bounds, key.as_slice()));
        let mut images: Box<dyn Iterator<Item = _>> = match direction {
            Direction::Forward => Box::new(images),
            Direction::Backward => Box::new(images.rev()),
        };
        let mut next = images.next();
        let mut ended = false;
        if !known.hides_stored {
            self.scan_stored(from, to, direction, &mut |key, record| {
                while let Some((over, image)) = &next {
                    let order = match direction {
                        Direction::Forward => over.as_slice().cmp(key),
                        Direction::Backward => key.cmp(over.as_slice()),
                    };
                    if order.is_gt() {
                        break;
                    }
                    let flow = image.map_or(ControlFlow::Continue(()), |image| {
                        visit(over, image.borrowed())
                    });
                    next = images.next();
                    if flow.is_break() {
                        ended = true;
                        return flow;
                    }
                    if order.is_eq() {
                        return ControlFlow::Continue(());
                    }
                }
                let flow = visit(key, record);
                ended = flow.is_break();
                flow
            })?;
        }
        while let Some((over, image)) = next.filter(|_| !ended) {
            ended = image.is_some_and(|image| visit(&over, image.borrowed()).is_break());
            next = images.next();
        }
        Ok(())
    }

    fn scan_stored<'s>(
        &'s self,
        from: Bound<&Vec<u8>>,
        to: Bound<&Vec<u8>>,
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], Record<'s>) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let reader = &*self.reader;
        let mut failure = None;
        reader.scan(
            from.map(Vec::as_slice),
            to.map(Vec::as_slice),
            direction,
            &mut |key, stored| {
                let owner = || key.to_vec();
                match chunk::resolve(reader, stored, owner).and_then(Record::from_stored) {
                    Ok(record) => visit(key, record),
                    Err(error) => {
                        failure = Some(error);
                        ControlFlow::Break(())
                    }
                }
            },
        )?;
        failure.map_or(Ok(()), Err)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("ts", &self.ts)
            .finish_non_exhaustive()
    }
}

pub(crate) fn read_document<'s>(
    reader: &'s dyn Reader,
    collection: CollectionId,
    id: &str,
) -> Result<Option<Record<'s>>, EngineError> {
    // A longer id cannot be one, and might not be a legal key.
    if id.len() > thalweg_model::DocumentId::BYTES_MAX {
        return Ok(None);
    }
    let key = keyspace::document(collection, id);
    let Some(stored) = reader.get(&key)? else {
        return Ok(None);
    };
    Record::from_stored(chunk::resolve(reader, stored, || key)?).map(Some)
}

fn stored_statistics(
    reader: &dyn Reader,
    collection: CollectionId,
) -> Result<Option<Cow<'_, [u8]>>, EngineError> {
    let key = keyspace::statistics(collection);
    match reader.get(&key)? {
        Some(stored) => chunk::resolve(reader, stored, || key).map(Some),
        None => Ok(None),
    }
}

pub(crate) fn read_statistics(
    reader: &dyn Reader,
    collection: CollectionId,
) -> Result<Statistics, EngineError> {
    match stored_statistics(reader, collection)? {
        Some(bytes) => Statistics::decode(&bytes),
        None => Ok(Statistics::default()),
    }
}

//! A consistent view of everything at one timestamp.

mod counts;

use std::cell::RefCell;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::sync::Arc;

use thalweg_model::{CollectionId, CommitTs, DocumentId, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader};

use crate::aggregate::{self, Aggregate, Aggregated};
use crate::as_of::{self, AsOf, HistoricalPage, KeyRange};
use crate::budget::{Budget, Interrupt};
use crate::catalog::Catalog;
use crate::chunk;
use crate::dependency::DependencySet;
use crate::error::EngineError;
use crate::find::each::{FindEach, find_each};
use crate::find::{self, Choice, Deleted, Find, Found, View};
use crate::group::{DocumentKey, Image};
use crate::history::{self, Hidden};
use crate::index::{self, IndexId, IndexProgress, IndexRow};
use crate::kept::KeptReads;
use crate::keyspace;
use crate::overlay::{Delta, Layers, Overlaid, Overlay};
use crate::predicate::Predicate;
use crate::record::Record;
use crate::revisions::{self, RevisionRange, Revisions};

pub(crate) use self::counts::read_statistics;

/// A view of the state at [`Snapshot::ts`]: one reader of the backend and the catalog of that time.
///
/// It holds a backend reader, whose life the backend bounds: hold it for one execution, not for a connection.
pub struct Snapshot {
    reader: Box<dyn Reader>,
    /// Images that go before the reader's; empty but in the committer.
    pub(crate) overlay: Overlay,
    pub(crate) ts: CommitTs,
    pub(crate) catalog: Arc<Catalog>,
    /// How many documents were looked at, and may be.
    budget: Budget,
    /// For a view of an earlier time than the reader's.
    as_of: Option<AsOf>,
    /// What is kept of the reads of a query that is run again and again, while it runs.
    kept: RefCell<Option<KeptReads>>,
}

impl Snapshot {
    pub(crate) fn new(reader: Box<dyn Reader>, ts: CommitTs, catalog: Arc<Catalog>) -> Self {
        Snapshot {
            reader,
            overlay: Overlay::default(),
            ts,
            catalog,
            budget: Budget::unbounded(),
            as_of: None,
            kept: RefCell::default(),
        }
    }

    /// The view of an earlier time. The types stay those of the newest state. Fails for a time that has not come.
    pub(crate) fn looking_back_to(self, at: CommitTs) -> Result<Self, EngineError> {
        if at > self.ts {
            let head = self.ts;
            return Err(EngineError::NotYet { at, head });
        }
        Ok(Snapshot {
            ts: at,
            as_of: Some(AsOf::new(at)),
            ..self
        })
    }

    /// From when on a collection's earlier states can be read.
    pub fn kept_from(&self, collection: CollectionId) -> Result<CommitTs, EngineError> {
        history::kept_from(&*self.reader, self.emptied_ts(collection)?, collection)
    }

    pub(crate) fn reader(&self) -> &dyn Reader {
        &*self.reader
    }

    /// How many documents were looked at through it.
    pub fn documents_read(&self) -> u64 {
        self.budget.documents()
    }

    /// How many more documents an operation may look at through it, until the next call; `None` for any number. Past
    /// it, what reads fails with [`EngineError::RowsExceeded`].
    pub fn limit_rows(&self, rows_max: Option<u64>) {
        self.budget.limit_operation(rows_max);
    }

    /// Who is asked now and then whether what reads is to go on, until the next call. Where it is not, that fails with
    /// [`EngineError::Interrupted`].
    pub fn set_interrupt(&self, interrupt: Option<Arc<dyn Interrupt>>) {
        self.budget.set_interrupt(interrupt);
    }

    /// Who is asked whether to go on.
    pub fn interrupt(&self) -> Option<Arc<dyn Interrupt>> {
        self.budget.interrupt()
    }

    /// Whether what reads is still within its bounds of documents and time. For what takes long between two reads.
    pub fn check_budget(&self) -> Result<(), EngineError> {
        self.budget.check()
    }

    /// Counts a document, and says whether it is within what may be read.
    pub(crate) fn count_read(&self) -> bool {
        self.budget.count_document()
    }

    /// Counts a row of an index that is looked at.
    pub(crate) fn count_row(&self) -> Result<(), EngineError> {
        self.budget.count_row()
    }

    /// How many more documents may be read in the line, until the next call.
    pub(crate) fn limit_reads(&self, documents_max: Option<u64>) {
        self.budget.limit_line(documents_max);
    }

    fn check_reads(&self) -> Result<(), EngineError> {
        self.budget.check()
    }

    /// The newest commit that the backend's part of the view includes.
    pub(crate) fn stored_ts(&self) -> CommitTs {
        self.reader
            .head()
            .map_or(CommitTs::ZERO, |head| head.commit_ts)
    }

    /// The newest commit that the view includes, or the time that it looks back to.
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
        self.get_under(None, collection, id)
    }

    /// The same, where a transaction sees what it has written itself.
    pub(crate) fn get_under<'s>(
        &'s self,
        own: Option<&'s Delta>,
        collection: CollectionId,
        id: &str,
    ) -> Result<Option<Record<'s>>, EngineError> {
        if !self.count_read() {
            self.check_reads()?;
        }
        let current = match self.layers(own).image(collection, id) {
            Overlaid::Known(image) => image.map(|image| image.borrowed()),
            Overlaid::Unknown => read_document(&*self.reader, collection, id)?,
        };
        let Some(as_of) = &self.as_of else {
            return Ok(current);
        };
        as_of.check(self, collection)?;
        self.spanning(as_of, current, collection, id)
    }

    /// The current image of a document.
    pub(crate) fn image(&self, key: &DocumentKey) -> Result<Image, EngineError> {
        match self.layers(None).image(key.0, key.1.as_str()) {
            Overlaid::Known(image) => Ok(image.cloned()),
            Overlaid::Unknown => {
                let record = read_document(&*self.reader, key.0, key.1.as_str())?;
                Ok(record.map(|record| Arc::new(record.into_owned())))
            }
        }
    }

    /// The images that go before the reader's.
    pub(crate) fn layers<'s>(&'s self, own: Option<&'s Delta>) -> Layers<'s> {
        self.overlay.under(own)
    }

    /// Documents by their ids, in that order, softly deleted or not. Ascending ids are read the fastest.
    pub fn get_many(
        &self,
        collection: CollectionId,
        ids: &[&str],
    ) -> Result<Vec<Option<Record<'_>>>, EngineError> {
        self.get_many_under(None, collection, ids)
    }

    /// The same, where a transaction sees what it has written itself.
    pub(crate) fn get_many_under<'s>(
        &'s self,
        own: Option<&'s Delta>,
        collection: CollectionId,
        ids: &[&str],
    ) -> Result<Vec<Option<Record<'s>>>, EngineError> {
        for _ in ids {
            self.count_read();
        }
        self.check_reads()?;
        let layers = self.layers(own);
        let mut records = Vec::with_capacity(ids.len());
        let (mut missing, mut keys) = (Vec::new(), Vec::new());
        for (place, id) in ids.iter().enumerate() {
            match layers.image(collection, id) {
                Overlaid::Known(image) => records.push(image.map(|image| image.borrowed())),
                Overlaid::Unknown => {
                    records.push(None);
                    // What is no id might not be a legal key; it is that of no document.
                    if matches!(id.len(), 1..=DocumentId::BYTES_MAX) {
                        missing.push(place);
                        keys.push(keyspace::document(collection, id));
                    }
                }
            }
        }
        let reader = &*self.reader;
        let stored = reader.get_many(&keys)?;
        for ((place, key), stored) in missing.into_iter().zip(keys).zip(stored) {
            if let Some(stored) = stored {
                let whole = chunk::resolve(reader, stored, || key)?;
                records[place] = Some(Record::from_stored(whole)?);
            }
        }
        if let Some(as_of) = &self.as_of {
            as_of.check(self, collection)?;
            for (record, id) in records.iter_mut().zip(ids) {
                *record = self.spanning(as_of, record.take(), collection, id)?;
            }
        }
        Ok(records)
    }

    /// The image of a document at an earlier time, by its current one.
    fn spanning<'s>(
        &'s self,
        as_of: &AsOf,
        current: Option<Record<'s>>,
        collection: CollectionId,
        id: &str,
    ) -> Result<Option<Record<'s>>, EngineError> {
        if let Some(record) = current
            && record.commit_ts() <= as_of.at
        {
            return Ok(Some(record));
        }
        if id.len() > DocumentId::BYTES_MAX {
            return Ok(None);
        }
        history::spanning(&*self.reader, collection, id, as_of.at, Hidden::Skip)
    }

    /// Whether it looks back to an earlier time, so that no commit changes what it shows.
    pub fn is_past(&self) -> bool {
        self.as_of.is_some()
    }

    /// From now on what is read is taken from these reads where they have it, and kept in them. They are of this query,
    /// and have followed every commit up to [`Snapshot::ts`] that touches it.
    pub fn keep_reads(&self, mut kept: KeptReads) {
        kept.begin();
        self.kept.replace(Some(kept));
    }

    /// What is kept now; nothing is from now on.
    pub fn take_kept_reads(&self) -> Option<KeptReads> {
        let mut kept = self.kept.take()?;
        kept.end();
        Some(kept)
    }

    /// A page of documents.
    pub fn find<'s>(&'s self, find: &Find) -> Result<Found<'s>, EngineError> {
        self.find_by(find, Choice::Any)
    }

    /// A page of documents, found in one of the ways that are given.
    pub fn find_by<'s>(&'s self, find: &Find, choice: Choice) -> Result<Found<'s>, EngineError> {
        self.find_under(None, find, choice)
    }

    /// The same, where a transaction sees what it has written itself.
    pub(crate) fn find_under<'s>(
        &'s self,
        own: Option<&'s Delta>,
        find: &Find,
        choice: Choice,
    ) -> Result<Found<'s>, EngineError> {
        let at = self.as_of.as_ref().map(|as_of| as_of.at);
        let view = View {
            snapshot: self,
            own,
            at,
        };
        if let (Some(kept), None, Choice::Any) = (&mut *self.kept.borrow_mut(), at, choice) {
            return kept.find(view, find);
        }
        let mut found = find::find(view, find, choice)?;
        if at.is_some() {
            // No commit changes the past.
            found.dependencies = DependencySet::none();
        }
        Ok(found)
    }

    /// A page for each of several documents, read together.
    pub fn find_each<'s>(&'s self, wanted: &FindEach) -> Result<Vec<Found<'s>>, EngineError> {
        let view = View {
            snapshot: self,
            own: None,
            at: self.as_of.as_ref().map(|as_of| as_of.at),
        };
        if let (Some(kept), None) = (&mut *self.kept.borrow_mut(), view.at) {
            return kept.find_each(view, wanted);
        }
        let mut found = find_each(view, wanted)?;
        if view.at.is_some() {
            // No commit changes the past.
            for found in &mut found {
                found.dependencies = DependencySet::none();
            }
        }
        Ok(found)
    }

    /// About how many documents [`Snapshot::find`] will look at. Reads no document, but perhaps some rows of indexes.
    pub fn estimate(&self, find: &Find) -> Result<u64, EngineError> {
        let view = View {
            snapshot: self,
            own: None,
            at: self.as_of.as_ref().map(|as_of| as_of.at),
        };
        find::estimate(view, find)
    }

    /// A page of all documents in order of their ids, from after `after` on, the softly deleted ones included: at most
    /// `documents_max` of them, fewer where they are large.
    pub fn page(
        &self,
        collection: CollectionId,
        after: Option<&str>,
        documents_max: usize,
    ) -> Result<HistoricalPage, EngineError> {
        let at = self.as_of.as_ref().map(|as_of| (as_of.at, Hidden::Skip));
        as_of::page(self, collection, at, after, documents_max)
    }

    /// The revisions of a document that are kept: none of one that was deleted for good. At an earlier time those up to
    /// then.
    pub fn history(
        &self,
        collection: CollectionId,
        id: &str,
        range: &RevisionRange,
    ) -> Result<Revisions<'_>, EngineError> {
        let at = match &self.as_of {
            Some(as_of) => {
                as_of.check(self, collection)?;
                Some(as_of.at)
            }
            None => None,
        };
        let reader = &*self.reader;
        let current = read_document(reader, collection, id)?;
        let kept_from = self.kept_from(collection)?;
        let listed = revisions::list(reader, current, collection, id, kept_from, at, range)?;
        // Each is a document that was looked at. How many there are is bounded by the range.
        if !listed.revisions.iter().all(|_| self.count_read()) {
            self.check_reads()?;
        }
        Ok(listed)
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
        let view = View {
            snapshot: self,
            own: None,
            at: None,
        };
        find::count(view, &counting)
    }

    /// What the documents that satisfy a filter come to, together and by group.
    pub fn aggregate(&self, wanted: &Aggregate) -> Result<Aggregated, EngineError> {
        let view = View {
            snapshot: self,
            own: None,
            at: self.as_of.as_ref().map(|as_of| as_of.at),
        };
        if let (Some(kept), None) = (&mut *self.kept.borrow_mut(), view.at)
            && let Some(made) = kept.aggregate(view, wanted)?
        {
            return Ok(made);
        }
        aggregate::aggregate(view, wanted)
    }

    /// Rows of current images as they are stored in an index, in order: up to `rows_max` of those after the key
    /// `after`. What a document must have is [`index::rows()`]; to compare the two is to verify the index.
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

    /// Visits the images between two document keys. A corrupt one ends the scan with an error.
    pub(crate) fn scan_documents<'s>(
        &'s self,
        collection: CollectionId,
        from: Bound<&Vec<u8>>,
        to: Bound<&Vec<u8>>,
        direction: Direction,
        visit: as_of::Visit<'_, 's>,
    ) -> Result<(), EngineError> {
        let range = KeyRange {
            collection,
            from,
            to,
            direction,
        };
        self.scan(None, range, visit)
    }

    /// Visits the images of a collection, softly deleted ones too, until `visit` says that it is enough.
    pub(crate) fn each_document<'s>(
        &'s self,
        collection: CollectionId,
        visit: &mut dyn FnMut(Record<'s>) -> bool,
    ) -> Result<(), EngineError> {
        let prefix = keyspace::documents(collection);
        let end = prefix_end(&prefix).expect("a document key does not consist of 0xff bytes");
        self.scan_documents(
            collection,
            Bound::Included(&prefix),
            Bound::Excluded(&end),
            Direction::Forward,
            &mut |_, record| match visit(record) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            },
        )
    }

    /// Visits the images of a range.
    pub(crate) fn scan<'s>(
        &'s self,
        own: Option<&'s Delta>,
        range: KeyRange<'_>,
        visit: as_of::Visit<'_, 's>,
    ) -> Result<(), EngineError> {
        match &self.as_of {
            None => self.scan_current(own, range, visit),
            Some(as_of) => {
                as_of.check(self, range.collection)?;
                as_of::scan(self, (as_of.at, Hidden::Skip), range, visit)
            }
        }
    }

    /// Visits the current images of a range, whatever time the view looks back to.
    pub(crate) fn scan_current<'s>(
        &'s self,
        own: Option<&'s Delta>,
        range: KeyRange<'_>,
        visit: as_of::Visit<'_, 's>,
    ) -> Result<(), EngineError> {
        let KeyRange {
            collection,
            from,
            to,
            direction,
        } = range;
        let mut visit = |key: &[u8], record: Record<'s>| match self.count_read() {
            true => visit(key, record),
            false => ControlFlow::Break(()),
        };
        let known = self.layers(own).collection(collection);
        let Some(known) = known else {
            self.scan_stored(from, to, direction, &mut visit)?;
            return self.check_reads();
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
        self.check_reads()
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
    if id.len() > DocumentId::BYTES_MAX {
        return Ok(None);
    }
    let key = keyspace::document(collection, id);
    let Some(stored) = reader.get(&key)? else {
        return Ok(None);
    };
    Record::from_stored(chunk::resolve(reader, stored, || key)?).map(Some)
}

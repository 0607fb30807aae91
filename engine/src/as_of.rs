//! Reading a collection as it was at a timestamp.
//!
//! A state of a while ago is the current images that were written by then, and the earlier ones that span it. Both lie
//! in the order of their ids, so they are merged as they are read, in either direction: the current ones are visited, and
//! the earlier ones are read a batch ahead. What a batch holds is bounded, and images borrow from the store where it
//! allows that.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::{Bound, ControlFlow, RangeBounds};

use rustc_hash::FxHashMap;
use thalweg_model::{CollectionId, CommitTs, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader};

use crate::error::EngineError;
use crate::history::{self, Entry, Hidden};
use crate::keyspace;
use crate::record::Record;
use crate::snapshot::Snapshot;

/// How many earlier images are read ahead, and how many bytes of them; the last one may end above that.
const BATCH_IMAGES_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 1 << 20;
/// How many images of one document are passed over before the one that is wanted is looked up instead.
const PASSED_MAX: usize = 16;

/// The time that a snapshot looks back to.
pub(crate) struct AsOf {
    pub(crate) at: CommitTs,
    /// From when on collections can be read, as far as that was looked up.
    kept_from: RefCell<FxHashMap<CollectionId, CommitTs>>,
}

impl AsOf {
    pub(crate) fn new(at: CommitTs) -> Self {
        AsOf {
            at,
            kept_from: RefCell::default(),
        }
    }

    /// Refuses a collection whose state of then is no longer kept.
    pub(crate) fn check(
        &self,
        snapshot: &Snapshot,
        collection: CollectionId,
    ) -> Result<(), EngineError> {
        let known = self.kept_from.borrow().get(&collection).copied();
        let oldest = match known {
            Some(oldest) => oldest,
            None => {
                let oldest = snapshot.kept_from(collection)?;
                self.kept_from.borrow_mut().insert(collection, oldest);
                oldest
            }
        };
        if self.at < oldest {
            return Err(EngineError::HistoryGone { oldest });
        }
        Ok(())
    }
}

/// A range of documents, by the keys of their current images.
#[derive(Clone, Copy)]
pub(crate) struct KeyRange<'k> {
    pub(crate) collection: CollectionId,
    pub(crate) from: Bound<&'k Vec<u8>>,
    pub(crate) to: Bound<&'k Vec<u8>>,
    pub(crate) direction: Direction,
}

impl KeyRange<'_> {
    fn contains(&self, key: &[u8]) -> bool {
        let bounds = (self.from.map(Vec::as_slice), self.to.map(Vec::as_slice));
        RangeBounds::<[u8]>::contains(&bounds, key)
    }

    /// The keys of the history in which the earlier images of these documents lie, and perhaps those of the documents
    /// at the bounds.
    fn histories(&self) -> (Vec<u8>, Vec<u8>) {
        let prefix = keyspace::documents(self.collection);
        let id = |bound: Bound<&Vec<u8>>| match bound {
            Bound::Included(key) | Bound::Excluded(key) => {
                key.strip_prefix(&*prefix).map(<[u8]>::to_vec)
            }
            Bound::Unbounded => None,
        };
        let all = keyspace::histories(self.collection);
        let end = prefix_end(&all).expect("a history key does not consist of 0xff bytes");
        let from = id(self.from);
        let to = id(self.to);
        (
            from.map_or(all, |id| keyspace::histories_from(self.collection, &id)),
            to.map_or(end, |id| keyspace::histories_to(self.collection, &id)),
        )
    }
}

/// Is shown the key that a document's current image has or had, and the image.
pub(crate) type Visit<'v, 's> = &'v mut dyn FnMut(&[u8], Record<'s>) -> ControlFlow<()>;

/// Visits the images of a range as they were at `at`.
pub(crate) fn scan<'s>(
    snapshot: &'s Snapshot,
    (at, hidden): (CommitTs, Hidden),
    range: KeyRange<'_>,
    visit: Visit<'_, 's>,
) -> Result<(), EngineError> {
    let mut earlier = EarlierImages::new(snapshot, (at, hidden), range);
    let mut ended: Result<ControlFlow<()>, EngineError> = Ok(ControlFlow::Continue(()));
    snapshot.scan_current(None, range, &mut |key, record| {
        ended = earlier.visit_up_to(key, record, visit);
        match ended {
            Ok(flow) => flow,
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    if ended?.is_continue() {
        while let Some((key, record)) = earlier.pop()? {
            if visit(&key, record).is_break() {
                break;
            }
        }
    }
    Ok(())
}

/// The earlier images that held at a time, in order of their ids.
struct EarlierImages<'s, 'k> {
    snapshot: &'s Snapshot,
    reader: &'s dyn Reader,
    at: CommitTs,
    hidden: Hidden,
    range: KeyRange<'k>,
    /// What is not read yet.
    from: Vec<u8>,
    to: Vec<u8>,
    /// The keys of the current images of their documents, and the images.
    ready: VecDeque<(Vec<u8>, Record<'s>)>,
    ready_bytes: usize,
    is_exhausted: bool,
}

/// What was seen of one document's history.
struct Document<'s> {
    id: String,
    found: Option<(CommitTs, Record<'s>)>,
    erased: CommitTs,
    passed: usize,
}

impl<'s, 'k> EarlierImages<'s, 'k> {
    fn new(snapshot: &'s Snapshot, (at, hidden): (CommitTs, Hidden), range: KeyRange<'k>) -> Self {
        let (from, to) = range.histories();
        EarlierImages {
            snapshot,
            reader: snapshot.reader(),
            at,
            hidden,
            range,
            from,
            to,
            ready: VecDeque::new(),
            ready_bytes: 0,
            is_exhausted: false,
        }
    }

    /// Visits those of documents that come before a current image, and then that image, or the earlier one that held in
    /// its place.
    fn visit_up_to(
        &mut self,
        key: &[u8],
        current: Record<'s>,
        visit: Visit<'_, 's>,
    ) -> Result<ControlFlow<()>, EngineError> {
        if self.visit_before(current.id(), visit)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if current.commit_ts() <= self.at {
            return Ok(visit(key, current));
        }
        self.visit_one(current.id(), visit)
    }

    /// Visits those of documents that come before `id` in the direction of the scan.
    fn visit_before(
        &mut self,
        id: &str,
        visit: Visit<'_, 's>,
    ) -> Result<ControlFlow<()>, EngineError> {
        let direction = self.range.direction;
        while let Some(record) = self.peek()? {
            let is_before = match direction {
                Direction::Forward => record.id() < id,
                Direction::Backward => record.id() > id,
            };
            if !is_before {
                break;
            }
            if let Some((key, record)) = self.pop()?
                && visit(&key, record).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Visits that of document `id`, if there is one; those before it have been visited.
    fn visit_one(
        &mut self,
        id: &str,
        visit: Visit<'_, 's>,
    ) -> Result<ControlFlow<()>, EngineError> {
        let is_next = self.peek()?.is_some_and(|record| record.id() == id);
        match self.pop_if(is_next)? {
            Some((key, record)) => Ok(visit(&key, record)),
            None => Ok(ControlFlow::Continue(())),
        }
    }

    fn pop_if(&mut self, wanted: bool) -> Result<Option<(Vec<u8>, Record<'s>)>, EngineError> {
        if wanted { self.pop() } else { Ok(None) }
    }

    fn peek(&mut self) -> Result<Option<&Record<'s>>, EngineError> {
        while self.ready.is_empty() && !self.is_exhausted {
            self.read_batch()?;
        }
        Ok(self.ready.front().map(|(_, record)| record))
    }

    fn pop(&mut self) -> Result<Option<(Vec<u8>, Record<'s>)>, EngineError> {
        self.peek()?;
        Ok(self.ready.pop_front())
    }

    /// Reads on, up to the end of a document.
    fn read_batch(&mut self) -> Result<(), EngineError> {
        self.ready_bytes = 0;
        let (from, to) = (self.from.clone(), self.to.clone());
        let mut document: Option<Document<'s>> = None;
        let mut outcome = Ok(Batch::Ended);
        self.reader.scan(
            Bound::Included(&from),
            Bound::Excluded(&to),
            self.range.direction,
            &mut |key, value| {
                outcome = keyspace::parse_history(key).and_then(|(_, id, written)| {
                    self.look(&mut document, id, Entry::decode(written, value)?)
                });
                match outcome {
                    Ok(Batch::Ended) => ControlFlow::Continue(()),
                    _ => ControlFlow::Break(()),
                }
            },
        )?;
        match outcome? {
            Batch::Ended => {
                self.is_exhausted = true;
                self.finish(document);
            }
            Batch::Full => {
                let last = document.as_ref().map(|document| document.id.clone());
                self.finish(document);
                self.resume_behind(last.as_deref());
            }
            Batch::LookUp(id) => {
                let (collection, at) = (self.range.collection, self.at);
                let found = history::spanning(self.reader, collection, &id, at, self.hidden)?;
                if let Some(record) = found {
                    self.push(record);
                }
                self.resume_behind(Some(&id));
            }
        }
        Ok(())
    }

    /// Looks at one entry. `Batch::Ended` stands for going on.
    fn look(
        &mut self,
        document: &mut Option<Document<'s>>,
        id: String,
        entry: Entry<'s>,
    ) -> Result<Batch, EngineError> {
        self.snapshot.count_row()?;
        if document.as_ref().is_none_or(|document| document.id != id) {
            if self.ready.len() >= BATCH_IMAGES_MAX || self.ready_bytes >= BATCH_BYTES_MAX {
                return Ok(Batch::Full);
            }
            let next = Document {
                id,
                found: None,
                erased: CommitTs::ZERO,
                passed: 0,
            };
            self.finish(document.replace(next));
        }
        let Some(document) = document else {
            return Ok(Batch::Ended);
        };
        match entry {
            Entry::Erased(at) if self.hidden == Hidden::Skip => document.erased = at,
            Entry::Erased(_) => {}
            Entry::Image {
                written,
                until,
                stored,
            } if written <= self.at && self.at < until => {
                let collection = self.range.collection;
                let record = history::resolve(self.reader, collection, &document.id, stored)?;
                document.found = Some((written, record));
            }
            Entry::Image { .. } => document.passed += 1,
        }
        if document.passed > PASSED_MAX {
            return Ok(Batch::LookUp(std::mem::take(&mut document.id)));
        }
        Ok(Batch::Ended)
    }

    fn finish(&mut self, document: Option<Document<'s>>) {
        if let Some(document) = document
            && let Some((written, record)) = document.found
            && written >= document.erased
        {
            self.push(record);
        }
    }

    fn push(&mut self, record: Record<'s>) {
        let key = keyspace::document(self.range.collection, record.id());
        if self.range.contains(&key) {
            self.ready_bytes += record.stored().len();
            self.ready.push_back((key, record));
        }
    }

    /// Leaves out the documents up to `last` from what is still to be read.
    fn resume_behind(&mut self, last: Option<&str>) {
        let Some(last) = last else { return };
        match self.range.direction {
            Direction::Forward => {
                self.from = keyspace::histories_to(self.range.collection, last.as_bytes());
            }
            Direction::Backward => {
                self.to = keyspace::histories_of(self.range.collection, last);
            }
        }
    }
}

/// How a batch ended.
enum Batch {
    /// There is nothing more.
    Ended,
    /// It holds as much as it may, before an entry of the next document.
    Full,
    /// The document has many images: the one that is wanted has to be looked up.
    LookUp(String),
}

/// Documents of a collection at a timestamp, in order of their ids.
#[derive(Debug)]
pub struct HistoricalPage {
    /// The documents, the softly deleted ones included.
    pub rows: Vec<Record<'static>>,
    /// Pass this to read on; `None` at the end of the collection.
    pub next: Option<String>,
}

/// About how many bytes of images a page has. One more image may begin below this and end above it.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// Reads on from `after` (exclusive) as of `at`, or as the snapshot shows it: at most `documents_max` documents, or as
/// many as have [`PAGE_BYTES_MAX`] bytes.
pub(crate) fn page(
    snapshot: &Snapshot,
    collection: CollectionId,
    at: Option<(CommitTs, Hidden)>,
    after: Option<&str>,
    documents_max: usize,
) -> Result<HistoricalPage, EngineError> {
    let prefix = keyspace::documents(collection);
    let end = prefix_end(&prefix).expect("a document key does not consist of 0xff bytes");
    let after = after.map(|id| keyspace::document(collection, id));
    let from = after
        .as_ref()
        .map_or(Bound::Included(&prefix), Bound::Excluded);
    let mut page = HistoricalPage {
        rows: Vec::new(),
        next: None,
    };
    let mut bytes = 0;
    let mut visit = |_: &[u8], record: Record<'_>| {
        bytes += record.stored().len();
        page.rows.push(record.into_owned());
        if page.rows.len() < documents_max.max(1) && bytes < PAGE_BYTES_MAX {
            return ControlFlow::Continue(());
        }
        page.next = page.rows.last().map(|last| last.id().to_owned());
        ControlFlow::Break(())
    };
    let range = KeyRange {
        collection,
        from,
        to: Bound::Excluded(&end),
        direction: Direction::Forward,
    };
    match at {
        None => snapshot.scan(None, range, &mut visit)?,
        Some(at) => {
            AsOf::new(at.0).check(snapshot, collection)?;
            scan(snapshot, at, range, &mut visit)?;
        }
    }
    Ok(page)
}

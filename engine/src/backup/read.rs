//! Takes the state of one timestamp out of a store.
//!
//! Where nobody writes, or the backend's readers live long, one reader shows all of it. Of a store that a server writes
//! to it is read in pages, each through a reader of its own, since an embedded reader may not live long. What is then shown is
//! the state at `T` all the same:
//!
//! - an image that was written after `T` is left out;
//! - an image that held at `T` is current in the page that shows its document, or has ended since `T`. Images move from
//!   the current ones to the earlier ones and never back, and the current ones are read first, so none is missed. One
//!   that ended between the page that showed it and the reading of the earlier ones would come twice: it comes as a
//!   current one if it ended after the state that the page of its document showed, and is then left out;
//! - what would be erased in the background is held back by a [`Pin`];
//! - a mark that hides a history is replaced when the document is deleted for good again. Then the due entry that was
//!   made with the mark tells what it was;
//! - a collection that is emptied at once takes its images with it, so the backup is given up.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::{Bound, ControlFlow};

use thalweg_model::{CollectionId, CommitTs, prefix_end};
use thalweg_storage::{Backend, Direction, Snapshot as Reader, StorageError};

use super::file::BackupWriter;
use super::{BackupError, BackupSummary};
use crate::catalog::COLLECTIONS;
use crate::chunk;
use crate::due::DueKind;
use crate::error::EngineError;
use crate::format;
use crate::history::{Entry as HistoryEntry, corrupt};
use crate::idempotency;
use crate::keyspace::{self, Keyspace};
use crate::pin::Pin;
use crate::record::Record;
use crate::snapshot::read_statistics;
use crate::statistics::Statistics;

/// About how many bytes are looked at with one reader, and kept until they are written.
const PAGE_BYTES: usize = 4 << 20;

/// Writes a backup of a store that this process has not opened as an [`Engine`](crate::Engine). It takes nothing over: a server that
/// uses the store goes on. One reader of the backend is used for all of it, so readers must be allowed to live as long
/// as that takes.
pub fn write_stored(
    backend: &dyn Backend,
    sink: &mut dyn Write,
) -> Result<BackupSummary, BackupError> {
    let reader = backend.snapshot()?;
    write(Source::One(&*reader), PAGE_BYTES, sink)
}

/// Writes a backup of a store that others write to meanwhile.
pub(crate) fn write_running(
    backend: &dyn Backend,
    pin: &Pin,
    sink: &mut dyn Write,
) -> Result<BackupSummary, BackupError> {
    write(Source::Running { backend, pin }, PAGE_BYTES, sink)
}

impl From<StorageError> for BackupError {
    fn from(error: StorageError) -> Self {
        BackupError::Engine(error.into())
    }
}

/// Where readers come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// There is one for everything.
    One(&'a dyn Reader),
    /// Each page has its own.
    Running {
        backend: &'a dyn Backend,
        pin: &'a Pin,
    },
}

impl Source<'_> {
    fn read<T>(
        self,
        read: impl FnOnce(&dyn Reader) -> Result<T, BackupError>,
    ) -> Result<T, BackupError> {
        match self {
            Source::One(reader) => read(reader),
            Source::Running { backend, pin } => {
                let reader = backend.snapshot()?;
                let result = read(&*reader)?;
                // Asked after the reader was opened, so what it shows was held.
                match pin.holds() {
                    true => Ok(result),
                    false => Err(BackupError::Overtaken {
                        reason: "it took longer than erasing is held back",
                    }),
                }
            }
        }
    }
}

/// A key and a whole value.
type Entry = (Vec<u8>, Vec<u8>);

pub(super) fn write(
    source: Source<'_>,
    page_bytes: usize,
    sink: &mut dyn Write,
) -> Result<BackupSummary, BackupError> {
    let (at, first) = source.read(|reader| {
        format::check(reader)?;
        let at = reader.head().map_or(CommitTs::ZERO, |head| head.commit_ts);
        Ok((at, small_entries(reader)?))
    })?;
    let mut writer = BackupWriter::start(sink, at)?;
    for (key, value) in &first {
        writer.entry(key, value)?;
    }
    let mut reading = Reading {
        source,
        page_bytes,
        at,
        pages: Vec::new(),
        erased_anew: RefCell::default(),
    };
    match reading.all(&mut writer) {
        Ok(()) => writer.end(),
        Err(error) => {
            if !matches!(error, BackupError::Io(_)) {
                // The error that is returned says more than that even this failed.
                let _ = writer.give_up(&error.to_string());
            }
            Err(error)
        }
    }
}

/// What is of no document: it is read at once, since it has no history.
fn small_entries(reader: &dyn Reader) -> Result<Vec<Entry>, BackupError> {
    let mut entries = Vec::new();
    let not_copied = [keyspace::format(), keyspace::restoring()];
    scan(
        reader,
        &Keyspace::Meta.prefix(),
        None,
        &mut |key, stored| {
            if keyspace::is_long_meta(key) {
                entries.push((key.to_vec(), whole(reader, stored, key)?));
            } else if !not_copied.iter().any(|not| not == key) {
                entries.push((key.to_vec(), stored.to_vec()));
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    // The catalog goes before all documents, since what is derived from them depends on it.
    for keyspace in [
        Keyspace::Statistics.prefix(),
        Keyspace::IndexStatistics.prefix(),
        keyspace::documents(COLLECTIONS),
    ] {
        scan(reader, &keyspace, None, &mut |key, stored| {
            entries.push((key.to_vec(), whole(reader, stored, key)?));
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(entries)
}

/// A part of the current images that was read through one reader.
struct PageRead {
    /// The last key in it; `None` where it goes to the end.
    last: Option<Vec<u8>>,
    /// The state that it showed.
    ts: CommitTs,
}

struct Reading<'a> {
    source: Source<'a>,
    page_bytes: usize,
    /// The state that is written.
    at: CommitTs,
    /// How the current images were read, in order.
    pages: Vec<PageRead>,
    /// The documents that were deleted for good since, and since when their histories were hidden then, if they were.
    erased_anew: RefCell<BTreeMap<(CollectionId, String), Option<CommitTs>>>,
}

impl Reading<'_> {
    fn all(&mut self, writer: &mut BackupWriter<'_>) -> Result<(), BackupError> {
        self.pass(Keyspace::Document, writer, &Self::document)?;
        self.check_emptied()?;
        self.pass(Keyspace::History, writer, &Self::earlier_image)?;
        self.check_emptied()?;
        self.pass(Keyspace::Log, writer, &Self::log_entry)?;
        self.pass(Keyspace::Answer, writer, &Self::answer)?;
        self.pass(Keyspace::Due, writer, &Self::due_entry)?;
        self.check_emptied()?;
        for ((collection, id), erased) in self.erased_anew.take() {
            if let Some(erased) = erased {
                let key = keyspace::erased(collection, &id);
                writer.entry(&key, &erased.as_micros().to_be_bytes())?;
            }
        }
        Ok(())
    }

    /// Writes what `take` makes of the entries of a keyspace.
    fn pass(
        &mut self,
        of: Keyspace,
        writer: &mut BackupWriter<'_>,
        take: &Take<'_, Self>,
    ) -> Result<(), BackupError> {
        let prefix = of.prefix();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let (ts, entries, last) = self.source.read(|reader| {
                let ts = reader.head().map_or(CommitTs::ZERO, |head| head.commit_ts);
                let (mut entries, mut last, mut bytes) = (Vec::new(), None, 0);
                scan(reader, &prefix, after.as_deref(), &mut |key, stored| {
                    bytes += key.len() + stored.len();
                    if let Some(entry) = take(self, reader, key, stored)? {
                        bytes += entry.1.len();
                        entries.push(entry);
                    }
                    if bytes < self.page_bytes {
                        return Ok(ControlFlow::Continue(()));
                    }
                    last = Some(key.to_vec());
                    Ok(ControlFlow::Break(()))
                })?;
                Ok((ts, entries, last))
            })?;
            for (key, value) in &entries {
                writer.entry(key, value)?;
            }
            if of == Keyspace::Document {
                // Pages of one state are one.
                self.pages.pop_if(|page| page.ts == ts);
                let last = last.clone();
                self.pages.push(PageRead { last, ts });
            }
            if last.is_none() {
                return Ok(());
            }
            after = last;
        }
    }

    fn document(
        &self,
        reader: &dyn Reader,
        key: &[u8],
        stored: &[u8],
    ) -> Result<Option<Entry>, BackupError> {
        if key.starts_with(&keyspace::documents(COLLECTIONS)) {
            return Ok(None);
        }
        let whole = whole(reader, stored, key)?;
        let record = Record::from_stored(Cow::Borrowed(&whole))?;
        let is_of_then = record.commit_ts() <= self.at;
        Ok(is_of_then.then(|| (key.to_vec(), whole)))
    }

    fn earlier_image(
        &self,
        reader: &dyn Reader,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Entry>, BackupError> {
        let (collection, id, written) = keyspace::parse_history(key)?;
        let (until, stored) = value.split_first_chunk::<8>().ok_or(corrupt())?;
        let until_ts = match HistoryEntry::decode(written, Cow::Borrowed(value))? {
            HistoryEntry::Image { until, .. } => until,
            HistoryEntry::Erased(erased) if erased <= self.at => {
                return Ok(Some((key.to_vec(), value.to_vec())));
            }
            HistoryEntry::Erased(_) => {
                let mut erased_anew = self.erased_anew.borrow_mut();
                erased_anew.insert((collection, id), None);
                return Ok(None);
            }
        };
        if written > self.at {
            return Ok(None);
        }
        let document = keyspace::document(collection, &id);
        let comes_without_this =
            || collection == COLLECTIONS || until_ts > self.shown_at(&document);
        if until_ts > self.at && comes_without_this() {
            return Ok(None);
        }
        let image = whole(reader, stored, &document)?;
        if until_ts > self.at {
            return Ok(Some((document, image)));
        }
        let mut value = until.to_vec();
        value.extend_from_slice(&image);
        Ok(Some((key.to_vec(), value)))
    }

    /// The state in which the current image of a document was looked for.
    fn shown_at(&self, document: &[u8]) -> CommitTs {
        let is_before = |page: &PageRead| page.last.as_deref().is_some_and(|last| last < document);
        let page = self.pages.partition_point(is_before);
        self.pages.get(page).map_or(CommitTs::MAX, |page| page.ts)
    }

    fn log_entry(
        &self,
        reader: &dyn Reader,
        key: &[u8],
        stored: &[u8],
    ) -> Result<Option<Entry>, BackupError> {
        let ts = keyspace::parse_log(key).ok_or(EngineError::Corrupt { what: "log key" })?;
        if ts > self.at {
            return Ok(None);
        }
        Ok(Some((key.to_vec(), whole(reader, stored, key)?)))
    }

    fn answer(
        &self,
        reader: &dyn Reader,
        key: &[u8],
        stored: &[u8],
    ) -> Result<Option<Entry>, BackupError> {
        let whole = whole(reader, stored, key)?;
        let is_of_then = idempotency::decode(&whole)
            .ok_or(EngineError::Corrupt {
                what: "idempotent answer",
            })?
            .commit_ts
            <= self.at;
        Ok(is_of_then.then(|| (key.to_vec(), whole)))
    }

    /// When the history of a document is to be erased. When documents are due is derived from them.
    fn due_entry(
        &self,
        reader: &dyn Reader,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Entry>, BackupError> {
        let entry = keyspace::parse_due(key, value)?;
        let erased = entry.erase_before;
        if entry.kind != DueKind::Erase || erased > self.at {
            return Ok(None);
        }
        let document = (entry.collection, entry.id.as_str().to_owned());
        if let Some(known) = self.erased_anew.borrow_mut().get_mut(&document)
            && erased > read_statistics(reader, entry.collection)?.emptied_ts
        {
            *known = (*known).max(Some(erased));
        }
        Ok(Some((key.to_vec(), value.to_vec())))
    }

    /// Fails where a collection was emptied at once since.
    fn check_emptied(&self) -> Result<(), BackupError> {
        self.source.read(|reader| {
            let prefix = Keyspace::Statistics.prefix();
            scan(reader, &prefix, None, &mut |key, stored| {
                let whole = whole(reader, stored, key)?;
                match Statistics::decode_emptied_ts(&whole)? > self.at {
                    true => Err(BackupError::Overtaken {
                        reason: "a collection was emptied",
                    }),
                    false => Ok(ControlFlow::Continue(())),
                }
            })
        })
    }
}

/// What to write of an entry that was found, if anything.
type Take<'t, R> = dyn Fn(&R, &dyn Reader, &[u8], &[u8]) -> Result<Option<Entry>, BackupError> + 't;

/// The whole value behind a stored one.
fn whole(reader: &dyn Reader, stored: &[u8], owner: &[u8]) -> Result<Vec<u8>, BackupError> {
    let whole = chunk::resolve(reader, Cow::Borrowed(stored), || owner.to_vec())?;
    Ok(whole.into_owned())
}

/// Is shown a key and its stored value.
type Visitor<'v> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, BackupError> + 'v;

/// Visits the keys with a prefix, from behind `after` on, until `visit` breaks or fails.
fn scan(
    reader: &dyn Reader,
    prefix: &[u8],
    after: Option<&[u8]>,
    visit: &mut Visitor<'_>,
) -> Result<(), BackupError> {
    let end = prefix_end(prefix).expect("a prefix does not consist of 0xff bytes");
    let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
    let mut failure = None;
    reader.scan(
        from,
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, stored| {
            visit(key, &stored).unwrap_or_else(|error| {
                failure = Some(error);
                ControlFlow::Break(())
            })
        },
    )?;
    failure.map_or(Ok(()), Err)
}

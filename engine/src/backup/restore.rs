//! Puts a backup into an empty store.
//!
//! The file is read twice: first to its end, which makes a [`ProvedBackup`] of it, then to write it. While it is written the store
//! is marked, and the last batch takes the mark away; so a store is a whole one or refuses to be opened.
//!
//! Keys and values are the engine's own, so they mean the same in every backend. Chunks, counts, the times of answers
//! and the due entries of documents are made anew.

use std::borrow::Cow;
use std::io::{Read, Seek, SeekFrom};
use std::ops::{Bound, ControlFlow};

use rustc_hash::FxHashMap;
use thalweg_model::{CollectionId, CommitTs, DocumentId};
use thalweg_storage::{Backend, Batch, CommitError, Direction, Head, Snapshot as Reader, Write};

use super::file;
use super::indexes::RestoredIndexes;
use super::{BackupError, BackupSummary, is_mark};
use crate::catalog::{COLLECTIONS, StoredCollection};
use crate::chunk;
use crate::due::{DueEntry, DueKind, due_of};
use crate::error::EngineError;
use crate::format;
use crate::history;
use crate::idempotency;
use crate::keyspace::{self, Keyspace};
use crate::log;
use crate::record::Record;
use crate::settings::Settings;
use crate::statistics::Statistics;

/// About how many bytes one batch has.
const BATCH_BYTES: usize = 8 << 20;
/// How many writes one batch has, at most about.
const BATCH_WRITES: usize = 20_000;

/// A backup that was read to its end and found to be whole.
pub struct ProvedBackup<R> {
    source: R,
    summary: BackupSummary,
}

impl<R: Read + Seek> ProvedBackup<R> {
    /// Reads all of a backup, from its beginning.
    pub fn prove(mut source: R) -> Result<Self, BackupError> {
        source.seek(SeekFrom::Start(0))?;
        let summary = file::inspect(&mut source)?;
        Ok(ProvedBackup { source, summary })
    }

    /// What it holds.
    pub fn summary(&self) -> &BackupSummary {
        &self.summary
    }

    /// Puts it into an empty store, or into one where that was begun and not finished.
    pub fn restore(mut self, backend: &dyn Backend) -> Result<(), BackupError> {
        self.source.seek(SeekFrom::Start(0))?;
        // Held until it is done, so that no server takes the store over meanwhile.
        let _leadership = backend.lead()?.ok_or(BackupError::InUse)?;
        let mut restorer = Restorer::begin(backend, self.summary.commit_ts)?;
        file::read(&mut self.source, &mut |key, value| {
            restorer.entry(key, value)
        })?;
        restorer.finish()
    }
}

/// What is counted of a collection: by whom the backup was made, and now.
#[derive(Default)]
struct Counts {
    stored: Statistics,
    recounted: Statistics,
}

struct Restorer<'b> {
    backend: &'b dyn Backend,
    expected: Option<Head>,
    /// The next batch's.
    head: Head,
    writes: Vec<Write>,
    bytes: usize,
    counts: FxHashMap<CollectionId, Counts>,
    settings: FxHashMap<CollectionId, Settings>,
    indexes: RestoredIndexes,
}

impl<'b> Restorer<'b> {
    fn begin(backend: &'b dyn Backend, commit_ts: CommitTs) -> Result<Self, BackupError> {
        let reader = backend.snapshot()?;
        let is_begun = match format::check(&*reader) {
            Ok(()) => false,
            Err(EngineError::HalfRestored) => true,
            Err(error) => return Err(error.into()),
        };
        if !is_begun && !is_empty(&*reader)? {
            return Err(BackupError::NotEmpty);
        }
        let expected = reader.head();
        let head = Head {
            epoch: expected.map_or(0, |head| head.epoch) + 1,
            commit_ts,
            batch: expected.map_or(0, |head| head.batch) + 1,
        };
        drop(reader);
        let mut restorer = Restorer {
            backend,
            expected,
            head,
            writes: Vec::new(),
            bytes: 0,
            counts: FxHashMap::default(),
            settings: FxHashMap::default(),
            indexes: RestoredIndexes::new(commit_ts),
        };
        let mark = |value: &[u8]| Write::Put {
            key: keyspace::restoring(),
            value: value.to_vec(),
        };
        restorer.push([mark(b"begun"), format::put()])?;
        restorer.flush()?;
        if is_begun {
            restorer.clear()?;
        }
        Ok(restorer)
    }

    /// Erases what an earlier attempt has written, the mark excepted.
    fn clear(&mut self) -> Result<(), BackupError> {
        let kept = [keyspace::restoring(), keyspace::format()];
        loop {
            let reader = self.backend.snapshot()?;
            let mut found = Vec::new();
            let mut visit = |key: &[u8]| {
                if !kept.iter().any(|kept| kept == key) {
                    found.push(Write::Delete { key: key.to_vec() });
                }
                if found.len() < BATCH_WRITES {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            };
            scan_all(&*reader, &mut visit)?;
            drop(reader);
            if found.is_empty() {
                return Ok(());
            }
            self.push(found)?;
            self.flush()?;
        }
    }

    fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), BackupError> {
        let mut writes = Vec::new();
        match Keyspace::of(key) {
            Some(Keyspace::Meta) if keyspace::is_long_meta(key) => {
                chunk::put(key.to_vec(), 0, value, &mut writes);
            }
            Some(Keyspace::Meta) => writes.push(Write::Put {
                key: key.to_vec(),
                value: value.to_vec(),
            }),
            Some(Keyspace::Statistics) => {
                let collection = keyspace::parse_statistics(key)?;
                self.counts.entry(collection).or_default().stored = Statistics::decode(value)?;
            }
            Some(Keyspace::Document) => {
                let (collection, _) = keyspace::parse_document(key)?;
                let mut record = Record::from_stored(Cow::Borrowed(value))?;
                if collection == COLLECTIONS {
                    let stored = StoredCollection::from_document(record.document())?;
                    self.settings.insert(stored.id, stored.settings.clone());
                    record = self.indexes.collection(&record, stored)?.unwrap_or(record);
                } else {
                    let counts = self.counts.entry(collection).or_default();
                    counts.recounted.add(&record);
                    self.indexes.write_rows(collection, &record, &mut writes);
                    writes.extend(self.due_entry(collection, &record)?);
                }
                let version = record.commit_ts().as_micros();
                chunk::put(key.to_vec(), version, record.stored(), &mut writes);
            }
            Some(Keyspace::History) if is_mark(key) => writes.push(Write::Put {
                key: key.to_vec(),
                value: value.to_vec(),
            }),
            Some(Keyspace::History) => earlier_image(key, value, &mut writes)?,
            Some(Keyspace::Log) => chunk::put(key.to_vec(), 0, value, &mut writes),
            Some(Keyspace::Answer) => {
                let answer = idempotency::decode(value).ok_or(EngineError::Corrupt {
                    what: "idempotent answer",
                })?;
                answer.put(&keyspace::parse_answer(key)?, &mut writes);
            }
            Some(Keyspace::Due) => {
                let entry = keyspace::parse_due(key, value)?;
                if entry.kind != DueKind::Erase {
                    return Err(EngineError::Corrupt { what: "due entry" }.into());
                }
                writes.push(entry.put());
            }
            Some(Keyspace::IndexStatistics) => {
                self.indexes
                    .keep_number(keyspace::parse_index_statistics(key)?);
            }
            Some(
                Keyspace::Chunk | Keyspace::AnswerTime | Keyspace::IndexRow | Keyspace::EndedRow,
            )
            | None => {
                return Err(EngineError::Corrupt { what: "key" }.into());
            }
        }
        self.push(writes)
    }

    /// What reminds of when a document is due.
    fn due_entry(
        &self,
        collection: CollectionId,
        record: &Record<'_>,
    ) -> Result<Option<Write>, EngineError> {
        let settings = self.settings.get(&collection);
        let Some((at, kind)) = settings.and_then(|settings| due_of(record, settings)) else {
            return Ok(None);
        };
        let id = DocumentId::new(record.id());
        let entry = DueEntry {
            at,
            kind,
            collection,
            id: id.map_err(|_| EngineError::Corrupt { what: "id" })?,
            erase_before: CommitTs::ZERO,
        };
        Ok(Some(entry.put()))
    }

    fn push(&mut self, writes: impl IntoIterator<Item = Write>) -> Result<(), BackupError> {
        for write in writes {
            if let Write::Put { key, value } = &write {
                self.bytes += key.len() + value.len();
            }
            self.writes.push(write);
        }
        if self.bytes >= BATCH_BYTES || self.writes.len() >= BATCH_WRITES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BackupError> {
        let batch = Batch {
            expected: self.expected,
            head: self.head,
            writes: std::mem::take(&mut self.writes),
        };
        self.bytes = 0;
        match self.backend.commit(&batch) {
            Ok(()) => {}
            Err(CommitError::NotCommitted(error)) => return Err(error.into()),
            Err(CommitError::Fenced { .. }) => return Err(EngineError::Deposed.into()),
            Err(CommitError::Indeterminate(error)) => {
                let reason = error.to_string();
                return Err(EngineError::Indeterminate { reason }.into());
            }
        }
        self.expected = Some(self.head);
        self.head.batch += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<(), BackupError> {
        for (collection, counts) in std::mem::take(&mut self.counts) {
            let mut statistics = counts.stored.corrected(counts.recounted);
            let mut writes = Vec::new();
            log::write_statistics(collection, &mut statistics, &mut writes);
            self.push(writes)?;
        }
        let statistics: Vec<Write> = self.indexes.write_statistics().collect();
        self.push(statistics)?;
        self.push([Write::Delete {
            key: keyspace::restoring(),
        }])?;
        self.flush()
    }
}

fn earlier_image(key: &[u8], value: &[u8], writes: &mut Vec<Write>) -> Result<(), BackupError> {
    let corrupt = EngineError::Corrupt {
        what: "earlier image",
    };
    let (collection, id, written) = keyspace::parse_history(key)?;
    let (until, whole) = value.split_first_chunk::<8>().ok_or(corrupt)?;
    let record = Record::from_stored(Cow::Borrowed(whole))?;
    let until = CommitTs::from_micros(u64::from_be_bytes(*until));
    let owner = keyspace::document(collection, &id);
    chunk::put_chunks(&owner, written.as_micros(), whole, writes);
    writes.push(history::put(collection, &record, until));
    Ok(())
}

/// Whether nothing was ever put into a store.
fn is_empty(reader: &dyn Reader) -> Result<bool, BackupError> {
    let mut is_empty = true;
    scan_all(reader, &mut |key| {
        is_empty = key == keyspace::format();
        if is_empty {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(is_empty)
}

fn scan_all(
    reader: &dyn Reader,
    visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(), BackupError> {
    let (from, to) = (Bound::Unbounded, Bound::Unbounded);
    Ok(reader.scan(from, to, Direction::Forward, &mut |key, _| visit(key))?)
}

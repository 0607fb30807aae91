//! The commit log as it is stored, and the batch that a group of commits becomes.
//!
//! A log entry says which documents a commit wrote. Their images it has by reference: the image after is the current
//! one or in the history under the commit's timestamp, the image before is in the history under its own.

use std::ops::{Bound, ControlFlow};

use rustc_hash::FxHashSet;
use thalweg_model::{CollectionId, CommitTs, DocumentId, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader, Write};

use crate::chunk;
use crate::commit::{Change, Commit};
use crate::error::EngineError;
use crate::history;
use crate::keyspace;
use crate::statistics::Statistics;

const BEFORE: u8 = 1;
const AFTER: u8 = 2;
/// The image before is long, so its chunks go with it.
const BEFORE_IS_LONG: u8 = 4;

/// Appends all that one commit writes, its log entry included.
pub(crate) fn write_commit(commit: &Commit, writes: &mut Vec<Write>) {
    for collection in &commit.emptied {
        let documents = keyspace::documents(*collection);
        // Those of earlier images too: their owner is the document.
        chunk::erase_all(&documents, writes);
        for prefix in [documents, keyspace::histories(*collection)] {
            let to = prefix_end(&prefix).expect("a key does not consist of 0xff bytes");
            writes.push(Write::DeleteRange { from: prefix, to });
        }
    }
    for change in &commit.changes {
        write_change(change, commit.ts, writes);
    }
    chunk::put(keyspace::log(commit.ts), 0, &encode(commit), writes);
}

fn write_change(change: &Change, ts: CommitTs, writes: &mut Vec<Write>) {
    let key = keyspace::document(change.collection, change.id.as_str());
    if let Some(before) = &change.before {
        writes.push(history::put(change.collection, before, ts));
    }
    match &change.after {
        Some(after) => chunk::put(key, ts.as_micros(), after.stored(), writes),
        None => writes.push(Write::Delete { key }),
    }
}

/// Appends what stores the counts of a collection that a group changed.
pub(crate) fn write_statistics(
    collection: CollectionId,
    statistics: &mut Statistics,
    writes: &mut Vec<Write>,
) {
    let key = keyspace::statistics(collection);
    let encoded = statistics.encode();
    if statistics.is_long {
        chunk::erase(&key, 0, writes);
    }
    statistics.is_long = chunk::is_long(encoded.len());
    chunk::put(key, 0, &encoded, writes);
}

fn encode(commit: &Commit) -> Vec<u8> {
    let mut bytes = vec![chunk::WHOLE];
    bytes.extend_from_slice(&length(commit.changes.len()));
    for change in &commit.changes {
        let id = change.id.as_str().as_bytes();
        bytes.extend_from_slice(&change.collection.0.to_be_bytes());
        bytes.push(u8::try_from(id.len()).expect("an id has at most 128 bytes"));
        bytes.extend_from_slice(id);
        let mut flags = 0;
        let mut before_ts = CommitTs::ZERO;
        if let Some(before) = &change.before {
            flags |= BEFORE;
            before_ts = before.commit_ts();
            if chunk::is_long(before.stored().len()) {
                flags |= BEFORE_IS_LONG;
            }
        }
        if change.after.is_some() {
            flags |= AFTER;
        }
        bytes.push(flags);
        bytes.extend_from_slice(&before_ts.as_micros().to_be_bytes());
    }
    bytes.extend_from_slice(&length(commit.emptied.len()));
    for collection in &commit.emptied {
        bytes.extend_from_slice(&collection.0.to_be_bytes());
    }
    bytes
}

fn length(count: usize) -> [u8; 4] {
    u32::try_from(count)
        .expect("a commit has fewer than 2^32 changes")
        .to_be_bytes()
}

/// One document of a log entry.
struct LoggedChange {
    collection: CollectionId,
    id: DocumentId,
    flags: u8,
    before_ts: CommitTs,
}

/// The changes of a log entry; what follows them is not needed to trim.
fn decode_changes(bytes: &[u8]) -> Option<Vec<LoggedChange>> {
    let (count, mut rest) = bytes.get(1..)?.split_first_chunk::<4>()?;
    let mut changes = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (collection, tail) = rest.split_first_chunk::<4>()?;
        let (id_bytes, tail) = tail.split_first()?;
        let (id, tail) = tail.split_at_checked(usize::from(*id_bytes))?;
        let (flags, tail) = tail.split_first()?;
        let (before_ts, tail) = tail.split_first_chunk::<8>()?;
        rest = tail;
        changes.push(LoggedChange {
            collection: CollectionId(u32::from_be_bytes(*collection)),
            id: DocumentId::new(std::str::from_utf8(id).ok()?).ok()?,
            flags: *flags,
            before_ts: CommitTs::from_micros(u64::from_be_bytes(*before_ts)),
        });
    }
    Some(changes)
}

/// The oldest entry of the log.
pub(crate) fn oldest(reader: &dyn Reader) -> Result<Option<CommitTs>, EngineError> {
    let mut oldest = None;
    visit(reader, &mut |ts, _| {
        oldest = Some(ts.ok_or(EngineError::Corrupt { what: "log key" }));
        ControlFlow::Break(())
    })?;
    oldest.transpose()
}

/// How far the log was trimmed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Trimmed {
    /// The last entry that was erased.
    pub(crate) up_to: Option<CommitTs>,
    /// Whether a corrupt entry came next. Which images it refers to is unknown, so the log cannot be trimmed past it.
    pub(crate) is_stuck: bool,
}

/// About what a change takes in a log entry.
const CHANGE_BYTES: usize = 32;

/// Appends what erases the log entries before `horizon`, and the images that only they refer to; at most about
/// `changes_max` documents at a time, but at least one entry.
pub(crate) fn trim(
    reader: &dyn Reader,
    horizon: CommitTs,
    changes_max: usize,
    writes: &mut Vec<Write>,
) -> Result<Trimmed, EngineError> {
    let bytes_max = changes_max.saturating_mul(CHANGE_BYTES);
    let mut trimmed = Trimmed::default();
    let mut entries = Vec::new();
    let mut bytes = 0;
    visit(reader, &mut |ts, stored| {
        // An entry's length tells about how many changes it has, so enough are collected without decoding them.
        let (length, _) = chunk::length(stored);
        let Some(ts) = ts else {
            trimmed.is_stuck = true;
            return ControlFlow::Break(());
        };
        if ts >= horizon || (bytes > 0 && bytes + length > bytes_max) {
            return ControlFlow::Break(());
        }
        bytes += length;
        entries.push((ts, stored.to_vec()));
        ControlFlow::Continue(())
    })?;
    let mut erased = FxHashSet::default();
    for (ts, stored) in &entries {
        let Some(changes) = read_changes(reader, *ts, stored)? else {
            trimmed.is_stuck = true;
            break;
        };
        for change in changes {
            if change.flags & BEFORE != 0 {
                erase_image(&change, &mut erased, writes);
            }
        }
        let (_, is_long) = chunk::length(stored);
        if is_long {
            chunk::erase(&keyspace::log(*ts), 0, writes);
        }
        trimmed.up_to = Some(*ts);
    }
    if let Some(last) = trimmed.up_to {
        writes.push(Write::DeleteRange {
            from: keyspace::logs(),
            to: keyspace::log(last.next()),
        });
    }
    Ok(trimmed)
}

/// The changes of a stored log entry; `None` of a corrupt one.
fn read_changes(
    reader: &dyn Reader,
    ts: CommitTs,
    stored: &[u8],
) -> Result<Option<Vec<LoggedChange>>, EngineError> {
    match chunk::resolve(reader, stored.into(), || keyspace::log(ts)) {
        Ok(entry) => Ok(decode_changes(&entry)),
        Err(EngineError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn erase_image(change: &LoggedChange, erased: &mut FxHashSet<Vec<u8>>, writes: &mut Vec<Write>) {
    let key = keyspace::history(change.collection, change.id.as_str(), change.before_ts);
    if erased.insert(key.clone()) {
        writes.push(Write::Delete { key });
        if change.flags & BEFORE_IS_LONG != 0 {
            let owner = keyspace::document(change.collection, change.id.as_str());
            chunk::erase(&owner, change.before_ts.as_micros(), writes);
        }
    }
}

/// Is shown an entry: its commit, unless its key is corrupt, and its stored bytes.
type Visitor<'v> = dyn FnMut(Option<CommitTs>, &[u8]) -> ControlFlow<()> + 'v;

/// Visits the entries in order.
fn visit(reader: &dyn Reader, visit: &mut Visitor<'_>) -> Result<(), EngineError> {
    let prefix = keyspace::logs();
    let end = prefix_end(&prefix).expect("a log key does not consist of 0xff bytes");
    reader.scan(
        Bound::Included(&prefix),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, stored| {
            let ts = key.get(prefix.len()..).and_then(|ts| ts.try_into().ok());
            let ts = ts.map(|ts| CommitTs::from_micros(u64::from_be_bytes(ts)));
            visit(ts, &stored)
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;

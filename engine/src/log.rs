//! The commit log as it is stored, and the batch that a group of commits becomes.
//!
//! A log entry says which documents a commit wrote. Their images it has by reference: the image after is the current
//! one or in the history under the commit's timestamp, the image before is in the history under its own.

use std::collections::hash_map::Entry;
use std::ops::{Bound, ControlFlow};

use rustc_hash::FxHashMap;
use thalweg_model::{CollectionId, CommitTs, prefix_end};
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
        for prefix in [
            keyspace::documents(*collection),
            keyspace::histories(*collection),
        ] {
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

/// Appends what stores the counts of the collections that a group changed.
pub(crate) fn write_statistics(
    statistics: &FxHashMap<CollectionId, Statistics>,
    writes: &mut Vec<Write>,
) {
    for (collection, statistics) in statistics {
        let key = keyspace::statistics(*collection);
        chunk::erase(&key, 0, writes);
        chunk::put(key, 0, &statistics.encode(), writes);
    }
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
    id: String,
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
            id: std::str::from_utf8(id).ok()?.to_owned(),
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
        oldest = Some(ts);
        ControlFlow::Break(())
    })?;
    Ok(oldest)
}

/// Appends what erases the log entries before `horizon`, and the images that only they refer to; at most about
/// `changes_max` documents at a time, but at least one entry. Returns up to where the log is trimmed then.
pub(crate) fn trim(
    reader: &dyn Reader,
    horizon: CommitTs,
    changes_max: usize,
    writes: &mut Vec<Write>,
) -> Result<Option<CommitTs>, EngineError> {
    let mut entries = Vec::new();
    let mut bytes = 0;
    visit(reader, &mut |ts, stored| {
        // An entry's bytes bound its changes from above, so enough entries are collected without decoding them.
        if ts >= horizon || bytes > changes_max * size_of::<LoggedChange>() {
            return ControlFlow::Break(());
        }
        bytes += stored.len();
        entries.push((ts, stored.to_vec()));
        ControlFlow::Continue(())
    })?;
    let mut erased = FxHashMap::default();
    for (ts, stored) in &entries {
        let key = keyspace::log(*ts);
        let entry = chunk::resolve(reader, stored.as_slice().into(), || key.clone())?;
        let corrupt = EngineError::Corrupt { what: "log entry" };
        for change in decode_changes(&entry).ok_or(corrupt)? {
            if change.flags & BEFORE != 0 {
                erase_image(&change, &mut erased, writes);
            }
        }
        chunk::erase(&key, 0, writes);
        writes.push(Write::Delete { key });
    }
    Ok(entries.last().map(|(ts, _)| *ts))
}

fn erase_image(
    change: &LoggedChange,
    erased: &mut FxHashMap<Vec<u8>, ()>,
    writes: &mut Vec<Write>,
) {
    let key = keyspace::history(change.collection, &change.id, change.before_ts);
    if let Entry::Vacant(vacant) = erased.entry(key) {
        writes.push(Write::Delete {
            key: vacant.key().clone(),
        });
        vacant.insert(());
        if change.flags & BEFORE_IS_LONG != 0 {
            let owner = keyspace::document(change.collection, &change.id);
            chunk::erase(&owner, change.before_ts.as_micros(), writes);
        }
    }
}

fn visit(
    reader: &dyn Reader,
    visit: &mut dyn FnMut(CommitTs, &[u8]) -> ControlFlow<()>,
) -> Result<(), EngineError> {
    let prefix = keyspace::logs();
    let end = prefix_end(&prefix).expect("a log key does not consist of 0xff bytes");
    let mut corrupt = false;
    reader.scan(
        Bound::Included(&prefix),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, stored| match key[prefix.len()..].try_into() {
            Ok(ts) => visit(CommitTs::from_micros(u64::from_be_bytes(ts)), &stored),
            Err(_) => {
                corrupt = true;
                ControlFlow::Break(())
            }
        },
    )?;
    if corrupt {
        Err(EngineError::Corrupt { what: "log key" })
    } else {
        Ok(())
    }
}

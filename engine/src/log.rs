//! The commit log as it is stored, and the batch that a group of commits becomes.
//!
//! A log entry says which documents a commit wrote, and what it did to each ([`ChangeKind`](crate::ChangeKind)). Their images it has by reference: the image after is the current
//! one or in the history under the commit's timestamp, the image before is in the history under its own.

pub(crate) mod entry;
pub(crate) mod read;

use std::borrow::Cow;
use std::ops::{Bound, ControlFlow};
use std::time::Duration;

use rustc_hash::FxHashSet;
use thalweg_model::{CollectionId, CommitTs, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader, Write};

use crate::catalog::Catalog;
use crate::chunk;
use crate::commit::{Change, Commit};
use crate::due;
use crate::error::EngineError;
use crate::history;
use crate::index;
use crate::keyspace;
use crate::settings::Settings;
use crate::statistics::Statistics;

use entry::{Entry, LoggedChange};
pub use read::LoggedCommit;

/// Appends all that one commit writes, its log entry included. `window` is the recovery window.
pub(crate) fn write_commit(
    commit: &Commit,
    catalog: &Catalog,
    window: Duration,
    writes: &mut Vec<Write>,
) {
    for collection in &commit.emptied {
        let documents = keyspace::documents(*collection);
        // Those of earlier images too: their owner is the document.
        chunk::erase_all(&documents, writes);
        for prefix in [documents, keyspace::histories(*collection)] {
            let to = prefix_end(&prefix).expect("a key does not consist of 0xff bytes");
            writes.push(Write::DeleteRange { from: prefix, to });
        }
    }
    let by_default = Settings::default();
    for change in &commit.changes {
        write_change(change, commit.ts, writes);
        let found = catalog.by_id(change.collection);
        let settings = found.map_or(&by_default, |collection| &collection.settings);
        due::write_change(change, settings, commit.ts, window, writes);
    }
    chunk::put(keyspace::log(commit.ts), 0, &entry::encode(commit), writes);
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

/// The oldest entry of the log.
pub(crate) fn oldest(reader: &dyn Reader) -> Result<Option<CommitTs>, EngineError> {
    let mut oldest = None;
    visit(reader, CommitTs::ZERO, &mut |ts, _| {
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

/// About what a change takes in a log entry, its share of the entry included.
const CHANGE_BYTES: usize = 64;

/// Appends what erases the log entries from `from` on and before `horizon`, and with them the images that they refer to of collections
/// whose history goes with the log; at most about `changes_max` documents at a time, but at least one entry.
pub(crate) fn trim(
    reader: &dyn Reader,
    catalog: &Catalog,
    (from, horizon): (CommitTs, CommitTs),
    changes_max: usize,
    goes_with_log: &dyn Fn(CollectionId) -> bool,
    writes: &mut Vec<Write>,
) -> Result<Trimmed, EngineError> {
    let bytes_max = changes_max.saturating_mul(CHANGE_BYTES);
    let mut trimmed = Trimmed::default();
    let mut entries = Vec::new();
    let mut bytes = 0;
    visit(reader, from, &mut |ts, stored| {
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
    let mut erased_of = FxHashSet::default();
    for (ts, stored) in &entries {
        let whole = whole(reader, *ts, stored)?;
        let Some(entry) = whole.as_deref().and_then(Entry::decode) else {
            trimmed.is_stuck = true;
            break;
        };
        let changes = entry.changes();
        for change in changes.filter(|change| goes_with_log(change.collection)) {
            erase_ended_rows(reader, catalog, &change, *ts, writes)?;
            if erase_image(&change, &mut erased, writes) {
                erased_of.insert(change.collection);
            }
        }
        let (_, is_long) = chunk::length(stored);
        if is_long {
            chunk::erase(&keyspace::log(*ts), 0, writes);
        }
        trimmed.up_to = Some(*ts);
    }
    if let Some(last) = trimmed.up_to {
        for collection in erased_of {
            writes.push(Write::Put {
                key: keyspace::images_trimmed(collection),
                value: last.as_micros().to_be_bytes().to_vec(),
            });
        }
        writes.push(Write::DeleteRange {
            from: keyspace::logs(),
            to: keyspace::log(last.next()),
        });
    }
    Ok(trimmed)
}

/// The whole bytes of a stored log entry; `None` of a corrupt one.
fn whole<'s>(
    reader: &'s dyn Reader,
    ts: CommitTs,
    stored: &'s [u8],
) -> Result<Option<Cow<'s, [u8]>>, EngineError> {
    match chunk::resolve(reader, stored.into(), || keyspace::log(ts)) {
        Ok(whole) => Ok(Some(whole)),
        Err(EngineError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Erases the image before a change, if there is one and it has not been erased with another entry.
fn erase_image(
    change: &LoggedChange<'_>,
    erased: &mut FxHashSet<Vec<u8>>,
    writes: &mut Vec<Write>,
) -> bool {
    let Some(written) = change.before() else {
        return false;
    };
    let key = keyspace::history(change.collection, change.id, written);
    if !erased.insert(key) {
        return false;
    }
    let (collection, id) = (change.collection, change.id);
    history::erase(collection, id, written, change.before_is_long(), writes);
    true
}

/// Appends what erases the index rows that ended with the image before a change.
fn erase_ended_rows(
    reader: &dyn Reader,
    catalog: &Catalog,
    change: &LoggedChange<'_>,
    until: CommitTs,
    writes: &mut Vec<Write>,
) -> Result<(), EngineError> {
    let collection = catalog.by_id(change.collection);
    let indexes = collection.map_or(&[][..], |collection| &collection.indexes);
    let Some(written) = change.before().filter(|_| !indexes.is_empty()) else {
        return Ok(());
    };
    match history::image(reader, change.collection, change.id, written) {
        Ok(Some(image)) => index::writer::erase_ended(indexes, &image, until, writes),
        // Its rows cannot be told; they are candidates for an image that will not be there.
        Ok(None) | Err(EngineError::Corrupt { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Is shown an entry: its commit, unless its key is corrupt, and its stored bytes.
type Visitor<'v> = dyn FnMut(Option<CommitTs>, &[u8]) -> ControlFlow<()> + 'v;

/// Visits the entries from a commit on, in order. Those that come before need not be stepped over: they may be erased,
/// but not durably so.
fn visit(reader: &dyn Reader, from: CommitTs, visit: &mut Visitor<'_>) -> Result<(), EngineError> {
    // From the start on, keys that are not whole are seen too.
    let first = match from {
        CommitTs::ZERO => keyspace::logs(),
        from => keyspace::log(from),
    };
    let end = prefix_end(&keyspace::logs()).expect("a log key does not consist of 0xff bytes");
    reader.scan(
        Bound::Included(&first),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, stored| visit(keyspace::parse_log(key), &stored),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;

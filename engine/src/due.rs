//! What is to be done at a time: documents that expire, that are purged, and whose hidden history is erased.
//!
//! A due entry is a key `due/time/kind/collection/id`, written in the commit that writes the document. Its value is empty
//! but for erasing, where it says up to which commit. It is a reminder, not a decision: when its time has come, the committer looks at the document and the settings as
//! they are then ([`due_of`]) and does what they say, so an entry that is out of date does nothing. What must hold is
//! that whatever becomes due has an entry at that time.

use std::ops::{Bound, ControlFlow};
use std::time::Duration;

use thalweg_model::{CollectionId, CommitTs, DocumentId, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader, Write};

use crate::catalog::COLLECTIONS;
use crate::commit::Change;
use crate::duration;
use crate::error::EngineError;
use crate::keyspace;
use crate::record::Record;
use crate::settings::Settings;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum DueKind {
    /// A document expires.
    Expire = 1,
    /// A softly deleted document is deleted for good.
    Purge = 2,
    /// The history of a document that was deleted for good is erased.
    Erase = 3,
}

impl DueKind {
    pub(crate) fn decode(byte: u8) -> Option<DueKind> {
        match byte {
            1 => Some(DueKind::Expire),
            2 => Some(DueKind::Purge),
            3 => Some(DueKind::Erase),
            _ => None,
        }
    }
}

/// A reminder to look at a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DueEntry {
    /// Microseconds since the Unix epoch.
    pub(crate) at: u64,
    pub(crate) kind: DueKind,
    pub(crate) collection: CollectionId,
    pub(crate) id: DocumentId,
    /// What was written before then is erased; zero where nothing is.
    pub(crate) erase_before: CommitTs,
}

impl DueEntry {
    pub(crate) fn key(&self) -> Vec<u8> {
        keyspace::due(self.at, self.kind, self.collection, self.id.as_str())
    }

    pub(crate) fn put(&self) -> Write {
        Write::Put {
            key: self.key(),
            value: match self.kind {
                DueKind::Erase => self.erase_before.as_micros().to_be_bytes().to_vec(),
                DueKind::Expire | DueKind::Purge => Vec::new(),
            },
        }
    }

    pub(crate) fn delete(&self) -> Write {
        Write::Delete { key: self.key() }
    }
}

/// When something is to be done to a document in that state, and what.
pub(crate) fn due_of(record: &Record<'_>, settings: &Settings) -> Option<(u64, DueKind)> {
    if record.is_deleted() {
        Some((settings.purges_at(record)?, DueKind::Purge))
    } else {
        Some((settings.expires_at(record)?, DueKind::Expire))
    }
}

/// When a change makes something due, by the settings of its collection.
pub(crate) fn due_after(
    change: &Change,
    settings: &Settings,
    ts: CommitTs,
    window: Duration,
) -> Option<u64> {
    let erase = hides_history(change).then(|| erase_at(ts, window));
    let after = change.after.as_deref();
    let due = after.and_then(|after| due_of(after, settings));
    due.map(|(at, _)| at).into_iter().chain(erase).min()
}

/// Whether a change hides the history of its document. That of the system's collections stays: what a collection was
/// called is not forgotten with it.
fn hides_history(change: &Change) -> bool {
    change.erases() && change.collection != COLLECTIONS
}

fn erase_at(deleted: CommitTs, window: Duration) -> u64 {
    deleted.as_micros().saturating_add(duration::micros(window))
}

/// Appends the due entries that a change makes and unmakes. A document that is deleted for good has its history
/// hidden from then on.
pub(crate) fn write_change(
    change: &Change,
    settings: &Settings,
    ts: CommitTs,
    window: Duration,
    writes: &mut Vec<Write>,
) {
    let entry = |(at, kind)| DueEntry {
        at,
        kind,
        collection: change.collection,
        id: change.id.clone(),
        erase_before: ts,
    };
    let due = |image: &Record<'_>| due_of(image, settings);
    let before = change.before.as_deref().and_then(due);
    let after = change.after.as_deref().and_then(due);
    if before != after {
        writes.extend(before.map(|due| entry(due).delete()));
        writes.extend(after.map(|due| entry(due).put()));
    }
    if hides_history(change) {
        writes.push(Write::Put {
            key: keyspace::erased(change.collection, change.id.as_str()),
            value: ts.as_micros().to_be_bytes().to_vec(),
        });
        writes.push(entry((erase_at(ts, window), DueKind::Erase)).put());
    }
}

/// The first entries whose time has come by `now`, in order, and when the first of the others is due. Those that erase
/// are left out where erasing is held back.
pub(crate) fn first_due(
    reader: &dyn Reader,
    now: u64,
    entries_max: usize,
    is_held_back: bool,
) -> Result<(Vec<DueEntry>, Option<u64>), EngineError> {
    let mut entries = Vec::new();
    let mut next = None;
    let mut failure = None;
    let prefix = keyspace::dues();
    let end = prefix_end(&prefix).expect("a due key does not consist of 0xff bytes");
    reader.scan(
        Bound::Included(&prefix),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, value| {
            match keyspace::parse_due(key, &value) {
                Ok(entry) if is_held_back && entry.kind == DueKind::Erase => {
                    return ControlFlow::Continue(());
                }
                Ok(entry) if entry.at <= now && entries.len() < entries_max => {
                    entries.push(entry);
                    return ControlFlow::Continue(());
                }
                Ok(entry) => next = Some(entry.at),
                Err(error) => failure = Some(error),
            }
            ControlFlow::Break(())
        },
    )?;
    failure.map_or(Ok((entries, next)), Err)
}

//! Reading commits back from the log, with their images.
//!
//! Within the recovery window every image that an entry refers to is there, but for one case: emptying a collection at
//! once erases its images at once. The changes that the collection had before are then told without images, and the
//! emptying is among the commits that follow.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use thalweg_model::{CommitTs, DocumentId, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader};

use super::entry::{Entry, LoggedChange};
use crate::chunk;
use crate::commit::{Change, Commit};
use crate::error::EngineError;
use crate::group::Image;
use crate::history;
use crate::keyspace;
use crate::snapshot::{Snapshot, read_document};

/// A commit as the log tells it.
#[derive(Clone, Debug)]
pub struct LoggedCommit {
    /// The commit, byte for byte the one that was published, except that it has no catalog, and that a change whose
    /// images were erased when its collection was emptied later has none.
    pub commit: Arc<Commit>,
    /// Whether it made another catalog, which is to be read from the store.
    pub changes_catalog: bool,
}

/// How many entries are looked at together, at most.
const ENTRIES_MAX: usize = 1024;

/// The stored bytes of the entries after `after`, in order: about `bytes_max` bytes of them, but at least one.
///
/// Refuses to skip what has been erased: [`EngineError::ChangesGone`].
pub(crate) fn entries(
    snapshot: &Snapshot,
    after: CommitTs,
    bytes_max: usize,
) -> Result<Vec<(CommitTs, Vec<u8>)>, EngineError> {
    let reader = snapshot.reader();
    let oldest = history::trimmed(reader)?;
    if after < oldest {
        return Err(EngineError::ChangesGone { oldest });
    }
    let prefix = keyspace::logs();
    let end = prefix_end(&prefix).expect("a log key does not consist of 0xff bytes");
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut failure = None;
    reader.scan(
        Bound::Excluded(&keyspace::log(after)),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, stored| {
            let Some(ts) = keyspace::parse_log(key) else {
                failure = Some(EngineError::Corrupt { what: "log key" });
                return ControlFlow::Break(());
            };
            let (length, _) = chunk::length(&stored);
            if bytes > 0 && (bytes + length > bytes_max || found.len() >= ENTRIES_MAX) {
                return ControlFlow::Break(());
            }
            bytes += length;
            found.push((ts, stored.into_owned()));
            ControlFlow::Continue(())
        },
    )?;
    failure.map_or(Ok(found), Err)
}

/// The whole bytes of a stored entry, to be decoded.
pub(crate) fn whole(
    reader: &dyn Reader,
    ts: CommitTs,
    stored: Vec<u8>,
) -> Result<Vec<u8>, EngineError> {
    Ok(chunk::resolve(reader, stored.into(), || keyspace::log(ts))?.into_owned())
}

/// What a checked entry says; an error of a corrupt one.
pub(crate) fn decode(whole: &[u8]) -> Result<Entry<'_>, EngineError> {
    Entry::decode(whole).ok_or(EngineError::Corrupt { what: "log entry" })
}

/// The commits after `after`, in order: about `bytes_max` bytes of them, but at least one; none at the log's end.
pub(crate) fn commits(
    snapshot: &Snapshot,
    after: CommitTs,
    bytes_max: usize,
) -> Result<Vec<LoggedCommit>, EngineError> {
    let mut commits = Vec::new();
    let mut bytes = 0;
    for (ts, stored) in entries(snapshot, after, bytes_max)? {
        if bytes >= bytes_max && !commits.is_empty() {
            break;
        }
        let whole = whole(snapshot.reader(), ts, stored)?;
        let entry = decode(&whole)?;
        let mut changes = Vec::new();
        for logged in entry.changes() {
            changes.push(Change {
                collection: logged.collection,
                id: DocumentId::new(logged.id).map_err(|_| EngineError::Corrupt { what: "id" })?,
                before: before(snapshot, ts, &logged)?,
                after: after_image(snapshot, ts, &logged)?,
            });
        }
        let commit = Commit {
            ts,
            changes,
            emptied: entry.emptied.clone(),
            catalog: None,
        };
        bytes += commit.bytes();
        commits.push(LoggedCommit {
            commit: Arc::new(commit),
            changes_catalog: entry.changes_catalog,
        });
    }
    Ok(commits)
}

/// The image before a change of the commit at `ts`; `None` where there is none, or none any more.
pub(crate) fn before(
    snapshot: &Snapshot,
    ts: CommitTs,
    change: &LoggedChange<'_>,
) -> Result<Image, EngineError> {
    let Some(written) = change.before() else {
        return Ok(None);
    };
    let found = history::image(snapshot.reader(), change.collection, change.id, written)?;
    found_or_erased(snapshot, ts, change, found.map(Arc::new))
}

/// The image after a change of the commit at `ts`; `None` where there is none, or none any more.
pub(crate) fn after_image(
    snapshot: &Snapshot,
    ts: CommitTs,
    change: &LoggedChange<'_>,
) -> Result<Image, EngineError> {
    if !change.has_after() {
        return Ok(None);
    }
    let reader = snapshot.reader();
    let current = read_document(reader, change.collection, change.id)?;
    let found = match current.filter(|record| record.commit_ts() == ts) {
        Some(record) => Some(record.into_owned()),
        None => history::image(reader, change.collection, change.id, ts)?,
    };
    found_or_erased(snapshot, ts, change, found.map(Arc::new))
}

/// An image may be missing only where its collection has been emptied since.
fn found_or_erased(
    snapshot: &Snapshot,
    ts: CommitTs,
    change: &LoggedChange<'_>,
    found: Image,
) -> Result<Image, EngineError> {
    if found.is_some() || snapshot.emptied_ts(change.collection)? > ts {
        return Ok(found);
    }
    Err(EngineError::Corrupt {
        what: "log entry's image",
    })
}

//! Reading commits back from the log, with their images.
//!
//! Within the recovery window every image that an entry refers to is there, but for one case: emptying a collection at
//! once erases its images at once. After the window the log may for a while be behind the history with erasing. A
//! change whose images are gone is told without them; then a commit that follows says what became of the document: the
//! current image is always there.

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
    /// The commit, byte for byte the one that was published, except that it has no catalog, and that images which
    /// have been erased since are missing.
    pub commit: Arc<Commit>,
    /// Whether images are missing, so that the commit may have touched more than it says.
    pub lacks_images: bool,
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
        let mut lacks_images = false;
        for logged in entry.changes() {
            let before = image_before(snapshot, &logged)?;
            let after = image_after(snapshot, ts, &logged)?;
            lacks_images |= before.is_some() != logged.before().is_some();
            lacks_images |= after.is_some() != logged.has_after();
            changes.push(Change {
                collection: logged.collection,
                id: DocumentId::new(logged.id).map_err(|_| EngineError::Corrupt { what: "id" })?,
                before,
                after,
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
            lacks_images,
            changes_catalog: entry.changes_catalog,
        });
    }
    Ok(commits)
}

/// The image before a change; `None` where there is none, or none any more.
pub(crate) fn image_before(
    snapshot: &Snapshot,
    change: &LoggedChange<'_>,
) -> Result<Image, EngineError> {
    let Some(written) = change.before() else {
        return Ok(None);
    };
    let found = history::image(snapshot.reader(), change.collection, change.id, written)?;
    Ok(found.map(Arc::new))
}

/// The image after a change of the commit at `ts`; `None` where there is none, or none any more.
pub(crate) fn image_after(
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
    Ok(found.map(Arc::new))
}

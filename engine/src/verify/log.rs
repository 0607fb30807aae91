//! The commit log: it goes on from where it was trimmed to the head, and the images that it refers to are there.
//!
//! The log may for a while be behind the history with erasing. An image may be missing that ended before its
//! collection's history is kept, or that was written before its document was deleted for good, which a later entry tells
//! in both cases.

use std::borrow::Cow;
use std::collections::BTreeMap;

use thalweg_model::{CollectionId, CommitTs};

use super::{FindingKind, Store, document_name, log_key_exists, name};
use crate::catalog::COLLECTIONS;
use crate::error::EngineError;
use crate::history;
use crate::keyspace::{self, Keyspace};
use crate::log::entry::{Entry, LoggedChange};
use crate::snapshot::read_statistics;

pub(super) fn check(store: &mut Store<'_>) -> Result<(), EngineError> {
    let mut missing = AllMissing::default();
    store.scan(Keyspace::Log, &mut |store, key, stored| {
        check_entry(store, &mut missing, key, stored)
    })?;
    missing.tell(store);
    let head = store.head.commit_ts;
    let trimmed = store.trimmed;
    if trimmed != CommitTs::MAX && trimmed > head {
        store.find(
            FindingKind::Meta,
            "trim mark",
            "it is after the newest commit",
        );
    }
    if head > trimmed && !log_key_exists(store.reader, head)? {
        store.find(
            FindingKind::Head,
            head.to_string(),
            "the log lacks the newest commit",
        );
    }
    Ok(())
}

fn check_entry<'r>(
    store: &mut Store<'r>,
    missing: &mut AllMissing,
    key: &[u8],
    stored: Cow<'r, [u8]>,
) -> Result<(), EngineError> {
    store.done.log_entries += 1;
    let kind = FindingKind::Log;
    let Some(ts) = keyspace::parse_log(key) else {
        store.find(FindingKind::Key, name(key), "it is no key of a log entry");
        return Ok(());
    };
    let place = format!("commit {ts}");
    if ts > store.head.commit_ts {
        store.find(kind, &place, "it is after the newest commit");
    }
    if store.trimmed != CommitTs::MAX && ts <= store.trimmed {
        store.find(kind, &place, "it should have been trimmed");
    }
    let Some(whole) = store.whole(kind, &place, stored, key)? else {
        return Ok(());
    };
    let Some(entry) = Entry::decode(&whole) else {
        store.find(kind, &place, "it cannot be read");
        return Ok(());
    };
    let mut changes = entry.changes();
    changes.try_for_each(|change| missing.check(store, &change, ts))
}

/// An image that a logged change refers to and that is not there.
struct Missing {
    /// The change's commit.
    ts: CommitTs,
    /// Which image of the change.
    which: &'static str,
    written: CommitTs,
}

/// Images that are not there, until a later change tells why.
#[derive(Default)]
struct AllMissing(BTreeMap<(CollectionId, String), Vec<Missing>>);

impl AllMissing {
    fn check(
        &mut self,
        store: &mut Store<'_>,
        change: &LoggedChange<'_>,
        ts: CommitTs,
    ) -> Result<(), EngineError> {
        let (collection, id) = (change.collection, change.id);
        let emptied_ts = match read_statistics(store.reader, collection) {
            Ok(statistics) if collection != COLLECTIONS => statistics.emptied_ts,
            Ok(_) => CommitTs::ZERO,
            // It is a finding of its own.
            Err(EngineError::Corrupt { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        // Whoever empties a collection at once takes what was there before with it.
        if ts < emptied_ts {
            return Ok(());
        }
        let key = (collection, id.to_owned());
        if let Some(written) = change.before() {
            let stored = store
                .reader
                .get(&keyspace::history(collection, id, written))?;
            let until = ts.as_micros().to_be_bytes();
            if !stored.is_some_and(|value| value.starts_with(&until)) {
                self.0.entry(key.clone()).or_default().push(Missing {
                    ts,
                    which: "before",
                    written,
                });
            }
        }
        if let Some(missing) = self.0.get_mut(&key) {
            if ts <= store.kept_from(collection)? {
                missing.retain(|image| change.before() != Some(image.written));
            }
            if erases(store, change, ts)? {
                missing.retain(|image| image.written >= ts);
            }
        }
        if change.has_after() && !has_after(store, change, ts)? {
            self.0.entry(key).or_default().push(Missing {
                ts,
                which: "after",
                written: ts,
            });
        }
        Ok(())
    }

    /// Those that nothing explains.
    fn tell(self, store: &mut Store<'_>) {
        for ((collection, id), missing) in self.0 {
            for Missing { ts, which, .. } in missing {
                let document = document_name(collection, &id);
                let detail = format!("the image {which} it of {document} is not there");
                store.find(FindingKind::Log, format!("commit {ts}"), detail);
            }
        }
    }
}

fn has_after(
    store: &Store<'_>,
    change: &LoggedChange<'_>,
    ts: CommitTs,
) -> Result<bool, EngineError> {
    let current = store.current(change.collection, change.id)?;
    if current.is_some_and(|record| record.commit_ts() == ts) {
        return Ok(true);
    }
    let earlier = keyspace::history(change.collection, change.id, ts);
    Ok(store.reader.get(&earlier)?.is_some())
}

/// Whether a change deletes its document for good, so that what was there before may have been erased. If another
/// document takes the id at once, its first version tells.
fn erases(store: &Store<'_>, change: &LoggedChange<'_>, ts: CommitTs) -> Result<bool, EngineError> {
    let (collection, id) = (change.collection, change.id);
    if collection == COLLECTIONS || change.before().is_none() {
        return Ok(false);
    }
    if !change.has_after() {
        return Ok(true);
    }
    let current = store.current(collection, id)?;
    let after = match current.filter(|record| record.commit_ts() == ts) {
        Some(record) => Some(record.version()),
        None => match history::image(store.reader, collection, id, ts) {
            Ok(image) => image.map(|record| record.version()),
            Err(EngineError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        },
    };
    Ok(after == Some(1))
}

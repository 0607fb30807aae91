//! Due entries: whatever will be done to a document at a time has its reminder at that time, and so has every history
//! that is hidden. A reminder without a reason does no harm: what is due is decided anew when its time comes.

use thalweg_model::CollectionId;

use super::{FindingKind, Store, document_name, found_or, name};
use crate::due::{DueKind, due_of};
use crate::error::EngineError;
use crate::keyspace::{self, Keyspace};
use crate::record::Record;

/// Checks that a document will be expired or purged when it is due.
pub(super) fn check_document(
    store: &mut Store<'_>,
    place: &str,
    collection: CollectionId,
    record: &Record<'_>,
) -> Result<(), EngineError> {
    let settings = store.settings.get(&collection);
    let Some((at, kind)) = settings.and_then(|settings| due_of(record, settings)) else {
        return Ok(());
    };
    let entry = keyspace::due(at, kind, collection, record.id());
    if store.reader.get(&entry)?.is_some() {
        return Ok(());
    }
    // After a change of the settings, existing documents get their entries in the order of their ids.
    let scheduled = store.reader.get(&keyspace::scheduling(collection))?;
    if scheduled.is_some_and(|up_to| up_to.is_empty() || *up_to < *record.id().as_bytes()) {
        return Ok(());
    }
    let what = match kind {
        DueKind::Expire => "it expires",
        DueKind::Purge => "it is purged",
        DueKind::Erase => "its history is erased",
    };
    let detail = format!("{what} at {at}, but nothing reminds of it");
    store.find(FindingKind::Due, place, detail);
    Ok(())
}

pub(super) fn check(store: &mut Store<'_>) -> Result<(), EngineError> {
    let kind = FindingKind::Due;
    store.scan(Keyspace::Due, &mut |store, key, value| {
        if keyspace::parse_due(key, &[]).is_err() {
            store.find(FindingKind::Key, name(key), "it is no key of a due entry");
            return Ok(());
        }
        let parsed = keyspace::parse_due(key, &value);
        let place = || name(key);
        let Some(entry) = found_or(&mut store.findings, kind, parsed, place)? else {
            return Ok(());
        };
        let says_when = entry.erase_before.as_micros() > 0;
        if says_when != (entry.kind == DueKind::Erase) || entry.erase_before > store.head.commit_ts
        {
            let detail = format!("it erases what is before {}", entry.erase_before);
            store.find(kind, name(key), detail);
        }
        let document = (entry.collection, entry.id.as_str().to_owned());
        if store.marks.get(&document) == Some(&entry.erase_before) {
            store.marks.remove(&document);
        }
        Ok(())
    })?;
    for ((collection, id), erased) in std::mem::take(&mut store.marks) {
        let detail = format!("its history up to {erased} is hidden, but will never be erased");
        store.find(kind, document_name(collection, &id), detail);
    }
    Ok(())
}

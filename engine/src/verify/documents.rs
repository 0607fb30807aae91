//! Current images: each is one that a writer wrote, and lies where it belongs.

use std::borrow::Cow;

use thalweg_model::{CollectionId, CommitTs};

use super::{FindingKind, Store, document_name, due, indexes, log_key_exists, name};
use crate::catalog::{COLLECTIONS, StoredCollection};
use crate::declared::Way;
use crate::error::EngineError;
use crate::keyspace::{self, Keyspace};
use crate::record::Record;
use crate::statistics::Statistics;

/// The catalog's own documents come first, since their collection has the lowest number.
pub(super) fn check(store: &mut Store<'_>) -> Result<(), EngineError> {
    store.scan(Keyspace::Document, &mut check_document)
}

fn check_document<'r>(
    store: &mut Store<'r>,
    key: &[u8],
    stored: Cow<'r, [u8]>,
) -> Result<(), EngineError> {
    let Ok((collection, id)) = keyspace::parse_document(key) else {
        store.find(FindingKind::Key, name(key), "it is no key of a document");
        return Ok(());
    };
    let kind = if collection == COLLECTIONS {
        FindingKind::Collection
    } else {
        FindingKind::Document
    };
    let place = document_name(collection, id);
    let Some(record) = store.image(kind, &place, stored, key)? else {
        return Ok(());
    };
    if record.id() != id {
        store.find(
            kind,
            &place,
            format!("it says that its id is {:?}", record.id()),
        );
    }
    check_fields(store, kind, &place, &record);
    let ts = record.commit_ts();
    if ts > store.trimmed && ts <= store.head.commit_ts && !log_key_exists(store.reader, ts)? {
        store.find(
            kind,
            &place,
            format!("the log lacks the commit {ts} that wrote it"),
        );
    }
    if collection == COLLECTIONS {
        check_collection(store, &place, &record)?;
    } else {
        indexes::check_document(store, &place, collection, &record)?;
        due::check_document(store, &place, collection, &record)?;
        check_declared(store, &place, collection, &record)?;
        store.done.documents += 1;
        match store.counted.get_mut(&collection) {
            Some(counted) => counted.add(&record),
            None => store.find(kind, &place, "there is no such collection"),
        }
    }
    Ok(())
}

/// Checks that a document satisfies what is declared of its collection, but for what the engine still does to it.
fn check_declared(
    store: &mut Store<'_>,
    place: &str,
    collection: CollectionId,
    record: &Record<'_>,
) -> Result<(), EngineError> {
    let Some(declared) = store.declared.get(&collection) else {
        return Ok(());
    };
    let document = record.to_document()?;
    let document = match declared.backfills.is_empty() {
        true => Cow::Borrowed(&document),
        false => declared.conform(&document, Way::Whole, record.commit_ts())?,
    };
    let mistakes = declared.check(document.root());
    if !mistakes.is_empty() {
        store.find(FindingKind::Document, place, mistakes.to_string());
    }
    Ok(())
}

/// What holds of the system fields of every image.
pub(super) fn check_fields(
    store: &mut Store<'_>,
    kind: FindingKind,
    place: &str,
    record: &Record<'_>,
) {
    if record.version() == 0 {
        store.find(kind, place, "it has version 0");
    }
    if record.commit_ts() == CommitTs::ZERO || record.created_at() > record.updated_at() {
        store.find(kind, place, "it was written before it was created");
    }
}

fn check_collection(
    store: &mut Store<'_>,
    place: &str,
    record: &Record<'_>,
) -> Result<(), EngineError> {
    store.done.collections += 1;
    let collection = match StoredCollection::from_document(record.document()) {
        Ok(collection) => collection,
        Err(error) => {
            store.find(FindingKind::Collection, place, error.to_string());
            return Ok(());
        }
    };
    if StoredCollection::document_id(collection.id).as_str() != record.id() {
        let detail = format!("it describes collection {}", collection.id);
        store.find(FindingKind::Collection, place, detail);
    }
    store.counted.insert(collection.id, Statistics::default());
    store.settings.insert(collection.id, collection.settings);
    if let Some(declared) = collection.declared {
        store.declared.insert(collection.id, declared);
    }
    indexes::note(store, collection.id, &collection.indexes)
}

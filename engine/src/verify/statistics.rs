//! Counts and shapes equal those of the documents, and the registry knows every name that follows from them.

use std::borrow::Cow;

use super::{FindingKind, Store, found_or, name};
use crate::catalog::COLLECTIONS;
use crate::chunk;
use crate::error::EngineError;
use crate::keyspace::{self, Keyspace};
use crate::load::load;
use crate::statistics::Statistics;

pub(super) fn check(store: &mut Store<'_>) -> Result<(), EngineError> {
    store.scan(Keyspace::Statistics, &mut check_collection)?;
    // Those without stored statistics are left.
    let uncounted = std::mem::take(&mut store.counted);
    for (collection, counted) in uncounted {
        if !Statistics::default().agrees_with(&counted) {
            let place = format!("collection {collection}");
            store.find(FindingKind::Statistics, place, "its counts are missing");
        }
    }
    check_names(store)
}

fn check_collection<'r>(
    store: &mut Store<'r>,
    key: &[u8],
    stored: Cow<'r, [u8]>,
) -> Result<(), EngineError> {
    let kind = FindingKind::Statistics;
    let collection = match keyspace::parse_statistics(key) {
        Ok(collection) if key == keyspace::statistics(collection) => collection,
        _ => {
            store.find(FindingKind::Key, name(key), "it is no key of statistics");
            return Ok(());
        }
    };
    // A collection that was dropped leaves the counts of nothing.
    let counted = store.counted.remove(&collection).unwrap_or_default();
    let place = format!("collection {collection}");
    if collection == COLLECTIONS {
        store.find(kind, &place, "the catalog has no counts");
        return Ok(());
    }
    let Some(whole) = store.whole(kind, &place, stored, key)? else {
        return Ok(());
    };
    let decoded = Statistics::decode(&whole);
    let Some(statistics) = found_or(&mut store.findings, kind, decoded, || place.clone())? else {
        return Ok(());
    };
    if statistics.emptied_ts > store.head.commit_ts {
        store.find(kind, &place, "it was emptied after the newest commit");
    }
    if !statistics.agrees_with(&counted) {
        let says = |of: &Statistics| {
            format!(
                "{} documents, {} softly deleted, {} with an id of their own",
                of.documents, of.deleted, of.foreign_ids
            )
        };
        let (stored, found) = (says(&statistics), says(&counted));
        let detail = if stored == found {
            "its shape is not that of its documents".to_owned()
        } else {
            format!("it counts {stored}; there are {found}")
        };
        store.find(kind, &place, detail);
    }
    Ok(())
}

/// Loading the catalog gives a name to everything that has none; that must not be necessary.
fn check_names(store: &mut Store<'_>) -> Result<(), EngineError> {
    let loaded = load(store.reader);
    let place = || "registry of names".to_owned();
    let Some(state) = found_or(&mut store.findings, FindingKind::Names, loaded, place)? else {
        return Ok(());
    };
    let key = keyspace::names();
    let stored = match store.reader.get(&key)? {
        Some(stored) => store.whole(FindingKind::Names, &place(), stored, &key)?,
        None if state.catalog.collections().len() == 0 => return Ok(()),
        None => {
            store.find(FindingKind::Names, place(), "it is missing");
            return Ok(());
        }
    };
    let mut expected = vec![chunk::WHOLE];
    expected.extend_from_slice(&state.names.encode());
    if stored.is_some_and(|stored| *stored != *expected) {
        store.find(
            FindingKind::Names,
            place(),
            "it lacks names of collections or fields that are there",
        );
    }
    Ok(())
}

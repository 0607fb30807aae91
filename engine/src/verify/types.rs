//! Published types are of collections that are there, can be read, and have been vanishing since commits that are there.
//!
//! That all of their names are registered is part of what `statistics` checks.

use std::borrow::Cow;

use super::{FindingKind, Store, found_or, name};
use crate::error::EngineError;
use crate::keyspace;
use crate::load::load_names;
use crate::published_types;
use crate::vanished;

pub(super) fn check(store: &mut Store<'_>) -> Result<(), EngineError> {
    let kind = FindingKind::Types;
    // What is wrong with these is found by others.
    let Ok(mut names) = load_names(store.reader) else {
        return Ok(());
    };
    for (key, stored) in published_types::all_stored(store.reader)? {
        let collection = match keyspace::parse_meta(&key) {
            Ok(collection) if key == keyspace::types(collection) => collection,
            _ => {
                store.find(FindingKind::Key, name(&key), "it is no key of types");
                continue;
            }
        };
        let place = format!("types of collection {collection}");
        if !store.settings.contains_key(&collection) {
            store.find(kind, place, "there is no such collection");
            continue;
        }
        let Some(whole) = store.whole(kind, &place, Cow::Owned(stored), &key)? else {
            continue;
        };
        // Under whatever names: those are not stored with them.
        let own = names.collection(&place);
        let decoded = published_types::decode(&whole, &own, &mut names);
        let Some(types) = found_or(&mut store.findings, kind, decoded, || place.clone())? else {
            continue;
        };
        let head = store.head.commit_ts;
        if (types.deprecated().iter()).any(|(_, deprecated)| deprecated.since > head) {
            store.find(kind, &place, "a field vanished after the newest commit");
        }
        let uses = vanished::read_uses(store.reader, collection);
        let uses = found_or(&mut store.findings, kind, uses, || place.clone())?;
        if uses.is_some_and(|uses| vanished::newest(&uses) > head) {
            store.find(kind, &place, "a field was used after the newest commit");
        }
    }
    Ok(())
}

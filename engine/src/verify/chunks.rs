//! Chunks: each is of a long value that is there. (That a long value has all of its chunks is seen where it is read.)

use thalweg_model::CommitTs;

use super::{FindingKind, Store, name};
use crate::chunk;
use crate::error::EngineError;
use crate::keyspace::{self, ChunkOwner, Keyspace};

pub(super) fn check(store: &mut Store<'_>) -> Result<(), EngineError> {
    let mut known: Option<ChunkOwner> = None;
    store.scan(Keyspace::Chunk, &mut |store, key, _| {
        let Ok(owner) = keyspace::parse_chunk(key) else {
            store.find(FindingKind::Key, name(key), "it is no key of a chunk");
            return Ok(());
        };
        if known.as_ref() == Some(&owner) {
            return Ok(());
        }
        if !is_owned(store, &owner)? {
            let place = format!("version {} of {}", owner.version, name(&owner.key));
            store.find(FindingKind::Chunk, place, "no long value refers to it");
        }
        known = Some(owner);
        Ok(())
    })
}

/// Whether a value refers to the chunks: the owner's own, or, of a document, an earlier image.
fn is_owned(store: &Store<'_>, owner: &ChunkOwner) -> Result<bool, EngineError> {
    let refers = |stored: &[u8]| chunk::version(stored) == Some(owner.version);
    if let Some(stored) = store.reader.get(&owner.key)?
        && refers(&stored)
    {
        return Ok(true);
    }
    if Keyspace::of(&owner.key) != Some(Keyspace::Document) {
        return Ok(false);
    }
    let Ok((collection, id)) = keyspace::parse_document(&owner.key) else {
        return Ok(false);
    };
    let earlier = keyspace::history(collection, id, CommitTs::from_micros(owner.version));
    let stored = store.reader.get(&earlier)?;
    Ok(stored.is_some_and(|value| value.get(8..).is_some_and(refers)))
}

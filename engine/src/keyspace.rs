//! Where everything lies in the ordered map: one function per kind of key.
//!
//! A key is `database id (u32) · keyspace (u8) · components`. Components are those of
//! [`thalweg_model::KeyWriter`], except that a document id that ends its key is raw bytes, which sort the same.

use thalweg_model::{CollectionId, CommitTs, KeyReader, KeyWriter};

use crate::error::EngineError;

/// One keyspace of one database.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Keyspace {
    Meta = 0x01,
    Document = 0x10,
    History = 0x11,
    Chunk = 0x18,
    Log = 0x20,
    Statistics = 0x30,
}

/// The only database of a store, until stores hold many.
const DATABASE: u32 = 0;

fn start(keyspace: Keyspace) -> KeyWriter {
    let mut key = KeyWriter::new();
    key.u32(DATABASE);
    key.u8(keyspace as u8);
    key
}

/// The current image of a document.
pub(crate) fn document(collection: CollectionId, id: &str) -> Vec<u8> {
    let mut key = documents(collection);
    key.extend_from_slice(id.as_bytes());
    key
}

/// The prefix of all current images of a collection; what follows it in a key is the document's id.
pub(crate) fn documents(collection: CollectionId) -> Vec<u8> {
    let mut key = start(Keyspace::Document);
    key.u32(collection.0);
    key.finish()
}

/// An earlier image of a document, the latest first.
pub(crate) fn history(collection: CollectionId, id: &str, written: CommitTs) -> Vec<u8> {
    let mut key = start(Keyspace::History);
    key.u32(collection.0);
    key.string(id);
    key.u64_descending(written.as_micros());
    key.finish()
}

/// The prefix of all earlier images of a collection.
pub(crate) fn histories(collection: CollectionId) -> Vec<u8> {
    let mut key = start(Keyspace::History);
    key.u32(collection.0);
    key.finish()
}

/// The prefix of the earlier images of one document.
pub(crate) fn histories_of(collection: CollectionId, id: &str) -> Vec<u8> {
    let mut key = start(Keyspace::History);
    key.u32(collection.0);
    key.string(id);
    key.finish()
}

/// The collection, the id and the commit of an earlier image.
pub(crate) fn parse_history(key: &[u8]) -> Result<(CollectionId, String, CommitTs), EngineError> {
    let mut reader = KeyReader::new(key);
    let mut read = || {
        reader.u32()?;
        reader.u8()?;
        let collection = CollectionId(reader.u32()?);
        let id = reader.string()?.into_owned();
        let written = CommitTs::from_micros(reader.u64_descending()?);
        Some((collection, id, written))
    };
    read().ok_or(EngineError::Corrupt {
        what: "history key",
    })
}

/// The prefix of the chunks of one version of the long value that was put under `owner`; a chunk's number (u32,
/// big-endian) follows it.
pub(crate) fn chunks(owner: &[u8], version: u64) -> Vec<u8> {
    let mut key = start(Keyspace::Chunk);
    // Its length first, so that no owner's chunks lie among those of a longer one.
    key.u32(u32::try_from(owner.len()).expect("a key has at most 480 bytes"));
    key.raw(owner);
    key.u64(version);
    key.finish()
}

/// The prefix of the whole log.
pub(crate) fn logs() -> Vec<u8> {
    start(Keyspace::Log).finish()
}

/// What the commit at `ts` changed.
pub(crate) fn log(ts: CommitTs) -> Vec<u8> {
    let mut key = start(Keyspace::Log);
    key.u64(ts.as_micros());
    key.finish()
}

/// The counted shape and the document counts of a collection.
pub(crate) fn statistics(collection: CollectionId) -> Vec<u8> {
    let mut key = start(Keyspace::Statistics);
    key.u32(collection.0);
    key.finish()
}

/// The registry of GraphQL names.
pub(crate) fn names() -> Vec<u8> {
    let mut key = start(Keyspace::Meta);
    key.string("names");
    key.finish()
}

/// Up to which commit the log and the history have been trimmed.
pub(crate) fn trimmed() -> Vec<u8> {
    let mut key = start(Keyspace::Meta);
    key.string("trimmed");
    key.finish()
}

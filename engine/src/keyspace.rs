//! Where everything lies in the ordered map: one function per kind of key.
//!
//! A key is `database id (u32) · keyspace (u8) · components`. Components are those of
//! [`thalweg_model::KeyWriter`], except that a document id that ends its key is raw bytes, which sort the same.

use thalweg_model::{CollectionId, CommitTs, KeyReader, KeyWriter};

use crate::error::EngineError;
use crate::index::IndexId;

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
    IndexStatistics = 0x31,
    Answer = 0x40,
    AnswerTime = 0x41,
    IndexRow = 0x50,
    EndedRow = 0x51,
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
    let mut key = chunks_of_all(owner);
    // Ends the owner, so that its chunks do not lie among those of a longer one.
    key.extend_from_slice(&[0x00, 0x01]);
    key.extend_from_slice(&version.to_be_bytes());
    key
}

/// The prefix of the chunks of all owners that begin with `owners`.
pub(crate) fn chunks_of_all(owners: &[u8]) -> Vec<u8> {
    let mut key = start(Keyspace::Chunk).finish();
    for byte in owners {
        key.push(*byte);
        if *byte == 0x00 {
            key.push(0xff);
        }
    }
    key
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

/// The commit of a log key; `None` of a corrupt one.
pub(crate) fn parse_log(key: &[u8]) -> Option<CommitTs> {
    let mut reader = KeyReader::new(key);
    reader.u32()?;
    reader.u8()?;
    let ts = CommitTs::from_micros(reader.u64()?);
    reader.rest().is_empty().then_some(ts)
}

/// The prefix of the statistics of all collections.
pub(crate) fn all_statistics() -> Vec<u8> {
    start(Keyspace::Statistics).finish()
}

/// The counted shape and the document counts of a collection.
pub(crate) fn statistics(collection: CollectionId) -> Vec<u8> {
    let mut key = start(Keyspace::Statistics);
    key.u32(collection.0);
    key.finish()
}

/// The collection whose statistics lie under a key.
pub(crate) fn parse_statistics(key: &[u8]) -> Result<CollectionId, EngineError> {
    let mut reader = KeyReader::new(key);
    let mut read = || {
        reader.u32()?;
        reader.u8()?;
        reader.u32().map(CollectionId)
    };
    read().ok_or(EngineError::Corrupt {
        what: "statistics key",
    })
}

/// The first answer that was given under an idempotency key.
pub(crate) fn answer(key: &str) -> Vec<u8> {
    let mut writer = start(Keyspace::Answer);
    writer.string(key);
    writer.finish()
}

/// The prefix of the idempotency keys in the order of their answers.
pub(crate) fn answer_times() -> Vec<u8> {
    start(Keyspace::AnswerTime).finish()
}

/// An idempotency key among those of its commit, so that the oldest answers are found first.
pub(crate) fn answer_time(ts: CommitTs, key: &str) -> Vec<u8> {
    let mut writer = start(Keyspace::AnswerTime);
    writer.u64(ts.as_micros());
    writer.string(key);
    writer.finish()
}

/// The commit and the idempotency key of such an entry.
pub(crate) fn parse_answer_time(key: &[u8]) -> Result<(CommitTs, String), EngineError> {
    let mut reader = KeyReader::new(key);
    let mut read = || {
        reader.u32()?;
        reader.u8()?;
        let ts = CommitTs::from_micros(reader.u64()?);
        Some((ts, reader.string()?.into_owned()))
    };
    read().ok_or(EngineError::Corrupt {
        what: "idempotency key",
    })
}

/// The prefix of what is counted of all indexes.
pub(crate) fn all_index_statistics() -> Vec<u8> {
    start(Keyspace::IndexStatistics).finish()
}

/// What is counted of an index.
pub(crate) fn index_statistics(index: IndexId) -> Vec<u8> {
    let mut key = start(Keyspace::IndexStatistics);
    key.u32(index.0);
    key.finish()
}

/// The index whose statistics lie under a key.
pub(crate) fn parse_index_statistics(key: &[u8]) -> Result<IndexId, EngineError> {
    let mut reader = KeyReader::new(key);
    let mut read = || {
        reader.u32()?;
        reader.u8()?;
        reader.u32().map(IndexId)
    };
    read().ok_or(EngineError::Corrupt {
        what: "index statistics key",
    })
}

/// The prefix of an index's rows of current images; the values and the id (as a string) follow it in a key.
pub(crate) fn index_rows(index: IndexId) -> Vec<u8> {
    let mut key = start(Keyspace::IndexRow);
    key.u32(index.0);
    key.finish()
}

/// The prefix of an index's ended rows; the values, the id (as a string) and until when it held, the latest first,
/// follow it in a key.
pub(crate) fn ended_rows(index: IndexId) -> Vec<u8> {
    let mut key = start(Keyspace::EndedRow);
    key.u32(index.0);
    key.finish()
}

/// The registry of GraphQL names.
pub(crate) fn names() -> Vec<u8> {
    let mut key = start(Keyspace::Meta);
    key.string("names");
    key.finish()
}

/// The version of the catalog.
pub(crate) fn catalog_version() -> Vec<u8> {
    let mut key = start(Keyspace::Meta);
    key.string("catalog");
    key.finish()
}

/// Up to which commit the log and the history have been trimmed.
pub(crate) fn trimmed() -> Vec<u8> {
    let mut key = start(Keyspace::Meta);
    key.string("trimmed");
    key.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_one_owner_are_not_among_those_of_another() {
        let owners = ["x", "x\0", "x\0\u{1}", "x\0\u{1}\0\0\0\0\0\0\0\0", "xy"];
        let key = |id| chunks(&document(CollectionId(16), id), 0);
        for one in owners {
            for other in owners.into_iter().filter(|other| *other != one) {
                assert!(!key(other).starts_with(&key(one)), "{one:?} {other:?}");
            }
            let collection = chunks_of_all(&documents(CollectionId(16)));
            assert!(key(one).starts_with(&collection));
        }
        let other = chunks(&document(CollectionId(17), "x"), 0);
        assert!(!other.starts_with(&chunks_of_all(&documents(CollectionId(16)))));
    }

    #[test]
    fn the_longest_chunk_key_fits() {
        let id = "\0".repeat(thalweg_model::DocumentId::BYTES_MAX);
        let prefix = chunks(&document(CollectionId(u32::MAX), &id), u64::MAX);
        assert!(prefix.len() + 4 <= thalweg_storage::KEY_BYTES_MAX);
    }
}

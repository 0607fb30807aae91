//! Where everything lies in the ordered map: one function per kind of key.
//!
//! A key is `database id (u32) · keyspace (u8) · components`. Components are those of
//! [`thalweg_model::KeyWriter`], except that a document id that ends its key is raw bytes, which sort the same.

use thalweg_model::{CollectionId, CommitTs, DocumentId, KeyReader, KeyWriter};

use crate::due::{DueEntry, DueKind};
use crate::error::EngineError;
use crate::index::IndexId;

/// One keyspace of one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Keyspace {
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
    Due = 0x60,
}

impl Keyspace {
    /// All there are, in order of their keys.
    pub(crate) const ALL: [Keyspace; 12] = [
        Keyspace::Meta,
        Keyspace::Document,
        Keyspace::History,
        Keyspace::Chunk,
        Keyspace::Log,
        Keyspace::Statistics,
        Keyspace::IndexStatistics,
        Keyspace::Answer,
        Keyspace::AnswerTime,
        Keyspace::IndexRow,
        Keyspace::EndedRow,
        Keyspace::Due,
    ];

    /// The keyspace that a key lies in; `None` where there is no such keyspace.
    pub(crate) fn of(key: &[u8]) -> Option<Keyspace> {
        let mut reader = KeyReader::new(key);
        if reader.u32()? != DATABASE {
            return None;
        }
        let byte = reader.u8()?;
        Keyspace::ALL
            .into_iter()
            .find(|keyspace| *keyspace as u8 == byte)
    }

    /// The prefix of all keys in it.
    pub(crate) fn prefix(self) -> Vec<u8> {
        start(self).finish()
    }
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

/// The collection and the id of a current image.
pub(crate) fn parse_document(key: &[u8]) -> Result<(CollectionId, &str), EngineError> {
    let mut reader = KeyReader::new(key);
    let collection = reader
        .u32()
        .and_then(|_| reader.u8())
        .and_then(|_| reader.u32());
    let id = std::str::from_utf8(reader.rest()).ok();
    collection
        .map(CollectionId)
        .zip(id)
        .ok_or(EngineError::Corrupt {
            what: "document key",
        })
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

/// Where the earlier images of the documents from an id on begin. The id may be any bytes, as a cursor has them.
pub(crate) fn histories_from(collection: CollectionId, id: &[u8]) -> Vec<u8> {
    let mut key = histories(collection);
    escape(id, &mut key);
    key
}

/// Where the earlier images of the documents up to an id, inclusive, end.
pub(crate) fn histories_to(collection: CollectionId, id: &[u8]) -> Vec<u8> {
    let mut key = histories_from(collection, id);
    // Ends a string; what follows is less than any longer string.
    key.extend_from_slice(&[0x00, 0x02]);
    key
}

/// Up to which commit the history of a document is hidden, since it was then deleted for good. Before all of its
/// earlier images.
pub(crate) fn erased(collection: CollectionId, id: &str) -> Vec<u8> {
    history(collection, id, CommitTs::MAX)
}

/// The collection, the id and the commit of an earlier image; [`CommitTs::MAX`] is that of [`erased`].
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
    escape(owners, &mut key);
    key
}

/// As [`KeyWriter::string`] writes text, without its end.
fn escape(bytes: &[u8], key: &mut Vec<u8>) {
    for byte in bytes {
        key.push(*byte);
        if *byte == 0x00 {
            key.push(0xff);
        }
    }
}

/// Where the part of a long value that lies under a key belongs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ChunkOwner {
    /// The key that the value was first put under.
    pub(crate) key: Vec<u8>,
    pub(crate) version: u64,
}

/// The owner and the version of a chunk.
pub(crate) fn parse_chunk(key: &[u8]) -> Result<ChunkOwner, EngineError> {
    let read = || {
        let mut rest = key.strip_prefix(&*Keyspace::Chunk.prefix())?;
        let mut owner = Vec::new();
        loop {
            let (byte, tail) = rest.split_first()?;
            rest = tail;
            if *byte != 0x00 {
                owner.push(*byte);
                continue;
            }
            let (after, tail) = rest.split_first()?;
            rest = tail;
            match after {
                0xff => owner.push(0x00),
                0x01 => break,
                _ => return None,
            }
        }
        let (version, number) = rest.split_first_chunk::<8>()?;
        (number.len() == 4).then(|| ChunkOwner {
            key: owner,
            version: u64::from_be_bytes(*version),
        })
    };
    read().ok_or(EngineError::Corrupt { what: "chunk key" })
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

/// The idempotency key of such an answer.
pub(crate) fn parse_answer(key: &[u8]) -> Result<String, EngineError> {
    let mut reader = KeyReader::new(key);
    let mut read = || {
        reader.u32()?;
        reader.u8()?;
        let text = reader.string()?.into_owned();
        reader.rest().is_empty().then_some(text)
    };
    read().ok_or(EngineError::Corrupt {
        what: "idempotency key",
    })
}

/// The prefix of the idempotency keys in the order of their answers.
pub(crate) fn answer_times() -> Vec<u8> {
    start(Keyspace::AnswerTime).finish()
}

/// Where the idempotency keys of a commit and of all after it begin.
pub(crate) fn answer_times_from(ts: CommitTs) -> Vec<u8> {
    let mut writer = start(Keyspace::AnswerTime);
    writer.u64(ts.as_micros());
    writer.finish()
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

/// The prefix of all that is to be done at a time, in order of the times.
pub(crate) fn dues() -> Vec<u8> {
    start(Keyspace::Due).finish()
}

/// Something to do to a document at a time.
pub(crate) fn due(at: u64, kind: DueKind, collection: CollectionId, id: &str) -> Vec<u8> {
    let mut key = start(Keyspace::Due);
    key.u64(at);
    key.u8(kind as u8);
    key.u32(collection.0);
    key.raw(id.as_bytes());
    key.finish()
}

/// What lies under a key of [`due`].
pub(crate) fn parse_due(key: &[u8], value: &[u8]) -> Result<DueEntry, EngineError> {
    let mut reader = KeyReader::new(key);
    let mut read = || {
        reader.u32()?;
        reader.u8()?;
        Some(DueEntry {
            at: reader.u64()?,
            kind: DueKind::decode(reader.u8()?)?,
            collection: CollectionId(reader.u32()?),
            id: DocumentId::new(std::str::from_utf8(reader.rest()).ok()?).ok()?,
            erase_before: match value {
                [] => CommitTs::ZERO,
                _ => CommitTs::from_micros(u64::from_be_bytes(value.try_into().ok()?)),
            },
        })
    };
    read().ok_or(EngineError::Corrupt { what: "due entry" })
}

/// The index that a row, current or ended, is of.
pub(crate) fn parse_row(key: &[u8]) -> Result<IndexId, EngineError> {
    let mut reader = KeyReader::new(key);
    let index = reader
        .u32()
        .and_then(|_| reader.u8())
        .and_then(|_| reader.u32());
    index.map(IndexId).ok_or(EngineError::Corrupt {
        what: "index row key",
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

/// The version of the format that the store is written in.
pub(crate) fn format() -> Vec<u8> {
    let mut key = start(Keyspace::Meta);
    key.string("format");
    key.finish()
}

/// There while a backup is being restored into the store.
pub(crate) fn restoring() -> Vec<u8> {
    let mut key = start(Keyspace::Meta);
    key.string("restoring");
    key.finish()
}

/// Up to which commit the log and the history have been trimmed.
pub(crate) fn trimmed() -> Vec<u8> {
    let mut key = start(Keyspace::Meta);
    key.string("trimmed");
    key.finish()
}

fn meta_of(name: &str, collection: CollectionId) -> Vec<u8> {
    let mut key = start(Keyspace::Meta);
    key.string(name);
    key.u32(collection.0);
    key.finish()
}

/// The prefix of what is stored under a name for some collections; [`parse_meta`] reads which.
pub(crate) fn metas(name: &str) -> Vec<u8> {
    let mut key = start(Keyspace::Meta);
    key.string(name);
    key.finish()
}

/// The collection of a key that begins with [`metas`].
pub(crate) fn parse_meta(key: &[u8]) -> Result<CollectionId, EngineError> {
    let mut reader = KeyReader::new(key);
    let mut read = || {
        reader.u32()?;
        reader.u8()?;
        reader.string()?;
        reader.u32().map(CollectionId)
    };
    read().ok_or(EngineError::Corrupt { what: "meta key" })
}

/// The name under which lies how far existing documents have got due entries, for [`metas`].
pub(crate) const SCHEDULING: &str = "scheduling";

/// How far the documents of a collection have got due entries after its settings changed; nothing where all have.
pub(crate) fn scheduling(collection: CollectionId) -> Vec<u8> {
    meta_of(SCHEDULING, collection)
}

/// The name under which lies which collections' histories are being swept, for [`metas`].
pub(crate) const SWEEPING: &str = "sweeping";

/// How far the history of a collection is swept; nothing where no sweep goes on.
pub(crate) fn sweeping(collection: CollectionId) -> Vec<u8> {
    meta_of(SWEEPING, collection)
}

/// Up to which end the earlier images of a collection are no longer kept, by a sweep.
pub(crate) fn swept(collection: CollectionId) -> Vec<u8> {
    meta_of("swept", collection)
}

/// Up to which end the earlier images of a collection are no longer kept, since they went with their log entries.
pub(crate) fn images_trimmed(collection: CollectionId) -> Vec<u8> {
    meta_of("images trimmed", collection)
}

/// The name under which lie the published types of collections, for [`metas`].
pub(crate) const TYPES: &str = "types";

/// The published types of a collection.
pub(crate) fn types(collection: CollectionId) -> Vec<u8> {
    meta_of(TYPES, collection)
}

/// When the fields of a collection that no document has were last used.
pub(crate) fn uses(collection: CollectionId) -> Vec<u8> {
    meta_of("uses", collection)
}

/// Whether what lies under a key of [`Keyspace::Meta`] may be long, and so in chunks.
pub(crate) fn is_long_meta(key: &[u8]) -> bool {
    key == names() || key.starts_with(&metas(TYPES)) || key.starts_with(&metas("uses"))
}

/// How far the backfill of a collection's documents has come; nothing where none goes on.
pub(crate) fn backfilling(collection: CollectionId) -> Vec<u8> {
    meta_of("backfilling", collection)
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
            let owner = document(CollectionId(16), one);
            let mut key = chunks(&owner, 7);
            key.extend_from_slice(&[0; 4]);
            let parsed = parse_chunk(&key).unwrap();
            assert_eq!((parsed.key, parsed.version), (owner, 7));
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

//! The version of what the engine stores, whatever the backend, and whether a store may be used at all.
//!
//! It is written when a store is created and checked before anything else is read or written. A backend has a version
//! of its own for how it keeps bytes.

use thalweg_storage::{Snapshot as Reader, Write};

use crate::error::EngineError;
use crate::keyspace;

/// The version that this engine writes, and the newest that it reads.
///
/// | | since then |
/// |---|---|
/// | 2 | the published types of collections are stored |
pub(crate) const FORMAT: u32 = 2;

/// Refuses a store that a newer engine wrote, and one into which a backup was restored only in part.
pub(crate) fn check(reader: &dyn Reader) -> Result<(), EngineError> {
    let found = read(reader)?;
    if found > FORMAT {
        return Err(EngineError::Format {
            found,
            supported: FORMAT,
        });
    }
    if reader.get(&keyspace::restoring())?.is_some() {
        return Err(EngineError::HalfRestored);
    }
    Ok(())
}

/// What a store says of its format. One that says nothing is from before there was a second one.
fn read(reader: &dyn Reader) -> Result<u32, EngineError> {
    let corrupt = EngineError::Corrupt {
        what: "format version",
    };
    match reader.get(&keyspace::format())? {
        None => Ok(1),
        Some(bytes) => Ok(u32::from_be_bytes(
            (*bytes).try_into().map_err(|_| corrupt)?,
        )),
    }
}

/// What says so where nothing does, or an older version stands.
pub(crate) fn put_newer(reader: &dyn Reader) -> Result<Option<Write>, EngineError> {
    let is_missing = reader.get(&keyspace::format())?.is_none();
    Ok((is_missing || read(reader)? < FORMAT).then(put))
}

/// Says that the store has the format that this engine writes.
pub(crate) fn put() -> Write {
    Write::Put {
        key: keyspace::format(),
        value: FORMAT.to_be_bytes().to_vec(),
    }
}

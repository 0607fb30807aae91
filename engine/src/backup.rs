//! Backups: the state of one timestamp in one file, whatever backend it came from and goes to.
//!
//! A backup has what cannot be derived: the catalog, the documents with their system fields, earlier images and the marks
//! that hide some of them, when those are to be erased, the commit log, the answers under idempotency keys, the registry
//! of names. What can be derived, chunks of long values, counts, index rows and when documents are due, is made anew when the
//! backup is restored.
//!
//! - `file` is the format: blocks with lengths and checksums, each checksum continuing the one before it.
//! - `read` takes the state of one timestamp out of a store that may go on changing.
//! - `restore` puts it into an empty store, `indexes` with the rows that follow from it.
//!
//! What must hold: nothing is written to a store before the whole file has proved complete and undamaged, and a store
//! into which a backup was restored in part is refused when it is opened ([`EngineError::HalfRestored`]).

mod file;
mod indexes;
mod read;
mod restore;

use std::io;

use thalweg_model::{CommitTs, ErrorClass, ErrorCode};
use thiserror::Error;

pub use file::inspect;
pub(crate) use read::write_running;
pub use read::write_stored;
pub use restore::ProvedBackup;

use crate::error::EngineError;
use crate::keyspace::{self, Keyspace};

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BackupSummary {
    /// The newest commit in it.
    pub commit_ts: CommitTs,
    /// Collections.
    pub collections: u64,
    /// Documents, the softly deleted ones included.
    pub documents: u64,
    /// Earlier images of documents.
    pub earlier_images: u64,
    /// Entries of the commit log.
    pub log_entries: u64,
    /// All entries: those above, and what else a store holds.
    pub entries: u64,
    /// Bytes of the entries before compression.
    pub bytes: u64,
}

impl BackupSummary {
    fn count(&mut self, key: &[u8], value: &[u8]) {
        self.entries += 1;
        self.bytes += (key.len() + value.len()) as u64;
        let counter = match Keyspace::of(key) {
            Some(Keyspace::Document) if key.starts_with(&collections_prefix()) => {
                &mut self.collections
            }
            Some(Keyspace::Document) => &mut self.documents,
            Some(Keyspace::History) if !is_mark(key) => &mut self.earlier_images,
            Some(Keyspace::Log) => &mut self.log_entries,
            _ => return,
        };
        *counter += 1;
    }
}

/// Whether what lies under a key of the history hides what is older, instead of being an image.
fn is_mark(key: &[u8]) -> bool {
    keyspace::parse_history(key).is_ok_and(|(_, _, written)| written == CommitTs::MAX)
}

fn collections_prefix() -> Vec<u8> {
    keyspace::documents(crate::catalog::COLLECTIONS)
}

/// Why a backup could not be made, read or restored.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The store could not be read or written.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The backup itself could not be read or written.
    #[error("the backup could not be read or written: {0}")]
    Io(#[from] io::Error),
    /// It is no backup.
    #[error("this is not a backup that Thalweg wrote")]
    NotABackup,
    /// A newer program wrote it.
    #[error("the backup has format {found}, this program reads up to {supported}: use a newer one")]
    Format {
        /// The format version of the backup, or of the store that it was taken from.
        found: u32,
        /// The newest one that this program reads.
        supported: u32,
    },
    /// It ends before its end.
    #[error("the backup is cut off after {at} bytes; nothing was restored")]
    Truncated {
        /// How many bytes there are.
        at: u64,
    },
    /// Its bytes are not those that were written.
    #[error("the backup is damaged in the block at byte {at}: {detail}; nothing was restored")]
    Damaged {
        /// Where the block begins.
        at: u64,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// Who wrote it gave up.
    #[error("the backup was given up while it was written: {reason}")]
    GivenUp {
        /// Why.
        reason: String,
    },
    /// What it has to read was erased meanwhile. Beginning anew reads a newer state.
    #[error("the backup was overtaken: {reason}; begin it anew")]
    Overtaken {
        /// By what.
        reason: &'static str,
    },
    /// A server leads the store that it should be restored into.
    #[error("a server uses this store; stop it first")]
    InUse,
    /// The store that it should be restored into has something in it.
    #[error("the store is not empty; a backup is restored into an empty one only")]
    NotEmpty,
}

impl BackupError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            BackupError::Engine(error) => error.code(),
            BackupError::Io(_)
            | BackupError::GivenUp { .. }
            | BackupError::Overtaken { .. }
            | BackupError::InUse => ErrorCode::Unavailable,
            BackupError::NotABackup
            | BackupError::Format { .. }
            | BackupError::Truncated { .. }
            | BackupError::Damaged { .. }
            | BackupError::NotEmpty => ErrorCode::BadRequest,
        }
    }

    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            BackupError::Engine(error) => error.class(),
            other => other.code().class(),
        }
    }
}

#[cfg(test)]
mod tests;

//! What can go wrong, and whether a batch landed.
//!
//! Callers branch on the class alone; the variants carry what an operator needs to act.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thalweg_model::{ErrorClass, ErrorCode};
use thiserror::Error;

use crate::Head;
use crate::keyspace::{KEY_BYTES_MAX, RESERVED_PREFIX, VALUE_BYTES_MAX};

/// A failure of the store.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The store cannot serve this now.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// What stands in the way, and what lifts it.
        reason: String,
    },
    /// No room is left on the disk, in the quota or in the configured size.
    #[error("the store is full: {detail}")]
    Full {
        /// Which limit was reached.
        detail: String,
    },
    /// Stored bytes are not what this program writes.
    #[error("the store is corrupt: {detail}")]
    Corrupt {
        /// Which bytes, and what was expected.
        detail: String,
    },
    /// The directory belongs to a backend that is open, in this process or another.
    #[error(
        "{} is in use by {}: one process at a time may open a data directory",
        path.display(),
        Holder(*pid)
    )]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The process that holds it, as far as its lock file says.
        pid: Option<u32>,
    },
    /// A key or value that no store takes.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A batch whose head does not follow the head it expects: a defect of the caller.
    #[error("batch refused: its head {head:?} does not follow the expected {expected:?}")]
    HeadOutOfOrder {
        /// The head that the batch builds on.
        expected: Head,
        /// The head that it would leave.
        head: Head,
    },
    /// The snapshot has outlived the reader lifetime of its backend and must be dropped.
    #[error("the snapshot is {age:?} old and expired after {lifetime_max:?}; open a new one")]
    SnapshotExpired {
        /// How long ago it was opened.
        age: Duration,
        /// How long a snapshot may be read.
        lifetime_max: Duration,
    },
    /// The store was written in a format that this program does not read.
    #[error("the store has format {found}, this program reads up to {supported}: use a newer one")]
    Format {
        /// The stored format version.
        found: u32,
        /// The newest format version that this program reads.
        supported: u32,
    },
    /// The operating system refused.
    #[error("{action} failed")]
    Io {
        /// What was being done, with the path where there is one.
        action: String,
        /// The refusal.
        source: io::Error,
    },
}

impl StorageError {
    /// The class that retry loops read.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. }
            | Self::Full { .. }
            | Self::Locked { .. }
            | Self::SnapshotExpired { .. }
            | Self::Format { .. }
            | Self::Io { .. } => ErrorClass::Unavailable,
            Self::Corrupt { .. } => ErrorClass::Corruption,
            Self::Limit(_) => ErrorClass::Caller,
            Self::HeadOutOfOrder { .. } => ErrorClass::Internal,
        }
    }

    /// The stable code that clients see.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Limit(_) => ErrorCode::LimitExceeded,
            Self::Corrupt { .. } | Self::HeadOutOfOrder { .. } => ErrorCode::Internal,
            _ => ErrorCode::Unavailable,
        }
    }
}

/// Why a key or value is refused. Nothing of its batch is written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LimitError {
    /// Keys have at least one byte.
    #[error("a key must not be empty")]
    EmptyKey,
    /// The key is longer than [`KEY_BYTES_MAX`].
    #[error("a key of {bytes} bytes exceeds the limit of {KEY_BYTES_MAX}")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The value is longer than [`VALUE_BYTES_MAX`].
    #[error("a value of {bytes} bytes exceeds the limit of {VALUE_BYTES_MAX}")]
    ValueTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The key begins with [`RESERVED_PREFIX`].
    #[error("keys that begin with byte {RESERVED_PREFIX:#04x} are reserved")]
    ReservedKey,
}

/// Why a commit did not succeed. The variant says whether the batch landed.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The batch is not in the store and never will be.
    #[error("the batch was not committed")]
    NotCommitted(#[source] StorageError),
    /// The batch is not in the store, because the store has moved on from the head that the batch expects.
    #[error("the batch is fenced off: the store is at {found:?}")]
    Fenced {
        /// The stored head.
        found: Option<Head>,
    },
    /// The batch may be in the store, or land later. Only a commit with a higher epoch settles it.
    #[error("it is not known whether the batch was committed")]
    Indeterminate(#[source] StorageError),
}

impl CommitError {
    /// The class that retry loops read.
    ///
    /// [`CommitError::Fenced`] is `Unavailable` rather than `Conflict`: repeating the batch cannot help, the writer
    /// has been deposed.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotCommitted(error) => error.class(),
            Self::Fenced { .. } => ErrorClass::Unavailable,
            Self::Indeterminate(_) => ErrorClass::Indeterminate,
        }
    }

    /// The stable code that clients see.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotCommitted(error) => error.code(),
            Self::Fenced { .. } => ErrorCode::Unavailable,
            Self::Indeterminate(_) => ErrorCode::Indeterminate,
        }
    }
}

/// Names the process that holds a lock.
struct Holder(Option<u32>);

impl std::fmt::Display for Holder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(pid) if pid == std::process::id() => write!(formatter, "this process ({pid})"),
            Some(pid) => write!(formatter, "process {pid}"),
            None => formatter.write_str("another process"),
        }
    }
}

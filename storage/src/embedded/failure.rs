//! What an error of LMDB or of the system means in terms of the contract.

use std::io;

use heed::MdbError;

use crate::StorageError;

/// An I/O error, told apart by whether room would cure it.
pub(super) fn io_failure(action: String, error: io::Error) -> StorageError {
    if is_full(&error) {
        return StorageError::Full {
            detail: format!("{action}: {error}"),
        };
    }
    StorageError::Io {
        action,
        source: error,
    }
}

/// Whether a disk, a quota or a file size limit was reached.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// An error of LMDB, while doing `action`.
pub(super) fn failure(action: &str, error: heed::Error) -> StorageError {
    let error = match error {
        heed::Error::Io(error) => return io_failure(action.to_owned(), error),
        heed::Error::Mdb(error) => error,
        other => {
            return StorageError::Unavailable {
                reason: format!("{action}: {other}"),
            };
        }
    };
    match error {
        MdbError::MapFull => StorageError::Full {
            detail: format!("{action}: the configured size of the store is used up"),
        },
        MdbError::ReadersFull => StorageError::Unavailable {
            reason: format!("{action}: too many snapshots are open"),
        },
        MdbError::Corrupted
        | MdbError::PageNotFound
        | MdbError::Invalid
        | MdbError::VersionMismatch
        | MdbError::Incompatible => StorageError::Corrupt {
            detail: format!("{action}: {error}"),
        },
        MdbError::Panic => StorageError::Unavailable {
            reason: format!(
                "{action}: an earlier write failed half-way; close the store and open it again"
            ),
        },
        other => StorageError::Unavailable {
            reason: format!("{action}: {other}"),
        },
    }
}

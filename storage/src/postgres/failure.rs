//! What an error of the server or of a connection means for the store.

use std::io;

use deadpool::managed::{PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};

use crate::StorageError;

/// A failure of a request, while `action` was being done.
pub(super) fn of(action: &str, error: Error) -> StorageError {
    let Some(refusal) = error.as_db_error() else {
        return match error.into_source() {
            // What the connection itself reports is the network's or the server's end, not the data's.
            Some(source) if !source.is::<io::Error>() => StorageError::Io {
                action: action.to_owned(),
                source: io::Error::other(source),
            },
            Some(source) => unavailable(action, &source.to_string()),
            None => unavailable(action, "the connection to PostgreSQL is closed"),
        };
    };
    let code = refusal.code();
    let said = format!("PostgreSQL says: {} ({})", refusal.message(), code.code());
    if *code == SqlState::DISK_FULL {
        return StorageError::Full {
            detail: format!("{action}: {said}"),
        };
    }
    let is_damaged = [
        SqlState::DATA_CORRUPTED,
        SqlState::INDEX_CORRUPTED,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_COLUMN,
        SqlState::INVALID_SCHEMA_NAME,
    ]
    .contains(code);
    if is_damaged {
        return StorageError::Corrupt {
            detail: format!("{action}: {said}"),
        };
    }
    unavailable(action, &said)
}

/// Why no connection came out of a pool.
pub(super) fn of_pool(error: PoolError<StorageError>, connections_max: u32) -> StorageError {
    match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(TimeoutType::Wait) => StorageError::Unavailable {
            reason: format!(
                "all {connections_max} connections to PostgreSQL are in use; raise connections= in the store's URL"
            ),
        },
        PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
            unavailable("connecting", "PostgreSQL does not answer")
        }
        PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
            unavailable("connecting", "the store is closed")
        }
    }
}

/// An answer that did not come in time.
pub(super) fn timed_out(action: &str) -> StorageError {
    unavailable(action, "PostgreSQL does not answer")
}

/// Whether the server has refused the statement itself and lives on: not a connection that broke, nor a server that
/// is going down.
pub(super) fn is_plain_refusal(error: &Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|refusal| refusal.parsed_severity() == Some(Severity::Error))
}

fn unavailable(action: &str, reason: &str) -> StorageError {
    StorageError::Unavailable {
        reason: format!("{action}: {reason}"),
    }
}

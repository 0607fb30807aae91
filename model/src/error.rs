//! The error codes that users see and the classes that retry loops branch on.
//!
//! Every error enum of the workspace has a `code()` and a `class()`. The list of codes is part of
//! the public contract (`docs/errors.md`); a code is never renamed or reused.

use std::fmt;

/// What an error means for whoever has to decide what to do next. Retry loops read nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The request is wrong or refused; the same request will fail again.
    Caller,
    /// Something the request depended on changed; running it again can succeed.
    Conflict,
    /// The system cannot do it now; nothing was changed, and trying later can succeed.
    Unavailable,
    /// The outcome is unknown: it may or may not have been done.
    Indeterminate,
    /// Stored data is not what was written.
    Corruption,
    /// A defect of the program.
    Internal,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $class:ident;)*) => {
        /// The value of `errors[].extensions.code`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The code as clients see it, for example `BAD_REQUEST`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $text,)*
                }
            }

            /// The class of every error with this code.
            pub fn class(self) -> ErrorClass {
                match self {
                    $(ErrorCode::$name => ErrorClass::$class,)*
                }
            }
        }
    };
}

error_codes! {
    /// The request contradicts itself or the contract.
    BadRequest = "BAD_REQUEST", Caller;
    /// The text of the operation is not GraphQL.
    ParseFailed = "PARSE_FAILED", Caller;
    /// The operation does not fit the API schema.
    ValidationFailed = "VALIDATION_FAILED", Caller;
    /// What the request names does not exist.
    NotFound = "NOT_FOUND", Caller;
    /// A document with this id or unique value exists already.
    UniqueViolation = "UNIQUE_VIOLATION", Caller;
    /// The document does not satisfy the declared schema.
    SchemaViolation = "SCHEMA_VIOLATION", Caller;
    /// The API schema moved on, and a live query is no longer valid in it.
    SchemaChanged = "SCHEMA_CHANGED", Caller;
    /// The request reaches back to a time that is no longer kept.
    HistoryGone = "HISTORY_GONE", Caller;
    /// A stored value does not fit its published type.
    TypeDrift = "TYPE_DRIFT", Caller;
    /// The document has another version than `ifVersion` says.
    VersionMismatch = "VERSION_MISMATCH", Caller;
    /// The request carries no valid identity.
    Unauthenticated = "UNAUTHENTICATED", Caller;
    /// The identity may not do this.
    Forbidden = "FORBIDDEN", Caller;
    /// The request exceeds a configured bound.
    LimitExceeded = "LIMIT_EXCEEDED", Caller;
    /// The request ran out of its time; nothing was changed.
    Timeout = "TIMEOUT", Unavailable;
    /// The store cannot be reached or is full; nothing was changed.
    Unavailable = "UNAVAILABLE", Unavailable;
    /// Whether the write happened is not known.
    Indeterminate = "INDETERMINATE", Indeterminate;
    /// A defect of the server.
    Internal = "INTERNAL", Internal;
    /// No operation is registered under the hash.
    PersistedQueryNotFound = "PERSISTED_QUERY_NOT_FOUND", Caller;
    /// This server does not take persisted queries.
    PersistedQueryNotSupported = "PERSISTED_QUERY_NOT_SUPPORTED", Caller;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests;

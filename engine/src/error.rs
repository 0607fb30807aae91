//! What can go wrong in the engine, split by who has to act on it.
//!
//! [`EngineError`] is trouble below (the store, a corrupt value); [`IntentError`] is a write that cannot be applied
//! to the document it found; [`TransactionError`] is what a caller of [`crate::Engine::transact`] gets. A conflict
//! is in none of them: the engine re-executes.

use thalweg_model::{
    CommitTs, DocumentId, ErrorClass, ErrorCode, FieldPath, PatchError, write_rfc3339,
};
use thalweg_schema_infer::PinConflict;
use thalweg_schema_infer::declared::check::Mistakes;
use thalweg_storage::StorageError;
use thiserror::Error;

use crate::budget::Interruption;
use crate::declared::Violation;
use crate::duration::write_duration;
use crate::index::IndexDefinitionError;

/// The engine could not read or write its store.
#[derive(Debug, Clone, Error)]
pub enum EngineError {
    /// The backend failed. Shared because one failed batch fails every transaction in it.
    #[error("the store failed: {0}")]
    Storage(std::sync::Arc<StorageError>),
    /// A stored value is not what the engine writes.
    #[error("a stored {what} is corrupt")]
    Corrupt {
        /// Which kind of value.
        what: &'static str,
    },
    /// The store was written by somebody else since this engine took it over, so it must not be written any more.
    #[error("another server has taken over this store; this one has stopped writing")]
    Deposed,
    /// A batch's outcome is unknown, so nothing more is written until the store is opened again.
    #[error(
        "the outcome of the write is unknown: {reason}; the server must be restarted to find out"
    )]
    Indeterminate {
        /// What the backend said.
        reason: String,
    },
    /// What the engine does by itself could not be done.
    #[error("the engine's own work was refused: {reason}")]
    Upkeep {
        /// What was said.
        reason: String,
    },
    /// A thread of the engine's could not be started, or has ended.
    #[error("a thread of the engine has failed: {reason}")]
    Thread {
        /// What the system said.
        reason: String,
    },
    /// A transaction that is run in the line reads more than may be read there.
    #[error("the transaction reads too much to be run while all others wait")]
    TooManyReads,
    /// An operation looks at more documents than it may.
    #[error("the operation looks at more documents than one may")]
    RowsExceeded,
    /// An execution was ended before it was done.
    #[error("{}", interruption(*.0))]
    Interrupted(Interruption),
    /// A filter over related documents selects more of them than may be.
    #[error(
        "a filter over related documents selects more than {keys_max} of them, the most that are allowed; narrow it"
    )]
    TooManyKeys {
        /// The limit.
        keys_max: usize,
    },
    /// Documents fall into more groups than may be kept.
    #[error(
        "the documents fall into more than {groups_max} groups, which is the most that is allowed; filter them, or group \
         by less"
    )]
    TooManyGroups {
        /// How many there may be.
        groups_max: usize,
    },
    /// Keys, distinct values and extremes take more memory than they may.
    #[error(
        "the groups, distinct values and extremes take more than {bytes_max} bytes, which is the most that is allowed; \
         filter the documents, group by less, or ask for less of each group"
    )]
    AggregateTooLarge {
        /// How many there may be.
        bytes_max: usize,
    },
    /// Another server writes to this store.
    #[error(
        "this server follows another one that writes to the same store; send what writes to that one"
    )]
    Following,
    /// The engine is shutting down.
    #[error("the server is shutting down")]
    Closed,
    /// A read reached into a time that is no longer kept.
    #[error(
        "the state of that time is no longer kept; the oldest that can be read is of {}",
        time(*oldest)
    )]
    HistoryGone {
        /// From then on states are kept.
        oldest: CommitTs,
    },
    /// A reader of the log asked for changes that are no longer kept.
    #[error(
        "the changes after that commit are no longer all kept; the oldest commit to resume from is {oldest}. Begin with \
         a snapshot"
    )]
    ChangesGone {
        /// Everything after this commit is kept.
        oldest: CommitTs,
    },
    /// A read of a time that has not come.
    #[error(
        "there is no state of {} yet; the newest commit is of {}",
        time(*at),
        time(*head)
    )]
    NotYet {
        /// The time that was asked for.
        at: CommitTs,
        /// The newest commit.
        head: CommitTs,
    },
    /// The store was written in a format that this engine does not read.
    #[error(
        "the store's content has format {found}, this program reads up to {supported}: use a newer one"
    )]
    Format {
        /// The stored format version.
        found: u32,
        /// The newest format version that this program reads.
        supported: u32,
    },
    /// Restoring a backup into the store was begun and not finished.
    #[error(
        "a backup was restored into this store only in part, so it cannot be used: \
         run `thalweg restore` again, which starts over"
    )]
    HalfRestored,
}

fn time(ts: CommitTs) -> String {
    let mut text = Vec::new();
    write_rfc3339(i64::try_from(ts.as_micros()).unwrap_or(i64::MAX), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn interruption(why: Interruption) -> String {
    match why {
        Interruption::TimedOut { time_max } => format!(
            "the operation took more than {}, which is the most that one may take",
            write_duration(time_max)
        ),
        Interruption::Abandoned => {
            "the operation was ended, since nobody waits for its result".to_owned()
        }
    }
}

impl From<StorageError> for EngineError {
    fn from(error: StorageError) -> Self {
        EngineError::Storage(std::sync::Arc::new(error))
    }
}

impl EngineError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            EngineError::Storage(error) => match error.class() {
                ErrorClass::Caller => ErrorCode::LimitExceeded,
                ErrorClass::Indeterminate => ErrorCode::Indeterminate,
                ErrorClass::Corruption | ErrorClass::Internal => ErrorCode::Internal,
                ErrorClass::Conflict | ErrorClass::Unavailable => ErrorCode::Unavailable,
            },
            EngineError::Corrupt { .. } | EngineError::Upkeep { .. } => ErrorCode::Internal,
            EngineError::Indeterminate { .. } => ErrorCode::Indeterminate,
            EngineError::ChangesGone { .. } | EngineError::HistoryGone { .. } => {
                ErrorCode::HistoryGone
            }
            EngineError::NotYet { .. } => ErrorCode::BadRequest,
            EngineError::TooManyReads
            | EngineError::RowsExceeded
            | EngineError::TooManyKeys { .. }
            | EngineError::TooManyGroups { .. }
            | EngineError::AggregateTooLarge { .. } => ErrorCode::LimitExceeded,
            EngineError::Interrupted(Interruption::TimedOut { .. }) => ErrorCode::Timeout,
            EngineError::Interrupted(Interruption::Abandoned) => ErrorCode::Unavailable,
            EngineError::Deposed
            | EngineError::Following
            | EngineError::Thread { .. }
            | EngineError::Closed
            | EngineError::Format { .. }
            | EngineError::HalfRestored => ErrorCode::Unavailable,
        }
    }

    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            EngineError::Storage(error) => error.class(),
            EngineError::Corrupt { .. } => ErrorClass::Corruption,
            EngineError::Upkeep { .. } => ErrorClass::Internal,
            EngineError::Indeterminate { .. } => ErrorClass::Indeterminate,
            EngineError::ChangesGone { .. }
            | EngineError::HistoryGone { .. }
            | EngineError::TooManyReads
            | EngineError::RowsExceeded
            | EngineError::TooManyKeys { .. }
            | EngineError::TooManyGroups { .. }
            | EngineError::AggregateTooLarge { .. }
            | EngineError::NotYet { .. } => ErrorClass::Caller,
            EngineError::Deposed
            | EngineError::Following
            | EngineError::Interrupted(_)
            | EngineError::Thread { .. }
            | EngineError::Closed
            | EngineError::Format { .. }
            | EngineError::HalfRestored => ErrorClass::Unavailable,
        }
    }
}

/// A write that cannot be applied to what it found. The whole transaction is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IntentError {
    /// A document with that id exists.
    #[error("collection {collection:?} already has a document with id {id:?}")]
    AlreadyExists {
        /// The collection's name.
        collection: String,
        /// The id.
        id: DocumentId,
    },
    /// `ifVersion` named another version than the current one.
    #[error("{}", version_mismatch(id, *expected, *found))]
    VersionMismatch {
        /// The id.
        id: DocumentId,
        /// The version that the caller named.
        expected: u64,
        /// The current version; `None` where there is no such document, or it is softly deleted.
        found: Option<u64>,
    },
    /// The relation cannot be.
    #[error("{field} of collection {collection:?} cannot be a relation: {reason}")]
    Relation {
        /// The collection's name.
        collection: String,
        /// The field that is to name documents.
        field: String,
        /// Why not.
        reason: String,
    },
    /// The documents of a collection would have too many relations.
    #[error(
        "collection {collection:?} would have more than {relations_max} relations, the most that are allowed"
    )]
    TooManyRelations {
        /// The collection's name.
        collection: String,
        /// The limit.
        relations_max: usize,
    },
    /// There is no such collection.
    #[error("there is no collection {name:?}")]
    NoSuchCollection {
        /// Its name, or its number where a typed operation named it.
        name: String,
    },
    /// A collection of that name exists.
    #[error("there already is a collection {name:?}")]
    CollectionExists {
        /// Its name.
        name: String,
    },
    /// A collection cannot have that name.
    #[error("{name:?} cannot name a collection: {reason}")]
    CollectionName {
        /// The name.
        name: String,
        /// Why not, and what would be right.
        reason: &'static str,
    },
    /// The document's own `id` cannot be an id.
    #[error("{reason}")]
    Id {
        /// What is wrong with it.
        reason: String,
    },
    /// The patch does not fit the document.
    #[error("{0}")]
    Patch(#[from] PatchError),
    /// The document would be larger than documents may be.
    #[error("the document has {bytes} bytes; at most {bytes_max} are allowed")]
    DocumentTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Another document holds a value that a unique index lets one document have.
    #[error(
        "{} {value} of collection {collection:?} belongs to document {id:?} already; its index is unique",
        .fields.join(", ")
    )]
    UniqueViolation {
        /// The collection's name.
        collection: String,
        /// The fields of the index, in their notation.
        fields: Vec<String>,
        /// The value as JSON, cut where it is long; of several fields, a list.
        value: String,
        /// The document that holds it.
        id: DocumentId,
    },
    /// The document has more distinct items in an indexed list than an index takes.
    #[error(
        "the document has more than {rows_max} distinct items for the index {index} of collection {collection:?}"
    )]
    TooManyIndexRows {
        /// The collection's name.
        collection: String,
        /// The index, in its notation.
        index: String,
        /// How many there may be.
        rows_max: usize,
    },
    /// What was to be an index cannot be one.
    #[error("{0}")]
    IndexDefinition(#[from] IndexDefinitionError),
    /// The document does not satisfy what is declared of its collection.
    #[error("document {id:?} of collection {collection:?} is not as declared: {mistakes}")]
    SchemaViolation {
        /// The collection's name.
        collection: String,
        /// The document.
        id: DocumentId,
        /// All that is wrong with it.
        mistakes: Box<Mistakes>,
    },
    /// The documents that are there do not satisfy what is to be declared.
    #[error("{}", not_satisfied(violations))]
    NotSatisfied {
        /// What is wrong with them.
        violations: Vec<Violation>,
    },
    /// The counts do not tell whether documents satisfy what is to be declared, and nobody has looked at them all.
    #[error(
        "collection {collection:?} changed so that its counts do not tell whether {} is as declared; declare it again",
        paths.join(", ")
    )]
    NotJudged {
        /// The collection's name.
        collection: String,
        /// Where they do not tell.
        paths: Vec<String>,
    },
    /// Names that are declared cannot be given.
    #[error("collection {collection:?}: {}", joined(conflicts))]
    Names {
        /// The collection's name.
        collection: String,
        /// Which, and why.
        conflicts: Vec<PinConflict>,
    },
    /// Documents have the new name of a field already.
    #[error(
        "{from} of collection {collection:?} cannot become {to}: documents have {to} already; remove it from them first"
    )]
    RenameTaken {
        /// The collection's name.
        collection: String,
        /// The field.
        from: String,
        /// Its new name.
        to: String,
    },
    /// A field is getting another name, which a declaration would leave half done.
    #[error(
        "collection {collection:?} is still moving the values of {from} to {to}; until that is done, {advice}"
    )]
    RenameUnderWay {
        /// The collection's name.
        collection: String,
        /// The field.
        from: String,
        /// Its new name.
        to: String,
        /// What would be right.
        advice: &'static str,
    },
    /// The collection has as many indexes as it may.
    #[error("collection {collection:?} has {indexes_max} indexes already; drop one first")]
    TooManyIndexes {
        /// The collection's name.
        collection: String,
        /// How many there may be.
        indexes_max: usize,
    },
    /// A deletion for good cannot name a later time for that.
    #[error(
        "this deletion is permanent at once, so it cannot have a time to purge at; leave that out, or delete softly"
    )]
    PurgeOfPermanent,
    /// There is no revision of that time to restore.
    #[error("document {id:?} was not there at {}, or deleted; name a time at which it was there", time(*at))]
    NoRevision {
        /// The id.
        id: DocumentId,
        /// The time that was asked for.
        at: CommitTs,
    },
    /// A revision of a time that has not come, or is being written at this moment.
    #[error("there is no state of {} yet; name an earlier time", time(*at))]
    NotYet {
        /// The time that was asked for.
        at: CommitTs,
    },
    /// A revision of a time that is no longer kept.
    #[error("the state of that time is no longer kept; the oldest is of {}", time(*oldest))]
    HistoryGone {
        /// From then on states are kept.
        oldest: CommitTs,
    },
    /// Other documents name what would go, and a relation declares that they keep it.
    #[error("{}", restricted(target, collection, field, *count, ids))]
    Restricted {
        /// The name of the collection whose documents would go.
        target: Box<str>,
        /// That of those which name them.
        collection: Box<str>,
        /// The field by which they do.
        field: Box<str>,
        /// How many do.
        count: u64,
        /// The ids of the first ones.
        ids: Box<[String]>,
    },
    /// More documents would have to follow those that go than one transaction may write.
    #[error(
        "more than {documents_max} documents name what would go and would have to be deleted or changed with it; do that in parts first"
    )]
    TooManyFollow {
        /// How many may.
        documents_max: usize,
    },
    /// The transaction would write more than one may.
    #[error("the transaction writes more than {bytes_max} bytes of documents; split the work")]
    TransactionTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// A patch names the same path twice.
    #[error("the patch changes {first} and {second} at once; name each path once")]
    PatchConflict {
        /// One path.
        first: FieldPath,
        /// The other: the same, or above or below it.
        second: FieldPath,
    },
}

fn restricted(target: &str, collection: &str, field: &str, count: u64, ids: &[String]) -> String {
    let more = if count > ids.len() as u64 {
        ", …"
    } else {
        ""
    };
    format!(
        "{count} of the documents of {collection:?} name by {field} what would go from {target:?}, and the relation is \
         RESTRICT: {}{more}; delete or change those first",
        ids.join(", ")
    )
}

fn not_satisfied(violations: &[Violation]) -> String {
    let told: Vec<String> = violations.iter().map(ToString::to_string).collect();
    format!(
        "documents are not as declared, so nothing is changed: {}",
        told.join("; ")
    )
}

fn joined(conflicts: &[PinConflict]) -> String {
    let told: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
    told.join("; ")
}

fn version_mismatch(id: &DocumentId, expected: u64, found: Option<u64>) -> String {
    match found {
        Some(found) => format!("document {id:?} is at version {found}, not {expected}"),
        None => format!("document {id:?} is not there, so it is not at version {expected}"),
    }
}

impl IntentError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            IntentError::AlreadyExists { .. }
            | IntentError::CollectionExists { .. }
            | IntentError::UniqueViolation { .. } => ErrorCode::UniqueViolation,
            IntentError::SchemaViolation { .. } | IntentError::NotSatisfied { .. } => {
                ErrorCode::SchemaViolation
            }
            IntentError::NotJudged { .. } => ErrorCode::Unavailable,
            IntentError::Names { .. }
            | IntentError::RenameTaken { .. }
            | IntentError::RenameUnderWay { .. } => ErrorCode::BadRequest,
            IntentError::IndexDefinition(error) => error.code(),
            IntentError::VersionMismatch { .. } => ErrorCode::VersionMismatch,
            IntentError::Restricted { .. } => ErrorCode::SchemaViolation,
            IntentError::HistoryGone { .. } => ErrorCode::HistoryGone,
            IntentError::NoSuchCollection { .. } | IntentError::NoRevision { .. } => {
                ErrorCode::NotFound
            }
            IntentError::CollectionName { .. }
            | IntentError::Id { .. }
            | IntentError::Patch(_)
            | IntentError::PurgeOfPermanent
            | IntentError::NotYet { .. }
            | IntentError::Relation { .. }
            | IntentError::PatchConflict { .. } => ErrorCode::BadRequest,
            IntentError::TransactionTooLarge { .. }
            | IntentError::DocumentTooLarge { .. }
            | IntentError::TooManyFollow { .. }
            | IntentError::TooManyIndexRows { .. }
            | IntentError::TooManyRelations { .. }
            | IntentError::TooManyIndexes { .. } => ErrorCode::LimitExceeded,
        }
    }
}

/// Why a transaction did not commit. Nothing of it was written, unless the code is `INDETERMINATE`.
#[derive(Debug, Clone, Error)]
pub enum TransactionError {
    /// One of its writes could not be applied.
    #[error("{error}")]
    Intent {
        /// Which write: the number that [`crate::Transaction::write`] returned.
        step: usize,
        /// What is wrong with it.
        error: IntentError,
    },
    /// The store failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The transaction's own code refused.
    #[error("{message}")]
    Refused {
        /// The code that a client sees.
        code: ErrorCode,
        /// What is wrong, where, and what would be right.
        message: String,
        /// Which part of the request it was, as the transaction's code numbers them.
        part: usize,
    },
}

impl TransactionError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            TransactionError::Intent { error, .. } => error.code(),
            TransactionError::Engine(error) => error.code(),
            TransactionError::Refused { code, .. } => *code,
        }
    }

    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            TransactionError::Engine(error) => error.class(),
            TransactionError::Intent { .. } | TransactionError::Refused { .. } => {
                ErrorClass::Caller
            }
        }
    }
}

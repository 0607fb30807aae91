//! The engine: collections and documents, transactions, the commit log.
//!
//! - **One log, one order.** Every committed transaction has a `commit_ts`; a [`Snapshot`] is the state at one.
//! - **DOCC.** A transaction runs on a snapshot and yields what it depends on ([`DependencySet`]) and what it wants to
//!   write ([`Intent`]). The committer validates it against the commits since, applies its intents in commit order,
//!   and commits groups of transactions with one sync. On a conflict the engine runs it again; the client never sees
//!   one. The result is strictly serializable (Dong et al., "Optimistic Transaction Processing in Deterministic
//!   Database", JCST 35(2), 2020).
//! - **One predicate, three uses.** [`DependencySet::touched_by`] decides whether a transaction must be run again,
//!   which live queries a commit may change, and whether a result still holds.
//! - **Shapes are counted** in the commit that changes them, and what is published of a collection's types changes with
//!   them in that commit, as far as [`EngineOptions::evolution`] lets it. The [`Catalog`] of a snapshot has both.
//! - **Indexes hold candidates** ([`index`]): what is found through one is tested again on the document, now or as of an
//!   earlier time, so a find gives the same whatever its [`Plan`].
//!
//! What is not here: GraphQL (`resolvers`), delivery to clients (`subscriptions`), bytes on a disk (`storage`).

mod aggregate;
mod anchor;
mod as_of;
mod backup;
mod budget;
mod catalog;
mod changes;
mod chunk;
mod clock;
mod commit;
mod committer;
mod declared;
mod dependency;
mod draft;
mod due;
mod duration;
mod engine;
mod error;
mod field;
mod find;
mod format;
mod ground;
mod group;
mod history;
mod idempotency;
pub mod index;
mod intent;
mod join;
mod kept;
mod keyspace;
mod leadership;
mod load;
mod log;
mod made_id;
mod maintenance;
mod order;
mod overlay;
mod pin;
mod pipeline;
mod policy;
mod predicate;
mod published;
mod published_types;
mod record;
mod relations;
mod retention;
mod revisions;
mod settings;
mod snapshot;
mod statistics;
mod takeover;
#[cfg(test)]
mod test_world;
mod transaction;
mod upkeep;
mod vanished;
mod verify;
mod words;
mod writer;

pub use aggregate::{
    Aggregate, Aggregated, Aggregation, Function, Group, GroupKey, GroupOrder, GroupPart, Grouping,
    Having, KeyForm, Outcome, ValueKind,
};
pub use anchor::{Anchor, AnchorField, KeyInterval};
pub use as_of::HistoricalPage;
pub use backup::{BackupError, BackupSummary, ProvedBackup, inspect, write_stored};
pub use budget::{Interrupt, Interruption};
pub use catalog::{Catalog, Collection};
pub use changes::{
    ChangeEvent, ChangeEventKind, ChangePage, ChangeStream, ChangesError, ChangesStart,
};
pub use clock::{Clock, ClockAlarm, SystemClock};
pub use commit::{Change, ChangeKind, Commit};
pub use declared::{
    Backfill, BackfillCursor, BackfillKind, BackfillProgress, Declaration, Declared, Rename,
    RenamePhase, Violation,
};
pub use dependency::{Dependency, DependencySet, Range, Scope, Sight};
pub use duration::{InvalidDuration, parse_duration, write_duration, write_iso_duration};
pub use engine::{Engine, EngineOptions, Place, Sent};
pub use error::{EngineError, IntentError, TransactionError};
pub use field::{FieldMask, FieldRef, write_field_key};
pub use find::{Choice, Deleted, Find, FindEach, Found, Plan};
pub use idempotency::{FirstAnswer, IdempotencyKey};
pub use index::{
    Index, IndexDefinition, IndexDefinitionError, IndexField, IndexId, IndexProgress, IndexRow,
    IndexStatus, ListItems,
};
pub use intent::{CollectionRef, ExpiryChange, Intent, Origin, Step, Upkeep};
pub use join::{JOIN_KEYS_MAX, Join, ValueSet, integer_of};
pub use kept::KeptReads;
pub use leadership::Role;
pub use log::LoggedCommit;
pub use maintenance::{Maintenance, MaintenanceMode};
pub use order::{OrderKey, Position, fingerprint, write_order_key};
pub use pipeline::{EngineStepper, Stage};
pub use predicate::{Comparison, EntryTest, LikePattern, Predicate, Test};
pub use published_types::ImportGuard;
pub use record::{Record, RevisionKind};
pub use relations::{
    DeclaredRelation, LookedAt, RELATIONS_MAX, RelationEvidence, StoredRelation, StoredRelations,
};
pub use revisions::{Revision, RevisionOrder, RevisionRange, Revisions};
pub use settings::{OnExpire, Retain, Settings, SettingsChange, Update};
pub use snapshot::Snapshot;
pub use statistics::Statistics;
pub use thalweg_schema_infer::{Drift, Evolution};
pub use transaction::{Committed, Transaction};
pub use upkeep::{UpkeepMode, UpkeepStep};
pub use vanished::{FieldUse, HeldFields};
pub use verify::{Finding, FindingKind, Verification, verify};

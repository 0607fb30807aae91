//! The key-value contract under the engine, the suite that defines it, and the backends that keep it.
//!
//! A backend is an ordered map of byte keys with consistent snapshots, range scans in both directions and
//! one atomic, durable, *fenced* write batch. See [`Backend`] for what each call promises.
//!
//! What must hold in every backend:
//!
//! - a batch lands whole or not at all, and only on top of the head that it names ([`Batch::expected`]);
//! - a snapshot is one state of the store, the one that its own [`Snapshot::head`] names, for as long as it lives;
//! - the outcome of a commit is known or is said to be unknown ([`CommitError`]), never guessed.
//!
//! What is *not* here: isolation of transactions, history, change feeds, chunking of large values, the meaning of
//! keys. Those belong to the engine, and so are the same on every backend.
//!
//! | module | what it holds |
//! |---|---|
//! | `contract` | the traits [`Backend`] and [`Snapshot`], batches, usage |
//! | `head` | the fencing value that every batch overwrites |
//! | `keyspace` | limits of keys and values, reserved keys, clipping of scan bounds |
//! | `error` | what can go wrong, and whether a batch landed |
//! | [`memory`] | a persistent map in memory, feature `memory` |
//! | [`embedded`] | a log and an LMDB environment in a directory, feature `embedded` |
//! | [`postgres`] | a schema of a PostgreSQL database, feature `postgres` |
//! | [`conformance`] | the contract as executable properties, feature `conformance` |

mod contract;
mod error;
mod head;
mod keyspace;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "embedded", feature = "postgres"))]
mod readers;

pub use contract::{
    Backend, Batch, Direction, FirstRows, Leadership, ManyVisitor, Snapshot, Usage, Visitor, Wake,
    Write,
};
pub use error::{CommitError, LimitError, StorageError};
pub use head::{HEAD_KEY, Head};
pub use keyspace::{
    KEY_BYTES_MAX, KeyRange, RESERVED_PREFIX, VALUE_BYTES_MAX, clip, clip_half_open,
};

#[cfg(feature = "embedded")]
pub use embedded::{EmbeddedBackend, EmbeddedOptions, Recovery, TornTail, WritePath};
#[cfg(feature = "memory")]
pub use memory::MemoryBackend;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresBackend, PostgresOptions, PostgresUrl};

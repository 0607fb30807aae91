//! The contract: what a backend gives, and nothing more.
//!
//! Everything here is blocking and free of any runtime; the engine decides on which threads it runs.

use std::borrow::Cow;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::Duration;

use crate::keyspace::{check_key, check_value};
use crate::{CommitError, Head, StorageError};

/// An ordered map of byte keys, kept durably.
///
/// Keys have 1 to [`KEY_BYTES_MAX`](crate::KEY_BYTES_MAX) bytes and sort by their bytes; values have up to
/// [`VALUE_BYTES_MAX`](crate::VALUE_BYTES_MAX). Keys that begin with [`RESERVED_PREFIX`](crate::RESERVED_PREFIX) are
/// the backend's own.
pub trait Backend: Send + Sync + 'static {
    /// A short name for messages and metrics.
    fn name(&self) -> &'static str;

    /// Opens a consistent view of the store.
    ///
    /// It contains every batch whose commit returned before the call, and never a part of a batch.
    ///
    /// # Errors
    ///
    /// [`StorageError::Unavailable`] when no further reader fits; `Corrupt` when the stored head cannot be read.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError>;

    /// Writes one batch: atomic, durable on return, in the order of [`Batch::writes`], and only if the stored head
    /// is [`Batch::expected`].
    ///
    /// Blocks until the batch is durable. Concurrent calls are safe, and all but one of those that expect the same
    /// head are fenced.
    ///
    /// # Errors
    ///
    /// [`CommitError`] says whether the batch landed.
    fn commit(&self, batch: &Batch) -> Result<(), CommitError>;

    /// Whether a commit could succeed, as far as is known without trying one. Cheap enough to ask for every health check.
    ///
    /// A store that can be read may still refuse every commit: after a failed sync, say, or on a full disk. By default nothing
    /// is known against it.
    ///
    /// # Errors
    ///
    /// The error that commits are refused with, [`StorageError::Unavailable`] or `Full` mostly.
    fn writable(&self) -> Result<(), StorageError> {
        Ok(())
    }

    /// How much room the store takes.
    ///
    /// # Errors
    ///
    /// `Io` or `Unavailable`, when the backend cannot be asked.
    fn usage(&self) -> Result<Usage, StorageError>;

    /// Whether other servers may use the store at the same time, so that it can have changed between any two looks.
    fn is_shared(&self) -> bool {
        false
    }

    /// Asks to be the one that writes, among all servers that use this store. Does not wait: `None` means that another one is,
    /// and that it is worth asking again later. Dropping the guard gives the leadership up.
    ///
    /// This keeps servers from deposing each other in turns. It fences nothing: a leadership can be lost without notice, and
    /// what protects the store is the head that each batch expects.
    ///
    /// A store that only one process can open has nobody to ask; there, as by default, everybody leads.
    ///
    /// # Errors
    ///
    /// `Unavailable`, when the backend cannot be asked.
    fn lead(&self) -> Result<Option<Box<dyn Leadership>>, StorageError> {
        Ok(Some(Box::new(SoleUser)))
    }

    /// Asks to be woken after commits, those of other servers above all.
    ///
    /// A hint: it may come late, for several commits at once, for no commit at all, or not at all, so whoever follows a
    /// store looks by itself about once a second too. It is called until the backend is dropped, on a
    /// thread of the backend, which it must not hold up.
    ///
    /// A store that only one process can open has nothing to tell; there, as by default, nothing is ever woken.
    fn on_commit(&self, wake: Wake) {
        drop(wake);
    }
}

/// What [`Backend::on_commit`] calls.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The right to write, as far as the servers of a store agree among themselves. See [`Backend::lead`].
pub trait Leadership: Send + Sync {
    /// Whether it is still held. Once `false`, it stays so, and only a new [`Backend::lead`] can win it again. Quick enough to
    /// ask before each batch.
    fn is_held(&self) -> bool;
}

/// The leadership of a store that nobody else can open.
struct SoleUser;

impl Leadership for SoleUser {
    fn is_held(&self) -> bool {
        true
    }
}

/// What a scan calls for each row, with the key and the value, which lives as long as the snapshot is borrowed.
///
/// `ControlFlow::Break` ends the scan.
pub type Visitor<'v, 's> = &'v mut (dyn FnMut(&[u8], Cow<'s, [u8]>) -> ControlFlow<()> + 'v);

/// One state of the store.
pub trait Snapshot: Send {
    /// The head of this very state; `None` before the first batch.
    fn head(&self) -> Option<Head>;

    /// The value of a key, or `None`. A key that cannot be written is absent.
    ///
    /// # Errors
    ///
    /// [`StorageError::SnapshotExpired`] when the snapshot has outlived its backend's reader lifetime, else `Io` or
    /// `Corrupt`.
    fn get<'s>(&'s self, key: &[u8]) -> Result<Option<Cow<'s, [u8]>>, StorageError>;

    /// The values of several keys, in their order: what [`Snapshot::get`] gives for each, in one exchange with a store that
    /// is elsewhere. Ascending keys are read the fastest.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::get`].
    fn get_many<'s>(
        &'s self,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Cow<'s, [u8]>>>, StorageError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Visits the keys between two bounds in the given direction until `visit` breaks.
    ///
    /// Both bounds keep their meaning in either direction: `from` is the lower one. Bounds may be of any length, and
    /// a range that is empty or inverted has no keys.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::get`]; rows visited before an error are valid.
    fn scan<'s>(
        &'s self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: Visitor<'_, 's>,
    ) -> Result<(), StorageError>;

    /// Visits the first rows of several ranges, those of each range in its direction: what [`Snapshot::scan`] shows of them,
    /// in one exchange with a store that is elsewhere. All rows that are wanted may be held at once, so it is for small ones.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::scan`].
    fn scan_many<'s>(
        &'s self,
        ranges: &[FirstRows<'_>],
        visit: ManyVisitor<'_, 's>,
    ) -> Result<(), StorageError> {
        for (number, range) in ranges.iter().enumerate() {
            let mut rows_left = range.rows_max;
            if rows_left == 0 {
                continue;
            }
            self.scan(
                Bound::Included(range.from),
                Bound::Excluded(range.to),
                range.direction,
                &mut |key, value| {
                    visit(number, key, value);
                    rows_left -= 1;
                    match rows_left {
                        0 => ControlFlow::Break(()),
                        _ => ControlFlow::Continue(()),
                    }
                },
            )?;
        }
        Ok(())
    }
}

/// The first rows of a range that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstRows<'k> {
    /// The lowest key that may be one of them.
    pub from: &'k [u8],
    /// The lowest key above them.
    pub to: &'k [u8],
    /// From which end they are taken.
    pub direction: Direction,
    /// How many there are at most.
    pub rows_max: usize,
}

/// What a scan of several ranges calls for each row: with the number of its range, the key and the value.
pub type ManyVisitor<'v, 's> = &'v mut (dyn FnMut(usize, &[u8], Cow<'s, [u8]>) + 'v);

/// Which way a scan runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the lowest key up.
    Forward,
    /// From the highest key down.
    Backward,
}

/// One change to the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key, whether or not it exists.
    Put {
        /// The key.
        key: Vec<u8>,
        /// Its new value.
        value: Vec<u8>,
    },
    /// Removes a key, if it exists.
    Delete {
        /// The key.
        key: Vec<u8>,
    },
    /// Removes every key in `from <= key < to`. Bounds may be of any length; an inverted range removes nothing.
    DeleteRange {
        /// The lowest key removed.
        from: Vec<u8>,
        /// The lowest key kept.
        to: Vec<u8>,
    },
}

/// Writes that land together, and the heads before and after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The head that the store must have; `None` for a store without any batch.
    pub expected: Option<Head>,
    /// The head that the batch leaves; greater than `expected`, else a repeated batch could not be told from a new one.
    pub head: Head,
    /// The changes, applied in order: a later write to a key wins.
    pub writes: Vec<Write>,
}

impl Batch {
    /// Checks everything that can be checked without the store. Backends call it before they write anything.
    ///
    /// # Errors
    ///
    /// [`StorageError::Limit`] for a key or value out of bounds, [`StorageError::HeadOutOfOrder`] for a head that does
    /// not follow the expected one.
    pub fn check(&self) -> Result<(), StorageError> {
        if let Some(expected) = self.expected
            && self.head <= expected
        {
            return Err(StorageError::HeadOutOfOrder {
                expected,
                head: self.head,
            });
        }
        for write in &self.writes {
            match write {
                Write::Put { key, value } => {
                    check_key(key)?;
                    check_value(value)?;
                }
                Write::Delete { key } => check_key(key)?,
                // The range is clipped to the writable keys, so any bounds will do.
                Write::DeleteRange { .. } => {}
            }
        }
        Ok(())
    }
}

/// How much room a store takes, as far as its backend knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes taken from the disk (or from memory, for a backend that has no disk), reusable ones included.
    pub bytes_on_disk: u64,
    /// Bytes of the newest state: keys, values and what it takes to find them.
    pub bytes_live: u64,
    /// The most that `bytes_on_disk` may become, where there is such a limit.
    pub bytes_max: Option<u64>,
    /// Snapshots that are open.
    pub snapshots: usize,
    /// Age of the oldest open snapshot. Space freed since it was opened cannot be reused before it is dropped.
    pub oldest_snapshot: Option<Duration>,
}

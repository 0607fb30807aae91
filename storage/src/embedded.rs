//! A store in a directory: one LMDB environment, one process, one writer.
//!
//! ```text
//! DIR/lock        exclusive use, and the pid of the user
//! DIR/data/       the B-tree: data.mdb, lock.mdb
//! DIR/data.new/   a B-tree that was being created; removed on open
//! ```
//!
//! The parts, from the outside in:
//!
//! - [`EmbeddedBackend`] is the commit point, the publish point and the way to a snapshot. Today a batch is committed by
//!   one synced transaction of the B-tree, which also publishes it. A write-ahead log takes its place here: commit
//!   appends to `DIR/log` and syncs once, publishing swaps an overlay of what the tree still lacks, a snapshot pairs
//!   that overlay with a tree reader, and `Tree::write` becomes the background step that trims both. Nothing
//!   outside this module can tell.
//! - `tree` owns the environment: reading, writing, fencing. It decides what a failed write means.
//! - `environment` opens it, and holds the one `unsafe` of the crate.
//! - `crate::readers` knows every open snapshot, so that the age of the oldest is visible.
//! - `directory` gives exclusive use of the directory, and creates it whole or not at all.
//!
//! **Map growth.** LMDB maps its file at a size that can only change while no transaction runs. So the map is reserved
//! once, far larger than the data ([`EmbeddedOptions::map_bytes_max`], 1 TiB): it costs address space, neither memory
//! nor disk, since the file grows by the pages written. Growing on demand would need a gate in front of every reader, and
//! would stall them all whenever it closes. Where address space is limited (`ulimit -v`), a smaller map is
//! taken; when that is used up, commits report [`StorageError::Full`], as they do on a full disk.
//!
//! **Long readers.** LMDB cannot reuse a page freed since its oldest reader began. A snapshot therefore refuses to be
//! read beyond [`EmbeddedOptions::reader_lifetime_max`], within a scan too, so that its holder drops it. It is not
//! ended under its holder, who may still borrow values from the map. [`Usage::oldest_snapshot`] shows one that is kept.
//!
//! **Failed writes.** The meta page decides: LMDB writes it last, after all pages are synced. If it was not reached, the batch
//! is [`CommitError::NotCommitted`]; if writing it failed, [`CommitError::Indeterminate`]. After a failed sync nothing
//! more is written before the store is closed and opened again, since the kernel may have dropped the pages it could
//! not write while calling them clean. Reads go on.

mod directory;
mod environment;
mod failure;
mod options;
mod snapshot;
mod tree;

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use self::directory::Directory;
pub use self::options::EmbeddedOptions;
use self::snapshot::EmbeddedSnapshot;
use self::tree::Tree;
use crate::readers::Readers;
use crate::{Backend, Batch, CommitError, Snapshot, StorageError, Usage};

/// A [`Backend`] that keeps its data in a directory of this machine.
///
/// The directory stays locked until the backend and all its snapshots are dropped.
///
/// ```
/// use thalweg_model::CommitTs;
/// use thalweg_storage::{Backend, Batch, EmbeddedBackend, EmbeddedOptions, Head, Write};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let store = EmbeddedBackend::open(directory.path(), EmbeddedOptions::default())?;
/// store.commit(&Batch {
///     expected: None,
///     head: Head { epoch: 1, commit_ts: CommitTs::from_micros(1), batch: 1 },
///     writes: vec![Write::Put { key: b"river".to_vec(), value: b"Rhine".to_vec() }],
/// })?;
/// assert_eq!(store.snapshot()?.get(b"river")?.as_deref(), Some(&b"Rhine"[..]));
/// # Ok(())
/// # }
/// ```
pub struct EmbeddedBackend {
    /// Held for the length of a commit. LMDB has a lock of its own, which does not say who waits.
    committing: Mutex<()>,
    tree: Arc<Tree>,
    readers: Arc<Readers>,
}

impl EmbeddedBackend {
    /// Opens the store in `path`, and creates the directory and the store if there is none.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Locked`]: the directory is in use, by this process or another;
    /// - [`StorageError::Format`]: a newer program wrote it;
    /// - [`StorageError::Corrupt`]: it holds something else, or a part is missing;
    /// - [`StorageError::Unavailable`], `Full` or `Io`: the system gives no access, room or address space.
    pub fn open(path: &Path, options: EmbeddedOptions) -> Result<Self, StorageError> {
        let readers = Arc::new(Readers::new(options.clock, options.reader_lifetime_max));
        let directory = Directory::lock(path)?;
        let tree = Arc::new(Tree::open(directory, &options)?);
        Ok(Self {
            committing: Mutex::new(()),
            tree,
            readers,
        })
    }

    /// The size that the store may reach: [`EmbeddedOptions::map_bytes_max`], or less where address space is short.
    pub fn map_bytes(&self) -> u64 {
        self.tree.map_bytes()
    }
}

impl Backend for EmbeddedBackend {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        Ok(Box::new(EmbeddedSnapshot::open(&self.tree, &self.readers)?))
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        batch.check().map_err(CommitError::NotCommitted)?;
        let _committing = self.committing.lock();
        self.tree.write(batch)
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        let (snapshots, oldest_snapshot) = self.readers.summary();
        Ok(Usage {
            bytes_on_disk: self.tree.bytes_on_disk()?,
            bytes_live: self.tree.bytes_live()?,
            bytes_max: Some(self.tree.map_bytes()),
            snapshots,
            oldest_snapshot,
        })
    }
}

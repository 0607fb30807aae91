//! A store in a directory: a log, and an LMDB environment behind it. One process, one writer.
//!
//! ```text
//! DIR/lock        exclusive use, and the pid of the user
//! DIR/data/       the B-tree: data.mdb, lock.mdb
//! DIR/data.new/   a B-tree that was being created; removed on open
//! DIR/log/        the segments of the log
//! ```
//!
//! A commit is appended to the log, synced once, put into a layer of the overlay in memory, published and acknowledged. A
//! background thread, the applier, writes whole layers into the B-tree in large, synced transactions, and gives
//! their segments of the log free. A snapshot pairs a reader of the B-tree with the layers that it lacks. Why it is so:
//! `docs/decisions/0005-log-in-front-of-lmdb.md`.
//!
//! The parts, from the outside in:
//!
//! | module | what it holds |
//! |---|---|
//! | `store` | the commit, what is published, and the locks |
//! | `applier` | the background thread, and when it acts |
//! | `snapshot`, `published` | what a reader sees |
//! | `log` | the log: its format, appending, reading it back |
//! | `overlay` | the layers, and scans over them |
//! | `tree` | the environment: reading, writing, fencing; what a failed write means |
//! | `environment` | opening it, with the one `unsafe` of the crate |
//! | `crate::readers` | every open snapshot, so that the age of the oldest is visible |
//! | `directory` | exclusive use of the directory, which is created whole or not at all |
//! | `seal` | no writing after a failed sync |
//! | `recovery`, `write_path` | reports |
//!
//! **Map growth.** LMDB maps its file at a size that can only change while no transaction runs. So the map is reserved
//! once, far larger than the data ([`EmbeddedOptions::map_bytes_max`], 1 TiB): it costs address space, neither memory
//! nor disk, since the file grows by the pages written. Growing on demand would need a gate in front of every reader, and
//! would stall them all whenever it closes. Where address space is limited (`ulimit -v`), a smaller map is
//! taken; when that is used up, commits report [`StorageError::Full`], as they do on a full disk. What was acknowledged by
//! then stays in the log and is read from memory; **the way out is to open the store with a larger map**, which takes it
//! over. No part of the map is held back for deletes: they are not told apart here, since a batch that deletes a document
//! puts its history, and they copy pages before they free any. Refusing earlier would only be full earlier.
//!
//! **Long readers.** LMDB cannot reuse a page freed since its oldest reader began. A snapshot therefore refuses to be
//! read beyond [`EmbeddedOptions::reader_lifetime_max`], within a scan too, so that its holder drops it. It is not
//! ended under its holder, who may still borrow values from the map. [`Usage::oldest_snapshot`] shows one that is kept.
//!
//! It also keeps the layers that it reads, two at most, after the tree has them; snapshots of different ages keep all that
//! were made in between, which is what is committed in their lifetime. [`WritePath::pinned_bytes`] shows it. Beyond
//! [`EmbeddedOptions::pinned_bytes_max`], commits are [`StorageError::Unavailable`] until some are dropped. They are
//! not delayed, for a snapshot that was forgotten is never dropped, and it takes many of different ages to get there.
//!
//! **Failed writes.** A batch that could not be written to the log is [`CommitError::NotCommitted`], and never read back.
//! When its sync fails it is [`CommitError::Indeterminate`], and the store is sealed: nothing more is written before it is
//! closed and opened again, since the kernel may have dropped the pages it could not write while calling them clean. Reads
//! go on. When the *tree* cannot be written, for want of room say, nothing is lost: the batches are in the log and in
//! memory. Commits are refused with the reason, and the applier tries again every second. [`Backend::writable`] tells
//! either without trying a commit, and so it does when the applier has died in a panic, which seals the store too.
//!
//! In LMDB the meta page decides, which is written last, after all pages are synced. If it was not reached, nothing has
//! changed; if writing it failed, the store is sealed.

mod applier;
mod directory;
mod environment;
mod failure;
mod log;
mod options;
mod overlay;
mod published;
mod recovery;
mod seal;
mod snapshot;
mod store;
mod tree;
mod write_path;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use self::directory::Directory;
use self::failure::io_failure;
use self::log::{Log, SPARES_MAX};
pub use self::options::EmbeddedOptions;
pub use self::recovery::{Recovery, TornTail};
use self::seal::Seal;
use self::store::Store;
use self::tree::Tree;
pub use self::write_path::WritePath;
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
    store: Arc<Store>,
    recovery: Recovery,
    /// What the log may take: the overlay's bound, and the segments beside.
    log_bytes_max: u64,
    /// Taken when the backend is dropped.
    applier: Option<JoinHandle<()>>,
}

/// Up to this much, measuring the store first brings the tree up to date. It takes some hundredths of a second.
const APPLIED_TO_MEASURE_BYTES_MAX: u64 = 16 << 20;

impl EmbeddedBackend {
    /// Opens the store in `path`, and creates the directory and the store if there is none.
    ///
    /// What a crash has left in the log is read back into memory; see [`EmbeddedBackend::recovery`].
    ///
    /// # Errors
    ///
    /// - [`StorageError::Locked`]: the directory is in use, by this process or another;
    /// - [`StorageError::Format`]: a newer program wrote it;
    /// - [`StorageError::Corrupt`]: it holds something else, or a part is missing or damaged;
    /// - [`StorageError::Unavailable`], `Full` or `Io`: the system gives no access, room or address space.
    pub fn open(path: &Path, options: EmbeddedOptions) -> Result<Self, StorageError> {
        let (store, recovery) = open_store(path, &options)?;
        let segments = SPARES_MAX as u64 + 2;
        let log_bytes_max = options.overlay_bytes_max + segments * store.pool.bytes_max();
        let applier = applier::start(Arc::clone(&store))
            .map_err(|error| io_failure("starting the applier".to_owned(), error))?;
        Ok(Self {
            store,
            recovery,
            log_bytes_max,
            applier: Some(applier),
        })
    }

    /// What was read back from the log when the store was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// How far the B-tree is behind the log.
    pub fn write_path(&self) -> WritePath {
        self.store.write_path()
    }

    /// Brings the B-tree up to date with what was committed before the call. It does so by itself, soon after.
    ///
    /// # Errors
    ///
    /// [`StorageError::Full`] or `Unavailable` with the reason, when the B-tree cannot be written. Nothing is lost.
    pub fn drain(&self) -> Result<(), StorageError> {
        self.store.drain()
    }

    /// The size that the B-tree may reach: [`EmbeddedOptions::map_bytes_max`], or less where address space is short.
    pub fn map_bytes(&self) -> u64 {
        self.store.tree.map_bytes()
    }
}

/// Opens what is in `path`, without the applier.
fn open_store(
    path: &Path,
    options: &EmbeddedOptions,
) -> Result<(Arc<Store>, Recovery), StorageError> {
    let readers = Arc::new(Readers::new(options.clock, options.reader_lifetime_max));
    let seal = Arc::new(Seal::default());
    let directory = Directory::lock(path)?;
    let tree = Arc::new(Tree::open(directory, options, Arc::clone(&seal))?);
    let (applied, head) = tree.newest()?;
    let started = Instant::now();
    let opened = Log::open(
        tree.log_directory(),
        applied,
        head,
        options.log_segment_bytes_max,
        Arc::clone(&seal),
    )?;
    let recovery = Recovery {
        batches: opened.batches,
        bytes: opened.layer.bytes(),
        elapsed: started.elapsed(),
        torn: opened.torn,
    };
    let store = Arc::new(Store::new(
        tree,
        readers,
        opened.log,
        (applied, opened.layer, opened.head),
        seal,
        options,
    ));
    Ok((store, recovery))
}

/// Applies what is left, so that the next opening finds an empty log. What cannot be applied stays in the log.
impl Drop for EmbeddedBackend {
    fn drop(&mut self) {
        self.store.close();
        if let Some(applier) = self.applier.take() {
            // Should it have panicked, what it did not apply is in the log.
            let _ = applier.join();
        }
    }
}

impl Backend for EmbeddedBackend {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        Ok(Box::new(self.store.snapshot()?))
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        batch.check().map_err(CommitError::NotCommitted)?;
        self.store.commit(batch)
    }

    fn writable(&self) -> Result<(), StorageError> {
        self.store.writable()
    }

    /// Exact when little waits to be applied; under load, what waits is counted in full.
    fn usage(&self) -> Result<Usage, StorageError> {
        let waiting = self.write_path().overlay_bytes;
        if waiting > 0 && waiting <= APPLIED_TO_MEASURE_BYTES_MAX {
            // If the tree cannot be written, what waits is counted too.
            let _ = self.drain();
        }
        let WritePath {
            overlay_bytes,
            log_bytes,
            ..
        } = self.write_path();
        let tree = &self.store.tree;
        let (snapshots, oldest_snapshot) = self.store.readers.summary();
        Ok(Usage {
            bytes_on_disk: tree.bytes_on_disk()? + log_bytes,
            bytes_live: tree.bytes_live()? + overlay_bytes,
            bytes_max: Some(tree.map_bytes() + self.log_bytes_max),
            snapshots,
            oldest_snapshot,
        })
    }
}

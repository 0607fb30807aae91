//! The B-tree: one LMDB environment whose only database maps keys to values, head and format marker included.
//!
//! [`Tree::write`] is the one place that changes it: with a layer of the overlay, or with a batch that did not go through
//! the log. When it fails, [`Tree::settle`] says what the store has become.

use std::fs::File;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heed::types::Bytes;
use heed::{Database, MdbError, RoTxn, RwTxn, WithoutTls};
use parking_lot::Mutex;

use super::EmbeddedOptions;
use super::directory::Directory;
use super::environment::{self, Environment};
use super::failure::{failure, io_failure, is_full};
use super::log::Position;
use super::overlay::{Found, Layer};
use super::seal::Seal;
use crate::head::HEAD_KEY;
use crate::keyspace::{RESERVED_PREFIX, clip_half_open};
use crate::{Batch, CommitError, Direction, Head, StorageError, Write};

/// The version of what is stored. Raised when an older program could no longer read it.
///
/// 2 has a log beside the tree, and [`APPLIED_KEY`] in it. A store of version 1 becomes one of version 2 when it is opened.
const FORMAT: u32 = 2;

/// Where [`FORMAT`] is stored, as a big-endian integer. Written once, when the store is created.
const FORMAT_KEY: &[u8] = &[RESERVED_PREFIX, b'f', b'o', b'r', b'm', b'a', b't'];

/// Where the tree keeps the position up to which it has taken over the log.
const APPLIED_KEY: &[u8] = &[RESERVED_PREFIX, b'a', b'p', b'p', b'l', b'i', b'e', b'd'];

type Map = Database<Bytes, Bytes>;

/// What is written into the tree in one transaction.
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
    /// A batch, if it is on top of what the tree has.
    Batch(&'a Batch),
    /// A layer of the overlay, and the head after it.
    Layer(&'a Layer, Option<Head>),
}

pub(super) struct Tree {
    pub(super) map: Map,
    environment: Environment,
    /// The data file, opened beside LMDB's own handle: the kernel reports a failed write-back once to every handle.
    witness: File,
    /// The position of the newest state that was read, by its transaction id: most snapshots are of one state.
    newest_applied: Mutex<Option<(usize, Position)>>,
    /// Set by the first failed sync or meta page.
    seal: Arc<Seal>,
    /// Last, so that it is unlocked after the environment has closed.
    directory: Directory,
}

impl Tree {
    pub(super) fn open(
        directory: Directory,
        options: &EmbeddedOptions,
        seal: Arc<Seal>,
    ) -> Result<Self, StorageError> {
        let data = directory.data(|unfinished| {
            let environment = environment::open(&directory, unfinished, options)?;
            create(&environment).map_err(|error| failure("creating the store", error))
        })?;
        // LMDB would quietly begin an empty store in place of a lost file.
        let path = data.join("data.mdb");
        let witness = File::open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StorageError::Corrupt {
                detail: format!("{} is missing", path.display()),
            },
            _ => io_failure(format!("opening {}", path.display()), error),
        })?;
        let environment = environment::open(&directory, &data, options)?;
        complete(&environment, &witness, &path)?;
        let map = open_map(&environment, &data)?;
        Ok(Self {
            map,
            environment,
            witness,
            newest_applied: Mutex::new(None),
            seal,
            directory,
        })
    }

    /// Begins a read transaction: the newest committed state.
    pub(super) fn read(&self) -> Result<RoTxn<'static, WithoutTls>, StorageError> {
        self.environment
            .clone()
            .static_read_txn()
            .map_err(|error| failure("opening a snapshot", error))
    }

    /// The directory of the log.
    pub(super) fn log_directory(&self) -> PathBuf {
        self.directory.log()
    }

    /// Where the log was when the state was written that a read transaction sees. Its id names that state.
    pub(super) fn applied(
        &self,
        transaction: &RoTxn<'_, WithoutTls>,
    ) -> Result<Position, StorageError> {
        let id = transaction.id();
        if let Some((known, applied)) = *self.newest_applied.lock()
            && known == id
        {
            return Ok(applied);
        }
        let stored = self
            .map
            .get(transaction, APPLIED_KEY)
            .map_err(read_failure)?;
        let applied = stored
            .and_then(Position::decode)
            .ok_or_else(|| StorageError::Corrupt {
                detail: "the tree has no valid position in the log".to_owned(),
            })?;
        *self.newest_applied.lock() = Some((id, applied));
        Ok(applied)
    }

    /// Where the log was when the newest state was written, and the head of that state.
    pub(super) fn newest(&self) -> Result<(Position, Option<Head>), StorageError> {
        let transaction = self.read()?;
        Ok((self.applied(&transaction)?, self.head(&transaction)?))
    }

    /// The head of the state that a transaction sees.
    fn head(&self, transaction: &RoTxn) -> Result<Option<Head>, StorageError> {
        let stored = self.map.get(transaction, HEAD_KEY).map_err(read_failure)?;
        stored.map(Head::decode).transpose()
    }

    /// Writes a change in one synced transaction, and that the tree is now at `applied`.
    ///
    /// One caller at a time.
    pub(super) fn write(&self, change: Change<'_>, applied: Position) -> Result<(), CommitError> {
        self.seal.check().map_err(CommitError::NotCommitted)?;
        let mut transaction = self
            .environment
            .write_txn()
            .map_err(|error| CommitError::NotCommitted(failure("beginning a batch", error)))?;
        if let Change::Batch(batch) = change {
            let found = self.head(&transaction).map_err(CommitError::NotCommitted)?;
            if found != batch.expected {
                return Err(CommitError::Fenced { found });
            }
        }
        let written = apply(&self.map, &mut transaction, change).and_then(|()| {
            self.map
                .put(&mut transaction, APPLIED_KEY, &applied.encode())
        });
        match written.and_then(|()| transaction.commit()) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.settle(error)),
        }
    }

    /// Decides what a failed write means, once its transaction has ended.
    ///
    /// LMDB writes the pages, syncs them, and then writes and syncs the meta page that makes them the newest state. A
    /// failed meta page disables the environment, which shows when the next transaction begins; in any other case the
    /// meta page is the old one and the batch is not in the store. Whether the sync is what failed, the witness tells.
    fn settle(&self, error: heed::Error) -> CommitError {
        if matches!(
            self.environment.write_txn(),
            Err(heed::Error::Mdb(MdbError::Panic))
        ) {
            self.seal.set(&error);
            return CommitError::Indeterminate(failure("writing the meta page", error));
        }
        let heed::Error::Io(error) = error else {
            return CommitError::NotCommitted(failure("writing a batch", error));
        };
        if let Err(write_back) = self.witness.sync_data() {
            self.seal.set(&write_back);
            return CommitError::NotCommitted(io_failure("syncing a batch".to_owned(), error));
        }
        // LMDB reports a write that was cut short, as the last one on a full disk is, as EIO. A write into the page
        // cache has no other cause for it: what the device refuses shows at the sync, which the witness has just passed.
        if is_full(&error) || error.raw_os_error() == Some(EIO) {
            let detail = format!("writing a batch: no room on the disk ({error})");
            return CommitError::NotCommitted(StorageError::Full { detail });
        }
        self.seal.set(&error);
        CommitError::NotCommitted(io_failure("writing a batch".to_owned(), error))
    }

    pub(super) fn map_bytes(&self) -> u64 {
        self.environment.info().map_size as u64
    }

    pub(super) fn bytes_on_disk(&self) -> Result<u64, StorageError> {
        let metadata = self
            .witness
            .metadata()
            .map_err(|error| io_failure("measuring the data file".to_owned(), error))?;
        Ok(metadata.len())
    }

    /// The pages of the newest state, those of the head and of partly filled pages included.
    pub(super) fn bytes_live(&self) -> Result<u64, StorageError> {
        let transaction = self.read()?;
        let stat = self.map.stat(&transaction).map_err(read_failure)?;
        let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        Ok(pages as u64 * u64::from(stat.page_size))
    }
}

/// The number of "input/output error" on every system that LMDB runs on.
const EIO: i32 = 5;

/// An error while reading.
pub(super) fn read_failure(error: heed::Error) -> StorageError {
    failure("reading", error)
}

/// Writes the format marker into a new environment.
fn create(environment: &Environment) -> heed::Result<()> {
    let mut transaction = environment.write_txn()?;
    let map: Map = environment.create_database(&mut transaction, None)?;
    mark(&map, &mut transaction)?;
    transaction.commit()
}

/// Writes the format marker, and that the log is empty.
fn mark(map: &Map, transaction: &mut RwTxn) -> heed::Result<()> {
    map.put(transaction, APPLIED_KEY, &Position::default().encode())?;
    map.put(transaction, FORMAT_KEY, &FORMAT.to_be_bytes())
}

/// Makes a store of version 1 one of this version.
fn upgrade(environment: &Environment, map: &Map) -> heed::Result<()> {
    let mut transaction = environment.write_txn()?;
    mark(map, &mut transaction)?;
    transaction.commit()
}

/// Makes the file as long as its pages are many.
///
/// LMDB may leave pages at the end unwritten when they are free, so a file that is shorter is not for that damaged. But
/// where pages were cut off that are in use, looking at them would end the process: there is nothing behind the map.
/// Of a page of zeros LMDB says that it is corrupt.
fn complete(environment: &Environment, file: &File, path: &Path) -> Result<(), StorageError> {
    let measuring = |error| io_failure(format!("measuring {}", path.display()), error);
    let pages = environment.info().last_page_number as u64 + 1;
    let bytes = pages * u64::from(environment.stat().page_size);
    if file.metadata().map_err(measuring)?.len() >= bytes {
        return Ok(());
    }
    let extended = File::options().write(true).open(path);
    extended
        .and_then(|file| file.set_len(bytes))
        .map_err(|error| io_failure(format!("completing {}", path.display()), error))
}

/// Opens the database of an environment, if this program can read it.
fn open_map(environment: &Environment, data: &Path) -> Result<Map, StorageError> {
    let transaction = environment.read_txn().map_err(read_failure)?;
    let map: Option<Map> = environment
        .open_database(&transaction, None)
        .map_err(read_failure)?;
    let stored = match &map {
        Some(map) => map.get(&transaction, FORMAT_KEY).map_err(read_failure)?,
        None => None,
    };
    match (
        map,
        stored
            .and_then(|stored| stored.try_into().ok())
            .map(u32::from_be_bytes),
    ) {
        (Some(map), Some(FORMAT)) => Ok(map),
        (Some(map), Some(1)) => {
            // A reader of its own state, which would only keep pages from being reused.
            drop(transaction);
            upgrade(environment, &map).map_err(|error| failure("upgrading the store", error))?;
            Ok(map)
        }
        (Some(_), Some(found)) if found > FORMAT => Err(StorageError::Format {
            found,
            supported: FORMAT,
        }),
        _ => Err(StorageError::Corrupt {
            detail: format!("{} has no valid format marker", data.display()),
        }),
    }
}

/// Applies the writes of a change, and its head.
fn apply(map: &Map, transaction: &mut RwTxn, change: Change<'_>) -> heed::Result<()> {
    let head = match change {
        Change::Batch(batch) => {
            apply_batch(map, transaction, batch)?;
            Some(batch.head)
        }
        Change::Layer(layer, head) => {
            apply_layer(map, transaction, layer)?;
            head
        }
    };
    match head {
        Some(head) => map.put(transaction, HEAD_KEY, &head.encode()),
        None => Ok(()),
    }
}

/// Applies a layer: what its deleted ranges hide below it, then the newest write to each key, in key order.
fn apply_layer(map: &Map, transaction: &mut RwTxn, layer: &Layer) -> heed::Result<()> {
    for (from, to) in layer.deleted_ranges() {
        if let Some(range) = clip_half_open(from, to) {
            map.delete_range(transaction, &range)?;
        }
    }
    for (key, found) in layer.range((Bound::Unbounded, Bound::Unbounded), Direction::Forward) {
        match found {
            Found::Value(value) => map.put(transaction, key, value)?,
            Found::Deleted | Found::Unknown => {
                map.delete(transaction, key)?;
            }
        }
    }
    Ok(())
}

/// Applies the writes of a batch in their order.
fn apply_batch(map: &Map, transaction: &mut RwTxn, batch: &Batch) -> heed::Result<()> {
    let mut run = Vec::with_capacity(batch.writes.len());
    for write in &batch.writes {
        match write {
            Write::Put { key, value } => run.push((key.as_slice(), Some(value.as_slice()))),
            Write::Delete { key } => run.push((key.as_slice(), None)),
            Write::DeleteRange { from, to } => {
                apply_run(map, transaction, &mut run)?;
                if let Some(range) = clip_half_open(from, to) {
                    map.delete_range(transaction, &range)?;
                }
            }
        }
    }
    apply_run(map, transaction, &mut run)
}

/// Applies and clears a run of single keys and their new values, of which `None` is a delete.
///
/// In key order, which keeps the pages of one neighbourhood together, and only the last write to each key.
fn apply_run(
    map: &Map,
    transaction: &mut RwTxn,
    run: &mut Vec<(&[u8], Option<&[u8]>)>,
) -> heed::Result<()> {
    // Stable, so that writes to one key stay in order.
    run.sort_by_key(|(key, _)| *key);
    for same_key in run.chunk_by(|one, next| one.0 == next.0) {
        match same_key {
            [.., (key, Some(value))] => map.put(transaction, key, value)?,
            [.., (key, None)] => {
                map.delete(transaction, key)?;
            }
            [] => {}
        }
    }
    run.clear();
    Ok(())
}

#[cfg(test)]
mod tests;

//! The log: every batch is appended to it and synced once before it is published.
//!
//! ```text
//! DIR/log/00000000000000000007.log    a segment: a header, then records; or zeros, if it is not in use yet
//! ```
//!
//! A segment is a file full of zeros before it is used, and a record overwrites part of it, so that syncing a commit
//! writes data and no metadata. Records follow one another in one chain through all segments. The tree stores the
//! [`Position`] up to which it has taken the log over; the segments before that are used again.
//!
//! Three things keep old bytes from being taken for new ones. Sequences never repeat in the life of a store. Each opening
//! of the log begins a segment, with a generation of its own that is a random number, so no value of a user can
//! look like a record. And the header of a segment says where its predecessor ends, so what a crash left behind there is
//! never looked at again.
//!
//! | module | what it holds |
//! |---|---|
//! | `record` | the format of a record |
//! | `segment` | the format of a segment, and its file |
//! | `pool` | spare segments and used ones |
//! | `replay` | reading the log when the store is opened |

#[cfg(test)]
mod durable;
mod pool;
mod record;
mod replay;
mod segment;

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(test)]
pub(super) use self::durable::note_directory;
use self::pool::Spare;
pub(super) use self::pool::{Pool, SPARES_MAX};
pub(super) use self::record::{BLOCK_BYTES, Located, Record};
use self::replay::Replay;
use self::segment::First;
pub(super) use self::segment::Position;
use super::directory;
use super::failure::io_failure;
use super::overlay::Layer;
use super::recovery::TornTail;
use super::seal::Seal;
use crate::{CommitError, Head, StorageError};

/// The end of the log, where batches are appended.
#[derive(Debug)]
pub(super) struct Log {
    directory: PathBuf,
    pool: Arc<Pool>,
    seal: Arc<Seal>,
    generation: u64,
    /// The segment being written; none until the first batch.
    current: Option<Spare>,
    /// Where the next record goes: after the last one that is durable.
    end: Position,
}

/// What opening the log gives.
pub(super) struct Opened {
    pub(super) log: Log,
    /// The batches that the tree does not have.
    pub(super) layer: Layer,
    /// The head after them.
    pub(super) head: Option<Head>,
    pub(super) batches: u64,
    pub(super) torn: Option<TornTail>,
}

impl Log {
    /// Opens the log in `directory`, creates the directory if it does not exist, and reads what the tree, which is at
    /// `applied` and has `head`, does not have.
    pub(super) fn open(
        directory: PathBuf,
        applied: Position,
        head: Option<Head>,
        segment_bytes_max: u64,
        seal: Arc<Seal>,
    ) -> Result<Opened, StorageError> {
        if !directory.is_dir() {
            let action = || format!("creating {}", directory.display());
            fs::create_dir(&directory).map_err(|error| io_failure(action(), error))?;
            if let Some(parent) = directory.parent() {
                directory::sync(parent)?;
            }
        }
        let replay = replay::replay(&directory, applied, head)?;
        let end = replay.layer.end();
        secure(&directory, &replay)?;
        let pool = Arc::new(adopt(&directory, &replay, applied, segment_bytes_max)?);
        // The process before may have died between creating, renaming or removing a file and making its name durable.
        directory::sync(&directory)?;
        let log = Self {
            directory,
            pool,
            seal,
            generation: RandomState::new().hash_one(end.sequence),
            current: None,
            end,
        };
        Ok(Opened {
            log,
            layer: replay.layer,
            head: replay.head,
            batches: replay.batches,
            torn: replay.torn,
        })
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Where the log stands.
    pub(super) fn end(&self) -> Position {
        self.end
    }

    /// Counts a batch that went into the tree without the log.
    pub(super) fn skip_to(&mut self, sequence: u64) {
        self.end.sequence = sequence;
    }

    /// Appends a batch and makes it durable. On return it is there after any crash.
    pub(super) fn append(&mut self, record: &mut Record) -> Result<Position, CommitError> {
        self.seal.check().map_err(CommitError::NotCommitted)?;
        let bytes = record.padded().len() as u64;
        let fits = |segment: &Spare, end: u64| end + bytes <= segment.bytes;
        if !self
            .current
            .as_ref()
            .is_some_and(|current| fits(current, self.end.offset))
        {
            self.begin_segment(BLOCK_BYTES + bytes)
                .map_err(CommitError::NotCommitted)?;
        }
        let Some(current) = &self.current else {
            return Err(CommitError::NotCommitted(StorageError::Unavailable {
                reason: "the log has no segment to write to".to_owned(),
            }));
        };
        let sequence = self.end.sequence + 1;
        let check = record.stamp(self.generation, sequence, self.end.check);
        if let Err(error) = segment::write_at(&current.file, self.end.offset, record.padded()) {
            return Err(self.take_back(&current.file, error));
        }
        if let Err(error) = segment::sync(&current.file) {
            // Never again: a second sync may succeed without having written what the first one lost.
            self.seal.set(&error);
            return Err(CommitError::Indeterminate(io_failure(
                "syncing the log".to_owned(),
                error,
            )));
        }
        self.end = Position {
            sequence,
            segment: current.number,
            offset: self.end.offset + bytes,
            check,
        };
        Ok(self.end)
    }

    /// Makes sure that a record whose write failed is never read back, although parts of it may be in the file.
    fn take_back(&self, file: &File, error: std::io::Error) -> CommitError {
        let failure = io_failure("writing the log".to_owned(), error);
        match segment::write_at(file, self.end.offset, &[0; record::HEADER_BYTES]) {
            // Should the zeros not reach the disk, then neither do the missing parts of the record.
            Ok(()) => CommitError::NotCommitted(failure),
            Err(_) => {
                self.seal.set(&failure);
                CommitError::Indeterminate(failure)
            }
        }
    }

    /// Goes on in a new segment. Its header is durable before the first record is written.
    fn begin_segment(&mut self, bytes_min: u64) -> Result<(), StorageError> {
        let spare = self.pool.take(bytes_min)?;
        let header = segment::Header {
            generation: self.generation,
            number: spare.number,
            file_bytes: spare.bytes,
            before: self.end,
        };
        let path = segment::path(&self.directory, spare.number);
        if let Err(error) = segment::write_at(&spare.file, 0, &header.encode()) {
            // It must not be found in use, since the log will go on in another one.
            if let Err(error) = self.pool.discard(spare.number) {
                self.seal.set(&error);
            }
            return Err(io_failure(format!("writing {}", path.display()), error));
        }
        if let Err(error) = segment::sync(&spare.file) {
            self.seal.set(&error);
            return Err(io_failure(format!("syncing {}", path.display()), error));
        }
        self.end.segment = spare.number;
        self.end.offset = BLOCK_BYTES;
        self.current = Some(spare);
        Ok(())
    }
}

/// Writes again and syncs what the log goes on from: the last record, and the header of the last segment, which may have
/// no record yet. The process that wrote them may have died before it had synced them, and then the kernel may still hold,
/// or have failed to write, what was read just now. What is before them was durable before they were written.
fn secure(directory: &Path, replay: &Replay) -> Result<(), StorageError> {
    let last = replay.layer.end().segment;
    if let Some((at, bytes)) = replay.last {
        rewrite(directory, at.segment, at.offset, bytes)?;
        if at.segment == last {
            return Ok(());
        }
    }
    match last {
        0 => Ok(()),
        last => rewrite(directory, last, 0, BLOCK_BYTES),
    }
}

/// Writes a part of a segment as it is, and syncs it: a sync alone does nothing for a page that the kernel calls clean.
fn rewrite(directory: &Path, number: u64, offset: u64, bytes: u64) -> Result<(), StorageError> {
    let path = segment::path(directory, number);
    let secured = segment::open(&path).and_then(|mut file| {
        let part = segment::read_at(&mut file, offset, bytes)?;
        segment::write_at(&file, offset, &part)?;
        segment::sync(&file)
    });
    secured.map_err(|error| io_failure(format!("securing {}", path.display()), error))
}

/// Sorts out the files of the log: those with records, spare ones, and the rest, which is removed.
fn adopt(
    directory: &Path,
    replay: &Replay,
    applied: Position,
    segment_bytes_max: u64,
) -> Result<Pool, StorageError> {
    let last = replay.layer.end().segment;
    let (mut used, mut spare) = (Vec::new(), Vec::new());
    let mut number = last + 1;
    for file in &replay.files {
        number = number.max(file.number + 1);
        let path = segment::path(directory, file.number);
        match file.first {
            First::Used(_) if file.number >= applied.segment => {
                used.push((file.number, file.bytes));
            }
            First::Blank { .. } if file.number > last && spare.len() < SPARES_MAX => {
                let opened = segment::open(&path);
                spare.push(Spare {
                    number: file.number,
                    file: opened.map_err(|error| {
                        io_failure(format!("opening {}", path.display()), error)
                    })?,
                    bytes: file.bytes,
                });
            }
            _ => fs::remove_file(&path)
                .map_err(|error| io_failure(format!("removing {}", path.display()), error))?,
        }
    }
    let directory = directory.to_owned();
    Ok(Pool::new(directory, segment_bytes_max, number, used, spare))
}

#[cfg(test)]
mod tests;

//! The segments beside the one being written: spare ones, and those that the tree has not taken over yet.
//!
//! A commit takes a spare segment; the applier gives back what it has applied, and keeps a spare one ready. Numbers only
//! ever rise, and a spare has its number from the start, so taking one changes nothing but its contents.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::PathBuf;

use parking_lot::Mutex;

use super::record::BLOCK_BYTES;
use super::segment;
use crate::StorageError;
use crate::embedded::directory;
use crate::embedded::failure::io_failure;

/// The size of the first segment after opening; each further one is twice as large as the one before, up to the limit.
/// A small store so has a small log.
const FIRST_BYTES: u64 = 1 << 20;

/// No segment is larger, whatever is configured.
const BYTES_MAX: u64 = 1 << 30;

/// Spare segments kept for reuse. More are deleted.
pub(in crate::embedded) const SPARES_MAX: usize = 4;

/// A segment that is not in use.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) number: u64,
    pub(super) file: File,
    pub(super) bytes: u64,
}

#[derive(Debug)]
pub(in crate::embedded) struct Pool {
    directory: PathBuf,
    bytes_max: u64,
    /// Held while a segment is made, so that spares come in the order of their numbers. Never taken under `segments`.
    making: Mutex<Making>,
    segments: Mutex<Segments>,
}

#[derive(Debug)]
struct Making {
    /// The number of the next segment.
    number: u64,
    /// The size of the next new one.
    bytes: u64,
}

#[derive(Debug, Default)]
struct Segments {
    /// In ascending order, above all that are used.
    spare: VecDeque<Spare>,
    /// Number and size of those that have records, in ascending order.
    used: VecDeque<(u64, u64)>,
}

impl Pool {
    pub(super) fn new(
        directory: PathBuf,
        bytes_max: u64,
        number: u64,
        used: impl IntoIterator<Item = (u64, u64)>,
        spare: impl IntoIterator<Item = Spare>,
    ) -> Self {
        // A header and room for a record at least; at most what the offsets of a record can hold.
        let bytes_max = bytes_max
            .clamp(2 * BLOCK_BYTES, BYTES_MAX)
            .next_multiple_of(BLOCK_BYTES);
        Self {
            directory,
            bytes_max,
            making: Mutex::new(Making {
                number,
                bytes: FIRST_BYTES.min(bytes_max),
            }),
            segments: Mutex::new(Segments {
                spare: spare.into_iter().collect(),
                used: used.into_iter().collect(),
            }),
        }
    }

    /// The largest segment.
    pub(in crate::embedded) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// What all segments take on the disk.
    pub(in crate::embedded) fn bytes_on_disk(&self) -> u64 {
        let segments = self.segments.lock();
        let spare = segments.spare.iter().map(|spare| spare.bytes);
        let used = segments.used.iter().map(|used| used.1);
        spare.chain(used).sum()
    }

    /// Whether commits have used up the spare segments.
    pub(in crate::embedded) fn is_short(&self) -> bool {
        let segments = self.segments.lock();
        segments.spare.is_empty() && !segments.used.is_empty()
    }

    /// Makes a spare segment if there is none.
    pub(in crate::embedded) fn top_up(&self) -> Result<(), StorageError> {
        let mut making = self.making.lock();
        if self.segments.lock().spare.is_empty() {
            let spare = self.make(&mut making, 0)?;
            self.segments.lock().spare.push_back(spare);
        }
        Ok(())
    }

    /// Takes a spare segment of at least the given size into use, and makes one if there is none.
    pub(super) fn take(&self, bytes_min: u64) -> Result<Spare, StorageError> {
        let spare = match self.take_ready(bytes_min) {
            Some(spare) => spare,
            None => {
                let mut making = self.making.lock();
                match self.take_ready(bytes_min) {
                    Some(spare) => spare,
                    None => self.make(&mut making, bytes_min)?,
                }
            }
        };
        let used = (spare.number, spare.bytes);
        self.segments.lock().used.push_back(used);
        Ok(spare)
    }

    fn take_ready(&self, bytes_min: u64) -> Option<Spare> {
        loop {
            let spare = self.segments.lock().spare.pop_front()?;
            if spare.bytes >= bytes_min {
                return Some(spare);
            }
            self.remove(spare.number);
        }
    }

    fn make(&self, making: &mut Making, bytes_min: u64) -> Result<Spare, StorageError> {
        let bytes = making.bytes.max(bytes_min.next_multiple_of(BLOCK_BYTES));
        let path = segment::path(&self.directory, making.number);
        let created = segment::create(&path, bytes);
        let file = created.map_err(|error| {
            // Without room there is no use for half a segment. If it stays, the next try overwrites it.
            let _ = fs::remove_file(&path);
            io_failure(format!("creating {}", path.display()), error)
        })?;
        directory::sync(&self.directory)?;
        let number = making.number;
        making.number += 1;
        making.bytes = (2 * bytes).min(self.bytes_max);
        Ok(Spare {
            number,
            file,
            bytes,
        })
    }

    /// Gives up a segment that was taken and could not be used.
    pub(super) fn discard(&self, number: u64) -> Result<(), StorageError> {
        self.segments.lock().used.retain(|used| used.0 != number);
        let path = segment::path(&self.directory, number);
        fs::remove_file(&path)
            .map_err(|error| io_failure(format!("removing {}", path.display()), error))?;
        directory::sync(&self.directory)
    }

    /// Gives back the segments below `number`: the tree has what is in them, durably.
    pub(in crate::embedded) fn release(&self, number: u64) {
        let mut making = self.making.lock();
        loop {
            let (segment, bytes, keep) = {
                let mut segments = self.segments.lock();
                match segments.used.front() {
                    Some((used, _)) if *used < number => {}
                    _ => return,
                }
                let Some((segment, bytes)) = segments.used.pop_front() else {
                    return;
                };
                (segment, bytes, segments.spare.len() < SPARES_MAX)
            };
            // Smaller ones are from before the log had its size.
            if keep && bytes == self.bytes_max {
                match self.recycle(segment, bytes, making.number) {
                    Ok(spare) => {
                        making.number += 1;
                        self.segments.lock().spare.push_back(spare);
                        continue;
                    }
                    // It is removed instead, and the number is left out, since the file may have got it.
                    Err(_) => making.number += 1,
                }
            }
            self.remove(segment);
        }
    }

    fn recycle(&self, segment: u64, bytes: u64, number: u64) -> std::io::Result<Spare> {
        let (from, to) = (
            segment::path(&self.directory, segment),
            segment::path(&self.directory, number),
        );
        let file = segment::open(&from)?;
        // First blank, then renamed: under its new name it must never show a header.
        segment::blank(&file)?;
        fs::rename(&from, &to)?;
        directory::sync(&self.directory).map_err(std::io::Error::other)?;
        Ok(Spare {
            number,
            file,
            bytes,
        })
    }

    /// Removes a segment that nothing needs. If that fails, the next opening of the store does it.
    fn remove(&self, number: u64) {
        let _ = fs::remove_file(segment::path(&self.directory, number));
    }
}

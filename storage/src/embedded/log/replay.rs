//! Reading the log when the store is opened: what the tree does not have yet, and where the log ends.
//!
//! Reading begins at the position that the tree has stored. A segment ends where the header of its successor says; the
//! last one ends where no good record follows. What is there instead is judged by what comes after it: if a whole record
//! with a higher sequence follows anywhere, something that was acknowledged is damaged, and the store is refused.
//! Otherwise it is what a crash left of the record that was being written, and it is cut.

use std::fs;
use std::io;
use std::path::Path;

use super::record::{self, BLOCK_BYTES, HEADER_BYTES, Record};
use super::segment::{self, First, Position};
use crate::embedded::failure::io_failure;
use crate::embedded::overlay::{Gathered, Layer};
use crate::embedded::recovery::TornTail;
use crate::{Head, StorageError};

/// What was found in the log.
pub(super) struct Replay {
    /// The batches that the tree does not have.
    pub(super) layer: Layer,
    /// The head after them.
    pub(super) head: Option<Head>,
    pub(super) batches: u64,
    pub(super) torn: Option<TornTail>,
    /// Where the last record that was read is, and its length: it may not be durable yet.
    pub(super) last: Option<(Position, u64)>,
    /// Every file of the log.
    pub(super) files: Vec<SegmentFile>,
}

/// A file of the log.
pub(super) struct SegmentFile {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) first: First,
}

impl SegmentFile {
    fn is_blank(&self) -> bool {
        matches!(self.first, First::Blank { .. })
    }
}

/// Lists the segments of a directory, in the order of their numbers.
fn list(directory: &Path) -> Result<Vec<SegmentFile>, StorageError> {
    let reading = |error| io_failure(format!("reading {}", directory.display()), error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(reading)? {
        let path = entry.map_err(reading)?.path();
        let Some(number) = segment::number_of(&path) else {
            continue;
        };
        let opening = |error| io_failure(format!("opening {}", path.display()), error);
        let mut file = segment::open(&path).map_err(opening)?;
        let bytes = file.metadata().map_err(opening)?.len();
        let first = First::read(&mut file).map_err(opening)?;
        files.push(SegmentFile {
            number,
            bytes,
            first,
        });
    }
    files.sort_by_key(|file| file.number);
    Ok(files)
}

/// Reads the log from `applied` on, whose state has `head`.
///
/// # Errors
///
/// [`StorageError::Corrupt`] names the file and the offset of what is damaged or missing.
pub(super) fn replay(
    directory: &Path,
    applied: Position,
    head: Option<Head>,
) -> Result<Replay, StorageError> {
    let mut replay = Replay {
        layer: Layer::empty(applied),
        head,
        batches: 0,
        torn: None,
        last: None,
        files: list(directory)?,
    };
    let files = std::mem::take(&mut replay.files);
    let walk = Walk {
        directory,
        files: &files,
        at: applied,
        gathered: Gathered::new(applied),
        replay: &mut replay,
    };
    replay.layer = walk.run()?.into_layer();
    replay.files = files;
    Ok(replay)
}

struct Walk<'a> {
    directory: &'a Path,
    files: &'a [SegmentFile],
    at: Position,
    gathered: Gathered,
    replay: &'a mut Replay,
}

impl<'a> Walk<'a> {
    /// Gathers the batches; the rest of what is found goes into `replay`.
    fn run(mut self) -> Result<Gathered, StorageError> {
        // The generation of the segment that is read; none before the first.
        let mut generation = None;
        if self.at.segment != 0 {
            let file = self
                .files
                .iter()
                .find(|file| file.number == self.at.segment);
            let file = file.ok_or_else(|| self.missing(self.at.segment))?;
            generation = Some(self.header(file)?.generation);
        }
        loop {
            let next = self.later().find(|file| !file.is_blank());
            let next = match next.map(|file| (file, file.first)) {
                Some((file, First::Used(_))) => file,
                _ => {
                    self.read_to_the_end(generation)?;
                    return Ok(self.gathered);
                }
            };
            let header = self.header(next)?;
            if header.before.segment != self.at.segment {
                return Err(self.missing(header.before.segment));
            }
            if generation.is_some() {
                self.read_up_to(header.before.offset, generation)?;
            }
            if (header.before.sequence, header.before.check) != (self.at.sequence, self.at.check) {
                let detail = "does not continue the segment before";
                return Err(self.corrupt(next.number, 0, detail));
            }
            generation = Some(header.generation);
            self.at.segment = next.number;
            self.at.offset = BLOCK_BYTES;
            self.gathered.move_end(self.at);
        }
    }

    /// The header of a segment in use, if the file is as it should be.
    fn header(&self, file: &SegmentFile) -> Result<segment::Header, StorageError> {
        match file.first {
            First::Used(header) if header.number != file.number => {
                Err(self.corrupt(file.number, 0, "has the header of another segment"))
            }
            First::Used(header) if header.file_bytes != file.bytes => {
                let detail = format!("has {} bytes instead of {}", file.bytes, header.file_bytes);
                Err(self.corrupt(file.number, file.bytes.min(header.file_bytes), &detail))
            }
            First::Used(header) => Ok(header),
            First::Blank { .. } | First::Damaged => {
                Err(self.corrupt(file.number, 0, "has no valid header"))
            }
        }
    }

    /// The files after the current segment.
    fn later(&self) -> impl Iterator<Item = &'a SegmentFile> + use<'a> {
        let (current, files) = (self.at.segment, self.files);
        files.iter().filter(move |file| file.number > current)
    }

    /// Reads the records of a segment that has a successor.
    fn read_up_to(&mut self, end: u64, generation: Option<u64>) -> Result<(), StorageError> {
        if self.at.offset == end {
            return Ok(());
        }
        let (start, bytes) = self.load()?;
        let known = end
            .checked_sub(start)
            .and_then(|length| bytes.get(..length as usize));
        let Some(bytes) = known else {
            let detail = format!("does not reach from byte {start} to byte {end}");
            return Err(self.corrupt(self.at.segment, start, &detail));
        };
        self.read_records(start, bytes, generation)?;
        if self.at.offset != end {
            return Err(self.corrupt(self.at.segment, self.at.offset, "has a damaged record"));
        }
        Ok(())
    }

    /// Reads the records of the last segment, and judges what follows them.
    fn read_to_the_end(&mut self, generation: Option<u64>) -> Result<(), StorageError> {
        if generation.is_some() {
            let (start, bytes) = self.load()?;
            self.read_records(start, &bytes, generation)?;
            let rest = &bytes[(self.at.offset - start) as usize..];
            let bad = self.at;
            if self.is_followed(rest, generation) {
                return Err(self.corrupt(bad.segment, bad.offset, "has a damaged record"));
            }
            if resembles_the_next(rest, bad) {
                self.replay.torn = Some(TornTail {
                    file: segment::path(self.directory, bad.segment),
                    offset: bad.offset,
                });
            }
        }
        let after = self
            .later()
            .any(|file| matches!(file.first, First::Used(_)));
        for file in self.later() {
            match file.first {
                // Its header was durable before its first record.
                First::Blank {
                    sequence: Some(sequence),
                } if sequence > self.at.sequence => {
                    return Err(self.corrupt(file.number, 0, "has no header"));
                }
                First::Damaged if after => {
                    return Err(self.corrupt(file.number, 0, "has no valid header"));
                }
                First::Damaged => {}
                First::Blank { .. } | First::Used(_) => continue,
            }
            // With the header its generation is lost, so a record of any will do as evidence.
            let bytes = self.load_from(file.number, BLOCK_BYTES.min(file.bytes))?;
            if self.is_followed(&bytes, None) {
                return Err(self.corrupt(file.number, 0, "has no valid header"));
            }
            let path = segment::path(self.directory, file.number);
            self.replay.torn.get_or_insert(TornTail {
                file: path,
                offset: 0,
            });
        }
        Ok(())
    }

    /// Takes the good records that `bytes` begin with, which are those of the segment from `start`.
    fn read_records(
        &mut self,
        start: u64,
        bytes: &[u8],
        generation: Option<u64>,
    ) -> Result<(), StorageError> {
        loop {
            let rest = &bytes[(self.at.offset - start) as usize..];
            let Some(header) = Record::find(rest) else {
                return Ok(());
            };
            let follows = Some(header.generation) == generation
                && header.sequence == self.at.sequence + 1
                && header.previous == self.at.check;
            let padded = padded_bytes(header);
            if !follows || padded > rest.len() as u64 {
                return Ok(());
            }
            let decoded = Record::decode(header, rest).map_err(|error| {
                self.corrupt(self.at.segment, self.at.offset, &error.to_string())
            })?;
            if decoded.expected != self.replay.head {
                let detail = format!(
                    "has a batch on {:?} where the store is at {:?}",
                    decoded.expected, self.replay.head
                );
                return Err(self.corrupt(self.at.segment, self.at.offset, &detail));
            }
            self.replay.last = Some((self.at, padded));
            self.at = Position {
                sequence: header.sequence,
                segment: self.at.segment,
                offset: self.at.offset + padded,
                check: header.check,
            };
            self.replay.head = Some(decoded.head);
            self.replay.batches += 1;
            self.gathered.insert(decoded.record, self.at);
        }
    }

    /// Whether a whole record that is newer than what was read begins at any block of `rest`.
    fn is_followed(&self, rest: &[u8], generation: Option<u64>) -> bool {
        let blocks = (0..rest.len()).step_by(BLOCK_BYTES as usize);
        blocks.map(|start| &rest[start..]).any(|rest| {
            record::Header::read(rest).is_some_and(|header| {
                header.sequence > self.at.sequence
                    && generation.is_none_or(|generation| generation == header.generation)
            }) && Record::find(rest).is_some()
        })
    }

    /// The bytes of the current segment from the current offset on, and that offset.
    fn load(&self) -> Result<(u64, Vec<u8>), StorageError> {
        let bytes = self.load_from(self.at.segment, self.at.offset)?;
        Ok((self.at.offset, bytes))
    }

    fn load_from(&self, number: u64, offset: u64) -> Result<Vec<u8>, StorageError> {
        let path = segment::path(self.directory, number);
        read_from(&path, offset)
            .map_err(|error| io_failure(format!("reading {}", path.display()), error))
    }

    fn corrupt(&self, number: u64, offset: u64, detail: &str) -> StorageError {
        let path = segment::path(self.directory, number);
        StorageError::Corrupt {
            detail: format!("{} {detail} (at byte {offset})", path.display()),
        }
    }

    fn missing(&self, number: u64) -> StorageError {
        let path = segment::path(self.directory, number);
        StorageError::Corrupt {
            detail: format!("{} is missing", path.display()),
        }
    }
}

fn read_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len().saturating_sub(offset);
    segment::read_at(&mut file, offset, length)
}

fn padded_bytes(header: record::Header) -> u64 {
    (HEADER_BYTES as u64 + u64::from(header.length)).next_multiple_of(BLOCK_BYTES)
}

/// Whether the bytes after the last good record are what is left of its successor, rather than zeros or what a former
/// use of the segment left behind.
fn resembles_the_next(rest: &[u8], last: Position) -> bool {
    let Some(bytes) = rest.get(..HEADER_BYTES) else {
        return false;
    };
    let header = record::Header::fields(bytes);
    header.sequence == last.sequence + 1 || (header.previous == last.check && last.check != 0)
}

//! A segment: a preallocated file of the log, and the header in its first block.
//!
//! All integers are big-endian. A segment that is not in use yet has zeros in place of the header.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic, `thalwlog` |
//! | 8 | 4 | version of this layout, 1 |
//! | 12 | 4 | check: CRC-32 of what follows |
//! | 16 | 8 | generation: a random number for each time the log is opened, which its records repeat |
//! | 24 | 8 | number of the segment, as in its file name |
//! | 32 | 8 | length of the file |
//! | 40 | 8 | number of the segment before; 0 for the first |
//! | 48 | 8 | where the records of the segment before end |
//! | 56 | 8 | sequence of the batch before the first record |
//! | 64 | 4 | check of the last record before, which the first record is chained to |
//! | 68 | | zeros to the end of the block; records follow |

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::record::{self, BLOCK_BYTES};

const MAGIC: [u8; 8] = *b"thalwlog";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 68;
const CHECKED_FROM: usize = 16;

/// Where the log stands after a batch: all that is needed to go on from there, in reading and in writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::embedded) struct Position {
    /// Number of the batch in the life of the store; 0 before the first.
    pub(in crate::embedded) sequence: u64,
    /// The segment that has the newest record; 0 if there never was one.
    pub(in crate::embedded) segment: u64,
    /// Where that record ends.
    pub(in crate::embedded) offset: u64,
    /// The check of that record.
    pub(in crate::embedded) check: u32,
}

impl Position {
    /// Length of the stored form: the four fields in order, big-endian.
    pub(in crate::embedded) const ENCODED_BYTES: usize = 28;

    pub(in crate::embedded) fn encode(&self) -> [u8; Self::ENCODED_BYTES] {
        let mut encoded = [0; Self::ENCODED_BYTES];
        encoded[..8].copy_from_slice(&self.sequence.to_be_bytes());
        encoded[8..16].copy_from_slice(&self.segment.to_be_bytes());
        encoded[16..24].copy_from_slice(&self.offset.to_be_bytes());
        encoded[24..].copy_from_slice(&self.check.to_be_bytes());
        encoded
    }

    /// Reads the stored form; `None` when its length is wrong.
    pub(in crate::embedded) fn decode(encoded: &[u8]) -> Option<Self> {
        let encoded: &[u8; Self::ENCODED_BYTES] = encoded.try_into().ok()?;
        let (words, rest) = encoded.as_chunks::<8>();
        let ([sequence, segment, offset], [a, b, c, d]) = (words, rest) else {
            return None;
        };
        Some(Self {
            sequence: u64::from_be_bytes(*sequence),
            segment: u64::from_be_bytes(*segment),
            offset: u64::from_be_bytes(*offset),
            check: u32::from_be_bytes([*a, *b, *c, *d]),
        })
    }
}

/// The header of a segment in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) generation: u64,
    pub(super) number: u64,
    pub(super) file_bytes: u64,
    /// The position that its records follow.
    pub(super) before: Position,
}

/// What the first block of a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// Zeros: the segment is not in use. What is in the place of its first record is of a former use, if anything.
    Blank {
        /// The sequence of what is there.
        sequence: Option<u64>,
    },
    /// A header.
    Used(Header),
    /// Something else.
    Damaged,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut encoded = [0; HEADER_BYTES];
        encoded[..8].copy_from_slice(&MAGIC);
        encoded[8..12].copy_from_slice(&VERSION.to_be_bytes());
        encoded[16..24].copy_from_slice(&self.generation.to_be_bytes());
        encoded[24..32].copy_from_slice(&self.number.to_be_bytes());
        encoded[32..40].copy_from_slice(&self.file_bytes.to_be_bytes());
        encoded[40..48].copy_from_slice(&self.before.segment.to_be_bytes());
        encoded[48..56].copy_from_slice(&self.before.offset.to_be_bytes());
        encoded[56..64].copy_from_slice(&self.before.sequence.to_be_bytes());
        encoded[64..68].copy_from_slice(&self.before.check.to_be_bytes());
        let check = crc32fast::hash(&encoded[CHECKED_FROM..]);
        encoded[12..16].copy_from_slice(&check.to_be_bytes());
        encoded
    }

    fn decode(encoded: &[u8; HEADER_BYTES]) -> Option<Self> {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&encoded[at..at + 8]);
            u64::from_be_bytes(word)
        };
        let half = |at: usize| (word(at - 4) & u64::from(u32::MAX)) as u32;
        let good = encoded[..8] == MAGIC
            && half(8) == VERSION
            && half(12) == crc32fast::hash(&encoded[CHECKED_FROM..]);
        good.then(|| Self {
            generation: word(16),
            number: word(24),
            file_bytes: word(32),
            before: Position {
                segment: word(40),
                offset: word(48),
                sequence: word(56),
                check: half(64),
            },
        })
    }
}

impl First {
    /// Reads the beginning of a file, which may be shorter.
    pub(super) fn read(file: &mut File) -> io::Result<Self> {
        let block = read_at(file, 0, BLOCK_BYTES)?;
        if block.iter().all(|byte| *byte == 0) {
            let record = read_at(file, BLOCK_BYTES, record::HEADER_BYTES as u64)?;
            let sequence = record::Header::read(&record).map(|header| header.sequence);
            return Ok(Self::Blank { sequence });
        }
        let Some((header, padding)) = block.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(Self::Damaged);
        };
        Ok(match Header::decode(header) {
            Some(header) if padding.iter().all(|byte| *byte == 0) => Self::Used(header),
            _ => Self::Damaged,
        })
    }
}

/// The file of a segment.
pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.log"))
}

/// The number in the file name of a segment.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    (name.len() == 20).then(|| name.parse().ok()).flatten()
}

pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Writes at an offset.
pub(super) fn write_at(mut file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)?;
    #[cfg(test)]
    super::durable::note_write(file, offset, bytes.len());
    Ok(())
}

/// Makes what was written to a segment durable.
pub(super) fn sync(file: &File) -> io::Result<()> {
    file.sync_data()?;
    #[cfg(test)]
    super::durable::note_sync(file);
    Ok(())
}

/// Reads up to a number of bytes at an offset.
pub(super) fn read_at(file: &mut File, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut read = Vec::with_capacity(bytes as usize);
    file.take(bytes).read_to_end(&mut read)?;
    Ok(read)
}

/// Creates a segment full of zeros and makes it durable, its name excepted.
///
/// The zeros are really written: a file that is merely reserved changes its extents with the first write to each, and
/// every sync would have to write the journal of the filesystem too.
pub(super) fn create(path: &Path, bytes: u64) -> io::Result<File> {
    const ZEROS: &[u8] = &[0; 256 << 10];
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    let mut left = bytes;
    while left > 0 {
        let chunk = left.min(ZEROS.len() as u64);
        file.write_all(&ZEROS[..chunk as usize])?;
        left -= chunk;
    }
    file.sync_all()?;
    #[cfg(test)]
    super::durable::note_creation(&file);
    Ok(file)
}

/// Makes a segment unused again, durably.
pub(super) fn blank(file: &File) -> io::Result<()> {
    write_at(file, 0, &[0; BLOCK_BYTES as usize])?;
    sync(file)
}

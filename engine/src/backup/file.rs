//! The format of a backup.
//!
//! ```text
//! file    magic (8 bytes) · format version (u32) · blocks
//! block   kind (u8) · length of its content (u32) · stored length (u32) · checksum (u32) · stored bytes
//! ```
//!
//! Integers are big-endian. The checksum is the CRC-32 of everything before it that is not a checksum, from the
//! beginning of the file on, and of the stored bytes; so it tells of a block that is missing or out of place as well, and the last one is
//! the checksum of the whole file. The stored bytes of entries are compressed (LZ4 block format), all others are not.
//!
//! | kind | content |
//! |---|---|
//! | start | format version of the store (u32) · commit_ts (u64) |
//! | entries | entries: key length (u16) · key · value length (u32) · value, whole |
//! | end | the counts of a [`BackupSummary`], u64 each; nothing follows |
//! | given up | why, as text; nothing follows |

use std::io::{Read, Write};

use crc32fast::Hasher;
use thalweg_model::CommitTs;

use super::{BackupError, BackupSummary};
use crate::format;

const MAGIC: &[u8; 8] = b"thalwegB";
/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;

const START: u8 = 1;
const ENTRIES: u8 = 2;
const END: u8 = 3;
const GIVEN_UP: u8 = 4;

/// `kind · length · stored length`
const BLOCK_HEAD_BYTES: usize = 1 + 4 + 4;
/// A block is written once it has as much; it may end with one long entry.
const BLOCK_BYTES: usize = 1 << 20;
/// No block is longer: the longest entry is a log entry of the largest transaction.
const BLOCK_BYTES_MAX: usize = 256 << 20;

/// Writes a backup.
pub(super) struct BackupWriter<'w> {
    sink: &'w mut dyn Write,
    checksum: Hasher,
    entries: Vec<u8>,
    summary: BackupSummary,
}

impl<'w> BackupWriter<'w> {
    pub(super) fn start(sink: &'w mut dyn Write, commit_ts: CommitTs) -> Result<Self, BackupError> {
        let mut checksum = Hasher::new();
        for part in [&MAGIC[..], &VERSION.to_be_bytes()] {
            checksum.update(part);
            sink.write_all(part)?;
        }
        let mut writer = BackupWriter {
            sink,
            checksum,
            entries: Vec::new(),
            summary: BackupSummary {
                commit_ts,
                ..BackupSummary::default()
            },
        };
        let mut start = format::FORMAT.to_be_bytes().to_vec();
        start.extend_from_slice(&commit_ts.as_micros().to_be_bytes());
        writer.block(START, start.len(), &start)?;
        Ok(writer)
    }

    pub(super) fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), BackupError> {
        let key_bytes = u16::try_from(key.len()).expect("a key has at most 480 bytes");
        let value_bytes = u32::try_from(value.len()).expect("a value is shorter than 4 GiB");
        self.entries.extend_from_slice(&key_bytes.to_be_bytes());
        self.entries.extend_from_slice(key);
        self.entries.extend_from_slice(&value_bytes.to_be_bytes());
        self.entries.extend_from_slice(value);
        self.summary.count(key, value);
        if self.entries.len() >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    pub(super) fn end(mut self) -> Result<BackupSummary, BackupError> {
        self.flush()?;
        let end = encode_end(&self.summary);
        self.block(END, end.len(), &end)?;
        self.sink.flush()?;
        Ok(self.summary)
    }

    /// Tells whoever reads the backup why it has no end.
    pub(super) fn give_up(mut self, reason: &str) -> Result<(), BackupError> {
        let reason = &reason.as_bytes()[..reason.len().min(BLOCK_BYTES)];
        self.block(GIVEN_UP, reason.len(), reason)?;
        Ok(self.sink.flush()?)
    }

    fn flush(&mut self) -> Result<(), BackupError> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let stored = lz4_flex::block::compress(&self.entries);
        let length = self.entries.len();
        self.entries.clear();
        self.block(ENTRIES, length, &stored)
    }

    fn block(&mut self, kind: u8, length: usize, stored: &[u8]) -> Result<(), BackupError> {
        let mut head = vec![kind];
        for length in [length, stored.len()] {
            let length = u32::try_from(length).expect("a block is shorter than 4 GiB");
            head.extend_from_slice(&length.to_be_bytes());
        }
        self.checksum.update(&head);
        self.checksum.update(stored);
        self.sink.write_all(&head)?;
        self.sink
            .write_all(&self.checksum.clone().finalize().to_be_bytes())?;
        Ok(self.sink.write_all(stored)?)
    }
}

fn encode_end(summary: &BackupSummary) -> Vec<u8> {
    [
        summary.collections,
        summary.documents,
        summary.earlier_images,
        summary.log_entries,
        summary.entries,
        summary.bytes,
    ]
    .into_iter()
    .flat_map(u64::to_be_bytes)
    .collect()
}

/// Is shown each entry of a backup: its key and its whole value.
pub(super) type EntryVisitor<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> Result<(), BackupError>;

/// Reads a whole backup and checks that it is complete and undamaged, without a store.
pub fn inspect(source: &mut dyn Read) -> Result<BackupSummary, BackupError> {
    read(source, &mut |_, _| Ok(()))
}

/// Reads a backup: shows its entries as far as it has proved undamaged, and gives what it holds once it has proved
/// complete.
pub(super) fn read(
    source: &mut dyn Read,
    visit: EntryVisitor<'_>,
) -> Result<BackupSummary, BackupError> {
    let mut blocks = Blocks::open(source)?;
    let mut summary = BackupSummary::default();
    let first = blocks.next()?;
    let damaged = |at, detail| BackupError::Damaged { at, detail };
    let (format, commit_ts) = match (first.kind, first.content.split_first_chunk::<4>()) {
        (START, Some((format, commit_ts))) if commit_ts.len() == 8 => (format, commit_ts),
        _ => return Err(damaged(first.at, "it is not the first one of a backup")),
    };
    let found = u32::from_be_bytes(*format);
    if found > format::FORMAT {
        return Err(BackupError::Format {
            found,
            supported: format::FORMAT,
        });
    }
    let commit_ts = commit_ts.try_into().map(u64::from_be_bytes);
    summary.commit_ts = CommitTs::from_micros(commit_ts.unwrap_or_default());
    loop {
        let block = blocks.next()?;
        match block.kind {
            ENTRIES => {
                let mut rest = &block.content[..];
                while !rest.is_empty() {
                    let (key, value, tail) = split_entry(rest)
                        .ok_or(damaged(block.at, "an entry does not fit into it"))?;
                    summary.count(key, value);
                    visit(key, value)?;
                    rest = tail;
                }
            }
            END if block.content == encode_end(&summary) => {
                blocks.end()?;
                return Ok(summary);
            }
            END => return Err(damaged(block.at, "the counts differ from what was read")),
            GIVEN_UP => {
                return Err(BackupError::GivenUp {
                    reason: String::from_utf8_lossy(&block.content).into_owned(),
                });
            }
            _ => return Err(damaged(block.at, "there is no such kind of block")),
        }
    }
}

fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((key, value, rest))
}

struct Block {
    /// Where it begins in the file.
    at: u64,
    kind: u8,
    content: Vec<u8>,
}

/// The blocks of a backup, each checked.
struct Blocks<'r> {
    source: &'r mut dyn Read,
    checksum: Hasher,
    at: u64,
}

impl<'r> Blocks<'r> {
    fn open(source: &'r mut dyn Read) -> Result<Self, BackupError> {
        let mut blocks = Blocks {
            source,
            checksum: Hasher::new(),
            at: 0,
        };
        let magic = blocks.take(MAGIC.len());
        match magic {
            Ok(magic) if magic == MAGIC => {}
            Ok(_) | Err(BackupError::Truncated { .. }) => return Err(BackupError::NotABackup),
            Err(error) => return Err(error),
        }
        let version = blocks.take(4)?;
        let found = integer(&version);
        if found > VERSION {
            return Err(BackupError::Format {
                found,
                supported: VERSION,
            });
        }
        blocks.checksum.update(MAGIC);
        blocks.checksum.update(&version);
        Ok(blocks)
    }

    fn next(&mut self) -> Result<Block, BackupError> {
        let at = self.at;
        let damaged = |detail| BackupError::Damaged { at, detail };
        let head = self.take(BLOCK_HEAD_BYTES)?;
        let checksum = self.take(4)?;
        let kind = head[0];
        let length = integer(&head[1..5]) as usize;
        let stored_length = integer(&head[5..9]) as usize;
        if length.max(stored_length) > BLOCK_BYTES_MAX {
            return Err(damaged("it is longer than any"));
        }
        let stored = self.take(stored_length)?;
        self.checksum.update(&head);
        self.checksum.update(&stored);
        if self.checksum.clone().finalize() != integer(&checksum) {
            return Err(damaged("its checksum is another one"));
        }
        let content = if kind == ENTRIES {
            lz4_flex::block::decompress(&stored, length)
                .ok()
                .filter(|content| content.len() == length)
                .ok_or(damaged("it cannot be decompressed"))?
        } else {
            stored
        };
        Ok(Block { at, kind, content })
    }

    /// Reads so many bytes; memory is taken as they come, not as they are promised.
    fn take(&mut self, count: usize) -> Result<Vec<u8>, BackupError> {
        let mut bytes = Vec::with_capacity(count.min(BLOCK_BYTES * 2));
        (&mut *self.source)
            .take(count as u64)
            .read_to_end(&mut bytes)?;
        self.at += bytes.len() as u64;
        if bytes.len() < count {
            return Err(BackupError::Truncated { at: self.at });
        }
        Ok(bytes)
    }

    fn end(&mut self) -> Result<(), BackupError> {
        let at = self.at;
        match self.take(1) {
            Err(BackupError::Truncated { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(BackupError::Damaged {
                at,
                detail: "something follows the end of the backup",
            }),
        }
    }
}

fn integer(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_be_bytes)
}

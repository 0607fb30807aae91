//! A batch as a record of the log.
//!
//! All integers are big-endian. A record begins at a multiple of [`BLOCK_BYTES`] and is padded with zeros to the next.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic, `TWLR` |
//! | 4 | 4 | check: CRC-32 of all that follows, up to the end of the payload |
//! | 8 | 8 | generation of the log that wrote it |
//! | 16 | 8 | sequence: the number of the batch in the life of the store |
//! | 24 | 4 | previous: the check of the record before, which chains them |
//! | 28 | 4 | length of the payload |
//! | 32 | | payload |
//!
//! The payload is the batch:
//!
//! | bytes | field |
//! |---|---|
//! | 1 + 24 | 1 and the expected [`Head`], or 0 and zeros |
//! | 24 | the head that the batch leaves |
//! | | the writes, each one of the following, to the end |
//! | 1 + 2 + 4 + … | 1, length of the key, length of the value, key, value: a put |
//! | 1 + 2 + … | 2, length of the key, key: a delete |
//! | 1 + 4 + 4 + … | 3, length of both bounds, both bounds: a range delete |

use std::ops::Range;

use crate::keyspace::{check_key, check_value};
use crate::{Batch, Head, StorageError, Write};

/// What records and the header of a segment are aligned to. Whole pages are written, so none has to be read for it,
/// and no write touches a page of an earlier record.
pub(in crate::embedded) const BLOCK_BYTES: u64 = 4096;

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 32;

const MAGIC: [u8; 4] = *b"TWLR";
const CHECKED_FROM: usize = 8;
const HEADS_BYTES: usize = 1 + 2 * Head::ENCODED_BYTES;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELETE_RANGE: u8 = 3;

/// The part of a record that says which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) check: u32,
    pub(super) generation: u64,
    pub(super) sequence: u64,
    pub(super) previous: u32,
    pub(super) length: u32,
}

impl Header {
    /// Reads the fields of what begins like a record. Nothing is checked but the magic.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        (header[..4] == MAGIC).then(|| Self::fields(header))
    }

    /// The fields at their places, whatever the bytes are.
    pub(super) fn fields(header: &[u8]) -> Self {
        Self {
            check: read_u32(header, 4),
            generation: read_u64(header, 8),
            sequence: read_u64(header, 16),
            previous: read_u32(header, 24),
            length: read_u32(header, 28),
        }
    }
}

/// Where a write is in the bytes of a record. The value follows the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum Located {
    /// A put, or a delete if there is no value.
    Point {
        key_offset: u32,
        key_bytes: u16,
        value_bytes: Option<u32>,
    },
    /// A range delete: offset and length of each bound.
    Range { from: (u32, u32), to: (u32, u32) },
}

/// An encoded batch, and where its writes are.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Record {
    /// Header and payload, and padding until [`Record::into_parts`].
    bytes: Vec<u8>,
    /// Length of header and payload.
    length: usize,
    writes: Vec<Located>,
}

impl Record {
    /// Bytes that the record of a batch takes in the log.
    pub(in crate::embedded) fn padded_bytes_of(batch: &Batch) -> u64 {
        let writes = batch.writes.iter().map(|write| match write {
            Write::Put { key, value } => 7 + key.len() + value.len(),
            Write::Delete { key } => 3 + key.len(),
            Write::DeleteRange { from, to } => 9 + from.len() + to.len(),
        });
        let length = HEADER_BYTES + HEADS_BYTES + writes.sum::<usize>();
        (length as u64).next_multiple_of(BLOCK_BYTES)
    }

    /// Encodes a batch whose keys and values are within their limits. [`Record::stamp`] completes it.
    pub(in crate::embedded) fn encode(batch: &Batch) -> Self {
        let mut bytes = Vec::with_capacity(Self::padded_bytes_of(batch) as usize);
        bytes.extend_from_slice(&MAGIC);
        bytes.resize(HEADER_BYTES, 0);
        bytes.push(u8::from(batch.expected.is_some()));
        match batch.expected {
            Some(expected) => bytes.extend_from_slice(&expected.encode()),
            None => bytes.extend_from_slice(&[0; Head::ENCODED_BYTES]),
        }
        bytes.extend_from_slice(&batch.head.encode());
        let mut writes = Vec::with_capacity(batch.writes.len());
        for write in &batch.writes {
            writes.push(encode_write(&mut bytes, write));
        }
        let length = bytes.len();
        bytes.resize(length.next_multiple_of(BLOCK_BYTES as usize), 0);
        Self {
            bytes,
            length,
            writes,
        }
    }

    /// Gives the record its place in the log, and returns its check.
    pub(super) fn stamp(&mut self, generation: u64, sequence: u64, previous: u32) -> u32 {
        let length = (self.length - HEADER_BYTES) as u32;
        self.bytes[8..16].copy_from_slice(&generation.to_be_bytes());
        self.bytes[16..24].copy_from_slice(&sequence.to_be_bytes());
        self.bytes[24..28].copy_from_slice(&previous.to_be_bytes());
        self.bytes[28..32].copy_from_slice(&length.to_be_bytes());
        let check = crc32fast::hash(&self.bytes[CHECKED_FROM..self.length]);
        self.bytes[4..8].copy_from_slice(&check.to_be_bytes());
        check
    }

    /// Bytes that the record takes in the log.
    pub(in crate::embedded) fn padded_bytes(&self) -> u64 {
        (self.length as u64).next_multiple_of(BLOCK_BYTES)
    }

    /// What is written to the log: a multiple of [`BLOCK_BYTES`].
    pub(in crate::embedded) fn padded(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes without padding, and where the writes are in them.
    pub(in crate::embedded) fn into_parts(mut self) -> (Box<[u8]>, Vec<Located>) {
        self.bytes.truncate(self.length);
        (self.bytes.into_boxed_slice(), self.writes)
    }

    /// The header of the record that `bytes` begin with, if there is a whole one that its check confirms.
    pub(super) fn find(bytes: &[u8]) -> Option<Header> {
        let header = Header::read(bytes)?;
        let end = HEADER_BYTES.checked_add(header.length as usize)?;
        let checked = bytes.get(CHECKED_FROM..end)?;
        (crc32fast::hash(checked) == header.check).then_some(header)
    }

    /// Takes the record that `bytes` begin with, whose header is known to be good.
    ///
    /// # Errors
    ///
    /// [`StorageError::Corrupt`] for a payload that [`Record::encode`] does not make.
    pub(super) fn decode(header: Header, bytes: &[u8]) -> Result<Decoded, StorageError> {
        let length = HEADER_BYTES + header.length as usize;
        let mut reader = Reader {
            bytes: &bytes[..length],
            next: HEADER_BYTES,
        };
        let malformed = |what: &str| StorageError::Corrupt {
            detail: format!("a record of the log has {what}"),
        };
        let expects = reader.u8().ok_or_else(|| malformed("no heads"))?;
        let (Some(expected), Some(head)) = (
            reader.take(Head::ENCODED_BYTES),
            reader.take(Head::ENCODED_BYTES),
        ) else {
            return Err(malformed("no heads"));
        };
        let expected = match expects {
            0 => None,
            _ => Some(Head::decode(&bytes[expected])?),
        };
        let head = Head::decode(&bytes[head])?;
        let mut writes = Vec::new();
        while reader.next < length {
            let write = reader
                .write()
                .ok_or_else(|| malformed("a malformed write"))?;
            writes.push(write);
        }
        Ok(Decoded {
            expected,
            head,
            record: Self {
                bytes: bytes[..length].to_vec(),
                length,
                writes,
            },
        })
    }
}

/// A record read back from the log.
pub(super) struct Decoded {
    pub(super) expected: Option<Head>,
    pub(super) head: Head,
    pub(super) record: Record,
}

fn encode_write(bytes: &mut Vec<u8>, write: &Write) -> Located {
    match write {
        Write::Put { key, value } => {
            bytes.push(PUT);
            bytes.extend_from_slice(&(key.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
            let key_offset = bytes.len() as u32;
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value);
            Located::Point {
                key_offset,
                key_bytes: key.len() as u16,
                value_bytes: Some(value.len() as u32),
            }
        }
        Write::Delete { key } => {
            bytes.push(DELETE);
            bytes.extend_from_slice(&(key.len() as u16).to_be_bytes());
            let key_offset = bytes.len() as u32;
            bytes.extend_from_slice(key);
            Located::Point {
                key_offset,
                key_bytes: key.len() as u16,
                value_bytes: None,
            }
        }
        Write::DeleteRange { from, to } => {
            bytes.push(DELETE_RANGE);
            bytes.extend_from_slice(&(from.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&(to.len() as u32).to_be_bytes());
            let start = bytes.len() as u32;
            bytes.extend_from_slice(from);
            bytes.extend_from_slice(to);
            let from = (start, from.len() as u32);
            Located::Range {
                from,
                to: (start + from.1, to.len() as u32),
            }
        }
    }
}

/// Reads a payload; `None` where it ends too early or breaks a limit.
struct Reader<'a> {
    bytes: &'a [u8],
    next: usize,
}

impl Reader<'_> {
    fn take(&mut self, bytes: usize) -> Option<Range<usize>> {
        let end = self.next.checked_add(bytes)?;
        if end > self.bytes.len() {
            return None;
        }
        let range = self.next..end;
        self.next = end;
        Some(range)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|range| self.bytes[range.start])
    }

    fn u16(&mut self) -> Option<u16> {
        let range = self.take(2)?;
        Some(u16::from_be_bytes([
            self.bytes[range.start],
            self.bytes[range.start + 1],
        ]))
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4).map(|range| read_u32(self.bytes, range.start))
    }

    fn write(&mut self) -> Option<Located> {
        match self.u8()? {
            PUT => {
                let key_bytes = self.u16()?;
                let value_bytes = self.u32()?;
                let key = self.take(usize::from(key_bytes))?;
                let value = self.take(value_bytes as usize)?;
                check_key(&self.bytes[key.clone()]).ok()?;
                check_value(&self.bytes[value]).ok()?;
                Some(Located::Point {
                    key_offset: key.start as u32,
                    key_bytes,
                    value_bytes: Some(value_bytes),
                })
            }
            DELETE => {
                let key_bytes = self.u16()?;
                let key = self.take(usize::from(key_bytes))?;
                check_key(&self.bytes[key.clone()]).ok()?;
                Some(Located::Point {
                    key_offset: key.start as u32,
                    key_bytes,
                    value_bytes: None,
                })
            }
            DELETE_RANGE => {
                let (from_bytes, to_bytes) = (self.u32()?, self.u32()?);
                let from = self.take(from_bytes as usize)?;
                let to = self.take(to_bytes as usize)?;
                Some(Located::Range {
                    from: (from.start as u32, from_bytes),
                    to: (to.start as u32, to_bytes),
                })
            }
            _ => None,
        }
    }
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(word)
}

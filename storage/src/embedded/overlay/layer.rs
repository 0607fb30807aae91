//! One layer of the overlay: the writes of some successive batches, as they stand after the last of them.

use std::sync::{Arc, Weak};

use super::arena::Arena;
use super::entries::{self, DELETED, Entries, Entry};
use super::ranges::{Piece, Ranges, Slice};
use crate::Direction;
use crate::embedded::log::{Located, Position, Record};
use crate::keyspace::KeyRange;

/// What an entry takes beside its bytes in the buffer: itself, its share of half-filled nodes and of the branches.
const ENTRY_BYTES: u64 = 40;

/// One version of a layer; a clone shares everything.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Layer {
    arena: Arc<Arena>,
    entries: Entries,
    ranges: Ranges,
    bytes: u64,
    /// Where the log stands after the last batch of the layer.
    end: Position,
}

/// What is left of a layer that the store has dropped.
#[derive(Debug)]
pub(in crate::embedded) struct Remains {
    arena: Weak<Arena>,
    bytes: u64,
}

impl Remains {
    /// [`Layer::bytes`] as long as a snapshot keeps a version of the layer, then 0.
    pub(in crate::embedded) fn bytes(&self) -> u64 {
        match self.arena.strong_count() {
            0 => 0,
            _ => self.bytes,
        }
    }
}

/// What a layer knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum Found<'a> {
    /// It has this value.
    Value(&'a [u8]),
    /// It does not exist.
    Deleted,
    /// Ask the layer below.
    Unknown,
}

impl Layer {
    /// A layer without any batch, after the state that `end` names.
    pub(in crate::embedded) fn empty(end: Position) -> Self {
        Self {
            arena: Arc::default(),
            entries: Entries::default(),
            ranges: Ranges::default(),
            bytes: 0,
            end,
        }
    }

    /// What a batch adds to [`Layer::bytes`].
    pub(in crate::embedded) fn bytes_of(padded_bytes: u64, writes: usize) -> u64 {
        padded_bytes + ENTRY_BYTES * writes as u64
    }

    /// Takes in a batch, which the log has at `end`.
    pub(in crate::embedded) fn insert(&mut self, record: Record, end: Position) {
        self.take_in(record, end, |entries, arena, entry| {
            entries.insert(arena, entry.key(arena), entry);
        });
    }

    /// Takes in a batch but for its single keys, which `take` gets in their order. Those that it does not insert must come
    /// back before the layer is read, by [`Layer::complete`].
    pub(super) fn take_in(
        &mut self,
        record: Record,
        end: Position,
        mut take: impl FnMut(&mut Entries, &Arena, Entry),
    ) {
        let padded_bytes = record.padded_bytes();
        let (bytes, writes) = record.into_parts();
        self.bytes += Self::bytes_of(padded_bytes, writes.len());
        self.end = end;
        let buffer = self.arena.push(bytes);
        for write in writes {
            match write {
                Located::Point {
                    key_offset,
                    key_bytes,
                    value_bytes,
                } => {
                    let entry = Entry {
                        buffer,
                        offset: key_offset,
                        key_bytes,
                        value_bytes: value_bytes.unwrap_or(DELETED),
                    };
                    take(&mut self.entries, &self.arena, entry);
                }
                Located::Range { from, to } => {
                    let slice = |(offset, bytes)| Slice {
                        buffer,
                        offset,
                        bytes,
                    };
                    self.ranges.insert(&self.arena, slice(from), slice(to));
                }
            }
        }
    }

    /// Gives a layer the newest entry of each key that was taken in, in the order of the keys.
    pub(super) fn complete(&mut self, entries: &[Entry]) {
        self.entries = Entries::of_sorted(&self.arena, entries);
    }

    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Whether it holds no batch.
    pub(in crate::embedded) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// What its batches take in the log and their entries in memory; the bytes of the batches take less there.
    pub(in crate::embedded) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Tells afterwards whether anybody has kept the layer.
    pub(in crate::embedded) fn remains(&self) -> Remains {
        Remains {
            arena: Arc::downgrade(&self.arena),
            bytes: self.bytes,
        }
    }

    pub(in crate::embedded) fn end(&self) -> Position {
        self.end
    }

    /// Notes that the log goes on elsewhere.
    pub(in crate::embedded) fn move_end(&mut self, end: Position) {
        self.end = end;
    }

    pub(in crate::embedded) fn get(&self, key: &[u8]) -> Found<'_> {
        match self.entries.get(&self.arena, key) {
            Some(entry) => self.resolve(key, entry),
            None if self.covering(key).is_some() => Found::Deleted,
            None => Found::Unknown,
        }
    }

    /// The keys of a range that were written, deleted ones included.
    pub(in crate::embedded) fn range<'a, 'r>(
        &'a self,
        range: KeyRange<'r>,
        direction: Direction,
    ) -> Rows<'a, 'r> {
        Rows {
            layer: self,
            entries: self.entries.range(&self.arena, range, direction),
        }
    }

    /// The deleted range that a key lies in: it hides what the layers below and the tree have.
    pub(in crate::embedded) fn deleted_range(&self, key: &[u8]) -> Option<(&[u8], &[u8])> {
        self.covering(key).map(|piece| self.bounds(piece))
    }

    /// All deleted ranges, disjoint and in order.
    pub(in crate::embedded) fn deleted_ranges(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.ranges.pieces().iter().map(|piece| self.bounds(piece))
    }

    pub(in crate::embedded) fn has_deleted_ranges(&self) -> bool {
        !self.ranges.is_empty()
    }

    fn bounds(&self, piece: &Piece) -> (&[u8], &[u8]) {
        (piece.from.get(&self.arena), piece.to.get(&self.arena))
    }

    fn covering(&self, key: &[u8]) -> Option<&Piece> {
        if self.ranges.is_empty() {
            return None;
        }
        self.ranges.covering(&self.arena, key)
    }

    fn resolve(&self, key: &[u8], entry: Entry) -> Found<'_> {
        if self.covering(key).is_some_and(|piece| piece.hides(entry)) {
            return Found::Deleted;
        }
        match entry.value(&self.arena) {
            Some(value) => Found::Value(value),
            None => Found::Deleted,
        }
    }
}

/// A walk over the written keys of a range, and what became of them.
pub(in crate::embedded) struct Rows<'a, 'r> {
    layer: &'a Layer,
    entries: entries::Range<'a, 'r>,
}

impl<'a> Iterator for Rows<'a, '_> {
    /// The key, and its value or [`Found::Deleted`].
    type Item = (&'a [u8], Found<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, entry) = self.entries.next()?;
        Some((key, self.layer.resolve(key, entry)))
    }
}

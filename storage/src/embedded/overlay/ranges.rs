//! The range deletes of a layer, as disjoint pieces in key order.
//!
//! A piece hides whatever lies under its layer, and those entries of the layer that were written before it. So deleting
//! a million rows costs one piece here, whatever is below.

use std::cmp::Ordering;
use std::sync::Arc;

use super::arena::Arena;
use super::entries::Entry;

/// Some bytes of a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) buffer: u32,
    pub(super) offset: u32,
    pub(super) bytes: u32,
}

impl Slice {
    pub(super) fn get(self, arena: &Arena) -> &[u8] {
        let start = self.offset as usize;
        &arena.buffer(self.buffer)[start..start + self.bytes as usize]
    }
}

/// When a write of a layer was made, as compared with the others.
pub(super) type Moment = (u32, u32);

/// A deleted range, `from` included, `to` excluded. Bounds may be of any length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) from: Slice,
    pub(super) to: Slice,
    moment: Moment,
}

impl Piece {
    /// Whether the piece was deleted after an entry of its layer was written.
    pub(super) fn hides(&self, entry: Entry) -> bool {
        self.moment > (entry.buffer, entry.offset)
    }
}

/// One version of the deleted ranges; cloned by reference, copied when written.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges(Arc<Vec<Piece>>);

impl Ranges {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Adds a range that is newer than all others: it takes the place of whatever it overlaps.
    pub(super) fn insert(&mut self, arena: &Arena, from: Slice, to: Slice) {
        let (low, high) = (from.get(arena), to.get(arena));
        if low >= high {
            return;
        }
        let pieces = Arc::make_mut(&mut self.0);
        // The overlapped ones are neighbours, since the pieces are disjoint and in order.
        let start = pieces.partition_point(|piece| piece.to.get(arena) <= low);
        let end = start + pieces[start..].partition_point(|piece| piece.from.get(arena) < high);
        let mut replacement = Vec::with_capacity(3);
        if let Some(first) = pieces[start..end].first()
            && first.from.get(arena) < low
        {
            replacement.push(Piece { to: from, ..*first });
        }
        replacement.push(Piece {
            from,
            to,
            moment: (from.buffer, from.offset),
        });
        if let Some(last) = pieces[start..end].last()
            && last.to.get(arena) > high
        {
            replacement.push(Piece { from: to, ..*last });
        }
        pieces.splice(start..end, replacement);
    }

    /// The piece that a key lies in.
    pub(super) fn covering(&self, arena: &Arena, key: &[u8]) -> Option<&Piece> {
        let found = self.0.binary_search_by(|piece| {
            if piece.to.get(arena) <= key {
                Ordering::Less
            } else if piece.from.get(arena) > key {
                Ordering::Greater
            } else {
                Ordering::Equal
            }
        });
        found.ok().map(|index| &self.0[index])
    }
}

//! A layer from many batches at once, as reading back the log gives them.
//!
//! Inserting a million keys one by one means waiting for memory at each comparison. Here the entries are gathered, sorted
//! by numbers made of eight bytes of each key at a time, and the map is built from them in order.

use super::arena::Arena;
use super::entries::Entry;
use super::hints::hint;
use super::layer::Layer;
use crate::embedded::log::{Position, Record};

/// As few entries as this are sorted by comparing their keys.
const COMPARED_MAX: usize = 16;

/// Bytes of a key that make one number.
const HINT_BYTES: usize = size_of::<u64>();

/// Batches that are going to be a layer.
pub(in crate::embedded) struct Gathered {
    /// Lacks its single keys.
    layer: Layer,
    writes: Vec<Sortable>,
}

#[derive(Clone, Copy)]
struct Sortable {
    /// The bytes of the key that are being looked at.
    hint: u64,
    entry: Entry,
}

impl Sortable {
    /// A later write of the layer has a higher one.
    fn moment(&self) -> u64 {
        u64::from(self.entry.buffer) << 32 | u64::from(self.entry.offset)
    }
}

impl Gathered {
    /// No batch, after the state that `end` names.
    pub(in crate::embedded) fn new(end: Position) -> Self {
        Self {
            layer: Layer::empty(end),
            writes: Vec::new(),
        }
    }

    /// As [`Layer::insert`].
    pub(in crate::embedded) fn insert(&mut self, record: Record, end: Position) {
        let writes = &mut self.writes;
        self.layer.take_in(record, end, |_, _, entry| {
            writes.push(Sortable { hint: 0, entry });
        });
    }

    /// As [`Layer::move_end`].
    pub(in crate::embedded) fn move_end(&mut self, end: Position) {
        self.layer.move_end(end);
    }

    /// What inserting the same batches into an empty layer would have made.
    pub(in crate::embedded) fn into_layer(self) -> Layer {
        let Self {
            mut layer,
            mut writes,
        } = self;
        let arena = layer.arena();
        sort(arena, &mut writes, 0, 0);
        let of_one_key = writes.chunk_by(|one, next| one.entry.key(arena) == next.entry.key(arena));
        // The last is the newest.
        let newest: Vec<Entry> = of_one_key
            .filter_map(|writes| writes.last().map(|write| write.entry))
            .collect();
        layer.complete(&newest);
        layer
    }
}

/// Sorts by key, and by time where the keys are equal. All keys have their first `known` bytes in common.
///
/// If it turns out that they have less than `expected` in common, one of them ends there, and eight bytes at a time lead no
/// further, since a missing byte counts as a zero.
fn sort(arena: &Arena, writes: &mut [Sortable], known: usize, expected: usize) {
    let compared = writes.len() <= COMPARED_MAX;
    let common = if compared {
        known
    } else {
        common(arena, writes, known)
    };
    if compared || common < expected {
        let rest = |write: &Sortable| &write.entry.key(arena)[known..];
        writes.sort_unstable_by(|one, other| {
            let keys = rest(one).cmp(rest(other));
            keys.then_with(|| one.moment().cmp(&other.moment()))
        });
        return;
    }
    for write in &mut *writes {
        write.hint = hint(write.entry.key(arena), common);
    }
    // By time as well, so that those alike are next looked at in the order in which they lie in memory.
    writes.sort_unstable_by_key(|write| (write.hint, write.moment()));
    for alike in writes.chunk_by_mut(|one, next| one.hint == next.hint) {
        if alike.len() > 1 {
            sort(arena, alike, common, common + HINT_BYTES);
        }
    }
}

/// How many bytes the keys have in common, of which `known` are known.
fn common(arena: &Arena, writes: &[Sortable], known: usize) -> usize {
    let Some((first, others)) = writes.split_first() else {
        return known;
    };
    let first = first.entry.key(arena);
    let mut common = first.len();
    for write in others {
        let pairs = first[known..common]
            .iter()
            .zip(&write.entry.key(arena)[known..]);
        common = known + pairs.take_while(|(one, other)| one == other).count();
    }
    common
}

#[cfg(test)]
mod tests;

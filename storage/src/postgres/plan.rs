//! What a batch comes to: its writes, whose order matters, as three sets whose order does not.
//!
//! A later write to a key wins over an earlier one, and a range delete wins over what was written into the range before
//! it. So it is enough to delete all ranges, then delete keys, then put, each as a set, if every write that is
//! overtaken later in the batch is left out.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::Write;
use crate::keyspace::{RESERVED_PREFIX, clip_half_open};

/// The effect of a batch. Ranges are to be deleted first; the rest is in order of the keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan<'b> {
    /// Half-open, disjoint.
    pub(super) ranges: Vec<(&'b [u8], &'b [u8])>,
    pub(super) deletes: Vec<&'b [u8]>,
    pub(super) put_keys: Vec<&'b [u8]>,
    /// As many as there are keys.
    pub(super) put_values: Vec<&'b [u8]>,
}

impl<'b> Plan<'b> {
    pub(super) fn of(writes: &'b [Write]) -> Self {
        let mut ranges = Ranges::default();
        let mut keys: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
        // From the last write to the first, so that whoever comes first has won.
        for write in writes.iter().rev() {
            let (key, value) = match write {
                Write::Put { key, value } => (key, Some(value.as_slice())),
                Write::Delete { key } => (key, None),
                Write::DeleteRange { from, to } => {
                    if clip_half_open(from, to).is_some() {
                        // Keys from the reserved prefix on are in another table, so no range reaches them.
                        ranges.add(from, to.as_slice().min(&[RESERVED_PREFIX]));
                    }
                    continue;
                }
            };
            if !ranges.cover(key) {
                keys.entry(key).or_insert(value);
            }
        }
        let mut plan = Self {
            ranges: ranges.0.into_iter().collect(),
            ..Self::default()
        };
        for (key, value) in keys {
            match value {
                Some(value) => {
                    plan.put_keys.push(key);
                    plan.put_values.push(value);
                }
                None => plan.deletes.push(key),
            }
        }
        plan
    }
}

/// A set of keys as disjoint half-open ranges, by their lower ends.
#[derive(Default)]
struct Ranges<'b>(BTreeMap<&'b [u8], &'b [u8]>);

impl<'b> Ranges<'b> {
    fn cover(&self, key: &[u8]) -> bool {
        let before = self
            .0
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        before.last().is_some_and(|(_, to)| key < *to)
    }

    /// Adds `from <= key < to`, which must not be empty, and joins it with the ranges that it meets.
    fn add(&mut self, mut from: &'b [u8], mut to: &'b [u8]) {
        loop {
            let reached = self
                .0
                .range::<[u8], _>((Bound::Unbounded, Bound::Included(to)));
            match reached.last() {
                Some((&met_from, &met_to)) if met_to >= from => {
                    self.0.remove(met_from);
                    from = from.min(met_from);
                    to = to.max(met_to);
                }
                _ => break,
            }
        }
        self.0.insert(from, to);
    }
}

#[cfg(test)]
mod tests;

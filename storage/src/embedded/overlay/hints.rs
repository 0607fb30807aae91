//! Finding a key in a node without looking at its keys.
//!
//! Keys lie anywhere in the buffers, so comparing with one costs a wait for memory, and keys that are neighbours begin alike. A
//! node therefore keeps, beside its items, the eight bytes of each key that follow what all of them have in common.
//! They decide almost every comparison.

/// The hints of a node, in the order of its keys.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// How many bytes all keys have in common at least.
    common: usize,
    hints: Vec<u64>,
}

/// With room for the insert that a copy is made for.
impl Clone for Hints {
    fn clone(&self) -> Self {
        let mut hints = Vec::with_capacity(self.hints.len() + 1);
        hints.extend_from_slice(&self.hints);
        Self {
            common: self.common,
            hints,
        }
    }
}

impl Hints {
    /// The hints of `count` keys in ascending order.
    pub(super) fn of<'a>(count: usize, key: impl Fn(usize) -> &'a [u8]) -> Self {
        let Some(last) = count.checked_sub(1) else {
            return Self::default();
        };
        let pairs = key(0).iter().zip(key(last));
        // What the first and the last have in common, those in between have too.
        let common = pairs.take_while(|(one, other)| one == other).count();
        Self {
            common,
            hints: (0..count).map(|index| hint(key(index), common)).collect(),
        }
    }

    /// Where `wanted` is among the keys, or would be.
    pub(super) fn position<'a>(
        &self,
        wanted: &[u8],
        key: impl Fn(usize) -> &'a [u8],
    ) -> Result<usize, usize> {
        if self.hints.is_empty() {
            return Err(0);
        }
        let prefix = &key(0)[..self.common];
        if !wanted.starts_with(prefix) {
            return Err(if wanted < prefix { 0 } else { self.hints.len() });
        }
        let wanted_hint = hint(wanted, self.common);
        let start = self.hints.partition_point(|hint| *hint < wanted_hint);
        let alike = self.hints[start..].partition_point(|hint| *hint == wanted_hint);
        let (mut low, mut high) = (start, start + alike);
        while low < high {
            let middle = low.midpoint(high);
            match key(middle).cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Takes in that the key at `index` is new; `key` gives the keys with it.
    pub(super) fn insert<'a>(&mut self, index: usize, key: impl Fn(usize) -> &'a [u8]) {
        let count = self.hints.len() + 1;
        let new = key(index);
        let other = if index == 0 { 1 } else { 0 };
        if count > 1 && new.starts_with(&key(other)[..self.common]) {
            self.hints.insert(index, hint(new, self.common));
        } else {
            *self = Self::of(count, key);
        }
    }
}

/// Eight bytes of a key from `start` on, as a number that sorts as they do. Missing bytes count as zeros, so equal hints say
/// nothing.
pub(super) fn hint(key: &[u8], start: usize) -> u64 {
    let rest = &key[start..];
    match rest.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            u64::from_be_bytes(bytes)
        }
    }
}

//! The buffers of a layer: the encoded batches, which hold its keys and values.
//!
//! Entries name their bytes by buffer number and offset rather than owning them, so an entry is plain data of 16 bytes and
//! copying a node of the map copies no keys. Buffers are only ever added, and go with the layer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Buffers in the first chunk; every further chunk is twice as large as the one before.
const FIRST_CHUNK: u32 = 64;

/// Enough chunks for every number that fits into `u32`.
const CHUNKS: usize = 27;

type Chunk = Box<[OnceLock<Box<[u8]>>]>;

/// An append-only list of buffers that readers share with the one who appends.
#[derive(Debug, Default)]
pub(super) struct Arena {
    chunks: [OnceLock<Chunk>; CHUNKS],
    next: AtomicU32,
}

impl Arena {
    /// Adds a buffer and returns its number.
    pub(super) fn push(&self, buffer: Box<[u8]>) -> u32 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (chunk, index) = place(number);
        let slots = self.chunks[chunk].get_or_init(|| {
            let bytes = (FIRST_CHUNK as usize) << chunk;
            (0..bytes).map(|_| OnceLock::new()).collect()
        });
        slots[index].get_or_init(|| buffer);
        number
    }

    /// The bytes of a buffer.
    pub(super) fn buffer(&self, number: u32) -> &[u8] {
        let (chunk, index) = place(number);
        self.chunks[chunk]
            .get()
            .and_then(|slots| slots[index].get())
            .expect("a buffer is added before anything names it")
    }
}

/// The chunk of a buffer, and its index within.
fn place(number: u32) -> (usize, usize) {
    let shifted = u64::from(number) + u64::from(FIRST_CHUNK);
    let chunk = shifted.ilog2() - FIRST_CHUNK.ilog2();
    let start = u64::from(FIRST_CHUNK) << chunk;
    (chunk as usize, (shifted - start) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        let places: Vec<_> = (0..1000).map(place).collect();
        for (number, pair) in places.windows(2).enumerate() {
            let next_in_chunk = (pair[0].0, pair[0].1 + 1);
            let first_of_next = (pair[0].0 + 1, 0);
            assert!(
                pair[1] == next_in_chunk || pair[1] == first_of_next,
                "after {number}: {pair:?}"
            );
        }
        let (chunk, index) = place(u32::MAX);
        assert!(chunk < CHUNKS);
        assert!(index < (FIRST_CHUNK as usize) << chunk);
    }

    #[test]
    fn buffers_come_back() {
        let arena = Arena::default();
        for number in 0..500_u32 {
            assert_eq!(arena.push(Box::from(number.to_be_bytes())), number);
        }
        for number in 0..500_u32 {
            assert_eq!(arena.buffer(number), number.to_be_bytes());
        }
    }
}

//! What can be configured, and why the defaults are what they are.

use std::time::{Duration, Instant};

/// How an [`EmbeddedBackend`](super::EmbeddedBackend) is opened.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// The size that the store may reach, in bytes; rounded down to whole MiB, at least one.
    ///
    /// It reserves address space only. 1 TiB by default. A store that is larger already opens at its own size.
    pub map_bytes_max: u64,
    /// How long a snapshot may be read. Until it is dropped, space freed meanwhile cannot be reused.
    ///
    /// 30 s by default: at 2,000 commits a second of some 20 kB of pages each, that pins about a gigabyte.
    pub reader_lifetime_max: Duration,
    /// How many snapshots may be open at once; each takes 64 bytes of shared memory. 4,096 by default.
    pub snapshots_max: u32,
    /// Where snapshots read their age. The monotonic clock of the system by default.
    pub clock: fn() -> Instant,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            map_bytes_max: 1 << 40,
            reader_lifetime_max: Duration::from_secs(30),
            snapshots_max: 4096,
            clock: Instant::now,
        }
    }
}

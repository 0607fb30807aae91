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
    /// How much the log may be ahead of the B-tree, in bytes of memory; commits wait beyond it. The log takes about as
    /// much of the disk, and reading it back after a crash takes about a second for 256 MiB, the default.
    pub overlay_bytes_max: u64,
    /// How much memory snapshots may keep of what is in the B-tree by now; commits are refused beyond it. 1 GiB by default,
    /// which is far more than one snapshot keeps.
    pub pinned_bytes_max: u64,
    /// The size of a segment of the log. Smaller ones come first in a young store. A batch of more than half of it goes
    /// into the B-tree directly. 64 MiB by default.
    pub log_segment_bytes_max: u64,
    /// The B-tree is brought up to date as soon as the log is this many bytes ahead. 0 does it after every batch.
    ///
    /// 64 MiB by default: the more is applied at once, the fewer pages and the fewer versions of hot keys are written.
    pub apply_bytes: u64,
    /// The B-tree is brought up to date when a batch has waited this long, however little waits with it. 5 s by default.
    pub apply_after: Duration,
    /// The B-tree is brought up to date when no batch has come for this long. 200 ms by default.
    pub apply_idle: Duration,
    /// Where snapshots read their age. The monotonic clock of the system by default.
    pub clock: fn() -> Instant,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            map_bytes_max: 1 << 40,
            reader_lifetime_max: Duration::from_secs(30),
            snapshots_max: 4096,
            overlay_bytes_max: 256 << 20,
            pinned_bytes_max: 1 << 30,
            log_segment_bytes_max: 64 << 20,
            apply_bytes: 64 << 20,
            apply_after: Duration::from_secs(5),
            apply_idle: Duration::from_millis(200),
            clock: Instant::now,
        }
    }
}

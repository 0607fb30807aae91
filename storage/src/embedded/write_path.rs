//! Figures of the write path, for metrics and benchmarks.

use std::time::Duration;

/// How far the B-tree is behind the log, and how fast it follows. Totals count from the opening of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WritePath {
    /// Memory of what is committed and not yet in the B-tree.
    pub overlay_bytes: u64,
    /// Memory of what is in the B-tree already, which snapshots opened before still keep.
    pub pinned_bytes: u64,
    /// Bytes that the log takes on the disk, spare segments included.
    pub log_bytes: u64,
    /// Transactions in which the B-tree has followed.
    pub applied_layers: u64,
    /// Bytes of overlay that they have taken over.
    pub applied_bytes: u64,
    /// How long they have taken in all.
    pub applying: Duration,
}

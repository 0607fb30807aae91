//! What the live queries of all lanes take together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Something that is taken and given back.
#[derive(Debug, Default)]
pub(crate) struct Amount(AtomicUsize);

impl Amount {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self, amount: usize) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&self, amount: usize) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// See the module. Bounds are kept to within what one call adds, since nothing is locked while they are tested.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Distinct live queries.
    pub(crate) queries: Amount,
    /// The length of their newest results.
    pub(crate) result_bytes: Amount,
    /// What older results take that only slow clients keep.
    pub(crate) held_bytes: Amount,
    /// What is kept of reads, so that a change alone tells the next result.
    pub(crate) kept_bytes: Amount,
}

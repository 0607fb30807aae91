//! The open snapshots: how many, and since when.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::StorageError;

/// All open snapshots of one backend.
#[derive(Debug)]
pub(crate) struct Readers {
    clock: fn() -> Instant,
    lifetime_max: Duration,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Start and number of each; the number tells apart those that began at the same instant.
    since: BTreeSet<(Instant, u64)>,
    /// Number of the next one.
    next: u64,
}

/// The registration of one snapshot; ends on drop.
#[derive(Debug)]
pub(crate) struct Registration {
    readers: Arc<Readers>,
    since: Instant,
    number: u64,
}

impl Readers {
    pub(crate) fn new(clock: fn() -> Instant, lifetime_max: Duration) -> Self {
        Self {
            clock,
            lifetime_max,
            open: Mutex::default(),
        }
    }

    /// Registers a snapshot that begins now.
    pub(crate) fn register(self: &Arc<Self>) -> Registration {
        let since = (self.clock)();
        let mut open = self.open.lock();
        let number = open.next;
        open.next += 1;
        open.since.insert((since, number));
        Registration {
            readers: Arc::clone(self),
            since,
            number,
        }
    }

    /// How many are open, and the age of the oldest.
    pub(crate) fn summary(&self) -> (usize, Option<Duration>) {
        let open = self.open.lock();
        let oldest = open.since.first().map(|(since, _)| self.age(*since));
        (open.since.len(), oldest)
    }

    fn age(&self, since: Instant) -> Duration {
        (self.clock)().saturating_duration_since(since)
    }
}

impl Registration {
    /// Whether the snapshot may still be read.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        let age = self.readers.age(self.since);
        let lifetime_max = self.readers.lifetime_max;
        if age > lifetime_max {
            return Err(StorageError::SnapshotExpired { age, lifetime_max });
        }
        Ok(())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.readers
            .open
            .lock()
            .since
            .remove(&(self.since, self.number));
    }
}

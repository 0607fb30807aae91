//! The engine clock: where commit timestamps come from.
//!
//! A [`Clock`] gives wall time and is passed in, so that a test can simulate it. A commit's timestamp is the later of
//! the clock and its predecessor's successor, so a machine whose clock went backwards between two runs never issues a
//! timestamp twice.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use thalweg_model::CommitTs;

/// A source of wall time.
pub trait Clock: Send + Sync + 'static {
    /// Microseconds since the Unix epoch.
    fn now_micros(&self) -> u64;
}

/// Wall time at its creation, advanced by the monotonic clock: a step of the machine's wall clock while the server
/// runs is not seen.
pub struct SystemClock {
    started_micros: u64,
    started: Instant,
}

impl SystemClock {
    /// Reads the machine's clock once.
    pub fn new() -> Self {
        let started_micros = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| {
                u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
            });
        SystemClock {
            started_micros,
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_micros(&self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.started_micros.saturating_add(elapsed)
    }
}

/// The next commit timestamp after `head`: `max(clock, head + 1)`.
pub(crate) fn next_commit_ts(clock: &dyn Clock, head: CommitTs) -> CommitTs {
    CommitTs::from_micros(clock.now_micros()).max(head.next())
}

/// The time of `duration` ago.
pub(crate) fn ago(clock: &dyn Clock, duration: Duration) -> CommitTs {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    CommitTs::from_micros(clock.now_micros().saturating_sub(micros))
}

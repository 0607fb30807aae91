//! A clock that goes only when it is told to: its wall time in either direction, its monotonic time never back.

use std::sync::atomic::{AtomicU64, Ordering};

use thalweg_engine::Clock;

/// Time under the test's control.
#[derive(Debug)]
pub struct SimulatedClock {
    wall: AtomicU64,
    monotonic: AtomicU64,
}

impl SimulatedClock {
    /// A clock that stands at that many microseconds since the Unix epoch.
    pub fn new(micros: u64) -> SimulatedClock {
        SimulatedClock {
            wall: AtomicU64::new(micros),
            monotonic: AtomicU64::new(0),
        }
    }

    /// The wall clock goes forward, or with a negative number back. Forward is time that passes; back is a clock that
    /// is set.
    pub fn jump(&self, micros: i64) {
        let now = self.wall.load(Ordering::SeqCst);
        self.wall
            .store(now.saturating_add_signed(micros), Ordering::SeqCst);
        let passed = u64::try_from(micros).unwrap_or(0);
        self.monotonic.fetch_add(passed, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn wall_micros(&self) -> u64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn monotonic_micros(&self) -> u64 {
        self.monotonic.load(Ordering::SeqCst)
    }
}

//! A clock that goes only when it is told to, in either direction.

use std::sync::atomic::{AtomicU64, Ordering};

use thalweg_engine::Clock;

/// Wall time under the test's control.
#[derive(Debug)]
pub struct SimulatedClock(AtomicU64);

impl SimulatedClock {
    /// A clock that stands at that many microseconds since the Unix epoch.
    pub fn new(micros: u64) -> SimulatedClock {
        SimulatedClock(AtomicU64::new(micros))
    }

    /// Goes forward, or with a negative number back.
    pub fn jump(&self, micros: i64) {
        let now = self.0.load(Ordering::SeqCst);
        self.0
            .store(now.saturating_add_signed(micros), Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn now_micros(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

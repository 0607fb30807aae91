//! How long an operation is waited for: until its time is up, or its client has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thalweg_engine::{Interrupt, Interruption};

/// Ends a run when its time is up, or nobody waits for it any more.
pub(super) struct Patience {
    until: Instant,
    time_max: Duration,
    is_abandoned: AtomicBool,
}

impl Patience {
    /// From now on.
    pub(super) fn of(time_max: Duration) -> Arc<Patience> {
        let now = Instant::now();
        // A time that no clock can tell does not come.
        let until = now.checked_add(time_max);
        let far = Duration::from_secs(365 * 24 * 60 * 60);
        Arc::new(Patience {
            until: until.unwrap_or(now + far),
            time_max,
            is_abandoned: AtomicBool::new(false),
        })
    }
}

impl Interrupt for Patience {
    fn interrupted(&self) -> Option<Interruption> {
        if self.is_abandoned.load(Ordering::Relaxed) {
            return Some(Interruption::Abandoned);
        }
        let time_max = self.time_max;
        (Instant::now() >= self.until).then_some(Interruption::TimedOut { time_max })
    }
}

/// Held by whoever waits: when it is dropped, before the result is there or after, the run has no purpose.
pub(super) struct Waiting(pub(super) Arc<Patience>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.is_abandoned.store(true, Ordering::Relaxed);
    }
}

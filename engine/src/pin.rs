//! Pins: while somebody reads a state that is no longer the newest, nothing that it needs is erased.
//!
//! A backup reads the state of one timestamp through many short-lived readers, so it needs the earlier images and the
//! log entries of that time for longer than the recovery window keeps them. While it holds a [`Pin`], the committer
//! erases nothing in the background: not with the log, not for retention, and not the history of what was deleted for
//! good. A pin does not hold for ever: one that is older than
//! [`EngineOptions::pin_max`](crate::EngineOptions::pin_max) is ignored, and its holder is told so when it asks.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::clock::EngineClock;
use crate::duration;

/// How long a pin waits for a group that was erasing something when it came.
const LANDING_MAX: Duration = Duration::from_secs(60);

/// Who holds what back.
#[derive(Default)]
pub(crate) struct Pins {
    state: Mutex<State>,
    landed: Condvar,
}

#[derive(Default)]
struct State {
    /// Each pin's number, and since when it is held, by the monotonic clock.
    held: Vec<(u64, u64)>,
    next: u64,
    /// Whether a group that erases something is on its way.
    is_erasing: bool,
}

impl State {
    fn forget_old(&mut self, clock: &EngineClock, pin_max: Duration) {
        let now = clock.monotonic_micros();
        let horizon = now.saturating_sub(duration::micros(pin_max));
        self.held.retain(|(_, since)| *since >= horizon);
    }
}

impl Pins {
    /// Asked by the committer before it erases something with a group; if so, [`Pins::landed`] has to follow.
    pub(crate) fn may_erase(&self, clock: &EngineClock, pin_max: Duration) -> bool {
        let mut state = self.state.lock();
        state.forget_old(clock, pin_max);
        state.is_erasing = state.held.is_empty();
        state.is_erasing
    }

    /// Whether erasing is held back now, so that there is no use in looking for what could be erased.
    pub(crate) fn is_held(&self, clock: &EngineClock, pin_max: Duration) -> bool {
        let mut state = self.state.lock();
        state.forget_old(clock, pin_max);
        !state.held.is_empty()
    }

    /// A group that was on its way has become durable or failed.
    pub(crate) fn landed(&self) {
        self.state.lock().is_erasing = false;
        self.landed.notify_all();
    }

    /// Holds back from now on; returns when nothing is being erased any more, or `None` where that takes too long.
    pub(crate) fn pin(pins: &Arc<Pins>, clock: &EngineClock) -> Option<Pin> {
        let mut state = pins.state.lock();
        let number = state.next;
        state.next += 1;
        state.held.push((number, clock.monotonic_micros()));
        let waited = pins
            .landed
            .wait_while_for(&mut state, |state| state.is_erasing, LANDING_MAX);
        let is_erasing = waited.timed_out() && state.is_erasing;
        drop(state);
        let pin = Pin {
            pins: Arc::clone(pins),
            number,
        };
        (!is_erasing).then_some(pin)
    }
}

/// While it lives, and no longer than [`EngineOptions::pin_max`](crate::EngineOptions::pin_max), nothing is erased in the
/// background.
pub(crate) struct Pin {
    pins: Arc<Pins>,
    number: u64,
}

impl Pin {
    /// Not where it was held for too long and has been ignored since.
    pub(crate) fn holds(&self) -> bool {
        let state = self.pins.state.lock();
        state.held.iter().any(|(number, _)| *number == self.number)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.pins.state.lock();
        state.held.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use thalweg_model::CommitTs;

    use super::*;
    use crate::test_world::SetClock;

    fn clocks() -> (Arc<SetClock>, EngineClock) {
        let set = Arc::new(SetClock::new(1_000_000));
        let source: Arc<SetClock> = Arc::clone(&set);
        (set, EngineClock::new(source, CommitTs::ZERO))
    }

    #[test]
    fn nothing_is_erased_while_a_pin_is_held_and_not_too_old() {
        let (set, clock) = clocks();
        let max = Duration::from_micros(100);
        let pins = Arc::new(Pins::default());
        assert!(pins.may_erase(&clock, max));
        pins.landed();
        let pin = Pins::pin(&pins, &clock).unwrap();
        assert!(!pins.may_erase(&clock, max));
        assert!(pins.is_held(&clock, max));
        drop(pin);
        assert!(!pins.is_held(&clock, max));
        assert!(pins.may_erase(&clock, max));
        pins.landed();
        let old = Pins::pin(&pins, &clock).unwrap();
        set.advance(Duration::from_micros(100));
        assert!(!pins.may_erase(&clock, max));
        assert!(old.holds());
        set.advance(Duration::from_micros(1));
        assert!(pins.may_erase(&clock, max));
        assert!(!old.holds());
    }

    #[test]
    fn a_pin_waits_for_what_is_being_erased() {
        let (_, clock) = clocks();
        let pins = Arc::new(Pins::default());
        assert!(pins.may_erase(&clock, Duration::MAX));
        std::thread::scope(|scope| {
            let pinned = scope.spawn(|| Pins::pin(&pins, &clock).is_some());
            pins.landed();
            assert!(pinned.join().unwrap());
        });
    }
}

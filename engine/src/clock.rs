//! The engine clock: where commit timestamps and the times of expiry come from.
//!
//! A [`Clock`] gives what the machine knows, wall time and monotonic time, and is passed in, so that a test can simulate
//! it. The [`EngineClock`] makes one time of them that never goes back and that a wrong wall clock cannot tear ahead:
//!
//! - **At open** it starts from the later of the stored head and the wall clock. A head behind the wall clock is a time in
//!   which the server was off, not a jump: what became due meanwhile is due. (A wall clock that was set ahead while the
//!   server was off cannot be told from that.) A head ahead of the wall clock means that the wall clock went back: time
//!   goes on from the head.
//! - **While running** it advances with the monotonic clock. A wall clock up to [`AHEAD_MAX`] ahead of that is followed:
//!   clocks are disciplined in small steps. One that is further ahead is refused: time goes on by the monotonic clock,
//!   and [`ClockAlarm`] says so, until the wall clock is back or somebody confirms it.
//! - A wall clock that is behind is never followed: time goes on by the monotonic clock.
//!
//! So nothing expires because a wall clock jumped, and nothing that has expired comes back. A commit's timestamp is the
//! later of this time and its predecessor's successor.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use thalweg_model::CommitTs;

/// How far ahead of the engine clock a wall clock is followed.
pub(crate) const AHEAD_MAX: Duration = Duration::from_secs(5);

/// What the machine knows of time.
pub trait Clock: Send + Sync + 'static {
    /// Wall time, in microseconds since the Unix epoch. May jump either way.
    fn wall_micros(&self) -> u64;

    /// Microseconds since some fixed moment. Never goes back.
    fn monotonic_micros(&self) -> u64;
}

/// The machine's clocks.
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// The monotonic clock counts from now.
    pub fn new() -> Self {
        SystemClock {
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
    fn wall_micros(&self) -> u64 {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
        elapsed.map_or(0, micros)
    }

    fn monotonic_micros(&self) -> u64 {
        micros(self.started.elapsed())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The wall clock is ahead of the engine clock by more than clocks drift, so it is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockAlarm {
    /// What the wall clock says, in microseconds since the Unix epoch.
    pub wall_micros: u64,
    /// The engine's time, in microseconds since the Unix epoch.
    pub engine_micros: u64,
}

/// The time of an engine.
pub(crate) struct EngineClock {
    source: Arc<dyn Clock>,
    /// A moment at which the time is known. Moved by following the wall clock.
    known: Mutex<Moment>,
}

/// A moment by two clocks.
#[derive(Clone, Copy)]
struct Moment {
    /// Microseconds since the Unix epoch.
    engine: u64,
    monotonic: u64,
}

impl EngineClock {
    /// The clock of a store with that head.
    pub(crate) fn new(source: Arc<dyn Clock>, head: CommitTs) -> Self {
        let known = Moment {
            engine: source.wall_micros().max(head.as_micros()),
            monotonic: source.monotonic_micros(),
        };
        EngineClock {
            source,
            known: Mutex::new(known),
        }
    }

    /// Goes on from there, if it is not past it: another server's clock was ahead of this one's.
    pub(crate) fn not_before(&self, head: CommitTs) {
        let mut known = self.known.lock();
        let (now, _, monotonic) = self.read(&known);
        *known = Moment {
            engine: now.max(head.as_micros()),
            monotonic,
        };
    }

    /// Microseconds since the Unix epoch. Never goes back.
    pub(crate) fn now_micros(&self) -> u64 {
        self.look().0
    }

    /// Microseconds since some fixed moment, for measuring.
    pub(crate) fn monotonic_micros(&self) -> u64 {
        self.source.monotonic_micros()
    }

    /// Whether the wall clock is refused now.
    pub(crate) fn alarm(&self) -> Option<ClockAlarm> {
        let (engine_micros, wall_micros) = self.look();
        (wall_micros > engine_micros).then_some(ClockAlarm {
            wall_micros,
            engine_micros,
        })
    }

    /// Follows the wall clock from now on, however far ahead it is.
    pub(crate) fn confirm(&self) {
        let mut known = self.known.lock();
        let (now, wall, monotonic) = self.read(&known);
        *known = Moment {
            engine: now.max(wall),
            monotonic,
        };
    }

    /// The engine's time, the wall clock's and the monotonic clock's, before the wall clock is followed.
    fn read(&self, known: &Moment) -> (u64, u64, u64) {
        let monotonic = self.source.monotonic_micros();
        let passed = monotonic.saturating_sub(known.monotonic);
        let now = known.engine.saturating_add(passed);
        (now, self.source.wall_micros(), monotonic)
    }

    /// The engine's time and the wall clock's; follows the wall clock where it may.
    fn look(&self) -> (u64, u64) {
        let mut known = self.known.lock();
        let (now, wall, monotonic) = self.read(&known);
        let ahead = wall.saturating_sub(now);
        if ahead == 0 || ahead > micros(AHEAD_MAX) {
            return (now, wall);
        }
        *known = Moment {
            engine: wall,
            monotonic,
        };
        (wall, wall)
    }
}

/// The next commit timestamp after `head`: `max(clock, head + 1)`.
pub(crate) fn next_commit_ts(clock: &EngineClock, head: CommitTs) -> CommitTs {
    CommitTs::from_micros(clock.now_micros()).max(head.next())
}

/// The time of `duration` ago.
pub(crate) fn ago(clock: &EngineClock, duration: Duration) -> CommitTs {
    CommitTs::from_micros(clock.now_micros().saturating_sub(micros(duration)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const SECOND: u64 = 1_000_000;
    const START: u64 = 1_000_000 * SECOND;

    struct Machine {
        wall: AtomicU64,
        monotonic: AtomicU64,
    }

    impl Clock for Machine {
        fn wall_micros(&self) -> u64 {
            self.wall.load(Ordering::SeqCst)
        }

        fn monotonic_micros(&self) -> u64 {
            self.monotonic.load(Ordering::SeqCst)
        }
    }

    impl Machine {
        fn new() -> Arc<Machine> {
            Arc::new(Machine {
                wall: AtomicU64::new(START),
                monotonic: AtomicU64::new(7),
            })
        }

        fn pass(&self, micros: u64) {
            self.wall.fetch_add(micros, Ordering::SeqCst);
            self.monotonic.fetch_add(micros, Ordering::SeqCst);
        }

        fn set_wall(&self, micros: u64) {
            self.wall.store(micros, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_time_in_which_the_server_was_off_has_passed() {
        let clock = EngineClock::new(Machine::new(), CommitTs::from_micros(5));
        assert_eq!((clock.now_micros(), clock.alarm()), (START, None));
    }

    #[test]
    fn a_head_ahead_of_the_wall_clock_goes_on_by_the_monotonic_clock() {
        let machine = Machine::new();
        let head = START + 3600 * SECOND;
        let clock = EngineClock::new(machine.clone(), CommitTs::from_micros(head));
        assert_eq!(clock.now_micros(), head);
        machine.pass(SECOND);
        assert_eq!((clock.now_micros(), clock.alarm()), (head + SECOND, None));
    }

    #[test]
    fn a_small_step_ahead_is_followed_and_a_step_back_is_not() {
        let machine = Machine::new();
        let clock = EngineClock::new(machine.clone(), CommitTs::ZERO);
        machine.set_wall(START + 5 * SECOND);
        assert_eq!(clock.now_micros(), START + 5 * SECOND);
        machine.set_wall(START - 3600 * SECOND);
        machine.pass(SECOND);
        assert_eq!(
            (clock.now_micros(), clock.alarm()),
            (START + 6 * SECOND, None)
        );
    }

    #[test]
    fn a_jump_ahead_is_refused_until_it_is_confirmed_or_over() {
        let machine = Machine::new();
        let clock = EngineClock::new(machine.clone(), CommitTs::ZERO);
        let wrong = START + 3600 * SECOND;
        machine.set_wall(wrong);
        machine.pass(SECOND);
        let alarm = ClockAlarm {
            wall_micros: wrong + SECOND,
            engine_micros: START + SECOND,
        };
        assert_eq!(clock.alarm(), Some(alarm));
        assert_eq!(clock.now_micros(), START + SECOND);
        machine.set_wall(START + 2 * SECOND);
        assert_eq!(
            (clock.alarm(), clock.now_micros()),
            (None, START + 2 * SECOND)
        );
        machine.set_wall(wrong);
        assert!(clock.alarm().is_some());
        clock.confirm();
        assert_eq!((clock.alarm(), clock.now_micros()), (None, wrong));
    }
}

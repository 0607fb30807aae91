//! A backend that fails as it is told: what a store can do to an engine without breaking its contract.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thalweg_storage::{
    Backend, Batch, CommitError, Leadership, Snapshot, StorageError, Usage, Wake,
};

use crate::random::Random;

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is committed.
    Commit,
    /// It is committed, after a while.
    CommitSlowly(Duration),
    /// It is refused and not written.
    Refuse,
    /// It is written, but the answer is that nobody knows.
    LandUnknown,
    /// It is not written, and the answer is that nobody knows.
    LoseUnknown,
    /// The power goes off before it is written.
    PowerOffBefore,
    /// The power goes off after it is written and before anybody is told.
    PowerOffAfter,
}

/// How often what happens, in a thousand batches (or snapshots).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultRates {
    /// [`Fate::Refuse`].
    pub refuse: usize,
    /// [`Fate::LandUnknown`] and [`Fate::LoseUnknown`], in equal parts.
    pub unknown: usize,
    /// [`Fate::PowerOffBefore`] and [`Fate::PowerOffAfter`], in equal parts.
    pub power_off: usize,
    /// [`Fate::CommitSlowly`].
    pub slow: usize,
    /// Snapshots that cannot be opened.
    pub snapshot: usize,
}

impl FaultRates {
    /// Whether an answer can be lost.
    pub fn may_lose_answers(&self) -> bool {
        self.unknown > 0 || self.power_off > 0
    }
}

/// The longest that a slow batch takes, in microseconds of real time.
const SLOW_MICROS_MAX: usize = 2000;

/// A backend in front of another one, between which things go wrong.
pub struct FaultyBackend {
    inner: Arc<dyn Backend>,
    seems_shared: bool,
    state: Mutex<State>,
}

struct State {
    rates: FaultRates,
    random: Random,
    /// What is to become of the next batches, before chance decides.
    next: VecDeque<Fate>,
    is_off: bool,
}

impl FaultyBackend {
    /// Fails at those rates, as the seed says.
    pub fn new(inner: Arc<dyn Backend>, rates: FaultRates, random: Random) -> FaultyBackend {
        FaultyBackend {
            inner,
            seems_shared: false,
            state: Mutex::new(State {
                rates,
                random,
                next: VecDeque::new(),
                is_off: false,
            }),
        }
    }

    /// Says that other servers may use the store too, whether or not that is so.
    #[must_use]
    pub fn seemingly_shared(mut self) -> FaultyBackend {
        self.seems_shared = true;
        self
    }

    /// The rates at which it fails now.
    pub fn rates(&self) -> FaultRates {
        self.state.lock().rates
    }

    /// Fails at other rates from now on.
    pub fn set_rates(&self, rates: FaultRates) {
        self.state.lock().rates = rates;
    }

    /// Decides what becomes of the next batch for which that is not decided yet.
    pub fn decide_next(&self, fate: Fate) {
        self.state.lock().next.push_back(fate);
    }

    /// Switches the power off: nothing is read or written any more.
    pub fn power_off(&self) {
        self.state.lock().is_off = true;
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.state.lock().is_off
    }

    fn fate(&self) -> Fate {
        let state = &mut *self.state.lock();
        if state.is_off {
            return Fate::LoseUnknown;
        }
        let fate = state.next.pop_front().unwrap_or_else(|| {
            let FaultRates {
                refuse,
                unknown,
                power_off,
                slow,
                ..
            } = state.rates;
            let random = &mut state.random;
            if random.in_thousand(refuse) {
                Fate::Refuse
            } else if random.in_thousand(unknown) {
                *random.pick(&[Fate::LandUnknown, Fate::LoseUnknown])
            } else if random.in_thousand(power_off) {
                *random.pick(&[Fate::PowerOffBefore, Fate::PowerOffAfter])
            } else if random.in_thousand(slow) {
                let micros = random.between(1, SLOW_MICROS_MAX) as u64;
                Fate::CommitSlowly(Duration::from_micros(micros))
            } else {
                Fate::Commit
            }
        });
        if fate == Fate::PowerOffBefore {
            state.is_off = true;
        }
        fate
    }
}

fn broken() -> StorageError {
    StorageError::Unavailable {
        reason: "the simulation says so".to_owned(),
    }
}

impl Backend for FaultyBackend {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        {
            let state = &mut *self.state.lock();
            if state.is_off || state.random.in_thousand(state.rates.snapshot) {
                return Err(broken());
            }
        }
        self.inner.snapshot()
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        match self.fate() {
            Fate::Commit => self.inner.commit(batch),
            Fate::CommitSlowly(time) => {
                std::thread::sleep(time);
                self.inner.commit(batch)
            }
            Fate::Refuse => Err(CommitError::NotCommitted(broken())),
            Fate::LandUnknown => {
                self.inner.commit(batch)?;
                Err(CommitError::Indeterminate(broken()))
            }
            Fate::LoseUnknown | Fate::PowerOffBefore => Err(CommitError::Indeterminate(broken())),
            Fate::PowerOffAfter => {
                self.inner.commit(batch)?;
                self.power_off();
                Err(CommitError::Indeterminate(broken()))
            }
        }
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        self.inner.usage()
    }

    fn is_shared(&self) -> bool {
        self.seems_shared || self.inner.is_shared()
    }

    fn lead(&self) -> Result<Option<Box<dyn Leadership>>, StorageError> {
        self.inner.lead()
    }

    fn on_commit(&self, wake: Wake) {
        self.inner.on_commit(wake);
    }
}

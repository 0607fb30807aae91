//! What clients saw: every attempt at a transaction, when it began and ended, and what came of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::document::Image;
use crate::plan::{Observation, Plan};

/// One attempt at a transaction, as its client saw it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Who made it.
    pub client: usize,
    /// Which of the client's it is.
    pub number: usize,
    /// What it wanted.
    pub plan: Arc<Plan>,
    /// When it was made: a moment of the history's own time, in which no two events coincide.
    pub invoked: u64,
    /// When it was answered; of one that was not, when its outcome was settled.
    pub responded: u64,
    /// What came of it.
    pub outcome: Outcome,
}

impl Attempt {
    /// Its name in messages.
    pub fn name(&self) -> String {
        format!("T{}.{}", self.client, self.number)
    }
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded. Without steps it only read.
    Done {
        /// The timestamp that the engine gave: of the commit, or of the snapshot that was read.
        ts: u64,
        /// What its reads saw, in the run that counted.
        reads: Vec<Observation>,
        /// What its writes did.
        steps: Vec<StepSeen>,
    },
    /// It was refused, for a reason that is in the data.
    Refused(Refusal),
    /// It failed, and the engine says that nothing was written.
    Failed(String),
    /// Nobody knows whether it was written.
    Unknown(String),
}

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepSeen {
    /// The image that it found.
    pub before: Option<Image>,
    /// The image that it left.
    pub after: Option<Image>,
    /// Whether it changed anything.
    pub changed: bool,
}

impl fmt::Display for StepSeen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = |image: &Option<Image>| match image {
            Some(image) => image.to_string(),
            None => "nothing".to_owned(),
        };
        let verb = if self.changed { "became" } else { "stayed" };
        write!(
            formatter,
            "{} {verb} {}",
            image(&self.before),
            image(&self.after)
        )
    }
}

/// Why a transaction was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its own guard did not hold.
    Guard,
    /// It was answered with something that it never said under its idempotency key. Nothing is a reason for that.
    StrangeAnswer,
    /// A write could not be applied.
    Write {
        /// The number of the write.
        step: usize,
        /// Why not.
        reason: Reason,
    },
}

/// Why a write could not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The id is taken.
    AlreadyExists,
    /// It has another version.
    Version {
        /// The version that it has, if it is there.
        found: Option<u64>,
    },
    /// An increment of what is no number.
    NotANumber,
    /// A push to what is no list.
    NotAList,
    /// There is no such collection.
    NoSuchCollection,
    /// Another document names what would go.
    Restricted,
    /// Anything else, which the workload never gives cause for.
    Other(String),
}

/// The history of a run, as it grows.
#[derive(Default)]
pub struct History {
    now: AtomicU64,
    attempts: Mutex<Vec<Attempt>>,
}

impl History {
    /// A moment later than all before.
    pub fn now(&self) -> u64 {
        self.now.fetch_add(1, Ordering::SeqCst)
    }

    /// Adds an attempt that has ended.
    pub fn push(&self, attempt: Attempt) {
        self.attempts.lock().push(attempt);
    }

    /// Ends the waiting for all attempts that were cut off: what is settled now cannot change any more.
    pub fn settle_unknown(&self) {
        let now = self.now();
        for attempt in self.attempts.lock().iter_mut() {
            if matches!(attempt.outcome, Outcome::Unknown(_)) && attempt.responded == u64::MAX {
                attempt.responded = now;
            }
        }
    }

    /// All attempts so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().clone()
    }
}

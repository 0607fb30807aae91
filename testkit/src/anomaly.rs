//! What a checker found wrong, as an account that a person can follow.

use std::fmt;

use crate::history::{Attempt, Outcome};

/// A history that no strictly serializable store can have given, and why.
#[derive(Clone, Debug)]
pub struct Anomaly {
    /// What kind it is: a short name that stays the same.
    pub kind: Kind,
    /// What happened, a line for each part of it.
    pub account: Vec<String>,
}

/// The kinds of anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A cycle of writes alone (Adya's G0).
    WriteCycle,
    /// A read of what an aborted transaction wrote (G1a).
    AbortedRead,
    /// A read of what a transaction wrote on its way, not at its end (G1b).
    IntermediateRead,
    /// A cycle of writes and reads that saw them (G1c).
    CircularInformation,
    /// A cycle with one read that missed a write (G-single): a lost update, a fractured read.
    SingleAntiDependency,
    /// A cycle with several reads that missed a write (G2): write skew, phantoms.
    AntiDependencyCycle,
    /// Two reads of one list of which neither continues the other.
    IncompatibleOrders,
    /// A list has an item twice.
    DuplicateItem,
    /// An item that nobody wrote.
    GarbageRead,
    /// The sum of the balances is another one.
    BrokenSum,
    /// Two commits with one timestamp, or an earlier one after a later.
    TimestampReused,
    /// The timestamps contradict the order in which clients were answered.
    RealTimeViolated,
    /// A read saw another state than the one of its timestamp.
    WrongRead,
    /// A write did something else than it does to the state of its timestamp.
    WrongWrite,
    /// Whoever follows the commits was told of another one than there is.
    WrongCommitTold,
    /// A transaction was committed that must be refused.
    UnexplainedCommit,
    /// A transaction was refused, and in no state that it can have seen there was a reason.
    UnexplainedRefusal,
}

impl Anomaly {
    /// An anomaly with its account.
    pub fn new(kind: Kind, account: Vec<String>) -> Anomaly {
        Anomaly { kind, account }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.kind)?;
        for line in &self.account {
            write!(formatter, "\n  {line}")?;
        }
        Ok(())
    }
}

/// A transaction in a few lines: when it ran, what it read and what its writes did.
pub(crate) fn describe(attempt: &Attempt) -> Vec<String> {
    let mut lines = Vec::new();
    let when = match attempt.responded {
        u64::MAX => format!("from {} on", attempt.invoked),
        responded => format!("from {} to {responded}", attempt.invoked),
    };
    let name = attempt.name();
    match &attempt.outcome {
        Outcome::Done { ts, reads, steps } => {
            let what = if steps.is_empty() {
                "read"
            } else {
                "committed"
            };
            lines.push(format!("{name} ({when}) {what} at {ts}"));
            for (read, seen) in attempt.plan.reads.iter().zip(reads) {
                lines.push(format!("{name}   {read}: {seen}"));
            }
            for step in steps {
                lines.push(format!("{name}   wrote: {step}"));
            }
        }
        outcome => {
            lines.push(format!("{name} ({when}) {outcome:?}"));
            for read in &attempt.plan.reads {
                lines.push(format!("{name}   {read}"));
            }
        }
    }
    if matches!(attempt.outcome, Outcome::Done { ref steps, .. } if steps.is_empty())
        || attempt.plan.writes.is_empty()
    {
        return lines;
    }
    if let Some(guard) = &attempt.plan.guard {
        lines.push(format!("{name}   guard: {guard:?}"));
    }
    for write in &attempt.plan.first {
        lines.push(format!("{name}   meant before it read: {write:?}"));
    }
    for write in &attempt.plan.writes {
        lines.push(format!("{name}   meant: {write:?}"));
    }
    lines
}

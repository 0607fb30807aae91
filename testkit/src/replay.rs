//! The exact check: every transaction at the place that its timestamp claims, one after the other, on the model.
//!
//! - Every committed transaction reported its timestamp. In that order their plans are run on the [`Model`]; what each
//!   read, and what each of its writes did, must be what the model gives at its place.
//! - What only read must have seen the state of its snapshot's timestamp.
//! - A refusal carries no timestamp. Its reason must be found in one of the states that the transaction can have met:
//!   with everything that was answered before it was made, without anything that was made after it was answered.
//! - Timestamps must follow real time: whoever is answered before another begins has the earlier one.
//!
//! An attempt whose answer was lost is in the history if its mark is in the store afterwards, at the mark's timestamp.

use std::collections::BTreeMap;

use crate::anomaly::{Anomaly, Kind, describe};
use crate::document::{Collection, Seen};
use crate::follower::{self, Stretch};
use crate::history::{Attempt, Outcome};
use crate::model::Model;
use crate::plan::{Observation, Read};

/// How many of the transactions before one that saw something else than they left are told about.
const WRITERS_TOLD: usize = 3;

/// A transaction that got a place in the order by writing.
struct Writer<'h> {
    attempt: &'h Attempt,
    ts: u64,
    /// Whether it says that it changed something.
    changes: bool,
}

/// Checks a history, and what followers of the commits were told, against the model. The first anomaly in the order of timestamps is told.
pub fn check(history: &[Attempt], followed: &[Stretch]) -> Result<(), Anomaly> {
    let writers = writers(history);
    real_time(history, &writers)?;
    let states = replay(&writers)?;
    for attempt in history {
        match &attempt.outcome {
            Outcome::Done { ts, steps, .. } if steps.is_empty() => {
                let at = states.partition_point(|(from, _)| from <= ts) - 1;
                compare_reads(attempt, *ts, &states[at].1)?;
            }
            Outcome::Refused(refusal) => {
                let (from, to) = window(attempt, &writers, &states);
                let explained = states[from..=to].iter().any(|(ts, model)| {
                    let run = model.run(&attempt.plan, ts + 1);
                    run.written.is_err_and(|expected| expected == *refusal)
                });
                if !explained {
                    let mut account = describe(attempt);
                    account.push(format!(
                        "no state from {} to {} gives it a reason to be refused",
                        states[from].0, states[to].0
                    ));
                    return Err(Anomaly::new(Kind::UnexplainedRefusal, account));
                }
            }
            _ => {}
        }
    }
    followed
        .iter()
        .try_for_each(|stretch| follower::check(stretch, &states))
}

/// The writers in the order of their timestamps. One that changes nothing has the timestamp of the commit that it came
/// after.
fn writers(history: &[Attempt]) -> Vec<Writer<'_>> {
    let marks = marks(history);
    let mut writers: Vec<Writer<'_>> = Vec::new();
    for attempt in history {
        let (ts, changes) = match &attempt.outcome {
            Outcome::Done { ts, steps, .. } if !steps.is_empty() => {
                (*ts, steps.iter().any(|step| step.changed))
            }
            Outcome::Unknown(_) => match attempt.plan.mark.as_ref().and_then(|id| marks.get(id)) {
                Some(ts) => (*ts, true),
                None => continue,
            },
            _ => continue,
        };
        writers.push(Writer {
            attempt,
            ts,
            changes,
        });
    }
    writers.sort_by_key(|writer| (writer.ts, !writer.changes, writer.attempt.invoked));
    writers
}

/// The marks that any read of them saw, with their timestamps.
fn marks(history: &[Attempt]) -> BTreeMap<String, u64> {
    let mut marks = BTreeMap::new();
    for attempt in history {
        let Outcome::Done { reads, .. } = &attempt.outcome else {
            continue;
        };
        for (read, seen) in attempt.plan.reads.iter().zip(reads) {
            if let (Read::Page(query), Observation::Page { rows, .. }) = (read, seen)
                && query.collection == Collection::Marks
            {
                marks.extend(rows.iter().filter_map(|(id, seen)| match seen {
                    Seen::Whole(image) => Some((id.clone(), image.commit_ts)),
                    Seen::Part(_) => None,
                }));
            }
        }
    }
    marks
}

/// Runs the writers on the model. Gives the states with the timestamps from which on they hold, the empty one first.
fn replay(writers: &[Writer<'_>]) -> Result<Vec<(u64, Model)>, Anomaly> {
    let mut states = vec![(0, Model::default())];
    let mut newest_writer: Option<&Writer<'_>> = None;
    for (place, writer) in writers.iter().enumerate() {
        let attempt = writer.attempt;
        let (last_ts, model) = states.last().expect("the empty state is there");
        let run = model.run(&attempt.plan, writer.ts);
        if let Outcome::Done { .. } = attempt.outcome {
            compare_reads(attempt, writer.ts, model).map_err(|mut anomaly| {
                let before = &writers[place.saturating_sub(WRITERS_TOLD)..place];
                anomaly
                    .account
                    .push("directly before it in the order came:".to_owned());
                let before = before.iter().flat_map(|writer| describe(writer.attempt));
                anomaly.account.extend(before);
                anomaly
            })?;
        }
        let written = run.written.map_err(|refusal| {
            let mut account = describe(attempt);
            account.push(format!("it must be refused: {refusal:?}"));
            Anomaly::new(Kind::UnexplainedCommit, account)
        })?;
        if let Outcome::Done { steps, .. } = &attempt.outcome
            && *steps != written.steps
        {
            let mut account = describe(attempt);
            for (number, step) in written.steps.iter().enumerate() {
                if steps.get(number) != Some(step) {
                    account.push(format!("expected of write {number}: {step}"));
                }
            }
            return Err(Anomaly::new(Kind::WrongWrite, account));
        }
        if written.commits {
            if writer.ts <= *last_ts {
                let mut account = describe(attempt);
                if let Some(before) = newest_writer {
                    account.extend(describe(before.attempt));
                }
                account.push(format!("both changed something at {}", writer.ts));
                return Err(Anomaly::new(Kind::TimestampReused, account));
            }
            states.push((writer.ts, written.model));
            newest_writer = Some(writer);
        }
    }
    Ok(states)
}

fn compare_reads(attempt: &Attempt, ts: u64, model: &Model) -> Result<(), Anomaly> {
    let Outcome::Done { reads, .. } = &attempt.outcome else {
        return Ok(());
    };
    let model = model.seen_by(&attempt.plan, ts);
    for (read, seen) in attempt.plan.reads.iter().zip(reads) {
        let expected = model.read(read, attempt.plan.style);
        if *seen != expected {
            let mut account = describe(attempt);
            account.push(format!("at {ts} it must see for: {read}"));
            account.push(format!("expected {expected}"));
            account.push(format!("but saw  {seen}"));
            return Err(Anomaly::new(Kind::WrongRead, account));
        }
    }
    Ok(())
}

/// Whoever is answered before another begins must not be later in the order.
fn real_time(history: &[Attempt], writers: &[Writer<'_>]) -> Result<(), Anomaly> {
    struct Placed<'h> {
        attempt: &'h Attempt,
        ts: u64,
        changes: bool,
    }
    let readers = history.iter().filter_map(|attempt| match &attempt.outcome {
        Outcome::Done { ts, steps, .. } if steps.is_empty() => Some(Placed {
            attempt,
            ts: *ts,
            changes: false,
        }),
        _ => None,
    });
    let writers = writers.iter().map(|writer| Placed {
        attempt: writer.attempt,
        ts: writer.ts,
        changes: writer.changes,
    });
    let mut begun: Vec<Placed<'_>> = readers.chain(writers).collect();
    begun.sort_by_key(|placed| placed.attempt.invoked);
    let mut ended: Vec<&Placed<'_>> = begun.iter().collect();
    ended.sort_by_key(|placed| placed.attempt.responded);
    let mut ended = ended.into_iter().peekable();
    let mut newest: Option<&Placed<'_>> = None;
    for placed in &begun {
        while let Some(before) =
            ended.next_if(|before| before.attempt.responded < placed.attempt.invoked)
        {
            if newest.is_none_or(|newest| newest.ts < before.ts) {
                newest = Some(before);
            }
        }
        let Some(newest) = newest else { continue };
        let follows = if placed.changes {
            newest.ts < placed.ts
        } else {
            newest.ts <= placed.ts
        };
        if !follows {
            let mut account = describe(newest.attempt);
            account.extend(describe(placed.attempt));
            account.push(format!(
                "{} was answered before {} was made, but {} does not come before {}",
                newest.attempt.name(),
                placed.attempt.name(),
                newest.ts,
                placed.ts
            ));
            return Err(Anomaly::new(Kind::RealTimeViolated, account));
        }
    }
    Ok(())
}

/// The first and the last state that a transaction can have met, as numbers of states.
fn window(attempt: &Attempt, writers: &[Writer<'_>], states: &[(u64, Model)]) -> (usize, usize) {
    let before = writers
        .iter()
        .filter(|writer| writer.attempt.responded < attempt.invoked)
        .map(|writer| writer.ts)
        .max();
    let after = writers
        .iter()
        .filter(|writer| writer.changes && writer.attempt.invoked > attempt.responded)
        .map(|writer| writer.ts)
        .min();
    let from = states.partition_point(|(ts, _)| *ts <= before.unwrap_or(0)) - 1;
    let to = states.partition_point(|(ts, _)| *ts < after.unwrap_or(u64::MAX)) - 1;
    (from, to.max(from))
}

#[cfg(test)]
mod tests;

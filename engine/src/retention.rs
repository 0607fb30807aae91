//! Erasing the earlier images that a collection no longer keeps.
//!
//! Where `retain` is no longer than the recovery window, an image goes with the log entry that ended it
//! ([`crate::log::trim`]), which costs nothing to find. Where it is longer, the log entry is gone long before, so the
//! collection's history is *swept*: read from end to end in bounded pages, each of which erases what ended by the sweep's
//! mark, in one commit through the committer like any other. Neither an update nor a change of `retain` has to keep an
//! order of ends for that; the price is that each image is looked at about [`SWEEPS_PER_LIFE`] times in its life.
//!
//! A sweep raises the collection's mark first ([`keyspace::swept`]) and erases then, so what is half erased is never
//! shown. How far it is lies in the store ([`keyspace::sweeping`]), so it goes on after a restart. A change of `retain`
//! asks for a sweep at once.

use std::borrow::Cow;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::Duration;

use thalweg_model::{CollectionId, CommitTs, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader, Write};

use crate::catalog::Collection;
use crate::error::EngineError;
use crate::history::{self, EarlierImage};
use crate::index::Index;
use crate::keyspace;
use crate::settings::Retain;

/// An image is erased at most this part of its time late.
const SWEEPS_PER_LIFE: u64 = 16;
/// How far apart the sweeps of a collection are, at least and at most.
const INTERVAL_MICROS_MIN: u64 = 1_000_000;
const INTERVAL_MICROS_MAX: u64 = 86_400 * 1_000_000;
/// How many images a page looks at, and how many it erases.
const LOOKED_AT_MAX: usize = 4096;
const ERASED_MAX: usize = 512;

/// One page of a sweep, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sweep {
    pub(crate) collection: CollectionId,
    /// The settings that it follows: those of that commit.
    pub(crate) configured_ts: CommitTs,
    /// The new mark, where the page begins a sweep.
    mark: Option<CommitTs>,
    images: Vec<EarlierImage>,
    /// Where the sweep is to go on; `None` at its end.
    next: Option<Going>,
}

/// A sweep that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Going {
    /// What ended by then is erased.
    up_to: CommitTs,
    /// The key that was looked at last; empty at the beginning.
    after: Vec<u8>,
}

impl Sweep {
    /// Asks for a sweep of a collection whose `retain` has changed.
    pub(crate) fn requested(collection: CollectionId) -> Write {
        Write::Put {
            key: keyspace::sweeping(collection),
            value: Vec::new(),
        }
    }

    pub(crate) fn write(&self, writes: &mut Vec<Write>) {
        if let Some(mark) = self.mark {
            writes.push(Write::Put {
                key: keyspace::swept(self.collection),
                value: mark.as_micros().to_be_bytes().to_vec(),
            });
        }
        for image in &self.images {
            image.erase(self.collection, writes);
        }
        let key = keyspace::sweeping(self.collection);
        writes.push(match &self.next {
            Some(going) => Write::Put {
                key,
                value: going.encode(),
            },
            None => Write::Delete { key },
        });
    }
}

impl Going {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.up_to.as_micros().to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.after);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Going, EngineError> {
        let corrupt = EngineError::Corrupt {
            what: "sweep of a history",
        };
        let (up_to, after) = bytes.split_first_chunk().ok_or(corrupt)?;
        Ok(Going {
            up_to: CommitTs::from_micros(u64::from_be_bytes(*up_to)),
            after: after.to_vec(),
        })
    }
}

/// What is stored about a collection's sweeps.
#[derive(Debug, PartialEq, Eq)]
enum Pending {
    Nothing,
    Requested,
    Going(Going),
}

/// What to do about a collection's history now.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// Nothing before that time, in microseconds since the Unix epoch, or before its settings change.
    Rest(Option<u64>),
    /// Forget the request: nothing is to be erased.
    Forget,
    Begin(CommitTs),
    GoOn(Going),
}

fn decide(
    retain: Retain,
    window: Duration,
    now: u64,
    swept: CommitTs,
    pending: Pending,
) -> Decision {
    let is_requested = match pending {
        Pending::Going(going) => return Decision::GoOn(going),
        Pending::Requested => true,
        Pending::Nothing => false,
    };
    let rest = |until| match is_requested {
        true => Decision::Forget,
        false => Decision::Rest(until),
    };
    let Some(kept) = retain.kept_micros(window) else {
        return rest(None);
    };
    let horizon = CommitTs::from_micros(now.saturating_sub(kept));
    if is_requested && horizon > swept {
        return Decision::Begin(horizon);
    }
    if retain.goes_with_log(window) {
        return rest(None);
    }
    let interval = (kept / SWEEPS_PER_LIFE).clamp(INTERVAL_MICROS_MIN, INTERVAL_MICROS_MAX);
    let next = swept.as_micros().saturating_add(interval);
    if horizon.as_micros() >= next {
        Decision::Begin(horizon)
    } else {
        rest(Some(next.saturating_add(kept)))
    }
}

/// What is to be done about a collection's history.
pub(crate) enum Sweeping {
    /// This page.
    Page(Sweep),
    /// Nothing before that time, in microseconds since the Unix epoch.
    Rest(Option<u64>),
}

pub(crate) fn next_page(
    reader: &dyn Reader,
    collection: &Collection,
    window: Duration,
    now: u64,
) -> Result<Sweeping, EngineError> {
    let pending = match reader.get(&keyspace::sweeping(collection.id))? {
        None => Pending::Nothing,
        Some(bytes) if bytes.is_empty() => Pending::Requested,
        Some(bytes) => Pending::Going(Going::decode(&bytes)?),
    };
    let retain = collection.settings.retain;
    if retain == Retain::Forever && pending == Pending::Nothing {
        return Ok(Sweeping::Rest(None));
    }
    let swept = history::read_ts(reader, &keyspace::swept(collection.id))?;
    let mut sweep = Sweep {
        collection: collection.id,
        configured_ts: collection.configured_ts,
        mark: None,
        images: Vec::new(),
        next: None,
    };
    let going = match decide(retain, window, now, swept, pending) {
        Decision::Rest(until) => return Ok(Sweeping::Rest(until)),
        Decision::Forget => return Ok(Sweeping::Page(sweep)),
        Decision::Begin(up_to) => {
            sweep.mark = Some(up_to);
            let after = Vec::new();
            Going { up_to, after }
        }
        Decision::GoOn(going) => going,
    };
    read_page(reader, &collection.indexes, going, &mut sweep)?;
    Ok(Sweeping::Page(sweep))
}

fn read_page(
    reader: &dyn Reader,
    indexes: &[Arc<Index>],
    going: Going,
    sweep: &mut Sweep,
) -> Result<(), EngineError> {
    let prefix = keyspace::histories(sweep.collection);
    let end = prefix_end(&prefix).expect("a history key does not consist of 0xff bytes");
    let Going { up_to, after } = going;
    let from = match after.is_empty() {
        true => Bound::Included(&*prefix),
        false => Bound::Excluded(&*after),
    };
    let mut looked_at = 0;
    let mut failure = None;
    reader.scan(
        from,
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, value| {
            let image = ended_by(reader, indexes, up_to, key, value).unwrap_or_else(|error| {
                failure = Some(error);
                None
            });
            sweep.images.extend(image);
            looked_at += 1;
            if failure.is_some() {
                return ControlFlow::Break(());
            }
            if looked_at < LOOKED_AT_MAX && sweep.images.len() < ERASED_MAX {
                return ControlFlow::Continue(());
            }
            sweep.next = Some(Going {
                up_to,
                after: key.to_vec(),
            });
            ControlFlow::Break(())
        },
    )?;
    failure.map_or(Ok(()), Err)
}

fn ended_by(
    reader: &dyn Reader,
    indexes: &[Arc<Index>],
    up_to: CommitTs,
    key: &[u8],
    value: Cow<'_, [u8]>,
) -> Result<Option<EarlierImage>, EngineError> {
    let until = value.first_chunk().ok_or(history::corrupt())?;
    if CommitTs::from_micros(u64::from_be_bytes(*until)) > up_to {
        return Ok(None);
    }
    EarlierImage::read(reader, indexes, key, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400 * 1_000_000;

    #[test]
    fn when_a_history_is_swept() {
        let window = Duration::from_secs(600);
        let kept = Retain::For(Duration::from_micros(16 * DAY));
        let short = Retain::For(Duration::from_secs(1));
        let ts = CommitTs::from_micros;
        let going = || Going {
            up_to: ts(5),
            after: vec![1],
        };
        let cases = [
            (
                Retain::Forever,
                100 * DAY,
                0,
                Pending::Nothing,
                Decision::Rest(None),
            ),
            (
                Retain::Forever,
                100 * DAY,
                0,
                Pending::Requested,
                Decision::Forget,
            ),
            // What was decided is carried through, whatever was decided since.
            (
                Retain::Forever,
                100 * DAY,
                0,
                Pending::Going(going()),
                Decision::GoOn(going()),
            ),
            (
                Retain::Nothing,
                100 * DAY,
                0,
                Pending::Nothing,
                Decision::Rest(None),
            ),
            (short, 100 * DAY, 0, Pending::Nothing, Decision::Rest(None)),
            (
                Retain::Nothing,
                100 * DAY,
                0,
                Pending::Requested,
                Decision::Begin(ts(100 * DAY - 600_000_000)),
            ),
            (
                kept,
                100 * DAY,
                0,
                Pending::Nothing,
                Decision::Begin(ts(84 * DAY)),
            ),
            (
                kept,
                100 * DAY,
                83 * DAY,
                Pending::Nothing,
                Decision::Begin(ts(84 * DAY)),
            ),
            (
                kept,
                100 * DAY,
                84 * DAY,
                Pending::Nothing,
                Decision::Rest(Some(101 * DAY)),
            ),
            (
                kept,
                100 * DAY,
                84 * DAY,
                Pending::Requested,
                Decision::Forget,
            ),
            // A longer time than before brings nothing back and erases nothing.
            (
                kept,
                100 * DAY,
                99 * DAY,
                Pending::Requested,
                Decision::Forget,
            ),
        ];
        for (retain, now, swept, pending, expected) in cases {
            let case = format!("{retain} {now} {swept} {pending:?}");
            assert_eq!(
                decide(retain, window, now, ts(swept), pending),
                expected,
                "{case}"
            );
        }
    }

    #[test]
    fn where_a_sweep_goes_on_is_read_back() {
        let going = Going {
            up_to: CommitTs::from_micros(9),
            after: vec![1, 2, 3],
        };
        assert_eq!(Going::decode(&going.encode()).unwrap(), going);
        assert!(Going::decode(&[1, 2]).is_err());
    }
}

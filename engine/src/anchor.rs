//! Where to file a range, so that a change finds it without a test of every range.
//!
//! An [`Anchor`] is what a range requires of a document at the least: that the value of one field lies in certain
//! intervals, or that its position does. A document that does not satisfy the anchor is not in the range; one that
//! does may be, so whoever is found by an anchor is tested again.

use std::ops::Bound;
use std::sync::Arc;

use crate::dependency::Range;
use crate::field::{FieldRef, Image};
use crate::find::{Interval, Target, of_predicate};
use crate::order::{OrderKey, Position, encode_field};
use crate::predicate::{Predicate, Test};
use crate::record::Record;

/// More intervals than this file nothing better than the whole filter does.
const INTERVALS_MAX: usize = 64;
/// Of more fields than this the first ones are considered.
const FIELDS_MAX: usize = 16;
/// The bound of a comparison that has none on this side is the first byte of its kind.
const OPEN_BYTES: usize = 1;

/// What a range requires of its documents.
#[derive(Clone, Debug, PartialEq)]
pub enum Anchor {
    /// The value of a field lies in one of the intervals.
    Field(AnchorField, Vec<KeyInterval>),
    /// The position in that order lies in the interval.
    Position(Arc<[OrderKey]>, KeyInterval),
    /// Nothing that could be looked up.
    Filter,
}

/// A field whose value is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AnchorField {
    field: FieldRef,
    /// By the instants that RFC 3339 strings name.
    as_instant: bool,
}

impl AnchorField {
    /// Appends the key under which a document is looked up.
    pub fn write_key(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        let value = Image::of(record).field(&self.field);
        encode_field(value, self.as_instant, false, out);
    }
}

/// Keys from one up to, but without, another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyInterval {
    /// The first key.
    pub from: Vec<u8>,
    /// The first key that is beyond; `None` where all that follow belong to it.
    pub to: Option<Vec<u8>>,
    /// Whether all keys in it are those of one value, `from`.
    pub is_point: bool,
}

impl KeyInterval {
    fn of_values(interval: Interval) -> KeyInterval {
        KeyInterval {
            from: interval.from,
            to: Some(interval.to),
            is_point: interval.is_point,
        }
    }

    fn of_positions(from: &Bound<Position>, to: &Bound<Position>) -> KeyInterval {
        // Nothing stands between a key and itself with a zero behind it.
        let next = |position: &Position| [position.as_bytes(), &[0]].concat();
        KeyInterval {
            from: match from {
                Bound::Included(from) => from.as_bytes().to_vec(),
                Bound::Excluded(from) => next(from),
                Bound::Unbounded => Vec::new(),
            },
            to: match to {
                Bound::Included(to) => Some(next(to)),
                Bound::Excluded(to) => Some(to.as_bytes().to_vec()),
                Bound::Unbounded => None,
            },
            is_point: false,
        }
    }
}

/// How much an anchor narrows, the most first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    Points,
    Between,
    OneSided,
}

impl Range {
    /// What the range requires of its documents, as narrow as is known.
    pub fn anchor(&self) -> Anchor {
        let mut fields = Vec::new();
        collect_fields(&self.filter, &mut fields);
        let candidates = fields.iter().filter_map(|field| {
            let target = Target {
                field: &field.field,
                items: None,
                instant: field.as_instant,
            };
            let found = of_predicate(&self.filter, target)?;
            let intervals = found.intervals;
            let width = intervals
                .iter()
                .map(width)
                .try_fold(Width::Points, |a, b| b.map(|b| a.max(b)))?;
            (intervals.len() <= INTERVALS_MAX).then_some((width, field, intervals))
        });
        let narrowest = candidates.min_by_key(|(width, _, intervals)| (*width, intervals.len()));
        let is_bounded = (&self.from, &self.to) != (&Bound::Unbounded, &Bound::Unbounded);
        match narrowest {
            Some((width, field, intervals)) if width < Width::OneSided || !is_bounded => {
                let intervals = intervals.into_iter().map(KeyInterval::of_values).collect();
                Anchor::Field(field.clone(), intervals)
            }
            _ if is_bounded => {
                let interval = KeyInterval::of_positions(&self.from, &self.to);
                Anchor::Position(Arc::clone(&self.order), interval)
            }
            _ => Anchor::Filter,
        }
    }
}

/// `None` where it narrows nothing.
fn width(interval: &Interval) -> Option<Width> {
    let sides = [&interval.from, &interval.to].map(|side| usize::from(side.len() > OPEN_BYTES));
    match sides.iter().sum() {
        _ if interval.is_point => Some(Width::Points),
        0 => None,
        1 => Some(Width::OneSided),
        _ => Some(Width::Between),
    }
}

/// The fields that the filter tests, where a test that fails can make the whole fail.
fn collect_fields(filter: &Predicate, fields: &mut Vec<AnchorField>) {
    match filter {
        Predicate::And(parts) | Predicate::Or(parts) => {
            for part in parts {
                collect_fields(part, fields);
            }
        }
        Predicate::Field(field, test) if fields.len() < FIELDS_MAX => {
            let field = AnchorField {
                field: field.clone(),
                as_instant: matches!(field, FieldRef::Path(_)) && by_instant(test),
            };
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        _ => {}
    }
}

fn by_instant(test: &Test) -> bool {
    match test {
        Test::Instant(..) => true,
        Test::AllOf(tests) | Test::AnyOf(tests) => tests.iter().any(by_instant),
        _ => false,
    }
}

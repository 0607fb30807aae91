//! What a filter says about one field of an index: in which ranges of keys the values of every document that
//! satisfies it lie. Pure.
//!
//! A constraint may be wider than the filter, never narrower: whoever uses one tests the documents again, unless it is
//! exact.

use thalweg_model::{Kind, Value, ValueRef, prefix_end};

use crate::field::{FieldRef, FieldValue};
use crate::index::ListItems;
use crate::order::encode_field;
use crate::predicate::{Comparison, Predicate, Test};

/// Keys of values, ascending: from the first, up to but without the second. A key belongs to it with all that follows
/// it in a longer key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interval {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
    /// Whether it is one value.
    pub(crate) is_point: bool,
}

/// Greater than every key.
const END: u8 = 0xff;

impl Interval {
    fn point(key: Vec<u8>) -> Interval {
        Interval {
            to: after(&key),
            from: key,
            is_point: true,
        }
    }

    fn range(from: Vec<u8>, to: Vec<u8>) -> Interval {
        Interval {
            from,
            to,
            is_point: false,
        }
    }

    fn intersect(&self, other: &Interval) -> Option<Interval> {
        let from = (&self.from).max(&other.from);
        let to = (&self.to).min(&other.to);
        (from < to).then(|| Interval {
            from: from.clone(),
            to: to.clone(),
            is_point: self.is_point || other.is_point,
        })
    }

    /// The same values where keys descend.
    pub(super) fn inverted(&self) -> Interval {
        let invert = |key: &[u8]| -> Vec<u8> { key.iter().map(|byte| !byte).collect() };
        if self.is_point {
            return Interval::point(invert(&self.from));
        }
        let from = match self.to.as_slice() {
            [END] => Vec::new(),
            to => after(&invert(to)),
        };
        Interval::range(from, after(&invert(&self.from)))
    }
}

/// The end of all keys that begin so.
fn after(key: &[u8]) -> Vec<u8> {
    prefix_end(key).unwrap_or_else(|| vec![END])
}

/// Where the values of a field lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Constraint {
    /// In order and apart from each other.
    pub(crate) intervals: Vec<Interval>,
    /// Whether every document whose value lies there satisfies the predicate.
    pub(super) is_exact: bool,
}

impl Constraint {
    fn exact(intervals: Vec<Interval>) -> Constraint {
        Constraint {
            intervals,
            is_exact: true,
        }
    }

    fn inexact(mut self) -> Constraint {
        self.is_exact = false;
        self
    }

    fn and(&self, other: &Constraint) -> Constraint {
        let pairs = self
            .intervals
            .iter()
            .flat_map(|one| other.intervals.iter().filter_map(|two| one.intersect(two)));
        Constraint {
            intervals: union(pairs.collect()),
            is_exact: self.is_exact && other.is_exact,
        }
    }

    fn or(mut self, other: Constraint) -> Constraint {
        self.intervals.extend(other.intervals);
        Constraint {
            intervals: union(self.intervals),
            is_exact: self.is_exact && other.is_exact,
        }
    }

    pub(super) fn is_points(&self) -> bool {
        self.intervals.iter().all(|interval| interval.is_point)
    }
}

/// The same keys in order, with intervals that meet made one.
fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for next in intervals {
        match merged.last_mut() {
            Some(last) if next.from < last.to => {
                last.is_point &= next.is_point && last.from == next.from;
                if next.to > last.to {
                    last.to = next.to;
                }
            }
            _ => merged.push(next),
        }
    }
    merged
}

/// What of a document an index's field holds.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) field: &'a FieldRef,
    pub(crate) items: Option<&'a ListItems>,
    pub(crate) instant: bool,
}

/// What a filter says about a field; `None` where it says nothing that is known.
pub(crate) fn of_predicate(predicate: &Predicate, target: Target<'_>) -> Option<Constraint> {
    match predicate {
        Predicate::True | Predicate::Not(_) | Predicate::Related(_) => None,
        Predicate::And(all) => conjunction(target, all.iter().map(|it| of_predicate(it, target))),
        Predicate::Or(any) => disjunction(any.iter().map(|it| of_predicate(it, target))),
        Predicate::Field(field, test) if field == target.field => match target.items {
            None => of_test(test, target),
            Some(items) => of_list(test, items, target),
        },
        Predicate::Field(..) | Predicate::Item(_) => None,
    }
}

/// All hold. Of a list, each may hold of another item, so one of them is taken: the narrowest by its looks.
fn conjunction(
    target: Target<'_>,
    all: impl Iterator<Item = Option<Constraint>>,
) -> Option<Constraint> {
    let mut known = Vec::new();
    let mut is_exact = true;
    for constraint in all {
        match constraint {
            Some(constraint) => known.push(constraint),
            None => is_exact = false,
        }
    }
    let mut found = if target.items.is_some() {
        is_exact &= known.len() == 1;
        known
            .into_iter()
            .min_by_key(|it| (!it.is_points(), it.intervals.len()))?
    } else {
        known.into_iter().reduce(|one, two| one.and(&two))?
    };
    found.is_exact &= is_exact;
    Some(found)
}

/// One holds, so each has to say something.
fn disjunction(any: impl Iterator<Item = Option<Constraint>>) -> Option<Constraint> {
    let mut found = Constraint::exact(Vec::new());
    for constraint in any {
        found = found.or(constraint?);
    }
    Some(found)
}

/// A test of the items of a list.
fn of_list(test: &Test, items: &ListItems, target: Target<'_>) -> Option<Constraint> {
    match (test, items) {
        (Test::ItemSome(test), ListItems::Whole) => {
            let items = None;
            of_test(test, Target { items, ..target })
        }
        (Test::Some(predicate), ListItems::Field(path)) => {
            let inner = Target {
                field: &FieldRef::Path(path.clone()),
                items: None,
                instant: target.instant,
            };
            of_predicate(predicate, inner)
        }
        (Test::AllOf(tests), _) => {
            conjunction(target, tests.iter().map(|it| of_list(it, items, target)))
        }
        (Test::AnyOf(tests), _) => disjunction(tests.iter().map(|it| of_list(it, items, target))),
        _ => None,
    }
}

fn of_test(test: &Test, target: Target<'_>) -> Option<Constraint> {
    match test {
        Test::Eq(operand) => Some(equal(operand, target)),
        Test::In(operands) => {
            disjunction(operands.iter().map(|operand| Some(equal(operand, target))))
        }
        Test::Among(values) => {
            let points = values
                .values()
                .iter()
                .flat_map(|it| equal(it, target).intervals);
            let found = Constraint::exact(union(points.collect()));
            Some(if target.instant {
                found.inexact()
            } else {
                found
            })
        }
        Test::Compare(comparison, operand) => compare(*comparison, operand.as_ref(), target),
        Test::Instant(comparison, micros) => instant(*comparison, *micros, target),
        Test::IsNull(wanted) => Some(null(*wanted)),
        // Null is present, but its key is that of an absent field.
        Test::Exists(false) => Some(null(true).inexact()),
        Test::StartsWith(part) if !target.instant => Some(starts_with(part, target)),
        Test::AllOf(tests) => conjunction(target, tests.iter().map(|it| of_test(it, target))),
        Test::AnyOf(tests) => disjunction(tests.iter().map(|it| of_test(it, target))),
        _ => None,
    }
}

fn key_of(value: ValueRef<'_>, as_instant: bool) -> Vec<u8> {
    let mut key = Vec::new();
    encode_field(FieldValue::Stored(value), as_instant, false, &mut key);
    key
}

fn equal(operand: &Value, target: Target<'_>) -> Constraint {
    let found = Constraint::exact(vec![Interval::point(key_of(
        operand.as_ref(),
        target.instant,
    ))]);
    // Texts that differ may name one instant.
    if target.instant {
        found.inexact()
    } else {
        found
    }
}

fn null(wanted: bool) -> Constraint {
    let null = Interval::point(key_of(Value::null().as_ref(), false));
    Constraint::exact(vec![if wanted {
        null
    } else {
        Interval::range(null.to, vec![END])
    }])
}

fn starts_with(part: &str, target: Target<'_>) -> Constraint {
    // Only strings begin with something.
    if !matches!(target.field, FieldRef::Path(_) | FieldRef::Id) {
        return Constraint::exact(Vec::new());
    }
    let mut prefix = key_of(Value::string(part).as_ref(), false);
    prefix.truncate(prefix.len() - STRING_END_BYTES);
    Constraint::exact(vec![Interval::range(prefix.clone(), after(&prefix))])
}

/// How many bytes end the key of a string.
const STRING_END_BYTES: usize = 2;

/// Comparisons hold within a kind.
fn compare(
    comparison: Comparison,
    operand: ValueRef<'_>,
    target: Target<'_>,
) -> Option<Constraint> {
    let kind = match operand.kind() {
        Kind::Null => return None,
        // By text, while the keys are those of instants.
        Kind::String if target.instant => return None,
        Kind::Boolean => {
            let (no, yes) = (Value::boolean(false), Value::boolean(true));
            Interval::range(
                key_of(no.as_ref(), false),
                after(&key_of(yes.as_ref(), false)),
            )
        }
        // The first byte of a key is its kind.
        _ => {
            let first = &key_of(operand, false)[..1];
            Interval::range(first.to_vec(), after(first))
        }
    };
    let found = Constraint::exact(vec![side(comparison, key_of(operand, false), kind)?]);
    // Among the numbers there are instants.
    Some(if target.instant {
        found.inexact()
    } else {
        found
    })
}

fn instant(comparison: Comparison, micros: i64, target: Target<'_>) -> Option<Constraint> {
    let is_system = matches!(
        target.field,
        FieldRef::CreatedAt | FieldRef::UpdatedAt | FieldRef::DeletedAt
    );
    if !target.instant && !is_system {
        return None;
    }
    let key = key_of(Value::int(micros).as_ref(), false);
    let first = &key[..1];
    let numbers = Interval::range(first.to_vec(), after(first));
    let found = Constraint::exact(vec![side(comparison, key, numbers)?]);
    // Numbers have the same keys, but are no instants.
    Some(if is_system { found } else { found.inexact() })
}

/// The part of a kind's keys on one side of a key.
fn side(comparison: Comparison, key: Vec<u8>, kind: Interval) -> Option<Interval> {
    Some(match comparison {
        Comparison::Equal => Interval::point(key),
        Comparison::NotEqual => return None,
        Comparison::Less => Interval::range(kind.from, key),
        Comparison::LessOrEqual => Interval::range(kind.from, after(&key)),
        Comparison::Greater => Interval::range(after(&key), kind.to),
        Comparison::GreaterOrEqual => Interval::range(key, kind.to),
    })
}

#[cfg(test)]
mod tests;

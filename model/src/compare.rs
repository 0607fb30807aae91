//! The one order of all values: null < false < true < numbers < strings < lists < objects.
//!
//! Numbers compare exactly, whatever their notation; strings by their UTF-8 bytes; lists item by
//! item; objects as the lists of their members sorted by name, each a name followed by a value. The
//! keys of [`crate::key`] have the same order.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::decimal::Decimal;
use crate::parse::DEPTH_MAX;
use crate::value::{Kind, Value, ValueRef};

/// Integers of up to this many bytes fit into an `i64`.
const SHORT_INT: usize = 18;

/// The order of the kinds, false before true.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Null,
    False,
    True,
    Number,
    String,
    List,
    Object,
}

impl<'a> ValueRef<'a> {
    /// The total order of values. `Equal` means equal as values: `1` and `1.0` are, and so are
    /// objects whose members stand in a different order.
    pub fn compare(self, other: ValueRef<'_>) -> Ordering {
        compare_at(self, other, 0)
    }

    pub(crate) fn rank(self) -> Rank {
        match self.kind() {
            Kind::Null => Rank::Null,
            Kind::Boolean if self.json() == b"true" => Rank::True,
            Kind::Boolean => Rank::False,
            Kind::Int | Kind::Float => Rank::Number,
            Kind::String => Rank::String,
            Kind::List => Rank::List,
            Kind::Object => Rank::Object,
        }
    }

    /// The members sorted by name.
    pub(crate) fn sorted_members(self) -> Vec<(Cow<'a, str>, ValueRef<'a>)> {
        let mut members: Vec<_> = self.members().collect();
        members.sort_by(|(left, _), (right, _)| left.cmp(right));
        members
    }
}

/// Only corrupt bytes nest deeper than the bound, which is there for them.
fn compare_at(left: ValueRef<'_>, right: ValueRef<'_>, depth: usize) -> Ordering {
    let rank = left.rank();
    let order = rank.cmp(&right.rank());
    if order.is_ne() || depth > DEPTH_MAX {
        return order;
    }
    match rank {
        Rank::Null | Rank::False | Rank::True => Ordering::Equal,
        Rank::Number => compare_numbers(left.json(), right.json()),
        Rank::String => compare_strings(left, right),
        Rank::List => {
            let mut others = right.items();
            for item in left.items() {
                let Some(other) = others.next() else {
                    return Ordering::Greater;
                };
                let order = compare_at(item, other, depth + 1);
                if order.is_ne() {
                    return order;
                }
            }
            if others.next().is_some() {
                Ordering::Less
            } else {
                Ordering::Equal
            }
        }
        Rank::Object => {
            let (left, right) = (left.sorted_members(), right.sorted_members());
            let pairs = left.iter().zip(&right);
            pairs
                .map(|((name, value), (other_name, other))| {
                    name.cmp(other_name)
                        .then_with(|| compare_at(*value, *other, depth + 1))
                })
                .find(|order| order.is_ne())
                .unwrap_or_else(|| left.len().cmp(&right.len()))
        }
    }
}

fn compare_strings(left: ValueRef<'_>, right: ValueRef<'_>) -> Ordering {
    let is_plain = |body: &[u8]| memchr::memchr(b'\\', body).is_none();
    match (left.string_body(), right.string_body()) {
        (Some(left), Some(right)) if is_plain(left) && is_plain(right) => left.cmp(right),
        _ => left.as_str().cmp(&right.as_str()),
    }
}

fn compare_numbers(left: &[u8], right: &[u8]) -> Ordering {
    if let (Some(left), Some(right)) = (short_int(left), short_int(right)) {
        return left.cmp(&right);
    }
    // Rounding to the nearest double never turns the order around, it only makes numbers equal.
    if let (Some(left), Some(right)) = (double(left), double(right))
        && let Some(order) = left.partial_cmp(&right)
        && order.is_ne()
    {
        return order;
    }
    Decimal::new(left).compare(Decimal::new(right))
}

fn short_int(number: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match number {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if number.len() > SHORT_INT {
        return None;
    }
    let magnitude = digits.iter().try_fold(0_i64, |magnitude, digit| {
        digit
            .is_ascii_digit()
            .then(|| magnitude * 10 + i64::from(digit - b'0'))
    })?;
    Some(if is_negative { -magnitude } else { magnitude })
}

fn double(number: &[u8]) -> Option<f64> {
    std::str::from_utf8(number).ok()?.parse().ok()
}

impl PartialEq for ValueRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other).is_eq()
    }
}

impl Eq for ValueRef<'_> {}

impl PartialOrd for ValueRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ValueRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(*other)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().compare(other.as_ref())
    }
}

#[cfg(test)]
mod tests;

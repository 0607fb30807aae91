//! Filters: what a document must satisfy to be in a result.
//!
//! One predicate, three uses: it selects documents, it decides whether a commit touches what a transaction read, and
//! which live queries a commit may change. Comparisons hold only within the operand's kind (integers and floats are
//! one kind, number); an absent field counts as null.

mod like;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::sync::Arc;

use thalweg_model::{Kind, Value, ValueRef, parse_rfc3339};

use crate::field::{FieldRef, FieldValue, Image};
use crate::join::{Join, ValueSet};
use crate::record::Record;

pub use like::LikePattern;

/// A condition on a document.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Predicate {
    /// Every document.
    #[default]
    True,
    /// All of them hold; of none, true.
    And(Vec<Predicate>),
    /// At least one holds; of none, false.
    Or(Vec<Predicate>),
    /// It does not hold.
    Not(Box<Predicate>),
    /// A test of one field.
    Field(FieldRef, Test),
    /// Some document that it is related to satisfies a filter. A find looks for those first; until then nobody knows
    /// of which documents it holds.
    Related(Arc<Join>),
    /// A test of the item itself, where items of a list are meant.
    Item(Test),
}

/// A condition on the value of one field.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Equal by value; to null: null or absent.
    Eq(Value),
    /// Not equal; holds for an absent field, unless the operand is null.
    Ne(Value),
    /// Equal to one of them.
    In(Vec<Value>),
    /// Equal to one of them, of which there may be very many.
    Among(Arc<ValueSet>),
    /// Equal to none of them.
    NotIn(Vec<Value>),
    /// Of the operand's kind and in that relation to it.
    Compare(Comparison, Value),
    /// A date-time in that relation to an instant in microseconds since the Unix epoch.
    Instant(Comparison, i64),
    /// Null or absent, or (with `false`) neither.
    IsNull(bool),
    /// Present, null included, or (with `false`) absent.
    Exists(bool),
    /// A string that begins so.
    StartsWith(String),
    /// A string that ends so.
    EndsWith(String),
    /// A string in which that occurs.
    Contains(String),
    /// A string of that pattern.
    Like(LikePattern),
    /// A list of which some item, taken as an object, satisfies the predicate.
    Some(Box<Predicate>),
    /// A list of which every item satisfies the predicate.
    Every(Box<Predicate>),
    /// A list of which no item satisfies the predicate.
    None(Box<Predicate>),
    /// A list of which some item passes the test.
    ItemSome(Box<Test>),
    /// A list of which every item passes the test.
    ItemEvery(Box<Test>),
    /// A list of which no item passes the test.
    ItemNone(Box<Test>),
    /// An object (a keyed map) of which some member satisfies the tests of its key and of its value.
    EntrySome(EntryTest),
    /// An object of which every member satisfies them.
    EntryEvery(EntryTest),
    /// An object of which no member satisfies them.
    EntryNone(EntryTest),
    /// A list (or a keyed map) whose number of items passes the test.
    Length(Box<Test>),
    /// All of the tests pass.
    AllOf(Vec<Test>),
    /// Any of the tests passes.
    AnyOf(Vec<Test>),
    /// The test does not pass.
    Not(Box<Test>),
}

/// A condition on a member of a keyed map.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryTest {
    /// The test of its key, a string.
    pub key: Option<Box<Test>>,
    /// The test of its value.
    pub value: Option<Box<Test>>,
    /// The condition on its value as an object.
    pub object: Option<Box<Predicate>>,
}

/// A relation between a value and an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Equal,
    /// Another one.
    NotEqual,
    /// Less.
    Less,
    /// Less or the same.
    LessOrEqual,
    /// Greater.
    Greater,
    /// Greater or the same.
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Predicate {
    /// Whether a document satisfies it.
    pub fn matches(&self, record: &Record<'_>) -> bool {
        matches!(self, Predicate::True) || self.holds(Image::of(record))
    }

    fn holds(&self, image: Image<'_>) -> bool {
        match self {
            Predicate::True => true,
            Predicate::And(all) => all.iter().all(|predicate| predicate.holds(image)),
            Predicate::Or(any) => any.iter().any(|predicate| predicate.holds(image)),
            Predicate::Not(predicate) => !predicate.holds(image),
            Predicate::Field(field, test) => test.passes(image.field(field)),
            // Of any document it may, so nothing that depends on it is missed.
            Predicate::Related(_) => true,
            Predicate::Item(test) => test.passes(FieldValue::Stored(image.root())),
        }
    }

    /// A field and the value that it must equal in every document that satisfies the predicate.
    pub fn required_equality(&self) -> Option<(&FieldRef, &Value)> {
        match self {
            Predicate::Field(field, Test::Eq(value)) if !value.as_ref().is_null() => {
                Some((field, value))
            }
            Predicate::And(all) => all.iter().find_map(Predicate::required_equality),
            _ => None,
        }
    }
}

impl Test {
    pub(crate) fn passes(&self, value: FieldValue<'_>) -> bool {
        match self {
            Test::Eq(operand) => equals(value, operand),
            Test::Ne(operand) => !equals(value, operand),
            Test::In(operands) => operands.iter().any(|operand| equals(value, operand)),
            Test::Among(values) => values.contains(value),
            Test::NotIn(operands) => !operands.iter().any(|operand| equals(value, operand)),
            Test::Compare(comparison, operand) => {
                compare(value, operand).is_some_and(|ordering| comparison.holds(ordering))
            }
            Test::Instant(Comparison::NotEqual, operand) => instant(value) != Some(*operand),
            Test::Instant(comparison, operand) => {
                instant(value).is_some_and(|instant| comparison.holds(instant.cmp(operand)))
            }
            Test::IsNull(wanted) => is_null(value) == *wanted,
            Test::Exists(wanted) => !matches!(value, FieldValue::Absent) == *wanted,
            Test::StartsWith(part) => on_text(value, |text| text.starts_with(part.as_str())),
            Test::EndsWith(part) => on_text(value, |text| text.ends_with(part.as_str())),
            Test::Contains(part) => on_text(value, |text| text.contains(part.as_str())),
            Test::Like(pattern) => on_text(value, |text| pattern.matches(text)),
            Test::Some(predicate) => {
                list(value).is_some_and(|mut items| items.any(|item| on_item(predicate, item)))
            }
            Test::Every(predicate) => {
                list(value).is_some_and(|mut items| items.all(|item| on_item(predicate, item)))
            }
            Test::None(predicate) => {
                list(value).is_some_and(|mut items| !items.any(|item| on_item(predicate, item)))
            }
            Test::ItemSome(test) => list(value)
                .is_some_and(|mut items| items.any(|item| test.passes(FieldValue::Stored(item)))),
            Test::ItemEvery(test) => list(value)
                .is_some_and(|mut items| items.all(|item| test.passes(FieldValue::Stored(item)))),
            Test::ItemNone(test) => list(value)
                .is_some_and(|mut items| !items.any(|item| test.passes(FieldValue::Stored(item)))),
            Test::EntrySome(test) => entries(value).is_some_and(|object| {
                object
                    .members()
                    .any(|(key, value)| test.passes(&key, value))
            }),
            Test::EntryEvery(test) => entries(value).is_some_and(|object| {
                object
                    .members()
                    .all(|(key, value)| test.passes(&key, value))
            }),
            Test::EntryNone(test) => entries(value).is_some_and(|object| {
                !object
                    .members()
                    .any(|(key, value)| test.passes(&key, value))
            }),
            Test::Length(test) => match value {
                FieldValue::Stored(value) if matches!(value.kind(), Kind::List | Kind::Object) => {
                    test.passes(FieldValue::Integer(value.len() as u64))
                }
                _ => false,
            },
            Test::AllOf(tests) => tests.iter().all(|test| test.passes(value)),
            Test::AnyOf(tests) => tests.iter().any(|test| test.passes(value)),
            Test::Not(test) => !test.passes(value),
        }
    }
}

impl EntryTest {
    fn passes(&self, key: &str, value: ValueRef<'_>) -> bool {
        self.key
            .as_ref()
            .is_none_or(|test| test.passes(FieldValue::Text(key)))
            && self
                .value
                .as_ref()
                .is_none_or(|test| test.passes(FieldValue::Stored(value)))
            && self
                .object
                .as_ref()
                .is_none_or(|predicate| on_item(predicate, value))
    }
}

fn on_item(predicate: &Predicate, item: ValueRef<'_>) -> bool {
    predicate.holds(Image::Item(item))
}

fn list<'a>(value: FieldValue<'a>) -> Option<impl Iterator<Item = ValueRef<'a>>> {
    match value {
        FieldValue::Stored(value) if value.kind() == Kind::List => Some(value.items()),
        _ => None,
    }
}

fn entries<'a>(value: FieldValue<'a>) -> Option<ValueRef<'a>> {
    match value {
        FieldValue::Stored(value) if value.kind() == Kind::Object => Some(value),
        _ => None,
    }
}

fn is_null(value: FieldValue<'_>) -> bool {
    match value {
        FieldValue::Absent => true,
        FieldValue::Stored(value) => value.is_null(),
        _ => false,
    }
}

fn on_text(value: FieldValue<'_>, test: impl Fn(&str) -> bool) -> bool {
    match value {
        FieldValue::Text(text) => test(text),
        FieldValue::Stored(value) => value.as_str().is_some_and(|text| test(&text)),
        _ => false,
    }
}

/// The instant that a system field holds, or that a stored RFC 3339 string names.
pub(crate) fn instant(value: FieldValue<'_>) -> Option<i64> {
    match value {
        FieldValue::Instant(micros) => i64::try_from(micros).ok(),
        FieldValue::Stored(value) => parse_rfc3339(&value.as_str()?),
        _ => None,
    }
}

fn equals(value: FieldValue<'_>, operand: &Value) -> bool {
    if operand.as_ref().is_null() {
        return is_null(value);
    }
    compare(value, operand).is_some_and(Ordering::is_eq)
}

/// How the value compares with an operand of its kind; `None` where the kinds differ.
fn compare(value: FieldValue<'_>, operand: &Value) -> Option<Ordering> {
    let operand = operand.as_ref();
    match value {
        FieldValue::Absent => None,
        FieldValue::Text(text) => operand.as_str().map(|operand| text.cmp(&operand)),
        FieldValue::Integer(_) | FieldValue::Instant(_) => {
            let value = value.to_value();
            is_number(operand).then(|| value.as_ref().compare(operand))
        }
        FieldValue::Stored(value) => {
            let same_kind =
                value.kind() == operand.kind() || (is_number(value) && is_number(operand));
            same_kind.then(|| value.compare(operand))
        }
    }
}

fn is_number(value: ValueRef<'_>) -> bool {
    matches!(value.kind(), Kind::Int | Kind::Float)
}

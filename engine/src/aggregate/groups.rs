//! Groups: documents told apart by their keys, then filtered, put in order and cut to a page.

use std::collections::HashMap;
use std::sync::LazyLock;

use thalweg_model::{Value, ValueRef, calendar};

use super::accumulator::{Accumulator, ENTRY_BYTES, add_all, value_of};
use super::{
    Full, Group, GroupKey, GroupPart, Grouping, Having, KeyForm, Memory, Outcome, accumulators,
    span_value,
};
use crate::field::{FieldValue, Image};
use crate::order::encode_field;
use crate::predicate::instant;

/// Before a key that is the start of a span, and alone where there is none: null is least.
const NO_SPAN: u8 = 0;
const SPAN: u8 = 1;

pub(super) struct Groups<'a> {
    grouping: &'a Grouping,
    /// By their keys, encoded one after the other so that their order is that of the bytes.
    groups: HashMap<Box<[u8]>, Growing>,
    /// The key of the document that is being added.
    encoded: Vec<u8>,
}

struct Growing {
    key: Vec<Value>,
    accumulators: Vec<Accumulator>,
}

/// The key of one document, in one field.
enum Key<'v> {
    Value(FieldValue<'v>),
    /// The start of a span, if there is one.
    Span(KeyForm, Option<i64>),
}

impl<'a> Groups<'a> {
    pub(super) fn new(grouping: &'a Grouping) -> Self {
        let mut groups = HashMap::new();
        if grouping.keys.is_empty() {
            let all = Growing {
                key: Vec::new(),
                accumulators: accumulators(&grouping.values),
            };
            groups.insert(Box::default(), all);
        }
        Groups {
            grouping,
            groups,
            encoded: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn add(
        &mut self,
        (id, image): (&str, Image<'_>),
        memory: &mut Memory,
    ) -> Result<(), Full> {
        let Grouping { keys, values, .. } = self.grouping;
        self.encoded.clear();
        for key in &**keys {
            Key::of(key, image).encode(key.form, &mut self.encoded);
        }
        let group = match self.groups.get_mut(self.encoded.as_slice()) {
            Some(group) => {
                for (key, shown) in keys.iter().zip(&mut group.key) {
                    if let Key::Value(FieldValue::Stored(value)) = Key::of(key, image)
                        && is_plainer(value, shown)
                    {
                        *shown = value.to_value();
                    }
                }
                group
            }
            None => {
                let key: Vec<Value> = keys
                    .iter()
                    .map(|key| Key::of(key, image).into_value())
                    .collect();
                let shown: usize = key.iter().map(|value| value.as_stored().len()).sum();
                let accumulated = values.len() * size_of::<Accumulator>();
                memory.take(self.encoded.len() + shown + accumulated + 2 * ENTRY_BYTES)?;
                let group = Growing {
                    key,
                    accumulators: accumulators(values),
                };
                self.groups
                    .entry(self.encoded.as_slice().into())
                    .or_insert(group)
            }
        };
        add_all(&mut group.accumulators, values, (id, image), memory)
    }

    /// How many groups satisfy the condition, and the page of them.
    pub(super) fn finish(self) -> (u64, Vec<Group>) {
        let Grouping {
            having,
            order,
            offset,
            limit,
            ..
        } = self.grouping;
        let mut groups: Vec<(Vec<u8>, Group)> = Vec::new();
        for (encoded, growing) in self.groups {
            let values: Vec<Outcome> = growing
                .accumulators
                .iter()
                .map(Accumulator::outcome)
                .collect();
            if !having.holds(&values) {
                continue;
            }
            let group = Group {
                key: growing.key,
                values,
            };
            let mut position = Vec::new();
            for key in &**order {
                let value = FieldValue::Stored(group.part(key.by));
                encode_field(value, key.instant, key.descending, &mut position);
            }
            position.extend_from_slice(&encoded);
            groups.push((position, group));
        }
        groups.sort_unstable_by(|(one, _), (two, _)| one.cmp(two));
        let count = groups.len() as u64;
        let page = groups.into_iter().skip(*offset).take(*limit);
        (count, page.map(|(_, group)| group).collect())
    }
}

impl Group {
    /// The value of a part; null where it is out of range.
    fn part(&self, part: GroupPart) -> ValueRef<'_> {
        match part {
            GroupPart::Key(position) => self.key[position].as_ref(),
            GroupPart::Value(position) => self.values[position].as_ref(),
        }
    }
}

impl Outcome {
    /// The value; null where it is out of range.
    pub fn as_ref(&self) -> ValueRef<'_> {
        static NULL: LazyLock<Value> = LazyLock::new(Value::null);
        match self {
            Outcome::Value(value) => value.as_ref(),
            Outcome::OutOfRange => NULL.as_ref(),
        }
    }
}

impl Having {
    fn holds(&self, values: &[Outcome]) -> bool {
        match self {
            Having::All(all) => all.iter().all(|one| one.holds(values)),
            Having::Any(any) => any.iter().any(|one| one.holds(values)),
            Having::Not(one) => !one.holds(values),
            Having::Test(position, test) => values
                .get(*position)
                .is_some_and(|value| test.passes(FieldValue::Stored(value.as_ref()))),
        }
    }
}

impl<'v> Key<'v> {
    fn of(key: &GroupKey, image: Image<'v>) -> Key<'v> {
        let field = image.field(&key.field);
        match key.form {
            KeyForm::Value | KeyForm::Instant => Key::Value(field),
            KeyForm::Span {
                unit,
                offset_minutes,
            } => {
                let local = instant(field).map(|it| it + offset_minutes * MICROS_PER_MINUTE);
                Key::Span(key.form, local.map(|it| unit.start(it)))
            }
            KeyForm::DateSpan(unit) => {
                let day = match field {
                    FieldValue::Stored(value) => {
                        value.as_str().and_then(|text| calendar::day_of(&text))
                    }
                    _ => None,
                };
                Key::Span(key.form, day.map(|day| unit.start_of_day(day)))
            }
        }
    }

    fn encode(&self, form: KeyForm, out: &mut Vec<u8>) {
        match self {
            Key::Value(field) => encode_field(*field, form == KeyForm::Instant, false, out),
            Key::Span(_, None) => out.push(NO_SPAN),
            Key::Span(_, Some(start)) => {
                out.push(SPAN);
                // With the sign inverted, integers sort as their bytes do.
                out.extend_from_slice(&(start ^ i64::MIN).to_be_bytes());
            }
        }
    }

    fn into_value(self) -> Value {
        match self {
            Key::Value(FieldValue::Absent) | Key::Span(_, None) => Value::null(),
            Key::Value(field) => value_of(field),
            Key::Span(form, Some(start)) => span_value(form, start),
        }
    }
}

const MICROS_PER_MINUTE: i64 = 60_000_000;

/// Whether a value is the better text of two that are equal: the shorter one, then the lesser.
fn is_plainer(value: ValueRef<'_>, shown: &Value) -> bool {
    let (text, shown) = (value.json(), shown.json());
    (text.len(), text) < (shown.len(), shown)
}

//! What an aggregation remembers of the values that it has seen.

use std::cmp::Ordering;
use std::collections::HashSet;

use thalweg_model::{FloatSum, IntegerSum, Value, write_rfc3339};

use super::{Aggregation, Full, Function, Memory, Outcome, ValueKind, integer};
use crate::field::{FieldValue, Image};
use crate::order::encode_field;
use crate::predicate::instant;

/// About what an entry takes beside its bytes.
pub(super) const ENTRY_BYTES: usize = 48;

/// What is remembered.
#[derive(Debug)]
pub(super) enum Accumulator {
    Count(u64),
    /// The keys of the values.
    Distinct(HashSet<Box<[u8]>>),
    Integers {
        sum: IntegerSum,
        count: u64,
        is_average: bool,
    },
    Floats {
        sum: FloatSum,
        count: u64,
        is_average: bool,
    },
    Extreme {
        is_max: bool,
        best: Option<Best>,
    },
}

/// What follows from a change is not known.
pub(super) struct Unknown;

/// The least or greatest value so far.
#[derive(Debug)]
pub(super) struct Best {
    value: Value,
    /// Of a date-time.
    instant: Option<i64>,
    /// The document that has it.
    id: Box<str>,
}

/// Adds a document to each of the accumulators of these aggregations.
pub(super) fn add_all(
    accumulators: &mut [Accumulator],
    aggregations: &[Aggregation],
    (id, image): (&str, Image<'_>),
    memory: &mut Memory,
) -> Result<(), Full> {
    for (accumulator, aggregation) in accumulators.iter_mut().zip(aggregations) {
        match aggregation {
            Aggregation::Count => accumulator.count(),
            Aggregation::Of { field, kind, .. } => {
                accumulator.add(image.field(field), *kind, id, memory)?;
            }
        }
    }
    Ok(())
}

impl Accumulator {
    pub(super) fn new(aggregation: &Aggregation) -> Accumulator {
        let Aggregation::Of { function, kind, .. } = aggregation else {
            return Accumulator::Count(0);
        };
        let is_average = *function == Function::Average;
        match function {
            Function::CountDistinct => Accumulator::Distinct(HashSet::new()),
            Function::Sum | Function::Average if *kind == ValueKind::Float => Accumulator::Floats {
                sum: FloatSum::default(),
                count: 0,
                is_average,
            },
            Function::Sum | Function::Average => Accumulator::Integers {
                sum: IntegerSum::default(),
                count: 0,
                is_average,
            },
            Function::Min | Function::Max => Accumulator::Extreme {
                is_max: *function == Function::Max,
                best: None,
            },
        }
    }

    fn count(&mut self) {
        if let Accumulator::Count(count) = self {
            *count += 1;
        }
    }

    /// Follows a change of a document that it has seen: what its field held before, where it counted, and what it
    /// holds, where it counts. [`Unknown`] where only another pass over all documents can tell what follows.
    pub(super) fn follow(
        &mut self,
        before: Option<FieldValue<'_>>,
        after: Option<FieldValue<'_>>,
        kind: ValueKind,
        id: &str,
    ) -> Result<(), Unknown> {
        // What is given back was taken of another.
        let mut ample = Memory {
            left: usize::MAX / 2,
        };
        if let Some(before) = before.filter(|before| fits(*before, kind)) {
            match self {
                Accumulator::Count(count) => *count -= 1,
                Accumulator::Distinct(_) => return Err(Unknown),
                Accumulator::Integers { sum, count, .. } => {
                    if let FieldValue::Stored(value) = before {
                        sum.subtract(value);
                        *count -= 1;
                    }
                }
                Accumulator::Floats { sum, count, .. } => {
                    if let FieldValue::Stored(value) = before
                        && let Some(number) = value.as_f64()
                    {
                        sum.add(-number);
                        *count -= 1;
                    }
                }
                Accumulator::Extreme { is_max, best } => {
                    if let Some(seen) = best.as_ref().filter(|best| *best.id == *id) {
                        let after = after.filter(|after| fits(*after, kind)).ok_or(Unknown)?;
                        if seen
                            .compare(after, instant_of(after, kind), *is_max)
                            .is_gt()
                        {
                            return Err(Unknown);
                        }
                        *best = None;
                    }
                }
            }
        }
        match after {
            // There is room for anything.
            Some(after) => self
                .add(after, kind, id, &mut ample)
                .map_err(|Full| Unknown),
            None => Ok(()),
        }
    }

    /// Follows that one document less, or more, counts.
    pub(super) fn recount(&mut self, was_there: bool, is_there: bool) {
        if let Accumulator::Count(count) = self {
            *count = *count + u64::from(is_there) - u64::from(was_there);
        }
    }

    /// Whether it is a sum of doubles that has come to zero: then it may depend on what was taken away whether that is
    /// the negative one.
    pub(super) fn is_doubtful(&self) -> bool {
        matches!(self, Accumulator::Floats { sum, .. } if sum.total() == Some(0.0))
    }

    /// Adds the value that a document has, unless it is null or does not fit.
    pub(super) fn add(
        &mut self,
        field: FieldValue<'_>,
        kind: ValueKind,
        id: &str,
        memory: &mut Memory,
    ) -> Result<(), Full> {
        if !fits(field, kind) {
            return Ok(());
        }
        match self {
            Accumulator::Count(count) => *count += 1,
            Accumulator::Distinct(seen) => {
                let mut key = Vec::new();
                encode_field(field, kind == ValueKind::DateTime, false, &mut key);
                if !seen.contains(key.as_slice()) {
                    memory.take(key.len() + ENTRY_BYTES)?;
                    seen.insert(key.into());
                }
            }
            Accumulator::Integers { sum, count, .. } => {
                if let FieldValue::Stored(value) = field {
                    sum.add(value);
                    *count += 1;
                }
            }
            Accumulator::Floats { sum, count, .. } => {
                if let FieldValue::Stored(value) = field
                    && let Some(number) = value.as_f64()
                {
                    sum.add(number);
                    *count += 1;
                }
            }
            Accumulator::Extreme { is_max, best } => {
                let instant = instant_of(field, kind);
                if best
                    .as_ref()
                    .is_none_or(|best| best.yields_to(field, instant, id, *is_max))
                {
                    let next = Best {
                        value: value_of(field),
                        instant,
                        id: id.into(),
                    };
                    memory.take(next.bytes())?;
                    if let Some(before) = best.replace(next) {
                        memory.give_back(before.bytes());
                    }
                }
            }
        }
        Ok(())
    }

    /// What it has come to.
    pub(super) fn outcome(&self) -> Outcome {
        let float = |number: Option<f64>| match number {
            // The shortest text that reads back as the same double.
            Some(number) => parsed(&format!("{number:?}")),
            None => Outcome::OutOfRange,
        };
        match self {
            Accumulator::Count(count) => Outcome::Value(integer(*count)),
            Accumulator::Distinct(seen) => Outcome::Value(integer(seen.len() as u64)),
            Accumulator::Integers { count: 0, .. }
            | Accumulator::Floats { count: 0, .. }
            | Accumulator::Extreme { best: None, .. } => Outcome::Value(Value::null()),
            Accumulator::Integers {
                sum,
                count,
                is_average: true,
            } => float(sum.to_f64().map(|sum| sum / *count as f64)),
            Accumulator::Integers { sum, .. } => parsed(&sum.to_json()),
            Accumulator::Floats {
                sum,
                count,
                is_average,
            } => float(sum.total().map(|sum| match is_average {
                true => sum / *count as f64,
                false => sum,
            })),
            Accumulator::Extreme {
                best: Some(best), ..
            } => Outcome::Value(best.value.clone()),
        }
    }
}

fn fits(field: FieldValue<'_>, kind: ValueKind) -> bool {
    match field {
        FieldValue::Absent => false,
        FieldValue::Stored(value) => kind.admits(value),
        // The system's own values are what its fields say.
        _ => true,
    }
}

fn instant_of(field: FieldValue<'_>, kind: ValueKind) -> Option<i64> {
    (kind == ValueKind::DateTime)
        .then(|| instant(field))
        .flatten()
}

/// A number as a value, unless it has more digits than a stored one may.
fn parsed(number: &str) -> Outcome {
    Value::parse(number.as_bytes()).map_or(Outcome::OutOfRange, Outcome::Value)
}

impl Best {
    /// Whether another value takes its place. Of equal ones the lowest id's is kept.
    fn yields_to(
        &self,
        field: FieldValue<'_>,
        instant: Option<i64>,
        id: &str,
        is_max: bool,
    ) -> bool {
        match self.compare(field, instant, is_max) {
            Ordering::Less => true,
            Ordering::Equal => *id < *self.id,
            Ordering::Greater => false,
        }
    }

    /// How another value compares: less is better.
    fn compare(&self, field: FieldValue<'_>, instant: Option<i64>, is_max: bool) -> Ordering {
        let order = match (instant, self.instant) {
            (Some(next), Some(best)) => next.cmp(&best),
            _ => match field {
                FieldValue::Stored(value) => value.compare(self.value.as_ref()),
                other => other.to_value().as_ref().compare(self.value.as_ref()),
            },
        };
        if is_max { order.reverse() } else { order }
    }

    fn bytes(&self) -> usize {
        self.value.as_stored().len() + self.id.len() + ENTRY_BYTES
    }
}

/// A value as it is shown: an instant as RFC 3339.
pub(super) fn value_of(field: FieldValue<'_>) -> Value {
    match field {
        FieldValue::Instant(micros) => {
            let mut text = Vec::new();
            write_rfc3339(i64::try_from(micros).unwrap_or(i64::MAX), &mut text);
            Value::string(&String::from_utf8_lossy(&text))
        }
        other => other.to_value(),
    }
}

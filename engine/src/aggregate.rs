//! Aggregates: the count, sums, averages, extremes of the documents that satisfy a filter, of all together and by group.
//!
//! One pass over the documents feeds accumulators (`accumulator`), those of the group found by its key (`groups`); only
//! what is asked for is kept. A count alone, and extremes where an index has them at its end, need no pass. Results do
//! not depend on the order in which documents come: sums are exact or rounded once, and of equal extremes that of the
//! lowest id is given.
//!
//! A value counts where it is not null and fits the kind that its field has; as in SQL, an aggregate of no values is
//! null, their number is zero, and null is a group of its own.

mod accumulator;
mod groups;
pub(crate) mod kept;

use std::ops::ControlFlow;
use std::sync::Arc;

use thalweg_model::{CollectionId, Kind, TimeUnit, Value, ValueRef, calendar, parse_rfc3339};

use self::accumulator::Accumulator;
use self::groups::Groups;
use crate::dependency::DependencySet;
use crate::error::EngineError;
use crate::field::{FieldMask, FieldRef, Image};
use crate::find::{Deleted, Find, Plan, View, whole};
use crate::join;
use crate::order::OrderKey;
use crate::predicate::{Predicate, Test};
use crate::record::Record;

/// What to make of the documents of a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The collection.
    pub collection: CollectionId,
    /// What the documents satisfy.
    pub filter: Arc<Predicate>,
    /// Whether softly deleted ones count.
    pub deleted: Deleted,
    /// Of all of them.
    pub totals: Arc<[Aggregation]>,
    /// Of groups of them.
    pub grouping: Option<Grouping>,
    /// How many groups there may be.
    pub groups_max: usize,
    /// About how much memory keys, distinct values and extremes may take.
    pub bytes_max: usize,
}

/// How documents are grouped, and which groups are given.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouping {
    /// Documents that agree in all of them are one group. Without any there is one group, though it be empty.
    pub keys: Arc<[GroupKey]>,
    /// Of each group.
    pub values: Arc<[Aggregation]>,
    /// What holds for the values of a group.
    pub having: Having,
    /// In which order they come; ties are in the order of the keys.
    pub order: Arc<[GroupOrder]>,
    /// How many to pass over.
    pub offset: usize,
    /// How many to give at most.
    pub limit: usize,
}

/// What is made of the values of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Aggregation {
    /// How many documents there are.
    Count,
    /// Something of the values that a field has.
    Of {
        /// What.
        function: Function,
        /// The field.
        field: FieldRef,
        /// Which of its values count.
        kind: ValueKind,
    },
}

/// What can be made of the values of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// How many different ones there are.
    CountDistinct,
    /// Their sum: of integers exact, else the nearest double.
    Sum,
    /// Their average, a double.
    Average,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

/// Which values count, and how they compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Integers of 32 bits.
    Int,
    /// Integers.
    BigInt,
    /// Numbers.
    Float,
    /// Strings.
    String,
    /// RFC 3339 date-times, which compare as instants; the times of system fields.
    DateTime,
    /// Calendar dates.
    Date,
    /// Booleans.
    Boolean,
    /// Lists.
    List,
    /// Objects.
    Object,
    /// Anything but null.
    Any,
}

impl ValueKind {
    fn admits(self, value: ValueRef<'_>) -> bool {
        let kind = value.kind();
        let is_text = |test: fn(&str) -> bool| value.as_str().is_some_and(|text| test(&text));
        match self {
            ValueKind::Int => value.as_i64().is_some_and(|it| i32::try_from(it).is_ok()),
            ValueKind::BigInt => kind == Kind::Int,
            ValueKind::Float => matches!(kind, Kind::Int | Kind::Float),
            ValueKind::String => kind == Kind::String,
            ValueKind::DateTime => is_text(|text| parse_rfc3339(text).is_some()),
            ValueKind::Date => is_text(thalweg_model::is_date),
            ValueKind::Boolean => kind == Kind::Boolean,
            ValueKind::List => kind == Kind::List,
            ValueKind::Object => kind == Kind::Object,
            ValueKind::Any => kind != Kind::Null,
        }
    }
}

/// What documents of a group agree in.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupKey {
    /// The field.
    pub field: FieldRef,
    /// What of its value.
    pub form: KeyForm,
}

/// What of a value is the key of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// The value itself; absent is null.
    Value,
    /// The instant that it names, if it does.
    Instant,
    /// The start of the span in which the instant lies that it names; else null.
    Span {
        /// The span.
        unit: TimeUnit,
        /// On a clock that many minutes east of UTC.
        offset_minutes: i64,
    },
    /// The first day of the span in which the date lies that it is; else null.
    DateSpan(TimeUnit),
}

/// A condition on the values of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Having {
    /// All of them hold; of none, true.
    All(Vec<Having>),
    /// At least one holds; of none, false.
    Any(Vec<Having>),
    /// It does not hold.
    Not(Box<Having>),
    /// A test of the value of that position in [`Grouping::values`].
    Test(usize, Test),
}

/// A key of the order of groups.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupOrder {
    /// What to order by.
    pub by: GroupPart,
    /// Greatest first.
    pub descending: bool,
    /// Take RFC 3339 strings as the instants they name.
    pub instant: bool,
}

/// A part of a group, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupPart {
    /// In [`Grouping::keys`].
    Key(usize),
    /// In [`Grouping::values`].
    Value(usize),
}

/// What an aggregation has come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A value; null of no values.
    Value(Value),
    /// A number that is beyond every double, so that JSON cannot hold it.
    OutOfRange,
}

/// A group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What its documents agree in: of equal values the one with the shortest, then least text.
    pub key: Vec<Value>,
    /// As in [`Grouping::values`].
    pub values: Vec<Outcome>,
}

/// What the documents have come to.
#[derive(Clone, Debug)]
pub struct Aggregated {
    /// As in [`Aggregate::totals`].
    pub totals: Vec<Outcome>,
    /// The groups that were asked for, in order.
    pub groups: Vec<Group>,
    /// How many groups there are that satisfy the condition.
    pub group_count: u64,
    /// All documents that satisfy the filter, with the fields that were looked at.
    pub dependencies: DependencySet,
    /// How many documents were read.
    pub rows_read: u64,
    /// How they were found.
    pub plan: Arc<Plan>,
    /// Whether that was by looking at every document, to find those that satisfy the filter.
    pub scanned: bool,
}

impl Aggregate {
    /// The documents, as a find has them.
    pub fn find(&self) -> Find {
        Find {
            collection: self.collection,
            filter: Arc::clone(&self.filter),
            deleted: self.deleted,
            order: Arc::from([]),
            after: None,
            before: None,
            offset: 0,
            limit: usize::MAX,
            from_end: false,
            count_total: false,
            read: self.mask(),
        }
    }

    /// Whether it is made of counts and extremes of all documents alone, which may be known without a look at each.
    pub fn may_need_no_pass(&self) -> bool {
        let has_end = |it: &Aggregation| match it {
            Aggregation::Count => true,
            Aggregation::Of { function, .. } => matches!(function, Function::Min | Function::Max),
        };
        self.grouping.is_none() && !self.totals.is_empty() && self.totals.iter().all(has_end)
    }

    /// The fields that are looked at.
    fn mask(&self) -> FieldMask {
        let mut mask = FieldMask::none();
        let grouped = self.grouping.iter();
        let values = grouped.clone().flat_map(|grouping| grouping.values.iter());
        for aggregation in self.totals.iter().chain(values) {
            if let Aggregation::Of { field, .. } = aggregation {
                mask.add(field.clone());
            }
        }
        for key in grouped.flat_map(|grouping| grouping.keys.iter()) {
            mask.add(key.field.clone());
        }
        mask
    }
}

/// Makes of what is read what is asked for.
pub(crate) fn aggregate(view: View<'_>, aggregate: &Aggregate) -> Result<Aggregated, EngineError> {
    let mut find = aggregate.find();
    let mut related = None;
    if let Some((resolved, done)) = join::resolved(view, &find)? {
        find = resolved;
        related = Some(done);
    }
    let (mut made, _) = of_documents(view, aggregate, &find)?;
    if let Some(done) = related {
        made.rows_read += done.rows_read;
        made.dependencies.merge(done.dependencies);
    }
    if view.at.is_some() {
        // No commit changes the past.
        made.dependencies = DependencySet::none();
    }
    Ok(made)
}

/// Of the documents that a find without relations in it finds; with what the totals have been made of.
fn of_documents(
    view: View<'_>,
    aggregate: &Aggregate,
    find: &Find,
) -> Result<(Aggregated, Vec<Accumulator>), EngineError> {
    if aggregate.may_need_no_pass()
        && let Some(done) = without_a_pass(view, aggregate, find)?
    {
        return Ok(done);
    }
    let mut tally = Tally::new(aggregate);
    let read = whole::visit(view, find, &mut |record| tally.add(&record))?;
    if let Some(error) = tally.failure {
        return Err(error);
    }
    let (group_count, groups) = match tally.groups {
        Some(groups) => groups.finish(),
        None => (0, Vec::new()),
    };
    let made = Aggregated {
        totals: outcomes(&tally.totals),
        groups,
        group_count,
        dependencies: find.dependencies(),
        rows_read: read.rows_read,
        plan: read.plan,
        scanned: read.scanned,
    };
    Ok((made, tally.totals))
}

fn outcomes(totals: &[Accumulator]) -> Vec<Outcome> {
    totals.iter().map(Accumulator::outcome).collect()
}

/// How much memory may still be taken.
struct Memory {
    left: usize,
}

impl Memory {
    fn take(&mut self, bytes: usize) -> Result<(), Full> {
        self.left = self.left.checked_sub(bytes).ok_or(Full)?;
        Ok(())
    }

    fn give_back(&mut self, bytes: usize) {
        self.left += bytes;
    }
}

/// There are more groups, or more bytes, than may be.
struct Full;

struct Tally<'a> {
    aggregate: &'a Aggregate,
    totals: Vec<Accumulator>,
    groups: Option<Groups<'a>>,
    memory: Memory,
    failure: Option<EngineError>,
}

impl<'a> Tally<'a> {
    fn new(aggregate: &'a Aggregate) -> Self {
        Tally {
            aggregate,
            totals: accumulators(&aggregate.totals),
            groups: aggregate.grouping.as_ref().map(Groups::new),
            memory: Memory {
                left: aggregate.bytes_max,
            },
            failure: None,
        }
    }

    fn add(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        let image = Image::of(record);
        let added = accumulator::add_all(
            &mut self.totals,
            &self.aggregate.totals,
            (record.id(), image),
            &mut self.memory,
        );
        let added = added.and_then(|()| match &mut self.groups {
            Some(groups) => groups.add((record.id(), image), &mut self.memory),
            None => Ok(()),
        });
        let groups = self.groups.as_ref().map_or(0, Groups::len);
        let Aggregate {
            groups_max,
            bytes_max,
            ..
        } = *self.aggregate;
        self.failure = match added {
            _ if groups > groups_max => Some(EngineError::TooManyGroups { groups_max }),
            Err(Full) => Some(EngineError::AggregateTooLarge { bytes_max }),
            Ok(()) => return ControlFlow::Continue(()),
        };
        ControlFlow::Break(())
    }
}

fn accumulators(aggregations: &[Aggregation]) -> Vec<Accumulator> {
    aggregations.iter().map(Accumulator::new).collect()
}

/// Counts by what is counted already, extremes by the ends of indexes; `None` where that is not all.
fn without_a_pass(
    view: View<'_>,
    aggregate: &Aggregate,
    find: &Find,
) -> Result<Option<(Aggregated, Vec<Accumulator>)>, EngineError> {
    let mut totals = Vec::with_capacity(aggregate.totals.len());
    let mut rows_read = 0;
    let mut last = None;
    // Extremes first: where one has no index, the pass counts too.
    let mut count_at = Vec::new();
    for aggregation in &*aggregate.totals {
        let Aggregation::Of {
            function,
            field,
            kind,
        } = aggregation
        else {
            count_at.push(totals.len());
            totals.push(Accumulator::new(aggregation));
            continue;
        };
        let Some((first, read)) = whole::first_by_index(
            view,
            &end_of(find, *function == Function::Max, field, *kind),
        )?
        else {
            return Ok(None);
        };
        let mut extreme = Accumulator::new(aggregation);
        if let Some(record) = first {
            let image = Image::of(&record);
            let mut memory = Memory { left: usize::MAX };
            // A single value always has room. One that does not fit says nothing about those behind it.
            let _ = extreme.add(image.field(field), *kind, record.id(), &mut memory);
            if extreme.outcome() == Outcome::Value(Value::null()) {
                return Ok(None);
            }
        }
        totals.push(extreme);
        rows_read += read.rows_read;
        last = Some(read);
    }
    if !count_at.is_empty() {
        let counting = Find {
            limit: 0,
            count_total: true,
            ..find.clone()
        };
        let (counted, read) = whole::count(view, &counting)?;
        for position in count_at {
            totals[position] = Accumulator::Count(counted);
        }
        rows_read += read.rows_read;
        last = Some(read);
    }
    Ok(last.map(|read| {
        let made = Aggregated {
            totals: outcomes(&totals),
            groups: Vec::new(),
            group_count: 0,
            dependencies: find.dependencies(),
            rows_read,
            plan: read.plan,
            scanned: read.scanned,
        };
        (made, totals)
    }))
}

/// The document with the least or the greatest value.
fn end_of(find: &Find, is_max: bool, field: &FieldRef, kind: ValueKind) -> Find {
    let is_there = Predicate::Field(field.clone(), Test::IsNull(false));
    let filter = match &*find.filter {
        Predicate::True => is_there,
        filter => Predicate::And(vec![filter.clone(), is_there]),
    };
    Find {
        filter: Arc::new(filter),
        order: Arc::from([OrderKey {
            field: field.clone(),
            descending: is_max,
            instant: kind == ValueKind::DateTime && matches!(field, FieldRef::Path(_)),
        }]),
        limit: 1,
        ..find.clone()
    }
}

fn integer(count: u64) -> Value {
    Value::int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The start of a span as a value.
fn span_value(form: KeyForm, start: i64) -> Value {
    let mut text = Vec::new();
    match form {
        KeyForm::Span { offset_minutes, .. } => {
            calendar::write_local(start, offset_minutes, &mut text);
        }
        _ => calendar::write_date(start, &mut text),
    }
    Value::string(&String::from_utf8_lossy(&text))
}

//! Deciding how to find: by looking at every document, at a range of ids, or at the rows of an index. Pure but for
//! counting a few rows where that decides.
//!
//! What an access costs is estimated as the number of documents that it reads, at worst; one that is read through an
//! index counts three times, since it is fetched by itself. A page in the order of an index needs no more documents
//! than it has, unless a filter throws some away.

use std::fmt;
use std::sync::Arc;

use thalweg_model::{prefix_end, value_key_len, value_key_len_descending};

use super::constraint::{self, Constraint, Interval, Target};
use super::{Deleted, Find};
use crate::field::FieldRef;
use crate::index::cursor::RowRange;
use crate::index::rows::{VALUES_BYTES_MAX, VALUES_PREFIX_BYTES, join, write_id};
use crate::index::{Index, IndexField};
use crate::order::{OrderKey, Position};
use crate::predicate::Predicate;

/// How a find reads its documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(super) access: Access,
    /// Whether documents come in the order of the find.
    pub(super) is_ordered: bool,
    /// Whether every row that is read is one document that satisfies the filter.
    pub(super) is_covered: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Access {
    /// Every document, in order of the ids.
    Scan,
    /// Documents in ranges of ids.
    Ids(Vec<RowRange>),
    /// Documents of rows of an index.
    Index(IndexAccess),
}

/// Which rows of an index are read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct IndexAccess {
    pub(super) index: Arc<Index>,
    /// In order and apart from each other.
    pub(super) ranges: Vec<RowRange>,
    pub(super) order: Option<OrderUse>,
    /// How many leading fields are tested for equality.
    equalities: usize,
    is_covered: bool,
    /// Whether a document may have several rows in the ranges.
    pub(super) may_repeat: bool,
}

/// How an order is read from an index.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OrderUse {
    /// Every direction is the opposite one, while ids still ascend.
    pub(super) is_mirrored: bool,
    /// Fields after those of the order: documents that the order does not tell apart are not in order of their ids.
    pub(super) has_rest: bool,
    /// Where the value of each leading field of the index is in a position.
    sources: Vec<FieldSource>,
    /// Keys of the order that are the same for all rows, and their value as it stands in positions. A position may have another
    /// one, since a cursor may come from a list of another filter.
    constants: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq)]
enum FieldSource {
    /// The same for all rows.
    Constant(Vec<u8>),
    /// That key of the order.
    Order(usize),
}

impl Plan {
    pub(super) fn scan(find: &Find) -> Plan {
        Plan {
            access: Access::Scan,
            is_ordered: find.order.is_empty(),
            is_covered: *find.filter == Predicate::True,
        }
    }

    fn of(access: IndexAccess) -> Plan {
        Plan {
            is_ordered: access.order.is_some(),
            is_covered: access.is_covered && !access.may_repeat,
            access: Access::Index(access),
        }
    }

    /// The index that it reads, if it reads one.
    pub fn index(&self) -> Option<&Arc<Index>> {
        match &self.access {
            Access::Index(access) => Some(&access.index),
            _ => None,
        }
    }

    /// Whether it may look at every document of the collection.
    pub fn is_scan(&self) -> bool {
        matches!(self.access, Access::Scan)
    }

    /// Whether the documents are read in the order of the find, so that reading stops at the end of the page.
    pub fn is_ordered(&self) -> bool {
        self.is_ordered
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = |count: usize| match count {
            1 => "1 range".to_owned(),
            count => format!("{count} ranges"),
        };
        match &self.access {
            Access::Scan => formatter.write_str("every document")?,
            Access::Ids(ids) => write!(formatter, "{} of ids", ranges(ids.len()))?,
            Access::Index(access) => write!(
                formatter,
                "{} of index {}",
                ranges(access.ranges.len()),
                access.index.definition
            )?,
        }
        formatter.write_str(if self.is_ordered {
            ", in order"
        } else {
            ", then sorted"
        })?;
        if !self.is_covered {
            formatter.write_str(", each filtered")?;
        }
        Ok(())
    }
}

/// What the planner knows of the documents and may ask about them.
pub(super) trait Counts {
    /// How many documents a scan looks at.
    fn documents(&mut self) -> u64;
    /// How many rows an index has in all.
    fn rows(&mut self, index: &Index) -> u64;
    /// How many rows lie in the ranges; counts up to `rows_max`.
    fn rows_in(&mut self, index: &Index, ranges: &[RowRange], rows_max: u64) -> u64;
}

/// A document that is fetched by itself costs as much as that many of a scan.
const FETCH_COST: u64 = 3;
/// Rows that are counted to find out how many there are.
const PROBE_ROWS_MAX: u64 = 4096;
/// How many documents of an ordered index are expected to be read for one of the page, where a filter throws some
/// away.
const FILTERED_PER_ROW: u64 = 16;
/// How many ranges an access has at most. Past it fewer fields are used.
const RANGES_MAX: usize = 256;

/// Chooses among the indexes that may be used.
pub(super) fn choose(find: &Find, indexes: &[Arc<Index>], counts: &mut dyn Counts) -> Plan {
    let by_id = by_id(find);
    let is_exactly_known = by_id.as_ref().is_some_and(|(_, is_points)| *is_points);
    let base = by_id.map_or_else(|| Plan::scan(find), |(plan, _)| plan);
    let is_plain = *find.filter == Predicate::True && find.order.is_empty();
    if indexes.is_empty() || is_exactly_known || is_plain {
        return base;
    }
    let mut candidates: Vec<IndexAccess> = indexes
        .iter()
        .filter_map(|index| index_access(find, index))
        .collect();
    // The likely best first, so that the others are counted only as far as they could be better.
    candidates.sort_by_key(|it| (std::cmp::Reverse(it.equalities), it.order.is_none()));
    // Nothing reads less than a page from an index that has it in order.
    if let Some(page) = candidates.iter().position(|it| reads_page_only(find, it)) {
        return Plan::of(candidates.swap_remove(page));
    }
    if candidates.is_empty() {
        return base;
    }
    let mut best_cost = counts.documents();
    let mut best: Option<IndexAccess> = None;
    for access in candidates {
        let cost = cost(find, &access, best_cost, counts);
        if cost < best_cost || (cost == best_cost && best.is_none()) {
            best_cost = cost;
            best = Some(access);
        }
    }
    best.map_or(base, Plan::of)
}

/// Counts from the rows of an index alone; `None` where none has exactly the rows that count.
pub(super) fn counting(find: &Find, indexes: &[Arc<Index>]) -> Option<Plan> {
    let accesses = indexes.iter().filter_map(|index| index_access(find, index));
    accesses
        .filter(|access| access.is_covered && !access.may_repeat)
        .max_by_key(|access| access.equalities)
        .map(Plan::of)
}

/// Whether no documents are read but those of the page, and one more.
fn reads_page_only(find: &Find, access: &IndexAccess) -> bool {
    // Rows of documents that do not count are passed over without a look at the document, but there may be many.
    find.deleted == Deleted::Exclude && access.order.is_some() && access.is_covered
}

/// The only way to find through one index, whatever it costs; `None` where that cannot be.
pub(super) fn through(find: &Find, index: &Arc<Index>) -> Option<Plan> {
    index_access(find, index).map(Plan::of)
}

/// About how many documents are read. `is_cut_short` says whether a page that comes in order ends the reading.
pub(super) fn estimate(
    find: &Find,
    plan: &Plan,
    is_cut_short: bool,
    counts: &mut dyn Counts,
) -> u64 {
    let ends_early = is_cut_short && plan.is_ordered;
    match &plan.access {
        Access::Index(access) => fetched(find, access, u64::MAX, counts),
        Access::Ids(ranges) => match by_id(find) {
            Some((_, true)) => ranges.len() as u64,
            _ => counts.documents(),
        },
        Access::Scan
            if ends_early && *find.filter == Predicate::True && find.deleted != Deleted::Only =>
        {
            counts.documents().min(page(find))
        }
        Access::Scan => counts.documents(),
    }
}

/// How many documents tell both the page and whether there are more.
fn page(find: &Find) -> u64 {
    (find.limit as u64)
        .saturating_add(find.offset as u64)
        .saturating_add(1)
}

fn cost(find: &Find, access: &IndexAccess, best: u64, counts: &mut dyn Counts) -> u64 {
    // More rows than that and it is not the best.
    let rows_max = (best / FETCH_COST).saturating_add(1);
    fetched(find, access, rows_max, counts).saturating_mul(FETCH_COST)
}

/// About how many documents are fetched through an index; nobody minds by how much it is more than `rows_max`.
fn fetched(find: &Find, access: &IndexAccess, rows_max: u64, counts: &mut dyn Counts) -> u64 {
    let page = page(find);
    // Counting reads every row of the ranges, but only those: no document.
    let stops_early = access.order.is_some() && (!find.count_total || access.is_covered);
    let enough = match (stops_early, access.is_covered) {
        (false, _) => u64::MAX,
        (true, true) => page,
        (true, false) => page.saturating_mul(FILTERED_PER_ROW),
    };
    let probe_max = rows_max.min(enough).min(PROBE_ROWS_MAX);
    let mut rows = counts.rows_in(&access.index, &access.ranges, probe_max);
    if rows >= PROBE_ROWS_MAX && rows < enough {
        // There are more, nobody knows how many: a part of all for each field that is tested.
        let part = 4_u64.saturating_pow(u32::try_from(access.equalities).unwrap_or(1).max(1));
        rows = rows.max(counts.rows(&access.index) / part);
    }
    rows.min(enough)
}

/// Ranges of ids, where the filter names some, and whether each is one id.
fn by_id(find: &Find) -> Option<(Plan, bool)> {
    let target = Target {
        field: &FieldRef::Id,
        items: None,
        instant: false,
    };
    let found = constraint::of_predicate(&find.filter, target)?;
    let range = |interval: &Interval| {
        let range = RowRange {
            from: id_bound(&interval.from)?,
            to: id_bound(&interval.to),
        };
        range
            .to
            .as_ref()
            .is_none_or(|to| range.from < *to)
            .then_some(range)
    };
    let plan = Plan {
        access: Access::Ids(found.intervals.iter().filter_map(range).collect()),
        ..Plan::scan(find)
    };
    Some((plan, found.is_points()))
}

/// The id at which the strings of a bound begin; `None` where no string is as great.
fn id_bound(bound: &[u8]) -> Option<Vec<u8>> {
    const STRING: u8 = 0x30;
    let escaped = match bound.first() {
        Some(&STRING) => &bound[1..],
        first => return first.is_none_or(|first| *first < STRING).then(Vec::new),
    };
    let mut id = Vec::new();
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        match (byte, if *byte == 0 { bytes.next() } else { None }) {
            // The end of a string; and what comes directly after all that end there.
            (0, Some(1)) => return Some(id),
            (0, Some(2)) => {
                id.push(0);
                return Some(id);
            }
            (byte, _) => id.push(*byte),
        }
    }
    Some(id)
}

fn target(field: &IndexField) -> Target<'_> {
    Target {
        field: &field.field,
        items: field.items.as_ref(),
        instant: field.instant,
    }
}

/// How a find may use an index; `None` where that would be of no use.
fn index_access(find: &Find, index: &Arc<Index>) -> Option<IndexAccess> {
    let fields = &index.definition.fields;
    let constraints: Vec<Option<Constraint>> = fields
        .iter()
        .map(|field| constraint::of_predicate(&find.filter, target(field)))
        .collect();
    // A document whose list is empty has no row, so only what demands an item can be found.
    let has_list = |position: usize| fields[position].items.is_some();
    if (0..fields.len()).any(|position| has_list(position) && constraints[position].is_none()) {
        return None;
    }
    let Rows {
        ranges,
        used,
        single,
        is_cut,
    } = rows(fields, &constraints);
    let order = order_use(fields, &single, &find.order);
    if used == 0 && order.is_none() {
        return None;
    }
    let parts = parts(&find.filter);
    let says = |part: &Predicate, field: &IndexField| constraint::of_predicate(part, target(field));
    // What two parts demand of a list, they may demand of two of its items.
    let is_alone = |field: &IndexField| {
        field.items.is_none()
            || parts
                .iter()
                .filter(|part| says(part, field).is_some())
                .count()
                == 1
    };
    let covered = |part: &&Predicate| {
        fields[..used]
            .iter()
            .any(|field| says(part, field).is_some_and(|it| it.is_exact) && is_alone(field))
    };
    // Of a value that is cut, the rows of others with the same beginning are in the range too.
    let repeats = |position: usize| {
        has_list(position) && (is_cut || single.get(position).is_none_or(Option::is_none))
    };
    Some(IndexAccess {
        is_covered: !is_cut && parts.iter().all(covered),
        may_repeat: (0..fields.len()).any(repeats),
        equalities: single.len(),
        index: Arc::clone(index),
        ranges,
        order,
    })
}

/// The predicates that all have to hold.
fn parts(predicate: &Predicate) -> Vec<&Predicate> {
    match predicate {
        Predicate::True => Vec::new(),
        Predicate::And(all) => all.iter().flat_map(parts).collect(),
        other => vec![other],
    }
}

struct Rows {
    ranges: Vec<RowRange>,
    /// How many leading fields they restrict.
    used: usize,
    /// Of the leading fields that are tested for equality, the key where it is one.
    single: Vec<Option<Vec<u8>>>,
    /// Whether they have rows that the constraints do not have, because values are cut.
    is_cut: bool,
}

/// The rows that satisfy the constraints of the leading fields: equalities, then at most one range.
fn rows(fields: &[IndexField], constraints: &[Option<Constraint>]) -> Rows {
    let mut prefixes: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    let mut single = Vec::new();
    let mut used = 0;
    let mut last: Option<Vec<Interval>> = None;
    let mut is_cut = false;
    for (field, constraint) in fields.iter().zip(constraints) {
        let Some(constraint) = constraint else { break };
        let intervals: Vec<Interval> = constraint
            .intervals
            .iter()
            .map(|interval| {
                if field.descending {
                    interval.inverted()
                } else {
                    interval.clone()
                }
            })
            .collect();
        if prefixes.len() * intervals.len() > RANGES_MAX {
            break;
        }
        used += 1;
        if !constraint.is_points() {
            last = Some(intervals);
            break;
        }
        single.push(match intervals.as_slice() {
            [one] => Some(one.from.clone()),
            _ => None,
        });
        prefixes = prefixes
            .iter()
            .flat_map(|prefix| {
                intervals.iter().map(|interval| {
                    let mut longer = prefix.clone();
                    longer.push(interval.from.clone());
                    longer
                })
            })
            .collect();
    }
    let is_whole = single.len() == fields.len();
    let mut ranges = Vec::new();
    for prefix in prefixes {
        let bytes = prefix.concat();
        match &last {
            None if is_whole => {
                is_cut |= bytes.len() > VALUES_BYTES_MAX;
                ranges.push(RowRange::of_prefix(join(&prefix)));
            }
            None => {
                is_cut |= bytes.len() > VALUES_PREFIX_BYTES;
                ranges.push(RowRange::of_prefix(cut(bytes)));
            }
            Some(intervals) => {
                for interval in intervals {
                    let from = [bytes.as_slice(), &interval.from].concat();
                    let to = [bytes.as_slice(), &interval.to].concat();
                    is_cut |= from.len().max(to.len()) > VALUES_PREFIX_BYTES;
                    ranges.push(RowRange {
                        from: cut(from),
                        to: cut_end(to),
                    });
                }
            }
        }
    }
    Rows {
        ranges: apart(ranges),
        used,
        single,
        is_cut,
    }
}

/// Whatever of a bound is sure to be in the keys of rows.
fn cut(mut bound: Vec<u8>) -> Vec<u8> {
    bound.truncate(VALUES_PREFIX_BYTES);
    bound
}

fn cut_end(bound: Vec<u8>) -> Option<Vec<u8>> {
    if bound.len() > VALUES_PREFIX_BYTES {
        prefix_end(&bound[..VALUES_PREFIX_BYTES])
    } else {
        Some(bound)
    }
}

/// The same rows, in order, each once.
fn apart(mut ranges: Vec<RowRange>) -> Vec<RowRange> {
    ranges.retain(|range| range.to.as_ref().is_none_or(|to| range.from < *to));
    ranges.sort_unstable();
    let mut merged: Vec<RowRange> = Vec::with_capacity(ranges.len());
    for next in ranges {
        match merged.last_mut() {
            Some(last) if last.to.as_ref().is_none_or(|to| next.from < *to) => {
                last.to = match (last.to.take(), next.to) {
                    (Some(one), Some(two)) => Some(one.max(two)),
                    _ => None,
                };
            }
            _ => merged.push(next),
        }
    }
    merged
}

/// How the rows of an index whose leading fields have single values are in an order, if they are.
fn order_use(
    fields: &[IndexField],
    single: &[Option<Vec<u8>>],
    order: &[OrderKey],
) -> Option<OrderUse> {
    let is_same = |field: &IndexField, key: &OrderKey| {
        let is_system = !matches!(field.field, FieldRef::Path(_));
        field.items.is_none()
            && field.field == key.field
            && (field.instant == key.instant || is_system)
    };
    let of_single = |position: usize| single.get(position).and_then(Option::as_ref);
    let constant = |key: &OrderKey| {
        let mut singles = fields.iter().enumerate();
        singles.find_map(|(position, field)| {
            let value = of_single(position).filter(|_| is_same(field, key))?;
            let flip = if field.descending == key.descending {
                0x00
            } else {
                0xff
            };
            Some(value.iter().map(|byte| byte ^ flip).collect::<Vec<u8>>())
        })
    };
    let constants: Vec<(usize, Vec<u8>)> = order
        .iter()
        .enumerate()
        .filter_map(|(number, key)| Some((number, constant(key)?)))
        .collect();
    let mut keys = order
        .iter()
        .enumerate()
        .filter(|(number, _)| constants.iter().all(|(constant, _)| constant != number))
        .peekable();
    let mut sources = Vec::new();
    let mut mirrored = None;
    let mut has_rest = false;
    for (position, field) in fields.iter().enumerate() {
        if let Some(key) = of_single(position) {
            sources.push(FieldSource::Constant(key.clone()));
            continue;
        }
        let Some((number, key)) = keys.next() else {
            mirrored?;
            has_rest = true;
            break;
        };
        let is_mirrored = key.descending != field.descending;
        if !is_same(field, key) || mirrored.is_some_and(|it| it != is_mirrored) {
            return None;
        }
        mirrored = Some(is_mirrored);
        sources.push(FieldSource::Order(number));
    }
    keys.peek().is_none().then(|| OrderUse {
        is_mirrored: mirrored.unwrap_or(false),
        has_rest,
        sources,
        constants,
    })
}

impl IndexAccess {
    /// The rows that may lie between two positions of the order.
    pub(super) fn window(&self, find: &Find) -> RowRange {
        let mut window = RowRange::all();
        let Some(order) = &self.order else {
            return window;
        };
        let bounds = (find.after.as_ref(), find.before.as_ref());
        let (lower, upper) = if order.is_mirrored {
            (bounds.1, bounds.0)
        } else {
            bounds
        };
        if let Some((mut key, is_whole)) = lower.and_then(|it| order.row_key(it, &find.order)) {
            if is_whole {
                // Directly after the row of that position.
                key.push(0);
            }
            window.from = key;
        }
        if let Some((key, is_whole)) = upper.and_then(|it| order.row_key(it, &find.order)) {
            window.to = if is_whole {
                Some(key)
            } else {
                prefix_end(&key)
            };
        }
        window
    }
}

impl OrderUse {
    /// The key of the row that stands at a position, and whether it is the whole key: else it is the beginning of all
    /// rows that may stand there. `None` for a position that is of no document.
    fn row_key(&self, position: &Position, order: &[OrderKey]) -> Option<(Vec<u8>, bool)> {
        let mut rest = position.as_bytes();
        let mut values = Vec::with_capacity(order.len());
        for key in order {
            let length = match key.descending {
                false => value_key_len(rest)?,
                true => value_key_len_descending(rest)?,
            };
            let (value, after) = rest.split_at_checked(length)?;
            values.push(value);
            rest = after;
        }
        let differs = self.constants.iter().find(|(number, constant)| {
            let value = values.get(*number);
            value.is_none_or(|value| *value != constant.as_slice())
        });
        let mut key = Vec::new();
        for source in &self.sources {
            match (source, differs) {
                (FieldSource::Constant(value), _) => key.extend_from_slice(value),
                // From here on the position says nothing about rows that are not there at all.
                (FieldSource::Order(number), Some((differs, _))) if number > differs => break,
                (FieldSource::Order(number), _) => {
                    let value = values.get(*number)?;
                    let flip = if self.is_mirrored { 0xff } else { 0x00 };
                    key.extend(value.iter().map(|byte| byte ^ flip));
                }
            }
        }
        if key.len() > VALUES_PREFIX_BYTES {
            return Some((cut(key), false));
        }
        if self.has_rest || self.is_mirrored || differs.is_some() {
            return Some((key, false));
        }
        write_id(std::str::from_utf8(rest).ok()?, &mut key);
        Some((key, true))
    }
}

#[cfg(test)]
mod tests;

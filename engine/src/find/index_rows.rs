//! The documents of rows of an index, in the order of the find where the index has it.

use std::ops::ControlFlow;

use rustc_hash::FxHashSet;
use thalweg_storage::Direction;

use super::candidates::{Extent, View, Visit, direction_of, in_direction, opposite};
use super::merge::Merge;
use super::plan::{IndexAccess, OrderUse};
use super::{Deleted, Find};
use crate::error::EngineError;
use crate::index::cursor::{RowRange, RowRef};
use crate::index::rows::{VALUES_PREFIX_BYTES, corrupt, rows_of};
use crate::order::Position;
use crate::record::Record;

/// Returns a document if it satisfies the filter.
pub(super) type Filter<'v, 's> = &'v mut dyn FnMut(Record<'s>) -> Option<Record<'s>>;

/// Reads the rows of an index and fetches their documents.
pub(super) struct IndexRows<'s, 'f> {
    view: View<'s>,
    find: &'f Find,
    access: &'f IndexAccess,
    /// How the order of the find is read from the index; `None` where documents may come in any order.
    order: Option<&'f OrderUse>,
    ranges: Vec<RowRange>,
    /// The ids that were shown, where a document may have several rows.
    seen: Option<FxHashSet<String>>,
    run: Run<'s>,
    merge: Merge<'s, 'f>,
}

/// Documents that the index does not tell apart, which are put in order before they are shown.
#[derive(Default)]
struct Run<'s> {
    /// What the values of its last row begin with, if they are so long that they may be cut.
    prefix: Option<Vec<u8>>,
    /// Where its last document stands, without the id.
    keys: Vec<u8>,
    /// Where its documents stand, and they themselves.
    rows: Vec<(Position, Record<'s>)>,
}

impl Run<'_> {
    fn sort(&mut self, find: &Find) {
        self.rows
            .sort_unstable_by(|(one, _), (two, _)| match find.from_end {
                true => two.cmp(one),
                false => one.cmp(two),
            });
    }
}

impl<'s, 'f> IndexRows<'s, 'f> {
    pub(super) fn new(
        view: View<'s>,
        find: &'f Find,
        access: &'f IndexAccess,
        extent: Extent,
        filter: Filter<'_, 's>,
    ) -> Self {
        let mut ranges = access.ranges.clone();
        let mut order = None;
        if extent == Extent::Page {
            order = access.order.as_ref();
            let window = access.window(find);
            ranges = ranges
                .iter()
                .filter_map(|range| range.intersect(&window))
                .collect();
        }
        IndexRows {
            view,
            find,
            access,
            order,
            ranges,
            seen: access.may_repeat.then(FxHashSet::default),
            run: Run::default(),
            merge: Merge::new(view, find, filter),
        }
    }

    /// Shows the documents that satisfy the filter.
    pub(super) fn visit(
        mut self,
        filter: Filter<'_, 's>,
        visit: Visit<'_, 's>,
    ) -> Result<(), EngineError> {
        let order = self.order;
        let is_mirrored = order.is_some_and(|order| order.is_mirrored);
        let direction = match order {
            None => Direction::Forward,
            Some(_) if is_mirrored => opposite(direction_of(self.find)),
            Some(_) => direction_of(self.find),
        };
        let ranges = std::mem::take(&mut self.ranges);
        for range in in_direction(&ranges, direction) {
            let flow = if is_mirrored {
                self.visit_mirrored(range, direction, filter, visit)?
            } else {
                self.visit_range(range, direction, filter, visit)?
            };
            if flow.is_break() {
                return Ok(());
            }
        }
        if self.end_run(visit).is_continue() {
            // Whether it wants more does not matter: there is none.
            let _ = self.merge.finish(visit);
        }
        Ok(())
    }

    fn visit_range(
        &mut self,
        range: &RowRange,
        direction: Direction,
        filter: Filter<'_, 's>,
        visit: Visit<'_, 's>,
    ) -> Result<ControlFlow<()>, EngineError> {
        let mut rows = self.view.rows(self.access.index.id, range, direction);
        while let Some(row) = rows.next()? {
            self.view.snapshot.count_row()?;
            if self.visit_row(row, filter, visit)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Values in one direction, and among equal ones ids in the other: steps from value to value.
    fn visit_mirrored(
        &mut self,
        range: &RowRange,
        direction: Direction,
        filter: Filter<'_, 's>,
        visit: Visit<'_, 's>,
    ) -> Result<ControlFlow<()>, EngineError> {
        let mut left = range.clone();
        loop {
            let mut rows = self.view.rows(self.access.index.id, &left, direction);
            let Some(row) = rows.next()? else {
                return Ok(ControlFlow::Continue(()));
            };
            let equal = RowRange::of_prefix(row.values().to_vec());
            if let Some(equal) = equal.intersect(&left) {
                let flow = self.visit_range(&equal, opposite(direction), filter, visit)?;
                if flow.is_break() {
                    return Ok(flow);
                }
            }
            match (direction, equal.to) {
                (Direction::Forward, Some(end)) => left.from = end,
                (Direction::Backward, _) => left.to = Some(equal.from),
                (Direction::Forward, None) => return Ok(ControlFlow::Continue(())),
            }
        }
    }

    fn visit_row(
        &mut self,
        row: RowRef<'_>,
        filter: Filter<'_, 's>,
        visit: Visit<'_, 's>,
    ) -> Result<ControlFlow<()>, EngineError> {
        let next = Ok(ControlFlow::Continue(()));
        let is_hidden = match self.find.deleted {
            Deleted::Exclude => row.value.is_deleted,
            Deleted::Only => !row.value.is_deleted,
            Deleted::Include => false,
        };
        // Of an earlier time, the image says.
        let is_past = self.view.at.is_some();
        if is_hidden && !is_past {
            return next;
        }
        let id = row.id()?;
        let is_seen = self.seen.as_ref().is_some_and(|seen| seen.contains(&*id));
        if is_seen || self.merge.replaces(&id) {
            return next;
        }
        let Some(record) = self.view.get(self.find, &id)? else {
            // Now, every row has its document; an ended row may be older than that time.
            return if is_past { next } else { Err(corrupt()) };
        };
        if is_past && !self.is_of(row, &record) {
            return next;
        }
        if let Some(seen) = &mut self.seen {
            seen.insert(id.into_owned());
        }
        match filter(record) {
            Some(record) => Ok(self.show(row, record, visit)),
            None => next,
        }
    }

    /// Whether an image of an earlier time has that row: the row may be one that it had before or has now.
    fn is_of(&self, row: RowRef<'_>, record: &Record<'_>) -> bool {
        let rows = rows_of(&self.access.index.definition, record);
        rows.is_ok_and(|rows| rows.iter().any(|it| it.values == row.values()))
    }

    /// Shows a document, unless it is one of a run that is still to be put in order.
    fn show(
        &mut self,
        row: RowRef<'_>,
        record: Record<'s>,
        visit: Visit<'_, 's>,
    ) -> ControlFlow<()> {
        let Some(order) = self.order else {
            return self.merge.show(record, visit);
        };
        let prefix = row.values().get(..VALUES_PREFIX_BYTES);
        let prefix = prefix.filter(|prefix| row.values().len() > prefix.len());
        if prefix.is_none() && !order.has_rest {
            self.end_run(visit)?;
            return self.merge.show(record, visit);
        }
        let position = Position::of(&record, &self.find.order);
        if !self.find.is_between(&position) {
            return ControlFlow::Continue(());
        }
        let keys = &position.as_bytes()[..position.as_bytes().len() - record.id().len()];
        let goes_on = (prefix.is_some() && self.run.prefix.as_deref() == prefix)
            || (!self.run.rows.is_empty() && self.run.keys == keys);
        if !goes_on {
            self.end_run(visit)?;
        }
        self.run.prefix = prefix.map(<[u8]>::to_vec);
        self.run.keys = keys.to_vec();
        self.run.rows.push((position, record));
        // Of however many documents, no more than the page are held.
        let page = self.find.offset.saturating_add(self.find.limit);
        if self.run.rows.len() > page.saturating_add(1).saturating_mul(2) {
            self.run.sort(self.find);
            self.run.rows.truncate(page + 1);
        }
        ControlFlow::Continue(())
    }

    fn end_run(&mut self, visit: Visit<'_, 's>) -> ControlFlow<()> {
        self.run.prefix = None;
        self.run.sort(self.find);
        for (_, record) in std::mem::take(&mut self.run.rows) {
            self.merge.show(record, visit)?;
        }
        ControlFlow::Continue(())
    }
}

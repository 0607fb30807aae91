//! The documents of rows of an index, in the order of the find where the index has it.
//!
//! It does not read by itself: it says what it needs next, rows or documents, so that several finds can be given what
//! they need together (`each`).

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::ControlFlow;

use rustc_hash::FxHashSet;
use thalweg_storage::Direction;

use super::Find;
use super::candidates::{Extent, View, Visit, direction_of, in_direction, opposite};
use super::merge::Merge;
use super::plan::{IndexAccess, OrderUse};
use crate::error::EngineError;
use crate::index::IndexId;
use crate::index::cursor::{PAGE_ROWS_FIRST, RowCursor, RowRange, RowRef, read_pages};
use crate::index::rows::{RowValue, VALUES_PREFIX_BYTES, corrupt, rows_of};
use crate::order::Position;
use crate::record::Record;

/// How many documents are fetched together at most.
const FETCHED_MAX: usize = 256;

/// What has to be read before it can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The next page of [`IndexRows::cursor`].
    Rows,
    /// The documents of [`IndexRows::ids`], for [`IndexRows::show`].
    Documents,
    /// Nothing: that was all, or enough.
    Nothing,
}

/// The rows of an index, and the documents that they are of.
pub(super) struct IndexRows<'s, 'f> {
    view: View<'s>,
    find: &'f Find,
    access: &'f IndexAccess,
    /// How the order of the find is read from the index; `None` where documents may come in any order.
    order: Option<&'f OrderUse>,
    rows: Rows<'s>,
    /// Whether there are no more rows.
    ended: bool,
    /// Whether all has been shown that was to be.
    is_done: bool,
    /// Rows whose documents have not been fetched, and how many are fetched together.
    waiting: Waiting,
    fetched: usize,
    /// The ids that were shown, where a document may have several rows.
    seen: Option<FxHashSet<String>>,
    run: Run<'s>,
    merge: Merge<'s, 'f>,
    rows_read: u64,
}

/// The rows of several ranges, one behind the other.
struct Rows<'s> {
    view: View<'s>,
    index: IndexId,
    ranges: VecDeque<RowRange>,
    direction: Direction,
    /// Whether rows of equal values come in the other direction: then it steps from value to value.
    is_mirrored: bool,
    page_rows: usize,
    cursor: Option<RowCursor<'s>>,
    /// For mirrored ones, what is left of the range, and whether the cursor looks there for the next value.
    left: RowRange,
    is_probing: bool,
}

/// Rows with their keys in one piece.
#[derive(Default)]
struct Waiting {
    keys: Vec<u8>,
    /// Where each key ends.
    rows: Vec<(usize, RowValue)>,
}

impl Waiting {
    fn push(&mut self, row: RowRef<'_>) {
        self.keys.extend_from_slice(row.key);
        self.rows.push((self.keys.len(), row.value));
    }

    fn iter(&self) -> impl Iterator<Item = RowRef<'_>> {
        let mut start = 0;
        self.rows.iter().map(move |(end, value)| {
            let key = &self.keys[start..*end];
            start = *end;
            RowRef { key, value: *value }
        })
    }
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

impl Rows<'_> {
    /// Goes on to the next row, which `take` is shown. `None` if there is no more; `Some(false)` if it has to be read.
    fn next(
        &mut self,
        take: impl FnOnce(RowRef<'_>) -> Result<(), EngineError>,
    ) -> Result<Option<bool>, EngineError> {
        loop {
            let Some(cursor) = &mut self.cursor else {
                let Some(range) = self.ranges.pop_front() else {
                    return Ok(None);
                };
                self.is_probing = self.is_mirrored;
                self.open(&range);
                continue;
            };
            if !cursor.is_ready() {
                return Ok(Some(false));
            }
            let Some(row) = cursor.next()? else {
                self.cursor = None;
                if self.is_mirrored && !self.is_probing {
                    // All of that value have been shown.
                    self.is_probing = true;
                    self.open(&self.left.clone());
                }
                continue;
            };
            if !self.is_probing {
                take(row)?;
                return Ok(Some(true));
            }
            let equal = RowRange::of_prefix(row.values().to_vec());
            let shown = equal.intersect(&self.left).ok_or_else(corrupt)?;
            match (self.direction, equal.to) {
                (Direction::Forward, Some(end)) => self.left.from = end,
                // No row is beyond: an empty range.
                (Direction::Forward, None) => self.left.to = Some(self.left.from.clone()),
                (Direction::Backward, _) => self.left.to = Some(equal.from),
            }
            self.is_probing = false;
            self.open(&shown);
        }
    }

    fn open(&mut self, range: &RowRange) {
        let (direction, page_rows) = match (self.is_mirrored, self.is_probing) {
            (true, true) => (self.direction, 1),
            (true, false) => (opposite(self.direction), self.page_rows),
            (false, _) => (self.direction, self.page_rows),
        };
        if self.is_probing {
            self.left = range.clone();
        }
        self.cursor = Some(self.view.rows(self.index, range, direction, page_rows));
    }
}

impl<'s, 'f> IndexRows<'s, 'f> {
    /// `expected` is how many documents have to be shown, if all of them count; `None` for all that there are.
    pub(super) fn new(
        view: View<'s>,
        find: &'f Find,
        access: &'f IndexAccess,
        extent: Extent,
        expected: Option<usize>,
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
        let is_mirrored = order.is_some_and(|order| order.is_mirrored);
        let direction = match order {
            None => Direction::Forward,
            Some(_) if is_mirrored => opposite(direction_of(find)),
            Some(_) => direction_of(find),
        };
        let ranges = in_direction(&ranges, direction).cloned().collect();
        let mut rows_read = 0;
        IndexRows {
            view,
            find,
            access,
            order,
            rows: Rows {
                view,
                index: access.index.id,
                ranges,
                direction,
                is_mirrored,
                page_rows: expected.unwrap_or(PAGE_ROWS_FIRST),
                cursor: None,
                left: RowRange::all(),
                is_probing: false,
            },
            ended: false,
            is_done: false,
            waiting: Waiting::default(),
            fetched: expected.map_or(FETCHED_MAX, |expected| expected.clamp(1, FETCHED_MAX)),
            seen: access.may_repeat.then(FxHashSet::default),
            run: Run::default(),
            merge: Merge::new(view, find, &mut rows_read),
            rows_read,
        }
    }

    /// Shows the documents that satisfy the filter, and reads what that takes; returns how many were read.
    pub(super) fn visit(mut self, visit: Visit<'_, 's>) -> Result<u64, EngineError> {
        loop {
            match self.advance(visit)? {
                Need::Nothing => return Ok(self.rows_read),
                Need::Rows => {
                    let snapshot = self.view.snapshot;
                    let mut cursors: Vec<_> = self.cursor().into_iter().collect();
                    read_pages(snapshot.reader(), &mut cursors)?;
                }
                Need::Documents => {
                    let ids = self.ids()?;
                    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
                    let records = self.view.get_many(self.find.collection, &ids)?;
                    self.show(records, visit)?;
                }
            }
        }
    }

    /// How many documents were looked at.
    pub(super) fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// The cursor that needs a page.
    pub(super) fn cursor(&mut self) -> Option<&mut RowCursor<'s>> {
        self.rows.cursor.as_mut()
    }

    /// The documents that are to be fetched, in the order of their rows.
    pub(super) fn ids(&self) -> Result<Vec<Cow<'_, str>>, EngineError> {
        self.waiting.iter().map(RowRef::id).collect()
    }

    /// Goes on until something has to be read.
    pub(super) fn advance(&mut self, visit: Visit<'_, 's>) -> Result<Need, EngineError> {
        loop {
            if self.waiting.rows.len() >= self.fetched {
                return Ok(Need::Documents);
            }
            if self.ended {
                if !self.waiting.rows.is_empty() {
                    return Ok(Need::Documents);
                }
                if !self.is_done && self.end_run(visit).is_continue() {
                    // Whether it wants more does not matter: there is none.
                    let _ = self.merge.finish(visit);
                }
                self.is_done = true;
                return Ok(Need::Nothing);
            }
            let (rows, waiting) = (&mut self.rows, &mut self.waiting);
            let is_hidden = {
                // Of an earlier time, the image says.
                let is_past = self.view.at.is_some();
                let find = self.find;
                move |row: RowRef<'_>| !is_past && !find.deleted.admits_row(row)
            };
            let (seen, merge) = (&self.seen, &self.merge);
            let snapshot = self.view.snapshot;
            let next = rows.next(|row| {
                snapshot.count_row()?;
                if is_hidden(row) {
                    return Ok(());
                }
                let id = row.id()?;
                let is_seen = seen.as_ref().is_some_and(|seen| seen.contains(&*id));
                if !is_seen && !merge.replaces(&id) {
                    waiting.push(row);
                }
                Ok(())
            })?;
            match next {
                Some(true) => {}
                Some(false) => return Ok(Need::Rows),
                None => self.ended = true,
            }
        }
    }

    /// Shows the documents that were fetched.
    pub(super) fn show(
        &mut self,
        records: Vec<Option<Record<'s>>>,
        visit: Visit<'_, 's>,
    ) -> Result<(), EngineError> {
        // The filter has thrown some away.
        self.fetched = (self.fetched * 2).min(FETCHED_MAX);
        let waiting = std::mem::take(&mut self.waiting);
        for (row, record) in waiting.iter().zip(records) {
            if self.show_one(row, record, visit)?.is_break() {
                // It is enough.
                (self.ended, self.is_done) = (true, true);
                return Ok(());
            }
        }
        Ok(())
    }

    fn show_one(
        &mut self,
        row: RowRef<'_>,
        record: Option<Record<'s>>,
        visit: Visit<'_, 's>,
    ) -> Result<ControlFlow<()>, EngineError> {
        let next = Ok(ControlFlow::Continue(()));
        let is_past = self.view.at.is_some();
        let Some(record) = record else {
            // Now, every row has its document; an ended row may be older than that time.
            return if is_past { next } else { Err(corrupt()) };
        };
        if is_past && !self.is_of(row, &record) {
            return next;
        }
        if let Some(seen) = &mut self.seen
            && !seen.insert(record.id().to_owned())
        {
            return next;
        }
        self.rows_read += 1;
        match self.find.admits(&record) {
            true => Ok(self.show_in_order(row, record, visit)),
            false => next,
        }
    }

    /// Whether an image of an earlier time has that row: the row may be one that it had before or has now.
    fn is_of(&self, row: RowRef<'_>, record: &Record<'_>) -> bool {
        let rows = rows_of(&self.access.index.definition, record);
        rows.is_ok_and(|rows| rows.iter().any(|it| it.values == row.values()))
    }

    /// Shows a document, unless it is one of a run that is still to be put in order.
    fn show_in_order(
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

//! Where the documents of a find come from: one function, whatever the plan and the time.
//!
//! It shows every document that satisfies the filter, once, and where the plan is ordered, in the order of the find
//! (for a page that is taken from the end, in the opposite one). Images that the store lacks yet are merged here and
//! in [`Snapshot::scan`]: what they replace is skipped, and they are shown in their place.

use std::ops::{Bound, ControlFlow};

use thalweg_model::{CollectionId, CommitTs, prefix_end};
use thalweg_storage::Direction;

use super::index_rows::IndexRows;
use super::plan::{Access, Plan};
use super::{Deleted, Find};
use crate::as_of::KeyRange;
use crate::error::EngineError;
use crate::index::IndexId;
use crate::index::cursor::{PAGE_ROWS_FIRST, RowCursor, RowRange, read_pages};
use crate::keyspace;
use crate::order::{self, Position};
use crate::overlay::{CollectionOverlay, Delta};
use crate::record::Record;
use crate::snapshot::Snapshot;

/// What is read: a snapshot, perhaps under what a transaction has written itself, or what was there at an earlier time.
#[derive(Clone, Copy)]
pub(crate) struct View<'s> {
    pub(crate) snapshot: &'s Snapshot,
    pub(crate) own: Option<&'s Delta>,
    pub(crate) at: Option<CommitTs>,
}

impl<'s> View<'s> {
    pub(super) fn get_many(
        self,
        collection: CollectionId,
        ids: &[&str],
    ) -> Result<Vec<Option<Record<'s>>>, EngineError> {
        self.snapshot.get_many_under(self.own, collection, ids)
    }

    /// What the store lacks yet of a collection; nothing at an earlier time.
    pub(super) fn overlaid(self, collection: CollectionId) -> Option<CollectionOverlay<'s>> {
        let layers = self.at.is_none().then(|| self.snapshot.layers(self.own));
        layers?.collection(collection)
    }

    pub(super) fn rows(
        self,
        index: IndexId,
        range: &RowRange,
        direction: Direction,
        page_rows: usize,
    ) -> RowCursor<'s> {
        let reader = self.snapshot.reader();
        RowCursor::new(reader, index, range, direction, self.at, page_rows)
    }
}

/// Whether documents outside of the page's positions are wanted too.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Extent {
    Page,
    Everything,
}

impl Extent {
    /// By what was counted beforehand.
    pub(super) fn of_count(counted: Option<u64>) -> Extent {
        match counted {
            Some(_) => Extent::Page,
            None => Extent::Everything,
        }
    }
}

/// Is shown a document that satisfies the filter.
pub(super) type Visit<'v, 's> = &'v mut dyn FnMut(Record<'s>) -> ControlFlow<()>;

/// Shows the documents that satisfy the filter; returns how many were read. `expected` is how many have to be shown before
/// that is enough, if all of them count.
pub(super) fn visit<'s>(
    view: View<'s>,
    find: &Find,
    plan: &Plan,
    extent: Extent,
    expected: Option<usize>,
    visit: Visit<'_, 's>,
) -> Result<u64, EngineError> {
    let plan_ranges = match &plan.access {
        Access::Index(access) => {
            return IndexRows::new(view, find, access, extent, expected).visit(visit);
        }
        Access::Scan => &[RowRange::all()][..],
        Access::Ids(ranges) => ranges,
    };
    let mut rows_read = 0;
    documents(view, find, plan_ranges, extent, &mut |record| {
        rows_read += 1;
        match find.admits(&record) {
            true => visit(record),
            false => ControlFlow::Continue(()),
        }
    })?;
    Ok(rows_read)
}

/// Documents in ranges of ids.
fn documents<'s>(
    view: View<'s>,
    find: &Find,
    ranges: &[RowRange],
    extent: Extent,
    visit: Visit<'_, 's>,
) -> Result<(), EngineError> {
    let prefix = keyspace::documents(find.collection);
    let end = prefix_end(&prefix).expect("a document key does not consist of 0xff bytes");
    let with_prefix = |id: &[u8]| [prefix.as_slice(), id].concat();
    // Only where the ids are the order are positions ids.
    let is_bounded = extent == Extent::Page && find.order.is_empty();
    let position = |position: &Option<Position>| {
        let position = position.as_ref().filter(|_| is_bounded)?;
        Some(with_prefix(order::id_of_position(position)))
    };
    let (after, before) = (position(&find.after), position(&find.before));
    let direction = direction_of(find);
    let mut flow = ControlFlow::Continue(());
    for range in in_direction(ranges, direction) {
        let from = with_prefix(&range.from);
        let to = range.to.as_deref().map_or_else(|| end.clone(), with_prefix);
        let from = match &after {
            Some(after) if *after >= from => Bound::Excluded(after),
            _ => Bound::Included(&from),
        };
        let to = match &before {
            Some(before) if *before < to => Bound::Excluded(before),
            _ => Bound::Excluded(&to),
        };
        let range = KeyRange {
            collection: find.collection,
            from,
            to,
            direction,
        };
        view.snapshot.scan(view.own, range, &mut |_, record| {
            flow = visit(record);
            flow
        })?;
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

pub(super) fn direction_of(find: &Find) -> Direction {
    if find.from_end {
        Direction::Backward
    } else {
        Direction::Forward
    }
}

pub(super) fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Forward => Direction::Backward,
        Direction::Backward => Direction::Forward,
    }
}

pub(super) fn in_direction(
    ranges: &[RowRange],
    direction: Direction,
) -> impl Iterator<Item = &RowRange> {
    let (forward, backward) = match direction {
        Direction::Forward => (ranges, &[][..]),
        Direction::Backward => (&[][..], ranges),
    };
    forward.iter().chain(backward.iter().rev())
}

/// How many rows of an index lie in ranges, up to `rows_max`, of documents that count.
pub(super) fn count_rows(
    view: View<'_>,
    index: IndexId,
    ranges: &[RowRange],
    deleted: Deleted,
    rows_max: u64,
) -> Result<u64, EngineError> {
    let mut count = 0;
    for range in ranges {
        let mut rows = view.rows(index, range, Direction::Forward, PAGE_ROWS_FIRST);
        while count < rows_max
            && let Some(row) = rows.next()?
        {
            view.snapshot.count_row()?;
            count += u64::from(deleted.admits_row(row));
        }
    }
    Ok(count)
}

/// The same for several sets of ranges, each to its end, whose rows are read together.
pub(super) fn count_rows_of_each<'r>(
    view: View<'_>,
    index: IndexId,
    each: impl Iterator<Item = &'r [RowRange]>,
    deleted: Deleted,
) -> Result<Vec<u64>, EngineError> {
    let mut counts = Vec::new();
    let mut open = Vec::new();
    for (number, ranges) in each.enumerate() {
        counts.push(0);
        let cursors = ranges.iter();
        let cursors =
            cursors.map(|range| view.rows(index, range, Direction::Forward, PAGE_ROWS_FIRST));
        open.extend(cursors.map(|cursor| (number, cursor)));
    }
    while !open.is_empty() {
        let mut cursors: Vec<_> = open.iter_mut().map(|(_, cursor)| cursor).collect();
        read_pages(view.snapshot.reader(), &mut cursors)?;
        let mut failure = None;
        open.retain_mut(|(number, cursor)| {
            let mut counted = || {
                while cursor.is_ready() {
                    let Some(row) = cursor.next()? else {
                        return Ok(false);
                    };
                    view.snapshot.count_row()?;
                    counts[*number] += u64::from(deleted.admits_row(row));
                }
                Ok(true)
            };
            counted().unwrap_or_else(|error| {
                failure = Some(error);
                false
            })
        });
        if let Some(error) = failure {
            return Err(error);
        }
    }
    Ok(counts)
}

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
use crate::index::cursor::{RowCursor, RowRange};
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
    pub(super) fn get(self, find: &Find, id: &str) -> Result<Option<Record<'s>>, EngineError> {
        self.snapshot.get_under(self.own, find.collection, id)
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
    ) -> RowCursor<'s> {
        RowCursor::new(self.snapshot.reader(), index, range, direction, self.at)
    }
}

/// Whether documents outside of the page's positions are wanted too.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Extent {
    Page,
    Everything,
}

/// Is shown a document that satisfies the filter.
pub(super) type Visit<'v, 's> = &'v mut dyn FnMut(Record<'s>) -> ControlFlow<()>;

/// Shows the documents that satisfy the filter; returns how many were read.
pub(super) fn visit<'s>(
    view: View<'s>,
    find: &Find,
    plan: &Plan,
    extent: Extent,
    visit: Visit<'_, 's>,
) -> Result<u64, EngineError> {
    let mut rows_read = 0;
    let mut filter = |record: Record<'s>| {
        rows_read += 1;
        let counts = find.deleted.admits(&record) && find.filter.matches(&record);
        counts.then_some(record)
    };
    let plan_ranges = match &plan.access {
        Access::Index(access) => {
            IndexRows::new(view, find, access, extent, &mut filter).visit(&mut filter, visit)?;
            return Ok(rows_read);
        }
        Access::Scan => &[RowRange::all()][..],
        Access::Ids(ranges) => ranges,
    };
    documents(view, find, plan_ranges, extent, &mut |record| {
        filter(record).map_or(ControlFlow::Continue(()), &mut *visit)
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

pub(super) fn in_direction(ranges: &[RowRange], direction: Direction) -> Vec<&RowRange> {
    match direction {
        Direction::Forward => ranges.iter().collect(),
        Direction::Backward => ranges.iter().rev().collect(),
    }
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
        let mut rows = view.rows(index, range, Direction::Forward);
        while count < rows_max
            && let Some(row) = rows.next()?
        {
            view.snapshot.count_row()?;
            count += match deleted {
                Deleted::Exclude => u64::from(!row.value.is_deleted),
                Deleted::Only => u64::from(row.value.is_deleted),
                Deleted::Include => 1,
            };
        }
    }
    Ok(count)
}

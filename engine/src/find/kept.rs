//! A page that is kept, and moved along by the changes.
//!
//! More rows are kept than the page shows, so that one that leaves is followed by the next without a look at the store.
//! Invariant: `rows` are all documents of the find's range from the end that the page is taken from up to the `frontier`, in
//! the order in which they are taken, as of the last change that was followed. Which changes have to be followed is what
//! [`KeptPage::found`] says that it depends on: all that touches a row up to the frontier, and the count.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use super::{Choice, Find, Found, Plan, Reads, View, bounds, find};
use crate::commit::Change;
use crate::error::EngineError;
use crate::order::Position;
use crate::record::Record;

/// Pages that need more rows than this are not kept.
const ROWS_MAX: usize = 2_000;
/// So many rows beyond the page are kept at least, and at most.
const MARGIN: (usize, usize) = (8, 200);

/// About what a row takes beside its image and its position.
const ROW_BYTES: usize = 96;

#[derive(Debug)]
struct Row {
    position: Position,
    image: Arc<Record<'static>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct KeptPage {
    find: Find,
    rows: Vec<Row>,
    /// The last position up to which all documents are in `rows`; `None` where there are no others.
    frontier: Option<Position>,
    /// How many documents satisfy the filter, if it was asked for.
    total: Option<u64>,
    plan: Arc<Plan>,
    bytes: usize,
}

/// How many rows tell the page, and whether there are documents beyond it.
fn needed(find: &Find) -> usize {
    find.offset.saturating_add(find.limit).saturating_add(1)
}

fn margin(find: &Find) -> usize {
    (needed(find) / 4).clamp(MARGIN.0, MARGIN.1)
}

/// Where one row comes before another.
fn compare(find: &Find, one: &Position, other: &Position) -> Ordering {
    match find.from_end {
        true => other.cmp(one),
        false => one.cmp(other),
    }
}

impl KeptPage {
    /// Whether the page is not too long to be kept.
    pub(crate) fn is_for(wanted: &Find) -> bool {
        needed(wanted) <= ROWS_MAX
    }

    /// Reads a page to be kept.
    pub(crate) fn read(view: View<'_>, wanted: &Find) -> Result<KeptPage, EngineError> {
        let wide = Find {
            offset: 0,
            limit: needed(wanted).saturating_add(margin(wanted)),
            ..wanted.clone()
        };
        let found = find(view, &wide, Choice::Any)?;
        let has_others = match wide.from_end {
            true => found.has_before,
            false => found.has_after,
        };
        let mut rows: Vec<Row> = found
            .rows
            .into_iter()
            .map(|row| Row {
                position: Position::of(&row, &wide.order),
                image: Arc::new(row.into_owned()),
            })
            .collect();
        if wide.from_end {
            rows.reverse();
        }
        let last = rows.last().map(|row| row.position.clone());
        let mut page = KeptPage {
            find: wanted.clone(),
            frontier: last.filter(|_| has_others),
            total: found.total,
            plan: found.plan,
            bytes: 0,
            rows,
        };
        page.bytes = page.rows.iter().map(Row::bytes).sum();
        Ok(page)
    }

    /// Whether it is the page of this find.
    pub(crate) fn is_of(&self, find: &Find) -> bool {
        self.find == *find
    }

    /// Whether its rows still tell the whole page.
    pub(crate) fn is_enough(&self) -> bool {
        self.frontier.is_none() || self.rows.len() >= needed(&self.find)
    }

    /// The collection.
    pub(crate) fn collection(&self) -> thalweg_model::CollectionId {
        self.find.collection
    }

    /// About what it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<KeptPage>() + self.bytes
    }

    /// The page as a find gives it.
    pub(crate) fn found(&self) -> Found<'static> {
        let Find { offset, limit, .. } = self.find;
        let shown = self.rows.iter().skip(offset).take(limit);
        let mut rows: Vec<Record<'static>> = shown.map(|row| Record::clone(&row.image)).collect();
        if self.find.from_end {
            rows.reverse();
        }
        let more = self.rows.len() > offset.saturating_add(limit);
        let (has_before, has_after) = self.find.has_others(more);
        Found {
            rows,
            has_before,
            has_after,
            total: self.total,
            dependencies: self.dependencies(),
            rows_read: 0,
            plan: Arc::clone(&self.plan),
            scanned: false,
        }
    }

    fn dependencies(&self) -> crate::dependency::DependencySet {
        let mut reads = Reads::of(&self.find);
        let (after, before) = bounds(&self.find);
        let range = match self.frontier.clone().map(Bound::Included) {
            None => (after, before),
            Some(frontier) if self.find.from_end => (frontier, before),
            Some(frontier) => (after, frontier),
        };
        reads.read(&self.find.order, range, &self.find.read);
        reads.set
    }

    /// Follows a change of a document of the collection.
    pub(crate) fn follow(&mut self, change: &Change) {
        let find = &self.find;
        let of_filter = |image: &&Arc<Record<'static>>| {
            find.deleted.admits(image) && find.filter.matches(image)
        };
        let before = change.before.as_ref().filter(of_filter);
        let after = change.after.as_ref().filter(of_filter);
        if let Some(total) = &mut self.total {
            *total = *total + u64::from(after.is_some()) - u64::from(before.is_some());
        }
        let place = |image: &Arc<Record<'static>>| {
            let position = Position::of(image, &find.order);
            find.is_between(&position).then_some(position)
        };
        let (from, to) = (before.and_then(place), after.and_then(place));
        if let Some(position) = from {
            self.take_out(&position);
        }
        if let (Some(position), Some(image)) = (to, after) {
            self.put_in(position, image);
        }
    }

    fn find_row(&self, position: &Position) -> Result<usize, usize> {
        self.rows
            .binary_search_by(|row| compare(&self.find, &row.position, position))
    }

    fn take_out(&mut self, position: &Position) {
        if let Ok(at) = self.find_row(position) {
            self.bytes -= self.rows.remove(at).bytes();
        }
    }

    fn put_in(&mut self, position: Position, image: &Arc<Record<'static>>) {
        let is_beyond = self
            .frontier
            .as_ref()
            .is_some_and(|frontier| compare(&self.find, &position, frontier).is_gt());
        if is_beyond {
            return;
        }
        let row = Row {
            position,
            image: Arc::clone(image),
        };
        let bytes = row.bytes();
        match self.find_row(&row.position) {
            // A document that was written more than once in what is followed.
            Ok(at) => {
                let old = std::mem::replace(&mut self.rows[at], row);
                self.bytes -= old.bytes();
            }
            Err(at) => self.rows.insert(at, row),
        }
        self.bytes += bytes;
        let (needed, margin) = (needed(&self.find), margin(&self.find));
        // Seldom, since where the frontier is decides what has to be followed.
        if self.rows.len() > needed + 2 * margin {
            for row in self.rows.drain(needed + margin..) {
                self.bytes -= row.bytes();
            }
            self.frontier = self.rows.last().map(|row| row.position.clone());
        }
    }
}

impl Row {
    fn bytes(&self) -> usize {
        ROW_BYTES + self.position.as_bytes().len() + self.image.stored().len()
    }
}

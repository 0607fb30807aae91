//! Finding the documents of a collection: filter, order, range, limit, count.

use std::collections::BinaryHeap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use thalweg_model::{CollectionId, prefix_end};
use thalweg_storage::Direction;

use crate::dependency::{Dependency, DependencySet, Range, Scope};
use crate::error::EngineError;
use crate::field::FieldMask;
use crate::keyspace;
use crate::order::{self, OrderKey, Position};
use crate::predicate::Predicate;
use crate::record::Record;
use crate::snapshot::Snapshot;

/// Which documents count, by soft deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Deleted {
    /// Those that are not deleted.
    #[default]
    Exclude,
    /// All.
    Include,
    /// Those that are deleted.
    Only,
}

impl Deleted {
    /// Whether a document counts.
    pub fn admits(self, record: &Record<'_>) -> bool {
        match self {
            Deleted::Exclude => !record.is_deleted(),
            Deleted::Include => true,
            Deleted::Only => record.is_deleted(),
        }
    }
}

/// A page of the documents of a collection.
#[derive(Clone, Debug)]
pub struct Find {
    /// The collection.
    pub collection: CollectionId,
    /// What they satisfy.
    pub filter: Arc<Predicate>,
    /// Whether softly deleted ones count.
    pub deleted: Deleted,
    /// Their order; ties, and an empty order, are by id.
    pub order: Arc<[OrderKey]>,
    /// Only those after this position.
    pub after: Option<Position>,
    /// Only those before this position.
    pub before: Option<Position>,
    /// How many to pass over, from the end that the page is taken from.
    pub offset: usize,
    /// How many to return at most.
    pub limit: usize,
    /// Take the page from the end of the range; the rows still come in order.
    pub from_end: bool,
    /// Also count all documents that satisfy the filter, whatever the page.
    pub count_total: bool,
    /// The fields that the caller will look at.
    pub read: FieldMask,
}

impl Find {
    /// Whether it may look at every document of the collection, rather than at those of the page alone.
    pub fn may_scan(&self) -> bool {
        /// So few rows to pass over cost about what a page does.
        const OFFSET_MAX: usize = 1000;
        self.offset > OFFSET_MAX
            || *self.filter != Predicate::True
            || !self.order.is_empty()
            || self.deleted != Deleted::Exclude
    }
}

/// A page that was found.
#[derive(Debug)]
pub struct Found<'s> {
    /// The documents, in order.
    pub rows: Vec<Record<'s>>,
    /// Whether there are documents before the page.
    pub has_before: bool,
    /// Whether there are documents after the page.
    pub has_after: bool,
    /// How many documents satisfy the filter, if it was asked for.
    pub total: Option<u64>,
    /// What the page and the count depend on.
    pub dependencies: DependencySet,
}

pub(crate) fn find<'s>(snapshot: &'s Snapshot, find: &Find) -> Result<Found<'s>, EngineError> {
    let counted = count_from_statistics(snapshot, find)?;
    let mut page = if find.order.is_empty() {
        find_by_id(snapshot, find, counted.is_none())?
    } else {
        find_ordered(snapshot, find)?
    };
    let total = find.count_total.then(|| counted.unwrap_or(page.matching));
    let more = page.rows.len() > find.limit;
    let position = |row: &Record<'s>| Position::of(row, &find.order);
    let edge = more.then(|| Edge {
        last: find
            .limit
            .checked_sub(1)
            .map(|last| position(&page.rows[last])),
        beyond: position(&page.rows[find.limit]),
    });
    page.rows.truncate(find.limit);
    if find.from_end {
        page.rows.reverse();
    }
    let passed_over = |cursor: &Option<Position>| cursor.is_some() || find.offset > 0;
    Ok(Found {
        has_before: if find.from_end {
            more
        } else {
            passed_over(&find.after)
        },
        has_after: if find.from_end {
            passed_over(&find.before)
        } else {
            more
        },
        rows: page.rows,
        total,
        dependencies: dependencies(find, edge),
    })
}

/// The rows of a page and one more, in the direction that they were taken, and how many documents satisfy the filter,
/// if all were looked at.
struct Page<'s> {
    rows: Vec<Record<'s>>,
    matching: u64,
}

/// Counts without a scan where the statistics have the number; `Some(0)` where nobody asked.
fn count_from_statistics(snapshot: &Snapshot, find: &Find) -> Result<Option<u64>, EngineError> {
    if !find.count_total {
        return Ok(Some(0));
    }
    if *find.filter == Predicate::True && find.deleted == Deleted::Exclude {
        return snapshot.document_count(find.collection).map(Some);
    }
    Ok(None)
}

/// How many rows tell both the page and whether there are documents beyond it.
fn wanted(find: &Find) -> usize {
    find.limit.saturating_add(1)
}

/// In id order, which is the order of the keys: stops at the end of the page unless everything has to be counted.
fn find_by_id<'s>(
    snapshot: &'s Snapshot,
    find: &Find,
    count_all: bool,
) -> Result<Page<'s>, EngineError> {
    let prefix = keyspace::documents(find.collection);
    let end = prefix_end(&prefix).expect("a document key does not consist of 0xff bytes");
    let key = |position: &Position| {
        let mut key = prefix.clone();
        key.extend_from_slice(order::id_of_position(position));
        key
    };
    let (after, before) = (find.after.as_ref().map(key), find.before.as_ref().map(key));
    let (from, to) = if count_all {
        (Bound::Included(&prefix), Bound::Excluded(&end))
    } else {
        (
            after
                .as_ref()
                .map_or(Bound::Included(&prefix), Bound::Excluded),
            before
                .as_ref()
                .map_or(Bound::Excluded(&end), Bound::Excluded),
        )
    };
    let direction = if find.from_end {
        Direction::Backward
    } else {
        Direction::Forward
    };
    let mut page = Page {
        rows: Vec::new(),
        matching: 0,
    };
    let wanted = wanted(find);
    let mut passed_over = 0;
    snapshot.scan_documents(find.collection, from, to, direction, &mut |key, record| {
        if find.deleted.admits(&record) && find.filter.matches(&record) {
            page.matching += 1;
            let within = after.as_ref().is_none_or(|after| key > after.as_slice())
                && before.as_ref().is_none_or(|before| key < before.as_slice());
            if within && passed_over < find.offset {
                passed_over += 1;
            } else if within && page.rows.len() < wanted {
                page.rows.push(record);
            }
        }
        if page.rows.len() == wanted && !count_all {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(page)
}

/// A row in the heap of the best rows so far; the worst of them is on top.
struct Candidate<'s> {
    position: Vec<u8>,
    from_end: bool,
    record: Record<'s>,
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let ordering = self.position.cmp(&other.position);
        if self.from_end {
            ordering.reverse()
        } else {
            ordering
        }
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate<'_> {}

/// In another order: looks at every document and keeps the best.
fn find_ordered<'s>(snapshot: &'s Snapshot, find: &Find) -> Result<Page<'s>, EngineError> {
    let prefix = keyspace::documents(find.collection);
    let end = prefix_end(&prefix).expect("a document key does not consist of 0xff bytes");
    let mut best: BinaryHeap<Candidate<'s>> = BinaryHeap::new();
    let mut matching = 0;
    let wanted = wanted(find).saturating_add(find.offset);
    let mut position = Vec::new();
    let outside = |position: &[u8]| {
        find.after
            .as_ref()
            .is_some_and(|after| position <= after.as_bytes())
            || find
                .before
                .as_ref()
                .is_some_and(|before| position >= before.as_bytes())
    };
    let bounds = (Bound::Included(&prefix), Bound::Excluded(&end));
    snapshot.scan_documents(
        find.collection,
        bounds.0,
        bounds.1,
        Direction::Forward,
        &mut |_, record| {
            if !find.deleted.admits(&record) || !find.filter.matches(&record) {
                return ControlFlow::Continue(());
            }
            matching += 1;
            position.clear();
            order::write(&record, &find.order, &mut position);
            if outside(&position) {
                return ControlFlow::Continue(());
            }
            if best.len() == wanted {
                let worst = best.peek().expect("at least one row is wanted");
                let better = if find.from_end {
                    position > worst.position
                } else {
                    position < worst.position
                };
                if !better {
                    return ControlFlow::Continue(());
                }
                best.pop();
            }
            let position = position.clone();
            best.push(Candidate {
                position,
                from_end: find.from_end,
                record,
            });
            ControlFlow::Continue(())
        },
    )?;
    let rows = best
        .into_sorted_vec()
        .into_iter()
        .skip(find.offset)
        .map(|candidate| candidate.record)
        .collect();
    Ok(Page { rows, matching })
}

/// Where a page ends before the documents do: nothing past the first document beyond it can change the page.
struct Edge {
    /// The last document of the page, as it was taken; `None` for a page of no documents.
    last: Option<Position>,
    /// The first document beyond it. That it is there shows, but none of its fields.
    beyond: Position,
}

fn dependencies(find: &Find, edge: Option<Edge>) -> DependencySet {
    let mut set = DependencySet::none();
    let mut read = |order: &Arc<[OrderKey]>, from, to, mask: &FieldMask| {
        let range = Range {
            filter: Arc::clone(&find.filter),
            deleted: find.deleted,
            order: Arc::clone(order),
            from,
            to,
        };
        set.read(Dependency {
            collection: find.collection,
            scope: Scope::Range(range),
            mask: mask.clone(),
        });
    };
    if find.count_total {
        // A count sees which documents there are, not their order.
        read(
            &Arc::from([]),
            Bound::Unbounded,
            Bound::Unbounded,
            &FieldMask::none(),
        );
    }
    let after = find.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
    let before = find
        .before
        .clone()
        .map_or(Bound::Unbounded, Bound::Excluded);
    let Some(Edge { last, beyond }) = edge else {
        read(&find.order, after, before, &find.read);
        return set;
    };
    // The page, with all that its fields show; then the gap up to the document beyond it.
    if find.from_end {
        let gap_to = last.clone().map_or(before.clone(), Bound::Excluded);
        if let Some(last) = last {
            read(&find.order, Bound::Included(last), before, &find.read);
        }
        read(
            &find.order,
            Bound::Included(beyond),
            gap_to,
            &FieldMask::none(),
        );
    } else {
        let gap_from = last.clone().map_or(after.clone(), Bound::Excluded);
        if let Some(last) = last {
            read(&find.order, after, Bound::Included(last), &find.read);
        }
        read(
            &find.order,
            gap_from,
            Bound::Included(beyond),
            &FieldMask::none(),
        );
    }
    set
}

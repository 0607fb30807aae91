//! Finding the documents of a collection: filter, order, range, limit, count.
//!
//! `plan` decides what to read and `constraint` what the filter says about that, `candidates` reads it
//! (`index_rows` through an index, with what the store lacks yet from `merge`), `page` takes the page; `whole` takes all,
//! `each` one page for each of several documents.
//! What a find depends on does not depend on its plan. `kept` moves a page along by the changes instead of taking it again.

mod candidates;
mod constraint;
pub(crate) mod each;
mod index_rows;
pub(crate) mod kept;
mod merge;
mod page;
mod plan;
pub(crate) mod whole;

use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;

use thalweg_model::CollectionId;

use self::candidates::Extent;
use self::page::Page;
use self::plan::{Access, Counts};
use crate::dependency::{Dependency, DependencySet, Range, Scope};
use crate::error::EngineError;
use crate::field::FieldMask;
use crate::index::cursor::{RowRange, RowRef};
use crate::index::{self, Index, IndexId};
use crate::join;
use crate::order::{OrderKey, Position};
use crate::predicate::Predicate;
use crate::record::Record;

pub(crate) use self::candidates::View;
pub(crate) use self::constraint::{Interval, Target, of_predicate};
pub use self::each::FindEach;
pub use self::plan::Plan;

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

    /// The same by the row of an index, for the current image of its document.
    fn admits_row(self, row: RowRef<'_>) -> bool {
        match self {
            Deleted::Exclude => !row.value.is_deleted,
            Deleted::Include => true,
            Deleted::Only => row.value.is_deleted,
        }
    }
}

/// A page of the documents of a collection.
#[derive(Clone, Debug, PartialEq)]
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

    /// What it depends on, whatever it finds: every document of its range.
    pub fn dependencies(&self) -> DependencySet {
        dependencies(self, None)
    }

    /// The collections of related documents that its filter asks about.
    pub fn related_collections(&self) -> Vec<CollectionId> {
        let mut found = Vec::new();
        join::collections(&self.filter, &mut |collection| found.push(collection));
        found
    }

    /// Whether there are documents before the page and after it, if there are `more` beyond the end that it is not taken
    /// from.
    fn has_others(&self, more: bool) -> (bool, bool) {
        let passed_over = |cursor: &Option<Position>| cursor.is_some() || self.offset > 0;
        if self.from_end {
            (more, passed_over(&self.before))
        } else {
            (passed_over(&self.after), more)
        }
    }

    /// Whether a document counts and satisfies the filter.
    fn admits(&self, record: &Record<'_>) -> bool {
        self.deleted.admits(record) && self.filter.matches(record)
    }

    /// Whether a document that stands there may be in the page.
    fn is_between(&self, position: &Position) -> bool {
        self.after.as_ref().is_none_or(|after| position > after)
            && self.before.as_ref().is_none_or(|before| position < before)
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
    /// How many documents were read to find them.
    pub rows_read: u64,
    /// How they were found.
    pub plan: Arc<Plan>,
    /// Whether that was by looking at every document, while an index could tell which.
    pub scanned: bool,
}

/// Which ways of finding there are to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All; the planner chooses.
    Any,
    /// Only looking at every document.
    Scan,
    /// Only this index. Where it is of no use for the find, every document is looked at.
    Index(IndexId),
}

/// Finds in what is read.
pub(crate) fn find<'s>(
    view: View<'s>,
    find: &Find,
    choice: Choice,
) -> Result<Found<'s>, EngineError> {
    if let Some((resolved, done)) = join::resolved(view, find)? {
        let mut found = self::find(view, &resolved, choice)?;
        found.rows_read += done.rows_read;
        found.dependencies.merge(done.dependencies);
        return Ok(found);
    }
    let plan = plan(view, find, choice)?;
    let counted = count_without_documents(view, find, &plan)?;
    let page = page::take(view, find, &plan, Extent::of_count(counted))?;
    Ok(found(find, plan, page, counted))
}

/// What the page comes to, where so many documents were counted beforehand.
fn found<'s>(find: &Find, plan: Arc<Plan>, mut page: Page<'s>, counted: Option<u64>) -> Found<'s> {
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
    let (has_before, has_after) = find.has_others(more);
    Found {
        has_before,
        has_after,
        rows: page.rows,
        total,
        dependencies: dependencies(find, edge),
        rows_read: page.rows_read,
        scanned: plan.is_scan() && find.may_scan(),
        plan,
    }
}

/// Counts the documents that satisfy a filter, from the rows of an index alone where those tell.
pub(crate) fn count(view: View<'_>, counting: &Find) -> Result<u64, EngineError> {
    if let Some((resolved, _)) = join::resolved(view, counting)? {
        return count(view, &resolved);
    }
    if let Some(plan) = plan::counting(counting, &serving(view, counting.collection))
        && let Some(counted) = count_from_rows(view, counting, &plan)?
    {
        return Ok(counted);
    }
    let found = find(view, counting, Choice::Any)?;
    Ok(found.total.unwrap_or_default())
}

fn plan(view: View<'_>, find: &Find, choice: Choice) -> Result<Arc<Plan>, EngineError> {
    let mut counts = StoredCounts {
        view,
        collection: find.collection,
        failure: None,
    };
    let indexes = serving(view, find.collection);
    let plan = match choice {
        Choice::Scan => Plan::scan(find),
        Choice::Index(id) => {
            let index = indexes.iter().find(|index| index.id == id);
            let through = index.and_then(|index| plan::through(find, index));
            through.unwrap_or_else(|| Plan::scan(find))
        }
        Choice::Any => plan::choose(find, &indexes, &mut counts),
    };
    counts.failure.map_or(Ok(Arc::new(plan)), Err)
}

/// About how many documents a find looks at.
pub(crate) fn estimate(view: View<'_>, find: &Find) -> Result<u64, EngineError> {
    if join::has_relations(&find.filter) {
        let unrelated = Find {
            filter: Arc::new(join::unrelated(&find.filter)),
            ..find.clone()
        };
        return estimate(view, &unrelated);
    }
    let plan = plan(view, find, Choice::Any)?;
    // An earlier state is read from its first document on.
    let is_cut_short = view.at.is_none() || !find.from_end;
    let mut counts = StoredCounts {
        view,
        collection: find.collection,
        failure: None,
    };
    let rows = plan::estimate(find, &plan, is_cut_short, &mut counts);
    counts.failure.map_or(Ok(rows), Err)
}

/// The indexes that a find may use.
fn serving(view: View<'_>, collection: CollectionId) -> Cow<'_, [Arc<Index>]> {
    let collection = view.snapshot.catalog().by_id(collection);
    let indexes = collection.map_or(&[][..], |collection| &collection.indexes);
    if indexes.is_empty() {
        return Cow::Borrowed(indexes);
    }
    let stored = view.snapshot.stored_ts();
    let serves = |index: &&Arc<Index>| index.serves(view.at, stored);
    if indexes.iter().all(|index| serves(&index)) {
        return Cow::Borrowed(indexes);
    }
    indexes.iter().filter(serves).cloned().collect()
}

/// Answers the planner from the store. After a failure it answers anything, since nothing is found then.
struct StoredCounts<'s> {
    view: View<'s>,
    collection: CollectionId,
    failure: Option<EngineError>,
}

impl StoredCounts<'_> {
    fn answer(&mut self, counted: Result<u64, EngineError>) -> u64 {
        counted.unwrap_or_else(|error| {
            self.failure = Some(error);
            0
        })
    }
}

impl Counts for StoredCounts<'_> {
    fn documents(&mut self) -> u64 {
        let counted = self.view.snapshot.stored_count(self.collection);
        self.answer(counted)
    }

    fn rows(&mut self, index: &Index) -> u64 {
        let counted = index::read_statistics(self.view.snapshot.reader(), index.id);
        self.answer(counted.map(|counted| counted.rows))
    }

    fn rows_in(&mut self, index: &Index, ranges: &[RowRange], rows_max: u64) -> u64 {
        let all = Deleted::Include;
        let counted = candidates::count_rows(self.view, index.id, ranges, all, rows_max);
        self.answer(counted)
    }
}

/// Counts without a look at documents where that can be; `Some(0)` where nobody asked.
fn count_without_documents(
    view: View<'_>,
    find: &Find,
    plan: &Plan,
) -> Result<Option<u64>, EngineError> {
    if !find.count_total {
        return Ok(Some(0));
    }
    if let Some(counted) = count_everything(view, find)? {
        return Ok(Some(counted));
    }
    // Without an order every document is read anyway, and so counted.
    if !plan.is_ordered() {
        return Ok(None);
    }
    count_from_rows(view, find, plan)
}

/// How many documents there are, where that is the question and counted already.
fn count_everything(view: View<'_>, find: &Find) -> Result<Option<u64>, EngineError> {
    let everything = *find.filter == Predicate::True && find.deleted == Deleted::Exclude;
    if everything && view.at.is_none() {
        return view
            .snapshot
            .document_count_under(view.own, find.collection)
            .map(Some);
    }
    Ok(None)
}

/// Whether the rows of the plan's index are the documents that count.
fn rows_tell(view: View<'_>, find: &Find, plan: &Plan) -> bool {
    // An ended row says when its image's document was created, which may be before the row was.
    plan.is_covered && view.at.is_none() && view.overlaid(find.collection).is_none()
}

fn count_from_rows(view: View<'_>, find: &Find, plan: &Plan) -> Result<Option<u64>, EngineError> {
    match &plan.access {
        Access::Index(access) if rows_tell(view, find, plan) => {
            let (index, ranges) = (access.index.id, &access.ranges);
            candidates::count_rows(view, index, ranges, find.deleted, u64::MAX).map(Some)
        }
        _ => Ok(None),
    }
}

/// Where a page ends before the documents do: nothing past the first document beyond it can change the page.
struct Edge {
    /// The last document of the page, as it was taken; `None` for a page of no documents.
    last: Option<Position>,
    /// The first document beyond it. That it is there shows, but none of its fields.
    beyond: Position,
}

/// Collects what a find depends on.
struct Reads<'f> {
    find: &'f Find,
    set: DependencySet,
}

impl<'f> Reads<'f> {
    /// Begins with what is counted.
    fn of(find: &'f Find) -> Reads<'f> {
        let set = DependencySet::none();
        let mut reads = Reads { find, set };
        if find.count_total {
            // A count sees which documents there are, not their order.
            let all = (Bound::Unbounded, Bound::Unbounded);
            reads.read(&Arc::from([]), all, &FieldMask::none());
        }
        reads
    }

    fn read(
        &mut self,
        order: &Arc<[OrderKey]>,
        (from, to): (Bound<Position>, Bound<Position>),
        mask: &FieldMask,
    ) {
        let range = Range {
            filter: Arc::clone(&self.find.filter),
            deleted: self.find.deleted,
            order: Arc::clone(order),
            from,
            to,
        };
        self.set.read(Dependency {
            collection: self.find.collection,
            scope: Scope::Range(range),
            mask: mask.clone(),
        });
    }
}

/// Between which positions a find looks for its page.
fn bounds(find: &Find) -> (Bound<Position>, Bound<Position>) {
    let bound =
        |cursor: &Option<Position>| cursor.clone().map_or(Bound::Unbounded, Bound::Excluded);
    (bound(&find.after), bound(&find.before))
}

fn dependencies(find: &Find, edge: Option<Edge>) -> DependencySet {
    let mut reads = Reads::of(find);
    let (after, before) = bounds(find);
    let Some(Edge { last, beyond }) = edge else {
        reads.read(&find.order, (after, before), &find.read);
        return reads.set;
    };
    let mut read = |from, to, mask: &FieldMask| reads.read(&find.order, (from, to), mask);
    // The page, with all that its fields show; then the gap up to the document beyond it.
    if find.from_end {
        let gap_to = last.clone().map_or(before.clone(), Bound::Excluded);
        if let Some(last) = last {
            read(Bound::Included(last), before, &find.read);
        }
        read(Bound::Included(beyond), gap_to, &FieldMask::none());
    } else {
        let gap_from = last.clone().map_or(after.clone(), Bound::Excluded);
        if let Some(last) = last {
            read(after, Bound::Included(last), &find.read);
        }
        read(gap_from, Bound::Included(beyond), &FieldMask::none());
    }
    reads.set
}

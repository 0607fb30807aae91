//! What a run depends on, and whether a commit touches it: precision locking.
//!
//! The same test decides whether a transaction must be re-executed, which live queries a commit may change, and
//! whether a result still holds. It may say yes without need, never no when the result could differ: *a changed
//! result implies an overlapping dependency* (property-tested).

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use thalweg_model::{CollectionId, DocumentId};

use crate::commit::{Change, Commit};
use crate::field::FieldMask;
use crate::find::Deleted;
use crate::order::{OrderKey, Position};
use crate::predicate::Predicate;
use crate::record::Record;

/// What one read depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// The collection that was read.
    pub collection: CollectionId,
    /// Which of its documents.
    pub scope: Scope,
    /// Which of their fields were looked at, beside those of the filter and the order.
    pub mask: FieldMask,
}

/// Which documents of a collection a read depends on.
#[derive(Clone, Debug, PartialEq)]
pub enum Scope {
    /// One document, there or not.
    Document(DocumentId),
    /// Those that satisfy a filter and stand in a range of an order.
    Range(Range),
}

/// A range of the documents that satisfy a filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// The filter.
    pub filter: Arc<Predicate>,
    /// Whether softly deleted documents count.
    pub deleted: Deleted,
    /// The order that the bounds are positions of.
    pub order: Arc<[OrderKey]>,
    /// Only documents from this position on.
    pub from: Bound<Position>,
    /// Only documents up to this position.
    pub to: Bound<Position>,
}

impl Range {
    fn contains(&self, record: &Record<'_>) -> bool {
        if !self.deleted.admits(record) || !self.filter.matches(record) {
            return false;
        }
        if (&self.from, &self.to) == (&Bound::Unbounded, &Bound::Unbounded) {
            return true;
        }
        let position = Position::of(record, &self.order);
        (self.from.as_ref(), self.to.as_ref()).contains(&position)
    }

    /// What a reader of the range sees of a change, whichever fields it looks at.
    pub fn sight<'c>(&self, change: &'c Change) -> Sight<'c> {
        let within = |image: &'c Option<Arc<Record<'static>>>| {
            image.as_deref().filter(|image| self.contains(image))
        };
        match (within(&change.before), within(&change.after)) {
            (None, None) => Sight::Nothing,
            (Some(before), Some(after)) => {
                let moved = !self.order.is_empty()
                    && Position::of(before, &self.order) != Position::of(after, &self.order);
                if moved {
                    Sight::Everything
                } else {
                    Sight::Fields(before, after)
                }
            }
            _ => Sight::Everything,
        }
    }
}

/// What a reader of some documents sees of a change.
#[derive(Clone, Copy, Debug)]
pub enum Sight<'c> {
    /// Nothing: the document is not among them, neither before nor after.
    Nothing,
    /// What its fields hold now.
    Fields(&'c Record<'static>, &'c Record<'static>),
    /// That it came, went or moved.
    Everything,
}

impl Sight<'_> {
    /// Whether a reader of these fields sees anything of it.
    pub fn shows(&self, mask: &FieldMask) -> bool {
        match self {
            Sight::Nothing => false,
            Sight::Fields(before, after) => mask.tells_apart(before, after),
            Sight::Everything => true,
        }
    }
}

impl Dependency {
    /// All of a collection: every change of it touches this.
    pub(crate) fn whole(collection: CollectionId) -> Self {
        let range = Range {
            filter: Arc::new(Predicate::True),
            deleted: Deleted::Include,
            order: Arc::from([]),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
        };
        Dependency {
            collection,
            scope: Scope::Range(range),
            mask: FieldMask::all(),
        }
    }

    /// Whether a change of a document of this collection touches it.
    pub fn touched_by(&self, change: &Change) -> bool {
        match &self.scope {
            Scope::Document(id) => {
                *id == change.id
                    && match (&change.before, &change.after) {
                        (Some(before), Some(after)) => {
                            before.is_deleted() != after.is_deleted()
                                || self.mask.tells_apart(before, after)
                        }
                        (None, None) => false,
                        _ => true,
                    }
            }
            Scope::Range(range) => range.sight(change).shows(&self.mask),
        }
    }
}

/// Everything that a run depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DependencySet {
    reads: Vec<Dependency>,
    /// Whether the reads are whole collections, each once and in order, because there were too many.
    coarse: bool,
    /// The catalog: which collections there are, and their types.
    catalog: bool,
    /// How many documents the collections have.
    counts: bool,
    /// The counted shapes, which any change changes.
    shapes: bool,
}

impl DependencySet {
    /// Past this many reads the set stands for all of the collections that were read, which is always safe.
    const READS_MAX: usize = 1000;

    /// Depends on nothing.
    pub fn none() -> Self {
        DependencySet::default()
    }

    /// Adds a read.
    pub fn read(&mut self, dependency: Dependency) {
        if self.coarse {
            self.read_whole(dependency.collection);
            return;
        }
        self.reads.push(dependency);
        if self.reads.len() > Self::READS_MAX {
            self.coarse = true;
            for read in std::mem::take(&mut self.reads) {
                self.read_whole(read.collection);
            }
        }
    }

    pub(crate) fn read_whole(&mut self, collection: CollectionId) {
        let place = self
            .reads
            .binary_search_by_key(&collection, |read| read.collection);
        if let Err(place) = place {
            self.reads.insert(place, Dependency::whole(collection));
        }
    }

    /// Adds the catalog.
    pub fn catalog(&mut self) {
        self.catalog = true;
    }

    /// Adds the numbers of documents of all collections.
    pub fn counts(&mut self) {
        self.counts = true;
    }

    /// Adds the shapes of all collections.
    pub fn shapes(&mut self) {
        self.shapes = true;
    }

    /// Adds all that another set depends on.
    pub fn merge(&mut self, other: DependencySet) {
        for read in other.reads {
            self.read(read);
        }
        self.catalog |= other.catalog;
        self.counts |= other.counts;
        self.shapes |= other.shapes;
    }

    /// Gives back memory that it does not need, where it is kept for long.
    pub fn shrink(&mut self) {
        self.reads.shrink_to_fit();
    }

    /// Whether it depends on nothing.
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty() && !self.catalog && !self.counts && !self.shapes
    }

    /// The reads.
    pub fn reads(&self) -> &[Dependency] {
        &self.reads
    }

    /// Whether it depends on more than documents: the catalog, the counts or the shapes.
    pub fn depends_on_system(&self) -> bool {
        self.catalog || self.counts || self.shapes
    }

    /// What it depends on beside documents, in words for people.
    pub fn system_in_words(&self) -> Vec<&'static str> {
        [
            (self.catalog, "which collections there are, and their types"),
            (self.counts, "how many documents the collections have"),
            (self.shapes, "the shapes of all documents"),
        ]
        .into_iter()
        .filter_map(|(depends, words)| depends.then_some(words))
        .collect()
    }

    /// Whether it depends on which collections there are.
    pub(crate) fn depends_on_catalog(&self) -> bool {
        self.catalog
    }

    /// Whether the commit changes the catalog, counts or shapes that it depends on.
    pub fn system_touched_by(&self, commit: &Commit) -> bool {
        let changed = !commit.changes.is_empty() || !commit.emptied.is_empty();
        (self.catalog && commit.catalog.is_some())
            || (self.shapes && changed)
            || (self.counts
                && (!commit.emptied.is_empty() || commit.changes.iter().any(Change::changes_count)))
    }

    /// Whether the commit may have changed something that the run saw.
    pub fn touched_by(&self, commit: &Commit) -> bool {
        self.system_touched_by(commit)
            || self.reads.iter().any(|read| {
                commit.emptied.contains(&read.collection)
                    || commit.changes.iter().any(|change| {
                        change.collection == read.collection && read.touched_by(change)
                    })
            })
    }
}

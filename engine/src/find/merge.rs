//! Images that the store lacks yet, among documents that come from an index: the committer executes transactions on
//! top of groups that are not durable, and a transaction reads what it has written itself.

use std::ops::ControlFlow;

use super::Find;
use super::candidates::{View, Visit};
use crate::order::Position;
use crate::overlay::CollectionOverlay;
use crate::record::Record;

/// Such images of one collection.
pub(super) struct Merge<'s, 'f> {
    find: &'f Find,
    known: Option<CollectionOverlay<'s>>,
    /// Those that satisfy the filter and have not been shown yet, with where they stand; the next one is the last.
    pending: Vec<(Position, Record<'s>)>,
}

impl<'s, 'f> Merge<'s, 'f> {
    pub(super) fn new(view: View<'s>, find: &'f Find, rows_read: &mut u64) -> Self {
        let known = view.overlaid(find.collection);
        let images = known
            .iter()
            .flat_map(|known| known.images.values().flatten());
        let mut pending: Vec<_> = images
            .filter_map(|image| {
                view.snapshot.count_read();
                *rows_read += 1;
                let record = Some(image.borrowed()).filter(|image| find.admits(image))?;
                Some((Position::of(&record, &find.order), record))
            })
            .collect();
        pending.sort_unstable_by(|(one, _), (two, _)| match find.from_end {
            true => one.cmp(two),
            false => two.cmp(one),
        });
        Merge {
            find,
            known,
            pending,
        }
    }

    /// Whether what is stored of a document is no longer true.
    pub(super) fn replaces(&self, id: &str) -> bool {
        self.known
            .as_ref()
            .is_some_and(|known| known.hides_stored || known.images.contains_key(id))
    }

    /// Shows a stored document, and before it those that stand before it.
    pub(super) fn show(&mut self, record: Record<'s>, visit: Visit<'_, 's>) -> ControlFlow<()> {
        if !self.pending.is_empty() {
            let position = Position::of(&record, &self.find.order);
            let comes_first = |(other, _): &mut (Position, Record<'s>)| match self.find.from_end {
                true => *other > position,
                false => *other < position,
            };
            while let Some((_, record)) = self.pending.pop_if(comes_first) {
                visit(record)?;
            }
        }
        visit(record)
    }

    /// Shows those that are left.
    pub(super) fn finish(&mut self, visit: Visit<'_, 's>) -> ControlFlow<()> {
        while let Some((_, record)) = self.pending.pop() {
            visit(record)?;
        }
        ControlFlow::Continue(())
    }
}

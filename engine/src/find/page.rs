//! Taking a page out of the documents that satisfy a filter.

use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use super::Find;
use super::candidates::{self, Extent, View};
use super::plan::Plan;
use crate::error::EngineError;
use crate::order;
use crate::record::Record;

/// The rows of a page and one more, in the direction that they were taken, and how many documents satisfy the filter,
/// if all were looked at.
pub(super) struct Page<'s> {
    pub(super) rows: Vec<Record<'s>>,
    pub(super) matching: u64,
    /// How many documents were read.
    pub(super) rows_read: u64,
}

/// Takes a page; with [`Extent::Everything`] it counts all that satisfy the filter too.
pub(super) fn take<'s>(
    view: View<'s>,
    find: &Find,
    plan: &Plan,
    extent: Extent,
) -> Result<Page<'s>, EngineError> {
    // An earlier state is read from its first document on; and an index from which everything is read, in any order.
    let in_any_order = match plan.index() {
        Some(_) => extent == Extent::Everything,
        None => view.at.is_some() && find.from_end,
    };
    if plan.is_ordered && !in_any_order {
        in_order(view, find, plan, extent)
    } else {
        sorted(view, find, plan, extent)
    }
}

/// How many rows tell both the page and whether there are documents beyond it.
fn wanted(find: &Find) -> usize {
    find.limit.saturating_add(1)
}

/// Tells which documents lie between the positions of a find.
struct Window<'f> {
    find: &'f Find,
    position: Vec<u8>,
}

impl<'f> Window<'f> {
    fn new(find: &'f Find) -> Self {
        Window {
            find,
            position: Vec::new(),
        }
    }

    fn contains(&mut self, record: &Record<'_>) -> bool {
        if self.find.after.is_none() && self.find.before.is_none() {
            return true;
        }
        self.locate(record);
        self.contains_position()
    }

    fn locate(&mut self, record: &Record<'_>) {
        self.position.clear();
        order::write(record, &self.find.order, &mut self.position);
    }

    fn contains_position(&self) -> bool {
        let position = self.position.as_slice();
        let after = self.find.after.as_ref();
        let before = self.find.before.as_ref();
        after.is_none_or(|after| position > after.as_bytes())
            && before.is_none_or(|before| position < before.as_bytes())
    }
}

/// Of documents that come in order: stops at the end of the page unless everything has to be counted.
fn in_order<'s>(
    view: View<'s>,
    find: &Find,
    plan: &Plan,
    extent: Extent,
) -> Result<Page<'s>, EngineError> {
    /// Pages up to this many rows are not grown.
    const ROWS_RESERVED_MAX: usize = 1024;
    let mut window = Window::new(find);
    let wanted = wanted(find);
    let mut rows = Vec::with_capacity(wanted.min(ROWS_RESERVED_MAX));
    let mut matching = 0;
    let mut passed_over = 0;
    let rows_read = candidates::visit(view, find, plan, extent, &mut |record| {
        matching += 1;
        if window.contains(&record) {
            if passed_over < find.offset {
                passed_over += 1;
            } else if rows.len() < wanted {
                rows.push(record);
            }
        }
        if rows.len() == wanted && extent == Extent::Page {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(Page {
        rows,
        matching,
        rows_read,
    })
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

/// Of documents that come in another order: looks at all of them and keeps the best.
fn sorted<'s>(
    view: View<'s>,
    find: &Find,
    plan: &Plan,
    extent: Extent,
) -> Result<Page<'s>, EngineError> {
    let mut best: BinaryHeap<Candidate<'s>> = BinaryHeap::new();
    let mut window = Window::new(find);
    let mut matching = 0;
    let wanted = wanted(find).saturating_add(find.offset);
    let rows_read = candidates::visit(view, find, plan, extent, &mut |record| {
        matching += 1;
        window.locate(&record);
        if !window.contains_position() {
            return ControlFlow::Continue(());
        }
        if best.len() == wanted {
            let worst = best.peek().expect("at least one row is wanted");
            let better = if find.from_end {
                window.position > worst.position
            } else {
                window.position < worst.position
            };
            if !better {
                return ControlFlow::Continue(());
            }
            best.pop();
        }
        best.push(Candidate {
            position: window.position.clone(),
            from_end: find.from_end,
            record,
        });
        ControlFlow::Continue(())
    })?;
    let rows = best
        .into_sorted_vec()
        .into_iter()
        .skip(find.offset)
        .map(|candidate| candidate.record)
        .collect();
    Ok(Page {
        rows,
        matching,
        rows_read,
    })
}

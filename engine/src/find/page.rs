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
    let mut taker = Taker::new(view, find, plan, extent);
    let rows_read = candidates::visit(view, find, plan, extent, taker.expected(), &mut |record| {
        taker.push(record)
    })?;
    Ok(taker.into_page(rows_read))
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

/// Takes the page out of the documents that it is shown.
pub(super) struct Taker<'f, 's> {
    window: Window<'f>,
    extent: Extent,
    rows: Rows<'s>,
    matching: u64,
}

enum Rows<'s> {
    /// Of documents that come in order: ends with the page unless everything has to be counted.
    InOrder {
        passed_over: usize,
        rows: Vec<Record<'s>>,
    },
    /// Of documents that come in another order: looks at all of them and keeps the best.
    Sorted(BinaryHeap<Candidate<'s>>),
}

impl<'f, 's> Taker<'f, 's> {
    pub(super) fn new(view: View<'s>, find: &'f Find, plan: &Plan, extent: Extent) -> Self {
        /// Pages up to this many rows are not grown.
        const ROWS_RESERVED_MAX: usize = 1024;
        // An earlier state is read from its first document on; and an index from which everything is read, in any order.
        let in_any_order = match plan.index() {
            Some(_) => extent == Extent::Everything,
            None => view.at.is_some() && find.from_end,
        };
        let rows = match plan.is_ordered && !in_any_order {
            true => Rows::InOrder {
                passed_over: 0,
                rows: Vec::with_capacity(wanted(find).min(ROWS_RESERVED_MAX)),
            },
            false => Rows::Sorted(BinaryHeap::new()),
        };
        Taker {
            window: Window::new(find),
            extent,
            rows,
            matching: 0,
        }
    }

    /// How many documents it takes if all of them count; `None` if it takes all that there are.
    pub(super) fn expected(&self) -> Option<usize> {
        let find = self.window.find;
        let stops = matches!(self.rows, Rows::InOrder { .. }) && self.extent == Extent::Page;
        stops.then(|| wanted(find).saturating_add(find.offset))
    }

    /// Is shown a document; says whether more are wanted.
    pub(super) fn push(&mut self, record: Record<'s>) -> ControlFlow<()> {
        self.matching += 1;
        let find = self.window.find;
        match &mut self.rows {
            Rows::InOrder { passed_over, rows } => {
                if self.window.contains(&record) {
                    if *passed_over < find.offset {
                        *passed_over += 1;
                    } else if rows.len() < wanted(find) {
                        rows.push(record);
                    }
                }
                if rows.len() == wanted(find) && self.extent == Extent::Page {
                    return ControlFlow::Break(());
                }
            }
            Rows::Sorted(best) => {
                self.window.locate(&record);
                if self.window.contains_position() {
                    keep_best(best, find, &self.window.position, record);
                }
            }
        }
        ControlFlow::Continue(())
    }

    pub(super) fn into_page(self, rows_read: u64) -> Page<'s> {
        let rows = match self.rows {
            Rows::InOrder { rows, .. } => rows,
            Rows::Sorted(best) => {
                let sorted = best.into_sorted_vec().into_iter();
                let page = sorted.skip(self.window.find.offset);
                page.map(|candidate| candidate.record).collect()
            }
        };
        Page {
            rows,
            matching: self.matching,
            rows_read,
        }
    }
}

/// Adds a document to the best ones, unless there are enough that are better.
fn keep_best<'s>(
    best: &mut BinaryHeap<Candidate<'s>>,
    find: &Find,
    position: &[u8],
    record: Record<'s>,
) {
    if best.len() == wanted(find).saturating_add(find.offset) {
        let worst = best.peek().expect("at least one row is wanted");
        let better = if find.from_end {
            *position > *worst.position
        } else {
            *position < *worst.position
        };
        if !better {
            return;
        }
        best.pop();
    }
    best.push(Candidate {
        position: position.to_vec(),
        from_end: find.from_end,
        record,
    });
}

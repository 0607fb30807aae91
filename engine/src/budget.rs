//! What an execution may use up: documents looked at, time, and the interest of whoever asked.
//!
//! The engine knows no clock and no client for that. It counts the documents that are looked at through a snapshot, and
//! asks an [`Interrupt`] now and then whether to go on; who sets it decides by whatever clock or signal there is, a
//! simulated one too.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use crate::error::EngineError;

/// Between two questions whether to go on, in documents or rows of an index: a fraction of a millisecond.
const ASK_EVERY: u64 = 256;

/// Says whether an execution is to be ended before it is done.
pub trait Interrupt: Send + Sync {
    /// Why it is to be ended; `None` to go on. Is asked often, so it should be fast; and what is to be ended stays so.
    fn interrupted(&self) -> Option<Interruption>;
}

/// Why an execution is ended before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// It has used up its time.
    TimedOut {
        /// How long it may take.
        time_max: Duration,
    },
    /// Nobody waits for its result any more.
    Abandoned,
}

/// What is used and what may be. Nothing is bounded to begin with.
pub(crate) struct Budget {
    /// How many documents were looked at.
    documents: Cell<u64>,
    /// How many rows of indexes were looked at without their documents.
    rows: Cell<u64>,
    /// From this many documents on something has to be checked, so that there is one comparison for most of them.
    check_at: Cell<u64>,
    /// How many documents may be looked at in the line.
    line: Cell<Option<u64>>,
    /// How many may be looked at by the operation that runs.
    operation: Cell<Option<u64>>,
    interrupt: RefCell<Option<Arc<dyn Interrupt>>>,
}

impl Budget {
    pub(crate) fn unbounded() -> Self {
        Budget {
            documents: Cell::new(0),
            rows: Cell::new(0),
            check_at: Cell::new(u64::MAX),
            line: Cell::new(None),
            operation: Cell::new(None),
            interrupt: RefCell::new(None),
        }
    }

    pub(crate) fn documents(&self) -> u64 {
        self.documents.get()
    }

    /// Bounds what may be looked at in the line from here on.
    pub(crate) fn limit_line(&self, documents_max: Option<u64>) {
        let documents = self.documents.get();
        self.line
            .set(documents_max.map(|max| documents.saturating_add(max)));
        self.plan_check();
    }

    /// Bounds what the operation may look at from here on.
    pub(crate) fn limit_operation(&self, rows_max: Option<u64>) {
        let documents = self.documents.get();
        self.operation
            .set(rows_max.map(|max| documents.saturating_add(max)));
        self.plan_check();
    }

    pub(crate) fn set_interrupt(&self, interrupt: Option<Arc<dyn Interrupt>>) {
        *self.interrupt.borrow_mut() = interrupt;
        self.plan_check();
    }

    pub(crate) fn interrupt(&self) -> Option<Arc<dyn Interrupt>> {
        self.interrupt.borrow().clone()
    }

    /// Counts a document, and says whether to go on. If not, [`Budget::check`] says why.
    #[inline]
    pub(crate) fn count_document(&self) -> bool {
        let documents = self.documents.get() + 1;
        self.documents.set(documents);
        documents < self.check_at.get() || self.check().is_ok()
    }

    /// Counts a row of an index.
    #[inline]
    pub(crate) fn count_row(&self) -> Result<(), EngineError> {
        let rows = self.rows.get() + 1;
        self.rows.set(rows);
        if rows.is_multiple_of(ASK_EVERY) {
            self.check()
        } else {
            Ok(())
        }
    }

    /// Whether everything is within its bounds.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let documents = self.documents.get();
        if self.operation.get().is_some_and(|most| documents > most) {
            return Err(EngineError::RowsExceeded);
        }
        if self.line.get().is_some_and(|most| documents > most) {
            return Err(EngineError::TooManyReads);
        }
        if let Some(interrupt) = &*self.interrupt.borrow()
            && let Some(interruption) = interrupt.interrupted()
        {
            return Err(EngineError::Interrupted(interruption));
        }
        self.plan_check();
        Ok(())
    }

    /// The next number of documents at which one of the bounds may be passed.
    fn plan_check(&self) {
        let beyond = |most: u64| most.saturating_add(1);
        let line = self.line.get().map_or(u64::MAX, beyond);
        let operation = self.operation.get().map_or(u64::MAX, beyond);
        let ask = match &*self.interrupt.borrow() {
            Some(_) => self.documents.get().saturating_add(ASK_EVERY),
            None => u64::MAX,
        };
        self.check_at.set(line.min(operation).min(ask));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Goes on so often and then no more.
    struct After(AtomicU64);

    impl Interrupt for After {
        fn interrupted(&self) -> Option<Interruption> {
            let left = self
                .0
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                });
            left.err().map(|_| Interruption::Abandoned)
        }
    }

    fn read(budget: &Budget, most: u64) -> u64 {
        (0..most).take_while(|_| budget.count_document()).count() as u64
    }

    #[test]
    fn as_many_documents_as_allowed_and_not_one_more() {
        let budget = Budget::unbounded();
        assert_eq!(read(&budget, 10_000), 10_000);
        for max in [0, 1, 255, 256, 257, 1000] {
            budget.limit_operation(Some(max));
            assert_eq!(read(&budget, 10_000), max);
            assert!(matches!(budget.check(), Err(EngineError::RowsExceeded)));
            budget.limit_operation(None);
            budget.limit_line(Some(max));
            assert_eq!(read(&budget, 10_000), max);
            assert!(matches!(budget.check(), Err(EngineError::TooManyReads)));
            budget.limit_line(None);
        }
        assert_eq!(read(&budget, 10_000), 10_000);
    }

    #[test]
    fn the_interrupt_is_asked_now_and_then_and_ends_it() {
        let budget = Budget::unbounded();
        budget.set_interrupt(Some(Arc::new(After(AtomicU64::new(3)))));
        assert_eq!(read(&budget, 1 << 20), 4 * ASK_EVERY - 1);
        assert!(matches!(
            budget.check(),
            Err(EngineError::Interrupted(Interruption::Abandoned))
        ));
        budget.set_interrupt(Some(Arc::new(After(AtomicU64::new(1)))));
        let rows = (0..10_000).take_while(|_| budget.count_row().is_ok());
        assert_eq!(rows.count() as u64, 2 * ASK_EVERY - 1);
        budget.set_interrupt(None);
        assert_eq!(read(&budget, 10_000), 10_000);
    }
}

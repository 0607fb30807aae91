//! A snapshot: one read transaction of the B-tree, the layers over it, their head, and its age.

use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;

use heed::types::Bytes;
use heed::{RoRange, RoRevRange, RoTxn, WithoutTls};

use super::overlay::{Found, Layer, Row, TreeRows, merge};
use super::published::Published;
use super::tree::{self, Tree};
use crate::keyspace::{KeyRange, check_key, clip};
use crate::readers::Registration;
use crate::{Direction, Head, Snapshot, StorageError, Visitor};

/// Rows between two looks at the clock within a scan: some microseconds of work.
const ROWS_PER_AGE_CHECK: u32 = 256;

pub(super) struct EmbeddedSnapshot {
    /// Before `tree`: fields are dropped in this order, and the transaction must end before the directory is unlocked.
    reader: RoTxn<'static, WithoutTls>,
    tree: Arc<Tree>,
    published: Arc<Published>,
    /// How many of the published layers the tree lacks, from the newest on.
    layers: usize,
    registration: Registration,
}

impl EmbeddedSnapshot {
    /// A snapshot of `published`, of which `reader` sees the first part.
    pub(super) fn new(
        reader: RoTxn<'static, WithoutTls>,
        applied: u64,
        tree: Arc<Tree>,
        published: Arc<Published>,
        registration: Registration,
    ) -> Self {
        let lacking = |layer: &&Layer| layer.end().sequence > applied;
        let layers = published.layers().iter().take_while(lacking).count();
        Self {
            reader,
            tree,
            published,
            layers,
            registration,
        }
    }

    fn layers(&self) -> &[Layer] {
        &self.published.layers()[..self.layers]
    }

    fn rows<'s>(
        &'s self,
        range: KeyRange<'_>,
        direction: Direction,
    ) -> Result<Rows<'s>, StorageError> {
        let (map, reader) = (&self.tree.map, &self.reader);
        let iterator = match direction {
            Direction::Forward => {
                RowIterator::Forward(map.range(reader, &range).map_err(tree::read_failure)?)
            }
            Direction::Backward => {
                RowIterator::Backward(map.rev_range(reader, &range).map_err(tree::read_failure)?)
            }
        };
        Ok(Rows {
            snapshot: self,
            iterator,
        })
    }

    fn visit_rows<'s>(
        &'s self,
        rows: impl Iterator<Item = heed::Result<(&'s [u8], &'s [u8])>>,
        visit: Visitor<'_, 's>,
    ) -> Result<(), StorageError> {
        let mut unchecked = 0;
        for row in rows {
            if unchecked == ROWS_PER_AGE_CHECK {
                self.registration.check()?;
                unchecked = 0;
            }
            unchecked += 1;
            let (key, value) = row.map_err(tree::read_failure)?;
            if visit(key, Cow::Borrowed(value)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn visit_merged<'s>(
        &'s self,
        rows: Rows<'s>,
        range: KeyRange<'_>,
        direction: Direction,
        visit: Visitor<'_, 's>,
    ) -> Result<(), StorageError> {
        let mut unchecked = 0;
        merge(self.layers(), rows, range, direction, &mut |key, value| {
            if unchecked == ROWS_PER_AGE_CHECK {
                self.registration.check()?;
                unchecked = 0;
            }
            unchecked += 1;
            Ok(visit(key, Cow::Borrowed(value)))
        })
    }
}

impl Snapshot for EmbeddedSnapshot {
    fn head(&self) -> Option<Head> {
        self.published.head()
    }

    fn get<'s>(&'s self, key: &[u8]) -> Result<Option<Cow<'s, [u8]>>, StorageError> {
        self.registration.check()?;
        if check_key(key).is_err() {
            return Ok(None);
        }
        for layer in self.layers() {
            match layer.get(key) {
                Found::Value(value) => return Ok(Some(Cow::Borrowed(value))),
                Found::Deleted => return Ok(None),
                Found::Unknown => {}
            }
        }
        let value = self
            .tree
            .map
            .get(&self.reader, key)
            .map_err(tree::read_failure)?;
        Ok(value.map(Cow::Borrowed))
    }

    fn scan<'s>(
        &'s self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: Visitor<'_, 's>,
    ) -> Result<(), StorageError> {
        self.registration.check()?;
        let Some(range) = clip(from, to) else {
            return Ok(());
        };
        let rows = self.rows(range, direction)?;
        if self.layers > 0 {
            return self.visit_merged(rows, range, direction, visit);
        }
        match rows.iterator {
            RowIterator::Forward(rows) => self.visit_rows(rows, visit),
            RowIterator::Backward(rows) => self.visit_rows(rows, visit),
        }
    }
}

/// The rows of the tree in a range.
struct Rows<'s> {
    snapshot: &'s EmbeddedSnapshot,
    iterator: RowIterator<'s>,
}

enum RowIterator<'s> {
    Forward(RoRange<'s, Bytes, Bytes>),
    Backward(RoRevRange<'s, Bytes, Bytes>),
}

impl<'s> TreeRows<'s> for Rows<'s> {
    fn next(&mut self) -> Result<Option<Row<'s>>, StorageError> {
        let row = match &mut self.iterator {
            RowIterator::Forward(rows) => rows.next(),
            RowIterator::Backward(rows) => rows.next(),
        };
        row.transpose().map_err(tree::read_failure)
    }

    fn again(&self, range: KeyRange<'_>) -> Result<Self, StorageError> {
        let direction = match self.iterator {
            RowIterator::Forward(_) => Direction::Forward,
            RowIterator::Backward(_) => Direction::Backward,
        };
        self.snapshot.rows(range, direction)
    }
}

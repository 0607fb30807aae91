//! A snapshot: one read transaction of the B-tree, its head, and its age.

use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;

use heed::{RoTxn, WithoutTls};

use super::tree::{self, Tree};
use crate::keyspace::{check_key, clip};
use crate::readers::{Readers, Registration};
use crate::{Direction, Head, Snapshot, StorageError, Visitor};

/// Rows between two looks at the clock within a scan: some microseconds of work.
const ROWS_PER_AGE_CHECK: u32 = 256;

pub(super) struct EmbeddedSnapshot {
    head: Option<Head>,
    /// Before `tree`: fields are dropped in this order, and the transaction must end before the directory is unlocked.
    reader: RoTxn<'static, WithoutTls>,
    tree: Arc<Tree>,
    registration: Registration,
}

impl EmbeddedSnapshot {
    pub(super) fn open(tree: &Arc<Tree>, readers: &Arc<Readers>) -> Result<Self, StorageError> {
        // Registered first, so that the age shown is never less than the true one.
        let registration = readers.register();
        let reader = tree.read()?;
        let head = tree.head_of_snapshot(&reader)?;
        Ok(Self {
            head,
            reader,
            tree: Arc::clone(tree),
            registration,
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
}

impl Snapshot for EmbeddedSnapshot {
    fn head(&self) -> Option<Head> {
        self.head
    }

    fn get<'s>(&'s self, key: &[u8]) -> Result<Option<Cow<'s, [u8]>>, StorageError> {
        self.registration.check()?;
        if check_key(key).is_err() {
            return Ok(None);
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
        let (map, reader) = (&self.tree.map, &self.reader);
        match direction {
            Direction::Forward => self.visit_rows(
                map.range(reader, &range).map_err(tree::read_failure)?,
                visit,
            ),
            Direction::Backward => self.visit_rows(
                map.rev_range(reader, &range).map_err(tree::read_failure)?,
                visit,
            ),
        }
    }
}

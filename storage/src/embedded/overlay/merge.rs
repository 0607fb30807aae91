//! A scan over the layers and the tree below them, in either direction.

use std::cmp::Ordering;
use std::ops::{Bound, ControlFlow};

use super::layer::{Found, Layer, Rows};
use crate::keyspace::{KeyRange, clip};
use crate::{Direction, StorageError};

/// A key and its value.
pub(in crate::embedded) type Row<'s> = (&'s [u8], &'s [u8]);

/// The rows of the tree in a range, in the direction of the scan.
pub(in crate::embedded) trait TreeRows<'s>: Sized {
    /// The next row.
    fn next(&mut self) -> Result<Option<Row<'s>>, StorageError>;

    /// The rows of another range, in the same direction.
    fn again(&self, range: KeyRange<'_>) -> Result<Self, StorageError>;
}

/// What is called for each row.
pub(in crate::embedded) type Visit<'v, 's> =
    &'v mut (dyn FnMut(&[u8], &'s [u8]) -> Result<ControlFlow<()>, StorageError> + 'v);

/// Visits the rows of a range until `visit` breaks: what the layers, newest first, and `tree` below them make of it.
pub(in crate::embedded) fn merge<'s, T: TreeRows<'s>>(
    layers: &'s [Layer],
    mut tree: T,
    range: KeyRange<'_>,
    direction: Direction,
    visit: Visit<'_, 's>,
) -> Result<(), StorageError> {
    let precedes = match direction {
        Direction::Forward => Ordering::Less,
        Direction::Backward => Ordering::Greater,
    };
    let mut walks: Vec<Walk<'_, '_>> = layers
        .iter()
        .map(|layer| Walk::new(layer, range, direction))
        .collect();
    let mut row = tree.next()?;
    loop {
        if walks.iter().all(Walk::is_over) {
            return visit_all(row, tree, visit);
        }
        let written = walks.iter().filter_map(|walk| walk.row.map(|row| row.0));
        let next = written.chain(row.map(|row| row.0)).reduce(|best, key| {
            if key.cmp(best) == precedes { key } else { best }
        });
        let Some(key) = next else {
            return Ok(());
        };
        let mut found = Found::Unknown;
        let mut hidden = None;
        for walk in &mut walks {
            let own = walk.take(key);
            if found == Found::Unknown {
                found = own;
            }
            if found == Found::Unknown && hidden.is_none() {
                hidden = walk.layer.deleted_range(key);
            }
            if hidden.is_some() && found == Found::Unknown {
                found = Found::Deleted;
            }
        }
        if let Some((tree_key, value)) = row
            && tree_key == key
        {
            if found == Found::Unknown {
                found = Found::Value(value);
            }
            row = match hidden {
                None => tree.next()?,
                // The tree may have a million rows in the deleted range: go round them.
                Some(hidden) => match beyond(range, hidden, direction) {
                    None => None,
                    Some(rest) => {
                        tree = tree.again(rest)?;
                        tree.next()?
                    }
                },
            };
        }
        if let Found::Value(value) = found
            && visit(key, value)?.is_break()
        {
            return Ok(());
        }
    }
}

/// The end of a scan that the layers have nothing more to say to.
fn visit_all<'s, T: TreeRows<'s>>(
    mut row: Option<Row<'s>>,
    mut tree: T,
    visit: Visit<'_, 's>,
) -> Result<(), StorageError> {
    while let Some((key, value)) = row {
        if visit(key, value)?.is_break() {
            break;
        }
        row = tree.next()?;
    }
    Ok(())
}

/// What is left of a range on the far side of a deleted one.
fn beyond<'a>(
    range: KeyRange<'a>,
    (from, to): (&'a [u8], &'a [u8]),
    direction: Direction,
) -> Option<KeyRange<'a>> {
    match direction {
        Direction::Forward => clip(Bound::Included(to), range.1),
        Direction::Backward => clip(range.0, Bound::Excluded(from)),
    }
}

/// The walk over one layer.
struct Walk<'a, 'r> {
    layer: &'a Layer,
    rows: Rows<'a, 'r>,
    row: Option<(&'a [u8], Found<'a>)>,
}

impl<'a, 'r> Walk<'a, 'r> {
    fn new(layer: &'a Layer, range: KeyRange<'r>, direction: Direction) -> Self {
        let mut rows = layer.range(range, direction);
        let row = rows.next();
        Self { layer, rows, row }
    }

    /// Whether the layer has no bearing on what is still to come.
    fn is_over(&self) -> bool {
        self.row.is_none() && !self.layer.has_deleted_ranges()
    }

    /// What the layer wrote to `key`, which is the next one of the scan.
    fn take(&mut self, key: &[u8]) -> Found<'a> {
        match self.row {
            Some((own, found)) if own == key => {
                self.row = self.rows.next();
                found
            }
            _ => Found::Unknown,
        }
    }
}

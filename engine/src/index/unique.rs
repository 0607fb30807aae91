//! Who holds which unique value, in layers: a transaction's own changes, those of its group, of groups that are not
//! durable yet, and the stored rows below them all. A layer knows only what it changed.

use std::ops::{Bound, ControlFlow};

use rustc_hash::{FxHashMap, FxHashSet};
use thalweg_model::{DocumentId, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader};

use super::cursor;
use super::rows::RowValue;
use super::state::IndexId;
use crate::error::EngineError;
use crate::keyspace;

/// Who holds a value, as far as a layer knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Document(DocumentId),
    /// It has been given up.
    Nobody,
}

/// What one layer changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct UniqueEntries {
    holders: FxHashMap<(IndexId, Vec<u8>), Holder>,
    /// Indexes of which every value was given up before the changes of `holders`.
    emptied: FxHashSet<IndexId>,
}

impl UniqueEntries {
    /// Who holds the values of a row; `None` where the layers below know.
    pub(crate) fn lookup(&self, index: IndexId, values: &[u8]) -> Option<Holder> {
        if self.holders.is_empty() && self.emptied.is_empty() {
            return None;
        }
        match self.holders.get(&(index, values.to_vec())) {
            Some(holder) => Some(holder.clone()),
            None => self.emptied.contains(&index).then_some(Holder::Nobody),
        }
    }

    pub(crate) fn claim(&mut self, index: IndexId, values: Vec<u8>, id: DocumentId) {
        self.holders.insert((index, values), Holder::Document(id));
    }

    pub(crate) fn release(&mut self, index: IndexId, values: Vec<u8>) {
        self.holders.insert((index, values), Holder::Nobody);
    }

    /// Gives up every value of an index.
    pub(crate) fn empty(&mut self, index: IndexId) {
        self.holders.retain(|(of, _), _| *of != index);
        self.emptied.insert(index);
    }

    /// Puts a later layer's changes on top of this one's.
    pub(crate) fn merge(&mut self, later: UniqueEntries) {
        for index in later.emptied {
            self.empty(index);
        }
        self.holders.extend(later.holders);
    }
}

/// The document that holds the values of a row: the first layer that knows, topmost first, else the stored rows.
pub(crate) fn holder<'l>(
    layers: impl IntoIterator<Item = &'l UniqueEntries>,
    reader: &dyn Reader,
    index: IndexId,
    values: &[u8],
) -> Result<Option<DocumentId>, EngineError> {
    for layer in layers {
        match layer.lookup(index, values) {
            Some(Holder::Document(id)) => return Ok(Some(id)),
            Some(Holder::Nobody) => return Ok(None),
            None => {}
        }
    }
    stored_holder(reader, index, values)
}

fn stored_holder(
    reader: &dyn Reader,
    index: IndexId,
    values: &[u8],
) -> Result<Option<DocumentId>, EngineError> {
    let prefix_bytes = keyspace::index_rows(index).len();
    let mut from = keyspace::index_rows(index);
    from.extend_from_slice(values);
    let to = prefix_end(&from).expect("an index key does not consist of 0xff bytes");
    let mut found = Ok(None);
    reader.scan(
        Bound::Included(&from),
        Bound::Excluded(&to),
        Direction::Forward,
        &mut |key, stored| {
            let row = RowValue::decode(&stored);
            match row.and_then(|row| Ok((row, cursor::id_of(&key[prefix_bytes..], row)?))) {
                // It does not hold its values, and another one may.
                Ok((row, _)) if row.is_deleted => ControlFlow::Continue(()),
                Ok((_, id)) => {
                    let id = DocumentId::new(&id);
                    found = id.map(Some).map_err(|_| super::rows::corrupt());
                    ControlFlow::Break(())
                }
                Err(error) => {
                    found = Err(error);
                    ControlFlow::Break(())
                }
            }
        },
    )?;
    found
}

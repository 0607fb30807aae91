//! The indexes of a restored store: their rows are derived from the documents as these come.
//!
//! A backup has no rows. A restored index knows nothing of states before the backup, as one that was created with it. One that
//! was still being built begins anew, in the background of the server that opens the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_model::{CollectionId, CommitTs};
use thalweg_storage::Write;

use crate::catalog::StoredCollection;
use crate::error::EngineError;
use crate::index::rows::rows_of;
use crate::index::writer::put_current;
use crate::index::{Index, IndexId, IndexStatistics, IndexStatus};
use crate::keyspace;
use crate::record::Record;

pub(super) struct RestoredIndexes {
    /// The newest commit of the backup.
    at: CommitTs,
    ready: FxHashMap<CollectionId, Vec<Arc<Index>>>,
    statistics: BTreeMap<IndexId, IndexStatistics>,
}

impl RestoredIndexes {
    pub(super) fn new(at: CommitTs) -> Self {
        RestoredIndexes {
            at,
            ready: FxHashMap::default(),
            statistics: BTreeMap::new(),
        }
    }

    /// Notes that an index had that number, so that no other one gets it.
    pub(super) fn keep_number(&mut self, index: IndexId) {
        self.statistics.entry(index).or_default();
    }

    /// A collection's document with its indexes as they are in the restored store; `None` where it has none.
    pub(super) fn collection(
        &mut self,
        record: &Record<'_>,
        mut stored: StoredCollection,
    ) -> Result<Option<Record<'static>>, EngineError> {
        if stored.indexes.is_empty() {
            return Ok(None);
        }
        let restored = stored.indexes.iter().map(|index| self.restored(index));
        stored.indexes = restored.map(Arc::new).collect();
        for index in stored.indexes.iter() {
            self.keep_number(index.id);
            if index.status == IndexStatus::Ready {
                let ready = self.ready.entry(stored.id).or_default();
                ready.push(Arc::clone(index));
            }
        }
        let fields = record.system_fields()?;
        Ok(Some(Record::new(&fields, &stored.to_document())))
    }

    fn restored(&self, index: &Index) -> Index {
        let index = index.clone();
        match index.status {
            IndexStatus::Ready => Index {
                since: self.at,
                changed_at: self.at,
                ..index
            },
            // What is written from its beginning on has its rows, and these are none of the documents that are here.
            IndexStatus::Building => Index {
                since: self.at.next(),
                ..index
            },
            IndexStatus::Failed { .. } => Index {
                erased: true,
                ..index
            },
            IndexStatus::Dropping => index,
        }
    }

    /// Appends the rows of a document.
    pub(super) fn write_rows(
        &mut self,
        collection: CollectionId,
        record: &Record<'_>,
        writes: &mut Vec<Write>,
    ) {
        for index in self.ready.get(&collection).into_iter().flatten() {
            // One with too many rows was never taken into an index that is ready.
            let rows = rows_of(&index.definition, record).unwrap_or_default();
            let counted = self.statistics.entry(index.id).or_default();
            counted.rows += rows.len() as u64;
            counted.documents_done += 1;
            let from = CommitTs::from_micros(record.created_at());
            writes
                .extend(rows.iter().map(|row| {
                    put_current(index.id, &row.values, from, Some(record), record.id())
                }));
        }
    }

    pub(super) fn write_statistics(&self) -> impl Iterator<Item = Write> {
        self.statistics
            .iter()
            .map(|(index, statistics)| Write::Put {
                key: keyspace::index_statistics(*index),
                value: statistics.encode(),
            })
    }
}

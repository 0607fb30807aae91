//! What the rows of a group's commits become in its batch.
//!
//! Only rows that change are written: those that an image lost end, those that it gained begin. An ended row says from
//! when on it may have held, which is when its document was created: the row may be older than the image it was lost
//! with. Readers test the image of the time anyway.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_model::{CollectionId, CommitTs, DocumentId, prefix_end};
use thalweg_storage::Write;

use super::rows::{RowValue, current_key, ended_key, rows_of};
use super::state::{Index, IndexId, IndexStatistics, IndexStatus};
use crate::catalog::{Catalog, Collection};
use crate::commit::{Change, Commit};
use crate::keyspace;
use crate::record::Record;

/// Background work on an index that one commit carries.
#[derive(Clone, Debug)]
pub(crate) struct IndexPage {
    pub(crate) index: IndexId,
    pub(crate) writes: Vec<Write>,
    pub(crate) done: PageDone,
}

#[derive(Clone, Debug)]
pub(crate) enum PageDone {
    Built {
        rows: u64,
        documents: u64,
        to: Option<DocumentId>,
    },
    Erased,
}

/// Turns the commits of one group into writes, in their order.
pub(crate) struct RowWriter<'a> {
    before: &'a Catalog,
    after: &'a Catalog,
    known: &'a FxHashMap<IndexId, IndexStatistics>,
    changed: FxHashMap<IndexId, IndexStatistics>,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(
        before: &'a Catalog,
        after: &'a Catalog,
        known: &'a FxHashMap<IndexId, IndexStatistics>,
    ) -> Self {
        RowWriter {
            before,
            after,
            known,
            changed: FxHashMap::default(),
        }
    }

    /// Appends the rows of one commit.
    pub(crate) fn write(&mut self, commit: &Commit, writes: &mut Vec<Write>) {
        for collection in &commit.emptied {
            // The commit may have dropped the collection, so its indexes are those of either catalog.
            for catalog in [self.before, self.after] {
                for index in indexes(catalog, *collection) {
                    erase_index(index.id, writes);
                    self.counted(index.id).rows = 0;
                }
            }
        }
        let after = self.after;
        for change in &commit.changes {
            for index in indexes(after, change.collection) {
                if index.is_maintained() && commit.ts >= index.since {
                    self.write_change(index, change, commit.ts, writes);
                }
            }
        }
    }

    /// Appends a page of background work. Its place is that of its commit.
    pub(crate) fn write_page(&mut self, page: IndexPage, writes: &mut Vec<Write>) {
        writes.extend(page.writes);
        let counted = self.counted(page.index);
        match page.done {
            PageDone::Built {
                rows,
                documents,
                to,
            } => {
                counted.rows += rows;
                counted.documents_done += documents;
                counted.built_to = to.or(counted.built_to.take());
            }
            PageDone::Erased => *counted = IndexStatistics::default(),
        }
    }

    /// Appends the statistics that changed and returns them. An index that is new has some, which keep its number.
    pub(crate) fn finish(mut self, writes: &mut Vec<Write>) -> FxHashMap<IndexId, IndexStatistics> {
        if !std::ptr::eq(self.before, self.after) {
            for collection in self.after.collections() {
                for index in collection.indexes.iter() {
                    if !self.known.contains_key(&index.id) {
                        self.counted(index.id);
                    }
                }
            }
        }
        for (index, statistics) in &self.changed {
            writes.push(Write::Put {
                key: keyspace::index_statistics(*index),
                value: statistics.encode(),
            });
        }
        self.changed
    }

    fn counted(&mut self, index: IndexId) -> &mut IndexStatistics {
        self.changed
            .entry(index)
            .or_insert_with(|| self.known.get(&index).cloned().unwrap_or_default())
    }

    fn write_change(
        &mut self,
        index: &Index,
        change: &Change,
        ts: CommitTs,
        writes: &mut Vec<Write>,
    ) {
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        let old = before.map_or_else(Vec::new, |image| row_values(index, image));
        let new = after.map_or_else(Vec::new, |image| row_values(index, image));
        let is_deleted = |image: Option<&Record<'_>>| image.is_some_and(Record::is_deleted);
        let marked_anew = is_deleted(before) != is_deleted(after);
        let was_there = before.is_some_and(|image| self.has_rows(index, image, change));
        let id = change.id.as_str();
        // Rows may be older than the image: as old as the document.
        let held_from = CommitTs::from_micros(before.map_or(0, Record::created_at));
        let mut begun = 0_u64;
        let mut ended = 0_u64;
        for values in &old {
            let goes_on = new.binary_search(values).is_ok();
            if goes_on && !marked_anew {
                continue;
            }
            ended += 1;
            if !goes_on {
                writes.push(Write::Delete {
                    key: current_key(index.id, values, id),
                });
            }
            let value = RowValue {
                from: held_from,
                values_bytes: values.len(),
                is_deleted: is_deleted(before),
            };
            writes.push(Write::Put {
                key: ended_key(index.id, values, id, ts),
                value: value.encode(),
            });
        }
        for values in &new {
            let goes_on = !marked_anew && old.binary_search(values).is_ok();
            if goes_on && was_there {
                continue;
            }
            begun += 1;
            let from = if goes_on { held_from } else { ts };
            writes.push(put_current(index.id, values, from, after, id));
        }
        if begun + ended > 0 {
            let ended = if was_there { ended } else { 0 };
            let statistics = self.counted(index.id);
            statistics.rows = (statistics.rows + begun).saturating_sub(ended);
        }
    }

    /// Whether an image's rows are there: not while a build has yet to come to it, which may end in this very group.
    fn has_rows(&self, index: &Index, image: &Record<'_>, change: &Change) -> bool {
        let is_building = |index: &Index| index.status == IndexStatus::Building;
        let was_building = || {
            let mut before = indexes(self.before, change.collection).iter();
            before.any(|it| it.id == index.id && is_building(it))
        };
        if image.commit_ts() >= index.since || !(is_building(index) || was_building()) {
            return true;
        }
        let counted = self
            .changed
            .get(&index.id)
            .or_else(|| self.known.get(&index.id));
        counted.is_some_and(|counted| counted.built_to.as_ref() >= Some(&change.id))
    }
}

/// What puts a row of a current image.
pub(crate) fn put_current(
    index: IndexId,
    values: &[u8],
    from: CommitTs,
    image: Option<&Record<'_>>,
    id: &str,
) -> Write {
    let value = RowValue {
        from,
        values_bytes: values.len(),
        is_deleted: image.is_some_and(Record::is_deleted),
    };
    Write::Put {
        key: current_key(index, values, id),
        value: value.encode(),
    }
}

fn indexes(catalog: &Catalog, collection: CollectionId) -> &[Arc<Index>] {
    let found: Option<&Arc<Collection>> = catalog.by_id(collection);
    found.map_or(&[], |collection| &collection.indexes)
}

/// The values of an image's rows, in order. An image with too many was never taken into the index: its commit was
/// refused, or it is older than the index, which then fails when it is built.
fn row_values(index: &Index, image: &Record<'_>) -> Vec<Vec<u8>> {
    let rows = rows_of(&index.definition, image).unwrap_or_default();
    rows.into_iter().map(|row| row.values).collect()
}

/// Appends what erases all rows of an index at once, ended ones too.
pub(crate) fn erase_index(index: IndexId, writes: &mut Vec<Write>) {
    for prefix in [keyspace::index_rows(index), keyspace::ended_rows(index)] {
        let to = prefix_end(&prefix).expect("an index key does not consist of 0xff bytes");
        writes.push(Write::DeleteRange { from: prefix, to });
    }
}

/// Appends what erases the ended rows of an earlier image that held until `until`. Whoever erases the image from the
/// history calls this.
pub(crate) fn erase_ended(
    indexes: &[Arc<Index>],
    image: &Record<'_>,
    until: CommitTs,
    writes: &mut Vec<Write>,
) {
    for index in indexes {
        // An index knows nothing of what ended before it was.
        if !index.is_maintained() || until < index.since {
            continue;
        }
        for values in row_values(index, image) {
            writes.push(Write::Delete {
                key: ended_key(index.id, &values, image.id(), until),
            });
        }
    }
}

//! What a draft does about indexes: creates and drops them, does their background work, and checks at its end that the
//! documents it writes may have the rows that they get.
//!
//! The check comes after the last intent, so two documents may swap their unique values within one transaction.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use thalweg_model::{CollectionId, DocumentId, prefix_end};
use thalweg_storage::{Direction, Write};

use super::{ApplyError, Draft};
use crate::catalog::{COLLECTIONS, Collection, StoredCollection};
use crate::error::{EngineError, IntentError};
use crate::group::{DocumentKey, Image};
use crate::index::rows::{INDEX_ROWS_MAX, Row, rows_of, values_json};
use crate::index::unique;
use crate::index::writer::{IndexPage, PageDone, erase_index, put_current};
use crate::index::{INDEXES_MAX, Index, IndexDefinition, IndexId, IndexStatus};
use crate::intent::{CollectionRef, Step};
use crate::keyspace;
use crate::record::Record;

/// About how many bytes of documents a page of a build looks at.
const BUILD_BYTES_MAX: usize = 1 << 20;

impl Draft<'_> {
    pub(super) fn create_index(
        &mut self,
        collection: CollectionRef,
        definition: IndexDefinition,
    ) -> Result<Step, ApplyError> {
        definition.check().map_err(IntentError::from)?;
        let collection = self.collection(collection)?;
        let found = self.indexed(collection)?;
        let mut indexes: Vec<Arc<Index>> = found.indexes.to_vec();
        let same = |index: &&mut Arc<Index>| {
            index.definition == definition && index.status != IndexStatus::Dropping
        };
        if let Some(index) = indexes.iter_mut().find(same) {
            if !matches!(index.status, IndexStatus::Failed { .. }) {
                if !index.automatic {
                    return Ok(step(collection, false));
                }
                // It is somebody's from now on, and stays when the relation goes.
                Arc::make_mut(index).automatic = false;
                self.set_indexes(&found, indexes)?;
                return Ok(step(collection, true));
            }
            // What it has left is erased under its old number.
            let index = Arc::make_mut(index);
            index.status = IndexStatus::Dropping;
            index.changed_at = self.ts;
        }
        let kept = indexes
            .iter()
            .filter(|index| index.status != IndexStatus::Dropping);
        if kept.count() >= INDEXES_MAX {
            return Err(IntentError::TooManyIndexes {
                collection: found.name.to_string(),
                indexes_max: INDEXES_MAX,
            }
            .into());
        }
        indexes.push(Arc::new(Index {
            id: IndexId(self.drafted.next_index),
            definition,
            automatic: false,
            status: IndexStatus::Building,
            since: self.ts,
            changed_at: self.ts,
            erased: false,
        }));
        self.drafted.next_index += 1;
        self.set_indexes(&found, indexes)?;
        Ok(step(collection, true))
    }

    pub(super) fn drop_index(
        &mut self,
        collection: CollectionRef,
        definition: &IndexDefinition,
    ) -> Result<Step, ApplyError> {
        let collection = self.collection(collection)?;
        let found = self.indexed(collection)?;
        let Some(index) = found.index(definition).map(|index| index.id) else {
            return Ok(step(collection, false));
        };
        self.set_status(&found, index, &IndexStatus::Dropping)?;
        Ok(step(collection, true))
    }

    /// Does the next page of background work on an index.
    pub(super) fn maintain_index(
        &mut self,
        collection: CollectionId,
        index: IndexId,
    ) -> Result<Step, ApplyError> {
        let found = self.indexed(collection)?;
        let Some(index) = found.indexes.iter().find(|it| it.id == index).cloned() else {
            return Ok(step(collection, false));
        };
        match &index.status {
            // One page a group: how far the last one got is known when its group is closed.
            _ if !index.needs_work() || self.has_page(index.id) => {
                return Ok(step(collection, false));
            }
            IndexStatus::Building => self.build_page(&found, &index)?,
            _ => self.erase_page(&found, &index)?,
        }
        Ok(step(collection, true))
    }

    fn has_page(&self, index: IndexId) -> bool {
        let mut pages = self.drafted.pages.iter().chain(self.ground.index_pages());
        pages.any(|page| page.index == index)
    }

    fn indexed(&self, collection: CollectionId) -> Result<Arc<Collection>, IntentError> {
        let found = self.catalog().by_id(collection).cloned();
        found.ok_or_else(|| IntentError::NoSuchCollection {
            name: collection.to_string(),
        })
    }

    fn set_status(
        &mut self,
        collection: &Arc<Collection>,
        index: IndexId,
        status: &IndexStatus,
    ) -> Result<(), ApplyError> {
        let mut indexes = collection.indexes.to_vec();
        for found in indexes.iter_mut().filter(|found| found.id == index) {
            let found = Arc::make_mut(found);
            found.status = status.clone();
            found.changed_at = self.ts;
        }
        self.set_indexes(collection, indexes)
    }

    fn set_indexes(
        &mut self,
        collection: &Arc<Collection>,
        indexes: Vec<Arc<Index>>,
    ) -> Result<(), ApplyError> {
        let changed = Collection {
            indexes: indexes.into(),
            ..(**collection).clone()
        };
        let key = (COLLECTIONS, StoredCollection::document_id(collection.id));
        self.put(
            key,
            &StoredCollection::of(&changed).to_document(),
            crate::intent::ExpiryChange::KEEP,
        )?;
        self.catalog_mut().insert(changed);
        Ok(())
    }

    /// Adds the rows of the next documents, from their images as they are now. Documents that were written since the
    /// index is there have theirs already.
    fn build_page(
        &mut self,
        collection: &Arc<Collection>,
        index: &Arc<Index>,
    ) -> Result<(), ApplyError> {
        let counted = self.ground.index_statistics(index.id);
        let built_to = counted.and_then(|counted| counted.built_to.clone());
        let (ids, is_last) = self.next_ids(collection.id, built_to.as_ref())?;
        let mut page = IndexPage {
            index: index.id,
            writes: Vec::new(),
            done: PageDone::Erased,
        };
        let documents = ids.len() as u64;
        let to = ids.last().cloned();
        for id in ids {
            let key = (collection.id, id);
            let Some(image) = self.image(&key)? else {
                continue;
            };
            if image.commit_ts() >= index.since {
                continue;
            }
            let rows = match self.claim_built(index, &key, &image)? {
                Ok(rows) => rows,
                Err(reason) => {
                    let reason = reason.into();
                    let failed = IndexStatus::Failed { reason };
                    return self.set_status(collection, index.id, &failed);
                }
            };
            let from = image.commit_ts();
            page.writes.extend(
                rows.iter().map(|row| {
                    put_current(index.id, &row.values, from, Some(&image), key.1.as_str())
                }),
            );
        }
        page.done = PageDone::Built {
            rows: page.writes.len() as u64,
            documents,
            to,
        };
        self.drafted.pages.push(page);
        if is_last {
            self.set_status(collection, index.id, &IndexStatus::Ready)?;
        }
        Ok(())
    }

    /// The rows of a document that is taken into an index, or why it cannot be.
    fn claim_built(
        &mut self,
        index: &Index,
        key: &DocumentKey,
        image: &Record<'static>,
    ) -> Result<Result<Vec<Row>, String>, EngineError> {
        let id = &key.1;
        let Ok(rows) = rows_of(&index.definition, image) else {
            return Ok(Err(format!(
                "document {id:?} has more than {INDEX_ROWS_MAX} distinct items in an indexed list"
            )));
        };
        if !index.definition.unique || image.is_deleted() {
            return Ok(Ok(rows));
        }
        for row in rows.iter().filter(|row| !row.has_null) {
            if let Some(other) = self.holder(index.id, row)?.filter(|other| other != id) {
                return Ok(Err(both_have(index, image, row, [&other, id])));
            }
            let unique = &mut self.drafted.unique;
            unique.claim(index.id, row.values.clone(), id.clone());
        }
        Ok(Ok(rows))
    }

    /// The next documents, and whether they are the last.
    fn next_ids(
        &self,
        collection: CollectionId,
        after: Option<&DocumentId>,
    ) -> Result<(Vec<DocumentId>, bool), EngineError> {
        let prefix = keyspace::documents(collection);
        let end = prefix_end(&prefix).expect("a document key does not consist of 0xff bytes");
        let after = after.map(|id| keyspace::document(collection, id.as_str()));
        let from = after
            .as_ref()
            .map_or(Bound::Included(&prefix), Bound::Excluded);
        let mut ids = Vec::new();
        let mut bytes = 0;
        let mut more = false;
        self.ground.base.scan_documents(
            collection,
            from,
            Bound::Excluded(&end),
            Direction::Forward,
            &mut |_, record| {
                if ids.len() == self.rules.index_page_max || bytes >= BUILD_BYTES_MAX {
                    more = true;
                    return ControlFlow::Break(());
                }
                bytes += record.stored().len();
                ids.push(DocumentId::new(record.id()));
                ControlFlow::Continue(())
            },
        )?;
        let ids: Result<_, _> = ids.into_iter().collect();
        let ids = ids.map_err(|_| EngineError::Corrupt { what: "id" })?;
        Ok((ids, !more))
    }

    /// Removes the next rows of an index that is no longer maintained; the last page removes it from the catalog, or
    /// says of a failed one that it is erased.
    fn erase_page(
        &mut self,
        collection: &Arc<Collection>,
        index: &Arc<Index>,
    ) -> Result<(), ApplyError> {
        let mut writes = Vec::new();
        let mut is_last = true;
        for prefix in [
            keyspace::index_rows(index.id),
            keyspace::ended_rows(index.id),
        ] {
            let end = prefix_end(&prefix).expect("an index key does not consist of 0xff bytes");
            let mut seen = 0;
            let mut next = None;
            let scanned = self.ground.base.reader().scan(
                Bound::Included(&prefix),
                Bound::Excluded(&end),
                Direction::Forward,
                &mut |key, _| {
                    if seen == self.rules.index_page_max {
                        next = Some(key.to_vec());
                        return ControlFlow::Break(());
                    }
                    seen += 1;
                    ControlFlow::Continue(())
                },
            );
            scanned.map_err(EngineError::from)?;
            if let Some(to) = next {
                writes.push(Write::DeleteRange { from: prefix, to });
                is_last = false;
            }
        }
        if is_last {
            erase_index(index.id, &mut writes);
            let mut indexes = collection.indexes.to_vec();
            indexes.retain(|it| it.id != index.id || it.status != IndexStatus::Dropping);
            for failed in indexes.iter_mut().filter(|it| it.id == index.id) {
                Arc::make_mut(failed).erased = true;
            }
            self.set_indexes(collection, indexes)?;
        }
        self.drafted.pages.push(IndexPage {
            index: index.id,
            writes,
            done: PageDone::Erased,
        });
        Ok(())
    }

    fn holder(&self, index: IndexId, row: &Row) -> Result<Option<DocumentId>, EngineError> {
        let layers = std::iter::once(&self.drafted.unique).chain(self.ground.base.overlay.unique());
        unique::holder(layers, self.ground.base.reader(), index, &row.values)
    }

    /// Checks that the documents that were written may have the rows they get, and notes who holds which unique
    /// value. Returns the document that may not, where there is one.
    pub(crate) fn check_indexes(&mut self) -> Result<(), (DocumentKey, ApplyError)> {
        for position in 0..self.drafted.emptied.len() {
            let indexes = self.maintained(self.drafted.emptied[position]);
            for index in indexes.iter().filter(|index| index.definition.unique) {
                self.drafted.unique.empty(index.id);
            }
        }
        let mut all = Vec::new();
        for key in &self.drafted.written {
            let rows = self.unique_rows(key);
            let rows = rows.map_err(|error| (key.clone(), error))?;
            if let Some(rows) = rows {
                all.push((key.clone(), rows));
            }
        }
        for (key, rows) in &mut all {
            for (index, row) in rows.released.drain(..) {
                // Another one may hold the value of a document that the build has yet to come to.
                let is_built = index.status == IndexStatus::Ready;
                let holder = match is_built {
                    true => None,
                    false => self
                        .holder(index.id, &row)
                        .map_err(|error| (key.clone(), error.into()))?,
                };
                if is_built || holder.as_ref() == Some(&key.1) {
                    self.drafted.unique.release(index.id, row.values);
                }
            }
        }
        for (key, rows) in all {
            for (index, row) in rows.claimed {
                let holder = self.holder(index.id, &row);
                let holder = holder.map_err(|error| (key.clone(), error.into()))?;
                if let Some(id) = holder.filter(|id| *id != key.1) {
                    let error = self.violation(&key, &index, &row, id);
                    return Err((key, error.into()));
                }
                let unique = &mut self.drafted.unique;
                unique.claim(index.id, row.values, key.1.clone());
            }
            for (index, row) in rows.kept {
                self.keep(&index, &key, row)
                    .map_err(|error| (key.clone(), error))?;
            }
        }
        Ok(())
    }

    /// Takes a value of an older document into an index that is being built. That two documents have it is no fault of
    /// this write, so it is the index that fails.
    fn keep(&mut self, index: &Index, key: &DocumentKey, row: Row) -> Result<(), ApplyError> {
        let holder = self.holder(index.id, &row)?;
        let Some(other) = holder.filter(|other| *other != key.1) else {
            let unique = &mut self.drafted.unique;
            unique.claim(index.id, row.values, key.1.clone());
            return Ok(());
        };
        let image = self.drafted.own.image(key.0, key.1.as_str()).flatten();
        let reason = image.map_or_else(String::new, |image| {
            both_have(index, &image, &row, [&other, &key.1])
        });
        let failed = IndexStatus::Failed {
            reason: reason.into(),
        };
        let collection = self.indexed(key.0)?;
        self.set_status(&collection, index.id, &failed)
    }

    fn maintained(&self, collection: CollectionId) -> Vec<Arc<Index>> {
        let found = self.catalog().by_id(collection);
        let indexes = found.map_or(&[][..], |collection| &collection.indexes);
        let maintained = indexes.iter().filter(|index| index.is_maintained());
        maintained.cloned().collect()
    }

    /// What a written document does in unique indexes; `None` for one of a collection without indexes.
    fn unique_rows(&self, key: &DocumentKey) -> Result<Option<UniqueRows>, ApplyError> {
        let indexes = self.maintained(key.0);
        if indexes.is_empty() {
            return Ok(None);
        }
        let after = self.drafted.own.image(key.0, key.1.as_str()).flatten();
        let mut before: Option<Image> = None;
        let mut changed = UniqueRows::default();
        for index in indexes {
            let definition = &index.definition;
            if !definition.unique && !definition.has_list() {
                continue;
            }
            let mut new = match &after {
                Some(image) => {
                    rows_of(definition, image).map_err(|_| self.too_many(key.0, &index))?
                }
                None => Vec::new(),
            };
            if !definition.unique {
                continue;
            }
            if before.is_none() {
                before = Some(self.image_before(key)?);
            }
            let held = before.iter().flatten().find(|image| !image.is_deleted());
            let mut old = held.map_or_else(Vec::new, |image| {
                rows_of(definition, image).unwrap_or_default()
            });
            if after.as_ref().is_none_or(|image| image.is_deleted()) {
                new.clear();
            }
            new.retain(|row| !row.has_null);
            old.retain(|row| !row.has_null);
            let with_index = |row: &Row| (Arc::clone(&index), row.clone());
            let given_up = old.iter().filter(|row| new.binary_search(row).is_err());
            changed.released.extend(given_up.map(with_index));
            let wanted = new.iter().filter(|row| old.binary_search(row).is_err());
            changed.claimed.extend(wanted.map(with_index));
            let may_be_unbuilt = held.is_some_and(|image| image.commit_ts() < index.since);
            if index.status == IndexStatus::Building && may_be_unbuilt {
                let kept = new.iter().filter(|row| old.binary_search(row).is_ok());
                changed.kept.extend(kept.map(with_index));
            }
        }
        Ok(Some(changed))
    }

    fn image_before(&self, key: &DocumentKey) -> Result<Image, EngineError> {
        if self.drafted.emptied.contains(&key.0) {
            return Ok(None);
        }
        self.ground.image(key)
    }

    fn too_many(&self, collection: CollectionId, index: &Index) -> IntentError {
        IntentError::TooManyIndexRows {
            collection: self.name_of(collection),
            index: index.definition.to_string(),
            rows_max: INDEX_ROWS_MAX,
        }
    }

    fn violation(
        &self,
        key: &DocumentKey,
        index: &Index,
        row: &Row,
        id: DocumentId,
    ) -> IntentError {
        let image = self.drafted.own.image(key.0, key.1.as_str()).flatten();
        IntentError::UniqueViolation {
            collection: self.name_of(key.0),
            fields: index.definition.field_texts(),
            value: image.map_or_else(String::new, |image| {
                values_json(&index.definition, &image, row)
            }),
            id,
        }
    }
}

/// Why a unique index cannot be built.
fn both_have(index: &Index, image: &Record<'_>, row: &Row, ids: [&DocumentId; 2]) -> String {
    let [one, other] = ids;
    let fields = index.definition.field_texts().join(", ");
    let value = values_json(&index.definition, image, row);
    format!("the documents {one:?} and {other:?} both have {fields} {value}")
}

/// The rows of unique indexes that a document gives up, and those that it wants.
#[derive(Default)]
struct UniqueRows {
    released: Vec<(Arc<Index>, Row)>,
    claimed: Vec<(Arc<Index>, Row)>,
    /// Those that it had and keeps, where the build may not have come to it: it will pass the document over, since this
    /// commit writes its rows.
    kept: Vec<(Arc<Index>, Row)>,
}

fn step(collection: CollectionId, changed: bool) -> Step {
    Step {
        collection: Some(collection),
        changed,
        ..Step::default()
    }
}

//! A consistent view of everything at one timestamp.

use std::borrow::Cow;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use thalweg_model::{CollectionId, CommitTs};
use thalweg_storage::{Direction, Snapshot as Reader};

use crate::catalog::Catalog;
use crate::chunk;
use crate::error::EngineError;
use crate::find::{self, Deleted, Find, Found};
use crate::keyspace;
use crate::predicate::Predicate;
use crate::record::Record;
use crate::statistics::Statistics;

/// A view of the state at [`Snapshot::ts`]: one reader of the backend and the catalog of that time.
///
/// It holds a backend reader, whose life the backend bounds: hold it for one execution, not for a connection.
pub struct Snapshot {
    reader: Box<dyn Reader>,
    ts: CommitTs,
    catalog: Arc<Catalog>,
}

impl Snapshot {
    pub(crate) fn new(reader: Box<dyn Reader>, ts: CommitTs, catalog: Arc<Catalog>) -> Self {
        Snapshot {
            reader,
            ts,
            catalog,
        }
    }

    pub(crate) fn reader(&self) -> &dyn Reader {
        &*self.reader
    }

    /// The newest commit that the view includes.
    pub fn ts(&self) -> CommitTs {
        self.ts
    }

    /// The collections and their types at that time.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// A document by its id, softly deleted or not.
    pub fn get(
        &self,
        collection: CollectionId,
        id: &str,
    ) -> Result<Option<Record<'_>>, EngineError> {
        read_document(&*self.reader, collection, id)
    }

    /// A page of documents.
    pub fn find<'s>(&'s self, find: &Find) -> Result<Found<'s>, EngineError> {
        find::find(self, find)
    }

    /// How many documents satisfy a filter.
    pub fn count(
        &self,
        collection: CollectionId,
        filter: Arc<Predicate>,
        deleted: Deleted,
    ) -> Result<u64, EngineError> {
        let found = self.find(&Find {
            collection,
            filter,
            deleted,
            order: Arc::from([]),
            after: None,
            before: None,
            offset: 0,
            limit: 0,
            from_end: false,
            count_total: true,
            read: crate::field::FieldMask::none(),
        })?;
        Ok(found.total.expect("the total was asked for"))
    }

    /// The document counts and the shape of a collection.
    pub fn statistics(&self, collection: CollectionId) -> Result<Statistics, EngineError> {
        read_statistics(&*self.reader, collection)
    }

    /// The number of documents of a collection, without the softly deleted ones.
    pub fn document_count(&self, collection: CollectionId) -> Result<u64, EngineError> {
        match stored_statistics(&*self.reader, collection)? {
            Some(bytes) => Statistics::decode_documents(&bytes),
            None => Ok(0),
        }
    }

    /// The number of documents that a scan of a collection visits: the softly deleted ones included.
    pub fn stored_count(&self, collection: CollectionId) -> Result<u64, EngineError> {
        match stored_statistics(&*self.reader, collection)? {
            Some(bytes) => Statistics::decode_stored(&bytes),
            None => Ok(0),
        }
    }

    /// The commit that last emptied a collection at once; zero where none did.
    pub(crate) fn emptied_ts(&self, collection: CollectionId) -> Result<CommitTs, EngineError> {
        match stored_statistics(&*self.reader, collection)? {
            Some(bytes) => Statistics::decode_emptied_ts(&bytes),
            None => Ok(CommitTs::ZERO),
        }
    }

    /// Visits the current images between two document keys. A corrupt one ends the scan with an error.
    pub(crate) fn scan_documents<'s>(
        &'s self,
        collection: CollectionId,
        from: Bound<&Vec<u8>>,
        to: Bound<&Vec<u8>>,
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], Record<'s>) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let reader = &*self.reader;
        let prefix_bytes = keyspace::documents(collection).len();
        let mut failure = None;
        reader.scan(
            from.map(Vec::as_slice),
            to.map(Vec::as_slice),
            direction,
            &mut |key, stored| {
                let owner = || key.to_vec();
                debug_assert!(key.len() > prefix_bytes);
                match chunk::resolve(reader, stored, owner).and_then(Record::from_stored) {
                    Ok(record) => visit(key, record),
                    Err(error) => {
                        failure = Some(error);
                        ControlFlow::Break(())
                    }
                }
            },
        )?;
        failure.map_or(Ok(()), Err)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("ts", &self.ts)
            .finish_non_exhaustive()
    }
}

pub(crate) fn read_document<'s>(
    reader: &'s dyn Reader,
    collection: CollectionId,
    id: &str,
) -> Result<Option<Record<'s>>, EngineError> {
    // A longer id cannot be one, and might not be a legal key.
    if id.len() > thalweg_model::DocumentId::BYTES_MAX {
        return Ok(None);
    }
    let key = keyspace::document(collection, id);
    let Some(stored) = reader.get(&key)? else {
        return Ok(None);
    };
    Record::from_stored(chunk::resolve(reader, stored, || key)?).map(Some)
}

fn stored_statistics(
    reader: &dyn Reader,
    collection: CollectionId,
) -> Result<Option<Cow<'_, [u8]>>, EngineError> {
    let key = keyspace::statistics(collection);
    match reader.get(&key)? {
        Some(stored) => chunk::resolve(reader, stored, || key).map(Some),
        None => Ok(None),
    }
}

pub(crate) fn read_statistics(
    reader: &dyn Reader,
    collection: CollectionId,
) -> Result<Statistics, EngineError> {
    match stored_statistics(reader, collection)? {
        Some(bytes) => Statistics::decode(&bytes),
        None => Ok(Statistics::default()),
    }
}

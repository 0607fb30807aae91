//! How many documents there are: counted with every commit, and by a look at all of them at an earlier time.

use std::borrow::Cow;
use std::ops::{Bound, ControlFlow};

use thalweg_model::{CollectionId, CommitTs, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader};

use super::{Snapshot, read_document};
use crate::chunk;
use crate::error::EngineError;
use crate::keyspace;
use crate::overlay::Delta;
use crate::record::Record;
use crate::statistics::Statistics;

impl Snapshot {
    /// The document counts and the shape of a collection. At an earlier time the counts are those of then, which
    /// takes a scan, and the shape is that of now.
    pub fn statistics(&self, collection: CollectionId) -> Result<Statistics, EngineError> {
        let statistics = read_statistics(&*self.reader, collection)?;
        if self.as_of.is_none() {
            return Ok(statistics);
        }
        let (documents, deleted) = self.count_by_scan(collection)?;
        Ok(Statistics {
            documents,
            deleted,
            ..statistics
        })
    }

    /// The number of documents of a collection, without the softly deleted ones.
    pub fn document_count(&self, collection: CollectionId) -> Result<u64, EngineError> {
        self.document_count_under(None, collection)
    }

    /// The same, where a transaction sees what it has written itself.
    pub(crate) fn document_count_under(
        &self,
        own: Option<&Delta>,
        collection: CollectionId,
    ) -> Result<u64, EngineError> {
        if self.as_of.is_some() {
            return self.count_by_scan(collection).map(|(shown, _)| shown);
        }
        let stored = match stored_statistics(&*self.reader, collection)? {
            Some(bytes) => Statistics::decode_documents(&bytes)?,
            None => 0,
        };
        self.overlaid_count(own, collection, stored, |image| !image.is_deleted())
    }

    /// The number of documents that a scan of a collection visits: the softly deleted ones included. At an earlier time
    /// it is about that of now, since the scan visits what is there now too.
    pub fn stored_count(&self, collection: CollectionId) -> Result<u64, EngineError> {
        let stored = match stored_statistics(&*self.reader, collection)? {
            Some(bytes) => Statistics::decode_stored(&bytes)?,
            None => 0,
        };
        self.overlaid_count(None, collection, stored, |_| true)
    }

    /// The documents that are not softly deleted and those that are.
    fn count_by_scan(&self, collection: CollectionId) -> Result<(u64, u64), EngineError> {
        let prefix = keyspace::documents(collection);
        let end = prefix_end(&prefix).expect("a document key does not consist of 0xff bytes");
        let (mut shown, mut deleted) = (0, 0);
        self.scan_documents(
            collection,
            Bound::Included(&prefix),
            Bound::Excluded(&end),
            Direction::Forward,
            &mut |_, record| {
                if record.is_deleted() {
                    deleted += 1;
                } else {
                    shown += 1;
                }
                ControlFlow::Continue(())
            },
        )?;
        Ok((shown, deleted))
    }

    /// What a count of the stored documents becomes with the images over them.
    fn overlaid_count(
        &self,
        own: Option<&Delta>,
        collection: CollectionId,
        stored: u64,
        counts: impl Fn(&Record<'_>) -> bool,
    ) -> Result<u64, EngineError> {
        let Some(known) = self.layers(own).collection(collection) else {
            return Ok(stored);
        };
        let mut count = if known.hides_stored { 0 } else { stored };
        for (id, image) in &known.images {
            if !known.hides_stored
                && read_document(&*self.reader, collection, id)?.is_some_and(|image| counts(&image))
            {
                count = count.saturating_sub(1);
            }
            if image.is_some_and(|image| counts(image)) {
                count += 1;
            }
        }
        Ok(count)
    }

    /// The commit that last emptied a collection at once; zero where none did.
    pub(crate) fn emptied_ts(&self, collection: CollectionId) -> Result<CommitTs, EngineError> {
        match stored_statistics(&*self.reader, collection)? {
            Some(bytes) => Statistics::decode_emptied_ts(&bytes),
            None => Ok(CommitTs::ZERO),
        }
    }
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

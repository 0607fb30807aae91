//! Index rows: those of current images are exactly those that the definitions derive from the documents, and every
//! ended one is of an earlier image that ended when it did.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use thalweg_model::{CollectionId, CommitTs, KeyReader, prefix_end};
use thalweg_storage::Direction;

use super::{FindingKind, Store, document_name, found_or, name};
use crate::error::EngineError;
use crate::history;
use crate::index::rows::{RowValue, current_key, rows_of};
use crate::index::{self, Index, IndexId, IndexStatistics, IndexStatus};
use crate::keyspace::{self, Keyspace};
use crate::record::Record;

/// An index of the catalog.
pub(super) struct Known {
    collection: CollectionId,
    index: Arc<Index>,
    /// As stored.
    statistics: IndexStatistics,
    /// Rows that were found.
    rows: u64,
}

pub(super) type Indexes = BTreeMap<IndexId, Known>;

/// Notes the indexes of a collection, before its documents come.
pub(super) fn note(
    store: &mut Store<'_>,
    collection: CollectionId,
    indexes: &[Arc<Index>],
) -> Result<(), EngineError> {
    for index in indexes {
        let statistics = index::read_statistics(store.reader, index.id);
        let place = || index_name(index.id);
        let statistics = found_or(&mut store.findings, FindingKind::Index, statistics, place)?;
        let known = Known {
            collection,
            index: Arc::clone(index),
            statistics: statistics.unwrap_or_default(),
            rows: 0,
        };
        if store.indexes.insert(index.id, known).is_some() {
            let detail = "two indexes have this number";
            store.find(FindingKind::Index, index_name(index.id), detail);
        }
    }
    Ok(())
}

/// Checks that a document has its rows in every index that has come to it.
pub(super) fn check_document(
    store: &mut Store<'_>,
    place: &str,
    collection: CollectionId,
    record: &Record<'_>,
) -> Result<(), EngineError> {
    let mut missing = Vec::new();
    for known in store.indexes.values() {
        if known.collection != collection || !has_rows(known, record) {
            continue;
        }
        for row in rows_of(&known.index.definition, record).unwrap_or_default() {
            let key = current_key(known.index.id, &row.values, record.id());
            let stored = store.reader.get(&key)?;
            let value = stored.and_then(|stored| RowValue::decode(&stored).ok());
            if value.is_none_or(|value| value.is_deleted != record.is_deleted()) {
                missing.push(known.index.id);
            }
        }
    }
    for index in missing {
        let detail = format!("{} lacks a row of it", index_name(index));
        store.find(FindingKind::Index, place, detail);
    }
    Ok(())
}

/// Whether an index must have the rows of a document: a build may have yet to come to it.
fn has_rows(known: &Known, record: &Record<'_>) -> bool {
    match known.index.status {
        IndexStatus::Ready => true,
        IndexStatus::Building => {
            let built_to = known.statistics.built_to.as_ref();
            record.commit_ts() >= known.index.since
                || built_to.is_some_and(|to| to.as_str() >= record.id())
        }
        IndexStatus::Failed { .. } | IndexStatus::Dropping => false,
    }
}

pub(super) fn check(store: &mut Store<'_>) -> Result<(), EngineError> {
    let kind = FindingKind::Index;
    store.scan(Keyspace::IndexStatistics, &mut |store, key, _| {
        // A dropped index leaves some, which keep its number.
        let index = keyspace::parse_index_statistics(key);
        if index.is_ok_and(|index| key == keyspace::index_statistics(index)) {
            return Ok(());
        }
        store.find(
            FindingKind::Key,
            name(key),
            "it is no key of index statistics",
        );
        Ok(())
    })?;
    store.scan(Keyspace::IndexRow, &mut |store, key, stored| {
        check_row(store, key, &stored)
    })?;
    store.scan(Keyspace::EndedRow, &mut |store, key, stored| {
        check_ended(store, key, &stored)
    })?;
    for known in std::mem::take(&mut store.indexes).into_values() {
        if known.index.is_maintained() && known.statistics.rows != known.rows {
            let detail = format!(
                "it counts {} rows; there are {}",
                known.statistics.rows, known.rows
            );
            store.find(kind, index_name(known.index.id), detail);
        }
    }
    Ok(())
}

/// A row: which index it is of, its values, and its document.
struct Row<'k> {
    collection: CollectionId,
    index: Arc<Index>,
    values: &'k [u8],
    id: String,
    /// What is left of the key.
    rest: &'k [u8],
    value: RowValue,
}

fn parse<'k>(store: &mut Store<'_>, key: &'k [u8], stored: &[u8]) -> Option<Row<'k>> {
    let prefix_bytes = keyspace::index_rows(IndexId(0)).len();
    let Ok(index) = keyspace::parse_row(key) else {
        store.find(FindingKind::Key, name(key), "it is no key of an index row");
        return None;
    };
    let Some(known) = store.indexes.get_mut(&index) else {
        store.find(FindingKind::Index, name(key), "there is no such index");
        return None;
    };
    known.rows += u64::from(Keyspace::of(key) == Some(Keyspace::IndexRow));
    let (collection, index) = (known.collection, Arc::clone(&known.index));
    let read = || {
        let value = RowValue::decode(stored).ok()?;
        let (values, rest) = key
            .get(prefix_bytes..)?
            .split_at_checked(value.values_bytes)?;
        let mut reader = KeyReader::new(rest);
        let id = reader.string()?.into_owned();
        Some(Row {
            collection,
            index,
            values,
            id,
            rest: reader.rest(),
            value,
        })
    };
    let row = read();
    if row.is_none() {
        store.find(FindingKind::Index, name(key), "it cannot be read");
    }
    row
}

fn check_row(store: &mut Store<'_>, key: &[u8], stored: &[u8]) -> Result<(), EngineError> {
    let Some(row) = parse(store, key, stored) else {
        return Ok(());
    };
    if !row.index.is_maintained() {
        return Ok(());
    }
    let record = store.current(row.collection, &row.id)?;
    let is_right = record.is_some_and(|record| {
        row.rest.is_empty()
            && row.value.is_deleted == record.is_deleted()
            && has_values(&row, &record)
    });
    if !is_right {
        let detail = format!(
            "{} has a row that it should not have",
            index_name(row.index.id)
        );
        store.find(
            FindingKind::Index,
            document_name(row.collection, &row.id),
            detail,
        );
    }
    Ok(())
}

fn check_ended(store: &mut Store<'_>, key: &[u8], stored: &[u8]) -> Result<(), EngineError> {
    let Some(row) = parse(store, key, stored) else {
        return Ok(());
    };
    if !row.index.is_maintained() {
        return Ok(());
    }
    let until = row
        .rest
        .try_into()
        .map(u64::from_be_bytes)
        .map(|until| !until);
    let image = match until {
        Ok(until) => image_until(store, &row, until)?,
        Err(_) => None,
    };
    if !image.is_some_and(|image| has_values(&row, &image)) {
        let detail = format!("{} has an ended row of no image", index_name(row.index.id));
        store.find(
            FindingKind::Index,
            document_name(row.collection, &row.id),
            detail,
        );
    }
    Ok(())
}

/// The earlier image of a row's document that held until then.
fn image_until(
    store: &Store<'_>,
    row: &Row<'_>,
    until: u64,
) -> Result<Option<Record<'static>>, EngineError> {
    let before = CommitTs::from_micros(until.saturating_sub(1));
    let from = keyspace::history(row.collection, &row.id, before);
    let prefix = keyspace::histories_of(row.collection, &row.id);
    let end = prefix_end(&prefix).expect("a key does not consist of 0xff bytes");
    let mut written = None;
    store.reader.scan(
        Bound::Included(&from),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, value| {
            if value.starts_with(&until.to_be_bytes()) {
                written = keyspace::parse_history(key).ok();
            }
            ControlFlow::Break(())
        },
    )?;
    let Some((collection, id, written)) = written else {
        return Ok(None);
    };
    match history::image(store.reader, collection, &id, written) {
        Err(EngineError::Corrupt { .. }) => Ok(None),
        image => image,
    }
}

fn has_values(row: &Row<'_>, record: &Record<'_>) -> bool {
    let rows = rows_of(&row.index.definition, record).unwrap_or_default();
    rows.iter().any(|other| other.values == row.values)
}

fn index_name(index: IndexId) -> String {
    format!("index {}", index.0)
}

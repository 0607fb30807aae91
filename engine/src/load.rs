//! Reading the state that an engine starts from: names, collections, counts, and the published types.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_model::{CommitTs, prefix_end};
use thalweg_schema_infer::{CollectionSchema, Evidence, NameRegistry};
use thalweg_storage::{Direction, Snapshot as Reader};

use crate::catalog::{COLLECTIONS, Catalog, Collection, FIRST_USER_COLLECTION, StoredCollection};
use crate::chunk;
use crate::error::EngineError;
use crate::group::State;
use crate::index;
use crate::keyspace;
use crate::leadership::decode_version;
use crate::published_types;
use crate::record::Record;
use crate::relations::name_relations;
use crate::snapshot::read_statistics;
use crate::statistics;

/// The state that a committer starts from.
pub(crate) fn load(reader: &dyn Reader) -> Result<State, EngineError> {
    let mut names = load_names(reader)?;
    let mut catalog = Catalog::default();
    catalog.version = stored_catalog_version(reader)?;
    let mut statistics = FxHashMap::default();
    let mut stored_types = FxHashMap::default();
    let last_collection = statistics::last_collection(reader)?.map_or(0, |last| last.0);
    let next_collection = FIRST_USER_COLLECTION.max(last_collection.saturating_add(1));
    for stored in load_collections(reader)? {
        let counted = read_statistics(reader, stored.id)?;
        let collection_names = names.collection(&stored.name);
        let schema = match published_types::read(reader, stored.id, &collection_names, &mut names)?
        {
            Some(schema) => {
                let schema = Arc::new(schema);
                stored_types.insert(stored.id, Arc::clone(&schema));
                schema
            }
            None => {
                let Evidence {
                    shape,
                    publishes_id,
                } = counted.former_evidence();
                let derived =
                    CollectionSchema::derive(&collection_names, shape, publishes_id, &mut names);
                Arc::new(derived)
            }
        };
        let latched = schema;
        let schema = match &stored.declared {
            Some(declared) => Arc::new(declared.publish((*latched).clone(), &mut names)),
            None => Arc::clone(&latched),
        };
        catalog.insert(Collection {
            id: stored.id,
            name: stored.name,
            schema,
            latched,
            created_at: stored.created_at,
            indexes: stored.indexes,
            settings: stored.settings,
            configured_ts: stored.configured_ts,
            relations: Arc::from([]),
            stored_relations: stored.relations,
            declared: stored.declared,
        });
        statistics.insert(stored.id, counted);
    }
    name_relations(&mut catalog, &mut names);
    Ok(State {
        catalog: Arc::new(catalog),
        names,
        statistics,
        stored_types,
        next_collection,
        index_statistics: Arc::new(index::load_statistics(reader)?),
        next_index: index::last_index(reader)?.map_or(1, |last| last.0.saturating_add(1)),
    })
}

/// The version of the catalog that a reader sees; zero of an empty store.
pub(crate) fn stored_catalog_version(reader: &dyn Reader) -> Result<CommitTs, EngineError> {
    match reader.get(&keyspace::catalog_version())? {
        Some(stored) => decode_version(&stored),
        None => Ok(CommitTs::ZERO),
    }
}

pub(crate) fn load_names(reader: &dyn Reader) -> Result<NameRegistry, EngineError> {
    let key = keyspace::names();
    let Some(stored) = reader.get(&key)? else {
        return Ok(NameRegistry::default());
    };
    let whole = chunk::resolve(reader, stored, || key)?;
    NameRegistry::decode(&whole[1..]).map_err(|_| EngineError::Corrupt {
        what: "registry of names",
    })
}

fn load_collections(reader: &dyn Reader) -> Result<Vec<StoredCollection>, EngineError> {
    let prefix = keyspace::documents(COLLECTIONS);
    let end = prefix_end(&prefix).expect("a document key does not consist of 0xff bytes");
    let mut collections = Vec::new();
    let mut failure = None;
    reader.scan(
        Bound::Included(&prefix),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, stored| {
            let whole = chunk::resolve(reader, stored, || key.to_vec());
            let collection = whole
                .and_then(Record::from_stored)
                .and_then(|record| StoredCollection::from_document(record.document()));
            match collection {
                Ok(collection) => {
                    collections.push(collection);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        },
    )?;
    failure.map_or(Ok(collections), Err)
}

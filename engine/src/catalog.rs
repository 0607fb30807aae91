//! Which collections there are, and the API types of their documents, as of a timestamp.
//!
//! The catalog is kept as documents of the system collection `_collections`, so it changes in commits like all
//! else. An in-memory catalog is immutable and shared; every snapshot has the one of its timestamp.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_model::{
    CollectionId, CommitTs, Document, DocumentId, FieldPath, ValueRef, write_json_string,
};
use thalweg_schema_infer::declared::check::Mistakes;
use thalweg_schema_infer::{CollectionMode, CollectionSchema, NameRegistry, Relation, Shape};

use crate::declared::{Declared, Way};
use crate::error::{EngineError, IntentError};
use crate::index::{Index, IndexDefinition, IndexStatus};
use crate::policy::Policies;
use crate::relations::StoredRelations;
use crate::settings::Settings;

/// The system collection whose documents are the collections.
pub(crate) const COLLECTIONS: CollectionId = CollectionId(0);
/// The first number of a collection of the user's.
pub(crate) const FIRST_USER_COLLECTION: u32 = 16;

/// The collections at a timestamp.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The commit that made it so. Equal versions are equal catalogs.
    pub version: CommitTs,
    by_id: BTreeMap<CollectionId, Arc<Collection>>,
    by_name: FxHashMap<Arc<str>, CollectionId>,
    policies: Policies,
}

/// One collection.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Its number, never reused.
    pub id: CollectionId,
    /// Its name as the user gave it.
    pub name: Arc<str>,
    /// The API types of its documents.
    pub schema: Arc<CollectionSchema>,
    /// Those that the documents lead to: where nothing is declared, the same.
    pub(crate) latched: Arc<CollectionSchema>,
    /// When it was created, in microseconds since the Unix epoch.
    pub created_at: u64,
    /// Its indexes, in order of their creation.
    pub indexes: Arc<[Arc<Index>]>,
    /// What it does with time.
    pub settings: Settings,
    /// The commit that last changed the settings; zero where none did.
    pub(crate) configured_ts: CommitTs,
    /// How its documents name others, as the API has it.
    pub relations: Arc<[Arc<Relation>]>,
    /// The same as it is stored, with what speaks for it.
    pub stored_relations: Arc<StoredRelations>,
    /// What its documents have to be like; `None` of a flexible one.
    pub declared: Option<Arc<Declared>>,
}

impl Collection {
    /// How much of its types is declared.
    pub fn mode(&self) -> CollectionMode {
        let declared = self.declared.as_ref();
        declared.map_or(CollectionMode::Flexible, |declared| declared.mode())
    }

    /// What is wrong with a document that is to be written as a whole. The commit decides; this is for whoever wants to
    /// know before.
    pub fn check(&self, document: &Document, now: CommitTs) -> Result<Mistakes, EngineError> {
        match &self.declared {
            None => Ok(Mistakes::default()),
            Some(declared) => {
                let document = declared.conform(document, Way::Whole, now)?;
                Ok(declared.check(document.root()))
            }
        }
    }

    /// The index of that definition, unless it is being dropped.
    pub fn index(&self, definition: &IndexDefinition) -> Option<&Arc<Index>> {
        self.indexes
            .iter()
            .find(|index| index.definition == *definition && index.status != IndexStatus::Dropping)
    }
}

impl Catalog {
    /// The collections in order of their creation.
    pub fn collections(&self) -> impl ExactSizeIterator<Item = &Arc<Collection>> {
        self.by_id.values()
    }

    /// The collection of that number.
    pub fn by_id(&self, id: CollectionId) -> Option<&Arc<Collection>> {
        self.by_id.get(&id)
    }

    /// The collection of that name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Collection>> {
        self.by_id.get(self.by_name.get(name)?)
    }

    /// What becomes of documents when those go that they name.
    pub(crate) fn policies(&self) -> &Policies {
        &self.policies
    }

    /// About what a catalog takes beside its collections, which it shares with others.
    pub(crate) fn bytes(&self) -> usize {
        const ENTRY_BYTES: usize = 96;
        self.by_id.len() * ENTRY_BYTES
    }

    pub(crate) fn insert(&mut self, collection: Collection) {
        if let Some(old) = self.by_id.get(&collection.id) {
            self.by_name.remove(&old.name);
        }
        self.by_name
            .insert(Arc::clone(&collection.name), collection.id);
        self.policies.replace(&collection);
        self.by_id.insert(collection.id, Arc::new(collection));
    }

    pub(crate) fn remove(&mut self, id: CollectionId) {
        if let Some(collection) = self.by_id.remove(&id) {
            self.by_name.remove(&collection.name);
            self.policies.forget(id);
        }
    }
}

/// Types for a collection whose own are derived when the group ends. Their names are nobody's: those that are given
/// for good are given only to a collection that comes to be.
pub(crate) fn placeholder_schema(name: &str) -> Arc<CollectionSchema> {
    let mut names = NameRegistry::new();
    let own = names.collection(name);
    let schema = CollectionSchema::derive(&own, &Shape::new(), false, &mut names);
    Arc::new(schema)
}

/// Longest name of a collection, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// Refuses what cannot name a collection.
pub(crate) fn check_name(name: &str) -> Result<(), IntentError> {
    let reason = if name.is_empty() {
        "a name has at least one character"
    } else if name.len() > NAME_BYTES_MAX {
        "a name has at most 100 bytes"
    } else if name.starts_with('_') {
        "names that begin with '_' are the system's"
    } else if name
        .chars()
        .any(|character| character.is_control() || character == '/')
    {
        "a name has no '/' and no control characters"
    } else if !name
        .chars()
        .any(|character| character.is_ascii_alphanumeric())
    {
        "a name has at least one ASCII letter or digit"
    } else {
        return Ok(());
    };
    Err(IntentError::CollectionName {
        name: name.to_owned(),
        reason,
    })
}

/// What is stored of a collection in `_collections`.
pub(crate) struct StoredCollection {
    pub(crate) id: CollectionId,
    pub(crate) name: Arc<str>,
    pub(crate) created_at: u64,
    pub(crate) indexes: Arc<[Arc<Index>]>,
    pub(crate) settings: Settings,
    pub(crate) configured_ts: CommitTs,
    pub(crate) relations: Arc<StoredRelations>,
    pub(crate) declared: Option<Arc<Declared>>,
}

impl StoredCollection {
    /// What is stored of a collection of the catalog.
    pub(crate) fn of(collection: &Collection) -> Self {
        StoredCollection {
            id: collection.id,
            name: Arc::clone(&collection.name),
            created_at: collection.created_at,
            indexes: Arc::clone(&collection.indexes),
            settings: collection.settings.clone(),
            configured_ts: collection.configured_ts,
            relations: Arc::clone(&collection.stored_relations),
            declared: collection.declared.clone(),
        }
    }

    pub(crate) fn document_id(id: CollectionId) -> DocumentId {
        DocumentId::new(&id.0.to_string()).expect("a number is an id")
    }

    pub(crate) fn to_document(&self) -> Document {
        let mut json = format!("{{\"id\":{},\"name\":", self.id.0).into_bytes();
        write_json_string(&self.name, &mut json);
        json.extend_from_slice(format!(",\"createdAt\":{}", self.created_at).as_bytes());
        if !self.indexes.is_empty() {
            json.extend_from_slice(b",\"indexes\":[");
            for (position, index) in self.indexes.iter().enumerate() {
                if position > 0 {
                    json.push(b',');
                }
                index.write_json(&mut json);
            }
            json.push(b']');
        }
        if self.configured_ts > CommitTs::ZERO {
            let configured = format!(",\"configuredAt\":{}", self.configured_ts);
            json.extend_from_slice(configured.as_bytes());
        }
        self.settings.write_json(&mut json);
        self.relations.write_json(&mut json);
        if let Some(declared) = &self.declared {
            declared.write_json(&mut json);
        }
        json.push(b'}');
        Document::parse(&json).expect("this is a JSON object")
    }

    pub(crate) fn from_document(document: ValueRef<'_>) -> Result<Self, EngineError> {
        let member = |name: &str| document.at(&FieldPath::top(name));
        let integer = |name| member(name).and_then(ValueRef::as_i64);
        let configured = integer("configuredAt").and_then(|micros| u64::try_from(micros).ok());
        let read = || {
            Some(StoredCollection {
                id: CollectionId(u32::try_from(integer("id")?).ok()?),
                name: Arc::from(&*member("name")?.as_str()?),
                created_at: u64::try_from(integer("createdAt")?).ok()?,
                indexes: member("indexes").map_or_else(
                    || Some(Arc::from([])),
                    |indexes| {
                        let read = |index| Index::from_stored(index).map(Arc::new);
                        indexes.items().map(read).collect()
                    },
                )?,
                settings: Settings::from_document(document)?,
                configured_ts: configured.map_or(CommitTs::ZERO, CommitTs::from_micros),
                relations: Arc::new(StoredRelations::from_document(document)?),
                declared: Declared::from_document(document)?.map(Arc::new),
            })
        };
        read().ok_or(EngineError::Corrupt { what: "collection" })
    }
}

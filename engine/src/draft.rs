//! One transaction while its intents are applied, in order, to the images as they are when its turn comes; or, for what it
//! reads of its own writes, to the images that it reads.

mod declared;
mod ids;
mod indexes;
mod policies;
mod relations;
mod timed;

use std::cell::RefCell;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_model::{CollectionId, CommitTs, Document, DocumentId};
use thalweg_schema_infer::Pins;
use thalweg_storage::Write;

use crate::catalog::{self, COLLECTIONS, Catalog, Collection, StoredCollection};
use crate::declared::Way;
use crate::dependency::DependencySet;
use crate::engine::EngineOptions;
use crate::error::{EngineError, IntentError, TransactionError};
use crate::ground::Ground;
use crate::group::{DocumentKey, Image};
use crate::index::unique::UniqueEntries;
use crate::index::writer::IndexPage;
use crate::intent::{CollectionRef, ExpiryChange, Intent, Origin, Step};
use crate::overlay::Delta;
use crate::published_types::TypesChange;
use crate::record::{Cause, Record, SystemFields};
use crate::settings::Settings;

use self::policies::Leaving;

/// Why an intent was not applied.
pub(crate) enum ApplyError {
    Intent(IntentError),
    Engine(EngineError),
}

impl ApplyError {
    /// As the error of a transaction of which that step could not be done.
    pub(crate) fn at(self, step: usize) -> TransactionError {
        match self {
            ApplyError::Intent(error) => TransactionError::Intent { step, error },
            ApplyError::Engine(error) => TransactionError::Engine(error),
        }
    }
}

impl From<IntentError> for ApplyError {
    fn from(error: IntentError) -> Self {
        ApplyError::Intent(error)
    }
}

impl From<EngineError> for ApplyError {
    fn from(error: EngineError) -> Self {
        ApplyError::Engine(error)
    }
}

/// What never changes while the engine runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) document_bytes_max: usize,
    pub(crate) transaction_bytes_max: usize,
    /// How many documents or rows a page of background work on an index looks at.
    pub(crate) index_page_max: usize,
    /// How many documents may be written because they name others that go.
    pub(crate) policy_writes_max: usize,
    /// How many documents may be looked at for that.
    pub(crate) line_documents_max: u64,
}

impl Rules {
    pub(crate) fn of(options: &EngineOptions) -> Self {
        Rules {
            document_bytes_max: options.document_bytes_max,
            transaction_bytes_max: options.transaction_bytes_max,
            index_page_max: options.index_page_max.max(1),
            policy_writes_max: options.policy_writes_max,
            line_documents_max: options.line_documents_max,
        }
    }
}

/// One transaction while its intents are applied.
pub(crate) struct Draft<'g> {
    ground: Ground<'g>,
    rules: Rules,
    ts: CommitTs,
    /// What random choices are made of, so that running the transaction again makes the same ones.
    seed: u64,
    /// How many ids were made up.
    ids_made: u32,
    /// What the images that were written take.
    bytes: usize,
    origin: Origin,
    /// What has left since the policies were last carried out.
    leaving: Vec<Leaving>,
    /// The last image that was read from the state below.
    read: RefCell<Option<(DocumentKey, Image)>>,
    /// How many documents were written because of policies.
    policy_writes: usize,
    /// What carrying them out depended on.
    dependencies: DependencySet,
    drafted: Drafted,
}

/// What a transaction changes.
pub(crate) struct Drafted {
    /// The new images.
    pub(crate) own: Delta,
    /// The keys of the images in the order of their first write.
    pub(crate) written: Vec<DocumentKey>,
    /// The images before, of those of them that were looked at directly before their first write.
    pub(crate) before: FxHashMap<DocumentKey, Image>,
    pub(crate) emptied: Vec<CollectionId>,
    pub(crate) catalog: Option<Catalog>,
    pub(crate) next_collection: u32,
    pub(crate) next_index: u32,
    /// Background work on indexes.
    pub(crate) pages: Vec<IndexPage>,
    /// What is done to published types beside what follows from the documents.
    pub(crate) types: Vec<TypesChange>,
    /// The names that collections and their fields are to get.
    pub(crate) pins: Vec<(CollectionId, Pins)>,
    /// Who holds which unique value after it.
    pub(crate) unique: UniqueEntries,
    /// What changes beside documents.
    pub(crate) upkeep: Vec<Write>,
    /// What erases history that is no longer kept. It may be left undone.
    pub(crate) erasures: Vec<Write>,
}

impl<'g> Draft<'g> {
    pub(crate) fn new(
        ground: Ground<'g>,
        rules: Rules,
        ts: CommitTs,
        seed: u64,
        origin: Origin,
    ) -> Self {
        let drafted = Drafted {
            own: Delta::default(),
            written: Vec::new(),
            before: FxHashMap::default(),
            emptied: Vec::new(),
            catalog: None,
            next_collection: ground.next_collection(),
            next_index: ground.next_index(),
            pages: Vec::new(),
            types: Vec::new(),
            pins: Vec::new(),
            unique: UniqueEntries::default(),
            upkeep: Vec::new(),
            erasures: Vec::new(),
        };
        Draft {
            ground,
            rules,
            ts,
            seed,
            ids_made: 0,
            bytes: 0,
            origin,
            leaving: Vec::new(),
            read: RefCell::default(),
            policy_writes: 0,
            dependencies: DependencySet::none(),
            drafted,
        }
    }

    /// What carrying out policies depended on since the last call.
    pub(crate) fn take_dependencies(&mut self) -> DependencySet {
        std::mem::take(&mut self.dependencies)
    }

    /// The images that it has written.
    pub(crate) fn own(&self) -> &Delta {
        &self.drafted.own
    }

    pub(crate) fn finish(self) -> Drafted {
        self.drafted
    }

    pub(crate) fn apply(&mut self, intent: Intent) -> Result<Step, ApplyError> {
        match intent {
            Intent::Create {
                collection,
                id,
                document,
                expiry,
            } => {
                let collection = self.collection(collection)?;
                let id = self.choose_id(id, &document)?;
                let key = (collection, id);
                if self.shown(&key)?.is_some() {
                    let (collection, id) = key;
                    let collection = self.name_of(collection);
                    return Err(IntentError::AlreadyExists { collection, id }.into());
                }
                self.put(key, &document, expiry)
            }
            Intent::Put {
                collection,
                id,
                document,
                expiry,
            } => {
                let collection = self.collection(collection)?;
                let id = self.choose_id(id, &document)?;
                self.put((collection, id), &document, expiry)
            }
            Intent::Replace {
                collection,
                id,
                document,
                if_version,
                expiry,
            } => {
                let key = (self.existing(collection)?, id);
                let shown = self.shown(&key)?;
                check_version(&shown, &key.1, if_version)?;
                match shown {
                    None => Ok(self.nothing(&key)),
                    Some(_) => self.put(key, &document, expiry),
                }
            }
            Intent::Patch {
                collection,
                id,
                patch,
                if_version,
                otherwise,
                expiry,
            } => {
                let key = (self.existing(collection)?, id);
                let shown = self.shown(&key)?;
                check_version(&shown, &key.1, if_version)?;
                match (shown, otherwise) {
                    (None, None) => Ok(self.nothing(&key)),
                    (None, Some(document)) => self.put(key, &document, expiry),
                    (Some(before), _) => {
                        if let Some((first, second)) = patch.conflicts() {
                            return Err(IntentError::PatchConflict { first, second }.into());
                        }
                        let document = before.to_document()?;
                        let patched =
                            thalweg_model::apply(&document, &patch).map_err(IntentError::Patch)?;
                        self.put_in(Way::Patch(document.root()), key, &patched, expiry)
                    }
                }
            }
            Intent::Delete {
                collection,
                id,
                permanent,
                purge_at,
                if_version,
            } => {
                let key = (self.existing(collection)?, id);
                self.delete(key, permanent, purge_at, if_version)
            }
            Intent::Restore { collection, id, to } => {
                let key = (self.existing(collection)?, id);
                self.restore(key, to)
            }
            Intent::CreateCollection { name } => {
                if self.catalog().by_name(&name).is_some() {
                    return Err(IntentError::CollectionExists {
                        name: name.to_string(),
                    }
                    .into());
                }
                let collection = self.create_collection(name)?;
                Ok(Step {
                    collection: Some(collection),
                    changed: true,
                    ..Step::default()
                })
            }
            Intent::RenameCollection { from, to } => self.rename_collection(&from, to),
            Intent::TruncateCollection { name } => {
                let collection = self.named(&name)?.id;
                self.empty_policies(collection)?;
                self.empty(collection);
                Ok(Step {
                    collection: Some(collection),
                    changed: true,
                    ..Step::default()
                })
            }
            Intent::DropCollection { name } => {
                let collection = self.named(&name)?.id;
                self.empty_policies(collection)?;
                self.empty(collection);
                let key = (COLLECTIONS, StoredCollection::document_id(collection));
                self.write(key, None);
                self.catalog_mut().remove(collection);
                self.forget_marks(collection);
                self.forget_relations_to(collection)?;
                Ok(Step {
                    collection: Some(collection),
                    changed: true,
                    ..Step::default()
                })
            }
            Intent::CreateIndex {
                collection,
                definition,
            } => self.create_index(collection, definition),
            Intent::DropIndex {
                collection,
                definition,
            } => self.drop_index(collection, &definition),
            Intent::MaintainIndex { collection, index } => {
                self.existing(collection)?;
                self.maintain_index(collection, index)
            }
            Intent::PromoteTypes { collection } => {
                let collection = self.named(&collection)?.id;
                self.drafted.types.push(TypesChange::Promote(collection));
                Ok(Step {
                    collection: Some(collection),
                    changed: true,
                    ..Step::default()
                })
            }
            Intent::Configure { collection, change } => self.configure(collection, &change),
            Intent::Relate {
                collection,
                relations,
                refused,
            } => self.relate(collection, &relations, &refused),
            Intent::Declare {
                collection,
                declaration,
            } => self.declare(collection, &declaration),
            Intent::Backfill {
                collection,
                since,
                ids,
                to,
            } => self.backfill(collection, since, ids, to),
            Intent::FailBackfill {
                collection,
                since,
                reason,
            } => self.fail_backfill(collection, since, reason),
            Intent::Upkeep(upkeep) => self.upkeep(upkeep.0),
        }
    }

    fn catalog(&self) -> &Catalog {
        self.drafted
            .catalog
            .as_ref()
            .unwrap_or(self.ground.catalog())
    }

    fn catalog_mut(&mut self) -> &mut Catalog {
        self.drafted
            .catalog
            .get_or_insert_with(|| self.ground.catalog().clone())
    }

    fn named(&self, name: &str) -> Result<Arc<Collection>, IntentError> {
        let found = self.catalog().by_name(name).cloned();
        found.ok_or_else(|| IntentError::NoSuchCollection {
            name: name.to_owned(),
        })
    }

    fn name_of(&self, collection: CollectionId) -> String {
        let found = self.catalog().by_id(collection);
        found.map_or_else(
            || collection.to_string(),
            |collection| collection.name.to_string(),
        )
    }

    fn existing(&self, collection: CollectionId) -> Result<CollectionId, IntentError> {
        match self.catalog().by_id(collection) {
            Some(_) => Ok(collection),
            None => Err(IntentError::NoSuchCollection {
                name: collection.to_string(),
            }),
        }
    }

    fn collection(&mut self, collection: CollectionRef) -> Result<CollectionId, ApplyError> {
        match collection {
            CollectionRef::Id(id) => Ok(self.existing(id)?),
            CollectionRef::Name { name, create } => {
                if let Some(found) = self.catalog().by_name(&name) {
                    return Ok(found.id);
                }
                if !create {
                    return Err(IntentError::NoSuchCollection {
                        name: name.to_string(),
                    }
                    .into());
                }
                self.create_collection(name)
            }
        }
    }

    fn create_collection(&mut self, name: Arc<str>) -> Result<CollectionId, ApplyError> {
        catalog::check_name(&name)?;
        let id = CollectionId(self.drafted.next_collection);
        self.drafted.next_collection += 1;
        let stored = StoredCollection {
            id,
            name,
            created_at: self.ts.as_micros(),
            indexes: Arc::from([]),
            settings: Settings::default(),
            configured_ts: CommitTs::ZERO,
            relations: Arc::default(),
            declared: None,
        };
        self.put(
            (COLLECTIONS, StoredCollection::document_id(id)),
            &stored.to_document(),
            ExpiryChange::KEEP,
        )?;
        let schema = catalog::placeholder_schema(&stored.name);
        self.catalog_mut().insert(Collection {
            id,
            latched: Arc::clone(&schema),
            schema,
            name: stored.name,
            created_at: stored.created_at,
            indexes: stored.indexes,
            settings: stored.settings,
            configured_ts: stored.configured_ts,
            relations: Arc::from([]),
            stored_relations: stored.relations,
            declared: None,
        });
        Ok(id)
    }

    fn rename_collection(&mut self, from: &str, to: Arc<str>) -> Result<Step, ApplyError> {
        let collection = self.named(from)?;
        catalog::check_name(&to)?;
        if self.catalog().by_name(&to).is_some() {
            return Err(IntentError::CollectionExists {
                name: to.to_string(),
            }
            .into());
        }
        let stored = StoredCollection {
            name: to,
            ..StoredCollection::of(&collection)
        };
        let key = (COLLECTIONS, StoredCollection::document_id(collection.id));
        self.put(key, &stored.to_document(), ExpiryChange::KEEP)?;
        // Its types keep the old names until the group ends, which is before anybody can see them.
        self.catalog_mut().insert(Collection {
            name: stored.name,
            ..(*collection).clone()
        });
        Ok(Step {
            collection: Some(collection.id),
            changed: true,
            ..Step::default()
        })
    }

    fn empty(&mut self, collection: CollectionId) {
        self.drafted.own.empty(collection);
        self.drafted.written.retain(|(of, _)| *of != collection);
        self.drafted.emptied.push(collection);
    }

    fn image(&self, key: &DocumentKey) -> Result<Image, EngineError> {
        match self.drafted.own.image(key.0, key.1.as_str()) {
            Some(image) => Ok(image),
            None => {
                let image = self.ground.image(key)?;
                self.read.replace(Some((key.clone(), image.clone())));
                Ok(image)
            }
        }
    }

    /// The image, if it is not a softly deleted one.
    fn shown(&self, key: &DocumentKey) -> Result<Image, EngineError> {
        Ok(self.image(key)?.filter(|record| !record.is_deleted()))
    }

    fn nothing(&self, key: &DocumentKey) -> Step {
        Step {
            collection: Some(key.0),
            ..Step::default()
        }
    }

    /// Writes a whole document, live. A write that changes nothing is none.
    fn put(
        &mut self,
        key: DocumentKey,
        document: &Document,
        expiry: ExpiryChange,
    ) -> Result<Step, ApplyError> {
        self.put_in(Way::Whole, key, document, expiry)
    }

    /// Writes a document as it has to be by what is declared of its collection.
    fn put_in(
        &mut self,
        way: Way<'_>,
        key: DocumentKey,
        document: &Document,
        expiry: ExpiryChange,
    ) -> Result<Step, ApplyError> {
        let Some(declared) = self.declared(key.0) else {
            return self.write_document(key, document, expiry);
        };
        let document = declared.conform(document, way, self.ts)?;
        self.check_declared(&declared, &key, &document)?;
        self.write_document(key, &document, expiry)
    }

    fn check_size(&mut self, bytes: usize) -> Result<(), IntentError> {
        let bytes_max = self.rules.document_bytes_max;
        if bytes > bytes_max {
            return Err(IntentError::DocumentTooLarge { bytes, bytes_max });
        }
        self.bytes += bytes;
        if self.bytes > self.rules.transaction_bytes_max {
            let bytes_max = self.rules.transaction_bytes_max;
            return Err(IntentError::TransactionTooLarge { bytes_max });
        }
        Ok(())
    }

    fn write_document(
        &mut self,
        key: DocumentKey,
        document: &Document,
        expiry: ExpiryChange,
    ) -> Result<Step, ApplyError> {
        self.check_size(document.json().len())?;
        let before = self.image(&key)?;
        // One that is softly deleted is replaced by a new document, whose versions go on from its own.
        let shown = before.clone().filter(|record| !record.is_deleted());
        let kept = shown.as_deref();
        let expires_at = expiry.at.of(kept.and_then(Record::expires_at));
        let on_expire = expiry.on_expire.of(kept.and_then(Record::on_expire));
        if let Some(same) = kept
            && same.document().json() == document.json()
            && (same.expires_at(), same.on_expire()) == (expires_at, on_expire)
        {
            return Ok(Step {
                collection: Some(key.0),
                before: shown.clone(),
                after: shown,
                changed: false,
            });
        }
        let created_at = shown.as_ref().map(|record| record.created_at());
        let fields = SystemFields {
            id: key.1.clone(),
            commit_ts: self.ts,
            created_at: created_at.unwrap_or(self.ts.as_micros()),
            version: self.next_version(&before),
            deleted_at: None,
            expires_at,
            purge_at: None,
            on_expire,
            cause: None,
            author: self.origin.author().cloned(),
        };
        let after = Some(Arc::new(Record::new(&fields, document)));
        Ok(self.write_step(key, shown, after))
    }

    fn delete(
        &mut self,
        key: DocumentKey,
        permanent: bool,
        purge_at: Option<u64>,
        if_version: Option<u64>,
    ) -> Result<Step, ApplyError> {
        let for_good = permanent || !self.settings(key.0).soft_delete;
        if for_good && purge_at.is_some() {
            return Err(IntentError::PurgeOfPermanent.into());
        }
        let image = if permanent {
            self.image(&key)?
        } else {
            self.shown(&key)?
        };
        check_version(&image, &key.1, if_version)?;
        let Some(before) = image else {
            return Ok(self.nothing(&key));
        };
        let after = match for_good {
            true => None,
            false => self.deleted(&before, purge_at, None)?,
        };
        Ok(self.write_step(key, Some(before), after))
    }

    /// The same document, softly deleted.
    fn deleted(
        &self,
        before: &Arc<Record<'static>>,
        purge_at: Option<u64>,
        cause: Option<Cause>,
    ) -> Result<Image, EngineError> {
        let fields = SystemFields {
            deleted_at: Some(self.ts.as_micros()),
            purge_at,
            cause,
            ..self.next_fields(before)?
        };
        Ok(Some(Arc::new(Record::new(&fields, &before.to_document()?))))
    }

    /// The system fields of an image, as those of the next one.
    fn next_fields(&self, before: &Arc<Record<'static>>) -> Result<SystemFields, EngineError> {
        Ok(SystemFields {
            commit_ts: self.ts,
            version: self.next_version(&Some(Arc::clone(before))),
            cause: None,
            author: self.origin.author().cloned(),
            ..before.system_fields()?
        })
    }

    /// A commit makes one version of a document, however often it writes it.
    fn next_version(&self, before: &Image) -> u64 {
        match before {
            None => 1,
            Some(before) if before.commit_ts() == self.ts => before.version(),
            Some(before) => before.version() + 1,
        }
    }

    fn write_step(&mut self, key: DocumentKey, before: Image, after: Image) -> Step {
        let collection = Some(key.0);
        if let Some(before) = &before {
            self.note_leaving(&key, before, &after);
        }
        self.write(key, after.clone());
        Step {
            collection,
            before,
            after,
            changed: true,
        }
    }

    fn write(&mut self, key: DocumentKey, image: Image) {
        let (collection, id) = key.clone();
        if !self.drafted.own.put(collection, id, image) {
            if let Some((read, before)) = self.read.take()
                && read == key
            {
                self.drafted.before.insert(read, before);
            }
            self.drafted.written.push(key);
        }
    }
}

/// Refuses a write to another version than the one that the caller named.
fn check_version(
    image: &Image,
    id: &DocumentId,
    if_version: Option<u64>,
) -> Result<(), IntentError> {
    let found = image.as_ref().map(|record| record.version());
    match if_version {
        Some(expected) if found != Some(expected) => Err(IntentError::VersionMismatch {
            id: id.clone(),
            expected,
            found,
        }),
        _ => Ok(()),
    }
}

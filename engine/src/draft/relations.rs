//! What a draft does about relations: takes declared and detected ones in, and gives collections the indexes that those
//! need.

use std::sync::Arc;

use thalweg_model::{CollectionId, FieldPath};
use thalweg_schema_infer::RelationOrigin;

use super::{ApplyError, Draft};
use crate::catalog::{COLLECTIONS, Collection, StoredCollection};
use crate::error::IntentError;
use crate::index::{INDEXES_MAX, Index, IndexId, IndexStatus};
use crate::intent::{CollectionRef, ExpiryChange, Step};
use crate::relations::{
    DeclaredRelation, Looked, RELATIONS_MAX, StoredRelation, StoredRelations, needed_indexes,
};

impl Draft<'_> {
    /// Replaces what is declared of a collection's relations. Detected ones stay but for the fields that the
    /// declaration speaks of.
    pub(super) fn relate(
        &mut self,
        collection: CollectionRef,
        declared: &[DeclaredRelation],
        refused: &[FieldPath],
    ) -> Result<Step, ApplyError> {
        let id = self.collection(collection)?;
        let found = self.known(id)?;
        let mut list: Vec<StoredRelation> = Vec::new();
        for relation in declared {
            let refuse = |reason: String| IntentError::Relation {
                collection: found.name.to_string(),
                field: relation.field.to_string(),
                reason,
            };
            let target = self.catalog().by_name(&relation.target);
            let target = target
                .ok_or_else(|| refuse(format!("there is no collection {:?}", &*relation.target)))?;
            if list.iter().any(|earlier| earlier.field == relation.field) {
                return Err(refuse("it is declared twice".to_owned()).into());
            }
            if refused.contains(&relation.field) {
                return Err(refuse("it is declared to be none as well".to_owned()).into());
            }
            let before = &found.stored_relations;
            list.push(StoredRelation::declared(relation, target.id, before));
        }
        let stays = |relation: &&StoredRelation| {
            relation.origin == RelationOrigin::Detected
                && !refused.contains(&relation.field)
                && !list.iter().any(|declared| declared.field == relation.field)
        };
        let kept: Vec<StoredRelation> = found
            .stored_relations
            .list
            .iter()
            .filter(stays)
            .cloned()
            .collect();
        list.extend(kept);
        if list.len() > RELATIONS_MAX {
            return Err(IntentError::TooManyRelations {
                collection: found.name.to_string(),
                relations_max: RELATIONS_MAX,
            }
            .into());
        }
        let stored = StoredRelations {
            list,
            refused: refused.to_vec(),
            looked_at: found.stored_relations.looked_at,
        };
        self.replace_relations(&found, stored)
    }

    /// Takes in what a look at the documents found, as far as nothing else has been declared meanwhile.
    pub(super) fn take_in(&mut self, looked: &Looked) -> Result<Step, ApplyError> {
        let Some(collection) = self.catalog().by_id(looked.collection).cloned() else {
            return Ok(Step::default());
        };
        let mut stored = StoredRelations::clone(&collection.stored_relations);
        stored.looked_at = Some(looked.at);
        for found in &looked.found {
            let same = |it: &&mut StoredRelation| {
                (&it.field, it.target, &it.key) == (&found.field, found.target, &found.key)
            };
            if let Some(known) = stored.list.iter_mut().find(same) {
                known.evidence = found.evidence;
            } else if !stored.knows(&found.field)
                && stored.list.len() < RELATIONS_MAX
                && self.catalog().by_id(found.target).is_some()
            {
                stored.list.push(found.clone());
            }
        }
        self.replace_relations(&collection, stored)
    }

    /// Takes away the relations that lead to a collection which is no more.
    pub(super) fn forget_relations_to(&mut self, target: CollectionId) -> Result<(), ApplyError> {
        let leading: Vec<Arc<Collection>> = self
            .catalog()
            .collections()
            .filter(|it| {
                it.stored_relations
                    .list
                    .iter()
                    .any(|it| it.target == target)
            })
            .cloned()
            .collect();
        for collection in leading {
            let mut stored = StoredRelations::clone(&collection.stored_relations);
            stored.list.retain(|relation| relation.target != target);
            self.replace_relations(&collection, stored)?;
        }
        Ok(())
    }

    fn known(&self, collection: CollectionId) -> Result<Arc<Collection>, IntentError> {
        let found = self.catalog().by_id(collection).cloned();
        found.ok_or_else(|| IntentError::NoSuchCollection {
            name: collection.to_string(),
        })
    }

    pub(super) fn replace_relations(
        &mut self,
        collection: &Arc<Collection>,
        stored: StoredRelations,
    ) -> Result<Step, ApplyError> {
        let changed = *collection.stored_relations != stored;
        let step = Step {
            collection: Some(collection.id),
            changed,
            ..Step::default()
        };
        if !changed {
            return Ok(step);
        }
        let targets = |relations: &StoredRelations| -> Vec<CollectionId> {
            relations
                .list
                .iter()
                .map(|relation| relation.target)
                .collect()
        };
        let mut affected = targets(&collection.stored_relations);
        affected.extend(targets(&stored));
        affected.push(collection.id);
        affected.sort_unstable();
        affected.dedup();
        self.store(Collection {
            stored_relations: Arc::new(stored),
            ..(**collection).clone()
        })?;
        for collection in affected {
            if let Some(collection) = self.catalog().by_id(collection).cloned() {
                self.settle_indexes(&collection)?;
            }
        }
        Ok(step)
    }

    /// Makes the indexes that a collection needs and drops those that were made for relations that are no more.
    fn settle_indexes(&mut self, collection: &Arc<Collection>) -> Result<(), ApplyError> {
        let needed = needed_indexes(self.catalog(), collection);
        let mut indexes = collection.indexes.to_vec();
        let mut has_changed = false;
        for index in &mut indexes {
            if index.automatic
                && index.status != IndexStatus::Dropping
                && !needed.contains(&index.definition)
            {
                let index = Arc::make_mut(index);
                index.status = IndexStatus::Dropping;
                index.changed_at = self.ts;
                has_changed = true;
            }
        }
        for definition in needed {
            let kept = || {
                let mut kept = indexes.iter();
                std::iter::from_fn(move || kept.find(|index| index.status != IndexStatus::Dropping))
            };
            // One with more fields behind finds as well.
            let has_one = kept().any(|index| index.definition.fields[0] == definition.fields[0]);
            if has_one || kept().count() >= INDEXES_MAX {
                continue;
            }
            indexes.push(Arc::new(Index {
                id: IndexId(self.drafted.next_index),
                definition,
                automatic: true,
                status: IndexStatus::Building,
                since: self.ts,
                changed_at: self.ts,
                erased: false,
            }));
            self.drafted.next_index += 1;
            has_changed = true;
        }
        if has_changed {
            self.store(Collection {
                indexes: indexes.into(),
                ..(**collection).clone()
            })?;
        }
        Ok(())
    }

    /// Writes a collection's document and puts the collection into the catalog.
    fn store(&mut self, collection: Collection) -> Result<(), ApplyError> {
        let key = (COLLECTIONS, StoredCollection::document_id(collection.id));
        let document = StoredCollection::of(&collection).to_document();
        self.put(key, &document, ExpiryChange::KEEP)?;
        self.catalog_mut().insert(collection);
        Ok(())
    }
}

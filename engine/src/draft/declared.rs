//! What a draft does about declarations: judges and stores them, makes written documents conform and refuses those that
//! do not satisfy what is declared, and does the pages of the work on older documents.

use std::sync::Arc;

use thalweg_model::{CollectionId, CommitTs, DocumentId};
use thalweg_storage::Write;

use super::{ApplyError, Draft};
use crate::catalog::{COLLECTIONS, Collection, StoredCollection};
use crate::commit::Change;
use crate::declared::{
    Backfill, BackfillKind, Cursor, Declaration, Declared, RenamePhase, Violation, Way, judge,
    new_renames,
};
use crate::error::{EngineError, IntentError};
use crate::group::DocumentKey;
use crate::intent::{CollectionRef, ExpiryChange, Step};
use crate::keyspace;
use crate::record::Record;
use crate::statistics::Statistics;

impl Draft<'_> {
    /// Declares what the documents of a collection are like, unless those that are there are not so.
    pub(super) fn declare(
        &mut self,
        collection: CollectionRef,
        declaration: &Declaration,
    ) -> Result<Step, ApplyError> {
        let id = self.collection(collection)?;
        let known = self.declarable(id)?;
        let is_named = self.pin(&known, declaration)?;
        let Some(counted) = self.counted(id)? else {
            // What its own reads show of a declaration is that it is there. Whether it may be is decided at its turn.
            let schema = declaration.schema.clone();
            let declared = schema.map(|schema| Declared {
                schema,
                backfills: Vec::new(),
            });
            self.set_declared(&known, declared)?;
            return Ok(Step {
                collection: Some(id),
                changed: true,
                ..Step::default()
            });
        };
        let before = known.declared.as_deref();
        let after = match &declaration.schema {
            None => {
                if before.is_some_and(|before| before.renames().next().is_some()) {
                    return Err(
                        self.rename_under_way(&known, "the collection stays PARTIAL or STRICT")
                    );
                }
                None
            }
            Some(schema) => {
                let shape = &counted.shape;
                let renames = new_renames(&declaration.renames, before, shape);
                for (rename, _) in before.into_iter().flat_map(Declared::renames) {
                    if schema.object.field(&rename.to).is_none() {
                        return Err(self.rename_under_way(&known, "declare the field as before"));
                    }
                }
                if let Some(taken) = renames.iter().find(|rename| shape.may_have(&rename.to)) {
                    return Err(IntentError::RenameTaken {
                        collection: known.name.to_string(),
                        from: taken.from.to_string(),
                        to: taken.to.to_string(),
                    }
                    .into());
                }
                let verdict = judge(schema, &renames, before, shape);
                if !verdict.mistakes.is_empty() {
                    let violation = |mistake| Violation {
                        collection: known.name.to_string(),
                        mistake,
                    };
                    return Err(IntentError::NotSatisfied {
                        violations: verdict.mistakes.into_iter().map(violation).collect(),
                    }
                    .into());
                }
                if !verdict.unknown.is_empty() && !declaration.is_scanned {
                    return Err(IntentError::NotJudged {
                        collection: known.name.to_string(),
                        paths: verdict.unknown,
                    }
                    .into());
                }
                let renames = renames.into_iter().cloned();
                let mut backfills = Declared::renaming(renames, before, self.ts);
                if !verdict.to_fill.is_empty() {
                    let fields = verdict
                        .to_fill
                        .iter()
                        .map(|path| Arc::from(&**path))
                        .collect();
                    backfills.push(self.filling(fields, before));
                }
                Some(Declared {
                    schema: schema.clone(),
                    backfills,
                })
            }
        };
        let is_changed = after.as_ref() != before;
        if is_changed {
            self.set_declared(&known, after)?;
        }
        Ok(Step {
            collection: Some(id),
            changed: is_changed || is_named,
            ..Step::default()
        })
    }

    /// A backfill of defaults; the one that is under way where it is the same.
    fn filling(&self, fields: Vec<Arc<str>>, before: Option<&Declared>) -> Backfill {
        let kind = BackfillKind::Default { fields };
        let mut under_way = before.into_iter().flat_map(|before| &before.backfills);
        let same = under_way.find(|backfill| backfill.kind == kind);
        Backfill {
            since: same.map_or(self.ts, |same| same.since),
            kind,
            failure: None,
        }
    }

    fn rename_under_way(&self, collection: &Collection, advice: &'static str) -> ApplyError {
        let renames = collection
            .declared
            .iter()
            .flat_map(|declared| declared.renames());
        let (from, to) = renames
            .map(|(rename, _)| (rename.from.to_string(), rename.to.to_string()))
            .next()
            .unwrap_or_default();
        IntentError::RenameUnderWay {
            collection: collection.name.to_string(),
            from,
            to,
            advice,
        }
        .into()
    }

    /// Whether names are to be given that the registry does not have yet. They are given when the group ends.
    fn pin(
        &mut self,
        collection: &Collection,
        declaration: &Declaration,
    ) -> Result<bool, ApplyError> {
        if declaration.pins == Default::default() {
            return Ok(false);
        }
        let Some(state) = self.ground.state() else {
            return Ok(false);
        };
        let mut names = state.names.clone();
        let is_changed = names
            .pin(&collection.name, &declaration.pins)
            .map_err(|conflicts| IntentError::Names {
                collection: collection.name.to_string(),
                conflicts,
            })?;
        if is_changed {
            let pins = declaration.pins.clone();
            self.drafted.pins.push((collection.id, pins));
        }
        Ok(is_changed)
    }

    fn declarable(&self, collection: CollectionId) -> Result<Arc<Collection>, IntentError> {
        let found = self.catalog().by_id(collection).cloned();
        found.ok_or_else(|| IntentError::NoSuchCollection {
            name: collection.to_string(),
        })
    }

    fn set_declared(
        &mut self,
        collection: &Collection,
        declared: Option<Declared>,
    ) -> Result<(), ApplyError> {
        let changed = Collection {
            declared: declared.map(Arc::new),
            ..collection.clone()
        };
        let key = (COLLECTIONS, StoredCollection::document_id(collection.id));
        let document = StoredCollection::of(&changed).to_document();
        self.put(key, &document, ExpiryChange::KEEP)?;
        self.catalog_mut().insert(changed);
        Ok(())
    }

    /// The counts of a collection as the transaction leaves it so far; `None` where nothing is decided by them.
    fn counted(&self, collection: CollectionId) -> Result<Option<Statistics>, EngineError> {
        let Some(state) = self.ground.state() else {
            return Ok(None);
        };
        let known = state.statistics.get(&collection);
        let mut counted = known.cloned().unwrap_or_default();
        for commit in self.ground.commits() {
            if commit.emptied.contains(&collection) {
                counted = counted.emptied(commit.ts);
            }
            let changes = commit.changes.iter();
            for change in changes.filter(|change| change.collection == collection) {
                counted.apply(change);
            }
        }
        if self.drafted.emptied.contains(&collection) {
            counted = counted.emptied(self.ts);
        }
        for key in self
            .drafted
            .written
            .iter()
            .filter(|key| key.0 == collection)
        {
            let is_emptied = self.drafted.emptied.contains(&collection);
            let before = match is_emptied {
                true => None,
                false => self.ground.image(key)?,
            };
            counted.apply(&Change {
                collection,
                id: key.1.clone(),
                before,
                after: self.drafted.own.image(key.0, key.1.as_str()).flatten(),
            });
        }
        Ok(Some(counted))
    }

    /// What a collection's documents have to be like, where that is declared.
    pub(super) fn declared(&self, collection: CollectionId) -> Option<Arc<Declared>> {
        self.catalog().by_id(collection)?.declared.clone()
    }

    /// Refuses a document that does not satisfy what is declared.
    pub(super) fn check_declared(
        &self,
        declared: &Declared,
        key: &DocumentKey,
        document: &thalweg_model::Document,
    ) -> Result<(), IntentError> {
        let mistakes = declared.check(document.root());
        if mistakes.is_empty() {
            return Ok(());
        }
        Err(IntentError::SchemaViolation {
            collection: self.name_of(key.0),
            id: key.1.clone(),
            mistakes: Box::new(mistakes),
        })
    }

    /// Writes a page of older documents as they have to be, from the images that are current.
    pub(super) fn backfill(
        &mut self,
        collection: CollectionId,
        since: CommitTs,
        ids: Vec<DocumentId>,
        to: Option<Cursor>,
    ) -> Result<Step, ApplyError> {
        let known = self.declarable(collection)?;
        let step = Step {
            collection: Some(collection),
            changed: true,
            ..Step::default()
        };
        let Some(declared) = known.declared.clone() else {
            return Ok(step);
        };
        if declared
            .backfills
            .first()
            .is_none_or(|first| first.since != since)
        {
            return Ok(step);
        }
        for id in ids {
            let key = (collection, id);
            let Some(image) = self.image(&key)? else {
                continue;
            };
            let document = image.to_document()?;
            let conforming = declared.conform(&document, Way::Whole, self.ts)?;
            if conforming.json() == document.json() {
                continue;
            }
            self.check_size(conforming.json().len())?;
            let after = Record::new(&self.next_fields(&image)?, &conforming);
            self.write_step(key, Some(image), Some(Arc::new(after)));
        }
        let key = keyspace::backfilling(collection);
        match to {
            Some(cursor) => self.drafted.upkeep.push(Write::Put {
                key,
                value: cursor.encode(),
            }),
            None => {
                self.drafted.upkeep.push(Write::Delete { key });
                self.finish_pass(&known, &declared)?;
            }
        }
        Ok(step)
    }

    /// Goes on to what comes after a pass over all documents.
    fn finish_pass(
        &mut self,
        collection: &Collection,
        declared: &Declared,
    ) -> Result<(), ApplyError> {
        let mut after = declared.clone();
        let first = &mut after.backfills[0];
        match &mut first.kind {
            BackfillKind::Rename { phase, .. } if *phase == RenamePhase::Copying => {
                *phase = RenamePhase::Removing;
                first.since = self.ts;
            }
            _ => {
                after.backfills.remove(0);
            }
        }
        self.set_declared(collection, Some(after))
    }

    /// Stops a backfill whose documents cannot be written.
    pub(super) fn fail_backfill(
        &mut self,
        collection: CollectionId,
        since: CommitTs,
        reason: Arc<str>,
    ) -> Result<Step, ApplyError> {
        let known = self.declarable(collection)?;
        let mut step = Step {
            collection: Some(collection),
            ..Step::default()
        };
        let first = known
            .declared
            .as_deref()
            .and_then(|it| it.backfills.first());
        if let Some(declared) = known.declared.as_deref()
            && first.is_some_and(|first| first.since == since)
        {
            let mut after = declared.clone();
            after.backfills[0].failure = Some(reason);
            self.set_declared(&known, Some(after))?;
            step.changed = true;
        }
        Ok(step)
    }
}

//! The intents that have to do with time: settings, restoring, and the engine's own work when something is due.
//!
//! What is due is decided here, at the commit's timestamp and on the images and settings of that moment; whoever asked
//! for it may have looked at an older state.

use std::sync::Arc;

use thalweg_model::{CollectionId, CommitTs};
use thalweg_storage::Write;

use super::{ApplyError, Draft};
use crate::catalog::{COLLECTIONS, Collection, StoredCollection};
use crate::chunk;
use crate::commit::erases;
use crate::declared::Way;
use crate::due::{DueEntry, DueKind, due_of};
use crate::error::{EngineError, IntentError};
use crate::group::{DocumentKey, Image};
use crate::history::{self, Hidden};
use crate::intent::{CollectionRef, ExpiryChange, Step};
use crate::keyspace;
use crate::record::{Cause, Record, SystemFields};
use crate::retention::Sweep;
use crate::settings::{OnExpire, Settings, SettingsChange};
use crate::snapshot::read_document;
use crate::upkeep::{Schedule, UpkeepWork};
use crate::vanished;

/// How much later a document is tried again whose time has come, but which others keep.
const POSTPONED_MICROS: u64 = 60 * 60 * 1_000_000;

impl Draft<'_> {
    /// The settings of a collection as the transaction leaves them.
    pub(super) fn settings(&self, collection: CollectionId) -> Settings {
        let found = self.catalog().by_id(collection);
        found.map_or_else(Settings::default, |found| found.settings.clone())
    }

    pub(super) fn configure(
        &mut self,
        collection: CollectionRef,
        change: &SettingsChange,
    ) -> Result<Step, ApplyError> {
        let id = self.collection(collection)?;
        let step = |changed| Step {
            collection: Some(id),
            changed,
            ..Step::default()
        };
        let Some(known) = self.catalog().by_id(id).cloned() else {
            return Ok(step(false));
        };
        let settings = known.settings.changed(change);
        if settings == known.settings {
            return Ok(step(false));
        }
        if settings.reschedules(&known.settings) {
            self.drafted.upkeep.push(Write::Put {
                key: keyspace::scheduling(id),
                value: Vec::new(),
            });
        }
        if settings.retain != known.settings.retain {
            self.drafted.upkeep.push(Sweep::requested(id));
        }
        let configured = Collection {
            settings,
            configured_ts: self.ts,
            ..(*known).clone()
        };
        let key = (COLLECTIONS, StoredCollection::document_id(id));
        let document = StoredCollection::of(&configured).to_document();
        self.put(key, &document, ExpiryChange::KEEP)?;
        self.catalog_mut().insert(configured);
        Ok(step(true))
    }

    /// Takes away what is kept of a collection beside its documents: for its due times, its retention and its types.
    pub(super) fn forget_marks(&mut self, collection: CollectionId) {
        let keys = [
            keyspace::scheduling(collection),
            keyspace::sweeping(collection),
            keyspace::swept(collection),
            keyspace::images_trimmed(collection),
            keyspace::backfilling(collection),
        ];
        let deletes = keys.into_iter().map(|key| Write::Delete { key });
        self.drafted.upkeep.extend(deletes);
        for key in [keyspace::types(collection), keyspace::uses(collection)] {
            chunk::erase(&key, 0, &mut self.drafted.upkeep);
            self.drafted.upkeep.push(Write::Delete { key });
        }
    }

    pub(super) fn restore(
        &mut self,
        key: DocumentKey,
        to: Option<CommitTs>,
    ) -> Result<Step, ApplyError> {
        let image = self.image(&key)?;
        let unchanged = |image: Image| Step {
            collection: Some(key.0),
            before: image.clone(),
            after: image,
            changed: false,
        };
        let Some(current) = &image else {
            return Ok(unchanged(None));
        };
        let source = match to {
            None if current.is_deleted() => Arc::clone(current),
            None => return Ok(unchanged(image)),
            Some(at) => self.revision(&key, current, at)?,
        };
        let expires_at = source.expires_at().filter(|at| *at > self.ts.as_micros());
        let mut document = source.to_document()?;
        if let Some(declared) = self.declared(key.0) {
            let conforming = declared.conform(&document, Way::Whole, self.ts)?;
            self.check_declared(&declared, &key, &conforming)?;
            document = conforming.into_owned();
        }
        let is_same = !current.is_deleted()
            && document.json() == current.document().json()
            && (expires_at, source.on_expire()) == (current.expires_at(), current.on_expire());
        if is_same {
            return Ok(unchanged(image));
        }
        let fields = SystemFields {
            created_at: source.created_at(),
            deleted_at: None,
            purge_at: None,
            expires_at,
            on_expire: source.on_expire(),
            cause: Some(Cause::Restored),
            ..self.next_fields(current)?
        };
        let after = Record::new(&fields, &document);
        let before = to.and(image.filter(|image| !image.is_deleted()));
        Ok(self.write_step(key, before, Some(Arc::new(after))))
    }

    /// The image of a document that held at `at`, which must not be a deleted one.
    fn revision(
        &self,
        key: &DocumentKey,
        current: &Arc<Record<'static>>,
        at: CommitTs,
    ) -> Result<Arc<Record<'static>>, ApplyError> {
        let found = if at >= self.ts {
            return Err(IntentError::NotYet { at }.into());
        } else if current.commit_ts() <= at {
            Some(Arc::clone(current))
        } else {
            self.earlier_revision(key, at)?
        };
        let id = || key.1.clone();
        found
            .filter(|found| !found.is_deleted())
            .ok_or_else(|| IntentError::NoRevision { id: id(), at }.into())
    }

    fn earlier_revision(&self, key: &DocumentKey, at: CommitTs) -> Result<Image, ApplyError> {
        let reader = self.ground.base.reader();
        let (collection, id) = (key.0, key.1.as_str());
        let emptied = match self.drafted.emptied.contains(&collection) {
            true => self.ts,
            false => self.ground.emptied_ts(collection)?,
        };
        let oldest = history::kept_from(reader, emptied, collection)?;
        if at < oldest {
            return Err(IntentError::HistoryGone { oldest }.into());
        }
        if self.is_erased_after(key, at)? {
            return Ok(None);
        }
        if reader.head().is_none_or(|head| at >= head.commit_ts) {
            // Only commits that the reader may lack have changed it since.
            let mut changes = self.ground.newest_changes(key);
            return match changes.find(|(ts, _)| *ts > at) {
                Some((_, change)) => Ok(change.before.clone()),
                // This transaction itself has.
                None => Ok(self.ground.image(key)?),
            };
        }
        let found = match read_document(reader, collection, id)? {
            Some(current) if current.commit_ts() <= at => Some(current),
            _ => history::spanning(reader, collection, id, at, Hidden::Skip)?,
        };
        Ok(found.map(|found| Arc::new(found.into_owned())))
    }

    /// Whether a commit that the reader may lack, or this one, deletes the document for good after `at`, so that what was
    /// there then is hidden.
    fn is_erased_after(&self, key: &DocumentKey, at: CommitTs) -> Result<bool, EngineError> {
        let is_erased_here = match self.drafted.own.image(key.0, key.1.as_str()) {
            Some(after) => erases(self.ground.image(key)?.as_deref(), after.as_deref()),
            None => false,
        };
        Ok(is_erased_here || self.ground.erases_after(key, at))
    }

    pub(super) fn upkeep(&mut self, work: UpkeepWork) -> Result<Step, ApplyError> {
        match work {
            UpkeepWork::CarryOut(entry) => self.carry_out(&entry),
            UpkeepWork::Relations(looked) => self.take_in(&looked),
            UpkeepWork::Schedule(schedule) => {
                self.schedule(schedule);
                Ok(Step::default())
            }
            UpkeepWork::Erase(erasure) => {
                for image in &erasure.images {
                    image.erase(erasure.collection, &mut self.drafted.erasures);
                }
                if let Some(entry) = erasure.finished {
                    self.finish_erasing(&entry)?;
                }
                Ok(Step::default())
            }
            UpkeepWork::Sweep(sweep) => {
                self.sweep(&sweep);
                Ok(Step::default())
            }
            UpkeepWork::Types(change) => {
                if self.catalog().by_id(change.collection()).is_some() {
                    self.drafted.types.push(change);
                }
                Ok(Step::default())
            }
            UpkeepWork::NoteUses { collection, uses } => {
                if self.catalog().by_id(collection).is_some() {
                    vanished::write_uses(collection, &uses, &mut self.drafted.upkeep);
                }
                Ok(Step::default())
            }
        }
    }

    /// Does what is due to a document now, if anything is; a due entry is done with either way.
    fn carry_out(&mut self, entry: &DueEntry) -> Result<Step, ApplyError> {
        let key = (entry.collection, entry.id.clone());
        let image = match self.image(&key) {
            // Nobody can tell what is due to it. It stays as it is, for `verify` to find.
            Err(EngineError::Corrupt { .. }) => None,
            image => image?,
        };
        let settings = self.settings(entry.collection);
        let due = image
            .as_deref()
            .and_then(|record| due_of(record, &settings));
        let now = self.ts.as_micros();
        if entry.at > now && due == Some((entry.at, entry.kind)) {
            return Ok(self.nothing(&key));
        }
        self.drafted.upkeep.push(entry.delete());
        let (Some(before), Some((at, kind))) = (image, due) else {
            return Ok(self.nothing(&key));
        };
        if at > now {
            return Ok(self.nothing(&key));
        }
        let is_soft = kind == DueKind::Expire && settings.expires_to(&before) == OnExpire::Soft;
        let after = match is_soft {
            true => self.deleted(&before, None, Some(Cause::Expired))?,
            false => None,
        };
        let after = match self.try_leave(&key, &before, &after)? {
            true => after,
            false => {
                let later = self.postponed(&before)?;
                self.write(key.clone(), later.clone());
                later
            }
        };
        Ok(Step {
            collection: Some(key.0),
            before: Some(before),
            after,
            changed: true,
        })
    }

    /// The same document, which expires later: others that name it keep it.
    fn postponed(&self, before: &Arc<Record<'static>>) -> Result<Image, EngineError> {
        let fields = SystemFields {
            expires_at: Some(self.ts.as_micros().saturating_add(POSTPONED_MICROS)),
            ..self.next_fields(before)?
        };
        Ok(Some(Arc::new(Record::new(&fields, &before.to_document()?))))
    }

    /// Gives documents that were there before the settings changed their due entries.
    fn schedule(&mut self, schedule: Schedule) {
        let Schedule {
            collection,
            configured_ts,
            entries,
            next,
        } = schedule;
        let found = self.catalog().by_id(collection);
        // Settings that have changed since make all documents be looked at anew.
        if found.is_none_or(|found| found.configured_ts != configured_ts) {
            return;
        }
        let upkeep = &mut self.drafted.upkeep;
        upkeep.extend(entries.iter().map(DueEntry::put));
        let key = keyspace::scheduling(collection);
        upkeep.push(match next {
            Some(id) => Write::Put {
                key,
                value: id.into_bytes(),
            },
            None => Write::Delete { key },
        });
    }

    /// Takes away the mark that hides a history which has been erased, unless the document was deleted for good again
    /// since.
    fn finish_erasing(&mut self, entry: &DueEntry) -> Result<(), EngineError> {
        let key = keyspace::erased(entry.collection, entry.id.as_str());
        let erased = history::read_ts(self.ground.base.reader(), &key)?;
        let document = (entry.collection, entry.id.clone());
        let is_erased_anew = self.ground.erases_after(&document, entry.erase_before);
        if !is_erased_anew && erased <= entry.erase_before {
            self.drafted.erasures.push(Write::Delete { key });
        }
        self.drafted.erasures.push(entry.delete());
        Ok(())
    }

    fn sweep(&mut self, sweep: &Sweep) {
        let found = self.catalog().by_id(sweep.collection);
        // Settings that have changed since have asked for another sweep, which decides anew.
        if found.is_some_and(|found| found.configured_ts == sweep.configured_ts) {
            sweep.write(&mut self.drafted.erasures);
        }
    }
}

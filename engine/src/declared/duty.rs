//! The background work of declarations: pages of older documents, one transaction each.
//!
//! A page names the documents that have to be written; what is written is decided by the committer, from the images that
//! are current then. A document that was looked at need not be looked at again, since every write conforms. How far a pass
//! has come is stored with each page, so that it goes on there after a restart.

use std::ops::{Bound, ControlFlow};

use thalweg_model::{CollectionId, CommitTs, Document, DocumentId, prefix_end};
use thalweg_storage::Direction;

use super::{Backfill, BackfillKind, Declared, RenamePhase, Way};
use crate::engine::Engine;
use crate::error::{EngineError, IntentError, TransactionError};
use crate::intent::Intent;
use crate::keyspace;
use crate::maintenance::Duty;
use crate::snapshot::Snapshot;

/// How many documents a page looks at.
const LOOKED_AT_MAX: usize = 5000;
/// How many documents a page writes.
const WRITTEN_MAX: usize = 500;
/// About how many bytes of documents a page writes.
const BYTES_MAX: usize = 1 << 20;

/// How far a pass over the documents has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The pass: [`Backfill::since`].
    pub(crate) since: CommitTs,
    /// How many documents have been looked at.
    pub(crate) looked_at: u64,
    /// The last one.
    pub(crate) id: DocumentId,
}

impl Cursor {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.since.as_micros().to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.looked_at.to_be_bytes());
        bytes.extend_from_slice(self.id.as_str().as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Cursor> {
        let (since, rest) = bytes.split_first_chunk::<8>()?;
        let (looked_at, id) = rest.split_first_chunk::<8>()?;
        Some(Cursor {
            since: CommitTs::from_micros(u64::from_be_bytes(*since)),
            looked_at: u64::from_be_bytes(*looked_at),
            id: DocumentId::new(std::str::from_utf8(id).ok()?).ok()?,
        })
    }

    /// Where a pass has come to; `None` at its beginning.
    pub(crate) fn read(
        snapshot: &Snapshot,
        collection: CollectionId,
        since: CommitTs,
    ) -> Result<Option<Cursor>, EngineError> {
        let stored = snapshot.reader().get(&keyspace::backfilling(collection))?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let cursor = Cursor::decode(&stored).ok_or(EngineError::Corrupt {
            what: "place of a backfill",
        })?;
        Ok(Some(cursor).filter(|cursor| cursor.since == since))
    }
}

/// How far a backfill has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackfillProgress {
    /// From 0 to 1.
    pub done: f64,
}

impl Snapshot {
    /// How far the backfill at a position in [`Declared::backfills`] has come.
    pub fn backfill_progress(
        &self,
        collection: CollectionId,
        declared: &Declared,
        position: usize,
    ) -> Result<BackfillProgress, EngineError> {
        let Some(backfill) = declared.backfills.get(position) else {
            return Ok(BackfillProgress { done: 1.0 });
        };
        let total = self.stored_count(collection)?.max(1);
        let looked_at = match position {
            0 => {
                Cursor::read(self, collection, backfill.since)?.map_or(0, |cursor| cursor.looked_at)
            }
            _ => 0,
        };
        let pass = looked_at.min(total) as f64 / total as f64;
        let done = match &backfill.kind {
            BackfillKind::Default { .. } => pass,
            BackfillKind::Rename {
                phase: RenamePhase::Copying,
                ..
            } => pass / 2.0,
            BackfillKind::Rename {
                phase: RenamePhase::Removing,
                ..
            } => 0.5 + pass / 2.0,
        };
        Ok(BackfillProgress { done })
    }
}

/// The next page of the first backfill that needs some.
pub(crate) struct BackfillDuty;

impl Duty for BackfillDuty {
    fn next(&self, engine: &Engine) -> Result<Option<Vec<Intent>>, EngineError> {
        let is_wanted = |declared: &Declared| {
            let first = declared.backfills.first();
            first.is_some_and(Backfill::is_running)
        };
        let catalog = engine.catalog();
        let has_work = catalog
            .collections()
            .any(|collection| collection.declared.as_deref().is_some_and(is_wanted));
        if !has_work {
            return Ok(None);
        }
        let snapshot = engine.snapshot()?;
        for collection in snapshot.catalog().collections() {
            let Some(declared) = collection.declared.as_deref().filter(|it| is_wanted(it)) else {
                continue;
            };
            let since = declared.backfills[0].since;
            return page(&snapshot, collection.id, declared, since).map(|page| Some(vec![page]));
        }
        Ok(None)
    }

    /// What cannot be written ends the backfill: it would be refused again.
    fn refused(&self, intents: &[Intent], error: &TransactionError) -> Option<Vec<Intent>> {
        let TransactionError::Intent { error, .. } = error else {
            return None;
        };
        let [
            Intent::Backfill {
                collection, since, ..
            },
        ] = intents
        else {
            return None;
        };
        Some(vec![Intent::FailBackfill {
            collection: *collection,
            since: *since,
            reason: reason(error).into(),
        }])
    }
}

fn reason(error: &IntentError) -> String {
    const BYTES_MAX: usize = 1000;
    let mut reason = error.to_string();
    reason.truncate(reason.floor_char_boundary(BYTES_MAX));
    reason
}

fn page(
    snapshot: &Snapshot,
    collection: CollectionId,
    declared: &Declared,
    since: CommitTs,
) -> Result<Intent, EngineError> {
    let cursor = Cursor::read(snapshot, collection, since)?;
    let prefix = keyspace::documents(collection);
    let end = prefix_end(&prefix).expect("a document key does not consist of 0xff bytes");
    let after = cursor
        .as_ref()
        .map(|cursor| keyspace::document(collection, cursor.id.as_str()));
    let from = after
        .as_ref()
        .map_or(Bound::Included(&prefix), Bound::Excluded);
    let mut ids = Vec::new();
    let mut bytes = 0;
    let mut looked_at = 0;
    let mut last = None;
    let mut is_last = true;
    let mut failure = None;
    snapshot.scan_documents(
        collection,
        from,
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |_, record| {
            if looked_at == LOOKED_AT_MAX || ids.len() == WRITTEN_MAX || bytes >= BYTES_MAX {
                is_last = false;
                return ControlFlow::Break(());
            }
            looked_at += 1;
            let looked = DocumentId::new(record.id())
                .map_err(|_| EngineError::Corrupt { what: "id" })
                .and_then(|id| {
                    let document = record.to_document()?;
                    let conforms = conforms(declared, &document, snapshot.ts())?;
                    Ok((id, conforms))
                });
            match looked {
                Ok((id, conforms)) => {
                    if !conforms {
                        bytes += record.stored().len();
                        ids.push(id.clone());
                    }
                    last = Some(id);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        },
    )?;
    if let Some(error) = failure {
        return Err(error);
    }
    let before = cursor.map_or(0, |cursor| cursor.looked_at);
    Ok(Intent::Backfill {
        collection,
        since,
        ids,
        to: last.filter(|_| !is_last).map(|id| Cursor {
            since,
            looked_at: before + looked_at as u64,
            id,
        }),
    })
}

/// Whether a document is as the backfills want it.
fn conforms(declared: &Declared, document: &Document, now: CommitTs) -> Result<bool, EngineError> {
    let done = declared.conform(document, Way::Whole, now)?;
    Ok(done.json() == document.json())
}

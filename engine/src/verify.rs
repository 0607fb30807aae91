//! Checks a whole store: what it holds has to be what its own rules say.
//!
//! One reader of the backend shows one state; each check looks at a part of it and notes what it finds. Nothing is
//! changed, and nothing is taken over from a server that uses the store.
//!
//! To add a check: write a function like those in [`CHECKS`], and put it there.
//!
//! | module | checks |
//! |---|---|
//! | `keys` | every key lies in a keyspace; what the store says of itself |
//! | `documents` | current images, the catalog's own included; counts what `statistics` compares |
//! | `history` | earlier images: in order, without gaps or overlaps where they can be seen |
//! | `chunks` | every chunk is of a long value that is there |
//! | `log` | entries and the images that they refer to, unless these may have been erased; the head |
//! | `statistics` | counts and shapes equal a recount; the registry knows every name |
//! | `types` | published types are of collections that are there, and all of their fields have names |
//! | `due` | reminders of what is to be done at a time |
//! | `indexes` | rows are those that the definitions derive from the documents |
//! | `answers` | answers under idempotency keys, and the order in which they are forgotten |
//! | `findings` | what was found, within bounds |

mod answers;
mod chunks;
mod documents;
mod due;
mod findings;
mod history;
mod indexes;
mod keys;
mod log;
mod statistics;
mod types;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use thalweg_model::{CollectionId, CommitTs, Document, prefix_end};
use thalweg_storage::{Backend, Direction, Head, Snapshot as Reader};

pub use findings::{Finding, FindingKind};

use crate::chunk;
use crate::declared::Declared;
use crate::error::EngineError;
use crate::format;
use crate::history::{read_ts, trimmed};
use crate::keyspace::{self, Keyspace};
use crate::record::Record;
use crate::settings::Settings;
use crate::statistics::Statistics;
use findings::Findings;

/// All checks, in an order in which later ones may use what earlier ones have counted.
const CHECKS: &[Check] = &[
    keys::check,
    documents::check,
    history::check,
    chunks::check,
    log::check,
    statistics::check,
    types::check,
    indexes::check,
    due::check,
    answers::check,
];

type Check = fn(&mut Store<'_>) -> Result<(), EngineError>;

/// What a check of a store has come to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Verification {
    /// The newest commit of the state that was checked.
    pub commit_ts: CommitTs,
    /// Collections.
    pub collections: u64,
    /// Current images, the softly deleted ones included.
    pub documents: u64,
    /// Earlier images.
    pub earlier_images: u64,
    /// Entries of the commit log.
    pub log_entries: u64,
    /// How much of each kind was found to be wrong.
    pub counts: BTreeMap<FindingKind, u64>,
    /// The first things that were found to be wrong, up to [`Verification::FINDINGS_MAX`].
    pub findings: Vec<Finding>,
}

impl Verification {
    /// How many findings are told one by one.
    pub const FINDINGS_MAX: usize = 100;

    /// Whether nothing was found to be wrong.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }
}

/// Checks a store. Reads all of it through one reader of the backend, so readers must be allowed to live as long as that
/// takes.
///
/// Fails where the store cannot be read, was written by a newer program, or was restored only in part; all else that
/// is wrong is a finding.
pub fn verify(backend: &dyn Backend) -> Result<Verification, EngineError> {
    let reader = backend.snapshot()?;
    format::check(&*reader)?;
    let Some(head) = reader.head() else {
        return Ok(Verification::default());
    };
    let mut findings = Findings::default();
    let trimmed = found_or(&mut findings, FindingKind::Meta, trimmed(&*reader), || {
        "trim mark".to_owned()
    })?;
    let mut store = Store {
        reader: &*reader,
        head,
        trimmed: trimmed.unwrap_or(CommitTs::MAX),
        counted: BTreeMap::new(),
        indexes: BTreeMap::new(),
        settings: BTreeMap::new(),
        declared: BTreeMap::new(),
        kept_from: BTreeMap::new(),
        marks: BTreeMap::new(),
        done: Verification {
            commit_ts: head.commit_ts,
            ..Verification::default()
        },
        findings,
    };
    for check in CHECKS {
        check(&mut store)?;
    }
    let Store { done, findings, .. } = store;
    let (counts, findings) = findings.into_parts();
    Ok(Verification {
        counts,
        findings,
        ..done
    })
}

/// Is shown a key and its stored value.
type Visitor<'v, 'r> =
    dyn FnMut(&mut Store<'r>, &[u8], Cow<'r, [u8]>) -> Result<(), EngineError> + 'v;

/// The state that is checked, and what has come of it so far.
struct Store<'r> {
    reader: &'r dyn Reader,
    head: Head,
    /// Log entries up to there have been erased.
    trimmed: CommitTs,
    /// What was counted of the collections of the catalog.
    counted: BTreeMap<CollectionId, Statistics>,
    /// The indexes of the catalog.
    indexes: indexes::Indexes,
    /// Those of the collections of the catalog.
    settings: BTreeMap<CollectionId, Settings>,
    /// What is declared of them.
    declared: BTreeMap<CollectionId, Arc<Declared>>,
    /// From when on the earlier images of collections are kept, as far as it was asked for.
    kept_from: BTreeMap<CollectionId, CommitTs>,
    /// Up to when histories of documents are hidden.
    marks: BTreeMap<(CollectionId, String), CommitTs>,
    done: Verification,
    findings: Findings,
}

impl<'r> Store<'r> {
    fn find(&mut self, kind: FindingKind, place: impl Into<String>, detail: impl Into<String>) {
        self.findings.note(kind, place.into(), detail.into());
    }

    /// Visits all keys of a keyspace. Visiting may read more through the reader.
    fn scan(&mut self, keyspace: Keyspace, visit: &mut Visitor<'_, 'r>) -> Result<(), EngineError> {
        let prefix = keyspace.prefix();
        let end = prefix_end(&prefix).expect("a prefix does not consist of 0xff bytes");
        let mut failure = None;
        self.reader.scan(
            Bound::Included(&prefix),
            Bound::Excluded(&end),
            Direction::Forward,
            &mut |key, value| match visit(self, key, value) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        failure.map_or(Ok(()), Err)
    }

    /// The whole value behind a stored one; `None`, and a finding, where parts are missing.
    fn whole(
        &mut self,
        kind: FindingKind,
        place: &str,
        stored: Cow<'r, [u8]>,
        owner: &[u8],
    ) -> Result<Option<Cow<'r, [u8]>>, EngineError> {
        let whole = chunk::resolve(self.reader, stored, || owner.to_vec());
        found_or(&mut self.findings, kind, whole, || place.to_owned())
    }

    /// An image that may be trusted to be what a writer wrote; `None`, and a finding, of another.
    fn image(
        &mut self,
        kind: FindingKind,
        place: &str,
        stored: Cow<'r, [u8]>,
        owner: &[u8],
    ) -> Result<Option<Record<'r>>, EngineError> {
        let Some(whole) = self.whole(kind, place, stored, owner)? else {
            return Ok(None);
        };
        let record = match Record::from_stored(whole) {
            Ok(record) => record,
            Err(error) => {
                self.find(kind, place, error.to_string());
                return Ok(None);
            }
        };
        // The text is parsed anew: the tables beside it must be those that it gives.
        match Document::parse(record.document().json()) {
            Ok(document) if record.stored().ends_with(document.as_stored()) => {}
            Ok(_) => {
                self.find(kind, place, "its field tables are not those of its text");
                return Ok(None);
            }
            Err(error) => {
                self.find(kind, place, format!("its text is no document: {error}"));
                return Ok(None);
            }
        }
        if record.commit_ts() > self.head.commit_ts {
            self.find(kind, place, "it is newer than the newest commit");
        }
        Ok(Some(record))
    }

    /// Earlier images of a collection that ended by then may have been erased.
    fn kept_from(&mut self, collection: CollectionId) -> Result<CommitTs, EngineError> {
        if let Some(known) = self.kept_from.get(&collection) {
            return Ok(*known);
        }
        let mut from = CommitTs::ZERO;
        for (key, what) in [
            (keyspace::swept(collection), "sweep mark"),
            (keyspace::images_trimmed(collection), "image trim mark"),
        ] {
            let place = || format!("{what} of collection {collection}");
            let kind = FindingKind::Meta;
            let read = read_ts(self.reader, &key);
            let mark = found_or(&mut self.findings, kind, read, place)?;
            if mark.is_some_and(|mark| mark > self.head.commit_ts) {
                self.find(kind, place(), "it is after the newest commit");
            }
            // Of one that cannot be read nothing follows.
            from = from.max(mark.unwrap_or(CommitTs::MAX));
        }
        self.kept_from.insert(collection, from);
        Ok(from)
    }

    /// The current image of a document as far as its system fields; `None` where there is none or it is corrupt.
    fn current(
        &self,
        collection: CollectionId,
        id: &str,
    ) -> Result<Option<Record<'r>>, EngineError> {
        let record = crate::snapshot::read_document(self.reader, collection, id);
        match record {
            Err(EngineError::Corrupt { .. }) => Ok(None),
            record => record,
        }
    }
}

/// What was read; `None`, and a finding, where it is corrupt.
fn found_or<T>(
    findings: &mut Findings,
    kind: FindingKind,
    read: Result<T, EngineError>,
    place: impl FnOnce() -> String,
) -> Result<Option<T>, EngineError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error @ EngineError::Corrupt { .. }) => {
            findings.note(kind, place(), error.to_string());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A key in words: text as it is, other bytes as `\xNN`.
fn name(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

fn document_name(collection: CollectionId, id: &str) -> String {
    format!("document {id:?} of collection {collection}")
}

fn log_key_exists(reader: &dyn Reader, ts: CommitTs) -> Result<bool, EngineError> {
    Ok(reader.get(&keyspace::log(ts))?.is_some())
}

#[cfg(test)]
mod tests;

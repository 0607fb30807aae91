//! The revisions of one document: what it was, from when until when, by whom, and what each changed.

use std::ops::{Bound, ControlFlow};

use thalweg_model::{CollectionId, CommitTs, DocumentId, ValueRef};
use thalweg_storage::{Direction, Snapshot as Reader};

use crate::error::EngineError;
use crate::history::{self, Earlier, Entry, Hidden};
use crate::keyspace;
use crate::record::{Record, RevisionKind};

/// Which revisions of a document to list. A revision is named by the commit that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevisionRange {
    /// Only those that were written before that commit.
    pub before: Option<CommitTs>,
    /// Only those that were written after that commit.
    pub after: Option<CommitTs>,
    /// Which come first, and are listed where there are more than `limit`.
    pub order: RevisionOrder,
    /// How many to list at most.
    pub limit: usize,
}

/// An order of revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionOrder {
    /// The current one first.
    NewestFirst,
    /// The first one that is kept first.
    OldestFirst,
}

/// A revision of a document.
#[derive(Debug)]
pub struct Revision<'s> {
    /// The document with its system fields: the version, the commit that wrote it, who did.
    pub record: Record<'s>,
    /// The commit that replaced it; `None` for the current one.
    pub until: Option<CommitTs>,
    /// What kind of write made it.
    pub kind: RevisionKind,
    /// The top-level fields, by their original names, whose values differ from those of the revision before: of a
    /// revision that created the document all of them. `None` where the one before is no longer kept.
    pub changed: Option<Vec<Box<str>>>,
}

/// Revisions of a document.
#[derive(Debug)]
pub struct Revisions<'s> {
    /// In the order that was asked for.
    pub revisions: Vec<Revision<'s>>,
    /// Whether there are more in that direction.
    pub has_more: bool,
}

/// Lists what of a document's history is kept and not hidden. `at` is the time that the view looks back to.
pub(crate) fn list<'s>(
    reader: &'s dyn Reader,
    current: Option<Record<'s>>,
    collection: CollectionId,
    id: &str,
    kept_from: CommitTs,
    at: Option<CommitTs>,
    range: &RevisionRange,
) -> Result<Revisions<'s>, EngineError> {
    let nothing = Revisions {
        revisions: Vec::new(),
        has_more: false,
    };
    if id.len() > DocumentId::BYTES_MAX {
        return Ok(nothing);
    }
    let mut listing = Listing {
        reader,
        collection,
        id,
        oldest: range.after.map_or(CommitTs::ZERO, CommitTs::next),
        // A view of an earlier time has no commits after it.
        newest: newest(range.before, at),
        kept_from,
        wanted: range.limit.saturating_add(1),
        found: Vec::new(),
    };
    if listing.newest.is_none_or(|newest| newest < listing.oldest) {
        return Ok(nothing);
    }
    match range.order {
        RevisionOrder::NewestFirst => {
            listing.add_current(current);
            listing.add_earlier(Direction::Forward)?;
        }
        RevisionOrder::OldestFirst => {
            listing.add_earlier(Direction::Backward)?;
            listing.add_current(current);
        }
    }
    listing.finish(range)
}

/// The newest commit that may be listed; `None` where none may.
fn newest(before: Option<CommitTs>, at: Option<CommitTs>) -> Option<CommitTs> {
    // The greatest timestamp stands for the mark of an erased history.
    let last = CommitTs::from_micros(u64::MAX - 1);
    let before = match before {
        None => last,
        Some(before) => CommitTs::from_micros(before.as_micros().checked_sub(1)?),
    };
    Some(before.min(at.unwrap_or(last)).min(last))
}

struct Listing<'s, 'a> {
    reader: &'s dyn Reader,
    collection: CollectionId,
    id: &'a str,
    oldest: CommitTs,
    newest: Option<CommitTs>,
    kept_from: CommitTs,
    wanted: usize,
    /// In the order of the listing, each with its end.
    found: Vec<(Record<'s>, Option<CommitTs>)>,
}

impl<'s> Listing<'s, '_> {
    fn add_current(&mut self, current: Option<Record<'s>>) {
        if let Some(record) = current
            && record.commit_ts() >= self.oldest
            && self
                .newest
                .is_some_and(|newest| record.commit_ts() <= newest)
            && self.found.len() < self.wanted
        {
            self.found.push((record, None));
        }
    }

    /// The history's keys have the newest images first, so that is forward.
    fn add_earlier(&mut self, direction: Direction) -> Result<(), EngineError> {
        let Some(newest) = self.newest else {
            return Ok(());
        };
        let (reader, collection, id) = (self.reader, self.collection, self.id);
        let erased = history::read_ts(reader, &keyspace::erased(collection, id))?;
        let oldest = self.oldest.max(erased);
        let from = keyspace::history(collection, id, newest);
        let to = keyspace::history(collection, id, oldest);
        let mut failure = None;
        reader.scan(
            Bound::Included(&from),
            Bound::Included(&to),
            direction,
            &mut |key, value| {
                if self.found.len() >= self.wanted {
                    return ControlFlow::Break(());
                }
                let image = keyspace::parse_history(key)
                    .and_then(|(_, _, written)| Entry::decode(written, value))
                    .and_then(|entry| match entry {
                        Entry::Image { until, stored, .. } if until > self.kept_from => {
                            let record = history::resolve(reader, collection, id, stored)?;
                            Ok(Some((record, Some(until))))
                        }
                        _ => Ok(None),
                    });
                match image {
                    Ok(image) => {
                        self.found.extend(image);
                        ControlFlow::Continue(())
                    }
                    Err(error) => {
                        failure = Some(error);
                        ControlFlow::Break(())
                    }
                }
            },
        )?;
        failure.map_or(Ok(()), Err)
    }

    fn finish(mut self, range: &RevisionRange) -> Result<Revisions<'s>, EngineError> {
        let has_more = self.found.len() > range.limit;
        let mut found = std::mem::take(&mut self.found);
        // The revision before the oldest one that is listed: it may be the one beyond the list.
        let beyond = match range.order {
            RevisionOrder::NewestFirst if has_more => found.pop().map(|(record, _)| record),
            _ => {
                found.truncate(range.limit);
                let oldest = match range.order {
                    RevisionOrder::NewestFirst => found.last(),
                    RevisionOrder::OldestFirst => found.first(),
                };
                match oldest {
                    Some((oldest, _)) => self.before(oldest)?,
                    None => None,
                }
            }
        };
        let is_newest_first = range.order == RevisionOrder::NewestFirst;
        if is_newest_first {
            found.reverse();
        }
        let mut revisions: Vec<Revision<'s>> = Vec::with_capacity(found.len());
        for (record, until) in found {
            let before = revisions.last().map(|before| &before.record);
            let changed = changed(before.or(beyond.as_ref()), &record);
            revisions.push(Revision {
                kind: record.revision_kind(),
                record,
                until,
                changed,
            });
        }
        if is_newest_first {
            revisions.reverse();
        }
        Ok(Revisions {
            revisions,
            has_more,
        })
    }

    /// The revision before one, if it is kept.
    fn before(&self, record: &Record<'_>) -> Result<Option<Record<'s>>, EngineError> {
        let Some(at) = record.commit_ts().as_micros().checked_sub(1) else {
            return Ok(None);
        };
        let at = CommitTs::from_micros(at);
        let found =
            history::newest_written_by(self.reader, self.collection, self.id, at, Hidden::Skip)?;
        Ok(found
            .filter(|Earlier { until, .. }| *until > self.kept_from)
            .map(|earlier| earlier.record))
    }
}

fn changed(before: Option<&Record<'_>>, record: &Record<'_>) -> Option<Vec<Box<str>>> {
    let document = record.document();
    if record.revision_kind() == RevisionKind::Created {
        return Some(
            document
                .members()
                .map(|(name, _)| Box::from(&*name))
                .collect(),
        );
    }
    let before = before?.document();
    let json = |value: Option<ValueRef<'_>>| value.map(|value| value.json().to_vec());
    let mut names: Vec<Box<str>> = document
        .members()
        .filter(|(name, value)| json(before.get(name)).as_deref() != Some(value.json()))
        .map(|(name, _)| Box::from(&*name))
        .collect();
    names.extend(
        before
            .members()
            .filter(|(name, _)| document.get(name).is_none())
            .map(|(name, _)| Box::from(&*name)),
    );
    Some(names)
}

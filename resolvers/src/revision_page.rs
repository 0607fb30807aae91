//! Which of a document's revisions are asked for: `first`, `last`, `after`, `before`, the newest first.
//!
//! A cursor names the commit that wrote a revision, so pages stay what they are while new revisions come.

use thalweg_engine::{Position, RevisionOrder, RevisionRange};
use thalweg_model::CommitTs;

use crate::failure::Refusal;
use crate::input::Fields;
use crate::limits::Limits;
use crate::page::{Page, write_cursor};

/// Tells cursors of revisions from those of documents.
const FINGERPRINT: u32 = u32::from_be_bytes(*b"hist");

/// A part of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RevisionPage {
    pub(crate) range: RevisionRange,
    /// The oldest rather than the newest ones; they are shown with the newest first all the same.
    pub(crate) from_end: bool,
}

impl RevisionPage {
    /// Reads the arguments of `_history`.
    pub(crate) fn from_arguments(arguments: &Fields, limits: &Limits) -> Result<Self, Refusal> {
        let page = Page::from_arguments(arguments, FINGERPRINT, limits)?;
        let commit = |cursor: Option<Position>| {
            let Some(position) = cursor else {
                return Ok(None);
            };
            let micros = position.as_bytes().try_into().map(u64::from_be_bytes);
            let micros = micros.map_err(|_| {
                Refusal::bad_request(
                    "the cursor is not one of a revision; take one from edges.cursor",
                )
            })?;
            Ok(Some(CommitTs::from_micros(micros)))
        };
        Ok(RevisionPage {
            range: RevisionRange {
                // What comes after in the list was written before.
                before: commit(page.after)?,
                after: commit(page.before)?,
                order: if page.from_end {
                    RevisionOrder::OldestFirst
                } else {
                    RevisionOrder::NewestFirst
                },
                limit: page.limit,
            },
            from_end: page.from_end,
        })
    }

    /// Whether there are revisions before and after the listed ones, in the order of the list.
    pub(crate) fn surroundings(&self, has_more: bool) -> (bool, bool) {
        if self.from_end {
            (has_more, self.range.after.is_some())
        } else {
            (self.range.before.is_some(), has_more)
        }
    }
}

/// Appends the cursor of a revision as a JSON string.
pub(crate) fn write_revision_cursor(commit_ts: CommitTs, out: &mut Vec<u8>) {
    let position = Position::from_bytes(commit_ts.as_micros().to_be_bytes().to_vec());
    write_cursor(FINGERPRINT, &position, out);
}

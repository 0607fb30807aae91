//! What was found to be wrong: all of it counted, some of it told.

use std::collections::BTreeMap;

use super::Verification;

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// A key that no part of the engine writes.
    Key,
    /// What the store says of itself: its format, how far it was trimmed.
    Meta,
    /// A collection's own document.
    Collection,
    /// A current image.
    Document,
    /// An earlier image.
    History,
    /// A part of a long value.
    Chunk,
    /// An entry of the commit log, or an image that it refers to.
    Log,
    /// The newest commit, as the backend has it.
    Head,
    /// Counts or a shape.
    Statistics,
    /// The registry of GraphQL names.
    Names,
    /// The published types of a collection, or when their fields were used.
    Types,
    /// A row of an index, or the number of its rows.
    Index,
    /// A reminder of what is to be done at a time.
    Due,
    /// An answer under an idempotency key.
    Answer,
}

impl FindingKind {
    /// A stable word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::Key => "key",
            FindingKind::Meta => "meta",
            FindingKind::Collection => "collection",
            FindingKind::Document => "document",
            FindingKind::History => "history",
            FindingKind::Chunk => "chunk",
            FindingKind::Log => "log",
            FindingKind::Head => "head",
            FindingKind::Statistics => "statistics",
            FindingKind::Names => "names",
            FindingKind::Types => "types",
            FindingKind::Index => "index",
            FindingKind::Due => "due",
            FindingKind::Answer => "answer",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Which one.
    pub place: String,
    /// What is wrong with it.
    pub detail: String,
}

/// Findings within bounds.
#[derive(Default)]
pub(super) struct Findings {
    counts: BTreeMap<FindingKind, u64>,
    first: Vec<Finding>,
}

impl Findings {
    pub(super) fn note(&mut self, kind: FindingKind, place: String, detail: String) {
        *self.counts.entry(kind).or_default() += 1;
        if self.first.len() < Verification::FINDINGS_MAX {
            self.first.push(Finding {
                kind,
                place,
                detail,
            });
        }
    }

    pub(super) fn into_parts(self) -> (BTreeMap<FindingKind, u64>, Vec<Finding>) {
        (self.counts, self.first)
    }
}

//! The bytes of a log entry.
//!
//! Layout, integers big-endian: `1 · format · flags · emptied (u32) · collection (u32)… · changes (u32) · change…`,
//! where a change is `collection (u32) · id length · id · kind · flags · commit of the image before (u64)`.
//! The changes come last, so that a part of them can be read without what is before them.

use thalweg_model::{CollectionId, CommitTs};

use crate::chunk;
use crate::commit::{Change, ChangeKind, Commit};

/// The format that is written, and the only one that is read.
const FORMAT: u8 = 2;

/// Without the collections that were emptied, and the changes.
const HEAD_BYTES: usize = 3 + 4 + 4;
/// A change without its id.
const CHANGE_BYTES: usize = 4 + 1 + 1 + 1 + 8;

/// The commit changed the catalog.
const CATALOG: u8 = 1;

/// There is an image before.
const BEFORE: u8 = 1;
/// There is an image after.
const AFTER: u8 = 2;
/// The image before is long, so its chunks go with it.
const BEFORE_IS_LONG: u8 = 4;

/// A commit as a log entry.
pub(super) fn encode(commit: &Commit) -> Vec<u8> {
    let ids: usize = (commit.changes.iter())
        .map(|change| change.id.as_str().len())
        .sum();
    let head = HEAD_BYTES + 4 * commit.emptied.len();
    let mut bytes = Vec::with_capacity(head + CHANGE_BYTES * commit.changes.len() + ids);
    bytes.extend_from_slice(&[chunk::WHOLE, FORMAT]);
    bytes.push(if commit.catalog.is_some() { CATALOG } else { 0 });
    bytes.extend_from_slice(&length(commit.emptied.len()));
    for collection in &commit.emptied {
        bytes.extend_from_slice(&collection.0.to_be_bytes());
    }
    bytes.extend_from_slice(&length(commit.changes.len()));
    for change in &commit.changes {
        encode_change(change, &mut bytes);
    }
    bytes
}

fn encode_change(change: &Change, bytes: &mut Vec<u8>) {
    let id = change.id.as_str().as_bytes();
    bytes.extend_from_slice(&change.collection.0.to_be_bytes());
    bytes.push(u8::try_from(id.len()).expect("an id has at most 128 bytes"));
    bytes.extend_from_slice(id);
    bytes.push(kind_byte(change.kind()));
    let mut flags = 0;
    let mut before_ts = CommitTs::ZERO;
    if let Some(before) = &change.before {
        flags |= BEFORE;
        before_ts = before.commit_ts();
        if chunk::is_long(before.stored().len()) {
            flags |= BEFORE_IS_LONG;
        }
    }
    if change.after.is_some() {
        flags |= AFTER;
    }
    bytes.push(flags);
    bytes.extend_from_slice(&before_ts.as_micros().to_be_bytes());
}

fn length(count: usize) -> [u8; 4] {
    u32::try_from(count)
        .expect("a commit has fewer than 2^32 changes")
        .to_be_bytes()
}

fn kind_byte(kind: ChangeKind) -> u8 {
    match kind {
        ChangeKind::Create => 1,
        ChangeKind::Update => 2,
        ChangeKind::Delete => 3,
        ChangeKind::Restore => 4,
        ChangeKind::Purge => 5,
    }
}

fn kind_of(byte: u8) -> Option<ChangeKind> {
    Some(match byte {
        1 => ChangeKind::Create,
        2 => ChangeKind::Update,
        3 => ChangeKind::Delete,
        4 => ChangeKind::Restore,
        5 => ChangeKind::Purge,
        _ => return None,
    })
}

/// A log entry that has been checked as a whole.
#[derive(Debug)]
pub(crate) struct Entry<'e> {
    pub(crate) changes_catalog: bool,
    /// Collections that the commit emptied at once, before it made its changes.
    pub(crate) emptied: Vec<CollectionId>,
    changes: &'e [u8],
}

/// One document of a log entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoggedChange<'e> {
    pub(crate) collection: CollectionId,
    pub(crate) id: &'e str,
    pub(crate) kind: ChangeKind,
    flags: u8,
    before_ts: CommitTs,
}

impl LoggedChange<'_> {
    /// The commit that wrote the image before, if there is one.
    pub(crate) fn before(&self) -> Option<CommitTs> {
        (self.flags & BEFORE != 0).then_some(self.before_ts)
    }

    /// Whether the image before lies in chunks.
    pub(crate) fn before_is_long(&self) -> bool {
        self.flags & BEFORE_IS_LONG != 0
    }

    /// Whether there is an image after.
    pub(crate) fn has_after(&self) -> bool {
        self.flags & AFTER != 0
    }
}

impl<'e> Entry<'e> {
    /// Reads an entry; `None` of a corrupt one.
    pub(crate) fn decode(bytes: &'e [u8]) -> Option<Self> {
        let (&[whole, format, flags], rest) = bytes.split_first_chunk::<3>()?;
        if whole != chunk::WHOLE || format != FORMAT {
            return None;
        }
        let (emptied_count, mut rest) = integer(rest)?;
        let mut emptied = Vec::new();
        for _ in 0..emptied_count {
            let (collection, tail) = integer(rest)?;
            emptied.push(CollectionId(collection));
            rest = tail;
        }
        let (count, changes) = integer(rest)?;
        let mut rest = changes;
        for _ in 0..count {
            (_, rest) = split_change(rest)?;
        }
        rest.is_empty().then_some(Entry {
            changes_catalog: flags & CATALOG != 0,
            emptied,
            changes,
        })
    }

    /// The documents that the commit wrote, in its order.
    pub(crate) fn changes(&self) -> impl Iterator<Item = LoggedChange<'e>> + use<'e> {
        let mut rest = self.changes;
        std::iter::from_fn(move || {
            let (change, tail) = split_change(rest)?;
            rest = tail;
            Some(change)
        })
    }
}

fn integer(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (integer, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*integer), rest))
}

fn split_change(bytes: &[u8]) -> Option<(LoggedChange<'_>, &[u8])> {
    let (collection, rest) = integer(bytes)?;
    let (id_bytes, rest) = rest.split_first()?;
    let (id, rest) = rest.split_at_checked(usize::from(*id_bytes))?;
    let (&[kind, flags], rest) = rest.split_first_chunk::<2>()?;
    let (before_ts, rest) = rest.split_first_chunk::<8>()?;
    let change = LoggedChange {
        collection: CollectionId(collection),
        id: std::str::from_utf8(id).ok()?,
        kind: kind_of(kind)?,
        flags,
        before_ts: CommitTs::from_micros(u64::from_be_bytes(*before_ts)),
    };
    Some((change, rest))
}

//! What a commit changed, as it is told to everybody who follows the log.

use std::collections::VecDeque;
use std::sync::Arc;

use thalweg_model::{CollectionId, CommitTs, DocumentId};

use crate::catalog::Catalog;
use crate::record::Record;

/// One committed transaction.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Its place in the one order.
    pub ts: CommitTs,
    /// Each document that it wrote, once, with the image before and after the whole transaction.
    pub changes: Vec<Change>,
    /// Collections that it emptied or dropped at once, without naming their documents.
    pub emptied: Vec<CollectionId>,
    /// The new catalog, where it changed one.
    pub catalog: Option<Arc<Catalog>>,
}

/// What a commit did to one document.
#[derive(Clone, Debug)]
pub struct Change {
    /// The document's collection.
    pub collection: CollectionId,
    /// The document's id.
    pub id: DocumentId,
    /// The image before, if there was one.
    pub before: Option<Arc<Record<'static>>>,
    /// The image after, if there is one.
    pub after: Option<Arc<Record<'static>>>,
}

/// What a change did to a document, as those see it who do not ask for deleted ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// The document came to be, be it in the place of one that was softly deleted.
    Create,
    /// It was changed.
    Update,
    /// It was softly deleted, or what is known of its deletion was changed.
    Delete,
    /// Its soft deletion was taken back.
    Restore,
    /// It was deleted for good.
    Purge,
}

impl Change {
    /// What it did to the document.
    pub fn kind(&self) -> ChangeKind {
        match (&self.before, &self.after) {
            (_, None) => ChangeKind::Purge,
            (_, Some(after)) if after.is_deleted() => ChangeKind::Delete,
            (None, Some(_)) => ChangeKind::Create,
            (Some(before), Some(_)) if !before.is_deleted() => ChangeKind::Update,
            (Some(before), Some(after)) if before.created_at() == after.created_at() => {
                ChangeKind::Restore
            }
            (Some(_), Some(_)) => ChangeKind::Create,
        }
    }

    /// Whether it changes how many documents a collection shows: one came, went, or was softly deleted or restored.
    pub fn changes_count(&self) -> bool {
        let shown = |image: &Option<Arc<Record<'static>>>| {
            image.as_ref().is_some_and(|record| !record.is_deleted())
        };
        shown(&self.before) != shown(&self.after)
    }

    /// Whether it deletes the document for good, so that its history is hidden from then on; a new document may have
    /// taken its id at once, whose versions begin anew.
    pub fn erases(&self) -> bool {
        erases(self.before.as_deref(), self.after.as_deref())
    }

    pub(crate) fn images(&self) -> impl Iterator<Item = &Record<'static>> {
        self.before.iter().chain(&self.after).map(|image| &**image)
    }
}

/// Whether a document was deleted for good between two images of one id.
pub(crate) fn erases(before: Option<&Record<'_>>, after: Option<&Record<'_>>) -> bool {
    match (before, after) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after.version() <= before.version(),
    }
}

impl Commit {
    /// About what it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let images = self.changes.iter().flat_map(Change::images);
        let catalog = self.catalog.as_ref().map_or(0, |catalog| catalog.bytes());
        size_of::<Commit>()
            + catalog
            + self.changes.len() * size_of::<Change>()
            + images.map(|image| image.stored().len()).sum::<usize>()
    }
}

/// The newest commits, kept in memory within a bound: what executions are validated against, and what tells whether
/// a result of a while ago still holds.
#[derive(Debug)]
pub(crate) struct RecentCommits {
    commits: VecDeque<Arc<Commit>>,
    /// Everything after this is in `commits`.
    complete_after: CommitTs,
    bytes: usize,
    bytes_max: usize,
}

impl RecentCommits {
    pub(crate) fn new(head: CommitTs, bytes_max: usize) -> Self {
        RecentCommits {
            commits: VecDeque::new(),
            complete_after: head,
            bytes: 0,
            bytes_max,
        }
    }

    pub(crate) fn push(&mut self, commit: Arc<Commit>) {
        debug_assert!(self.commits.back().is_none_or(|last| last.ts < commit.ts));
        self.bytes += commit.bytes();
        self.commits.push_back(commit);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.commits.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes();
            self.complete_after = oldest.ts;
        }
    }

    /// Forgets what there was: everything after `ts` will be here.
    pub(crate) fn skip_to(&mut self, ts: CommitTs) {
        self.commits.clear();
        self.bytes = 0;
        self.complete_after = ts;
    }

    /// The commits after `ts`, in order; `None` where some of them are no longer kept.
    pub(crate) fn after(&self, ts: CommitTs) -> Option<impl Iterator<Item = &Arc<Commit>>> {
        (ts >= self.complete_after).then(|| {
            let start = self.commits.partition_point(|commit| commit.ts <= ts);
            self.commits.range(start..)
        })
    }

    /// The same, about `bytes_max` bytes of them, but at least one.
    pub(crate) fn page(&self, ts: CommitTs, bytes_max: usize) -> Option<Vec<Arc<Commit>>> {
        let mut bytes = 0;
        let mut page = Vec::new();
        for commit in self.after(ts)? {
            if bytes >= bytes_max && !page.is_empty() {
                break;
            }
            bytes += commit.bytes();
            page.push(Arc::clone(commit));
        }
        Some(page)
    }
}

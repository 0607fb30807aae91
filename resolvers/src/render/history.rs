//! The revisions of a document.

use thalweg_engine::{Record, Revision, RevisionKind};
use thalweg_model::{CollectionId, ErrorClass, ErrorCode, write_json_string};

use super::{Nulled, Path, Renderer};
use crate::bind::Bound;
use crate::cost;
use crate::plan::selection::{
    HistorySelection, HistorySource, PageInfoSource, RevisionEdgeSource, RevisionSource, Selected,
    Target,
};
use crate::revision_page::{RevisionPage, write_revision_cursor};

/// Revisions that were found, the newest first.
struct RevisionsFound<'f, 's> {
    collection: CollectionId,
    revisions: &'f [Revision<'s>],
    has_before: bool,
    has_after: bool,
}

impl Renderer<'_> {
    /// A page of a document's history.
    pub(super) fn history(
        &mut self,
        selection: &HistorySelection,
        collection: CollectionId,
        record: &Record<'_>,
        target: &Target,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let source = self.source;
        let bound = source.and_then(|source| Some((source, source.inner.get(selection.inner)?)));
        let (source, page): (_, &RevisionPage) = match bound {
            Some((source, Bound::Revisions(page))) => (source, page),
            Some((_, Bound::Refused(refusals))) => {
                for refusal in refusals {
                    self.refuse(refusal.code, &*refusal.message, path, target.location);
                }
                return Err(Nulled);
            }
            _ => {
                let message = "there is no history to read here";
                return Err(self.refuse(ErrorCode::Internal, message, path, target.location));
            }
        };
        let snapshot = source.snapshot;
        let mut listed = match snapshot.history(collection, record.id(), &page.range) {
            Ok(listed) => listed,
            Err(error) => {
                let advice = "ask for fewer rows or revisions at a time";
                let refusal = cost::refusal(&error, self.limits, advice);
                if error.class() != ErrorClass::Caller && !cost::is_of_cost(&error) {
                    self.store_error = Some(error);
                }
                return Err(self.refuse(refusal.code, refusal.message, path, target.location));
            }
        };
        if page.from_end {
            listed.revisions.reverse();
        }
        let (has_before, has_after) = page.surroundings(listed.has_more);
        let found = RevisionsFound {
            collection,
            revisions: &listed.revisions,
            has_before,
            has_after,
        };
        self.object(
            &selection.items,
            path,
            |renderer, source, _, path| match source {
                HistorySource::TypeName(json) => {
                    renderer.raw(json);
                    Ok(())
                }
                HistorySource::Nodes(items) => {
                    renderer.list(found.revisions.iter(), path, |renderer, revision, path| {
                        renderer.revision(items, found.collection, revision, path)
                    })
                }
                HistorySource::Edges(items) => {
                    renderer.list(found.revisions.iter(), path, |renderer, revision, path| {
                        renderer.revision_edge(items, found.collection, revision, path)
                    })
                }
                HistorySource::PageInfo(items) => renderer.revision_page_info(items, &found, path),
            },
        )
    }

    fn revision_edge(
        &mut self,
        items: &[Selected<RevisionEdgeSource>],
        collection: CollectionId,
        revision: &Revision<'_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.object(items, path, |renderer, source, _, path| match source {
            RevisionEdgeSource::TypeName(json) => {
                renderer.raw(json);
                Ok(())
            }
            RevisionEdgeSource::Cursor => {
                renderer.revision_cursor(Some(revision));
                Ok(())
            }
            RevisionEdgeSource::Node(items) => renderer.revision(items, collection, revision, path),
        })
    }

    fn revision(
        &mut self,
        items: &[Selected<RevisionSource>],
        collection: CollectionId,
        revision: &Revision<'_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let record = &revision.record;
        self.object(items, path, |renderer, source, _, path| {
            match source {
                RevisionSource::TypeName(json) => renderer.raw(json),
                RevisionSource::Version => renderer.big_integer(record.version()),
                RevisionSource::CommitTs => renderer.timestamp(record.commit_ts()),
                RevisionSource::At => renderer.instant(record.commit_ts().as_micros()),
                RevisionSource::Author => match record.author() {
                    Some(author) => write_json_string(author, &mut renderer.out),
                    None => renderer.null(),
                },
                RevisionSource::Kind => renderer.raw(kind(revision.kind)),
                RevisionSource::Changed => match &revision.changed {
                    None => renderer.null(),
                    Some(changed) => {
                        return renderer.list(changed.iter(), path, |renderer, name, _| {
                            write_json_string(name, &mut renderer.out);
                            Ok(())
                        });
                    }
                },
                RevisionSource::Document(selection) => {
                    return renderer.document(selection, collection, record, path);
                }
                RevisionSource::Json => renderer.raw(record.document().json()),
            }
            Ok(())
        })
    }

    fn revision_page_info(
        &mut self,
        items: &[Selected<PageInfoSource>],
        found: &RevisionsFound<'_, '_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.object(items, path, |renderer, source, _, _| {
            match source {
                PageInfoSource::TypeName(json) => renderer.raw(json),
                PageInfoSource::HasNextPage => renderer.boolean(found.has_after),
                PageInfoSource::HasPreviousPage => renderer.boolean(found.has_before),
                PageInfoSource::StartCursor => renderer.revision_cursor(found.revisions.first()),
                PageInfoSource::EndCursor => renderer.revision_cursor(found.revisions.last()),
            }
            Ok(())
        })
    }

    fn revision_cursor(&mut self, revision: Option<&Revision<'_>>) {
        match revision {
            Some(revision) => {
                write_revision_cursor(revision.record.commit_ts(), &mut self.out);
            }
            None => self.null(),
        }
    }
}

fn kind(kind: RevisionKind) -> &'static [u8] {
    match kind {
        RevisionKind::Created => b"\"CREATED\"",
        RevisionKind::Updated => b"\"UPDATED\"",
        RevisionKind::Deleted => b"\"DELETED\"",
        RevisionKind::Restored => b"\"RESTORED\"",
        RevisionKind::Expired => b"\"EXPIRED\"",
    }
}

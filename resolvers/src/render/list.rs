//! Connections: pages of documents.

use thalweg_engine::{Found, OrderKey, Position, Record};
use thalweg_model::CollectionId;

use super::{Nulled, Path, Renderer};
use crate::ordered::Positions;
use crate::page::write_cursor;
use crate::plan::selection::{
    ConnectionSelection, ConnectionSource, EdgeSource, PageInfoSource, Selected,
};

/// A page that was found, and what its cursors are made of.
pub(crate) struct PageFound<'f, 's> {
    pub(crate) collection: CollectionId,
    pub(crate) found: &'f Found<'s>,
    pub(crate) order: &'f [OrderKey],
    pub(crate) fingerprint: u32,
    /// Where the documents stand, where that is not in them.
    pub(crate) positions: Option<&'f Positions>,
}

impl Renderer<'_> {
    /// A connection.
    pub(crate) fn connection(
        &mut self,
        selection: &ConnectionSelection,
        page: &PageFound<'_, '_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let rows = &page.found.rows;
        self.object(
            &selection.items,
            path,
            |renderer, source, _, path| match source {
                ConnectionSource::TypeName(json) => {
                    renderer.raw(json);
                    Ok(())
                }
                ConnectionSource::Nodes(selection) => {
                    let ahead = renderer.rows_ahead(selection);
                    renderer.list(0..rows.len(), path, |renderer, row, path| {
                        if row % ahead == 0 {
                            renderer.load(selection, rows[row..].iter().take(ahead));
                        }
                        renderer.document(selection, page.collection, &rows[row], path)
                    })
                }
                ConnectionSource::Edges(items) => {
                    let nodes = items.iter().filter_map(|item| match &item.source {
                        EdgeSource::Node(selection) => Some(selection),
                        _ => None,
                    });
                    let ahead = nodes.clone().map(|node| renderer.rows_ahead(node)).min();
                    let ahead = ahead.unwrap_or(usize::MAX);
                    renderer.list(0..rows.len(), path, |renderer, row, path| {
                        if row % ahead == 0 {
                            for selection in nodes.clone() {
                                renderer.load(selection, rows[row..].iter().take(ahead));
                            }
                        }
                        renderer.edge(items, page, &rows[row], path)
                    })
                }
                ConnectionSource::PageInfo(items) => renderer.page_info(items, page, path),
                ConnectionSource::TotalCount => {
                    renderer.number(page.found.total.unwrap_or_default());
                    Ok(())
                }
            },
        )
    }

    fn edge(
        &mut self,
        items: &[Selected<EdgeSource>],
        page: &PageFound<'_, '_>,
        record: &Record<'_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.object(items, path, |renderer, source, _, path| match source {
            EdgeSource::TypeName(json) => {
                renderer.raw(json);
                Ok(())
            }
            EdgeSource::Cursor => {
                renderer.cursor(page, Some(record));
                Ok(())
            }
            EdgeSource::Node(selection) => {
                renderer.document(selection, page.collection, record, path)
            }
        })
    }

    fn page_info(
        &mut self,
        items: &[Selected<PageInfoSource>],
        page: &PageFound<'_, '_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let found = page.found;
        self.object(items, path, |renderer, source, _, _| {
            match source {
                PageInfoSource::TypeName(json) => renderer.raw(json),
                PageInfoSource::HasNextPage => renderer.boolean(found.has_after),
                PageInfoSource::HasPreviousPage => renderer.boolean(found.has_before),
                PageInfoSource::StartCursor => renderer.cursor(page, found.rows.first()),
                PageInfoSource::EndCursor => renderer.cursor(page, found.rows.last()),
            }
            Ok(())
        })
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.raw(if value { b"true" } else { b"false" });
    }

    fn cursor(&mut self, page: &PageFound<'_, '_>, record: Option<&Record<'_>>) {
        match record {
            Some(record) => {
                let placed = page.positions.and_then(|it| it.get(record.id()));
                match placed {
                    Some(position) => write_cursor(page.fingerprint, position, &mut self.out),
                    None => {
                        let position = Position::of(record, page.order);
                        write_cursor(page.fingerprint, &position, &mut self.out);
                    }
                }
            }
            None => self.null(),
        }
    }
}

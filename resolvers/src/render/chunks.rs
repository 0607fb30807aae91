//! Long responses leave in chunks while they are written.
//!
//! What has left cannot become null any more, so chunks are cut only where nothing before can be taken back: between the rows of
//! the last root field, when it is a list of documents none of whose fields can fail with null where null may not stand.
//! Everything else, and every response that is no longer than a chunk, is written as a whole.

use bytes::Bytes;

use super::{Nulled, Path, Renderer};
use crate::bind::Bound;
use crate::plan::selection::{
    ConnectionSelection, ConnectionSource, DocumentSelection, DocumentSource, EdgeSource,
};
use crate::plan::{Action, QueryAction, RootField};

/// Bytes of a response that are written before some of them leave.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

/// Who takes a long response piece by piece.
pub trait ChunkSink {
    /// Takes the next piece, and may wait until there is room for it. False when nobody wants any more, which ends the run.
    fn take(&mut self, chunk: Bytes) -> bool;
}

/// What has become of a response that may leave in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Nothing has left: it is short, or nothing of it could leave before it was whole.
    None,
    /// All of it has left.
    Sent,
    /// What has left cannot be completed, or nobody takes it.
    Broken,
}

/// A response on its way to a sink.
pub(super) struct Chunks<'a> {
    sink: &'a mut (dyn ChunkSink + 'static),
    /// Whether rows are being written that may leave.
    is_open: bool,
    /// Whether the response cannot be completed.
    is_broken: bool,
}

impl<'a> Renderer<'a> {
    /// Lets the response leave in chunks.
    pub(crate) fn into_sink(self, sink: &'a mut (dyn ChunkSink + 'static)) -> Self {
        let chunks = Chunks {
            sink,
            is_open: false,
            is_broken: false,
        };
        Renderer {
            chunks: Some(chunks),
            ..self
        }
    }

    /// Rows of the root field that is written next may leave before it is whole, if that is the last and they can stand.
    pub(crate) fn open_chunks(&mut self, root: &RootField, bound: &Bound, is_last: bool) {
        if let Some(chunks) = &mut self.chunks {
            chunks.is_open = is_last
                && matches!(bound, Bound::List(_))
                && matches!(
                    &root.action,
                    Action::Query(QueryAction::List { selection, .. }) if rows_stand(selection)
                );
        }
    }

    /// A root field becomes null, and what has left of it cannot.
    pub(super) fn note_nulled(&mut self) {
        if let Some(chunks) = &mut self.chunks {
            chunks.is_broken |= self.sent > 0;
        }
    }

    /// After an item of a list: sends what there is, if that is much and may leave.
    #[cold]
    pub(super) fn send_chunk(&mut self, path: &Path<'_>) -> Result<(), Nulled> {
        let Some(chunks) = &mut self.chunks else {
            return Ok(());
        };
        if !chunks.is_open || !path.is_row_of_root() {
            return Ok(());
        }
        self.sent += self.out.len();
        let next = Vec::with_capacity(self.out.len() + self.out.len() / 8);
        let chunk = std::mem::replace(&mut self.out, next);
        if chunks.sink.take(Bytes::from(chunk)) {
            return Ok(());
        }
        chunks.is_broken = true;
        self.is_full = true;
        Err(Nulled)
    }
}

impl Chunks<'_> {
    /// Sends the end of a response of which so many bytes have left.
    pub(super) fn end(self, sent: usize, rest: &Bytes) -> Delivery {
        match () {
            () if self.is_broken => Delivery::Broken,
            () if sent == 0 => Delivery::None,
            () if self.sink.take(rest.clone()) => Delivery::Sent,
            () => Delivery::Broken,
        }
    }
}

/// Whether no field of the rows can be null where null may not stand.
fn rows_stand(selection: &ConnectionSelection) -> bool {
    selection.items.iter().all(|item| match &item.source {
        ConnectionSource::Nodes(document) => stands(document),
        ConnectionSource::Edges(items) => items.iter().all(|item| match &item.source {
            EdgeSource::Node(document) => stands(document),
            EdgeSource::TypeName(_) | EdgeSource::Cursor => true,
        }),
        _ => true,
    })
}

/// A system field is read from the record itself.
fn stands(document: &DocumentSelection) -> bool {
    document.items.iter().all(|item| match &item.source {
        DocumentSource::TypeName(_) | DocumentSource::System(_) => true,
        _ => !item.target.is_non_null,
    })
}

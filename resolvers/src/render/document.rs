//! Documents.

use thalweg_engine::Record;
use thalweg_model::{CollectionId, CommitTs, ValueRef, write_json_string, write_rfc3339};
use thalweg_schema_infer::SystemField;

use super::id::write_members_with_id;
use super::{AsStored, Nulled, Path, Renderer};
use crate::node_id;
use crate::plan::selection::{DocumentSelection, DocumentSource, Target};

impl Renderer<'_> {
    /// A document of a collection.
    pub(crate) fn document(
        &mut self,
        selection: &DocumentSelection,
        collection: CollectionId,
        record: &Record<'_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let root = record.document();
        let as_stored = |renderer: &mut Self, source: &DocumentSource, target: &Target| match source
        {
            DocumentSource::Stored(field) => renderer.as_stored(field, root, target),
            _ => AsStored::No,
        };
        self.stored_object(
            &selection.items,
            path,
            as_stored,
            |renderer, source, target, path| match source {
                DocumentSource::Stored(field) => renderer.stored(field, root, target, path),
                DocumentSource::System(field) => {
                    renderer.system(*field, collection, record, root);
                    Ok(())
                }
                DocumentSource::Named(named) => renderer.named(named, root, target, path),
                DocumentSource::Back(back) => renderer.back(back, record, target, path),
                DocumentSource::History(selection) => {
                    renderer.history(selection, collection, record, target, path)
                }
                DocumentSource::TypeName(json) => {
                    renderer.raw(json);
                    Ok(())
                }
            },
        )
    }

    fn system(
        &mut self,
        field: SystemField,
        collection: CollectionId,
        record: &Record<'_>,
        root: ValueRef<'_>,
    ) {
        match field {
            SystemField::NodeId => node_id::write(collection, record.id(), &mut self.out),
            SystemField::Id => write_json_string(record.id(), &mut self.out),
            SystemField::Version => self.big_integer(record.version()),
            SystemField::CommitTs => self.timestamp(record.commit_ts()),
            SystemField::CreatedAt => self.instant(record.created_at()),
            SystemField::UpdatedAt => self.instant(record.updated_at()),
            SystemField::DeletedAt => self.nullable_instant(record.deleted_at()),
            SystemField::ExpiresAt => self.nullable_instant(record.expires_at()),
            SystemField::PurgeAt => self.nullable_instant(record.purge_at()),
            SystemField::Json => self.raw(root.json()),
        }
    }

    fn nullable_instant(&mut self, micros: Option<u64>) {
        match micros {
            Some(micros) => self.instant(micros),
            None => self.null(),
        }
    }

    /// Microseconds since the Unix epoch as a `DateTime`.
    pub(super) fn instant(&mut self, micros: u64) {
        self.out.push(b'"');
        write_rfc3339(i64::try_from(micros).unwrap_or(i64::MAX), &mut self.out);
        self.out.push(b'"');
    }

    pub(super) fn timestamp(&mut self, ts: CommitTs) {
        self.out.push(b'"');
        self.number(ts.as_micros());
        self.out.push(b'"');
    }

    /// A document as stored, with its real id.
    pub(crate) fn stored_document(&mut self, record: &Record<'_>) {
        self.raw(b"{");
        write_members_with_id(record, &mut self.out);
        self.raw(b"}");
    }
}

//! What the API says about collections, the schema, and bulk mutations.

use thalweg_engine::{Collection, Statistics};
use thalweg_model::write_json_string;

use super::{Nulled, Path, Renderer};
use crate::plan::selection::{BulkSource, InfoSource, SchemaSource, Selected};
use crate::schema::SchemaVersion;

impl Renderer<'_> {
    /// What is known of a collection.
    pub(crate) fn collection_info(
        &mut self,
        items: &[Selected<InfoSource>],
        collection: &Collection,
        statistics: &Statistics,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let names = &collection.schema.names;
        self.object(items, path, |renderer, source, _, _| {
            match source {
                InfoSource::TypeName(json) => renderer.raw(json),
                InfoSource::Name => write_json_string(&collection.name, &mut renderer.out),
                InfoSource::GraphqlTypeName => {
                    write_json_string(&names.type_name, &mut renderer.out);
                }
                InfoSource::ListField => write_json_string(&names.list_field, &mut renderer.out),
                // Schemas cannot be declared yet, so every collection is inferred.
                InfoSource::Mode => renderer.raw(b"\"FLEXIBLE\""),
                InfoSource::Count => renderer.big_integer(statistics.documents),
                InfoSource::Shape => renderer.raw(&statistics.shape.to_json()),
                InfoSource::CreatedAt => renderer.instant(collection.created_at),
            }
            Ok(())
        })
    }

    /// All collections.
    pub(crate) fn collections<'c>(
        &mut self,
        items: &[Selected<InfoSource>],
        collections: impl Iterator<Item = (&'c Collection, Statistics)>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.list(
            collections,
            path,
            |renderer, (collection, statistics), path| {
                renderer.collection_info(items, collection, &statistics, path)
            },
        )
    }

    /// The API schema that the operation runs on.
    pub(crate) fn schema_info(
        &mut self,
        items: &[Selected<SchemaSource>],
        schema: &SchemaVersion,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.object(items, path, |renderer, source, _, _| {
            match source {
                SchemaSource::TypeName(json) => renderer.raw(json),
                SchemaSource::Version => {
                    renderer.out.push(b'"');
                    renderer.number(schema.version().as_micros());
                    renderer.out.push(b'"');
                }
                SchemaSource::Sdl => write_json_string(schema.sdl(), &mut renderer.out),
            }
            Ok(())
        })
    }

    /// What a bulk mutation wrote.
    pub(crate) fn bulk_result(
        &mut self,
        items: &[Selected<BulkSource>],
        ids: &[&str],
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.object(items, path, |renderer, source, _, path| match source {
            BulkSource::TypeName(json) => {
                renderer.raw(json);
                Ok(())
            }
            BulkSource::Count => {
                renderer.number(ids.len() as u64);
                Ok(())
            }
            BulkSource::Ids => renderer.list(ids.iter(), path, |renderer, id, _| {
                write_json_string(id, &mut renderer.out);
                Ok(())
            }),
        })
    }
}

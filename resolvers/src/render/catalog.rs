//! What the API says about collections, the schema, and bulk mutations.

use thalweg_engine::{
    BackfillKind, Collection, Index, IndexProgress, IndexStatus, OnExpire, Settings, Statistics,
    write_iso_duration,
};
use thalweg_model::write_json_string;

use super::{Nulled, Path, Renderer};
use crate::declaration::backfill_fields;
use crate::failure::Refusal;
use crate::plan::selection::{
    BackfillSource, BulkSource, IndexSource, InfoSource, SchemaChangeSource, SchemaSource,
    Selected, SettingsSource,
};
use crate::schema::SchemaVersion;
use crate::schema_diff::ApiChange;

/// The changes of the schema that one of the plan's inner fields asks for; `None` where they are no longer known.
pub(crate) type ChangesSince<'c> = dyn Fn(usize) -> Result<Option<Vec<ApiChange>>, Refusal> + 'c;

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
        self.object(items, path, |renderer, source, _, path| {
            match source {
                InfoSource::TypeName(json) => renderer.raw(json),
                InfoSource::Name => write_json_string(&collection.name, &mut renderer.out),
                InfoSource::GraphqlTypeName => {
                    write_json_string(&names.type_name, &mut renderer.out);
                }
                InfoSource::ListField => write_json_string(&names.list_field, &mut renderer.out),
                InfoSource::Mode => {
                    write_json_string(collection.mode().as_str(), &mut renderer.out);
                }
                InfoSource::Count => renderer.big_integer(statistics.documents),
                InfoSource::Shape => renderer.raw(&statistics.shape.to_json()),
                InfoSource::CreatedAt => renderer.instant(collection.created_at),
                InfoSource::Settings(items) => {
                    return renderer.settings(items, &collection.settings, path);
                }
                InfoSource::Relations(items) => {
                    return renderer.relations(items, collection, path);
                }
                InfoSource::Indexes(items) => {
                    let indexes = collection.indexes.iter();
                    return renderer.list(indexes, path, |renderer, index, path| {
                        renderer.index(items, collection, index, path)
                    });
                }
                InfoSource::Drift(items) => {
                    return renderer.drifts(items, collection, statistics, path);
                }
                InfoSource::Backfills(items) => {
                    let declared = collection.declared.as_deref();
                    let backfills = declared.map_or(&[][..], |declared| &declared.backfills);
                    return renderer.list(0..backfills.len(), path, |renderer, position, path| {
                        renderer.backfill(items, collection, position, path)
                    });
                }
            }
            Ok(())
        })
    }

    /// A piece of work that a declaration has brought about.
    fn backfill(
        &mut self,
        items: &[Selected<BackfillSource>],
        collection: &Collection,
        position: usize,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let declared = collection.declared.as_deref();
        let Some(declared) = declared.filter(|it| position < it.backfills.len()) else {
            return Err(Nulled);
        };
        let backfill = &declared.backfills[position];
        let needs_progress = items
            .iter()
            .any(|item| matches!(item.source, BackfillSource::Progress));
        let snapshot = self.source.map(|source| source.snapshot);
        let mut done = 0.0;
        if let Some(snapshot) = snapshot.filter(|_| needs_progress) {
            match snapshot.backfill_progress(collection.id, declared, position) {
                Ok(progress) => done = progress.done,
                Err(error) => {
                    let (code, message) = (error.code(), error.to_string());
                    self.store_error = Some(error);
                    return Err(self.refuse(code, message, path, None));
                }
            }
        }
        self.object(items, path, |renderer, source, _, path| {
            match source {
                BackfillSource::TypeName(json) => renderer.raw(json),
                BackfillSource::Kind => renderer.raw(match backfill.kind {
                    BackfillKind::Default { .. } => b"\"DEFAULT\"",
                    BackfillKind::Rename { .. } => b"\"RENAME\"",
                }),
                BackfillSource::Fields => {
                    let fields = backfill_fields(&backfill.kind).into_iter();
                    return renderer.list(fields, path, |renderer, field, _| {
                        write_json_string(field, &mut renderer.out);
                        Ok(())
                    });
                }
                BackfillSource::Was => match &backfill.kind {
                    BackfillKind::Rename { rename, .. } => {
                        write_json_string(&rename.from, &mut renderer.out);
                    }
                    BackfillKind::Default { .. } => renderer.null(),
                },
                BackfillSource::Progress => renderer.raw(format!("{done:.3}").as_bytes()),
                BackfillSource::Failure => match &backfill.failure {
                    Some(failure) => write_json_string(failure, &mut renderer.out),
                    None => renderer.null(),
                },
            }
            Ok(())
        })
    }

    fn settings(
        &mut self,
        items: &[Selected<SettingsSource>],
        settings: &Settings,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let by_default = if settings.soft_delete {
            OnExpire::Soft
        } else {
            OnExpire::Permanent
        };
        self.object(items, path, |renderer, source, _, _| {
            let duration = |renderer: &mut Self, span: Option<_>| match span {
                Some(span) => write_json_string(&write_iso_duration(span), &mut renderer.out),
                None => renderer.null(),
            };
            match source {
                SettingsSource::TypeName(json) => renderer.raw(json),
                SettingsSource::Retain => {
                    write_json_string(&settings.retain.to_string(), &mut renderer.out);
                }
                SettingsSource::SoftDelete => renderer.boolean(settings.soft_delete),
                SettingsSource::Ttl => duration(renderer, settings.ttl),
                SettingsSource::OnExpire => {
                    let on_expire = settings.on_expire.unwrap_or(by_default);
                    write_json_string(on_expire.as_str(), &mut renderer.out);
                }
                SettingsSource::PurgeAfter => duration(renderer, settings.purge_after),
            }
            Ok(())
        })
    }

    fn index(
        &mut self,
        items: &[Selected<IndexSource>],
        collection: &Collection,
        index: &Index,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let needs_progress = items
            .iter()
            .any(|item| matches!(item.source, IndexSource::Progress | IndexSource::Rows));
        let snapshot = self.source.map(|source| source.snapshot);
        let progress = match snapshot.filter(|_| needs_progress) {
            None => None,
            Some(snapshot) => match snapshot.index_progress(collection.id, index.id) {
                Ok(progress) => Some(progress),
                Err(error) => {
                    let (code, message) = (error.code(), error.to_string());
                    self.store_error = Some(error);
                    return Err(self.refuse(code, message, path, None));
                }
            },
        };
        self.object(items, path, |renderer, source, _, path| {
            match source {
                IndexSource::TypeName(json) => renderer.raw(json),
                IndexSource::Fields => {
                    let fields = index.definition.field_texts();
                    return renderer.list(fields.iter(), path, |renderer, field, _| {
                        write_json_string(field, &mut renderer.out);
                        Ok(())
                    });
                }
                IndexSource::Unique => renderer.boolean(index.definition.unique),
                IndexSource::IsAutomatic => renderer.boolean(index.automatic),
                IndexSource::Status => renderer.raw(match index.status {
                    IndexStatus::Building => b"\"BUILDING\"",
                    IndexStatus::Ready => b"\"READY\"",
                    IndexStatus::Failed { .. } => b"\"FAILED\"",
                    IndexStatus::Dropping => b"\"DROPPING\"",
                }),
                IndexSource::Progress => {
                    let done = built(index, progress.as_ref());
                    renderer.raw(format!("{done:.3}").as_bytes());
                }
                IndexSource::Rows => {
                    renderer.big_integer(progress.as_ref().map_or(0, |progress| progress.rows));
                }
                IndexSource::Failure => match &index.status {
                    IndexStatus::Failed { reason } => {
                        write_json_string(reason, &mut renderer.out);
                    }
                    _ => renderer.null(),
                },
            }
            Ok(())
        })
    }

    /// What applying a schema did.
    pub(crate) fn schema_change(
        &mut self,
        items: &[Selected<SchemaChangeSource>],
        collections: &[(&Collection, Statistics)],
        changes: &[&str],
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.object(items, path, |renderer, source, _, path| match source {
            SchemaChangeSource::TypeName(json) => {
                renderer.raw(json);
                Ok(())
            }
            SchemaChangeSource::Collections(items) => {
                renderer.list(collections.iter(), path, |renderer, one, path| {
                    let (collection, statistics) = one;
                    renderer.collection_info(items, collection, statistics, path)
                })
            }
            SchemaChangeSource::Changes => {
                renderer.list(changes.iter(), path, |renderer, words, _| {
                    write_json_string(words, &mut renderer.out);
                    Ok(())
                })
            }
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
        changes: &ChangesSince<'_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.object(items, path, |renderer, source, target, path| {
            match source {
                SchemaSource::TypeName(json) => renderer.raw(json),
                SchemaSource::Version => {
                    renderer.out.push(b'"');
                    renderer.number(schema.version().as_micros());
                    renderer.out.push(b'"');
                }
                SchemaSource::Sdl => write_json_string(schema.sdl(), &mut renderer.out),
                SchemaSource::Changes { inner, items } => match changes(*inner) {
                    Ok(Some(changes)) => return renderer.api_changes(items, &changes, path),
                    Ok(None) => renderer.null(),
                    Err(refusal) => {
                        let (code, message) = (refusal.code, refusal.message);
                        return Err(renderer.refuse(code, message, path, target.location));
                    }
                },
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

/// How much of an index is built, from 0 to 1.
fn built(index: &Index, progress: Option<&IndexProgress>) -> f64 {
    match (&index.status, progress) {
        (IndexStatus::Ready, _) => 1.0,
        (IndexStatus::Building, Some(progress)) if progress.documents_total > 0 => {
            let done = progress.documents_done.min(progress.documents_total);
            done as f64 / progress.documents_total as f64
        }
        _ => 0.0,
    }
}

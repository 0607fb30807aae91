//! What shows how types evolve: changes of the API schema, drift, and promotion.

use thalweg_engine::{Collection, Drift, Statistics};
use thalweg_model::write_json_string;

use super::{Nulled, Path, Renderer};
use crate::plan::selection::{ApiChangeSource, DriftSource, PromotionSource, Selected};
use crate::schema_diff::ApiChange;

impl Renderer<'_> {
    /// Changes of the API schema.
    pub(crate) fn api_changes(
        &mut self,
        items: &[Selected<ApiChangeSource>],
        changes: &[ApiChange],
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.list(changes.iter(), path, |renderer, change, path| {
            renderer.object(items, path, |renderer, source, _, _| {
                match source {
                    ApiChangeSource::TypeName(json) => renderer.raw(json),
                    ApiChangeSource::Kind => write_json_string(change.kind, &mut renderer.out),
                    ApiChangeSource::Path => write_json_string(&change.path, &mut renderer.out),
                    ApiChangeSource::Breaking => renderer.boolean(change.breaking),
                    ApiChangeSource::Description => {
                        write_json_string(&change.description, &mut renderer.out);
                    }
                }
                Ok(())
            })
        })
    }

    /// Where the documents of a collection do not fit its published types.
    pub(super) fn drifts(
        &mut self,
        items: &[Selected<DriftSource>],
        collection: &Collection,
        statistics: &Statistics,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let drifts = statistics.drift(collection);
        self.list(drifts.iter(), path, |renderer, drift, path| {
            renderer.object(items, path, |renderer, source, _, path| match source {
                DriftSource::Path => renderer.texts(&drift.path, path),
                DriftSource::OriginalPath => renderer.texts(&drift.original_path, path),
                other => {
                    renderer.drift_scalar(other, drift);
                    Ok(())
                }
            })
        })
    }

    fn drift_scalar(&mut self, source: &DriftSource, drift: &Drift) {
        match source {
            DriftSource::TypeName(json) => self.raw(json),
            DriftSource::Published => match &drift.published {
                Some(published) => write_json_string(published, &mut self.out),
                None => self.null(),
            },
            DriftSource::Found => write_json_string(&drift.found, &mut self.out),
            DriftSource::Documents => self.big_integer(drift.values),
            DriftSource::Kinds => {
                self.out.push(b'{');
                for (index, (kind, count)) in drift.kinds.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    write_json_string(kind, &mut self.out);
                    self.out.push(b':');
                    self.number(*count);
                }
                self.out.push(b'}');
            }
            // They are lists.
            DriftSource::Path | DriftSource::OriginalPath => {}
        }
    }

    fn texts(&mut self, texts: &[String], path: &Path<'_>) -> Result<(), Nulled> {
        self.list(texts.iter(), path, |renderer, text, _| {
            write_json_string(text, &mut renderer.out);
            Ok(())
        })
    }

    /// What promoting a collection did, or would do.
    pub(crate) fn promotion(
        &mut self,
        items: &[Selected<PromotionSource>],
        (collection, statistics): (&Collection, &Statistics),
        changes: &[ApiChange],
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.object(items, path, |renderer, source, _, path| match source {
            PromotionSource::TypeName(json) => {
                renderer.raw(json);
                Ok(())
            }
            PromotionSource::Collection(items) => {
                renderer.collection_info(items, collection, statistics, path)
            }
            PromotionSource::Changes(items) => renderer.api_changes(items, changes, path),
        })
    }
}

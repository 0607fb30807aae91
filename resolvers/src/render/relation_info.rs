//! What the API says of a collection's relations.

use thalweg_engine::{Collection, RelationEvidence, StoredRelation};
use thalweg_model::write_json_string;
use thalweg_schema_infer::{Relation, RelationKey};

use super::{Nulled, Path, Renderer};
use crate::plan::selection::{EvidenceSource, RelationSource, Selected};

impl Renderer<'_> {
    pub(super) fn relations(
        &mut self,
        items: &[Selected<RelationSource>],
        collection: &Collection,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let named = collection.relations.iter();
        self.list(named, path, |renderer, relation, path| {
            let mut stored = collection.stored_relations.list.iter();
            let stored = stored.find(|stored| stored.field == relation.field);
            renderer.relation(items, relation, stored, path)
        })
    }

    fn relation(
        &mut self,
        items: &[Selected<RelationSource>],
        relation: &Relation,
        stored: Option<&StoredRelation>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let source = self.source;
        let text = |renderer: &mut Self, text: &str| write_json_string(text, &mut renderer.out);
        self.object(items, path, |renderer, item, _, path| {
            match item {
                RelationSource::TypeName(json) => renderer.raw(json),
                RelationSource::Name => text(renderer, &relation.name),
                RelationSource::Inverse => text(renderer, &relation.inverse),
                RelationSource::Field => text(renderer, &relation.field.to_string()),
                RelationSource::IsList => renderer.boolean(relation.is_list),
                RelationSource::Target => {
                    let catalog = source.map(|source| source.snapshot.catalog());
                    let target = catalog.and_then(|catalog| catalog.by_id(relation.target));
                    text(renderer, target.map_or("", |target| &target.name));
                }
                RelationSource::TargetField => match &relation.key {
                    RelationKey::Id => text(renderer, "id"),
                    RelationKey::Field(path) => text(renderer, &path.to_string()),
                },
                RelationSource::Origin => text(renderer, relation.origin.as_str()),
                RelationSource::OnDelete => text(renderer, relation.on_delete.as_str()),
                RelationSource::Evidence(items) => {
                    match stored.and_then(|stored| stored.evidence.as_ref()) {
                        Some(evidence) => return renderer.evidence(items, evidence, path),
                        None => renderer.null(),
                    }
                }
            }
            Ok(())
        })
    }

    fn evidence(
        &mut self,
        items: &[Selected<EvidenceSource>],
        evidence: &RelationEvidence,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let RelationEvidence {
            documents,
            matching,
            ..
        } = *evidence;
        self.object(items, path, |renderer, source, _, _| {
            match source {
                EvidenceSource::TypeName(json) => renderer.raw(json),
                EvidenceSource::Documents => renderer.big_integer(documents),
                EvidenceSource::Matching => renderer.big_integer(matching),
                EvidenceSource::Dangling => {
                    renderer.big_integer(documents.saturating_sub(matching));
                }
                EvidenceSource::Distinct => renderer.big_integer(evidence.distinct),
                EvidenceSource::Ratio => {
                    // To four places, and none where they are zeros.
                    let ratio = matching as f64 / documents.max(1) as f64;
                    let rounded = (ratio * 1e4).round() / 1e4;
                    renderer.raw(rounded.to_string().as_bytes());
                }
                EvidenceSource::IsSampled => renderer.boolean(evidence.sampled),
                EvidenceSource::At => renderer.instant(evidence.at),
            }
            Ok(())
        })
    }
}

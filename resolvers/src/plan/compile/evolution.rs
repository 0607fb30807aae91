//! Selections on what shows how types evolve.

use super::super::related::InnerField;
use super::super::selection::{
    ApiChangeSource, DriftSource, PromotionSource, SchemaSource, Selected,
};
use super::{Compiler, Group, json_string, subsets, unbound};
use crate::failure::Failure;

impl<'d> Compiler<'d> {
    /// `changes` of a schema, whose argument is bound with those of the plan's inner fields.
    pub(super) fn schema_changes(&mut self, group: &Group<'d>) -> Result<SchemaSource, Failure> {
        let inner = self.inner.len();
        self.inner
            .push((group[0].clone(), InnerField::SchemaChanges));
        Ok(SchemaSource::Changes {
            inner,
            items: self.api_changes(group)?,
        })
    }

    fn api_changes(
        &mut self,
        group: &Group<'d>,
    ) -> Result<Vec<Selected<ApiChangeSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |_, name, _| {
            Ok(match name {
                "__typename" => ApiChangeSource::TypeName(json_string(&type_name)),
                "kind" => ApiChangeSource::Kind,
                "path" => ApiChangeSource::Path,
                "breaking" => ApiChangeSource::Breaking,
                "description" => ApiChangeSource::Description,
                _ => return Err(unbound(name)),
            })
        })
    }

    pub(super) fn drift(
        &mut self,
        group: &Group<'d>,
    ) -> Result<Vec<Selected<DriftSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |_, name, _| {
            Ok(match name {
                "__typename" => DriftSource::TypeName(json_string(&type_name)),
                "path" => DriftSource::Path,
                "originalPath" => DriftSource::OriginalPath,
                "published" => DriftSource::Published,
                "found" => DriftSource::Found,
                "documents" => DriftSource::Documents,
                "kinds" => DriftSource::Kinds,
                _ => return Err(unbound(name)),
            })
        })
    }

    pub(super) fn promotion(
        &mut self,
        group: &Group<'d>,
    ) -> Result<Vec<Selected<PromotionSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |compiler, name, group| {
            Ok(match name {
                "__typename" => PromotionSource::TypeName(json_string(&type_name)),
                "collection" => PromotionSource::Collection(compiler.info(group)?),
                "changes" => PromotionSource::Changes(compiler.api_changes(group)?),
                _ => return Err(unbound(name)),
            })
        })
    }
}

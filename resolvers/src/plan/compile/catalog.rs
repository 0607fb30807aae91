//! Selections on what the database says of its collections and of its schema.

use super::super::selection::{
    BackfillSource, EvidenceSource, IndexSource, InfoSource, RelationSource, SchemaChangeSource,
    SchemaSource, Selected, SettingsSource,
};
use super::super::{CollectionMutation, MutationAction};
use super::{Compiler, Group, json_string, subsets, unbound};
use crate::failure::Failure;

impl<'d> Compiler<'d> {
    pub(super) fn catalog(
        &mut self,
        operation: CollectionMutation,
        group: &Group<'d>,
    ) -> Result<MutationAction, Failure> {
        Ok(MutationAction::Collection {
            operation,
            selection: self.info(group)?,
        })
    }

    pub(super) fn info(&mut self, group: &Group<'d>) -> Result<Vec<Selected<InfoSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |compiler, name, group| {
            Ok(match name {
                "__typename" => InfoSource::TypeName(json_string(&type_name)),
                "name" => InfoSource::Name,
                "typeName" => InfoSource::GraphqlTypeName,
                "listField" => InfoSource::ListField,
                "mode" => InfoSource::Mode,
                "count" => InfoSource::Count,
                "shape" => InfoSource::Shape,
                "createdAt" => InfoSource::CreatedAt,
                "settings" => InfoSource::Settings(compiler.settings(group)?),
                "indexes" => InfoSource::Indexes(compiler.indexes(group)?),
                "relations" => InfoSource::Relations(compiler.relations(group)?),
                "drift" => InfoSource::Drift(compiler.drift(group)?),
                "backfills" => InfoSource::Backfills(compiler.backfills(group)?),
                _ => return Err(unbound(name)),
            })
        })
    }

    fn settings(&mut self, group: &Group<'d>) -> Result<Vec<Selected<SettingsSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |_, name, _| {
            Ok(match name {
                "__typename" => SettingsSource::TypeName(json_string(&type_name)),
                "retain" => SettingsSource::Retain,
                "softDelete" => SettingsSource::SoftDelete,
                "ttl" => SettingsSource::Ttl,
                "onExpire" => SettingsSource::OnExpire,
                "purgeAfter" => SettingsSource::PurgeAfter,
                _ => return Err(unbound(name)),
            })
        })
    }

    fn indexes(&mut self, group: &Group<'d>) -> Result<Vec<Selected<IndexSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |_, name, _| {
            Ok(match name {
                "__typename" => IndexSource::TypeName(json_string(&type_name)),
                "fields" => IndexSource::Fields,
                "unique" => IndexSource::Unique,
                "automatic" => IndexSource::IsAutomatic,
                "status" => IndexSource::Status,
                "progress" => IndexSource::Progress,
                "rows" => IndexSource::Rows,
                "failure" => IndexSource::Failure,
                _ => return Err(unbound(name)),
            })
        })
    }

    fn relations(&mut self, group: &Group<'d>) -> Result<Vec<Selected<RelationSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |compiler, name, group| {
            Ok(match name {
                "__typename" => RelationSource::TypeName(json_string(&type_name)),
                "name" => RelationSource::Name,
                "inverse" => RelationSource::Inverse,
                "field" => RelationSource::Field,
                "list" => RelationSource::IsList,
                "target" => RelationSource::Target,
                "targetField" => RelationSource::TargetField,
                "origin" => RelationSource::Origin,
                "onDelete" => RelationSource::OnDelete,
                "evidence" => RelationSource::Evidence(compiler.evidence(group)?),
                _ => return Err(unbound(name)),
            })
        })
    }

    fn evidence(&mut self, group: &Group<'d>) -> Result<Vec<Selected<EvidenceSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |_, name, _| {
            Ok(match name {
                "__typename" => EvidenceSource::TypeName(json_string(&type_name)),
                "documents" => EvidenceSource::Documents,
                "matching" => EvidenceSource::Matching,
                "dangling" => EvidenceSource::Dangling,
                "distinct" => EvidenceSource::Distinct,
                "ratio" => EvidenceSource::Ratio,
                "sampled" => EvidenceSource::IsSampled,
                "at" => EvidenceSource::At,
                _ => return Err(unbound(name)),
            })
        })
    }

    fn backfills(&mut self, group: &Group<'d>) -> Result<Vec<Selected<BackfillSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |_, name, _| {
            Ok(match name {
                "__typename" => BackfillSource::TypeName(json_string(&type_name)),
                "kind" => BackfillSource::Kind,
                "fields" => BackfillSource::Fields,
                "was" => BackfillSource::Was,
                "progress" => BackfillSource::Progress,
                "failure" => BackfillSource::Failure,
                _ => return Err(unbound(name)),
            })
        })
    }

    pub(super) fn schema_info(
        &mut self,
        group: &Group<'d>,
    ) -> Result<Vec<Selected<SchemaSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |compiler, name, group| {
            Ok(match name {
                "__typename" => SchemaSource::TypeName(json_string(&type_name)),
                "version" => SchemaSource::Version,
                "sdl" => SchemaSource::Sdl,
                "changes" => compiler.schema_changes(group)?,
                _ => return Err(unbound(name)),
            })
        })
    }

    pub(super) fn schema_change(
        &mut self,
        group: &Group<'d>,
    ) -> Result<Vec<Selected<SchemaChangeSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |compiler, name, group| {
            Ok(match name {
                "__typename" => SchemaChangeSource::TypeName(json_string(&type_name)),
                "collections" => SchemaChangeSource::Collections(compiler.info(group)?),
                "changes" => SchemaChangeSource::Changes,
                _ => return Err(unbound(name)),
            })
        })
    }
}

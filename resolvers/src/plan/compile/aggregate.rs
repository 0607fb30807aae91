//! Compiling selections on aggregates.

use apollo_compiler::executable::SelectionSet;
use thalweg_engine::{Aggregation, FieldRef, Function};
use thalweg_model::FieldPath;
use thalweg_schema_infer::{AggregateFunction, CollectionSchema, Field, FieldType, ObjectType};

use super::{Compiler, json_string, subsets, unbound};
use crate::failure::Failure;
use crate::plan::aggregate::{
    AggregateSelection, AggregateSource, Aggregated, KeySource, position, value_kind,
};
use crate::plan::collect::Group;
use crate::plan::selection::{OutputType, Selected};

/// What the engine calls a function.
pub(crate) fn engine_function(function: AggregateFunction) -> Function {
    match function {
        AggregateFunction::CountDistinct => Function::CountDistinct,
        AggregateFunction::Sum => Function::Sum,
        AggregateFunction::Average => Function::Average,
        AggregateFunction::Min => Function::Min,
        AggregateFunction::Max => Function::Max,
    }
}

impl<'d> Compiler<'d> {
    pub(super) fn aggregate(
        &mut self,
        schema: &CollectionSchema,
        group: &Group<'d>,
    ) -> Result<AggregateSelection, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        let (mut totals, mut group_values) = (Vec::new(), Vec::new());
        let (mut has_groups, mut reads_groups) = (false, false);
        let items = self.select(
            &type_name,
            &subsets(group),
            |compiler, name, group| match name {
                "groups" => {
                    has_groups = true;
                    reads_groups = true;
                    let inner = group[0].definition.ty.inner_named_type().clone();
                    let items = compiler.select(
                        &inner,
                        &subsets(group),
                        |compiler, name, group| match name {
                            "key" => Ok(AggregateSource::Key(compiler.key(schema, group)?)),
                            _ => compiler.outcome(schema, &inner, name, group, &mut group_values),
                        },
                    )?;
                    Ok(AggregateSource::Groups(items))
                }
                "groupCount" => {
                    has_groups = true;
                    Ok(AggregateSource::GroupCount)
                }
                _ => compiler.outcome(schema, &type_name, name, group, &mut totals),
            },
        )?;
        Ok(AggregateSelection {
            items,
            totals: totals.into(),
            group_values: group_values.into(),
            has_groups,
            reads_groups,
        })
    }

    /// A field that an aggregate and a group have in common.
    fn outcome(
        &mut self,
        schema: &CollectionSchema,
        type_name: &str,
        name: &str,
        group: &Group<'d>,
        made: &mut Vec<Aggregation>,
    ) -> Result<AggregateSource, Failure> {
        match name {
            "__typename" => return Ok(AggregateSource::TypeName(json_string(type_name))),
            "count" => {
                return Ok(AggregateSource::Outcome {
                    position: position(made, Aggregation::Count),
                    ty: OutputType::BigInt,
                });
            }
            _ => {}
        }
        let function = AggregateFunction::from_graphql_name(name).ok_or_else(|| unbound(name))?;
        let inner = group[0].definition.ty.inner_named_type().clone();
        let sets = subsets(group);
        let items = self.select(&inner, &sets, |compiler, name, group| {
            if name == "__typename" {
                return Ok(AggregateSource::TypeName(json_string(&inner)));
            }
            let ids = compiler.schema.api.ids();
            let found = Aggregated::find(schema, name, ids).ok_or_else(|| unbound(name))?;
            compiler.function_of(function, found.ty(), found.field(), group, made)
        })?;
        Ok(AggregateSource::Object(items))
    }

    /// A function of a field's values; of an object, of the fields in it.
    fn function_of(
        &mut self,
        function: AggregateFunction,
        ty: &FieldType,
        field: FieldRef,
        group: &Group<'d>,
        made: &mut Vec<Aggregation>,
    ) -> Result<AggregateSource, Failure> {
        let is_extreme = matches!(function, AggregateFunction::Min | AggregateFunction::Max);
        if let (FieldType::Object(object), FieldRef::Path(path)) = (ty, &field) {
            let items = self.functions_in(function, object, path, &subsets(group), group, made)?;
            return Ok(match is_extreme {
                true => AggregateSource::Nested(items),
                false => AggregateSource::Object(items),
            });
        }
        let output = match (function, ty) {
            (AggregateFunction::CountDistinct, _) => OutputType::BigInt,
            (AggregateFunction::Average, _) | (AggregateFunction::Sum, FieldType::Float) => {
                OutputType::Float
            }
            (AggregateFunction::Sum, _) => OutputType::BigInt,
            _ => self.output(ty, &group[0].definition.ty, &subsets(group))?,
        };
        let aggregation = Aggregation::Of {
            function: engine_function(function),
            field,
            kind: value_kind(ty),
        };
        Ok(AggregateSource::Outcome {
            position: position(made, aggregation),
            ty: output,
        })
    }

    fn functions_in(
        &mut self,
        function: AggregateFunction,
        object: &ObjectType,
        path: &FieldPath,
        sets: &[&'d SelectionSet],
        group: &Group<'d>,
        made: &mut Vec<Aggregation>,
    ) -> Result<Vec<Selected<AggregateSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, sets, |compiler, name, group| {
            if name == "__typename" {
                return Ok(AggregateSource::TypeName(json_string(&type_name)));
            }
            let Field { json_name, ty, .. } = object.field(name).ok_or_else(|| unbound(name))?;
            let inner = FieldRef::Path(path.child(json_name));
            compiler.function_of(function, ty, inner, group, made)
        })
    }

    fn key(
        &mut self,
        schema: &CollectionSchema,
        group: &Group<'d>,
    ) -> Result<Vec<Selected<KeySource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |compiler, name, group| {
            if name == "__typename" {
                return Ok(KeySource::TypeName(json_string(&type_name)));
            }
            let ids = compiler.schema.api.ids();
            let found = Aggregated::find(schema, name, ids).ok_or_else(|| unbound(name))?;
            Ok(KeySource::Field {
                name: name.into(),
                ty: compiler.output(found.ty(), &group[0].definition.ty, &subsets(group))?,
            })
        })
    }
}

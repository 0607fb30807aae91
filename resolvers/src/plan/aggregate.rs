//! Selections on aggregates, compiled: which aggregations are made, and where each goes.

use std::sync::Arc;

use thalweg_engine::{Aggregation, FieldRef, ValueKind};
use thalweg_model::FieldPath;
use thalweg_schema_infer::{CollectionSchema, FieldType, IdNames, SystemField};

use super::selection::{OutputType, Selected};
use crate::filter::system_field;

/// The selection on a collection's aggregate.
#[derive(Debug)]
pub(crate) struct AggregateSelection {
    pub(crate) items: Vec<Selected<AggregateSource>>,
    /// Of all documents.
    pub(crate) totals: Arc<[Aggregation]>,
    /// Of each group, as far as they are selected.
    pub(crate) group_values: Arc<[Aggregation]>,
    /// Whether anything is selected that depends on which groups there are.
    pub(crate) has_groups: bool,
    /// Whether groups themselves are.
    pub(crate) reads_groups: bool,
}

/// Where a field of an aggregate, of a group, or of an object in either comes from.
#[derive(Debug)]
pub(crate) enum AggregateSource {
    TypeName(Box<[u8]>),
    /// The outcome of that position.
    Outcome {
        position: usize,
        ty: OutputType,
    },
    /// An object of outcomes.
    Object(Vec<Selected<AggregateSource>>),
    /// An object inside documents whose fields are outcomes: null where all of them are.
    Nested(Vec<Selected<AggregateSource>>),
    /// What the documents of a group agree in.
    Key(Vec<Selected<KeySource>>),
    Groups(Vec<Selected<AggregateSource>>),
    GroupCount,
}

/// Where a field of a group's key comes from.
#[derive(Debug)]
pub(crate) enum KeySource {
    TypeName(Box<[u8]>),
    /// The key of that name, null if the groups have none.
    Field {
        name: Box<str>,
        ty: OutputType,
    },
}

/// A field at the top of documents, as aggregates know it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aggregated<'a> {
    System(SystemField),
    Member(&'a thalweg_schema_infer::Field),
}

impl<'a> Aggregated<'a> {
    pub(crate) fn find(schema: &'a CollectionSchema, name: &str, ids: IdNames) -> Option<Self> {
        match SystemField::from_graphql_name(name, ids).filter(|field| field.is_time()) {
            Some(field) => Some(Aggregated::System(field)),
            None => schema.object.field(name).map(Aggregated::Member),
        }
    }

    /// What it is to the engine.
    pub(crate) fn field(self) -> FieldRef {
        match self {
            Aggregated::System(field) => system_field(field),
            Aggregated::Member(field) => FieldRef::Path(FieldPath::top(&field.json_name)),
        }
    }

    pub(crate) fn ty(self) -> &'a FieldType {
        match self {
            Aggregated::System(_) => &FieldType::DateTime,
            Aggregated::Member(field) => &field.ty,
        }
    }
}

/// Which stored values a type has; the others read as null.
pub(crate) fn value_kind(ty: &FieldType) -> ValueKind {
    match ty {
        FieldType::Boolean => ValueKind::Boolean,
        FieldType::Int => ValueKind::Int,
        FieldType::BigInt => ValueKind::BigInt,
        FieldType::Float => ValueKind::Float,
        FieldType::String | FieldType::Id | FieldType::Duration | FieldType::Bytes => {
            ValueKind::String
        }
        FieldType::DateTime => ValueKind::DateTime,
        FieldType::Date => ValueKind::Date,
        FieldType::Json => ValueKind::Any,
        FieldType::List(..) => ValueKind::List,
        FieldType::Object(_) | FieldType::Map { .. } => ValueKind::Object,
    }
}

/// The position of an aggregation in a list, to which it is added unless it is there.
pub(crate) fn position(list: &mut Vec<Aggregation>, aggregation: Aggregation) -> usize {
    let found = list.iter().position(|it| *it == aggregation);
    found.unwrap_or_else(|| {
        list.push(aggregation);
        list.len() - 1
    })
}

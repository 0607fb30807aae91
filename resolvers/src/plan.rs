//! Plans: operations compiled for execution.
//!
//! A plan is made once per text, operation name, API schema and outcome of its conditions; it holds neither variable
//! values nor data. Arguments are bound to it for each request ([`crate::bind`]).

pub(crate) mod aggregate;
mod collect;
mod compile;
pub(crate) mod related;
pub(crate) mod selection;

use std::sync::{Arc, OnceLock};

use apollo_compiler::Node;
use apollo_compiler::executable::{self, Field};
use thalweg_model::CollectionId;
use thalweg_schema_infer::ApiCollection;

use crate::bind::Bound;
use aggregate::AggregateSelection;

pub(crate) use collect::{Collector, condition_variables};
pub(crate) use compile::{compile, engine_function};
use related::InnerField;
use selection::{
    BulkSource, ChangeSource, ConnectionSelection, DocumentSelection, InfoSource, PromotionSource,
    SchemaChangeSource, SchemaSource, Selected, Target,
};

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Reads once; or keeps being told, if it is `@live`.
    Query,
    /// Writes, in one transaction.
    Mutation,
    /// Keeps being told.
    Subscription,
}

impl OperationKind {
    pub(crate) fn of(operation: &executable::Operation) -> Self {
        if operation.is_mutation() {
            OperationKind::Mutation
        } else if operation.is_subscription() {
            OperationKind::Subscription
        } else {
            OperationKind::Query
        }
    }
}

/// Which plan of a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PlanKey {
    /// The operation's name in the text; `None` for an anonymous one.
    pub(crate) operation: Option<Box<str>>,
    /// The values of the variables in `@skip` and `@include`, in the order of [`condition_variables`].
    pub(crate) conditions: Box<[Option<bool>]>,
}

/// A compiled operation.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) kind: OperationKind,
    pub(crate) roots: Vec<RootField>,
    /// The fields below them that take arguments: what those are bound to comes behind the root fields'.
    pub(crate) inner: Vec<(Node<Field>, InnerField)>,
    /// Whether it selects related documents, so that more is read than the documents themselves.
    pub(crate) reads_related: bool,
    /// How many inline caches a run needs.
    pub(crate) slots: usize,
    /// Whether arguments have to be bound anew for each request.
    pub(crate) uses_variables: bool,
    /// The bound arguments, once there are any, where no variables are used.
    pub(crate) bound: OnceLock<Arc<[Bound]>>,
}

/// A root field of the operation.
#[derive(Debug)]
pub(crate) struct RootField {
    pub(crate) target: Target,
    pub(crate) action: Action,
    /// The field in the text, for its arguments.
    pub(crate) field: Node<Field>,
}

/// What a root field does.
#[derive(Debug)]
pub(crate) enum Action {
    /// `__typename`, as JSON.
    TypeName(Box<[u8]>),
    /// `__schema` or `__type`.
    Introspection,
    Query(QueryAction),
    Mutation(MutationAction),
    /// `changes`
    Changes(Vec<Selected<ChangeSource>>),
}

#[derive(Debug)]
pub(crate) enum QueryAction {
    /// Any document by its global id: a selection for each collection.
    Node(Vec<(CollectionId, DocumentSelection)>),
    ById {
        collection: CollectionId,
        selection: DocumentSelection,
    },
    List {
        collection: ApiCollection,
        selection: ConnectionSelection,
    },
    Aggregate {
        collection: ApiCollection,
        selection: AggregateSelection,
    },
    Collections(Vec<Selected<InfoSource>>),
    Schema(Vec<Selected<SchemaSource>>),
}

#[derive(Debug)]
pub(crate) enum MutationAction {
    Document {
        operation: DocumentMutation,
        collection: ApiCollection,
        selection: DocumentSelection,
    },
    CreateMany {
        collection: ApiCollection,
        selection: DocumentSelection,
    },
    Bulk {
        operation: BulkMutation,
        collection: ApiCollection,
        selection: Vec<Selected<BulkSource>>,
    },
    InsertDocuments,
    Collection {
        operation: CollectionMutation,
        selection: Vec<Selected<InfoSource>>,
    },
    ApplySchema(Vec<Selected<SchemaChangeSource>>),
    PromoteSchema(Vec<Selected<PromotionSource>>),
}

/// A mutation of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DocumentMutation {
    Create,
    Update,
    Upsert,
    Replace,
    Delete,
    Restore,
}

/// A mutation of all documents that satisfy a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BulkMutation {
    Update,
    Delete,
}

/// A mutation of a collection as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CollectionMutation {
    Create,
    Rename,
    Truncate,
    Drop,
}

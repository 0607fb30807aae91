//! Binding: the arguments of a plan's root fields become what the engine takes.
//!
//! Two kinds of mistakes. A value that does not fit its declared type refuses the request before anything runs; a
//! value of the right type that cannot be meant (a negative `first`, a foreign cursor, a path patched twice) is an
//! error of that field, at its place in the response.

mod aggregate;
mod introspect;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use thalweg_engine::{
    Deleted, DependencySet, FieldMask, Find, Found, OrderKey, Predicate, Snapshot, fingerprint,
};
use thalweg_model::{CollectionId, CommitTs, ErrorCode};
use thalweg_schema_infer::{ApiCollection, CollectionSchema};

use crate::changes::{self, ChangesRequest};
use crate::document::locate;
use crate::failure::{Failure, GraphqlError, Refusal};
use crate::filter;
use crate::input::{Coercion, Fields, Input, InputError, Variables};
use crate::instant;
use crate::limits::Limits;
use crate::node_id;
use crate::order::{self, Order};
use crate::ordered::{JoinedOrder, NoPage, Positions};
use crate::page::Page;
use crate::plan::related::InnerField;
use crate::plan::selection::ConnectionSelection;
use crate::plan::{Action, Plan, QueryAction};
use crate::revision_page::RevisionPage;
use crate::schema::{ParsedText, SchemaVersion};

pub(crate) use aggregate::BoundAggregate;
pub(crate) use write::Write;

/// What a root field of a plan has been bound to.
#[derive(Debug)]
pub(crate) enum Bound {
    /// The field takes no arguments.
    Nothing,
    /// The field's value, as JSON.
    Json(Bytes),
    /// The arguments cannot be meant, for these reasons, of which there is at least one.
    Refused(Box<[Refusal]>),
    /// The document that a global id names; `None` for a text that is no such id.
    Node(Option<(CollectionId, String)>),
    Document {
        id: String,
        deleted: Deleted,
        /// The time to look back to.
        at: Option<CommitTs>,
    },
    List(Box<BoundList>),
    Aggregate(Box<BoundAggregate>),
    Write(Write),
    Changes(Box<ChangesRequest>),
    /// The page of a history below a root field. That of documents that name one is a list.
    Revisions(RevisionPage),
    /// The commit since which changes of the schema are told.
    Since(Option<CommitTs>),
}

/// The arguments of a list field.
#[derive(Debug)]
pub(crate) struct BoundList {
    pub(crate) find: Find,
    /// The order, where it is not one of the documents themselves.
    pub(crate) joined: Option<JoinedOrder>,
    /// Of the order, for cursors.
    pub(crate) fingerprint: u32,
    /// The time to look back to.
    pub(crate) at: Option<CommitTs>,
}

impl BoundList {
    /// The page that a find of this list selects, and where its documents stand where that is not in them.
    pub(crate) fn found<'s>(
        &self,
        snapshot: &'s Snapshot,
        find: &Find,
        dependencies: &mut DependencySet,
    ) -> Result<(Found<'s>, Option<Positions>), NoPage> {
        match &self.joined {
            None => Ok((snapshot.find(find)?, None)),
            Some(joined) => {
                let (found, positions) = joined.page(snapshot, find, dependencies)?;
                Ok((found, Some(positions)))
            }
        }
    }
}

impl Bound {
    /// The time that a root field looks back to.
    pub(crate) fn at(&self) -> Option<CommitTs> {
        match self {
            Bound::Document { at, .. } => *at,
            Bound::List(list) => list.at,
            Bound::Aggregate(bound) => bound.at,
            _ => None,
        }
    }

    fn refused(refusal: Refusal) -> Bound {
        Bound::Refused(Box::new([refusal]))
    }

    /// About how much memory it takes, where that is much.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Bound::Json(json) => json.len(),
            _ => 0,
        }
    }
}

/// Everything that binding looks at.
pub(crate) struct Binding<'a> {
    pub(crate) schema: &'a SchemaVersion,
    pub(crate) parsed: &'a ParsedText,
    pub(crate) operation: &'a apollo_compiler::executable::Operation,
    pub(crate) variables: &'a Variables,
    pub(crate) limits: &'a Limits,
}

/// Binds all root fields, and behind them the fields below them that take arguments; or tells everything that does not
/// fit its type.
pub(crate) fn bind(plan: &Plan, binding: &Binding<'_>) -> Result<Arc<[Bound]>, Failure> {
    let Binding {
        schema,
        parsed,
        operation,
        variables,
        limits,
    } = *binding;
    let mut coercion = Coercion::new(&schema.types, &operation.variables, limits);
    let arguments: Vec<Fields> = plan
        .roots
        .iter()
        .map(|root| coercion.arguments(&root.field, variables))
        .collect();
    let inner: Vec<Fields> = plan
        .inner
        .iter()
        .map(|(field, _)| coercion.arguments(field, variables))
        .collect();
    let errors = coercion.into_errors();
    if !errors.is_empty() {
        return Err(input_failure(errors, parsed));
    }
    let mut introspected = None;
    let mut bound = Vec::with_capacity(plan.roots.len());
    for (root, arguments) in plan.roots.iter().zip(&arguments) {
        let done = match &root.action {
            Action::TypeName(_) => Ok(Bound::Nothing),
            Action::Introspection => {
                if introspected.is_none() {
                    introspected = Some(introspect::execute(binding)?);
                }
                let results = introspected.as_ref();
                Ok(introspect::field(
                    results.and_then(|results| results.get(root.target.key.as_str())),
                    limits.response_bytes_max,
                ))
            }
            Action::Changes(_) => changes::bind(arguments),
            Action::Query(action) => query(action, arguments, schema, limits),
            Action::Mutation(action) => write::bind(action, arguments, schema, limits),
        };
        bound.push(done.unwrap_or_else(Bound::refused));
    }
    bound.extend(plan.inner.iter().zip(&inner).map(|((_, kind), arguments)| {
        let done = match kind {
            InnerField::Revisions => {
                RevisionPage::from_arguments(arguments, limits).map(Bound::Revisions)
            }
            InnerField::SchemaChanges => changes::since(arguments).map(Bound::Since),
            InnerField::Back {
                collection,
                selection,
            } => list(collection, selection, arguments, schema, limits)
                .map(|list| Bound::List(Box::new(list))),
        };
        done.unwrap_or_else(Bound::refused)
    }));
    Ok(bound.into())
}

/// The failure of a request whose input values do not fit their types.
pub(crate) fn input_failure(errors: Vec<InputError>, parsed: &ParsedText) -> Failure {
    let sources = &parsed.document.sources;
    let errors = errors
        .into_iter()
        .map(|error| GraphqlError::new(error.code, error.message).at(locate(error.span, sources)))
        .collect();
    Failure::from_errors(errors, ErrorCode::BadRequest)
}

fn query(
    action: &QueryAction,
    arguments: &Fields,
    schema: &SchemaVersion,
    limits: &Limits,
) -> Result<Bound, Refusal> {
    Ok(match action {
        QueryAction::Collections(_) | QueryAction::Schema(_) => Bound::Nothing,
        QueryAction::Node(_) => {
            let id = arguments.text(schema.api.ids().global());
            Bound::Node(id.and_then(|id| node_id::parse(&id)))
        }
        QueryAction::ById { .. } => Bound::Document {
            id: arguments.text(schema.api.ids().own()).unwrap_or_default(),
            deleted: deleted(arguments),
            at: instant::at(arguments)?,
        },
        QueryAction::List {
            collection,
            selection,
        } => Bound::List(Box::new(list(
            collection, selection, arguments, schema, limits,
        )?)),
        QueryAction::Aggregate {
            collection,
            selection,
        } => {
            let bound = aggregate::bind(collection, selection, arguments, schema, limits)?;
            Bound::Aggregate(Box::new(bound))
        }
    })
}

fn list(
    collection: &ApiCollection,
    selection: &ConnectionSelection,
    arguments: &Fields,
    schema: &SchemaVersion,
    limits: &Limits,
) -> Result<BoundList, Refusal> {
    let (order, joined) = match arguments.present("orderBy") {
        Some(elements) => {
            match order::order(&schema.api, &collection.schema, elements.as_list())? {
                Order::Own(keys) => (keys, None),
                Order::Joined(joined) => (Vec::new(), Some(joined)),
            }
        }
        None => (Vec::new(), None),
    };
    let fingerprint = match &joined {
        Some(joined) => joined.fingerprint(),
        None => fingerprint(&order),
    };
    let page = Page::from_arguments(arguments, fingerprint, limits)?;
    let find = Find {
        collection: collection.id,
        filter: filter_argument(schema, &collection.schema, arguments)?,
        deleted: deleted(arguments),
        order: Arc::<[OrderKey]>::from(order),
        after: page.after,
        before: page.before,
        offset: page.offset,
        limit: if selection.reads_rows { page.limit } else { 0 },
        from_end: page.from_end,
        count_total: selection.counts_total,
        read: selection.mask.clone(),
    };
    Ok(BoundList {
        find,
        joined,
        fingerprint,
        at: instant::at(arguments)?,
    })
}

fn filter_argument(
    version: &SchemaVersion,
    schema: &CollectionSchema,
    arguments: &Fields,
) -> Result<Arc<Predicate>, Refusal> {
    match arguments.present("filter").and_then(Input::as_object) {
        Some(filter) => filter::predicate(&version.api, schema, filter).map(Arc::new),
        None => Ok(Arc::new(Predicate::True)),
    }
}

/// All documents that a bulk mutation's filter selects, in order of their ids, and one more than it may change.
fn find_all(
    collection: &ApiCollection,
    arguments: &Fields,
    schema: &SchemaVersion,
    limits: &Limits,
) -> Result<Find, Refusal> {
    Ok(Find {
        collection: collection.id,
        filter: filter_argument(schema, &collection.schema, arguments)?,
        deleted: Deleted::Exclude,
        order: Arc::from([]),
        after: None,
        before: None,
        offset: 0,
        limit: limits.bulk_writes_max.saturating_add(1),
        from_end: false,
        count_total: false,
        read: FieldMask::none(),
    })
}

fn deleted(arguments: &Fields) -> Deleted {
    match arguments.text("deleted").as_deref() {
        Some("INCLUDE") => Deleted::Include,
        Some("ONLY") => Deleted::Only,
        _ => Deleted::Exclude,
    }
}

//! Preparing operations: which schema, which text, which operation, which variables, which plan.

use std::sync::{Arc, OnceLock};

use apollo_compiler::executable;
use parking_lot::{Mutex, RwLock};
use thalweg_engine::{Catalog, Engine};
use thalweg_model::{CommitTs, ErrorCode, Value};
use thalweg_schema_infer::IdNames;

use crate::bind::{self, Binding, Bound, input_failure};
use crate::failure::{Failure, GraphqlError};
use crate::field_uses;
use crate::incremental;
use crate::input::{Coercion, Variables};
use crate::limits::Limits;
use crate::operation::{Operation, OperationKey, Prepared};
use crate::persisted::PersistedTexts;
use crate::plan::{Action, Collector, Plan, PlanKey, compile};
use crate::request::Request;
use crate::schema::{ParsedText, SchemaVersion};
use crate::schema_history::{self, SchemaHistory};

/// Runs GraphQL operations on an engine. Cloning shares the caches.
#[derive(Clone)]
pub struct Resolvers {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    limits: Limits,
    /// What the API schema calls ids.
    ids: IdNames,
    persisted: PersistedTexts,
    /// The newest API schema that somebody has asked for; `None` until then.
    newest: RwLock<Option<Newest>>,
    /// Earlier API schemas, as far as somebody has asked for them.
    history: SchemaHistory,
    /// Held while a schema is built, so that it is built once.
    building: Mutex<()>,
}

/// An API schema, and the newest catalog that it is known to be of: not every new catalog changes it.
#[derive(Clone)]
struct Newest {
    catalog_version: CommitTs,
    schema: Arc<SchemaVersion>,
}

impl Resolvers {
    /// Resolvers for an engine, whose API schema calls ids by these names.
    pub fn new(engine: Engine, limits: Limits, ids: IdNames) -> Self {
        let newest = RwLock::new(None);
        let persisted = PersistedTexts::new(&limits);
        Resolvers {
            shared: Arc::new(Shared {
                engine,
                limits,
                ids,
                persisted,
                newest,
                history: SchemaHistory::default(),
                building: Mutex::new(()),
            }),
        }
    }

    /// The engine that they run on.
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// The bounds that they hold operations to.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// The texts that requests may name.
    pub(crate) fn persisted(&self) -> &PersistedTexts {
        &self.shared.persisted
    }

    /// The newest API schema as SDL.
    pub fn sdl(&self) -> Result<Arc<str>, Failure> {
        Ok(Arc::clone(self.newest_schema()?.sdl()))
    }

    pub(crate) fn newest_schema(&self) -> Result<Arc<SchemaVersion>, Failure> {
        self.schema(&self.shared.engine.catalog())
    }

    pub(crate) fn history(&self) -> &SchemaHistory {
        &self.shared.history
    }

    /// Notes that an operation uses what is deprecated.
    pub(crate) fn note_uses(&self, operation: &Prepared) {
        for (collection, path) in operation.uses.fields() {
            self.shared.engine.note_field_use(*collection, path);
        }
    }

    /// Prepares a request against the newest API schema: parses, validates, plans (each once per text) and binds its
    /// variables. Reads no data.
    ///
    /// Fails, with the complete response, where the request cannot run at all: [`ErrorCode::ParseFailed`],
    /// [`ErrorCode::ValidationFailed`], [`ErrorCode::BadRequest`], [`ErrorCode::LimitExceeded`],
    /// [`ErrorCode::PersistedQueryNotFound`], [`ErrorCode::PersistedQueryNotSupported`], [`ErrorCode::Forbidden`].
    pub fn prepare(&self, request: &Request) -> Result<Operation, Failure> {
        let text = self.shared.persisted.text(request)?;
        let operation = self.prepare_against(
            self.newest_schema()?,
            text.as_str(),
            request.operation_name.as_deref(),
            request.variables.clone(),
            None,
        )?;
        self.shared.persisted.register(&text, &operation.inner.text);
        Ok(operation)
    }

    /// Moves an operation on to the API schema of a newer catalog; the same operation where that has not changed.
    ///
    /// Fails with [`ErrorCode::SchemaChanged`] where the operation is no longer valid.
    pub fn revalidate(
        &self,
        operation: &Operation,
        catalog: &Arc<Catalog>,
    ) -> Result<Operation, Failure> {
        let Prepared {
            schema,
            text,
            operation_name,
            variables,
            ..
        } = &*operation.inner;
        if schema.version() == catalog.version || schema.serves(catalog) {
            return Ok(operation.clone());
        }
        let newer = self.schema(catalog)?;
        self.prepare_against(
            newer,
            text,
            operation_name.as_deref(),
            variables.clone(),
            Some(schema),
        )
        .map_err(|failure| schema_changed(&failure))
    }

    /// Prepares an operation that was valid once, of what its key says, against the API schema of a catalog. For one that
    /// [is more than its key](Operation::is_more_than_its_key) see [`Resolvers::revalidate`].
    ///
    /// Fails with [`ErrorCode::SchemaChanged`] where the operation is no longer valid.
    pub fn prepare_key(
        &self,
        key: &OperationKey,
        catalog: &Arc<Catalog>,
    ) -> Result<Operation, Failure> {
        let variables = Value::parse(&key.variables).ok();
        let (text, operation) = (&key.text, key.operation.as_deref());
        self.prepare_against(self.schema(catalog)?, text, operation, variables, None)
            .map_err(|failure| schema_changed(&failure))
    }

    /// The version of the API schema of a catalog: operations mean the same with two catalogs of one version.
    pub fn schema_version(&self, catalog: &Arc<Catalog>) -> Result<CommitTs, Failure> {
        Ok(self.schema(catalog)?.version())
    }

    /// The API schema of a catalog. Building one takes milliseconds, so the newest is kept.
    fn schema(&self, catalog: &Catalog) -> Result<Arc<SchemaVersion>, Failure> {
        if let Some(known) = self.known(catalog) {
            return Ok(known);
        }
        let _building = self.shared.building.lock();
        if let Some(known) = self.known(catalog) {
            return Ok(known);
        }
        let newest = self.shared.newest.read().clone();
        let schema = match &newest {
            Some(newest) if newest.schema.serves(catalog) => Arc::clone(&newest.schema),
            _ => {
                let previous = newest.as_ref().map(|newest| &*newest.schema);
                Arc::new(SchemaVersion::build(
                    catalog,
                    self.shared.ids,
                    &self.shared.limits,
                    previous,
                )?)
            }
        };
        // An older catalog than the newest is asked for only in passing, by whoever runs late.
        if newest.is_none_or(|newest| newest.catalog_version < catalog.version) {
            let schema = Arc::clone(&schema);
            *self.shared.newest.write() = Some(Newest {
                catalog_version: catalog.version,
                schema,
            });
        }
        Ok(schema)
    }

    fn known(&self, catalog: &Catalog) -> Option<Arc<SchemaVersion>> {
        let newest = self.shared.newest.read();
        let newest = newest
            .as_ref()
            .filter(|newest| newest.catalog_version == catalog.version)?;
        Some(Arc::clone(&newest.schema))
    }

    fn prepare_against(
        &self,
        schema: Arc<SchemaVersion>,
        text: &str,
        operation_name: Option<&str>,
        provided: Option<Value>,
        moved_from: Option<&Arc<SchemaVersion>>,
    ) -> Result<Operation, Failure> {
        let limits = &self.shared.limits;
        let parsed = schema.parse(text, limits)?;
        let operation = choose(&parsed, operation_name)?;
        let mut coercion = Coercion::new(&schema.types, &operation.variables, limits);
        let variables = coercion.variables(provided.as_ref());
        let errors = coercion.into_errors();
        if !errors.is_empty() {
            return Err(input_failure(errors, &parsed));
        }
        let conditions = parsed.conditions(operation);
        check_conditions(conditions, &variables)?;
        let plan_key = PlanKey {
            operation: operation.name.as_ref().map(|name| name.as_str().into()),
            conditions: conditions.iter().map(|name| variables.flag(name)).collect(),
        };
        let plan = parsed.plan(plan_key.clone(), || {
            compile(&schema, &parsed.document, operation, &variables)
        })?;
        let binding = Binding {
            schema: &schema,
            parsed: &parsed,
            operation,
            variables: &variables,
            limits,
        };
        let bound = bound(&plan, &binding, plan_key)?;
        let is_live = live_flag(operation, &variables, "if", true);
        let takes_patches = is_live && live_flag(operation, &variables, "patch", false);
        let mut parts = Vec::new();
        // A mutation runs once, so all of it comes at once.
        if parsed.is_incremental && operation.is_query() {
            let collector = Collector {
                schema: &schema.types,
                document: &parsed.document,
                variables: &variables,
            };
            parts = incremental::split(collector, operation, limits)?;
        }
        let uses = field_uses::find(
            &schema.api,
            &schema.types,
            &parsed.document,
            operation,
            provided.as_ref(),
        );
        let moved_from = moved_from
            .filter(|_| schema_history::tells_changes(&plan))
            .map(|from| Arc::clone(&from.types));
        let operation_name = operation_name.map(str::to_owned);
        Ok(Operation {
            inner: Arc::new(Prepared {
                schema,
                plan,
                bound,
                text: Arc::clone(&parsed.text),
                name: operation.name.as_ref().map(|name| name.as_str().into()),
                coerced: variables,
                key: OnceLock::new(),
                operation_name,
                variables: provided,
                is_live,
                takes_patches,
                parts,
                boundary: Vec::new(),
                uses: self.shared.engine.hold_fields(uses),
                moved_from,
            }),
            interrupt: None,
        })
    }
}

/// Says of the errors of an operation that the schema has come to cause them.
fn schema_changed(failure: &Failure) -> Failure {
    let errors = failure.errors().iter().map(|error| GraphqlError {
        code: ErrorCode::SchemaChanged,
        message: format!(
            "the schema has changed and the operation is no longer valid: {}",
            error.message
        ),
        ..error.clone()
    });
    Failure::from_errors(errors.collect(), ErrorCode::SchemaChanged)
}

/// Binds a plan, unless it has been bound before and cannot be bound differently.
fn bound(plan: &Arc<Plan>, binding: &Binding<'_>, key: PlanKey) -> Result<Arc<[Bound]>, Failure> {
    if plan.uses_variables {
        return bind::bind(plan, binding);
    }
    let introspects = plan
        .roots
        .iter()
        .any(|root| matches!(root.action, Action::Introspection));
    if introspects {
        let key = (Arc::clone(&binding.parsed.text), key);
        return binding
            .schema
            .introspected(key, || bind::bind(plan, binding));
    }
    if let Some(bound) = plan.bound.get() {
        return Ok(Arc::clone(bound));
    }
    let bound = bind::bind(plan, binding)?;
    Ok(Arc::clone(plan.bound.get_or_init(|| bound)))
}

/// "GetOperation" of the GraphQL specification.
pub(crate) fn choose<'d>(
    parsed: &'d ParsedText,
    name: Option<&str>,
) -> Result<&'d executable::Operation, Failure> {
    let operations = &parsed.document.operations;
    // An empty name is what some clients send for none.
    let name = name.filter(|name| !name.is_empty());
    operations
        .get(name)
        .map(|operation| &**operation)
        .map_err(|_| {
            let names: Vec<&str> = operations.named.keys().map(|name| name.as_str()).collect();
            let message = match name {
                _ if operations.is_empty() => {
                    "the text has no operation, only fragments".to_owned()
                }
                Some(name) if names.is_empty() => {
                    format!("there is no operation {name:?} in the text: its operation has no name")
                }
                Some(name) => {
                    format!(
                        "there is no operation {name:?} in the text, which has {}",
                        names.join(", ")
                    )
                }
                None => format!(
                    "the text has several operations ({}); say in operationName which to run",
                    names.join(", ")
                ),
            };
            Failure::new(ErrorCode::BadRequest, message)
        })
}

/// A nullable variable with a default may stand in a condition, but null may not.
fn check_conditions(
    conditions: &[apollo_compiler::Name],
    variables: &Variables,
) -> Result<(), Failure> {
    match conditions
        .iter()
        .find(|name| variables.flag(name).is_none())
    {
        None => Ok(()),
        Some(name) => Err(Failure::new(
            ErrorCode::BadRequest,
            format!("${name} decides whether a field is included, so it must be true or false"),
        )),
    }
}

/// What an argument of a query's `@live` says; false where there is no such directive.
fn live_flag(
    operation: &executable::Operation,
    variables: &Variables,
    argument: &str,
    default: bool,
) -> bool {
    use apollo_compiler::ast::Value as Literal;
    let Some(directive) = operation.directives.get("live") else {
        return false;
    };
    if !operation.is_query() {
        return false;
    }
    match directive
        .specified_argument_by_name(argument)
        .map(|value| &**value)
    {
        Some(Literal::Boolean(value)) => *value,
        Some(Literal::Variable(name)) => variables.flag(name).unwrap_or(default),
        _ => default,
    }
}

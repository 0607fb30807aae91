//! A prepared operation: everything about a request that does not depend on the data.

use std::sync::{Arc, OnceLock};

use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema};
use thalweg_engine::{HeldFields, Interrupt};
use thalweg_model::{CollectionId, CommitTs, Value};

use crate::bind::Bound;
use crate::incremental::Part;
use crate::input::Variables;
use crate::plan::{OperationKind, Plan};
use crate::schema::SchemaVersion;
use crate::schema_history::tells_changes;

/// An operation that is parsed, validated, planned and bound to its variables, against one version of the API
/// schema. Cheap to clone.
#[derive(Clone)]
pub struct Operation {
    pub(crate) inner: Arc<Prepared>,
    /// Who is asked now and then whether a run is to go on.
    pub(crate) interrupt: Option<Arc<dyn Interrupt>>,
}

pub(crate) struct Prepared {
    pub(crate) schema: Arc<SchemaVersion>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) bound: Arc<[Bound]>,
    /// The operation's text, as it was parsed.
    pub(crate) text: Arc<str>,
    /// The operation's name in the text; `None` for an anonymous one.
    pub(crate) name: Option<Box<str>>,
    pub(crate) coerced: Variables,
    /// Made when somebody asks: most operations run once and are forgotten.
    pub(crate) key: OnceLock<Arc<OperationKey>>,
    /// The request's own `operationName` and variables, to prepare it again.
    pub(crate) operation_name: Option<String>,
    pub(crate) variables: Option<Value>,
    pub(crate) is_live: bool,
    /// Whether its client takes patches of a live result.
    pub(crate) takes_patches: bool,
    /// What it comes in where its client takes that; none where it has no `@defer` or `@stream`.
    pub(crate) parts: Vec<Part>,
    /// Null may stand at all places on this way from the root, whatever their types say: it is a way through objects that
    /// somebody else shows.
    pub(crate) boundary: Vec<Name>,
    /// The deprecated fields that it uses, which are kept for as long as it is.
    pub(crate) uses: HeldFields,
    /// The API schema that it was moved on from, if it tells changes of the schema.
    pub(crate) moved_from: Option<Arc<Valid<Schema>>>,
}

/// What makes two operations the same: equal keys have equal results at every timestamp.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OperationKey {
    pub(crate) text: Arc<str>,
    pub(crate) operation: Option<Box<str>>,
    /// The coerced variables, as JSON in the order of their definitions.
    pub(crate) variables: Box<[u8]>,
}

impl OperationKey {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which of its operations it is; `None` for an anonymous one.
    pub fn operation_name(&self) -> Option<&str> {
        self.operation.as_deref()
    }

    /// The variables, a JSON object.
    pub fn variables(&self) -> &[u8] {
        &self.variables
    }
}

impl Operation {
    /// What the operation does.
    pub fn kind(&self) -> OperationKind {
        self.inner.plan.kind
    }

    /// Whether it is a query with `@live` in force.
    pub fn is_live(&self) -> bool {
        self.inner.is_live
    }

    /// Whether its client takes patches of a live result: `@live(patch: true)`.
    pub fn takes_patches(&self) -> bool {
        self.inner.takes_patches
    }

    /// The same operation, whose runs end where somebody says so: with [`ErrorCode::Timeout`] where its time is up.
    /// Nobody is asked while a mutation that has read everything is committed.
    ///
    /// [`ErrorCode::Timeout`]: thalweg_model::ErrorCode::Timeout
    #[must_use]
    pub fn interrupted_by(self, interrupt: Arc<dyn Interrupt>) -> Self {
        Operation {
            interrupt: Some(interrupt),
            ..self
        }
    }

    /// The identity under which equal live queries are shared.
    ///
    /// It does not hold the version of the API schema: operations of one key differ in it only until they are
    /// revalidated.
    pub fn key(&self) -> &Arc<OperationKey> {
        let Prepared {
            text,
            name,
            coerced,
            key,
            ..
        } = &*self.inner;
        key.get_or_init(|| {
            Arc::new(OperationKey {
                text: Arc::clone(text),
                operation: name.clone(),
                variables: coerced.to_json().into(),
            })
        })
    }

    /// Whether it is more than what is prepared anew of its key: it keeps deprecated fields in the API schema for as long as
    /// it is there, or remembers from which schema it was moved on.
    pub fn is_more_than_its_key(&self) -> bool {
        let Prepared {
            plan,
            uses,
            moved_from,
            ..
        } = &*self.inner;
        !uses.fields().is_empty() || moved_from.is_some() || tells_changes(plan)
    }

    /// The version of the API schema that the operation is pinned to.
    pub fn schema_version(&self) -> CommitTs {
        self.inner.schema.version()
    }

    /// The collections of which it may look at every document, because a list of it is filtered, ordered, counted, or
    /// begins far from where it is read from.
    pub fn scanned_collections(&self) -> impl Iterator<Item = CollectionId> {
        let roots = self.inner.plan.roots.len();
        self.inner
            .bound
            .iter()
            .take(roots)
            .filter_map(|bound| match bound {
                Bound::List(list)
                    if list.at.is_some() || list.joined.is_some() || list.find.may_scan() =>
                {
                    Some(list.find.collection)
                }
                _ => None,
            })
    }

    /// Whether it reads nothing but the schema, so that its result never changes while its schema version holds.
    pub fn is_introspection(&self) -> bool {
        self.inner
            .bound
            .iter()
            .all(|bound| matches!(bound, Bound::Json(_)))
    }
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Operation")
            .field("kind", &self.kind())
            .field("key", self.key())
            .field("schema_version", &self.schema_version())
            .finish_non_exhaustive()
    }
}

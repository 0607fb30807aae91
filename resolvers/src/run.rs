//! Running queries and subscriptions: one evaluation on one snapshot.

use thalweg_engine::{
    Collection, Deleted, Dependency, DependencySet, EngineError, Record, Scope, Snapshot,
    Statistics,
};
use thalweg_model::{CollectionId, DocumentId, ErrorCode};

use crate::bind::{Bound, BoundList};
use crate::failure::Refusal;
use crate::operation::{Operation, Prepared};
use crate::plan::selection::{ConnectionSelection, DocumentSelection, InfoSource, Selected};
use crate::plan::{Action, OperationKind, QueryAction, RootField};
use crate::render::{Evaluation, Nulled, PageFound, Path, Renderer};
use crate::resolvers::Resolvers;

impl Resolvers {
    /// Evaluates a query, or one event of a subscription, on a snapshot, with the API schema that the operation is
    /// pinned to. Works on the snapshot alone and blocks for as long as its reads do.
    ///
    /// A mutation is refused; it goes through [`Resolvers::mutate`].
    pub fn run(&self, operation: &Operation, snapshot: &Snapshot) -> Evaluation {
        self.evaluate(operation, snapshot, None).0
    }

    /// The same for a live query: that the store cannot be read is no result to show, but a reason to try again.
    pub fn run_live(
        &self,
        operation: &Operation,
        snapshot: &Snapshot,
    ) -> Result<Evaluation, EngineError> {
        match self.evaluate(operation, snapshot, None) {
            (evaluation, None) => Ok(evaluation),
            (_, Some(error)) => Err(error),
        }
    }

    /// The same for a transport that cannot stream: a `@live` query is answered once and says so in its extensions.
    pub fn run_once(&self, operation: &Operation, snapshot: &Snapshot) -> Evaluation {
        self.evaluate(operation, snapshot, operation.is_live().then_some(false))
            .0
    }

    fn evaluate(
        &self,
        operation: &Operation,
        snapshot: &Snapshot,
        live: Option<bool>,
    ) -> (Evaluation, Option<EngineError>) {
        let prepared = &*operation.inner;
        let mut renderer = Renderer::new(prepared.plan.slots, self.limits());
        let mut run = Run {
            prepared,
            snapshot,
            dependencies: DependencySet::none(),
            store_error: None,
        };
        if operation.kind() == OperationKind::Mutation {
            let path = prepared.plan.roots.first().map(|root| &root.target);
            renderer.no_data();
            if let Some(target) = path {
                let refusal = Refusal::bad_request("a mutation cannot be run as a query");
                renderer.refuse_root(&refusal, target);
            }
        } else {
            renderer.data(
                prepared.plan.roots.iter(),
                |renderer, index, root| match prepared.bound.get(index) {
                    Some(bound) => run.root(renderer, root, bound),
                    None => Err(Nulled),
                },
            );
        }
        let Run {
            dependencies,
            store_error,
            ..
        } = run;
        (
            renderer.finish(Some(snapshot.ts()), live, dependencies),
            store_error,
        )
    }
}

struct Run<'r> {
    prepared: &'r Prepared,
    snapshot: &'r Snapshot,
    dependencies: DependencySet,
    /// The last time that the store could not be read.
    store_error: Option<EngineError>,
}

impl Run<'_> {
    fn root(
        &mut self,
        renderer: &mut Renderer<'_>,
        root: &RootField,
        bound: &Bound,
    ) -> Result<(), Nulled> {
        let path = Path::root(&root.target);
        if matches!(root.action, Action::Introspection) {
            self.dependencies.catalog();
        }
        match (&root.action, bound) {
            (_, Bound::Refused(refusal)) => {
                // Another schema may take the arguments.
                self.dependencies.catalog();
                Err(renderer.refuse_root(refusal, &root.target))
            }
            (_, Bound::Json(json)) => {
                renderer.json(json);
                Ok(())
            }
            (Action::TypeName(json), _) => {
                renderer.json(json);
                Ok(())
            }
            (Action::Query(action), bound) => {
                let done = self.query(renderer, action, bound, &path);
                done.unwrap_or_else(|error| {
                    let refusal = Refusal {
                        code: error.code(),
                        message: error.to_string(),
                    };
                    self.store_error = Some(error);
                    Err(renderer.refuse_root(&refusal, &root.target))
                })
            }
            (Action::Introspection | Action::Mutation(_) | Action::Changes(_), _) => {
                let message = "the field cannot be run here".to_owned();
                let refusal = Refusal {
                    code: ErrorCode::Internal,
                    message,
                };
                Err(renderer.refuse_root(&refusal, &root.target))
            }
        }
    }

    /// The outer error is the store's, the inner one has been recorded.
    fn query(
        &mut self,
        renderer: &mut Renderer<'_>,
        action: &QueryAction,
        bound: &Bound,
        path: &Path<'_>,
    ) -> Result<Result<(), Nulled>, EngineError> {
        match (action, bound) {
            (QueryAction::Node(selections), Bound::Node(named)) => {
                let found = named.as_ref().and_then(|(collection, id)| {
                    let mut selections = selections.iter();
                    let (_, selection) = selections.find(|(of, _)| of == collection)?;
                    Some((*collection, id, selection))
                });
                match found {
                    Some((collection, id, selection)) => {
                        let deleted = Deleted::Exclude;
                        self.document(renderer, collection, id, deleted, selection, path)
                    }
                    None => {
                        // A collection of that number may come with the next schema.
                        self.dependencies.catalog();
                        renderer.json(b"null");
                        Ok(Ok(()))
                    }
                }
            }
            (
                QueryAction::ById {
                    collection,
                    selection,
                },
                Bound::Document { id, deleted },
            ) => self.document(renderer, *collection, id, *deleted, selection, path),
            (QueryAction::List { selection, .. }, Bound::List(list)) => {
                self.list(renderer, selection, list, path)
            }
            (QueryAction::Collections(items), _) => self.collections(renderer, items, path),
            (QueryAction::Schema(items), _) => {
                self.dependencies.catalog();
                Ok(renderer.schema_info(items, &self.prepared.schema, path))
            }
            _ => {
                let message = "the field's arguments are of another field";
                Ok(Err(renderer.refuse(
                    ErrorCode::Internal,
                    message,
                    path,
                    None,
                )))
            }
        }
    }

    fn document(
        &mut self,
        renderer: &mut Renderer<'_>,
        collection: CollectionId,
        id: &str,
        deleted: Deleted,
        selection: &DocumentSelection,
        path: &Path<'_>,
    ) -> Result<Result<(), Nulled>, EngineError> {
        // Text that cannot be an id names no document, and never will.
        let Ok(document_id) = DocumentId::new(id) else {
            renderer.json(b"null");
            return Ok(Ok(()));
        };
        self.dependencies.read(Dependency {
            collection,
            scope: Scope::Document(document_id),
            mask: selection.mask.clone(),
        });
        let record: Option<Record<'_>> = self.snapshot.get(collection, id)?;
        match record.filter(|record| deleted.admits(record)) {
            Some(record) => Ok(renderer.document(selection, collection, &record, path)),
            None => {
                renderer.json(b"null");
                Ok(Ok(()))
            }
        }
    }

    fn list(
        &mut self,
        renderer: &mut Renderer<'_>,
        selection: &ConnectionSelection,
        list: &BoundList,
        path: &Path<'_>,
    ) -> Result<Result<(), Nulled>, EngineError> {
        let mut found = self.snapshot.find(&list.find)?;
        self.dependencies
            .merge(std::mem::take(&mut found.dependencies));
        let page = PageFound {
            collection: list.find.collection,
            found: &found,
            order: &list.find.order,
            fingerprint: list.fingerprint,
        };
        Ok(renderer.connection(selection, &page, path))
    }

    fn collections(
        &mut self,
        renderer: &mut Renderer<'_>,
        items: &[Selected<InfoSource>],
        path: &Path<'_>,
    ) -> Result<Result<(), Nulled>, EngineError> {
        self.dependencies.catalog();
        if items.iter().any(|item| item.source == InfoSource::Count) {
            self.dependencies.counts();
        }
        if items.iter().any(|item| item.source == InfoSource::Shape) {
            self.dependencies.shapes();
        }
        let mut collections: Vec<(&Collection, Statistics)> = Vec::new();
        for collection in self.snapshot.catalog().collections() {
            collections.push((collection, statistics(self.snapshot, collection.id, items)?));
        }
        Ok(renderer.collections(items, collections.into_iter(), path))
    }
}

/// The statistics of a collection, as far as somebody looks at them: shapes are large.
pub(crate) fn statistics(
    snapshot: &Snapshot,
    collection: CollectionId,
    items: &[Selected<InfoSource>],
) -> Result<Statistics, EngineError> {
    let selects = |source| items.iter().any(|item| item.source == source);
    if selects(InfoSource::Shape) {
        snapshot.statistics(collection)
    } else if selects(InfoSource::Count) {
        let mut counted = Statistics::default();
        counted.documents = snapshot.document_count(collection)?;
        Ok(counted)
    } else {
        Ok(Statistics::default())
    }
}

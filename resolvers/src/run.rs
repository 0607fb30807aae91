//! Running queries and subscriptions: one evaluation on one snapshot.

use thalweg_engine::{
    Collection, Deleted, Dependency, DependencySet, EngineError, Record, Scope, Snapshot,
    Statistics,
};
use thalweg_model::{CollectionId, CommitTs, DocumentId, ErrorClass, ErrorCode};

use crate::bind::Bound;
use crate::cost::{self, Estimate};
use crate::extensions::Extensions;
use crate::failure::Refusal;
use crate::limits::Limits;
use crate::notes::{Looked, Notes};
use crate::operation::{Operation, Prepared};
use crate::ordered::NoPage;
use crate::plan::selection::{DocumentSelection, InfoSource, Selected, Target};
use crate::plan::{Action, OperationKind, QueryAction, RootField};
use crate::render::{ChunkSink, Delivery, Evaluation, Nulled, PageFound, Path, Renderer};
use crate::resolvers::Resolvers;

/// What a query that may be answered in chunks comes to.
#[derive(Debug)]
pub enum Chunked {
    /// The response as a whole: nothing has been sent.
    Whole(Evaluation),
    /// All of it has been sent.
    Sent,
    /// Some of it has been sent, and the rest cannot be; or nobody takes it.
    Broken,
}

impl Resolvers {
    /// Evaluates a query, or one event of a subscription, on a snapshot, with the API schema that the operation is
    /// pinned to. Works on the snapshot alone and blocks for as long as its reads do.
    ///
    /// A mutation is refused; it goes through [`Resolvers::mutate`].
    pub fn run(&self, operation: &Operation, snapshot: &Snapshot) -> Evaluation {
        self.evaluate(operation, snapshot, Notes::default()).0
    }

    /// The same for a live query: that the store cannot be read is no result to show, but a reason to try again.
    pub fn run_live(
        &self,
        operation: &Operation,
        snapshot: &Snapshot,
    ) -> Result<Evaluation, EngineError> {
        match self.evaluate(operation, snapshot, Notes::default()) {
            (evaluation, None) => Ok(evaluation),
            (_, Some(error)) => Err(error),
        }
    }

    /// The same for a response that comes once: a `@live` query says so in its extensions, `explain` says how each root
    /// field was found, and lists that looked at very many documents are warned of.
    pub fn run_once(
        &self,
        operation: &Operation,
        snapshot: &Snapshot,
        extensions: &Extensions,
    ) -> Evaluation {
        let notes = Notes::once(operation.is_live(), extensions);
        self.evaluate(operation, snapshot, notes).0
    }

    /// The same for a response that may be long: then it is sent in chunks while it is written. Short ones, and those of which
    /// nothing can leave before all is known, are given as a whole.
    pub fn run_chunked(
        &self,
        operation: &Operation,
        snapshot: &Snapshot,
        extensions: &Extensions,
        sink: &mut (dyn ChunkSink + 'static),
    ) -> Chunked {
        let notes = Notes::once(operation.is_live(), extensions);
        let (evaluation, delivery, _) = self.evaluate_into(operation, snapshot, notes, Some(sink));
        match delivery {
            Delivery::None => Chunked::Whole(evaluation),
            Delivery::Sent => Chunked::Sent,
            Delivery::Broken => Chunked::Broken,
        }
    }

    pub(crate) fn evaluate(
        &self,
        operation: &Operation,
        snapshot: &Snapshot,
        notes: Notes,
    ) -> (Evaluation, Option<EngineError>) {
        let (evaluation, _, error) = self.evaluate_into(operation, snapshot, notes, None);
        (evaluation, error)
    }

    fn evaluate_into(
        &self,
        operation: &Operation,
        snapshot: &Snapshot,
        notes: Notes,
        sink: Option<&mut (dyn ChunkSink + 'static)>,
    ) -> (Evaluation, Delivery, Option<EngineError>) {
        let prepared = &*operation.inner;
        let earlier = self.earlier_views(prepared);
        let mut renderer =
            Renderer::new(prepared.plan.slots, self.limits()).within(&prepared.boundary);
        if let Some(sink) = sink {
            renderer = renderer.into_sink(sink);
        }
        let inner = prepared.bound.get(prepared.plan.roots.len()..);
        self.note_uses(prepared);
        let mut run = Run {
            resolvers: self,
            prepared,
            limits: self.limits(),
            snapshot,
            dependencies: DependencySet::none(),
            store_error: None,
            notes,
            rows: 0,
        };
        snapshot.set_interrupt(operation.interrupt.clone());
        if operation.kind() == OperationKind::Mutation {
            let path = prepared.plan.roots.first().map(|root| &root.target);
            renderer.no_data();
            if let Some(target) = path {
                let refusal = Refusal::bad_request("a mutation cannot be run as a query");
                renderer.refuse_root(&refusal, target);
            }
        } else if let Some((root, refusal)) = run.too_expensive() {
            renderer.no_data();
            renderer.refuse_root(&refusal, &root.target);
        } else {
            renderer.data(prepared.plan.roots.iter(), |renderer, index, root| {
                let Some(bound) = prepared.bound.get(index) else {
                    return Err(Nulled);
                };
                let view = match earlier.get(index) {
                    Some(Some(Ok(view))) => view,
                    Some(Some(Err(error))) => return Err(run.fail(renderer, root, error.clone())),
                    _ => snapshot,
                };
                run.snapshot = view;
                renderer.look_at(view, inner.unwrap_or_default());
                let is_last = index + 1 == prepared.plan.roots.len();
                renderer.open_chunks(root, bound, is_last);
                // What the root fields look at counts together.
                let rows_left = run.limits.rows_max.saturating_sub(run.rows);
                view.limit_rows(Some(rows_left));
                view.set_interrupt(operation.interrupt.clone());
                let before = view.documents_read();
                let done = run.root(renderer, root, bound);
                run.rows += view.documents_read() - before;
                done
            });
        }
        // Others may run on the same snapshot.
        snapshot.limit_rows(None);
        snapshot.set_interrupt(None);
        if let Some(cost) = &mut run.notes.cost {
            cost.rows = run.rows;
        }
        let store_error = run.store_error.or_else(|| renderer.take_store_error());
        let (mut dependencies, notes) = (run.dependencies, run.notes);
        dependencies.merge(renderer.take_dependencies());
        let (evaluation, delivery) = renderer.deliver(Some(snapshot.ts()), &notes, dependencies);
        (evaluation, delivery, store_error)
    }

    /// The views of root fields that look back; roots that look at one time share none, since that is rare.
    fn earlier_views(&self, prepared: &Prepared) -> Vec<Option<Result<Snapshot, EngineError>>> {
        let view = |bound: &Bound| bound.at().map(|at| self.view_at(at));
        if prepared.bound.iter().all(|bound| bound.at().is_none()) {
            return Vec::new();
        }
        prepared.bound.iter().map(view).collect()
    }

    /// The state at a time. The newest state is also that of all times after its commit that have passed.
    pub(crate) fn view_at(&self, at: CommitTs) -> Result<Snapshot, EngineError> {
        let now = self.engine().now_micros();
        match self.engine().snapshot_at(at) {
            Err(EngineError::NotYet { head, .. }) if at.as_micros() <= now => {
                self.engine().snapshot_at(head)
            }
            found => found,
        }
    }
}

struct Run<'r> {
    resolvers: &'r Resolvers,
    prepared: &'r Prepared,
    limits: &'r Limits,
    /// What the root field that is being run looks at.
    snapshot: &'r Snapshot,
    dependencies: DependencySet,
    /// The last time that the store could not be read.
    store_error: Option<EngineError>,
    notes: Notes,
    /// How many rows the root fields before have looked at.
    rows: u64,
}

impl<'r> Run<'r> {
    /// Why the operation is not run at all, where it is expected to cost more than it may.
    fn too_expensive(&mut self) -> Option<(&'r RootField, Refusal)> {
        let (prepared, rows_max) = (self.prepared, self.limits.rows_max);
        let is_asked = self.notes.cost.is_some();
        // If the store cannot be read now, the run will say so.
        let estimate = Estimate::of(prepared, self.snapshot, rows_max, is_asked).ok()?;
        if let Some(cost) = &mut self.notes.cost {
            cost.estimated = estimate.rows;
        }
        let refused = estimate.refusal(prepared, self.snapshot, rows_max)?;
        // An index may make it cheaper.
        self.dependencies.catalog();
        for bound in prepared.bound.iter() {
            if let Bound::List(list) = bound
                && list.at.is_none()
            {
                self.dependencies.merge(cost::dependencies(&list.find));
            }
        }
        Some(refused)
    }

    fn root(
        &mut self,
        renderer: &mut Renderer<'_>,
        root: &RootField,
        bound: &Bound,
    ) -> Result<(), Nulled> {
        let path = Path::root(&root.target);
        let target = &root.target;
        if matches!(root.action, Action::Introspection) {
            self.dependencies.catalog();
        }
        match (&root.action, bound) {
            (_, Bound::Refused(refusals)) => {
                // Another schema may take the arguments.
                self.dependencies.catalog();
                Err(renderer.refuse_all(refusals, target))
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
                let done = self.query(renderer, action, bound, target, &path);
                done.unwrap_or_else(|error| Err(self.fail(renderer, root, error)))
            }
            (Action::Introspection | Action::Mutation(_) | Action::Changes(_), _) => {
                let refusal = Refusal::new(ErrorCode::Internal, "the field cannot be run here");
                Err(renderer.refuse_root(&refusal, target))
            }
        }
    }

    /// Tells that a root field could not be read, or that the time it looks back to cannot be.
    fn fail(
        &mut self,
        renderer: &mut Renderer<'_>,
        root: &RootField,
        error: EngineError,
    ) -> Nulled {
        let refusal = cost::refusal(&error, self.limits, "ask for fewer rows at a time");
        if error.class() != ErrorClass::Caller && !cost::is_of_cost(&error) {
            self.store_error = Some(error);
        }
        renderer.refuse_root(&refusal, &root.target)
    }

    /// The outer error is the store's, the inner one has been recorded.
    fn query(
        &mut self,
        renderer: &mut Renderer<'_>,
        action: &QueryAction,
        bound: &Bound,
        target: &Target,
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
                        let wanted = Wanted {
                            collection,
                            id,
                            deleted: Deleted::Exclude,
                            is_past: false,
                        };
                        self.document(renderer, wanted, selection, target, path)
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
                Bound::Document { id, deleted, at },
            ) => {
                let wanted = Wanted {
                    collection: *collection,
                    id,
                    deleted: *deleted,
                    is_past: at.is_some(),
                };
                self.document(renderer, wanted, selection, target, path)
            }
            (QueryAction::List { selection, .. }, Bound::List(list)) => {
                let found = list.found(self.snapshot, &list.find, &mut self.dependencies);
                let (mut found, positions) = match found {
                    Ok(found) => found,
                    Err(NoPage::Refused(refusal)) => {
                        return Ok(Err(renderer.refuse_root(&refusal, target)));
                    }
                    Err(NoPage::Store(error)) if cost::is_of_cost(&error) => {
                        let collection = self.snapshot.catalog().by_id(list.find.collection);
                        let advice = cost::advice(collection.map(|found| &**found), &list.find);
                        if list.at.is_none() {
                            self.dependencies.catalog();
                            self.dependencies.merge(cost::dependencies(&list.find));
                        }
                        let refusal = cost::refusal(&error, self.limits, &advice);
                        return Ok(Err(renderer.refuse_root(&refusal, target)));
                    }
                    Err(NoPage::Store(error)) => return Err(error),
                };
                self.dependencies
                    .merge(std::mem::take(&mut found.dependencies));
                if let Some(collection) = self.snapshot.catalog().by_id(list.find.collection) {
                    let find = &list.find;
                    let looked = Looked {
                        plan: &found.plan,
                        rows_read: found.rows_read,
                        rows_returned: found.rows.len() as u64,
                        scanned: found.scanned,
                    };
                    self.notes
                        .found(target, collection, find, &looked, self.limits);
                }
                let page = PageFound {
                    collection: list.find.collection,
                    found: &found,
                    order: &list.find.order,
                    fingerprint: list.fingerprint,
                    positions: positions.as_ref(),
                };
                Ok(renderer.connection(selection, &page, path))
            }
            (QueryAction::Aggregate { selection, .. }, Bound::Aggregate(bound)) => {
                let wanted = &bound.aggregate;
                let mut made = match self.snapshot.aggregate(wanted) {
                    Err(error)
                        if cost::is_of_cost(&error) || error.class() == ErrorClass::Caller =>
                    {
                        let find = wanted.find();
                        let collection = self.snapshot.catalog().by_id(find.collection);
                        let advice = cost::advice(collection.map(|found| &**found), &find);
                        // A change may make it possible.
                        if bound.at.is_none() {
                            self.dependencies.catalog();
                            self.dependencies.merge(cost::dependencies(&find));
                        }
                        let refusal = cost::refusal(&error, self.limits, &advice);
                        return Ok(Err(renderer.refuse_root(&refusal, target)));
                    }
                    made => made?,
                };
                self.dependencies
                    .merge(std::mem::take(&mut made.dependencies));
                if let Some(collection) = self.snapshot.catalog().by_id(wanted.collection) {
                    // Without groups it is one result.
                    let rows_returned = match wanted.grouping {
                        Some(_) => made.groups.len() as u64,
                        None => 1,
                    };
                    let looked = Looked {
                        plan: &made.plan,
                        rows_read: made.rows_read,
                        rows_returned,
                        scanned: made.scanned,
                    };
                    self.notes
                        .found(target, collection, &wanted.find(), &looked, self.limits);
                }
                Ok(renderer.aggregate(selection, &made, &bound.keys, path))
            }
            (QueryAction::Collections(items), _) => self.collections(renderer, items, path),
            (QueryAction::Schema(items), _) => {
                self.dependencies.catalog();
                let (resolvers, prepared) = (self.resolvers, self.prepared);
                let changes = |inner: usize| {
                    let at = prepared.plan.roots.len() + inner;
                    match prepared.bound.get(at) {
                        Some(Bound::Since(since)) => resolvers.schema_changes(prepared, *since),
                        Some(Bound::Refused(refusals)) => Err(refusals[0].clone()),
                        _ => Ok(None),
                    }
                };
                Ok(renderer.schema_info(items, &self.prepared.schema, &changes, path))
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
        wanted: Wanted<'_>,
        selection: &DocumentSelection,
        target: &Target,
        path: &Path<'_>,
    ) -> Result<Result<(), Nulled>, EngineError> {
        let Wanted {
            collection,
            id,
            deleted,
            is_past,
        } = wanted;
        // Text that cannot be an id names no document, and never will.
        let Ok(document_id) = DocumentId::new(id) else {
            renderer.json(b"null");
            return Ok(Ok(()));
        };
        // No commit changes the past.
        if !is_past {
            self.dependencies.read(Dependency {
                collection,
                scope: Scope::Document(document_id),
                mask: selection.mask.clone(),
            });
        }
        let record: Option<Record<'_>> = self.snapshot.get(collection, id)?;
        let record = record.filter(|record| deleted.admits(record));
        self.notes.by_id(target, record.is_some());
        match record {
            Some(record) => {
                renderer.load(selection, std::iter::once(&record));
                Ok(renderer.document(selection, collection, &record, path))
            }
            None => {
                renderer.json(b"null");
                Ok(Ok(()))
            }
        }
    }

    fn collections(
        &mut self,
        renderer: &mut Renderer<'_>,
        items: &[Selected<InfoSource>],
        path: &Path<'_>,
    ) -> Result<Result<(), Nulled>, EngineError> {
        self.dependencies.catalog();
        if items
            .iter()
            .any(|item| matches!(item.source, InfoSource::Count | InfoSource::Indexes(_)))
        {
            self.dependencies.counts();
        }
        if selects_shape(items) {
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
    if selects_shape(items) {
        return snapshot.statistics(collection);
    }
    let mut counted = Statistics::default();
    if items
        .iter()
        .any(|item| matches!(item.source, InfoSource::Count))
    {
        counted.documents = snapshot.document_count(collection)?;
    }
    Ok(counted)
}

fn selects_shape(items: &[Selected<InfoSource>]) -> bool {
    items
        .iter()
        .any(|item| matches!(item.source, InfoSource::Shape | InfoSource::Drift(_)))
}

/// A document that is asked for.
#[derive(Clone, Copy)]
struct Wanted<'w> {
    collection: CollectionId,
    id: &'w str,
    deleted: Deleted,
    is_past: bool,
}

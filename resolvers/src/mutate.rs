//! Running mutations: all root fields of an operation are one transaction.
//!
//! The root fields' writes are intents, in order. Once they are committed, each root field is rendered from the image
//! that its own step left, so that `_inc` gives what its own commit produced. If one write fails nothing is written,
//! `data` is null, and the error's path names the root field.

mod nested;
mod once;
mod transaction;

use std::sync::Arc;

use parking_lot::Mutex;
use thalweg_engine::{
    Collection, Committed, DependencySet, EngineError, Place, Record, Snapshot, Statistics, Step,
    Transaction, TransactionError,
};
use thalweg_model::{CollectionId, CommitTs, ErrorCode};

use crate::bind::{Bound, Write};
use crate::cost::Allowance;
use crate::failure::Refusal;
use crate::notes::Notes;
use crate::operation::{Operation, Prepared};
use crate::plan::selection::{InfoSource, PromotionSource, SchemaChangeSource, Selected};
use crate::plan::{Action, CollectionMutation, MutationAction, RootField};
use crate::render::{Evaluation, Nulled, Path, Renderer};
use crate::resolvers::Resolvers;
use crate::run::statistics;
use transaction::{Applied, Promoted, Written, write_all};

/// What a mutation needs to run, any number of times.
struct Attempt {
    prepared: Arc<Prepared>,
    /// The first step of each root field in the last run, to tell which one a failed step was of.
    starts: Arc<Mutex<Vec<usize>>>,
    /// What the collections held that it drops.
    dropped: Dropped,
    allowance: Allowance,
}

impl Attempt {
    /// The transaction's code.
    fn code(
        &self,
    ) -> impl Fn(&mut Transaction<'_>) -> Result<Written, TransactionError> + Send + Sync + 'static
    {
        let (prepared, starts) = (Arc::clone(&self.prepared), Arc::clone(&self.starts));
        let allowance = self.allowance.clone();
        move |transaction: &mut Transaction<'_>| {
            write_all(&prepared, &starts, &allowance, transaction)
        }
    }

    /// A bulk mutation may look at every document, which must not hold up the thread's other requests.
    fn place(&self) -> Place {
        let is_bulk =
            |bound: &Bound| matches!(bound, Bound::Write(write) if write.reads_a_collection());
        if self.prepared.bound.iter().any(is_bulk) {
            Place::BlockingThread
        } else {
            Place::Caller
        }
    }
}

impl Resolvers {
    /// Runs a mutation until it is committed and durable.
    ///
    /// The response has no `commitTs` where nothing was committed.
    pub async fn mutate(&self, operation: &Operation) -> Evaluation {
        let attempt = match self.attempt(operation) {
            Ok(attempt) => attempt,
            Err(refused) => return *refused,
        };
        let code = attempt.code();
        let committed = match attempt.place() {
            Place::Caller => self.engine().transact(code).await,
            Place::BlockingThread => self.engine().transact_blocking(code).await,
        };
        match committed {
            Ok(committed) => self.render_mutation(&attempt, &committed),
            Err(error) => self.refuse_attempt(&attempt, &error),
        }
    }

    /// What has to be known before a mutation runs, or the response where it cannot.
    fn attempt(&self, operation: &Operation) -> Result<Attempt, Box<Evaluation>> {
        let prepared = Arc::clone(&operation.inner);
        self.note_uses(&prepared);
        if let Some(refused) = self.refuse_arguments(&prepared) {
            return Err(Box::new(refused));
        }
        match self.before_drop(&prepared) {
            Ok(dropped) => Ok(Attempt {
                prepared,
                starts: Arc::default(),
                dropped,
                allowance: Allowance {
                    rows_max: self.limits().rows_max,
                    interrupt: operation.interrupt.clone(),
                },
            }),
            Err(error) => Err(Box::new(self.refuse_mutation(
                &prepared,
                &[],
                &error.into(),
            ))),
        }
    }

    fn refuse_attempt(&self, attempt: &Attempt, error: &TransactionError) -> Evaluation {
        self.refuse_mutation(&attempt.prepared, &attempt.starts.lock(), error)
    }

    /// The response where some root field's arguments cannot be meant, or the operation is no mutation.
    fn refuse_arguments(&self, prepared: &Prepared) -> Option<Evaluation> {
        let mut renderer = Renderer::new(0, self.limits());
        renderer.no_data();
        let mut is_refused = false;
        for (root, bound) in prepared.plan.roots.iter().zip(prepared.bound.iter()) {
            let refusals = match (&root.action, bound) {
                (_, Bound::Refused(refusals)) => refusals.clone(),
                (Action::Query(_) | Action::Introspection | Action::Changes(_), _) => {
                    Box::new([Refusal::bad_request("a query cannot be run as a mutation")])
                }
                _ => continue,
            };
            renderer.refuse_all(&refusals, &root.target);
            is_refused = true;
        }
        is_refused.then(|| renderer.finish(None, &Notes::default(), DependencySet::none()))
    }

    fn refuse_mutation(
        &self,
        prepared: &Prepared,
        starts: &[usize],
        error: &TransactionError,
    ) -> Evaluation {
        let step = match error {
            TransactionError::Intent { step, .. } => Some(*step),
            TransactionError::Refused { part, .. } => Some(*part),
            TransactionError::Engine(_) => None,
        };
        // Several root fields may start at one step where the earlier ones wrote nothing.
        let index = step.and_then(|step| {
            starts
                .partition_point(|start| *start <= step)
                .checked_sub(1)
        });
        let roots = &prepared.plan.roots;
        let root = index.and_then(|index| roots.get(index)).or(roots.first());
        let mut renderer = Renderer::new(0, self.limits());
        renderer.no_data();
        if let Some(root) = root {
            renderer.refuse_root(&Refusal::of(error), &root.target);
        }
        renderer.finish(None, &Notes::default(), DependencySet::none())
    }

    /// What the collections hold that the operation drops: afterwards nobody can tell. A write that comes between is
    /// not counted.
    fn before_drop(&self, prepared: &Prepared) -> Result<Dropped, EngineError> {
        let mut dropped = Dropped::new();
        for (root, bound) in prepared.plan.roots.iter().zip(prepared.bound.iter()) {
            if let Action::Mutation(MutationAction::Collection { selection, .. }) = &root.action
                && let Bound::Write(Write::DropCollection { name }) = bound
            {
                let snapshot = self.engine().snapshot()?;
                if let Some(collection) = snapshot.catalog().by_name(name) {
                    let counted = statistics(&snapshot, collection.id, selection)?;
                    dropped.push((collection.id, counted));
                }
            }
        }
        Ok(dropped)
    }

    fn render_mutation(&self, attempt: &Attempt, committed: &Committed<Written>) -> Evaluation {
        let Attempt {
            prepared, dropped, ..
        } = attempt;
        // For what the database says of collections; documents are as their steps left them.
        let snapshot = prepared
            .plan
            .roots
            .iter()
            .any(|root| shows_collections(&root.action))
            .then(|| self.engine().snapshot())
            .or_else(|| {
                let reads_related = prepared.plan.reads_related;
                reads_related.then(|| self.committed_view(committed.commit_ts))
            });
        let mut renderer = Renderer::committed(prepared.plan.slots, self.limits());
        if let Some(Ok(snapshot)) = &snapshot {
            let inner = prepared.bound.get(prepared.plan.roots.len()..);
            renderer.look_at(snapshot, inner.unwrap_or_default());
        }
        renderer.data(prepared.plan.roots.iter(), |renderer, index, root| {
            let path = Path::root(&root.target);
            match &root.action {
                Action::TypeName(json) => {
                    renderer.json(json);
                    Ok(())
                }
                Action::Mutation(action) => {
                    let written = &committed.value;
                    let start = written.starts.get(index).copied().unwrap_or_default();
                    let end = written.starts.get(index + 1).copied().unwrap_or(start);
                    let done = Done {
                        steps: committed.steps.get(start..end).unwrap_or_default(),
                        selected: written
                            .selected
                            .get(index)
                            .map(Vec::as_slice)
                            .unwrap_or_default(),
                        own: written.own.get(index).and_then(Option::as_deref),
                        applied: written
                            .applied
                            .iter()
                            .find(|(of, _)| *of == index)
                            .map(|(_, applied)| applied),
                        promoted: written
                            .promoted
                            .iter()
                            .find(|(of, _)| *of == index)
                            .map(|(_, promoted)| promoted),
                        prepared,
                        committed,
                        dropped,
                    };
                    self.render_root(renderer, action, root, &done, &path)
                }
                Action::Query(_) | Action::Introspection | Action::Changes(_) => Err(Nulled),
            }
        });
        renderer.finish(
            Some(committed.commit_ts),
            &Notes::default(),
            DependencySet::none(),
        )
    }

    /// The state that a commit left, for the documents that are related to what it wrote.
    fn committed_view(&self, commit_ts: CommitTs) -> Result<Snapshot, EngineError> {
        let newest = self.engine().snapshot()?;
        if newest.ts() == commit_ts {
            return Ok(newest);
        }
        self.engine().snapshot_at(commit_ts)
    }

    fn render_root(
        &self,
        renderer: &mut Renderer<'_>,
        action: &MutationAction,
        root: &RootField,
        done: &Done<'_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        match action {
            MutationAction::Document {
                collection,
                selection,
                ..
            } => match done.documents().next().and_then(shown) {
                Some(record) => renderer.document(selection, collection.id, record, path),
                None if root.target.is_non_null => Err(renderer.refuse_root(
                    &Refusal::new(
                        ErrorCode::Internal,
                        "the mutation is committed, but it left no document to show",
                    ),
                    &root.target,
                )),
                None => {
                    renderer.json(b"null");
                    Ok(())
                }
            },
            MutationAction::CreateMany {
                collection,
                selection,
            } => {
                let records = done.documents().filter_map(shown);
                renderer.load(selection, records.clone());
                renderer.list(records, path, |renderer, record, path| {
                    renderer.document(selection, collection.id, record, path)
                })
            }
            MutationAction::Bulk { selection, .. } => {
                let steps = done.selected.iter().zip(done.steps);
                let ids: Vec<&str> = steps
                    .filter(|(_, step)| shown(step).is_some())
                    .map(|(id, _)| &**id)
                    .collect();
                renderer.bulk_result(selection, &ids, path)
            }
            MutationAction::InsertDocuments => {
                let records = done.steps.iter().filter_map(shown);
                renderer.list(records, path, |renderer, record, _| {
                    renderer.stored_document(record);
                    Ok(())
                })
            }
            MutationAction::ApplySchema(items) => {
                let collections = self
                    .describe_applied(items, done)
                    .map_err(|error| renderer.refuse_root(&failed(&error), &root.target))?;
                // What turned out to be so already when its turn came is no change.
                let is_real = |index: usize| {
                    let is_dry = done.applied.is_some_and(|applied| applied.is_dry);
                    is_dry || done.steps.get(index).is_some_and(|step| step.changed)
                };
                let applied = done.applied.map_or(&[][..], |applied| &applied.changes);
                let changes: Vec<&str> = applied
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| is_real(*index))
                    .map(|(_, words)| &**words)
                    .collect();
                renderer.schema_change(items, &collections, &changes, path)
            }
            MutationAction::PromoteSchema(items) => {
                self.render_promotion(renderer, items, root, done, path)
            }
            MutationAction::Collection {
                operation,
                selection,
            } => {
                let described = self.describe(*operation, selection, done);
                let (collection, counted) =
                    described.map_err(|refusal| renderer.refuse_root(&refusal, &root.target))?;
                renderer.collection_info(selection, &collection, &counted, path)
            }
        }
    }

    fn render_promotion(
        &self,
        renderer: &mut Renderer<'_>,
        items: &[Selected<PromotionSource>],
        root: &RootField,
        done: &Done<'_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let Some(Promoted {
            catalog,
            collection,
            types,
        }) = done.promoted
        else {
            return Err(renderer.refuse_root(
                &Refusal::new(ErrorCode::Internal, "the promotion left nothing to show"),
                &root.target,
            ));
        };
        let changes = self
            .promotion_changes(done.prepared, catalog, collection, types)
            .map_err(|refusal| renderer.refuse_root(&refusal, &root.target))?;
        let selected = items.iter().find_map(|item| match &item.source {
            PromotionSource::Collection(items) => Some(items),
            _ => None,
        });
        let mut shown = (Arc::clone(collection), Statistics::default());
        if let Some(items) = selected {
            let now = self.engine().snapshot().and_then(|snapshot| {
                let counted = statistics(&snapshot, collection.id, items)?;
                let found = snapshot.catalog().by_id(collection.id).cloned();
                Ok((found.unwrap_or_else(|| Arc::clone(collection)), counted))
            });
            shown = now.map_err(|error| renderer.refuse_root(&failed(&error), &root.target))?;
        }
        renderer.promotion(items, (&shown.0, &shown.1), &changes, path)
    }

    /// A collection after it was changed, or before it was dropped.
    fn describe(
        &self,
        operation: CollectionMutation,
        items: &[Selected<InfoSource>],
        done: &Done<'_>,
    ) -> Result<(Arc<Collection>, Statistics), Refusal> {
        let id: Option<CollectionId> = done.steps.first().and_then(|step| step.collection);
        let catalog = match operation {
            CollectionMutation::Drop => done.committed.value.before.as_ref(),
            _ => Some(&done.committed.catalog),
        };
        let collection = id.and_then(|id| catalog?.by_id(id)).ok_or_else(|| {
            Refusal::new(
                ErrorCode::NotFound,
                "the mutation is committed, but there is no collection to show",
            )
        })?;
        let counted = match operation {
            CollectionMutation::Rename => {
                let snapshot = self.engine().snapshot().map_err(|error| failed(&error))?;
                statistics(&snapshot, collection.id, items).map_err(|error| failed(&error))?
            }
            CollectionMutation::Drop => {
                let mut dropped = done.dropped.iter();
                dropped
                    .find(|(of, _)| *of == collection.id)
                    .map(|(_, counted)| counted.clone())
                    .unwrap_or_default()
            }
            // Just created or emptied: there is nothing in it.
            CollectionMutation::Create | CollectionMutation::Truncate => Statistics::default(),
        };
        Ok((Arc::clone(collection), counted))
    }

    /// The collections that a schema declares, as they are now.
    fn describe_applied<'c>(
        &self,
        items: &[Selected<SchemaChangeSource>],
        done: &Done<'c>,
    ) -> Result<Vec<(&'c Collection, Statistics)>, EngineError> {
        let selected = items.iter().find_map(|item| match &item.source {
            SchemaChangeSource::Collections(items) => Some(items),
            _ => None,
        });
        let mut collections = Vec::new();
        if let (Some(applied), Some(items)) = (done.applied, selected) {
            let snapshot = self.engine().snapshot()?;
            for name in &applied.collections {
                if let Some(collection) = done.committed.catalog.by_name(name) {
                    let counted = statistics(&snapshot, collection.id, items)?;
                    collections.push((&**collection, counted));
                }
            }
        }
        Ok(collections)
    }
}

fn failed(error: &EngineError) -> Refusal {
    Refusal::new(
        error.code(),
        format!("the mutation is committed, but what is there now cannot be read: {error}"),
    )
}

fn shows_collections(action: &Action) -> bool {
    matches!(
        action,
        Action::Mutation(
            MutationAction::Collection { .. }
                | MutationAction::ApplySchema(_)
                | MutationAction::PromoteSchema(_)
        )
    )
}

/// What one root field did.
struct Done<'c> {
    /// Which of the steps are those of the root field's own documents; `None` where all are.
    own: Option<&'c [usize]>,
    steps: &'c [Step],
    selected: &'c [Box<str>],
    applied: Option<&'c Applied>,
    promoted: Option<&'c Promoted>,
    prepared: &'c Prepared,
    committed: &'c Committed<Written>,
    dropped: &'c Dropped,
}

impl<'c> Done<'c> {
    /// The steps of the root field's own documents.
    fn documents(&self) -> impl Iterator<Item = &'c Step> + Clone + use<'c> {
        let (steps, own) = (self.steps, self.own);
        let count = own.map_or(steps.len(), <[usize]>::len);
        (0..count).filter_map(move |place| steps.get(own.map_or(place, |own| own[place])))
    }
}

/// Collections before they were dropped.
type Dropped = Vec<(CollectionId, Statistics)>;

/// The image that a step shows: what it left, or for a permanent deletion what it removed.
fn shown(step: &Step) -> Option<&Record<'static>> {
    step.after
        .as_ref()
        .or(step.before.as_ref())
        .map(|record| &**record)
}

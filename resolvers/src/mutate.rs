//! Running mutations: all root fields of an operation are one transaction.
//!
//! The root fields' writes are intents, in order. Once they are committed, each root field is rendered from the image
//! that its own step left, so that `_inc` gives what its own commit produced. If one write fails nothing is written,
//! `data` is null, and the error's path names the root field.

mod transaction;

use std::sync::Arc;

use parking_lot::Mutex;
use thalweg_engine::{
    Collection, Committed, DependencySet, EngineError, Record, Statistics, Step, Transaction,
    TransactionError,
};
use thalweg_model::{CollectionId, ErrorCode};

use crate::bind::{Bound, Write};
use crate::failure::Refusal;
use crate::operation::{Operation, Prepared};
use crate::plan::selection::{InfoSource, Selected};
use crate::plan::{Action, CollectionMutation, MutationAction, RootField};
use crate::render::{Evaluation, Nulled, Path, Renderer};
use crate::resolvers::Resolvers;
use crate::run::statistics;
use transaction::{Written, write_all};

impl Resolvers {
    /// Runs a mutation until it is committed and durable.
    ///
    /// The response has no `commitTs` where nothing was committed.
    pub async fn mutate(&self, operation: &Operation) -> Evaluation {
        let prepared = Arc::clone(&operation.inner);
        if let Some(refused) = self.refuse_arguments(&prepared) {
            return refused;
        }
        let dropped = match self.before_drop(&prepared) {
            Ok(dropped) => dropped,
            Err(error) => return self.refuse_mutation(&prepared, &[], &error.into()),
        };
        // The code may run several times; the starts of its last run say which root field a failed step was of.
        let starts: Arc<Mutex<Vec<usize>>> = Arc::default();
        let code = {
            let (prepared, starts) = (Arc::clone(&prepared), Arc::clone(&starts));
            move |transaction: &mut Transaction<'_>| write_all(&prepared, &starts, transaction)
        };
        let is_bulk =
            |bound: &Bound| matches!(bound, Bound::Write(write) if write.reads_a_collection());
        // A bulk mutation may look at every document, which must not hold up the thread's other requests.
        let committed = if prepared.bound.iter().any(is_bulk) {
            self.engine().transact_blocking(code).await
        } else {
            self.engine().transact(code).await
        };
        match committed {
            Ok(committed) => self.render_mutation(&prepared, &committed, &dropped),
            Err(error) => self.refuse_mutation(&prepared, &starts.lock(), &error),
        }
    }

    /// The response where some root field's arguments cannot be meant, or the operation is no mutation.
    fn refuse_arguments(&self, prepared: &Prepared) -> Option<Evaluation> {
        let mut renderer = Renderer::new(0, self.limits());
        renderer.no_data();
        let mut is_refused = false;
        for (root, bound) in prepared.plan.roots.iter().zip(prepared.bound.iter()) {
            let refusal = match (&root.action, bound) {
                (_, Bound::Refused(refusal)) => refusal.clone(),
                (Action::Query(_) | Action::Introspection | Action::Changes(_), _) => {
                    Refusal::bad_request("a query cannot be run as a mutation")
                }
                _ => continue,
            };
            renderer.refuse_root(&refusal, &root.target);
            is_refused = true;
        }
        is_refused.then(|| renderer.finish(None, None, DependencySet::none()))
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
            let refusal = Refusal {
                code: error.code(),
                message: error.to_string(),
            };
            renderer.refuse_root(&refusal, &root.target);
        }
        renderer.finish(None, None, DependencySet::none())
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

    fn render_mutation(
        &self,
        prepared: &Prepared,
        committed: &Committed<Written>,
        dropped: &Dropped,
    ) -> Evaluation {
        let mut renderer = Renderer::committed(prepared.plan.slots, self.limits());
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
                        committed,
                        dropped,
                    };
                    self.render_root(renderer, action, root, &done, &path)
                }
                Action::Query(_) | Action::Introspection | Action::Changes(_) => Err(Nulled),
            }
        });
        renderer.finish(Some(committed.commit_ts), None, DependencySet::none())
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
            } => match done.steps.first().and_then(shown) {
                Some(record) => renderer.document(selection, collection.id, record, path),
                None if root.target.is_non_null => Err(renderer.refuse_root(
                    &Refusal {
                        code: ErrorCode::Internal,
                        message: "the mutation is committed, but it left no document to show"
                            .to_owned(),
                    },
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
                let records = done.steps.iter().filter_map(shown);
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
        let collection = id
            .and_then(|id| catalog?.by_id(id))
            .ok_or_else(|| Refusal {
                code: ErrorCode::NotFound,
                message: "the mutation is committed, but there is no collection to show".to_owned(),
            })?;
        let failed = |error: EngineError| Refusal {
            code: error.code(),
            message: format!(
                "the mutation is committed, but what is there now cannot be read: {error}"
            ),
        };
        let counted = match operation {
            CollectionMutation::Rename => {
                let snapshot = self.engine().snapshot().map_err(failed)?;
                statistics(&snapshot, collection.id, items).map_err(failed)?
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
}

/// What one root field did.
struct Done<'c> {
    steps: &'c [Step],
    selected: &'c [Box<str>],
    committed: &'c Committed<Written>,
    dropped: &'c Dropped,
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

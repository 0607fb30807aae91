//! The durable half of the committer: writes batches, publishes them, and answers those who wait.
//!
//! It has one batch at a time. What becomes of it, it tells the committer, which meanwhile has gathered the next group.

use std::sync::Arc;

use thalweg_model::CommitTs;
use thalweg_storage::{Backend, Batch, CommitError};

use crate::catalog::Catalog;
use crate::commit::Commit;
use crate::committer::{Ordered, Reply, Verdict, answer};
use crate::error::{EngineError, TransactionError};
use crate::idempotency::FirstAnswer;
use crate::intent::Step;
use crate::published::Published;
use crate::transaction::Erased;

/// A group to be written.
pub(crate) struct Work {
    /// `None` where no transaction of the group wrote anything: their answers only wait their turn.
    pub(crate) batch: Option<Batch>,
    pub(crate) commits: Vec<Arc<Commit>>,
    /// The catalog, if the group changes it.
    pub(crate) announced: Option<Arc<Catalog>>,
    /// The catalog after the group.
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) waiting: Vec<Waiting>,
}

/// Somebody who waits for the group to be durable.
pub(crate) struct Waiting {
    pub(crate) reply: Reply,
    pub(crate) answer: Answer,
}

/// What a transaction will be told once its group is durable.
pub(crate) enum Answer {
    Committed(Erased, CommitTs, Vec<Step>),
    First(Arc<FirstAnswer>),
    Repeated(Arc<FirstAnswer>),
    /// What it conflicts with may be in the group, so running it again before that is durable would only conflict
    /// again.
    Conflict,
    Refused(TransactionError),
}

/// What became of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is in the store.
    Durable,
    /// It is not; the next one can be tried.
    NotCommitted,
    /// Nothing more can be written.
    Failed,
}

pub(crate) struct Writer {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) published: Arc<Published>,
}

impl Writer {
    /// Blocks until the group is durable or known not to be.
    pub(crate) fn write(&self, work: Work) -> Written {
        let Work {
            batch,
            commits,
            announced,
            catalog,
            waiting,
        } = work;
        let result = match batch {
            Some(batch) => self.commit(&batch, commits, announced.as_ref()),
            // It may have read what a failed group had written.
            None => self
                .published
                .failure()
                .map_or(Ok(()), |error| Err((Written::Failed, error))),
        };
        for Waiting {
            reply,
            answer: what,
        } in waiting
        {
            let told = match (&result, what) {
                (_, Answer::Conflict) => Ok(Verdict::Conflict),
                (Ok(()), Answer::Committed(value, commit_ts, steps)) => {
                    let catalog = Arc::clone(&catalog);
                    let ordered = Ordered {
                        commit_ts,
                        catalog,
                        steps,
                    };
                    Ok(Verdict::Committed(value, ordered))
                }
                (Ok(()), Answer::First(first) | Answer::Repeated(first)) => {
                    Ok(Verdict::Answered(first))
                }
                (Ok(()), Answer::Refused(error)) => Err(error),
                // What it was refused for may be something that did not come to be.
                (Err((_, error)), _) => Err(error.clone().into()),
            };
            answer(reply, told);
        }
        result.map_or_else(|(written, _)| written, |()| Written::Durable)
    }

    fn commit(
        &self,
        batch: &Batch,
        commits: Vec<Arc<Commit>>,
        announced: Option<&Arc<Catalog>>,
    ) -> Result<(), (Written, EngineError)> {
        if let Some(error) = self.published.failure() {
            return Err((Written::Failed, error));
        }
        if let Some(catalog) = announced {
            self.published.announce(catalog);
        }
        let error = match self.backend.commit(batch) {
            Ok(()) => {
                self.published.publish(commits);
                return Ok(());
            }
            Err(CommitError::NotCommitted(error)) => {
                if let Some(catalog) = announced {
                    self.published.take_back(catalog);
                }
                return Err((Written::NotCommitted, error.into()));
            }
            Err(CommitError::Fenced { .. }) => EngineError::Deposed,
            Err(CommitError::Indeterminate(error)) => EngineError::Indeterminate {
                reason: error.to_string(),
            },
        };
        self.published.fail(&error);
        Err((Written::Failed, error))
    }
}

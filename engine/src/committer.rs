//! The committer: the one place where order is made.
//!
//! It is a thread that takes executions (what a transaction read at which timestamp, and its intents), validates each
//! against the commits since, applies the intents of those that pass, and commits them as a group: one backend batch,
//! one sync. Everything that waited is answered after the sync. While one group syncs, the next one gathers.
//!
//! An execution that fails validation is given back to be run again; one that has lost too often comes back as code,
//! and is run here, at the head of the line, where nothing can come before it (the *contention lane*).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use thalweg_model::{CommitTs, ErrorCode};
use thalweg_storage::{Backend, Batch, CommitError, Head, Write};
use tokio::sync::{mpsc, oneshot};

use crate::catalog::Catalog;
use crate::chunk;
use crate::clock::{self, Clock};
use crate::dependency::DependencySet;
use crate::draft::Rules;
use crate::engine::{EngineOptions, load};
use crate::error::{EngineError, TransactionError};
use crate::group::{Group, Outcome, State};
use crate::intent::{Intent, Step};
use crate::keyspace;
use crate::log::{self, Trimmed};
use crate::published::Published;
use crate::snapshot::Snapshot;
use crate::transaction::{Code, Erased, Transaction};

/// What is asked of the committer.
pub(crate) enum Request {
    /// Validate and commit what was executed on a snapshot.
    Execution {
        read_ts: CommitTs,
        dependencies: DependencySet,
        intents: Vec<Intent>,
        reply: oneshot::Sender<Result<Verdict, TransactionError>>,
    },
    /// Execute at the head of the line and commit.
    Lane {
        code: Arc<Code>,
        reply: oneshot::Sender<Result<(Erased, Ordered), TransactionError>>,
    },
}

/// What became of an execution.
pub(crate) enum Verdict {
    Committed(Ordered),
    /// Something that it depended on has changed.
    Conflict,
}

/// The place that a transaction got.
pub(crate) struct Ordered {
    pub(crate) commit_ts: CommitTs,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) steps: Vec<Step>,
}

/// How many documents' old images are erased with each group, at least.
const TRIM_PER_GROUP_MIN: usize = 256;

pub(crate) struct Committer {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: EngineOptions,
    pub(crate) rules: Rules,
    pub(crate) state: State,
    pub(crate) head: Head,
    /// The revision of the names that are stored.
    pub(crate) stored_names_revision: u64,
    /// No log entry is older, as far as known; `None` for an empty log.
    pub(crate) log_from: Option<CommitTs>,
    pub(crate) published: Arc<Published>,
}

type ExecutionReply = oneshot::Sender<Result<Verdict, TransactionError>>;

/// Somebody who waits for the group to be durable.
struct Waiting {
    reply: ExecutionReply,
    answer: Answer,
}

enum Answer {
    Committed(CommitTs, Vec<Step>),
    /// What it conflicts with may be in the group, so running it again before that is durable would only conflict
    /// again.
    Conflict,
    Refused(TransactionError),
}

/// A group with those who wait for it.
struct Open {
    group: Group,
    head_ts: CommitTs,
    waiting: Vec<Waiting>,
}

/// Tells everybody that nothing is committed any more if the committer's thread panics.
struct FailOnPanic(Arc<Published>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&EngineError::Thread {
                reason: "it panicked".to_owned(),
            });
        }
    }
}

impl Committer {
    /// Serves until every sender is gone.
    pub(crate) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let _guard = FailOnPanic(Arc::clone(&self.published));
        while let Some(first) = requests.blocking_recv() {
            let mut next = Some(first);
            let mut open: Option<Open> = None;
            let mut taken = 0;
            while let Some(request) = next {
                match request {
                    Request::Execution {
                        read_ts,
                        dependencies,
                        intents,
                        reply,
                    } => {
                        self.take(&mut open, read_ts, &dependencies, intents, reply);
                    }
                    Request::Lane { code, reply } => {
                        self.flush(open.take());
                        let result = self.run_lane(&code);
                        // A requester that has gone away no longer needs its answer.
                        let _ = reply.send(result);
                    }
                }
                taken += 1;
                let bytes = open.as_ref().map_or(0, |open| open.group.bytes);
                let full = taken >= self.options.group_transactions_max
                    || bytes >= self.options.group_bytes_max;
                next = if full { None } else { requests.try_recv().ok() };
            }
            self.flush(open);
        }
    }

    fn open(&self) -> Result<Open, EngineError> {
        if let Some(error) = self.published.failure() {
            return Err(error);
        }
        let reader = self.backend.snapshot()?;
        // Only the leader writes, so another head than its own last one is somebody else's.
        if reader.head() != Some(self.head) {
            self.published.fail(&EngineError::Deposed);
            return Err(EngineError::Deposed);
        }
        Ok(Open {
            group: Group::new(reader, &self.state),
            head_ts: self.head.commit_ts,
            waiting: Vec::new(),
        })
    }

    /// Validates one execution and applies it to the open group.
    fn take(
        &mut self,
        open: &mut Option<Open>,
        read_ts: CommitTs,
        dependencies: &DependencySet,
        intents: Vec<Intent>,
        reply: ExecutionReply,
    ) {
        let mut group = match open.take().map_or_else(|| self.open(), Ok) {
            Ok(group) => group,
            Err(error) => return send(reply, Err(error.into())),
        };
        let answer = if self.holds(&group, read_ts, dependencies) {
            let ts = clock::next_commit_ts(&*self.clock, group.head_ts);
            match group.group.apply(intents, ts, &self.rules) {
                Ok(steps) => {
                    if group.group.commits.last().is_some_and(|last| last.ts == ts) {
                        group.head_ts = ts;
                    }
                    Answer::Committed(group.head_ts, steps)
                }
                Err(error) => Answer::Refused(error),
            }
        } else {
            Answer::Conflict
        };
        group.waiting.push(Waiting { reply, answer });
        *open = Some(group);
    }

    /// Whether nothing that an execution depended on has changed since its snapshot.
    fn holds(&self, open: &Open, read_ts: CommitTs, dependencies: &DependencySet) -> bool {
        if dependencies.is_empty() {
            return true;
        }
        // Which types a group's documents lead to is known when it ends, so within a group a dependency on the catalog
        // means which collections there are.
        let catalog = dependencies.depends_on_catalog() && open.group.changes_catalog(&self.state);
        if catalog
            || open
                .group
                .commits
                .iter()
                .any(|commit| dependencies.touched_by(commit))
        {
            return false;
        }
        match self.published.recent.read().after(read_ts) {
            Some(mut since) => !since.any(|commit| dependencies.touched_by(commit)),
            None => false,
        }
    }

    /// Runs code on the newest state, which cannot change meanwhile, and commits what it wants to write.
    fn run_lane(&mut self, code: &Arc<Code>) -> Result<(Erased, Ordered), TransactionError> {
        let mut open = Some(self.open()?);
        let reader = self.backend.snapshot().map_err(EngineError::from)?;
        let catalog = Arc::clone(&self.state.catalog);
        let snapshot = Snapshot::new(reader, self.head.commit_ts, catalog);
        let mut transaction = Transaction::new(&snapshot, self.options.transaction_writes_max);
        // The code is the caller's; that it panics must not end everybody's transactions.
        let value = catch_unwind(AssertUnwindSafe(|| code(&mut transaction))).map_err(|_| {
            TransactionError::Refused {
                code: ErrorCode::Internal,
                message: "the transaction's code failed; nothing was written".to_owned(),
                part: 0,
            }
        })??;
        let (_, intents) = transaction.into_parts();
        drop(snapshot);
        let (reply, outcome) = oneshot::channel();
        self.take(
            &mut open,
            self.head.commit_ts,
            &DependencySet::none(),
            intents,
            reply,
        );
        self.flush(open);
        match outcome.blocking_recv() {
            Ok(Ok(Verdict::Committed(ordered))) => Ok((value, ordered)),
            Ok(Ok(Verdict::Conflict)) => unreachable!("without dependencies there is no conflict"),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(EngineError::Closed.into()),
        }
    }

    /// Commits a group, publishes it, and answers everybody who waits for it.
    fn flush(&mut self, open: Option<Open>) {
        let Some(Open { group, waiting, .. }) = open else {
            return;
        };
        let result = if group.commits.is_empty() {
            Ok(())
        } else {
            self.commit(group)
        };
        for Waiting { reply, answer } in waiting {
            let told = match (&result, answer) {
                (_, Answer::Conflict) => Ok(Verdict::Conflict),
                (Ok(()), Answer::Committed(commit_ts, steps)) => {
                    let catalog = Arc::clone(&self.state.catalog);
                    Ok(Verdict::Committed(Ordered {
                        commit_ts,
                        catalog,
                        steps,
                    }))
                }
                (Ok(()), Answer::Refused(error)) => Err(error),
                // What it was refused for may be something that did not come to be.
                (Err(error), _) => Err(error.clone().into()),
            };
            send(reply, told);
        }
    }

    fn commit(&mut self, group: Group) -> Result<(), EngineError> {
        let mut writes = Vec::new();
        let trimmed = self.trim(&group, &mut writes)?;
        let mut outcome = group.finish(&mut self.state);
        let last = outcome
            .commits
            .last()
            .expect("an empty group is not committed");
        let first_ts = outcome.commits.first().map(|commit| commit.ts);
        let head = Head {
            commit_ts: last.ts,
            batch: self.head.batch + 1,
            ..self.head
        };
        for commit in &outcome.commits {
            log::write_commit(commit, &mut writes);
        }
        log::write_statistics(&mut outcome.statistics, &mut writes);
        let names_revision = self.state.names.revision();
        if names_revision != self.stored_names_revision {
            let mut value = vec![chunk::WHOLE];
            value.extend_from_slice(&self.state.names.encode());
            chunk::erase(&keyspace::names(), 0, &mut writes);
            chunk::put(keyspace::names(), 0, &value, &mut writes);
        }
        if outcome.catalog_changed {
            self.published.announce(&outcome.catalog);
        }
        let batch = Batch {
            expected: Some(self.head),
            head,
            writes,
        };
        if let Err(error) = self.backend.commit(&batch) {
            let announced = outcome.catalog_changed.then_some(&outcome.catalog);
            return Err(self.failed(error, announced));
        }
        self.head = head;
        self.stored_names_revision = names_revision;
        // A log that cannot be trimmed past some entry is left as it is.
        self.log_from = match trimmed {
            Trimmed { is_stuck: true, .. } => Some(CommitTs::MAX),
            Trimmed {
                up_to: Some(ts), ..
            } => Some(ts.next()),
            Trimmed { .. } => self.log_from.or(first_ts),
        };
        self.publish(outcome);
        Ok(())
    }

    /// Erases what has fallen out of the recovery window, a little with each group.
    fn trim(&self, group: &Group, writes: &mut Vec<Write>) -> Result<Trimmed, EngineError> {
        let window = u64::try_from(self.options.recovery_window.as_micros()).unwrap_or(u64::MAX);
        let horizon = CommitTs::from_micros(self.clock.now_micros().saturating_sub(window));
        if self.log_from.is_none_or(|from| from >= horizon) {
            return Ok(Trimmed::default());
        }
        let written: usize = group
            .commits
            .iter()
            .map(|commit| commit.changes.len())
            .sum();
        let changes_max = TRIM_PER_GROUP_MIN.max(written * 2);
        let trimmed = log::trim(&*group.reader, horizon, changes_max, writes)?;
        if let Some(ts) = trimmed.up_to {
            let value = ts.as_micros().to_be_bytes().to_vec();
            writes.push(Write::Put {
                key: keyspace::trimmed(),
                value,
            });
        }
        Ok(trimmed)
    }

    fn publish(&mut self, outcome: Outcome) {
        self.state.catalog = outcome.catalog;
        self.state.next_collection = outcome.next_collection;
        self.state.statistics.extend(outcome.statistics);
        self.published.publish(outcome.commits);
    }

    /// What a failed batch means: that it is not there, that somebody else writes, or that nobody knows.
    fn failed(&mut self, error: CommitError, announced: Option<&Arc<Catalog>>) -> EngineError {
        let error = match error {
            CommitError::NotCommitted(error) => {
                if let Some(catalog) = announced {
                    self.published.take_back(catalog);
                }
                return match self.reload() {
                    Ok(()) => error.into(),
                    Err(error) => {
                        self.published.fail(&error);
                        error
                    }
                };
            }
            CommitError::Fenced { .. } => EngineError::Deposed,
            CommitError::Indeterminate(error) => EngineError::Indeterminate {
                reason: error.to_string(),
            },
        };
        self.published.fail(&error);
        error
    }

    /// Goes back to what is stored: deriving types may have given names that were not committed.
    fn reload(&mut self) -> Result<(), EngineError> {
        let reader = self.backend.snapshot()?;
        let catalog = Arc::clone(&self.state.catalog);
        // The catalog stays the published one; the stored state is the one that it was made of.
        self.state = State {
            catalog,
            ..load(&*reader, self.head)?
        };
        self.stored_names_revision = 0;
        Ok(())
    }
}

fn send(reply: ExecutionReply, result: Result<Verdict, TransactionError>) {
    // A requester that has gone away no longer needs its answer.
    let _ = reply.send(result);
}

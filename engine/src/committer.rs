//! The committer: the one place where order is made.
//!
//! It is a thread that takes executions (what a transaction read at which timestamp, and its intents), validates each
//! against the commits since, applies the intents of those that pass, and commits them as a group: one backend batch,
//! one sync. Everything that waited is answered after the sync. While one group syncs, the next one gathers.
//!
//! An execution that fails validation is given back to be run again; one that has lost too often comes back as code,
//! and is run here, at the head of the line, where nothing can come before it (the *contention lane*).

use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use thalweg_model::CommitTs;
use thalweg_storage::{Backend, Batch, CommitError, Head, Write};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::apply::{Group, Outcome, Rules, State};
use crate::catalog::Catalog;
use crate::clock::{self, Clock};
use crate::commit::{Commit, RecentCommits};
use crate::dependency::DependencySet;
use crate::engine::EngineOptions;
use crate::error::{EngineError, TransactionError};
use crate::intent::{Intent, Step};
use crate::keyspace;
use crate::log;
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

/// What the committer tells everybody else.
pub(crate) struct Published {
    /// The catalog from each timestamp on, newest last; never empty. An entry is added before the batch that makes it
    /// true is committed, so whoever sees the batch finds it.
    pub(crate) catalogs: RwLock<Vec<(CommitTs, Arc<Catalog>)>>,
    pub(crate) recent: RwLock<RecentCommits>,
    pub(crate) commits: broadcast::Sender<Arc<Commit>>,
    /// Set once when writing has become impossible until the store is opened again.
    pub(crate) failure: RwLock<Option<EngineError>>,
}

impl Published {
    /// The catalog of a state whose head is `ts`.
    pub(crate) fn catalog_at(&self, ts: CommitTs) -> Arc<Catalog> {
        let catalogs = self.catalogs.read();
        let at = catalogs.partition_point(|(from, _)| *from <= ts);
        Arc::clone(&catalogs[at.saturating_sub(1)].1)
    }
}

/// How long a superseded catalog is kept for readers that opened the backend but have not looked it up yet.
const CATALOG_GRACE_MICROS: u64 = 60_000_000;
/// How many documents' old images are erased for each one that is written, at least.
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
    /// The oldest log entry, as far as known; `None` for an empty log.
    pub(crate) log_from: Option<CommitTs>,
    pub(crate) published: Arc<Published>,
}

type ExecutionReply = oneshot::Sender<Result<Verdict, TransactionError>>;

/// Somebody who waits for the group to be durable.
struct Waiting {
    reply: ExecutionReply,
    answer: Result<(CommitTs, Vec<Step>), TransactionError>,
}

/// A group with those who wait for it.
struct Open {
    group: Group,
    head_ts: CommitTs,
    waiting: Vec<Waiting>,
}

impl Committer {
    /// Serves until every sender is gone.
    pub(crate) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
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
                        if let Some(error) = self.failure() {
                            answer(reply, Err(error.into()));
                        } else if let Err(error) =
                            self.take(&mut open, read_ts, &dependencies, intents, reply)
                        {
                            tell_failure(&error, &self.published);
                        }
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

    fn failure(&self) -> Option<EngineError> {
        self.published.failure.read().clone()
    }

    fn open(&self) -> Result<Open, EngineError> {
        let reader = self.backend.snapshot()?;
        // Only the leader writes, so another head than its own last one is somebody else's.
        if reader.head() != Some(self.head) {
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
    ) -> Result<(), EngineError> {
        let mut group = match open.take() {
            Some(group) => group,
            None => match self.open() {
                Ok(group) => group,
                Err(error) => {
                    answer(reply, Err(error.clone().into()));
                    return Err(error);
                }
            },
        };
        if self.holds(&group, read_ts, dependencies) {
            let ts = clock::next_commit_ts(&*self.clock, group.head_ts);
            let applied = group
                .group
                .apply(intents, ts, &self.rules, &mut self.state.names);
            if applied.is_ok() && group.group.commits.last().is_some_and(|last| last.ts == ts) {
                group.head_ts = ts;
            }
            let head_ts = group.head_ts;
            group.waiting.push(Waiting {
                reply,
                answer: applied.map(|steps| (head_ts, steps)),
            });
        } else {
            answer(reply, Ok(Verdict::Conflict));
        }
        *open = Some(group);
        Ok(())
    }

    /// Whether nothing that an execution depended on has changed since its snapshot.
    fn holds(&self, open: &Open, read_ts: CommitTs, dependencies: &DependencySet) -> bool {
        if dependencies.is_empty() {
            return true;
        }
        if open
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
        if let Some(error) = self.failure() {
            return Err(error.into());
        }
        let catalog = Arc::clone(&self.state.catalog);
        let snapshot = Snapshot::new(
            self.backend.snapshot().map_err(EngineError::from)?,
            self.head.commit_ts,
            catalog,
        );
        let mut transaction = Transaction::new(&snapshot, self.options.transaction_writes_max);
        let value = code(&mut transaction)?;
        let (_, intents) = transaction.into_parts();
        drop(snapshot);
        let (reply, outcome) = oneshot::channel();
        let mut open = None;
        self.take(
            &mut open,
            self.head.commit_ts,
            &DependencySet::none(),
            intents,
            reply,
        )?;
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
        let catalog = Arc::clone(&self.state.catalog);
        for Waiting { reply, answer: own } in waiting {
            let told = match (&result, own) {
                (Ok(()), Ok((commit_ts, steps))) => {
                    let catalog = Arc::clone(&catalog);
                    Ok(Verdict::Committed(Ordered {
                        commit_ts,
                        catalog,
                        steps,
                    }))
                }
                (Ok(()), Err(error)) => Err(error),
                // What it was refused for may be something that did not come to be.
                (Err(error), _) => Err(error.clone().into()),
            };
            answer(reply, told);
        }
    }

    fn commit(&mut self, group: Group) -> Result<(), EngineError> {
        let mut writes = Vec::new();
        let trimmed_to = self.trim(&group, &mut writes)?;
        let outcome = group.finish(&mut self.state);
        let last = outcome
            .commits
            .last()
            .expect("an empty group is not committed");
        let head = Head {
            commit_ts: last.ts,
            batch: self.head.batch + 1,
            ..self.head
        };
        for commit in &outcome.commits {
            log::write_commit(commit, &mut writes);
        }
        log::write_statistics(&outcome.statistics, &mut writes);
        let names_revision = self.state.names.revision();
        if names_revision != self.stored_names_revision {
            let names = self.state.names.encode();
            let mut value = vec![crate::chunk::WHOLE];
            value.extend_from_slice(&names);
            crate::chunk::erase(&keyspace::names(), 0, &mut writes);
            crate::chunk::put(keyspace::names(), 0, &value, &mut writes);
        }
        let batch = Batch {
            expected: Some(self.head),
            head,
            writes,
        };
        let announced = self.announce(&outcome);
        match self.backend.commit(&batch) {
            Ok(()) => {
                self.head = head;
                self.stored_names_revision = names_revision;
                if let Some(ts) = trimmed_to {
                    self.log_from = Some(ts.next());
                } else if self.log_from.is_none() {
                    self.log_from = outcome.commits.first().map(|commit| commit.ts);
                }
                self.publish(outcome);
                Ok(())
            }
            Err(error) => {
                if announced {
                    self.published.catalogs.write().pop();
                }
                if let Some(names) = outcome.names_before {
                    self.state.names = names;
                }
                Err(self.failed(error))
            }
        }
    }

    /// Erases what has fallen out of the recovery window, a little with each group.
    fn trim(
        &self,
        group: &Group,
        writes: &mut Vec<Write>,
    ) -> Result<Option<CommitTs>, EngineError> {
        let window = u64::try_from(self.options.recovery_window.as_micros()).unwrap_or(u64::MAX);
        let horizon = CommitTs::from_micros(self.clock.now_micros().saturating_sub(window));
        if self.log_from.is_none_or(|from| from >= horizon) {
            return Ok(None);
        }
        let written: usize = group
            .commits
            .iter()
            .map(|commit| commit.changes.len())
            .sum();
        let changes_max = TRIM_PER_GROUP_MIN.max(written * 2);
        let trimmed = log::trim(&*group.reader, horizon, changes_max, writes)?;
        if let Some(ts) = trimmed {
            let value = ts.as_micros().to_be_bytes().to_vec();
            writes.push(Write::Put {
                key: keyspace::trimmed(),
                value,
            });
        }
        Ok(trimmed)
    }

    /// Makes a new catalog findable before the state that it belongs to is. Returns whether there is one.
    fn announce(&self, outcome: &Outcome) -> bool {
        if !outcome.catalog_changed {
            return false;
        }
        let version = outcome.catalog.version;
        let mut catalogs = self.published.catalogs.write();
        let outdated =
            CommitTs::from_micros(version.as_micros().saturating_sub(CATALOG_GRACE_MICROS));
        let current = catalogs.partition_point(|(from, _)| *from < outdated);
        catalogs.drain(..current.saturating_sub(1));
        catalogs.push((version, Arc::clone(&outcome.catalog)));
        true
    }

    fn publish(&mut self, outcome: Outcome) {
        self.state.catalog = outcome.catalog;
        self.state.next_collection = outcome.next_collection;
        for (collection, statistics) in outcome.statistics {
            self.state.statistics.insert(collection, statistics);
        }
        let commits: Vec<_> = outcome.commits.into_iter().map(Arc::new).collect();
        {
            let mut recent = self.published.recent.write();
            for commit in &commits {
                recent.push(Arc::clone(commit));
            }
        }
        for commit in commits {
            // Without anybody who follows, there is nobody to tell.
            let _ = self.published.commits.send(commit);
        }
    }

    fn failed(&self, error: CommitError) -> EngineError {
        match error {
            CommitError::NotCommitted(error) => error.into(),
            CommitError::Fenced { .. } => {
                tell_failure(&EngineError::Deposed, &self.published);
                EngineError::Deposed
            }
            CommitError::Indeterminate(error) => {
                let error = EngineError::Indeterminate {
                    reason: error.to_string(),
                };
                tell_failure(&error, &self.published);
                error
            }
        }
    }
}

/// Remembers an error after which nothing more can be written; others pass.
fn tell_failure(error: &EngineError, published: &Published) {
    if matches!(
        error,
        EngineError::Deposed | EngineError::Indeterminate { .. }
    ) {
        published
            .failure
            .write()
            .get_or_insert_with(|| error.clone());
    }
}

fn answer(reply: ExecutionReply, result: Result<Verdict, TransactionError>) {
    // A requester that has gone away no longer needs its answer.
    let _ = reply.send(result);
}

/// Statistics of all collections, for [`State`].
pub(crate) type AllStatistics =
    FxHashMap<thalweg_model::CollectionId, crate::statistics::Statistics>;

//! The committer: the one place where order is made.
//!
//! It takes executions (what a transaction read at which timestamp, and its intents), validates each against the commits
//! since, applies the intents of those that pass, and gathers them in a group: one backend batch, one sync. The batch is
//! written by the [`Writer`](crate::writer::Writer); meanwhile the next group is validated and may read what the one on its way has written.
//!
//! An execution that fails validation is run again at once, on the state that the group has come to, where nothing can
//! come before it (the *contention lane*). One that reads much would hold up all others there, so it is given back to be
//! run again outside, and comes to the lane only when it has lost too often.
//!
//! No answer leaves before all that it read is durable: errors and results of transactions that wrote nothing go with
//! the group too. If a batch fails, what was built on it is discarded and run again.
//!
//! ```text
//! request ──► open group ──hand over──► flight ──written──► published, answered
//!    ▲            │                       │ failed: the state is loaded anew,
//!    └────────────┴───────────────────────┘ the open group is run again
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use thalweg_model::{CommitTs, ErrorCode};
use thalweg_storage::{Backend, Batch, Head, Write};
use tokio::sync::oneshot;

use crate::catalog::Catalog;
use crate::chunk;
use crate::clock::{self, EngineClock};
use crate::commit::Commit;
use crate::dependency::DependencySet;
use crate::draft::Rules;
use crate::engine::EngineOptions;
use crate::error::{EngineError, TransactionError};
use crate::ground::Ground;
use crate::group::{Applicant, Group, State};
use crate::idempotency::{self, FirstAnswer};
use crate::index::writer::RowWriter;
use crate::intent::{Intents, Step};
use crate::keyspace;
use crate::load::load;
use crate::log::{self, Trimmed};
use crate::overlay::{Delta, Overlay};
use crate::published::Published;
use crate::published_types;
use crate::snapshot::Snapshot;
use crate::transaction::{Erased, Once, Run, TransactionCode};
use crate::writer::{Answer, Waiting, Work, Written};

/// A transaction that wants to be committed.
pub(crate) struct Request {
    pub(crate) code: Arc<TransactionCode>,
    /// What it did on a snapshot; `None` to have it run here.
    pub(crate) execution: Option<Execution>,
    pub(crate) reply: Reply,
}

pub(crate) type Reply = oneshot::Sender<Result<Verdict, TransactionError>>;

/// A transaction that has run.
pub(crate) struct Execution {
    pub(crate) value: Erased,
    pub(crate) read_ts: CommitTs,
    pub(crate) dependencies: DependencySet,
    pub(crate) intents: Intents,
    /// How many documents it looked at, which tells what running it again costs.
    pub(crate) documents_read: u64,
}

/// What became of a transaction.
pub(crate) enum Verdict {
    Committed(Erased, Ordered),
    /// It is a repetition, and this was answered the first time.
    Answered(Arc<FirstAnswer>),
    /// Something that it depended on has changed, and it reads too much to be run again in the line.
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

/// How long a group may stay open, in microseconds: well below what a backend's reader lives.
const GROUP_MICROS_MAX: u64 = 10_000_000;

/// An execution that looked at more documents than this is not run again in the line the first times that it loses.
const LINE_DOCUMENTS_MAX: u64 = 1000;

pub(crate) struct Committer {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) clock: Arc<EngineClock>,
    pub(crate) options: EngineOptions,
    pub(crate) rules: Rules,
    /// The state after the group that was closed last, durable or not.
    pub(crate) state: State,
    /// The head after that group.
    pub(crate) head: Head,
    /// The revision of the names that are stored.
    pub(crate) stored_names_revision: u64,
    /// No log entry is older, as far as known; `None` for an empty log. A group on its way may have erased entries that
    /// a reader still shows, so trimming goes on from here.
    pub(crate) log_from: Option<CommitTs>,
    /// No answer under an idempotency key is older; likewise.
    answers_from: CommitTs,
    pub(crate) published: Arc<Published>,
    open: Option<Open>,
    flight: Option<Flight>,
    /// The head to go back to before anything else, after a batch that was not committed.
    lost: Option<Head>,
    /// Nothing is committed any more, whatever others say.
    failure: Option<EngineError>,
}

/// The group that is being filled, with those who wait for it.
struct Open {
    group: Group,
    /// When its reader was opened, on the monotonic clock.
    opened_micros: u64,
    waiting: Vec<Member>,
}

/// A transaction in the open group.
struct Member {
    code: Arc<TransactionCode>,
    /// It has lost too often to be run outside again.
    is_last_run: bool,
    waiting: Waiting,
}

/// A group that is being written.
struct Flight {
    /// The head that the store has without it.
    before: Head,
    commits: Vec<Arc<Commit>>,
    delta: Arc<Delta>,
}

/// A group that takes no more.
#[derive(Default)]
struct Closed {
    /// `None` where nothing of it has to be written.
    batch: Option<Batch>,
    commits: Vec<Arc<Commit>>,
    delta: Delta,
    /// The catalog, if the group changes it.
    announced: Option<Arc<Catalog>>,
}

/// What a committer starts from.
pub(crate) struct Start {
    pub(crate) state: State,
    pub(crate) head: Head,
    pub(crate) log_from: Option<CommitTs>,
}

/// About how many writes a batch has beside those of documents.
const WRITES_BESIDE: usize = 32;

impl Committer {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        clock: Arc<EngineClock>,
        options: EngineOptions,
        published: Arc<Published>,
        start: Start,
    ) -> Self {
        Committer {
            backend,
            clock,
            rules: Rules::of(&options),
            options,
            state: start.state,
            head: start.head,
            stored_names_revision: 0,
            log_from: start.log_from,
            answers_from: CommitTs::ZERO,
            published,
            open: None,
            flight: None,
            lost: None,
            failure: None,
        }
    }

    /// Whether the open group takes more.
    pub(crate) fn has_room(&self) -> bool {
        self.open.as_ref().is_none_or(|open| {
            open.waiting.len() < self.options.group_transactions_max
                && open.group.bytes < self.options.group_bytes_max
        })
    }

    /// Whether anything that it was given is not written yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.open.is_some() || self.flight.is_some()
    }

    /// Whether a group could be handed over.
    pub(crate) fn can_hand_over(&self) -> bool {
        self.open.is_some() && self.flight.is_none()
    }

    /// Validates a transaction, or runs it, and adds it to the open group.
    pub(crate) fn take(&mut self, request: Request) {
        self.renew_if_old();
        let Request {
            code,
            execution,
            reply,
        } = request;
        let is_last_run = execution.is_none();
        let mut open = match self.open.take().map_or_else(|| self.open(), Ok) {
            Ok(open) => open,
            Err(error) => return answer(reply, Err(error.into())),
        };
        let answer = self
            .order(&mut open.group, &code, execution)
            .unwrap_or_else(Answer::Refused);
        open.waiting.push(Member {
            code,
            is_last_run,
            waiting: Waiting { reply, answer },
        });
        self.open = Some(open);
    }

    /// A backend's reader lives a while only. While a batch takes longer than that to be written, the group above it is
    /// begun anew.
    fn renew_if_old(&mut self) {
        let now = self.clock.monotonic_micros();
        let is_old = |open: &mut Open| now.saturating_sub(open.opened_micros) > GROUP_MICROS_MAX;
        if let Some(open) = self.open.take_if(is_old) {
            self.run_again(open);
        }
    }

    /// Discards a group and has its transactions run again.
    fn run_again(&mut self, open: Open) {
        for Member {
            code,
            is_last_run,
            waiting: Waiting { reply, .. },
        } in open.waiting
        {
            if let Some(failure) = &self.failure {
                answer(reply, Err(failure.clone().into()));
            } else if is_last_run {
                self.take(Request {
                    code,
                    execution: None,
                    reply,
                });
            } else {
                answer(reply, Ok(Verdict::Conflict));
            }
        }
    }

    fn open(&mut self) -> Result<Open, EngineError> {
        if let Some(error) = self.failure.clone().or_else(|| self.published.failure()) {
            return Err(error);
        }
        if let Some(head) = self.lost {
            self.reload(head)?;
            self.lost = None;
        }
        let reader = self.backend.snapshot()?;
        let flight = self.flight.as_ref();
        // Only the leader writes, so another head than its own last ones is somebody else's.
        let head = reader.head();
        if head != Some(self.head) && head != flight.map(|flight| flight.before) {
            self.published.fail(&EngineError::Deposed);
            self.failure = Some(EngineError::Deposed);
            return Err(EngineError::Deposed);
        }
        let catalog = Arc::clone(&self.state.catalog);
        let mut base = Snapshot::new(reader, self.head.commit_ts, catalog);
        base.overlay = Overlay::over(
            flight
                .map(|flight| Arc::clone(&flight.delta))
                .into_iter()
                .collect(),
        );
        Ok(Open {
            group: Group::new(
                base,
                flight.map_or_else(Vec::new, |flight| flight.commits.clone()),
                &self.state,
            ),
            opened_micros: self.clock.monotonic_micros(),
            waiting: Vec::new(),
        })
    }

    /// Finds the place of one transaction in the open group.
    fn order(
        &self,
        group: &mut Group,
        code: &TransactionCode,
        execution: Option<Execution>,
    ) -> Result<Answer, TransactionError> {
        if let Some(once) = &code.once
            && let Some(first) = self.first_answer(group, once)?
        {
            first.check(&once.key)?;
            return Ok(Answer::Repeated(first));
        }
        let execution = match execution {
            Some(done) if self.holds(group, &done) => done,
            Some(done) if done.documents_read > LINE_DOCUMENTS_MAX => return Ok(Answer::Conflict),
            _ => self.run_in_line(group, code)?,
        };
        let Execution { value, intents, .. } = execution;
        if intents.is_empty() && code.once.is_none() {
            return Ok(Answer::Committed(value, group.base.ts(), Vec::new()));
        }
        let ts = clock::next_commit_ts(&self.clock, group.base.ts());
        let applicant = Applicant {
            ts,
            intents,
            seed: code.seed,
            is_kept: code.once.is_some(),
        };
        let steps = group.apply(applicant, &self.state, self.rules)?;
        let commit_ts = group.base.ts();
        let Some(once) = &code.once else {
            return Ok(Answer::Committed(value, commit_ts, steps));
        };
        let ordered = Ordered {
            commit_ts,
            catalog: Arc::clone(group.catalog()),
            steps,
        };
        // The transaction is already in the group, so an answer that cannot be made is still one.
        let answer = catch_unwind(AssertUnwindSafe(|| (once.answer)(value, ordered)));
        let first = FirstAnswer::new(&once.key, commit_ts, answer.unwrap_or_default());
        let first = Arc::new(first);
        group.keep_answer(Arc::clone(once.key.text()), Arc::clone(&first));
        Ok(Answer::First(first))
    }

    /// Runs a transaction at its place in the order, where it holds up all others: within bounds.
    fn run_in_line(
        &self,
        group: &Group,
        code: &TransactionCode,
    ) -> Result<Execution, TransactionError> {
        let base = &group.base;
        let documents_max = self.options.line_documents_max;
        base.limit_reads(Some(documents_max));
        let done = run(Ground::of_group(group), code, &self.options, &self.clock);
        base.limit_reads(None);
        match done {
            Err(TransactionError::Engine(EngineError::TooManyReads)) => {
                Err(TransactionError::Refused {
                    code: ErrorCode::LimitExceeded,
                    message: format!(
                        "the transaction reads more than {documents_max} documents while others write to them; \
                         narrow its filter, declare an index for it, or split the work"
                    ),
                    part: 0,
                })
            }
            done => done,
        }
    }

    fn first_answer(
        &self,
        group: &Group,
        once: &Once,
    ) -> Result<Option<Arc<FirstAnswer>>, EngineError> {
        let key = once.key.text();
        if let Some(first) = group.base.overlay.answer(key) {
            return Ok(Some(Arc::clone(first)));
        }
        let first = idempotency::read(group.base.reader(), key, self.answers_horizon())?;
        Ok(first.map(Arc::new))
    }

    fn answers_horizon(&self) -> CommitTs {
        clock::ago(&self.clock, self.options.answers_kept)
    }

    /// Whether nothing that an execution depended on has changed since its snapshot.
    fn holds(&self, group: &Group, execution: &Execution) -> bool {
        let Execution {
            read_ts,
            dependencies,
            ..
        } = execution;
        if dependencies.is_empty() {
            return true;
        }
        // Which types a group's documents lead to is known when it ends, so within a group a dependency on the catalog
        // means which collections there are.
        if dependencies.depends_on_catalog() && group.changes_catalog(&self.state) {
            return false;
        }
        let flight = self.flight.iter().flat_map(|flight| &flight.commits);
        let flight = flight
            .filter(|commit| commit.ts > *read_ts)
            .map(|commit| &**commit);
        if flight
            .chain(&group.commits)
            .any(|commit| dependencies.touched_by(commit))
        {
            return false;
        }
        match self.published.recent.read().after(*read_ts) {
            Some(mut since) => !since.any(|commit| dependencies.touched_by(commit)),
            None => false,
        }
    }

    /// Closes the open group, if the writer is free to take it.
    pub(crate) fn hand_over(&mut self) -> Option<Work> {
        if !self.can_hand_over() {
            return None;
        }
        self.renew_if_old();
        let Open { group, waiting, .. } = self.open.take()?;
        let before = self.head;
        match self.close(group) {
            Ok(closed) => {
                self.flight = Some(Flight {
                    before,
                    commits: closed.commits.clone(),
                    delta: Arc::new(closed.delta),
                });
                Some(Work {
                    batch: closed.batch,
                    commits: closed.commits,
                    announced: closed.announced,
                    catalog: Arc::clone(&self.state.catalog),
                    waiting: waiting.into_iter().map(|member| member.waiting).collect(),
                })
            }
            Err(error) => {
                self.published.pins.landed();
                for member in waiting {
                    answer(member.waiting.reply, Err(error.clone().into()));
                }
                None
            }
        }
    }

    /// Makes the batch of a group, and the state that it leads to.
    fn close(&mut self, group: Group) -> Result<Closed, EngineError> {
        if group.commits.is_empty() {
            return Ok(Closed::default());
        }
        let mut writes = Vec::new();
        let pins = &self.published.pins;
        let may_erase = pins.may_erase(&self.clock, self.options.pin_max);
        let mut trimmed = Trimmed::default();
        if may_erase {
            trimmed = self.trim(&group, &mut writes)?;
            self.answers_from = idempotency::trim(
                group.base.reader(),
                (self.answers_from, self.answers_horizon()),
                group.answers.len(),
                |key| group.base.overlay.answer(key).is_some(),
                &mut writes,
            )?;
        }
        for (key, first) in &group.answers {
            first.put(key, &mut writes);
        }
        let mut outcome = group.finish(
            &mut self.state,
            self.options.evolution,
            &self.published.imports,
        );
        let last = outcome
            .commits
            .last()
            .expect("an empty group is not committed");
        let first_ts = outcome.commits.first().map(|commit| commit.ts);
        let expected = self.head;
        self.head = Head {
            commit_ts: last.ts,
            batch: expected.batch + 1,
            ..expected
        };
        let state = &self.state;
        let mut rows = RowWriter::new(&state.catalog, &outcome.catalog, &state.index_statistics);
        let mut pages = outcome.index_pages.drain(..).peekable();
        if may_erase {
            writes.append(&mut outcome.erasures);
        }
        writes.append(&mut outcome.upkeep);
        // Most changes are one write, or two with an index or an image before.
        let changes = outcome.commits.iter().map(|commit| commit.changes.len());
        writes.reserve(changes.sum::<usize>() + WRITES_BESIDE);
        for commit in &outcome.commits {
            let window = self.options.recovery_window;
            log::write_commit(commit, &outcome.catalog, window, &mut writes);
            rows.write(commit, &mut writes);
            while let Some((_, page)) = pages.next_if(|(ts, _)| *ts == commit.ts) {
                rows.write_page(page, &mut writes);
            }
        }
        let index_statistics = rows.finish(&mut writes);
        drop(pages);
        if !index_statistics.is_empty() {
            Arc::make_mut(&mut self.state.index_statistics).extend(index_statistics);
        }
        for collection in &outcome.counted {
            let statistics = self.state.statistics.entry(*collection).or_default();
            log::write_statistics(*collection, statistics, &mut writes);
        }
        let schemas = outcome.counted.iter().filter_map(|id| {
            let collection = outcome.catalog.by_id(*id)?;
            Some((*id, Arc::clone(&collection.latched)))
        });
        published_types::write(schemas, &mut self.state.stored_types, &mut writes);
        let names_revision = self.state.names.revision();
        if names_revision != self.stored_names_revision {
            let mut value = vec![chunk::WHOLE];
            value.extend_from_slice(&self.state.names.encode());
            chunk::erase(&keyspace::names(), 0, &mut writes);
            chunk::put(keyspace::names(), 0, &value, &mut writes);
            self.stored_names_revision = names_revision;
        }
        // A log that cannot be trimmed past some entry is left as it is.
        self.log_from = match trimmed {
            Trimmed { is_stuck: true, .. } => Some(CommitTs::MAX),
            Trimmed {
                up_to: Some(ts), ..
            } => Some(ts.next()),
            Trimmed { .. } => self.log_from.or(first_ts),
        };
        self.state.catalog = Arc::clone(&outcome.catalog);
        self.state.next_collection = outcome.next_collection;
        if outcome.catalog_changed {
            writes.push(Write::Put {
                key: keyspace::catalog_version(),
                value: outcome.catalog.version.as_micros().to_be_bytes().to_vec(),
            });
        }
        self.state.next_index = outcome.next_index;
        let batch = Batch {
            expected: Some(expected),
            head: self.head,
            writes,
        };
        Ok(Closed {
            batch: Some(batch),
            commits: outcome.commits,
            delta: outcome.delta,
            announced: outcome.catalog_changed.then_some(outcome.catalog),
        })
    }

    /// Erases what has fallen out of the recovery window, a little with each group.
    fn trim(&self, group: &Group, writes: &mut Vec<Write>) -> Result<Trimmed, EngineError> {
        let horizon = clock::ago(&self.clock, self.options.recovery_window);
        let Some(from) = self.log_from.filter(|from| *from < horizon) else {
            return Ok(Trimmed::default());
        };
        let written: usize = group
            .commits
            .iter()
            .map(|commit| commit.changes.len())
            .sum();
        let changes_max = TRIM_PER_GROUP_MIN.max(written * 2);
        let window = self.options.recovery_window;
        let goes_with_log = |collection| {
            let found = group.catalog().by_id(collection);
            found.is_some_and(|found| found.settings.retain.goes_with_log(window))
        };
        let trimmed = log::trim(
            group.base.reader(),
            &self.state.catalog,
            (from, horizon),
            changes_max,
            &goes_with_log,
            writes,
        )?;
        if let Some(ts) = trimmed.up_to {
            let value = ts.as_micros().to_be_bytes().to_vec();
            writes.push(Write::Put {
                key: keyspace::trimmed(),
                value,
            });
        }
        Ok(trimmed)
    }

    /// Learns what became of the group that was handed over.
    pub(crate) fn written(&mut self, written: Written) {
        self.published.pins.landed();
        let flight = self.flight.take();
        match (written, flight) {
            (Written::Durable, _) => return,
            (Written::NotCommitted, Some(flight)) => self.lost = Some(flight.before),
            (Written::NotCommitted, None) => {}
            // Said once more here, since others may take it for healed before this has ended.
            (Written::Failed, _) => {
                let failure = self.published.failure();
                self.failure = Some(failure.unwrap_or(EngineError::Deposed));
            }
        }
        // What was built on the lost group is built again; where nothing can be written any more, that is said.
        if let Some(open) = self.open.take() {
            self.run_again(open);
        }
    }

    /// Goes back to what is stored.
    fn reload(&mut self, head: Head) -> Result<(), EngineError> {
        let reader = self.backend.snapshot()?;
        self.log_from = log::oldest(&*reader)?;
        self.answers_from = CommitTs::ZERO;
        // The catalog stays the published one; the stored state is the one that it was made of.
        self.state = State {
            catalog: self.published.newest_catalog(),
            ..load(&*reader)?
        };
        self.stored_names_revision = 0;
        self.head = head;
        Ok(())
    }
}

/// Runs a transaction's code on a state.
pub(crate) fn run(
    ground: Ground<'_>,
    code: &TransactionCode,
    options: &EngineOptions,
    clock: &EngineClock,
) -> Result<Execution, TransactionError> {
    let snapshot = ground.base;
    let before = snapshot.documents_read();
    let run = Run {
        writes_max: options.transaction_writes_max,
        rules: Rules::of(options),
        now: CommitTs::from_micros(clock.now_micros()).max(snapshot.ts()),
        seed: code.seed,
    };
    // The code is the caller's; that it panics must not end everybody's transactions.
    let done = catch_unwind(AssertUnwindSafe(|| code.run(ground, run)));
    // What it may use up is its own; others run on the same snapshot.
    snapshot.limit_rows(None);
    snapshot.set_interrupt(None);
    let (value, dependencies, intents) = done.map_err(|_| TransactionError::Refused {
        code: ErrorCode::Internal,
        message: "the transaction's code failed; nothing was written".to_owned(),
        part: 0,
    })??;
    Ok(Execution {
        value,
        read_ts: snapshot.ts(),
        dependencies,
        intents,
        documents_read: snapshot.documents_read() - before,
    })
}

/// Tells a requester. One that has gone away no longer needs its answer.
pub(crate) fn answer(reply: Reply, result: Result<Verdict, TransactionError>) {
    let _ = reply.send(result);
}

//! One batch, one transaction, in two exchanges.
//!
//! The first sends everything but `COMMIT`: the conditional update of the head, then the writes, then the
//! notification, without waiting in between. Whatever fails there, `COMMIT` has not been sent, so the batch is
//! [`CommitError::NotCommitted`] for certain. Only when all of it has succeeded is `COMMIT` sent, alone; if its
//! answer is lost, nobody knows. Sending it along would save a round trip, and leave every lost connection in doubt.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use deadpool::managed::{PoolError, TimeoutType};
use futures_util::FutureExt;
use tokio::time::timeout;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use super::failure;
use super::plan::Plan;
use super::session::{self, Loan, Session, Sessions};
use crate::{Batch, CommitError, Head, StorageError};

const COMMITTING: &str = "committing a batch";

/// Rows and bytes of one statement: enough that its fixed cost does not count, and small beside the memory of a batch.
const STATEMENT_ROWS_MAX: usize = 8192;
const STATEMENT_BYTES_MAX: usize = 4 << 20;

/// Commits a batch on a session of the pool.
pub(super) async fn commit(
    sessions: &Sessions,
    batch: &Batch,
    channel: &str,
    answer_max: Duration,
) -> Result<(), CommitError> {
    let plan = Plan::of(&batch.writes);
    match attempt(sessions, batch, &plan, channel, answer_max).await {
        // An idle connection may have broken long ago. Nothing has come of the batch, so a new connection may try it.
        Err(Failed { closed: true, .. }) => attempt(sessions, batch, &plan, channel, answer_max)
            .await
            .map_err(|failed| failed.error),
        result => result.map_err(|failed| failed.error),
    }
}

struct Failed {
    error: CommitError,
    /// Whether the connection had been closed before `COMMIT` was sent.
    closed: bool,
}

async fn attempt(
    sessions: &Sessions,
    batch: &Batch,
    plan: &Plan<'_>,
    channel: &str,
    answer_max: Duration,
) -> Result<(), Failed> {
    let certain = |error| Failed {
        error,
        closed: false,
    };
    let loan = match sessions.get().await {
        Ok(loan) => loan,
        Err(PoolError::Timeout(TimeoutType::Wait)) => {
            let reason = "batches before it have not been committed in time".to_owned();
            let error = StorageError::Unavailable { reason };
            return Err(certain(CommitError::NotCommitted(error)));
        }
        Err(error) => {
            let error = failure::of_pool(error, 1);
            return Err(certain(CommitError::NotCommitted(error)));
        }
    };
    let (error, closed) = match timeout(answer_max, write(&loan, batch, plan, channel)).await {
        Ok(Ok(Fence::Passed)) => return settle(loan, answer_max).await.map_err(certain),
        Ok(Ok(Fence::Closed { found })) => return Err(certain(fenced(found.as_deref()))),
        Ok(Err(error)) => {
            let closed = error.is_closed() || loan.client.is_closed();
            (failure::of(COMMITTING, error), closed)
        }
        Err(_) => (failure::timed_out(COMMITTING), false),
    };
    // The server ends the transaction when it finds the connection closed.
    session::discard(loan);
    Err(Failed {
        error: CommitError::NotCommitted(error),
        closed,
    })
}

/// Whether the stored head was the expected one.
enum Fence {
    Passed,
    Closed { found: Option<Vec<u8>> },
}

/// Everything but `COMMIT`.
async fn write(
    session: &Session,
    batch: &Batch,
    plan: &Plan<'_>,
    channel: &str,
) -> Result<Fence, Error> {
    let (client, statements) = (&session.client, &session.statements);
    let head = batch.head.encode();
    let expected = batch.expected.map(|head| head.encode());
    let commit_ts = batch.head.commit_ts.as_micros().to_string();
    let head: &[u8] = &head;

    let expected = expected.as_ref().map(<[u8; Head::ENCODED_BYTES]>::as_slice);
    let mut sent = Pipeline::default();
    // Each statement must see what those before it in the order of commits have left, once it has waited for them.
    sent.push(async {
        client
            .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            .await
            .map(|()| 0)
    });
    sent.push(async {
        match &expected {
            Some(expected) => {
                client
                    .execute(&statements.next_head, &[&head, expected])
                    .await
            }
            None => client.execute(&statements.first_head, &[&head]).await,
        }
    });
    for (from, to) in &plan.ranges {
        sent.push(async move { client.execute(&statements.delete_range, &[from, to]).await });
    }
    for keys in plan.deletes.chunks(STATEMENT_ROWS_MAX) {
        sent.push(async move { client.execute(&statements.delete, &[&keys]).await });
    }
    for (keys, values) in put_statements(plan) {
        sent.push(async move {
            let parameters: [&(dyn ToSql + Sync); 2] = [&keys, &values];
            client.execute(&statements.put, &parameters).await
        });
    }
    sent.push(async {
        client
            .execute(&statements.notify, &[&channel, &commit_ts])
            .await
    });
    let changed = sent.answers().await?;
    // The answers of BEGIN, of the fence, and of the rest.
    if changed.get(1) == Some(&1) {
        return Ok(Fence::Passed);
    }
    client.batch_execute("ROLLBACK").await?;
    let found = client.query_opt(&statements.head, &[]).await?;
    Ok(Fence::Closed {
        found: found.map(|row| row.try_get(0)).transpose()?,
    })
}

/// The puts, cut into statements.
fn put_statements<'p, 'b>(
    plan: &'p Plan<'b>,
) -> impl Iterator<Item = (&'p [&'b [u8]], &'p [&'b [u8]])> {
    let mut rest = 0..plan.put_keys.len();
    std::iter::from_fn(move || {
        let start = rest.start;
        let mut bytes = 0;
        while rest.start < rest.end
            && rest.start - start < STATEMENT_ROWS_MAX
            && bytes < STATEMENT_BYTES_MAX
        {
            bytes += plan.put_keys[rest.start].len() + plan.put_values[rest.start].len();
            rest.start += 1;
        }
        let rows = start..rest.start;
        (!rows.is_empty()).then(|| (&plan.put_keys[rows.clone()], &plan.put_values[rows]))
    })
}

/// Sends `COMMIT`. From here on a lost answer is doubt.
async fn settle(loan: Loan, answer_max: Duration) -> Result<(), CommitError> {
    let error = match timeout(answer_max, loan.client.batch_execute("COMMIT")).await {
        Ok(Ok(())) => return Ok(()),
        // The server has given the transaction up and says so; past the point where it is committed it cannot.
        Ok(Err(error)) if failure::is_plain_refusal(&error) => {
            CommitError::NotCommitted(failure::of(COMMITTING, error))
        }
        Ok(Err(error)) => CommitError::Indeterminate(failure::of(COMMITTING, error)),
        Err(_) => CommitError::Indeterminate(failure::timed_out(COMMITTING)),
    };
    session::discard(loan);
    Err(error)
}

fn fenced(found: Option<&[u8]>) -> CommitError {
    match found.map(Head::decode).transpose() {
        Ok(found) => CommitError::Fenced { found },
        Err(error) => CommitError::NotCommitted(error),
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 'a>>;

/// Requests that have been sent, in order, and whose answers are outstanding.
#[derive(Default)]
struct Pipeline<'a> {
    answers: Vec<Sent<'a>>,
}

enum Sent<'a> {
    Waiting(Answer<'a>),
    /// The request could not even be sent.
    Done(Result<u64, Error>),
}

impl<'a> Pipeline<'a> {
    /// Sends a request: the first poll hands it to the connection, and polling in turn keeps the order.
    fn push(&mut self, request: impl Future<Output = Result<u64, Error>> + Send + 'a) {
        let mut request: Answer<'a> = Box::pin(request);
        self.answers.push(match (&mut request).now_or_never() {
            Some(answer) => Sent::Done(answer),
            None => Sent::Waiting(request),
        });
    }

    /// How many rows each request changed, or the first error, which those after it follow from.
    async fn answers(self) -> Result<Vec<u64>, Error> {
        let mut rows = Vec::with_capacity(self.answers.len());
        for answer in self.answers {
            rows.push(match answer {
                Sent::Waiting(answer) => answer.await?,
                Sent::Done(answer) => answer?,
            });
        }
        Ok(rows)
    }
}

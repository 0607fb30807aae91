//! A snapshot: one connection in a transaction that sees one state.

use std::borrow::Cow;
use std::future::Future;
use std::ops::Bound;
use std::pin::pin;
use std::sync::Arc;

use futures_util::{FutureExt, TryStreamExt, future};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::session::{self, Loan};
use super::{Shared, failure};
use crate::keyspace::{KeyRange, check_key, clip};
use crate::readers::Registration;
use crate::{
    Direction, FirstRows, Head, ManyVisitor, Snapshot, StorageError, Visitor, clip_half_open,
};

/// Rows of the first page of a scan: a page of documents, in one round trip.
const PAGE_ROWS_FIRST: usize = 16;
/// How much larger each page is than the one before.
const PAGE_GROWTH: usize = 4;
const PAGE_ROWS_MAX: usize = 1024;
/// What a page may take in memory, but for its last row.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// How many keys or ranges are asked for before the first answer is waited for.
const QUESTIONS_MAX: usize = 1024;
/// How many rows of ranges are, so that the answers have room.
const ANSWER_ROWS_MAX: usize = 32 << 10;

const READING: &str = "reading";

pub(super) struct PostgresSnapshot {
    head: Option<Head>,
    /// `None` only while it is dropped.
    loan: Option<Loan>,
    registration: Registration,
    shared: Arc<Shared>,
}

impl PostgresSnapshot {
    pub(super) fn open(shared: &Arc<Shared>) -> Result<Self, StorageError> {
        // Registered first, so that the age shown is never less than the true one.
        let registration = shared.readers.register();
        let (loan, head) = shared.bridge.wait(begin(shared))?;
        Ok(Self {
            head,
            loan: Some(loan),
            registration,
            shared: Arc::clone(shared),
        })
    }

    fn loan(&self) -> &Loan {
        self.loan.as_ref().expect("only a drop takes it")
    }

    /// Waits for an answer of the server.
    fn ask<T>(
        &self,
        request: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StorageError> {
        // Within, since a timer must begin on the runtime that drives it.
        let answer = async { timeout(self.shared.options.answer_max, request).await };
        match self.shared.bridge.wait(answer) {
            Ok(Ok(answer)) => Ok(answer),
            // A connection that the server closed because of its age says that it is closed, not why.
            Ok(Err(error)) => {
                self.registration.check()?;
                Err(failure::of(READING, error))
            }
            Err(_) => Err(failure::timed_out(READING)),
        }
    }

    /// The next rows of a range: at most `rows_max`, and fewer where they are large.
    fn page(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        rows_max: usize,
    ) -> Result<Page, StorageError> {
        self.registration.check()?;
        let session = self.loan();
        let statement = match direction {
            Direction::Forward => &session.statements.forward,
            Direction::Backward => &session.statements.backward,
        };
        let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
        self.ask(async {
            let parameters: [&(dyn ToSql + Sync); 3] = [&from, &to, &limit];
            let mut incoming = pin!(session.client.query_raw(statement, parameters).await?);
            let mut page = Page::default();
            while let Some(row) = incoming.try_next().await? {
                page.bytes += row.try_get::<_, &[u8]>(1)?.len();
                page.rows.push(row);
                // The rest is not kept, and asked for again.
                if page.bytes >= PAGE_BYTES_MAX && page.rows.len() < rows_max {
                    page.is_cut = true;
                    break;
                }
            }
            Ok(page)
        })
    }
}

/// Takes a connection, begins and reads the head, in one exchange.
async fn begin(shared: &Shared) -> Result<(Loan, Option<Head>), StorageError> {
    // After the server was restarted, each idle connection may turn out to be closed only when it is used.
    let mut closed_connections_left = shared.snapshots_max;
    loop {
        let loan = shared
            .snapshots
            .get()
            .await
            .map_err(|error| failure::of_pool(error, shared.snapshots_max))?;
        let exchange = future::try_join(
            loan.client
                .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            loan.client.query_opt(&loan.statements.head, &[]),
        );
        let action = "opening a snapshot";
        let error = match timeout(shared.options.answer_max, exchange).await {
            Ok(Ok(((), row))) => {
                let head = row
                    .map(|row| row.try_get::<_, &[u8]>(0).map(Head::decode))
                    .transpose()
                    .map_err(|error| failure::of(action, error))?
                    .transpose()?;
                return Ok((loan, head));
            }
            Ok(Err(error)) => error,
            Err(_) => {
                session::discard(loan);
                return Err(failure::timed_out(action));
            }
        };
        let was_closed = error.is_closed() || loan.client.is_closed();
        session::discard(loan);
        if !was_closed || closed_connections_left == 0 {
            return Err(failure::of(action, error));
        }
        closed_connections_left -= 1;
    }
}

impl Drop for PostgresSnapshot {
    fn drop(&mut self) {
        let Some(loan) = self.loan.take() else {
            return;
        };
        // Sent, not waited for: whoever takes the connection next sends behind it.
        match loan.client.batch_execute("COMMIT").now_or_never() {
            None | Some(Ok(())) => drop(loan),
            Some(Err(_)) => session::discard(loan),
        }
    }
}

impl Snapshot for PostgresSnapshot {
    fn head(&self) -> Option<Head> {
        self.head
    }

    fn get<'s>(&'s self, key: &[u8]) -> Result<Option<Cow<'s, [u8]>>, StorageError> {
        self.registration.check()?;
        if check_key(key).is_err() {
            return Ok(None);
        }
        let session = self.loan();
        let row = self.ask(session.client.query_opt(&session.statements.get, &[&key]))?;
        let value = row.map(|row| row.try_get::<_, Vec<u8>>(0)).transpose();
        Ok(value
            .map_err(|error| failure::of(READING, error))?
            .map(Cow::Owned))
    }

    /// The questions are sent one behind the other, without waiting for answers between them.
    fn get_many<'s>(
        &'s self,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Cow<'s, [u8]>>>, StorageError> {
        self.registration.check()?;
        let session = self.loan();
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(QUESTIONS_MAX) {
            let questions = keys.iter().map(|key| async move {
                if check_key(key).is_err() {
                    return Ok(None);
                }
                let key = key.as_slice();
                session
                    .client
                    .query_opt(&session.statements.get, &[&key])
                    .await
            });
            for row in self.ask(future::try_join_all(questions))? {
                let value = row.map(|row| row.try_get::<_, Vec<u8>>(0)).transpose();
                let value = value.map_err(|error| failure::of(READING, error))?;
                values.push(value.map(Cow::Owned));
            }
        }
        Ok(values)
    }

    fn scan<'s>(
        &'s self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: Visitor<'_, 's>,
    ) -> Result<(), StorageError> {
        self.registration.check()?;
        let Some(range) = clip(from, to) else {
            return Ok(());
        };
        let (mut from, mut to) = half_open(range);
        let mut rows_max = PAGE_ROWS_FIRST;
        loop {
            let page = self.page(&from, &to, direction, rows_max)?;
            for row in &page.rows {
                let (key, value) = key_and_value(row)?;
                if visit(key, Cow::Owned(value.to_vec())).is_break() {
                    return Ok(());
                }
            }
            let Some(last) = page.rows.last() else {
                return Ok(());
            };
            if !page.is_cut && page.rows.len() < rows_max {
                return Ok(());
            }
            let (last, _) = key_and_value(last)?;
            match direction {
                Direction::Forward => from = successor(last),
                Direction::Backward => to = last.to_vec(),
            }
            rows_max = page.next_rows_max(rows_max);
        }
    }

    /// As for several keys.
    fn scan_many<'s>(
        &'s self,
        ranges: &[FirstRows<'_>],
        visit: ManyVisitor<'_, 's>,
    ) -> Result<(), StorageError> {
        self.registration.check()?;
        let session = self.loan();
        let mut first = 0;
        while first < ranges.len() {
            let mut rows = 0_usize;
            let fitting = ranges[first..].iter().take(QUESTIONS_MAX);
            let fitting = fitting.take_while(|range| {
                rows = rows.saturating_add(range.rows_max);
                rows <= ANSWER_ROWS_MAX
            });
            let next = first + fitting.count().max(1);
            let questions = ranges[first..next].iter().map(|range| async move {
                if clip_half_open(range.from, range.to).is_none() || range.rows_max == 0 {
                    return Ok(Vec::new());
                }
                let statement = match range.direction {
                    Direction::Forward => &session.statements.forward,
                    Direction::Backward => &session.statements.backward,
                };
                let limit = i64::try_from(range.rows_max).unwrap_or(i64::MAX);
                let parameters: [&(dyn ToSql + Sync); 3] = [&range.from, &range.to, &limit];
                session.client.query(statement, &parameters).await
            });
            let answers = self.ask(future::try_join_all(questions))?;
            for (number, rows) in (first..).zip(&answers) {
                for row in rows {
                    let (key, value) = key_and_value(row)?;
                    visit(number, key, Cow::Owned(value.to_vec()));
                }
            }
            first = next;
        }
        Ok(())
    }
}

/// Rows that have arrived.
#[derive(Default)]
struct Page {
    rows: Vec<Row>,
    /// Of the values.
    bytes: usize,
    /// It has been cut short because of its bytes.
    is_cut: bool,
}

impl Page {
    /// How many rows to ask for next: more than before, but no more bytes than a page may have if rows go on as they are.
    fn next_rows_max(&self, rows_max: usize) -> usize {
        let row_bytes = (self.bytes / self.rows.len().max(1)).max(1);
        (rows_max * PAGE_GROWTH)
            .min(PAGE_ROWS_MAX)
            .min(PAGE_BYTES_MAX / row_bytes)
            .max(1)
    }
}

fn key_and_value(row: &Row) -> Result<(&[u8], &[u8]), StorageError> {
    let columns = row.try_get(0).and_then(|key| Ok((key, row.try_get(1)?)));
    columns.map_err(|error| failure::of(READING, error))
}

/// The same range with its lower bound included and its upper one excluded: right after a key comes the key with a zero
/// byte more.
fn half_open((from, to): KeyRange<'_>) -> (Vec<u8>, Vec<u8>) {
    let from = match from {
        Bound::Included(key) => key.to_vec(),
        Bound::Excluded(key) => successor(key),
        Bound::Unbounded => Vec::new(),
    };
    let to = match to {
        Bound::Included(key) => successor(key),
        Bound::Excluded(key) => key.to_vec(),
        // Clipping leaves none; the reserved keys are in another table anyway.
        Bound::Unbounded => vec![crate::RESERVED_PREFIX],
    };
    (from, to)
}

fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

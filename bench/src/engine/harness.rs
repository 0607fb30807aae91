//! Committers, and the thread that commits for them in groups.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::stores::{Row, Store};

/// What is waiting for the next group.
#[derive(Default)]
struct Queue {
    rows: Vec<Row>,
    waiting: Vec<(Thread, Arc<AtomicBool>)>,
    closed: bool,
}

#[derive(Default)]
struct Group {
    queue: Mutex<Queue>,
    filled: Condvar,
}

impl Group {
    /// Hands in the rows of a transaction, and waits until they are durable.
    fn commit(&self, rows: [Row; 2], done: &Arc<AtomicBool>) {
        done.store(false, Ordering::Relaxed);
        {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.rows.extend(rows);
            queue.waiting.push((thread::current(), Arc::clone(done)));
        }
        self.filled.notify_one();
        while !done.load(Ordering::Acquire) {
            thread::park();
        }
    }

    /// Writes groups until the queue is closed and empty.
    fn run(&self, store: &dyn Store) -> Result<()> {
        loop {
            let (rows, waiting) = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                while queue.waiting.is_empty() && !queue.closed {
                    queue = self
                        .filled
                        .wait(queue)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                if queue.waiting.is_empty() {
                    return Ok(());
                }
                (
                    std::mem::take(&mut queue.rows),
                    std::mem::take(&mut queue.waiting),
                )
            };
            let written = store.write(&rows);
            for (committer, done) in waiting {
                done.store(true, Ordering::Release);
                committer.unpark();
            }
            written?;
        }
    }
}

/// Runs transactions for a time, and returns how many were durable within it.
pub(super) fn burst(
    store: &dyn Store,
    committers: u64,
    time: Duration,
    transaction: &(dyn Fn() -> [Row; 2] + Sync),
) -> Result<u64> {
    let group = Group::default();
    let durable = AtomicU64::new(0);
    let end = Instant::now() + time;
    thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(|| group.run(store));
        let committers: Vec<_> = (0..committers)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let done = Arc::new(AtomicBool::new(false));
                    loop {
                        let rows = transaction();
                        store.get(&rows[0].0)?.context("a document is missing")?;
                        group.commit(rows, &done);
                        if Instant::now() >= end {
                            return Ok(());
                        }
                        durable.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let mut results = Vec::new();
        for committer in committers {
            results.push(committer.join());
        }
        group
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = true;
        group.filled.notify_one();
        results.push(writer.join());
        for result in results {
            result.map_err(|_| anyhow::anyhow!("a thread of the harness panicked"))??;
        }
        Ok(())
    })?;
    Ok(durable.into_inner())
}

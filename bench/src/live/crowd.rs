//! Many subscriptions that no write concerns, on sockets that are kept alive.
//!
//! The sockets are opened first and stay silent until the registration begins, so that what they take by themselves can
//! be told from what the subscriptions take.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::socket::{Socket, data_bytes, subscribe};

/// Below the limit of operations on one socket.
const PER_SOCKET: usize = 800;
/// How many sockets register at a time, and how many subscriptions each sends before it waits for their events: enough
/// to keep the server busy, and no storm.
const REGISTERING: usize = 4;
const IN_FLIGHT: usize = 8;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The operation of each number of a crowd: its text and its variables.
pub(super) type Operations = Arc<dyn Fn(usize) -> (&'static str, Value) + Send + Sync>;

/// The subscriptions of a crowd.
pub(super) struct Crowd {
    members: JoinSet<Result<()>>,
    progress: Arc<Progress>,
    sockets: usize,
    queries: usize,
}

struct Progress {
    opened: AtomicUsize,
    registered: AtomicUsize,
    data_bytes: AtomicUsize,
    /// Who has a permit registers.
    turns: Semaphore,
}

impl Crowd {
    /// How many sockets so many subscriptions need.
    pub(super) fn sockets_for(queries: usize) -> usize {
        queries.div_ceil(PER_SOCKET)
    }

    /// Opens the sockets for so many subscriptions, which are spread evenly.
    pub(super) async fn open(
        address: &str,
        sockets: usize,
        queries: usize,
        operations: &Operations,
    ) -> Result<Self> {
        let progress = Arc::new(Progress {
            opened: AtomicUsize::new(0),
            registered: AtomicUsize::new(0),
            data_bytes: AtomicUsize::new(0),
            turns: Semaphore::new(0),
        });
        let mut members = JoinSet::new();
        for number in 0..sockets {
            let share = number * queries / sockets..(number + 1) * queries / sockets;
            let member = member(
                address.to_owned(),
                share,
                Arc::clone(operations),
                Arc::clone(&progress),
            );
            members.spawn(member);
        }
        let mut crowd = Crowd {
            members,
            progress,
            sockets,
            queries,
        };
        crowd.reach(|it| &it.opened, sockets).await?;
        Ok(crowd)
    }

    /// Registers all of them; how long that took.
    pub(super) async fn register(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.progress.turns.add_permits(REGISTERING);
        self.reach(|it| &it.registered, self.sockets).await?;
        Ok(begun.elapsed())
    }

    /// How long the data of their first events is, together.
    pub(super) fn data_bytes(&self) -> usize {
        self.progress.data_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn queries(&self) -> usize {
        self.queries
    }

    /// Whether none of them has heard anything, and none has ended.
    pub(super) fn check_quiet(&mut self) -> Result<()> {
        match self.members.try_join_next() {
            None => Ok(()),
            Some(ended) => ended?.and_then(|()| bail!("a socket has ended")),
        }
    }

    async fn reach(&mut self, of: impl Fn(&Progress) -> &AtomicUsize, goal: usize) -> Result<()> {
        while of(&self.progress).load(Ordering::Acquire) < goal {
            self.check_quiet()?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// One socket. It ends only when something is wrong: reading answers the server's pings, without which it would be
/// dropped.
async fn member(
    address: String,
    share: Range<usize>,
    operations: Operations,
    progress: Arc<Progress>,
) -> Result<()> {
    let mut socket = Socket::open(&address).await?;
    progress.opened.fetch_add(1, Ordering::Release);
    let turn = tokio::select! {
        turn = progress.turns.acquire() => turn.context("the semaphore is never closed")?,
        event = socket.event() => bail!("an event of nothing: {}", event?),
    };
    let mut bytes = 0;
    let numbers: Vec<usize> = share.collect();
    for numbers in numbers.chunks(IN_FLIGHT) {
        let messages: Vec<String> = numbers
            .iter()
            .map(|number| {
                let (query, variables) = operations(*number);
                subscribe(*number, query, &variables)
            })
            .collect();
        socket.send_all(messages.iter().map(String::as_str)).await?;
        for _ in numbers {
            let first = socket.event().await?;
            ensure!(
                !first.contains("\"errors\""),
                "a live query was answered with {first}"
            );
            bytes += data_bytes(first);
        }
    }
    progress.data_bytes.fetch_add(bytes, Ordering::Relaxed);
    progress.registered.fetch_add(1, Ordering::Release);
    drop(turn);
    bail!(
        "it was told of what does not concern it: {}",
        socket.event().await?
    )
}

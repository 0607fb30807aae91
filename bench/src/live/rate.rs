//! Writes at a fixed rate for a minute, each affecting 20 live queries: whether what subscribers are told falls behind.
//!
//! The load is open-loop: each write is due at its time, whatever became of those before. 1,000 items are written in
//! turns, and 20 live queries show each: lists of its lot, with different `first`, on 20 of 40 sockets. The lag of a write
//! is the time until a live query tells of it or of a later one of the same item: from when it was sent, or from when it
//! was due if all connections were busy then. What is counted in a window is what was told or answered in it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::items::{self, STRIDE};
use super::socket::{Socket, message_id, number_of, subscribe};
use crate::Extent;
use crate::connection::Connection;
use crate::server::Server;
use crate::statistics::Samples;
use crate::table::{Table, number, percent};

const QUERY: &str = "subscription Lot($lot: Int!, $first: Int) { \
                     items(filter: {lot: {eq: $lot}}, first: $first) { nodes { id name quantity } } }";
const ITEMS: usize = 1_000;
const AFFECTED: usize = 20;
const SOCKETS: usize = 40;
const CONNECTIONS: usize = 64;
/// The rate that is wanted, and those that are tried where it is not sustained, for a shorter time.
const RATES: [u64; 8] = [5_000, 4_000, 3_000, 2_000, 1_500, 1_000, 500, 250];
const WINDOWS: usize = 6;
/// How long stragglers are waited for at the end.
const LAST_WITHIN: Duration = Duration::from_secs(30);
/// What counts as sustained: nearly all writes are made in time, the median of the last window is at most this times
/// that of the first, a millisecond granted, and the 99th percentile of the last at most a second.
const ACHIEVED_MIN: f64 = 0.99;
const GROWTH_MAX: f64 = 1.5;
const P99_MAX_MS: f64 = 1_000.0;

/// One run at one rate.
struct Run {
    rate: u64,
    windows: Vec<Window>,
    achieved: f64,
    events: f64,
    cpu_micros: f64,
}

/// The latencies of one sixth of a run.
#[derive(Default)]
struct Window {
    answers_ms: Samples,
    lags_ms: Samples,
}

/// What writers and receivers share.
struct Clock {
    begun: Instant,
    /// For each write, when it was sent, or was due if that was before, in nanoseconds after the beginning; 0 before.
    sent: Vec<AtomicU64>,
    next: AtomicU64,
    /// How long a sixth is.
    window: Duration,
}

/// Latencies in milliseconds, by the window in which they ended.
type ByWindow = Vec<Vec<f64>>;

impl Clock {
    /// How long a write took that was sent then and ends now, put into its window.
    fn note(&self, sent: Duration, ends: Duration, into: &mut ByWindow) {
        let at = (ends.as_nanos() / self.window.as_nanos()) as usize;
        into[at.min(WINDOWS - 1)].push(ends.saturating_sub(sent).as_secs_f64() * 1e3);
    }
}

/// Runs it and prints its tables.
pub(super) fn run(binary: &Path, runtime: &Runtime, extent: Extent) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (rates, seconds, shorter) = extent.choose((&RATES[..], 60, 24), (&RATES[6..7], 6, 6));
    let server = items::server(binary, scratch.path(), ITEMS)?;
    let mut runs = Vec::new();
    for (turn, rate) in rates.iter().enumerate() {
        let seconds = if turn == 0 { seconds } else { shorter };
        let run = runtime.block_on(one_run(&server, *rate, seconds))?;
        let is_sustained = run.is_sustained();
        runs.push((run, seconds));
        if is_sustained {
            break;
        }
    }
    print(&runs);
    Ok(())
}

fn print(runs: &[(Run, u64)]) {
    let mut table = Table::new([
        "writes/s wanted",
        "seconds",
        "writes/s",
        "events/s",
        "of 20 a write",
        "processor µs/write",
        "lag p50 ms, first sixth",
        "last sixth",
        "p99",
        "sustained",
    ]);
    for (run, seconds) in runs {
        let [first, .., last] = &run.windows[..] else {
            continue;
        };
        let told = run.events / (run.achieved * AFFECTED as f64);
        table.row([
            number(run.rate as f64),
            seconds.to_string(),
            number(run.achieved),
            number(run.events),
            percent(told),
            number(run.cpu_micros),
            number(first.lags_ms.median()),
            number(last.lags_ms.median()),
            number(last.lags_ms.percentile(0.99)),
            if run.is_sustained() { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table.print(&format!(
        "live, rate: updates by id over {CONNECTIONS} connections, each affecting {AFFECTED} of {} live queries",
        number((ITEMS * AFFECTED) as f64)
    ));
    // The rate that is wanted, and the one that is sustained.
    let ends = runs.first().into_iter().chain(runs.last());
    for (run, seconds) in ends.take(runs.len()) {
        run.print_windows(*seconds);
    }
}

impl Run {
    fn is_sustained(&self) -> bool {
        let [first, .., last] = &self.windows[..] else {
            return false;
        };
        let [of_first, of_last] = [first, last].map(|window| window.lags_ms.median());
        self.achieved >= ACHIEVED_MIN * self.rate as f64
            && of_last <= GROWTH_MAX * of_first + 1.0
            && last.lags_ms.percentile(0.99) <= P99_MAX_MS
    }

    fn print_windows(&self, seconds: u64) {
        let mut table = Table::new([
            "from second",
            "due → answered p50 ms",
            "p99",
            "lag p50 ms",
            "p99",
        ]);
        for (number_of, window) in self.windows.iter().enumerate() {
            table.row([
                number(number_of as f64 * seconds as f64 / WINDOWS as f64),
                number(window.answers_ms.median()),
                number(window.answers_ms.percentile(0.99)),
                number(window.lags_ms.median()),
                number(window.lags_ms.percentile(0.99)),
            ]);
        }
        table.print(&format!(
            "live, rate: in the course of {seconds} s at {} writes/s",
            number(self.rate as f64)
        ));
    }
}

async fn one_run(server: &Server, rate: u64, seconds: u64) -> Result<Run> {
    let mut sockets = Vec::new();
    for number in 0..SOCKETS {
        sockets.push(open(server.address(), number).await?);
    }
    let writes = rate * seconds;
    let clock = Arc::new(Clock {
        begun: Instant::now(),
        sent: (0..writes).map(|_| AtomicU64::new(0)).collect(),
        next: AtomicU64::new(0),
        window: Duration::from_secs(seconds) / WINDOWS as u32,
    });
    let cpu_before = server.cpu_seconds();
    let mut receivers = JoinSet::new();
    for socket in sockets {
        receivers.spawn(receive(socket, Arc::clone(&clock), seconds));
    }
    let mut writers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let connection = Connection::open(server.address()).await?;
        writers.spawn(write(connection, Arc::clone(&clock), rate, seconds));
    }
    let mut windows: Vec<Window> = (0..WINDOWS).map(|_| Window::default()).collect();
    let mut made = 0;
    while let Some(ended) = writers.join_next().await {
        let answers = ended??;
        made += answers.iter().map(Vec::len).sum::<usize>();
        for (window, answers) in windows.iter_mut().zip(answers) {
            window.answers_ms.extend(answers);
        }
    }
    let took = clock.begun.elapsed().as_secs_f64();
    let mut events = 0;
    while let Some(ended) = receivers.join_next().await {
        let (lags, received) = ended??;
        events += received;
        for (window, lags) in windows.iter_mut().zip(lags) {
            window.lags_ms.extend(lags);
        }
    }
    Ok(Run {
        rate,
        windows,
        achieved: made as f64 / took,
        events: events as f64 / took,
        cpu_micros: (server.cpu_seconds() - cpu_before) * 1e6 / made as f64,
    })
}

/// Subscribes one socket to its share: items of even or odd number, each with one `first`.
async fn open(address: &str, number: usize) -> Result<(Socket, usize)> {
    let mut socket = Socket::open(address).await?;
    let first = 1 + number % AFFECTED;
    for index in (number / AFFECTED..ITEMS).step_by(SOCKETS / AFFECTED) {
        let variables = json!({ "lot": index * STRIDE, "first": first });
        socket.send(&subscribe(index, QUERY, &variables)).await?;
        let event = socket.event().await?;
        ensure!(event.contains("quantity"), "not an item: {event}");
    }
    Ok((socket, number / AFFECTED))
}

/// Makes the writes that are due, until the time is over; how long their answers took.
async fn write(
    mut connection: Connection,
    clock: Arc<Clock>,
    rate: u64,
    seconds: u64,
) -> Result<ByWindow> {
    let mut answers = vec![Vec::new(); WINDOWS];
    let end = clock.begun + Duration::from_secs(seconds);
    loop {
        let write = clock.next.fetch_add(1, Ordering::Relaxed);
        let Some(sent) = clock.sent.get(write as usize) else {
            return Ok(answers);
        };
        let due = clock.begun + Duration::from_secs_f64(write as f64 / rate as f64);
        let now = Instant::now();
        let from = if due > now {
            tokio::time::sleep_until(due.into()).await;
            // The timer is coarse.
            Instant::now()
        } else {
            due
        };
        if from > end || now > end {
            return Ok(answers);
        }
        let from = (from - clock.begun).max(Duration::from_nanos(1));
        sent.store(from.as_nanos() as u64, Ordering::Release);
        // Quantities begin at 1.
        let body = items::update(write as usize % ITEMS, write + 1);
        items::check(&connection.graphql(&body).await?)?;
        clock.note(from, clock.begun.elapsed(), &mut answers);
    }
}

/// The lags in each window, and how many events there were. Ends when nothing more can come.
async fn receive(
    (mut socket, parity): (Socket, usize),
    clock: Arc<Clock>,
    seconds: u64,
) -> Result<(ByWindow, usize)> {
    let mut lags = vec![Vec::new(); WINDOWS];
    // For each item, the first write that it has not been told of.
    let mut next: Vec<usize> = (0..ITEMS).collect();
    let mut events = 0;
    let end = clock.begun + Duration::from_secs(seconds) + LAST_WITHIN;
    let all_told = |next: &[usize]| {
        let is_told = |write: &usize| match clock.sent.get(*write) {
            Some(sent) => sent.load(Ordering::Acquire) == 0,
            None => true,
        };
        clock.begun.elapsed() > Duration::from_secs(seconds)
            && next
                .iter()
                .skip(parity)
                .step_by(SOCKETS / AFFECTED)
                .all(is_told)
    };
    while !all_told(&next) {
        // Now and then it is looked whether there is more to come.
        let event = tokio::time::timeout(Duration::from_millis(500), socket.event()).await;
        ensure!(Instant::now() < end, "the last state has not come");
        let Ok(event) = event else {
            continue;
        };
        let event = event?;
        let arrived = clock.begun.elapsed();
        let index = message_id(event)?;
        let told = number_of(event, "quantity")?.saturating_sub(1) as usize;
        events += 1;
        while next[index] <= told {
            let sent = clock.sent.get(next[index]).context("a write of nobody")?;
            let sent = Duration::from_nanos(sent.load(Ordering::Acquire));
            clock.note(sent, arrived, &mut lags);
            next[index] += ITEMS;
        }
    }
    Ok((lags, events))
}

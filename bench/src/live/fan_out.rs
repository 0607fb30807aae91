//! 10,000 sockets that all follow one live query, beside a Node server with `graphql-ws` that publishes what is posted to
//! it: how long after sending a write each socket has its event.
//!
//! One receiver serves both: this process, with a task for each socket on one thread, which looks every millisecond what
//! has come. Were it woken for each event, waking it would be a good part of what is measured. A process may have no more
//! than 20,000 sockets, so each server's are opened for its turn.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::items;
use super::socket::{Socket, number_of};
use crate::connection::Connection;
use crate::machine::processor_seconds;
use crate::server::Server;
use crate::statistics::Samples;
use crate::table::{Table, number};
use crate::{Extent, peers};

const QUERY: &str = "subscription Item($key: ID!) { item(id: $key) { id name quantity } }";
/// How long a write may take to reach everybody.
const REACHED_WITHIN: Duration = Duration::from_secs(60);
/// How many sockets are opened at a time.
const OPENING: usize = 128;
/// How often the receiver looks what has come.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const SETTLED_AFTER: Duration = Duration::from_secs(2);
const TIMES: f64 = 8.0;
const SOCKET_BYTES_MAX: f64 = 20_480.0;

struct Subject {
    name: &'static str,
    server: Server,
    body: fn(u64) -> String,
    written: u64,
    latencies_ms: Samples,
    /// Until the last socket has it.
    last_ms: Samples,
    cpu_micros: Samples,
    receiver_micros: Samples,
    /// Of the first round: later ones use again what the first has left.
    socket_bytes: Option<f64>,
}

/// Runs it and prints its table.
pub(super) fn run(binary: &Path, extent: Extent) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (sockets, rounds, writes) = extent.choose((10_000, 3, 20), (200, 2, 3));
    let server = items::server(binary, scratch.path(), 100)?;
    let subject = |name, server, body| Subject {
        name,
        server,
        body,
        written: 0,
        latencies_ms: Samples::default(),
        last_ms: Samples::default(),
        cpu_micros: Samples::default(),
        receiver_micros: Samples::default(),
        socket_bytes: None,
    };
    let mut subjects = [
        subject("Thalweg", server, |written| items::update(0, written)),
        subject(
            "– graphql-ws on Node.js",
            peers::graphql_ws()?,
            |written| json!({ "quantity": written }).to_string(),
        ),
    ];
    for _ in 0..rounds {
        for subject in &mut subjects {
            // One thread, and gone with all its sockets after the turn.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .event_interval(sockets as u32)
                .max_io_events_per_tick(sockets)
                .build()?;
            runtime.block_on(subject.measure(sockets, writes))?;
        }
    }
    let mut table = Table::new([
        "",
        "p50 ms",
        "p99 ms",
        "last socket, median",
        "Thalweg is, p50",
        "p99",
        "processor µs/event",
        "of the receiver",
        "bytes/socket",
    ]);
    let ours = &subjects[0].latencies_ms;
    let ours = [0.5, 0.99].map(|share| ours.percentile(share));
    for subject in &subjects {
        let theirs = [0.5, 0.99].map(|share| subject.latencies_ms.percentile(share));
        table.row([
            subject.name.to_owned(),
            number(theirs[0]),
            number(theirs[1]),
            number(subject.last_ms.median()),
            format!("{} ×", number(theirs[0] / ours[0])),
            format!("{} ×", number(theirs[1] / ours[1])),
            number(subject.cpu_micros.mean() / sockets as f64),
            number(subject.receiver_micros.mean() / sockets as f64),
            number(subject.socket_bytes.unwrap_or(f64::NAN)),
        ]);
    }
    table.print(&format!(
        "live, fan-out: {} sockets on one live query, {} writes: from sending one until each socket has its event (≥ {} ×; \
         ≤ {} bytes a socket)",
        number(sockets as f64),
        rounds * writes,
        number(TIMES),
        number(SOCKET_BYTES_MAX),
    ));
    Ok(())
}

impl Subject {
    async fn measure(&mut self, sockets: usize, writes: usize) -> Result<()> {
        let before = self.server.memory_bytes();
        let (sender, mut events) = mpsc::unbounded_channel();
        let mut receivers = open(self.server.address(), sockets, &sender).await?;
        tokio::time::sleep(SETTLED_AFTER).await;
        let each = (self.server.memory_bytes() - before) / sockets as f64;
        self.socket_bytes.get_or_insert(each);
        let mut connection = Connection::open(self.server.address()).await?;
        let pace = tokio::spawn(pace());
        // The first write warms up, and is not counted.
        for turn in 0..=writes {
            self.written += 1;
            let body = (self.body)(self.written);
            let cpu_before = [self.server.cpu_seconds(), processor_seconds()?];
            let sent = Instant::now();
            items::check(&connection.graphql(&body).await?)?;
            let mut last = sent;
            for _ in 0..sockets {
                let event = timeout(REACHED_WITHIN, events.recv()).await;
                let (quantity, arrived) = event
                    .context("an event is missing")?
                    .context("no receiver")?;
                ensure!(quantity == self.written, "an event of another write");
                if turn > 0 {
                    self.latencies_ms.push((arrived - sent).as_secs_f64() * 1e3);
                }
                last = last.max(arrived);
            }
            ensure!(receivers.try_join_next().is_none(), "a socket has ended");
            if turn > 0 {
                self.last_ms.push((last - sent).as_secs_f64() * 1e3);
                let [server, receiver] = cpu_before;
                let server = self.server.cpu_seconds() - server;
                self.cpu_micros.push(server * 1e6);
                let receiver = processor_seconds()? - receiver;
                self.receiver_micros.push(receiver * 1e6);
            }
        }
        pace.abort();
        Ok(())
    }
}

/// Lets events gather: the thread that looks for them sleeps in between.
async fn pace() {
    loop {
        std::thread::sleep(LOOK_EVERY);
        tokio::task::yield_now().await;
    }
}

type Sender = mpsc::UnboundedSender<(u64, Instant)>;

/// Opens the sockets, each with its subscription and a task that passes on what it is told.
async fn open(address: &str, sockets: usize, sender: &Sender) -> Result<JoinSet<Result<()>>> {
    let mut receivers = JoinSet::new();
    for first in (0..sockets).step_by(OPENING) {
        let mut opening = JoinSet::new();
        for _ in first..sockets.min(first + OPENING) {
            let address = address.to_owned();
            opening.spawn(async move {
                let mut socket = Socket::open(&address).await?;
                let variables = json!({ "key": items::id(0) });
                socket.subscribe(1, QUERY, &variables).await?;
                anyhow::Ok(socket)
            });
        }
        while let Some(opened) = opening.join_next().await {
            receivers.spawn(receive(opened??, sender.clone()));
        }
    }
    Ok(receivers)
}

async fn receive(mut socket: Socket, sender: Sender) -> Result<()> {
    loop {
        let event = socket.event().await?;
        let event = (number_of(event, "quantity")?, Instant::now());
        sender.send(event).context("nobody waits for events")?;
    }
}

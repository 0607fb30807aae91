//! Latency from a write to the event of a live query that shows it.
//!
//! One client writes over HTTP and waits for the event on a WebSocket before it writes again, so what is measured is
//! latency, not throughput. It is taken twice: from sending the write, which includes its commit and sync, and from
//! its acknowledgement, which may come after the event; then the latency is negative.
//!
//! Of two servers with the same documents, one has nothing else to do, the other keeps 10,000 further live queries, all
//! distinct, half by id, half filtered by an equality. The writes concern none of those; what they cost is finding that
//! out. The servers are measured in turns.

mod socket;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Extent;
use crate::connection::{Connection, request};
use crate::documents;
use crate::server::Server;
use crate::statistics::Samples;
use crate::table::{Table, number};

use self::socket::Socket;

const EVENT_MAX: Duration = Duration::from_secs(10);
/// Below the limit of operations on one socket.
const PER_SOCKET: usize = 900;

const BY_ID: &str =
    "subscription Order($key: ID!) { order(id: $key) { id customer status quantity } }";
const FILTERED: &str = "subscription Orders($key: Int) { orders(filter: {customerNumber: {eq: $key}}, \
                        first: 20) { nodes { id customer status quantity } } }";
const UPDATE: &str = "mutation Update($id: ID!, $quantity: Int) { \
                      updateOrder(id: $id, patch: {quantity: $quantity}) { id } }";
const CREATE: &str = "mutation Create($input: OrderInput!) { createOrder(input: $input) { id } }";

/// The id and the `customerNumber` of the document that is written; no other has either, and no other query asks for
/// them.
const WATCHED_ID: &str = "watched";
const WATCHED_NUMBER: u64 = 7;

/// A query that is measured.
#[derive(Clone, Copy)]
struct Watched {
    name: &'static str,
    query: &'static str,
    key: fn() -> Value,
}

const WATCHED: [Watched; 2] = [
    Watched {
        name: "by id",
        query: BY_ID,
        key: || json!(WATCHED_ID),
    },
    Watched {
        name: "filtered list",
        query: FILTERED,
        key: || json!(WATCHED_NUMBER),
    },
];

/// A server with or without other live queries.
struct Subject {
    server: Server,
    crowd: Crowd,
    /// Counts the writes; the document shows it, so every write changes the results.
    written: usize,
    latencies: [Latencies; WATCHED.len()],
}

#[derive(Default)]
struct Latencies {
    from_sending_ms: Samples,
    from_answer_ms: Samples,
}

/// Runs the benchmark and prints its table.
pub(crate) fn run(binary: &Path, extent: Extent) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let documents: u64 = extent.choose(10_000, 500);
    let others: usize = extent.choose(10_000, 200);
    let (rounds, writes) = extent.choose((20, 100), (2, 25));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut subjects = Vec::new();
    for (name, others) in [("alone", 0), ("crowded", others)] {
        let directory = scratch.path().join(name);
        std::fs::create_dir(&directory)?;
        let server = Server::thalweg(binary, &directory.join("data"))?;
        documents::load(binary, &server, &directory, documents)?;
        runtime.block_on(create_watched(server.address()))?;
        let crowd = runtime.block_on(Crowd::open(server.address(), documents, others))?;
        subjects.push(Subject {
            server,
            crowd,
            written: 0,
            latencies: Default::default(),
        });
    }
    for _ in 0..rounds {
        for index in 0..WATCHED.len() {
            for subject in &mut subjects {
                runtime.block_on(subject.measure(index, writes))?;
            }
        }
    }
    let mut table = Table::new(HEAD);
    for (index, watched) in WATCHED.iter().enumerate() {
        for subject in &mut subjects {
            ensure!(
                subject.crowd.is_quiet(),
                "a query was told of what does not concern it"
            );
            subject.latencies[index].row(watched.name, subject.crowd.queries, &mut table);
        }
    }
    table.print(&format!(
        "live: {documents} documents, {} writes each, latency in ms",
        rounds * writes,
    ));
    for Subject { crowd, .. } in subjects.iter().filter(|subject| subject.crowd.queries > 0) {
        let took = crowd.registered_in.as_secs_f64();
        println!(
            "\n{} queries registered in {} s",
            crowd.queries,
            number(took)
        );
    }
    Ok(())
}

const HEAD: [&str; 6] = [
    "live query",
    "others",
    "sent → event p50",
    "p99",
    "answered → event p50",
    "p99",
];

impl Latencies {
    fn row(&self, name: &str, others: usize, table: &mut Table) {
        table.row([
            name.to_owned(),
            others.to_string(),
            number(self.from_sending_ms.median()),
            number(self.from_sending_ms.percentile(0.99)),
            number(self.from_answer_ms.median()),
            number(self.from_answer_ms.percentile(0.99)),
        ]);
    }
}

async fn create_watched(address: &str) -> Result<()> {
    let mut input: Value = serde_json::from_str(&documents::json(0))?;
    input["id"] = json!(WATCHED_ID);
    input["customerNumber"] = json!(WATCHED_NUMBER);
    input["quantity"] = json!(0);
    let mut connection = Connection::open(address).await?;
    connection.data(CREATE, &json!({ "input": input })).await?;
    Ok(())
}

impl Subject {
    /// Subscribes to a query and writes that many times what it shows.
    async fn measure(&mut self, index: usize, writes: usize) -> Result<()> {
        let Watched { query, key, .. } = WATCHED[index];
        let mut socket = Socket::open(self.server.address()).await?;
        socket.subscribe(0, query, &json!({ "key": key() })).await?;
        let mut connection = Connection::open(self.server.address()).await?;
        // The first writes after the other server's turn warm caches, and are not counted.
        let warm_up = writes / 10;
        for turn in 0..writes + warm_up {
            self.written += 1;
            let body = request(
                UPDATE,
                &json!({ "id": WATCHED_ID, "quantity": self.written }),
            );
            let sent = Instant::now();
            let answer = async {
                let answer = connection.graphql(&body).await?;
                anyhow::Ok((Instant::now(), answer))
            };
            let event = async {
                let event = timeout(EVENT_MAX, socket.event())
                    .await
                    .context("no event came")??;
                anyhow::Ok((Instant::now(), event))
            };
            let ((answered, answer), (arrived, event)) = tokio::try_join!(answer, event)?;
            check(&answer, &event, self.written)?;
            if turn >= warm_up {
                let latencies = &mut self.latencies[index];
                latencies.from_sending_ms.push(signed_ms(sent, arrived));
                latencies.from_answer_ms.push(signed_ms(answered, arrived));
            }
        }
        Ok(())
    }
}

fn check(answer: &[u8], event: &str, quantity: usize) -> Result<()> {
    let text = String::from_utf8_lossy(answer);
    ensure!(
        !text.contains("\"errors\""),
        "a write was answered with {text}"
    );
    ensure!(
        event.contains(&format!("\"quantity\":{quantity}}}")),
        "not of this write: {event}"
    );
    Ok(())
}

fn signed_ms(from: Instant, to: Instant) -> f64 {
    match to.checked_duration_since(from) {
        Some(later) => later.as_secs_f64() * 1e3,
        None => -(from - to).as_secs_f64() * 1e3,
    }
}

/// Live queries that no write concerns, on a few sockets.
struct Crowd {
    queries: usize,
    registered_in: Duration,
    sockets: JoinSet<Result<String>>,
}

impl Crowd {
    async fn open(address: &str, documents: u64, queries: usize) -> Result<Self> {
        let started = Instant::now();
        let mut sockets = JoinSet::new();
        for first in (0..queries).step_by(PER_SOCKET) {
            let mut socket = Socket::open(address).await?;
            for other in first..queries.min(first + PER_SOCKET) {
                let (query, key) = match other % 2 {
                    0 => (BY_ID, json!(documents::id(other as u64 / 2 % documents))),
                    // The numbers of the generated documents begin at 10,000, so some of these are among them.
                    _ => (FILTERED, json!(10_000 + other)),
                };
                socket
                    .subscribe(other, query, &json!({ "key": key }))
                    .await?;
            }
            // Reading answers the server's pings, without which it would drop the socket.
            sockets.spawn(async move { socket.event().await });
        }
        Ok(Crowd {
            queries,
            registered_in: started.elapsed(),
            sockets,
        })
    }

    /// Whether none of them has heard anything, and none has ended.
    fn is_quiet(&mut self) -> bool {
        self.sockets.try_join_next().is_none()
    }
}

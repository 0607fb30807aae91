//! What a million distinct live queries cost: each commit, and memory.
//!
//! Of two servers with the same items, one has 1,000 live queries of a kind, the other a million, all distinct, on as many
//! sockets. In turns, a client writes the one item that ten further live queries show, and waits until all ten have been
//! told. The processor time of the server for each write varies less than the latency.
//!
//! Memory is what is anonymous of the resident set: with no socket, with all sockets and nothing on them, with a million
//! live queries, and with as many further subscriptions to the same ones.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::crowd::{Crowd, Operations};
use super::items::{self, STRIDE};
use super::socket::{Socket, number_of};
use super::{EVENT_MAX, Latencies};
use crate::Extent;
use crate::connection::Connection;
use crate::server::Server;
use crate::statistics::Samples;
use crate::table::{Table, number};

/// The allocator gives back what is free some time after.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// How many live queries a write affects.
const AFFECTED: usize = 10;
const RATIO_MAX: f64 = 1.2;
const QUERY_BYTES_MAX: f64 = 1_536.0;
const SUBSCRIBER_BYTES_MAX: f64 = 300.0;

/// What live queries look for. The operations of a kind differ in their variables; those that are measured all show the
/// first item, and those of the crowd another item each.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    /// One operation for each of those that a write affects, or one that they share.
    crowd: &'static str,
    of_crowd: fn(usize) -> Value,
    of_watched: fn(usize) -> Value,
}

const BY_ID: &str = "subscription Item($key: ID!) { item(id: $key) { id name quantity } }";
const BY_LOT: &str = "subscription Lot($lot: Int!, $first: Int) { \
                      items(filter: {lot: {eq: $lot}}, first: $first) { nodes { id name quantity } } }";
const BY_PLACE: &str = "subscription Places($from: Int!, $to: Int!) { \
                        items(filter: {place: {gte: $from, lt: $to}}, first: 20) { nodes { id name quantity } } }";

const KINDS: [Kind; 3] = [
    Kind {
        name: "equality",
        crowd: BY_LOT,
        of_crowd: |index| json!({ "lot": index * STRIDE, "first": 20 }),
        of_watched: |index| json!({ "lot": 0, "first": 20 + index }),
    },
    Kind {
        name: "range",
        crowd: BY_PLACE,
        of_crowd: |index| json!({ "from": index * STRIDE, "to": (index + 1) * STRIDE }),
        of_watched: |index| json!({ "from": -1 - index as i64, "to": STRIDE }),
    },
    Kind {
        name: "by id",
        crowd: BY_ID,
        of_crowd: |index| json!({ "key": items::id(index) }),
        of_watched: |_| json!({ "key": items::id(0) }),
    },
];

/// A server with live queries of one kind.
struct Subject<'s> {
    server: &'s Server,
    crowd: Crowd,
    latencies: Latencies,
    cpu_micros: Samples,
    memory: Vec<f64>,
    registered_in: Duration,
}

/// Runs it and prints two tables.
pub(super) fn run(binary: &Path, runtime: &Runtime, extent: Extent) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (few, many) = extent.choose((1_000, 1_000_000), (50, 1_800));
    let (rounds, writes) = extent.choose((6, 400), (2, 50));
    let mut cost = Table::new(COST_HEAD);
    let mut memory = Table::new(MEMORY_HEAD);
    let mut written = 0;
    for kind in KINDS {
        let servers = ["few", "many"].map(|name| {
            items::server(binary, &scratch.path().join(kind.name).join(name), many + 1)
        });
        let [few_server, many_server] = servers;
        let (few_server, many_server) = (few_server?, many_server?);
        let sockets = Crowd::sockets_for(many);
        let mut subjects = [
            runtime.block_on(Subject::open(&few_server, kind, few, sockets))?,
            runtime.block_on(Subject::open(&many_server, kind, many, sockets))?,
        ];
        for _ in 0..rounds {
            for subject in &mut subjects {
                runtime.block_on(subject.measure(kind, writes, &mut written))?;
            }
        }
        let [few, mut many] = subjects;
        few.cost_row(kind, None, &mut cost);
        many.cost_row(kind, Some(&few), &mut cost);
        runtime.block_on(many.subscribe_again(kind, sockets))?;
        many.memory_row(kind, sockets, &mut memory);
        println!(
            "{}: {} live queries registered in {} s",
            kind.name,
            number(many.crowd.queries() as f64),
            number(many.registered_in.as_secs_f64())
        );
    }
    cost.print(&format!(
        "live, crowd: a write that affects {AFFECTED} live queries, {} each; the larger crowd's median and processor time, of \
         the smaller's (≤ {RATIO_MAX})",
        number((rounds * writes) as f64)
    ));
    memory.print(&format!(
        "live, memory: {} distinct live queries, and as many further subscriptions to the same, on {} sockets each; bytes \
         (≤ {} a live query without its result, ≤ {} a further subscription)",
        number(many as f64),
        number(Crowd::sockets_for(many) as f64),
        number(QUERY_BYTES_MAX),
        number(SUBSCRIBER_BYTES_MAX),
    ));
    Ok(())
}

const COST_HEAD: [&str; 9] = [
    "live queries of a kind",
    "distinct",
    "sent → 10 events p50 ms",
    "p99",
    "answered → 10 events p50",
    "p99",
    "processor µs/write",
    "p50, of few",
    "processor, of few",
];

const MEMORY_HEAD: [&str; 7] = [
    "live queries of a kind",
    "idle socket",
    "live query, all",
    "of it the result",
    "without the result",
    "further subscription",
    "server, MB",
];

impl<'s> Subject<'s> {
    async fn open(server: &'s Server, kind: Kind, queries: usize, sockets: usize) -> Result<Self> {
        let mut memory = vec![server.memory_bytes()];
        let mut crowd = Crowd::open(server.address(), sockets, queries, &operations(kind)).await?;
        tokio::time::sleep(SETTLED_AFTER).await;
        memory.push(server.memory_bytes());
        let registered_in = crowd.register().await?;
        tokio::time::sleep(SETTLED_AFTER).await;
        memory.push(server.memory_bytes());
        Ok(Subject {
            server,
            crowd,
            latencies: Latencies::default(),
            cpu_micros: Samples::default(),
            memory,
            registered_in,
        })
    }

    /// Writes that many times what ten live queries show.
    async fn measure(&mut self, kind: Kind, writes: usize, written: &mut u64) -> Result<()> {
        let mut socket = Socket::open(self.server.address()).await?;
        for index in 0..AFFECTED {
            let query = kind.watched(index);
            let variables = (kind.of_watched)(index);
            socket.subscribe(index, &query, &variables).await?;
        }
        let mut connection = Connection::open(self.server.address()).await?;
        // The first writes after the other server's turn warm caches, and are not counted.
        let warm_up = writes / 10;
        let mut cpu_before = 0.0;
        for turn in 0..writes + warm_up {
            if turn == warm_up {
                cpu_before = self.server.cpu_seconds();
            }
            *written += 1;
            let body = items::update(0, *written);
            let sent = Instant::now();
            let answer = async {
                let answer = connection.graphql(&body).await?;
                anyhow::Ok((Instant::now(), answer))
            };
            let events = async {
                let all = all_events(&mut socket, *written);
                timeout(EVENT_MAX, all).await.context("no event came")??;
                anyhow::Ok(Instant::now())
            };
            let ((answered, answer), arrived) = tokio::try_join!(answer, events)?;
            items::check(&answer)?;
            if turn >= warm_up {
                self.latencies.push(sent, answered, arrived);
            }
        }
        let cpu = self.server.cpu_seconds() - cpu_before;
        self.cpu_micros.push(cpu * 1e6 / writes as f64);
        self.crowd.check_quiet()
    }

    /// Subscribes to each live query once more, on sockets of their own.
    async fn subscribe_again(&mut self, kind: Kind, sockets: usize) -> Result<()> {
        let address = self.server.address();
        let queries = self.crowd.queries();
        let mut again = Crowd::open(address, sockets, queries, &operations(kind)).await?;
        tokio::time::sleep(SETTLED_AFTER).await;
        self.memory.push(self.server.memory_bytes());
        again.register().await?;
        tokio::time::sleep(SETTLED_AFTER).await;
        self.memory.push(self.server.memory_bytes());
        again.check_quiet()?;
        self.crowd.check_quiet()
    }

    fn cost_row(&self, kind: Kind, few: Option<&Self>, table: &mut Table) {
        let ratio = |of: fn(&Self) -> f64| match few {
            None => String::new(),
            Some(few) => format!("{} ×", number(of(self) / of(few))),
        };
        let [sent_p50, sent_p99, answered_p50, answered_p99] = self.latencies.cells();
        table.row([
            kind.name.to_owned(),
            number(self.crowd.queries() as f64),
            sent_p50,
            sent_p99,
            answered_p50,
            answered_p99,
            number(self.cpu_micros.mean()),
            ratio(|it| it.latencies.from_sending_ms.median()),
            ratio(|it| it.cpu_micros.mean()),
        ]);
    }

    fn memory_row(&self, kind: Kind, sockets: usize, table: &mut Table) {
        let [none, idle, queries, more_idle, more] = self.memory[..] else {
            return;
        };
        let each = |bytes: f64| bytes / self.crowd.queries() as f64;
        let result = each(self.crowd.data_bytes() as f64);
        table.row([
            kind.name.to_owned(),
            number((idle - none) / sockets as f64),
            number(each(queries - idle)),
            number(result),
            number(each(queries - idle) - result),
            number(each(more - more_idle)),
            number(more / 1e6),
        ]);
    }
}

impl Kind {
    /// The operation of one of those that a write affects: the name of an operation distinguishes it, too.
    fn watched(self, index: usize) -> String {
        self.crowd
            .replacen("subscription ", &format!("subscription Watched{index}"), 1)
    }
}

fn operations(kind: Kind) -> Operations {
    // The first item is the one that is written.
    std::sync::Arc::new(move |number| (kind.crowd, (kind.of_crowd)(number + 1)))
}

/// Waits until all the affected have been told of a write.
async fn all_events(socket: &mut Socket, written: u64) -> Result<()> {
    for _ in 0..AFFECTED {
        let event = socket.event().await?;
        let quantity = number_of(event, "quantity")?;
        ensure!(quantity == written, "not of write {written}: {event}");
    }
    Ok(())
}

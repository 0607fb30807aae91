//! 19,000 distinct live queries by id, each of another item, one of them affected by each write.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::socket::{Socket, message_id, number_of, subscribe};
use super::{EVENT_MAX, Latencies, items};
use crate::Extent;
use crate::connection::Connection;
use crate::documents::Random;
use crate::table::{Table, number};

const QUERY: &str = "subscription Item($key: ID!) { item(id: $key) { id name quantity } }";
const PER_SOCKET: usize = 950;

/// An event as it arrives: of which item, of which write, when.
struct Event {
    index: usize,
    quantity: u64,
    arrived: Instant,
}

/// Runs it and prints its table.
pub(super) fn run(binary: &Path, runtime: &Runtime, extent: Extent) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (queries, writes) = extent.choose((19_000, 10_000), (1_900, 100));
    let server = items::server(binary, scratch.path(), queries)?;
    let latencies = runtime.block_on(measure(server.address(), queries, writes))?;
    let mut table = Table::new(Latencies::HEAD);
    let [sent_p50, sent_p99, answered_p50, answered_p99] = latencies.cells();
    table.row([
        "one of them affected".to_owned(),
        sent_p50,
        sent_p99,
        answered_p50,
        answered_p99,
    ]);
    table.print(&format!(
        "live, by-id: {} live queries by id on {} sockets, {} writes (from the answer: p50 ≤ 1 ms, p99 ≤ 6 ms)",
        number(queries as f64),
        queries.div_ceil(PER_SOCKET),
        number(writes as f64),
    ));
    Ok(())
}

async fn measure(address: &str, queries: usize, writes: usize) -> Result<Latencies> {
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut sockets = JoinSet::new();
    for first in (0..queries).step_by(PER_SOCKET) {
        let mut socket = Socket::open(address).await?;
        for index in first..queries.min(first + PER_SOCKET) {
            let variables = json!({ "key": items::id(index) });
            let message = subscribe(index, QUERY, &variables);
            socket.send(&message).await?;
            socket.event().await?;
        }
        sockets.spawn(forward(socket, sender.clone()));
    }
    let mut latencies = Latencies::default();
    let mut connection = Connection::open(address).await?;
    let mut random = Random(0);
    for write in 1..=writes as u64 {
        let index = random.below(queries as u64) as usize;
        let body = items::update(index, write);
        let sent = Instant::now();
        let answer = connection.graphql(&body).await?;
        let answered = Instant::now();
        items::check(&answer)?;
        let event = timeout(EVENT_MAX, events.recv()).await;
        let event = event
            .context("no event came")?
            .context("no socket is left")?;
        ensure!(
            event.index == index && event.quantity == write,
            "an event of another write"
        );
        latencies.push(sent, answered, event.arrived);
        ensure!(sockets.try_join_next().is_none(), "a socket has ended");
    }
    Ok(latencies)
}

async fn forward(mut socket: Socket, sender: mpsc::UnboundedSender<Event>) -> Result<()> {
    loop {
        let event = socket.event().await?;
        let event = Event {
            arrived: Instant::now(),
            index: message_id(event)?,
            quantity: number_of(event, "quantity")?,
        };
        sender.send(event).context("nobody waits for events")?;
    }
}

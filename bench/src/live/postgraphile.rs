//! One live query by id, beside PostGraphile 4 with `--live`: from the acknowledged write to its event.
//!
//! PostGraphile follows PostgreSQL's log through `@graphile/subscriptions-lds` and wal2json, with its defaults. Both
//! servers run all the time, and are written in turns, one write after the other.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use thalweg_storage::conformance::postgres_server::{PostgresServer, StopMode};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use super::socket::{Socket, number_of};
use super::{EVENT_MAX, Latencies, items};
use crate::connection::{Connection, request};
use crate::server::Server;
use crate::table::{Table, number};
use crate::{Extent, peers};

const TABLE: &str = "
    CREATE SCHEMA shop;
    CREATE TABLE shop.items (id text PRIMARY KEY, name text, quantity int);
    INSERT INTO shop.items
        SELECT 'item-' || lpad(number::text, 7, '0'), 'Item ' || number, 0 FROM generate_series(0, 999) AS number;";
const ITEMS: usize = 1_000;

/// How a server is asked.
struct Dialect {
    name: &'static str,
    live: &'static str,
    update: &'static str,
}

const OURS: Dialect = Dialect {
    name: "Thalweg",
    live: "subscription Item($id: ID!) { item(id: $id) { id name quantity } }",
    update: "mutation Update($id: ID!, $quantity: Int) { updateItem(id: $id, patch: {quantity: $quantity}) { id } }",
};
const THEIRS: Dialect = Dialect {
    name: "– PostGraphile 4, PostgreSQL",
    live: "subscription Item($id: String!) { itemById(id: $id) { id name quantity } }",
    update: "mutation Update($id: String!, $quantity: Int) { \
             updateItemById(input: {id: $id, itemPatch: {quantity: $quantity}}) { clientMutationId } }",
};

struct Subject<'s> {
    dialect: Dialect,
    server: &'s Server,
    latencies: Latencies,
    written: u64,
}

/// Runs it and prints its table.
pub(super) fn run(binary: &Path, runtime: &Runtime, extent: Extent) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (rounds, writes) = extent.choose((5, 60), (2, 5));
    let database = PostgresServer::start_new()?;
    runtime.block_on(prepare(&database))?;
    let theirs = peers::postgraphile_4(&database.url()).context("PostGraphile 4")?;
    let ours = items::server(binary, scratch.path(), ITEMS)?;
    let mut subjects = [(OURS, &ours), (THEIRS, &theirs)].map(|(dialect, server)| Subject {
        dialect,
        server,
        latencies: Latencies::default(),
        written: 0,
    });
    for _ in 0..rounds {
        for subject in &mut subjects {
            runtime.block_on(subject.measure(writes))?;
        }
    }
    let mut table = Table::new(Latencies::HEAD);
    for subject in &subjects {
        let [sent_p50, sent_p99, answered_p50, answered_p99] = subject.latencies.cells();
        let name = subject.dialect.name.to_owned();
        table.row([name, sent_p50, sent_p99, answered_p50, answered_p99]);
    }
    table.print(&format!(
        "live, postgraphile: one live query by id, {} writes each",
        number((rounds * writes) as f64)
    ));
    Ok(())
}

/// Makes the table, and lets the server decode its log, which needs it to be started again.
async fn prepare(database: &PostgresServer) -> Result<()> {
    let client = connect(database).await?;
    client.batch_execute(TABLE).await?;
    client
        .batch_execute("ALTER SYSTEM SET wal_level = logical")
        .await?;
    drop(client);
    database.stop(StopMode::Fast)?;
    database.start()?;
    let client = connect(database).await?;
    let slot = "SELECT pg_create_logical_replication_slot('probe', 'wal2json'), \
                pg_drop_replication_slot('probe')";
    let decodes = client.batch_execute(slot).await;
    decodes.context("wal2json is missing; Debian has it: apt-get install postgresql-15-wal2json")
}

async fn connect(database: &PostgresServer) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(&database.url(), NoTls).await?;
    // It ends with the client, or with the server.
    tokio::spawn(connection);
    Ok(client)
}

impl Subject<'_> {
    async fn measure(&mut self, writes: usize) -> Result<()> {
        let mut socket = Socket::open(self.server.address()).await?;
        let id = items::id(0);
        let first = socket
            .subscribe(1, self.dialect.live, &json!({ "id": id }))
            .await?;
        ensure!(
            number_of(first, "quantity")? == self.written,
            "another item: {first}"
        );
        let mut connection = Connection::open(self.server.address()).await?;
        // The first writes warm up, and are not counted.
        let warm_up = 2;
        for turn in 0..writes + warm_up {
            self.written += 1;
            let variables: Value = json!({ "id": id, "quantity": self.written });
            let body = request(self.dialect.update, &variables);
            let sent = Instant::now();
            let answer = async {
                let answer = connection.graphql(&body).await?;
                anyhow::Ok((Instant::now(), answer))
            };
            let event = async {
                let event = timeout(EVENT_MAX, socket.event()).await;
                let event = event.context("no event came")??;
                anyhow::Ok((Instant::now(), number_of(event, "quantity")?))
            };
            let ((answered, answer), (arrived, told)) = tokio::try_join!(answer, event)?;
            items::check(&answer)?;
            ensure!(told == self.written, "an event of another write");
            if turn >= warm_up {
                self.latencies.push(sent, answered, arrived);
            }
            // Writes that come regularly would always find PostGraphile at the same point of its polling.
            tokio::time::sleep(Duration::from_millis(self.written * 37 % 101)).await;
        }
        Ok(())
    }
}

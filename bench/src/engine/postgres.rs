//! The probe transaction as a program on PostgreSQL would do it, and the engine on a store in PostgreSQL.
//!
//! The transaction is `SERIALIZABLE`, as the engine's are, and is run again when PostgreSQL refuses it as such. What can be
//! sent together is: two round trips each.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use thalweg_engine::{Engine, EngineOptions, Place, Retain};
use thalweg_storage::conformance::postgres_server::PostgresServer;
use thalweg_storage::{PostgresBackend, PostgresOptions, PostgresUrl};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use super::world::{Probe, Random, drive, json};

/// Names a server to use rather than one of our own.
const VARIABLE: &str = "THALWEG_TEST_POSTGRES";
const PEER_SCHEMA: &str = "bench_peer";
const STORE_SCHEMA: &str = "bench_store";

/// A server.
pub(super) struct Server {
    url: String,
    /// Stopped at the end, where it is ours.
    _own: Option<PostgresServer>,
}

impl Server {
    /// The one that the environment names, else one of our own; none where PostgreSQL is not installed.
    pub(super) fn find_or_start() -> Result<Option<Server>> {
        if let Ok(url) = std::env::var(VARIABLE) {
            return Ok(Some(Server { url, _own: None }));
        }
        if PostgresServer::programs().is_none() {
            return Ok(None);
        }
        let own = PostgresServer::start_new()?;
        Ok(Some(Server {
            url: own.url(),
            _own: Some(own),
        }))
    }

    async fn connect(&self) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Removes a schema that a run leaves or has left.
    fn clear(&self, runtime: &Runtime, schema: &str) -> Result<()> {
        runtime.block_on(async {
            let client = self.connect().await?;
            let drop = format!(
                "SET client_min_messages TO warning; DROP SCHEMA IF EXISTS {schema} CASCADE"
            );
            Ok(client.batch_execute(&drop).await?)
        })
    }
}

/// Tables for the probe transaction, and connections that run it.
pub(super) struct Postgres<'r> {
    server: &'r Server,
    runtime: &'r Runtime,
    documents: u64,
    sessions: Arc<Vec<Mutex<Session>>>,
}

type Parameter<'a> = &'a (dyn ToSql + Sync);

struct Session {
    client: Client,
    read: Statement,
    write: Statement,
    index: Statement,
}

impl<'r> Postgres<'r> {
    pub(super) fn filled(
        server: &'r Server,
        runtime: &'r Runtime,
        documents: u64,
        connections: usize,
    ) -> Result<Self> {
        server.clear(runtime, PEER_SCHEMA)?;
        let sessions = runtime.block_on(async {
            let client = server.connect().await?;
            let row = client.query_one("SHOW synchronous_commit", &[]).await?;
            let is_on = row.get::<_, &str>(0) == "on";
            ensure!(is_on, "synchronous_commit is not on");
            client.batch_execute(&prepare(documents)).await?;
            let mut sessions = Vec::new();
            for _ in 0..connections {
                sessions.push(Mutex::new(Session::open(server).await?));
            }
            anyhow::Ok(sessions)
        })?;
        Ok(Self {
            server,
            runtime,
            documents,
            sessions: Arc::new(sessions),
        })
    }

    /// Transactions a second.
    pub(super) fn drive(&self, committers: u64, time: Duration) -> Result<f64> {
        let (sessions, documents) = (Arc::clone(&self.sessions), self.documents);
        drive(self.runtime, committers, time, move |client, turn| {
            let sessions = Arc::clone(&sessions);
            async move {
                let session = sessions
                    .get(client as usize)
                    .context("a client has no connection")?;
                let random = Random::of(client, turn);
                session.lock().await.transact(random, documents).await
            }
        })
    }
}

impl Drop for Postgres<'_> {
    fn drop(&mut self) {
        // What is left is removed by the next run.
        let _ = self.server.clear(self.runtime, PEER_SCHEMA);
    }
}

fn prepare(documents: u64) -> String {
    let sample = json(0, 0).replace('\'', "''");
    format!(
        "CREATE SCHEMA {PEER_SCHEMA}; SET search_path TO {PEER_SCHEMA};
         CREATE TABLE documents (id text PRIMARY KEY, document jsonb NOT NULL);
         CREATE TABLE index_rows (value bigint, id text, PRIMARY KEY (value, id));
         INSERT INTO documents SELECT lpad(number::text, 10, '0'), '{sample}'::jsonb
             FROM generate_series(0, {documents} - 1) AS number;
         INSERT INTO index_rows SELECT number % 1000, lpad(number::text, 10, '0')
             FROM generate_series(0, {documents} - 1) AS number;
         ANALYZE documents; ANALYZE index_rows; CHECKPOINT"
    )
}

impl Session {
    async fn open(server: &Server) -> Result<Session> {
        let client = server.connect().await?;
        client
            .batch_execute(&format!("SET search_path TO {PEER_SCHEMA}"))
            .await?;
        Ok(Session {
            read: client
                .prepare("SELECT document::text FROM documents WHERE id = $1")
                .await?,
            write: client
                .prepare(
                    "INSERT INTO documents VALUES ($1, $2::text::jsonb) \
                     ON CONFLICT (id) DO UPDATE SET document = excluded.document",
                )
                .await?,
            index: client
                .prepare(
                    "INSERT INTO index_rows VALUES ($1, $2) \
                     ON CONFLICT (value, id) DO UPDATE SET value = excluded.value",
                )
                .await?,
            client,
        })
    }

    async fn transact(&self, random: Random, documents: u64) -> Result<()> {
        let (read, written) = random.probe(documents);
        loop {
            match self.attempt(read, written, random.0).await {
                Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => {
                    self.client.batch_execute("ROLLBACK").await?;
                }
                result => return Ok(result?),
            }
        }
    }

    async fn attempt(
        &self,
        read: u64,
        written: u64,
        count: u64,
    ) -> Result<(), tokio_postgres::Error> {
        let (read, written_id) = (format!("{read:010}"), format!("{written:010}"));
        let value = (written.wrapping_add(count) % 1000).cast_signed();
        let document = json(written, count);
        let client = &self.client;
        let (of_read, of_write, of_index): (
            [Parameter<'_>; 1],
            [Parameter<'_>; 2],
            [Parameter<'_>; 2],
        ) = ([&read], [&written_id, &document], [&value, &written_id]);
        let (begun, read) = tokio::join!(
            client.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE"),
            client.query_one(&self.read, &of_read),
        );
        begun?;
        read?;
        // After one that fails the next ones fail too, for that reason alone: the first tells why.
        let (written, indexed, committed) = tokio::join!(
            client.execute(&self.write, &of_write),
            client.execute(&self.index, &of_index),
            client.batch_execute("COMMIT"),
        );
        written?;
        indexed?;
        committed?;
        Ok(())
    }
}

/// The engine on a store in PostgreSQL.
pub(super) struct OnPostgres<'r> {
    server: &'r Server,
    pub(super) runtime: &'r Runtime,
    pub(super) probe: Probe,
}

impl<'r> OnPostgres<'r> {
    pub(super) fn filled(server: &'r Server, runtime: &'r Runtime, documents: u64) -> Result<Self> {
        server.clear(runtime, STORE_SCHEMA)?;
        let separator = if server.url.contains('?') { '&' } else { '?' };
        let url: PostgresUrl = format!("{}{separator}schema={STORE_SCHEMA}", server.url).parse()?;
        let store = PostgresBackend::open(&url, PostgresOptions::default())?;
        let engine = Engine::open(Arc::new(store), EngineOptions::default())?;
        // Its reads wait for a server, so they must not hold up the runtime.
        let place = Place::BlockingThread;
        Ok(Self {
            server,
            runtime,
            probe: Probe::filled(runtime, engine, place, documents, Retain::Forever)?,
        })
    }
}

impl Drop for OnPostgres<'_> {
    fn drop(&mut self) {
        self.probe.engine.close();
        // What is left is removed by the next run.
        let _ = self.server.clear(self.runtime, STORE_SCHEMA);
    }
}

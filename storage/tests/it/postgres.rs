//! PostgreSQL: the contract, and what a store must survive whose server is another process.
//!
//! The server is the one that `THALWEG_TEST_POSTGRES` names, or one of our own, started for this process. Each test
//! has a schema of its own, so they share it. Tests that stop a server always have their own.

mod conformance;
mod doubt;
mod faults;
mod leadership;
mod reading;

use std::fmt::Debug;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use thalweg_model::CommitTs;
use thalweg_storage::conformance::postgres_server::PostgresServer;
use thalweg_storage::{Backend, Batch, Head, PostgresBackend, PostgresOptions, PostgresUrl, Write};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// How long something that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The URL of the server that all tests share.
fn shared_server() -> String {
    static OWN: OnceLock<PostgresServer> = OnceLock::new();
    match std::env::var("THALWEG_TEST_POSTGRES") {
        Ok(url) => url,
        Err(_) => OWN
            .get_or_init(|| PostgresServer::start_new().unwrap())
            .url(),
    }
}

/// A schema on the shared server that nobody else uses, removed at the end.
struct Schema {
    server: String,
    name: String,
}

impl Schema {
    fn new() -> Self {
        Self::on(shared_server())
    }

    fn on(server: String) -> Self {
        static USED: AtomicU32 = AtomicU32::new(0);
        let number = USED.fetch_add(1, Ordering::Relaxed);
        let schema = Self {
            name: format!("test_{}_{number}", std::process::id()),
            server,
        };
        // What an earlier process of the same id may have left.
        schema.remove();
        schema
    }

    fn url(&self, parameters: &str) -> PostgresUrl {
        let separator = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{separator}schema={}{parameters}", self.server, self.name)
            .parse()
            .unwrap()
    }

    fn open(&self, options: PostgresOptions) -> PostgresBackend {
        PostgresBackend::open(&self.url(""), options).unwrap()
    }

    fn remove(&self) {
        self.sql(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name));
    }

    /// Runs statements beside the backend, and returns the first column of all rows.
    fn sql(&self, statements: &str) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.server, NoTls).await.unwrap();
            let driver = tokio::spawn(connection);
            let messages = client.simple_query(statements).await.unwrap();
            drop(client);
            driver.await.unwrap().unwrap();
            messages
                .iter()
                .filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("").to_owned()),
                    _ => None,
                })
                .collect()
        })
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // A test that fails may have stopped its server.
        if !std::thread::panicking() {
            self.remove();
        }
    }
}

fn put(key: &[u8], value: &[u8]) -> Write {
    Write::Put {
        key: key.to_vec(),
        value: value.to_vec(),
    }
}

fn batch(expected: Option<Head>, writes: Vec<Write>) -> Batch {
    let number = expected.map_or(1, |head| head.batch + 1);
    let head = Head {
        epoch: expected.map_or(1, |head| head.epoch),
        commit_ts: CommitTs::from_micros(number),
        batch: number,
    };
    Batch {
        expected,
        head,
        writes,
    }
}

/// Commits on top of what is stored.
fn commit(store: &dyn Backend, writes: Vec<Write>) -> Head {
    let expected = store.snapshot().unwrap().head();
    let batch = batch(expected, writes);
    store.commit(&batch).unwrap();
    batch.head
}

/// Asks again and again until the answer is there.
fn eventually<T, E: Debug>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "{what}: {error:?}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

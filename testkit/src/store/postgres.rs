//! A store in PostgreSQL: a schema of its own on the server that `THALWEG_TEST_POSTGRES` names, removed at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use thalweg_storage::{Backend, PostgresBackend, PostgresOptions, PostgresUrl};
use tokio_postgres::NoTls;

use super::Store;

/// Names the server.
const VARIABLE: &str = "THALWEG_TEST_POSTGRES";

pub(super) struct PostgresStore {
    server: String,
    schema: String,
}

impl PostgresStore {
    pub(super) fn new() -> Result<PostgresStore> {
        static USED: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var(VARIABLE)
            .with_context(|| format!("{VARIABLE} must name a PostgreSQL server"))?;
        let number = USED.fetch_add(1, Ordering::Relaxed);
        let store = PostgresStore {
            server,
            schema: format!("sim_{}_{number}", std::process::id()),
        };
        // What an earlier process of the same id may have left.
        store.remove()?;
        Ok(store)
    }

    fn remove(&self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.server, NoTls).await?;
            let driver = tokio::spawn(connection);
            let statement = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema);
            client.batch_execute(&statement).await?;
            drop(client);
            driver.await??;
            Ok(())
        })
    }
}

impl Store for PostgresStore {
    fn open(&mut self) -> Result<Arc<dyn Backend>> {
        let separator = if self.server.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}schema={}", self.server, self.schema);
        let url: PostgresUrl = url.parse()?;
        let backend = PostgresBackend::open(&url, PostgresOptions::default())?;
        Ok(Arc::new(backend))
    }

    /// The server lives on, and has what it was told to commit.
    fn crash(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // A server that cannot be reached any more keeps the schema; there is nothing to be done about that.
        let _ = self.remove();
    }
}

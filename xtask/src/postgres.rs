//! The PostgreSQL server that tests use: the one that is given, or one that is started for as long as they run.

use std::process::Command;

use anyhow::{Context, Result};
use thalweg_storage::conformance::postgres_server::PostgresServer;

use crate::setup;

/// Names the server to all tests that need one.
const VARIABLE: &str = "THALWEG_TEST_POSTGRES";

/// A server for tests. Dropping it stops the server, unless that was given.
pub(crate) struct TestPostgres {
    /// `None` where the environment names one.
    own: Option<PostgresServer>,
}

impl TestPostgres {
    /// Starts a server, and installs PostgreSQL first if need be, unless the environment names one.
    pub(crate) fn start() -> Result<Self> {
        if std::env::var_os(VARIABLE).is_some() {
            return Ok(TestPostgres { own: None });
        }
        if PostgresServer::programs().is_none() {
            setup::install_postgres();
        }
        let server = PostgresServer::start_new().context("no PostgreSQL for the tests")?;
        println!("PostgreSQL for the tests: {}", server.url());
        Ok(TestPostgres { own: Some(server) })
    }

    /// Tells a command where the server is.
    pub(crate) fn name_to(&self, command: &mut Command) {
        if let Some(server) = &self.own {
            command.env(VARIABLE, server.url());
        }
    }
}

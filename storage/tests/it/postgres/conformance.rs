//! The contract, each property in a schema of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use thalweg_storage::conformance::{Fixture, PROPERTIES};
use thalweg_storage::{Backend, PostgresBackend, PostgresOptions};

use super::Schema;

/// Properties that are checked at once. One of them holds 60 snapshots, and a server gives out 100 connections.
const AT_ONCE: usize = 2;

struct Postgres {
    /// `None` only while it is reopened. Before the schema, which is removed when nobody uses it any more.
    backend: Option<Arc<PostgresBackend>>,
    schema: Schema,
}

impl Postgres {
    fn new() -> Self {
        let schema = Schema::new();
        Self {
            backend: Some(open(&schema)),
            schema,
        }
    }
}

fn open(schema: &Schema) -> Arc<PostgresBackend> {
    Arc::new(schema.open(PostgresOptions {
        snapshots_max: 64,
        ..PostgresOptions::default()
    }))
}

impl Fixture for Postgres {
    fn backend(&self) -> Arc<dyn Backend> {
        self.backend.clone().unwrap()
    }

    fn reopen(&mut self) -> bool {
        self.backend = None;
        self.backend = Some(open(&self.schema));
        true
    }
}

#[test]
fn the_postgres_backend_keeps_the_contract() {
    let next = AtomicUsize::new(0);
    let check_all = || {
        while let Some(property) = PROPERTIES.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Shown only when the test fails: the last line of each thread is what it worked on.
            println!("{}: {}", property.name, property.statement);
            (property.check)(&mut Postgres::new());
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(check_all);
        }
    });
    assert!(next.into_inner() > PROPERTIES.len());
}

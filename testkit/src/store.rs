//! Stores that are opened again after a crash.
//!
//! A [`Store`] is what outlives an engine. Adding a backend to the simulation is adding one line to [`StoreKind::new_store`].

mod embedded;
mod postgres;

use std::sync::Arc;

use anyhow::Result;
use thalweg_storage::{Backend, MemoryBackend};

use crate::random::Random;

use self::embedded::EmbeddedStore;
use self::postgres::PostgresStore;

/// Which backend a simulation runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// In memory: what is committed survives a crash, as if the disk were perfect.
    Memory,
    /// In a directory.
    Embedded,
    /// In PostgreSQL.
    Postgres,
}

impl StoreKind {
    /// A new, empty store. What it does by chance, `random` decides.
    pub fn new_store(self, random: Random) -> Result<Box<dyn Store>> {
        Ok(match self {
            StoreKind::Memory => Box::new(MemoryStore(Arc::new(MemoryBackend::new()))),
            StoreKind::Embedded => Box::new(EmbeddedStore::new(random)?),
            StoreKind::Postgres => Box::new(PostgresStore::new()?),
        })
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            StoreKind::Memory => "memory",
            StoreKind::Embedded => "embedded",
            StoreKind::Postgres => "postgres",
        }
    }
}

/// What outlives an engine.
pub trait Store {
    /// Opens the store. Whatever an earlier call gave has been dropped, or [`Store::crash`] was called since.
    fn open(&mut self) -> Result<Arc<dyn Backend>>;

    /// The process dies now: the next [`Store::open`] finds what would be left, even while the old backend lives on.
    fn crash(&mut self) -> Result<()>;
}

struct MemoryStore(Arc<MemoryBackend>);

impl Store for MemoryStore {
    fn open(&mut self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::clone(&self.0) as Arc<dyn Backend>)
    }

    fn crash(&mut self) -> Result<()> {
        Ok(())
    }
}

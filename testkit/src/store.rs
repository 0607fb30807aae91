//! Stores that are opened again after a crash.
//!
//! A [`Store`] is what outlives an engine. Adding a backend to the simulation is adding one line to [`StoreKind::new_store`].

mod postgres;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use anyhow::{Context, Result};
use tempfile::TempDir;
use thalweg_storage::{Backend, EmbeddedBackend, EmbeddedOptions, MemoryBackend};

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
    /// A new, empty store.
    pub fn new_store(self) -> Result<Box<dyn Store>> {
        Ok(match self {
            StoreKind::Memory => Box::new(MemoryStore(Arc::new(MemoryBackend::new()))),
            StoreKind::Embedded => Box::new(EmbeddedStore::new()?),
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

/// Opened in one directory after another: a crash goes on in a copy of the files as they are, which is what a killed
/// process leaves, and the old backend may close its own as it likes.
struct EmbeddedStore {
    scratch: TempDir,
    life: u32,
}

impl EmbeddedStore {
    fn new() -> Result<EmbeddedStore> {
        let scratch = tempfile::tempdir().context("cannot create a directory")?;
        Ok(EmbeddedStore { scratch, life: 0 })
    }

    fn directory(&self) -> PathBuf {
        self.scratch.path().join(self.life.to_string())
    }
}

impl Store for EmbeddedStore {
    fn open(&mut self) -> Result<Arc<dyn Backend>> {
        let options = EmbeddedOptions {
            // Many are opened one after the other, and each reserves address space.
            map_bytes_max: 1 << 30,
            ..EmbeddedOptions::default()
        };
        Ok(Arc::new(EmbeddedBackend::open(&self.directory(), options)?))
    }

    fn crash(&mut self) -> Result<()> {
        let old = self.directory();
        self.life += 1;
        copy(&old, &self.directory()).context("cannot copy the store")
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

//! A store in a directory, opened in one directory after another.
//!
//! A crash goes on in a copy of the files as they are, which is what a killed process leaves; the old backend may close its
//! own as it likes. Nothing may write them meanwhile, so a batch that is under way on another thread is waited for, and the
//! applier never acts by itself: now and then, after a batch, the tree is brought up to date by hand. A crash then finds
//! all, some or nothing of the log applied.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tempfile::TempDir;
use thalweg_storage::{
    Backend, Batch, CommitError, EmbeddedBackend, EmbeddedOptions, Snapshot, StorageError, Usage,
};

use crate::random::Random;

use super::Store;

/// How often the tree is brought up to date, in a thousand batches.
const DRAINS_IN_THOUSAND: usize = 50;

pub(super) struct EmbeddedStore {
    scratch: TempDir,
    life: u32,
    random: Random,
    /// Held while the files are written, and while they are copied.
    writing: Arc<Mutex<()>>,
}

impl EmbeddedStore {
    pub(super) fn new(random: Random) -> Result<EmbeddedStore> {
        let scratch = tempfile::tempdir().context("cannot create a directory")?;
        Ok(EmbeddedStore {
            scratch,
            life: 0,
            random,
            writing: Arc::default(),
        })
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
            // Small, so that one life fills several.
            log_segment_bytes_max: 64 << 10,
            apply_bytes: u64::MAX,
            apply_after: Duration::MAX,
            apply_idle: Duration::MAX,
            ..EmbeddedOptions::default()
        };
        let inner = EmbeddedBackend::open(&self.directory(), options)?;
        let random = Mutex::new(Random::new(self.random.number()));
        // A life of its own: whoever goes on writing the files of an earlier one writes no file that is copied again.
        self.writing = Arc::default();
        Ok(Arc::new(Drained {
            inner,
            random,
            writing: Arc::clone(&self.writing),
        }))
    }

    fn crash(&mut self) -> Result<()> {
        let _writing = self.writing.lock();
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

/// Brings the tree up to date after some batches.
struct Drained {
    inner: EmbeddedBackend,
    random: Mutex<Random>,
    writing: Arc<Mutex<()>>,
}

impl Backend for Drained {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        self.inner.snapshot()
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let _writing = self.writing.lock();
        self.inner.commit(batch)?;
        if self.random.lock().in_thousand(DRAINS_IN_THOUSAND) {
            // The batch is in the log whether or not this succeeds.
            let drained = self.inner.drain();
            drained.map_err(CommitError::Indeterminate)?;
        }
        Ok(())
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        self.inner.usage()
    }
}

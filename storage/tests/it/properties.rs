//! Both backends against the contract, a fresh store for each property.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use thalweg_storage::conformance::{self, Fixture, PROPERTIES};
use thalweg_storage::{Backend, EmbeddedBackend, EmbeddedOptions, MemoryBackend};

struct Memory(Arc<MemoryBackend>);

impl Fixture for Memory {
    fn backend(&self) -> Arc<dyn Backend> {
        self.0.clone()
    }

    fn reopen(&mut self) -> bool {
        self.0 = Arc::default();
        false
    }
}

struct Embedded {
    /// `None` only while it is reopened.
    backend: Option<Arc<EmbeddedBackend>>,
    directory: TempDir,
}

impl Embedded {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            backend: Some(open(directory.path())),
            directory,
        }
    }
}

impl Fixture for Embedded {
    fn backend(&self) -> Arc<dyn Backend> {
        self.backend.clone().unwrap()
    }

    fn reopen(&mut self) -> bool {
        self.backend = None;
        self.backend = Some(open(self.directory.path()));
        true
    }
}

fn open(path: &Path) -> Arc<EmbeddedBackend> {
    Arc::new(EmbeddedBackend::open(path, EmbeddedOptions::default()).unwrap())
}

#[test]
fn the_memory_backend_keeps_the_contract() {
    conformance::run(&|| Box::new(Memory(Arc::default())));
}

#[test]
fn the_embedded_backend_keeps_the_contract() {
    conformance::run(&|| Box::new(Embedded::new()));
}

#[test]
fn every_property_has_its_own_name() {
    let mut names: Vec<&str> = PROPERTIES.iter().map(|property| property.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), PROPERTIES.len());
    assert!(
        PROPERTIES
            .iter()
            .all(|property| !property.statement.is_empty())
    );
}

//! Both backends against the contract, a fresh store for each property.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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
    options: EmbeddedOptions,
}

impl Embedded {
    fn new(options: EmbeddedOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            backend: Some(open(directory.path(), options)),
            directory,
            options,
        }
    }
}

impl Fixture for Embedded {
    fn backend(&self) -> Arc<dyn Backend> {
        self.backend.clone().unwrap()
    }

    fn reopen(&mut self) -> bool {
        self.backend = None;
        self.backend = Some(open(self.directory.path(), self.options));
        true
    }
}

fn open(path: &Path, options: EmbeddedOptions) -> Arc<EmbeddedBackend> {
    Arc::new(EmbeddedBackend::open(path, options).unwrap())
}

#[test]
fn the_memory_backend_keeps_the_contract() {
    conformance::run(&|| Box::new(Memory(Arc::default())));
}

fn embedded_keeps_the_contract(options: EmbeddedOptions) {
    conformance::run(&|| Box::new(Embedded::new(options)));
}

#[test]
fn the_embedded_backend_keeps_the_contract() {
    embedded_keeps_the_contract(EmbeddedOptions::default());
}

#[test]
fn the_embedded_backend_keeps_the_contract_while_nothing_is_applied() {
    embedded_keeps_the_contract(EmbeddedOptions {
        apply_bytes: u64::MAX,
        apply_after: Duration::MAX,
        apply_idle: Duration::MAX,
        ..EmbeddedOptions::default()
    });
}

#[test]
fn the_embedded_backend_keeps_the_contract_applying_every_batch() {
    embedded_keeps_the_contract(EmbeddedOptions {
        apply_bytes: 0,
        ..EmbeddedOptions::default()
    });
}

#[test]
fn the_embedded_backend_keeps_the_contract_on_tiny_segments() {
    embedded_keeps_the_contract(EmbeddedOptions {
        log_segment_bytes_max: 16 << 10,
        ..EmbeddedOptions::default()
    });
}

#[test]
fn the_embedded_backend_keeps_the_contract_with_a_tiny_overlay() {
    embedded_keeps_the_contract(EmbeddedOptions {
        overlay_bytes_max: 64 << 10,
        apply_bytes: u64::MAX,
        apply_after: Duration::MAX,
        apply_idle: Duration::MAX,
        ..EmbeddedOptions::default()
    });
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

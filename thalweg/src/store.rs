//! Opening stores: the only place that names a backend.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use thalweg_engine::Engine;
use thalweg_storage::{
    Backend, EmbeddedBackend, EmbeddedOptions, MemoryBackend, PostgresBackend, PostgresOptions,
    PostgresUrl, StorageError,
};

use crate::cli::StoreUrl;
use crate::config::Settings;

/// How long the one reader may live that a whole store is read through.
const READER_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Opens a store to serve it.
pub(crate) fn open(settings: &Settings) -> anyhow::Result<Engine> {
    let backend: Arc<dyn Backend> = match &settings.store {
        StoreUrl::Memory => Arc::new(MemoryBackend::new()),
        StoreUrl::File(path) => Arc::new(open_embedded(path, settings.embedded)?),
        StoreUrl::Postgres(url) => Arc::new(open_postgres(url, settings.postgres)?),
    };
    Ok(Engine::open(backend, settings.engine.clone())?)
}

/// Opens a store to read all of it, or to fill it. Takes nothing over from a server that uses it.
pub(crate) fn open_whole(store: &StoreUrl) -> anyhow::Result<Arc<dyn Backend>> {
    Ok(match store {
        StoreUrl::Memory => Arc::new(MemoryBackend::new()),
        StoreUrl::File(path) => {
            let options = EmbeddedOptions {
                reader_lifetime_max: READER_LIFETIME,
                ..EmbeddedOptions::default()
            };
            Arc::new(open_embedded(path, options)?)
        }
        StoreUrl::Postgres(url) => {
            let options = PostgresOptions {
                reader_lifetime_max: READER_LIFETIME,
                ..PostgresOptions::default()
            };
            Arc::new(open_postgres(url, options)?)
        }
    })
}

/// Opens a store that must be there to read all of it.
pub(crate) fn open_existing(store: &StoreUrl) -> anyhow::Result<Arc<dyn Backend>> {
    if let StoreUrl::File(path) = store
        && !path.join("data").is_dir()
    {
        bail!("there is no store in {}", path.display());
    }
    open_whole(store)
}

/// Whether a store could not be opened because another process has it open.
pub(crate) fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<StorageError>(),
        Some(StorageError::Locked { .. })
    )
}

fn open_embedded(path: &Path, options: EmbeddedOptions) -> anyhow::Result<EmbeddedBackend> {
    let backend = EmbeddedBackend::open(path, options)
        .with_context(|| format!("cannot open the store in {}", path.display()))?;
    let recovery = backend.recovery();
    if recovery.batches > 0 || recovery.torn.is_some() {
        // It was not closed in peace, which an operator may want to know.
        eprintln!("{}: {recovery}", path.display());
    }
    Ok(backend)
}

fn open_postgres(url: &PostgresUrl, options: PostgresOptions) -> anyhow::Result<PostgresBackend> {
    PostgresBackend::open(url, options).with_context(|| {
        format!(
            "cannot open the store in PostgreSQL, schema {}",
            url.schema()
        )
    })
}

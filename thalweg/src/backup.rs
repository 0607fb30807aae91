//! `thalweg backup` and `thalweg restore`: a store in one file, and back, into whatever kind of store.
//!
//! A backup appears under its name only when it is complete. Of a data directory that a server has open, the server
//! makes it ([`crate::control`]); any other store is read here.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::Context;
use thalweg_engine::{BackupError, BackupSummary, ProvedBackup, inspect, write_stored};

use crate::cli::{BackupArguments, RestoreArguments, StoreUrl};
use crate::control;
use crate::store;

const BUFFER_BYTES: usize = 256 << 10;
/// How often a backup is begun that ends because a collection was emptied meanwhile.
const ATTEMPTS_MAX: u32 = 5;

/// Writes what the arguments ask for.
pub(crate) fn backup(arguments: &BackupArguments) -> anyhow::Result<()> {
    let store = arguments.store.url();
    let summary = if arguments.out.as_os_str() == "-" {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, stdout().lock());
        let summary = write(&store, &mut out)?;
        out.flush()?;
        summary
    } else {
        write_file(&store, &arguments.out)?
    };
    eprintln!("{}: {}", arguments.out.display(), describe(&summary));
    Ok(())
}

/// Restores what the arguments ask for.
pub(crate) fn restore(arguments: &RestoreArguments) -> anyhow::Result<()> {
    let name = arguments.file.display();
    let file = File::open(&arguments.file).with_context(|| format!("cannot open {name}"))?;
    let proved = ProvedBackup::prove(file).with_context(|| format!("cannot restore {name}"))?;
    let summary = *proved.summary();
    let store = arguments.store.url();
    let backend = store::open_whole(&store)?;
    proved
        .restore(&*backend)
        .with_context(|| format!("cannot restore {name} into {store}"))?;
    eprintln!("{store}: {}", describe(&summary));
    Ok(())
}

fn describe(summary: &BackupSummary) -> String {
    format!(
        "{} collections, {} documents, {} earlier images, as of commit {}",
        summary.collections, summary.documents, summary.earlier_images, summary.commit_ts,
    )
}

fn write_file(store: &StoreUrl, path: &Path) -> anyhow::Result<BackupSummary> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let result = write_partial(store, &partial).and_then(|summary| {
        fs::rename(&partial, path).with_context(|| format!("cannot create {}", path.display()))?;
        sync_directory(path)?;
        Ok(summary)
    });
    if result.is_err() {
        // Nothing to add if even that fails: the error that matters is the first.
        let _ = fs::remove_file(&partial);
    }
    result
}

fn write_partial(store: &StoreUrl, partial: &Path) -> anyhow::Result<BackupSummary> {
    let mut attempt = 1;
    loop {
        let file = File::create(partial)
            .with_context(|| format!("cannot create {}", partial.display()))?;
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        match write(store, &mut file) {
            Ok(summary) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.sync_all()?;
                return Ok(summary);
            }
            Err(error) if attempt < ATTEMPTS_MAX && was_overtaken(&error) => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Whether the state that was being read is gone, so that a newer one can be read instead.
fn was_overtaken(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<BackupError>(),
        Some(BackupError::GivenUp { .. } | BackupError::Overtaken { .. })
    )
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn write(store: &StoreUrl, out: &mut dyn Write) -> anyhow::Result<BackupSummary> {
    let opened = store::open_existing(store);
    match (store, opened) {
        (StoreUrl::File(data), Err(error)) if store::is_in_use(&error) => {
            let source = control::request_backup(data).map_err(|asked| error.context(asked))?;
            // Read as a backup on its way through, so a server that goes away is noticed.
            Ok(inspect(&mut Tee { source, out })?)
        }
        (_, opened) => Ok(write_stored(&*opened?, out)?),
    }
}

/// Writes what is read.
struct Tee<'o, R> {
    source: R,
    out: &'o mut dyn Write,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.out.write_all(&buffer[..read])?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;

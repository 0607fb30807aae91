//! Opening an LMDB environment: the map size that the system grants, and the one `unsafe` of the crate.

use std::io;
use std::path::Path;

use heed::{Env, EnvOpenOptions, WithoutTls};

use super::EmbeddedOptions;
use super::directory::Directory;
use super::failure::failure;
use crate::StorageError;

/// Readers may move between threads, so they are not tied to one.
pub(super) type Environment = Env<WithoutTls>;

const MIB: usize = 1 << 20;

/// A map smaller than this is not worth running with.
const MAP_BYTES_FALLBACK_MIN: usize = 16 * MIB;

/// Opens the environment in `data`, a subdirectory of the locked `directory`, with the largest map up to the
/// configured one that the system grants.
pub(super) fn open(
    directory: &Directory,
    data: &Path,
    options: &EmbeddedOptions,
) -> Result<Environment, StorageError> {
    let action = || format!("opening {}", data.display());
    let wanted = usize::try_from(options.map_bytes_max).unwrap_or(usize::MAX) / MIB * MIB;
    let wanted = wanted.max(MIB);
    let mut map_bytes = wanted;
    loop {
        match open_mapped(directory, data, map_bytes, options.snapshots_max) {
            // The limit was found by trying, and the heap lives under it too: leave it as much as the map takes.
            Ok(environment) if map_bytes < wanted => {
                drop(environment);
                return open_mapped(
                    directory,
                    data,
                    map_bytes / 2 / MIB * MIB,
                    options.snapshots_max,
                )
                .map_err(|error| failure(&action(), error));
            }
            Ok(environment) => return Ok(environment),
            Err(heed::Error::Io(error)) if error.kind() == io::ErrorKind::OutOfMemory => {
                if map_bytes / 2 < MAP_BYTES_FALLBACK_MIN {
                    return Err(StorageError::Unavailable {
                        reason: format!("{}: no address space to map it ({error})", action()),
                    });
                }
                map_bytes = map_bytes / 2 / MIB * MIB;
            }
            Err(error) => return Err(failure(&action(), error)),
        }
    }
}

/// Durable commits, no writable map, and read-ahead left on: pages are mostly read in ranges.
#[expect(
    unsafe_code,
    reason = "a memory map is only as sound as the file under it is left alone"
)]
fn open_mapped(
    _locked: &Directory,
    data: &Path,
    map_bytes: usize,
    snapshots_max: u32,
) -> heed::Result<Environment> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options
        .map_size(map_bytes)
        .max_readers(snapshots_max)
        .max_dbs(0);
    // SAFETY: the map is sound as long as nothing but this environment changes the file. Other processes that keep to
    // the protocol, and other backends of this process, are excluded by the lock that `_locked` proves, which its
    // owner keeps for as long as the environment is open; opening a path twice in one process is refused by heed.
    // LMDB's own locking and syncing are left on (no flag is set), the map is read-only to this process, and
    // `Env` is never resized. What remains is somebody who edits the file by hand, which no program survives.
    unsafe { options.open(data) }
}

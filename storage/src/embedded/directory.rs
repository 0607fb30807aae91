//! Exclusive use of the data directory, and names in it that survive a power loss.
//!
//! The lock is advisory and belongs to the open file, so it excludes a second use within the process as well as another
//! process, and the system releases it however the process ends. The pid in the file only serves the message.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::failure::io_failure;
use crate::StorageError;

/// A data directory that no other backend has open. Unlocked on drop.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    lock: File,
}

impl Directory {
    /// Creates the directory if need be, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, StorageError> {
        let existed = path.is_dir();
        fs::create_dir_all(path).map_err(|error| opening_failure(path, path, error))?;
        let path = path
            .canonicalize()
            .map_err(|error| io_failure(format!("resolving {}", path.display()), error))?;
        if let (false, Some(parent)) = (existed, path.parent()) {
            sync(parent)?;
        }
        let file = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(|error| opening_failure(&path, &file, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StorageError::Locked {
                    path,
                    pid: read_pid(&mut lock),
                });
            }
            Err(TryLockError::Error(error)) => {
                return Err(io_failure(format!("locking {}", file.display()), error));
            }
        }
        // On a full disk the store must still open for reading, and the pid is only for the message of others.
        let _ = write_pid(&mut lock);
        Ok(Self { path, lock })
    }

    /// The directory of the log, which may not exist yet.
    pub(super) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The directory of the B-tree: `create` fills it if it does not exist yet.
    ///
    /// It is filled under another name and then renamed, so a crash leaves a complete tree or none.
    pub(super) fn data(
        &self,
        create: impl FnOnce(&Path) -> Result<(), StorageError>,
    ) -> Result<PathBuf, StorageError> {
        let data = self.path.join("data");
        if data.exists() {
            return Ok(data);
        }
        let unfinished = self.path.join("data.new");
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_failure(
                    format!("removing {}", unfinished.display()),
                    error,
                ));
            }
            _ => {}
        }
        fs::create_dir(&unfinished)
            .map_err(|error| io_failure(format!("creating {}", unfinished.display()), error))?;
        create(&unfinished)?;
        sync(&unfinished)?;
        fs::rename(&unfinished, &data)
            .map_err(|error| io_failure(format!("creating {}", data.display()), error))?;
        sync(&self.path)?;
        Ok(data)
    }
}

impl Drop for Directory {
    /// Closing the file would not do: a process that is being spawned elsewhere shares it for a moment.
    fn drop(&mut self) {
        // Should it fail, the lock ends with the last copy of the file, as it does when the process dies.
        let _ = self.lock.unlock();
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync(directory: &Path) -> Result<(), StorageError> {
    let result = File::open(directory).and_then(|directory| directory.sync_all());
    match result {
        // Some filesystems keep directories durable by themselves and refuse the call.
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(io_failure(
            format!("syncing {}", directory.display()),
            error,
        )),
        _ => {
            #[cfg(test)]
            super::log::note_directory(directory);
            Ok(())
        }
    }
}

/// A store needs its directory even to be read: readers take part in the locking.
fn opening_failure(path: &Path, file: &Path, error: io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StorageError::Unavailable {
                reason: format!(
                    "{} must be writable, and this process may not write there ({error})",
                    path.display()
                ),
            }
        }
        _ => io_failure(format!("opening {}", file.display()), error),
    }
}

fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())
}

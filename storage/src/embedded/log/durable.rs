//! What a power loss leaves, for tests: the contents of each file as of its last sync, under the names as of the last
//! sync of the directory.
//!
//! A sync makes durable what was written since the last attempt, as the kernel does: what an attempt has failed to write counts
//! as clean after it. The worst case that the contract of `fsync` allows. It watches what the current thread syncs, once it was told to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::segment;

#[derive(Default)]
struct Durable {
    /// Contents by inode.
    files: BTreeMap<u64, Vec<u8>>,
    /// What was written and not synced: inode, offset and bytes.
    pending: Vec<(u64, u64, usize)>,
    /// The names in a directory, and the inodes that they name.
    directories: BTreeMap<PathBuf, BTreeMap<OsString, u64>>,
}

thread_local! {
    static DURABLE: RefCell<Option<Durable>> = const { RefCell::new(None) };
}

/// Begins to watch.
pub(super) fn watch() {
    DURABLE.set(Some(Durable::default()));
}

/// Notes that a file was written from the beginning and synced.
pub(super) fn note_creation(file: &File) {
    DURABLE.with_borrow_mut(|durable| {
        if let Some(durable) = durable {
            let inode = file.metadata().unwrap();
            let contents = read(file, 0, inode.len());
            durable.files.insert(inode.ino(), contents);
        }
    });
}

/// Notes that a part of a file was written.
pub(super) fn note_write(file: &File, offset: u64, bytes: usize) {
    DURABLE.with_borrow_mut(|durable| {
        if let Some(durable) = durable {
            let inode = file.metadata().unwrap().ino();
            durable.pending.push((inode, offset, bytes));
        }
    });
}

/// Notes that a file was synced.
pub(super) fn note_sync(file: &File) {
    DURABLE.with_borrow_mut(|durable| {
        if let Some(durable) = durable {
            let synced = file.metadata().unwrap().ino();
            let contents = durable.files.get_mut(&synced).unwrap();
            durable.pending.retain(|&(inode, offset, bytes)| {
                if inode == synced {
                    let written = read(file, offset, bytes as u64);
                    contents[offset as usize..][..bytes].copy_from_slice(&written);
                }
                inode != synced
            });
        }
    });
}

/// The kernel fails to write all that is pending, and has nobody to tell.
pub(super) fn fail_to_write_back() {
    DURABLE.with_borrow_mut(|durable| {
        if let Some(durable) = durable {
            durable.pending.clear();
        }
    });
}

fn read(file: &File, offset: u64, bytes: u64) -> Vec<u8> {
    let mut file = file.try_clone().unwrap();
    segment::read_at(&mut file, offset, bytes).unwrap()
}

/// Notes that the names in a directory were synced.
pub(in crate::embedded) fn note_directory(directory: &Path) {
    DURABLE.with_borrow_mut(|durable| {
        if let Some(durable) = durable {
            durable
                .directories
                .insert(directory.to_owned(), names(directory));
        }
    });
}

fn names(directory: &Path) -> BTreeMap<OsString, u64> {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name(), entry.metadata().unwrap().ino()))
        .collect()
}

/// Leaves in a directory what is durable of it.
pub(super) fn lose_power(directory: &Path) {
    let mut durable = DURABLE.take().unwrap();
    let kept = durable
        .directories
        .get(directory)
        .cloned()
        .unwrap_or_default();
    for name in names(directory).into_keys() {
        fs::remove_file(directory.join(name)).unwrap();
    }
    for (name, inode) in kept {
        let contents = durable.files.get(&inode).cloned().unwrap_or_default();
        let path = directory.join(name);
        fs::write(&path, contents).unwrap();
    }
    durable.pending.clear();
    // The inodes are new ones.
    for (name, inode) in names(directory) {
        durable
            .files
            .insert(inode, fs::read(directory.join(name)).unwrap());
    }
    DURABLE.set(Some(durable));
    note_directory(directory);
}

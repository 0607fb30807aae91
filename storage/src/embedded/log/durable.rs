//! What a power loss leaves, for tests: the contents of each file as of its last sync, under the names as of the last
//! sync of the directory.
//!
//! The worst case that the contract of `fsync` allows. It watches what the current thread syncs, once it was told to.

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

/// Notes that a file was synced.
pub(super) fn note_file(file: &File) {
    DURABLE.with_borrow_mut(|durable| {
        if let Some(durable) = durable {
            let inode = file.metadata().unwrap();
            let mut file = file.try_clone().unwrap();
            let contents = segment::read_at(&mut file, 0, inode.len()).unwrap();
            durable.files.insert(inode.ino(), contents);
        }
    });
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
    // The inodes are new ones.
    for (name, inode) in names(directory) {
        durable
            .files
            .insert(inode, fs::read(directory.join(name)).unwrap());
    }
    DURABLE.set(Some(durable));
    note_directory(directory);
}

//! What a failed write means, case by case, and that a sealed tree is still read.

use std::io;

use thalweg_model::CommitTs;

use super::*;

const EROFS: i32 = 30;
const ENOSPC: i32 = 28;

fn tree(directory: &Path) -> Tree {
    Tree::open(
        Directory::lock(directory).unwrap(),
        &EmbeddedOptions::default(),
        Arc::default(),
    )
    .unwrap()
}

fn batch(expected: Option<Head>, number: u64) -> Batch {
    let head = Head {
        epoch: 1,
        commit_ts: CommitTs::from_micros(number),
        batch: number,
    };
    let writes = vec![Write::Put {
        key: b"number".to_vec(),
        value: number.to_be_bytes().to_vec(),
    }];
    Batch {
        expected,
        head,
        writes,
    }
}

fn write(tree: &Tree, batch: &Batch) -> Result<(), CommitError> {
    tree.write(Change::Batch(batch), Position::default())
}

fn system(code: i32) -> heed::Error {
    heed::Error::Io(io::Error::from_raw_os_error(code))
}

/// Lets a write fail with `error`, and checks whether the tree takes the next one.
fn check(
    error: heed::Error,
    sync_failed: bool,
    expected: impl Fn(&StorageError) -> bool,
    writes_go_on: bool,
) {
    let directory = tempfile::tempdir().unwrap();
    let mut tree = tree(directory.path());
    write(&tree, &batch(None, 1)).unwrap();
    if sync_failed {
        // A handle that cannot be synced stands for one that reports a lost page.
        tree.witness = File::open("/dev/null").unwrap();
    }
    let description = format!("{error:?}, sync failed: {sync_failed}");
    match tree.settle(error) {
        CommitError::NotCommitted(error) => assert!(expected(&error), "{description}: {error:?}"),
        other => panic!("{description}: {other:?}"),
    }

    let next = write(&tree, &batch(Some(batch(None, 1).head), 2));
    match next {
        Ok(()) => assert!(writes_go_on, "{description}: written after a failed sync"),
        Err(CommitError::NotCommitted(StorageError::Unavailable { reason })) => {
            assert!(!writes_go_on, "{description}: {reason}");
            assert!(reason.contains("failed sync"), "{reason}");
        }
        Err(other) => panic!("{description}: {other:?}"),
    }
    let reader = tree.read().unwrap();
    let number = if writes_go_on { 2 } else { 1 };
    assert_eq!(
        tree.head(&reader).unwrap().unwrap().batch,
        number,
        "{description}"
    );
    drop(reader);

    // Reopening starts afresh from what is stored.
    drop(tree);
    let tree = self::tree(directory.path());
    write(&tree, &batch(Some(batch(None, number).head), 3)).unwrap();
}

#[test]
fn a_failed_write_stops_writing_only_if_a_sync_may_have_failed() {
    let full = |error: &StorageError| matches!(error, StorageError::Full { .. });
    let refused = |error: &StorageError| matches!(error, StorageError::Io { .. });
    check(heed::Error::Mdb(MdbError::MapFull), false, full, true);
    check(system(ENOSPC), false, full, true);
    check(system(EIO), false, full, true);
    check(system(ENOSPC), true, full, false);
    check(system(EIO), true, refused, false);
    check(system(EROFS), false, refused, false);
}

#[test]
fn the_first_reason_for_sealing_stands() {
    let directory = tempfile::tempdir().unwrap();
    let tree = tree(directory.path());
    let reason = || tree.seal.check().map_err(|error| error.to_string());
    assert_eq!(reason(), Ok(()));
    tree.settle(system(EROFS));
    let first = reason();
    tree.settle(system(ENOSPC));
    tree.seal.set(&"later");
    assert!(first.is_err());
    assert_eq!(reason(), first);
}

//! No more room: in the configured size, in a file, in the address space. Commits fail cleanly, reads go on.

use std::path::Path;
use std::process::Command;

use thalweg_model::{CommitTs, ErrorClass};
use thalweg_storage::{
    Backend, Batch, CommitError, EmbeddedBackend, EmbeddedOptions, Head, StorageError, Write,
};

use crate::child;

const MIB: u64 = 1 << 20;

/// A batch of about 64 kB under keys of its own.
fn batch(expected: Option<Head>) -> Batch {
    let number = expected.map_or(1, |head| head.batch + 1);
    let writes = (0..16_u8)
        .map(|part| Write::Put {
            key: [&number.to_be_bytes()[..], &[part]].concat(),
            value: vec![part; 4_000],
        })
        .collect();
    Batch {
        expected,
        head: Head {
            epoch: 1,
            commit_ts: CommitTs::from_micros(number),
            batch: number,
        },
        writes,
    }
}

/// Commits until the store is full, and returns the last head that fitted and the refusal.
fn fill(store: &EmbeddedBackend) -> (Head, CommitError) {
    let mut head = store.snapshot().unwrap().head();
    for _ in 0..100_000 {
        let batch = batch(head);
        match store.commit(&batch) {
            Ok(()) => head = Some(batch.head),
            Err(error) => return (head.unwrap(), error),
        }
    }
    panic!("the store never filled up");
}

fn assert_full(error: &CommitError) {
    assert!(
        matches!(error, CommitError::NotCommitted(StorageError::Full { .. })),
        "{error:?}"
    );
    assert_eq!(error.class(), ErrorClass::Unavailable);
}

/// Every batch up to `head` and nothing of the next.
fn assert_whole(store: &EmbeddedBackend, head: Head) {
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.head(), Some(head));
    for number in 1..=head.batch + 1 {
        for part in 0..16_u8 {
            let key = [&number.to_be_bytes()[..], &[part]].concat();
            let value = snapshot.get(&key).unwrap();
            let expected = (number <= head.batch).then(|| vec![part; 4_000]);
            assert_eq!(
                value.as_deref(),
                expected.as_deref(),
                "part {part} of batch {number}"
            );
        }
    }
}

#[test]
fn a_store_at_its_configured_size_refuses_commits_and_serves_reads() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        map_bytes_max: 4 * MIB,
        apply_bytes: MIB,
        ..EmbeddedOptions::default()
    };
    let store = EmbeddedBackend::open(directory.path(), options).unwrap();
    assert_eq!(store.map_bytes(), 4 * MIB);
    let (head, error) = fill(&store);
    assert_full(&error);
    assert!(head.batch > 20, "only {} batches fitted", head.batch);
    assert_whole(&store, head);
    assert_full(&store.commit(&batch(Some(head))).unwrap_err());
    assert!(data_bytes(directory.path()) <= 4 * MIB);
    assert_full(&CommitError::NotCommitted(store.drain().unwrap_err()));
    assert!(
        store.usage().is_ok(),
        "a full store must still say how full it is"
    );
    drop(store);

    let store = EmbeddedBackend::open(directory.path(), EmbeddedOptions::default()).unwrap();
    assert_whole(&store, head);
    let next = batch(Some(head));
    store.commit(&next).unwrap();
    assert_whole(&store, next.head);
}

/// What was acknowledged before the tree turned out to be too small is in the log until a larger map is granted.
#[test]
fn a_larger_map_at_the_next_opening_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let open = |map_bytes_max| {
        let options = EmbeddedOptions {
            map_bytes_max,
            apply_bytes: MIB,
            ..EmbeddedOptions::default()
        };
        EmbeddedBackend::open(directory.path(), options).unwrap()
    };
    let store = open(4 * MIB);
    assert!(store.writable().is_ok());
    let (head, error) = fill(&store);
    assert_full(&error);
    let is_full = |store: &EmbeddedBackend| {
        assert_full(&CommitError::NotCommitted(store.drain().unwrap_err()));
        assert_full(&CommitError::NotCommitted(store.writable().unwrap_err()));
        let delete = deletes_all(head);
        assert_full(&store.commit(&delete).unwrap_err());
        assert!(store.write_path().overlay_bytes > 0);
        assert_whole(store, head);
    };
    is_full(&store);
    drop(store);
    is_full(&open(4 * MIB));

    let store = open(8 * MIB);
    assert_whole(&store, head);
    store.drain().unwrap();
    assert!(store.writable().is_ok());
    assert_eq!(store.write_path().overlay_bytes, 0);
    assert_whole(&store, head);
    let deleted = deletes_all(head);
    store.commit(&deleted).unwrap();
    store.drain().unwrap();
    assert_eq!(store.snapshot().unwrap().head(), Some(deleted.head));
    assert!(
        store.usage().unwrap().bytes_live < MIB,
        "{:?}",
        store.usage()
    );
}

/// A batch that removes every row.
fn deletes_all(expected: Head) -> Batch {
    Batch {
        writes: vec![Write::DeleteRange {
            from: vec![0],
            to: vec![0xFF],
        }],
        ..batch(Some(expected))
    }
}

#[test]
fn the_reserved_map_takes_no_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedBackend::open(directory.path(), EmbeddedOptions::default()).unwrap();
    assert!(store.map_bytes() >= 16 * MIB);
    assert!(store.usage().unwrap().bytes_on_disk < MIB);
}

#[test]
#[ignore = "run by the test below, with a limit on the size of files"]
fn fill_a_file() {
    let directory = child::directory();
    let options = EmbeddedOptions {
        log_segment_bytes_max: MIB,
        ..EmbeddedOptions::default()
    };
    let store = EmbeddedBackend::open(&directory, options).unwrap();
    let (head, error) = fill(&store);
    assert_full(&error);
    for _ in 0..20 {
        assert_full(&store.commit(&batch(Some(head))).unwrap_err());
        assert_whole(&store, head);
    }
}

/// What a full disk does to a write, without a disk to fill: the write that crosses the limit is cut short, the next
/// ones fail.
#[test]
fn a_full_disk_refuses_commits_and_serves_reads() {
    let directory = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes: 4 MiB. The signal would kill the process instead.
    child::succeed(
        "exhaustion::fill_a_file",
        directory.path(),
        "trap '' XFSZ\nulimit -f 8192",
    );
    assert!(
        data_bytes(directory.path()) > 3 * MIB,
        "the limit was not what stopped it"
    );

    let store = EmbeddedBackend::open(directory.path(), EmbeddedOptions::default()).unwrap();
    let head = store.snapshot().unwrap().head();
    assert!(head.is_some_and(|head| head.batch > 20), "{head:?}");
    let next = batch(head);
    store.commit(&next).unwrap();
    assert_eq!(store.snapshot().unwrap().head(), Some(next.head));
}

#[test]
#[ignore = "run by the test below, with a limit on the size of files that it lifts"]
fn fill_a_file_and_make_room() {
    let directory = child::directory();
    let options = EmbeddedOptions {
        log_segment_bytes_max: MIB,
        ..EmbeddedOptions::default()
    };
    let store = EmbeddedBackend::open(&directory, options).unwrap();
    let (head, error) = fill(&store);
    assert_full(&error);
    assert_full(&CommitError::NotCommitted(store.drain().unwrap_err()));

    let lifted = Command::new("prlimit")
        .args([
            "--fsize=unlimited",
            "--pid",
            &std::process::id().to_string(),
        ])
        .status();
    assert!(lifted.unwrap().success());
    store.drain().unwrap();
    let next = batch(Some(head));
    store.commit(&next).unwrap();
    assert_whole(&store, next.head);
}

#[test]
fn a_store_that_was_full_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    child::succeed(
        "exhaustion::fill_a_file_and_make_room",
        directory.path(),
        "trap '' XFSZ\nulimit -S -f 8192",
    );
}

fn data_bytes(directory: &Path) -> u64 {
    directory
        .join("data")
        .join("data.mdb")
        .metadata()
        .unwrap()
        .len()
}

#[test]
#[ignore = "run by the test below, with a limit on the address space"]
fn open_with_little_address_space() {
    let directory = child::directory();
    let store = EmbeddedBackend::open(&directory, EmbeddedOptions::default()).unwrap();
    let map_bytes = store.map_bytes();
    assert!(
        (64 * MIB..1024 * MIB).contains(&map_bytes),
        "a map of {map_bytes} bytes under 1 GiB"
    );
    let mut head = None;
    for _ in 0..50 {
        let batch = batch(head);
        store.commit(&batch).unwrap();
        head = Some(batch.head);
    }
    assert_whole(&store, head.unwrap());
}

#[test]
fn a_limit_on_address_space_gives_a_smaller_map() {
    let directory = tempfile::tempdir().unwrap();
    child::succeed(
        "exhaustion::open_with_little_address_space",
        directory.path(),
        "ulimit -v 1048576",
    );
}

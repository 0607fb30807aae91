//! The embedded backend's own promises: exclusive use, format, reader lifetime, reuse of space.

use std::cell::Cell;
use std::fs;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::time::{Duration, Instant};

use thalweg_model::{CommitTs, ErrorClass};
use thalweg_storage::{
    Backend, Batch, Direction, EmbeddedBackend, EmbeddedOptions, Head, StorageError, Write,
};

use crate::child;

fn open(directory: &Path) -> Result<EmbeddedBackend, StorageError> {
    EmbeddedBackend::open(directory, EmbeddedOptions::default())
}

/// Commits on top of what is stored.
fn commit(store: &EmbeddedBackend, writes: Vec<Write>) {
    let expected = store.snapshot().unwrap().head();
    let batch = expected.map_or(1, |head| head.batch + 1);
    let head = Head {
        epoch: 1,
        commit_ts: CommitTs::from_micros(batch),
        batch,
    };
    store
        .commit(&Batch {
            expected,
            head,
            writes,
        })
        .unwrap();
}

fn put(key: &[u8], value: &[u8]) -> Write {
    Write::Put {
        key: key.to_vec(),
        value: value.to_vec(),
    }
}

#[test]
fn a_second_open_in_the_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    commit(&store, vec![put(b"a", b"1")]);
    let error = open(directory.path()).err().unwrap();
    assert!(
        matches!(error, StorageError::Locked { pid: Some(pid), .. } if pid == std::process::id())
    );
    assert_eq!(error.class(), ErrorClass::Unavailable);

    let snapshot = store.snapshot().unwrap();
    drop(store);
    assert!(
        matches!(open(directory.path()), Err(StorageError::Locked { .. })),
        "a snapshot is open"
    );
    drop(snapshot);
    assert!(open(directory.path()).is_ok());
}

#[test]
#[ignore = "the second process of the test below"]
fn expect_to_be_locked_out() {
    let directory = child::directory();
    let message = open(&directory).err().unwrap().to_string();
    let pid = fs::read_to_string(directory.join("pid")).unwrap();
    let expected = format!(
        "{} is in use by process {pid}: one process at a time may open a data directory",
        directory.display()
    );
    assert_eq!(message, expected);
}

#[test]
fn a_second_process_is_refused_and_told_by_whom() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    fs::write(path.join("pid"), std::process::id().to_string()).unwrap();
    let store = open(&path).unwrap();
    child::succeed("embedded::expect_to_be_locked_out", &path, "");
    drop(store);
    assert!(open(&path).is_ok());
}

/// Replaces the format marker, which no batch can name, in a store that is closed.
fn patch_format(directory: &Path, from: u32, to: u32) {
    let file = directory.join("data").join("data.mdb");
    let mut bytes = fs::read(&file).unwrap();
    let marker = [&b"\xFFformat"[..], &from.to_be_bytes()].concat();
    let mut found = 0;
    for start in 0..bytes.len() - marker.len() {
        if bytes[start..].starts_with(&marker) {
            bytes[start + 7..start + 11].copy_from_slice(&to.to_be_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "no marker in {}", file.display());
    fs::write(&file, bytes).unwrap();
}

#[test]
fn a_newer_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    commit(&open(directory.path()).unwrap(), vec![put(b"a", b"1")]);
    patch_format(directory.path(), 2, 3);
    let error = open(directory.path()).err().unwrap();
    assert!(
        matches!(
            error,
            StorageError::Format {
                found: 3,
                supported: 2
            }
        ),
        "{error:?}"
    );
    patch_format(directory.path(), 3, 2);
    assert!(
        open(directory.path()).is_ok(),
        "refusing must leave the store as it was"
    );
}

/// Stores of format 1 had no log, and no position in it.
#[test]
fn a_store_of_format_1_is_upgraded_in_place() {
    let directory = tempfile::tempdir().unwrap();
    commit(&open(directory.path()).unwrap(), vec![put(b"a", b"1")]);
    patch_format(directory.path(), 2, 1);
    fs::remove_dir_all(directory.path().join("log")).unwrap();

    let store = open(directory.path()).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.head().unwrap().batch, 1);
    assert_eq!(snapshot.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    drop(snapshot);
    commit(&store, vec![put(b"b", b"2")]);
    drop(store);

    patch_format(directory.path(), 2, 2);
    let store = open(directory.path()).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(snapshot.get(b"b").unwrap().as_deref(), Some(&b"2"[..]));
}

/// Looking at a page that was cut off must not end the process.
#[test]
fn a_store_that_was_cut_off_gives_errors() {
    let directory = tempfile::tempdir().unwrap();
    let rows = |store: &EmbeddedBackend| {
        let mut rows = 0;
        let (from, to) = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        let snapshot = store.snapshot()?;
        let visit = &mut |_: &[u8], value: std::borrow::Cow<'_, [u8]>| {
            rows += usize::from(value.len() == 3000);
            std::ops::ControlFlow::Continue(())
        };
        snapshot.scan(from, to, thalweg_storage::Direction::Forward, visit)?;
        Ok::<usize, StorageError>(rows)
    };
    {
        let store = open(directory.path()).unwrap();
        let many = (0..2000).map(|n| put(format!("{n:06}").as_bytes(), &[7; 3000]));
        commit(&store, many.collect());
        store.drain().unwrap();
        assert_eq!(rows(&store).unwrap(), 2000);
    }
    let file = directory.path().join("data").join("data.mdb");
    let whole = fs::metadata(&file).unwrap().len();
    for cut in [whole - 1, whole / 2, whole / 7, 8192] {
        fs::OpenOptions::new()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(cut)
            .unwrap();
        let seen = open(directory.path()).and_then(|store| rows(&store));
        assert!(
            !matches!(seen, Ok(2000)) || cut == whole - 1,
            "{cut} of {whole} bytes"
        );
    }
}

#[test]
fn a_damaged_store_is_refused_and_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    commit(&open(directory.path()).unwrap(), vec![put(b"a", b"1")]);
    let file = directory.path().join("data").join("data.mdb");
    let whole = fs::read(&file).unwrap();

    fs::write(&file, vec![7; whole.len()]).unwrap();
    assert!(matches!(
        open(directory.path()),
        Err(StorageError::Corrupt { .. })
    ));
    fs::write(&file, b"short").unwrap();
    assert!(matches!(
        open(directory.path()),
        Err(StorageError::Corrupt { .. })
    ));
    fs::remove_file(&file).unwrap();
    assert!(matches!(
        open(directory.path()),
        Err(StorageError::Corrupt { .. })
    ));
    assert!(
        !file.exists(),
        "an empty store must not take the place of a lost one"
    );

    fs::write(&file, whole).unwrap();
    let store = open(directory.path()).unwrap();
    assert_eq!(
        store.snapshot().unwrap().get(b"a").unwrap().as_deref(),
        Some(&b"1"[..])
    );
}

#[test]
fn an_unfinished_creation_is_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("data.new")).unwrap();
    fs::write(
        directory.path().join("data.new").join("data.mdb"),
        b"half a page",
    )
    .unwrap();
    let store = open(directory.path()).unwrap();
    assert_eq!(store.snapshot().unwrap().head(), None);
    assert!(!directory.path().join("data.new").exists());
}

#[test]
fn what_is_not_a_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = open(&file).err().unwrap();
    assert!(matches!(error, StorageError::Io { .. }), "{error:?}");
}

thread_local! {
    /// What the clock of the test on this thread shows, after [`BASE`].
    static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

static BASE: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);

fn test_clock() -> Instant {
    *BASE + ELAPSED.get()
}

fn advance(by: Duration) {
    ELAPSED.set(ELAPSED.get() + by);
}

fn with_test_clock() -> EmbeddedOptions {
    EmbeddedOptions {
        clock: test_clock,
        reader_lifetime_max: Duration::from_secs(5),
        ..EmbeddedOptions::default()
    }
}

#[test]
fn a_snapshot_expires() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedBackend::open(directory.path(), with_test_clock()).unwrap();
    commit(&store, vec![put(b"a", b"1")]);
    let old = store.snapshot().unwrap();
    advance(Duration::from_secs(4));
    let young = store.snapshot().unwrap();
    advance(Duration::from_secs(1));
    assert!(
        old.get(b"a").is_ok(),
        "it may be read for its whole lifetime"
    );
    let usage = store.usage().unwrap();
    assert_eq!(
        (usage.snapshots, usage.oldest_snapshot),
        (2, Some(Duration::from_secs(5)))
    );

    advance(Duration::from_millis(1));
    let error = old.get(b"a").unwrap_err();
    assert!(
        matches!(error, StorageError::SnapshotExpired { .. }),
        "{error:?}"
    );
    assert_eq!(error.class(), ErrorClass::Unavailable);
    let scan = old.scan(
        Bound::Unbounded,
        Bound::Unbounded,
        Direction::Forward,
        &mut |_, _| panic!("an expired snapshot shows nothing"),
    );
    assert!(matches!(scan, Err(StorageError::SnapshotExpired { .. })));
    assert_eq!(young.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    drop(old);
    assert_eq!(
        store.usage().unwrap().oldest_snapshot,
        Some(Duration::from_millis(1001))
    );
}

#[test]
fn a_snapshot_expires_within_a_scan() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedBackend::open(directory.path(), with_test_clock()).unwrap();
    commit(
        &store,
        (0..2_000_u32)
            .map(|key| put(&key.to_be_bytes(), b""))
            .collect(),
    );
    for direction in [Direction::Forward, Direction::Backward] {
        let snapshot = store.snapshot().unwrap();
        let mut rows = 0;
        let result = snapshot.scan(
            Bound::Unbounded,
            Bound::Unbounded,
            direction,
            &mut |_, _| {
                rows += 1;
                if rows == 700 {
                    advance(Duration::from_secs(6));
                }
                ControlFlow::Continue(())
            },
        );
        assert!(matches!(result, Err(StorageError::SnapshotExpired { .. })));
        assert!((700..1_000).contains(&rows), "{rows} rows were visited");
    }
}

#[test]
fn snapshots_are_limited_in_number_and_can_be_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        snapshots_max: 8,
        ..EmbeddedOptions::default()
    };
    let store = EmbeddedBackend::open(directory.path(), options).unwrap();
    let mut held: Vec<_> = (0..8).map(|_| store.snapshot().unwrap()).collect();
    let error = store.snapshot().err().unwrap();
    assert!(
        matches!(error, StorageError::Unavailable { .. }),
        "{error:?}"
    );
    assert_eq!(store.usage().unwrap_err().class(), ErrorClass::Unavailable);
    held.pop();
    assert!(store.snapshot().is_ok());
}

#[test]
fn space_is_reused_unless_a_snapshot_pins_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let rewrite = |times: u32| {
        for _ in 0..times {
            commit(
                &store,
                (0..200_u8).map(|key| put(&[key], &[key; 1000])).collect(),
            );
            store.drain().unwrap();
        }
        let tree = directory.path().join("data").join("data.mdb");
        tree.metadata().unwrap().len()
    };
    let settled = rewrite(20);
    assert_eq!(
        rewrite(60),
        settled,
        "rewriting the same keys must not grow the store"
    );
    let pin = store.snapshot().unwrap();
    let pinned = rewrite(60);
    assert!(
        pinned > 5 * settled,
        "{settled} bytes before, {pinned} with a pinned snapshot"
    );
    drop(pin);
    assert_eq!(rewrite(60), pinned, "what the snapshot held is free again");
}

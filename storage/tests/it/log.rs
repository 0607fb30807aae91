//! The log of the embedded backend: crashes at any moment, back-pressure, and what an operator is told.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;
use thalweg_model::CommitTs;
use thalweg_storage::{
    Backend, Batch, CommitError, Direction, EmbeddedBackend, EmbeddedOptions, Head, StorageError,
    Write,
};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Nothing is applied unless it is asked for, and segments are soon full.
fn paused() -> EmbeddedOptions {
    EmbeddedOptions {
        apply_bytes: u64::MAX,
        apply_after: Duration::MAX,
        apply_idle: Duration::MAX,
        log_segment_bytes_max: 64 << 10,
        ..EmbeddedOptions::default()
    }
}

fn open(directory: &Path) -> EmbeddedBackend {
    EmbeddedBackend::open(directory, paused()).unwrap()
}

fn head_of(store: &EmbeddedBackend) -> Option<Head> {
    store.snapshot().unwrap().head()
}

/// A batch on top of what is stored.
fn next(store: &EmbeddedBackend, writes: Vec<Write>) -> Batch {
    let expected = head_of(store);
    let batch = expected.map_or(1, |head| head.batch + 1);
    Batch {
        expected,
        head: Head {
            epoch: 1,
            commit_ts: CommitTs::from_micros(batch),
            batch,
        },
        writes,
    }
}

fn put(key: &[u8], value: &[u8]) -> Write {
    Write::Put {
        key: key.to_vec(),
        value: value.to_vec(),
    }
}

fn apply(map: &mut Map, write: &Write) {
    match write {
        Write::Put { key, value } => {
            map.insert(key.clone(), value.clone());
        }
        Write::Delete { key } => {
            map.remove(key);
        }
        Write::DeleteRange { from, to } => map.retain(|key, _| !(from <= key && key < to)),
    }
}

fn contents(store: &EmbeddedBackend) -> (Option<Head>, Map) {
    let snapshot = store.snapshot().unwrap();
    let mut rows = Map::new();
    snapshot
        .scan(
            Bound::Unbounded,
            Bound::Unbounded,
            Direction::Forward,
            &mut |key, value| {
                rows.insert(key.to_vec(), value.into_owned());
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    (snapshot.head(), rows)
}

/// Every file of a store but its lock, by its path within.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for part in ["data", "log"] {
        let Ok(entries) = fs::read_dir(directory.join(part)) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            // The table of readers belongs to the process.
            if !path.ends_with("lock.mdb") {
                let name = path.strip_prefix(directory).unwrap();
                files.insert(name.to_str().unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// A store whose files are as given: what another process finds after this one was killed.
fn crashed(files: &BTreeMap<String, Vec<u8>>) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for part in ["data", "log"] {
        fs::create_dir(directory.path().join(part)).unwrap();
    }
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

/// Part of a write: of the sectors that differ between two states of the files, those that `arrived` says. The header
/// of a new segment is synced before its first record.
fn torn(
    before: &BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
    arrived: &mut dyn FnMut() -> bool,
) -> BTreeMap<String, Vec<u8>> {
    const SECTOR: usize = 512;
    let mut files = after.clone();
    for (name, bytes) in &mut files {
        // A spare segment may be growing beside; it is as if it had been like this before.
        let mut old = before.get(name).cloned().unwrap_or_default();
        old.resize(bytes.len(), 0);
        let records = if name.starts_with("log/") {
            4096
        } else {
            bytes.len()
        };
        for start in (records.min(bytes.len())..bytes.len()).step_by(SECTOR) {
            let sector = start..(start + SECTOR).min(bytes.len());
            if bytes[sector.clone()] != old[sector.clone()] && !arrived() {
                bytes[sector.clone()].copy_from_slice(&old[sector]);
            }
        }
    }
    files
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Write>),
    Drain,
    Reopen,
    /// A crash now; then the store that is found goes on.
    Crash,
    /// A crash within the commit of these writes; the sectors that arrive are drawn from the number.
    CrashWithin(Vec<Write>, u64),
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let key = || (0..40_u8).prop_map(|byte| vec![b'k', byte]);
    let value = prop_oneof![
        4 => (any::<u8>(), 0..300_usize).prop_map(|(byte, bytes)| vec![byte; bytes]),
        1 => (any::<u8>(), 3_000..9_000_usize).prop_map(|(byte, bytes)| vec![byte; bytes]),
    ];
    let write = prop_oneof![
        6 => (key(), value).prop_map(|(key, value)| Write::Put { key, value }),
        2 => key().prop_map(|key| Write::Delete { key }),
        1 => (key(), key()).prop_map(|(from, to)| Write::DeleteRange { from, to }),
    ];
    prop::collection::vec(write, 0..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => writes().prop_map(Step::Commit),
        1 => Just(Step::Drain),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
        2 => (writes(), any::<u64>()).prop_map(|(writes, seed)| Step::CrashWithin(writes, seed)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever happens, the store is what the acknowledged batches make of it, and of the one under way all or nothing.
    #[test]
    fn crashes_lose_nothing_acknowledged_and_keep_nothing_half(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        let mut model = Map::new();
        let mut head = None;
        for step in steps {
            match step {
                Step::Commit(writes) => {
                    let batch = next(&store, writes);
                    store.commit(&batch).unwrap();
                    batch.writes.iter().for_each(|write| apply(&mut model, write));
                    head = Some(batch.head);
                }
                Step::Drain => store.drain().unwrap(),
                Step::Reopen => {
                    drop(store);
                    store = open(directory.path());
                    prop_assert_eq!(store.recovery().batches, 0, "a clean close leaves nothing behind");
                }
                Step::Crash => {
                    let found = crashed(&files(directory.path()));
                    drop(store);
                    directory = found;
                    store = open(directory.path());
                }
                Step::CrashWithin(writes, seed) => {
                    let before = files(directory.path());
                    let batch = next(&store, writes);
                    store.commit(&batch).unwrap();
                    let mut random = seed | 1;
                    let mut arrived = || {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        random % 4 != 0
                    };
                    let found = torn(&before, &files(directory.path()), &mut arrived);
                    drop(store);
                    directory = crashed(&found);
                    store = open(directory.path());
                    if head_of(&store) == Some(batch.head) {
                        batch.writes.iter().for_each(|write| apply(&mut model, write));
                        head = Some(batch.head);
                    }
                }
            }
            let (found, rows) = contents(&store);
            prop_assert_eq!(found, head);
            prop_assert_eq!(&rows, &model);
        }
    }
}

#[test]
fn what_was_read_back_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert_eq!(store.recovery().batches, 0);
    for number in 0..5_u8 {
        let batch = next(&store, vec![put(&[number], &[number; 100])]);
        store.commit(&batch).unwrap();
    }
    let mut found = files(directory.path());
    let copy = crashed(&found);
    let again = open(copy.path());
    let report = again.recovery();
    assert_eq!((report.batches, &report.torn), (5, &None));
    assert!(report.to_string().starts_with("5 batches"), "{report}");

    // The last record loses its end.
    let (name, log) = found
        .iter_mut()
        .find(|(name, _)| name.starts_with("log/"))
        .unwrap();
    let last = log
        .chunks(4096)
        .rposition(|block| block.starts_with(b"TWLR"))
        .unwrap();
    log[last * 4096 + 60..(last + 1) * 4096].fill(0);
    let name = name.clone();
    let copy = crashed(&found);
    let again = open(copy.path());
    let report = again.recovery().clone();
    let torn = report.torn.as_ref().unwrap();
    assert_eq!((report.batches, torn.offset), (4, last as u64 * 4096));
    assert!(torn.file.ends_with(&name), "{report}");
    assert!(report.to_string().contains("unfinished"), "{report}");
}

#[test]
fn a_damaged_log_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for number in 0..5_u8 {
        let batch = next(&store, vec![put(&[number], &[number; 100])]);
        store.commit(&batch).unwrap();
    }
    let mut found = files(directory.path());
    let (_, log) = found
        .iter_mut()
        .find(|(name, _)| name.starts_with("log/"))
        .unwrap();
    log[2 * 4096 + 50] ^= 1;
    let copy = crashed(&found);
    for _ in 0..2 {
        let error = EmbeddedBackend::open(copy.path(), paused()).err().unwrap();
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("(at byte 8192)"), "{error}");
    }
    let mut left = files(copy.path());
    left.retain(|name, _| found.contains_key(name));
    assert!(left == found, "a refused store must not be changed");
}

/// A batch that does not fit into the overlay makes the applier run, however lazy it is.
#[test]
fn a_full_overlay_holds_commits_back_until_it_is_applied() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        overlay_bytes_max: 256 << 10,
        ..paused()
    };
    let store = EmbeddedBackend::open(directory.path(), options).unwrap();
    for number in 0..200_u32 {
        let writes = vec![put(&number.to_be_bytes(), &[7; 10_000])];
        store.commit(&next(&store, writes)).unwrap();
        let waiting = store.write_path().overlay_bytes;
        assert!(waiting <= 256 << 10, "{waiting} bytes of overlay");
    }
    assert!(store.write_path().applied_layers >= 5);
    assert!(
        store.write_path().log_bytes < 2 << 20,
        "{:?}",
        store.write_path()
    );
    assert_eq!(contents(&store).1.len(), 200);
}

#[test]
fn an_old_snapshot_keeps_its_layers_through_applying() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store
        .commit(&next(&store, vec![put(b"a", b"1"), put(b"b", b"1")]))
        .unwrap();
    let old = store.snapshot().unwrap();
    store.commit(&next(&store, vec![put(b"a", b"2")])).unwrap();
    store.drain().unwrap();
    let writes = vec![Write::DeleteRange {
        from: b"a".to_vec(),
        to: b"z".to_vec(),
    }];
    store.commit(&next(&store, writes)).unwrap();
    let deleted = store.snapshot().unwrap();
    store.drain().unwrap();
    for key in [b"a", b"b"] {
        assert_eq!(old.get(key).unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(deleted.get(key).unwrap(), None);
    }
}

/// One snapshot keeps two layers at most, but snapshots of different ages keep all that came between them.
#[test]
fn commits_are_refused_while_snapshots_keep_too_much_memory() {
    const PINNED_BYTES_MAX: u64 = 256 << 10;
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        pinned_bytes_max: PINNED_BYTES_MAX,
        ..paused()
    };
    let store = EmbeddedBackend::open(directory.path(), options).unwrap();
    let commit =
        |number: u32| store.commit(&next(&store, vec![put(b"k", &[number as u8; 20_000])]));
    let mut snapshots = Vec::new();
    let error = loop {
        let number = snapshots.len() as u32;
        assert!(number < 100, "never refused: {:?}", store.write_path());
        match commit(number) {
            Ok(()) => snapshots.push(store.snapshot().unwrap()),
            Err(error) => break error,
        }
        store.drain().unwrap();
    };
    assert!(
        matches!(&error, CommitError::NotCommitted(StorageError::Unavailable { reason }) if reason.contains("open snapshots")),
        "{error:?}"
    );
    assert!(store.writable().is_err());
    let pinned = store.write_path().pinned_bytes;
    assert!(
        pinned > PINNED_BYTES_MAX && pinned <= PINNED_BYTES_MAX + (64 << 10),
        "{pinned} bytes"
    );
    for (number, snapshot) in snapshots.iter().enumerate() {
        let value = snapshot.get(b"k").unwrap();
        assert_eq!(value.as_deref(), Some(&[number as u8; 20_000][..]));
    }

    // One of them makes room again, all of them all of it.
    snapshots.pop();
    commit(200).unwrap();
    drop(snapshots);
    assert!(store.writable().is_ok());
    assert_eq!(store.write_path().pinned_bytes, 0);
}

/// Larger than what is logged: it goes into the tree directly, and the log goes on after it.
#[test]
fn huge_batches_go_around_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut model = Map::new();
    for round in 0..6_u8 {
        let small = vec![put(b"small", &[round]), put(&[b's', round], b"")];
        let huge = vec![
            put(b"huge", &vec![round; 500_000]),
            put(&[b'h', round], b""),
        ];
        for writes in [small, huge] {
            writes.iter().for_each(|write| apply(&mut model, write));
            store.commit(&next(&store, writes)).unwrap();
        }
        assert_eq!(store.write_path().overlay_bytes, 0);
    }
    let last = vec![put(b"small", b"last")];
    last.iter().for_each(|write| apply(&mut model, write));
    store.commit(&next(&store, last)).unwrap();
    assert_eq!(contents(&store).1, model);
    let copy = crashed(&files(directory.path()));
    let again = open(copy.path());
    assert_eq!(again.recovery().batches, 1);
    assert_eq!(contents(&again), contents(&store));
}

/// It waits for what was committed before, not for what comes meanwhile.
#[test]
fn draining_ends_while_commits_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0_u64;
            while !done.load(Ordering::Relaxed) {
                let writes = vec![put(&written.to_be_bytes(), b"")];
                store.commit(&next(&store, writes)).unwrap();
                written += 1;
            }
            written
        });
        for _ in 0..5 {
            store.drain().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        let written = writer.join().unwrap();
        assert_eq!(contents(&store).1.len() as u64, written);
    });
}

/// Not even the administrator may create anything there.
#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_cannot_be_written_is_refused_in_words() {
    let error = EmbeddedBackend::open(Path::new("/sys/thalweg"), paused())
        .err()
        .unwrap();
    assert!(
        matches!(error, StorageError::Unavailable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("must be writable"), "{error}");
}

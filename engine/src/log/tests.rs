use std::ops::{Bound, ControlFlow};

use proptest::prelude::*;
use thalweg_model::{Document, DocumentId};
use thalweg_storage::{Backend, Batch, Head, MemoryBackend};

use super::*;
use crate::record::{Record, SystemFields};

const A: CollectionId = CollectionId(16);

fn ts(micros: u64) -> CommitTs {
    CommitTs::from_micros(micros)
}

/// A commit at `at` that changed that many documents, written in the microsecond before.
fn commit_of(at: u64, documents: usize) -> Commit {
    let document = Document::parse(b"{}").unwrap();
    let changes = (0..documents).map(|index| {
        let id = DocumentId::new(&format!("{at}-{index:06}-{}", "x".repeat(100))).unwrap();
        let fields = SystemFields {
            id: id.clone(),
            commit_ts: ts(at - 1),
            created_at: at - 1,
            version: 1,
            deleted_at: None,
            expires_at: None,
            purge_at: None,
            on_expire: None,
            cause: None,
            author: None,
        };
        let after = SystemFields {
            commit_ts: ts(at),
            version: 2,
            ..fields.clone()
        };
        Change {
            collection: A,
            id,
            before: Some(Record::new(&fields, &document).into()),
            after: Some(Record::new(&after, &document).into()),
        }
    });
    Commit {
        ts: ts(at),
        changes: changes.collect(),
        emptied: Vec::new(),
        catalog: None,
    }
}

fn write(backend: &MemoryBackend, writes: Vec<Write>) {
    let expected = backend.snapshot().unwrap().head();
    let head = Head {
        epoch: 1,
        commit_ts: CommitTs::ZERO,
        batch: expected.map_or(0, |head| head.batch + 1),
    };
    let batch = Batch {
        expected,
        head,
        writes,
    };
    backend.commit(&batch).unwrap();
}

fn store(commits: &[Commit]) -> MemoryBackend {
    let backend = MemoryBackend::new();
    let mut writes = Vec::new();
    for commit in commits {
        write_commit(commit, &Catalog::default(), Duration::ZERO, &mut writes);
    }
    write(&backend, writes);
    backend
}

fn keys_of(backend: &MemoryBackend, prefix: &[u8]) -> usize {
    let mut keys = 0;
    let snapshot = backend.snapshot().unwrap();
    snapshot
        .scan(
            Bound::Included(prefix),
            Bound::Excluded(&prefix_end(prefix).unwrap()),
            Direction::Forward,
            &mut |_, _| {
                keys += 1;
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    keys
}

/// The entries of the log with their chunks, and the earlier images.
fn keys(backend: &MemoryBackend) -> (usize, usize) {
    let entries = keys_of(backend, &keyspace::logs());
    let chunks = keys_of(backend, &keyspace::chunks_of_all(&keyspace::logs()));
    (entries + chunks, keys_of(backend, &keyspace::histories(A)))
}

fn trim_once(backend: &MemoryBackend, horizon: u64, changes_max: usize) -> (Trimmed, Vec<Write>) {
    trim_of(backend, horizon, changes_max, true)
}

fn trim_of(
    backend: &MemoryBackend,
    horizon: u64,
    changes_max: usize,
    goes_with_log: bool,
) -> (Trimmed, Vec<Write>) {
    let mut writes = Vec::new();
    let reader = backend.snapshot().unwrap();
    let goes = |_| goes_with_log;
    let trimmed = trim(
        &*reader,
        &Catalog::default(),
        (CommitTs::ZERO, ts(horizon)),
        changes_max,
        &goes,
        &mut writes,
    )
    .unwrap();
    (trimmed, writes)
}

#[test]
fn images_that_are_kept_stay_when_their_log_entries_go() {
    let backend = store(&[commit_of(10, 2), commit_of(20, 1)]);
    let (trimmed, writes) = trim_of(&backend, 100, 1000, false);
    assert_eq!(trimmed.up_to, Some(ts(20)));
    write(&backend, writes);
    assert_eq!(keys(&backend), (0, 3));
}

#[test]
fn trimming_erases_entries_and_images_up_to_the_horizon() {
    let backend = store(&[commit_of(10, 2), commit_of(20, 1), commit_of(30, 3)]);
    let (trimmed, writes) = trim_once(&backend, 30, 1000);
    assert_eq!(trimmed.up_to, Some(ts(20)));
    assert!(!trimmed.is_stuck);
    let ranges = writes
        .iter()
        .filter(|write| matches!(write, Write::DeleteRange { .. }));
    assert_eq!(ranges.count(), 1, "one for all entries, none for chunks");
    write(&backend, writes);
    assert_eq!(keys(&backend), (1, 3), "the last commit's entry and images");
    let marked = history::read_ts(&*backend.snapshot().unwrap(), &keyspace::images_trimmed(A));
    assert_eq!(marked.unwrap(), ts(20));
    let (trimmed, writes) = trim_once(&backend, 30, 1000);
    assert_eq!((trimmed, writes), (Trimmed::default(), Vec::new()));
}

#[test]
fn a_long_entry_counts_with_all_its_changes() {
    let long = 10_000;
    let backend = store(&[commit_of(10, 1), commit_of(20, long), commit_of(30, 1)]);
    let (trimmed, writes) = trim_once(&backend, 100, 256);
    assert_eq!(trimmed.up_to, Some(ts(10)), "the second alone is too much");
    write(&backend, writes);
    let (trimmed, writes) = trim_once(&backend, 100, 256);
    assert_eq!(trimmed.up_to, Some(ts(20)), "but one has to go");
    write(&backend, writes);
    assert_eq!(keys(&backend), (1, 1), "no chunk of the long entry is left");
}

#[test]
fn trimming_stops_at_a_corrupt_entry() {
    let backend = store(&[commit_of(10, 1), commit_of(20, 1), commit_of(30, 1)]);
    for corrupt in [&b"\x01\x00\x00\x00\x09rest"[..], b"\x02reference", b""] {
        let writes = vec![Write::Put {
            key: keyspace::log(ts(20)),
            value: corrupt.to_vec(),
        }];
        write(&backend, writes);
        let (trimmed, _) = trim_once(&backend, 100, 1000);
        let stuck = Trimmed {
            up_to: Some(ts(10)),
            is_stuck: true,
        };
        assert_eq!(trimmed, stuck, "{corrupt:?}");
    }
    let mut key = keyspace::logs();
    key.push(0);
    write(
        &backend,
        vec![Write::Put {
            key,
            value: vec![1],
        }],
    );
    let (trimmed, writes) = trim_once(&backend, 100, 1000);
    assert!(trimmed.is_stuck && trimmed.up_to.is_none() && writes.is_empty());
}

#[test]
fn chunks_of_statistics_are_erased_only_where_there_are_some() {
    let long = Statistics {
        is_long: true,
        ..Statistics::default()
    };
    let mut statistics = long.emptied(ts(1));
    let mut ranges = || {
        let mut writes = Vec::new();
        write_statistics(A, &mut statistics, &mut writes);
        let ranges = writes
            .iter()
            .filter(|write| matches!(write, Write::DeleteRange { .. }));
        ranges.count()
    };
    assert_eq!(ranges(), 1, "those of before");
    assert_eq!(ranges(), 0);
}

proptest! {
    /// Whatever the bytes are, an entry is decoded or it is not; and what is decoded gives all of its changes.
    #[test]
    fn arbitrary_bytes_do_no_harm(
        at in 0..100usize,
        byte in any::<u8>(),
        length in 0..400usize,
    ) {
        let mut bytes = entry::encode(&commit_of(10, 2));
        prop_assert_eq!(Entry::decode(&bytes).unwrap().changes().count(), 2);
        bytes.truncate(length);
        prop_assert_eq!(Entry::decode(&bytes).is_some(), length >= entry::encode(&commit_of(10, 2)).len());
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        if let Some(entry) = Entry::decode(&bytes) {
            prop_assert!(entry.changes().count() <= 2);
        }
    }
}

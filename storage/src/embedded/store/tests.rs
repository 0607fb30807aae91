//! What no caller can time: an applier that dies under those who wait for it, a tree that overtakes what is published.

use std::thread;

use thalweg_model::CommitTs;

use super::*;
use crate::embedded::{applier, open_store};
use crate::{Snapshot, Write};

/// Room for one batch in the overlay, and not for two.
fn open(directory: &tempfile::TempDir) -> Arc<Store> {
    let options = EmbeddedOptions {
        overlay_bytes_max: 10 << 10,
        ..EmbeddedOptions::default()
    };
    open_store(directory.path(), &options).unwrap().0
}

fn head(number: u64) -> Head {
    Head {
        epoch: 1,
        commit_ts: CommitTs::from_micros(number),
        batch: number,
    }
}

fn batch(number: u64) -> Batch {
    Batch {
        expected: (number > 1).then(|| head(number - 1)),
        head: head(number),
        writes: vec![Write::Put {
            key: number.to_be_bytes().to_vec(),
            value: vec![1; 5000],
        }],
    }
}

fn at(sequence: u64) -> Position {
    Position {
        sequence,
        ..Position::default()
    }
}

#[test]
fn a_panic_of_the_applier_stops_the_store_and_wakes_everybody() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.commit(&batch(1)).unwrap();
    assert!(store.writable().is_ok());
    thread::scope(|scope| {
        let committed = scope.spawn(|| store.commit(&batch(2)));
        let drained = scope.spawn(|| store.drain());
        while store.state.lock().draining < 2 {
            thread::yield_now();
        }
        let applier = applier::spawn(Arc::clone(&store), |_| panic!("as a test wants it"));
        assert!(applier.unwrap().join().is_err());
        let stopped = |error: &StorageError| matches!(error, StorageError::Unavailable { reason } if reason.contains("panic"));
        match committed.join().unwrap() {
            Err(CommitError::NotCommitted(error)) => assert!(stopped(&error), "{error}"),
            other => panic!("{other:?}"),
        }
        assert!(stopped(&drained.join().unwrap().unwrap_err()));
        assert!(stopped(&store.writable().unwrap_err()));
    });
    // Reads go on, and nothing is lost.
    assert_eq!(store.snapshot().unwrap().head(), Some(head(1)));
    drop(store);
    assert_eq!(
        open(&directory).snapshot().unwrap().head(),
        Some(head(1)),
        "the log has it"
    );
}

#[test]
fn a_tree_that_is_ahead_of_what_is_published_is_not_read_under_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let change = batch(1);
    store.tree.write(Change::Batch(&change), at(1)).unwrap();
    // It will never be published, so looking again does not help.
    let error = store.snapshot().err().unwrap();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
}

#[test]
fn a_reader_whom_the_tree_overtakes_waits_for_what_is_published() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let change = batch(1);
    thread::scope(|scope| {
        // As a batch that goes around the log does.
        let mut state = store.state.lock();
        store.tree.write(Change::Batch(&change), at(1)).unwrap();
        let reader = scope.spawn(|| store.snapshot().map(|snapshot| snapshot.head()));
        while store.readers.summary().0 == 0 && !reader.is_finished() {
            thread::yield_now();
        }
        (state.base, state.last) = (at(1), at(1));
        state.head = Some(head(1));
        state.active = Layer::empty(at(1));
        store.publish(state);
        assert_eq!(reader.join().unwrap().unwrap(), Some(head(1)));
    });
}

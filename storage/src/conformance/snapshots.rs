//! Snapshots: each is one state, with its own head.

use std::thread;

use super::Fixture;
use super::script::{all, commit, contents, delete_range, get, open, put};

pub(super) fn a_snapshot_is_one_state_for_ever(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let mut kept = vec![(open(backend.as_ref()), Vec::new(), None)];
    for round in 0..60_u8 {
        let mut writes: Vec<_> = (0..50_u8).map(|key| put([key], vec![round; 200])).collect();
        writes.push(put([b'r', round], [round]));
        if round % 7 == 0 {
            writes.push(delete_range([20], [30]));
        }
        let head = commit(backend.as_ref(), writes);
        let snapshot = open(backend.as_ref());
        let rows = all(snapshot.as_ref());
        kept.push((snapshot, rows, Some(head)));
    }
    for (number, (snapshot, rows, head)) in kept.iter().enumerate() {
        assert_eq!(snapshot.head(), *head, "head of snapshot {number}");
        assert!(
            all(snapshot.as_ref()) == *rows,
            "snapshot {number} has changed"
        );
        let own = number
            .checked_sub(1)
            .map(|round| get(snapshot.as_ref(), [b'r', round as u8]));
        assert!(
            own.is_none_or(|own| own.is_some()),
            "snapshot {number} lacks its own batch"
        );
        assert_eq!(
            get(snapshot.as_ref(), [b'r', number as u8]),
            None,
            "it sees a later batch"
        );
    }
}

pub(super) fn a_snapshot_sees_every_earlier_commit(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    for round in 0..100_u32 {
        let head = commit(backend.as_ref(), vec![put("round", round.to_be_bytes())]);
        let from_elsewhere = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let snapshot = open(backend.as_ref());
                (snapshot.head(), get(snapshot.as_ref(), "round"))
            });
            reader.join().expect("the reader panicked")
        });
        assert_eq!(
            from_elsewhere,
            (Some(head), Some(round.to_be_bytes().to_vec()))
        );
    }
}

pub(super) fn a_snapshot_outlives_its_backend_handle(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let head = commit(backend.as_ref(), vec![put("a", "1")]);
    let snapshot = open(backend.as_ref());
    commit(backend.as_ref(), vec![put("a", "2")]);
    drop(backend);
    let read = thread::spawn(move || (snapshot.head(), get(snapshot.as_ref(), "a")));
    assert_eq!(
        read.join().expect("the reader panicked"),
        (Some(head), Some(b"1".to_vec()))
    );
}

pub(super) fn usage_follows_the_data(fixture: &mut dyn Fixture) {
    const BYTES: u64 = 8 << 20;
    let backend = fixture.backend();
    let usage = || match backend.usage() {
        Ok(usage) => usage,
        Err(error) => panic!("usage failed: {error:?}"),
    };
    let empty = usage();
    assert_eq!(empty.snapshots, 0);
    commit(
        backend.as_ref(),
        (0..BYTES / 1024)
            .map(|key| put(key.to_be_bytes(), vec![7; 1024]))
            .collect(),
    );
    let full = usage();
    assert!(
        full.bytes_live >= empty.bytes_live + BYTES,
        "{empty:?} before, {full:?} after"
    );
    assert!(full.bytes_on_disk >= full.bytes_live, "{full:?}");
    assert!(
        full.bytes_max
            .is_none_or(|bytes_max| full.bytes_on_disk <= bytes_max),
        "{full:?}"
    );

    let held = [open(backend.as_ref()), open(backend.as_ref())];
    assert_eq!(usage().snapshots, 2);
    drop(held);
    assert_eq!(usage().snapshots, 0);

    commit(backend.as_ref(), vec![delete_range("", [0xFF])]);
    assert_eq!(contents(backend.as_ref()), []);
    assert!(
        usage().bytes_live < empty.bytes_live + BYTES / 8,
        "{:?}",
        usage()
    );
}

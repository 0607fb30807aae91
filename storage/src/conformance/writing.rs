//! Batches: order within, ranges, size.

use super::Fixture;
use super::script::{Random, commit, contents, delete, delete_range, get, open, put, rows};

pub(super) fn later_writes_of_a_batch_win(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    commit(
        backend.as_ref(),
        vec![
            put("twice", "first"),
            put("gone", "x"),
            put("back", "x"),
            put("cleared", "x"),
            put("twice", "second"),
            delete("gone"),
            delete("back"),
            put("back", "again"),
            delete_range("c", "d"),
            put("d", "after the range"),
            put("c2", "put after its range was deleted"),
            delete("never there"),
        ],
    );
    assert_eq!(
        contents(backend.as_ref()),
        rows(&[
            (b"back", b"again"),
            (b"c2", b"put after its range was deleted"),
            (b"d", b"after the range"),
            (b"twice", b"second"),
        ])
    );
    commit(
        backend.as_ref(),
        vec![
            delete_range("", "z"),
            put("only", "1"),
            delete_range("only", "only"),
            delete("d"),
        ],
    );
    assert_eq!(contents(backend.as_ref()), rows(&[(b"only", b"1")]));
}

pub(super) fn a_range_delete_is_half_open(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let keys: Vec<Vec<u8>> = (0..20_u8)
        .flat_map(|first| [vec![first], vec![first, 0]])
        .collect();
    let highest = b"\xFE\xFF\xFF".to_vec();
    let cases: [(&[u8], &[u8]); 10] = [
        (&[5], &[7]),
        (&[5, 0], &[7, 0]),
        (&[5, 1], &[5, 2]),
        (&[], &[3]),
        (&[17], &[0xFF]),
        (&[17], &[0xFF, 0xFF, 0xFF]),
        (&[], &[0xFF]),
        (&[9], &[9]),
        (&[9], &[4]),
        (&[9], &[]),
    ];
    for (from, to) in cases {
        let mut writes = vec![delete_range([], [0xFF])];
        writes.extend(keys.iter().chain([&highest]).map(|key| put(key, "v")));
        commit(backend.as_ref(), writes);
        commit(backend.as_ref(), vec![delete_range(from, to)]);
        let left: Vec<Vec<u8>> = contents(backend.as_ref())
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        let expected: Vec<Vec<u8>> = keys
            .iter()
            .chain([&highest])
            .filter(|key| !(from <= key.as_slice() && key.as_slice() < to))
            .cloned()
            .collect();
        assert_eq!(left, expected, "after deleting {from:?} .. {to:?}");
    }
}

pub(super) fn deleting_what_is_absent_changes_nothing(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    commit(
        backend.as_ref(),
        vec![delete("a"), delete_range("", "\u{7f}")],
    );
    assert_eq!(contents(backend.as_ref()), []);
    commit(backend.as_ref(), vec![put("b", "1")]);
    commit(
        backend.as_ref(),
        vec![
            delete("a"),
            delete("c"),
            delete_range("c", "d"),
            delete_range("a", "b"),
        ],
    );
    assert_eq!(contents(backend.as_ref()), rows(&[(b"b", b"1")]));
}

pub(super) fn a_batch_without_writes_moves_the_head(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let first = commit(backend.as_ref(), Vec::new());
    assert_eq!(open(backend.as_ref()).head(), Some(first));
    commit(backend.as_ref(), vec![put("a", "1")]);
    let third = commit(backend.as_ref(), Vec::new());
    assert_eq!(open(backend.as_ref()).head(), Some(third));
    assert_eq!(contents(backend.as_ref()), rows(&[(b"a", b"1")]));
}

pub(super) fn large_batches_land_whole(fixture: &mut dyn Fixture) {
    const KEYS: u32 = 40_000;
    let backend = fixture.backend();
    let mut random = Random::new(7);
    let mut numbers: Vec<u32> = (0..KEYS).collect();
    for last in (1..numbers.len()).rev() {
        numbers.swap(last, random.below(last + 1));
    }
    let value = |number: u32| {
        let mut value = vec![number as u8; 400];
        value[..4].copy_from_slice(&number.to_be_bytes());
        value
    };
    let writes = numbers
        .iter()
        .map(|number| put(number.to_be_bytes(), value(*number)))
        .collect();
    commit(backend.as_ref(), writes);
    let found = contents(backend.as_ref());
    assert_eq!(found.len(), KEYS as usize);
    for (number, (key, found)) in (0..KEYS).zip(found) {
        assert_eq!(key, number.to_be_bytes());
        assert_eq!(found, value(number), "value of key {number}");
    }
    commit(
        backend.as_ref(),
        vec![delete_range(
            10_u32.to_be_bytes(),
            (KEYS - 10).to_be_bytes(),
        )],
    );
    assert_eq!(contents(backend.as_ref()).len(), 20);
    assert!(get(open(backend.as_ref()).as_ref(), 9_u32.to_be_bytes()).is_some());
    assert!(get(open(backend.as_ref()).as_ref(), 10_u32.to_be_bytes()).is_none());
}

//! Sizes of keys and values, and the keys that belong to the backend.

use std::ops::Bound;

use super::Fixture;
use super::script::{
    all, commit, contents, delete, delete_range, get, open, put, rows, scan, try_commit,
};
use crate::{
    CommitError, Direction, HEAD_KEY, KEY_BYTES_MAX, LimitError, RESERVED_PREFIX, StorageError,
    VALUE_BYTES_MAX, Write,
};

pub(super) fn keys_and_values_up_to_the_limits_are_kept(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let key_lengths = [1, 2, 31, 127, 255, 479, KEY_BYTES_MAX];
    let value_lengths = [
        0,
        1,
        100,
        2000,
        4095,
        4096,
        65_537,
        VALUE_BYTES_MAX - 1,
        VALUE_BYTES_MAX,
    ];
    let mut expected = Vec::new();
    for key_length in key_lengths {
        for (number, value_length) in value_lengths.into_iter().enumerate() {
            // The number comes last, so that keys of one length differ in their last byte only.
            let mut key = vec![b'k'; key_length];
            key[key_length - 1] = number as u8;
            expected.push((key, vec![number as u8; value_length]));
        }
    }
    for row in expected.chunks(9) {
        commit(
            backend.as_ref(),
            row.iter().map(|(key, value)| put(key, value)).collect(),
        );
    }
    expected.sort();
    let snapshot = open(backend.as_ref());
    for (key, value) in &expected {
        let found = get(snapshot.as_ref(), key);
        assert!(
            found.as_ref() == Some(value),
            "{} bytes under {} bytes",
            value.len(),
            key.len()
        );
    }
    assert!(
        all(snapshot.as_ref()) == expected,
        "the scan disagrees with the point reads"
    );
}

pub(super) fn what_exceeds_a_limit_is_refused_whole(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    commit(backend.as_ref(), vec![put("before", "1")]);
    let head = open(backend.as_ref()).head();
    let too_long = KEY_BYTES_MAX + 1;
    let cases: Vec<(Write, LimitError)> = vec![
        (put("", "v"), LimitError::EmptyKey),
        (delete(""), LimitError::EmptyKey),
        (
            put(vec![1; too_long], "v"),
            LimitError::KeyTooLong { bytes: too_long },
        ),
        (
            delete(vec![1; too_long]),
            LimitError::KeyTooLong { bytes: too_long },
        ),
        (
            put("k", vec![0; VALUE_BYTES_MAX + 1]),
            LimitError::ValueTooLong {
                bytes: VALUE_BYTES_MAX + 1,
            },
        ),
        (put([RESERVED_PREFIX], "v"), LimitError::ReservedKey),
        (put(HEAD_KEY, "v"), LimitError::ReservedKey),
        (delete(HEAD_KEY), LimitError::ReservedKey),
    ];
    for (write, expected) in cases {
        let result = try_commit(
            backend.as_ref(),
            vec![put("other", "2"), delete("before"), write],
        );
        match result {
            Err(CommitError::NotCommitted(StorageError::Limit(limit))) => {
                assert_eq!(limit, expected);
            }
            other => panic!("expected {expected:?}, got {other:?}"),
        }
        assert_eq!(
            contents(backend.as_ref()),
            rows(&[(b"before", b"1")]),
            "{expected:?}"
        );
        assert_eq!(open(backend.as_ref()).head(), head, "{expected:?}");
    }
}

pub(super) fn reserved_keys_stay_hidden(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    commit(backend.as_ref(), vec![put("a", "1"), put(b"\xFE\xFF", "2")]);
    let head = commit(
        backend.as_ref(),
        vec![delete_range([RESERVED_PREFIX], [RESERVED_PREFIX; 9])],
    );
    let snapshot = open(backend.as_ref());
    assert_eq!(snapshot.head(), Some(head));
    for key in [HEAD_KEY, &[RESERVED_PREFIX], &[RESERVED_PREFIX; 3]] {
        assert_eq!(get(snapshot.as_ref(), key), None);
    }
    for direction in [Direction::Forward, Direction::Backward] {
        for from in [
            Bound::Included(HEAD_KEY),
            Bound::Included(&[RESERVED_PREFIX]),
            Bound::Excluded(b"\xFE\xFF"),
        ] {
            for to in [
                Bound::Unbounded,
                Bound::Included(HEAD_KEY),
                Bound::Excluded(&[RESERVED_PREFIX; 9]),
            ] {
                assert_eq!(
                    scan(snapshot.as_ref(), from, to, direction),
                    [],
                    "{from:?} .. {to:?}"
                );
            }
        }
    }
    drop(snapshot);
    let head = commit(
        backend.as_ref(),
        vec![delete_range([], [RESERVED_PREFIX; 9])],
    );
    let snapshot = open(backend.as_ref());
    assert_eq!(all(snapshot.as_ref()), []);
    assert_eq!(
        snapshot.head(),
        Some(head),
        "a range delete must not remove the head"
    );
}

pub(super) fn bounds_of_any_length_are_honoured(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let longest = vec![b'm'; KEY_BYTES_MAX];
    let beyond = vec![b'm'; 10_000];
    let write_all = || vec![put("a", "1"), put(&longest, "2"), put("z", "3")];
    commit(backend.as_ref(), write_all());
    let snapshot = open(backend.as_ref());
    let keys = |from, to, direction| -> Vec<u8> {
        scan(snapshot.as_ref(), from, to, direction)
            .iter()
            .map(|(key, _)| key[0])
            .collect()
    };
    for bound in [
        Bound::Included(beyond.as_slice()),
        Bound::Excluded(beyond.as_slice()),
    ] {
        assert_eq!(keys(bound, Bound::Unbounded, Direction::Forward), b"z");
        assert_eq!(keys(bound, Bound::Unbounded, Direction::Backward), b"z");
        assert_eq!(keys(Bound::Unbounded, bound, Direction::Forward), b"am");
        assert_eq!(keys(Bound::Unbounded, bound, Direction::Backward), b"ma");
    }
    assert_eq!(get(snapshot.as_ref(), &beyond), None);
    assert_eq!(get(snapshot.as_ref(), ""), None);
    drop(snapshot);

    commit(backend.as_ref(), vec![delete_range(&beyond, "z")]);
    assert_eq!(contents(backend.as_ref()).len(), 3);
    commit(backend.as_ref(), vec![delete_range("b", &beyond)]);
    assert_eq!(
        contents(backend.as_ref()),
        rows(&[(b"a", b"1"), (b"z", b"3")])
    );
}

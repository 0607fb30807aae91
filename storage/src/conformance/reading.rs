//! Point reads and scans.

use std::borrow::Cow;
use std::ops::{Bound, ControlFlow};

use super::Fixture;
use super::script::{Row, all, commit, contents, delete, get, lies_between, open, put, rows, scan};
use crate::{Direction, FirstRows};

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Backward];

pub(super) fn an_empty_store_has_nothing(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let snapshot = open(backend.as_ref());
    assert_eq!(snapshot.head(), None);
    assert_eq!(get(snapshot.as_ref(), b"a"), None);
    for direction in DIRECTIONS {
        for from in [
            Bound::Unbounded,
            Bound::Included(&b"a"[..]),
            Bound::Excluded(&b"a"[..]),
        ] {
            for to in [
                Bound::Unbounded,
                Bound::Included(&b"b"[..]),
                Bound::Excluded(&b"b"[..]),
            ] {
                assert_eq!(
                    scan(snapshot.as_ref(), from, to, direction),
                    [],
                    "{from:?} .. {to:?}"
                );
            }
        }
    }
}

pub(super) fn many_keys_are_read_like_each_of_them(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    commit(
        backend.as_ref(),
        vec![put("a", "1"), put("b", "2"), put("ab", ""), put("c", "3")],
    );
    commit(backend.as_ref(), vec![delete("c")]);
    let snapshot = open(backend.as_ref());
    commit(backend.as_ref(), vec![put("b", "later"), put("d", "4")]);
    let keys = ["b", "a", "b", "", "c", "ab", "d", "\0"].map(|key| key.as_bytes().to_vec());
    let found = snapshot.get_many(&keys).expect("the store can be read");
    assert_eq!(found.len(), keys.len());
    for (key, value) in keys.iter().zip(found) {
        assert_eq!(
            value.map(Cow::into_owned),
            get(snapshot.as_ref(), key),
            "{key:?}"
        );
    }
    assert_eq!(snapshot.get_many(&[]).expect("nothing is read"), []);
}

pub(super) fn many_ranges_are_read_like_each_of_them(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let letters = ["a", "ab", "b", "c", "ca", "d"];
    commit(
        backend.as_ref(),
        letters.map(|key| put(key, format!("{key}!"))).to_vec(),
    );
    let snapshot = open(backend.as_ref());
    commit(backend.as_ref(), vec![put("aa", "later"), delete("b")]);
    let long = vec![b'b'; crate::KEY_BYTES_MAX + 1];
    let bounds: [(&[u8], &[u8]); 7] = [
        (b"", b"\xff\xff"),
        (b"a", b"c"),
        (b"c", b"a"),
        (b"b", b"b"),
        (b"ab\0", b"d"),
        (b"x", b"y"),
        (&long, b"d"),
    ];
    let mut ranges = Vec::new();
    for rows_max in [0, 1, 2, 100] {
        for direction in DIRECTIONS {
            ranges.extend(bounds.map(|(from, to)| FirstRows {
                from,
                to,
                direction,
                rows_max,
            }));
        }
    }
    // More than one exchange may carry.
    while ranges.len() < 3_000 {
        ranges.extend_from_within(..ranges.len().min(3_000 - ranges.len()));
    }
    let mut found: Vec<Vec<Row>> = vec![Vec::new(); ranges.len()];
    let mut last = 0;
    let seen = snapshot.scan_many(&ranges, &mut |number, key, value| {
        assert!(number >= last, "range by range");
        last = number;
        found[number].push((key.to_vec(), value.into_owned()));
    });
    seen.expect("the store can be read");
    for (range, found) in ranges.iter().zip(found) {
        let mut expected = scan(
            snapshot.as_ref(),
            Bound::Included(range.from),
            Bound::Excluded(range.to),
            range.direction,
        );
        expected.truncate(range.rows_max);
        assert_eq!(found, expected, "{range:?}");
    }
}

pub(super) fn a_put_is_read_back_until_it_is_deleted(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    commit(
        backend.as_ref(),
        vec![put("a", "1"), put("b", "2"), put("ab", "")],
    );
    commit(backend.as_ref(), vec![put("a", "3")]);
    let snapshot = open(backend.as_ref());
    assert_eq!(get(snapshot.as_ref(), "a"), Some(b"3".to_vec()));
    assert_eq!(get(snapshot.as_ref(), "b"), Some(b"2".to_vec()));
    assert_eq!(
        get(snapshot.as_ref(), "ab"),
        Some(Vec::new()),
        "an empty value is a value"
    );
    for absent in ["c", "aa", "abc", "\0", "a\0"] {
        assert_eq!(
            get(snapshot.as_ref(), absent),
            None,
            "{absent:?} was never put"
        );
    }
    drop(snapshot);
    commit(backend.as_ref(), vec![delete("a")]);
    let snapshot = open(backend.as_ref());
    assert_eq!(get(snapshot.as_ref(), "a"), None);
    assert_eq!(all(snapshot.as_ref()), rows(&[(b"ab", b""), (b"b", b"2")]));
    drop(snapshot);
    commit(backend.as_ref(), vec![put("a", "4")]);
    assert_eq!(
        get(open(backend.as_ref()).as_ref(), "a"),
        Some(b"4".to_vec())
    );
}

pub(super) fn scans_see_exactly_the_keys_between_their_bounds(fixture: &mut dyn Fixture) {
    let keys: [&[u8]; 9] = [
        b"\0",
        b"\0\0",
        b"a",
        b"a\0",
        b"a\0\0",
        b"a\x01",
        b"b",
        b"b\xFF",
        b"\xFE\xFF",
    ];
    let edges: [&[u8]; 12] = [
        b"",
        b"\0",
        b"\0\x01",
        b"a",
        b"a\0",
        b"aa",
        b"b",
        b"b\xFF",
        b"b\xFF\0",
        b"c",
        b"\xFE\xFF",
        b"\xFE\xFF\0",
    ];
    let backend = fixture.backend();
    commit(
        backend.as_ref(),
        keys.iter()
            .rev()
            .map(|key| put(key, [key, &b"!"[..]].concat()))
            .collect(),
    );
    let snapshot = open(backend.as_ref());

    let mut bounds = vec![Bound::Unbounded];
    for edge in edges {
        bounds.extend([Bound::Included(edge), Bound::Excluded(edge)]);
    }
    for &from in &bounds {
        for &to in &bounds {
            let mut expected: Vec<Row> = keys
                .iter()
                .filter(|key| lies_between(key, from, to))
                .map(|key| (key.to_vec(), [key, &b"!"[..]].concat()))
                .collect();
            let forward = scan(snapshot.as_ref(), from, to, Direction::Forward);
            assert_eq!(forward, expected, "forward, {from:?} .. {to:?}");
            expected.reverse();
            let backward = scan(snapshot.as_ref(), from, to, Direction::Backward);
            assert_eq!(backward, expected, "backward, {from:?} .. {to:?}");
        }
    }
}

pub(super) fn a_prefix_scan_sees_exactly_the_prefix(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let inside: [&[u8]; 4] = [b"p", b"p\0", b"p\xFE", b"p\xFF\xFF\xFF"];
    let outside: [&[u8]; 4] = [b"o", b"o\xFF\xFF", b"q", b"q\0"];
    commit(
        backend.as_ref(),
        inside
            .iter()
            .chain(&outside)
            .map(|key| put(key, "v"))
            .collect(),
    );
    let snapshot = open(backend.as_ref());
    for direction in DIRECTIONS {
        let mut found: Vec<Vec<u8>> = scan(
            snapshot.as_ref(),
            Bound::Included(b"p"),
            Bound::Excluded(b"q"),
            direction,
        )
        .into_iter()
        .map(|(key, _)| key)
        .collect();
        if direction == Direction::Backward {
            found.reverse();
        }
        assert_eq!(found, inside, "{direction:?}");
    }
}

pub(super) fn a_scan_stops_where_it_is_told(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    commit(
        backend.as_ref(),
        (0..100_u8).map(|key| put([key], [key])).collect(),
    );
    let snapshot = open(backend.as_ref());
    for (direction, expected) in [
        (Direction::Forward, [10, 11, 12]),
        (Direction::Backward, [99, 98, 97]),
    ] {
        let mut seen = Vec::new();
        let result = snapshot.scan(
            Bound::Included(&[10]),
            Bound::Unbounded,
            direction,
            &mut |key, _| {
                seen.extend_from_slice(key);
                if seen.len() == 3 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        );
        assert!(
            result.is_ok(),
            "a scan that is stopped is a scan that succeeded"
        );
        assert_eq!(seen, expected, "{direction:?}");
    }
    assert_eq!(all(snapshot.as_ref()).len(), 100);
}

pub(super) fn values_outlive_the_visit(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let write_all = |fill: u8| {
        (0..200_u8)
            .map(|key| put([key], [fill; 500]))
            .collect::<Vec<_>>()
    };
    commit(backend.as_ref(), write_all(1));
    let snapshot = open(backend.as_ref());
    let mut kept: Vec<Cow<'_, [u8]>> = Vec::new();
    let result = snapshot.scan(
        Bound::Unbounded,
        Bound::Unbounded,
        Direction::Forward,
        &mut |_, value| {
            kept.push(value);
            ControlFlow::Continue(())
        },
    );
    assert!(result.is_ok());
    for fill in 2..20 {
        commit(backend.as_ref(), write_all(fill));
    }
    assert_eq!(kept.len(), 200);
    assert!(
        kept.iter().all(|value| **value == [1; 500]),
        "a borrowed value has changed"
    );
    drop(kept);
    drop(snapshot);
    assert!(
        contents(backend.as_ref())
            .iter()
            .all(|(_, value)| *value == [19; 500])
    );
}

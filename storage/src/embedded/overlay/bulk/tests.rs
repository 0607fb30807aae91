//! What is gathered against what is inserted one by one.

use std::ops::Bound;

use proptest::prelude::*;
use thalweg_model::CommitTs;

use super::*;
use crate::embedded::overlay::Found;
use crate::{Batch, Direction, Head, Write};

fn record(writes: Vec<Write>) -> Record {
    Record::encode(&Batch {
        expected: None,
        head: Head {
            epoch: 1,
            commit_ts: CommitTs::from_micros(1),
            batch: 1,
        },
        writes,
    })
}

/// Keys that agree for long, that end where others go on with zeros, and that come again and again.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let end = prop::collection::vec(
        prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(0xFE)],
        0..20,
    );
    (
        0..4_usize,
        end,
        prop_oneof![Just(None), (0..6_u8).prop_map(Some)],
    )
        .prop_map(|(prefix, end, last)| {
            let prefix: &[u8] = [&b"d"[..], b"doc/users/", b"doc/users/index/", b"e"][prefix];
            let mut key = [prefix, &end].concat();
            key.extend(last);
            key
        })
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        12 => (key(), any::<[u8; 2]>()).prop_map(|(key, value)| Write::Put { key, value: value.to_vec() }),
        4 => key().prop_map(|key| Write::Delete { key }),
        1 => (key(), key()).prop_map(|(from, to)| Write::DeleteRange { from, to }),
    ]
}

fn rows(layer: &Layer, direction: Direction) -> Vec<(&[u8], Found<'_>)> {
    layer
        .range((Bound::Unbounded, Bound::Unbounded), direction)
        .collect()
}

fn assert_equal(one: &Layer, other: &Layer) {
    for direction in [Direction::Forward, Direction::Backward] {
        assert_eq!(rows(one, direction), rows(other, direction));
    }
    let (ranges, others) = (one.deleted_ranges(), other.deleted_ranges());
    assert_eq!(ranges.collect::<Vec<_>>(), others.collect::<Vec<_>>());
    assert_eq!(
        (one.bytes(), one.end(), one.is_empty()),
        (other.bytes(), other.end(), other.is_empty())
    );
}

fn check(batches: &[Vec<Write>], later: &[Vec<Write>]) {
    let start = Position::default();
    let (mut gathered, mut inserted) = (Gathered::new(start), Layer::empty(start));
    let mut end = start;
    for writes in batches {
        end.sequence += 1;
        gathered.insert(record(writes.clone()), end);
        inserted.insert(record(writes.clone()), end);
    }
    end.segment += 1;
    gathered.move_end(end);
    inserted.move_end(end);
    let mut layer = gathered.into_layer();
    assert_equal(&layer, &inserted);
    // It goes on as any other.
    for writes in later {
        end.sequence += 1;
        layer.insert(record(writes.clone()), end);
        inserted.insert(record(writes.clone()), end);
    }
    assert_equal(&layer, &inserted);
    for write in batches.iter().chain(later).flatten() {
        if let Write::Put { key, .. } | Write::Delete { key } = write {
            assert_eq!(layer.get(key), inserted.get(key), "{key:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_gathered_layer_is_the_inserted_one(
        batches in prop::collection::vec(prop::collection::vec(write(), 0..60), 0..12),
        later in prop::collection::vec(prop::collection::vec(write(), 0..20), 0..4),
    ) {
        check(&batches, &later);
    }
}

#[test]
fn keys_that_differ_late_or_not_at_all_are_sorted() {
    let put = |key: Vec<u8>, value: u32| Write::Put {
        key,
        value: value.to_be_bytes().to_vec(),
    };
    let mut random = 1_u32;
    let mut draw = |below: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % below
    };
    let numbers: Vec<u32> = (0..5_000).map(|_| draw(3_000)).collect();
    let long = |number: &u32| [&[7; 300][..], &number.to_be_bytes(), &[9; 100]].concat();
    let zeros = |number: &u32| vec![0; 1 + *number as usize % 400];
    let writes = numbers.iter().enumerate().flat_map(|(at, number)| {
        [
            put(long(number), at as u32),
            put(zeros(number), at as u32),
            put(b"the same".to_vec(), at as u32),
        ]
    });
    let writes: Vec<Write> = writes.collect();
    let batches: Vec<Vec<Write>> = writes.chunks(100).map(<[_]>::to_vec).collect();
    let (first, later) = batches.split_at(120);
    check(first, later);
}

//! The layers against plain maps, and the merge against the merged map.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use proptest::prelude::*;
use thalweg_model::CommitTs;

use super::*;
use crate::embedded::log::{Position, Record};
use crate::keyspace::{KeyRange, clip};
use crate::{Batch, Direction, Head, StorageError, Write};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn record(writes: Vec<Write>) -> Record {
    let head = Head {
        epoch: 1,
        commit_ts: CommitTs::from_micros(1),
        batch: 1,
    };
    Record::encode(&Batch {
        expected: None,
        head,
        writes,
    })
}

fn insert(layer: &mut Layer, writes: &[Write]) {
    let sequence = layer.end().sequence + 1;
    let end = Position {
        sequence,
        ..Position::default()
    };
    layer.insert(record(writes.to_vec()), end);
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

/// Few different keys, so that writes meet; some with a common prefix, some long.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..60_u8).prop_map(|byte| vec![byte]),
        2 => (0..8_u8, 0..8_u8).prop_map(|(one, two)| vec![one, two]),
        1 => (0..4_u8).prop_map(|byte| vec![byte; 480]),
    ]
}

fn bound() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => key(),
        1 => Just(Vec::new()),
        1 => (0..60_u8).prop_map(|byte| vec![byte; 600]),
        1 => Just(vec![0xFF]),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        6 => (key(), prop::collection::vec(any::<u8>(), 0..12))
            .prop_map(|(key, value)| Write::Put { key, value }),
        3 => key().prop_map(|key| Write::Delete { key }),
        2 => (bound(), bound()).prop_map(|(from, to)| Write::DeleteRange { from, to }),
    ]
}

fn batches() -> impl Strategy<Value = Vec<Vec<Write>>> {
    prop::collection::vec(prop::collection::vec(write(), 0..30), 0..8)
}

/// A plain map in the place of the tree.
struct Rows<'s> {
    map: &'s Map,
    rows: Box<dyn Iterator<Item = (&'s [u8], &'s [u8])> + 's>,
    direction: Direction,
}

impl<'s> Rows<'s> {
    fn new(map: &'s Map, range: KeyRange<'_>, direction: Direction) -> Self {
        let rows = map.range::<[u8], _>(range);
        let pair = |(key, value): (&'s Vec<u8>, &'s Vec<u8>)| (key.as_slice(), value.as_slice());
        Self {
            map,
            rows: match direction {
                Direction::Forward => Box::new(rows.map(pair)),
                Direction::Backward => Box::new(rows.rev().map(pair)),
            },
            direction,
        }
    }
}

impl<'s> TreeRows<'s> for Rows<'s> {
    fn next(&mut self) -> Result<Option<Row<'s>>, StorageError> {
        Ok(self.rows.next())
    }

    fn again(&self, range: KeyRange<'_>) -> Result<Self, StorageError> {
        Ok(Self::new(self.map, range, self.direction))
    }
}

fn scan(
    layers: &[Layer],
    tree: &Map,
    range: KeyRange<'_>,
    direction: Direction,
    rows_max: usize,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut seen = Vec::new();
    let rows = Rows::new(tree, range, direction);
    merge(layers, rows, range, direction, &mut |key, value| {
        seen.push((key.to_vec(), value.to_vec()));
        Ok(if seen.len() < rows_max {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    })
    .unwrap();
    seen
}

fn get(layers: &[Layer], tree: &Map, key: &[u8]) -> Option<Vec<u8>> {
    for layer in layers {
        match layer.get(key) {
            Found::Value(value) => return Some(value.to_vec()),
            Found::Deleted => return None,
            Found::Unknown => {}
        }
    }
    tree.get(key).cloned()
}

fn bounds() -> impl Strategy<Value = (Bound<Vec<u8>>, Bound<Vec<u8>>)> {
    let one = || {
        prop_oneof![
            bound().prop_map(Bound::Included),
            bound().prop_map(Bound::Excluded),
            Just(Bound::Unbounded)
        ]
    };
    (one(), one())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn two_layers_over_a_tree_are_what_the_writes_make_of_it(
        below in batches(),
        frozen in batches(),
        active in batches(),
        scans in prop::collection::vec((bounds(), 1..80_usize), 12),
    ) {
        let mut model = Map::new();
        below.iter().flatten().for_each(|write| apply(&mut model, write));
        let tree = model.clone();
        let mut layers = [Layer::empty(Position::default()), Layer::empty(Position::default())];
        // The older one is the second.
        for (layer, batches) in layers.iter_mut().rev().zip([&frozen, &active]) {
            for batch in batches {
                // A version that is shared must not change.
                let before = layer.clone();
                let seen = scan(std::slice::from_ref(&before), &tree, all(), Direction::Forward, usize::MAX);
                insert(layer, batch);
                batch.iter().for_each(|write| apply(&mut model, write));
                let again = scan(std::slice::from_ref(&before), &tree, all(), Direction::Forward, usize::MAX);
                prop_assert_eq!(seen, again);
            }
        }
        for (key, value) in &model {
            prop_assert_eq!(get(&layers, &tree, key), Some(value.clone()));
        }
        for key in tree.keys().filter(|key| !model.contains_key(*key)) {
            prop_assert_eq!(get(&layers, &tree, key), None);
        }
        for ((from, to), rows_max) in &scans {
            let Some(range) = clip(borrow(from), borrow(to)) else { continue };
            let expected: Vec<_> = model
                .range::<[u8], _>(range)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let forward = scan(&layers, &tree, range, Direction::Forward, *rows_max);
            prop_assert_eq!(&forward[..], &expected[..expected.len().min(*rows_max)]);
            let backward = scan(&layers, &tree, range, Direction::Backward, *rows_max);
            let reversed: Vec<_> = expected.into_iter().rev().take(*rows_max).collect();
            prop_assert_eq!(backward, reversed);
        }
    }
}

fn all() -> KeyRange<'static> {
    (Bound::Unbounded, Bound::Unbounded)
}

fn borrow(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// A name, and the key that comes at each turn.
type Order = (&'static str, fn(u32) -> u32);

/// Enough keys for three levels of branches, in several orders, read back in both directions from every place.
#[test]
fn large_layers_keep_their_order() {
    const KEYS: u32 = 20_000;
    let orders: [Order; 3] = [
        ("ascending", |number| number),
        ("descending", |number| KEYS - 1 - number),
        ("scattered", |number| number * 7_919 % KEYS),
    ];
    for (name, order) in orders {
        let mut layer = Layer::empty(Position::default());
        for start in (0..KEYS).step_by(500) {
            let writes: Vec<Write> = (start..start + 500)
                .map(|number| Write::Put {
                    key: order(number).to_be_bytes().to_vec(),
                    value: number.to_be_bytes().to_vec(),
                })
                .collect();
            insert(&mut layer, &writes);
        }
        for (direction, step) in [(Direction::Forward, 1_i64), (Direction::Backward, -1)] {
            for start in (0..KEYS).step_by(997) {
                let bytes = start.to_be_bytes();
                let range: KeyRange = match direction {
                    Direction::Forward => (Bound::Included(&bytes), Bound::Unbounded),
                    Direction::Backward => (Bound::Unbounded, Bound::Included(&bytes)),
                };
                let mut expected = i64::from(start);
                for (key, _) in layer.range(range, direction) {
                    assert_eq!(
                        key,
                        u32::try_from(expected).unwrap().to_be_bytes(),
                        "{name}"
                    );
                    expected += step;
                }
                let end = if step == 1 { i64::from(KEYS) } else { -1 };
                assert_eq!(expected, end, "{name} from {start}");
            }
        }
    }
}

/// Counts what a scan takes from the tree.
struct Counted<'s> {
    rows: Rows<'s>,
    taken: &'s std::cell::Cell<usize>,
}

impl<'s> TreeRows<'s> for Counted<'s> {
    fn next(&mut self) -> Result<Option<Row<'s>>, StorageError> {
        self.taken.set(self.taken.get() + 1);
        self.rows.next()
    }

    fn again(&self, range: KeyRange<'_>) -> Result<Self, StorageError> {
        let rows = self.rows.again(range)?;
        Ok(Self {
            rows,
            taken: self.taken,
        })
    }
}

#[test]
fn a_scan_goes_round_a_deleted_range() {
    let tree: Map = (0..10_000_u32)
        .map(|number| (number.to_be_bytes().to_vec(), Vec::new()))
        .collect();
    let mut layer = Layer::empty(Position::default());
    let (from, to) = (10_u32.to_be_bytes(), 9_990_u32.to_be_bytes());
    insert(
        &mut layer,
        &[Write::DeleteRange {
            from: from.to_vec(),
            to: to.to_vec(),
        }],
    );
    assert!(
        layer.bytes() < 10_000,
        "a range delete builds nothing per row"
    );
    let layers = [layer];
    for direction in [Direction::Forward, Direction::Backward] {
        let taken = std::cell::Cell::new(0);
        let rows = Counted {
            rows: Rows::new(&tree, all(), direction),
            taken: &taken,
        };
        let mut seen = 0;
        merge(&layers, rows, all(), direction, &mut |_, _| {
            seen += 1;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        assert_eq!(seen, 20);
        assert!(
            taken.get() < 30,
            "{} rows of the tree were read",
            taken.get()
        );
    }
}

//! A plan does to any map what its batch does.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn in_order(map: &mut Map, writes: &[Write]) {
    for write in writes {
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
}

fn as_planned(map: &mut Map, plan: &Plan<'_>) {
    for (from, to) in &plan.ranges {
        map.retain(|key, _| !(*from <= key.as_slice() && key.as_slice() < *to));
    }
    for key in &plan.deletes {
        map.remove(*key);
    }
    for (key, value) in plan.put_keys.iter().zip(&plan.put_values) {
        map.insert(key.to_vec(), value.to_vec());
    }
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(&[0_u8, 1, 2, 0xFE][..]), 1..3)
}

fn bound() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(&[0_u8, 1, 2, 0xFE, 0xFF][..]), 0..3)
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        3 => (key(), any::<[u8; 1]>()).prop_map(|(key, value)| Write::Put { key, value: value.to_vec() }),
        1 => key().prop_map(|key| Write::Delete { key }),
        1 => (bound(), bound()).prop_map(|(from, to)| Write::DeleteRange { from, to }),
    ]
}

proptest! {
    #[test]
    fn a_plan_has_the_effect_of_its_batch(
        before in prop::collection::btree_map(key(), any::<[u8; 1]>().prop_map(|value| value.to_vec()), 0..30),
        writes in prop::collection::vec(write(), 0..30),
    ) {
        let plan = Plan::of(&writes);
        let (mut expected, mut found) = (before.clone(), before);
        in_order(&mut expected, &writes);
        as_planned(&mut found, &plan);
        prop_assert_eq!(expected, found, "{:?}", plan);
    }

    #[test]
    fn each_key_is_written_once_and_ranges_are_apart(writes in prop::collection::vec(write(), 0..30)) {
        let plan = Plan::of(&writes);
        let mut keys: Vec<&[u8]> = plan.deletes.iter().chain(&plan.put_keys).copied().collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        prop_assert_eq!(keys.len(), count);
        prop_assert_eq!(plan.put_keys.len(), plan.put_values.len());
        prop_assert!(plan.ranges.iter().all(|(from, to)| from < to), "{:?}", plan.ranges);
        prop_assert!(plan.ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", plan.ranges);
    }
}

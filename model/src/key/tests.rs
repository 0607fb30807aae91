use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;
use crate::samples::{neighbours, number, sample, text};
use crate::value::Value;

fn key(value: &Value) -> Vec<u8> {
    let mut key = Vec::new();
    encode_value(value.as_ref(), &mut key);
    key
}

fn key_descending(value: &Value) -> Vec<u8> {
    let mut key = Vec::new();
    encode_value_descending(value.as_ref(), &mut key);
    key
}

fn number_value(text: &str) -> Value {
    Value::parse(text.as_bytes()).unwrap()
}

#[test]
fn layout_is_stable() {
    for (json, expected) in [
        ("null", "10"),
        ("false", "11"),
        ("true", "12"),
        ("0", "2080"),
        ("-0.0", "2080"),
        ("7.5", "20bf4c00"),
        ("-7.5", "2040b3ff"),
        ("1e100", "20fb80000000000000650b00"),
        ("1e-100", "20817fffffffffffff9d0b00"),
        ("\"a\\u0000b\"", "306100ff620001"),
        ("[1,\"\"]", "4020bf0b0030000100"),
        ("{\"b\":null,\"a\":[]}", "503061000140003062000110 00"),
    ] {
        let value = Value::parse(json.as_bytes()).unwrap();
        let hex: String = key(&value)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, expected.replace(' ', ""), "{json}");
    }
}

#[test]
fn ends_of_prefixes() {
    assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
    assert_eq!(prefix_end(b"a\xff\xff"), Some(b"b".to_vec()));
    assert_eq!(prefix_end(b"\xff"), None);
    assert_eq!(prefix_end(b""), None);
}

#[test]
fn readers_stay_where_a_component_is_missing() {
    for key in [
        &b"ab"[..],
        b"ab\0",
        b"ab\0\x02",
        b"\xff\0\x01",
        b"a\0\xff\xfe\0\x01",
    ] {
        let mut reader = KeyReader::new(key);
        assert_eq!(reader.string(), None, "{key:?}");
        assert_eq!(reader.rest(), key);
    }
    let mut reader = KeyReader::new(b"abc");
    assert_eq!(reader.u32(), None);
    assert_eq!(reader.u8(), Some(b'a'));
    assert_eq!(reader.u64_descending(), None);
    assert_eq!(reader.rest(), b"bc");
}

proptest! {
    #[test]
    fn the_end_of_a_key_is_found(sample in sample(), rest in any::<Vec<u8>>()) {
        let value = sample.value();
        for (mut key, length) in [
            (key(&value), value_key_len as fn(&[u8]) -> Option<usize>),
            (key_descending(&value), value_key_len_descending),
        ] {
            let bytes = key.len();
            prop_assert_eq!(length(&key[..bytes - 1]), None);
            key.extend_from_slice(&rest);
            prop_assert_eq!(length(&key), Some(bytes));
        }
    }

    #[test]
    fn any_bytes_have_an_end_or_none(bytes in any::<Vec<u8>>()) {
        prop_assert!(value_key_len(&bytes).is_none_or(|length| length <= bytes.len()));
        prop_assert!(value_key_len_descending(&bytes).is_none_or(|length| length <= bytes.len()));
    }

    #[test]
    fn keys_sort_as_values(
        (left, right) in prop_oneof![(sample(), sample()), neighbours()],
    ) {
        let (left, right) = (left.value(), right.value());
        let order = left.cmp(&right);
        prop_assert_eq!(key(&left).cmp(&key(&right)), order);
        prop_assert_eq!(key_descending(&left).cmp(&key_descending(&right)), order.reverse());
        // No key begins another, so that tuples can be put together.
        prop_assert!(order.is_eq() || !key(&left).starts_with(&key(&right)));
    }

    #[test]
    fn keys_of_numbers_sort_as_numbers(left in number(), right in number()) {
        let (left, right) = (number_value(&left), number_value(&right));
        prop_assert_eq!(key(&left).cmp(&key(&right)), left.cmp(&right));
    }

    #[test]
    fn keys_of_strings_sort_as_bytes(left in text(), right in text()) {
        let order = left.as_bytes().cmp(right.as_bytes());
        prop_assert_eq!(key(&Value::string(&left)).cmp(&key(&Value::string(&right))), order);
        let untagged = |text: &str| KeyWriter::new().string(text).finish();
        prop_assert_eq!(untagged(&left).cmp(&untagged(&right)), order);
    }

    #[test]
    fn tuples_sort_component_by_component(
        left in (sample(), text(), sample(), any::<u64>()),
        right in (sample(), text(), sample(), any::<u64>()),
        equal_heads in 0..4_usize,
    ) {
        // Tuples mostly differ at once; what is wanted are some that differ later.
        let right = (
            if equal_heads > 0 { left.0.clone() } else { right.0 },
            if equal_heads > 1 { left.1.clone() } else { right.1 },
            if equal_heads > 2 { left.2.clone() } else { right.2 },
            right.3,
        );
        let write = |tuple: &(Value, String, Value, u64)| {
            let mut writer = KeyWriter::new();
            writer.value(tuple.0.as_ref()).string(&tuple.1).value_descending(tuple.2.as_ref());
            writer.u64_descending(tuple.3).finish()
        };
        let left = (left.0.value(), left.1, left.2.value(), left.3);
        let right = (right.0.value(), right.1, right.2.value(), right.3);
        let order = left.0.cmp(&right.0)
            .then_with(|| left.1.cmp(&right.1))
            .then_with(|| right.2.cmp(&left.2))
            .then_with(|| right.3.cmp(&left.3));
        prop_assert_eq!(write(&left).cmp(&write(&right)), order);
    }

    #[test]
    fn components_come_back(
        small in any::<u8>(), text in text(), middle in any::<u32>(), large in any::<u64>(), other in text(),
    ) {
        let key = KeyWriter::new()
            .u8(small).string(&text).u32(middle).u64(large).string(&other).u64_descending(large)
            .raw(b"end").finish();
        let mut reader = KeyReader::new(&key);
        prop_assert_eq!(reader.u8(), Some(small));
        let read = reader.string();
        prop_assert_eq!(read.as_deref(), Some(text.as_str()));
        prop_assert_eq!(reader.u32(), Some(middle));
        prop_assert_eq!(reader.u64(), Some(large));
        let read = reader.string();
        prop_assert_eq!(read.as_deref(), Some(other.as_str()));
        prop_assert_eq!(reader.u64_descending(), Some(large));
        prop_assert_eq!(reader.rest(), b"end");
    }

    #[test]
    fn any_bytes_can_be_read(key in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255), any::<u8>()], 0..20)) {
        let mut reader = KeyReader::new(&key);
        while reader.string().is_some() {}
        prop_assert!(key.ends_with(reader.rest()));
    }

    #[test]
    fn prefix_ends_are_exact(
        prefix in prop::collection::vec(prop_oneof![Just(255_u8), any::<u8>()], 1..5),
        key in prop::collection::vec(prop_oneof![Just(255_u8), any::<u8>()], 0..8),
    ) {
        let extended = [&prefix[..], &key].concat();
        match prefix_end(&prefix) {
            Some(end) => {
                prop_assert!(extended < end);
                prop_assert_eq!(key < end && key >= prefix, key.starts_with(&prefix));
            }
            None => prop_assert_eq!(key >= prefix, key.starts_with(&prefix)),
        }
        prop_assert_ne!(extended.cmp(&prefix), Ordering::Less);
    }
}

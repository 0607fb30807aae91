use proptest::prelude::*;

use super::*;
use crate::decimal::Decimal;
use crate::samples::{number, sample};

/// One of each class of equal values, in order.
const ORDERED: &[&str] = &[
    "null",
    "false",
    "true",
    "-1e3",
    "-1",
    "0",
    "1e-7",
    "1",
    "9007199254740992",
    "9007199254740993",
    "1e300",
    "\"\"",
    "\"\\u0000\"",
    "\"A\"",
    "\"a\"",
    "\"a\\u0000\"",
    "\"a\\n\"",
    "\"a\\\"\"",
    "\"aa\"",
    "\"é\"",
    "\"\u{ffff}\"",
    "\"😀\"",
    "[]",
    "[null]",
    "[null,null]",
    "[1]",
    "[1,2]",
    "[[]]",
    "[{}]",
    "{}",
    "{\"\":1}",
    "{\"a\":null}",
    "{\"a\":1}",
    "{\"b\":2,\"a\":1}",
    "{\"a\":1,\"c\":0}",
    "{\"a\":2}",
    "{\"a\":[]}",
    "{\"b\":0}",
];

#[test]
fn order_of_kinds_and_values() {
    for (left_position, left) in ORDERED.iter().enumerate() {
        for (right_position, right) in ORDERED.iter().enumerate() {
            let (left, right) = (left.as_bytes(), right.as_bytes());
            let (left, right) = (Value::parse(left).unwrap(), Value::parse(right).unwrap());
            assert_eq!(
                left.cmp(&right),
                left_position.cmp(&right_position),
                "{left:?} {right:?}"
            );
        }
    }
}

#[test]
fn equal_values() {
    for (left, right) in [
        ("1", "1.0"),
        ("-0", "0e3"),
        ("[1e2]", "[100]"),
        ("{\"a\":1,\"b\":2}", "{\"b\":2.0,\"a\":1}"),
        ("\"\\u00e9\"", "\"é\""),
        ("10000000000000000000000001", "10000000000000000000000001.0"),
    ] {
        let (left, right) = (
            Value::parse(left.as_bytes()),
            Value::parse(right.as_bytes()),
        );
        assert_eq!(left, right);
    }
}

proptest! {
    #[test]
    fn short_cuts_change_nothing(left in number(), right in number()) {
        let exact = Decimal::new(left.as_bytes()).compare(Decimal::new(right.as_bytes()));
        prop_assert_eq!(compare_numbers(left.as_bytes(), right.as_bytes()), exact);
    }

    #[test]
    fn order_is_total(a in sample(), b in sample(), c in sample()) {
        let mut values = [a.value(), b.value(), c.value()];
        prop_assert_eq!(values[0].cmp(&values[1]), values[1].cmp(&values[0]).reverse());
        prop_assert_eq!(values[0].cmp(&values[0]), Ordering::Equal);
        values.sort();
        prop_assert!(values[0] <= values[1] && values[1] <= values[2] && values[0] <= values[2]);
    }
}

use proptest::prelude::*;

use super::{FloatSum, IntegerSum};
use crate::value::Value;

fn integers(texts: &[&str]) -> IntegerSum {
    let mut sum = IntegerSum::default();
    for text in texts {
        sum.add(Value::parse(text.as_bytes()).unwrap().as_ref());
    }
    sum
}

fn floats(numbers: &[f64]) -> Option<f64> {
    let mut sum = FloatSum::default();
    numbers.iter().for_each(|number| sum.add(*number));
    sum.total()
}

#[test]
fn integers_are_added_exactly() {
    let cases: [(&[&str], &str); 8] = [
        (&[], "0"),
        (&["9223372036854775807", "1"], "9223372036854775808"),
        (&["9223372036854775808", "-1", "-9223372036854775808"], "-1"),
        (&["99999999999999999999", "1"], "100000000000000000000"),
        (&["-100000000000000000000", "1"], "-99999999999999999999"),
        (
            &[
                "123456789012345678901234567890",
                "-123456789012345678901234567890",
            ],
            "0",
        ),
        (
            &["-99999999999999999999", "-99999999999999999999"],
            "-199999999999999999998",
        ),
        (&["1.5", "\"7\"", "2"], "2"),
    ];
    for (texts, expected) in cases {
        assert_eq!(integers(texts).to_json(), expected, "{texts:?}");
    }
    assert_eq!(
        integers(&["18446744073709551616"]).to_f64(),
        Some(18_446_744_073_709_551_616.0)
    );
}

#[test]
fn doubles_are_rounded_once() {
    assert_eq!(floats(&[]), Some(0.0));
    assert_eq!(floats(&[0.1; 10]), Some(1.0));
    assert_eq!(floats(&[0.1, 0.2]), Some(0.1 + 0.2));
    assert_eq!(floats(&[1e16, 1.0, -1e16]), Some(1.0));
    assert_eq!(floats(&[1e308, 1e308, -1e308]), Some(1e308));
    assert_eq!(floats(&[1e308, 1e308]), None);
    assert_eq!(
        floats(&[1e308, 1e308, -1e308, -1e308, 1e-300]),
        Some(1e-300)
    );
    // Half a unit, and a little more.
    let half = f64::EPSILON / 2.0;
    assert_eq!(floats(&[1.0, half, 1e-300]), Some(1.0 + f64::EPSILON));
}

proptest! {
    #[test]
    fn integer_sums_are_those_of_128_bits(numbers in prop::collection::vec(-(1_i128 << 100)..1 << 100, 0..20)) {
        let texts: Vec<String> = numbers.iter().map(i128::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        prop_assert_eq!(integers(&texts).to_json(), numbers.iter().sum::<i128>().to_string());
    }

    #[test]
    fn the_order_of_doubles_does_not_matter(
        numbers in prop::collection::vec(prop_oneof![-1e6..1e6, any::<f64>().prop_filter("finite", |n| n.is_finite())], 0..20),
        rotate in 0..20_usize,
    ) {
        let mut others: Vec<f64> = numbers.iter().rev().copied().collect();
        if !others.is_empty() {
            let by = rotate % others.len();
            others.rotate_left(by);
        }
        prop_assert_eq!(floats(&numbers), floats(&others));
    }
}

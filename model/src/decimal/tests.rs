use proptest::prelude::*;

use super::*;

fn compare(left: &str, right: &str) -> Ordering {
    Decimal::new(left.as_bytes()).compare(Decimal::new(right.as_bytes()))
}

/// The number times 10^200 as a sign and its digits without leading zeros: schoolbook arithmetic.
fn shifted(number: &str) -> (bool, String) {
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros = 200 + power.parse::<i64>().unwrap() - fraction.len() as i64;
    let digits = format!(
        "{whole}{fraction}{}",
        "0".repeat(usize::try_from(zeros).unwrap())
    );
    let digits = digits.trim_start_matches('0').to_owned();
    (is_negative && !digits.is_empty(), digits)
}

fn schoolbook(left: &str, right: &str) -> Ordering {
    let magnitude = |left: &str, right: &str| left.len().cmp(&right.len()).then(left.cmp(right));
    match (shifted(left), shifted(right)) {
        ((false, left), (false, right)) => magnitude(&left, &right),
        ((true, left), (true, right)) => magnitude(&right, &left),
        ((left, _), (right, _)) => right.cmp(&left),
    }
}

/// In the range that the schoolbook covers.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-3])?",
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?",
    ]
}

#[test]
fn equal_numbers_in_many_notations() {
    for group in [
        &["0", "-0", "0.0", "0e5", "-0.000e-9", "0e-999999999"][..],
        &["1", "1.0", "1e0", "10e-1", "0.1e1", "0.01E+2", "1000e-3"],
        &["-120", "-1.2e2", "-12e1", "-120.00"],
        &[
            "10000000000000000000000001",
            "1.0000000000000000000000001e25",
        ],
    ] {
        for left in group {
            for right in group {
                assert_eq!(compare(left, right), Ordering::Equal, "{left} {right}");
            }
        }
    }
}

#[test]
fn numbers_in_order() {
    let ordered = [
        "-1e300",
        "-10000000000000000000000002",
        "-10000000000000000000000001",
        "-2",
        "-1.1",
        "-1",
        "-0.9",
        "-1e-7",
        "-1e-999999999",
        "0",
        "1e-999999999",
        "1e-7",
        "0.9",
        "0.99",
        "1",
        "1.00000000000000000000000001",
        "1.1",
        "2",
        "10",
        "9007199254740992",
        "9007199254740993",
        "1e300",
    ];
    for (left_position, left) in ordered.iter().enumerate() {
        for (right_position, right) in ordered.iter().enumerate() {
            assert_eq!(
                compare(left, right),
                left_position.cmp(&right_position),
                "{left} {right}"
            );
        }
    }
}

proptest! {
    #[test]
    fn comparison_is_exact(left in number(), right in number()) {
        prop_assert_eq!(compare(&left, &right), schoolbook(&left, &right));
    }

    #[test]
    fn any_bytes_do_no_harm(left in any::<Vec<u8>>(), right in "[-+0-9.eE]{0,12}") {
        let (left, right) = (Decimal::new(&left), Decimal::new(right.as_bytes()));
        prop_assert_eq!(left.compare(right), right.compare(left).reverse());
    }
}

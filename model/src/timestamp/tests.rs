use proptest::prelude::*;

use super::*;

fn written(micros: i64) -> String {
    let mut out = Vec::new();
    write_rfc3339(micros, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn commit_timestamps_are_decimal_text() {
    assert_eq!(CommitTs::from_micros(12).to_string(), "12");
    assert_eq!("12".parse(), Ok(CommitTs::from_micros(12)));
    assert_eq!(u64::MAX.to_string().parse(), Ok(CommitTs::MAX));
    for text in ["", "+1", "-1", "1.0", "18446744073709551616", " 1", "1 "] {
        assert_eq!(text.parse::<CommitTs>(), Err(InvalidCommitTs), "{text}");
    }
    assert_eq!(CommitTs::ZERO.next(), CommitTs::from_micros(1));
    assert_eq!(CommitTs::MAX.next(), CommitTs::MAX);
    assert_eq!(CommitTs::default(), CommitTs::ZERO);
}

#[test]
fn known_instants() {
    for (micros, text) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        (1_795_395_723_456_789, "2026-11-23T01:02:03.456789Z"),
        (-2_203_977_600_000_000, "1900-02-28T00:00:00.000000Z"),
        (-2_203_891_200_000_000, "1900-03-01T00:00:00.000000Z"),
        (FIRST_MICROS, "0000-01-01T00:00:00.000000Z"),
        (LAST_MICROS, "9999-12-31T23:59:59.999999Z"),
    ] {
        assert_eq!(written(micros), text);
        assert_eq!(parse_rfc3339(text), Some(micros), "{text}");
    }
    assert_eq!(written(i64::MIN), written(FIRST_MICROS));
    assert_eq!(written(i64::MAX), written(LAST_MICROS));
}

#[test]
fn every_day_of_four_centuries_follows_the_one_before() {
    let (mut year, mut month, mut day) = (1799, 12, 31);
    for number in day_of_date(1800, 1, 1)..=day_of_date(2200, 1, 1) {
        let next = [
            (year, month, day + 1),
            (year, month + 1, 1),
            (year + 1, 1, 1),
        ];
        (year, month, day) = date_of_day(number);
        assert!(next.contains(&(year, month, day)));
        assert_eq!(day_of_date(year, month, day), number);
        assert!(is_date(&format!("{year:04}-{month:02}-{day:02}")));
    }
    assert_eq!((year, month, day), (2200, 1, 1));
}

#[test]
fn notations_of_one_instant() {
    let instant = parse_rfc3339("2024-02-29T12:00:00Z");
    assert!(instant.is_some());
    for text in [
        "2024-02-29t12:00:00z",
        "2024-02-29T12:00:00.0Z",
        "2024-02-29T12:00:00.0000009Z",
        "2024-02-29T12:00:00+00:00",
        "2024-02-29T12:00:00-00:00",
        "2024-02-29T14:30:00+02:30",
        "2024-02-28T12:01:00-23:59",
    ] {
        assert_eq!(parse_rfc3339(text), instant, "{text}");
    }
    assert_eq!(
        parse_rfc3339("2016-12-31T23:59:60Z"),
        parse_rfc3339("2017-01-01T00:00:00Z")
    );
    assert_eq!(
        parse_rfc3339("2017-01-01T00:59:60.5+01:00"),
        parse_rfc3339("2017-01-01T00:00:00.5Z")
    );
    assert_eq!(parse_rfc3339("1969-12-31T23:59:59.9999999Z"), Some(-1));
}

#[test]
fn what_is_no_instant() {
    for text in [
        "",
        "2024-02-29",
        "2024-02-29T12:00:00",
        "2024-02-29T12:00Z",
        "2024-02-29 12:00:00Z",
        "2023-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2024-13-01T12:00:00Z",
        "2024-00-01T12:00:00Z",
        "2024-04-31T12:00:00Z",
        "2024-01-00T12:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T12:60:00Z",
        "2024-01-01T12:00:61Z",
        "2024-01-01T12:00:60Z",
        "2024-01-01T12:00:00.Z",
        "2024-01-01T12:00:00,5Z",
        "2024-01-01T12:00:00+0100",
        "2024-01-01T12:00:00+24:00",
        "2024-01-01T12:00:00+01:60",
        "2024-01-01T12:00:00Z ",
        " 2024-01-01T12:00:00Z",
        "2024-1-01T12:00:00Z0",
        "+024-01-01T12:00:00Z",
        "2024-01-01T12:00:00Ä",
        "２０24-01-01T12:00:00Z",
    ] {
        assert_eq!(parse_rfc3339(text), None, "{text}");
    }
}

#[test]
fn dates() {
    for text in ["2024-02-29", "0000-01-01", "9999-12-31"] {
        assert!(is_date(text), "{text}");
    }
    for text in [
        "2023-02-29",
        "2024-2-29",
        "2024-02-29 ",
        "20240229",
        "2024/02/29",
        "",
        "äöüäö",
    ] {
        assert!(!is_date(text), "{text}");
    }
}

proptest! {
    #[test]
    fn instants_come_back(micros in FIRST_MICROS..=LAST_MICROS) {
        prop_assert_eq!(parse_rfc3339(&written(micros)), Some(micros));
    }

    #[test]
    fn text_order_is_instant_order(left in FIRST_MICROS..=LAST_MICROS, right in FIRST_MICROS..=LAST_MICROS) {
        prop_assert_eq!(written(left).cmp(&written(right)), left.cmp(&right));
    }

    #[test]
    fn damaged_text_does_no_harm(micros in any::<i64>(), place in 0..27_usize, by in any::<char>()) {
        let text = written(micros);
        let damaged = format!("{}{by}{}", &text[..place], &text[place + 1..]);
        let _ = (parse_rfc3339(&damaged), is_date(&damaged), is_date(&damaged[..0]));
    }
}

use proptest::prelude::*;

use super::*;
use crate::timestamp::parse_rfc3339;

fn start(unit: TimeUnit, text: &str, offset: i64) -> String {
    let shift = offset * 60 * MICROS_PER_SECOND;
    let local = parse_rfc3339(text).unwrap() + shift;
    let mut out = Vec::new();
    write_local(unit.start(local), offset, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn spans_begin_where_the_calendar_says() {
    let cases = [
        (
            TimeUnit::Minute,
            "2024-02-29T13:45:59.9Z",
            0,
            "2024-02-29T13:45:00Z",
        ),
        (
            TimeUnit::Hour,
            "2024-02-29T13:45:59Z",
            330,
            "2024-02-29T19:00:00+05:30",
        ),
        (
            TimeUnit::Day,
            "2024-02-29T23:45:59Z",
            60,
            "2024-03-01T00:00:00+01:00",
        ),
        (
            TimeUnit::Day,
            "2024-03-01T00:00:00Z",
            -300,
            "2024-02-29T00:00:00-05:00",
        ),
        (
            TimeUnit::Week,
            "2024-03-03T12:00:00Z",
            0,
            "2024-02-26T00:00:00Z",
        ),
        (
            TimeUnit::Week,
            "2024-03-04T00:00:00Z",
            0,
            "2024-03-04T00:00:00Z",
        ),
        (
            TimeUnit::Month,
            "2024-02-29T13:45:59Z",
            0,
            "2024-02-01T00:00:00Z",
        ),
        (
            TimeUnit::Quarter,
            "2024-12-31T13:45:59Z",
            0,
            "2024-10-01T00:00:00Z",
        ),
        (
            TimeUnit::Year,
            "1969-12-31T13:45:59Z",
            0,
            "1969-01-01T00:00:00Z",
        ),
        (
            TimeUnit::Week,
            "0000-01-01T00:00:00Z",
            0,
            "0000-01-01T00:00:00Z",
        ),
    ];
    for (unit, text, offset, expected) in cases {
        assert_eq!(start(unit, text, offset), expected, "{unit:?} {text}");
    }
}

#[test]
fn zones_and_dates_are_read() {
    for (text, expected) in [
        ("UTC", Some(0)),
        ("Z", Some(0)),
        ("+02:00", Some(120)),
        ("-05:30", Some(-330)),
        ("+2", None),
        ("", None),
        ("Europe/Berlin", None),
    ] {
        assert_eq!(parse_zone(text), expected, "{text}");
    }
    assert_eq!(day_of("1970-01-02"), Some(1));
    assert_eq!(day_of("1970-02-30"), None);
    assert_eq!(day_of("1970-1-2"), None);
    for unit in TimeUnit::ALL {
        assert_eq!(TimeUnit::from_name(unit.name()), Some(unit));
    }
}

proptest! {
    #[test]
    fn starts_are_fixed_points_and_not_later(micros in parse_rfc3339("0001-01-01T00:00:00Z").unwrap()..parse_rfc3339("9999-12-31T00:00:00Z").unwrap()) {
        for unit in TimeUnit::ALL {
            let start = unit.start(micros);
            prop_assert!(start <= micros);
            prop_assert_eq!(unit.start(start), start);
            let mut date = Vec::new();
            let day = micros.div_euclid(MICROS_PER_DAY);
            write_date(day, &mut date);
            prop_assert_eq!(day_of(std::str::from_utf8(&date).unwrap()), Some(day));
        }
    }
}

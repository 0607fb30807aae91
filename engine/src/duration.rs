//! Spans of time as text: `30d`, `1d12h`, `500ms`, and ISO 8601 (`P30D`, `PT12H`).
//!
//! A span is whole microseconds and at most 1,000 years of 365 days, so that adding it to an instant never overflows.
//! Years and months are not spans of a fixed length, so ISO 8601's `Y` and its `M` for months are refused.

use std::time::Duration;

use thalweg_model::ErrorCode;
use thiserror::Error;

const MICROS_PER_SECOND: u64 = 1_000_000;
const MICROS_PER_DAY: u64 = 86_400 * MICROS_PER_SECOND;
/// 1,000 years of 365 days.
const MICROS_MAX: u64 = 365_000 * MICROS_PER_DAY;

/// The units of the short form, the longest first.
const UNITS: [(&str, u64); 7] = [
    ("w", 7 * MICROS_PER_DAY),
    ("d", MICROS_PER_DAY),
    ("h", 3600 * MICROS_PER_SECOND),
    ("m", 60 * MICROS_PER_SECOND),
    ("s", MICROS_PER_SECOND),
    ("ms", 1000),
    ("us", 1),
];

/// The text is not a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not a duration; write it like 30d, 1d12h, 500ms, P30D or PT12H, at most 365000d"
)]
pub struct InvalidDuration {
    /// The text.
    pub text: String,
}

impl InvalidDuration {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::BadRequest
    }
}

/// Reads a span in either form. In both, units go from the longest to the shortest and none comes twice.
///
/// ```
/// use std::time::Duration;
/// use thalweg_engine::parse_duration;
///
/// assert_eq!(parse_duration("1d12h"), Ok(Duration::from_secs(36 * 3600)));
/// assert_eq!(parse_duration("PT1.5S"), Ok(Duration::from_millis(1500)));
/// assert!(parse_duration("P1M").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let micros = match text.strip_prefix('P') {
        Some(rest) => iso(rest),
        None => short(text),
    };
    micros
        .filter(|micros| *micros <= MICROS_MAX)
        .map(Duration::from_micros)
        .ok_or_else(|| InvalidDuration {
            text: text.chars().take(64).collect(),
        })
}

/// The short form: `1d12h`. What is below the microsecond is cut off.
pub fn write_duration(duration: Duration) -> String {
    let mut rest = micros(duration);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    // Days rather than weeks: that is how people say how long things are kept.
    for (unit, length) in &UNITS[1..] {
        if rest >= *length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    text
}

/// ISO 8601: `P1DT12H`. What is below the microsecond is cut off.
pub fn write_iso_duration(duration: Duration) -> String {
    let all = micros(duration);
    let (days, rest) = (all / MICROS_PER_DAY, all % MICROS_PER_DAY);
    let mut text = "P".to_owned();
    if days > 0 {
        text.push_str(&format!("{days}D"));
    }
    if rest == 0 && days > 0 {
        return text;
    }
    text.push('T');
    let (seconds, fraction) = (rest / MICROS_PER_SECOND, rest % MICROS_PER_SECOND);
    for (number, unit) in [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M')] {
        if number > 0 {
            text.push_str(&format!("{number}{unit}"));
        }
    }
    if fraction > 0 {
        let digits = format!("{fraction:06}");
        let digits = digits.trim_end_matches('0');
        text.push_str(&format!("{}.{digits}S", seconds % 60));
    } else if seconds % 60 > 0 || all == 0 {
        text.push_str(&format!("{}S", seconds % 60));
    }
    text
}

/// The span in microseconds; the longest there is for a longer one.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros())
        .unwrap_or(u64::MAX)
        .min(MICROS_MAX)
}

/// `12h30m`
fn short(text: &str) -> Option<u64> {
    let mut units = UNITS.iter();
    let mut rest = text;
    let mut sum = 0u64;
    while !rest.is_empty() {
        let (number, tail) = number(rest)?;
        let letters = tail.find(|c: char| !c.is_ascii_lowercase());
        let (unit, tail) = tail.split_at(letters.unwrap_or(tail.len()));
        let (_, length) = units.find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.checked_mul(*length)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(sum)
}

/// What follows `P`.
fn iso(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None if text.is_empty() => return None,
        None => (text, ""),
    };
    let date = fields(date, &[('W', 7 * MICROS_PER_DAY), ('D', MICROS_PER_DAY)])?;
    let units = [
        ('H', 3600 * MICROS_PER_SECOND),
        ('M', 60 * MICROS_PER_SECOND),
        ('S', MICROS_PER_SECOND),
    ];
    date.checked_add(fields(time, &units)?)
}

/// Numbers with units in that order; seconds may have a fraction.
fn fields(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let mut units = units.iter();
    let mut rest = text;
    let mut sum = 0u64;
    while !rest.is_empty() {
        let (number, mut tail) = number(rest)?;
        let mut fraction = 0;
        if let Some(decimals) = tail.strip_prefix(['.', ',']) {
            let end = decimals.find(|c: char| !c.is_ascii_digit())?;
            let digits = &decimals[..end.min(6)];
            tail = &decimals[end..];
            if !tail.starts_with('S') || digits.is_empty() {
                return None;
            }
            fraction = format!("{digits:0<6}").parse().ok()?;
        }
        let unit = tail.chars().next()?;
        let (_, length) = units.find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.checked_mul(*length)?)?;
        sum = sum.checked_add(fraction)?;
        rest = &tail[unit.len_utf8()..];
    }
    Some(sum)
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_are_read() {
        let day = 86_400;
        for (text, seconds) in [
            ("30d", 30 * day),
            ("P30D", 30 * day),
            ("1w", 7 * day),
            ("P1W2D", 9 * day),
            ("1d12h", day + 12 * 3600),
            ("P1DT12H", day + 12 * 3600),
            ("PT90M", 90 * 60),
            ("0s", 0),
            ("PT0S", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("PT0.25S"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "P1Y",
            "P1M",
            "P1DT",
            "1",
            "d",
            "1x",
            "12h1d",
            "1d1d",
            "-1d",
            " 1d",
            "1.5h",
            "P1.5D",
            "PT1.S",
            "365001d",
            "99999999999999999999d",
            "P1S",
            "1D",
            "PT1é",
        ] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in 0..=MICROS_MAX, coarse in 0..4usize) {
            let unit = [1, 1000, MICROS_PER_SECOND, MICROS_PER_DAY][coarse];
            let duration = Duration::from_micros(micros / unit * unit);
            prop_assert_eq!(parse_duration(&write_duration(duration)), Ok(duration));
            prop_assert_eq!(parse_duration(&write_iso_duration(duration)), Ok(duration));
        }
    }
}

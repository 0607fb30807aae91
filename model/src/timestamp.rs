//! Commit timestamps, and instants as RFC 3339 text.
//!
//! All instants are microseconds since the Unix epoch. The calendar is the proleptic Gregorian one
//! of RFC 3339 (years 0000 to 9999); conversions between days and dates count years from March, so
//! that the leap day is the last day of its year.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const SECONDS_PER_DAY: i64 = 86_400;
/// The days from 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_EPOCH: i64 = 719_468;
/// A Gregorian cycle: after 400 years the calendar repeats.
const DAYS_PER_CYCLE: i64 = 146_097;
/// 0000-01-01T00:00:00.000000Z
const FIRST_MICROS: i64 = -62_167_219_200 * MICROS_PER_SECOND;
/// 0000-01-01
pub(crate) const FIRST_DAY: i64 = FIRST_MICROS / (SECONDS_PER_DAY * MICROS_PER_SECOND);
/// 9999-12-31T23:59:59.999999Z
const LAST_MICROS: i64 = 253_402_300_800 * MICROS_PER_SECOND - 1;

/// The place of a commit in the one order of all commits: microseconds since the Unix epoch, raised
/// where needed so that each commit's timestamp is greater than its predecessor's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitTs(u64);

impl CommitTs {
    /// Before every commit.
    pub const ZERO: CommitTs = CommitTs(0);
    /// After every commit.
    pub const MAX: CommitTs = CommitTs(u64::MAX);

    /// The timestamp at that many microseconds since the Unix epoch.
    pub const fn from_micros(micros: u64) -> CommitTs {
        CommitTs(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The smallest timestamp after this one; [`CommitTs::MAX`] stays itself.
    #[must_use]
    pub const fn next(self) -> CommitTs {
        CommitTs(self.0.saturating_add(1))
    }
}

impl fmt::Display for CommitTs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The text is not a commit timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a commit timestamp is a decimal number from 0 to {}", u64::MAX)]
pub struct InvalidCommitTs;

impl FromStr for CommitTs {
    type Err = InvalidCommitTs;

    fn from_str(text: &str) -> Result<CommitTs, InvalidCommitTs> {
        // `u64::from_str` would take a leading plus sign, which no timestamp is written with.
        if !text.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(InvalidCommitTs);
        }
        text.parse().map(CommitTs).map_err(|_| InvalidCommitTs)
    }
}

/// Appends the instant as `2026-11-23T01:02:03.456789Z`, always with six fractional digits.
///
/// Instants outside the years 0000 to 9999, which RFC 3339 cannot write, become the nearest that it
/// can.
pub fn write_rfc3339(micros: i64, out: &mut Vec<u8>) {
    let micros = micros.clamp(FIRST_MICROS, LAST_MICROS);
    let seconds = micros.div_euclid(MICROS_PER_SECOND);
    let fraction = micros.rem_euclid(MICROS_PER_SECOND);
    let (year, month, day) = date_of_day(seconds.div_euclid(SECONDS_PER_DAY));
    let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);

    let mut text = *b"0000-00-00T00:00:00.000000Z";
    put_digits(&mut text[0..4], year);
    put_digits(&mut text[5..7], month);
    put_digits(&mut text[8..10], day);
    put_digits(&mut text[11..13], second_of_day / 3600);
    put_digits(&mut text[14..16], second_of_day / 60 % 60);
    put_digits(&mut text[17..19], second_of_day % 60);
    put_digits(&mut text[20..26], fraction);
    out.extend_from_slice(&text);
}

/// Reads an RFC 3339 `date-time` as microseconds since the Unix epoch; digits below the microsecond
/// are cut off. Anything else is `None`: no white space, no missing offset, no day that the month
/// lacks. A leap second is accepted at 23:59 UTC only and read as the second that follows it.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let text = text.as_bytes();
    // The shortest is `1970-01-01T00:00:00Z`.
    if text.len() < 20 || !matches!(text[10], b'T' | b't') {
        return None;
    }
    let day = parse_date(&text[..10])?;
    if text[13] != b':' || text[16] != b':' {
        return None;
    }
    let hour = digits(&text[11..13])?;
    let minute = digits(&text[14..16])?;
    let second = digits(&text[17..19])?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, rest) = parse_fraction(&text[19..])?;
    let minute_utc = day * (SECONDS_PER_DAY / 60) + hour * 60 + minute - parse_offset(rest)?;
    if second == 60 && minute_utc.rem_euclid(SECONDS_PER_DAY / 60) != 23 * 60 + 59 {
        return None;
    }
    Some((minute_utc * 60 + second) * MICROS_PER_SECOND + fraction)
}

/// Whether the text is `YYYY-MM-DD` and names a day that exists.
pub fn is_date(text: &str) -> bool {
    text.len() == 10 && parse_date(text.as_bytes()).is_some()
}

/// `.123…` or nothing: the microseconds, and what follows.
fn parse_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(tail) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let length = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let kept = &tail[..length.min(6)];
    let scale = 10_i64.pow(6 - kept.len() as u32);
    Some((digits(kept)? * scale, &tail[length..]))
}

/// `Z`, `+hh:mm` or `-hh:mm`, as minutes east of UTC.
pub(crate) fn parse_offset(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text {
        [b'Z' | b'z'] => return Some(0),
        [b'+', a, b, b':', c, d] => (1, [*a, *b], [*c, *d]),
        [b'-', a, b, b':', c, d] => (-1, [*a, *b], [*c, *d]),
        _ => return None,
    };
    let (hours, minutes) = (digits(&hours)?, digits(&minutes)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

/// `YYYY-MM-DD` (ten bytes) as days since the Unix epoch.
pub(crate) fn parse_date(text: &[u8]) -> Option<i64> {
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = digits(&text[..4])?;
    let month = digits(&text[5..7])?;
    let day = digits(&text[8..10])?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => return None,
    };
    (1..=days_in_month)
        .contains(&day)
        .then(|| day_of_date(year, month, day))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

pub(crate) fn put_digits(place: &mut [u8], mut number: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Days since the epoch of a date. With the year beginning in March, month `m` (March = 0) begins on
/// day `(153 m + 2) / 5` of it.
pub(crate) fn day_of_date(year: i64, month: i64, day: i64) -> i64 {
    let march_year = if month <= 2 { year - 1 } else { year };
    let cycle = march_year.div_euclid(400);
    let year_of_cycle = march_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    cycle * DAYS_PER_CYCLE + day_of_cycle - DAYS_BEFORE_EPOCH
}

/// The inverse of [`day_of_date`].
pub(crate) fn date_of_day(day: i64) -> (i64, i64, i64) {
    let day = day + DAYS_BEFORE_EPOCH;
    let cycle = day.div_euclid(DAYS_PER_CYCLE);
    let day_of_cycle = day.rem_euclid(DAYS_PER_CYCLE);
    // Leap days passed so far, taken out so that every year has 365 days.
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524
        - day_of_cycle / (DAYS_PER_CYCLE - 1))
        / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests;

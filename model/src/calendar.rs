//! Spans of the calendar: where the minute, the day, the week, the month in which a time lies begin.
//!
//! Times are microseconds of a local clock since 1970-01-01T00:00:00 on that clock; which clock that is, the caller
//! knows. Weeks begin on Mondays, as in ISO 8601.

use crate::timestamp::{
    FIRST_DAY, MICROS_PER_SECOND, SECONDS_PER_DAY, date_of_day, day_of_date, parse_date, put_digits,
};

/// A span of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday on.
    Week,
    /// From the first of the month on.
    Month,
    /// From January, April, July or October on.
    Quarter,
    /// From the first of January on.
    Year,
}

const MICROS_PER_DAY: i64 = SECONDS_PER_DAY * MICROS_PER_SECOND;

impl TimeUnit {
    /// Every unit, the shortest first.
    pub const ALL: [TimeUnit; 7] = [
        TimeUnit::Minute,
        TimeUnit::Hour,
        TimeUnit::Day,
        TimeUnit::Week,
        TimeUnit::Month,
        TimeUnit::Quarter,
        TimeUnit::Year,
    ];

    /// The unit's name in upper case.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Minute => "MINUTE",
            TimeUnit::Hour => "HOUR",
            TimeUnit::Day => "DAY",
            TimeUnit::Week => "WEEK",
            TimeUnit::Month => "MONTH",
            TimeUnit::Quarter => "QUARTER",
            TimeUnit::Year => "YEAR",
        }
    }

    /// The unit of that name.
    pub fn from_name(name: &str) -> Option<TimeUnit> {
        TimeUnit::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// Whether it is a part of a day.
    pub fn is_below_day(self) -> bool {
        matches!(self, TimeUnit::Minute | TimeUnit::Hour)
    }

    /// When the span begins in which a local time lies.
    pub fn start(self, local_micros: i64) -> i64 {
        let span = match self {
            TimeUnit::Minute => 60 * MICROS_PER_SECOND,
            TimeUnit::Hour => 3600 * MICROS_PER_SECOND,
            _ => {
                let day = local_micros.div_euclid(MICROS_PER_DAY);
                return self.start_of_day(day) * MICROS_PER_DAY;
            }
        };
        local_micros.div_euclid(span) * span
    }

    /// The day on which the span begins in which a day lies, both in days since 1970-01-01; of a part of a day, the
    /// day itself.
    pub fn start_of_day(self, day: i64) -> i64 {
        let (year, month, _) = date_of_day(day);
        let start = match self {
            TimeUnit::Minute | TimeUnit::Hour | TimeUnit::Day => day,
            // 1970-01-01 was a Thursday.
            TimeUnit::Week => day - (day + 3).rem_euclid(7),
            TimeUnit::Month => day_of_date(year, month, 1),
            TimeUnit::Quarter => day_of_date(year, (month - 1) / 3 * 3 + 1, 1),
            TimeUnit::Year => day_of_date(year, 1, 1),
        };
        // The week of the first day that can be written begins before it.
        start.max(FIRST_DAY)
    }
}

/// The days from 1970-01-01 to a date `YYYY-MM-DD`; `None` for other text.
pub fn day_of(date: &str) -> Option<i64> {
    (date.len() == 10).then(|| parse_date(date.as_bytes()))?
}

/// Appends the date of a day as `YYYY-MM-DD`.
pub fn write_date(day: i64, out: &mut Vec<u8>) {
    let (year, month, day) = date_of_day(day);
    let mut text = *b"0000-00-00";
    put_digits(&mut text[0..4], year);
    put_digits(&mut text[5..7], month);
    put_digits(&mut text[8..10], day);
    out.extend_from_slice(&text);
}

/// Appends a local time to the second with its offset, in minutes east of UTC: `2026-11-23T01:02:00+01:00`, `Z` where
/// there is none.
pub fn write_local(local_micros: i64, offset_minutes: i64, out: &mut Vec<u8>) {
    write_date(local_micros.div_euclid(MICROS_PER_DAY), out);
    let second = local_micros.rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND;
    let mut text = *b"T00:00:00";
    put_digits(&mut text[1..3], second / 3600);
    put_digits(&mut text[4..6], second / 60 % 60);
    put_digits(&mut text[7..9], second % 60);
    out.extend_from_slice(&text);
    if offset_minutes == 0 {
        out.push(b'Z');
        return;
    }
    let mut text = if offset_minutes < 0 {
        *b"-00:00"
    } else {
        *b"+00:00"
    };
    put_digits(&mut text[1..3], offset_minutes.abs() / 60);
    put_digits(&mut text[4..6], offset_minutes.abs() % 60);
    out.extend_from_slice(&text);
}

/// Reads a fixed offset, `Z`, `UTC`, `+02:00` or `-05:30`, as minutes east of UTC.
pub fn parse_zone(text: &str) -> Option<i64> {
    match text {
        "UTC" => Some(0),
        text => crate::timestamp::parse_offset(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests;

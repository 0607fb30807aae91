//! Values as people write them: `64MiB`, `30s`, `1_000`, `true`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thalweg_engine::{Evolution, parse_duration, write_duration};
use thalweg_resolvers::IdNames;

use crate::cli::{StoreUrl, address, store_url};

/// A value that was given for a setting.
#[derive(Debug)]
pub(crate) enum Given<'g> {
    /// From where everything is text: a variable, the command line.
    Word(&'g str),
    Text(&'g str),
    Integer(i128),
    Boolean(bool),
    List(Vec<String>),
    /// Nothing that a setting takes; what it is.
    Other(&'static str),
}

impl Given<'_> {
    /// What it is, for messages.
    fn what(&self) -> String {
        match self {
            Given::Word(text) | Given::Text(text) => format!("{text:?}"),
            Given::Integer(number) => number.to_string(),
            Given::Boolean(flag) => flag.to_string(),
            Given::List(_) => "a list".to_owned(),
            Given::Other(what) => (*what).to_owned(),
        }
    }

    fn expected(&self, what: &str) -> String {
        format!("is {}; it must be {what}", self.what())
    }

    pub(crate) fn count(&self, min: u64, max: u64) -> Result<u64, String> {
        let number = match self {
            Given::Integer(number) => u64::try_from(*number).ok(),
            Given::Word(text) => text.replace('_', "").parse().ok(),
            _ => None,
        };
        let what = match (min, max) {
            (_, u64::MAX) => format!("a whole number, {min} or more"),
            (_, _) => format!("a whole number from {min} to {max}"),
        };
        number
            .filter(|number| (min..=max).contains(number))
            .ok_or_else(|| self.expected(&what))
    }

    pub(crate) fn bytes(&self, min: u64, max: u64) -> Result<u64, String> {
        let bytes = match self {
            Given::Integer(number) => u64::try_from(*number).ok(),
            Given::Word(text) | Given::Text(text) => parse_bytes(text),
            _ => None,
        };
        bytes
            .filter(|bytes| (min..=max).contains(bytes))
            .ok_or_else(|| {
                let least = match min {
                    0 => String::new(),
                    min => format!(", {} or more", write_bytes(min)),
                };
                self.expected(&format!(
                    "a size such as \"64MiB\" or a number of bytes{least}"
                ))
            })
    }

    pub(crate) fn time(&self, min: Duration) -> Result<Duration, String> {
        let time = match self {
            Given::Word(text) | Given::Text(text) => parse_duration(text).ok(),
            _ => None,
        };
        time.filter(|time| *time >= min).ok_or_else(|| {
            self.expected(&format!(
                "a time such as \"30s\", \"500ms\" or \"10m\", {} or more",
                write_duration(min)
            ))
        })
    }

    pub(crate) fn flag(&self) -> Result<bool, String> {
        match self {
            Given::Boolean(flag) => Ok(*flag),
            Given::Word("true") => Ok(true),
            Given::Word("false") => Ok(false),
            _ => Err(self.expected("true or false")),
        }
    }

    pub(crate) fn address(&self) -> Result<SocketAddr, String> {
        match self {
            Given::Word(text) | Given::Text(text) => {
                address(text).map_err(|wrong| format!("is {text:?}: {wrong}"))
            }
            _ => Err(self.expected("an address such as \"127.0.0.1:4000\"")),
        }
    }

    pub(crate) fn store(&self) -> Result<StoreUrl, String> {
        match self {
            // The URL may hold a password, so it is not repeated.
            Given::Word(text) | Given::Text(text) => {
                store_url(text).map_err(|wrong| format!("names no store: {wrong}"))
            }
            _ => Err(self.expected("a store such as \"file:./thalweg-data\"")),
        }
    }

    pub(crate) fn directory(&self) -> Result<StoreUrl, String> {
        match self {
            Given::Word(text) | Given::Text(text) if !text.is_empty() => {
                Ok(StoreUrl::File(text.into()))
            }
            _ => Err(self.expected("a directory such as \"./thalweg-data\"")),
        }
    }

    pub(crate) fn evolution(&self) -> Result<Evolution, String> {
        match self {
            Given::Word(text) | Given::Text(text) => match *text {
                "follow" => Some(Evolution::Follow),
                "additive" => Some(Evolution::Additive),
                "manual" => Some(Evolution::Manual),
                _ => None,
            },
            _ => None,
        }
        .ok_or_else(|| self.expected("follow, additive or manual"))
    }

    pub(crate) fn ids(&self) -> Result<IdNames, String> {
        match self {
            Given::Word(text) | Given::Text(text) => match *text {
                "local" => Some(IdNames::Local),
                "relay" => Some(IdNames::Relay),
                _ => None,
            },
            _ => None,
        }
        .ok_or_else(|| self.expected("local or relay"))
    }

    /// A path, or none where it is empty.
    pub(crate) fn path(&self) -> Result<Option<PathBuf>, String> {
        match self {
            Given::Word(text) | Given::Text(text) => {
                Ok((!text.is_empty()).then(|| PathBuf::from(text)))
            }
            _ => Err(self.expected("a path, or \"\" for none")),
        }
    }

    pub(crate) fn names(&self) -> Result<Vec<String>, String> {
        let names = match self {
            Given::List(names) => names.clone(),
            Given::Word(text) => text
                .split(',')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect(),
            _ => return Err(self.expected("a list of texts")),
        };
        if names.iter().any(String::is_empty) {
            return Err("has an empty name; leave it out".to_owned());
        }
        Ok(names)
    }
}

/// The units of sizes, the greatest first, so that a size is written in the greatest one that divides it.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A whole number of some unit, or of bytes.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].trim();
    let number: u64 = digits.trim_end().replace('_', "").parse().ok()?;
    let bytes = match unit {
        "" => 1,
        unit => {
            UNITS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))?
                .1
        }
    };
    number.checked_mul(bytes)
}

pub(crate) fn write_bytes(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes >= *unit && bytes.is_multiple_of(*unit);
    match UNITS[..4].iter().find(fits) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("64MiB", Some(64 << 20)),
            ("64 mib", Some(64 << 20)),
            ("1_000", Some(1_000)),
            ("5kB", Some(5_000)),
            ("1TiB", Some(1 << 40)),
            ("7B", Some(7)),
            ("", None),
            ("MiB", None),
            ("1.5MiB", None),
            ("-1", None),
            ("1M", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
        for bytes in [0, 1, 1023, 1024, 1 << 20, 3 << 30, (1 << 20) + 1, u64::MAX] {
            assert_eq!(parse_bytes(&write_bytes(bytes)), Some(bytes));
        }
        assert_eq!(write_bytes(1 << 20), "1MiB");
    }
}

//! Record or keyed map?
//!
//! JSON has one construct for two things: a record, whose names were chosen by whoever designed the
//! data (`{"street": …, "city": …}`), and a map, whose keys are data (`{"deu": …, "fra": …}`). As a
//! record, a map would make a field of every key. Decided from the counts alone:
//!
//! 1. The values must be *of one shape*: one kind, nulls aside; and where they are objects, these
//!    must have mostly the same members. Fields of a record differ.
//! 2. Then it depends on what the keys look like, and on how many there are. The less a key looks
//!    like a name that a person gave to a field, the fewer are needed:
//!
//! | keys | example | a map if |
//! |---|---|---|
//! | data: numbers, dates, UUIDs, tokens, addresses | `2024-05-01` | always: nobody names fields so |
//! | codes: 2 or 3 letters of one case, locales | `deu`, `EUR`, `pt-BR` | ≥ 16 keys, or ≥ 8 that are sparse |
//! | tagged: one pattern with a number | `user_17` | ≥ 32 keys, or ≥ 8 that are sparse |
//! | words: everything else | `darkMode` | ≥ 64 keys, very sparse; or by what the values are |
//!
//! *Sparse*: an object has at most half of all keys on average; *very sparse*: a tenth. Records repeat
//! their fields, maps mostly do not. A record of twelve strings, of thirty feature flags, of the eight
//! statistics `min`, `max`, `avg`, …, or of `line1` to `line4` therefore stays a record, and one
//! document alone never makes a map of words with scalars for values.
//!
//! Among eight keys or more that are data, one in ten may be a word: versions have their `all` and `latest`.
//!
//! 3. Words are a map because of their values if these have much in common: eight or more keys whose values are
//!    maps (`{"chrome": {"1": …}, "firefox": {…}}`), sixteen or more whose values are records with three
//!    members or more (`{"chrome": {"name": …, "vendor": …, "type": …}, …}`). Nobody designs a record of so many
//!    parts that are all the same.
//!
//! So that a shape near the border does not flap, what was a map at the last derivation stays one
//! down to half as many keys and up to twice the density; the name registry remembers it. An object
//! with more names than its shape tracks ([`MEMBERS_MAX`](crate::shape::MEMBERS_MAX), or fewer where
//! there was no room) is a map in any case.

#[cfg(test)]
mod tests;

use thalweg_model::is_date;

use crate::shape::{Counter, Node, ObjectNode, Record};

/// What an object turned out to be.
pub(crate) enum Reading<'a> {
    /// The members are fields.
    Record(&'a Record),
    /// The keys are data; this is the node of all values.
    Map(Node),
}

/// Reads an object; `was_map` is how it was read before.
pub(crate) fn read(object: &ObjectNode, was_map: bool) -> Reading<'_> {
    let record = &object.record;
    if object.overflow.is_some() {
        return Reading::Map(object.values());
    }
    if !keys_suggest_map(object, record, was_map) && !enough_for_values(record.len(), was_map) {
        return Reading::Record(record);
    }
    match value_of_one_shape(record) {
        Some(value)
            if keys_suggest_map(object, record, was_map)
                || values_suggest_map(record.len(), &value, was_map) =>
        {
            Reading::Map(value)
        }
        _ => Reading::Record(record),
    }
}

/// Keys with maps for values, and with records for values, from which on an object is a map whatever its keys are.
const KEYS_OF_MAPS: usize = 8;
const KEYS_OF_RECORDS: usize = 16;
/// From how many members on records that are alike are not alike by chance.
const ALIKE_MEMBERS: usize = 3;

/// Whether there are so many keys that the values can decide.
fn enough_for_values(keys: usize, was_map: bool) -> bool {
    keys >= if was_map {
        KEYS_OF_MAPS / 2
    } else {
        KEYS_OF_MAPS
    }
}

/// Whether values that are of one shape show that their keys are data.
fn values_suggest_map(keys: usize, value: &Node, was_map: bool) -> bool {
    let Some(object) = &value.object else {
        return false;
    };
    let needed = match read(object, was_map) {
        Reading::Map(_) => KEYS_OF_MAPS,
        Reading::Record(members) if members.len() >= ALIKE_MEMBERS => KEYS_OF_RECORDS,
        Reading::Record(_) => return false,
    };
    keys >= if was_map { needed / 2 } else { needed }
}

/// What keys look like, all of them taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyStyle {
    Data,
    Code,
    Tagged,
    Word,
}

/// From how many keys that are data on a few may be words.
const DATA_KEYS_WITH_OTHERS: usize = 8;

/// From how many keys on, and up to which density, an object is a map.
struct Threshold {
    keys: usize,
    /// Of all keys, how many percent the average object has at most.
    density_percent: u64,
}

impl KeyStyle {
    fn thresholds(self) -> &'static [Threshold] {
        match self {
            KeyStyle::Data => &[Threshold {
                keys: 1,
                density_percent: 100,
            }],
            KeyStyle::Code => &[
                Threshold {
                    keys: 16,
                    density_percent: 100,
                },
                Threshold {
                    keys: 8,
                    density_percent: 50,
                },
            ],
            KeyStyle::Tagged => &[
                Threshold {
                    keys: 32,
                    density_percent: 100,
                },
                Threshold {
                    keys: 8,
                    density_percent: 50,
                },
            ],
            KeyStyle::Word => &[Threshold {
                keys: 64,
                density_percent: 10,
            }],
        }
    }
}

impl Threshold {
    fn is_met(&self, keys: usize, density_percent: u64, was_map: bool) -> bool {
        if was_map {
            keys >= self.keys.div_ceil(2) && density_percent <= self.density_percent * 2
        } else {
            keys >= self.keys && density_percent <= self.density_percent
        }
    }
}

fn keys_suggest_map(object: &ObjectNode, record: &Record, was_map: bool) -> bool {
    let keys = record.len();
    let objects = object.count.saturating_sub(object.empty);
    if keys == 0 || objects == 0 {
        return false;
    }
    let present: u128 = record
        .iter()
        .map(|member| u128::from(member.node.total()))
        .sum();
    let density = (present * 100).div_ceil(u128::from(objects) * keys as u128);
    let density_percent = u64::try_from(density).unwrap_or(u64::MAX).min(100);
    key_style(record.iter().map(|member| &*member.name))
        .thresholds()
        .iter()
        .any(|threshold| threshold.is_met(keys, density_percent, was_map))
}

fn key_style<'k>(keys: impl Iterator<Item = &'k str> + Clone) -> KeyStyle {
    if are_data(keys.clone()) {
        KeyStyle::Data
    } else if are_codes(keys.clone()) {
        KeyStyle::Code
    } else if are_tagged(keys) {
        KeyStyle::Tagged
    } else {
        KeyStyle::Word
    }
}

/// All of them, or all but one in ten where there are many.
fn are_data<'k>(keys: impl Iterator<Item = &'k str>) -> bool {
    let (mut data, mut others) = (0, 0);
    for key in keys {
        if is_data(key) {
            data += 1;
        } else {
            others += 1;
        }
    }
    others == 0 || (data >= DATA_KEYS_WITH_OTHERS && others * 9 <= data)
}

fn is_data(key: &str) -> bool {
    is_numeric(key) || is_uuid(key) || is_token(key) || is_address(key)
}

/// Numbers, dates, times, versions, IP addresses: digits, and what stands between digits.
fn is_numeric(key: &str) -> bool {
    let between = |byte: u8| matches!(byte, b'-' | b':' | b'.' | b'/' | b'+' | b'T' | b'Z' | b' ');
    is_date(key)
        || (key.bytes().any(|byte| byte.is_ascii_digit())
            && key
                .bytes()
                .all(|byte| byte.is_ascii_digit() || between(byte))
            && key.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+'))
}

fn is_uuid(key: &str) -> bool {
    key.len() == 36
        && key.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Generated identifiers: long, without spaces, and interspersed with digits.
fn is_token(key: &str) -> bool {
    let bytes = key.as_bytes();
    let runs_of_digits = bytes
        .windows(2)
        .filter(|pair| !pair[0].is_ascii_digit() && pair[1].is_ascii_digit());
    bytes.len() >= 16
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && (runs_of_digits.count() >= 3
            || (bytes.iter().all(u8::is_ascii_hexdigit) && bytes.iter().any(u8::is_ascii_digit)))
}

/// E-mail addresses and URLs.
fn is_address(key: &str) -> bool {
    let is_mail = key
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'));
    is_mail || key.contains("://")
}

/// Language, currency, country codes: all as long as each other and of one case; or locales.
fn are_codes<'k>(mut keys: impl Iterator<Item = &'k str> + Clone) -> bool {
    let form = |key: &str| {
        let upper = key.bytes().all(|byte| byte.is_ascii_uppercase());
        let lower = key.bytes().all(|byte| byte.is_ascii_lowercase());
        ((2..=3).contains(&key.len()) && (upper || lower)).then_some((key.len(), upper))
    };
    let mut forms = keys.clone().map(form);
    let first = forms.next().flatten();
    (first.is_some() && forms.all(|form| form == first)) || keys.all(is_locale)
}

/// `en`, `en-US`, `zh_Hant`
fn is_locale(key: &str) -> bool {
    let (language, region) = match key.split_once(['-', '_']) {
        Some((language, region)) => (language, Some(region)),
        None => (key, None),
    };
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && region.is_none_or(|region| {
            (2..=4).contains(&region.len())
                && region.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && region.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit())
        })
}

/// One pattern for all keys, in which letters and digits stand for any run of such; with digits.
fn are_tagged<'k>(mut keys: impl Iterator<Item = &'k str>) -> bool {
    let Some(first) = keys.next().map(pattern) else {
        return false;
    };
    first.contains('0') && keys.all(|key| pattern(key) == first)
}

/// `a0` for `user17`: letters and digits as runs. A sign before a number that follows letters belongs to the number, so
/// that `e-2` and `e3` are of one pattern.
fn pattern(key: &str) -> String {
    let mut pattern = String::new();
    let mut characters = key.chars().peekable();
    while let Some(character) = characters.next() {
        let is_sign = character == '-'
            && pattern.ends_with('a')
            && characters.peek().is_some_and(char::is_ascii_digit);
        if is_sign {
            continue;
        }
        let class = match character {
            '0'..='9' => '0',
            c if c.is_alphabetic() => 'a',
            c => c,
        };
        if !(class.is_alphanumeric() && pattern.ends_with(class)) {
            pattern.push(class);
        }
    }
    pattern
}

/// The kinds of values that a node has, nulls aside.
fn kinds(node: &Node) -> [bool; 5] {
    let any = |counters: &[Counter]| counters.iter().any(|counter| node.get(*counter) > 0);
    [
        any(&[Counter::Boolean]),
        any(&[
            Counter::Int32,
            Counter::Int53,
            Counter::IntBeyond,
            Counter::Float,
        ]),
        any(&[Counter::String]),
        node.list.is_some() || any(&[Counter::Opaque]),
        node.object.is_some() || any(&[Counter::Opaque]),
    ]
}

fn has_at_most_one_kind(node: &Node) -> bool {
    kinds(node).into_iter().filter(|has| *has).count() <= 1
}

/// The node of all values, if they are of one shape and there is a value at all.
fn value_of_one_shape(record: &Record) -> Option<Node> {
    let value = Node::merged(record.iter().map(|member| &member.node));
    if kinds(&value).into_iter().filter(|has| *has).count() != 1 {
        return None;
    }
    if let Some(list) = &value.list
        && !has_at_most_one_kind(&list.item)
    {
        return None;
    }
    if let Some(object) = &value.object
        && !objects_are_alike(object, record)
    {
        return None;
    }
    Some(value)
}

/// The objects are maps themselves, or most have most of the members that any of them has, and a
/// member is of one kind in all of them.
fn objects_are_alike(merged: &ObjectNode, record: &Record) -> bool {
    let members = match read(merged, false) {
        Reading::Map(_) => return true,
        Reading::Record(members) => members,
    };
    if !members
        .iter()
        .all(|member| has_at_most_one_kind(&member.node))
    {
        return false;
    }
    let mut holders = 0;
    let mut held = 0;
    for member in record.iter() {
        if let Some(object) = &member.node.object
            && object.overflow.is_none()
            && object.count > object.empty
        {
            holders += 1;
            held += object.record.len();
        }
    }
    held * 2 >= holders * members.len()
}

//! From any JSON name to a legal GraphQL name: `[_A-Za-z][_0-9A-Za-z]*`, not beginning with `__`.

/// Longer names are cut (and numbered if the rest was the difference).
const NAME_BYTES_MAX: usize = 160;

/// The GraphQL name of a field, before collisions are looked at, and whether the JSON name began
/// with `__`, which belongs to GraphQL itself.
///
/// Each run of characters that GraphQL forbids becomes one `_`; a leading digit gets `_` before it;
/// several leading `_` become one; nothing at all becomes `_`.
pub(super) fn field_name(json_name: &str) -> (String, bool) {
    let mut name = String::with_capacity(json_name.len().min(NAME_BYTES_MAX) + 1);
    let mut replacing = false;
    for character in json_name.chars() {
        if name.len() >= NAME_BYTES_MAX {
            break;
        }
        if character.is_ascii_alphanumeric() || character == '_' {
            name.push(character);
            replacing = false;
        } else if !replacing {
            name.push('_');
            replacing = true;
        }
    }
    let body = name.trim_start_matches('_');
    let name = match (body.chars().next(), name.len() > body.len()) {
        (None, _) => "_".to_owned(),
        (Some(first), underscored) if underscored || first.is_ascii_digit() => format!("_{body}"),
        (Some(_), _) => body.to_owned(),
    };
    (name, json_name.starts_with("__"))
}

/// Whether a name can be a GraphQL name of a user's as it is.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX && !name.starts_with("__") && field_name(name).0 == name
}

/// The words of a name: parted at what is neither letter nor digit and where lower case turns to
/// upper; a run of capitals is one word, less the one that begins the next: `HTTPServers` is
/// `HTTP`, `Servers`, while `userURLs` is `user`, `URLs`. Words without any lower case in the whole
/// name are read as if shouted: `MY_TABLE` is `my`, `table`.
pub(super) fn words(json_name: &str) -> Vec<String> {
    let shouted = !json_name.contains(|c: char| c.is_ascii_lowercase());
    let mut words: Vec<String> = Vec::new();
    let mut length = 0;
    for part in json_name.split(|c: char| !c.is_ascii_alphanumeric()) {
        for word in split_camel(part) {
            length += word.len();
            if length > NAME_BYTES_MAX {
                return words;
            }
            words.push(if shouted {
                word.to_ascii_lowercase()
            } else {
                word.to_owned()
            });
        }
    }
    words
}

fn split_camel(part: &str) -> Vec<&str> {
    // `part` is ASCII, so that byte positions are character positions.
    let bytes = part.as_bytes();
    let mut words = Vec::new();
    let mut start = 0;
    for at in 1..bytes.len() {
        let (before, here) = (bytes[at - 1], bytes[at]);
        let rises = here.is_ascii_uppercase() && !before.is_ascii_uppercase();
        let next_is_lower = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let plural_of_capitals = bytes.get(at + 1) == Some(&b's')
            && bytes
                .get(at + 2)
                .is_none_or(|byte| !byte.is_ascii_lowercase());
        let acronym_ends = here.is_ascii_uppercase()
            && before.is_ascii_uppercase()
            && next_is_lower
            && !plural_of_capitals;
        if rises || acronym_ends {
            words.push(&part[start..at]);
            start = at;
        }
    }
    if start < part.len() {
        words.push(&part[start..]);
    }
    words
}

/// `userProfiles`
pub(super) fn camel_case(words: &[String]) -> String {
    let mut name = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            name.push_str(&upper_first(word));
        } else if word.bytes().all(|byte| !byte.is_ascii_lowercase()) {
            name.push_str(&word.to_ascii_lowercase());
        } else {
            name.push_str(&lower_first(word));
        }
    }
    started_legally(name)
}

/// `UserProfiles`
pub(super) fn pascal_case(words: &[String]) -> String {
    started_legally(words.iter().map(|word| upper_first(word)).collect())
}

/// The part of a nested type's name that stands for a field: no `_` is needed before a digit there.
pub(super) fn type_part(field_name: &str) -> String {
    words(field_name)
        .iter()
        .map(|word| upper_first(word))
        .collect()
}

pub(super) fn upper_first(word: &str) -> String {
    with_first(word, char::to_ascii_uppercase)
}

pub(super) fn lower_first(word: &str) -> String {
    with_first(word, char::to_ascii_lowercase)
}

fn with_first(word: &str, change: impl Fn(&char) -> char) -> String {
    let mut characters = word.chars();
    characters
        .next()
        .iter()
        .map(change)
        .chain(characters.clone())
        .collect()
}

fn started_legally(name: String) -> String {
    match name.chars().next() {
        None => "_".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("_{name}"),
        Some(_) => name,
    }
}

/// The name for the n-th thing that wants it; the first has it bare.
pub(super) fn numbered(name: &str, number: u32) -> String {
    match number {
        0 | 1 => name.to_owned(),
        _ if name.ends_with(|c: char| c.is_ascii_digit()) => format!("{name}_{number}"),
        _ => format!("{name}{number}"),
    }
}

//! The singular of the last word of a collection's name.
//!
//! The rules are those of the `pluralizer` crate, less the words that it was found to get wrong and
//! that are likely to name a collection.

/// Words that are their own singular although the rules would cut their end.
const UNCHANGED: &[&str] = &[
    "atlas", "bias", "chaos", "cosmos", "gps", "ios", "lens", "news", "series", "sms", "species",
    "canvas", "pancreas", "dns", "css", "aws", "os", "vps", "https", "dos", "cms", "pos", "kudos",
    "ethos", "redis",
];

/// Plurals that the rules take apart wrongly.
const IRREGULAR: &[(&str, &str)] = &[
    ("axes", "axis"),
    ("caches", "cache"),
    ("headaches", "headache"),
    ("lenses", "lens"),
    ("niches", "niche"),
    ("avalanches", "avalanche"),
    ("atlases", "atlas"),
    ("biases", "bias"),
    ("canvases", "canvas"),
];

/// The singular of a word; the case of its first letter is kept.
pub(super) fn singular(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    if UNCHANGED.contains(&lower.as_str()) {
        return word.to_owned();
    }
    let singular = match IRREGULAR.iter().find(|(plural, _)| *plural == lower) {
        Some((_, singular)) => (*singular).to_owned(),
        None => pluralizer::pluralize(word, 1, false),
    };
    let legal = |c: char| c.is_ascii_alphanumeric();
    if singular.is_empty() || !singular.chars().all(legal) {
        return word.to_owned();
    }
    if word.starts_with(|c: char| c.is_ascii_uppercase()) {
        return super::legal::upper_first(&singular);
    }
    singular
}

/// The plural of a word or of a name that ends in one.
pub(super) fn plural(name: &str) -> String {
    let after_underscore = name.rfind('_').map(|at| at + 1);
    let at_capital = name.rfind(|c: char| c.is_ascii_uppercase());
    let (head, last) = name.split_at(after_underscore.max(at_capital).unwrap_or(0));
    format!("{head}{}", pluralizer::pluralize(last, 2, false))
}

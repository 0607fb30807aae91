//! The documents: books, each by one of the authors; the same for the same index in every run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::documents::Random;

const WORDS: &[&str] = &[
    "River", "Night", "Garden", "Glass", "Winter", "Harbour", "Letters", "Salt", "Machine",
    "Orchard",
];
const LANGUAGES: &[&str] = &["en", "de", "fr", "es", "sv", "ja"];
const PUBLISHERS: &[&str] = &["North Press", "Orbis", "Quill & Sons", "Meridian"];
const COUNTRIES: &[&str] = &["SE", "DE", "FR", "NG", "JP", "BR", "IN"];

/// The id of a book; ids ascend with their index.
pub(super) fn book_id(index: u64) -> String {
    format!("book-{index:07}")
}

fn author_id(index: u64) -> String {
    format!("author-{index:05}")
}

/// The JSON text of a book, by any of so many authors.
pub(super) fn book(index: u64, authors: u64) -> String {
    let mut random = Random(index);
    format!(
        "{{\"id\":\"{id}\",\"title\":\"{first} and {second} {index}\",\"isbn\":\"978{isbn:010}\",\
         \"year\":{year},\"pages\":{pages},\"price\":{price}.{cents:02},\"language\":\"{language}\",\
         \"publisher\":\"{publisher}\",\"inPrint\":{in_print},\"rating\":{stars}.{tenths},\
         \"author_id\":\"{author}\"}}",
        id = book_id(index),
        first = random.choose(WORDS),
        second = random.choose(WORDS),
        isbn = random.below(10_000_000_000),
        year = 1900 + random.below(126),
        pages = 40 + random.below(900),
        price = 4 + random.below(60),
        cents = random.below(100),
        language = random.choose(LANGUAGES),
        publisher = random.choose(PUBLISHERS),
        in_print = random.below(3) > 0,
        stars = 1 + random.below(4),
        tenths = 1 + random.below(9),
        author = author_id(random.below(authors)),
    )
}

/// The JSON text of an author.
pub(super) fn author(index: u64) -> String {
    let mut random = Random(index + 1_000_000_007);
    format!(
        "{{\"id\":\"{id}\",\"name\":\"{first} {second}\",\"country\":\"{country}\",\"born\":{born}}}",
        id = author_id(index),
        first = random.choose(&["Ada", "Mei", "Jörg", "Priya", "Zoë", "Tom"]),
        second = random.choose(&["Lindqvist", "Nakamura", "García", "Adeyemi", "Novák"]),
        country = random.choose(COUNTRIES),
        born = 1900 + random.below(100),
    )
}

/// Writes so many documents as NDJSON.
pub(super) fn write(path: &Path, count: u64, json: impl Fn(u64) -> String) -> Result<()> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    let mut out = BufWriter::new(file);
    for index in 0..count {
        writeln!(out, "{}", json(index))?;
    }
    Ok(out.flush()?)
}

//! The documents that the benchmarks use: orders of a shop, some 20 fields and 400 bytes each, the same for the same
//! index in every run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::server::Server;

/// The collection that they go into.
pub(crate) const COLLECTION: &str = "orders";

const FIRST_NAMES: &[&str] = &[
    "Ada",
    "Jörg",
    "Mei",
    "Oluwaseun",
    "Priya",
    "Søren",
    "Zoë",
    "Alejandra",
    "Tom",
    "Yuki",
];
const LAST_NAMES: &[&str] = &[
    "Lindqvist",
    "O'Neill",
    "García",
    "Nakamura",
    "Schmidt",
    "Adeyemi",
    "Kaya",
    "Novák",
    "Li",
];
const CITIES: &[(&str, &str)] = &[
    ("Uppsala", "SE"),
    ("Köln", "DE"),
    ("Osaka", "JP"),
    ("Lagos", "NG"),
    ("Sevilla", "ES"),
    ("Brno", "CZ"),
    ("Porto Alegre", "BR"),
];
const STATUSES: &[&str] = &["placed", "paid", "shipped", "delivered", "returned"];
const TAGS: &[&str] = &["gift", "express", "fragile", "b2b", "repeat"];
const NOTES: &[&str] = &[
    "",
    "Please ring twice.",
    "Leave with the neighbour at no. 12 (\"the green door\").",
    "Deliver after 17:00, the office is closed in the morning.",
];

/// The id of a document; ids ascend with their index, as those of an export do.
pub(crate) fn id(index: u64) -> String {
    format!("ord-{index:08}")
}

/// The JSON text of a document.
pub(crate) fn json(index: u64) -> String {
    let mut random = Random(index);
    let first_name = random.choose(FIRST_NAMES);
    let last_name = random.choose(LAST_NAMES);
    let (city, country) = random.choose(CITIES);
    let (month, day) = (1 + random.below(12), 1 + random.below(28));
    let shipped_on = match random.below(4) {
        0 => "null".to_owned(),
        _ => format!("\"2026-{month:02}-{day:02}\""),
    };
    let rating = match random.below(3) {
        0 => String::new(),
        _ => format!(",\"rating\":{}", 1 + random.below(5)),
    };
    format!(
        "{{\"id\":\"{id}\",\"customer\":\"{first_name} {last_name}\",\"customerNumber\":{number},\
         \"city\":\"{city}\",\"country\":\"{country}\",\"status\":\"{status}\",\
         \"placedAt\":\"2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z\",\
         \"shippedOn\":{shipped_on},\"total\":{total}.{cents:02},\"currency\":\"EUR\",\
         \"sku\":\"SKU-{sku:06}\",\"quantity\":{quantity},\"weightGrams\":{weight},\
         \"giftWrapped\":{gift},\"discount\":0.{discount:02},\"channel\":\"web\",\
         \"tags\":[\"{tag}\",\"{other_tag}\"],\
         \"address\":{{\"street\":\"Long Street {house}\",\"postcode\":\"{postcode:05}\"}},\
         \"note\":\"{note}\"{rating}}}",
        id = id(index),
        number = 10_000 + random.below(50_000),
        status = random.choose(STATUSES),
        hour = random.below(24),
        minute = random.below(60),
        second = random.below(60),
        total = 5 + random.below(900),
        cents = random.below(100),
        sku = random.below(200_000),
        quantity = 1 + random.below(9),
        weight = 50 + random.below(20_000),
        gift = random.below(5) == 0,
        discount = random.below(40),
        tag = random.choose(TAGS),
        other_tag = random.choose(TAGS),
        house = 1 + random.below(200),
        postcode = random.below(99_999),
        note = random.choose(NOTES).replace('"', "\\\""),
    )
}

/// What a file of documents holds.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
}

/// Writes documents as NDJSON, until the file has that many bytes or there are that many documents.
pub(crate) fn write_file(path: &Path, bytes_max: u64, documents_max: u64) -> Result<Written> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    let mut out = BufWriter::new(file);
    let mut written = Written {
        documents: 0,
        bytes: 0,
    };
    while written.bytes < bytes_max && written.documents < documents_max {
        let mut line = json(written.documents);
        line.push('\n');
        out.write_all(line.as_bytes())?;
        written.documents += 1;
        written.bytes += line.len() as u64;
    }
    out.flush()?;
    Ok(written)
}

/// Imports a file with the command line.
pub(crate) fn import_file(
    binary: &Path,
    server: &Server,
    collection: &str,
    file: &Path,
) -> Result<()> {
    let status = Command::new(binary)
        .args(["import", "--collection", collection, "--server"])
        .arg(format!("http://{}", server.address()))
        .arg(file)
        .stdout(Stdio::null())
        .status()
        .context("cannot start the import")?;
    ensure!(status.success(), "the import failed: {status}");
    Ok(())
}

/// Generates the first documents, and imports them.
pub(crate) fn load(binary: &Path, server: &Server, directory: &Path, count: u64) -> Result<()> {
    let file = directory.join("documents.ndjson");
    write_file(&file, u64::MAX, count)?;
    import_file(binary, server, COLLECTION, &file)
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn documents_are_json_of_the_promised_size() {
        let mut bytes = 0;
        for index in 0..1000 {
            let text = json(index);
            bytes += text.len();
            let value: Value = serde_json::from_str(&text).expect("it is JSON");
            let fields = value.as_object().expect("an object");
            assert!((19..=20).contains(&fields.len()), "{}", fields.len());
            assert_eq!(value["id"], id(index));
            assert_eq!(text, json(index));
        }
        assert!((380..=460).contains(&(bytes / 1000)), "{}", bytes / 1000);
    }
}

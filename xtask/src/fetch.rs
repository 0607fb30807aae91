//! `cargo xtask fetch`: test data that we may use but not ship.
//!
//! The examples that are not in the binary, and `world-countries`, whose licence (ODbL-1.0) has
//! share-alike terms that we do not want on this repository. They come the way in which
//! `thalweg dev --example` gets them.

use anyhow::Result;
use thalweg_examples::{NpmFile, Source};

use crate::workspace;

const WORLD_COUNTRIES: NpmFile = NpmFile {
    package: "world-countries",
    version: "5.1.0",
    file: "countries.json",
    sha256: "359431fb9475666dfad1ea5e72e53521cef40520f65eecd08e02ba569eb8491b",
    bytes: 1_408_911,
    package_bytes: 5_771_113,
};

/// Downloads what is missing or not what it should be.
pub(crate) fn run() -> Result<()> {
    for example in thalweg_examples::all() {
        for collection in example.collections {
            if let Source::Npm(file) = &collection.source {
                fetch(file, file.name())?;
            }
        }
    }
    fetch(&WORLD_COUNTRIES, "world-countries/countries.json")
}

/// `to` is the path below the test data directory.
fn fetch(file: &NpmFile, to: &str) -> Result<()> {
    let path = workspace::test_data().join(to);
    file.load(&path, |file| println!("{}", file.announcement()))?;
    println!("{} is there", path.display());
    Ok(())
}

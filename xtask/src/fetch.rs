//! `cargo xtask fetch`: test data that we may use but not ship.
//!
//! The examples that are not in the binary, and data sets of other manners, that types are inferred
//! from in the tests. They come the way in which `thalweg dev --example` gets them. Licences are in
//! `examples/data/README.md`.

use anyhow::Result;
use thalweg_examples::{NpmFile, Source};

use crate::workspace;

/// Deep records, and maps with codes for keys.
const WORLD_COUNTRIES: NpmFile = NpmFile {
    package: "world-countries",
    version: "5.1.0",
    file: "countries.json",
    sha256: "359431fb9475666dfad1ea5e72e53521cef40520f65eecd08e02ba569eb8491b",
    bytes: 1_408_911,
    package_bytes: 5_771_113,
};

/// Maps in maps, with versions of browsers for keys.
const CANIUSE: NpmFile = NpmFile {
    package: "caniuse-db",
    version: "1.0.30001813",
    file: "data.json",
    sha256: "a3e94d24933dbbc5d58b7a5de9f03379ca2f7ed301b8d7413c96ca699ec47014",
    bytes: 4_749_325,
    package_bytes: 2_136_396,
};

/// Records with many optional parts, in collections that refer to each other.
const POKEDEX: [NpmFile; 5] = [
    pokedex(
        "output/pokemon.json",
        1_532_203,
        "99bf1a15cecd5b3aa5e61fc66cc445b3bed3bf714e65b9282854a74fa09b4f97",
    ),
    pokedex(
        "output/move.json",
        109_803,
        "35f8bbb3af44bc7137a9c914329e329a018c61be892bc2b6f855ced57af27b4c",
    ),
    pokedex(
        "output/type.json",
        37_046,
        "ff01f3d473d215ddb9ab351c14914c1fec9eac7c8a8f9417aa0d252b847fd6e5",
    ),
    pokedex(
        "output/item.json",
        17_537,
        "0f8ef6e0010c9215911b39157d73a7fd351e3456d9c09d473b644f64f1cc0719",
    ),
    pokedex(
        "output/avatar-customization.json",
        114_209,
        "da888178adc1bd15f331f14d3d964fa05709c2f31d23d35a6979c6f38c463c53",
    ),
];

const fn pokedex(file: &'static str, bytes: u64, sha256: &'static str) -> NpmFile {
    NpmFile {
        package: "pokemongo-json-pokedex",
        version: "3.4.6",
        file,
        sha256,
        bytes,
        package_bytes: 1_833_871,
    }
}

/// Downloads what is missing or not what it should be.
pub(crate) fn run() -> Result<()> {
    for example in thalweg_examples::all() {
        for collection in example.collections {
            if let Source::Npm(file) = &collection.source {
                fetch(file, file.name())?;
            }
        }
    }
    for file in [&WORLD_COUNTRIES, &CANIUSE].into_iter().chain(&POKEDEX) {
        fetch(file, &format!("{}/{}", file.package, file.name()))?;
    }
    Ok(())
}

/// `to` is the path below the test data directory.
fn fetch(file: &NpmFile, to: &str) -> Result<()> {
    let path = workspace::test_data().join(to);
    file.load(&path, |file| println!("{}", file.announcement()))?;
    println!("{} is there", path.display());
    Ok(())
}

//! Lists the console's files as a table that `src/console.rs` embeds.
//!
//! A file with a `.gz` sibling, or that exists only as `.gz`, is embedded compressed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("assets/console");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = BTreeMap::new();
    if root.is_dir() {
        list(&root, &root, &mut files)?;
    }
    let mut table = String::from("&[\n");
    for (name, (path, compressed)) in &files {
        let fingerprint = fingerprint(&fs::read(path)?);
        writeln!(
            table,
            "    Asset {{ name: {name:?}, compressed: {compressed}, tag: \"\\\"{fingerprint:016x}\\\"\", \
             bytes: include_bytes!({path:?}) }},",
        )?;
    }
    table.push(']');
    fs::write(
        Path::new(&env::var("OUT_DIR")?).join("console_assets.rs"),
        table,
    )?;
    Ok(())
}

/// Collects name → (path, compressed); the compressed form of a file wins over the plain one.
fn list(
    root: &Path,
    folder: &Path,
    files: &mut BTreeMap<String, (PathBuf, bool)>,
) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        println!("cargo::rerun-if-changed={}", path.display());
        if path.is_dir() {
            list(root, &path, files)?;
            continue;
        }
        let name = path
            .strip_prefix(root)?
            .to_str()
            .ok_or("asset names are UTF-8")?;
        let name = name.replace('\\', "/");
        match name.strip_suffix(".gz") {
            Some(plain) => {
                files.insert(plain.to_owned(), (path, true));
            }
            None => {
                files.entry(name).or_insert((path, false));
            }
        }
    }
    Ok(())
}

/// FNV-1a, 64 bits: tells versions of a file apart.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

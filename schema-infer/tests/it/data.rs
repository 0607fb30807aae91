//! The example data, read as an import would read it.

use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use thalweg_model::Document;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> Vec<Document> {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let items: Vec<Box<RawValue>> = serde_json::from_str(&text).expect("a JSON array");
    items
        .iter()
        .map(|item| Document::parse(item.get().as_bytes()).expect("an array of objects"))
        .collect()
}

/// A file of the data that ships with the repository. `THALWEG_TEST_DATA` names another folder.
pub(crate) fn shipped(path: &str) -> Vec<Document> {
    let folder = std::env::var_os("THALWEG_TEST_DATA")
        .map_or_else(|| workspace().join("examples/data"), PathBuf::from);
    read(&folder.join(path))
}

/// A file of the data that is fetched, since no licence lets us ship it. `None`,
/// and a line that says so, if it is not there; with `THALWEG_REQUIRE_TEST_DATA=1` that is a failure.
pub(crate) fn fetched(path: &str) -> Option<Vec<Document>> {
    let file = workspace().join("target/test-data").join(path);
    if file.exists() {
        return Some(read(&file));
    }
    let message = format!("{} is missing: run `cargo xtask fetch`", file.display());
    let required = std::env::var_os("THALWEG_REQUIRE_TEST_DATA").is_some_and(|value| value == "1");
    assert!(!required, "{message}");
    eprintln!("skipped: {message}");
    None
}

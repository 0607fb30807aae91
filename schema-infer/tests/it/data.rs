//! The example data, read as an import would read it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use thalweg_model::Document;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// The documents of a JSON array.
fn items(text: &str) -> Vec<Document> {
    let items: Vec<Box<RawValue>> = serde_json::from_str(text).expect("a JSON array");
    items.iter().map(|item| document(item.get())).collect()
}

fn document(json: &str) -> Document {
    Document::parse(json.as_bytes()).expect("an object")
}

/// A file of the data that ships with the repository. `THALWEG_TEST_DATA` names another folder.
pub(crate) fn shipped(path: &str) -> Vec<Document> {
    let folder = std::env::var_os("THALWEG_TEST_DATA")
        .map_or_else(|| workspace().join("examples/data"), PathBuf::from);
    items(&read(&folder.join(path)))
}

/// The documents of a file of the data that is fetched, since no licence lets us ship it, or only the
/// tests need it. `None` where it is not there.
pub(crate) fn fetched(path: &str) -> Option<Vec<Document>> {
    Some(items(&fetched_text(path)?))
}

/// Such a file that is one object, as one document.
pub(crate) fn fetched_document(path: &str) -> Option<Vec<Document>> {
    Some(vec![document(&fetched_text(path)?)])
}

/// A member of such an object that maps ids to documents, as documents that have their id inside.
pub(crate) fn fetched_entries(path: &str, member: &str) -> Option<Vec<Document>> {
    let text = fetched_text(path)?;
    let members: BTreeMap<&str, &RawValue> = serde_json::from_str(&text).expect("an object");
    let entries: BTreeMap<String, &RawValue> =
        serde_json::from_str(members[member].get()).expect("an object of objects");
    let with_id = |(id, value): (String, &RawValue)| {
        let id = serde_json::to_string(&id).expect("text");
        let rest = value.get().trim_start_matches('{');
        document(&format!("{{\"id\":{id},{rest}"))
    };
    Some(entries.into_iter().map(with_id).collect())
}

/// `None`, and a line that says so, if it is not there; with `THALWEG_REQUIRE_TEST_DATA=1` that is a failure.
fn fetched_text(path: &str) -> Option<String> {
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

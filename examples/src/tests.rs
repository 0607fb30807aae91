//! What the loader and the help text rely on: names that are unique, data that is what it says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

#[test]
fn names_are_unique_and_found() {
    let names: BTreeSet<&str> = all().iter().map(|example| example.name).collect();
    assert_eq!(names.len(), all().len());
    for example in all() {
        assert_eq!(find(example.name), Some(example));
    }
    assert_eq!(find("Movies"), None);
}

#[test]
fn one_example_needs_no_network() {
    assert!(all().iter().any(Example::is_embedded));
}

#[test]
fn every_collection_is_an_array_of_objects() {
    for (example, collection, count) in [
        ("movies", "movies", 3201),
        ("airports", "airports", 5210),
        ("airports", "regions", 3901),
        ("airports", "countries", 248),
    ] {
        let found = find(example).expect("an example");
        let mut collections = found.collections.iter();
        let found = collections
            .find(|it| it.name == collection)
            .expect("a collection");
        let Some(json) = published(found) else {
            continue;
        };
        let documents: Vec<Value> =
            serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{collection}: {error}"));
        assert!(documents.iter().all(Value::is_object), "{collection}");
        assert_eq!(documents.len(), count, "{collection}");
    }
    let collections = all().iter().flat_map(|example| example.collections);
    assert_eq!(collections.count(), 4, "one is not checked");
}

/// Tests fetch nothing: what is not embedded is read where `cargo xtask fetch` puts it. If it is not
/// there, a line says so; with `THALWEG_REQUIRE_TEST_DATA=1` that is a failure.
fn published(collection: &ExampleCollection) -> Option<Cow<'static, [u8]>> {
    let file = match &collection.source {
        Source::Embedded(json) => return Some(Cow::Borrowed(json)),
        Source::Npm(file) => file,
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/test-data")
        .join(file.name());
    if path.exists() {
        let fetched = file.load(&path, |_| panic!("{} is another file", path.display()));
        return Some(Cow::Owned(fetched.expect("read")));
    }
    let message = format!("{} is missing: run `cargo xtask fetch`", path.display());
    let required = std::env::var_os("THALWEG_REQUIRE_TEST_DATA").is_some_and(|value| value == "1");
    assert!(!required, "{message}");
    eprintln!("skipped: {message}");
    None
}

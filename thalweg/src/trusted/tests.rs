use std::fs;

use super::*;

const TEXT: &str = "{ collections { name } }";

fn texts(documents: &TrustedDocuments) -> BTreeMap<&str, &str> {
    documents.iter().collect()
}

fn of_file(name: &str, content: &str) -> anyhow::Result<TrustedDocuments> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(name);
    fs::write(&file, content).unwrap();
    load(&file)
}

#[test]
fn the_manifests_of_client_tools_are_read() {
    let hash = text_hash(TEXT);
    let apollo = format!(
        r#"{{"format":"apollo-persisted-query-manifest","version":1,
            "operations":[{{"id":"a","name":"A","type":"query","body":"{TEXT}"}}]}}"#
    );
    let by_id = format!(r#"{{"a":"{TEXT}"}}"#);
    for manifest in [&apollo, &by_id] {
        let documents = of_file("manifest.json", manifest).unwrap();
        let expected = BTreeMap::from([("a", TEXT), (&*hash, TEXT)]);
        assert_eq!(texts(&documents), expected, "{manifest}");
    }
    let documents = of_file("collections.graphql", TEXT).unwrap();
    assert_eq!(texts(&documents), BTreeMap::from([(&*hash, TEXT)]));
}

#[test]
fn a_directory_is_read_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let refused = load(path).unwrap_err().to_string();
    assert!(
        refused.contains("no .json, .graphql or .gql file"),
        "{refused}"
    );
    fs::write(path.join("one.json"), format!(r#"{{"a":"{TEXT}"}}"#)).unwrap();
    fs::write(path.join("two.graphql"), "{ __typename }").unwrap();
    fs::write(path.join("README.md"), "not a document").unwrap();
    assert_eq!(load(path).unwrap().len(), 3);
    fs::write(path.join("three.json"), r#"{"a":"{ __typename }"}"#).unwrap();
    let refused = format!("{:#}", load(path).unwrap_err());
    assert!(
        refused.contains("\"a\" stands for two different texts"),
        "{refused}"
    );
}

#[test]
fn what_is_no_manifest_is_told() {
    for (content, expected) in [
        ("[]", "is no manifest"),
        ("{", "is no manifest"),
        (r#"{"a":1}"#, "is no manifest"),
        (
            r#"{"format":"other","operations":[]}"#,
            "the format \"other\"",
        ),
    ] {
        let refused = format!("{:#}", of_file("manifest.json", content).unwrap_err());
        assert!(refused.contains(expected), "{content}: {refused}");
    }
    assert!(load(Path::new("/nowhere/at/all.json")).is_err());
}

#[test]
fn documents_that_the_schema_does_not_allow_are_told_and_kept() {
    use std::sync::Arc;
    use thalweg_engine::{Engine, EngineOptions};
    use thalweg_resolvers::{IdNames, Limits, Request};
    let backend = Arc::new(thalweg_storage::MemoryBackend::new());
    let engine = Engine::open(backend, EngineOptions::default()).unwrap();
    let resolvers = Resolvers::new(engine, Limits::default(), IdNames::Local);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("manifest.json");
    let manifest = format!(r#"{{"good":"{TEXT}","bad":"{{ movies {{ totalCount }} }}"}}"#);
    fs::write(&file, manifest).unwrap();

    let documents = load(&file).unwrap();
    let lines = invalid(&documents, &resolvers);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("document ") && lines[0].contains("movies"),
        "{lines:?}"
    );

    apply(&file, &resolvers).unwrap();
    let named = |id: &str| Request {
        document_id: Some(id.to_owned()),
        ..Request::default()
    };
    assert!(resolvers.prepare(&named("good")).is_ok());
    assert!(resolvers.prepare(&Request::text("{ __typename }")).is_err());
    // Reading them again takes what has changed.
    fs::write(&file, r#"{"other":"{ __typename }"}"#).unwrap();
    apply(&file, &resolvers).unwrap();
    assert!(resolvers.prepare(&named("good")).is_err());
    assert!(resolvers.prepare(&named("other")).is_ok());
}

//! Long responses that leave while they are written.

use bytes::Bytes;
use serde_json::{Value as Json, json};
use thalweg_resolvers::{ChunkSink, Chunked, Extensions, Limits, Request};

use crate::fixture::Database;

/// Takes so many chunks.
struct Collected {
    chunks: Vec<Bytes>,
    wanted: usize,
}

impl ChunkSink for Collected {
    fn take(&mut self, chunk: Bytes) -> bool {
        if self.chunks.len() == self.wanted {
            return false;
        }
        self.chunks.push(chunk);
        true
    }
}

fn pages(limits: Limits) -> Database {
    let database = Database::with_limits(limits);
    let text = "x".repeat(5_000);
    let parts: Vec<Json> = (0..200)
        .map(|number| json!({ "number": number, "text": "y".repeat(20) }))
        .collect();
    let documents: Vec<Json> = (0..400)
        .map(|number| json!({"id": format!("{number:03}"), "number": number, "text": text, "parts": parts}))
        .collect();
    database.insert("pages", &documents);
    database
}

/// Runs a query both ways: how it ended, the chunks, and the response as a whole.
fn run(database: &Database, query: &str, wanted: usize) -> (Chunked, Vec<Bytes>, Bytes) {
    let operation = database.resolvers.prepare(&Request::text(query)).unwrap();
    let snapshot = database.resolvers.engine().snapshot().unwrap();
    let extensions = Extensions::default();
    let whole = database
        .resolvers
        .run_once(&operation, &snapshot, &extensions);
    let mut sink = Collected {
        chunks: Vec::new(),
        wanted,
    };
    let ended = database
        .resolvers
        .run_chunked(&operation, &snapshot, &extensions, &mut sink);
    (ended, sink.chunks, whole.body().clone())
}

#[test]
fn the_chunks_together_are_the_response() {
    let database = pages(Limits::default());
    for query in [
        "{ pages(first: 400) { nodes { id text } totalCount } }",
        "{ pages(first: 400) { totalCount edges { cursor node { id text parts { number text } } } pageInfo { endCursor } } }",
        "{ first: pages(first: 2) { nodes { id } } __typename pages(first: 400) { nodes { text } nodes { id } } }",
        "{ pages(first: 400) { nodes { _json } } }",
    ] {
        let (ended, chunks, whole) = run(&database, query, usize::MAX);
        assert!(matches!(ended, Chunked::Sent), "{query}");
        assert!(chunks.len() > 4, "{query}: {}", chunks.len());
        let longest = chunks.iter().map(Bytes::len).max().unwrap();
        assert!(longest < 300_000, "{query}: {longest}");
        assert!(chunks.concat() == whole, "{query}");
    }
}

#[test]
fn what_can_still_become_null_does_not_leave() {
    let database = pages(Limits::default());
    for query in [
        // Short.
        "{ pages(first: 400) { nodes { id } } }",
        // A root field after it may be refused.
        "{ pages(first: 400) { nodes { text } } page(id: \"001\") { id } }",
        "{ pages(first: 400) { nodes { text } } bad: pages(first: -1) { nodes { id } } }",
        // One document.
        "{ page(id: \"001\") { _history { nodes { version } } text } }",
    ] {
        let (ended, chunks, whole) = run(&database, query, usize::MAX);
        assert!(chunks.is_empty(), "{query}");
        let Chunked::Whole(evaluation) = ended else {
            panic!("{query}");
        };
        assert!(*evaluation.body() == whole, "{query}");
    }
}

#[test]
fn nobody_who_wants_it_ends_the_run() {
    let database = pages(Limits::default());
    for wanted in [0, 1, 3] {
        let query = "{ pages(first: 400) { nodes { text } } }";
        let (ended, chunks, _) = run(&database, query, wanted);
        assert!(matches!(ended, Chunked::Broken));
        assert_eq!(chunks.len(), wanted);
    }
}

#[test]
fn a_response_that_outgrows_its_bound_breaks_off() {
    let database = pages(Limits {
        response_bytes_max: 1_000_000,
        ..Limits::default()
    });
    let query = "{ pages(first: 400) { nodes { text } } }";
    let (ended, chunks, whole) = run(&database, query, usize::MAX);
    assert!(matches!(ended, Chunked::Broken));
    assert!(chunks.iter().map(Bytes::len).sum::<usize>() <= 1_000_000);
    let whole = String::from_utf8_lossy(&whole);
    assert!(whole.contains("LIMIT_EXCEEDED"), "{whole}");
}

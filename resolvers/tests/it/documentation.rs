//! The GraphQL of the documentation is valid, and its declarations can be applied.

use serde_json::json;
use thalweg_resolvers::Request;

use crate::fixture::Database;

const PAGES: [(&str, &str); 2] = [
    ("indexes.md", include_str!("../../../docs/indexes.md")),
    (
        "history-and-time.md",
        include_str!("../../../docs/history-and-time.md"),
    ),
];

/// The blocks of GraphQL of a page.
fn blocks(page: &str) -> impl Iterator<Item = &str> {
    let parts = page.split("```graphql\n").skip(1);
    parts.filter_map(|part| Some(part.split_once("```")?.0))
}

#[test]
fn its_graphql_is_valid() {
    let database = Database::empty();
    database.insert(
        "movies",
        &[json!({ "id": "1", "Director": "Jane Campion", "IMDB_Rating": 7.5, "Title": "Bright Star" })],
    );
    let mut seen = 0;
    for (name, page) in PAGES {
        for block in blocks(page) {
            seen += 1;
            if block.starts_with("type ") {
                // A type needs no fields here, so one without them is complete.
                let apply = "mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } }";
                let response = database.send_with(apply, &json!({ "sdl": block }));
                assert!(
                    response.get("errors").is_none(),
                    "{name}: {block}\n{response:#}"
                );
            } else if let Err(refused) = database.resolvers.prepare(&Request::text(block)) {
                panic!("{name}: {block}\n{refused}");
            }
        }
    }
    assert_eq!(seen, 8, "blocks of GraphQL");
}

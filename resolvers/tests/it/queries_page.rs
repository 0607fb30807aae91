//! The examples of `docs/queries.md` give what the page says.

use serde_json::Value as Json;

use crate::fixture::Database;

const PAGE: &str = include_str!("../../../docs/queries.md");

/// The blocks of code of the page, with their languages.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut parts = PAGE.split("```");
    let mut blocks = Vec::new();
    // What is between two fences is text, a block, text, a block, …
    parts.next();
    while let (Some(block), _) = (parts.next(), parts.next()) {
        let (language, block) = block.split_once('\n').unwrap();
        blocks.push((language, block));
    }
    blocks
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn its_examples_give_what_it_says() {
    let blocks = blocks();
    let database = Database::empty();
    let (language, documents) = blocks[0];
    assert_eq!(language, "json");
    database.insert("movies", json(documents).as_array().unwrap());
    let mut compared = 0;
    for (position, (language, block)) in blocks.iter().enumerate() {
        if *language != "graphql" {
            continue;
        }
        let data = database.data(block);
        if let Some(("json", expected)) = blocks.get(position + 1) {
            assert_eq!(data, json(expected), "{block}");
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
}

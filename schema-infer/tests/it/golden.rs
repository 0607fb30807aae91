//! The SDL of real data, in full. Read the difference before accepting one: it is what clients see.

use crate::{data, infer, validated};

#[test]
fn empty_database() {
    let api = infer(&[]);
    validated(api.sdl());
    insta::assert_snapshot!(api.sdl());
}

#[test]
fn movies() {
    let Some(documents) = data::fetched("movies.json") else {
        return;
    };
    let api = infer(&[("movies", documents)]);
    validated(api.sdl());
    insta::assert_snapshot!(api.sdl());
}

#[test]
fn airports() {
    let api = infer(&[
        ("airports", data::shipped("airports/airports.json")),
        ("countries", data::shipped("airports/countries.json")),
        ("regions", data::shipped("airports/regions.json")),
    ]);
    validated(api.sdl());
    insta::assert_snapshot!(api.sdl());
}

#[test]
fn world_countries() {
    let Some(documents) = data::fetched("world-countries/countries.json") else {
        return;
    };
    let api = infer(&[("countries", documents)]);
    validated(api.sdl());
    insta::assert_snapshot!(api.sdl());
}

#[test]
fn caniuse() {
    const FILE: &str = "caniuse-db/data.json";
    let (Some(features), Some(agents), Some(whole)) = (
        data::fetched_entries(FILE, "data"),
        data::fetched_entries(FILE, "agents"),
        data::fetched_document(FILE),
    ) else {
        return;
    };
    // As somebody would import it who looked into it, and as somebody who did not.
    let api = infer(&[("features", features), ("agents", agents), ("files", whole)]);
    validated(api.sdl());
    insta::assert_snapshot!(api.sdl());
}

#[test]
fn pokedex() {
    let mut collections = Vec::new();
    for (name, file) in [
        ("pokemon", "pokemon"),
        ("moves", "move"),
        ("types", "type"),
        ("items", "item"),
        ("avatarCustomizations", "avatar-customization"),
    ] {
        let Some(documents) = data::fetched(&format!("pokemongo-json-pokedex/{file}.json")) else {
            return;
        };
        collections.push((name, documents));
    }
    let api = infer(&collections);
    validated(api.sdl());
    insta::assert_snapshot!(api.sdl());
}

#[test]
fn every_kind_of_type() {
    let document = |json: &str| thalweg_model::Document::parse(json.as_bytes()).expect("an object");
    let api = infer(&[(
        "order items",
        vec![
            document(
                r#"{"id": 1, "sku": "a", "Unit Price": 2.5, "count": 3, "serial": 9007199254740993,
                "gift": true, "made": "2024-05-01", "sold": "2024-05-01T10:00:00Z", "any": 1,
                "tags": ["x"], "matrix": [[1]], "parts": [{"name": "p", "sizes": [1, 2]}],
                "grid": [[{"x": 1}]], "by day": [{"2024-05-01": 1}],
                "address": {"city": "c", "geo": {"lat": 1.5}, "notes": ["n"]},
                "prices": {"2023": 1, "2024": 2}, "stock": {"1": {"left": 3}}, "and": 1,
                "nothing": null, "empty": {}}"#,
            ),
            document(r#"{"id": 2, "any": "mixed"}"#),
        ],
    )]);
    validated(api.sdl());
    insta::assert_snapshot!(api.sdl());
}

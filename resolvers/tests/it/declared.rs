//! Declaring settings and indexes, and what comes of it.

use serde_json::{Value as Json, json};

use crate::fixture::{Database, films, first_error};

fn apply(database: &Database, sdl: &str) -> Json {
    let response = database.send_with(
        "mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes collections { name count settings { retain softDelete ttl onExpire purgeAfter } indexes { fields unique } } } }",
        &json!({ "sdl": sdl }),
    );
    assert!(response.get("errors").is_none(), "{sdl}\n{response:#}");
    response["data"]["applySchema"].clone()
}

fn all_ready(database: &Database) -> bool {
    let data = database.data("{ collections { indexes { status } } }");
    let collections = data["collections"].as_array().unwrap().iter();
    collections
        .flat_map(|collection| collection["indexes"].as_array().unwrap())
        .all(|index| index["status"] == "READY")
}

const SDL: &str = r#"
    type Film @collection(ttl: "90d", onExpire: SOFT, retain: "30d") @index(fields: ["studio.name", "year DESC"]) {
      title: String @unique
    }
    type Actor @collection
"#;

#[test]
fn a_declaration_replaces_what_was_declared_of_its_collections_alone() {
    let database = films();
    database.insert("others", &[json!({ "id": "o" })]);
    let done = apply(&database, SDL);
    assert_eq!(
        done["changes"],
        json!([
            "films: retain is 30d, was forever, ttl is 90d, was unset, onExpire is SOFT, was unset",
            "films: index (studio.name, year DESC) created",
            "films: index unique (title) created",
            "actors: created"
        ])
    );
    assert_eq!(
        done["collections"],
        json!([
            {
                "name": "films",
                "count": 4,
                "settings": { "retain": "30d", "softDelete": true, "ttl": "P90D", "onExpire": "SOFT", "purgeAfter": null },
                "indexes": [
                    { "fields": ["studio.name", "year DESC"], "unique": false },
                    { "fields": ["title"], "unique": true }
                ]
            },
            {
                "name": "actors",
                "count": 0,
                "settings": { "retain": "forever", "softDelete": true, "ttl": null, "onExpire": "SOFT", "purgeAfter": null },
                "indexes": []
            }
        ])
    );
    // The same again changes nothing.
    assert_eq!(apply(&database, SDL)["changes"], json!([]));
    let others = r#"type Other @collection(softDelete: false) @index(fields: ["x"])"#;
    assert_eq!(
        apply(&database, others)["collections"][0]["settings"]["onExpire"],
        "PERMANENT"
    );
    assert_eq!(apply(&database, SDL)["changes"], json!([]));
    let less = r#"type Film @collection(ttl: "1h") @index(fields: ["title"], unique: true)"#;
    assert_eq!(
        apply(&database, less)["changes"],
        json!([
            "films: retain is forever, was 30d, ttl is 1h, was 90d, onExpire is unset, was SOFT",
            "films: index (studio.name, year DESC) dropped"
        ])
    );
}

#[test]
fn the_printed_schema_declares_what_is_so() {
    let database = films();
    database.insert(
        "US \"Gross\"",
        &[json!({ "a.b": 1, "at": "2020-01-01T00:00:00Z" })],
    );
    apply(&database, SDL);
    let odd = r#"type Any @collection(name: "US \"Gross\"", purgeAfter: "500ms") @index(fields: ["\"a.b\"", "at INSTANT DESC"])"#;
    apply(&database, odd);
    let printed = database.resolvers.sdl().unwrap();
    assert!(
        printed.contains(r#"type Film implements Node @collection(name: "films", ttl: "90d", onExpire: SOFT, retain: "30d") @index(fields: ["studio.name", "year DESC"]) @index(fields: ["title"], unique: true) {"#),
        "{printed}"
    );
    assert_eq!(apply(&database, &printed)["changes"], json!([]));
    // Into an empty database it makes the same of it.
    let empty = Database::empty();
    apply(&empty, &printed);
    assert_eq!(apply(&empty, &printed)["changes"], json!([]));
    let settings = "{ collections { name settings { ttl retain onExpire purgeAfter } indexes { fields unique } } }";
    let sorted = |database: &Database| {
        let mut list = database.data(settings)["collections"]
            .as_array()
            .unwrap()
            .clone();
        list.sort_by_key(|one| one["name"].to_string());
        list
    };
    assert_eq!(sorted(&empty), sorted(&database));
}

#[test]
fn mistakes_change_nothing_and_are_all_told() {
    let database = films();
    let before = database.resolvers.sdl().unwrap();
    let response = database.send_with(
        "mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } }",
        &json!({ "sdl": "type Film @collection(ttl: \"x\") {\n  a: B\n}\ntype X @collection" }),
    );
    assert_eq!(response["data"], Json::Null);
    let errors = response["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{response:#}");
    assert_eq!(
        errors[1]["extensions"]["sdl"],
        json!({ "line": 2, "column": 6 })
    );
    assert_eq!(errors[0]["path"], json!(["applySchema"]));
    for sdl in [
        r#"type A @collection(name: "films") type Film @collection"#,
        r#"type A @collection(name: "_x")"#,
    ] {
        let response = database.send_with(
            "mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } }",
            &json!({ "sdl": sdl }),
        );
        assert_eq!(first_error(&response).0, "BAD_REQUEST", "{response:#}");
    }
    let behind = "mutation { createCollection(name: \"x\") { name } applySchema(sdl: \"type X @collection\") { changes } }";
    assert!(database.error(behind).1.contains("before all other writes"));
    assert_eq!(database.resolvers.sdl().unwrap(), before);
}

#[test]
fn a_unique_value_has_one_document() {
    let database = films();
    apply(&database, SDL);
    database.wait_for("the index", all_ready);
    let response =
        database.send("mutation { createFilm(input: {id: \"x\", title: \"Alien\"}) { id } }");
    assert_eq!(response["data"], Json::Null);
    let error = &response["errors"][0];
    assert_eq!(
        error["extensions"],
        json!({ "code": "UNIQUE_VIOLATION", "collection": "films", "fields": ["title"], "value": "Alien", "id": "a" })
    );
    let message = error["message"].as_str().unwrap();
    for part in ["title", "\"Alien\"", "films", "\"a\""] {
        assert!(message.contains(part), "{message}");
    }
    let taken = database.send("mutation { createFilm(input: {id: \"a\"}) { id } }");
    assert_eq!(
        taken["errors"][0]["extensions"],
        json!({ "code": "UNIQUE_VIOLATION", "collection": "films", "fields": ["id"], "value": "a", "id": "a" })
    );
}

#[test]
fn an_index_that_cannot_be_built_says_why() {
    let database = films();
    database.insert("films", &[json!({ "id": "a2", "title": "Alien" })]);
    apply(&database, SDL);
    let index = |database: &Database| {
        database.data("{ collections { indexes { status failure unique rows progress } } }")
            ["collections"][0]["indexes"][1]
            .clone()
    };
    database.wait_for("the failure", |database| {
        index(database)["status"] == "FAILED"
    });
    let failure = index(&database)["failure"].as_str().unwrap().to_owned();
    assert!(failure.contains("Alien"), "{failure}");
    // Declared again it is built anew.
    database.data("mutation { deleteFilm(id: \"a2\") { id } }");
    assert_eq!(
        apply(&database, SDL)["changes"],
        json!(["films: index unique (title) built anew"])
    );
    database.wait_for("the index", all_ready);
    assert_eq!(index(&database)["progress"].as_f64(), Some(1.0));
}

//! Declared fields: what they refuse, what they publish, and what is done to older documents.

use serde_json::{Value as Json, json};

use crate::fixture::{Database, films, first_error};

const APPLY: &str = "mutation ($sdl: String!, $dry: Boolean) { applySchema(sdl: $sdl, dryRun: $dry) { changes collections { name mode } } }";

fn try_apply(database: &Database, sdl: &str) -> Json {
    database.send_with(APPLY, &json!({ "sdl": sdl }))
}

fn apply(database: &Database, sdl: &str) -> Json {
    let response = try_apply(database, sdl);
    assert!(response.get("errors").is_none(), "{sdl}\n{response:#}");
    response["data"]["applySchema"]["changes"].clone()
}

/// Waits for the work on older documents.
fn settle(database: &Database) {
    database.wait_for("the backfills", |database| {
        let data = database.data("{ collections { backfills { kind failure } } }");
        let mut all = data["collections"].as_array().unwrap().iter();
        all.all(|one| one["backfills"] == json!([]))
    });
}

fn mistakes(response: &Json) -> Vec<String> {
    let extensions = &response["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "SCHEMA_VIOLATION", "{response:#}");
    let all = extensions["mistakes"].as_array().unwrap().iter();
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    all.map(|one| {
        format!(
            "{} {} {} {}",
            text(&one["path"]),
            text(&one["kind"]),
            text(&one["expected"]),
            text(&one["found"])
        )
    })
    .collect()
}

const PARTIAL: &str = r#"
    type Book @collection(mode: PARTIAL) {
      title: String!
      year: Int @index
      rating: Float! @default(value: 0.5)
      tags: [String!]
      publisher: Publisher
      names: [NamesEntry!]
      added: DateTime @default(value: "now()")
      isbn: ID
    }
    type Publisher { name: String!  city: String }
    type NamesEntry { key: String!  value: String! }
"#;

#[test]
fn every_way_in_is_held_to_what_is_declared() {
    let database = Database::empty();
    assert_eq!(
        apply(&database, PARTIAL),
        json!([
            "books: created",
            "books: mode is PARTIAL, was FLEXIBLE, title is declared String!, year is declared Int, \
             rating is declared Float!, by default 0.5, tags is declared [String!], publisher is declared an object, \
             names is declared a map of String!, added is declared DateTime, by default the time of the write, isbn is declared ID",
            "books: index (year) created"
        ])
    );
    assert_eq!(apply(&database, PARTIAL), json!([]));
    // The types are there before any document is.
    let input = database.data("{ __type(name: \"BookInput\") { inputFields { name type { kind name ofType { name } } } } }");
    let required: Vec<&str> = input["__type"]["inputFields"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|field| field["type"]["kind"] == "NON_NULL")
        .map(|field| field["name"].as_str().unwrap())
        .collect();
    assert_eq!(required, ["title"]);
    let made = database.data(
        r#"mutation { createBook(input: {id: "a", title: "Emma", tags: ["x"], isbn: 7, publisher: {name: "Murray"},
            names: [{key: "de", value: "Emma"}], _extra: {pages: 474}}) { title rating tags isbn added publisher { name city } names { key value } _json } }"#,
    );
    assert_eq!(
        made["createBook"],
        json!({
            "title": "Emma", "rating": 0.5, "tags": ["x"], "isbn": "7", "added": made["createBook"]["added"],
            "publisher": {"name": "Murray", "city": null}, "names": [{"key": "de", "value": "Emma"}],
            "_json": made["createBook"]["_json"],
        })
    );
    assert_eq!(made["createBook"]["_json"]["pages"], 474);
    assert!(
        made["createBook"]["added"]
            .as_str()
            .unwrap()
            .starts_with("2026-11-23T")
    );
    // What is inferred stands beside.
    assert_eq!(
        database.data("{ book(id: \"a\") { pages } }")["book"]["pages"],
        474
    );
    for (write, expected) in [
        (
            r#"updateBook(id: "a", patch: {title: null}) { id }"#,
            vec!["title MISSING String! missing"],
        ),
        (
            r#"updateBook(id: "a", patch: {_unset: [title]}) { id }"#,
            vec!["title MISSING String! missing"],
        ),
        (
            r#"updateBook(id: "a", patch: {_set: {title: null, year: "x", publisher: {city: 1}}}) { id }"#,
            vec![
                "title NULL String! null",
                "publisher.city TYPE String an integer",
                "publisher.name MISSING String! missing",
                "year TYPE Int a string",
            ],
        ),
        (
            r#"updateBook(id: "a", patch: {_extra: {names: {fr: null}}, _set: {tags: [null, 1]}}) { id }"#,
            vec!["tags[] NULL String! null", "tags[] TYPE String! an integer"],
        ),
        (
            r#"upsertBook(id: "b", input: {title: "x", _extra: {year: 1.5}}) { id }"#,
            vec!["year TYPE Int a fraction"],
        ),
        (
            r#"replaceBook(id: "a", input: {title: "x", _extra: {added: "yesterday"}}) { id }"#,
            vec!["added TYPE DateTime a string"],
        ),
        (
            r#"insertDocuments(collection: "books", documents: [{id: "c", title: "x"}, {id: "d"}])"#,
            vec!["title MISSING String! missing"],
        ),
    ] {
        let response = database.send(&format!("mutation {{ {write} }}"));
        if expected[0].starts_with("added") || expected[0].starts_with("year TYPE Int a fraction") {
            // A typed field is not given under its original name too, so that is told first.
            let code = &response["errors"][0]["extensions"]["code"];
            assert!(
                code == "SCHEMA_VIOLATION" || code == "BAD_REQUEST",
                "{response:#}"
            );
            continue;
        }
        assert_eq!(mistakes(&response), expected, "{write}");
    }
    // An increment that leaves the type.
    database.data(r#"mutation { updateBook(id: "a", patch: {year: 2147483647}) { id } }"#);
    let beyond =
        database.send(r#"mutation { updateBook(id: "a", patch: {_inc: {year: 1}}) { year } }"#);
    assert_eq!(
        mistakes(&beyond),
        ["year TYPE Int an integer beyond 32 bits"]
    );
    assert_eq!(
        database.data("{ books { totalCount } }")["books"]["totalCount"],
        1
    );
    // A default comes back rather than being absent.
    let unset =
        database.data(r#"mutation { updateBook(id: "a", patch: {_unset: [rating]}) { rating } }"#);
    assert_eq!(unset["updateBook"]["rating"], 0.5);
    // GraphQL itself refuses what is required and not given.
    assert_eq!(
        database
            .error(r#"mutation { createBook(input: {id: "x"}) { id } }"#)
            .0,
        "VALIDATION_FAILED"
    );
}

#[test]
fn a_strict_collection_takes_nothing_else() {
    let database = Database::empty();
    apply(
        &database,
        "type Note @collection(mode: STRICT) { text: String! at: Place } type Place { x: Int! }",
    );
    let insert = |json: &str| {
        database.send(&format!(
            "mutation {{ insertDocuments(collection: \"notes\", documents: [{json}]) }}"
        ))
    };
    assert!(
        insert(r#"{id: "a", text: "x", at: {x: 1}}"#)
            .get("errors")
            .is_none()
    );
    assert_eq!(
        mistakes(&insert(
            r#"{id: "b", text: "x", more: 1, at: {x: 1, y: 2}}"#
        )),
        [
            "more UNDECLARED  not declared",
            "at.y UNDECLARED  not declared"
        ]
    );
    let data = database.data("{ collections { mode } }");
    assert_eq!(data["collections"][0]["mode"], "STRICT");
}

#[test]
fn documents_that_are_not_so_refuse_the_declaration_with_counts_and_ids() {
    let database = Database::empty();
    let documents: Vec<Json> = (0..30)
        .map(|n| match n % 3 {
            0 => json!({ "id": format!("{n:02}"), "title": "x", "year": 1990 }),
            1 => json!({ "id": format!("{n:02}"), "title": null, "year": "1990" }),
            _ => json!({ "id": format!("{n:02}"), "odd": true }),
        })
        .collect();
    database.insert("books", &documents);
    database.insert("others", &[json!({ "id": "o", "x": 1 })]);
    database.data("mutation { deleteBook(id: \"02\") { id } }");
    let before = database.resolvers.sdl().unwrap();
    let response = try_apply(
        &database,
        "type Book @collection(mode: STRICT, ttl: \"1d\") { title: String! year: Int } type Other @collection(mode: PARTIAL) { x: String }",
    );
    assert_eq!(response["data"], Json::Null);
    let error = &response["errors"][0];
    assert_eq!(error["extensions"]["code"], "SCHEMA_VIOLATION");
    let shown: Vec<String> = error["extensions"]["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!(
                "{} {} {} {} {}",
                one["collection"],
                one["path"],
                one["kind"],
                one["count"],
                one["ids"].as_array().unwrap().len()
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#""books" "title" "MISSING" 10 10"#,
            r#""books" "title" "NULL" 10 10"#,
            r#""books" "year" "TYPE" 10 10"#,
            r#""books" "odd" "UNDECLARED" 10 10"#,
            r#""others" "x" "TYPE" 1 1"#,
        ]
    );
    // Softly deleted documents count: they can be read, and restored.
    assert_eq!(error["extensions"]["violations"][0]["ids"][0], "02");
    assert_eq!(database.resolvers.sdl().unwrap(), before);
}

#[test]
fn a_default_is_given_to_older_documents_and_then_published_as_required() {
    let database = Database::empty();
    let documents: Vec<Json> = (0..1200)
        .map(|n| json!({ "title": format!("t{n}") }))
        .collect();
    database.insert("books", &documents);
    database.data("mutation { deleteBooks(filter: {title: {eq: \"t7\"}}) { count } }");
    let sdl = "type Book @collection(mode: PARTIAL) { title: String! rating: Float! @default(value: 0.5) }";
    apply(&database, sdl);
    settle(&database);
    assert_eq!(apply(&database, sdl), json!([]));
    let ty = database.data("{ __type(name: \"Book\") { fields { name type { kind } } } }");
    let fields = ty["__type"]["fields"].as_array().unwrap();
    let rating = fields
        .iter()
        .find(|field| field["name"] == "rating")
        .unwrap();
    assert_eq!(rating["type"]["kind"], "NON_NULL");
    let all =
        database.data("{ books(filter: {rating: {eq: 0.5}}, deleted: INCLUDE) { totalCount } }");
    assert_eq!(all["books"]["totalCount"], 1200);
    // It was one more revision of each.
    let one = database.data("{ books(first: 1) { nodes { _version rating } } }");
    assert_eq!(
        one["books"]["nodes"][0],
        json!({ "_version": 2, "rating": 0.5 })
    );
    let null = database
        .send("mutation { updateBooks(filter: {}, patch: {_set: {rating: null}}) { count } }");
    assert_eq!(mistakes(&null), ["rating NULL Float! null"]);
}

#[test]
fn a_field_is_renamed_in_all_documents_and_read_under_its_new_name_at_once() {
    let database = Database::empty();
    let documents: Vec<Json> = (0..1200)
        .map(|n| json!({ "id": format!("{n}"), "name": format!("t{n}"), "n": n }))
        .collect();
    database.insert("books", &documents);
    let sdl = "type Book @collection(mode: STRICT) { title: String! @was(name: \"name\") n: Int }";
    assert!(
        apply(&database, sdl)[0]
            .as_str()
            .unwrap()
            .contains("title takes the values of name")
    );
    // Whatever has been done by now: every document is found under the new name, and written under it.
    let found = database.data("{ books(filter: {title: {eq: \"t1100\"}}) { nodes { id title } } }");
    assert_eq!(
        found["books"]["nodes"],
        json!([{ "id": "1100", "title": "t1100" }])
    );
    database.data("mutation { updateBook(id: \"1199\", patch: {title: \"new\"}) { title } }");
    settle(&database);
    let found = database.data(
        "{ books(filter: {title: {in: [\"t1100\", \"new\"]}}, orderBy: [{n: ASC}]) { totalCount nodes { title _json } } }",
    );
    assert_eq!(
        found["books"]["nodes"],
        json!([
            { "title": "t1100", "_json": { "id": "1100", "title": "t1100", "n": 1100 } },
            { "title": "new", "_json": { "id": "1199", "title": "new", "n": 1199 } }
        ])
    );
    assert_eq!(apply(&database, sdl), json!([]));
    let old = database.error("{ books { nodes { name } } }");
    assert_eq!(old.0, "VALIDATION_FAILED");
    // From a STRICT collection's documents the old name is gone: it would be refused.
    let stray = database
        .send("mutation { insertDocuments(collection: \"books\", documents: [{name: \"x\"}]) }");
    assert_eq!(mistakes(&stray).len(), 2, "{stray:#}");
}

#[test]
fn an_earlier_revision_is_restored_as_what_is_declared_now() {
    let database = Database::empty();
    database.insert(
        "books",
        &[json!({ "id": "a", "title": "Emma", "year": "1815" })],
    );
    database.pass(std::time::Duration::from_secs(10));
    database.data("mutation { updateBook(id: \"a\", patch: {_set: {year: 1815}}) { id } }");
    apply(
        &database,
        "type Book @collection(mode: PARTIAL) { year: Int rating: Float! @default(value: 1) }",
    );
    settle(&database);
    let restore = "mutation { restoreBook(id: \"a\", at: \"2026-11-23T00:00:05Z\") { rating } }";
    assert_eq!(
        mistakes(&database.send(restore)),
        ["year TYPE Int a string"]
    );
    apply(
        &database,
        "type Book @collection(mode: PARTIAL) { rating: Float! @default(value: 1) }",
    );
    database.data("mutation { updateBook(id: \"a\", patch: {_set: {rating: 3}}) { id } }");
    // What it lacks is filled in.
    assert_eq!(database.data(restore)["restoreBook"]["rating"], 1);
    // Before that was declared it was not there: null with an error, and so is what must not be null around it.
    let past = database.send("{ book(id: \"a\", at: \"2026-11-23T00:00:05Z\") { rating } }");
    assert_eq!(first_error(&past).0, "TYPE_DRIFT");
    assert_eq!(past["data"]["book"], Json::Null);
}

#[test]
fn names_are_declared() {
    let database = Database::empty();
    database.insert(
        "movies",
        &[json!({ "id": "a", "US Gross": 7, "titel": "x" })],
    );
    apply(
        &database,
        r#"type Film @collection(name: "movies", type: "Film", mode: PARTIAL) {
             US_Gross: Int  gross: Float @field(name: "Worldwide Gross")  ratings: Ratings }
           type Ratings { imdb: Float @field(name: "IMDB Rating") }"#,
    );
    let made = database.data(
        "mutation { createFilm(input: {id: \"b\", gross: 1.5, ratings: {imdb: 7}}) { US_Gross gross _json } }",
    );
    assert_eq!(
        made["createFilm"],
        json!({ "US_Gross": null, "gross": 1.5, "_json": { "Worldwide Gross": 1.5, "ratings": { "IMDB Rating": 7 } } })
    );
    assert_eq!(
        database.data("{ movies { nodes { titel } } film(id: \"a\") { US_Gross } }")["film"]["US_Gross"],
        7
    );
    for (sdl, part) in [
        (
            r#"type Film @collection(name: "movies") { usGross: Int @field(name: "US Gross") }"#,
            "published as US_Gross already",
        ),
        (
            r#"type Film @collection(name: "movies", mode: PARTIAL) { titel: Int @field(name: "other") }"#,
            "names are never given anew",
        ),
        (
            r#"type X @collection(name: "xs", type: "Movie")"#,
            "names are never given anew",
        ),
        (
            r#"type X @collection(name: "xs", type: "Query")"#,
            "the system's",
        ),
    ] {
        let response = try_apply(&database, sdl);
        let (code, message, _) = first_error(&response);
        assert_eq!(code, "BAD_REQUEST", "{response:#}");
        assert!(message.contains(part), "{message}");
    }
    // Before an import, in a flexible collection.
    apply(
        &database,
        r#"type Car @collection { mpg: Float @field(name: "Miles per Gallon") }"#,
    );
    assert_eq!(
        apply(
            &database,
            r#"type Car @collection { mpg: Float @field(name: "Miles per Gallon") }"#
        ),
        json!([])
    );
    database.insert("cars", &[json!({ "id": "c", "Miles per Gallon": 18 })]);
    assert_eq!(
        database.data("{ car(id: \"c\") { mpg } }")["car"]["mpg"],
        18
    );
}

#[test]
fn the_printed_schema_declares_the_same_again() {
    let database = films();
    apply(&database, PARTIAL);
    apply(
        &database,
        r#"type Odd @collection(name: "odd ones", type: "Strange", mode: STRICT) { a_b: [[Int!]] @field(name: "a b") @default(value: [[1, 2], null])  deep: Deep } type Deep { x: JSON @default(value: {a: "\"q\"", b: []})  d: Duration b: Bytes }"#,
    );
    database.data(
        r#"mutation { createBook(input: {title: "x", publisher: {name: "y", _: 1}}) { id } }"#
            .replace(", _: 1", "")
            .as_str(),
    );
    database.insert(
        "books",
        &[json!({ "title": "z", "found": { "deep": 1 }, "publisher": { "name": "n", "zip": 1 } })],
    );
    let printed = database.resolvers.sdl().unwrap();
    for part in [
        r#"@collection(name: "odd ones", type: "Strange", mode: STRICT)"#,
        r#"a_b: [[Int!]] @field(name: "a b") @default(value: [[1, 2], null])"#,
        r#"x: JSON @default(value: {a: "\"q\"", b: []})"#,
        "found: BookFound @inferred",
        "zip: Int @inferred",
        "title: String!\n",
        "rating: Float! @default(value: 0.5)",
    ] {
        assert!(printed.contains(part), "{part}\n{printed}");
    }
    assert_eq!(apply(&database, &printed), json!([]));
    let empty = Database::empty();
    apply(&empty, &printed);
    assert_eq!(apply(&empty, &printed), json!([]));
    let again = empty.resolvers.sdl().unwrap();
    assert!(
        again.contains("title: String!\n") && !again.contains("zip: Int"),
        "{again}"
    );
    apply(&empty, &again);
    assert_eq!(empty.resolvers.sdl().unwrap(), again);
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let database = films();
    let before = database.resolvers.sdl().unwrap();
    let dry = database.send_with(
        APPLY,
        &json!({ "sdl": "type Film @collection(mode: PARTIAL) { title: String }", "dry": true }),
    );
    assert_eq!(
        dry["data"]["applySchema"]["changes"],
        json!(["films: mode is PARTIAL, was FLEXIBLE, title is declared String"])
    );
    assert_eq!(database.resolvers.sdl().unwrap(), before);
    let refused = database.send_with(
        APPLY,
        &json!({ "sdl": "type Film @collection(mode: PARTIAL) { title: Int }", "dry": true }),
    );
    assert_eq!(first_error(&refused).0, "SCHEMA_VIOLATION");
}

#[test]
fn formats_that_are_not_counted_are_looked_at() {
    let database = Database::empty();
    database.insert(
        "runs",
        &[
            json!({ "id": "a", "took": "PT1S" }),
            json!({ "id": "b", "took": null }),
        ],
    );
    apply(
        &database,
        "type Run @collection(mode: PARTIAL) { took: Duration }",
    );
    database.insert("others", &[json!({ "id": "x", "took": "1 s" })]);
    let refused = try_apply(
        &database,
        "type Other @collection(mode: PARTIAL) { took: Duration }",
    );
    assert_eq!(
        refused["errors"][0]["extensions"]["violations"][0]["ids"],
        json!(["x"])
    );
}

#[test]
fn a_declaration_holds_for_what_comes_in_the_same_operation() {
    let database = Database::empty();
    let response = database.send_with(
        "mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } insertDocuments(collection: \"notes\", documents: [{text: 1}]) }",
        &json!({ "sdl": "type Note @collection(mode: PARTIAL) { text: String! }" }),
    );
    assert_eq!(mistakes(&response), ["text TYPE String! an integer"]);
    assert_eq!(response["errors"][0]["path"], json!(["insertDocuments"]));
    assert_eq!(
        database.data("{ collections { name } }")["collections"],
        json!([])
    );
}

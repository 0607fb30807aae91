//! One operation is one transaction, and says which root field failed it.

use serde_json::{Value as Json, json};
use thalweg_resolvers::{Limits, Request};

use crate::fixture::{Database, films, first_error};

fn refused(database: &Database, mutation: &str, code: &str, path: &Json) -> String {
    let before = database.data("{ films(deleted: INCLUDE) { nodes { id _version _json } } }");
    let response = database.send(mutation);
    let (found, message, at) = first_error(&response);
    assert_eq!(
        (found.as_str(), &at),
        (code, path),
        "{mutation}\n{response:#}"
    );
    assert_eq!(response.get("data"), Some(&Json::Null), "{response:#}");
    let after = database.data("{ films(deleted: INCLUDE) { nodes { id _version _json } } }");
    assert_eq!(before, after, "{mutation} changed something");
    message
}

#[test]
fn all_or_nothing() {
    let database = films();
    refused(
        &database,
        "mutation { one: createFilm(input: {id: \"n\"}) { id } two: createFilm(input: {id: \"a\"}) { id } three: deleteFilm(id: \"b\") { id } }",
        "UNIQUE_VIOLATION",
        &json!(["two"]),
    );
    refused(
        &database,
        "mutation { updateFilms(filter: {}, patch: {_inc: {year: 1}}) { count } x: updateFilm(id: \"a\", patch: {title: \"x\"}, ifVersion: 9) { id } }",
        "VERSION_MISMATCH",
        &json!(["x"]),
    );
    refused(
        &database,
        "mutation { createFilm(input: {id: \"n\"}) { id } y: deleteFilm(id: \"nope\", ifVersion: 1) { id } }",
        "VERSION_MISMATCH",
        &json!(["y"]),
    );
    refused(
        &database,
        "mutation { createFilm(input: {id: \"n\"}) { id } insertDocuments(collection: \"films\", documents: [{id: \"o\"}, {id: \"a\"}]) }",
        "UNIQUE_VIOLATION",
        &json!(["insertDocuments"]),
    );
}

#[test]
fn each_root_field_shows_its_own_step() {
    let database = films();
    let data = database.data(
        "mutation { a: updateFilm(id: \"a\", patch: {_inc: {year: 1}}) { year _version }
                    b: updateFilm(id: \"a\", patch: {_inc: {year: 1}}) { year _version }
                    __typename
                    c: deleteFilm(id: \"a\") { year _deletedAt } }",
    );
    assert_eq!(data["a"], json!({ "year": 1980, "_version": 2 }));
    assert_eq!(data["b"], json!({ "year": 1981, "_version": 2 }));
    assert_eq!(data["__typename"], "Mutation");
    assert_eq!(data["c"]["year"], 1981);
}

#[test]
fn inputs_that_cannot_be_meant() {
    let database = films();
    let cases = [
        ("createFilm(input: {id: \"x\"}, id: \"y\") { id }", "\"y\""),
        (
            "createFilm(input: {title: \"x\", _extra: {title: 1}}) { id }",
            "title is given twice",
        ),
        ("createFilm(input: {_extra: [1]}) { id }", "an object"),
        ("createFilm(input: {_extra: {id: 1}}) { id }", "id"),
        ("createFilm(input: {}, id: \"\") { id }", ""),
        (
            "updateFilm(id: \"a\", patch: {year: 1, _inc: {year: 1}}) { id }",
            "year twice",
        ),
        (
            "updateFilm(id: \"a\", patch: {studio: {name: \"x\"}, _set: {studio: 1}}) { id }",
            "studio.name",
        ),
        (
            "updateFilm(id: \"a\", patch: {title: \"x\", _unset: [title]}) { id }",
            "title twice",
        ),
        (
            "updateFilm(id: \"a\", patch: {}, ifVersion: -1) { id }",
            "ifVersion",
        ),
        (
            "insertDocuments(collection: \"x\", documents: [{}, 1])",
            "documents[1]",
        ),
        ("insertDocuments(collection: \"_x\", documents: [{}])", "_x"),
        (
            "updateFilm(id: \"a\", patch: {_extra: {title: {}, year: 1}, year: 2}) { id }",
            "year twice",
        ),
    ];
    for (field, message) in cases {
        let found = refused(
            &database,
            &format!("mutation {{ r: {field} }}"),
            "BAD_REQUEST",
            &json!(["r"]),
        );
        assert!(found.contains(message), "{field}: {found}");
    }
}

#[test]
fn every_refused_root_field_is_told() {
    let response = films().send(
        "mutation { a: createFilm(input: {id: \"x\"}, id: \"y\") { id } b: updateFilm(id: \"a\", patch: {}, ifVersion: -1) { id } }",
    );
    let paths: Vec<&Json> = response["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["path"])
        .collect();
    assert_eq!(paths, [&json!(["a"]), &json!(["b"])]);
}

#[test]
fn a_bulk_mutation_sees_the_root_fields_before_it() {
    let database = films();
    let data = database.data(
        "mutation {
            one: createFilm(input: {id: \"n\", title: \"New\", year: 2001}) { id }
            two: createFilm(input: {title: \"Newer\", year: 2002}) { id }
            old: updateFilms(filter: {year: {gt: 2000}}, patch: {_inc: {year: 100}}) { count ids }
            gone: deleteFilms(filter: {year: {lt: 2000}}) { count }
            rest: updateFilms(filter: {}, patch: {_inc: {year: 1}}) { count ids }
            last: updateFilm(id: \"n\", patch: {_inc: {year: 1}}) { year _version }
        }",
    );
    assert_eq!(data["old"]["count"], 2, "{data:#}");
    let made = data["two"]["id"].as_str().expect("an id");
    let mut expect = vec![made, "n"];
    expect.sort_unstable();
    assert_eq!(data["old"]["ids"], json!(expect));
    assert_eq!(data["rest"]["ids"], json!(expect), "{data:#}");
    assert_eq!(data["last"], json!({ "year": 2103, "_version": 1 }));
    let left = database.data("{ films(orderBy: {year: ASC}) { nodes { id year } } }");
    assert_eq!(
        left["films"]["nodes"],
        json!([{ "id": made, "year": 2103 }, { "id": "n", "year": 2103 }]),
    );
    refused(
        &database,
        "mutation { one: updateFilms(filter: {}, patch: {_inc: {year: 1}}) { count }
                    two: createFilm(input: {id: \"n\"}) { id }
                    three: updateFilms(filter: {}, patch: {_inc: {year: 1}}) { count } }",
        "UNIQUE_VIOLATION",
        &json!(["two"]),
    );
    let emptied = database.data(
        "mutation { truncateCollection(name: \"films\") { name } deleteFilms(filter: {}) { count } }",
    );
    assert_eq!(emptied["deleteFilms"]["count"], 0);
}

#[test]
fn absent_and_null_variables_are_told_apart() {
    let database = films();
    let patch = "mutation ($title: JSON, $year: Int) { updateFilm(id: \"b\", patch: {title: $t, year: $year}) { title year } }";
    let patch = patch.replace("$title: JSON", "$t: String");
    let absent = database.send_with(&patch, &json!({}));
    assert_eq!(
        absent["data"]["updateFilm"],
        json!({ "title": "Brazil", "year": 1985 })
    );
    let null = database.send_with(&patch, &json!({ "year": null }));
    assert_eq!(
        null["data"]["updateFilm"],
        json!({ "title": "Brazil", "year": null })
    );
}

#[test]
fn ids_are_one_whether_text_or_number() {
    let database = Database::empty();
    database.insert("films", &[json!({ "id": 1, "title": "one" })]);
    let data = database.data("{ a: film(id: 1) { id title } b: film(id: \"1\") { id } films(filter: {id: {in: [1]}}) { nodes { id } } }");
    assert_eq!(data["a"], json!({ "id": "1", "title": "one" }));
    assert_eq!(data["b"], json!({ "id": "1" }));
    assert_eq!(data["films"]["nodes"], json!([{ "id": "1" }]));
}

#[test]
fn nothing_is_committed_by_a_mutation_that_does_nothing() {
    let database = films();
    let response = database.send("mutation { __typename }");
    assert_eq!(response["data"], json!({ "__typename": "Mutation" }));
    let response = database.send(
        "mutation { updateFilms(filter: {year: {gt: 3000}}, patch: {title: \"x\"}) { count ids } }",
    );
    assert_eq!(
        response["data"]["updateFilms"],
        json!({ "count": 0, "ids": [] })
    );
}

#[test]
fn bulk_mutations_are_bounded() {
    let database = Database::with_limits(Limits {
        bulk_writes_max: 3,
        ..Limits::default()
    });
    let documents: Vec<Json> = (0..4).map(|n| json!({ "n": n })).collect();
    database.insert("things", &documents);
    let response = database.send("mutation { deleteThings(filter: {}) { count } }");
    assert_eq!(first_error(&response).0, "LIMIT_EXCEEDED");
    let data = database.data("mutation { deleteThings(filter: {n: {lt: 3}}) { count } }");
    assert_eq!(data["deleteThings"]["count"], 3);
}

#[test]
fn mutations_can_be_awaited_anywhere() {
    fn check<F: Future + Send>(_: F) {}
    let database = films();
    let operation = database
        .resolvers
        .prepare(&Request::text("mutation { __typename }"))
        .unwrap();
    check(database.resolvers.mutate(&operation));
}

#[test]
fn the_real_id_is_shown_where_the_stored_member_is_another() {
    let database = films();
    let data = database.data(
        "mutation { insertDocuments(collection: \"odd\", documents: [{id: null, a: 1}, {id: 7, a: 1}, {a: 1}]) }",
    );
    let shown = &data["insertDocuments"];
    assert_eq!(shown[0]["id"].as_str().map(str::len), Some(36), "{shown}");
    assert_eq!(shown[0]["a"], 1);
    assert_eq!(shown[1]["id"], 7);
    assert_eq!(shown[2]["id"].as_str().map(str::len), Some(36));
}

#[test]
fn what_an_operation_has_written_it_cannot_drop() {
    let database = films();
    let fields = [
        "createCollection(name: \"x\") { name } dropCollection(name: \"x\") { name }",
        "insertDocuments(collection: \"x\", documents: [{a: 1}]) dropCollection(name: \"x\") { name }",
        "createFilm(input: {id: \"z\"}) { id } dropCollection(name: \"films\") { name }",
        "renameCollection(from: \"films\", to: \"x\") { name } dropCollection(name: \"x\") { name }",
    ];
    for fields in fields {
        let response = database.send(&format!("mutation {{ {fields} }}"));
        let (code, message, path) = first_error(&response);
        assert_eq!(code, "BAD_REQUEST", "{fields}: {message}");
        assert_eq!(path[0], "dropCollection", "{fields}");
        assert!(response["extensions"].is_null());
    }
    let data = database.data("{ collections { name } films { totalCount } }");
    assert_eq!(data["films"]["totalCount"], 4);
    assert_eq!(data["collections"].as_array().map(Vec::len), Some(1));
    let data = database.data(
        "mutation { dropCollection(name: \"films\") { name count } createCollection(name: \"films\") { name count } }",
    );
    assert_eq!(data["dropCollection"]["count"], 4);
    assert_eq!(data["createCollection"]["count"], 0);
}

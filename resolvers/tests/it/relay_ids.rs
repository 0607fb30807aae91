//! An API schema for clients of Relay: `id` is the global id, a document's own is `rowId`, and what is stored is the same.

use serde_json::{Value as Json, json};
use thalweg_resolvers::Request;

use crate::fixture::{Database, film_documents, films, first_error};

fn films_for_relay() -> Database {
    let database = Database::for_relay();
    database.insert("films", &film_documents());
    database
}

/// The global id of a film.
fn global(database: &Database, row_id: &str) -> Json {
    database.data(&format!("{{ film(rowId: {row_id:?}) {{ id }} }}"))["film"]["id"].clone()
}

/// A library in which books name authors, declared by names of the mode.
fn library() -> Database {
    let database = Database::for_relay();
    database.insert("authors", &[json!({ "id": "1", "name": "Le Guin" })]);
    database.insert(
        "books",
        &[json!({ "id": "1", "title": "Lathe", "writer": "1" })],
    );
    let sdl = "type Author @collection { rowId: ID! }
        type Book @collection { rowId: ID! author: Author @relation(field: \"writer\", references: \"id\") }";
    let sdl = serde_json::to_string(sdl).unwrap();
    database.data(&format!(
        "mutation {{ applySchema(sdl: {sdl}) {{ changes }} }}"
    ));
    database
}

#[test]
fn documents_are_found_by_either_id() {
    let (local, relay) = (films(), films_for_relay());
    let id = global(&relay, "a");
    let found = relay.data(&format!(
        "{{ film(rowId: \"a\") {{ id rowId title _json }}
            node(id: {id}) {{ __typename id ... on Film {{ rowId title }} }} }}"
    ));
    assert_eq!(found["film"]["rowId"], "a");
    assert_eq!(found["film"]["_json"]["id"], "a");
    assert_eq!(
        found["node"],
        json!({ "__typename": "Film", "id": id, "rowId": "a", "title": "Alien" })
    );
    // A global id is the same, whatever it is called.
    assert_eq!(
        local.data("{ film(id: \"a\") { nodeId } }")["film"]["nodeId"],
        id
    );
    assert_eq!(
        relay.data("{ node(id: \"a\") { id } }")["node"],
        Json::Null,
        "its own id is no global one"
    );
    for (query, name) in [
        ("{ film(id: \"a\") { title } }", "rowId"),
        ("{ node(nodeId: \"a\") { id } }", "id"),
        ("{ films { nodes { nodeId } } }", "nodeId"),
        ("{ films(filter: {id: {eq: \"a\"}}) { totalCount } }", "id"),
        ("{ films(orderBy: [{id: ASC}]) { totalCount } }", "id"),
    ] {
        let (code, message, _) = relay.error(query);
        assert_eq!(code, "VALIDATION_FAILED", "{query}");
        assert!(message.contains(name), "{query}: {message}");
    }
}

#[test]
fn documents_are_filtered_and_ordered_by_their_own_id() {
    let database = films_for_relay();
    let data = database.data(
        "{ films(filter: {rowId: {gt: \"a\"}, or: [{rowId: {eq: \"b\"}}, {rowId: {in: [\"d\"]}}]}, orderBy: [{rowId: DESC}]) {
             edges { node { rowId } } }
           filmsAggregate(filter: {rowId: {ne: \"a\"}}, bucket: [{field: _createdAt, unit: YEAR}]) {
             count max { year _createdAt } groups { count key { _createdAt } } } }",
    );
    assert_eq!(
        data["films"]["edges"],
        json!([{ "node": { "rowId": "d" } }, { "node": { "rowId": "b" } }])
    );
    assert_eq!(data["filmsAggregate"]["count"], 3);
    assert_eq!(data["filmsAggregate"]["max"]["year"], 1985);
    assert_eq!(data["filmsAggregate"]["groups"][0]["count"], 3);
    let (_, message, _) = database
        .error("{ filmsAggregate(having: {min: {rowId: {eq: \"a\"}}}) { groups { count } } }");
    assert!(message.contains("hold times"), "{message}");
}

#[test]
fn a_document_is_created_with_an_id_of_its_own() {
    let database = films_for_relay();
    let data = database.data(
        "mutation {
           a: createFilm(input: {title: \"A\"}, rowId: \"x\") { rowId _json }
           b: createFilm(input: {title: \"B\", rowId: \"y\"}) { rowId _json }
           c: createFilm(input: {rowId: \"z\"}, rowId: \"z\") { rowId }
           d: createFilm(input: {}) { rowId }
           many: createFilms(inputs: [{rowId: \"m\"}]) { rowId }
         }",
    );
    assert_eq!(
        data["a"],
        json!({ "rowId": "x", "_json": { "title": "A" } })
    );
    assert_eq!(
        data["b"],
        json!({ "rowId": "y", "_json": { "title": "B" } })
    );
    assert_eq!(data["c"]["rowId"], "z");
    assert_eq!(data["many"], json!([{ "rowId": "m" }]));
    assert_ne!(data["d"]["rowId"], data["c"]["rowId"]);

    for (field, words) in [
        (
            "createFilm(input: {rowId: \"p\"}, rowId: \"q\") { rowId }",
            "the argument rowId is \"q\" but input.rowId is \"p\"",
        ),
        (
            "upsertFilm(rowId: \"p\", input: {rowId: \"q\"}) { rowId }",
            "the argument rowId is \"p\" but input.rowId is \"q\"",
        ),
        (
            "createFilm(input: {_extra: {id: 1}}) { rowId }",
            "cannot hold id; a document's id is given as rowId and never changes",
        ),
        (
            "updateFilm(rowId: \"a\", patch: {_set: {id: 1}}) { rowId }",
            "is given as rowId and never changes",
        ),
    ] {
        let response = database.send(&format!("mutation {{ {field} }}"));
        let (code, message, _) = first_error(&response);
        assert_eq!(code, "BAD_REQUEST", "{field}");
        assert!(message.contains(words), "{field}: {message}");
    }
    // A field may be called so, under another name.
    let data = database.data(
        "mutation { createFilm(input: {_extra: {rowId: \"stored\", nodeId: 1}}, rowId: \"own\") { rowId _json } }",
    );
    assert_eq!(
        data["createFilm"],
        json!({ "rowId": "own", "_json": { "rowId": "stored", "nodeId": 1 } })
    );
    assert_eq!(
        database.data("{ film(rowId: \"own\") { rowId rowId_ nodeId_ } }")["film"],
        json!({ "rowId": "own", "rowId_": "stored", "nodeId_": 1 })
    );
}

#[test]
fn every_write_names_its_document_by_its_own_id() {
    let database = films_for_relay();
    let id = global(&database, "a");
    let data = database.data(
        "mutation {
           updateFilm(rowId: \"a\", patch: {title: \"U\"}) { id rowId title }
           created: upsertFilm(rowId: \"n\", input: {title: \"N\"}) { rowId _version }
           merged: upsertFilm(rowId: \"n\", input: {rowId: \"n\", year: 1}) { rowId title year }
           replaceFilm(rowId: \"b\", input: {title: \"R\"}) { rowId _json }
           deleteFilm(rowId: \"c\") { rowId }
           restoreFilm(rowId: \"c\") { rowId _deletedAt }
           missing: updateFilm(rowId: \"?\", patch: {title: \"x\"}) { rowId }
           updateFilms(filter: {rowId: {eq: \"d\"}}, patch: {year: 7}) { ids }
           deleteFilms(filter: {rowId: {eq: \"d\"}}) { count ids }
         }",
    );
    assert_eq!(
        data,
        json!({
            "updateFilm": { "id": id, "rowId": "a", "title": "U" },
            "created": { "rowId": "n", "_version": 1 },
            "merged": { "rowId": "n", "title": "N", "year": 1 },
            "replaceFilm": { "rowId": "b", "_json": { "title": "R" } },
            "deleteFilm": { "rowId": "c" },
            "restoreFilm": { "rowId": "c", "_deletedAt": null },
            "missing": null,
            "updateFilms": { "ids": ["d"] },
            "deleteFilms": { "count": 1, "ids": ["d"] },
        })
    );
    let stored = database.data(
        "mutation { insertDocuments(collection: \"films\", documents: [{id: \"s\", n: 1}]) }",
    );
    assert_eq!(stored["insertDocuments"], json!([{ "id": "s", "n": 1 }]));
    assert_eq!(
        database
            .data("{ film(rowId: \"a\") { _history { nodes { document { id rowId title } } } } }")
            ["film"]["_history"]["nodes"][0]["document"],
        json!({ "id": id, "rowId": "a", "title": "U" })
    );
}

#[test]
fn related_documents_have_ids_of_their_own_too() {
    let database = library();
    let data = database.data(
        "mutation {
           createBook(input: {rowId: \"2\", title: \"Rocannon\", author: {create: {rowId: \"1b\", name: \"U. K.\"}}}) {
             rowId author { rowId name } }
           createAuthor(input: {rowId: \"2\", booksByAuthor: {create: [{rowId: \"9\", title: \"Nine\"}], connect: [\"1\"]}}) {
             id rowId booksByAuthor(orderBy: [{rowId: ASC}]) { nodes { rowId title } } }
         }",
    );
    assert_eq!(
        data["createBook"],
        json!({ "rowId": "2", "author": { "rowId": "1b", "name": "U. K." } })
    );
    assert_eq!(
        data["createAuthor"]["booksByAuthor"]["nodes"],
        json!([{ "rowId": "1", "title": "Lathe" }, { "rowId": "9", "title": "Nine" }])
    );
    let found = database.data(
        "{ books(filter: {author: {rowId: {eq: \"2\"}}}, orderBy: [{author: {rowId: ASC}}, {rowId: DESC}]) { nodes { rowId author { rowId } } }
           author(rowId: \"1\") { id booksByAuthor { totalCount } } book(rowId: \"1\") { id } }",
    );
    assert_eq!(
        found["books"]["nodes"],
        json!([{ "rowId": "9", "author": { "rowId": "2" } }, { "rowId": "1", "author": { "rowId": "2" } }])
    );
    assert_ne!(
        found["author"]["id"], found["book"]["id"],
        "a global id is no other collection's"
    );
}

#[test]
fn a_live_query_depends_on_what_it_names() {
    let database = films_for_relay();
    let request = Request::text("query @live { film(rowId: \"a\") { id rowId year } }");
    let operation = database.resolvers.prepare(&request).unwrap();
    assert!(operation.is_live());
    let evaluate = || {
        let snapshot = database.resolvers.engine().snapshot().unwrap();
        database.resolvers.run(&operation, &snapshot)
    };
    let before = evaluate();
    for (row_id, touches) in [("b", false), ("a", true)] {
        database.data(&format!(
            "mutation {{ updateFilm(rowId: {row_id:?}, patch: {{year: 2001}}) {{ id }} }}"
        ));
        let commits = database
            .resolvers
            .engine()
            .recent_commits(before.commit_ts());
        let touched = commits
            .unwrap()
            .iter()
            .any(|commit| before.dependencies().touched_by(commit));
        assert_eq!(touched, touches, "{row_id}");
    }
    let body: Json = serde_json::from_slice(evaluate().body()).unwrap();
    assert_eq!(
        body["data"]["film"],
        json!({ "id": global(&database, "a"), "rowId": "a", "year": 2001 })
    );
}

fn apply(database: &Database, sdl: &str) -> Json {
    let response = database.send_with(
        "mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } }",
        &json!({ "sdl": sdl }),
    );
    assert!(response.get("errors").is_none(), "{sdl}\n{response:#}");
    response["data"]["applySchema"]["changes"].clone()
}

const DECLARED: &str = "type Film @collection(mode: STRICT) { rowId: ID! title: String @unique year: Int, nested: Nested }
    type Nested { id: Int, rowId: String }
    type Actor implements Node @collection";

#[test]
fn a_schema_is_declared_by_the_names_of_either_mode() {
    let relay = Database::for_relay();
    assert_eq!(
        apply(&relay, DECLARED)[0],
        json!("films: created"),
        "the system's fields are not declared"
    );
    let local = Database::empty();
    apply(&local, DECLARED);
    for database in [&relay, &local] {
        let insert = "mutation { insertDocuments(collection: \"films\", documents: [{id: \"1\", nested: {id: 1, rowId: \"n\"}}]) }";
        database.data(insert);
        let wrong = "mutation { insertDocuments(collection: \"films\", documents: [{id: \"2\", rowId: \"x\"}]) }";
        assert_eq!(database.error(wrong).0, "SCHEMA_VIOLATION");
    }
    let printed = [&relay, &local].map(|database| database.resolvers.sdl().unwrap());
    assert!(printed[0].contains("interface Node {\n  id: ID!\n}"));
    assert!(printed[1].contains("interface Node {\n  nodeId: ID!\n}"));
    for sdl in &printed {
        for database in [&relay, &local] {
            assert_eq!(apply(database, sdl), json!([]));
        }
        for empty in [Database::for_relay(), Database::empty()] {
            apply(&empty, sdl);
            assert_eq!(apply(&empty, sdl), json!([]));
            let sdl = empty.resolvers.sdl().unwrap();
            assert!(printed.contains(&sdl), "{sdl}");
        }
    }
    let named = apply_error(
        &relay,
        "type Other @collection(mode: PARTIAL) { rowId: String }",
    );
    assert!(named.contains("the system's"), "{named}");
}

fn apply_error(database: &Database, sdl: &str) -> String {
    let response = database.send_with(
        "mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } }",
        &json!({ "sdl": sdl }),
    );
    first_error(&response).1
}

#[test]
fn introspection_and_the_printed_schema_agree() {
    let database = films_for_relay();
    let data = database.data(
        "{ schema { sdl } node: __type(name: \"Node\") { fields { name } } film: __type(name: \"Film\") { fields { name } }
           change: __type(name: \"Change\") { fields { name } } input: __type(name: \"FilmInput\") { inputFields { name } } }",
    );
    assert_eq!(data["schema"]["sdl"], *database.resolvers.sdl().unwrap());
    assert_eq!(data["node"]["fields"], json!([{ "name": "id" }]));
    let names = |ty: &str, kind: &str| -> Vec<String> {
        let fields = data[ty][kind].as_array().unwrap().iter();
        fields
            .map(|field| field["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("film", "fields")[..2], ["id", "rowId"]);
    assert_eq!(
        names("change", "fields"),
        ["commitTs", "collection", "rowId", "kind", "before", "after"]
    );
    assert_eq!(names("input", "inputFields")[0], "rowId");
}

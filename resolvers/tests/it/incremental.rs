//! `@defer` and `@stream`: the messages, put together, are the result without the directives.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use thalweg_resolvers::{Extensions, IncrementalFormat, Limits, Request};

use crate::fixture::{Database, film_documents, films, first_error};

const FORMATS: [IncrementalFormat; 2] = [IncrementalFormat::Paths, IncrementalFormat::Ids];

/// The messages of an operation; `between` is called after each.
fn messages_with(
    database: &Database,
    request: &Request,
    format: IncrementalFormat,
    mut between: impl FnMut(usize),
) -> Vec<Json> {
    let operation = database.resolvers.prepare(request).unwrap();
    assert!(operation.is_incremental(), "{:?}", request.query);
    let snapshot = database.resolvers.engine().snapshot().unwrap();
    let extensions = Extensions::default();
    let mut run = database
        .resolvers
        .run_incrementally(&operation, snapshot, &extensions, format)
        .unwrap();
    let mut messages = Vec::new();
    while let Some(message) = run.next_message() {
        messages.push(serde_json::from_slice(&message).expect("a message is JSON"));
        run.release();
        between(messages.len());
    }
    messages
}

fn messages(database: &Database, query: &str, format: IncrementalFormat) -> Vec<Json> {
    messages_with(database, &Request::text(query), format, |_| {})
}

fn at<'j>(data: &'j mut Json, path: &[Json]) -> &'j mut Json {
    path.iter().fold(data, |value, step| match step {
        Json::String(key) => value
            .get_mut(key)
            .unwrap_or_else(|| panic!("no {key}: {path:?}")),
        step => {
            let index = step.as_u64().unwrap() as usize;
            value
                .get_mut(index)
                .unwrap_or_else(|| panic!("no {index}: {path:?}"))
        }
    })
}

fn deep_merge(into: &mut Json, from: &Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(key) {
                    Some(known) => deep_merge(known, value),
                    None => {
                        into.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (Json::Array(into), Json::Array(from)) => {
            assert!(from.len() >= into.len());
            for (index, value) in from.iter().enumerate() {
                match into.get_mut(index) {
                    Some(known) => deep_merge(known, value),
                    None => into.push(value.clone()),
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What a client makes of the messages: the data, and all errors.
fn merged(messages: &[Json], format: IncrementalFormat) -> (Json, Vec<Json>) {
    let (first, later) = messages.split_first().expect("a message");
    let mut data = first["data"].clone();
    let mut errors: Vec<Json> = list(&first["errors"]).to_vec();
    let mut pending: Vec<(Json, Vec<Json>)> = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        let is_last = number + 1 == messages.len();
        assert_eq!(message["hasNext"], json!(!is_last), "{message}");
    }
    let announce = |message: &Json, data: &mut Json, pending: &mut Vec<(Json, Vec<Json>)>| {
        for one in list(&message["pending"]) {
            let path = list(&one["path"]).to_vec();
            // A client can only wait at a place that it has.
            at(data, &path);
            pending.push((one["id"].clone(), path));
        }
    };
    announce(first, &mut data, &mut pending);
    for message in later {
        for entry in list(&message["incremental"]) {
            errors.extend_from_slice(list(&entry["errors"]));
            let path = match format {
                IncrementalFormat::Paths => list(&entry["path"]).to_vec(),
                IncrementalFormat::Ids => {
                    let known = pending.iter().find(|(id, _)| *id == entry["id"]);
                    known.expect("announced before").1.clone()
                }
            };
            if let Some(items) = entry.get("items") {
                let (index, list_path) = match format {
                    IncrementalFormat::Paths => {
                        let (index, list) = path.split_last().unwrap();
                        (index.as_u64(), list.to_vec())
                    }
                    IncrementalFormat::Ids => (None, path),
                };
                let into = at(&mut data, &list_path).as_array_mut().expect("a list");
                assert_eq!(index.unwrap_or(into.len() as u64), into.len() as u64);
                into.extend_from_slice(list(items));
            } else if !entry["data"].is_null() {
                deep_merge(at(&mut data, &path), &entry["data"]);
            }
        }
        announce(message, &mut data, &mut pending);
        for done in list(&message["completed"]) {
            errors.extend_from_slice(list(&done["errors"]));
            let known = pending.iter().position(|(id, _)| *id == done["id"]);
            pending.remove(known.expect("announced before, completed once"));
        }
    }
    assert!(pending.is_empty(), "{pending:?}");
    (data, errors)
}

fn check(database: &Database, query: &str) {
    let plain = database.send(query);
    for format in FORMATS {
        let messages = messages(database, query, format);
        let (data, errors) = merged(&messages, format);
        assert_eq!(data, plain["data"], "{query}\n{messages:#?}");
        assert_eq!(errors.len(), list(&plain["errors"]).len(), "{query}");
    }
}

#[test]
fn a_deferred_fragment_comes_after_the_rest() {
    let database = films();
    let query = r#"{ films(first: 2) { nodes { id ... @defer(label: "more") { title year } } } }"#;
    let told = messages(&database, query, IncrementalFormat::Paths);
    assert_eq!(
        told[0]["data"],
        json!({"films": {"nodes": [{"id": "a"}, {"id": "b"}]}})
    );
    assert!(told[0]["extensions"]["thalweg"]["commitTs"].is_string());
    assert_eq!(
        told[1],
        json!({"incremental": [
            {"path": ["films", "nodes", 0], "label": "more", "data": {"title": "Alien", "year": 1979}},
            {"path": ["films", "nodes", 1], "label": "more", "data": {"title": "Brazil", "year": 1985}},
        ], "hasNext": false})
    );
    let told = messages(&database, query, IncrementalFormat::Ids);
    assert_eq!(
        told[0]["pending"],
        json!([
            {"id": "0", "path": ["films", "nodes", 0], "label": "more"},
            {"id": "1", "path": ["films", "nodes", 1], "label": "more"},
        ])
    );
    assert_eq!(
        told[1],
        json!({"incremental": [
            {"id": "0", "data": {"title": "Alien", "year": 1979}},
            {"id": "1", "data": {"title": "Brazil", "year": 1985}},
        ], "completed": [{"id": "0"}, {"id": "1"}], "hasNext": false})
    );
}

#[test]
fn the_rest_of_a_list_comes_in_pieces() {
    let database = films();
    let query = r#"{ films { nodes @stream(initialCount: 1, label: "rows") { id } totalCount } }"#;
    let told = messages(&database, query, IncrementalFormat::Paths);
    assert_eq!(
        told[0]["data"],
        json!({"films": {"nodes": [{"id": "a"}], "totalCount": 4}})
    );
    assert_eq!(
        told[1],
        json!({"incremental": [
            {"path": ["films", "nodes", 1], "label": "rows", "items": [{"id": "b"}, {"id": "c"}, {"id": "d"}]},
        ], "hasNext": false})
    );
    let told = messages(&database, query, IncrementalFormat::Ids);
    assert_eq!(
        told[0]["pending"],
        json!([{"id": "0", "path": ["films", "nodes"], "label": "rows"}])
    );
    assert_eq!(
        told[1],
        json!({"incremental": [{"id": "0", "items": [{"id": "b"}, {"id": "c"}, {"id": "d"}]}],
               "completed": [{"id": "0"}], "hasNext": false})
    );
    // Nothing is held back of a list that is no longer than what comes at once.
    let query = "{ films { nodes @stream(initialCount: 4) { id } } }";
    for format in FORMATS {
        let told = messages(&database, query, format);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].get("pending"), None);
    }
}

#[test]
fn many_items_are_many_messages() {
    let database = Database::empty();
    let text = "x".repeat(10_000);
    let documents: Vec<Json> = (0..40)
        .map(|number| json!({"id": format!("{number:02}"), "text": text}))
        .collect();
    database.insert("pages", &documents);
    let query = "{ pages { nodes @stream(initialCount: 1) { id text } } }";
    for format in FORMATS {
        let told = messages(&database, query, format);
        assert!((6..=8).contains(&told.len()), "{}", told.len());
        assert_eq!(merged(&told, format).0, database.data(query));
    }
}

#[test]
fn shapes_of_all_kinds_come_together_again() {
    let database = films();
    for query in [
        "{ ... @defer { films { totalCount } } }",
        "{ __typename ... @defer { a: films { totalCount } } ... @defer { b: films { totalCount } } }",
        "{ films { ... @defer { nodes { id } } totalCount } }",
        "{ films { nodes { ... @defer { id ... @defer { title ... @defer { year } } } } } }",
        "{ films { nodes { studio { name ... @defer { city { zip } } } cast { name ... @defer { age } } } } }",
        "{ films { edges { cursor ... @defer { node { id } } } } }",
        "{ films { nodes { id ...F @defer } } } fragment F on Film { title cast { ...G @defer } } fragment G on FilmCast { name }",
        "{ films { nodes { title ... @defer { title year } } nodes { ... @defer { year } } } }",
        "{ films { nodes @stream(initialCount: 1) { id ... @defer { title cast @stream { name } } } } }",
        "{ films { nodes @stream { id tags @stream(initialCount: 1) cast @stream { name ... @defer { age } } } } }",
        "{ ... @defer { films { nodes @stream(initialCount: 2) { id ... @defer { year } } } } }",
        "{ film(id: \"a\") { id ... @defer { title } } none: film(id: \"none\") { id ... @defer { title } } }",
        "{ films { nodes { id ... @defer { _history { nodes { version } } _json } } } }",
        "{ ... @defer { __schema { queryType { name } } collections { name count } } }",
    ] {
        check(&database, query);
    }
}

#[test]
fn a_fragment_that_does_not_apply_gives_nothing() {
    let database = films();
    database.insert("people", &[json!({"id": "p", "name": "Weaver"})]);
    let id = database.data("{ film(id: \"a\") { nodeId } }")["film"]["nodeId"].clone();
    let query = format!(
        "{{ node(nodeId: {id}) {{ nodeId ... on Film @defer {{ title }} ... on Person @defer {{ name }} }} }}"
    );
    check(&database, &query);
}

#[test]
fn directives_that_are_off_are_absent() {
    let database = films();
    let request = |on: bool| Request {
        variables: Some(
            thalweg_model::Value::parse(format!("{{\"on\":{on}}}").as_bytes()).unwrap(),
        ),
        ..Request::text(
            "query ($on: Boolean!) { films { nodes @stream(if: $on) { ... @defer(if: $on) { id } ... @skip(if: $on) { ... @defer { title } } } } }",
        )
    };
    let is_incremental = |request: &Request| {
        let operation = database.resolvers.prepare(request).unwrap();
        operation.is_incremental()
    };
    assert!(is_incremental(&request(true)));
    assert!(
        is_incremental(&request(false)),
        "what is not skipped is deferred"
    );
    for off in [
        "{ films { nodes @stream(if: false) { ... @defer(if: false) { id } } } }",
        "{ films { nodes { ... @skip(if: true) @defer { id } title } } }",
        "{ films { nodes { deferred: id stream: title } } }",
    ] {
        assert!(!is_incremental(&Request::text(off)), "{off}");
    }
    // What cannot come in parts comes as if there were none.
    let created = database.data(
        "mutation { createFilm(input: {id: \"e\", title: \"E.T.\"}) { id ... @defer { title } } }",
    );
    assert_eq!(created["createFilm"]["title"], "E.T.");
}

#[test]
fn an_error_goes_no_further_than_its_fragment() {
    let database = films();
    let query = "{ films { totalCount } ... @defer(label: \"bad\") { bad: films(first: -1) { totalCount } } }";
    for format in FORMATS {
        let told = messages(&database, query, format);
        assert_eq!(told[0]["data"], json!({"films": {"totalCount": 4}}));
        assert_eq!(told[0].get("errors"), None);
        let errors = match format {
            IncrementalFormat::Paths => {
                assert_eq!(told[1]["incremental"][0]["data"], Json::Null);
                &told[1]["incremental"][0]["errors"]
            }
            IncrementalFormat::Ids => {
                assert_eq!(told[1].get("incremental"), None);
                &told[1]["completed"][0]["errors"]
            }
        };
        let (code, _, path) = first_error(&json!({ "errors": errors }));
        assert_eq!((code.as_str(), path), ("BAD_REQUEST", json!(["bad"])));
        assert_eq!(told[1]["hasNext"], false);
    }
    // One document's history cannot be paged like that, and only of it nothing is shown.
    let query = "{ films(first: 2) { nodes { id ... @defer { _history(first: -1) { nodes { version } } } } } }";
    for format in FORMATS {
        let told = messages(&database, query, format);
        let (data, errors) = merged(&told, format);
        assert_eq!(
            data,
            json!({"films": {"nodes": [{"id": "a"}, {"id": "b"}]}})
        );
        let paths: Vec<&Json> = errors.iter().map(|error| &error["path"]).collect();
        assert_eq!(
            paths,
            [
                &json!(["films", "nodes", 0, "_history"]),
                &json!(["films", "nodes", 1, "_history"])
            ]
        );
    }
}

#[test]
fn what_was_nulled_in_the_first_part_gets_nothing_later() {
    let database = films();
    // `bad` may not be null, so all data is.
    let query =
        "{ films { nodes { id ... @defer { title } } } bad: films(first: -1) { totalCount } }";
    for format in FORMATS {
        let told = messages(&database, query, format);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["data"], Json::Null);
        assert_eq!(told[0]["hasNext"], false);
    }
}

#[test]
fn all_parts_show_one_state() {
    let query =
        "{ films(orderBy: [{year: ASC}]) { nodes { id ... @defer { title _version } } totalCount }
        ... @defer { later: films { totalCount nodes { id } } } }";
    for format in FORMATS {
        let database = films();
        let before = database.data(query);
        let told = messages_with(&database, &Request::text(query), format, |number| {
            if number == 1 {
                let mut more = film_documents();
                for document in &mut more {
                    document["id"] = json!(format!("z{}", document["id"].as_str().unwrap()));
                }
                database.insert("films", &more);
                database.data("mutation { updateFilm(id: \"a\", patch: {title: \"Aliens\", year: 2000}) { id } }");
                database.data("mutation { deleteFilm(id: \"b\") { id } }");
            }
        });
        assert!(told.len() > 1);
        assert_eq!(merged(&told, format).0, before);
    }
}

#[test]
fn what_is_not_valid_is_told() {
    let database = films();
    for (query, expected) in [
        (
            "{ films { nodes { id @stream } } }",
            "`@stream` is for lists",
        ),
        ("{ films @stream { totalCount } }", "`@stream` is for lists"),
        (
            "query ($l: String) { films { nodes @stream(label: $l) { id } } }",
            "must be a text",
        ),
        (
            "{ films { nodes @stream(label: \"x\") { ... @defer(label: \"x\") { id } tags @stream(label: \"x\") } } }",
            "label",
        ),
        (
            "{ films { nodes { ... @defer(label: \"x\") { id } ... @defer(label: \"x\") { title } } } }",
            "label",
        ),
        (
            "{ films { nodes @stream { id } nodes { title } } }",
            "different `@stream`",
        ),
        (
            "{ films { nodes @stream { id } ... @include(if: true) { nodes @stream(initialCount: 1) { title } } } }",
            "different `@stream`",
        ),
        (
            "mutation { createFilms(inputs: []) @stream { id } }",
            "root field of a mutation",
        ),
        (
            "subscription { films { nodes @stream { id } } }",
            "`@stream` in a subscription",
        ),
    ] {
        let (code, message, _) = database.error(query);
        assert_eq!(code, "VALIDATION_FAILED", "{query}: {message}");
        assert!(message.contains(expected), "{query}: {message}");
    }
    let (code, message, _) = database.error("{ films { nodes @stream(initialCount: -1) { id } } }");
    assert_eq!(code, "BAD_REQUEST");
    assert!(message.contains("must not be negative"), "{message}");
    database.data("{ films { nodes @stream { id } nodes @stream { title } } }");
}

#[test]
fn what_is_deferred_is_bounded() {
    let database = Database::with_limits(Limits {
        deferred_max: 2,
        ..Limits::default()
    });
    database.insert("films", &film_documents());
    let query = |count: usize| {
        let deferred = "... @defer { id } ".repeat(count);
        format!("{{ films {{ nodes {{ {deferred} }} }} }}")
    };
    check(&database, &query(2));
    let (code, message, _) = database.error(&query(3));
    assert_eq!(code, "LIMIT_EXCEEDED");
    assert!(message.contains("more than 2 fragments"), "{message}");
}

/// A selection on films, with directives where the numbers say so.
fn selection() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "id",
        "title",
        "year",
        "rating",
        "tags",
        "tags @stream(initialCount: 1)",
        "_json",
        "mixed",
        "__typename",
    ])
    .prop_map(str::to_owned);
    let inner = prop::sample::select(vec![
        "studio { name }",
        "studio { ... @defer { name city { zip } } }",
        "cast { name age }",
        "cast @stream { name ... @defer { age } }",
        "cast @stream(initialCount: 1) { age }",
    ])
    .prop_map(str::to_owned);
    prop_oneof![leaf, inner]
        .prop_recursive(3, 12, 4, |field| {
            let fields = prop::collection::vec(field, 1..4).prop_map(|fields| fields.join(" "));
            prop_oneof![
                fields
                    .clone()
                    .prop_map(|fields| format!("... @defer {{ {fields} }}")),
                fields.prop_map(|fields| format!("... on Film {{ {fields} }}")),
            ]
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_messages_together_are_the_plain_result(
        fields in prop::collection::vec(selection(), 1..5),
        stream in prop::option::of(0_usize..6),
        in_edges in any::<bool>(),
        deferred_root in any::<bool>(),
    ) {
        // Several `@stream`s of one field would have to be alike.
        let mut query = fields.join(" ");
        for (number, field) in ["cast", "tags", "studio"].iter().enumerate() {
            let mut parts = query.split(field).map(str::to_owned);
            let mut aliased = parts.next().unwrap_or_default();
            for (use_number, part) in parts.enumerate() {
                aliased += &format!("{field}{number}_{use_number}: {field}{part}");
            }
            query = aliased;
        }
        let stream = stream.map_or(String::new(), |count| format!("@stream(initialCount: {count})"));
        let rows = match in_edges {
            true => format!("edges {stream} {{ cursor ... @defer {{ node {{ {query} }} }} }}"),
            false => format!("nodes {stream} {{ {query} }}"),
        };
        let root = format!("films {{ {rows} totalCount }}");
        let query = match deferred_root {
            true => format!("{{ __typename ... @defer {{ {root} }} }}"),
            false => format!("{{ {root} ... @defer {{ __typename }} }}"),
        };
        let limits = Limits { deferred_max: 1_000, ..Limits::default() };
        let database = Database::with_limits(limits);
        database.insert("films", &film_documents());
        check(&database, &query);
    }
}

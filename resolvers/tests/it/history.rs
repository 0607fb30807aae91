//! Looking back, going back, and what comes due.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use thalweg_engine::Commit;
use thalweg_resolvers::Request;

use crate::fixture::{Database, films};

/// Films of which `a` has been changed twice, a minute apart, then deleted. Gives when each revision was written.
fn changed() -> (Database, Vec<String>) {
    let database = films();
    let written = |data: &Json, name: &str| data[name]["_updatedAt"].as_str().unwrap().to_owned();
    let mut times = vec![written(
        &database.data("{ film(id: \"a\") { _updatedAt } }"),
        "film",
    )];
    for mutation in [
        "updateFilm(id: \"a\", patch: {title: \"Aliens\", _inc: {year: 7}}) { _updatedAt }",
        "updateFilm(id: \"a\", patch: {year: null}) { _updatedAt }",
        "deleteFilm(id: \"a\") { _updatedAt: _deletedAt }",
    ] {
        database.pass(Duration::from_secs(60));
        let data = database.data(&format!("mutation {{ film: {mutation} }}"));
        times.push(written(&data, "film"));
    }
    (database, times)
}

#[test]
fn a_query_looks_back() {
    let (database, times) = changed();
    let film = |at: &str| {
        database.data(&format!(
            "{{ film(id: \"a\", at: \"{at}\") {{ title year }} }}"
        ))["film"]
            .clone()
    };
    assert_eq!(film(&times[0]), json!({ "title": "Alien", "year": 1979 }));
    assert_eq!(film(&times[1]), json!({ "title": "Aliens", "year": 1986 }));
    assert_eq!(film(&times[2]), json!({ "title": "Aliens", "year": null }));
    assert_eq!(film(&times[3]), Json::Null);
    // In another zone, between two writes, and in this very operation beside what is there now.
    let query = format!(
        "{{ then: films(at: \"{0}\", orderBy: [{{year: DESC}}], first: 1) {{ totalCount nodes {{ title year }} }}
            now: films(first: 1) {{ totalCount }}
            gone: film(id: \"a\", deleted: ONLY) {{ title }} }}",
        times[1]
    );
    let data = database.data(&query);
    assert_eq!(
        data["then"],
        json!({ "totalCount": 4, "nodes": [{ "title": "Aliens", "year": 1986 }] })
    );
    assert_eq!(data["now"]["totalCount"], 3);
    assert_eq!(data["gone"]["title"], "Aliens");
}

#[test]
fn a_time_that_has_not_come_is_refused_and_one_after_the_last_commit_is_not() {
    let (database, _) = changed();
    let titles = "nodes { id }";
    let ask = |at: &str| database.send(&format!("{{ films(at: \"{at}\") {{ {titles} }} }}"));
    let (code, message, path) = database.error(&format!(
        "{{ films(at: \"2030-01-01T00:00:00Z\") {{ {titles} }} }}"
    ));
    assert_eq!((code.as_str(), path), ("BAD_REQUEST", json!(["films"])));
    assert!(message.contains("2030"), "{message}");
    assert!(
        database
            .error("{ film(id: \"a\", at: \"1969-12-31T23:59:59Z\") { id } }")
            .1
            .contains("1970")
    );
    database.pass(Duration::from_secs(3600));
    let response = ask("2026-11-23T00:30:00Z");
    assert_eq!(
        response["data"]["films"]["nodes"].as_array().unwrap().len(),
        3
    );
    // Before there was anything there is nothing.
    let response = ask("2026-11-22T00:00:00Z");
    assert_eq!(response["data"]["films"]["nodes"], json!([]));
}

#[test]
fn what_looks_back_depends_on_nothing() {
    let (database, times) = changed();
    let query = format!(
        "subscription {{ films(at: \"{0}\") {{ nodes {{ title }} totalCount }} }}",
        times[0]
    );
    let operation = database.resolvers.prepare(&Request::text(query)).unwrap();
    let snapshot = database.resolvers.engine().snapshot().unwrap();
    let evaluation = database.resolvers.run_live(&operation, &snapshot).unwrap();
    database.data("mutation { updateFilms(filter: {}, patch: {title: \"x\"}) { count } }");
    let commits = database.resolvers.engine().recent_commits(snapshot.ts());
    let wakes = |commit: &Arc<Commit>| evaluation.dependencies().touched_by(commit);
    assert!(!commits.unwrap().iter().any(wakes));
    // A refused time is a result like any other, and no reason to try again.
    let future = "subscription { film(id: \"a\", at: \"2030-01-01T00:00:00Z\") { title } }";
    let operation = database.resolvers.prepare(&Request::text(future)).unwrap();
    assert!(
        database
            .resolvers
            .run_live(&operation, &snapshot)
            .unwrap()
            .has_errors()
    );
}

#[test]
fn a_document_has_its_revisions() {
    let (database, times) = changed();
    let data = database.data(
        "{ film(id: \"a\", deleted: INCLUDE) { _history { nodes { version kind at author changed document { title year _deletedAt } } pageInfo { hasNextPage hasPreviousPage } } } }",
    );
    let history = &data["film"]["_history"];
    let nodes = history["nodes"].as_array().unwrap();
    let of = |field: &str| {
        nodes
            .iter()
            .map(|node| node[field].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("kind"), ["DELETED", "UPDATED", "UPDATED", "CREATED"]);
    assert_eq!(of("version"), [4, 3, 2, 1]);
    let newest_first: Vec<Json> = times.iter().rev().map(|time| json!(time)).collect();
    assert_eq!(of("at"), newest_first);
    assert_eq!(nodes[1]["changed"], json!(["year"]));
    assert_eq!(nodes[2]["changed"], json!(["title", "year"]));
    assert_eq!(
        nodes[2]["document"],
        json!({ "title": "Aliens", "year": 1986, "_deletedAt": null })
    );
    assert_eq!(nodes[0]["document"]["_deletedAt"], json!(times[3]));
    assert_eq!(nodes[0]["author"], Json::Null);
    assert_eq!(
        history["pageInfo"],
        json!({ "hasNextPage": false, "hasPreviousPage": false })
    );
}

#[test]
fn a_history_has_pages() {
    let (database, times) = changed();
    let page = |arguments: &str| {
        let query = format!(
            "{{ film(id: \"a\", deleted: INCLUDE) {{ _history({arguments}) {{ edges {{ cursor node {{ version _json }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"
        );
        let history = database.data(&query)["film"]["_history"].clone();
        let edges = history["edges"].as_array().unwrap();
        let versions: Vec<u64> = edges
            .iter()
            .map(|edge| edge["node"]["version"].as_u64().unwrap())
            .collect();
        (versions, history["pageInfo"].clone())
    };
    let (versions, info) = page("first: 2");
    assert_eq!(versions, [4, 3]);
    assert_eq!(
        (&info["hasNextPage"], &info["hasPreviousPage"]),
        (&json!(true), &json!(false))
    );
    let cursor = info["endCursor"].as_str().unwrap();
    let (versions, info) = page(&format!("first: 5, after: \"{cursor}\""));
    assert_eq!(versions, [2, 1]);
    assert_eq!(
        (&info["hasNextPage"], &info["hasPreviousPage"]),
        (&json!(false), &json!(true))
    );
    let (versions, info) = page(&format!("last: 1, before: \"{cursor}\""));
    assert_eq!(versions, [4]);
    assert_eq!(
        (&info["hasNextPage"], &info["hasPreviousPage"]),
        (&json!(true), &json!(false))
    );
    let (versions, info) = page("last: 3");
    assert_eq!(versions, [3, 2, 1]);
    assert_eq!(
        (&info["hasNextPage"], &info["hasPreviousPage"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(page("first: 0").0, [0_u64; 0]);
    // At an earlier time there are those up to then, and variables go where literals go.
    let response = database.send_with(
        "query ($at: DateTime, $n: Int) { film(id: \"a\", at: $at) { _history(first: $n) { nodes { version } } } }",
        &json!({ "at": times[1], "n": 9 }),
    );
    assert_eq!(
        response["data"]["film"]["_history"]["nodes"],
        json!([{ "version": 2 }, { "version": 1 }])
    );
}

#[test]
fn a_history_that_cannot_be_meant_is_refused() {
    let (database, _) = changed();
    for (query, message) in [
        (
            "{ film(id: \"b\") { title _history(first: -1) { nodes { version } } } }",
            "first is -1",
        ),
        (
            "{ film(id: \"b\") { title _history(after: \"x\") { nodes { version } } } }",
            "not a cursor",
        ),
    ] {
        let response = database.send(query);
        assert_eq!(
            response["errors"][0]["extensions"]["code"], "BAD_REQUEST",
            "{response:#}"
        );
        assert!(
            response["errors"][0]["message"]
                .as_str()
                .unwrap()
                .contains(message),
            "{response:#}"
        );
        assert_eq!(response["errors"][0]["path"], json!(["film", "_history"]));
    }
    for query in [
        "{ film(id: \"b\") { _history { nodes { document { _history { nodes { version } } } } } } }",
        "mutation { deleteFilm(id: \"b\") { _history { nodes { version } } } }",
    ] {
        assert_eq!(database.error(query).0, "BAD_REQUEST", "{query}");
    }
    assert_eq!(
        database.data("{ film(id: \"b\") { id } }")["film"]["id"],
        "b"
    );
}

#[test]
fn a_live_history_is_woken_by_the_next_revision() {
    let (database, _) = changed();
    let query = "subscription { film(id: \"b\") { _history { nodes { version } } } }";
    let operation = database.resolvers.prepare(&Request::text(query)).unwrap();
    let engine = database.resolvers.engine();
    let snapshot = engine.snapshot().unwrap();
    let before = database.resolvers.run(&operation, &snapshot);
    database.data("mutation { updateFilm(id: \"b\", patch: {rating: 1}) { id } }");
    let commits = engine.recent_commits(snapshot.ts()).unwrap();
    assert!(
        commits
            .iter()
            .any(|commit| before.dependencies().touched_by(commit))
    );
    let after = database
        .resolvers
        .run(&operation, &engine.snapshot().unwrap());
    assert_ne!(before.result(), after.result());
}

#[test]
fn a_document_is_restored_to_what_it_was() {
    let (database, times) = changed();
    let restored = database.data("mutation { restoreFilm(id: \"a\") { title year _version } }");
    assert_eq!(
        restored["restoreFilm"],
        json!({ "title": "Aliens", "year": null, "_version": 5 })
    );
    let back = format!(
        "mutation {{ restoreFilm(id: \"a\", at: \"{}\") {{ title year }} }}",
        times[0]
    );
    assert_eq!(
        database.data(&back)["restoreFilm"],
        json!({ "title": "Alien", "year": 1979 })
    );
    let kinds = database.data("{ film(id: \"a\") { _history(first: 2) { nodes { kind } } } }");
    assert_eq!(
        kinds["film"]["_history"]["nodes"],
        json!([{ "kind": "RESTORED" }, { "kind": "RESTORED" }])
    );
    let never = "mutation { restoreFilm(id: \"a\", at: \"2026-11-22T00:00:00Z\") { id } }";
    assert_eq!(database.error(never).0, "NOT_FOUND");
}

#[test]
fn a_permanent_deletion_takes_the_history_along() {
    let (database, times) = changed();
    database.data("mutation { deleteFilm(id: \"a\", permanent: true) { id } }");
    let query = format!("{{ film(id: \"a\", at: \"{}\") {{ id }} }}", times[0]);
    assert_eq!(database.data(&query)["film"], Json::Null);
    let both = "mutation { deleteFilm(id: \"b\", permanent: true, purgeAt: \"2027-01-01T00:00:00Z\") { id } }";
    assert_eq!(database.error(both).0, "BAD_REQUEST");
}

#[test]
fn documents_expire_and_are_purged() {
    let database = films();
    let soon = "2026-11-23T00:10:00Z";
    let data = database.data(&format!(
        "mutation {{ createFilm(input: {{id: \"x\", _expiresAt: \"{soon}\", _onExpire: SOFT}}) {{ _expiresAt _purgeAt }}
            updateFilm(id: \"b\", patch: {{_expiresAt: \"{soon}\", _onExpire: PERMANENT}}) {{ title _expiresAt }}
            upsertFilm(id: \"c\", input: {{_expiresAt: \"{soon}\"}}) {{ _expiresAt }}
            deleteFilm(id: \"d\", purgeAt: \"{soon}\") {{ _purgeAt }} }}",
    ));
    let soon_as_written = "2026-11-23T00:10:00.000000Z";
    assert_eq!(
        data["createFilm"],
        json!({ "_expiresAt": soon_as_written, "_purgeAt": null })
    );
    assert_eq!(
        data["updateFilm"],
        json!({ "title": "Brazil", "_expiresAt": soon_as_written })
    );
    assert_eq!(data["deleteFilm"]["_purgeAt"], soon_as_written);
    // Expiry is no part of the stored document, can be asked for, and can be taken back.
    let due = database.data("{ films(filter: {_expiresAt: {lt: \"2027-01-01T00:00:00Z\"}}, orderBy: [{_expiresAt: ASC}]) { nodes { id _json } } }");
    let ids: Vec<&Json> = due["films"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| &node["id"])
        .collect();
    assert_eq!(ids, ["b", "c", "x"]);
    assert_eq!(due["films"]["nodes"][2]["_json"], json!({}));
    database.data("mutation { updateFilm(id: \"c\", patch: {_expiresAt: null}) { id } }");
    database.pass(Duration::from_secs(601));
    database.upkeep();
    let left =
        database.data("{ films(deleted: INCLUDE) { nodes { id _deletedAt } } }")["films"]["nodes"]
            .clone();
    assert_ne!(left[2]["_deletedAt"], Json::Null);
    let ids: Vec<&Json> = left
        .as_array()
        .unwrap()
        .iter()
        .map(|node| &node["id"])
        .collect();
    assert_eq!(ids, ["a", "c", "x"]);
    let history = database.data(
        "{ film(id: \"x\", deleted: ONLY) { _history(first: 1) { nodes { kind author } } } }",
    );
    assert_eq!(history["film"]["_history"]["nodes"][0]["kind"], "EXPIRED");
    assert!(history["film"]["_history"]["nodes"][0]["author"].is_string());
}

#[test]
fn what_is_no_longer_kept_is_said_with_the_oldest_that_is() {
    let (database, times) = changed();
    database.data("mutation { applySchema(sdl: \"type Film @collection(retain: \\\"none\\\")\") { changes } }");
    // Twice past the recovery window: with the first commit the log is trimmed, with the second it is known.
    for title in ["x", "y"] {
        database.pass(Duration::from_secs(1000));
        database.data(&format!(
            "mutation {{ updateFilm(id: \"b\", patch: {{title: \"{title}\"}}) {{ id }} }}"
        ));
        database.upkeep();
    }
    for field in ["films", "film(id: \"b\")"] {
        let (arguments, selection) = match field {
            "films" => (format!("films(at: \"{}\")", times[1]), "totalCount"),
            _ => (format!("film(id: \"b\", at: \"{}\")", times[1]), "title"),
        };
        let (code, message, _) = database.error(&format!("{{ {arguments} {{ {selection} }} }}"));
        assert_eq!(code, "HISTORY_GONE", "{message}");
        assert!(message.contains("2026-11-23T00:"), "{message}");
    }
    let kept = database.data("{ film(id: \"b\") { _history { nodes { version changed } } } }");
    let nodes = kept["film"]["_history"]["nodes"].as_array().unwrap();
    assert!(nodes.len() < 3, "{kept:#}");
}

//! How lists are found, where somebody asks, and what is said without being asked.

use serde_json::json;
use thalweg_resolvers::{Extensions, Limits, Request};

use crate::fixture::{Database, film_documents};

fn indexed() -> Database {
    let database = Database::with_limits(Limits {
        scan_warning_rows: 3,
        ..Limits::default()
    });
    database.insert("films", &film_documents());
    database.data(
        "mutation { applySchema(sdl: \"type Film @collection @index(fields: [\\\"year DESC\\\"])\") { changes } }",
    );
    database.wait_for("the index", |database| {
        database.data("{ collections { indexes { status } } }")["collections"][0]["indexes"][0]
            ["status"]
            == "READY"
    });
    database
}

#[test]
fn each_root_field_is_explained() {
    let database = indexed();
    let query = "{ one: film(id: \"a\") { id } none: film(id: \"x\") { id }
        newest: films(orderBy: [{year: DESC}], first: 1) { nodes { title } }
        all: films(filter: {title: {contains: \"n\"}}) { nodes { title } } collections { name } }";
    for asked in [
        json!({ "thalweg": { "explain": true } }),
        json!({ "explain": true }),
    ] {
        let response = database.send_once(query, &asked);
        let explain = &response["extensions"]["thalweg"]["explain"];
        assert_eq!(explain.as_array().unwrap().len(), 4, "{explain:#}");
        assert_eq!(
            explain[0],
            json!({ "path": ["one"], "plan": "the document of that id", "index": null, "rowsRead": 1, "rowsReturned": 1 })
        );
        assert_eq!(explain[1]["rowsRead"], 0);
        assert_eq!(explain[2]["path"], json!(["newest"]));
        assert_eq!(explain[2]["index"], "(year DESC)");
        assert_eq!(explain[2]["rowsReturned"], 1);
        assert!(explain[2]["rowsRead"].as_u64().unwrap() <= 2, "{explain:#}");
        assert_eq!(explain[3]["index"], json!(null));
        assert_eq!(
            (&explain[3]["rowsRead"], &explain[3]["rowsReturned"]),
            (&json!(4), &json!(2))
        );
    }
    let silent = database.send_once("{ film(id: \"a\") { id } }", &json!({ "other": 1 }));
    assert_eq!(
        silent["extensions"]["thalweg"].as_object().unwrap().len(),
        1
    );
}

#[test]
fn a_long_scan_is_warned_of_with_an_index_that_would_serve() {
    let database = indexed();
    for (arguments, index) in [
        ("filter: {title: {eq: \"x\"}}", Some("[\"title\"]")),
        (
            "filter: {title: {eq: \"x\"}, rating: {gt: 1}}, orderBy: [{released: DESC}]",
            Some("[\"title\", \"released DESC\"]"),
        ),
        (
            "filter: {studio: {name: {startsWith: \"F\"}}}",
            Some("[\"studio.name\"]"),
        ),
        (
            "filter: {tags: {some: {eq: \"space\"}}}",
            Some("[\"tags[]\"]"),
        ),
        (
            "filter: {cast: {some: {name: {eq: \"Ford\"}}}}",
            Some("[\"cast[].name\"]"),
        ),
        ("orderBy: [{added: ASC}]", Some("[\"added INSTANT\"]")),
        (
            "orderBy: [{_updatedAt: DESC}]",
            Some("[\"_updatedAt DESC\"]"),
        ),
        ("filter: {title: {contains: \"x\"}}", None),
    ] {
        let query = format!("{{ f: films({arguments}) {{ nodes {{ id }} }} }}");
        let response = database.send_once(&query, &json!({}));
        let warning = &response["extensions"]["thalweg"]["warnings"][0];
        assert_eq!(
            warning["code"], "UNINDEXED_SCAN",
            "{arguments}: {response:#}"
        );
        assert_eq!(warning["path"], json!(["f"]));
        assert_eq!(warning["rowsRead"], 4);
        let message = warning["message"].as_str().unwrap();
        match index {
            Some(index) => assert!(
                message.contains(&format!("@index(fields: {index})")),
                "{message}"
            ),
            None => assert!(message.contains("no index would serve"), "{message}"),
        }
    }
    for arguments in [
        "first: 10",
        "orderBy: [{year: DESC}], first: 1",
        // The planner may prefer to look at every document although there is an index.
        "orderBy: [{year: DESC}]",
        "filter: {id: {eq: \"a\"}}",
    ] {
        let query = format!("{{ f: films({arguments}) {{ nodes {{ id }} }} }}");
        let response = database.send_once(&query, &json!({}));
        assert_eq!(
            response["extensions"]["thalweg"].get("warnings"),
            None,
            "{arguments}"
        );
    }
}

#[test]
fn extensions_of_the_wrong_kind_are_refused() {
    for extensions in [
        r#"{"explain":1}"#,
        r#"{"thalweg":{"explain":"yes"}}"#,
        r#"{"thalweg":{"idempotencyKey":7}}"#,
    ] {
        let request = Request {
            extensions: Request::object_from_json("extensions", extensions.as_bytes()).unwrap(),
            ..Request::text("{ __typename }")
        };
        let refused = Extensions::of(&request).unwrap_err();
        assert_eq!(refused.code().as_str(), "BAD_REQUEST", "{extensions}");
    }
}

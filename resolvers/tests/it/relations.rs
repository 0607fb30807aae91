//! Relations between documents: declared, read in both directions, and followed live.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use thalweg_resolvers::{Limits, Request};

use crate::fixture::Database;

const SCHEMA: &str = r#"
  type Person @collection(name: "people") { id: ID! }
  type City @collection(name: "cities") { id: ID! }
  type Movie @collection(name: "movies") @relation(field: "studio.city_code", to: "cities", references: "code", name: "city") {
    director: Person @relation(field: "director_id", inverse: "directed")
    actors: [Person] @relation(field: "actor_ids")
  }
"#;

fn library() -> Database {
    let database = Database::empty();
    database.insert(
        "people",
        &[
            json!({ "id": "p1", "name": "Ridley Scott", "born": 1937 }),
            json!({ "id": "p2", "name": "Sigourney Weaver", "born": 1949 }),
            json!({ "id": 7, "name": "Kathryn Bigelow", "born": 1951 }),
        ],
    );
    database.insert(
        "cities",
        &[
            json!({ "id": "c1", "code": "LON", "name": "London" }),
            json!({ "id": "c2", "code": "LA", "name": "Los Angeles" }),
        ],
    );
    database.insert(
        "movies",
        &[
            json!({ "id": "m1", "title": "Alien", "year": 1979, "director_id": "p1", "actor_ids": ["p2", "gone", null], "studio": { "city_code": "LON" } }),
            json!({ "id": "m2", "title": "Blade Runner", "year": 1982, "director_id": "p1", "actor_ids": [], "studio": { "city_code": "LA" } }),
            json!({ "id": "m3", "title": "Near Dark", "year": 1987, "director_id": "7", "actor_ids": ["p2"], "studio": { "city_code": "XX" } }),
            json!({ "id": "m4", "title": "Strange Days", "year": 1995, "director_id": "7", "studio": {} }),
            json!({ "id": "m5", "title": "Nobody's", "year": 2000, "director_id": "nobody" }),
        ],
    );
    apply(&database, SCHEMA);
    database
}

fn apply(database: &Database, sdl: &str) -> Json {
    let mutation = format!(
        "mutation {{ applySchema(sdl: {}) {{ changes }} }}",
        serde_json::to_string(sdl).unwrap()
    );
    database.data(&mutation)["applySchema"]["changes"].clone()
}

fn wait_for_indexes(database: &Database) {
    database.wait_for("the indexes", |database| {
        let data = database.data("{ collections { indexes { status } } }");
        !data.to_string().contains("BUILDING")
    });
}

#[test]
fn a_field_leads_to_what_it_names_and_back() {
    let database = library();
    let data = database.data(
        "{ movies { nodes { title director { name } actors { name } studio { city { name } } } } }",
    );
    let scott = json!({ "name": "Ridley Scott" });
    let weaver = json!({ "name": "Sigourney Weaver" });
    let bigelow = json!({ "name": "Kathryn Bigelow" });
    assert_eq!(
        data["movies"]["nodes"],
        json!([
            { "title": "Alien", "director": scott, "actors": [weaver, null, null], "studio": { "city": { "name": "London" } } },
            { "title": "Blade Runner", "director": scott, "actors": [], "studio": { "city": { "name": "Los Angeles" } } },
            { "title": "Near Dark", "director": bigelow, "actors": [weaver], "studio": { "city": null } },
            { "title": "Strange Days", "director": bigelow, "actors": null, "studio": { "city": null } },
            { "title": "Nobody's", "director": null, "actors": null, "studio": null },
        ])
    );
    let data = database.data(
        "{ person(id: \"7\") { directed(orderBy: [{year: DESC}]) { totalCount nodes { title director { directed { totalCount } } } } }
           weaver: person(id: \"p2\") { moviesByActors(first: 1) { edges { node { title } } pageInfo { hasNextPage } } }
           city(id: \"c1\") { moviesByStudioCity { nodes { title } } } }",
    );
    assert_eq!(
        data["person"]["directed"],
        json!({ "totalCount": 2, "nodes": [
            { "title": "Strange Days", "director": { "directed": { "totalCount": 2 } } },
            { "title": "Near Dark", "director": { "directed": { "totalCount": 2 } } },
        ] })
    );
    assert_eq!(
        data["weaver"]["moviesByActors"],
        json!({ "edges": [{ "node": { "title": "Alien" } }], "pageInfo": { "hasNextPage": true } })
    );
    assert_eq!(
        data["city"]["moviesByStudioCity"]["nodes"],
        json!([{ "title": "Alien" }])
    );
}

#[test]
fn the_way_back_is_filtered_and_paged_like_a_list() {
    let database = library();
    let query = |arguments: &str| {
        let data = database.data(&format!(
            "{{ person(id: \"p1\") {{ directed({arguments}) {{ nodes {{ title }} edges {{ cursor }} }} }} }}"
        ));
        data["person"]["directed"].clone()
    };
    let titles = |page: &Json| -> Vec<String> {
        let nodes = page["nodes"].as_array().unwrap();
        nodes
            .iter()
            .map(|node| node["title"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        titles(&query("filter: {year: {gt: 1980}}")),
        ["Blade Runner"]
    );
    let first = query("orderBy: [{title: DESC}], first: 1");
    assert_eq!(titles(&first), ["Blade Runner"]);
    let cursor = first["edges"][0]["cursor"].as_str().unwrap();
    let next = query(&format!(
        "orderBy: [{{title: DESC}}], first: 1, after: \"{cursor}\""
    ));
    assert_eq!(titles(&next), ["Alien"]);
    let refused = database.send("{ person(id: \"p1\") { directed(first: -1) { totalCount } } }");
    assert_eq!(
        refused["errors"][0]["path"],
        json!(["person", "directed"]),
        "{refused}"
    );
}

#[test]
fn a_printed_schema_declares_what_is_so() {
    let database = library();
    let sdl = database.resolvers.sdl().unwrap();
    assert_eq!(apply(&database, &sdl), json!([]), "{sdl}");
    assert_eq!(apply(&database, SCHEMA), json!([]));
    let directives: Vec<&str> = sdl
        .lines()
        .filter(|line| line.contains("type Movie "))
        .collect();
    insta::assert_snapshot!(directives.join("\n"));

    // The same in an empty database, where the types come with the documents.
    let other = Database::empty();
    apply(&other, &sdl);
    let again = other.resolvers.sdl().unwrap();
    let of = |sdl: &str| -> Vec<String> {
        let lines = sdl.lines().filter(|line| line.starts_with("type Movie "));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(of(&sdl), of(&again));
}

#[test]
fn what_is_declared_of_relations_is_shown_and_taken_back() {
    let database = library();
    let relations = "{ collections { name relations { name inverse field list target targetField origin onDelete evidence { ratio } } indexes { fields automatic } } }";
    let data = database.data(relations);
    let collections = data["collections"].as_array().unwrap();
    let of = |name: &str| {
        collections
            .iter()
            .find(|it| it["name"] == name)
            .unwrap()
            .clone()
    };
    insta::assert_snapshot!(format!("{:#}\n{:#}", of("movies"), of("cities")));

    let changes = apply(
        &database,
        "type Movie @collection(name: \"movies\") { director_id: String @relation(none: true) }",
    );
    assert_eq!(
        changes,
        json!([
            "movies: relation studio.city_code dropped, relation director_id dropped, relation actor_ids dropped, no relation: director_id"
        ])
    );
    let data =
        database.data("{ collections { name relations { name } indexes { fields status } } }");
    for collection in data["collections"].as_array().unwrap() {
        assert_eq!(collection["relations"], json!([]));
        for index in collection["indexes"].as_array().unwrap() {
            assert_eq!(index["status"], "DROPPING");
        }
    }
    let gone = database.try_run(&Request::text("{ movies { nodes { director { name } } } }"));
    assert!(gone.is_err());
}

#[test]
fn what_cannot_be_a_relation_is_refused_with_its_place() {
    let database = library();
    let refused = |sdl: &str| -> String {
        let mutation = format!(
            "mutation {{ applySchema(sdl: {}) {{ changes }} }}",
            serde_json::to_string(sdl).unwrap()
        );
        let response = database.send(&mutation);
        let errors = response["errors"].as_array().unwrap().iter();
        let texts: Vec<&str> = errors.map(|it| it["message"].as_str().unwrap()).collect();
        texts.join("\n")
    };
    let person = "type Person @collection(name: \"people\") { id: ID! }";
    for (field, part) in [
        ("director: Person @relation", "names the stored field"),
        (
            "director: Person! @relation(field: \"director_id\")",
            "write Person or [Person]",
        ),
        (
            "director: Other @relation(field: \"director_id\")",
            "declares no collection here",
        ),
        (
            "director: Person @relation(field: \"a b\")",
            "is no stored field",
        ),
        (
            "director: Person @relation(field: \"director_id\", to: \"nowhere\")",
            "\"nowhere\", which is no collection",
        ),
        (
            "title: Person @relation(field: \"director_id\")",
            "title is a field of the documents already",
        ),
        (
            "director: Person @relation(field: \"director_id\", inverse: \"a-b\")",
            "is no name of a field",
        ),
        (
            "a: Person @relation(field: \"director_id\") b: Person @relation(field: \"director_id\")",
            "it is declared twice",
        ),
    ] {
        let sdl = format!(
            "{person} type Other {{ x: Int }} type Movie @collection(name: \"movies\") {{ {field} }}"
        );
        let all = refused(&sdl);
        assert!(all.contains(part), "{field}: {all}");
    }
}

#[test]
fn a_name_that_was_given_stays_and_is_not_given_again() {
    let database = library();
    let drop = "type Movie @collection(name: \"movies\")";
    apply(&database, drop);
    database.insert("movies", &[json!({ "id": "m9", "director": "a text" })]);
    let data = database.data("{ movie(id: \"m9\") { director2 } }");
    assert_eq!(data["movie"]["director2"], "a text");
    apply(&database, SCHEMA);
    let data = database.data("{ movie(id: \"m1\") { director { name } director2 } }");
    assert_eq!(data["movie"]["director"]["name"], "Ridley Scott");
}

#[test]
fn a_mutation_shows_what_is_related_to_what_it_wrote() {
    let database = library();
    let data = database.data(
        "mutation { createMovie(input: {title: \"Prometheus\", director_id: \"p1\"}) { director { name directed { totalCount } } } }",
    );
    assert_eq!(
        data["createMovie"]["director"],
        json!({ "name": "Ridley Scott", "directed": { "totalCount": 3 } })
    );
}

#[test]
fn an_earlier_time_shows_the_documents_of_then() {
    let database = library();
    let before = database.data("{ movie(id: \"m1\") { director { _updatedAt } } }");
    let at = before["movie"]["director"]["_updatedAt"]
        .as_str()
        .unwrap()
        .to_owned();
    database.pass(std::time::Duration::from_secs(60));
    database.data("mutation { updatePerson(id: \"p1\", patch: {name: \"Sir Ridley\"}) { id } deletePerson(id: \"p2\") { id } }");
    database.pass(std::time::Duration::from_secs(60));
    let now = database.data("{ movie(id: \"m1\") { director { name } actors { name } } }");
    assert_eq!(now["movie"]["director"]["name"], "Sir Ridley");
    assert_eq!(now["movie"]["actors"], json!([null, null, null]));
    let then = thalweg_model::parse_rfc3339(&at).unwrap() + 30_000_000;
    let mut text = Vec::new();
    thalweg_model::write_rfc3339(then, &mut text);
    let text = String::from_utf8(text).unwrap();
    let past = database.data(&format!(
        "{{ movie(id: \"m1\", at: \"{text}\") {{ director {{ name directed {{ totalCount }} }} actors {{ name }} }} }}"
    ));
    assert_eq!(past["movie"]["director"]["name"], "Ridley Scott");
    assert_eq!(past["movie"]["director"]["directed"]["totalCount"], 2);
    assert_eq!(past["movie"]["actors"][0]["name"], "Sigourney Weaver");
}

#[test]
fn documents_are_filtered_by_those_that_they_are_related_to() {
    let database = library();
    let ids = |filter: &str| -> Vec<String> {
        let data = database.data(&format!(
            "{{ movies(filter: {filter}) {{ nodes {{ id }} }} }}"
        ));
        let nodes = data["movies"]["nodes"].as_array().unwrap();
        nodes
            .iter()
            .map(|node| node["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids("{director: {name: {startsWith: \"R\"}}}"), ["m1", "m2"]);
    assert_eq!(
        ids("{director: {id: {eq: \"7\"}}, year: {gt: 1990}}"),
        ["m4"]
    );
    assert_eq!(
        ids("{director: {not: {born: {lt: 1940}}}}"),
        ["m3", "m4", "m5"]
    );
    assert_eq!(ids("{director: {born: {ne: 1937}}}"), ["m3", "m4"]);
    assert_eq!(ids("{director: {isNull: true}}"), ["m5"]);
    assert_eq!(
        ids("{director: {or: [{isNull: true}, {born: {eq: 1951}}]}}"),
        ["m3", "m4", "m5"]
    );
    assert_eq!(ids("{director: {}}"), ["m1", "m2", "m3", "m4", "m5"]);
    assert_eq!(
        ids("{actors: {some: {name: {contains: \"Weaver\"}}}}"),
        ["m1", "m3"]
    );
    assert_eq!(ids("{actors: {none: {}}}"), ["m2", "m4", "m5"]);
    assert_eq!(
        ids("{actors: {every: {born: {gt: 1950}}}}"),
        ["m2", "m4", "m5"]
    );
    assert_eq!(ids("{studio: {city: {name: {eq: \"London\"}}}}"), ["m1"]);
    assert_eq!(ids("{studio: {city: {isNull: true}}}"), ["m3", "m4", "m5"]);
    // And further on: of those who directed somebody.
    assert_eq!(
        ids(
            "{actors: {some: {directed: {none: {}}}}, director: {directed: {some: {year: {lt: 1980}}}}}"
        ),
        ["m1"]
    );
    let data = database.data("{ people(filter: {directed: {every: {year: {gt: 1980}}}}) { nodes { name } } cities(filter: {moviesByStudioCity: {some: {director: {born: {lt: 1940}}}}}) { totalCount } }");
    assert_eq!(
        data,
        json!({ "people": { "nodes": [{ "name": "Kathryn Bigelow" }, { "name": "Sigourney Weaver" }] }, "cities": { "totalCount": 2 } })
    );
    let data = database.data(
        "mutation { updateMovies(filter: {director: {name: {eq: \"Kathryn Bigelow\"}}}, patch: {year: 1}) { ids } }",
    );
    assert_eq!(data["updateMovies"]["ids"], json!(["m3", "m4"]));
}

fn airports() -> Database {
    let database = Database::empty();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/airports");
    for name in ["airports", "countries", "regions"] {
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let documents: Vec<Json> = serde_json::from_str(&text).unwrap();
        database.insert(name, &documents);
    }
    database
}

#[test]
fn the_relations_of_the_example_data_are_found_and_no_others() {
    let database = airports();
    assert!(database.detect());
    assert!(!database.detect());
    let data = database.data(
        "{ collections { name relations { name inverse field target targetField origin evidence { documents matching dangling distinct ratio sampled } } indexes { fields automatic } } }",
    );
    insta::assert_snapshot!(format!("{data:#}"));
}

#[test]
fn what_is_found_stays_until_it_is_refused() {
    let database = Database::empty();
    let author =
        |number: usize| json!({ "id": format!("a{number}"), "name": format!("Author {number}") });
    let book = |number: usize| json!({ "id": format!("b{number}"), "author_id": format!("a{}", number % 5), "pages": number });
    database.insert("books", &(0..20).map(book).collect::<Vec<_>>());
    assert!(database.detect());
    assert_eq!(
        database.data("{ collections { relations { name } } }"),
        json!({ "collections": [{ "relations": [] }] })
    );
    database.insert("authors", &(0..5).map(author).collect::<Vec<_>>());
    assert!(database.detect());
    let data =
        database.data("{ book(id: \"b7\") { author { name booksByAuthor { totalCount } } } }");
    assert_eq!(
        data["book"]["author"],
        json!({ "name": "Author 2", "booksByAuthor": { "totalCount": 4 } })
    );

    // Documents that name nothing do not take it away; they show in the evidence.
    let dangling = |number: usize| json!({ "id": format!("c{number}"), "author_id": "nobody" });
    database.insert("books", &(0..20).map(dangling).collect::<Vec<_>>());
    assert!(database.detect());
    let data = database.data("{ collections { relations { name origin evidence { documents dangling ratio } } } book(id: \"c1\") { author { name } } }");
    assert_eq!(
        data["collections"][0]["relations"],
        json!([{ "name": "author", "origin": "DETECTED", "evidence": { "documents": 40, "dangling": 20, "ratio": 0.5 } }])
    );
    assert_eq!(data["book"]["author"], json!(null));

    // Applying what is printed leaves it as it is.
    let sdl = database.resolvers.sdl().unwrap();
    assert_eq!(apply(&database, &sdl), json!([]));
    let changes = apply(
        &database,
        "type Book @collection { author_id: String @relation(none: true) }",
    );
    assert_eq!(changes, json!(["books: no relation: author_id"]));
    let data = database.data("{ collections { relations { name } } }");
    assert_eq!(data["collections"][0]["relations"], json!([]));
    let more = |number: usize| json!({ "id": format!("d{number}"), "author_id": "a1" });
    database.insert("books", &(0..60).map(more).collect::<Vec<_>>());
    assert!(database.detect());
    let data = database.data("{ collections { relations { name } } }");
    assert_eq!(data["collections"][0]["relations"], json!([]));
}

#[test]
fn documents_are_ordered_by_those_that_they_name() {
    let database = library();
    let titles = |page: &Json| -> Vec<String> {
        let edges = page["edges"].as_array().unwrap();
        edges
            .iter()
            .map(|edge| edge["node"]["title"].as_str().unwrap().to_owned())
            .collect()
    };
    let page = |arguments: &str| {
        let query = format!(
            "{{ movies({arguments}) {{ totalCount edges {{ cursor node {{ title }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
        );
        database.data(&query)["movies"].clone()
    };
    let order = "orderBy: [{director: {name: ASC}}, {year: DESC}]";
    let all = page(order);
    // Nobody is least.
    let expected = [
        "Nobody's",
        "Strange Days",
        "Near Dark",
        "Blade Runner",
        "Alien",
    ];
    assert_eq!(titles(&all), expected);
    assert_eq!(
        titles(&page("orderBy: [{director: {name: DESC}}]")),
        [
            "Alien",
            "Blade Runner",
            "Near Dark",
            "Strange Days",
            "Nobody's"
        ]
    );
    assert_eq!(
        titles(&page(
            "orderBy: [{studio: {city: {name: DESC}}}], first: 2, filter: {year: {lt: 1990}}"
        )),
        ["Blade Runner", "Alien"]
    );

    // Pages in both directions, and at any place.
    let mut forward = Vec::new();
    let mut after = String::new();
    loop {
        let next = page(&format!("{order}, first: 2{after}"));
        assert_eq!(next["totalCount"], 5);
        forward.extend(titles(&next));
        if next["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = format!(", after: {}", next["pageInfo"]["endCursor"]);
    }
    assert_eq!(forward, expected);
    let last = page(&format!("{order}, last: 2"));
    assert_eq!(titles(&last), expected[3..]);
    assert_eq!(last["pageInfo"]["hasPreviousPage"], true);
    let before = page(&format!(
        "{order}, last: 2, before: {}",
        last["pageInfo"]["startCursor"]
    ));
    assert_eq!(titles(&before), expected[1..3]);
    assert_eq!(
        titles(&page(&format!("{order}, first: 2, offset: 2"))),
        expected[2..4]
    );

    // A cursor is a place: documents that move elsewhere do not move it.
    let cursor = all["edges"][2]["cursor"].clone();
    database.data("mutation { updateMovie(id: \"m3\", patch: {director_id: \"p1\"}) { id } }");
    assert_eq!(
        titles(&page(&format!("{order}, after: {cursor}"))),
        ["Near Dark", "Blade Runner", "Alien"]
    );
    let (code, message, _) = database.error(&format!(
        "{{ movies(orderBy: [{{director: {{born: ASC}}}}], after: {cursor}) {{ totalCount }} }}"
    ));
    assert_eq!(code, "BAD_REQUEST");
    assert!(message.contains("another ordering"), "{message}");
}

#[test]
fn documents_are_read_once_however_many_name_them() {
    let database = Database::empty();
    let person =
        |number: usize| json!({ "id": format!("p{number}"), "city": format!("c{}", number % 2) });
    let movie = |number: usize| json!({ "id": format!("m{number}"), "director_id": format!("p{}", number % 5) });
    let city = |number: usize| json!({ "id": format!("i{number}"), "code": format!("c{number}"), "name": "x" });
    database.insert("people", &(0..5).map(person).collect::<Vec<_>>());
    database.insert("movies", &(0..90).map(movie).collect::<Vec<_>>());
    database.insert("cities", &(0..2).map(city).collect::<Vec<_>>());
    apply(
        &database,
        "type Movie @collection(name: \"movies\") @relation(field: \"director_id\", to: \"people\")
         type Person @collection(name: \"people\") @relation(field: \"city\", to: \"cities\", references: \"code\", name: \"home\")",
    );
    wait_for_indexes(&database);
    let query = "{ movies(first: 90) { nodes { director { home { name } } } edges { node { director { id } } } } }";
    let operation = database.resolvers.prepare(&Request::text(query)).unwrap();
    let snapshot = database.resolvers.engine().snapshot().unwrap();
    let response = database.resolvers.run(&operation, &snapshot);
    assert!(!response.has_errors());
    let read = snapshot.documents_read();
    // The page and whether there is more; five people for each of the two selections; two cities.
    assert!((90..=91 + 5 + 5 + 2 + 1).contains(&read), "{read}");
}

/// How often the store is asked does not depend on how many documents there are, in either direction, through several
/// levels, filtered and counted.
#[test]
fn the_store_is_asked_as_often_for_many_rows_as_for_few() {
    let (database, store) = Database::counting();
    let numbered = |prefix: &str, number: usize| format!("{prefix}{number}");
    let people: Vec<Json> = (0..60)
        .map(|n| json!({ "id": numbered("p", n), "name": numbered("name ", n) }))
        .collect();
    let movies: Vec<Json> = (0..300)
        .map(|n| json!({ "id": numbered("m", n), "year": 1900 + n % 90, "director_id": numbered("p", n % 60) }))
        .collect();
    let reviews: Vec<Json> = (0..900)
        .map(|n| json!({ "stars": n % 6, "movie_id": numbered("m", n % 300), "person_id": numbered("p", n % 59) }))
        .collect();
    database.insert("people", &people);
    database.insert("movies", &movies);
    database.insert("reviews", &reviews);
    apply(
        &database,
        r#"
          type Person @collection(name: "people") { id: ID! }
          type Movie @collection(name: "movies") @index(fields: ["director_id", "year"]) {
            director: Person @relation(field: "director_id")
          }
          type Review @collection(name: "reviews") {
            movie: Movie @relation(field: "movie_id")
            person: Person @relation(field: "person_id")
          }
        "#,
    );
    wait_for_indexes(&database);
    let queries = [
        "people(first: ROWS) { nodes { name moviesByDirector(first: 3) { nodes { year } } } }",
        "people(first: ROWS) { nodes { moviesByDirector(orderBy: [{year: DESC}], filter: {year: {gt: 1910}}, last: 2) {
           totalCount edges { cursor node { year } } } } }",
        "people(first: ROWS) { edges { node { moviesByDirector(first: 4) { totalCount nodes { director { name }
           reviewsByMovie(first: 2, filter: {stars: {gt: 0}}) { nodes { stars person { name } } } } } } } }",
        "movies(first: ROWS, filter: {director_id: {gt: \"p\"}}) { nodes { year director { name } } }",
        "reviews(first: ROWS) { nodes { movie { director { moviesByDirector { totalCount } } } } }",
    ];
    for query in queries {
        let asked = |rows: usize| {
            let text = format!("{{ {} }}", query.replace("ROWS", &rows.to_string()));
            let before = store.exchanges();
            let data = database.data(&text);
            assert!(data.to_string().len() > rows * 15, "{data}");
            store.exchanges() - before
        };
        let (few, many) = (asked(3), asked(60));
        assert!(many <= few + 2, "{few} for 3 rows, {many} for 60: {query}");
        assert!(many < 40, "{many}: {query}");
    }
}

/// A page that takes more than an operation may cost is refused, until what it would have to look at has gone.
#[test]
fn a_live_query_hears_of_what_it_could_not_read() {
    let limits = Limits {
        rows_max: 60,
        ..Limits::default()
    };
    let database = Database::with_limits(limits);
    let people: Vec<Json> = (0..4).map(|n| json!({ "id": format!("p{n}") })).collect();
    let movies: Vec<Json> = (0..80)
        .map(|n| json!({ "id": format!("m{n}"), "year": n, "director_id": format!("p{}", n % 4) }))
        .collect();
    database.insert("people", &people);
    database.insert("movies", &movies);
    apply(
        &database,
        r#"
          type Person @collection(name: "people") { id: ID! }
          type Movie @collection(name: "movies") { director: Person @relation(field: "director_id") }
        "#,
    );
    wait_for_indexes(&database);
    let query = "{ people { nodes { id moviesByDirector(first: 1, filter: {year: {lt: 0}}) { nodes { id } } } } }";
    let operation = database.resolvers.prepare(&Request::text(query)).unwrap();
    let engine = database.resolvers.engine();
    let refused = database
        .resolvers
        .run(&operation, &engine.snapshot().unwrap());
    let shown = String::from_utf8_lossy(refused.body()).into_owned();
    assert!(shown.contains("LIMIT_EXCEEDED"), "{shown}");
    for number in 0..40 {
        database.data(&format!(
            "mutation {{ deleteMovie(id: \"m{number}\", permanent: true) {{ id }} }}"
        ));
    }
    let commits = engine.recent_commits(refused.commit_ts()).unwrap();
    let touched = |commit: &Arc<thalweg_engine::Commit>| refused.dependencies().touched_by(commit);
    assert!(commits.iter().all(touched));
    let data = database.data(query);
    assert_eq!(
        data["people"]["nodes"][3]["moviesByDirector"]["nodes"],
        json!([])
    );
}

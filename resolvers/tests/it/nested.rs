//! Writing documents with others at the other end of their relations, and what becomes of them when one goes.

use serde_json::{Value as Json, json};

use crate::fixture::{Database, first_error};

const SCHEMA: &str = "
    type Person @collection(name: \"people\") { id: ID! }
    type Country @collection(name: \"countries\") { id: ID! }
    type Movie @collection(name: \"movies\") {
        director: Person @relation(field: \"director_id\", inverse: \"directed\")
        actors: [Person] @relation(field: \"actor_ids\", inverse: \"playsIn\")
        country: Country @relation(field: \"country_code\", references: \"code\")
    }
    type Review @collection(name: \"reviews\") {
        movie: Movie @relation(field: \"movie_id\", onDelete: CASCADE)
        person: Person @relation(field: \"person_id\", onDelete: RESTRICT)
    }";

fn database() -> Database {
    let database = Database::empty();
    database.insert(
        "people",
        &[
            json!({ "id": "p1", "name": "Scott" }),
            json!({ "id": "p2", "name": "Weaver" }),
        ],
    );
    database.insert(
        "countries",
        &[json!({ "id": "1", "code": "gb", "name": "Britain" })],
    );
    database.insert(
        "movies",
        &[json!({ "id": "m1", "title": "Alien", "director_id": "p1", "actor_ids": ["p2"], "country_code": "gb" })],
    );
    database.insert(
        "reviews",
        &[json!({ "id": "r1", "stars": 5, "movie_id": "m1", "person_id": "p2" })],
    );
    let sdl = serde_json::to_string(SCHEMA).unwrap();
    database.data(&format!(
        "mutation {{ applySchema(sdl: {sdl}) {{ changes }} }}"
    ));
    database
}

/// All that is stored, to see that nothing was written.
fn everything(database: &Database) -> Json {
    database.data(
        "{ people { nodes { id _json _version } } movies { nodes { id _json _version } }
           reviews { nodes { id _json _version } } countries { nodes { id _json } } }",
    )
}

fn refused(database: &Database, field: &str, code: &str, words: &str) {
    let before = everything(database);
    let response = database.send(&format!(
        "mutation {{ ok: updatePerson(id: \"p1\", patch: {{name: \"x\"}}) {{ id }} r: {field} }}"
    ));
    let (found, message, path) = first_error(&response);
    assert_eq!(
        (found.as_str(), &path[0]),
        (code, &json!("r")),
        "{field}: {message}"
    );
    assert!(message.contains(words), "{field}: {message}");
    assert_eq!(everything(database), before, "{field}");
}

#[test]
fn one_mutation_writes_all_of_it() {
    let database = database();
    let data = database.data(
        "mutation {
            createMovie(input: {
                title: \"Blade Runner\"
                director: {connect: \"p1\"}
                actors: [{create: {name: \"Ford\"}}, {connect: \"p2\"}]
                country: {create: {code: \"us\", name: \"USA\"}}
                reviewsByMovie: {create: [{stars: 4, person: {create: {id: \"p9\", name: \"Ebert\"}}}], connect: [\"r1\"]}
            }) {
                id director_id country_code
                director { name } actors { name } country { name }
                reviewsByMovie(orderBy: {stars: ASC}) { nodes { stars person { id name } movie { title } } }
            }
        }",
    );
    let movie = &data["createMovie"];
    assert_eq!(movie["director"], json!({ "name": "Scott" }), "{movie:#}");
    assert_eq!(
        movie["actors"],
        json!([{ "name": "Ford" }, { "name": "Weaver" }])
    );
    assert_eq!(movie["country"], json!({ "name": "USA" }));
    assert_eq!(movie["country_code"], "us");
    assert_eq!(
        movie["reviewsByMovie"]["nodes"],
        json!([
            { "stars": 4, "person": { "id": "p9", "name": "Ebert" }, "movie": { "title": "Blade Runner" } },
            { "stars": 5, "person": { "id": "p2", "name": "Weaver" }, "movie": { "title": "Blade Runner" } },
        ])
    );
    let left = database
        .data("{ movie(id: \"m1\") { reviewsByMovie { totalCount } } people { totalCount } }");
    assert_eq!(left["movie"]["reviewsByMovie"]["totalCount"], 0);
    assert_eq!(left["people"]["totalCount"], 4);
}

#[test]
fn every_kind_of_write_takes_relations() {
    let database = database();
    let data = database.data(
        "mutation {
            many: createMovies(inputs: [
                {id: \"m2\", director: {create: {id: \"p3\", name: \"Lynch\"}}}
                {id: \"m3\", director: {connect: \"p3\"}}
            ]) { id director { name } }
            update: updateMovie(id: \"m1\", patch: {director: {connect: \"p3\"}, actors: [], title: \"Dune\"}) {
                title director { name } actors { name }
            }
            null: updateMovie(id: \"m2\", patch: {director: null}) { director_id director { name } }
            missing: updateMovie(id: \"nope\", patch: {director: {create: {id: \"never\"}}}) { id }
            upsert: upsertMovie(id: \"m4\", input: {director: {connect: \"p1\"}}) { director { name } }
            again: upsertMovie(id: \"m4\", input: {title: \"x\", director: {create: {id: \"p5\", name: \"New\"}}}) { title director_id }
            replace: replaceMovie(id: \"m3\", input: {title: \"y\"}) { title director_id }
        }",
    );
    assert_eq!(
        data["many"],
        json!([{ "id": "m2", "director": { "name": "Lynch" } }, { "id": "m3", "director": { "name": "Lynch" } }]),
        "{data:#}"
    );
    assert_eq!(
        data["update"],
        json!({ "title": "Dune", "director": { "name": "Lynch" }, "actors": [] })
    );
    assert_eq!(
        data["null"],
        json!({ "director_id": null, "director": null })
    );
    assert_eq!(data["missing"], Json::Null);
    assert_eq!(data["upsert"]["director"], json!({ "name": "Scott" }));
    assert_eq!(data["again"], json!({ "title": "x", "director_id": "p5" }));
    assert_eq!(
        data["replace"],
        json!({ "title": "y", "director_id": null })
    );
    let bulk = database.data(
        "mutation {
            updateMovies(filter: {id: {in: [\"m2\", \"m3\"]}}, patch: {director: {connect: \"p2\"}}) { count ids }
            updatePerson(id: \"p2\", patch: {directed: {connect: [\"m4\"], create: [{id: \"m6\"}]}, playsIn: {connect: [\"m4\"]}}) {
                directed { nodes { id } } playsIn { nodes { id } }
            }
        }",
    );
    assert_eq!(
        bulk["updateMovies"],
        json!({ "count": 2, "ids": ["m2", "m3"] })
    );
    let of = |ids: &[&str]| json!({ "nodes": ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>() });
    assert_eq!(
        bulk["updatePerson"]["directed"],
        of(&["m2", "m3", "m4", "m6"])
    );
    assert_eq!(bulk["updatePerson"]["playsIn"], of(&["m4"]));
    let people = database.data("{ people { nodes { id } } }");
    let ids: Vec<&str> = people["people"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["id"].as_str())
        .collect();
    assert_eq!(
        ids,
        ["p1", "p2", "p3", "p5"],
        "nothing is created for a document that is not there"
    );
}

#[test]
fn what_cannot_be_meant_is_refused_and_changes_nothing() {
    let database = database();
    let cases = [
        (
            "createMovie(input: {director: {}}) { id }",
            "BAD_REQUEST",
            "input.director",
        ),
        (
            "createMovie(input: {director: {connect: \"p1\", create: {}}}) { id }",
            "BAD_REQUEST",
            "input.director",
        ),
        (
            "createMovie(input: {director: {connect: \"p1\"}, director_id: \"p2\"}) { id }",
            "BAD_REQUEST",
            "director_id",
        ),
        (
            "updateMovie(id: \"m1\", patch: {director: null, director_id: \"p2\"}) { id }",
            "BAD_REQUEST",
            "director_id",
        ),
        (
            "updateMovie(id: \"m1\", patch: {director: {connect: \"p2\"}, _unset: [director_id]}) { id }",
            "BAD_REQUEST",
            "director_id",
        ),
        (
            "createMovie(input: {director: {connect: \"nope\"}}) { id }",
            "NOT_FOUND",
            "input.director: there is no document \"nope\"",
        ),
        (
            "createMovie(input: {actors: [{connect: \"p1\"}, {create: {id: \"p1\"}}]}) { id }",
            "UNIQUE_VIOLATION",
            "p1",
        ),
        (
            "createMovie(input: {reviewsByMovie: {connect: [\"nope\"]}}) { id }",
            "NOT_FOUND",
            "input.reviewsByMovie",
        ),
        (
            "createMovie(input: {reviewsByMovie: {create: [{movie_id: \"m1\"}]}}) { id }",
            "BAD_REQUEST",
            "input.reviewsByMovie.create[0]",
        ),
        (
            "createMovie(input: {country: {create: {name: \"Nowhere\"}}}) { id }",
            "BAD_REQUEST",
            "has no code",
        ),
        (
            "createMovies(inputs: [{}, {director: {connect: \"nope\"}}]) { id }",
            "NOT_FOUND",
            "inputs[1].director",
        ),
        (
            "updateMovies(filter: {}, patch: {director: {create: {name: \"x\"}}}) { count }",
            "BAD_REQUEST",
            "patch.director.create",
        ),
        (
            "updateMovies(filter: {}, patch: {reviewsByMovie: {connect: [\"r1\"]}}) { count }",
            "BAD_REQUEST",
            "patch.reviewsByMovie",
        ),
        (
            "deletePerson(id: \"p2\") { id }",
            "SCHEMA_VIOLATION",
            "1 of the documents of \"reviews\" name by person_id",
        ),
    ];
    for (field, code, words) in cases {
        refused(&database, field, code, words);
    }
}

#[test]
fn one_root_field_ends_before_the_next() {
    let database = database();
    let data = database.data(
        "mutation {
            deleteMovie(id: \"m1\") { id }
            reviews: updateReviews(filter: {}, patch: {_inc: {stars: 1}}) { count }
            deletePerson(id: \"p2\") { id }
        }",
    );
    assert_eq!(data["reviews"]["count"], 0, "it went with its movie");
    assert_eq!(data["deletePerson"]["id"], "p2");
    let left = database.data("{ reviews(deleted: INCLUDE) { nodes { id _deletedAt } } }");
    assert_ne!(left["reviews"]["nodes"][0]["_deletedAt"], Json::Null);
}

#[test]
fn a_relation_of_an_object_is_given_in_the_object() {
    let database = Database::empty();
    database.insert(
        "cities",
        &[json!({ "id": "c1", "code": 7, "name": "London" })],
    );
    database.insert(
        "movies",
        &[json!({ "id": "m1", "studio": { "name": "Shepperton", "city_code": 7, "lot": { "owner_id": "x" } } })],
    );
    let sdl = "type City @collection(name: \"cities\") { id: ID! }
        type Movie @collection(name: \"movies\")
            @relation(field: \"studio.city_code\", to: \"cities\", references: \"code\", name: \"city\")
            @relation(field: \"studio.lot.owner_id\", to: \"cities\", name: \"owner\") { id: ID! }";
    let sdl = serde_json::to_string(sdl).unwrap();
    database.data(&format!(
        "mutation {{ applySchema(sdl: {sdl}) {{ changes }} }}"
    ));
    let data = database.data(
        "mutation {
            a: createMovie(input: {id: \"m2\", studio: {name: \"Pinewood\", city: {connect: \"c1\"}}}) { _json }
            b: createMovie(input: {id: \"m3\", studio: {city: {create: {id: \"c2\", code: 9}}, lot: {owner: {connect: \"c1\"}}}}) {
                _json studio { city { id } lot { owner { name } } }
            }
            c: updateMovie(id: \"m1\", patch: {studio: {city: {create: {id: \"c3\", code: 11}}, lot: {owner: null}}}) { _json }
            d: upsertMovie(id: \"m4\", input: {studio: {city: {connect: \"c2\"}}}) { _json }
            e: updateMovies(filter: {id: {eq: \"m2\"}}, patch: {studio: {city: {connect: \"c3\"}}}) { count }
        }",
    );
    assert_eq!(
        data["a"]["_json"],
        json!({ "studio": { "name": "Pinewood", "city_code": 7 } })
    );
    assert_eq!(
        data["b"],
        json!({
            "_json": { "studio": { "city_code": 9, "lot": { "owner_id": "c1" } } },
            "studio": { "city": { "id": "c2" }, "lot": { "owner": { "name": "London" } } },
        })
    );
    assert_eq!(
        data["c"]["_json"],
        json!({ "id": "m1", "studio": { "name": "Shepperton", "city_code": 11, "lot": {} } })
    );
    assert_eq!(data["d"]["_json"], json!({ "studio": { "city_code": 9 } }));
    let moved = database.data("{ movie(id: \"m2\") { studio { name city_code } } }");
    assert_eq!(
        moved["movie"]["studio"],
        json!({ "name": "Pinewood", "city_code": 11 })
    );
    for (field, words) in [
        (
            "createMovie(input: {studio: {city_code: 7, city: {connect: \"c1\"}}}) { id }",
            "studio.city",
        ),
        (
            "updateMovie(id: \"m1\", patch: {studio: {city_code: 7, city: {connect: \"c1\"}}}) { id }",
            "studio.city_code",
        ),
        (
            "createMovie(input: {studio: {city: {connect: \"nowhere\"}}}) { id }",
            "nowhere",
        ),
        (
            "createMovie(input: {studio: {city: {}}}) { id }",
            "input.studio.city",
        ),
    ] {
        let response = database.send(&format!("mutation {{ {field} }}"));
        let (_, message, _) = first_error(&response);
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(
        database.data("{ movies { totalCount } }")["movies"]["totalCount"],
        4
    );
}

#[test]
fn what_keeps_a_document_is_told_to_programs() {
    let database = database();
    let response = database.send("mutation { deletePerson(id: \"p2\") { id } }");
    let extensions = &response["errors"][0]["extensions"];
    assert_eq!(
        *extensions,
        json!({
            "code": "SCHEMA_VIOLATION", "target": "people", "collection": "reviews", "field": "person_id",
            "count": 1, "ids": ["r1"],
        })
    );
    let stale = database
        .send("mutation { updatePerson(id: \"p1\", patch: {name: \"x\"}, ifVersion: 5) { id } }");
    let extensions = &stale["errors"][0]["extensions"];
    assert_eq!(
        *extensions,
        json!({ "code": "VERSION_MISMATCH", "id": "p1", "expected": 5, "found": 1 })
    );
}

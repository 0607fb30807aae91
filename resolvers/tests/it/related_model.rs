//! Relations against a plain join, and what live queries over them depend on.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use thalweg_resolvers::Request;

use crate::fixture::Database;

const SCHEMA: &str = r#"
  type Person @collection(name: "people") { id: ID! }
  type Movie @collection(name: "movies") {
    director: Person @relation(field: "director_id", inverse: "directed")
    actors: [Person] @relation(field: "actor_ids", inverse: "acted")
    home: Person @relation(field: "nick", references: "nick", inverse: "homes")
  }
"#;

fn database(people: &[Json], movies: &[Json]) -> Database {
    let database = Database::empty();
    // So that every field has a type, whatever comes.
    let person = json!({ "id": "p0", "born": 1, "nick": "first" });
    let movie =
        json!({ "id": "m0", "year": 1, "director_id": "p0", "actor_ids": ["p0"], "nick": "first" });
    let last = |document: &Json, id: &str| {
        let mut last = document.clone();
        last["id"] = json!(id);
        last["nick"] = json!(id);
        last
    };
    // Nobody changes these, so no field loses its type.
    let (last_person, last_movie) = (last(&person, "pz"), last(&movie, "mz"));
    database.insert("people", &[&[person], people, &[last_person]].concat());
    database.insert("movies", &[&[movie], movies, &[last_movie]].concat());
    let sdl = serde_json::to_string(SCHEMA).unwrap();
    database.data(&format!(
        "mutation {{ applySchema(sdl: {sdl}) {{ changes }} }}"
    ));
    database
}

fn person(number: usize) -> impl Strategy<Value = Json> {
    (0..3_i32, prop::option::of(0..3_u8)).prop_map(move |(born, nick)| {
        let mut person = json!({ "id": format!("p{number}"), "born": born });
        if let Some(nick) = nick {
            // No two people have one nick.
            person["nick"] = json!(format!("n{number}{nick}"));
        }
        person
    })
}

fn people() -> impl Strategy<Value = Vec<Json>> {
    let all: Vec<_> = (1..6).map(person).collect();
    (all, 0..6_usize).prop_map(|(mut all, kept)| {
        all.truncate(kept);
        all
    })
}

fn movies() -> impl Strategy<Value = Vec<Json>> {
    let id = || prop::sample::select(vec!["p0", "p1", "p2", "p3", "p4", "gone", ""]);
    let nick = prop::sample::select(vec!["first", "n10", "n11", "n20", "n21", "x"]);
    let movie = (
        0..3_i32,
        prop::option::of(id()),
        prop::option::of(prop::collection::vec(prop::option::of(id()), 0..4)),
        prop::option::of(nick),
    );
    prop::collection::vec(movie, 0..7).prop_map(|all| {
        let one = |(number, (year, director, actors, nick)): (usize, _)| {
            json!({ "id": format!("m{}", number + 1), "year": year, "director_id": director, "actor_ids": actors, "nick": nick })
        };
        all.into_iter().enumerate().map(one).collect()
    })
}

/// The plain join: the documents as they were put in.
struct Model {
    people: Vec<Json>,
    movies: Vec<Json>,
}

impl Model {
    fn of(database: &Database) -> Model {
        let data = database.data("{ people { nodes { _json } } movies { nodes { _json } } }");
        let all = |name: &str| -> Vec<Json> {
            let nodes = data[name]["nodes"].as_array().unwrap();
            nodes.iter().map(|node| node["_json"].clone()).collect()
        };
        Model {
            people: all("people"),
            movies: all("movies"),
        }
    }

    fn person(&self, id: &Json) -> Option<&Json> {
        self.people.iter().find(|person| person["id"] == *id)
    }

    fn home(&self, movie: &Json) -> Option<&Json> {
        let nick = &movie["nick"];
        self.people
            .iter()
            .find(|person| !nick.is_null() && person["nick"] == *nick)
    }

    fn actors(&self, movie: &Json) -> Vec<Option<&Json>> {
        let ids = movie["actor_ids"].as_array();
        ids.into_iter()
            .flatten()
            .map(|id| self.person(id))
            .collect()
    }

    fn filtered(&self, passes: impl Fn(&Json) -> bool) -> Json {
        let all = self.movies.iter().filter(|movie| passes(movie));
        all.map(|movie| json!({ "id": movie["id"] })).collect()
    }
}

fn id_of(person: Option<&Json>) -> Json {
    person.map_or(Json::Null, |person| json!({ "id": person["id"] }))
}

#[test]
fn relations_are_the_join() {
    let config = ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest::test_runner::TestRunner::new(config)
        .run(&(people(), movies()), |(people, movies)| {
            let database = database(&people, &movies);
            let model = Model::of(&database);
            let data = database.data(
                "{ movies { nodes { id director { id } actors { id } home { id } } }
                   people { nodes { id directed { nodes { id } } acted { totalCount } homes { nodes { id } } } } }",
            );
            for (node, movie) in data["movies"]["nodes"].as_array().unwrap().iter().zip(&model.movies) {
                prop_assert_eq!(&node["director"], &id_of(model.person(&movie["director_id"])));
                prop_assert_eq!(&node["home"], &id_of(model.home(movie)));
                let actors: Vec<Json> = model.actors(movie).into_iter().map(id_of).collect();
                let expected = if movie["actor_ids"].is_null() { Json::Null } else { json!(actors) };
                prop_assert_eq!(&node["actors"], &expected);
            }
            for (node, person) in data["people"]["nodes"].as_array().unwrap().iter().zip(&model.people) {
                let id = &person["id"];
                prop_assert_eq!(&node["directed"]["nodes"], &model.filtered(|movie| movie["director_id"] == *id));
                let acted = model.filtered(|movie| movie["actor_ids"].as_array().is_some_and(|ids| ids.contains(id)));
                prop_assert_eq!(&node["acted"]["totalCount"], &json!(acted.as_array().unwrap().len()));
                let homes = model.filtered(|movie| model.home(movie).is_some_and(|home| home["id"] == *id));
                prop_assert_eq!(&node["homes"]["nodes"], &homes);
            }
            let born = |person: Option<&Json>, born: i32| person.is_some_and(|person| person["born"] == born);
            let checks: Vec<(&str, Json)> = vec![
                ("{director: {born: {eq: 1}}}", model.filtered(|it| born(model.person(&it["director_id"]), 1))),
                ("{director: {isNull: true}}", model.filtered(|it| model.person(&it["director_id"]).is_none())),
                ("{home: {born: {eq: 1}}}", model.filtered(|it| born(model.home(it), 1))),
                ("{home: {not: {born: {eq: 1}}}}", model.filtered(|it| !born(model.home(it), 1))),
                ("{actors: {some: {born: {eq: 1}}}}", model.filtered(|it| model.actors(it).into_iter().any(|one| born(one, 1)))),
                ("{actors: {none: {born: {eq: 1}}}}", model.filtered(|it| !model.actors(it).into_iter().any(|one| born(one, 1)))),
                ("{actors: {every: {born: {eq: 1}}}}", model.filtered(|it| model.actors(it).into_iter().flatten().all(|one| born(Some(one), 1)))),
                ("{director: {directed: {some: {year: {eq: 2}}}}}", model.filtered(|it| {
                    model.person(&it["director_id"]).is_some()
                        && model.movies.iter().any(|other| other["director_id"] == it["director_id"] && other["year"] == 2)
                })),
            ];
            let checks = checks.into_iter().chain([("{actors: {length: {gte: 2}}}", model.filtered(|it| {
                it["actor_ids"].as_array().is_some_and(|ids| ids.len() >= 2)
            }))]);
            for (filter, expected) in checks {
                let data = database.data(&format!("{{ movies(filter: {filter}) {{ nodes {{ id }} totalCount }} }}"));
                prop_assert_eq!(&data["movies"]["nodes"], &expected, "{}", filter);
                prop_assert_eq!(&data["movies"]["totalCount"], &json!(expected.as_array().unwrap().len()), "{}", filter);
            }
            for (relation, length, passes) in LENGTHS {
                let filter = format!("{{{relation}: {{length: {length}}}}}");
                let query = format!("{{ people(filter: {filter}) {{ nodes {{ id }} }} }}");
                let number_of = |person: &Json| model.movies.iter().filter(|movie| match relation {
                    "directed" => movie["director_id"] == person["id"],
                    "acted" => movie["actor_ids"].as_array().is_some_and(|ids| ids.contains(&person["id"])),
                    _ => model.home(movie).is_some_and(|home| home["id"] == person["id"]),
                }).count();
                let expected: Json = model.people.iter()
                    .filter(|person| passes(number_of(person)))
                    .map(|person| json!({ "id": person["id"] }))
                    .collect();
                prop_assert_eq!(&database.data(&query)["people"]["nodes"], &expected, "{}", filter);
            }
            Ok(())
        })
        .unwrap();
}

/// A relation, what its number has to pass, and the same for the model.
type Length = (&'static str, &'static str, fn(usize) -> bool);

const LENGTHS: [Length; 6] = [
    ("directed", "{eq: 0}", |number| number == 0),
    ("directed", "{gte: 2}", |number| number >= 2),
    ("acted", "{lt: 2}", |number| number < 2),
    ("acted", "{in: [1, 3]}", |number| number == 1 || number == 3),
    ("homes", "{ne: 1}", |number| number != 1),
    ("homes", "{gt: 0, lt: 3}", |number| number > 0 && number < 3),
];

/// Whether a mutation touches what a query depends on. A changed result must.
fn touches(database: &Database, query: &str, mutation: &str) -> bool {
    let engine = database.resolvers.engine();
    let operation = database.resolvers.prepare(&Request::text(query)).unwrap();
    let before = database
        .resolvers
        .run(&operation, &engine.snapshot().unwrap());
    assert!(!before.has_errors(), "{query}");
    database.data(mutation);
    let after = database
        .resolvers
        .run(&operation, &engine.snapshot().unwrap());
    let commits = engine.recent_commits(before.commit_ts()).unwrap();
    let touched = commits
        .iter()
        .any(|commit| before.dependencies().touched_by(commit));
    assert!(
        touched || before.result() == after.result(),
        "{query} missed {mutation}"
    );
    touched
}

const QUERIES: [&str; 15] = [
    "{ movies(orderBy: [{director: {born: DESC}}], first: 2) { nodes { id } pageInfo { endCursor hasNextPage } } }",
    "{ people { nodes { directed(orderBy: [{home: {born: ASC}}], first: 1) { nodes { id } } } } }",
    "{ movies { nodes { id director { id born } } } }",
    "{ movies { nodes { id actors { nick } } } }",
    "{ movies { nodes { home { id born } } } }",
    "{ movies(first: 2) { nodes { director { directed(first: 1, orderBy: [{year: DESC}]) { nodes { id } pageInfo { hasNextPage } } } } } }",
    "{ people { nodes { id acted { totalCount } } } }",
    "{ person(id: \"p1\") { directed { nodes { year home { nick } } } homes { totalCount } } }",
    "{ movie(id: \"m1\") { director { born } actors { born } } }",
    "{ movies(filter: {director: {born: {eq: 1}}}) { nodes { id } totalCount } }",
    "{ movies(filter: {actors: {some: {born: {gt: 0}}}}, first: 1) { nodes { id } } }",
    "{ movies(filter: {home: {isNull: true}}, orderBy: [{year: ASC}], first: 2) { nodes { id } } }",
    "{ people(filter: {directed: {every: {year: {gt: 0}}}}) { totalCount } }",
    "{ people(filter: {acted: {some: {director: {born: {eq: 2}}}}}) { nodes { id } } }",
    "{ people(filter: {directed: {length: {lt: 2}}, homes: {length: {gt: 0}}}) { nodes { id } } }",
];

#[test]
fn a_changed_result_over_relations_implies_a_touched_dependency() {
    let query = prop::sample::select(QUERIES.to_vec());
    let person = prop::sample::select(vec!["p0", "p1", "p2", "p3", "p9"]);
    let movie = prop::sample::select(vec!["m0", "m1", "m2", "m9"]);
    let patch = prop::sample::select(vec![
        "born: 1",
        "born: 2",
        "born: null",
        "nick: \"first\"",
        "nick: \"n10\"",
        "nick: null",
    ]);
    let movie_patch = prop::sample::select(vec![
        "year: 2",
        "director_id: \"p1\"",
        "director_id: null",
        "director_id: \"p9\"",
        "actor_ids: [\"p2\", \"p9\"]",
        "actor_ids: []",
        "nick: \"n10\"",
    ]);
    let mutation = (person, movie, patch, movie_patch, 0..6_u8).prop_map(
        |(person, movie, patch, movie_patch, kind)| match kind {
            0 => format!("mutation {{ deletePerson(id: \"{person}\") {{ id }} }}"),
            1 => format!("mutation {{ deleteMovie(id: \"{movie}\") {{ id }} }}"),
            2 => format!(
                "mutation {{ upsertPerson(id: \"{person}\", input: {{{patch}}}) {{ id }} }}"
            ),
            3 => format!(
                "mutation {{ upsertMovie(id: \"{movie}\", input: {{{movie_patch}}}) {{ id }} }}"
            ),
            4 => format!(
                "mutation {{ updatePerson(id: \"{person}\", patch: {{{patch}}}) {{ id }} }}"
            ),
            _ => format!(
                "mutation {{ updateMovie(id: \"{movie}\", patch: {{{movie_patch}}}) {{ id }} }}"
            ),
        },
    );
    let mutations = prop::collection::vec(mutation, 1..4);
    let config = ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest::test_runner::TestRunner::new(config)
        .run(
            &(people(), movies(), query, mutations),
            |(people, movies, query, mutations)| {
                let database = database(&people, &movies);
                for mutation in mutations {
                    touches(&database, query, &mutation);
                }
                Ok(())
            },
        )
        .unwrap();
}

#[test]
fn only_related_documents_matter() {
    let database = database(
        &[
            json!({ "id": "p1", "born": 1 }),
            json!({ "id": "p2", "born": 2 }),
        ],
        &[json!({ "id": "m1", "year": 1, "director_id": "p1" })],
    );
    let query = "{ movie(id: \"m1\") { director { born } } }";
    let touches = |mutation: &str| touches(&database, query, mutation);
    assert!(!touches(
        "mutation { updatePerson(id: \"p2\", patch: {born: 3}) { id } }"
    ));
    assert!(!touches(
        "mutation { updatePerson(id: \"p1\", patch: {nick: \"x\"}) { id } }"
    ));
    assert!(touches(
        "mutation { updatePerson(id: \"p1\", patch: {born: 3}) { id } }"
    ));
    assert!(touches("mutation { deletePerson(id: \"p1\") { id } }"));
    assert!(touches(
        "mutation { createPerson(input: {id: \"p1\", born: 4}) { id } }"
    ));
    assert!(!touches(
        "mutation { updateMovie(id: \"m0\", patch: {director_id: \"p2\"}) { id } }"
    ));
    assert!(touches(
        "mutation { updateMovie(id: \"m1\", patch: {director_id: \"p2\"}) { id } }"
    ));
}

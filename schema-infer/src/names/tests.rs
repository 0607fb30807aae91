//! Names as tables, and that whatever was allocated stays.

use proptest::prelude::*;

use super::*;

fn registry_with(collections: &[&str]) -> NameRegistry {
    let mut registry = NameRegistry::new();
    for name in collections {
        registry.collection(name);
    }
    registry
}

/// List field, type, by-id field, bulk create.
fn check(collection: &str, expect: [&str; 4]) {
    let names = NameRegistry::new().collection(collection);
    let found = [
        &names.list_field,
        &names.type_name,
        &names.by_id_field,
        &names.create_many,
    ];
    assert_eq!(found.map(String::as_str), expect, "{collection}");
}

#[test]
fn collections() {
    check("movies", ["movies", "Movie", "movie", "createMovies"]);
    check(
        "countries",
        ["countries", "Country", "country", "createCountries"],
    );
    check("people", ["people", "Person", "person", "createPeople"]);
    check(
        "series",
        ["series", "Series", "seriesById", "createManySeries"],
    );
    check("news", ["news", "News", "newsById", "createManyNews"]);
    check(
        "compat",
        ["compat", "Compat", "compatById", "createManyCompat"],
    );
    check(
        "species",
        ["species", "Species", "speciesById", "createManySpecies"],
    );
    check("data", ["data", "Datum", "datum", "createData"]);
    check(
        "status",
        ["status", "Status", "statusById", "createManyStatus"],
    );
    check(
        "addresses",
        ["addresses", "Address", "address", "createAddresses"],
    );
    check(
        "airports",
        ["airports", "Airport", "airport", "createAirports"],
    );
    check(
        "analysis",
        ["analysis", "Analysis", "analysisById", "createManyAnalysis"],
    );
    check("mice", ["mice", "Mouse", "mouse", "createMice"]);
    check("caches", ["caches", "Cache", "cache", "createCaches"]);
    check(
        "userProfiles",
        [
            "userProfiles",
            "UserProfile",
            "userProfile",
            "createUserProfiles",
        ],
    );
    check(
        "user_profiles",
        [
            "userProfiles",
            "UserProfile",
            "userProfile",
            "createUserProfiles",
        ],
    );
    check(
        "order items",
        ["orderItems", "OrderItem", "orderItem", "createOrderItems"],
    );
    check("Order", ["order", "Order", "orderById", "createManyOrder"]);
    check(
        "box office",
        [
            "boxOffice",
            "BoxOffice",
            "boxOfficeById",
            "createManyBoxOffice",
        ],
    );
    check("USERS", ["users", "User", "user", "createUsers"]);
    check(
        "HTTPServers",
        [
            "httpServers",
            "HTTPServer",
            "httpServer",
            "createHttpServers",
        ],
    );
    check(
        "userURLs",
        ["userURLs", "UserURL", "userURL", "createUserURLs"],
    );
    check(
        "2020-sales",
        ["_2020Sales", "_2020Sale", "_2020Sale", "create_2020Sales"],
    );
    check("s", ["s", "S", "sById", "createManyS"]);
    check("電影", ["_", "_", "_ById", "createMany_"]);
    check("", ["_", "_", "_ById", "createMany_"]);
}

#[test]
fn collections_that_would_take_system_names() {
    check(
        "collections",
        [
            "collections_",
            "Collection_",
            "collection",
            "createCollections_",
        ],
    );
    check("nodes", ["nodes_", "Node_", "node_", "createNodes_"]);
    check("schemas", ["schemas", "Schema", "schema_", "createSchemas"]);
    check("dates", ["dates", "Date_", "date", "createDates"]);
    check("jobs", ["jobs_", "Job_", "job", "createJobs_"]);
    check("queries", ["queries", "Query_", "query", "createQueries"]);
    check(
        "stringLists",
        [
            "stringLists2",
            "StringList2",
            "stringList2",
            "createStringLists2",
        ],
    );
    assert!(is_system_collection("_jobs") && !is_system_collection("jobs"));
}

#[test]
fn collections_that_meet() {
    let mut registry = registry_with(&["movies"]);
    let second = registry.collection("movie");
    assert_eq!(
        [
            &second.list_field,
            &second.type_name,
            &second.by_id_field,
            &second.create_many
        ]
        .map(String::as_str),
        ["movie2", "Movie2", "movie2ById", "createManyMovie2"]
    );
    let names = registry.collection("moviesAggregate");
    assert_eq!(names.list_field, "moviesAggregate2");
    let names = registry.collection("movieInputs");
    assert_eq!(names.type_name, "MovieInput2");
    // `Movie2` is taken by then, and a collection has one number in all its names.
    assert_eq!(registry.collection("Movies").list_field, "movies3");
    assert_eq!(registry.collection("movies").list_field, "movies");
}

/// The fields of one document, named in this order.
fn fields(json_names: &[&str], top: bool) -> Vec<String> {
    let mut registry = registry_with(&["things"]);
    let (scope, mut names) = registry.scope("things");
    json_names
        .iter()
        .map(|name| {
            let position = scope
                .position(name, top, &mut names)
                .expect("within bounds");
            scope.entry(position).1.to_owned()
        })
        .collect()
}

#[test]
fn field_names() {
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["US Gross", "US_Gross", "US-Gross"],
            &["US_Gross", "US_Gross2", "US_Gross3"],
        ),
        (&["a", "A"], &["a", "A"]),
        (&["1st", "", "_"], &["_1st", "_", "_2"]),
        (&["line-1", "line_1"], &["line_1", "line_1_2"]),
        (&["日本", "電影", "é"], &["_", "_2", "_3"]),
        (
            &["id", "nodeId", "_version", "_extra"],
            &["id_", "nodeId_", "_version_", "_extra_"],
        ),
        (
            &["and", "or", "not", "true"],
            &["and_", "or_", "not_", "true_"],
        ),
        (
            &["__typename", "__", "_typename_"],
            &["_typename_", "_", "_typename_2"],
        ),
        // Two underscores would be GraphQL's own; one makes it the system's.
        (&["_ version"], &["_version_"]),
        (&["id_", "id"], &["id_", "id_2"]),
        (&["$ref", "@id", "a.b"], &["_ref", "_id", "a_b"]),
    ];
    for (json_names, expect) in cases {
        assert_eq!(&fields(json_names, true), expect);
    }
    assert_eq!(
        fields(&["id", "and", "_version"], false),
        ["id", "and_", "_version"]
    );
}

#[test]
fn names_are_kept_when_a_collection_is_renamed() {
    let mut registry = registry_with(&["films"]);
    let (scope, mut names) = registry.scope("films");
    for name in ["a b", "a_b", "inner"] {
        scope.position(name, true, &mut names);
    }
    let renamed = registry.rename_collection("films", "movies");
    assert_eq!(renamed.type_name, "Movie");
    let path = FieldPath::top("a_b");
    assert_eq!(registry.field("movies", &path), Some("a_b2"));
    assert_eq!(registry.field("films", &path), Some("a_b2"));
    assert_eq!(
        registry
            .known_collection("films")
            .map(|names| names.type_name.as_str()),
        Some("Film")
    );
}

#[test]
fn long_names_are_cut() {
    let long = "x".repeat(100_000);
    let names = fields(&[&long, &format!("{long}y")], true);
    assert!(names.iter().all(|name| name.len() < 200));
    assert_ne!(names[0], names[1]);
    assert!(NameRegistry::new().collection(&long).type_name.len() < 200);
    assert!(
        NameRegistry::new()
            .collection(&"ab ".repeat(9_999))
            .type_name
            .len()
            < 200
    );
}

#[test]
fn the_number_of_names_is_bounded() {
    let mut registry = registry_with(&["things"]);
    let (scope, mut names) = registry.scope("things");
    assert_eq!(scope.position("first", true, &mut names), Some(0));
    *names.fields = scope::FIELDS_MAX;
    assert_eq!(scope.position("second", true, &mut names), None);
    assert_eq!(scope.position("first", true, &mut names), Some(0));
}

#[test]
fn corrupt_registries_are_refused() {
    let bytes = registry_with(&["movies", "people"]).encode();
    for end in 0..bytes.len() {
        assert!(NameRegistry::decode(&bytes[..end]).is_err(), "cut at {end}");
    }
    let mut other_version = bytes;
    other_version[0] = 9;
    let error = NameRegistry::decode(&other_version).expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "the stored names are corrupt at byte 1: unknown version"
    );
}

proptest! {
    #[test]
    fn registries_round_trip_and_go_on_alike(
        collections in prop::collection::vec(".{0,8}", 0..6),
        fields in prop::collection::vec(("[ab_ ]{0,3}|.{0,4}", 0..3usize), 0..20),
        later in prop::collection::vec("[ab_ ]{0,3}", 0..6),
    ) {
        let mut registry = NameRegistry::new();
        registry.collection("things");
        for name in &collections {
            registry.collection(name);
        }
        let (mut scope, mut names) = registry.scope("things");
        for (name, descend) in &fields {
            let position = scope.position(name, true, &mut names).expect("within bounds");
            if *descend == 1 {
                let (_, _, inner) = scope.entry(position);
                inner.type_name("Thing", name, &mut names);
                scope = inner;
            } else if *descend == 2 {
                scope.map_name("Thing", name, &mut names);
                scope.set_reads_as_map(true, &mut names);
                scope = scope.value();
            }
        }
        let mut decoded = NameRegistry::decode(&registry.encode()).expect("decodes");
        prop_assert_eq!(&decoded, &registry);
        for name in later {
            prop_assert_eq!(decoded.collection(&name), registry.collection(&name));
            let (scope, mut names) = registry.scope("things");
            let (decoded_scope, mut decoded_names) = decoded.scope("things");
            let one = scope.position(&name, true, &mut names);
            prop_assert_eq!(one, decoded_scope.position(&name, true, &mut decoded_names));
        }
        prop_assert_eq!(&decoded, &registry);
    }

    #[test]
    fn field_names_are_legal_and_distinct(names in prop::collection::hash_set(".{0,5}|[ _a-c0-9]{0,4}", 0..20)) {
        let json_names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut given = fields(&json_names, true);
        for name in &given {
            prop_assert!(!name.starts_with("__"), "{}", name);
            prop_assert!(!name.starts_with(|c: char| c.is_ascii_digit()));
            prop_assert!(!name.is_empty());
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        }
        given.sort();
        given.dedup();
        prop_assert_eq!(given.len(), names.len());
    }
}

#[test]
fn a_declared_type_names_a_collection() {
    for (type_name, name) in [
        ("Movie", "movies"),
        ("UserProfile", "userProfiles"),
        ("Person", "people"),
        ("News", "news"),
        ("Category", "categories"),
        ("lower", "lowers"),
    ] {
        assert_eq!(default_collection_name(type_name), name);
    }
}

/// The names of a relation, beside the field and back.
fn relation(
    registry: &mut NameRegistry,
    field: &[&str],
    is_list: bool,
    asked: [Option<&str>; 2],
) -> Option<(String, String)> {
    let field = FieldPath::new(field.iter().copied()).expect("a path");
    registry.relation(&RelationNaming {
        source: "movies",
        target: "people",
        field: &field,
        is_list,
        name: asked[0],
        inverse: asked[1],
    })
}

#[test]
fn relations_are_named_after_their_fields() {
    for (field, is_list, name, inverse) in [
        ("director_id", false, "director", "moviesByDirector"),
        ("directorId", false, "director", "moviesByDirector"),
        ("iso_country", false, "iso_countryRef", "moviesByIsoCountry"),
        ("director", false, "directorRef", "moviesByDirector"),
        ("actor_ids", true, "actors", "moviesByActors"),
        ("actorIds", true, "actors", "moviesByActors"),
        ("actors_ids", true, "actors", "moviesByActors"),
        ("lead_actor_ids", true, "lead_actors", "moviesByLeadActors"),
        ("cast", true, "castRefs", "moviesByCast"),
        ("_id", false, "_idRef", "moviesById"),
        ("owner id", false, "owner", "moviesByOwner"),
    ] {
        let mut registry = registry_with(&["movies", "people"]);
        let (scope, mut names) = registry.scope("movies");
        scope.position(field, true, &mut names);
        let found = relation(&mut registry, &[field], is_list, [None, None]);
        assert_eq!(
            found,
            Some((name.to_owned(), inverse.to_owned())),
            "{field}"
        );
    }
}

#[test]
fn names_of_relations_stay_and_collide_like_those_of_fields() {
    let mut registry = registry_with(&["movies", "people"]);
    let (scope, mut names) = registry.scope("movies");
    for field in ["director", "director_id", "studio"] {
        scope.position(field, true, &mut names);
    }
    let first = relation(&mut registry, &["director_id"], false, [None, None]);
    let expected = Some(("director2".to_owned(), "moviesByDirector".to_owned()));
    assert_eq!(first, expected);
    // What was asked for is another name than what was made up, and each stays.
    let asked = relation(&mut registry, &["director_id"], false, [Some("boss"), None]);
    assert_eq!(
        asked,
        Some(("boss".to_owned(), "moviesByDirector".to_owned()))
    );
    let again = relation(&mut registry, &["director_id"], false, [None, None]);
    assert_eq!(again, expected);
    // A field that comes later gets a number, also where the relation is no more.
    let (scope, mut names) = registry.scope("movies");
    let position = scope
        .position("boss", true, &mut names)
        .expect("within bounds");
    assert_eq!(scope.entry(position).1, "boss2");
    // Beside a field in an object: once there are names in it.
    let inside = ["studio", "city_id"];
    assert_eq!(
        relation(&mut registry, &["nowhere", "city_id"], false, [None, None]),
        None
    );
    let found = relation(&mut registry, &inside, false, [None, None]);
    assert_eq!(
        found,
        Some(("city".to_owned(), "moviesByStudioCity".to_owned()))
    );

    let mut decoded = NameRegistry::decode(&registry.encode()).expect("decodes");
    assert_eq!(decoded, registry);
    assert_eq!(
        relation(&mut decoded, &["director_id"], false, [None, None]),
        expected
    );
    let (scope, mut names) = decoded.scope("movies");
    let position = scope
        .position("director2", true, &mut names)
        .expect("within bounds");
    assert_eq!(scope.entry(position).1, "director2_2");
}

#[test]
fn a_registry_without_relations_can_be_read() {
    let mut registry = registry_with(&["movies"]);
    let (scope, mut names) = registry.scope("movies");
    scope.position("title", true, &mut names);
    let mut bytes = registry.encode();
    assert_eq!(bytes.pop(), Some(0), "the number of relations");
    bytes[0] = 1;
    assert_eq!(NameRegistry::decode(&bytes), Ok(registry));
}

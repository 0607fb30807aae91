//! Aggregates are what a plain reading of the documents gives, whatever way they are found.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use thalweg_resolvers::Limits;

use crate::fixture::{Database, film_documents, films};

#[test]
fn functions_of_all_documents() {
    let data = films().data(
        "{ filmsAggregate { __typename count
             sum { year rating gross budget US_Gross } avg { year rating }
             min { title year rating released added seen studio { name city { zip } } }
             max { title budget added released seen _createdAt }
             countDistinct { title added tags mixed seen studio { name city { zip } } } } }",
    );
    assert_eq!(
        data["filmsAggregate"],
        json!({
            "__typename": "FilmAggregate",
            "count": 4,
            "sum": { "year": 7930, "rating": 30.9, "gross": 114860801, "budget": "9007199269740990", "US_Gross": 30925690 },
            "avg": { "year": 1982.5, "rating": 7.725 },
            "min": { "title": "Alien", "year": 1979, "rating": 6.3, "released": "1979-05-25",
                     "added": "2020-01-01T00:00:00Z", "seen": false,
                     "studio": { "name": "Embassy", "city": { "zip": "90064" } } },
            "max": { "title": "Dune", "budget": "9007199254740993", "added": "2021-06-01T12:30:00.5Z",
                     "released": "1985-02-20", "seen": true, "_createdAt": "2026-11-23T00:00:00.000000Z" },
            "countDistinct": { "title": 3, "added": 2, "tags": 4, "mixed": 3, "seen": 2,
                               "studio": { "name": 2, "city": { "zip": 1 } } }
        })
    );
    let none = films().data(
        "{ filmsAggregate(filter: {id: {eq: \"none\"}}) { count sum { year } avg { rating } min { title studio { name } }
             countDistinct { title } groupCount groups { count key { title } } } }",
    );
    assert_eq!(
        none["filmsAggregate"],
        json!({ "count": 0, "sum": { "year": null }, "avg": { "rating": null }, "min": { "title": null, "studio": null },
                "countDistinct": { "title": 0 }, "groupCount": 1, "groups": [{ "count": 0, "key": { "title": null } }] })
    );
}

#[test]
fn groups_by_fields_and_spans_of_time() {
    let database = films();
    let groups = |arguments: &str, selection: &str| {
        let data = database.data(&format!(
            "{{ filmsAggregate({arguments}) {{ groupCount groups {{ {selection} }} }} }}"
        ));
        data["filmsAggregate"]["groups"].clone()
    };
    assert_eq!(
        groups("groupBy: [seen]", "key { seen title } count sum { year }"),
        json!([
            { "key": { "seen": null, "title": null }, "count": 1, "sum": { "year": 1982 } },
            { "key": { "seen": false, "title": null }, "count": 1, "sum": { "year": 1985 } },
            { "key": { "seen": true, "title": null }, "count": 2, "sum": { "year": 3963 } }
        ])
    );
    // Date-times are keys by instant, spans by the calendar of their zone.
    assert_eq!(
        groups("groupBy: [added]", "key { added } count"),
        json!([
            { "key": { "added": null }, "count": 1 },
            { "key": { "added": "2020-01-01T00:00:00Z" }, "count": 2 },
            { "key": { "added": "2021-06-01T12:30:00.5Z" }, "count": 1 }
        ])
    );
    assert_eq!(
        groups(
            "bucket: [{field: added, unit: YEAR, timeZone: \"-05:00\"}], orderBy: [{key: {added: DESC}}]",
            "key { added } count"
        ),
        json!([
            { "key": { "added": "2021-01-01T00:00:00-05:00" }, "count": 1 },
            { "key": { "added": "2019-01-01T00:00:00-05:00" }, "count": 2 },
            { "key": { "added": null }, "count": 1 }
        ])
    );
    assert_eq!(
        groups(
            "bucket: [{field: released, unit: QUARTER}], groupBy: [seen], filter: {released: {isNull: false}}",
            "key { released seen } max { title }"
        ),
        json!([
            { "key": { "released": "1982-04-01", "seen": null }, "max": { "title": null } },
            { "key": { "released": "1985-01-01", "seen": false }, "max": { "title": "Brazil" } },
            { "key": { "released": "1979-04-01", "seen": true }, "max": { "title": "Alien" } }
        ])
    );
    assert_eq!(
        groups(
            "bucket: [{field: _createdAt, unit: HOUR}]",
            "key { _createdAt } count"
        ),
        json!([{ "key": { "_createdAt": "2026-11-23T00:00:00Z" }, "count": 4 }])
    );
    assert_eq!(
        groups(
            "groupBy: [studio], first: 2",
            "key { studio { name city { zip } } }"
        ),
        json!([
            { "key": { "studio": null } },
            { "key": { "studio": { "name": "Fox", "city": { "zip": "90064" } } } }
        ])
    );
}

#[test]
fn groups_are_filtered_ordered_and_paged() {
    let database = films();
    let counts = |arguments: &str| {
        let data = database.data(&format!(
            "{{ filmsAggregate(groupBy: [title], {arguments}) {{ groupCount groups {{ key {{ title }} }} }} }}"
        ));
        let groups = data["filmsAggregate"]["groups"].as_array().unwrap().clone();
        let titles = groups
            .iter()
            .map(|group| group["key"]["title"].as_str().unwrap_or("-")[..1].to_owned());
        (
            titles.collect::<String>(),
            data["filmsAggregate"]["groupCount"].as_u64().unwrap(),
        )
    };
    let cases = [
        ("first: 10", "-ABD", 4),
        ("first: 2, offset: 1", "AB", 4),
        ("first: 0", "", 4),
        ("having: {count: {gt: 1}}", "", 0),
        ("having: {sum: {year: {gte: 1982}}}", "-BD", 3),
        ("having: {avg: {rating: {lt: 8.1}}}", "BD", 2),
        ("having: {sum: {budget: {eq: 9007199254740993}}}", "A", 1),
        ("having: {sum: {gross: {isNull: true}}}", "-D", 2),
        (
            "having: {min: {year: {in: [1979, 1985]}, rating: {gt: 8}}}",
            "A",
            1,
        ),
        (
            "having: {max: {or: [{studio: {name: {eq: \"Fox\"}}}, {mixed: {eq: \"one\"}}]}}",
            "AB",
            2,
        ),
        (
            "having: {min: {added: {eq: \"2020-01-01T01:00:00+01:00\"}}}",
            "AB",
            2,
        ),
        (
            "having: {max: {_createdAt: {gt: \"2027-01-01T00:00:00Z\"}}}",
            "",
            0,
        ),
        (
            "having: {countDistinct: {tags: {eq: 1}, studio: {name: {eq: 0}}}}",
            "-D",
            2,
        ),
        (
            "having: {or: [{not: {count: {eq: 1}}}, {sum: {year: {lt: 1980}}}]}",
            "A",
            1,
        ),
        ("having: {and: []}", "-ABD", 4),
        ("having: {or: []}", "", 0),
        ("orderBy: [{key: {title: DESC}}]", "DBA-", 4),
        ("orderBy: [{count: ASC}, {sum: {year: DESC}}]", "BD-A", 4),
        ("orderBy: [{avg: {rating: ASC}}], first: 2", "DB", 4),
        ("orderBy: [{max: {studio: {name: DESC}}}]", "AB-D", 4),
        ("orderBy: [{min: {added: DESC}}]", "-ABD", 4),
        ("orderBy: [{countDistinct: {seen: DESC}}]", "ABD-", 4),
    ];
    for (arguments, titles, count) in cases {
        assert_eq!(counts(arguments), (titles.to_owned(), count), "{arguments}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let database = films();
    let cases = [
        (
            "groupBy: [year], bucket: [{field: released, unit: HOUR}]",
            "released holds dates",
        ),
        (
            "bucket: [{field: released, unit: DAY, timeZone: \"UTC\"}]",
            "leave out timeZone",
        ),
        (
            "bucket: [{field: added, unit: DAY, timeZone: \"Mars\"}]",
            "+02:00",
        ),
        ("groupBy: [year, year]", "year is named twice"),
        (
            "groupBy: [added], bucket: [{field: added, unit: DAY}]",
            "added is named twice",
        ),
        ("first: -1", "0 or more"),
        ("orderBy: [{key: {year: ASC}}]", "add year to groupBy"),
        ("orderBy: [{sum: {title: ASC}}]", "numbers"),
        (
            "orderBy: [{count: ASC, key: {year: ASC}}]",
            "exactly one key",
        ),
        ("having: {min: {id: {eq: \"a\"}}}", "those that hold times"),
        ("having: {sum: {year: {gt: null}}}", "not null"),
    ];
    for (arguments, part) in cases {
        let query = format!("{{ filmsAggregate({arguments}) {{ groups {{ count }} }} }}");
        let (code, message, path) = database.error(&query);
        assert_eq!(
            (code.as_str(), path),
            ("BAD_REQUEST", json!(["filmsAggregate"])),
            "{arguments}"
        );
        assert!(message.contains(part), "{arguments}: {message}");
    }
    let (code, _, _) = database.error("{ filmsAggregate(first: 1001) { groups { count } } }");
    assert_eq!(code, "LIMIT_EXCEEDED");
}

#[test]
fn groups_and_distinct_values_are_bounded() {
    let database = Database::with_limits(Limits {
        groups_max: 3,
        ..Limits::default()
    });
    database.insert("films", &film_documents());
    let (code, message, _) = database.error("{ filmsAggregate(groupBy: [title]) { groupCount } }");
    assert_eq!(code, "LIMIT_EXCEEDED");
    assert!(message.contains("more than 3 groups"), "{message}");
    let data = database.data("{ filmsAggregate(groupBy: [seen]) { groupCount } }");
    assert_eq!(data["filmsAggregate"]["groupCount"], 3);
    let database = Database::with_limits(Limits {
        aggregate_bytes_max: 400,
        ..Limits::default()
    });
    database.insert("films", &film_documents());
    let (code, message, _) = database
        .error("{ filmsAggregate { countDistinct { title tags cast } min { cast { name } } } }");
    assert_eq!(code, "LIMIT_EXCEEDED");
    assert!(message.contains("400 bytes"), "{message}");
}

#[test]
fn sums_that_no_number_holds_are_an_error_where_they_stand() {
    let database = Database::empty();
    database.insert(
        "things",
        &[json!({ "x": 1e308, "n": 1 }), json!({ "x": 1e308, "n": 2 })],
    );
    let response = database.send("{ thingsAggregate { sum { x n } max { x } } }");
    assert_eq!(
        response["data"]["thingsAggregate"],
        json!({ "sum": { "x": null, "n": 3 }, "max": { "x": 1e308 } })
    );
    assert_eq!(
        response["errors"][0]["extensions"]["code"],
        "LIMIT_EXCEEDED"
    );
    assert_eq!(
        response["errors"][0]["path"],
        json!(["thingsAggregate", "sum", "x"])
    );
}

#[test]
fn the_past_and_the_deleted_are_aggregated_too() {
    let database = films();
    database.pass(std::time::Duration::from_secs(60));
    database.data("mutation { deleteFilm(id: \"a\") { id } updateFilm(id: \"b\", patch: {year: 3000}) { id } }");
    let data = database.data(
        "{ now: filmsAggregate { count max { year } }
           then: filmsAggregate(at: \"2026-11-23T00:00:30Z\") { count max { year } groups { count } }
           all: filmsAggregate(deleted: INCLUDE) { count min { year } }
           gone: filmsAggregate(deleted: ONLY) { count max { year _deletedAt } } }",
    );
    assert_eq!(data["now"], json!({ "count": 3, "max": { "year": 3000 } }));
    assert_eq!(
        data["then"],
        json!({ "count": 4, "max": { "year": 1985 }, "groups": [{ "count": 4 }] })
    );
    assert_eq!(data["all"], json!({ "count": 4, "min": { "year": 1979 } }));
    assert_eq!(
        data["gone"],
        json!({ "count": 1, "max": { "year": 1979, "_deletedAt": "2026-11-23T00:01:00.000000Z" } })
    );
}

#[test]
fn aggregates_say_how_they_were_found() {
    let database = Database::with_limits(Limits {
        scan_warning_rows: 3,
        ..Limits::default()
    });
    database.insert("films", &film_documents());
    declare_indexes(&database, "Film", &["year", "added INSTANT"]);
    let asked = json!({ "thalweg": { "explain": true } });
    let explained = |query: &str| {
        let response = database.send_once(query, &asked);
        let extensions = response["extensions"]["thalweg"].clone();
        (
            extensions["explain"][0].clone(),
            extensions["warnings"][0]["code"].clone(),
        )
    };
    let (explain, _) = explained("{ filmsAggregate { count } }");
    assert_eq!(explain["rowsRead"], 0, "{explain:#}");
    let (explain, _) = explained("{ filmsAggregate(filter: {year: {gt: 1980}}) { count } }");
    assert_eq!(
        (&explain["rowsRead"], &explain["index"]),
        (&json!(0), &json!("(year)"))
    );
    let (explain, _) = explained("{ filmsAggregate { min { year } max { year added } } }");
    assert!(explain["rowsRead"].as_u64().unwrap() <= 6, "{explain:#}");
    assert!(explain["index"].is_string(), "{explain:#}");
    let (explain, warning) = explained("{ filmsAggregate { sum { year } } }");
    assert_eq!(
        (&explain["rowsRead"], &explain["rowsReturned"]),
        (&json!(4), &json!(1))
    );
    assert_eq!(warning, json!(null));
    let (_, warning) =
        explained("{ filmsAggregate(filter: {title: {eq: \"x\"}}) { sum { year } } }");
    assert_eq!(warning, "UNINDEXED_SCAN");
}

fn declare_indexes(database: &Database, type_name: &str, indexes: &[&str]) {
    let directives: String = indexes
        .iter()
        .map(|index| format!(" @index(fields: [\"{index}\"])"))
        .collect();
    let sdl = format!("type {type_name} @collection{directives}");
    let response = database.send_with(
        "mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } }",
        &json!({ "sdl": sdl }),
    );
    assert!(response.get("errors").is_none(), "{response:#}");
    database.wait_for("the index", |database| {
        let data = database.data("{ collections { indexes { status } } }");
        let found = data["collections"][0]["indexes"].as_array().unwrap();
        found.iter().all(|index| index["status"] == "READY")
    });
}

/// Documents of few values, so that they fall into groups; parts of them are missing or null.
fn documents() -> impl Strategy<Value = Vec<Json>> {
    let number = prop_oneof![
        (-3..4_i64).prop_map(|n| json!(n)),
        (-2..3_i64).prop_map(|n| json!(n * (1 << 61))),
        Just(Json::Null),
    ];
    let fraction = prop_oneof![
        // Quarters, so that the model's sums are exact.
        (-6..7_i32).prop_map(|n| json!(f64::from(n) / 4.0)),
        (-2..3_i32).prop_map(|n| json!(n)),
        Just(Json::Null),
    ];
    let text = prop::sample::select(vec![
        json!("a"),
        json!("b"),
        json!("\u{1f389}\u{0}"),
        Json::Null,
    ]);
    let time = prop::sample::select(vec![
        json!("2024-02-29T23:30:00Z"),
        json!("2024-03-01T00:30:00+01:00"),
        json!("2024-03-01T00:00:00Z"),
        json!("2024-12-31T23:59:59.999999Z"),
        Json::Null,
    ]);
    let document = (number.clone(), fraction, text, time, number, any::<u8>());
    prop::collection::vec(document, 0..25).prop_map(|documents| {
        let mut all: Vec<Json> = documents
            .into_iter()
            .enumerate()
            .map(|(position, (n, x, s, t, k, missing))| {
                let mut document = json!({ "n": n, "x": x, "s": s, "t": t, "o": { "k": k } });
                for (bit, name) in ["n", "x", "s", "t", "o"].into_iter().enumerate() {
                    if missing & (0b101 << bit) == 0b101 << bit {
                        document.as_object_mut().unwrap().remove(name);
                    }
                }
                document["id"] = json!(format!("{:02}", (position * 7) % 25));
                document
            })
            .collect();
        // Fixes the types.
        all.push(json!({ "id": "z", "n": 1_i64 << 40, "x": 0.5, "s": "z", "t": "2020-01-01T00:00:00Z", "o": { "k": 1_i64 << 40 } }));
        all
    })
}

fn instant(value: &Json) -> Option<i64> {
    thalweg_model::parse_rfc3339(value.as_str()?)
}

/// A plain reading of `count sum avg min max countDistinct` on some documents.
fn model(documents: &[&Json]) -> Json {
    let present = |name: &str| -> Vec<Json> {
        let values = documents.iter().map(|document| match name {
            "k" => document["o"]["k"].clone(),
            name => document[name].clone(),
        });
        values.filter(|value| !value.is_null()).collect()
    };
    let integers = |name: &str| -> Vec<i128> {
        let values = present(name);
        values
            .iter()
            .map(|value| i128::from(value.as_i64().unwrap()))
            .collect()
    };
    let floats: Vec<f64> = present("x").iter().map(|x| x.as_f64().unwrap()).collect();
    let big = |n: i128| match i64::try_from(n) {
        Ok(n) if n.unsigned_abs() <= 1 << 53 => json!(n),
        _ => json!(n.to_string()),
    };
    let sum = |name: &str| {
        let all = integers(name);
        (!all.is_empty()).then(|| big(all.iter().sum()))
    };
    let average = |name: &str| {
        let all = integers(name);
        (!all.is_empty()).then(|| all.iter().sum::<i128>() as f64 / all.len() as f64)
    };
    let total: f64 = floats.iter().sum();
    let x_sum = (!floats.is_empty()).then_some(total);
    let x_average = (!floats.is_empty()).then_some(total / floats.len() as f64);
    let mut texts: Vec<String> = present("s")
        .iter()
        .map(|s| s.as_str().unwrap().to_owned())
        .collect();
    texts.sort();
    let mut times: Vec<(i64, String, String)> = documents
        .iter()
        .filter_map(|document| {
            let id = document["id"].as_str()?.to_owned();
            Some((
                instant(&document["t"])?,
                id,
                document["t"].as_str()?.to_owned(),
            ))
        })
        .collect();
    times.sort();
    // Of equal ones, that of the lowest id.
    let last = times.last().map(|last| last.0);
    let last = times
        .iter()
        .find(|time| Some(time.0) == last)
        .map(|time| &time.2);
    let distinct = |name: &str| integers(name).iter().collect::<BTreeSet<_>>().len();
    let k = |k: Option<Json>| k.map_or(Json::Null, |k| json!({ "k": k }));
    json!({
        "count": documents.len(),
        "sum": { "n": sum("n"), "x": x_sum, "o": { "k": sum("k") } },
        "avg": { "n": average("n"), "x": x_average },
        "min": { "n": integers("n").iter().min().map(|n| big(*n)), "s": texts.first(), "t": times.first().map(|time| &time.2),
                 "o": k(integers("k").iter().min().map(|k| big(*k))) },
        "max": { "n": integers("n").iter().max().map(|n| big(*n)), "s": texts.last(), "t": last,
                 "o": k(integers("k").iter().max().map(|k| big(*k))) },
        "countDistinct": {
            "n": distinct("n"), "t": times.iter().map(|time| time.0).collect::<BTreeSet<_>>().len(),
            "s": texts.iter().collect::<BTreeSet<_>>().len(), "o": { "k": distinct("k") } }
    })
}

const FUNCTIONS: &str = "count sum { n x o { k } } avg { n x } min { n s t o { k } } max { n s t o { k } } \
                         countDistinct { n t s o { k } }";

/// JSON in which `1` and `1.0` are the same, and what differs in the last bits only: this parser reads numbers so.
fn plain(value: &Json) -> Json {
    match value {
        Json::Number(number) => json!(format!("{:.12e}", number.as_f64().unwrap() + 0.0)),
        Json::Array(items) => items.iter().map(plain).collect(),
        Json::Object(members) => Json::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

#[test]
fn aggregates_equal_a_plain_reading_of_the_documents() {
    let config = ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let inputs = (documents(), any::<bool>(), any::<bool>(), 0..3_usize);
    proptest::test_runner::TestRunner::new(config)
        .run(&inputs, |(documents, indexed, filtered, keys)| {
            let database = Database::empty();
            database.insert("things", &documents);
            if indexed {
                declare_indexes(&database, "Thing", &["n", "t INSTANT", "o.k DESC", "s"]);
            }
            let filter = if filtered { "filter: {n: {gte: 0}}, " } else { "" };
            let kept: Vec<&Json> = documents
                .iter()
                .filter(|document| !filtered || document["n"].as_i64().is_some_and(|n| n >= 0))
                .collect();
            let by = ["groupBy: [s]", "bucket: [{field: t, unit: DAY}]", "groupBy: [s], bucket: [{field: t, unit: MONTH, timeZone: \"+01:00\"}]"][keys];
            let query = format!(
                "{{ all: thingsAggregate({filter}first: 1) {{ {FUNCTIONS} }}
                    ends: thingsAggregate({filter}first: 1) {{ count min {{ n t }} max {{ n t o {{ k }} }} }}
                    thingsAggregate({filter}{by}) {{ groupCount groups {{ key {{ s t }} {FUNCTIONS} }} }} }}"
            );
            let data = plain(&database.data(&query));
            let all = plain(&model(&kept));
            prop_assert_eq!(&data["all"], &all);
            for (function, fields) in [("min", &["n", "t"][..]), ("max", &["n", "t", "o"])] {
                for field in fields {
                    prop_assert_eq!(&data["ends"][function][field], &all[function][field]);
                }
            }
            prop_assert_eq!(&data["ends"]["count"], &all["count"]);

            let minutes = [0, 0, 60][keys];
            let mut groups: BTreeMap<(Option<String>, Option<i64>), Vec<&Json>> = BTreeMap::new();
            for document in &kept {
                let text = document["s"].as_str().filter(|_| keys != 1).map(str::to_owned);
                let time = instant(&document["t"]).filter(|_| keys != 0).map(|micros| {
                    let unit = [thalweg_model::TimeUnit::Day, thalweg_model::TimeUnit::Month][keys - 1];
                    unit.start(micros + minutes * 60_000_000)
                });
                groups.entry((text, time)).or_default().push(document);
            }
            prop_assert_eq!(&data["thingsAggregate"]["groupCount"], &plain(&json!(groups.len())));
            let found = data["thingsAggregate"]["groups"].as_array().unwrap();
            prop_assert_eq!(found.len(), groups.len());
            for (group, ((text, time), documents)) in found.iter().zip(groups) {
                let mut expected = plain(&model(&documents));
                let time = time.map(|time| {
                    let mut out = Vec::new();
                    thalweg_model::calendar::write_local(time, minutes, &mut out);
                    String::from_utf8(out).unwrap()
                });
                expected["key"] = json!({ "s": text, "t": time });
                prop_assert_eq!(group, &expected);
            }
            Ok(())
        })
        .unwrap();
}

//! Every operator on every kind of field, against a plain reading of the documents.

use std::cmp::Ordering;

use serde_json::{Value as Json, json};

use crate::fixture::Database;

/// A field of one type: its values in documents, and the operands that it is compared with.
struct Kind {
    name: &'static str,
    values: Vec<Json>,
    operands: Vec<Json>,
    /// Whether strings are instants.
    instants: bool,
    has_order: bool,
    has_text: bool,
}

fn kinds() -> Vec<Kind> {
    let kind = |name, values: Json, operands: Json| Kind {
        name,
        values: values.as_array().unwrap().clone(),
        operands: operands.as_array().unwrap().clone(),
        instants: false,
        has_order: true,
        has_text: false,
    };
    vec![
        Kind {
            has_order: false,
            ..kind("boolean", json!([true, false]), json!([true, false]))
        },
        kind("int", json!([-1, 0, 1, 2]), json!([-1, 0, 3])),
        kind(
            "big",
            json!([9007199254740993_i64, 9007199254740992_i64, 1, i64::MIN]),
            json!([
                "9007199254740993",
                9007199254740992_i64,
                1,
                "-9223372036854775808"
            ]),
        ),
        kind(
            "float",
            json!([0.5, 1, -0.0, 1e300]),
            json!([0.5, 1, 0, 1.0, 1e301]),
        ),
        Kind {
            has_text: true,
            ..kind(
                "text",
                json!(["", "a", "ab", "b%", "\u{1f389}z", "a\u{0}"]),
                json!(["", "a", "b", "%", "a%", "\u{1f389}", "\u{0}", "_", "\\%"]),
            )
        },
        kind(
            "day",
            json!(["2024-02-28", "2024-02-29"]),
            json!(["2024-02-29", "2024-03-01"]),
        ),
        Kind {
            instants: true,
            ..kind(
                "time",
                json!([
                    "2024-02-29T23:30:00Z",
                    "2024-03-01T00:30:00+01:00",
                    "2024-03-01T00:00:00Z"
                ]),
                json!(["2024-02-29T23:30:00Z", "2024-03-01T01:00:00+01:00"]),
            )
        },
        Kind {
            has_text: true,
            ..kind(
                "mixed",
                json!([1, 1.5, "1", true, [1], { "a": 1 }]),
                json!([1, "1", true, false, [1.0], { "a": 1 }, 2, "0"]),
            )
        },
    ]
}

fn rank(value: &Json) -> u8 {
    match value {
        Json::Null => 0,
        Json::Bool(_) => 1,
        Json::Number(_) => 2,
        Json::String(_) => 3,
        Json::Array(_) => 4,
        Json::Object(_) => 5,
    }
}

/// How values of one kind compare; what is of another kind does not.
fn compare(value: &Json, operand: &Json, instants: bool) -> Option<Ordering> {
    if rank(value) != rank(operand) {
        return None;
    }
    Some(match (value, operand) {
        (Json::Bool(one), Json::Bool(two)) => one.cmp(two),
        (Json::Number(one), Json::Number(two)) => match (one.as_i64(), two.as_i64()) {
            (Some(one), Some(two)) => one.cmp(&two),
            _ => one.as_f64()?.partial_cmp(&two.as_f64()?)?,
        },
        (Json::String(one), Json::String(two)) if instants => {
            thalweg_model::parse_rfc3339(one)?.cmp(&thalweg_model::parse_rfc3339(two)?)
        }
        (Json::String(one), Json::String(two)) => one.cmp(two),
        (Json::Array(one), Json::Array(two)) => compare(&one[0], &two[0], false)?,
        (one, two) => compare(&one["a"], &two["a"], false)?,
    })
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|from| like(&text[from..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
            text.first() == Some(literal) && like(&text[1..], rest)
        }
    }
}

/// Whether a field's value (`None`: missing) passes.
fn passes(kind: &Kind, operator: &str, value: Option<&Json>, operand: &Json) -> bool {
    let null = Json::Null;
    let value_or_null = value.unwrap_or(&null);
    // Integers beyond 2^53 are given as strings of their digits.
    let number = |operand: &Json| match operand.as_str().filter(|_| kind.name == "big") {
        Some(digits) => json!(digits.parse::<i64>().unwrap()),
        None => operand.clone(),
    };
    let order = |operand: &Json| compare(value_or_null, &number(operand), kind.instants);
    let equals = |operand: &Json| match operand {
        Json::Null => value_or_null.is_null(),
        operand => order(operand) == Some(Ordering::Equal),
    };
    let among = || operand.as_array().unwrap().iter().any(equals);
    let text = |test: fn(&str, &str) -> bool| {
        value_or_null
            .as_str()
            .is_some_and(|text| test(text, operand.as_str().unwrap()))
    };
    match operator {
        "eq" => equals(operand),
        "ne" => !equals(operand),
        "in" => among(),
        "notIn" => !among(),
        "lt" => order(operand).is_some_and(Ordering::is_lt),
        "lte" => order(operand).is_some_and(Ordering::is_le),
        "gt" => order(operand).is_some_and(Ordering::is_gt),
        "gte" => order(operand).is_some_and(Ordering::is_ge),
        "isNull" => value_or_null.is_null() == *operand,
        "exists" => value.is_some() == *operand,
        "startsWith" => text(|text, part| text.starts_with(part)),
        "endsWith" => text(|text, part| text.ends_with(part)),
        "contains" => text(|text, part| text.contains(part)),
        _ => text(|text, pattern| {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            like(&characters(text), &characters(pattern))
        }),
    }
}

fn database(kinds: &[Kind], indexed: bool) -> (Database, Vec<Json>) {
    let longest = kinds.iter().map(|kind| kind.values.len()).max().unwrap();
    let mut documents: Vec<Json> = (0..longest)
        .map(|position| {
            let mut document = json!({ "id": format!("{position:02}") });
            for kind in kinds {
                let value = &kind.values[position % kind.values.len()];
                document[kind.name] = value.clone();
                document["list"] = json!([value, null]);
                document["in"][kind.name] = value.clone();
            }
            document
        })
        .collect();
    let mut nulls = json!({ "id": "null", "in": {}, "list": null });
    for kind in kinds {
        nulls[kind.name] = Json::Null;
        nulls["in"][kind.name] = Json::Null;
    }
    documents.push(nulls);
    documents.push(json!({ "id": "missing" }));
    let database = Database::empty();
    database.insert("things", &documents);
    if indexed {
        let indexes: String = kinds
            .iter()
            .map(|kind| {
                let instant = if kind.instants { " INSTANT" } else { "" };
                format!(" @index(fields: [\"{}{instant}\"])", kind.name)
            })
            .collect();
        let sdl = json!({ "sdl": format!("type Thing @collection{indexes}") });
        let apply = "mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } }";
        assert!(database.send_with(apply, &sdl).get("errors").is_none());
        database.wait_for("the indexes", |database| {
            let data = database.data("{ collections { indexes { status } } }");
            let found = data["collections"][0]["indexes"].as_array().unwrap();
            found.iter().all(|index| index["status"] == "READY")
        });
    }
    (database, documents)
}

/// The ids that a filter, given as a variable, finds.
fn found(database: &Database, filter: &Json) -> Vec<String> {
    let query = "query ($filter: ThingFilter) { things(filter: $filter) { nodes { id } } }";
    let response = database.send_with(query, &json!({ "filter": filter }));
    let nodes = response["data"]["things"]["nodes"]
        .as_array()
        .unwrap_or_else(|| panic!("{filter} {response:#}"));
    nodes
        .iter()
        .map(|node| node["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_operator_on_every_kind() {
    let kinds = kinds();
    for indexed in [false, true] {
        let (database, documents) = database(&kinds, indexed);
        let expected = |holds: &dyn Fn(&Json) -> bool| -> Vec<String> {
            let found = documents.iter().filter(|document| holds(document));
            sorted(
                found
                    .map(|it| it["id"].as_str().unwrap().to_owned())
                    .collect(),
            )
        };
        let mut checked = 0;
        for kind in &kinds {
            let mut tests: Vec<(&str, Json)> = vec![("eq", Json::Null), ("ne", Json::Null)];
            for flag in [true, false] {
                tests.extend([("isNull", json!(flag)), ("exists", json!(flag))]);
            }
            for operand in &kind.operands {
                tests.extend([("eq", operand.clone()), ("ne", operand.clone())]);
                if kind.has_order {
                    tests.extend(["lt", "lte", "gt", "gte"].map(|it| (it, operand.clone())));
                }
                if kind.has_text && operand.is_string() {
                    let text = ["startsWith", "endsWith", "contains", "like"];
                    tests.extend(text.map(|it| (it, operand.clone())));
                }
            }
            for some in [&kind.operands[..], &kind.operands[..1], &[]] {
                tests.extend([("in", json!(some)), ("notIn", json!(some))]);
            }
            for (operator, operand) in tests {
                let test = json!({ operator: operand });
                let holds = |value: Option<&Json>| passes(kind, operator, value, &operand);
                let at_top = found(&database, &json!({ kind.name: test }));
                assert_eq!(
                    at_top,
                    expected(&|it| holds(it.get(kind.name))),
                    "{}: {test}",
                    kind.name
                );
                // The same inside an object, which may be missing.
                let inside = found(&database, &json!({ "in": { kind.name: test } }));
                assert_eq!(
                    inside,
                    expected(&|it| holds(it["in"].get(kind.name))),
                    "in.{}: {test}",
                    kind.name
                );
                checked += 2;
            }
        }
        assert!(checked > 400, "{checked}");
        for (filter, ids) in [
            (json!({ "in": { "isNull": true } }), &["missing"][..]),
            (json!({ "in": { "exists": false } }), &["missing"]),
            (json!({ "list": { "isNull": true } }), &["null", "missing"]),
            (json!({ "list": { "exists": false } }), &["missing"]),
        ] {
            let expected = expected(&|document| ids.iter().any(|id| document["id"] == *id));
            assert_eq!(found(&database, &filter), expected, "{filter}");
        }
    }
}

/// In the order of lists: by id.
fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[test]
fn lists_and_maps() {
    let database = Database::empty();
    let mut documents: Vec<Json> = [
        json!([]),
        json!([1]),
        json!([1, 2]),
        json!([null, 3]),
        json!(null),
    ]
    .into_iter()
    .enumerate()
    .map(|(position, list)| json!({ "id": position.to_string(), "list": list }))
    .collect();
    documents.push(json!({ "id": "5" }));
    database.insert("things", &documents);
    let items = |document: &Json| document["list"].as_array().cloned();
    type Holds = Box<dyn Fn(&[Json]) -> bool>;
    let one = |item: &Json| item.as_i64() == Some(1);
    let cases: Vec<(Json, Holds)> = vec![
        (
            json!({ "some": { "eq": 1 } }),
            Box::new(move |list| list.iter().any(one)),
        ),
        (
            json!({ "every": { "eq": 1 } }),
            Box::new(move |list| list.iter().all(one)),
        ),
        (
            json!({ "none": { "eq": 1 } }),
            Box::new(move |list| !list.iter().any(one)),
        ),
        (
            json!({ "some": { "isNull": true } }),
            Box::new(|list| list.iter().any(Json::is_null)),
        ),
        (
            json!({ "every": { "gt": 0 } }),
            Box::new(|list| list.iter().all(Json::is_number)),
        ),
        (json!({ "some": {} }), Box::new(|list| !list.is_empty())),
        (json!({ "none": {} }), Box::new(<[Json]>::is_empty)),
        (
            json!({ "length": { "eq": 2 } }),
            Box::new(|list| list.len() == 2),
        ),
        (
            json!({ "length": { "lt": 2, "gt": 0 } }),
            Box::new(|list| list.len() == 1),
        ),
        (
            json!({ "length": { "in": [0, 1] } }),
            Box::new(|list| list.len() < 2),
        ),
    ];
    for (test, holds) in cases {
        let expected: Vec<String> = documents
            .iter()
            .filter(|document| items(document).is_some_and(|list| holds(&list)))
            .map(|document| document["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            found(&database, &json!({ "list": test })),
            expected,
            "{test}"
        );
    }
}

#[test]
fn a_field_that_is_called_like_a_test_is_told_apart() {
    let database = Database::empty();
    database.insert(
        "things",
        &[
            json!({ "id": "a", "in": { "isNull": 1, "exists": "x" }, "isNull": true }),
            json!({ "id": "b", "in": null, "isNull": false }),
        ],
    );
    let ids = |filter: Json| found(&database, &filter).concat();
    assert_eq!(ids(json!({ "in": { "isNull": true } })), "b");
    assert_eq!(ids(json!({ "in": { "isNull_": { "eq": 1 } } })), "a");
    assert_eq!(
        ids(json!({ "in": { "exists_": { "eq": "x" }, "exists": true } })),
        "a"
    );
    // At the top of documents there is no such test.
    assert_eq!(ids(json!({ "isNull": { "eq": true } })), "a");
}

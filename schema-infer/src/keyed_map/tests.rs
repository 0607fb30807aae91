//! The rule as a table: what is a map, what is a record, and what happens at the border.

use serde_json::{Map, Value as Json, json};
use thalweg_model::Document;

use super::*;
use crate::shape::Shape;

fn shape_of(objects: &[Json]) -> Shape {
    let mut shape = Shape::new();
    for json in objects {
        shape.add(
            Document::parse(json.to_string().as_bytes())
                .expect("an object")
                .root(),
        );
    }
    shape
}

fn is_map(objects: &[Json], was_map: bool) -> bool {
    matches!(read(shape_of(objects).root(), was_map), Reading::Map(_))
}

fn check(what: &str, objects: &[Json], expect_map: bool) {
    assert_eq!(is_map(objects, false), expect_map, "{what}");
}

fn object(keys: impl IntoIterator<Item = String>, value: &Json) -> Json {
    Json::Object(
        keys.into_iter()
            .map(|key| (key, value.clone()))
            .collect::<Map<_, _>>(),
    )
}

fn codes(count: usize) -> impl Iterator<Item = String> {
    ('a'..='z')
        .flat_map(|a| ('a'..='z').map(move |b| format!("{a}{b}x")))
        .take(count)
}

/// One object for each key, so that each has one of all.
fn sparse(keys: impl IntoIterator<Item = String>, value: &Json) -> Vec<Json> {
    keys.into_iter().map(|key| object([key], value)).collect()
}

#[test]
fn maps() {
    let name = json!({"official": "a", "common": "b"});
    check(
        "translations in every document",
        &vec![object(codes(23), &name); 3],
        true,
    );
    check(
        "translations in a single document",
        &[object(codes(23), &name)],
        true,
    );
    check(
        "a few languages of many",
        &sparse(codes(8), &json!("English")),
        true,
    );
    check(
        "currencies by code",
        &sparse(codes(40).map(|c| c.to_uppercase()), &name),
        true,
    );
    check("a year's figures", &[json!({"2019": 1, "2020": 2.5})], true);
    check(
        "one day",
        &[json!({"2024-05-01": {"high": 1, "low": 2}})],
        true,
    );
    check(
        "by UUID",
        &[json!({"6ba7b810-9dad-11d1-80b4-00c04fd430c8": true})],
        true,
    );
    check(
        "by object id",
        &[json!({"507f1f77bcf86cd799439011": "x"})],
        true,
    );
    check(
        "by e-mail address",
        &[json!({"a@example.com": 1, "b@example.org": 2})],
        true,
    );
    check(
        "by locale",
        &sparse(
            ["en", "en-US", "de", "fr", "pt-BR", "it", "es", "nl"].map(String::from),
            &json!("x"),
        ),
        true,
    );
    check(
        "by user",
        &sparse((0..9).map(|n| format!("user_{n}")), &json!({"score": 1})),
        true,
    );
    check(
        "by many words",
        &sparse((0..80).map(|n| "w".repeat(n + 4)), &json!(1)),
        true,
    );
    check(
        "maps in a map",
        &[json!({"2019": {"1": 5}, "2020": {"2": 6, "3": 7}})],
        true,
    );
    check(
        "nulls among the values",
        &[json!({"2019": null, "2020": 2})],
        true,
    );
    let versions = |names: &[&str]| {
        let numbers = (1..=12).map(|n| format!("{n}.{n}"));
        object(
            numbers.chain(names.iter().map(|it| (*it).into())),
            &json!("y"),
        )
    };
    check(
        "versions, and a name for one",
        &[versions(&["latest"])],
        true,
    );
    check(
        "offsets to both sides",
        &[object((-20..20).map(|n| format!("e{n}")), &json!("x"))],
        true,
    );
    let browsers = || {
        "abcdefghijklmnop"
            .chars()
            .map(|letter| format!("{letter}Browser"))
    };
    let described = json!({"name": "x", "vendor": "y", "type": "z"});
    check(
        "by browser and version",
        &[object(browsers().take(8), &versions(&[]))],
        true,
    );
    check(
        "by browser, records",
        &[object(browsers(), &described)],
        true,
    );
}

#[test]
fn records() {
    let address = json!({
        "street": "x", "city": "x", "zip": "x", "country": "x", "state": "x",
        "line1": "x", "line2": "x", "region": "x", "district": "x",
    });
    check("an address", &[address.clone(), address], false);
    let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    check(
        "twelve strings",
        &[object(months.map(String::from), &json!("x"))],
        false,
    );
    check(
        "feature flags",
        &vec![
            object(
                (0..30).map(|n| format!("enable{}", "x".repeat(n))),
                &json!(true)
            );
            5
        ],
        false,
    );
    check(
        "the single document of a collection",
        &[object((0..80).map(|n| "w".repeat(n + 4)), &json!("x"))],
        false,
    );
    check(
        "statistics",
        &[
            json!({"min": 1, "max": 2, "avg": 1.5, "sum": 3, "std": 1, "var": 1, "med": 1, "cnt": 2}),
        ],
        false,
    );
    check(
        "numbered lines",
        &[json!({"line1": "x", "line2": "y", "line3": "z"})],
        false,
    );
    check(
        "a survey",
        &vec![object((1..=12).map(|n| format!("q{n}")), &json!("yes")); 4],
        false,
    );
    check(
        "optional profile links",
        &sparse(
            [
                "twitter", "github", "website", "mastodon", "linkedin", "blog", "email", "phone",
            ]
            .map(String::from),
            &json!("x"),
        ),
        false,
    );
    check(
        "two languages for all",
        &vec![json!({"eng": {"f": "a", "m": "a"}, "fra": {"f": "a", "m": "a"}}); 9],
        false,
    );
    check(
        "values of two kinds",
        &[json!({"2019": 1, "2020": "x"})],
        false,
    );
    check(
        "objects that are not alike",
        &sparse(codes(3), &json!({"a": 1}))
            .into_iter()
            .chain([json!({"zzx": {"b": 1, "c": 1, "d": 1, "e": 1, "f": 1}})])
            .collect::<Vec<_>>(),
        false,
    );
    check("JSON-LD", &[json!({"@id": "x", "@type": "y"})], false);
    let mostly_named = object(
        (1..=8)
            .map(|n| n.to_string())
            .chain(["x".into(), "y".into()]),
        &json!(1),
    );
    check("more than one name in ten", &[mostly_named], false);
    let parts = ["from", "to", "via", "billing", "contact", "agent", "owner"].map(String::from);
    check(
        "seven maps by name",
        &[object(parts.clone(), &json!({"2019": 1}))],
        false,
    );
    let address = json!({"street": "x", "city": "x", "country": "x"});
    check("seven addresses by name", &[object(parts, &address)], false);
    let points = (0..30).map(|n| format!("at{}", "x".repeat(n)));
    check(
        "thirty points by name",
        &[object(points, &json!({"x": 1, "y": 2}))],
        false,
    );
    check("a point", &[json!({"x": 1, "y": 2})], false);
    check("nothing in it", &[json!({})], false);
    check("nulls only", &[json!({"2019": null})], false);
}

#[test]
fn the_border_does_not_flap() {
    let at = |count| [object(codes(count), &json!("x"))];
    // Becomes a map with 16 codes and stays one down to 8.
    assert!(!is_map(&at(15), false));
    assert!(is_map(&at(16), false));
    assert!(is_map(&at(15), true));
    assert!(is_map(&at(8), true));
    assert!(!is_map(&at(3), true));
    // Density likewise: 8 sparse codes are a map; when objects fill up, it stays one.
    let mut objects = sparse(codes(8), &json!("x"));
    assert!(is_map(&objects, false));
    objects.extend(vec![object(codes(8), &json!("x")); 40]);
    assert!(!is_map(&objects, false));
    assert!(is_map(&objects, true));
}

#[test]
fn key_styles() {
    let style = |keys: &[&str]| key_style(keys.iter().copied());
    assert_eq!(style(&["1", "22"]), KeyStyle::Data);
    assert_eq!(style(&["2024-05", "2024-05-01T00:00:00Z"]), KeyStyle::Data);
    assert_eq!(style(&["10.0.0.1", "-5"]), KeyStyle::Data);
    assert_eq!(style(&["https://example.com/a"]), KeyStyle::Data);
    assert_eq!(style(&["-Mabc1def2ghi3jkl4"]), KeyStyle::Data);
    assert_eq!(style(&["addressLineNumber1"]), KeyStyle::Tagged);
    assert_eq!(style(&["T", "Z"]), KeyStyle::Word);
    assert_eq!(style(&["eng", "fra"]), KeyStyle::Code);
    assert_eq!(style(&["eng", "FRA"]), KeyStyle::Word);
    assert_eq!(style(&["en", "eng"]), KeyStyle::Code);
    assert_eq!(style(&["P12", "Q7"]), KeyStyle::Tagged);
    assert_eq!(style(&["P12", "Q-7"]), KeyStyle::Tagged);
    assert_eq!(style(&["P12", "Q_7"]), KeyStyle::Word);
    assert_eq!(
        style(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "all"]),
        KeyStyle::Data
    );
    assert_eq!(
        style(&["1", "2", "3", "4", "5", "6", "7", "8", "all"]),
        KeyStyle::Word
    );
    assert_eq!(style(&["name", "age"]), KeyStyle::Word);
    assert_eq!(style(&["", "日本"]), KeyStyle::Word);
}

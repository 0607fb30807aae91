//! Fields that the response has under their stored names are copied with them, and in runs; all others one by one. That
//! makes no difference to what is shown.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value as Json, json};

use crate::fixture::Database;

/// The fields of every kind, with what is selected of them.
const FIELDS: [(&str, &str); 10] = [
    ("id", ""),
    ("text", ""),
    ("small", ""),
    ("large", ""),
    ("share", ""),
    ("flag", ""),
    ("day", ""),
    ("time", ""),
    ("tags", ""),
    ("inner", "{ a bc }"),
];

/// The kinds of the fields, which they keep.
fn typical() -> Json {
    json!({
        "id": "typical", "text": "t", "small": 1, "large": 1u64 << 40, "share": 0.5, "flag": true,
        "day": "2026-11-28", "time": "2026-11-28T00:00:00Z", "tags": ["x"], "inner": {"a": 1, "bc": "t"},
    })
}

/// A document with some of the fields, in any order, of which some hold what does not fit their types.
fn document(index: usize) -> impl Strategy<Value = Json> {
    let value = prop_oneof![
        6 => Just(None),
        1 => select(vec![
            json!(null), json!("text \"\u{e9}\n"), json!(-7), json!(1u64 << 40), json!(1u64 << 60), json!(1.25), json!(1e300),
            json!(false), json!("1815-06-18"), json!("1815-06-18T12:00:00+01:00"), json!([]), json!(["a", null, "b"]),
            json!({"a": 2}), json!({"bc": "t", "a": null}), json!({"bc": 1, "b": 2, "a": 3}),
        ])
        .prop_map(Some),
    ];
    let members = prop::collection::vec((1..FIELDS.len(), value), 0..14);
    members.prop_map(move |members| {
        let mut document = Map::new();
        document.insert("id".to_owned(), json!(format!("d{index}")));
        for (field, value) in members {
            let name = FIELDS[field].0;
            let value = value.unwrap_or_else(|| typical()[name].clone());
            document.insert(name.to_owned(), value);
        }
        Json::Object(document)
    })
}

/// What is selected, each under its name or, where it is written `z_name`, under that.
fn selection(fields: &[(usize, bool)], is_renamed: bool) -> String {
    let mut text = String::new();
    for (field, is_inner_renamed) in fields {
        let (name, inner) = FIELDS[*field];
        let inner = match inner {
            "" => String::new(),
            _ if is_renamed || *is_inner_renamed => "{ z_a: a z_bc: bc }".to_owned(),
            _ => inner.to_owned(),
        };
        match is_renamed {
            true => text.push_str(&format!("z_{name}: {name} {inner} ")),
            false => text.push_str(&format!("{name} {inner} ")),
        }
    }
    text
}

/// The data as text, and how many errors there are.
fn shown(database: &Database, selection: &str) -> (String, usize) {
    let query = format!("{{ items(first: 50) {{ nodes {{ {selection} }} }} }}");
    let evaluation = database.try_run(&thalweg_resolvers::Request::text(query));
    let body = String::from_utf8(evaluation.unwrap().result().to_vec()).unwrap();
    let data = body.split(",\"errors\":").next().unwrap();
    let errors = body.matches("\"code\":").count();
    (data.to_owned(), errors)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_name_makes_no_difference_to_a_value(
        documents in (0..8_usize).prop_flat_map(|count| (0..count).map(document).collect::<Vec<_>>()),
        selections in prop::collection::vec(prop::collection::vec((0..FIELDS.len(), any::<bool>()), 1..12), 1..4),
    ) {
        let database = Database::latched();
        database.insert("items", &[typical()]);
        database.insert("items", &documents);
        for fields in selections {
            let mut fields = fields;
            let mut seen = std::collections::HashSet::new();
            fields.retain(|(field, _)| seen.insert(*field));
            let plain = shown(&database, &selection(&fields, false));
            let renamed = shown(&database, &selection(&fields, true));
            for (field, _) in &fields {
                let key = format!("\"z_{}\":", FIELDS[*field].0);
                prop_assert_eq!(renamed.0.matches(&key).count(), 1 + documents.len());
                prop_assert!(!plain.0.contains(&key));
            }
            prop_assert_eq!(plain.0.replace("z_", ""), renamed.0.replace("z_", ""));
            prop_assert_eq!(plain.1, renamed.1);
        }
    }
}

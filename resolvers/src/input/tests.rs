use thalweg_model::{Value, ValueRef};

use super::*;

fn coerce(type_name: &str, json: &str) -> Option<String> {
    let value = Value::parse(json.as_bytes()).unwrap();
    let value: ValueRef<'_> = value.as_ref();
    let coerced = scalar::coerce(type_name, value).ok()?;
    Some(String::from_utf8(coerced.json().to_vec()).unwrap())
}

#[test]
fn scalars_take_what_they_take() {
    let cases = [
        ("Int", "-2147483648", Some("-2147483648")),
        ("Int", "-0", Some("-0")),
        ("Int", "2147483648", None),
        ("Int", "3.0", Some("3")),
        ("Int", "3.5", None),
        ("Int", "\"3\"", None),
        ("Float", "1.50", Some("1.50")),
        ("Float", "7", Some("7")),
        ("Float", "\"7\"", None),
        ("String", "\"x\"", Some("\"x\"")),
        ("String", "1", None),
        ("Boolean", "true", Some("true")),
        ("Boolean", "0", None),
        ("ID", "12", Some("\"12\"")),
        ("ID", "\"a\"", Some("\"a\"")),
        ("ID", "1.5", None),
        (
            "BigInt",
            "12345678901234567890123",
            Some("12345678901234567890123"),
        ),
        ("BigInt", "\"-9007199254740993\"", Some("-9007199254740993")),
        ("BigInt", "\"007\"", None),
        ("BigInt", "\"\"", None),
        ("BigInt", "\"-\"", None),
        ("BigInt", "1.0", None),
        (
            "DateTime",
            "\"2026-11-23T01:02:03+01:00\"",
            Some("\"2026-11-23T01:02:03+01:00\""),
        ),
        ("DateTime", "\"2026-11-23\"", None),
        ("DateTime", "1", None),
        ("Date", "\"2024-02-29\"", Some("\"2024-02-29\"")),
        ("Date", "\"2023-02-29\"", None),
        ("Timestamp", "17", Some("\"17\"")),
        ("Timestamp", "\"17\"", Some("\"17\"")),
        ("Timestamp", "\"x\"", None),
        ("JSON", "{\"a\":[1,null]}", Some("{\"a\":[1,null]}")),
        ("Duration", "\"P1DT2H\"", Some("\"P1DT2H\"")),
        ("Duration", "\"30d\"", Some("\"30d\"")),
        ("Duration", "\"soon\"", None),
        ("Duration", "30", None),
        ("Bytes", "\"aGk=\"", Some("\"aGk=\"")),
        ("Bytes", "\"!\"", None),
    ];
    for (type_name, json, expected) in cases {
        assert_eq!(
            coerce(type_name, json).as_deref(),
            expected,
            "{type_name} {json}"
        );
    }
}

#[test]
fn absent_is_not_null() {
    let name = |text: &'static str| Name::new_static(text).unwrap();
    let fields = Fields::new(vec![(name("a"), Input::Null)]);
    assert_eq!(fields.get("a"), Some(&Input::Null));
    assert_eq!(fields.present("a"), None);
    assert_eq!(fields.get("b"), None);
}

#[test]
fn inputs_write_themselves_as_json() {
    let name = |text: &'static str| Name::new_static(text).unwrap();
    let number = Input::Scalar(Value::parse(b"1.50").unwrap());
    let list = Input::List(Arc::new([Input::Null, number, Input::Enum(name("ASC"))]));
    let object = Input::Object(Fields::new(vec![
        (name("a"), list),
        (name("b"), Input::Null),
    ]));
    let mut out = Vec::new();
    object.write_json(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"a":[null,1.50,"ASC"],"b":null}"#
    );
}

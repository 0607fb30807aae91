use proptest::prelude::*;

use super::*;
use crate::samples::{object, sample, text};

fn value(json: &str) -> Value {
    Value::parse(json.as_bytes()).unwrap()
}

#[test]
fn kinds() {
    for (json, kind) in [
        ("null", Kind::Null),
        ("true", Kind::Boolean),
        ("false", Kind::Boolean),
        ("-12", Kind::Int),
        ("123456789012345678901234567890", Kind::Int),
        ("1.0", Kind::Float),
        ("1e0", Kind::Float),
        ("1E0", Kind::Float),
        ("\"1\"", Kind::String),
        ("[]", Kind::List),
        ("{}", Kind::Object),
    ] {
        assert_eq!(value(json).as_ref().kind(), kind, "{json}");
    }
}

#[test]
fn scalars_read_as_what_they_are() {
    assert_eq!(
        value("-9223372036854775808").as_ref().as_i64(),
        Some(i64::MIN)
    );
    assert_eq!(value("9223372036854775808").as_ref().as_i64(), None);
    assert_eq!(value("1.0").as_ref().as_i64(), None);
    assert_eq!(value("\"1\"").as_ref().as_i64(), None);
    assert_eq!(value("-0").as_ref().as_i64(), Some(0));
    assert_eq!(value("2.5e-1").as_ref().as_f64(), Some(0.25));
    assert_eq!(value("7").as_ref().as_f64(), Some(7.0));
    assert_eq!(value("true").as_ref().as_f64(), None);
    assert_eq!(value("true").as_ref().as_bool(), Some(true));
    assert_eq!(value("null").as_ref().as_bool(), None);
    assert!(value("null").as_ref().is_null());
    assert!(!value("0").as_ref().is_null());
    assert_eq!(value("1").as_ref().as_str(), None);
}

#[test]
fn plain_strings_are_borrowed() {
    assert!(matches!(
        value("\"é\"").as_ref().as_str(),
        Some(Cow::Borrowed("é"))
    ));
    assert!(matches!(
        value("\"\\n\"").as_ref().as_str(),
        Some(Cow::Owned(_))
    ));
}

#[test]
fn constructors_make_what_parsing_makes() {
    for (made, json) in [
        (Value::null(), "null"),
        (Value::boolean(true), "true"),
        (Value::boolean(false), "false"),
        (Value::int(i64::MIN), "-9223372036854775808"),
        (Value::string("a\"\u{1}é"), "\"a\\\"\\u0001é\""),
    ] {
        assert_eq!(made.as_stored(), value(json).as_stored());
        assert_eq!(format!("{made:?}"), json);
    }
}

proptest! {
    #[test]
    fn copies_are_as_if_parsed(sample in object()) {
        let value = sample.value();
        assert_eq!(value.as_ref().to_value().as_stored(), value.as_stored());
        for ((_, member), (_, expected)) in value.as_ref().members().zip(sample.members()) {
            assert_eq!(member.to_value().as_stored(), expected.value().as_stored());
        }
        for ((_, member), (_, expected)) in value.as_ref().members().zip(sample.members()) {
            for (item, (_, expected)) in member.members().zip(expected.members()) {
                assert_eq!(item.1.to_value().as_stored(), expected.value().as_stored());
            }
        }
    }

    #[test]
    fn strings_come_back(text in text()) {
        let value = Value::string(&text);
        assert_eq!(value.as_ref().as_str().as_deref(), Some(text.as_str()));
        assert_eq!(value.as_ref().kind(), Kind::String);
    }

    #[test]
    fn doubles_read_as_serde_json_reads_them(sample in sample()) {
        let value = sample.value();
        let oracle: serde_json::Value = serde_json::from_slice(value.json()).unwrap();
        assert_eq!(value.as_ref().as_f64(), oracle.as_f64());
        assert_eq!(value.as_ref().as_bool(), oracle.as_bool());
        assert_eq!(value.as_ref().as_str().as_deref(), oracle.as_str());
    }
}

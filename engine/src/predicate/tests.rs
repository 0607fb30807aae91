use thalweg_model::{CommitTs, Document, DocumentId, FieldPath, Value};

use super::{Comparison, LikePattern, Predicate, Test};
use crate::field::FieldRef;
use crate::record::{Record, SystemFields};

fn record(json: &str) -> Record<'static> {
    let fields = SystemFields {
        id: DocumentId::new("a").unwrap(),
        commit_ts: CommitTs::from_micros(7),
        created_at: 5,
        version: 2,
        deleted_at: None,
        expires_at: None,
        purge_at: None,
        on_expire: None,
        cause: None,
        author: None,
    };
    Record::new(&fields, &Document::parse(json.as_bytes()).unwrap())
}

fn value(json: &str) -> Value {
    Value::parse(json.as_bytes()).unwrap()
}

#[track_caller]
fn check(document: &str, test: Test, expect: bool) {
    let shown = format!("{document} {test:?}");
    let predicate = Predicate::Field(FieldRef::Path(FieldPath::top("f")), test);
    assert_eq!(predicate.matches(&record(document)), expect, "{shown}");
}

#[test]
fn equality_is_by_value_and_kind() {
    check(r#"{"f":1}"#, Test::Eq(value("1.0")), true);
    check(r#"{"f":"1"}"#, Test::Eq(value("1")), false);
    check(r#"{}"#, Test::Eq(value("null")), true);
    check(r#"{"f":null}"#, Test::Eq(value("null")), true);
    check(r#"{}"#, Test::Ne(value("1")), true);
    check(r#"{"f":null}"#, Test::Ne(value("null")), false);
    check(r#"{"f":2}"#, Test::In(vec![value("1"), value("2")]), true);
    check(r#"{}"#, Test::NotIn(vec![value("1")]), true);
}

#[test]
fn orderings_hold_within_a_kind_only() {
    let above_five = Test::Compare(Comparison::Greater, value("5"));
    check(r#"{"f":5.5}"#, above_five.clone(), true);
    check(r#"{"f":"zzz"}"#, above_five.clone(), false);
    check(r#"{"f":[9]}"#, above_five.clone(), false);
    check("{}", above_five, false);
    check("{}", Test::Compare(Comparison::Less, value("5")), false);
}

#[test]
fn date_times_compare_as_instants() {
    let noon = thalweg_model::parse_rfc3339("2020-01-01T12:00:00Z").unwrap();
    let same = r#"{"f":"2020-01-01T14:00:00+02:00"}"#;
    check(same, Test::Instant(Comparison::Equal, noon), true);
    check(same, Test::Instant(Comparison::Less, noon), false);
    check(
        r#"{"f":"soon"}"#,
        Test::Instant(Comparison::NotEqual, noon),
        true,
    );
}

#[test]
fn presence() {
    check("{}", Test::IsNull(true), true);
    check(r#"{"f":null}"#, Test::Exists(true), true);
    check("{}", Test::Exists(true), false);
    check(r#"{"f":0}"#, Test::IsNull(false), true);
}

#[test]
fn lists() {
    let two = || Box::new(Test::Eq(value("2")));
    check(r#"{"f":[1,2]}"#, Test::ItemSome(two()), true);
    check(r#"{"f":[2,2]}"#, Test::ItemEvery(two()), true);
    check(r#"{"f":[]}"#, Test::ItemEvery(two()), true);
    check(r#"{"f":[1,2]}"#, Test::ItemNone(two()), false);
    check("{}", Test::ItemNone(two()), false);
    check(r#"{"f":[1,2]}"#, Test::Length(two()), true);
    let named = Predicate::Field(FieldRef::Path(FieldPath::top("n")), Test::Eq(value("2")));
    check(
        r#"{"f":[{"n":1},{"n":2}]}"#,
        Test::Some(Box::new(named)),
        true,
    );
}

#[test]
fn system_fields() {
    let record = record("{}");
    let version = Predicate::Field(FieldRef::Version, Test::Eq(value("2")));
    assert!(version.matches(&record));
    let id = Predicate::Field(FieldRef::Id, Test::In(vec![value("\"a\"")]));
    assert!(id.matches(&record));
}

#[test]
fn like_patterns() {
    for (pattern, text, expect) in [
        ("", "", true),
        ("%", "", true),
        ("a%c", "abbc", true),
        ("a%c", "abbcd", false),
        ("%b%", "abc", true),
        ("_", "ä", true),
        ("_", "", false),
        ("100\\%", "100%", true),
        ("100\\%", "1000", false),
        ("%aab", "aaaab", true),
    ] {
        assert_eq!(
            LikePattern::new(pattern).matches(text),
            expect,
            "{pattern} {text}"
        );
    }
}

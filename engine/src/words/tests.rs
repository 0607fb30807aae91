use std::sync::Arc;

use thalweg_model::{DocumentId, FieldPath};

use super::*;
use crate::order::Position;
use crate::predicate::LikePattern;

fn field(name: &str) -> FieldRef {
    FieldRef::Path(FieldPath::new(name.split('.')).expect("a name"))
}

fn is(name: &str, test: Test) -> Predicate {
    Predicate::Field(field(name), test)
}

fn check(filter: impl std::borrow::Borrow<Predicate>, expected: &str) {
    let mut words = Words::default();
    words.predicate(filter.borrow(), Within::Nothing);
    assert_eq!(words.0, expected);
}

#[test]
fn filters_are_said_as_they_are_meant() {
    let one = || is("n", Test::Eq(Value::int(1)));
    let two = || is("a.b", Test::Compare(Comparison::Less, Value::string("x")));
    check(one(), "n = 1");
    check(two(), "a.b < \"x\"");
    check(Predicate::And(vec![one(), two()]), "n = 1 and a.b < \"x\"");
    check(
        Predicate::And(vec![one(), Predicate::Or(vec![two(), one()])]),
        "n = 1 and (a.b < \"x\" or n = 1)",
    );
    check(Predicate::Not(Box::new(one())), "not n = 1");
    check(
        Predicate::Not(Box::new(Predicate::Or(vec![one(), two()]))),
        "not (n = 1 or a.b < \"x\")",
    );
    check(Predicate::Or(vec![]), "false");
    let name = FieldRef::Path(FieldPath::new(["a.b", "ü", "IMDB Rating"]).expect("names"));
    let named = Predicate::Field(name, Test::IsNull(true));
    check(named, "\"a.b\".ü.\"IMDB Rating\" is null");
    check(
        is("t", Test::Instant(Comparison::Greater, 0)),
        "t > 1970-01-01T00:00:00.000000Z",
    );
    check(is("t", Test::IsNull(false)), "t is not null");
    check(
        is("t", Test::Like(LikePattern::new(r"a_%\%"))),
        r#"t like "a_%\\%""#,
    );
    check(
        is(
            "tags",
            Test::ItemSome(Box::new(Test::StartsWith("x".into()))),
        ),
        "some item of tags starts with \"x\"",
    );
    check(
        is(
            "parts",
            Test::None(Box::new(Predicate::And(vec![one(), two()]))),
        ),
        "no item of parts where (n = 1 and a.b < \"x\")",
    );
    check(
        is(
            "tags",
            Test::Length(Box::new(Test::AllOf(vec![
                Test::Ne(Value::int(1)),
                Test::IsNull(false),
            ]))),
        ),
        "(the length of tags != 1 and the length of tags is not null)",
    );
    let entry = EntryTest {
        key: Some(Box::new(Test::Eq(Value::string("de")))),
        value: Some(Box::new(Test::Contains("x".into()))),
        object: None,
    };
    check(
        is("names", Test::EntrySome(entry)),
        "some entry of names where (key = \"de\" and value contains \"x\")",
    );
}

#[test]
fn ranges_are_said_with_their_order() {
    let range = Range {
        filter: Arc::new(Predicate::True),
        deleted: Deleted::Exclude,
        order: Arc::from([]),
        from: Bound::Unbounded,
        to: Bound::Unbounded,
    };
    let said = |range: &Range| Scope::Range(range.clone()).in_words();
    assert_eq!(said(&range), "every document");
    let key = OrderKey {
        field: field("year"),
        descending: true,
        instant: false,
    };
    let page = Range {
        filter: Arc::new(is("n", Test::Eq(Value::int(1)))),
        deleted: Deleted::Include,
        order: Arc::from([key]),
        to: Bound::Included(Position::from_bytes(vec![1])),
        ..range
    };
    assert_eq!(
        said(&page),
        "n = 1, deleted ones too, in order of year DESC, id up to a place in it"
    );
    let id = DocumentId::new("7").expect("short");
    assert_eq!(Scope::Document(id).in_words(), "id = \"7\"");
}

#[test]
fn long_words_are_cut() {
    let values: Vec<Value> = (0..100).map(Value::int).collect();
    check(
        is("n", Test::In(values)),
        "n in [0, 1, 2, 3, 4, 5, 6, 7, and 92 more]",
    );
    let mut words = Words::default();
    let many = (0..10_000)
        .map(|n| is("ü", Test::Eq(Value::int(n))))
        .collect();
    words.predicate(&Predicate::Or(many), Within::Nothing);
    assert!(
        words.0.len() <= WORDS_BYTES_MAX + "…".len() && words.0.ends_with('…'),
        "{}",
        words.0
    );
}

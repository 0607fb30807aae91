use thalweg_model::FieldPath;

use super::*;

fn value(json: &str) -> Value {
    Value::parse(json.as_bytes()).unwrap()
}

fn path(dotted: &str) -> FieldRef {
    FieldRef::Path(FieldPath::new(dotted.split('.')).unwrap())
}

fn f(test: Test) -> Predicate {
    Predicate::Field(path("f"), test)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is found, as text: points as `=key`, ranges as `from..to`, and `~` where it is wider than the predicate.
fn shown(predicate: &Predicate, instant: bool) -> String {
    let target = Target {
        field: &path("f"),
        items: None,
        instant,
    };
    text(of_predicate(predicate, target))
}

fn text(found: Option<Constraint>) -> String {
    let Some(found) = found else {
        return "unknown".to_owned();
    };
    let each = found
        .intervals
        .iter()
        .map(|interval| match interval.is_point {
            true => format!("={}", hex(&interval.from)),
            false => format!("{}..{}", hex(&interval.from), hex(&interval.to)),
        });
    let exactness = if found.is_exact { "" } else { "~" };
    format!("{exactness}{}", each.collect::<Vec<_>>().join(" "))
}

#[track_caller]
fn check(predicate: &Predicate, expect: &str) {
    assert_eq!(shown(predicate, false), expect, "{predicate:?}");
}

#[test]
fn tests_are_ranges_of_keys() {
    let compare = |it, operand| f(Test::Compare(it, value(operand)));
    check(&f(Test::Eq(value("null"))), "=10");
    check(&f(Test::Eq(value("\"a\""))), "=30610001");
    check(
        &f(Test::In(vec![value("true"), value("null"), value("true")])),
        "=10 =12",
    );
    check(&f(Test::In(vec![])), "");
    check(&compare(Comparison::Less, "0"), "20..2080");
    check(&compare(Comparison::LessOrEqual, "0"), "20..2081");
    check(&compare(Comparison::Greater, "0"), "2081..21");
    check(
        &compare(Comparison::GreaterOrEqual, "\"a\""),
        "30610001..31",
    );
    check(&compare(Comparison::Less, "true"), "11..12");
    check(&compare(Comparison::Equal, "0"), "=2080");
    check(&compare(Comparison::NotEqual, "0"), "unknown");
    check(&compare(Comparison::Less, "null"), "unknown");
    check(&f(Test::IsNull(true)), "=10");
    check(&f(Test::IsNull(false)), "11..ff");
    check(&f(Test::Exists(false)), "~=10");
    check(&f(Test::Exists(true)), "unknown");
    check(&f(Test::StartsWith("a".into())), "3061..3062");
    check(&f(Test::StartsWith(String::new())), "30..31");
    check(&f(Test::EndsWith("a".into())), "unknown");
    check(&f(Test::Instant(Comparison::Less, 0)), "unknown");
    check(
        &Predicate::Field(path("g"), Test::Eq(value("1"))),
        "unknown",
    );
}

#[test]
fn predicates_combine() {
    let compare = |it, operand: &str| Test::Compare(it, value(operand));
    let above = || compare(Comparison::Greater, "0");
    let one = || f(Test::Eq(value("1")));
    let other = || Predicate::Field(path("g"), Test::Eq(value("1")));
    check(
        &Predicate::And(vec![f(above()), f(compare(Comparison::Less, "1"))]),
        "2081..20bf0b00",
    );
    check(&Predicate::And(vec![f(above()), one()]), "=20bf0b00");
    check(&Predicate::And(vec![f(above()), other()]), "~2081..21");
    check(&Predicate::And(vec![f(Test::Eq(value("0"))), one()]), "");
    check(&Predicate::And(vec![]), "unknown");
    check(&Predicate::Or(vec![]), "");
    check(
        &Predicate::Or(vec![one(), f(Test::IsNull(true))]),
        "=10 =20bf0b00",
    );
    check(&Predicate::Or(vec![one(), f(above())]), "2081..21");
    check(&Predicate::Or(vec![one(), other()]), "unknown");
    check(&Predicate::Not(Box::new(one())), "unknown");
    check(
        &f(Test::AllOf(vec![above(), Test::Exists(true)])),
        "~2081..21",
    );
    check(
        &f(Test::AnyOf(vec![Test::IsNull(true), above()])),
        "=10 2081..21",
    );
}

#[test]
fn instants_have_keys_of_their_own() {
    let epoch = value("\"1970-01-01T00:00:00Z\"");
    for (test, expect) in [
        (Test::Eq(epoch.clone()), "~=2080"),
        (Test::Eq(value("\"soon\"")), "~=30736f6f6e0001"),
        (Test::Instant(Comparison::Greater, 0), "~2081..21"),
        (Test::Compare(Comparison::Less, epoch), "unknown"),
        (Test::Compare(Comparison::Less, value("0")), "~20..2080"),
        (Test::StartsWith("1970".into()), "unknown"),
        (Test::IsNull(true), "=10"),
    ] {
        assert_eq!(shown(&f(test.clone()), true), expect, "{test:?}");
    }
    let target = Target {
        field: &FieldRef::CreatedAt,
        items: None,
        instant: false,
    };
    let test = Test::Instant(Comparison::LessOrEqual, 0);
    let found = of_predicate(&Predicate::Field(FieldRef::CreatedAt, test), target);
    assert_eq!(text(found), "20..2081");
}

#[test]
fn items_of_lists_are_found_one_by_one() {
    let some = |json: &str| Test::ItemSome(Box::new(Test::Eq(value(json))));
    let k = |json: &str| Predicate::Field(path("k"), Test::Eq(value(json)));
    let whole = ListItems::Whole;
    let member = ListItems::Field(FieldPath::top("k"));
    for (items, test, expect) in [
        (&whole, some("0"), "=2080"),
        (&whole, Test::Eq(value("0")), "unknown"),
        (
            &whole,
            Test::ItemEvery(Box::new(Test::Eq(value("0")))),
            "unknown",
        ),
        // Of two items.
        (&whole, Test::AllOf(vec![some("0"), some("null")]), "~=2080"),
        (
            &whole,
            Test::AnyOf(vec![some("0"), some("null")]),
            "=10 =2080",
        ),
        (&member, Test::Some(Box::new(k("0"))), "=2080"),
        // Of one item.
        (
            &member,
            Test::Some(Box::new(Predicate::And(vec![k("0"), k("null")]))),
            "",
        ),
        (&member, some("0"), "unknown"),
    ] {
        let target = Target {
            field: &path("f"),
            items: Some(items),
            instant: false,
        };
        assert_eq!(
            text(of_predicate(&f(test.clone()), target)),
            expect,
            "{test:?}"
        );
    }
}

#[test]
fn descending_keys_are_the_same_values() {
    for json in ["null", "0", "\"a\"", "[]"] {
        let key = key_of(value(json).as_ref(), false);
        let descending: Vec<u8> = key.iter().map(|byte| !byte).collect();
        for test in [
            Test::IsNull(false),
            Test::Eq(value("0")),
            Test::Compare(Comparison::Less, value("1")),
            Test::Compare(Comparison::GreaterOrEqual, value("0")),
            Test::StartsWith("a".into()),
        ] {
            let target = Target {
                field: &path("f"),
                items: None,
                instant: false,
            };
            let found = of_predicate(&f(test.clone()), target).unwrap();
            let contains = |interval: &Interval, key: &[u8]| {
                interval.from.as_slice() <= key && key < interval.to.as_slice()
            };
            for interval in &found.intervals {
                assert_eq!(
                    contains(interval, &key),
                    contains(&interval.inverted(), &descending),
                    "{json} {test:?}"
                );
            }
        }
    }
}

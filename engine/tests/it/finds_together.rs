//! Several finds that differ in what one field has to be, taken together: what each gives alone, for no more reads.

use std::sync::Arc;

use thalweg_engine::{Choice, FieldRef, Find, FindEach, IndexDefinition, Predicate, Test};
use thalweg_model::Value;

use crate::fixture::{find_all, path};
use crate::index_finds::{A, Happening, built, ordered_by, told};

/// Where another index, or an id, leads to fewer documents than what the finds differ in, they use that, also together.
#[test]
fn finds_together_read_no_more_than_one_by_one() {
    let documents: Vec<String> = (0..400)
        .map(|n| format!(r#"{{"id":"d{n}","a":{},"b":{n}}}"#, n % 4))
        .collect();
    let mut world = built(&documents, &["a"]);
    world.apply(&Happening::CreateIndex(
        IndexDefinition::parse(["b"], false).unwrap(),
    ));
    while world.maintain() {}
    let snapshot = world.engine.snapshot().unwrap();
    let field = |name: &str| FieldRef::Path(path(name));
    let integer = |n: usize| Value::parse(n.to_string().as_bytes()).unwrap();
    let by_id = Predicate::Field(FieldRef::Id, Test::Eq(Value::string("d7")));
    let by_value = Predicate::Field(field("b"), Test::Eq(integer(9)));
    for (filter, rows_max) in [(by_id, 10), (by_value, 10), (Predicate::True, 60)] {
        let mut each = vec![Predicate::Or(Vec::new())];
        each.extend((0..9).map(|n| Predicate::Field(field("a"), Test::Eq(integer(n)))));
        let wanted = FindEach {
            find: Find {
                filter: Arc::new(filter),
                limit: 10,
                ..find_all(A)
            },
            field: field("a"),
            each,
        };
        let before = snapshot.documents_read();
        let found = snapshot.find_each(&wanted).unwrap();
        let read = snapshot.documents_read() - before;
        assert!(read <= rows_max, "{read} {}", found[1].plan);
        for (number, found) in found.iter().enumerate() {
            let alone = snapshot.find_by(&wanted.one(number), Choice::Scan).unwrap();
            assert_eq!(told(found), told(&alone), "{number} {}", found.plan);
        }
    }
}

/// More of them than go along together, each with more documents than are read at once.
#[test]
fn very_many_finds_are_answered_in_parts() {
    let documents: Vec<String> = (0..600)
        .map(|n| format!(r#"{{"a":{},"b":{n}}}"#, n % 2))
        .collect();
    let world = built(&documents, &["a"]);
    let snapshot = world.engine.snapshot().unwrap();
    let field = FieldRef::Path(path("a"));
    let of = |n: usize| {
        let value = Value::parse((n % 3).to_string().as_bytes()).unwrap();
        Predicate::Field(field.clone(), Test::Eq(value))
    };
    let order = ordered_by("b", true).order;
    for (limit, order) in [(0, Arc::from([])), (40, Arc::from([])), (2, order)] {
        let wanted = FindEach {
            find: Find {
                limit,
                order,
                count_total: true,
                ..find_all(A)
            },
            field: field.clone(),
            each: (0..1_100).map(of).collect(),
        };
        let found = snapshot.find_each(&wanted).unwrap();
        assert_eq!(found.len(), 1_100);
        let expect = [0, 1, 2].map(|number| {
            let alone = snapshot.find_by(&wanted.one(number), Choice::Scan);
            told(&alone.unwrap())
        });
        for (number, found) in found.iter().enumerate() {
            assert_eq!(told(found), expect[number % 3], "{number}");
        }
    }
}

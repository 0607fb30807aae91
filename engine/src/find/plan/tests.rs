use thalweg_model::{CollectionId, CommitTs, FieldPath, Value};

use super::*;
use crate::field::FieldMask;
use crate::index::{IndexDefinition, IndexId, IndexStatus};
use crate::predicate::{Comparison, Test};

/// A collection of 10,000 documents; how many rows lie in the ranges of each index is given.
struct Counted(Vec<(&'static str, u64)>);

impl Counts for Counted {
    fn documents(&mut self) -> u64 {
        10_000
    }

    fn rows(&mut self, _: &Index) -> u64 {
        10_000
    }

    fn rows_in(&mut self, index: &Index, _: &[RowRange], rows_max: u64) -> u64 {
        let fields = index.definition.field_texts().join(", ");
        let (_, rows) = self.0.iter().find(|(of, _)| *of == fields).unwrap();
        (*rows).min(rows_max)
    }
}

fn index(fields: &str) -> Arc<Index> {
    Arc::new(Index {
        id: IndexId(1),
        definition: IndexDefinition::parse(fields.split(", "), false).unwrap(),
        automatic: false,
        status: IndexStatus::Ready,
        since: CommitTs::ZERO,
        changed_at: CommitTs::ZERO,
        erased: false,
    })
}

fn field(name: &str) -> FieldRef {
    match name {
        "_id" => FieldRef::Id,
        name => FieldRef::Path(FieldPath::top(name)),
    }
}

/// Of a text like `a=1 b>2 t[]=3`.
fn filter(text: &str) -> Predicate {
    let one = |part: &str| {
        let at = part.find(['=', '>']).unwrap();
        let (name, operand) = (&part[..at], &part[at + 1..]);
        let operand = Value::parse(operand.as_bytes()).unwrap();
        let test = match &part[at..=at] {
            "=" => Test::Eq(operand),
            _ => Test::Compare(Comparison::Greater, operand),
        };
        match name.strip_suffix("[]") {
            Some(list) => Predicate::Field(field(list), Test::ItemSome(Box::new(test))),
            None => Predicate::Field(field(name), test),
        }
    };
    match text {
        "" => Predicate::True,
        text => Predicate::And(text.split(' ').map(one).collect()),
    }
}

/// A page of ten, with an order like `a -b`.
fn find(by: &str, order: &str) -> Find {
    let order = order.split_whitespace().map(|key| OrderKey {
        field: field(key.trim_start_matches('-')),
        descending: key.starts_with('-'),
        instant: false,
    });
    Find {
        collection: CollectionId(16),
        filter: Arc::new(filter(by)),
        deleted: Deleted::Exclude,
        order: order.collect(),
        after: None,
        before: None,
        offset: 0,
        limit: 10,
        from_end: false,
        count_total: false,
        read: FieldMask::none(),
    }
}

#[track_caller]
fn check(by: &str, order: &str, indexes: &[(&'static str, u64)], expect: &str) {
    let available: Vec<_> = indexes.iter().map(|(fields, _)| index(fields)).collect();
    let plan = choose(&find(by, order), &available, &mut Counted(indexes.to_vec()));
    assert_eq!(plan.to_string(), expect, "{by} / {order}");
}

#[test]
fn an_index_is_used_where_that_reads_less() {
    let scan = "every document, in order, each filtered";
    check("a=1", "", &[], scan);
    check("a=1", "", &[("b", 5)], scan);
    check("a=1", "", &[("a", 5)], "1 range of index (a), in order");
    check("a>1", "", &[("a", 5)], "1 range of index (a), then sorted");
    check("a>1", "", &[("a", 9000)], scan);
    check("a>1 c=1", "", &[("a", 9000)], scan);
    // In order and without a filter, only the page is read, however many there are.
    check("a=1", "", &[("a", 9000)], "1 range of index (a), in order");
    check(
        "a=1 b>1",
        "",
        &[("a, b", 5)],
        "1 range of index (a, b), then sorted",
    );
    check(
        "a=1 b>1",
        "",
        &[("b, a", 5)],
        "1 range of index (b, a), then sorted, each filtered",
    );
    check("b=1", "", &[("a, b", 5)], scan);
    check("", "", &[("a", 5)], "every document, in order");
}

#[test]
fn the_one_with_fewer_rows_is_used() {
    for both in [[("a", 50), ("b", 500)], [("b", 500), ("a", 50)]] {
        check(
            "a>1 b>1",
            "",
            &both,
            "1 range of index (a), then sorted, each filtered",
        );
    }
    check(
        "a=1 b=1",
        "",
        &[("a", 100), ("a, b", 2)],
        "1 range of index (a, b), in order",
    );
}

#[test]
fn orders_are_read_from_indexes() {
    let page = "1 range of index (a, b), in order";
    let all = [("a, b", 10_000)];
    check("", "a b", &all, page);
    check("", "-a -b", &all, page);
    check("", "a", &all, page);
    check("", "a -b", &all, "every document, then sorted");
    check("", "b", &all, "every document, then sorted");
    check("", "a b c", &all, "every document, then sorted");
    check("a=1", "b", &all, page);
    check("a=1", "a b", &all, page);
    check("a=1", "-b a", &all, page);
    check("a=1 b>3", "b", &all, page);
    check("a>1", "a", &all, page);
    check("a=1", "", &all, "every document, in order, each filtered");
    check(
        "",
        "a -b",
        &[("a, b DESC", 10_000)],
        "1 range of index (a, b DESC), in order",
    );
    check(
        "c=1",
        "a",
        &all,
        "1 range of index (a, b), in order, each filtered",
    );
}

#[test]
fn lists_are_found_by_their_items() {
    check(
        "t[]=1",
        "",
        &[("t[]", 5)],
        "1 range of index (t[]), in order",
    );
    check(
        "t[]=1 t[]=2",
        "",
        &[("t[]", 5)],
        "1 range of index (t[]), in order, each filtered",
    );
    check(
        "t[]>1",
        "",
        &[("t[]", 5)],
        "1 range of index (t[]), then sorted, each filtered",
    );
    check(
        "a=1",
        "",
        &[("a, t[]", 5)],
        "every document, in order, each filtered",
    );
    check(
        "a=1 t[]=1",
        "b",
        &[("a, t[], b", 5)],
        "1 range of index (a, t[], b), in order",
    );
}

#[test]
fn ids_are_ranges_of_the_documents() {
    check(
        "_id=\"x\" a=1",
        "",
        &[("a", 5)],
        "1 range of ids, in order, each filtered",
    );
    check("_id=5", "", &[], "0 ranges of ids, in order, each filtered");
    check(
        "_id>\"x\" a=1",
        "",
        &[("a", 5)],
        "1 range of index (a), in order, each filtered",
    );
    let bounds = |bound: &[u8]| id_bound(bound);
    assert_eq!(bounds(&[]), Some(vec![]));
    assert_eq!(bounds(&[0x20]), Some(vec![]));
    assert_eq!(bounds(&[0x31]), None);
    assert_eq!(bounds(b"0a\x00\x01"), Some(b"a".to_vec()));
    assert_eq!(bounds(b"0a\x00\x02"), Some(b"a\x00".to_vec()));
    assert_eq!(bounds(b"0a\x00\xffb"), Some(b"a\x00b".to_vec()));
}

#[test]
fn a_position_leads_to_a_row() {
    let key = |values: &[&str], id: &str| {
        let mut key = Vec::new();
        for value in values {
            let value = Value::parse(value.as_bytes()).unwrap();
            thalweg_model::encode_value(value.as_ref(), &mut key);
        }
        (
            key.clone(),
            Position::from_bytes([key, id.as_bytes().to_vec()].concat()),
        )
    };
    let access = |find: &Find| match through(find, &index("a, b")).unwrap().access {
        Access::Index(access) => access.window(find),
        other => panic!("{other:?}"),
    };
    let (b, position) = key(&["5"], "id");
    let (whole, _) = key(&["1", "5"], "");
    let forward = Find {
        after: Some(position.clone()),
        ..find("a=1", "b")
    };
    let with_id = [whole.as_slice(), b"id\x00\x01"].concat();
    let after_it = [with_id.as_slice(), b"\x00"].concat();
    assert_eq!(access(&forward).from, after_it);
    let backward = Find {
        before: Some(position),
        ..find("a=1", "b")
    };
    assert_eq!(access(&backward).to, Some(with_id));
    // Among equal values ids go the other way, so all of them are looked at.
    let inverted: Vec<u8> = b.iter().map(|byte| !byte).collect();
    let mirrored = Find {
        after: Some(Position::from_bytes([inverted, b"id".to_vec()].concat())),
        ..find("a=1", "-b")
    };
    assert_eq!(access(&mirrored).to, prefix_end(&whole));
    for nonsense in [&b""[..], b"\xff", b"\x20", b"\x20\xbf"] {
        let find = Find {
            after: Some(Position::from_bytes(nonsense.to_vec())),
            ..find("a=1", "b")
        };
        assert_eq!(access(&find), RowRange::all(), "{nonsense:?}");
    }
}

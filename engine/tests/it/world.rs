//! Random documents, queries and writes for the property tests, and a plain model to compare with.

use std::cmp::Ordering;
use std::sync::Arc;

use proptest::prelude::*;
use thalweg_engine::{
    Comparison, Deleted, ExpiryChange, FieldMask, FieldRef, Find, Intent, OrderKey, Position,
    Predicate, Record, Test,
};
use thalweg_model::{CollectionId, Value};

use crate::fixture::{find_all, id, increment, named, patch, path, set, value};

pub(crate) const FIELDS: [&str; 3] = ["a", "b", "c.d"];
pub(crate) const IDS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];

pub(crate) fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        (0..4i32).prop_map(|n| n.to_string()),
        Just("1.5".to_owned()),
        (0..3u8).prop_map(|n| format!("\"{}\"", char::from(b'x' + n))),
        Just("true".to_owned()),
    ]
}

/// Strings that agree in more bytes than an index keeps, and date-times of which two are one instant.
fn special() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..3u8, prop_oneof![Just(190), Just(210)])
            .prop_map(|(n, long)| format!("\"{}{n}\"", "x".repeat(long))),
        1 => Just("\"2020-01-01T00:00:00Z\"".to_owned()),
        1 => Just("\"2020-01-01T01:00:00+01:00\"".to_owned()),
        1 => Just("\"2019-12-31T23:30:00Z\"".to_owned()),
    ]
}

fn any_scalar() -> impl Strategy<Value = String> {
    prop_oneof![2 => scalar(), 1 => special()]
}

fn list() -> impl Strategy<Value = String> {
    proptest::collection::vec(any_scalar(), 0..4).prop_map(|items| format!("[{}]", items.join(",")))
}

/// A list of objects that have a member `k` or not.
fn objects() -> impl Strategy<Value = String> {
    let object = proptest::option::of(any_scalar()).prop_map(|k| match k {
        Some(k) => format!("{{\"k\":{k}}}"),
        None => "{}".to_owned(),
    });
    proptest::collection::vec(object, 0..4).prop_map(|items| format!("[{}]", items.join(",")))
}

pub(crate) fn document() -> impl Strategy<Value = String> {
    (
        proptest::option::of(any_scalar()),
        proptest::option::of(any_scalar()),
        proptest::option::of(any_scalar()),
        proptest::option::of(prop_oneof![4 => list(), 1 => any_scalar()]),
        proptest::option::of(objects()),
    )
        .prop_map(|(a, b, d, t, r)| {
            let mut members = Vec::new();
            members.extend(t.map(|t| format!("\"t\":{t}")));
            members.extend(r.map(|r| format!("\"r\":{r}")));
            members.extend(a.map(|a| format!("\"a\":{a}")));
            members.extend(b.map(|b| format!("\"b\":{b}")));
            members.extend(d.map(|d| format!("\"c\":{{\"d\":{d}}}")));
            format!("{{{}}}", members.join(","))
        })
}

pub(crate) fn field() -> impl Strategy<Value = FieldRef> {
    prop_oneof![
        4 => (0..FIELDS.len()).prop_map(|index| FieldRef::Path(path(FIELDS[index]))),
        1 => Just(FieldRef::Id),
        1 => Just(FieldRef::Version),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let operand = || any_scalar().prop_map(|json| value(&json));
    let comparison = prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::NotEqual),
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual),
    ];
    let noon = thalweg_model::parse_rfc3339("2020-01-01T00:00:00Z").unwrap();
    let leaf = prop_oneof![
        (comparison.clone(), operand()).prop_map(|(it, operand)| Test::Compare(it, operand)),
        comparison.prop_map(move |it| Test::Instant(it, noon)),
        Just(Test::StartsWith("x".to_owned())),
        Just(Test::StartsWith("x".repeat(190))),
        Just(Test::StartsWith("20".to_owned())),
        operand().prop_map(Test::Eq),
        operand().prop_map(Test::Ne),
        proptest::collection::vec(operand(), 0..3).prop_map(Test::In),
        operand().prop_map(|operand| Test::Compare(Comparison::Less, operand)),
        operand().prop_map(|operand| Test::Compare(Comparison::GreaterOrEqual, operand)),
        any::<bool>().prop_map(Test::IsNull),
        any::<bool>().prop_map(Test::Exists),
    ];
    leaf.prop_recursive(1, 3, 2, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..3).prop_map(Test::AllOf),
            proptest::collection::vec(inner.clone(), 1..3).prop_map(Test::AnyOf),
            inner.prop_map(|test| Test::Not(Box::new(test))),
        ]
    })
}

/// Tests of the lists `t` and `r`.
fn list_test() -> impl Strategy<Value = (FieldRef, Test)> {
    let k = || FieldRef::Path(path("k"));
    prop_oneof![
        test().prop_map(|it| (FieldRef::Path(path("t")), Test::ItemSome(Box::new(it)))),
        test().prop_map(|it| (FieldRef::Path(path("t")), Test::ItemEvery(Box::new(it)))),
        (test(), test()).prop_map(|(one, two)| {
            let some = |test| Test::ItemSome(Box::new(test));
            (
                FieldRef::Path(path("t")),
                Test::AllOf(vec![some(one), some(two)]),
            )
        }),
        test().prop_map(move |it| {
            let some = Predicate::Field(k(), it);
            (FieldRef::Path(path("r")), Test::Some(Box::new(some)))
        }),
    ]
}

pub(crate) fn predicate() -> impl Strategy<Value = Predicate> {
    let leaf = prop_oneof![
        1 => Just(Predicate::True),
        4 => (field(), test()).prop_map(|(field, test)| Predicate::Field(field, test)),
        1 => list_test().prop_map(|(field, test)| Predicate::Field(field, test)),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Predicate::And),
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Predicate::Or),
            inner.prop_map(|predicate| Predicate::Not(Box::new(predicate))),
        ]
    })
}

fn order() -> impl Strategy<Value = Vec<OrderKey>> {
    let key = (field(), any::<bool>()).prop_map(|(field, descending)| OrderKey {
        field,
        descending,
        instant: false,
    });
    proptest::collection::vec(key, 0..3)
}

pub(crate) fn deleted() -> impl Strategy<Value = Deleted> {
    prop_oneof![3 => Just(Deleted::Exclude), 1 => Just(Deleted::Include), 1 => Just(Deleted::Only)]
}

/// A page: `cursors` are indexes into the documents in order, to start after and to end before.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) filter: Predicate,
    pub(crate) order: Vec<OrderKey>,
    pub(crate) deleted: Deleted,
    pub(crate) after: Option<usize>,
    pub(crate) before: Option<usize>,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
    pub(crate) from_end: bool,
    pub(crate) count_total: bool,
    pub(crate) read: Vec<FieldRef>,
}

pub(crate) fn page() -> impl Strategy<Value = Page> {
    (
        (predicate(), order(), deleted()),
        (
            proptest::option::of(0..8usize),
            proptest::option::of(0..8usize),
            0..2usize,
            0..5usize,
        ),
        (
            any::<bool>(),
            any::<bool>(),
            proptest::collection::vec(field(), 0..3),
        ),
    )
        .prop_map(
            |((filter, order, deleted), (after, before, offset, limit), flags)| Page {
                filter,
                order,
                deleted,
                after,
                before,
                offset,
                limit,
                from_end: flags.0,
                count_total: flags.1,
                read: flags.2,
            },
        )
}

impl Page {
    /// The find, with its cursors taken from documents that are there, in the page's order.
    pub(crate) fn find(&self, collection: CollectionId, rows: &[Record<'_>]) -> Find {
        let mut positions: Vec<_> = rows
            .iter()
            .map(|row| Position::of(row, &self.order))
            .collect();
        positions.sort();
        let cursor = |index: Option<usize>| positions.get(index?).cloned();
        let mut read = FieldMask::none();
        self.read.iter().for_each(|field| read.add(field.clone()));
        Find {
            filter: Arc::new(self.filter.clone()),
            deleted: self.deleted,
            order: self.order.clone().into(),
            after: cursor(self.after),
            before: cursor(self.before),
            offset: self.offset,
            limit: self.limit,
            from_end: self.from_end,
            count_total: self.count_total,
            read,
            ..find_all(collection)
        }
    }
}

/// The value of a field as JSON, as a client would see it.
pub(crate) fn shown(record: &Record<'_>, field: &FieldRef) -> String {
    match field {
        FieldRef::Id => record.id().to_owned(),
        FieldRef::Version => record.version().to_string(),
        FieldRef::Path(path) => record
            .document()
            .at(path)
            .map_or("absent".to_owned(), |value| {
                String::from_utf8_lossy(value.json()).into()
            }),
        other => unreachable!("{other:?} is not generated"),
    }
}

/// The order of two documents, by values rather than by encoded keys.
pub(crate) fn compare(a: &Record<'_>, b: &Record<'_>, order: &[OrderKey]) -> Ordering {
    for key in order {
        let value_of = |record: &Record<'_>| match &key.field {
            FieldRef::Id => Value::string(record.id()),
            FieldRef::Version => Value::int(i64::try_from(record.version()).unwrap()),
            FieldRef::Path(path) => record
                .document()
                .at(path)
                .map_or(Value::null(), |value| value.to_value()),
            other => unreachable!("{other:?} is not generated"),
        };
        let ordering = value_of(a).as_ref().compare(value_of(b).as_ref());
        let ordering = if key.descending {
            ordering.reverse()
        } else {
            ordering
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    a.id().cmp(b.id())
}

pub(crate) fn write(collection: CollectionId) -> impl Strategy<Value = Intent> {
    write_among(collection, IDS.len())
}

/// A write of one of the documents with the ids from 0 up to a number.
pub(crate) fn write_among(
    collection: CollectionId,
    documents: usize,
) -> impl Strategy<Value = Intent> {
    let any_id = (0..documents).prop_map(|index| index.to_string());
    prop_oneof![
        2 => (any_id.clone(), document()).prop_map(|(of, json)| Intent::Put {
            collection: named("a"),
            id: Some(id(&of)),
            document: crate::fixture::document(&json),
            expiry: ExpiryChange::KEEP,
        }),
        4 => (any_id.clone(), 0..FIELDS.len(), scalar()).prop_map(move |(of, field, json)| {
            patch(collection, &of, vec![set(FIELDS[field], &json)])
        }),
        1 => any_id.clone().prop_map(move |of| patch(collection, &of, vec![increment("n", 1)])),
        2 => (any_id.clone(), any::<bool>()).prop_map(move |(of, permanent)| Intent::Delete {
            collection,
            id: id(&of),
            permanent,
            if_version: None,
            purge_at: None,
        }),
        1 => any_id.prop_map(move |of| Intent::Restore { collection, id: id(&of), to: None }),
    ]
}

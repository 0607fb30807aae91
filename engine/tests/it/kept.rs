//! Reads that are kept and moved along by the changes are what reading anew gives.

use std::sync::Arc;

use proptest::prelude::*;
use thalweg_engine::{
    Aggregate, Aggregation, Deleted, DependencySet, Engine, ExpiryChange, FieldRef, Find, FindEach,
    Found, Function, Intent, KeptReads, OrderKey, Predicate, Snapshot, ValueKind,
};
use thalweg_model::CollectionId;

use crate::fixture::{commit, document, engine, find_all, id, named, path};
use crate::world::{self, Page};

const A: CollectionId = CollectionId(16);
const DOCUMENTS: usize = 40;

/// What the rows of a page show.
const READ: [&str; 3] = ["a", "b", "c.d"];

fn named_field(name: &str) -> FieldRef {
    FieldRef::Path(path(name))
}

/// A query: a page, and totals.
struct Query {
    page: Find,
    /// Pages of that kind, of the documents that satisfy these too.
    each: Vec<Predicate>,
    aggregate: Aggregate,
}

/// All that a run shows, and what it depends on.
fn run(query: &Query, snapshot: &Snapshot) -> (String, DependencySet) {
    let mut pages = vec![snapshot.find(&query.page).unwrap()];
    let wanted = FindEach {
        find: query.page.clone(),
        field: named_field("a"),
        each: query.each.clone(),
    };
    pages.extend(snapshot.find_each(&wanted).unwrap());
    let told = |found: &Found<'_>| {
        let rows = found.rows.iter().map(|row| {
            let fields = READ.map(|field| world::shown(row, &named_field(field)));
            format!("{}{fields:?}", row.id())
        });
        let rows: Vec<String> = rows.collect();
        format!(
            "{rows:?} {} {} {:?}",
            found.has_before, found.has_after, found.total
        )
    };
    let shown: Vec<String> = pages.iter().map(told).collect();
    let made = snapshot.aggregate(&query.aggregate).unwrap();
    let mut dependencies = made.dependencies;
    for found in pages {
        dependencies.merge(found.dependencies);
    }
    (format!("{shown:#?} {:?}", made.totals), dependencies)
}

fn check(
    documents: &[String],
    page: &Page,
    each: &[Predicate],
    totals: &[Aggregation],
    writes: &[Intent],
) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let engine = engine();
    let mut intents = vec![Intent::CreateCollection { name: "a".into() }];
    intents.extend(documents.iter().zip(0..).map(|(json, of)| Intent::Put {
        collection: named("a"),
        id: Some(id(&i32::to_string(&of))),
        document: document(json),
        expiry: ExpiryChange::KEEP,
    }));
    runtime.block_on(commit(&engine, intents)).unwrap();
    let query = {
        let snapshot = engine.snapshot().unwrap();
        let rows = snapshot.find(&find_all(A)).unwrap().rows;
        let mut page = page.find(A, &rows);
        // Exactly what is shown is read.
        for field in ["a", "b", "c.d"] {
            page.read
                .add(thalweg_engine::FieldRef::Path(crate::fixture::path(field)));
        }
        let aggregate = Aggregate {
            collection: A,
            filter: Arc::clone(&page.filter),
            deleted: page.deleted,
            totals: totals.into(),
            grouping: None,
            groups_max: 0,
            bytes_max: 1 << 20,
        };
        let each = each.to_vec();
        Query {
            page,
            each,
            aggregate,
        }
    };
    follow(&engine, &runtime, &query, writes)
}

/// Runs the query after each write that touches it, with what is kept and without. Returns how often all was kept.
fn follow(
    engine: &Engine,
    runtime: &tokio::runtime::Runtime,
    query: &Query,
    writes: &[Intent],
) -> usize {
    let mut maintained = 0;
    let mut seen = engine.snapshot().unwrap().ts();
    let (mut shown, mut dependencies) = run(query, &engine.snapshot().unwrap());
    let mut kept = KeptReads::default();
    for write in writes {
        // What is refused changes nothing.
        let _ = runtime.block_on(commit(engine, vec![write.clone()]));
        let snapshot = engine.snapshot().unwrap();
        let commits = engine.recent_commits(seen).unwrap();
        seen = snapshot.ts();
        let (fresh, _) = run(query, &snapshot);
        let touching = commits
            .iter()
            .filter(|commit| dependencies.touched_by(commit));
        let mut is_touched = false;
        for commit in touching {
            is_touched = true;
            kept.follow(commit);
        }
        if is_touched {
            snapshot.keep_reads(kept);
            (shown, dependencies) = run(query, &snapshot);
            kept = snapshot.take_kept_reads().unwrap();
            maintained += usize::from(kept.was_enough());
        }
        assert_eq!(shown, fresh, "after {write:?}");
    }
    maintained
}

fn aggregation() -> impl Strategy<Value = Aggregation> {
    let function = prop_oneof![
        Just(Function::Sum),
        Just(Function::Average),
        Just(Function::Min),
        Just(Function::Max),
        Just(Function::CountDistinct),
    ];
    let kind = prop_oneof![
        Just(ValueKind::Float),
        Just(ValueKind::BigInt),
        Just(ValueKind::String),
        Just(ValueKind::DateTime),
        Just(ValueKind::Any),
    ];
    prop_oneof![
        1 => Just(Aggregation::Count),
        3 => (function, world::field(), kind).prop_map(|(function, field, kind)| Aggregation::Of {
            function,
            field,
            kind,
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn kept_reads_are_what_reading_anew_gives(
        documents in proptest::collection::vec(world::document(), DOCUMENTS),
        page in world::page(),
        each in proptest::collection::vec(world::predicate(), 0..4),
        totals in proptest::collection::vec(aggregation(), 0..3),
        writes in proptest::collection::vec(world::write_among(A, DOCUMENTS), 1..60),
    ) {
        check(&documents, &page, &each, &totals, &writes);
    }
}

fn greatest_first(limit: usize) -> Page {
    Page {
        filter: Predicate::True,
        order: vec![OrderKey {
            field: named_field("a"),
            descending: true,
            instant: false,
        }],
        deleted: Deleted::Exclude,
        after: None,
        before: None,
        offset: 0,
        limit,
        from_end: false,
        count_total: true,
        read: Vec::new(),
    }
}

fn numbered() -> Vec<String> {
    (0..DOCUMENTS).map(|n| format!(r#"{{"a":{n}}}"#)).collect()
}

fn delete(of: usize) -> Intent {
    Intent::Delete {
        collection: A,
        id: id(&of.to_string()),
        permanent: false,
        if_version: None,
        purge_at: None,
    }
}

#[test]
fn a_page_is_moved_along_without_reading_it_again() {
    // The first of them is read to be kept; eight beyond the page follow those that leave, then it is read again.
    let writes: Vec<Intent> = (20..DOCUMENTS).rev().map(delete).collect();
    let page = greatest_first(5);
    // Pages that are read together are kept as well.
    let not = |n: &str| {
        let value = thalweg_model::Value::parse(n.as_bytes()).unwrap();
        let is = Predicate::Field(named_field("a"), thalweg_engine::Test::Eq(value));
        Predicate::Not(Box::new(is))
    };
    for each in [vec![], vec![not("-1"), not("-2"), not("-3")]] {
        let maintained = check(&numbered(), &page, &each, &[Aggregation::Count], &writes);
        assert_eq!(maintained, 17);
    }
}

/// What comes to stand beyond the rows that are kept does not follow them: others lie between.
#[test]
fn a_row_from_beyond_what_is_kept_is_no_next_one() {
    let far = |of: usize| Intent::Put {
        collection: named("a"),
        id: Some(id(&format!("far {of}"))),
        document: document(r#"{"a":10.5}"#),
        expiry: ExpiryChange::KEEP,
    };
    let mut writes = vec![delete(DOCUMENTS - 1)];
    // The count tells of them, so they are followed.
    writes.extend((0..4).map(far));
    writes.extend((20..DOCUMENTS - 1).rev().map(delete));
    check(&numbered(), &greatest_first(5), &[], &[], &writes);
}

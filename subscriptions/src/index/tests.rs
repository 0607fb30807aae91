//! What the index finds, beside a test of every dependency.

use std::sync::Arc;

use proptest::prelude::*;
use thalweg_engine::{
    Choice, CollectionRef, Comparison, Deleted, Engine, EngineOptions, ExpiryChange, FieldMask,
    FieldRef, Find, Intent, LikePattern, OrderKey, Predicate, Test,
};
use thalweg_model::{CollectionId, CommitTs, Document, DocumentId, FieldPath, Value};
use thalweg_storage::MemoryBackend;

use super::*;

const A: CollectionId = CollectionId(16);

fn field(name: &str) -> FieldRef {
    FieldRef::Path(FieldPath::top(name))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::null()),
        (-2_i64..4).prop_map(Value::int),
        "[ab]{0,2}".prop_map(|text| Value::string(&text)),
        any::<bool>().prop_map(Value::boolean),
    ]
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop_oneof![
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let leaf = prop_oneof![
        value().prop_map(Test::Eq),
        value().prop_map(Test::Ne),
        prop::collection::vec(value(), 0..3).prop_map(Test::In),
        prop::collection::vec(value(), 0..3).prop_map(Test::NotIn),
        (comparison(), value()).prop_map(|(by, value)| Test::Compare(by, value)),
        (comparison(), 0_i64..3).prop_map(|(by, second)| Test::Instant(by, second * 1_000_000)),
        any::<bool>().prop_map(Test::IsNull),
        any::<bool>().prop_map(Test::Exists),
        "[ab]".prop_map(Test::StartsWith),
        "[ab]".prop_map(|text| Test::Like(LikePattern::new(&format!("%{text}%")))),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Test::AllOf),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Test::AnyOf),
            inner.prop_map(|test| Test::Not(Box::new(test))),
        ]
    })
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let tested = prop_oneof![
        Just(field("f")),
        Just(field("g")),
        Just(FieldRef::Id),
        Just(FieldRef::UpdatedAt),
        Just(FieldRef::Version),
    ];
    let leaf = prop_oneof![
        1 => Just(Predicate::True),
        8 => (tested, test()).prop_map(|(field, test)| Predicate::Field(field, test)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Predicate::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Predicate::Or),
            inner.prop_map(|predicate| Predicate::Not(Box::new(predicate))),
        ]
    })
}

fn find() -> impl Strategy<Value = Find> {
    let order = prop::collection::vec(
        (prop_oneof![Just("f"), Just("g")], any::<bool>()).prop_map(|(by, descending)| OrderKey {
            field: field(by),
            descending,
            instant: false,
        }),
        0..2,
    );
    let deleted = prop_oneof![
        Just(Deleted::Exclude),
        Just(Deleted::Include),
        Just(Deleted::Only)
    ];
    let read = prop::collection::vec(prop_oneof![Just("f"), Just("g"), Just("h")], 0..3);
    (predicate(), order, deleted, 1_usize..4, any::<bool>(), read).prop_map(
        |(filter, order, deleted, limit, from_end, read)| {
            let mut mask = FieldMask::none();
            for name in read {
                mask.add(field(name));
            }
            Find {
                collection: A,
                filter: Arc::new(filter),
                deleted,
                order: order.into(),
                after: None,
                before: None,
                offset: 0,
                limit,
                from_end,
                count_total: false,
                read: mask,
            }
        },
    )
}

fn document() -> impl Strategy<Value = String> {
    let member = || {
        prop_oneof![
            Just("null".to_owned()),
            (-2_i64..4).prop_map(|n| n.to_string()),
            "[ab]{0,2}".prop_map(|text| format!("\"{text}\"")),
            (0_u8..3).prop_map(|second| format!("\"1970-01-01T00:00:0{second}Z\"")),
        ]
    };
    (member(), member(), member()).prop_map(|(f, g, h)| format!(r#"{{"f":{f},"g":{g},"h":{h}}}"#))
}

fn write() -> impl Strategy<Value = Intent> {
    let id = || "[a-d]".prop_map(|id| DocumentId::new(&id).expect("not empty"));
    prop_oneof![
        6 => (id(), document()).prop_map(|(id, json)| Intent::Put {
            collection: CollectionRef::Name { name: "a".into(), create: true },
            id: Some(id),
            document: Document::parse(json.as_bytes()).expect("JSON"),
            expiry: ExpiryChange::KEEP,
        }),
        2 => (id(), any::<bool>()).prop_map(|(id, permanent)| Intent::Delete {
            collection: A,
            id,
            permanent,
            if_version: None,
            purge_at: None,
        }),
        1 => Just(Intent::TruncateCollection { name: "a".into() }),
    ]
}

async fn check(finds: Vec<Find>, writes: Vec<Intent>) {
    let engine = Engine::open(Arc::new(MemoryBackend::new()), EngineOptions::default())
        .expect("an empty store opens");
    let first = Intent::CreateCollection { name: "a".into() };
    let mut index = DependencyIndex::default();
    let mut ts = CommitTs::ZERO;
    for (round, write) in std::iter::once(first).chain(writes).enumerate() {
        let done = engine
            .transact(move |transaction| transaction.write(write.clone()).map(drop))
            .await;
        done.expect("a write that is allowed");
        if round > 0 {
            for commit in engine.recent_commits(ts).expect("all are in memory") {
                let mut found = Ids::default();
                index.affected(&commit, &mut found);
                for (live, dependencies) in &index.dependencies {
                    // No document satisfies such a filter, so not even an emptied collection matters to it.
                    let is_contradiction =
                        dependencies.reads().iter().all(|read| match &read.scope {
                            Scope::Range(range) => {
                                matches!(range.anchor(), Anchor::Field(_, keys) if keys.is_empty())
                            }
                            Scope::Document(_) => false,
                        });
                    let expected = dependencies.touched_by(&commit) && !is_contradiction;
                    assert_eq!(
                        found.contains(&live),
                        expected,
                        "{dependencies:?}\n{commit:?}"
                    );
                }
            }
        }
        let snapshot = engine.snapshot().expect("memory can be read");
        ts = snapshot.ts();
        for (live, find) in (0..).zip(&finds) {
            let found = snapshot.find_by(find, Choice::Any).expect("it is read");
            index.set(live_id(live), Arc::new(found.dependencies));
        }
        // One is away for a while, so that removing is tried.
        index.remove(live_id(round as u64 % finds.len() as u64));
    }
    for live in 0..finds.len() as u64 {
        index.remove(live_id(live));
    }
    assert!(index.collections.is_empty() && index.system.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_commit_finds_whom_it_touches_and_nobody_else(
        finds in prop::collection::vec(find(), 1..12),
        writes in prop::collection::vec(write(), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(check(finds, writes));
    }
}

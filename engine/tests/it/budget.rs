//! What an execution may use up: bounds hold exactly, whatever is read, and estimates say what is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thalweg_engine::{
    Comparison, Deleted, Engine, EngineError, FieldRef, Find, IndexDefinition, IndexStatus, Intent,
    Interrupt, Interruption, OrderKey, Predicate, Snapshot, Test, TransactionError,
};
use thalweg_model::{CollectionId, ErrorCode};

use crate::fixture::{collection, commit, create, engine, find_all, named, path, value};

const DOCUMENTS: u64 = 1_000;

async fn numbers() -> (Engine, CollectionId) {
    let engine = engine();
    let index = Intent::CreateIndex {
        collection: named("a"),
        definition: IndexDefinition::parse(["n"], false).unwrap(),
    };
    commit(
        &engine,
        vec![Intent::CreateCollection { name: "a".into() }, index],
    )
    .await
    .unwrap();
    let documents = (0..DOCUMENTS).map(|n| create("a", &format!(r#"{{"n":{n},"m":{}}}"#, n % 10)));
    commit(&engine, documents.collect()).await.unwrap();
    for _ in 0..10_000 {
        let catalog = engine.catalog();
        if matches!(
            catalog.by_name("a").unwrap().indexes[0].status,
            IndexStatus::Ready
        ) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let a = collection(&engine, "a");
    (engine, a)
}

fn field(name: &str) -> FieldRef {
    FieldRef::Path(path(name))
}

fn below(name: &str, most: u64) -> Arc<Predicate> {
    let test = Test::Compare(Comparison::Less, value(&most.to_string()));
    Arc::new(Predicate::Field(field(name), test))
}

/// Finds of every kind, with what each has to look at.
fn finds(a: CollectionId) -> Vec<(&'static str, Find, u64)> {
    let all = find_all(a);
    let by_n = OrderKey {
        field: field("n"),
        descending: false,
        instant: false,
    };
    let page = Find {
        limit: 9,
        ..all.clone()
    };
    vec![
        ("a page", page.clone(), 10),
        (
            "a page behind others",
            Find {
                offset: 40,
                ..page.clone()
            },
            50,
        ),
        (
            "nothing but a count",
            Find {
                limit: 0,
                count_total: true,
                ..all.clone()
            },
            1,
        ),
        (
            "a filter without an index",
            Find {
                filter: below("m", 3),
                ..page.clone()
            },
            DOCUMENTS,
        ),
        (
            "a range of an index",
            Find {
                filter: below("n", 20),
                ..all
            },
            20,
        ),
        (
            "an ordered page of an index",
            Find {
                order: Arc::from([by_n]),
                ..page.clone()
            },
            10,
        ),
        (
            "those deleted",
            Find {
                deleted: Deleted::Only,
                ..page
            },
            DOCUMENTS,
        ),
    ]
}

fn read(snapshot: &Snapshot, find: &Find) -> (Result<usize, EngineError>, u64) {
    let before = snapshot.documents_read();
    let found = snapshot.find(find).map(|found| found.rows.len());
    (found, snapshot.documents_read() - before)
}

#[tokio::test]
async fn a_find_is_estimated_at_what_it_reads_and_bounded_at_that() {
    let (engine, a) = numbers().await;
    let snapshot = engine.snapshot().unwrap();
    for (name, find, rows) in finds(a) {
        assert_eq!(snapshot.estimate(&find).unwrap(), rows, "{name}");
        let (found, reads) = read(&snapshot, &find);
        // A filter may have its page together before the end.
        assert!(reads <= rows, "{name}: {reads} of {rows}");
        let found = found.unwrap();
        for (rows_max, is_enough) in [
            (reads, true),
            (reads + 1, true),
            (reads.saturating_sub(1), false),
        ] {
            snapshot.limit_rows(Some(rows_max));
            let (bounded, used) = read(&snapshot, &find);
            match bounded {
                Ok(rows) => assert!(is_enough && rows == found, "{name} within {rows_max}"),
                Err(EngineError::RowsExceeded) => assert!(!is_enough, "{name} within {rows_max}"),
                Err(other) => panic!("{name}: {other}"),
            }
            assert!(used <= rows_max + 1, "{name}: {used} of {rows_max}");
        }
        snapshot.limit_rows(None);
    }
}

/// Lets so many questions pass.
struct Patience(AtomicU64);

impl Patience {
    fn of(questions: u64) -> Option<Arc<dyn Interrupt>> {
        Some(Arc::new(Patience(AtomicU64::new(questions))))
    }
}

impl Interrupt for Patience {
    fn interrupted(&self) -> Option<Interruption> {
        let asked = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        let time_max = Duration::from_secs(3);
        asked.err().map(|_| Interruption::TimedOut { time_max })
    }
}

#[tokio::test]
async fn what_takes_long_is_interrupted_also_where_only_rows_of_an_index_are_read() {
    let (engine, a) = numbers().await;
    let snapshot = engine.snapshot().unwrap();
    let scan = Find {
        filter: below("m", 3),
        ..find_all(a)
    };
    snapshot.set_interrupt(Patience::of(1));
    let (ended, reads) = read(&snapshot, &scan);
    let error = ended.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout);
    assert!(error.to_string().contains("more than 3s"), "{error}");
    assert!(reads < DOCUMENTS, "{reads}");

    snapshot.set_interrupt(Patience::of(0));
    let counted = snapshot.count(a, below("n", 900), Deleted::Exclude);
    assert_eq!(counted.unwrap_err().code(), ErrorCode::Timeout);
    snapshot.set_interrupt(None);
    assert_eq!(
        snapshot
            .count(a, below("n", 900), Deleted::Exclude)
            .unwrap(),
        900
    );

    // An earlier state is read from its history, too.
    let then = engine.snapshot_at(snapshot.ts()).unwrap();
    then.set_interrupt(Patience::of(0));
    assert_eq!(then.find(&scan).unwrap_err().code(), ErrorCode::Timeout);
}

#[tokio::test]
async fn a_transaction_has_its_budget_to_itself() {
    let (engine, a) = numbers().await;
    let scan = |rows_max: u64| {
        let find = Find {
            filter: below("m", 3),
            ..find_all(a)
        };
        move |transaction: &mut thalweg_engine::Transaction<'_>| {
            transaction.set_budget(Some(rows_max), None);
            assert_eq!(transaction.estimate(&find)?, DOCUMENTS);
            transaction.find(&find)?;
            transaction.write(create("a", r#"{"m":1}"#))?;
            Ok(())
        }
    };
    let refused = engine.transact(scan(DOCUMENTS - 1)).await.unwrap_err();
    assert!(
        matches!(refused, TransactionError::Engine(EngineError::RowsExceeded)),
        "{refused}"
    );
    assert_eq!(refused.code(), ErrorCode::LimitExceeded);
    assert_eq!(
        engine.snapshot().unwrap().document_count(a).unwrap(),
        DOCUMENTS
    );
    engine.transact(scan(DOCUMENTS)).await.unwrap();
    assert_eq!(
        engine.snapshot().unwrap().document_count(a).unwrap(),
        DOCUMENTS + 1
    );
}

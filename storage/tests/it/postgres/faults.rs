//! Servers that stop, and connections that break: what was acknowledged is there, once, and errors say what is known.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use thalweg_model::ErrorClass;
use thalweg_storage::conformance::postgres_server::{PostgresServer, StopMode};
use thalweg_storage::{
    Backend, Batch, CommitError, Direction, Head, PostgresBackend, PostgresOptions, StorageError,
};

use super::{Schema, batch, commit, eventually, put};

/// What a writer knows of its batches. Each batch puts its number, and the sum of all numbers that it knows to be there.
#[derive(Default)]
struct Ledger {
    /// The number of every batch that was acknowledged.
    acknowledged: Vec<u64>,
    /// Those that were certainly not committed.
    refused: Vec<u64>,
    /// Those that may have been.
    in_doubt: Vec<u64>,
}

/// Commits until told to stop, and takes over after every doubt, as an engine does.
fn write_until(store: &dyn Backend, stop: &AtomicBool, acknowledged: &AtomicU64) -> Ledger {
    let mut ledger = Ledger::default();
    let mut head = take_over(store);
    for number in 0_u64.. {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let mut batch = batch(
            Some(head),
            vec![put(&number.to_be_bytes(), &number.to_be_bytes())],
        );
        batch.head.epoch = head.epoch;
        match store.commit(&batch) {
            Ok(()) => {
                ledger.acknowledged.push(number);
                acknowledged.fetch_add(1, Ordering::Release);
                head = batch.head;
            }
            Err(CommitError::NotCommitted(error)) => {
                assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
                ledger.refused.push(number);
            }
            Err(CommitError::Indeterminate(_)) => {
                ledger.in_doubt.push(number);
                head = take_over(store);
            }
            Err(CommitError::Fenced { found }) => {
                panic!("nobody else writes, and {found:?} is stored")
            }
        }
    }
    ledger
}

/// Raises the epoch until that is certain.
fn take_over(store: &dyn Backend) -> Head {
    let mut epoch = 0;
    eventually("a take-over", || {
        let found = store
            .snapshot()
            .map_err(|error| format!("{error:?}"))?
            .head();
        epoch = found.map_or(0, |head| head.epoch).max(epoch) + 1;
        let mut batch = batch(found, Vec::new());
        batch.head.epoch = epoch;
        store
            .commit(&batch)
            .map(|()| batch.head)
            .map_err(|error| format!("{error:?}"))
    })
}

fn check(store: &dyn Backend, ledger: &Ledger) {
    let mut found = Vec::new();
    store
        .snapshot()
        .unwrap()
        .scan(
            Bound::Unbounded,
            Bound::Unbounded,
            Direction::Forward,
            &mut |key, value| {
                assert_eq!(key, &*value);
                found.push(u64::from_be_bytes(key.try_into().unwrap()));
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    for number in &ledger.acknowledged {
        assert!(
            found.binary_search(number).is_ok(),
            "{number} was acknowledged and is lost"
        );
    }
    for number in &ledger.refused {
        assert!(
            found.binary_search(number).is_err(),
            "{number} was refused and is there"
        );
    }
    assert!(found.len() <= ledger.acknowledged.len() + ledger.in_doubt.len());
}

/// Waits until that many more batches are acknowledged.
fn let_it_write(acknowledged: &AtomicU64, more: u64) {
    let goal = acknowledged.load(Ordering::Acquire) + more;
    eventually("commits go on", || {
        let now = acknowledged.load(Ordering::Acquire);
        if now >= goal { Ok(()) } else { Err(now) }
    });
}

#[test]
fn nothing_acknowledged_is_lost_when_the_server_restarts_under_load() {
    let server = PostgresServer::start_new().unwrap();
    let schema = Schema::on(server.url());
    let store = schema.open(PostgresOptions::default());
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let ledger = thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&store, &stop, &acknowledged));
        for mode in [
            StopMode::Immediate,
            StopMode::Fast,
            StopMode::Immediate,
            StopMode::Immediate,
        ] {
            let_it_write(&acknowledged, 100);
            server.stop(mode).unwrap();
            let asked = Instant::now();
            let error = store.snapshot().err().expect("the server is stopped");
            assert!(
                matches!(error, StorageError::Unavailable { .. }),
                "{error:?}"
            );
            assert!(
                asked.elapsed() < Duration::from_secs(10),
                "it is said quickly"
            );
            server.start().unwrap();
            eventually("the store comes back by itself", || {
                store.snapshot().map(drop)
            });
        }
        let_it_write(&acknowledged, 100);
        stop.store(true, Ordering::Release);
        writer.join().unwrap()
    });
    assert!(ledger.acknowledged.len() >= 500);
    assert!(
        ledger.refused.len() + ledger.in_doubt.len() > 0,
        "the load noticed nothing"
    );
    check(&store, &ledger);
}

#[test]
fn nothing_acknowledged_is_lost_when_connections_are_killed_under_load() {
    let schema = Schema::new();
    let store = PostgresBackend::open(
        &schema.url(&format!("&application_name={}", schema.name)),
        PostgresOptions::default(),
    )
    .unwrap();
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let ledger = thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&store, &stop, &acknowledged));
        for _ in 0..40 {
            let_it_write(&acknowledged, 7);
            kill_connections(&schema);
        }
        let_it_write(&acknowledged, 7);
        stop.store(true, Ordering::Release);
        writer.join().unwrap()
    });
    check(&store, &ledger);
}

fn kill_connections(schema: &Schema) {
    let killed = schema.sql(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
        schema.name
    ));
    assert!(!killed.is_empty(), "there was nothing to kill");
}

#[test]
fn a_scan_whose_connection_is_killed_ends_with_an_error() {
    let schema = Schema::new();
    let store = PostgresBackend::open(
        &schema.url(&format!("&application_name={}", schema.name)),
        PostgresOptions::default(),
    )
    .unwrap();
    commit(&store, (0..200_u8).map(|key| put(&[key], &[key])).collect());
    let snapshot = store.snapshot().unwrap();
    let mut seen = 0_u8;
    let result = snapshot.scan(
        Bound::Unbounded,
        Bound::Unbounded,
        Direction::Forward,
        &mut |key, _| {
            assert_eq!(key, [seen], "rows that are shown are right");
            if seen == 5 {
                kill_connections(&schema);
            }
            seen += 1;
            ControlFlow::Continue(())
        },
    );
    assert!(
        matches!(result, Err(StorageError::Unavailable { .. })),
        "{result:?}"
    );
    assert!(seen < 200);
    assert!(
        matches!(snapshot.get(&[1]), Err(StorageError::Unavailable { .. })),
        "it does not revive"
    );
    drop(snapshot);
    assert!(store.snapshot().unwrap().get(&[1]).unwrap().is_some());
}

#[test]
fn a_batch_that_waits_for_a_rival_in_doubt_is_decided_by_it() {
    let schema = Schema::new();
    let store = Arc::new(schema.open(PostgresOptions::default()));
    let head = commit(&*store, vec![put(b"a", b"1")]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (client, connection) = runtime
        .block_on(tokio_postgres::connect(
            &schema.server,
            tokio_postgres::NoTls,
        ))
        .unwrap();
    runtime.spawn(connection);
    for outcome in ["ROLLBACK", "COMMIT"] {
        // A transaction whose client nobody hears of any more: it has written its head, and is not committed yet.
        let in_doubt = batch(Some(head), Vec::new());
        let digits: String = in_doubt
            .head
            .encode()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let update = format!(
            "BEGIN; UPDATE {}.meta SET value = '\\x{digits}' WHERE name = 'head'",
            schema.name
        );
        runtime.block_on(client.batch_execute(&update)).unwrap();
        let take_over = Batch {
            head: Head {
                epoch: head.epoch + 1,
                ..in_doubt.head
            },
            ..batch(Some(head), Vec::new())
        };
        let committing = thread::spawn({
            let store = Arc::clone(&store);
            move || store.commit(&take_over)
        });
        eventually("the take-over waits for the lock", || {
            let waiting = schema.sql(&format!(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE%{}%'",
                schema.name
            ));
            if waiting.is_empty() {
                Err("it does not")
            } else {
                Ok(())
            }
        });
        assert!(!committing.is_finished());
        runtime.block_on(client.batch_execute(outcome)).unwrap();
        let result = committing.join().unwrap();
        match outcome {
            "ROLLBACK" => {
                assert!(result.is_ok(), "{result:?}");
                // Back to where it was, for the second round.
                let digits: String = head
                    .encode()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                schema.sql(&format!(
                    "UPDATE {}.meta SET value = '\\x{digits}' WHERE name = 'head'",
                    schema.name
                ));
            }
            _ => assert!(
                matches!(result, Err(CommitError::Fenced { found }) if found == Some(in_doubt.head)),
                "{result:?}"
            ),
        }
    }
}

//! Opening, the life of snapshots, and pages of a scan.

use std::cell::Cell;
use std::ops::{Bound, ControlFlow};
use std::time::{Duration, Instant};

use thalweg_model::ErrorClass;
use thalweg_storage::{Backend, Direction, PostgresBackend, PostgresOptions, StorageError, Write};

use super::{Schema, batch, commit, eventually, put};

fn refusal(schema: &Schema) -> StorageError {
    let opened = PostgresBackend::open(&schema.url(""), PostgresOptions::default());
    opened.err().expect("it must not open")
}

#[test]
fn a_newer_format_and_foreign_tables_are_refused() {
    let schema = Schema::new();
    drop(schema.open(PostgresOptions::default()));
    let name = &schema.name;
    schema.sql(&format!(
        "UPDATE {name}.meta SET value = '\\x00000002' WHERE name = 'format'"
    ));
    let found = refusal(&schema);
    assert!(
        matches!(
            found,
            StorageError::Format {
                found: 2,
                supported: 1
            }
        ),
        "{found:?}"
    );
    schema.sql(&format!("DELETE FROM {name}.meta WHERE name = 'format'"));
    assert_eq!(refusal(&schema).class(), ErrorClass::Corruption);
    schema.sql(&format!("DROP TABLE {name}.meta"));
    let found = refusal(&schema);
    assert!(
        found.to_string().contains("only one of the tables"),
        "{found}"
    );
}

#[test]
fn a_store_can_be_created_by_many_at_once() {
    let schema = Schema::new();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| drop(schema.open(PostgresOptions::default())));
        }
    });
}

#[test]
fn a_server_that_is_not_there_is_unavailable_at_once() {
    let started = Instant::now();
    let url = "postgres://nobody@127.0.0.1:9/none".parse().unwrap();
    let error = PostgresBackend::open(&url, PostgresOptions::default())
        .err()
        .unwrap();
    assert!(
        matches!(error, StorageError::Unavailable { .. }),
        "{error:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(10));
}

thread_local! {
    static AGED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn test_clock() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now) + AGED.get()
}

#[test]
fn an_old_snapshot_expires_and_its_successor_does_not() {
    let schema = Schema::new();
    let store = schema.open(PostgresOptions {
        clock: test_clock,
        reader_lifetime_max: Duration::from_secs(20),
        ..PostgresOptions::default()
    });
    commit(&store, vec![put(b"a", b"1"), put(b"b", b"2")]);
    let snapshot = store.snapshot().unwrap();
    AGED.set(Duration::from_secs(20));
    assert!(snapshot.get(b"a").unwrap().is_some());
    AGED.set(Duration::from_secs(21));
    assert_eq!(store.usage().unwrap().oldest_snapshot, Some(AGED.get()));
    let scan = snapshot.scan(
        Bound::Unbounded,
        Bound::Unbounded,
        Direction::Forward,
        &mut |_, _| panic!("an expired snapshot shows nothing"),
    );
    for result in [snapshot.get(b"a").map(drop), scan] {
        assert!(
            matches!(result, Err(StorageError::SnapshotExpired { .. })),
            "{result:?}"
        );
    }
    assert!(store.snapshot().unwrap().get(b"a").unwrap().is_some());
}

#[test]
fn more_snapshots_than_connections_wait_for_a_limited_time() {
    let schema = Schema::new();
    let options = PostgresOptions {
        connection_wait_max: Duration::from_millis(50),
        ..PostgresOptions::default()
    };
    let store = PostgresBackend::open(&schema.url("&connections=2"), options).unwrap();
    let held = [store.snapshot().unwrap(), store.snapshot().unwrap()];
    let error = store.snapshot().err().unwrap();
    assert!(
        matches!(&error, StorageError::Unavailable { reason } if reason.contains("all 2 connections")),
        "{error:?}"
    );
    // Readers never take the connection that commits.
    store.commit(&batch(None, vec![put(b"a", b"1")])).unwrap();
    drop(held);
    assert!(store.snapshot().is_ok());
}

#[test]
fn rows_of_all_sizes_come_in_order_and_whole() {
    let schema = Schema::new();
    let store = schema.open(PostgresOptions::default());
    // Runs of small rows, so that pages grow, then rows that no page of such a size may hold.
    let rows: Vec<(Vec<u8>, Vec<u8>)> = (0..3000_u32)
        .map(|number| {
            let length = if number % 1000 > 940 { 200_000 } else { 20 };
            (number.to_be_bytes().to_vec(), vec![number as u8; length])
        })
        .collect();
    commit(
        &store,
        rows.iter().map(|(key, value)| put(key, value)).collect(),
    );
    let snapshot = store.snapshot().unwrap();
    for direction in [Direction::Forward, Direction::Backward] {
        let mut expected: Vec<_> = rows.iter().collect();
        if direction == Direction::Backward {
            expected.reverse();
        }
        let mut seen = 0;
        snapshot
            .scan(
                Bound::Unbounded,
                Bound::Unbounded,
                direction,
                &mut |key, value| {
                    let (expected_key, expected_value) = expected[seen];
                    assert!(
                        key == expected_key && *value == **expected_value,
                        "row {seen}, {direction:?}"
                    );
                    // The snapshot can be read from within a visit.
                    if seen % 500 == 0 {
                        assert_eq!(snapshot.get(key).unwrap(), Some(value));
                    }
                    seen += 1;
                    ControlFlow::Continue(())
                },
            )
            .unwrap();
        assert_eq!(seen, rows.len());
    }
}

#[test]
fn a_large_store_is_estimated() {
    let schema = Schema::new();
    let store = schema.open(PostgresOptions::default());
    for part in 0..5_u8 {
        let rows = (0..1000_u32).map(|row| {
            let key = [&[part][..], &row.to_be_bytes()].concat();
            put(&key, &row.to_be_bytes().repeat(2500))
        });
        commit(&store, rows.collect());
    }
    commit(
        &store,
        vec![Write::DeleteRange {
            from: vec![0],
            to: vec![4],
        }],
    );
    // The server's statistics follow a little later.
    eventually("an estimate that follows", || {
        let usage = store.usage().unwrap();
        assert!(usage.bytes_live <= usage.bytes_on_disk, "{usage:?}");
        if usage.bytes_live < usage.bytes_on_disk / 2 {
            Ok(())
        } else {
            Err(usage)
        }
    });
}

#[test]
fn the_store_can_be_used_from_tasks_of_any_runtime() {
    let schema = Schema::new();
    let store = std::sync::Arc::new(schema.open(PostgresOptions::default()));
    commit(&*store, vec![put(b"a", b"1")]);
    for mut builder in [
        tokio::runtime::Builder::new_current_thread(),
        tokio::runtime::Builder::new_multi_thread(),
    ] {
        let runtime = builder.worker_threads(1).build().unwrap();
        let store = std::sync::Arc::clone(&store);
        // More reads than a task may do before it must give way to others.
        let reads = runtime.spawn(async move {
            let snapshot = store.snapshot().unwrap();
            (0..1000)
                .filter(|_| snapshot.get(b"a").unwrap().is_some())
                .count()
        });
        assert_eq!(runtime.block_on(reads).unwrap(), 1000);
    }
}

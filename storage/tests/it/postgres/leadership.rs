//! Several servers on one store: who leads, who is fenced, who is woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use thalweg_storage::{Backend, CommitError, Head, PostgresBackend, PostgresOptions};

use super::{PATIENCE, Schema, batch, commit, eventually, put};

#[test]
fn one_of_two_servers_leads_until_it_gives_up() {
    let schema = Schema::new();
    let first = schema.open(PostgresOptions::default());
    let second = schema.open(PostgresOptions::default());
    let elsewhere = Schema::new();
    let leadership = first.lead().unwrap().expect("nobody leads yet");
    assert!(leadership.is_held());
    assert!(second.lead().unwrap().is_none());
    assert!(first.lead().unwrap().is_none(), "not twice either");
    // Another store of the same database is another matter.
    assert!(
        elsewhere
            .open(PostgresOptions::default())
            .lead()
            .unwrap()
            .is_some()
    );

    drop(leadership);
    let successor = eventually("the lock is released", || {
        second.lead().unwrap().ok_or("still held")
    });
    assert!(successor.is_held());
    assert!(first.lead().unwrap().is_none());
}

#[test]
fn asking_for_the_leadership_again_takes_no_further_connection() {
    let schema = Schema::new();
    let leader = schema.open(PostgresOptions::default());
    let _leadership = leader.lead().unwrap().expect("nobody leads yet");
    let name = format!("asks_{}", schema.name);
    let url = schema.url(&format!("&application_name={name}"));
    let follower = PostgresBackend::open(&url, PostgresOptions::default()).unwrap();
    let connections = || {
        schema.sql(&format!(
            "SELECT pid FROM pg_stat_activity WHERE application_name = '{name}' AND query LIKE '%advisory_lock%'"
        ))
    };
    assert!(follower.lead().unwrap().is_none());
    let first = connections();
    assert_eq!(first.len(), 1);
    for _ in 0..5 {
        assert!(follower.lead().unwrap().is_none());
    }
    assert_eq!(connections(), first);
    // And if that one breaks, another takes its place.
    schema.sql(&format!("SELECT pg_terminate_backend({})", first[0]));
    eventually("it asks again", || match follower.lead() {
        Ok(None) => Ok(()),
        Ok(Some(_)) => panic!("somebody else leads"),
        Err(error) => Err(error),
    });
    let second = eventually("the broken one is gone", || {
        let found = connections();
        if found.contains(&first[0]) {
            Err(found)
        } else {
            Ok(found)
        }
    });
    assert_eq!(second.len(), 1);
}

#[test]
fn a_leader_whose_connection_breaks_notices_and_is_replaced() {
    let schema = Schema::new();
    let first = schema.open(PostgresOptions::default());
    let second = schema.open(PostgresOptions::default());
    let leadership = first.lead().unwrap().expect("nobody leads yet");
    schema.sql(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND objid = '{}.kv'::regclass::oid",
        schema.name
    ));
    eventually("it notices", || {
        if leadership.is_held() {
            Err("held")
        } else {
            Ok(())
        }
    });
    let successor = eventually("the lock is free", || {
        second.lead().unwrap().ok_or("still held")
    });
    assert!(successor.is_held());
    assert!(!leadership.is_held(), "what is lost stays lost");
}

#[test]
fn of_two_servers_that_write_one_is_fenced() {
    let schema = Schema::new();
    let stores = [
        schema.open(PostgresOptions::default()),
        schema.open(PostgresOptions::default()),
    ];
    let mut stored: Option<Head> = None;
    for round in 0..30_u8 {
        let results: Vec<Result<Head, CommitError>> = thread::scope(|scope| {
            let writers: Vec<_> = stores
                .iter()
                .zip(1..)
                .map(|(store, rival)| {
                    let mut batch = batch(stored, vec![put(b"winner", &[round, rival])]);
                    batch.head.epoch += u64::from(rival);
                    scope.spawn(move || store.commit(&batch).map(|()| batch.head))
                })
                .collect();
            writers
                .into_iter()
                .map(|writer| writer.join().unwrap())
                .collect()
        });
        let winners: Vec<Head> = results
            .iter()
            .filter_map(|result| result.as_ref().ok().copied())
            .collect();
        let [winner] = winners[..] else {
            panic!("round {round}: {results:?}");
        };
        let is_fenced = |result: &Result<Head, CommitError>| matches!(result, Err(CommitError::Fenced { found }) if *found == Some(winner));
        assert!(results.iter().any(is_fenced), "round {round}: {results:?}");
        stored = Some(winner);
    }
}

#[test]
fn commits_wake_those_who_watch_even_after_their_connection_broke() {
    let schema = Schema::new();
    let writer = schema.open(PostgresOptions::default());
    let follower = schema.open(PostgresOptions::default());
    let (sender, woken) = mpsc::channel();
    let also_woken = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&also_woken);
    follower.on_commit(Arc::new(move || {
        // The test has ended when nobody listens any more.
        let _ = sender.send(());
    }));
    follower.on_commit(Arc::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    // It begins with a wake-up: whatever was committed before.
    woken.recv_timeout(PATIENCE).unwrap();
    for round in 0..3_u8 {
        commit(&writer, vec![put(b"round", &[round])]);
        woken.recv_timeout(PATIENCE).unwrap();
        let snapshot = follower.snapshot().unwrap();
        assert_eq!(
            snapshot.get(b"round").unwrap().as_deref(),
            Some(&[round][..])
        );
        // Here, between two commits, the listening connection is ended; its successor begins with a wake-up.
        let ended = schema.sql(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE query LIKE 'LISTEN thalweg\\_%' AND query LIKE '%' || '{}.kv'::regclass::oid",
            schema.name
        ));
        assert_eq!(ended.len(), 1);
        woken.recv_timeout(PATIENCE).unwrap();
    }
    assert!(also_woken.load(Ordering::Relaxed) >= 6);
}

//! kill -9 under write load: every acknowledged batch is there afterwards, and none in part.

use std::io::{BufRead, BufReader, Write as _};
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::process::Stdio;

use thalweg_model::CommitTs;
use thalweg_storage::{
    Backend, Batch, Direction, EmbeddedBackend, EmbeddedOptions, Head, Snapshot, Write,
};

use crate::child;

const ROUNDS: usize = 8;
const KEYS: u8 = 30;

/// Within a round the log is applied, and its segments are used again, several times.
fn open(directory: &Path) -> EmbeddedBackend {
    let options = EmbeddedOptions {
        log_segment_bytes_max: 1 << 20,
        apply_bytes: 512 << 10,
        ..EmbeddedOptions::default()
    };
    EmbeddedBackend::open(directory, options).unwrap()
}

/// Batch n overwrites a block of keys with n and adds one key of its own.
fn batch(expected: Option<Head>) -> Batch {
    let number = expected.map_or(1, |head| head.batch + 1);
    let filling = (number % 5_000) as usize;
    let mut writes: Vec<Write> = (0..KEYS)
        .map(|key| Write::Put {
            key: vec![b'b', key],
            value: [&number.to_be_bytes()[..], &vec![key; filling]].concat(),
        })
        .collect();
    writes.push(Write::Put {
        key: [b"n", &number.to_be_bytes()[..]].concat(),
        value: Vec::new(),
    });
    Batch {
        expected,
        head: Head {
            epoch: 1,
            commit_ts: CommitTs::from_micros(number),
            batch: number,
        },
        writes,
    }
}

#[test]
#[ignore = "the writer that the test below kills"]
fn write_until_killed() {
    let store = open(&child::directory());
    let mut head = store.snapshot().unwrap().head();
    loop {
        let batch = batch(head);
        store.commit(&batch).unwrap();
        head = Some(batch.head);
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {}", batch.head.batch).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn acknowledged_batches_survive_kill_9_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..ROUNDS {
        let mut writer = child::command("crash::write_until_killed", directory.path(), "")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = before;
        let mut in_this_round = 0;
        for line in BufReader::new(writer.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // The harness prefixes the first one with the name of the test.
            let Some((_, number)) = line.split_once("acknowledged ") else {
                continue;
            };
            acknowledged = number.parse().unwrap();
            in_this_round += 1;
            // Lines that were in the pipe when it died are acknowledgements too: read on to the end.
            if in_this_round == 10 + 17 * round {
                writer.kill().unwrap();
            }
        }
        assert!(!writer.wait().unwrap().success());
        assert!(
            acknowledged > before,
            "the writer of round {round} wrote nothing"
        );

        let store = open(directory.path());
        let snapshot = store.snapshot().unwrap();
        let found = snapshot.head().unwrap().batch;
        assert!(
            found >= acknowledged,
            "{acknowledged} was acknowledged, {found} is there"
        );
        assert_is_state_of(snapshot.as_ref(), found);
        before = found;
    }
}

fn assert_is_state_of(snapshot: &dyn Snapshot, number: u64) {
    let mut block = 0;
    let mut own = 0;
    snapshot
        .scan(
            Bound::Unbounded,
            Bound::Unbounded,
            Direction::Forward,
            &mut |key, value| {
                if key[0] == b'b' {
                    assert_eq!(
                        value[..8],
                        number.to_be_bytes(),
                        "{key:?} is of another batch"
                    );
                    assert!(value[8..].iter().all(|byte| *byte == key[1]));
                    block += 1;
                } else {
                    own += 1;
                    assert_eq!(key[1..], u64::to_be_bytes(own), "a batch is missing");
                }
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    assert_eq!((block, own), (KEYS, number));
}

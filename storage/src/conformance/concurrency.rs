//! Readers beside a writer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::Fixture;
use super::script::{all, batch_after, delete_range, open, put};
use crate::Backend;

const BATCHES: u64 = 150;
const READERS: usize = 4;
const KEYS: u8 = 40;

/// Batch n writes n under every key and removes what batch n - 1 put in the margin, so a mix of batches shows.
pub(super) fn readers_see_whole_batches_during_commits(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let finished = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| read_until(backend.as_ref(), &finished));
        }
        // Set on a panic of the writer too, else the readers would wait for ever.
        let _finish = SetOnDrop(&finished);
        let mut head = None;
        for number in 1..=BATCHES {
            let mut writes: Vec<_> = (0..KEYS)
                .map(|key| put([b'k', key], number.to_be_bytes()))
                .collect();
            writes.push(delete_range("m", "n"));
            writes.push(put([b"m", &number.to_be_bytes()[..]].concat(), ""));
            let batch = batch_after(head, writes);
            if let Err(error) = backend.commit(&batch) {
                panic!("batch {number} was refused: {error:?}");
            }
            head = Some(batch.head);
        }
    });
}

fn read_until(backend: &dyn Backend, finished: &AtomicBool) {
    let mut newest = 0;
    loop {
        let last_look = finished.load(Ordering::Acquire);
        let snapshot = open(backend);
        let number = snapshot.head().map_or(0, |head| head.batch);
        assert!(
            number >= newest,
            "batch {newest} was visible, and now only {number}"
        );
        newest = number;
        let rows = all(snapshot.as_ref());
        let expected_rows = if number == 0 {
            0
        } else {
            usize::from(KEYS) + 1
        };
        assert_eq!(rows.len(), expected_rows, "rows of batch {number}");
        for (key, value) in rows {
            let written = if key[0] == b'm' {
                &key[1..]
            } else {
                &value[..]
            };
            assert_eq!(
                written,
                number.to_be_bytes(),
                "{key:?} in the state of batch {number}"
            );
        }
        if last_look {
            assert_eq!(newest, BATCHES, "the last batch is missing");
            return;
        }
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

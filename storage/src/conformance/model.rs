//! Random histories, compared with an ordered map.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::Fixture;
use super::script::{
    Random, Row, all, batch_after, delete, delete_range, get, lies_between, open, put, scan,
};
use crate::{Backend, CommitError, Direction, Head, Snapshot, Write};

const HISTORIES: u64 = 12;
const BATCHES: usize = 60;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) fn random_batches_match_a_plain_map(fixture: &mut dyn Fixture) {
    for seed in 0..HISTORIES {
        // Shown only when the history fails.
        println!("history with seed {seed}");
        History::start(fixture, seed).play(fixture);
    }
}

/// One random history: the map that the store must equal, and a few old states that must stay readable.
struct History {
    random: Random,
    model: Model,
    head: Option<Head>,
    kept: Vec<(Box<dyn Snapshot>, Model)>,
}

impl History {
    /// Continues with whatever the histories before have left.
    fn start(fixture: &dyn Fixture, seed: u64) -> Self {
        let snapshot = open(fixture.backend().as_ref());
        Self {
            random: Random::new(seed),
            model: all(snapshot.as_ref()).into_iter().collect(),
            head: snapshot.head(),
            kept: Vec::new(),
        }
    }

    fn play(mut self, fixture: &mut dyn Fixture) {
        for _ in 0..BATCHES {
            self.commit(fixture.backend().as_ref());
            let snapshot = open(fixture.backend().as_ref());
            assert_eq!(snapshot.head(), self.head);
            self.compare_reads(snapshot.as_ref());
            if self.random.below(8) == 0 {
                self.kept.push((snapshot, self.model.clone()));
            } else {
                drop(snapshot);
            }
            if self.random.below(20) == 0 {
                self.check_kept();
                fixture.reopen();
                self.follow(fixture.backend().as_ref());
            }
        }
        self.check_kept();
    }

    /// Adopts an empty store after the reopening of one that keeps nothing.
    fn follow(&mut self, backend: &dyn Backend) {
        let snapshot = open(backend);
        if snapshot.head().is_none() {
            self.head = None;
            self.model.clear();
        }
        assert_eq!(snapshot.head(), self.head);
        assert!(
            all(snapshot.as_ref()) == rows_of(&self.model),
            "reopening changed the store"
        );
    }

    fn commit(&mut self, backend: &dyn Backend) {
        let writes: Vec<Write> = (0..self.random.below(40)).map(|_| self.write()).collect();
        // Now and then a stale batch, which must leave no trace.
        if let (Some(stored), 0) = (self.head, self.random.below(6)) {
            let stale = Head {
                batch: stored.batch.wrapping_sub(1),
                ..stored
            };
            let result = backend.commit(&batch_after(Some(stale), writes.clone()));
            assert!(
                matches!(result, Err(CommitError::Fenced { .. })),
                "{result:?}"
            );
        }
        let batch = batch_after(self.head, writes);
        if let Err(error) = backend.commit(&batch) {
            panic!("a valid batch was refused: {error:?}");
        }
        self.head = Some(batch.head);
        for write in batch.writes {
            match write {
                Write::Put { key, value } => {
                    self.model.insert(key, value);
                }
                Write::Delete { key } => {
                    self.model.remove(&key);
                }
                Write::DeleteRange { from, to } => {
                    self.model.retain(|key, _| !(from <= *key && *key < to));
                }
            }
        }
    }

    fn write(&mut self) -> Write {
        match self.random.below(10) {
            0..=6 => {
                let length = match self.random.below(20) {
                    0 => self.random.below(20_000),
                    _ => self.random.below(60),
                };
                put(self.key(), self.random.bytes(length))
            }
            7 | 8 => delete(self.key()),
            _ => delete_range(self.key(), self.key()),
        }
    }

    /// Short keys over few letters, so that keys meet again and are prefixes of each other.
    fn key(&mut self) -> Vec<u8> {
        const LETTERS: [u8; 4] = [0, 1, b'k', 0xFE];
        let length = match self.random.below(30) {
            0 => 300 + self.random.below(181),
            _ => 1 + self.random.below(4),
        };
        (0..length)
            .map(|_| LETTERS[self.random.below(LETTERS.len())])
            .collect()
    }

    fn bound(&mut self) -> Bound<Vec<u8>> {
        match self.random.below(5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(self.key()),
            _ => Bound::Excluded(self.key()),
        }
    }

    fn compare_reads(&mut self, snapshot: &dyn Snapshot) {
        for _ in 0..10 {
            let key = self.key();
            assert_eq!(
                get(snapshot, &key),
                self.model.get(&key).cloned(),
                "value of {key:?}"
            );
        }
        for _ in 0..4 {
            let (from, to) = (self.bound(), self.bound());
            let bounds = (
                from.as_ref().map(Vec::as_slice),
                to.as_ref().map(Vec::as_slice),
            );
            let mut expected: Vec<Row> = self
                .model
                .iter()
                .filter(|(key, _)| lies_between(key, bounds.0, bounds.1))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let forward = scan(snapshot, bounds.0, bounds.1, Direction::Forward);
            assert_eq!(forward, expected, "forward, {bounds:?}");
            expected.reverse();
            let backward = scan(snapshot, bounds.0, bounds.1, Direction::Backward);
            assert_eq!(backward, expected, "backward, {bounds:?}");
        }
    }

    /// Looks at every old state once more, and lets go of it.
    fn check_kept(&mut self) {
        for (snapshot, model) in self.kept.drain(..) {
            assert!(
                all(snapshot.as_ref()) == rows_of(&model),
                "an old snapshot has changed"
            );
        }
    }
}

fn rows_of(model: &Model) -> Vec<Row> {
    model
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

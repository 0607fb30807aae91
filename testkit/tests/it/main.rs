//! Simulations small enough for every test run; `cargo xtask sim` runs many more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use thalweg_storage::{
    Backend, Batch, CommitError, Head, MemoryBackend, Snapshot, StorageError, Usage,
};
use thalweg_testkit::{
    Fate, FaultRates, FaultyBackend, Mode, Random, Settings, StoreKind, Summary, simulate,
    simulate_on,
};

fn settings(seed: u64, store: StoreKind, mode: Mode) -> Settings {
    Settings {
        seed,
        store,
        transactions: 120,
        mode,
    }
}

#[track_caller]
fn run(store: StoreKind, mode: Mode, seeds: std::ops::Range<u64>) -> Summary {
    let mut total = Summary::default();
    for seed in seeds {
        match simulate(&settings(seed, store, mode)) {
            Ok(summary) => total.add(summary),
            Err(failure) => panic!("seed {seed}: {failure}"),
        }
    }
    total
}

#[test]
fn no_anomaly_in_memory_and_everything_happens() {
    let total = run(StoreKind::Memory, Mode::Stepped, 0..20);
    for (what, count) in [
        ("commits", total.committed),
        ("reads", total.read_only),
        ("refusals", total.refused),
        ("failures", total.failed),
        ("lost answers", total.unknown),
        ("crashes", total.lives - 20 * 2),
    ] {
        assert!(count > 0, "no {what} in {total}");
    }
}

#[test]
fn no_anomaly_on_disk() {
    run(StoreKind::Embedded, Mode::Stepped, 0..3);
}

#[test]
fn no_anomaly_among_real_threads() {
    run(StoreKind::Memory, Mode::Threads, 0..5);
}

/// Notes the heads and sizes of all batches, in order.
struct Recorder {
    inner: Arc<dyn Backend>,
    batches: Arc<Mutex<Vec<(Head, usize)>>>,
}

impl Backend for Recorder {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        self.inner.snapshot()
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let noted = (batch.head, batch.writes.len());
        self.batches
            .lock()
            .expect("nobody panics with it")
            .push(noted);
        self.inner.commit(batch)
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        self.inner.usage()
    }
}

#[test]
fn a_seed_repeats_a_run() {
    let batches = |seed| {
        let batches = Arc::new(Mutex::new(Vec::new()));
        let wrap = |inner| {
            let batches = Arc::clone(&batches);
            Arc::new(Recorder { inner, batches }) as Arc<dyn Backend>
        };
        let settings = settings(seed, StoreKind::Memory, Mode::Stepped);
        simulate_on(&settings, &wrap).unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        let batches = batches.lock().unwrap();
        assert!(batches.len() > 10);
        batches.clone()
    };
    for seed in 30..40 {
        assert_eq!(batches(seed), batches(seed), "seed {seed}");
    }
    assert_ne!(batches(30), batches(31));
}

/// Says that every batch is there, and loses one.
struct Forgetful {
    inner: Arc<dyn Backend>,
    left: Arc<AtomicU64>,
}

impl Backend for Forgetful {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        self.inner.snapshot()
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            return self.inner.commit(&Batch {
                writes: Vec::new(),
                ..batch.clone()
            });
        }
        self.inner.commit(batch)
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        self.inner.usage()
    }
}

#[test]
fn a_store_that_loses_a_batch_is_found_out() {
    for lost in [12, 20, 31] {
        let left = Arc::new(AtomicU64::new(lost));
        let wrap = |inner| {
            let left = Arc::clone(&left);
            Arc::new(Forgetful { inner, left }) as Arc<dyn Backend>
        };
        let settings = settings(3, StoreKind::Memory, Mode::Stepped);
        assert!(simulate_on(&settings, &wrap).is_err(), "batch {lost}");
    }
}

#[test]
fn a_faulty_backend_does_as_it_is_told() {
    let inner = Arc::new(MemoryBackend::new());
    let below = Arc::clone(&inner) as Arc<dyn Backend>;
    let backend = FaultyBackend::new(below, FaultRates::default(), Random::new(1));
    let head = |batch| Head {
        epoch: 1,
        commit_ts: thalweg_model::CommitTs::from_micros(batch),
        batch,
    };
    let landed = || {
        inner
            .snapshot()
            .unwrap()
            .head()
            .map_or(0, |head| head.batch)
    };
    let commit = |batch| {
        backend.commit(&Batch {
            expected: inner.snapshot().unwrap().head(),
            head: head(batch),
            writes: Vec::new(),
        })
    };
    let indeterminate = |result| matches!(result, Err(CommitError::Indeterminate(_)));
    commit(1).unwrap();
    backend.decide_next(Fate::Refuse);
    assert!(matches!(commit(2), Err(CommitError::NotCommitted(_))));
    assert_eq!(landed(), 1);
    backend.decide_next(Fate::LandUnknown);
    assert!(indeterminate(commit(2)));
    assert_eq!(landed(), 2);
    backend.decide_next(Fate::LoseUnknown);
    assert!(indeterminate(commit(3)));
    assert_eq!(landed(), 2);
    backend.decide_next(Fate::PowerOffAfter);
    assert!(indeterminate(commit(3)));
    assert_eq!(landed(), 3);
    assert!(backend.is_off() && backend.snapshot().is_err());
    assert!(indeterminate(commit(4)));
    assert_eq!(landed(), 3);
}

//! Short words for the properties: commit these writes, read that range.

use std::ops::{Bound, ControlFlow, RangeBounds};

use thalweg_model::CommitTs;

use crate::{Backend, Batch, CommitError, Direction, Head, Snapshot, Write};

/// A key and its value, as read.
pub(super) type Row = (Vec<u8>, Vec<u8>);

/// The head of the `number`-th batch of an epoch.
pub(super) fn head(epoch: u64, number: u64) -> Head {
    Head {
        epoch,
        commit_ts: CommitTs::from_micros(1_000_000 + number),
        batch: number,
    }
}

pub(super) fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Write {
    Write::Put {
        key: key.as_ref().to_vec(),
        value: value.as_ref().to_vec(),
    }
}

pub(super) fn delete(key: impl AsRef<[u8]>) -> Write {
    Write::Delete {
        key: key.as_ref().to_vec(),
    }
}

pub(super) fn delete_range(from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Write {
    Write::DeleteRange {
        from: from.as_ref().to_vec(),
        to: to.as_ref().to_vec(),
    }
}

/// A batch on top of the given head, whatever that is.
pub(super) fn batch_after(expected: Option<Head>, writes: Vec<Write>) -> Batch {
    let (epoch, number) = expected.map_or((1, 0), |head| (head.epoch, head.batch));
    Batch {
        expected,
        head: head(epoch, number + 1),
        writes,
    }
}

/// Commits on top of the stored head, and returns the new one.
pub(super) fn try_commit(backend: &dyn Backend, writes: Vec<Write>) -> Result<Head, CommitError> {
    let batch = batch_after(open(backend).head(), writes);
    backend.commit(&batch).map(|()| batch.head)
}

/// As [`try_commit`], where nothing may fail.
pub(super) fn commit(backend: &dyn Backend, writes: Vec<Write>) -> Head {
    match try_commit(backend, writes) {
        Ok(head) => head,
        Err(error) => panic!("a valid batch was refused: {error:?}"),
    }
}

pub(super) fn open(backend: &dyn Backend) -> Box<dyn Snapshot> {
    match backend.snapshot() {
        Ok(snapshot) => snapshot,
        Err(error) => panic!("no snapshot could be opened: {error:?}"),
    }
}

pub(super) fn get(snapshot: &dyn Snapshot, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    match snapshot.get(key.as_ref()) {
        Ok(value) => value.map(std::borrow::Cow::into_owned),
        Err(error) => panic!("get failed: {error:?}"),
    }
}

/// The rows of a scan, in the order visited.
pub(super) fn scan(
    snapshot: &dyn Snapshot,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
    direction: Direction,
) -> Vec<Row> {
    let mut rows = Vec::new();
    let result = snapshot.scan(from, to, direction, &mut |key, value| {
        rows.push((key.to_vec(), value.into_owned()));
        ControlFlow::Continue(())
    });
    if let Err(error) = result {
        panic!("the scan from {from:?} to {to:?} failed: {error:?}");
    }
    rows
}

/// Every row, in ascending order.
pub(super) fn all(snapshot: &dyn Snapshot) -> Vec<Row> {
    scan(
        snapshot,
        Bound::Unbounded,
        Bound::Unbounded,
        Direction::Forward,
    )
}

/// Every row of the newest state.
pub(super) fn contents(backend: &dyn Backend) -> Vec<Row> {
    all(open(backend).as_ref())
}

/// Whether a key lies between two bounds.
pub(super) fn lies_between(key: &[u8], from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    RangeBounds::<[u8]>::contains(&(from, to), key)
}

/// Rows out of literals.
pub(super) fn rows(literal: &[(&[u8], &[u8])]) -> Vec<Row> {
    literal
        .iter()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect()
}

/// A small seeded generator (splitmix64), so that a printed seed repeats a run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

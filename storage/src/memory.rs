//! A store in memory: a persistent ordered map, so that a snapshot is a clone of the root.
//!
//! For tests and for data that need not outlive the process. It keeps the whole contract but durability: nothing
//! survives a drop.

use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use rpds::RedBlackTreeMapSync;

use crate::keyspace::{KeyRange, clip, clip_half_open};
use crate::{
    Backend, Batch, CommitError, Direction, Head, Snapshot, StorageError, Usage, Visitor, Write,
};

type Map = RedBlackTreeMapSync<Arc<[u8]>, Arc<[u8]>>;

/// A [`Backend`] that keeps everything in memory.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    /// Held for the length of a commit, so that batches are applied one after the other.
    committing: Mutex<()>,
    /// The newest state. Replaced whole at the end of every commit.
    published: RwLock<State>,
    snapshots: Arc<AtomicUsize>,
}

#[derive(Clone, Debug, Default)]
struct State {
    head: Option<Head>,
    map: Map,
    /// Sum of the lengths of all keys and values.
    bytes: u64,
}

impl MemoryBackend {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend for MemoryBackend {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        let state = self.published.read().clone();
        self.snapshots.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(MemorySnapshot {
            state,
            open: Arc::clone(&self.snapshots),
        }))
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        batch.check().map_err(CommitError::NotCommitted)?;
        let _committing = self.committing.lock();
        let mut state = self.published.read().clone();
        if state.head != batch.expected {
            return Err(CommitError::Fenced { found: state.head });
        }
        for write in &batch.writes {
            state.apply(write);
        }
        state.head = Some(batch.head);
        // The old state is dropped outside the lock: freeing it can take as long as it is large.
        let _old = std::mem::replace(&mut *self.published.write(), state);
        Ok(())
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        let bytes = self.published.read().bytes;
        Ok(Usage {
            bytes_on_disk: bytes,
            bytes_live: bytes,
            bytes_max: None,
            snapshots: self.snapshots.load(Ordering::Relaxed),
            oldest_snapshot: None,
        })
    }
}

impl State {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::Put { key, value } => {
                if let Some(replaced) = self.map.get(key.as_slice()) {
                    self.bytes -= (key.len() + replaced.len()) as u64;
                }
                self.bytes += (key.len() + value.len()) as u64;
                self.map
                    .insert_mut(Arc::from(key.as_slice()), Arc::from(value.as_slice()));
            }
            Write::Delete { key } => self.remove(key),
            Write::DeleteRange { from, to } => {
                if let Some(range) = clip_half_open(from, to) {
                    let keys: Vec<Arc<[u8]>> =
                        self.range(range).map(|(key, _)| key.clone()).collect();
                    for key in &keys {
                        self.remove(key);
                    }
                }
            }
        }
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(value) = self.map.get(key) {
            self.bytes -= (key.len() + value.len()) as u64;
            self.map.remove_mut(key);
        }
    }

    fn range<'s>(
        &'s self,
        range: KeyRange<'s>,
    ) -> impl DoubleEndedIterator<Item = (&'s Arc<[u8]>, &'s Arc<[u8]>)> {
        self.map.range::<[u8], _>(range)
    }
}

struct MemorySnapshot {
    state: State,
    open: Arc<AtomicUsize>,
}

impl Drop for MemorySnapshot {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Snapshot for MemorySnapshot {
    fn head(&self) -> Option<Head> {
        self.state.head
    }

    fn get<'s>(&'s self, key: &[u8]) -> Result<Option<Cow<'s, [u8]>>, StorageError> {
        Ok(self.state.map.get(key).map(|value| Cow::Borrowed(&**value)))
    }

    fn scan<'s>(
        &'s self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: Visitor<'_, 's>,
    ) -> Result<(), StorageError> {
        let Some(range) = clip(from, to) else {
            return Ok(());
        };
        let mut rows = self.state.map.range::<[u8], _>(range);
        loop {
            let row = match direction {
                Direction::Forward => rows.next(),
                Direction::Backward => rows.next_back(),
            };
            match row {
                Some((key, value)) if visit(key, Cow::Borrowed(value)).is_continue() => {}
                _ => return Ok(()),
            }
        }
    }
}

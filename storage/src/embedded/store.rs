//! What commits, readers and the applier share: the log, the layers, the tree, and what is published of them.
//!
//! Locks, in the order in which they are taken: `log` for the length of a commit; `state` for changes to the layers, never
//! across the sync of a commit; `published` for a moment. Only a batch that goes around the log holds `state` for long.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use super::EmbeddedOptions;
use super::applier::{Pace, Pending};
use super::log::{Log, Pool, Position, Record};
use super::overlay::{Layer, Remains};
use super::published::{Match, Published};
use super::seal::Seal;
use super::snapshot::EmbeddedSnapshot;
use super::tree::{Change, Tree};
use super::write_path::WritePath;
use crate::readers::Readers;
use crate::{Batch, CommitError, Head, StorageError};

/// A batch of so many bytes may exceed the bound of the overlay a little.
const SMALL_BYTES: u64 = 1024;

/// How often a reader looks again without a lock, when the tree has overtaken what was published.
const ATTEMPTS_WITHOUT_LOCK: usize = 8;

pub(super) struct Store {
    pub(super) tree: Arc<Tree>,
    pub(super) readers: Arc<Readers>,
    pub(super) pool: Arc<Pool>,
    seal: Arc<Seal>,
    overlay_bytes_max: u64,
    pinned_bytes_max: u64,
    pace: Pace,
    log: Mutex<Log>,
    state: Mutex<State>,
    published: RwLock<Arc<Published>>,
    /// Signalled when the applier may have something to do.
    work: Condvar,
    /// Signalled when it has done something, or has failed.
    progress: Condvar,
}

/// The layers, and what the applier is to do with them.
struct State {
    /// Takes the batches; frozen by the applier.
    active: Layer,
    /// Being written to the tree; dropped when that is done.
    frozen: Option<Frozen>,
    /// The layers that were dropped, as far as snapshots still keep them.
    pinned: Vec<Remains>,
    /// When the first batch of the active layer came, and the last one.
    active_since: Instant,
    active_until: Instant,
    /// Where the tree is.
    base: Position,
    /// Where the newest batch is.
    last: Position,
    head: Option<Head>,
    /// Callers that wait until nothing is left to apply.
    draining: usize,
    closing: bool,
    /// Why the last attempt to apply failed, until one succeeds.
    failure: Option<Failure>,
    /// When the last attempt to make a spare segment failed, until one succeeds.
    no_room_since: Option<Instant>,
    /// Attempts to apply so far, failed ones included.
    attempts: u64,
    applied: Applied,
}

#[derive(Clone)]
struct Frozen {
    layer: Layer,
    /// The head after the layer.
    head: Option<Head>,
}

/// What the applier has done since the store was opened.
#[derive(Clone, Copy, Default)]
struct Applied {
    layers: u64,
    bytes: u64,
    time: Duration,
}

/// A failure that is told to every commit until it is over.
struct Failure {
    full: bool,
    message: String,
    at: Instant,
}

impl Failure {
    fn new(error: &StorageError, at: Instant) -> Self {
        let (full, message) = match error {
            StorageError::Full { detail } => (true, detail.clone()),
            StorageError::Unavailable { reason } => (false, reason.clone()),
            other => (false, describe(other)),
        };
        Self { full, message, at }
    }

    fn to_error(&self) -> StorageError {
        if self.full {
            return StorageError::Full {
                detail: self.message.clone(),
            };
        }
        StorageError::Unavailable {
            reason: self.message.clone(),
        }
    }
}

/// An error with its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl Store {
    /// A store whose tree is at `base`, with the batches of `layer` over it, the last of which left `head`.
    pub(super) fn new(
        tree: Arc<Tree>,
        readers: Arc<Readers>,
        log: Log,
        (base, layer, head): (Position, Layer, Option<Head>),
        seal: Arc<Seal>,
        options: &EmbeddedOptions,
    ) -> Self {
        let last = layer.end();
        let state = State {
            active_since: Instant::now(),
            active_until: Instant::now(),
            active: layer,
            frozen: None,
            pinned: Vec::new(),
            base,
            last,
            head,
            draining: 0,
            closing: false,
            failure: None,
            no_room_since: None,
            attempts: 0,
            applied: Applied::default(),
        };
        Self {
            tree,
            readers,
            pool: Arc::clone(log.pool()),
            seal,
            overlay_bytes_max: options.overlay_bytes_max,
            pinned_bytes_max: options.pinned_bytes_max,
            pace: Pace {
                bytes: options.apply_bytes,
                after: options.apply_after,
                idle: options.apply_idle,
            },
            log: Mutex::new(log),
            published: RwLock::new(Arc::new(state.to_published())),
            state: Mutex::new(state),
            work: Condvar::new(),
            progress: Condvar::new(),
        }
    }

    /// Opens a snapshot of what is published.
    pub(super) fn snapshot(&self) -> Result<EmbeddedSnapshot, StorageError> {
        // Registered first, so that the age shown is never less than the true one.
        let registration = self.readers.register();
        let mut attempts = 0;
        loop {
            // While the state is locked, the tree cannot get ahead of what is published.
            let _locked = (attempts >= ATTEMPTS_WITHOUT_LOCK).then(|| self.state.lock());
            let published = Arc::clone(&self.published.read());
            let reader = self.tree.read()?;
            let applied = self.tree.applied(&reader)?.sequence;
            match published.match_tree(applied) {
                Match::Fits => {
                    return Ok(EmbeddedSnapshot::new(
                        reader,
                        applied,
                        Arc::clone(&self.tree),
                        published,
                        registration,
                    ));
                }
                Match::Outdated if attempts < ATTEMPTS_WITHOUT_LOCK => attempts += 1,
                Match::Outdated | Match::Behind => {
                    return Err(StorageError::Corrupt {
                        detail: format!("the tree is at batch {applied}, which was not published"),
                    });
                }
            }
        }
    }

    /// Makes a batch durable and publishes it.
    pub(super) fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let mut log = self.log.lock();
        let bytes = Record::padded_bytes_of(batch);
        if bytes > self.direct_bytes_min() {
            return self.commit_around_the_log(&mut log, batch);
        }
        self.admit(batch, Layer::bytes_of(bytes, batch.writes.len()))?;
        let mut record = Record::encode(batch);
        let end = match log.append(&mut record) {
            // There may be segments that only wait to be applied.
            Err(CommitError::NotCommitted(StorageError::Full { .. })) if self.drain().is_ok() => {
                log.append(&mut record)?
            }
            result => result?,
        };
        let mut state = self.state.lock();
        let was_empty = state.active.is_empty();
        state.active.insert(record, end);
        state.last = end;
        state.head = Some(batch.head);
        state.active_until = Instant::now();
        if was_empty {
            state.active_since = state.active_until;
        }
        let due = state.active.bytes() >= self.pace.bytes;
        self.publish(state);
        if was_empty || due || self.pool.is_short() {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Larger batches do not go through the log: it would hold little else.
    fn direct_bytes_min(&self) -> u64 {
        (self.pool.bytes_max() / 2).min(self.overlay_bytes_max)
    }

    /// Decides whether a batch may be logged now, and waits for room in the overlay.
    fn admit(&self, batch: &Batch, bytes: u64) -> Result<(), CommitError> {
        let mut state = self.state.lock();
        if state.head != batch.expected {
            return Err(CommitError::Fenced { found: state.head });
        }
        loop {
            self.check_writable(&mut state)
                .map_err(CommitError::NotCommitted)?;
            // A log that was read back may fill the bound by itself. The first batch after that, which only says who writes,
            // need not wait for the tree.
            let is_small = bytes <= SMALL_BYTES;
            let slack = if is_small {
                self.overlay_bytes_max / 16
            } else {
                0
            };
            let bytes_max = self.overlay_bytes_max.saturating_add(slack);
            if !state.has_work() || state.overlay_bytes() + bytes <= bytes_max {
                return Ok(());
            }
            state.draining += 1;
            self.work.notify_one();
            self.progress.wait(&mut state);
            state.draining -= 1;
        }
    }

    /// Whether a batch could be committed now, as far as is known.
    pub(super) fn writable(&self) -> Result<(), StorageError> {
        self.check_writable(&mut self.state.lock())
    }

    /// Snapshots that keep too much refuse commits rather than delay them: a commit would have to wait for readers, and
    /// for one that was forgotten without end.
    fn check_writable(&self, state: &mut State) -> Result<(), StorageError> {
        self.seal.check()?;
        if let Some(failure) = &state.failure {
            return Err(failure.to_error());
        }
        let pinned = state.pinned_bytes();
        if pinned > self.pinned_bytes_max {
            let (snapshots, oldest) = self.readers.summary();
            return Err(StorageError::Unavailable {
                reason: format!(
                    "{snapshots} open snapshots, the oldest for {:?}, keep {pinned} bytes in memory",
                    oldest.unwrap_or_default()
                ),
            });
        }
        Ok(())
    }

    /// Stops all writing for good, and wakes everybody who waits for the applier.
    pub(super) fn stop(&self, when: &dyn Display) {
        self.seal.stop(when);
        // Whoever has looked at the seal before is waiting once the lock is free.
        drop(self.state.lock());
        self.progress.notify_all();
    }

    /// Applies all there is to the tree, and then the batch, in a transaction of its own.
    fn commit_around_the_log(&self, log: &mut Log, batch: &Batch) -> Result<(), CommitError> {
        self.drain().map_err(CommitError::NotCommitted)?;
        let mut state = self.state.lock();
        let applied = Position {
            sequence: state.last.sequence + 1,
            ..log.end()
        };
        self.tree.write(Change::Batch(batch), applied)?;
        log.skip_to(applied.sequence);
        state.base = applied;
        state.last = applied;
        state.head = Some(batch.head);
        state.active = Layer::empty(applied);
        self.publish(state);
        Ok(())
    }

    /// Publishes the state, and frees what was published before when nothing is locked any more.
    fn publish(&self, state: MutexGuard<'_, State>) {
        let next = Arc::new(state.to_published());
        let old = std::mem::replace(&mut *self.published.write(), next);
        drop(state);
        drop(old);
    }

    /// Waits until everything that was committed so far is in the tree.
    pub(super) fn drain(&self) -> Result<(), StorageError> {
        let mut state = self.state.lock();
        // Later batches are not waited for, or it might never end.
        let wanted = state.last.sequence;
        let before = state.attempts;
        state.draining += 1;
        let result = loop {
            if state.base.sequence >= wanted {
                break Ok(());
            }
            if let Err(sealed) = self.seal.check() {
                break Err(sealed);
            }
            // A failure from before is no reason: room may have been made.
            if let Some(failure) = &state.failure
                && state.attempts > before
            {
                break Err(failure.to_error());
            }
            self.work.notify_one();
            self.progress.wait(&mut state);
        };
        state.draining -= 1;
        result
    }

    /// The figures of the write path.
    pub(super) fn write_path(&self) -> WritePath {
        let log_bytes = self.pool.bytes_on_disk();
        let mut state = self.state.lock();
        WritePath {
            overlay_bytes: state.overlay_bytes(),
            pinned_bytes: state.pinned_bytes(),
            log_bytes,
            applied_layers: state.applied.layers,
            applied_bytes: state.applied.bytes,
            applying: state.applied.time,
        }
    }

    /// Lets the applier finish: it applies what there is and ends.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.work.notify_one();
    }

    /// Runs `decide` on the state until it decides on something to do, waiting in between.
    pub(super) fn wait_for_work<T>(
        &self,
        decide: impl Fn(&Pending) -> Result<T, Option<Duration>>,
    ) -> T {
        let mut state = self.state.lock();
        loop {
            let pending = state.pending(self.pace, self.pool.is_short());
            match decide(&pending) {
                Ok(task) => return task,
                Err(None) => self.work.wait(&mut state),
                Err(Some(time)) => {
                    self.work.wait_for(&mut state, time);
                }
            }
        }
    }

    /// Freezes the active layer, writes it to the tree, and drops it. A layer that could not be written is tried again.
    pub(super) fn apply(&self) {
        let frozen = self.freeze();
        let started = Instant::now();
        let change = Change::Layer(&frozen.layer, frozen.head);
        let result = self.tree.write(change, frozen.layer.end());
        let mut state = self.state.lock();
        state.attempts += 1;
        match result {
            Ok(()) => {
                state.applied.layers += 1;
                state.applied.bytes += frozen.layer.bytes();
                state.applied.time += started.elapsed();
                state.base = frozen.layer.end();
                state.failure = None;
                state.frozen = None;
                state.pinned.push(frozen.layer.remains());
                // From here on only snapshots keep it.
                drop(frozen);
                let applied = state.base;
                self.publish(state);
                self.pool.release(applied.segment);
            }
            Err(error) => {
                let error = match error {
                    CommitError::NotCommitted(error) | CommitError::Indeterminate(error) => error,
                    fenced @ CommitError::Fenced { .. } => StorageError::Unavailable {
                        reason: fenced.to_string(),
                    },
                };
                state.failure = Some(Failure::new(&error, Instant::now()));
                drop(state);
            }
        }
        self.progress.notify_all();
    }

    fn freeze(&self) -> Frozen {
        let mut state = self.state.lock();
        if let Some(frozen) = &state.frozen {
            return frozen.clone();
        }
        let empty = Layer::empty(state.last);
        let frozen = Frozen {
            layer: std::mem::replace(&mut state.active, empty),
            head: state.head,
        };
        state.frozen = Some(frozen.clone());
        frozen
    }

    /// Makes a spare segment. Why that fails matters only to a commit that needs one, which tries itself.
    pub(super) fn top_up(&self) {
        let failed = self.pool.top_up().is_err();
        self.state.lock().no_room_since = failed.then(Instant::now);
    }
}

impl State {
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        let frozen = self.frozen.as_ref().map(|frozen| &frozen.layer);
        [Some(&self.active), frozen]
            .into_iter()
            .flatten()
            .filter(|layer| !layer.is_empty())
    }

    fn has_work(&self) -> bool {
        self.layers().next().is_some()
    }

    fn overlay_bytes(&self) -> u64 {
        self.layers().map(Layer::bytes).sum()
    }

    /// What snapshots keep of the layers that were dropped.
    fn pinned_bytes(&mut self) -> u64 {
        self.pinned.retain(|layer| layer.bytes() > 0);
        self.pinned.iter().map(Remains::bytes).sum()
    }

    fn to_published(&self) -> Published {
        let layers = self.layers().cloned().collect();
        Published::new(self.base, self.last, self.head, layers)
    }

    fn pending(&self, pace: Pace, short_of_segments: bool) -> Pending {
        Pending {
            pace,
            has_work: self.has_work(),
            frozen: self.frozen.is_some(),
            active_bytes: self.active.bytes(),
            active_age: self.active_since.elapsed(),
            active_idle: self.active_until.elapsed(),
            wanted: self.draining > 0,
            closing: self.closing,
            failed_since: self.failure.as_ref().map(|failure| failure.at.elapsed()),
            short_of_segments,
            no_room_since: self.no_room_since.map(|since| since.elapsed()),
        }
    }
}

#[cfg(test)]
mod tests;

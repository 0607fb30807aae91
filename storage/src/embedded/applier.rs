//! The applier: the thread that brings the tree up to date behind the commits.
//!
//! It lets writes gather, since a larger transaction writes each page, and each key that is written again and again, only
//! once. [`decide`] says when it acts.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::store::Store;

/// How long it waits before it tries again what has failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// When the active layer is applied: what comes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) bytes: u64,
    pub(super) after: Duration,
    pub(super) idle: Duration,
}

/// What there is to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) pace: Pace,
    /// Whether any layer holds a batch.
    pub(super) has_work: bool,
    /// Whether a layer is frozen that could not be applied.
    pub(super) frozen: bool,
    pub(super) active_bytes: u64,
    /// How long ago its first batch came.
    pub(super) active_age: Duration,
    /// How long ago its last batch came.
    pub(super) active_idle: Duration,
    /// Whether somebody waits for all to be applied, or for room.
    pub(super) wanted: bool,
    pub(super) closing: bool,
    /// How long ago an attempt has failed, if the last one did.
    pub(super) failed_since: Option<Duration>,
    /// Whether the log has no spare segment.
    pub(super) short_of_segments: bool,
    /// How long ago making one has failed, if the last attempt did.
    pub(super) no_room_since: Option<Duration>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Write a layer to the tree.
    Apply,
    /// Make a spare segment.
    TopUp,
    /// End. What could not be applied is in the log.
    End,
}

/// Decides what to do now; if nothing, for how long at most.
pub(super) fn decide(pending: &Pending) -> Result<Task, Option<Duration>> {
    if pending.closing {
        let apply = pending.has_work && pending.failed_since.is_none();
        return Ok(if apply { Task::Apply } else { Task::End });
    }
    if pending.has_work && pending.wanted {
        return Ok(Task::Apply);
    }
    if let Some(since) = pending.failed_since {
        let left = PAUSE_AFTER_FAILURE.saturating_sub(since);
        if !left.is_zero() {
            return Err(Some(left));
        }
    }
    let no_room = |since| since < PAUSE_AFTER_FAILURE;
    if pending.short_of_segments && !pending.no_room_since.is_some_and(no_room) {
        return Ok(Task::TopUp);
    }
    if !pending.has_work {
        return Err(None);
    }
    if pending.frozen || pending.active_bytes >= pending.pace.bytes {
        return Ok(Task::Apply);
    }
    let left = (pending.pace.after.saturating_sub(pending.active_age))
        .min(pending.pace.idle.saturating_sub(pending.active_idle));
    if left.is_zero() {
        return Ok(Task::Apply);
    }
    Err(Some(left))
}

/// Starts the thread. It ends after [`Store::close`].
pub(super) fn start(store: Arc<Store>) -> io::Result<JoinHandle<()>> {
    spawn(store, run)
}

/// Runs `work` on a thread. Should it panic, the store is stopped, or those who wait for it would wait for ever.
pub(super) fn spawn(store: Arc<Store>, work: fn(&Store)) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("thalweg-applier".to_owned())
        .spawn(move || {
            let _stop = StopOnPanic(&store);
            work(&store);
        })
}

struct StopOnPanic<'a>(&'a Store);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop(&"after a panic of the applier");
        }
    }
}

fn run(store: &Store) {
    loop {
        match store.wait_for_work(decide) {
            Task::Apply => store.apply(),
            Task::TopUp => store.top_up(),
            Task::End => return,
        }
    }
}

#[cfg(test)]
mod tests;

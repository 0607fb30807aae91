//! What there is of one connection: its subscriptions, and what each has been told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rustc_hash::FxHashMap;
use thalweg_model::CommitTs;
use tokio::sync::Notify;

use super::{ConnectionId, SubscriptionId};
use crate::figures::Figures;
use crate::index::LiveId;
use crate::outcome::Outcome;
use crate::usage::Usage;

/// What may be kept, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Results that only slow clients keep.
    pub(super) held: usize,
    /// The same for one connection.
    pub(super) connection_held: usize,
    /// Reads.
    pub(super) kept: usize,
}

/// Where a connection is: shared with whoever holds it.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) id: ConnectionId,
    /// Whether it is in the slow lane. Changes under the locks of both.
    pub(super) is_slow: AtomicBool,
    pub(crate) wake: Notify,
}

impl Seat {
    pub(crate) fn is_slow(&self) -> bool {
        self.is_slow.load(Ordering::SeqCst)
    }
}

/// How a client wants to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follow {
    /// From where it comes back: it has the result of that state.
    pub resume_from: Option<CommitTs>,
    /// Whether it takes patches.
    pub patch: bool,
}

/// What a subscription has been told.
pub(crate) enum Told {
    /// Nothing yet, or nothing that is known.
    Nothing,
    /// This result. A client that patches it has been told so many times since the last complete one.
    Result(Arc<Outcome>, u32),
    /// A result that is not kept any more, by its fingerprint; the number as with [`Told::Result`].
    Like(u64, u32),
}

pub(super) struct Following {
    pub(super) live: LiveId,
    pub(super) told: Told,
    pub(super) patch: bool,
    /// Whether it is in its connection's list of those that have something to tell.
    pub(super) is_due: bool,
    pub(super) has_ended: bool,
}

/// One connection's subscriptions.
pub(super) struct Member {
    pub(super) subscriptions: FxHashMap<SubscriptionId, Following>,
    /// The errors with which subscriptions ended of which the client has not been told yet.
    pub(super) ended: Vec<(SubscriptionId, Bytes)>,
    pub(super) due: Vec<SubscriptionId>,
    /// It is told nothing of an earlier state.
    pub(super) not_before: CommitTs,
    /// What the results take that only it keeps, because it has been slow to take newer ones.
    pub(super) held_bytes: usize,
    pub(super) seat: Arc<Seat>,
}

/// What a connection is to be told of one subscription.
pub(crate) struct Delivery {
    pub(crate) subscription: SubscriptionId,
    pub(crate) news: News,
}

pub(crate) enum News {
    /// The result, and its number if the client takes patches.
    Result(Arc<Outcome>, Option<u32>),
    /// The result, to be told as the difference from another, and its number.
    Change {
        from: Arc<Outcome>,
        to: Arc<Outcome>,
        revision: u32,
    },
    Ended(Bytes),
}

impl Member {
    pub(super) fn make_due(&mut self, subscription: SubscriptionId) -> bool {
        match self.subscriptions.get_mut(&subscription) {
            Some(following) if !following.is_due => {
                following.is_due = true;
                self.due.push(subscription);
                true
            }
            _ => false,
        }
    }

    /// There is a newer result than `old`. What a slow client has is kept for it within bounds, to be patched; past them
    /// it is sent a complete result again.
    pub(super) fn outdate(
        &mut self,
        subscription: SubscriptionId,
        old: &Arc<Outcome>,
        bounds: Bounds,
        usage: &Usage,
        figures: &Figures,
    ) {
        if !self.make_due(subscription) {
            figures.conflated.add(1);
        }
        let Some(following) = self.subscriptions.get_mut(&subscription) else {
            return;
        };
        if let Told::Result(told, revision) = &following.told
            && told.ts == old.ts
        {
            let bytes = told.result.len();
            if self.held_bytes + bytes > bounds.connection_held
                || usage.held_bytes.get() + bytes > bounds.held
            {
                following.told = Told::Like(told.fingerprint(), *revision);
            } else {
                self.held_bytes += bytes;
                usage.held_bytes.take(bytes);
            }
        }
    }
}

impl Following {
    /// What to tell of a result, if anything; it then counts as told.
    pub(super) fn tell(&mut self, newest: &Arc<Outcome>) -> Option<News> {
        let has_data = newest.data().is_some();
        let (revision, news) = match std::mem::replace(&mut self.told, Told::Nothing) {
            // It may have been another one in between, which nobody was told of.
            Told::Result(told, revision)
                if told.ts == newest.ts || told.result == newest.result =>
            {
                (revision, None)
            }
            Told::Like(fingerprint, revision) if fingerprint == newest.fingerprint() => {
                (revision, None)
            }
            Told::Result(from, revision) if self.patch && has_data && from.data().is_some() => {
                let revision = revision + 1;
                let to = Arc::clone(newest);
                (revision, Some(News::Change { from, to, revision }))
            }
            _ => {
                let revision = (self.patch && has_data).then_some(1);
                (1, Some(News::Result(Arc::clone(newest), revision)))
            }
        };
        self.told = Told::Result(Arc::clone(newest), revision);
        news
    }
}

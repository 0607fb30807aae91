//! A client's connection: its subscriptions, and what it is told of them.

use std::sync::Arc;

use bytes::Bytes;
use thalweg_model::CommitTs;

use crate::live::{Shared, SubscribeError};
use crate::registry::{Delivery, Follow, News, Seat, SubscriptionId};
use crate::runner::Runner;

/// What a subscription is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The result: what the runner made of it. `revision` is its number for a client that takes patches, always 1.
    Result {
        /// As the runner gave it.
        result: Bytes,
        /// `None` for a client that takes no patches, and for a result with errors.
        revision: Option<u64>,
    },
    /// How the data of the result follows from that of the last one.
    Patch {
        /// A JSON Patch (RFC 6902).
        operations: Bytes,
        /// One more than that of the last one.
        revision: u64,
    },
    /// The query is no longer valid; the errors say why. Nothing follows.
    Ended(Bytes),
}

/// What a connection is told at once: all of it holds at one timestamp.
#[derive(Clone, Debug)]
pub struct Told {
    /// The state that all the results show.
    pub commit_ts: CommitTs,
    /// Each of the subscriptions that have something to tell.
    pub items: Vec<(SubscriptionId, Item)>,
}

/// A client's connection. Its subscriptions end with it.
///
/// All that it is told shows the state of one timestamp, which only grows; a subscription of which nothing is told shows
/// the same as before. Nothing is queued: a client that is slow to ask skips states, and gets the newest.
pub struct Connection<R: Runner> {
    pub(crate) shared: Arc<Shared<R>>,
    seat: Arc<Seat>,
}

impl<R: Runner> Connection<R> {
    pub(crate) fn open(shared: Arc<Shared<R>>) -> Self {
        let seat = shared.connect();
        Connection { shared, seat }
    }

    /// Subscribes to a query, in place of what `subscription` was before. The first that is told shows every commit that was acknowledged before this call.
    ///
    /// With [`Follow::resume_from`] nothing is told until the result is another one than it was then; to a client that takes
    /// patches it is then told as the difference. Where that is no longer known, it is told the result at once.
    pub async fn subscribe(
        &self,
        subscription: SubscriptionId,
        query: R::Query,
        follow: Follow,
    ) -> Result<(), SubscribeError> {
        let joined = self
            .shared
            .join_current(&self.seat, subscription, &query, follow);
        if let Some(joined) = joined {
            return joined;
        }
        let (shared, seat) = (Arc::clone(&self.shared), Arc::clone(&self.seat));
        // It is never closed.
        let permit = Arc::clone(&shared.registering).acquire_owned().await.ok();
        let register = move || {
            let _permit = permit;
            shared.register(&seat, subscription, &query, follow)
        };
        match tokio::task::spawn_blocking(register).await {
            Ok(registered) => registered,
            Err(error) if error.is_panic() => Err(SubscribeError::Broken),
            Err(_) => Err(SubscribeError::Closed),
        }
    }

    /// Ends a subscription. Nothing more is told of it.
    pub fn unsubscribe(&self, subscription: SubscriptionId) {
        if let Some((_, mut registry)) = self.shared.seated(&self.seat) {
            registry.unsubscribe(self.seat.id, subscription);
        }
    }

    /// Waits until there is something to tell. `None` when nothing more comes.
    pub async fn next(&self) -> Option<Told> {
        loop {
            let due = self
                .shared
                .seated(&self.seat)
                .and_then(|(_, mut registry)| registry.take_due(self.seat.id));
            if let Some((commit_ts, deliveries)) = due {
                let items = deliveries
                    .into_iter()
                    .map(|delivery| self.item(delivery))
                    .collect();
                return Some(Told { commit_ts, items });
            }
            if self.shared.is_closed() {
                return None;
            }
            // Whoever notifies between the look and this is not missed: one permit is kept.
            self.seat.wake.notified().await;
        }
    }

    /// The state that all shows which [`Connection::next`] has given so far: from it a client resumes that has got that. `None`
    /// while there is more to tell.
    pub fn shown(&self) -> Option<CommitTs> {
        let (_, registry) = self.shared.seated(&self.seat)?;
        registry.shown(self.seat.id)
    }

    fn item(&self, Delivery { subscription, news }: Delivery) -> (SubscriptionId, Item) {
        let figures = &self.shared.figures;
        figures.sent.add(1);
        let item = match news {
            News::Result(outcome, revision) => Item::Result {
                result: outcome.shared(),
                revision: revision.map(u64::from),
            },
            News::Change { from, to, revision } => match to.patch_from(&from) {
                Some(operations) => {
                    figures.patches.add(1);
                    Item::Patch {
                        operations,
                        revision: u64::from(revision),
                    }
                }
                // Neither of the two has errors, and both are JSON, so this is not seen.
                None => Item::Result {
                    result: to.shared(),
                    revision: Some(u64::from(revision)),
                },
            },
            News::Ended(errors) => Item::Ended(errors),
        };
        (subscription, item)
    }
}

impl<R: Runner> Drop for Connection<R> {
    fn drop(&mut self) {
        if let Some((_, mut registry)) = self.shared.seated(&self.seat) {
            registry.disconnect(self.seat.id);
        }
    }
}

impl<R: Runner> std::fmt::Debug for Connection<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.seat.id)
            .finish_non_exhaustive()
    }
}

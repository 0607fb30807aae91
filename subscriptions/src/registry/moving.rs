//! Moving a connection from one lane to the other, with all that it follows and has been told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustc_hash::{FxHashMap, FxHashSet};
use thalweg_engine::DependencySet;
use thalweg_model::CommitTs;

use super::{Busy, ConnectionId, Cost, Live, Member, Registry};
use crate::entries::SmallSet;
use crate::index::LiveId;
use crate::outcome::Outcome;
use crate::runner::Runner;

/// A connection on its way.
pub(crate) struct Moving<R: Runner> {
    member: Member,
    /// What its subscriptions follow, by what it was called where it comes from.
    followed: FxHashMap<LiveId, Followed<R>>,
    /// What it has been told of is not newer than this.
    served_ts: CommitTs,
}

struct Followed<R: Runner> {
    key: Arc<R::Key>,
    /// The query, where it has to be kept.
    pinned: Option<Arc<R::Query>>,
    newest: Arc<Outcome>,
    evaluated_ts: CommitTs,
    dependencies: Arc<DependencySet>,
    cost: Cost,
}

impl<R: Runner> Registry<R> {
    /// Takes a connection out.
    pub(crate) fn take_out(&mut self, connection: ConnectionId) -> Option<Moving<R>> {
        let member = self.connections.remove(&connection)?;
        self.ahead.remove(&connection);
        let mut followed = FxHashMap::default();
        for (subscription, following) in &member.subscriptions {
            let id = following.live;
            let pinned = self.pinned(id);
            let Some(live) = self.live.get_mut(id) else {
                continue;
            };
            followed.entry(id).or_insert_with(|| Followed {
                key: Arc::clone(&live.key),
                pinned,
                newest: Arc::clone(&live.newest),
                evaluated_ts: live.evaluated_ts,
                dependencies: self
                    .index
                    .dependencies_of(id)
                    .map(Arc::clone)
                    .unwrap_or_default(),
                cost: live.cost(),
            });
            if live.subscribers.remove((connection, *subscription)) {
                self.remove(id);
            }
        }
        Some(Moving {
            member,
            followed,
            served_ts: self.served_ts,
        })
    }

    /// Takes in a connection that was taken out of the other lane. All that it follows is to be run here, since commits that
    /// have been matched here need not have been matched there.
    pub(crate) fn take_in(&mut self, connection: ConnectionId, moving: Moving<R>) {
        let Moving {
            mut member,
            followed,
            served_ts,
        } = moving;
        self.skip_to(served_ts);
        let mut woken = FxHashSet::default();
        let mut ids = FxHashMap::default();
        for (old_id, followed) in followed {
            ids.insert(old_id, self.take_in_live(followed, &mut woken));
        }
        self.wake_when_served(woken);
        member.due.clear();
        for (subscription, following) in &mut member.subscriptions {
            // Whether there is something to tell is found out when it is taken.
            following.is_due = true;
            member.due.push(*subscription);
            if let Some(live) = ids.get(&following.live) {
                following.live = *live;
                if let Some(live) = self.live.get_mut(*live) {
                    live.subscribers.insert((connection, *subscription));
                }
            }
        }
        member.not_before = member.not_before.max(served_ts);
        let seat = Arc::clone(&member.seat);
        self.connections.insert(connection, member);
        self.arriving.insert(connection);
        seat.is_slow.store(true, Ordering::SeqCst);
        // It waits in the other lane.
        seat.wake.notify_one();
    }

    fn take_in_live(
        &mut self,
        followed: Followed<R>,
        woken: &mut FxHashSet<ConnectionId>,
    ) -> LiveId {
        let Followed {
            key,
            pinned,
            newest,
            evaluated_ts,
            dependencies,
            cost,
        } = followed;
        let id = match self.find(&key) {
            None => {
                let live = Live {
                    key,
                    newest,
                    evaluated_ts,
                    subscribers: SmallSet::None,
                    busy: Some(Box::new(Busy {
                        is_pinned: pinned.is_some(),
                        query: pinned,
                        cost,
                        ..Busy::default()
                    })),
                };
                self.insert_live(live, dependencies)
            }
            Some(id) => {
                if let Some(live) = self.live.get_mut(id)
                    && live.evaluated_ts < evaluated_ts
                {
                    live.evaluated_ts = evaluated_ts;
                    live.keep(None, &self.usage);
                    if live.newest.result != newest.result {
                        self.replace_newest(id, newest, woken);
                    }
                    self.index.set(id, dependencies);
                }
                id
            }
        };
        self.stale.insert(id);
        id
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use thalweg_engine::{Catalog, EngineError, Snapshot};

    use super::*;
    use crate::live::LiveLimits;
    use crate::registry::{SubscriptionId, Told};
    use crate::runner::Evaluation;

    /// Runs nothing: results are given.
    struct Given;

    impl Runner for Given {
        type Query = ();
        type Key = &'static str;

        fn key(&self, _: &()) -> Arc<&'static str> {
            Arc::new("")
        }

        fn prepare(&self, _: &&'static str, _: &Arc<Catalog>) -> Result<(), Bytes> {
            Ok(())
        }

        fn is_more_than_its_key(&self, _: &()) -> bool {
            false
        }

        fn version(&self, _: &Arc<Catalog>) -> Option<CommitTs> {
            None
        }

        fn run(&self, _: &(), _: &Snapshot) -> Result<Evaluation, EngineError> {
            Ok(evaluation(""))
        }

        fn revalidate(&self, _: &(), _: &Arc<Catalog>) -> Result<(), Bytes> {
            Ok(())
        }

        fn broken(&self) -> Bytes {
            Bytes::new()
        }

        fn mismatched(&self, _: &(), _: &[u8], _: &[u8]) {}
    }

    fn evaluation(result: &'static str) -> Evaluation {
        Evaluation {
            result: Bytes::from_static(result.as_bytes()),
            data_from: None,
            dependencies: DependencySet::none(),
        }
    }

    fn lane(ts: u64) -> Registry<Given> {
        let (limits, usage) = (LiveLimits::default(), Arc::default());
        Registry::new(CommitTs::from_micros(ts), &limits, usage, Arc::default())
    }

    fn follow(lane: &mut Registry<Given>, connection: u64, key: &'static str, ts: u64) -> LiveId {
        let (id, ts) = (ConnectionId(connection), CommitTs::from_micros(ts));
        if !lane.has(id) {
            lane.connect(id);
        }
        let live = lane.insert(Arc::new(key), None, ts, evaluation(key));
        let subscription = (id, SubscriptionId(0));
        assert!(lane.join(subscription, live, false, Told::Nothing, ts));
        live
    }

    /// The other lane is ahead: what the connection brings is of an earlier state than that.
    #[test]
    fn who_arrives_is_told_nothing_before_it_was_run() {
        let (mut quick, mut slow) = (lane(15), lane(20));
        follow(&mut slow, 1, "of the slow lane", 20);
        follow(&mut quick, 2, "moved", 15);
        let (connection, served) = (ConnectionId(2), CommitTs::from_micros(20));
        let moving = quick.take_out(connection).expect("it is there");
        assert!(quick.is_empty() && !quick.has(connection));
        slow.take_in(connection, moving);
        assert!(slow.take_due(connection).is_none(), "not known of 20");
        let live = slow.find(&"moved").expect("it was moved");
        let mut woken = FxHashSet::default();
        slow.update(live, served, evaluation("moved, as of 20"), &mut woken);
        assert!(slow.take_due(connection).is_none(), "not all are run");
        slow.serve(served, &mut woken);
        let (ts, deliveries) = slow.take_due(connection).expect("it is told");
        assert_eq!((ts, deliveries.len()), (served, 1));
        assert!(slow.take_due(connection).is_none(), "once");
    }
}

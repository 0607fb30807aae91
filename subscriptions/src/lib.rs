//! Live queries: any query, kept up to date.
//!
//! A live query is evaluated once for all who want it, woken by the commits that overlap what it depends on (never by
//! polling), and its subscribers are told only when its result has changed. What a query is, and how it is run, is a
//! [`Runner`]'s business, so nothing here knows GraphQL.
//!
//! - Every event shows the state of one commit timestamp, and a subscriber's timestamps only grow.
//! - A subscriber that is slow skips intermediate results; the newest one it always gets. Nothing is queued for it.
//! - The first event includes every commit that was acknowledged before the subscription was asked for.
//!
//! What is not here: sockets (`gateway`), incremental maintenance (a woken query is run again).

mod index;
mod live;
mod registry;
mod runner;
mod worker;

pub use live::{Event, Item, LiveLimits, LiveQueries, SubscribeError, Subscription};
pub use runner::{Evaluation, Runner};

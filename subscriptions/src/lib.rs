//! Live queries: any query, kept up to date.
//!
//! A live query is evaluated once for all who want it, woken by the commits that overlap what it depends on (never by
//! polling), and its subscribers are told only when its result has changed. What a query is, and how it is run, is a
//! [`Runner`]'s business, so nothing here knows GraphQL.
//!
//! - All that a connection is told at once shows the state of one commit timestamp, and its timestamps only grow. A query
//!   of which nothing is told has the result that it had.
//! - A connection that is slow skips intermediate results; the newest ones it always gets. Nothing is queued for it.
//! - The first result includes every commit that was acknowledged before the subscription was asked for.
//! - A client may be told how a result differs from the one that it has, as a JSON Patch; and one that comes back is told only
//!   what has changed since, where that is still known.
//!
//! - A query that is slow to run delays those alone who follow it.
//!
//! A query that is woken reads what changed, not what it read before (`thalweg_engine::KeptReads`). What is not here: sockets
//! (`gateway`).

mod connection;
mod entries;
mod figures;
mod index;
mod interval;
mod live;
mod outcome;
mod patch;
mod registry;
mod runner;
mod usage;
mod worker;

pub use connection::{Connection, Item, Told};
pub use figures::{Count, Figures, LATENCY_BOUNDS_MICROS, Latencies};
pub use live::{Listed, LiveLimits, LiveQueries, Rank, SubscribeError};
pub use registry::{Cost, Follow, SubscriptionId};
pub use runner::{Evaluation, Runner};

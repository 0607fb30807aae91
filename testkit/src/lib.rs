//! The test kit: a simulated world for the engine, and checkers of what its clients see.
//!
//! A development tool; nothing of the product depends on it. `cargo xtask sim` runs it.
//!
//! # How a simulation runs
//!
//! A seed gives everything: how many clients there are and what they do ([`Generator`]), the options of the engine, which
//! batches fail and how ([`FaultyBackend`]), where the clock jumps ([`SimulatedClock`]), and who goes next
//! ([`simulate`]). Clients note what they were told, in their own time ([`History`]). When the power goes off, the engine
//! is dropped and opened again on what the store would have kept, everything is read once (an *audit*), and the
//! clients go on. The whole history, over all crashes, is then checked twice.
//!
//! # How a history is checked
//!
//! What must hold is *strict serializability*: the transactions have the effect of some order, one after the other, and
//! whoever was answered before another began comes first in it.
//!
//! - [`replay`] is exact. The engine reports where in the order each transaction stands, so the order need not be searched:
//!   all are run in it on a plain [`Model`], and every read, every write's before and after, every version, every refusal must
//!   be what the model gives. It would believe wrong timestamps that are consistent, hence the second check.
//! - [`cycles`] believes no timestamp. It derives from the values that were read which transaction must come before
//!   which, and looks for a cycle. The anomalies are those of Adya ("Weak Consistency: A Generalized Theory and Optimistic
//!   Implementations for Distributed Transactions", MIT, 1999); that lists which are appended to reveal the order of their
//!   writes, so that the cycles can be found in linear time, is due to Kingsbury and Alvaro ("Elle: Inferring Isolation Anomalies
//!   from Experimental Observations", VLDB 2020).
//!
//! Every value that is written names its writer. A transaction whose answer was lost is committed or not, as a whole: it
//! leaves a *mark*, a document of its own, and the next audit shows whether that is there. One with an idempotency key is
//! sent again instead until it has an answer, and must have happened once.
//!
//! Beside the clients, a follower reads the commits that the engine publishes, which are what change streams and live
//! queries are made of; they must be exactly those of the order.
//!
//! # What to add where
//!
//! A feature of the engine gets its kinds of transaction in the generator's table, its reads and writes in the plan, and its
//! rules in the model; the checkers stay as they are. A backend is one line in [`StoreKind::new_store`]. And what
//! must not go wrong with it is planted: `xtask/src/sim/mutations.rs`.
//!
//! What is not here: GraphQL, the network, and the real disk (`cargo xtask crash` kills the real server).

mod anomaly;
mod client;
mod clock;
pub mod cycles;
mod document;
mod faulty;
mod follower;
mod generator;
mod graph;
mod history;
mod model;
mod pause;
mod plan;
mod random;
pub mod replay;
#[cfg(test)]
mod samples;
mod simulation;
mod store;

pub use anomaly::{Anomaly, Kind};
pub use client::{Answers, Collections, Session, run};
pub use clock::SimulatedClock;
pub use document::{Collection, Field, Image, Item, Look, Members, Seen};
pub use faulty::{Fate, FaultRates, FaultyBackend};
pub use follower::{Stretch, Told};
pub use generator::{BALANCE_AT_FIRST, Generator, World};
pub use history::{Attempt, History, Outcome, Reason, Refusal, StepSeen};
pub use model::{Model, Run, Written};
pub use plan::{
    Change, Condition, Decision, Filter, Guard, Intention, Observation, Otherwise, Plan, Query,
    Read, Style, Write, decide,
};
pub use random::Random;
pub use simulation::{Failure, Mode, Settings, Summary, Wrap, simulate, simulate_on};
pub use store::{Store, StoreKind};

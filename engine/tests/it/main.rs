//! The engine on real backends: transactions, finds, dependencies, history, recovery.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets an error it does not expect should stop there"
)]

mod budget;
mod changes;
mod collections;
mod concurrency;
mod declared;
mod dependencies;
mod documents;
mod erasing;
mod expiry;
mod faults;
mod finds;
mod finds_together;
mod fixture;
mod history;
mod index_finds;
mod indexes;
mod kept;
mod leadership;
mod own_writes;
mod past;
mod pipeline;
mod policies;
mod recovery;
mod relations;
mod trimming;
mod types;
mod unique;
mod world;

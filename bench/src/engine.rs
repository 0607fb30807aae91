//! Transactions and reads through the whole engine (validation, dependency sets, intents, shapes, log, history, indexes),
//! and through its store, beside what they are compared with.
//!
//! The *probe transaction* reads one document and writes another of about 200 bytes, with one index row, durably. Every
//! figure stands beside its target, and each table says how much of the machine others took meanwhile.

mod commits;
mod contention;
mod expiry;
mod growth;
mod harness;
mod postgres;
mod reads;
mod reopen;
mod rows;
mod soak;
mod stores;
mod target;
mod world;

use anyhow::Result;
use clap::ValueEnum;

use crate::Extent;

pub(crate) use reopen::fill_log;

/// What can be run by itself.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The probe transaction at 1, 16 and 64 committers, beside other stores and PostgreSQL.
    Commits,
    /// Point reads and scans beside bare LMDB, and beside writes.
    Reads,
    /// Read-modify-write of one document by 64 clients.
    Contention,
    /// The cost of a commit with 100 times as many documents.
    Growth,
    /// Documents that expire, alone and beside writes.
    Expiry,
    /// Opening a store that was killed with a full log.
    Reopen,
    /// Writes for a long time: rate, memory, size on disk.
    Soak,
}

/// Runs the benchmarks and prints their tables.
pub(crate) fn run(extent: Extent, is_long: bool, parts: &[Part]) -> Result<()> {
    for part in parts {
        match part {
            Part::Commits => commits::run(extent)?,
            Part::Reads => reads::run(extent)?,
            Part::Contention => contention::run(extent)?,
            Part::Growth => growth::run(extent)?,
            Part::Expiry => expiry::run(extent)?,
            Part::Reopen => reopen::run(extent)?,
            Part::Soak => soak::run(extent, is_long)?,
        }
    }
    Ok(())
}

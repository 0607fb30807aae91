//! Transactions and reads through the whole engine: validation, dependency sets, intents, shapes, log, history, indexes.
//!
//! The *probe transaction* reads one document and writes another of about 200 bytes, with one index row, durably.

mod commits;
mod contention;
mod reads;
mod world;

use anyhow::Result;

use crate::Extent;

/// Runs the benchmarks and prints their tables.
pub(crate) fn run(extent: Extent) -> Result<()> {
    commits::run(extent)?;
    contention::run(extent)?;
    reads::run(extent)
}

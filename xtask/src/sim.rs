//! `cargo xtask sim`: simulations of the engine under faults, and the proof that they find bugs.
//!
//! The simulations are the program `sim` of the crate `testkit`, which is built and run here. With `--planted`, bugs are
//! planted in a copy of the sources, one at a time, and each must be found.

use std::ffi::{OsStr, OsString};

use anyhow::Result;
use clap::Args;

use crate::postgres::TestPostgres;
use crate::{tools, workspace};

mod mutations;
mod planted;

#[derive(Args)]
pub(crate) struct Options {
    /// Plant bugs in a copy of the engine, and show that each is found.
    #[arg(long)]
    planted: bool,
    /// With --planted: only bugs in whose name this occurs.
    #[arg(long, value_name = "NAME", requires = "planted")]
    only: Option<String>,
    /// How many seeds to run.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The only seed to run, as a failure names it.
    #[arg(long, conflicts_with = "planted")]
    seed: Option<u64>,
    /// On which backend: memory, embedded or postgres.
    #[arg(long, default_value = "memory")]
    backend: String,
    /// How many transactions the clients of one seed make, together.
    #[arg(long, default_value_t = 300)]
    steps: usize,
    /// Let every client be a thread, and the engine run as in production.
    #[arg(long)]
    threads: bool,
}

/// Runs what the options say.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.planted {
        return planted::run(options.seeds, options.only.as_deref());
    }
    let mut arguments: Vec<OsString> = vec!["--backend".into(), options.backend.as_str().into()];
    arguments.extend(["--steps".into(), options.steps.to_string().into()]);
    match options.seed {
        Some(seed) => arguments.extend(["--seed".into(), seed.to_string().into()]),
        None => arguments.extend(["--seeds".into(), options.seeds.to_string().into()]),
    }
    if options.threads {
        arguments.push("--threads".into());
    }
    let postgres = (options.backend == "postgres")
        .then(TestPostgres::start)
        .transpose()?;
    simulate(&arguments, postgres.as_ref())
}

/// The simulations that every change must pass. On a disk, and over a connection, a seed takes many times as long as in
/// memory, so there are fewer.
pub(crate) fn ci() -> Result<()> {
    let postgres = TestPostgres::start()?;
    for (backend, seeds, more) in [
        ("memory", "200", &[][..]),
        ("embedded", "30", &[]),
        ("postgres", "10", &["--steps", "150"]),
        ("memory", "50", &["--threads"]),
        ("embedded", "10", &["--threads"]),
        ("postgres", "10", &["--threads", "--steps", "150"]),
    ] {
        let arguments = ["--backend", backend, "--seeds", seeds];
        simulate(&[&arguments[..], more].concat(), Some(&postgres))?;
    }
    Ok(())
}

fn simulate(arguments: &[impl AsRef<OsStr>], postgres: Option<&TestPostgres>) -> Result<()> {
    let mut command = workspace::cargo(&["run", "--quiet", "--locked", "-p", "thalweg-testkit"]);
    command.args(["--bin", "sim", "--"]).args(arguments);
    if let Some(postgres) = postgres {
        postgres.name_to(&mut command);
    }
    tools::run(&mut command)
}

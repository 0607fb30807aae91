//! `cargo xtask fuzz`: Schemathesis against a running server, for a time.
//!
//! It makes operations of all kinds from the served schema, mutations included, and no answer may be a fault of the server's:
//! `tests/e2e/tools/python/hooks.py` says what is one.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;

use crate::python::Packages;
use crate::server::Server;
use crate::{python, tools, workspace};

/// How long CI does it.
pub(crate) const CI_SECONDS: u32 = 300;

#[derive(Args)]
pub(crate) struct Options {
    /// For how long.
    #[arg(long, value_name = "N", default_value_t = CI_SECONDS)]
    seconds: u32,
    /// Repeats a run: what it printed as its seed.
    #[arg(long, value_name = "SEED")]
    seed: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    fuzz(
        &workspace::build_release()?,
        options.seconds,
        options.seed.as_deref(),
    )
}

pub(crate) fn fuzz(binary: &Path, seconds: u32, seed: Option<&str>) -> Result<()> {
    let python = python::environment(Packages::Clients)?;
    let scratch = tempfile::tempdir()?;
    let (data, log) = (
        scratch.path().join("data"),
        scratch.path().join("server.log"),
    );
    let server = Server::start(binary, &data, &log, &["--example", "airports"])?;
    let url = format!("{}/graphql", server.url());
    let seconds = seconds.to_string();
    let mut command = tools::command(
        python.with_file_name("schemathesis"),
        &["run", &url, "--max-time", &seconds],
        scratch.path(),
    );
    command
        .args(["--checks", "no_server_error", "--phases", "fuzzing"])
        // More than there is time for.
        .args(["--max-examples", "1000000", "--warnings", "off"])
        .args(["--generation-database", "none"])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env(
            "PYTHONPATH",
            workspace::root().join("tests/e2e/tools/python"),
        );
    if let Some(seed) = seed {
        command.args(["--seed", seed]);
    }
    tools::run(&mut command).with_context(|| server.log_end())?;
    server.stop()
}

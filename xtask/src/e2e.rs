//! The end-to-end tests: a real server, real clients, a real browser, and the tools that people use with GraphQL.
//!
//! The tests are in `tests/e2e` and run under `node --test`. They find the server in `THALWEG_URL`,
//! the binary (to start more, or to run its tools) in `THALWEG_BIN`, the browser in `CHROMIUM`, Pythons that have the packages
//! of theirs in `THALWEG_PYTHON` and `THALWEG_PYTHON_ARIADNE`. The client in `clients/typescript` is built and tested before, and
//! installed among their packages as it would be published.

use std::path::Path;

use anyhow::{Context, Result};

use crate::python::Packages;
use crate::server::Server;
use crate::{fetch, python, tools, workspace};

/// A file of tests that takes longer hangs.
const TEST_TIMEOUT: &str = "--test-timeout=300000";

/// What tests make random choices of, unless the environment says another: a change is judged by itself, and not by luck.
/// `node --test` by hand takes a new one each time.
const SEED: (&str, &str) = ("THALWEG_SEED", "20261128");

/// Starts a server with example data, runs the tests against it, stops it; `see` gets each line
/// that the tests print.
pub(crate) fn run(binary: &Path, mut see: impl FnMut(&str)) -> Result<()> {
    let directory = workspace::root().join("tests/e2e");
    tools::npm_ci(&directory)?;
    typescript_client(&directory, &mut see)?;
    let chromium = tools::chromium().context("no Chromium; run `cargo xtask setup`")?;
    let python = python::environment(Packages::Clients)?;
    let ariadne = python::environment(Packages::Ariadne)?;
    fetch::run()?;
    let files = test_files(&directory)?;

    let scratch = tempfile::tempdir()?;
    let (data, log) = (
        scratch.path().join("data"),
        scratch.path().join("server.log"),
    );
    let server = Server::start(binary, &data, &log, &["--example", "movies"])?;
    let options = [
        "--test",
        "--test-concurrency=1",
        "--test-reporter=spec",
        TEST_TIMEOUT,
    ];
    let mut command = tools::command("node", &options, &directory);
    command
        .args(files)
        .env("THALWEG_URL", server.url())
        .env("THALWEG_BIN", binary)
        .env("CHROMIUM", chromium)
        .env("THALWEG_PYTHON", python)
        .env("THALWEG_PYTHON_ARIADNE", ariadne);
    let (variable, seed) = SEED;
    if std::env::var_os(variable).is_none() {
        command.env(variable, seed);
    }
    tools::run_watched(&mut command, see).with_context(|| server.log_end())?;
    server.stop()
}

/// Builds the client for TypeScript, tests it by itself, and installs it for the tests in `directory`.
fn typescript_client(directory: &Path, see: impl FnMut(&str)) -> Result<()> {
    let client = workspace::root().join("clients/typescript");
    tools::npm_ci(&client)?;
    let mut test = tools::command("npm", &["test"], &client);
    if std::env::var_os(SEED.0).is_none() {
        test.env(SEED.0, SEED.1);
    }
    tools::run_watched(&mut test, see)?;
    let mut install = tools::command("node", &["scripts/install.mjs"], &client);
    tools::run(install.arg(directory))
}

fn test_files(directory: &Path) -> Result<Vec<String>> {
    let mut files: Vec<String> = std::fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name.ends_with(".test.mjs"))
        .collect();
    files.sort();
    if files.is_empty() {
        anyhow::bail!("no *.test.mjs in {}", directory.display());
    }
    Ok(files)
}

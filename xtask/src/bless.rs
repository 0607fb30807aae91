//! `cargo xtask bless`: takes the output of today as what the golden tests expect.

use anyhow::Result;
use clap::Args;

use crate::{tools, workspace};

#[derive(Args)]
pub(crate) struct Options {
    /// Only the golden tests of this crate, such as thalweg-resolvers.
    #[arg(short, long, value_name = "CRATE")]
    package: Option<String>,
}

/// Runs the tests with `insta` told to overwrite; what is not a golden test fails as ever.
pub(crate) fn run(options: &Options) -> Result<()> {
    let scope = match &options.package {
        Some(package) => vec!["-p", package.as_str()],
        None => vec!["--workspace"],
    };
    let mut command = workspace::cargo(&["test", "--all-features", "--no-fail-fast"]);
    tools::run(command.args(scope).env("INSTA_UPDATE", "always"))
}

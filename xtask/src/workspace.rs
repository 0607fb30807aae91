//! Where things are: the repository, the build output, the test data.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::tools;

/// The root of the repository.
///
/// Asked of the environment that `cargo run` sets, and not of the compiler: two clones that share a
/// target directory share this program.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        manifest.parent().unwrap_or(&manifest).to_owned()
    });
    &ROOT
}

/// Where downloaded test data lives: always inside the clone, wherever the build output goes, so
/// that tests find it without being told.
pub(crate) fn test_data() -> PathBuf {
    root().join("target/test-data")
}

/// A cargo command in the root, with the cargo that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = tools::command(cargo, arguments, root());
    // For the same reason: golden tests would look for their files where they were compiled.
    command.env("INSTA_WORKSPACE_ROOT", root());
    command
}

/// What `cargo metadata` says about the crates of this workspace.
pub(crate) fn metadata() -> Result<Value> {
    let mut command = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let output = command.output().context("cannot start cargo metadata")?;
    if !output.status.success() {
        anyhow::bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata did not print JSON")
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = metadata()?;
    let target = metadata["target_directory"]
        .as_str()
        .context("no target_directory")?;
    Ok(PathBuf::from(target))
}

/// The binary that `cargo build --release -p thalweg` makes.
pub(crate) fn release_binary() -> Result<PathBuf> {
    Ok(target_directory()?
        .join("release")
        .join(format!("thalweg{}", std::env::consts::EXE_SUFFIX)))
}

/// Builds the release binary and says where it is.
pub(crate) fn build_release() -> Result<PathBuf> {
    tools::run(&mut cargo(&[
        "build",
        "--release",
        "--locked",
        "-p",
        "thalweg",
    ]))?;
    release_binary()
}

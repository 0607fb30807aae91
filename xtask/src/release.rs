//! `cargo xtask release`: the binary to give away, built with a profile of itself.
//!
//! What a request takes is not any one function but the processor's wait for code and data, so what helps is code that lies
//! as it is used. The compiler is told by a profile: it builds a binary that counts ([`build`]), which serves a mix of
//! requests for a minute ([`training`]), and then the one that is kept. `docs/benchmarks.md` says what that gains.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{tools, workspace};

pub(crate) use self::training::{Extent, train};

mod training;

#[derive(Args)]
pub(crate) struct Options {
    /// Build with the profile of the last time. It fits less and less as the code changes.
    #[arg(long)]
    reuse_profile: bool,
}

/// Builds the binary and prints where it is.
pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = build(options.reuse_profile)?;
    println!("{}", binary.display());
    Ok(())
}

/// Builds the binary, with the profile that is there if that will do, and says where it is.
pub(crate) fn build(reuse_profile: bool) -> Result<PathBuf> {
    let directory = workspace::target_directory()?.join("profile-guided");
    let (counts, profile) = (directory.join("counts"), directory.join("thalweg.profdata"));
    let guided = directory.join("guided");
    if !reuse_profile || !profile.exists() {
        let merger = merger()?;
        let counting = directory.join("counting");
        let counting = compile(&counting, &flag("-Cprofile-generate=", &counts))?;
        remove(&counts)?;
        train(&counting, Extent::Whole)?;
        // Each process has left its counts when it ended.
        let mut merge = tools::command(merger, &["merge", "-o"], workspace::root());
        tools::run(merge.arg(&profile).arg(&counts))?;
        // Of crates that are not ours cargo does not see that the profile has changed.
        remove(&guided)?;
    }
    compile(&guided, &flag("-Cprofile-use=", &profile))
}

fn remove(directory: &Path) -> Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    fs::remove_dir_all(directory).with_context(|| directory.display().to_string())
}

fn flag(name: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(path);
    flag
}

/// Builds with one more flag for the compiler. That the target is named keeps the flag from build scripts and macros.
fn compile(directory: &Path, flag: &OsString) -> Result<PathBuf> {
    let host = host()?;
    let mut flags = std::env::var_os("RUSTFLAGS").unwrap_or_default();
    if !flags.is_empty() {
        flags.push(" ");
    }
    flags.push(flag);
    let mut build = workspace::cargo(&["build", "--release", "--locked", "-p", "thalweg"]);
    build.args(["--target", &host, "--target-dir"]);
    tools::run(build.arg(directory).env("RUSTFLAGS", flags))?;
    let name = format!("thalweg{}", std::env::consts::EXE_SUFFIX);
    Ok(directory.join(host).join("release").join(name))
}

fn host() -> Result<String> {
    let version = rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}

/// The program that makes a profile of counts; it has to be of the compiler's own LLVM.
fn merger() -> Result<PathBuf> {
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
    let name = format!("llvm-profdata{}", std::env::consts::EXE_SUFFIX);
    let merger = sysroot
        .join("lib/rustlib")
        .join(host()?)
        .join("bin")
        .join(name);
    if !merger.exists() && tools::find("rustup").is_some() {
        let arguments = ["component", "add", "llvm-tools"];
        tools::run(&mut tools::command("rustup", &arguments, workspace::root()))?;
    }
    if !merger.exists() {
        bail!("no {}; rustup component add llvm-tools", merger.display());
    }
    Ok(merger)
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = tools::command(rustc, arguments, workspace::root()).output();
    let output = output.context("cannot start rustc")?;
    String::from_utf8(output.stdout).context("rustc did not print text")
}

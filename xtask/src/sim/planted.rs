//! Planting bugs: a copy of the sources, one bug at a time, and simulations until one finds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, bail};

use crate::{tools, workspace};

use super::mutations::{Edit, MUTATIONS, Mutation};

/// What is not needed to build the simulation.
const NOT_COPIED: &[&str] = &["target", "node_modules", "thalweg-data"];

/// What became of a planted bug.
enum Verdict {
    /// What the simulation said.
    Caught(String),
    Missed,
}

/// Plants every bug, or those in whose name `only` occurs. Fails unless all are found.
pub(super) fn run(seeds: u64, only: Option<&str>) -> Result<()> {
    let scratch = workspace::target_directory()?.join("planted");
    let copy = Copy {
        root: scratch.join("sources"),
        target: scratch.join("target"),
    };
    copy.fill().context("cannot copy the sources")?;
    if let Verdict::Caught(account) = copy.simulate(seeds)? {
        bail!("there is a bug that nobody planted:\n{account}");
    }
    let chosen = MUTATIONS
        .iter()
        .filter(|mutation| only.is_none_or(|only| mutation.name.contains(only)));
    let (mut planted, mut missed) = (0, Vec::new());
    for mutation in chosen {
        planted += 1;
        match copy.plant(mutation, seeds)? {
            Verdict::Caught(account) => {
                let first = account.lines().next().unwrap_or_default();
                println!("caught  {}: {first}", mutation.name);
            }
            Verdict::Missed => {
                println!(
                    "MISSED  {}: {} in {seeds} seeds",
                    mutation.name, mutation.shows_as
                );
                missed.push(mutation.name);
            }
        }
    }
    println!(
        "{} of {planted} planted bugs caught",
        planted - missed.len()
    );
    if !missed.is_empty() {
        bail!("not caught: {}", missed.join(", "));
    }
    Ok(())
}

/// A copy of the repository that bugs are planted in, and where it is built.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Takes over the sources as they are now. Files that have not changed keep their times, so that they need not be
    /// built again.
    fn fill(&self) -> Result<()> {
        let mut kept = Vec::new();
        copy_tree(workspace::root(), &self.root, &mut kept)?;
        remove_others(&self.root, &kept)
    }

    fn plant(&self, mutation: &Mutation, seeds: u64) -> Result<Verdict> {
        let mut sources = Vec::new();
        for Edit {
            file,
            text,
            instead,
        } in mutation.edits
        {
            let path = self.root.join(file);
            let source = fs::read_to_string(&path).with_context(|| (*file).to_owned())?;
            if source.matches(text).count() != 1 {
                bail!("{}: its text is not in {file} exactly once", mutation.name);
            }
            fs::write(&path, source.replace(text, instead))?;
            sources.push((path, source));
        }
        let verdict = self.simulate(seeds);
        for (path, source) in sources {
            fs::write(path, source)?;
        }
        verdict.with_context(|| mutation.name.to_owned())
    }

    /// Builds the simulation and runs it until a seed fails.
    fn simulate(&self, seeds: u64) -> Result<Verdict> {
        let built = self.cargo(&["build", "--quiet", "-p", "thalweg-testkit", "--bin", "sim"])?;
        if !built.status.success() {
            bail!(
                "it does not compile:\n{}",
                String::from_utf8_lossy(&built.stderr)
            );
        }
        let program = self
            .target
            .join("debug")
            .join(format!("sim{}", std::env::consts::EXE_SUFFIX));
        let seeds = seeds.to_string();
        let output = tools::command(program, &["--seeds", &seeds], &self.root)
            .output()
            .context("cannot start the simulation")?;
        Ok(if output.status.success() {
            Verdict::Missed
        } else {
            let account = String::from_utf8_lossy(&output.stdout);
            let found = account
                .lines()
                .skip_while(|line| !line.starts_with("seed "));
            Verdict::Caught(found.collect::<Vec<_>>().join("\n"))
        })
    }

    fn cargo(&self, arguments: &[&str]) -> Result<Output> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = tools::command(cargo, arguments, &self.root);
        command
            .arg("--locked")
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // A planted bug may leave something unused.
            .env("RUSTFLAGS", "--cap-lints=warn");
        command.output().context("cannot start cargo")
    }
}

fn copy_tree(from: &Path, to: &Path, kept: &mut Vec<PathBuf>) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        if hidden || NOT_COPIED.iter().any(|it| name == *it) {
            continue;
        }
        let target = to.join(&name);
        kept.push(target.clone());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target, kept)?;
        } else {
            let content = fs::read(entry.path())?;
            if fs::read(&target).ok().as_ref() != Some(&content) {
                fs::write(&target, content)?;
            }
        }
    }
    Ok(())
}

/// Removes what an earlier copy had and the sources no longer have.
fn remove_others(directory: &Path, kept: &[PathBuf]) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() && kept.contains(&path) {
            remove_others(&path, kept)?;
        } else if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if !kept.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

//! `cargo xtask ci`: all checks, the quick ones first.
//!
//! A step that fails ends the run, and the steps after it count as skipped; `--keep-going` runs all
//! that do not need a failed one. The last line counts single tests where a step runs tests, and one
//! for every other step.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::postgres::TestPostgres;
use crate::release::Extent;
use crate::{crash, e2e, fetch, fuzz, release, sim, tidy, tools, workspace};

use self::tally::Tally;

mod tally;

const CRASH_CYCLES: u32 = 5;

/// How long the tests of one binary may take, ten times what the slowest of them do. What is longer
/// hangs, and is ended so that the others are still run; libtest has named it after a minute.
const TEST_BINARY_SECONDS_MAX: u32 = 600;

/// How long the case with which a property failed may be made smaller.
const SHRINK_MILLISECONDS_MAX: &str = "60000";

#[derive(Args)]
pub(crate) struct Options {
    /// Run only these steps, in their usual order.
    #[arg(long, value_enum, value_name = "STEP")]
    only: Vec<Step>,
    /// Do not end at the first step that fails.
    #[arg(long)]
    keep_going: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// rustfmt
    Format,
    /// The rules of this repository
    Tidy,
    /// clippy, without warnings
    Lint,
    /// Test data that is not shipped
    Fetch,
    /// Unit, property, golden and integration tests of all crates
    Test,
    /// Simulations of the engine under faults
    Sim,
    /// Examples in the documentation, and its links
    Doctest,
    /// The embedded console is what its source gives
    Console,
    /// The benchmarks, a workspace of their own, compile without warnings
    Bench,
    /// The release binary, and that it answers what it would be profiled by
    Release,
    /// Real clients and a real browser against the release binary
    EndToEnd,
    /// Operations made at random from the served schema, for five minutes
    Fuzz,
    /// kill -9 under write load
    Crash,
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// The step that must have passed before.
    fn needs(self) -> Option<Step> {
        match self {
            Step::EndToEnd | Step::Fuzz | Step::Crash => Some(Step::Release),
            _ => None,
        }
    }

    fn run(self, tally: &mut Tally) -> Result<()> {
        let cargo = |arguments: &[&str]| workspace::cargo(arguments);
        match self {
            Step::Format => tools::run(&mut cargo(&[
                "fmt", "--all", "--", "--check", "--color", "never",
            ])),
            Step::Tidy => tidy::run(),
            Step::Lint => tools::run(&mut cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--locked",
                "--",
                "-D",
                "warnings",
            ])),
            Step::Fetch => fetch::run(),
            Step::Test => {
                let mut command = cargo(&["test", "--workspace", "--all-features", "--locked"]);
                command.args(["--no-fail-fast", "--lib", "--bins", "--tests"]);
                if tools::find("timeout").is_some() {
                    command.arg("--config").arg(format!(
                        "target.'cfg(all())'.runner = ['timeout', '--foreground', \
                         '--kill-after=10', '{TEST_BINARY_SECONDS_MAX}']"
                    ));
                }
                command.env("PROPTEST_MAX_SHRINK_TIME", SHRINK_MILLISECONDS_MAX);
                // It has been fetched, so a test that finds none has looked in the wrong place.
                command.env("THALWEG_REQUIRE_TEST_DATA", "1");
                let postgres = TestPostgres::start()?;
                postgres.name_to(&mut command);
                tools::run_watched(&mut command, |line| tally.see(line))
            }
            Step::Sim => sim::ci(),
            Step::Doctest => {
                let mut command = cargo(&["test", "--workspace", "--all-features", "--locked"]);
                command.args(["--no-fail-fast", "--doc"]);
                tools::run_watched(&mut command, |line| tally.see(line))?;
                let mut document = cargo(&["doc", "--workspace", "--all-features", "--locked"]);
                document.args(["--no-deps", "--document-private-items"]);
                document.env("RUSTDOCFLAGS", "-D warnings");
                tools::run(&mut document)
            }
            Step::Console => {
                let console = workspace::root().join("gateway/console");
                tools::npm_ci(&console)?;
                tools::run(&mut tools::command(
                    "node",
                    &["build.mjs", "--check"],
                    &console,
                ))?;
                tools::run(&mut tools::command("npm", &["test"], &console))
            }
            Step::Bench => {
                let manifest = ["--manifest-path", "bench/Cargo.toml"];
                let mut format = cargo(&["fmt"]);
                format
                    .args(manifest)
                    .args(["--", "--check", "--color", "never"]);
                tools::run(&mut format)?;
                // As they are built for one benchmark or another: what all features use, fewer may not.
                for features in ["stores", "in-process", ""] {
                    let mut lint = cargo(&["clippy"]);
                    lint.args(manifest)
                        .args(["--all-targets", "--locked", "--features", features])
                        .args(["--", "-D", "warnings"]);
                    tools::run(&mut lint)?;
                }
                Ok(())
            }
            // With what `cargo xtask release` would train it by, so that this stays valid.
            Step::Release => release::train(&workspace::build_release()?, Extent::Brief),
            Step::EndToEnd => e2e::run(&workspace::release_binary()?, |line| tally.see(line)),
            Step::Fuzz => fuzz::fuzz(&workspace::release_binary()?, fuzz::CI_SECONDS, None),
            Step::Crash => {
                println!(
                    "{}",
                    crash::crash(&workspace::release_binary()?, CRASH_CYCLES, None)?
                );
                Ok(())
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

struct Row {
    step: Step,
    verdict: Verdict,
    tally: Tally,
    took: Duration,
}

/// Runs the steps, prints the table, and fails if any step did.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut rows: Vec<Row> = Vec::new();
    for step in Step::value_variants().iter().copied() {
        if !options.only.is_empty() && !options.only.contains(&step) {
            continue;
        }
        let row = if must_skip(step, &rows, options.keep_going) {
            Row {
                step,
                verdict: Verdict::Skipped,
                tally: Tally::default(),
                took: Duration::ZERO,
            }
        } else {
            run_step(step)
        };
        rows.push(row);
    }
    print!("{}", table(&rows));
    let failed: Vec<String> = rows
        .iter()
        .filter(|row| row.verdict == Verdict::Failed)
        .map(|row| row.step.name())
        .collect();
    if !failed.is_empty() {
        anyhow::bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn must_skip(step: Step, before: &[Row], keep_going: bool) -> bool {
    let bad = |row: &Row| row.verdict != Verdict::Passed;
    if !keep_going && before.iter().any(bad) {
        return true;
    }
    before
        .iter()
        .any(|row| Some(row.step) == step.needs() && bad(row))
}

fn run_step(step: Step) -> Row {
    println!("\n== {} ==", step.name());
    let started = Instant::now();
    let mut tally = Tally::default();
    let verdict = match step.run(&mut tally) {
        Ok(()) => Verdict::Passed,
        Err(error) => {
            println!("{}: {error:#}", step.name());
            Verdict::Failed
        }
    };
    tally.settle(verdict == Verdict::Passed);
    Row {
        step,
        verdict,
        tally,
        took: started.elapsed(),
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "\n{:<12} {:<8} {:>8}  {:>16}\n",
        "step", "result", "time", "tests"
    );
    let mut total = Tally::default();
    for Row {
        step,
        verdict,
        tally,
        took,
    } in rows
    {
        let (verdict, seconds) = (format!("{verdict:?}").to_lowercase(), took.as_secs_f64());
        let tests = format!("{} of {}", tally.passed, tally.passed + tally.failed);
        text.push_str(&format!(
            "{:<12} {verdict:<8} {seconds:>7.1}s  {tests:>16}\n",
            step.name(),
        ));
        total.add(*tally);
    }
    text.push_str(&format!(
        "\n{} passed, {} failed\n",
        total.passed, total.failed
    ));
    text
}

#[cfg(test)]
mod tests;

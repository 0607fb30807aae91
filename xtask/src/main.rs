//! `cargo xtask`: every check and chore of this repository, as one program.
//!
//! `ci` is what must pass before anything lands, and `.ci/run` is `setup` and `ci`. Steps shell out
//! to the tools that a developer would use by hand (cargo, node, npm), so that a failing one can
//! be repeated by hand. Nothing here is used by the product.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod bless;
mod ci;
mod crash;
mod e2e;
mod fetch;
mod fuzz;
mod http;
mod postgres;
mod python;
mod release;
mod server;
mod setup;
mod sim;
mod tidy;
mod tools;
mod workspace;

/// Checks, benchmarks and chores of the Thalweg repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check everything: format, rules, lints, tests, the release binary end to end, crash recovery.
    Ci(ci::Options),
    /// Check the rules that no other tool knows: crate dependencies, file sizes, module docs, …
    Tidy,
    /// Download the test data that is not shipped in the repository.
    Fetch,
    /// Install or ask for the tools that `ci` needs.
    Setup,
    /// Build the binary to give away, with a profile of itself: some twelve minutes, and a quarter less time for a request.
    Release(release::Options),
    /// Measure, each figure beside what it is compared with.
    Bench(bench::Options),
    /// Accept the current output of all golden tests; look at the difference before committing.
    Bless(bless::Options),
    /// Kill a server under write load, again and again, and check that nothing acknowledged is lost.
    Crash(crash::Options),
    /// Send a server operations made at random from its schema, and see that none is a fault of its own.
    Fuzz(fuzz::Options),
    /// Simulate clients, faults and crashes from seeds, and check what the clients saw.
    Sim(sim::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Ci(options) => ci::run(&options),
        Task::Tidy => tidy::run(),
        Task::Fetch => fetch::run(),
        Task::Setup => setup::run(),
        Task::Release(options) => release::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Bless(options) => bless::run(&options),
        Task::Crash(options) => crash::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Sim(options) => sim::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

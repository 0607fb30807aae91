//! Benchmarks of Thalweg, each beside what it is compared with.
//!
//! `cargo xtask bench` builds this and the release binary, and runs it; `docs/benchmarks.md` says what each benchmark
//! measures and what came out. Three rules hold for all of them:
//!
//! - a benchmark and its peer run in turns within one run (A B A B), so that a machine that slows down slows down both;
//! - what they answer is compared before anything is timed;
//! - the load ends by itself after a time or a count, and never leaves this machine.
//!
//! What runs Thalweg's crates in this process is behind the feature `in-process`, what needs other stores behind `stores`:
//! they take minutes to build, and `http`, `graphql` and `live` need neither.
//!
//! | module | what it holds |
//! |---|---|
//! | `import` | documents through the command line and the server into the store |
//! | `http` | requests per second over HTTP |
//! | `graphql` | the same, beside other GraphQL servers |
//! | `graphql_execution` | one large query, without a server |
//! | `schema` | building the API schema of many collections |
//! | `live` | from a write to its live query |
//! | `engine` | transactions and reads through the whole engine and through its store, beside other stores |
//! | `documents` | the generated documents |
//! | `server`, `connection` | a process under test, and a way to talk to it |
//! | `peers` | other servers, on Node.js |
//! | `machine` | what processes take, and what others leave |
//! | `statistics`, `table` | from samples to what is printed |

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};

mod connection;
mod documents;
#[cfg(feature = "stores")]
mod engine;
mod graphql;
#[cfg(feature = "in-process")]
mod graphql_execution;
mod http;
#[cfg(feature = "in-process")]
mod import;
mod live;
mod machine;
mod peers;
#[cfg(feature = "in-process")]
mod schema;
mod server;
mod statistics;
mod table;

/// What the product allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks of Thalweg, each beside what it is compared with.
#[derive(Parser)]
#[command(name = "thalweg-bench")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run benchmarks, in the order of the help, and print a table for each.
    Run(Options),
    /// Serve the recorded answers of a file: what `http` is compared with.
    #[command(hide = true)]
    BareServer {
        /// A file that `http` has written.
        recorded: PathBuf,
    },
    #[cfg(feature = "stores")]
    /// Fill the log of a store whose B-tree does not follow, and wait to be killed: what `engine` reopens.
    #[command(hide = true)]
    FillLog {
        /// An empty directory.
        directory: PathBuf,
        /// How much the log is to be ahead.
        overlay_bytes: u64,
    },
}

#[derive(clap::Args)]
struct Options {
    /// Which ones; all of them when none is named.
    #[arg(value_enum, value_name = "NAME")]
    names: Vec<Name>,
    /// Much smaller, to see that everything works; the figures mean little.
    #[arg(long)]
    quick: bool,
    /// Let `engine` write for ten minutes where it writes for one.
    #[arg(long)]
    soak: bool,
    /// Which parts of `engine` and `live`; all of them when none is named.
    #[arg(long = "part", value_name = "PART")]
    parts: Vec<String>,
    /// The `thalweg` binary, as released.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    #[cfg(feature = "in-process")]
    /// Import of a file of 100 MB.
    Import,
    /// Requests per second over HTTP.
    Http,
    /// Requests per second over HTTP, beside Mercurius and PostGraphile.
    Graphql,
    #[cfg(feature = "in-process")]
    /// One query for 1,000 documents of 10 fields, without a server.
    GraphqlExecution,
    #[cfg(feature = "in-process")]
    /// Building the API schema of 500 collections of 40 fields.
    Schema,
    /// Latency from a write to its live query.
    Live,
    #[cfg(feature = "stores")]
    /// Transactions and reads through the whole engine, beside other stores.
    Engine,
}

/// How much is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Enough for figures.
    Full,
    /// Enough to see that it works.
    Quick,
}

impl Extent {
    fn choose<T>(self, full: T, quick: T) -> T {
        match self {
            Extent::Full => full,
            Extent::Quick => quick,
        }
    }
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Run(options) => run(&options),
        Task::BareServer { recorded } => http::serve_recorded(&recorded),
        #[cfg(feature = "stores")]
        Task::FillLog {
            directory,
            overlay_bytes,
        } => engine::fill_log(&directory, overlay_bytes),
    }
}

fn run(options: &Options) -> Result<()> {
    let extent = if options.quick {
        Extent::Quick
    } else {
        Extent::Full
    };
    check_parts(&options.parts)?;
    for name in Name::value_variants() {
        if !options.names.is_empty() && !options.names.contains(name) {
            continue;
        }
        match name {
            #[cfg(feature = "in-process")]
            Name::Import => import::run(&options.binary, extent)?,
            Name::Http => http::run(&options.binary, extent)?,
            Name::Graphql => graphql::run(&options.binary, extent)?,
            #[cfg(feature = "in-process")]
            Name::GraphqlExecution => graphql_execution::run(extent)?,
            #[cfg(feature = "in-process")]
            Name::Schema => schema::run(extent)?,
            Name::Live => live::run(&options.binary, extent, &parts(&options.parts))?,
            #[cfg(feature = "stores")]
            Name::Engine => engine::run(extent, options.soak, &parts(&options.parts))?,
        }
    }
    Ok(())
}

/// The parts of a benchmark that are named, or all of them when none is.
fn parts<P: ValueEnum + Clone>(named: &[String]) -> Vec<P> {
    let is_named = |part: &&P| named.is_empty() || named.contains(&part_name(*part));
    P::value_variants()
        .iter()
        .filter(is_named)
        .cloned()
        .collect()
}

fn part_name<P: ValueEnum>(part: &P) -> String {
    let value = part.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn check_parts(named: &[String]) -> Result<()> {
    let known = live::Part::value_variants().iter().map(part_name);
    #[cfg(feature = "stores")]
    let known = known.chain(engine::Part::value_variants().iter().map(part_name));
    let known: Vec<String> = known.collect();
    for part in named {
        ensure!(
            known.contains(part),
            "no part is called {part}, but {}",
            known.join(", ")
        );
    }
    Ok(())
}

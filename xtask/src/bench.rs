//! `cargo xtask bench`: the benchmarks of `bench/`, against the release binary.
//!
//! They are a workspace of their own, so that what Thalweg is compared with stays out of its lock file; this builds both
//! and runs them. What they measure, and what came out, is in `docs/benchmarks.md`.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{release, tools, workspace};

#[derive(Args)]
pub(crate) struct Options {
    /// Which benchmarks; all of them when none is named.
    #[arg(value_enum, value_name = "NAME")]
    names: Vec<Name>,
    /// Much smaller, to see that everything works; the figures mean little.
    #[arg(long)]
    quick: bool,
    /// Let `engine` write for ten minutes where it writes for one.
    #[arg(long)]
    soak: bool,
    /// Measure the binary of `cargo xtask release` instead of that of `cargo build --release`, with the profile that is there
    /// or a new one.
    #[arg(long)]
    profile_guided: bool,
    /// Which parts of `engine` and `live`, as `docs/benchmarks.md` names them; all of them when none is named.
    #[arg(long = "part", value_name = "PART")]
    parts: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Import of a file of 100 MB, beside the store alone.
    Import,
    /// Requests per second over HTTP, beside a bare axum handler.
    Http,
    /// Requests per second over HTTP, beside Mercurius and PostGraphile.
    Graphql,
    /// 1,000 documents of 10 fields, beside serde_json and async-graphql.
    GraphqlExecution,
    /// Building the API schema of 500 collections of 40 fields, first and again.
    Schema,
    /// Live queries: latency, memory, fan-out, rate and bytes, beside graphql-ws and PostGraphile.
    Live,
    /// Transactions and reads through the whole engine and through its store, beside fjall, surrealkv, LMDB and PostgreSQL.
    Engine,
}

/// Builds what is needed and runs the benchmarks.
pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = |name: Name| options.names.is_empty() || options.names.contains(&name);
    let over_http = chosen(Name::Http) || chosen(Name::Graphql);
    if over_http && tools::find("wrk").is_none() {
        bail!("`http` and `graphql` need wrk; Debian has it: apt-get install wrk");
    }
    if chosen(Name::Graphql) || chosen(Name::Live) {
        tools::npm_ci(&workspace::root().join("bench/peers"))?;
    }
    if chosen(Name::Live) {
        tools::npm_ci(&workspace::root().join("bench/peers/postgraphile-4"))?;
    }
    let binary = if options.profile_guided {
        release::build(true)?
    } else {
        workspace::build_release()?
    };
    let target = workspace::target_directory()?;
    let mut build = workspace::cargo(&["build", "--release", "--locked"]);
    build
        .args(["--manifest-path", "bench/Cargo.toml", "--target-dir"])
        .arg(&target)
        .args(["--features", features(chosen)]);
    tools::run(&mut build)?;
    let bench = format!("release/thalweg-bench{}", std::env::consts::EXE_SUFFIX);
    let mut bench = tools::command(target.join(bench), &["run", "--binary"], workspace::root());
    bench.arg(&binary);
    if options.quick {
        bench.arg("--quick");
    }
    if options.soak {
        bench.arg("--soak");
    }
    for part in &options.parts {
        bench.args(["--part", part]);
    }
    for name in Name::value_variants() {
        if let Some(value) = name.to_possible_value()
            && options.names.contains(name)
        {
            bench.arg(value.get_name());
        }
    }
    tools::run(&mut bench)
}

/// What is built of `bench/`: all that the chosen benchmarks need, since the rest takes minutes.
fn features(chosen: impl Fn(Name) -> bool) -> &'static str {
    let in_process = [Name::Import, Name::GraphqlExecution, Name::Schema];
    if chosen(Name::Engine) {
        "stores"
    } else if in_process.into_iter().any(chosen) {
        "in-process"
    } else {
        ""
    }
}

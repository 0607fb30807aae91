//! `cargo xtask crash`: kill -9 under write load, many times over the same data.
//!
//! Clients write pairs of documents, each pair in one transaction, and remember what was
//! acknowledged; others write all sorts of things beside (`churn`). The server is killed at a random
//! moment. Then `thalweg verify` must find nothing wrong with the store, and once the server is
//! started again must hold:
//!
//! - every acknowledged pair is there, from this cycle and from all before, unless the collection was
//!   emptied since; then none from before is;
//! - of a pair that was not acknowledged, both documents are there or neither is;
//! - whatever is there has exactly the content that was sent.
//!
//! A pair is sent in one of two ways, both of which promise a transaction: two documents in one
//! field, or two fields in one operation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::http::Connection;
use crate::server::Server;
use crate::workspace;

use self::ledger::{Ledger, Pair};

mod churn;
mod ledger;

const WRITERS: u32 = 4;
const CHURNERS: u32 = 2;
const LIFE_MIN: Duration = Duration::from_millis(50);
const LIFE_MAX: Duration = Duration::from_millis(800);
/// The pairs are thrown away every so many cycles, so that a cycle does not become slower with their number.
const CYCLES_KEPT: u32 = 10;

#[derive(Args)]
pub(crate) struct Options {
    /// How many times to kill the server.
    #[arg(long, default_value_t = 20)]
    cycles: u32,
    /// Repeat the kill times of an earlier run; what runs between them still varies.
    #[arg(long)]
    seed: Option<u64>,
    /// Crash this binary, instead of building the release.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Crashes the binary of the options, and prints what came of it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => workspace::build_release()?,
    };
    let summary = crash(&binary, options.cycles, options.seed)?;
    println!("{summary}");
    Ok(())
}

/// Crashes `binary` that many times; the answer is a line for people.
pub(crate) fn crash(binary: &Path, cycles: u32, seed: Option<u64>) -> Result<String> {
    let seed = seed.unwrap_or_else(|| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::from(now.subsec_nanos()) ^ now.as_secs()
    });
    println!("crash test: {cycles} cycles, {WRITERS} writers, --seed {seed}");
    let mut random = Random(seed);
    let scratch = tempfile::tempdir()?;
    match cycle_all(binary, scratch.path(), cycles, &mut random) {
        Ok(summary) => Ok(summary),
        Err(error) => {
            let kept = scratch.keep();
            Err(error.context(format!("--seed {seed}, data kept in {}", kept.display())))
        }
    }
}

fn cycle_all(binary: &Path, scratch: &Path, cycles: u32, random: &mut Random) -> Result<String> {
    let (data, log) = (scratch.join("data"), scratch.join("server.log"));
    let mut ledger = Ledger::default();
    let mut restart_max = Duration::ZERO;
    let mut acknowledged_count = 0;
    for cycle in 1..=cycles {
        let started = Instant::now();
        let server = Server::start(binary, &data, &log, &[])?;
        let restart = started.elapsed();
        restart_max = restart_max.max(restart);
        let found = check(&server, &ledger).with_context(|| format!("before cycle {cycle}"))?;
        let mut connection = Connection::open(server.address())?;
        if cycle % CYCLES_KEPT == 0 && ledger.has_any() {
            send(&mut connection, &ledger::emptying())?;
            ledger.empty(cycle);
        }
        send(&mut connection, &churn::beginning(cycle))?;
        let life = random.between(LIFE_MIN, LIFE_MAX);
        let acknowledged = write_until_killed(server, cycle, life, random.next())?;
        let count = acknowledged.len();
        acknowledged_count += count;
        ledger.acknowledge(acknowledged);
        let verified = verify(binary, &data)
            .with_context(|| format!("cycle {cycle}: after a kill at {life:?}"))?;
        println!(
            "cycle {cycle}: ready in {restart:?} with {found} pairs, killed after {life:?}, \
             {count} acknowledged; {verified}",
        );
    }
    let server = Server::start(binary, &data, &log, &[])?;
    check(&server, &ledger).context("after the last cycle")?;
    server.kill()?;
    if acknowledged_count == 0 {
        bail!("not one write was acknowledged, so nothing was tested");
    }
    Ok(format!(
        "{cycles} crashes, {acknowledged_count} acknowledged pairs, none lost, every store clean; \
         ready again within {restart_max:?}",
    ))
}

fn check(server: &Server, ledger: &Ledger) -> Result<usize> {
    ledger.check(&export(server)?)
}

/// Checks the store that a killed server has left; gives the report's last line.
fn verify(binary: &Path, data: &Path) -> Result<String> {
    let output = Command::new(binary)
        .args(["verify", "--data"])
        .arg(data)
        .output()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    let report = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`thalweg verify` ended with {}:\n{report}{errors}",
            output.status
        );
    }
    let line = report.lines().last().unwrap_or_default();
    Ok(line
        .rsplit_once(": ")
        .map_or(line, |(_, counts)| counts)
        .to_owned())
}

/// Lets everybody write for `life`, kills the server, and gives what it acknowledged.
fn write_until_killed(
    server: Server,
    cycle: u32,
    life: Duration,
    seed: u64,
) -> Result<BTreeSet<Pair>> {
    let address = server.address().to_owned();
    let (address, killed) = (address.as_str(), &AtomicBool::new(false));
    let panicked = |_| anyhow::anyhow!("a writer panicked");
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || write(address, cycle, writer, killed)))
            .collect();
        let churners: Vec<_> = (0..CHURNERS)
            .map(|writer| {
                let random = Random(seed.wrapping_add(u64::from(writer)));
                scope.spawn(move || churn(address, writer, random, killed))
            })
            .collect();
        thread::sleep(life);
        killed.store(true, Ordering::SeqCst);
        let outcome = server.kill();
        let mut acknowledged = BTreeSet::new();
        for writer in writers {
            acknowledged.extend(writer.join().map_err(panicked)??);
        }
        for churner in churners {
            churner.join().map_err(panicked)??;
        }
        outcome.map(|()| acknowledged)
    })
}

/// Writes pairs until the server is gone. A request that fails before the kill is a failure of the
/// test; one that fails after it was in doubt, and is not acknowledged.
fn write(address: &str, cycle: u32, writer: u32, killed: &AtomicBool) -> Result<BTreeSet<Pair>> {
    let mut acknowledged = BTreeSet::new();
    let mut sequence = 0;
    until_killed(address, killed, |connection| {
        let pair = Pair {
            cycle,
            writer,
            sequence,
        };
        send(connection, &pair.request())?;
        acknowledged.insert(pair);
        sequence += 1;
        Ok(())
    })?;
    Ok(acknowledged)
}

/// Writes all sorts of things until the server is gone.
fn churn(address: &str, writer: u32, mut random: Random, killed: &AtomicBool) -> Result<()> {
    until_killed(address, killed, |connection| {
        let requests = churn::requests(writer, &mut random);
        requests
            .iter()
            .try_for_each(|request| send(connection, request))
    })
}

fn until_killed(
    address: &str,
    killed: &AtomicBool,
    mut step: impl FnMut(&mut Connection) -> Result<()>,
) -> Result<()> {
    let result = Connection::open(address).and_then(|mut connection| {
        loop {
            step(&mut connection)?;
        }
    });
    let Err(error): Result<std::convert::Infallible> = result;
    if killed.load(Ordering::SeqCst) {
        Ok(())
    } else {
        Err(error)
    }
}

fn send(connection: &mut Connection, request: &str) -> Result<()> {
    let response = connection.post_json("/graphql", request)?;
    confirm(response.status, &response.body)
}

fn confirm(status: u16, body: &[u8]) -> Result<()> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if status != 200 || answer["data"].is_null() || !answer["errors"].is_null() {
        bail!(
            "a write was answered with {status} {}",
            String::from_utf8_lossy(body)
        );
    }
    Ok(())
}

/// The lines of the collection; none when the server was killed before it came into being.
fn export(server: &Server) -> Result<String> {
    let path = format!("/export/{}", ledger::COLLECTION);
    let response = Connection::open(server.address())?.get(&path)?;
    match response.status {
        200 => String::from_utf8(response.body).context("the export is not UTF-8"),
        404 => Ok(String::new()),
        status => bail!("{path} was answered with {status}; {}", server.log_end()),
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn between(&mut self, min: Duration, max: Duration) -> Duration {
        let span = max.saturating_sub(min).as_millis().max(1);
        let offset = u128::from(self.next()) % span;
        min + Duration::from_millis(u64::try_from(offset).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_times_within_bounds() {
        let times = |seed| -> Vec<Duration> {
            let mut random = Random(seed);
            (0..100)
                .map(|_| random.between(LIFE_MIN, LIFE_MAX))
                .collect()
        };
        assert_eq!(times(7), times(7));
        assert_ne!(times(7), times(8));
        assert!(
            times(7)
                .iter()
                .all(|time| (LIFE_MIN..LIFE_MAX).contains(time))
        );
    }

    #[test]
    fn only_data_without_errors_is_an_acknowledgement() {
        assert!(confirm(200, br#"{"data":{"a":[]}}"#).is_ok());
        for (status, body) in [
            (503, r#"{"data":{"a":[]}}"#),
            (200, r#"{"data":null,"errors":[{"message":"x"}]}"#),
            (200, r#"{"data":{"a":[]},"errors":[]}"#),
            (200, "not JSON"),
        ] {
            assert!(confirm(status, body.as_bytes()).is_err(), "{body}");
        }
    }
}

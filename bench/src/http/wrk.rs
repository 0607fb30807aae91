//! Running `wrk`: a load for some seconds, and what came of it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const SCRIPT: &str = include_str!("wrk.lua");
const CONNECTIONS: &str = "-c16";
const THREADS: &str = "-t2";

/// The outcome of one load.
#[derive(Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Writes the script that [`load`] needs into a directory.
pub(crate) fn prepare(directory: &Path) -> Result<()> {
    std::fs::write(directory.join("wrk.lua"), SCRIPT).context("cannot write the script for wrk")
}

/// Puts load on `/graphql` with the requests of the file `requests` in `directory`.
pub(crate) fn load(
    directory: &Path,
    requests: &str,
    address: &str,
    duration: Duration,
) -> Result<Load> {
    let output = Command::new("wrk")
        .current_dir(directory)
        .args([
            THREADS,
            CONNECTIONS,
            "--timeout",
            "10s",
            "--script",
            "wrk.lua",
        ])
        .arg(format!("-d{}s", duration.as_secs().max(1)))
        .arg(format!("http://{address}/graphql"))
        .args(["--", requests])
        .output()
        .context("cannot start wrk; Debian has it: apt-get install wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "wrk: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    summary(&text).with_context(|| format!("wrk reports failures, or says nothing: {text}"))
}

/// Reads the line of the script: requests, microseconds, failures, latencies in microseconds. `None` if any request
/// failed.
fn summary(text: &str) -> Option<Load> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("summary "))?;
    let numbers: Vec<f64> = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    match numbers[..] {
        [requests, micros, 0.0, p50_micros, p99_micros] => Some(Load {
            requests,
            requests_per_second: requests / (micros / 1e6),
            p50_ms: p50_micros / 1e3,
            p99_ms: p99_micros / 1e3,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_with_failures_is_no_measurement() {
        let load = summary("Running\nsummary 500 2000000 0 1500 9000\n").expect("a summary");
        assert_eq!(load.requests_per_second, 250.0);
        assert_eq!((load.p50_ms, load.p99_ms), (1.5, 9.0));
        assert_eq!(summary("summary 500 2000000 1 1500 9000\n"), None);
        assert_eq!(summary("Running\n"), None);
    }
}

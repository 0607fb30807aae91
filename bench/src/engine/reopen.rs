//! How long it takes to open a store that was killed with a full log.
//!
//! A child process runs probe transactions until the log is as far ahead of the B-tree as it may be, and is killed.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use thalweg_engine::{Engine, EngineOptions, Retain};
use thalweg_storage::{EmbeddedBackend, EmbeddedOptions};

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, number};

use super::target::Target;
use super::world::{Random, World, drive, runtime};
use crate::machine::Others;

/// What the child says when the log is full.
const FULL: &str = "full";
const CLIENTS: u64 = 64;
const SECONDS: Target = Target::AtMost(2.0);

pub(super) fn run(extent: Extent) -> Result<()> {
    let turns = extent.choose(3, 1);
    let overlay_bytes = extent.choose(EmbeddedOptions::default().overlay_bytes_max, 8 << 20);
    let mut stores = Samples::default();
    let mut seconds = Samples::default();
    let mut others = Samples::default();
    let mut recovered = String::new();
    for _ in 0..turns {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("store");
        killed_when_full(&path, overlay_bytes)?;
        let watch = Others::watch()?;
        let started = Instant::now();
        let store = EmbeddedBackend::open(&path, EmbeddedOptions::default())?;
        stores.push(started.elapsed().as_secs_f64());
        recovered = store.recovery().to_string();
        let engine = Engine::open(Arc::new(store), EngineOptions::default())?;
        let snapshot = engine.snapshot()?;
        seconds.push(started.elapsed().as_secs_f64());
        others.push(watch.cpus()?);
        ensure!(
            snapshot.catalog().collections().len() > 0,
            "nothing was read back"
        );
        drop(snapshot);
        engine.close();
    }
    let written = |seconds: f64| format!("{} s", number(seconds));
    let mut table = Table::new([
        "reopening after kill -9, the log full",
        "median",
        "longest",
        "target",
    ]);
    table.row([
        format!("the store; {recovered}"),
        written(stores.median()),
        written(stores.largest()),
        String::new(),
    ]);
    table.row([
        "until the engine answers".to_owned(),
        written(seconds.median()),
        written(seconds.largest()),
        SECONDS.verdict(seconds.median(), written),
    ]);
    table.print(&format!(
        "engine, reopening: {turns} turns; others took {:.2} CPUs",
        others.median()
    ));
    Ok(())
}

/// Leaves a store behind whose log is that far ahead.
fn killed_when_full(path: &Path, overlay_bytes: u64) -> Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("fill-log")
        .arg(path)
        .arg(overlay_bytes.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().context("the child has no output")?;
    let mut line = String::new();
    let said = BufReader::new(output).read_line(&mut line);
    child.kill()?;
    child.wait()?;
    said?;
    ensure!(line.trim() == FULL, "the child said {line:?}");
    Ok(())
}

/// The child: fills the log, says so, and waits to be killed, or for its parent to be gone.
pub(crate) fn fill_log(path: &Path, overlay_bytes: u64) -> Result<()> {
    let options = EmbeddedOptions {
        overlay_bytes_max: 2 * overlay_bytes,
        apply_bytes: u64::MAX,
        apply_after: Duration::MAX,
        apply_idle: Duration::MAX,
        ..EmbeddedOptions::default()
    };
    let runtime = runtime()?;
    let store = EmbeddedBackend::open(path, options)?;
    let world = World::on(
        &runtime,
        store,
        10_000,
        EngineOptions::default(),
        Retain::Forever,
    )?;
    while world.store.write_path().overlay_bytes < overlay_bytes {
        let probe = world.probe.clone();
        drive(
            &runtime,
            CLIENTS,
            Duration::from_millis(100),
            move |client, turn| probe.clone().transact(Random::of(client, turn)),
        )?;
    }
    println!("{FULL}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

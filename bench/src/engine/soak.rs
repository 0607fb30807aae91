//! Writes for a long time, with history off: the rate beside what the applier could do, memory, size on disk.
//!
//! In the middle a snapshot is held for a minute. The store may end it before, but whoever holds it does not let go.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use thalweg_engine::{EngineOptions, Retain, Snapshot};
use thalweg_storage::{Backend as _, WritePath};

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, number, percent};

use super::target::Target;
use super::world::{Random, World, drive, runtime};
use crate::machine::{Memory, Others, memory};

const CLIENTS: u64 = 64;
const SAMPLES: u32 = 20;
const RECOVERY_WINDOW: Duration = Duration::from_secs(5);
const SUSTAINED: Target = Target::AtLeast(0.8);
/// Memory at the end against memory early on.
const GROWN: Target = Target::AtMost(1.1);
const FILE: Target = Target::AtMost(3.0);

/// One look at everything.
struct Look {
    at: Duration,
    memory: Memory,
    tree: f64,
    path: WritePath,
    is_held: bool,
}

pub(super) fn run(extent: Extent, is_long: bool) -> Result<()> {
    let time = match is_long {
        true => Duration::from_secs(600),
        false => extent.choose(Duration::from_secs(60), Duration::from_secs(2)),
    };
    let runtime = runtime()?;
    let window = RECOVERY_WINDOW.min(time / 4);
    let options = EngineOptions {
        recovery_window: window,
        ..EngineOptions::default()
    };
    let world = World::with(
        &runtime,
        extent.choose(500_000, 5_000),
        options,
        Retain::Nothing,
    )?;
    let probe = &world.probe;
    let write = |time: Duration| {
        let probe = probe.clone();
        drive(&runtime, CLIENTS, time, move |client, turn| {
            probe.clone().transact(Random::of(client, turn))
        })
    };
    let burst = write(extent.choose(Duration::from_secs(10), Duration::from_millis(300)))?;
    world.settle()?;
    let others = Others::watch()?;
    let before = world.store.write_path();
    let (rate, looks) = thread::scope(|scope| -> Result<_> {
        let looking = scope.spawn(|| look_on(&world, time));
        let rate = write(time)?;
        let looks = looking.join().expect("looking on does not panic")?;
        Ok((rate, looks))
    })?;
    let others = others.text()?;
    world.settle()?;
    let applying = world.store.write_path().applying - before.applying;
    let limit = rate * time.as_secs_f64() / applying.as_secs_f64();
    series(&looks, time, &others);
    rates(burst, rate, limit);
    // Until nothing is left but documents and what belongs to them.
    let quiet = Instant::now();
    while quiet.elapsed() < window + Duration::from_secs(2) {
        let random = Random::of(CLIENTS, u64::from(quiet.elapsed().subsec_nanos()));
        runtime.block_on(probe.clone().transact(random))?;
        thread::sleep(Duration::from_millis(2));
    }
    world.settle()?;
    ensure!(probe.engine.snapshot()?.document_count(probe.collection)? == probe.documents);
    sizes(&looks, world.store.usage()?.bytes_live as f64);
    Ok(())
}

/// Looks at everything now and then, and holds a snapshot in the middle.
fn look_on(world: &World, time: Duration) -> Result<Vec<Look>> {
    let held = Duration::from_secs(60).min(time / 5);
    let hold_from = (time - held) / 2;
    let started = Instant::now();
    let mut snapshot: Option<Snapshot> = None;
    let mut looks = Vec::new();
    for look in 1..=SAMPLES {
        let at = time * look / SAMPLES;
        thread::sleep(at.saturating_sub(started.elapsed()));
        let is_held = at >= hold_from && at < hold_from + held;
        if is_held && snapshot.is_none() {
            snapshot = Some(world.probe.engine.snapshot()?);
        } else if !is_held {
            snapshot = None;
        }
        let path = world.store.write_path();
        looks.push(Look {
            at,
            memory: memory()?,
            tree: (world.store.usage()?.bytes_on_disk - path.log_bytes) as f64,
            path,
            is_held,
        });
    }
    Ok(looks)
}

fn series(looks: &[Look], time: Duration, others: &str) {
    let mut table = Table::new([
        "after, s",
        "memory, MB",
        "mapped pages, MB",
        "B-tree file, MB",
        "log, MB",
        "overlay, MB",
        "applied so far, MB",
        "snapshot",
    ]);
    for look in looks {
        table.row([
            number(look.at.as_secs_f64()),
            megabytes(look.memory.anonymous),
            megabytes(look.memory.mapped),
            megabytes(look.tree),
            megabytes(look.path.log_bytes as f64),
            megabytes(look.path.overlay_bytes as f64),
            megabytes(look.path.applied_bytes as f64),
            if look.is_held { "held" } else { "" }.to_owned(),
        ]);
    }
    let seconds = time.as_secs_f64();
    table.print(&format!(
        "engine, soak: {CLIENTS} clients for {seconds} s; {others}"
    ));
}

fn rates(burst: f64, rate: f64, limit: f64) {
    let mut table = Table::new(["sustained, 64 committers", "txn/s", "target"]);
    table.row(["burst before".to_owned(), number(burst), String::new()]);
    let share = rate / burst;
    table.row([
        format!("sustained, {} of the burst", percent(share)),
        number(rate),
        String::new(),
    ]);
    // What comes no faster than it can be applied is not held up by the applier.
    let possible = limit.min(burst);
    table.row([
        format!(
            "the applier's limit; sustained is {} of the lesser of it and the burst",
            percent(rate / possible)
        ),
        number(limit),
        SUSTAINED.verdict(rate / possible, percent),
    ]);
    table.print("engine, sustained");
}

fn sizes(looks: &[Look], live: f64) {
    let median = |looks: &[Look]| {
        let mut memory = Samples::default();
        looks
            .iter()
            .for_each(|look| memory.push(look.memory.anonymous));
        memory.median()
    };
    let quarter = looks.len() / 4;
    let (early, end) = (
        median(&looks[quarter..2 * quarter]),
        median(&looks[3 * quarter..]),
    );
    let times = |share: f64| format!("{} ×", number(share));
    let mut table = Table::new(["", "MB", "ratio", "target"]);
    table.row([
        "memory in the last quarter, of the second".to_owned(),
        megabytes(end),
        times(end / early),
        GROWN.verdict(end / early, times),
    ]);
    let tree = looks.iter().map(|look| look.tree).fold(0.0, f64::max);
    let all = looks
        .iter()
        .map(|look| look.tree + look.path.log_bytes as f64)
        .fold(0.0, f64::max);
    table.row([
        format!("B-tree file, of {} MB live", megabytes(live)),
        megabytes(tree),
        times(tree / live),
        FILE.verdict(tree / live, times),
    ]);
    table.row([
        "the same with the log".to_owned(),
        megabytes(all),
        times(all / live),
        String::new(),
    ]);
    table.print("engine, memory and size on disk over the soak");
}

fn megabytes(bytes: f64) -> String {
    number(bytes / 1e6)
}

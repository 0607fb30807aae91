//! Reads through the engine beside bare LMDB with the same documents, and beside writes.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use thalweg_engine::{Deleted, FieldMask, Find, Position, Predicate};
use tokio::runtime::Runtime;

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, percent, spread};

use super::stores::{Lmdb, Row, Store as _};
use super::target::Target;
use super::world::{Probe, Random, World, drive, id, json, runtime};
use crate::machine::Others;

/// Gets through one snapshot, as a request for many documents has.
const GETS_PER_SNAPSHOT: u64 = 100;
const ROWS: usize = 1_000;
const WRITERS: u64 = 64;
const OF_LMDB: Target = Target::AtLeast(0.5);
const OF_IDLE: Target = Target::AtLeast(0.85);

pub(super) fn run(extent: Extent) -> Result<()> {
    let runtime = runtime()?;
    let documents = extent.choose(200_000, 5_000);
    let world = World::filled(&runtime, documents)?;
    let directory = tempfile::tempdir()?;
    let lmdb = Lmdb::open(&directory.path().join("lmdb"))?;
    let rows: Vec<Row> = (0..documents)
        .map(|number| (id(number).as_str().into(), json(number, 0).into_bytes()))
        .collect();
    for rows in rows.chunks(10_000) {
        lmdb.write(rows)?;
    }
    beside_lmdb(&world.probe, &lmdb, extent)?;
    beside_writes(&world, &runtime, extent)
}

fn beside_lmdb(probe: &Probe, lmdb: &Lmdb, extent: Extent) -> Result<()> {
    let time = Duration::from_millis(extent.choose(2_000, 100));
    let turns = extent.choose(7, 1);
    let [mut gets, mut bare_gets, mut rows, mut bare_rows] = [(); 4].map(|()| Samples::default());
    let others = Others::watch()?;
    for turn in 0..turns {
        let nth = |n: u64| turn << 32 | n;
        gets.push(rate(time, |n| get_some(probe, nth(n)))?);
        bare_gets.push(rate(time, |n| {
            let keys = numbers(probe, nth(n)).map(|number| id(number).as_str().into());
            lmdb.read_all(keys)
        })?);
        rows.push(rate(time, |n| scan(probe, nth(n)))?);
        bare_rows.push(rate(time, |n| {
            let seen = lmdb.scan(id(first(probe, nth(n))).as_str().as_bytes(), ROWS)?;
            ensure!(seen == ROWS as u64, "a scan is too short");
            Ok(seen)
        })?);
    }
    let mut table = Table::new([
        "one thread, nothing being written",
        "per second",
        "of bare LMDB",
        "target",
    ]);
    for (name, ours, bare) in [
        ("documents by id", &gets, &bare_gets),
        ("rows, 1,000 at a time", &rows, &bare_rows),
    ] {
        let share = ours.median() / bare.median();
        let verdict = OF_LMDB.verdict(share, percent);
        table.row([name.to_owned(), spread(ours), percent(share), verdict]);
        table.row([
            "– bare LMDB".to_owned(),
            spread(bare),
            percent(1.0),
            String::new(),
        ]);
    }
    table.print(&format!(
        "engine, reads: medians of {turns} turns of {} s; {}",
        time.as_secs_f64(),
        others.text()?
    ));
    Ok(())
}

fn beside_writes(world: &World, runtime: &Runtime, extent: Extent) -> Result<()> {
    let probe = &world.probe;
    let time = Duration::from_millis(extent.choose(4_000, 100));
    let turns = extent.choose(5, 1);
    let [mut idle, mut beside, mut alone, mut written] = [(); 4].map(|()| Samples::default());
    let others = Others::watch()?;
    for turn in 0..turns {
        let writer = probe.clone();
        let most = drive(runtime, WRITERS, time, move |client, turn| {
            writer.clone().transact(Random::of(client, turn))
        })?;
        world.settle()?;
        idle.push(rate(time, |n| get_some(probe, turn << 32 | n))?);
        let is_over = Arc::new(AtomicBool::new(false));
        let (reader, over) = (probe.clone(), Arc::clone(&is_over));
        let reading = std::thread::spawn(move || {
            let started = Instant::now();
            let mut done = 0;
            while !over.load(Ordering::Relaxed) {
                done += get_some(&reader, done)?;
            }
            anyhow::Ok(done as f64 / started.elapsed().as_secs_f64())
        });
        let writer = probe.clone();
        let pause = Duration::from_secs_f64(WRITERS as f64 / (most / 2.0));
        let paced = drive(runtime, WRITERS, time, move |client, turn| {
            let writer = writer.clone();
            async move {
                let started = tokio::time::Instant::now();
                writer.transact(Random::of(client, turn)).await?;
                tokio::time::sleep_until(started + pause).await;
                Ok(())
            }
        });
        is_over.store(true, Ordering::Relaxed);
        beside.push(reading.join().expect("the reader does not panic")?);
        written.push(paced?);
        alone.push(most);
        world.settle()?;
    }
    let share = beside.median() / idle.median();
    let mut table = Table::new(["one reader thread, by id", "reads/s", "of idle", "target"]);
    table.row([
        "idle".to_owned(),
        spread(&idle),
        percent(1.0),
        String::new(),
    ]);
    table.row([
        format!(
            "beside {} writes/s, {} of what 64 clients reach",
            spread(&written),
            percent(written.median() / alone.median())
        ),
        spread(&beside),
        percent(share),
        OF_IDLE.verdict(share, percent),
    ]);
    table.print(&format!(
        "engine, a reader beside writers: medians of {turns} turns of {} s; {}",
        time.as_secs_f64(),
        others.text()?
    ));
    Ok(())
}

/// How often a second the work gets done that `work` counts.
fn rate(time: Duration, mut work: impl FnMut(u64) -> Result<u64>) -> Result<f64> {
    let started = Instant::now();
    let mut done = 0;
    let mut turns = 0;
    while started.elapsed() < time {
        done += work(turns)?;
        turns += 1;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

/// The documents that are read in a turn.
fn numbers(probe: &Probe, turn: u64) -> impl Iterator<Item = u64> {
    let documents = probe.documents;
    (0..GETS_PER_SNAPSHOT).map(move |n| Random(turn).below(n, documents))
}

/// The document after which a turn scans.
fn first(probe: &Probe, turn: u64) -> u64 {
    Random(turn).below(0, probe.documents - ROWS as u64 - 1)
}

fn get_some(probe: &Probe, turn: u64) -> Result<u64> {
    let snapshot = probe.engine.snapshot()?;
    for number in numbers(probe, turn) {
        let record = snapshot.get(probe.collection, id(number).as_str())?;
        ensure!(black_box(record).is_some(), "document {number} is missing");
    }
    Ok(GETS_PER_SNAPSHOT)
}

fn scan(probe: &Probe, turn: u64) -> Result<u64> {
    let snapshot = probe.engine.snapshot()?;
    let from = id(first(probe, turn));
    let found = snapshot.find(&Find {
        collection: probe.collection,
        filter: Arc::new(Predicate::True),
        deleted: Deleted::Exclude,
        order: Arc::from([]),
        after: Some(Position::from_bytes(from.as_str().as_bytes().to_vec())),
        before: None,
        offset: 0,
        limit: ROWS,
        from_end: false,
        count_total: false,
        read: FieldMask::all(),
    })?;
    ensure!(black_box(&found.rows).len() == ROWS, "a page is too short");
    Ok(ROWS as u64)
}

//! Reads through the engine: by id, 1,000 documents at a time, and beside writes.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use thalweg_engine::{Deleted, FieldMask, Find, Position, Predicate};

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, number, percent};

use super::world::{Probe, Random, World, drive, id, runtime};

/// Gets through one snapshot, as a request for many documents has.
const GETS_PER_SNAPSHOT: u64 = 100;
const ROWS: usize = 1_000;

pub(super) fn run(extent: Extent) -> Result<()> {
    let runtime = runtime()?;
    let world = World::filled(&runtime, extent.choose(200_000, 5_000))?;
    let probe = &world.probe;
    let time = Duration::from_millis(extent.choose(2_000, 100));
    let turns = extent.choose(5, 1);
    let mut gets = Samples::default();
    let mut rows = Samples::default();
    let mut beside = Samples::default();
    let mut writes = Samples::default();
    for turn in 0..turns {
        gets.push(rate(time, |n| get_some(probe, turn << 32 | n))?);
        rows.push(rate(time, |n| scan(probe, turn << 32 | n))?);
        // Half of what the writers do alone.
        let writer = probe.clone();
        let alone = drive(&runtime, 16, time, move |client, turn| {
            writer.clone().transact(Random::of(client, turn))
        })?;
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
        let pause = Duration::from_secs_f64(16.0 / (alone / 2.0));
        let written = drive(&runtime, 16, time, move |client, turn| {
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
        writes.push(written? / alone);
    }
    let mut table = Table::new(["reads, one thread", "per second", "of idle"]);
    table.row([
        "documents by id".to_owned(),
        number(gets.median()),
        percent(1.0),
    ]);
    table.row([
        format!(
            "documents by id, beside writes at {} of what 16 clients reach",
            percent(writes.median())
        ),
        number(beside.median()),
        percent(beside.median() / gets.median()),
    ]);
    table.row([
        "rows, 1,000 at a time".to_owned(),
        number(rows.median()),
        String::new(),
    ]);
    table.print(&format!(
        "engine: reads, medians of {turns} turns of {} s",
        time.as_secs_f64()
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

fn get_some(probe: &Probe, turn: u64) -> Result<u64> {
    let snapshot = probe.engine.snapshot()?;
    for n in 0..GETS_PER_SNAPSHOT {
        let number = Random(turn).below(n, probe.documents);
        let record = snapshot.get(probe.collection, id(number).as_str())?;
        ensure!(black_box(record).is_some(), "document {number} is missing");
    }
    Ok(GETS_PER_SNAPSHOT)
}

fn scan(probe: &Probe, turn: u64) -> Result<u64> {
    let snapshot = probe.engine.snapshot()?;
    let from = Random(turn).below(0, probe.documents - ROWS as u64 - 1);
    let found = snapshot.find(&Find {
        collection: probe.collection,
        filter: Arc::new(Predicate::True),
        deleted: Deleted::Exclude,
        order: Arc::from([]),
        after: Some(Position::from_bytes(id(from).as_str().as_bytes().to_vec())),
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

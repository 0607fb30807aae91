//! Read, modify, write: 64 clients on one document, beside 64 clients on a document each.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, number, percent};

use super::world::{World, drive, runtime};

const CLIENTS: u64 = 64;

pub(super) fn run(extent: Extent) -> Result<()> {
    let runtime = runtime()?;
    let world = World::filled(&runtime, extent.choose(10_000, 1_000))?;
    let time = Duration::from_millis(extent.choose(5_000, 300));
    let turns = extent.choose(5, 1);
    let mut rates = [Samples::default(), Samples::default()];
    for _ in 0..turns {
        for (is_hot, rates) in [true, false].into_iter().zip(&mut rates) {
            let before = world.probe.sum(CLIENTS)?;
            let probe = world.probe.clone();
            let counted = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
            let counter = std::sync::Arc::clone(&counted);
            rates.push(drive(&runtime, CLIENTS, time, move |client, _| {
                let number = if is_hot { 0 } else { client };
                let (probe, counter) = (probe.clone(), std::sync::Arc::clone(&counter));
                async move {
                    probe.count(number).await?;
                    counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    Ok(())
                }
            })?);
            let counted = counted.load(std::sync::atomic::Ordering::Relaxed);
            let sum = world.probe.sum(CLIENTS)?;
            ensure!(
                sum == before + counted,
                "{counted} increments added {}",
                sum - before
            );
        }
    }
    let [hot, own] = &rates;
    let mut table = Table::new(["64 clients, read-modify-write", "txn/s", "of uncontended"]);
    table.row([
        "one document".to_owned(),
        number(hot.median()),
        percent(hot.median() / own.median()),
    ]);
    table.row([
        "a document each".to_owned(),
        number(own.median()),
        percent(1.0),
    ]);
    table.print(&format!(
        "engine: contention, medians of {turns} turns of {} s, no increment lost",
        time.as_secs_f64()
    ));
    Ok(())
}

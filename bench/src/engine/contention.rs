//! Read, modify, write: 64 clients on one document, beside 64 clients on a document each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, number, percent, spread};

use super::target::Target;
use super::world::{World, drive, runtime};
use crate::machine::Others;

const CLIENTS: u64 = 64;
const HOT: Target = Target::AtLeast(0.8);

pub(super) fn run(extent: Extent) -> Result<()> {
    let runtime = runtime()?;
    let world = World::filled(&runtime, extent.choose(10_000, 1_000))?;
    let time = Duration::from_millis(extent.choose(5_000, 300));
    let turns = extent.choose(5, 1);
    let mut rates = [Samples::default(), Samples::default()];
    let others = Others::watch()?;
    for _ in 0..turns {
        for (is_hot, rates) in [true, false].into_iter().zip(&mut rates) {
            let before = world.probe.sum(CLIENTS)?;
            let probe = world.probe.clone();
            let counted = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&counted);
            rates.push(drive(&runtime, CLIENTS, time, move |client, _| {
                let number = if is_hot { 0 } else { client };
                let (probe, counter) = (probe.clone(), Arc::clone(&counter));
                async move {
                    probe.count(number).await?;
                    counter.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
            })?);
            let counted = counted.load(Ordering::Relaxed);
            let sum = world.probe.sum(CLIENTS)?;
            ensure!(
                sum == before + counted,
                "{counted} increments added {}",
                sum - before
            );
            world.settle()?;
        }
    }
    let [hot, own] = &rates;
    let share = hot.median() / own.median();
    let mut table = Table::new([
        "64 clients, read-modify-write",
        "txn/s",
        "of uncontended",
        "target",
    ]);
    table.row([
        "one document".to_owned(),
        spread(hot),
        percent(share),
        HOT.verdict(share, percent),
    ]);
    table.row([
        "a document each".to_owned(),
        spread(own),
        percent(1.0),
        String::new(),
    ]);
    table.print(&format!(
        "engine, contention: medians of {turns} turns of {} s, no error, no increment lost ({} in all); {}",
        time.as_secs_f64(),
        number(world.probe.sum(CLIENTS)? as f64),
        others.text()?
    ));
    Ok(())
}

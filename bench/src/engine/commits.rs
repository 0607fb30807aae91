//! The probe transaction at 1, 16 and 64 clients, and with 100 times as many documents.

use std::time::Duration;

use anyhow::Result;

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, number};

use super::world::{Random, World, drive, runtime};

const CLIENTS: [u64; 3] = [1, 16, 64];

pub(super) fn run(extent: Extent) -> Result<()> {
    let runtime = runtime()?;
    let sizes = extent.choose([10_000, 200_000, 1_000_000], [1_000, 2_000, 10_000]);
    let time = Duration::from_millis(extent.choose(10_000, 300));
    let turns = extent.choose(3, 1);
    let mut table = Table::new(["documents", "1 client, txn/s", "16 clients", "64 clients"]);
    let mut rates: Vec<[Samples; 3]> = sizes.iter().map(|_| <[Samples; 3]>::default()).collect();
    let worlds = sizes
        .iter()
        .map(|documents| World::filled(&runtime, *documents))
        .collect::<Result<Vec<_>>>()?;
    for _ in 0..turns {
        for (world, rates) in worlds.iter().zip(&mut rates) {
            for (clients, rates) in CLIENTS.iter().zip(rates) {
                let probe = world.probe.clone();
                rates.push(drive(&runtime, *clients, time, move |client, turn| {
                    probe.clone().transact(Random::of(client, turn))
                })?);
            }
        }
    }
    for (documents, rates) in sizes.iter().zip(&rates) {
        let [one, some, many] = rates;
        table.row([
            number(*documents as f64),
            number(one.median()),
            number(some.median()),
            number(many.median()),
        ]);
    }
    table.print(&format!(
        "engine: probe transactions through the whole engine, medians of {turns} bursts of {} s",
        time.as_secs_f64()
    ));
    Ok(())
}

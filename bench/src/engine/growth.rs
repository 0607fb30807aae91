//! What a commit costs with 100 times as many documents.

use std::time::Duration;

use anyhow::Result;

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, number, spread};

use super::target::Target;
use super::world::{Random, World, drive, runtime};
use crate::machine::Others;

const CLIENTS: [u64; 3] = [1, 16, 64];
const COST: Target = Target::AtMost(1.5);

pub(super) fn run(extent: Extent) -> Result<()> {
    let runtime = runtime()?;
    let sizes = extent.choose([10_000, 1_000_000], [100, 10_000]);
    let time = Duration::from_millis(extent.choose(5_000, 300));
    let turns = extent.choose(4, 1);
    let mut rates = [(); 2].map(|()| [(); CLIENTS.len()].map(|()| Samples::default()));
    let worlds = [
        World::filled(&runtime, sizes[0])?,
        World::filled(&runtime, sizes[1])?,
    ];
    let others = Others::watch()?;
    for _ in 0..turns {
        for (column, clients) in CLIENTS.into_iter().enumerate() {
            for (world, rates) in worlds.iter().zip(&mut rates) {
                let probe = world.probe.clone();
                rates[column].push(drive(&runtime, clients, time, move |client, turn| {
                    probe.clone().transact(Random::of(client, turn))
                })?);
                world.settle()?;
            }
        }
    }
    let [few, lots] = &rates;
    let mut table = Table::new(["documents", "1 client, txn/s", "16 clients", "64 clients"]);
    for (size, [one, some, many]) in sizes.iter().zip([few, lots]) {
        table.row([
            number(*size as f64),
            spread(one),
            spread(some),
            spread(many),
        ]);
    }
    let times = |share: f64| format!("{} ×", number(share));
    let [one, some, many] = [0, 1, 2].map(|column| {
        let cost = few[column].median() / lots[column].median();
        format!("{} ({})", times(cost), COST.verdict(cost, times))
    });
    table.row(["cost of a commit".to_owned(), one, some, many]);
    table.print(&format!(
        "engine, growth: probe transactions, medians of {turns} turns of {} s; {}",
        time.as_secs_f64(),
        others.text()?
    ));
    Ok(())
}

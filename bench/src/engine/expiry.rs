//! Documents that expire: how late, and at whose cost.
//!
//! How late a document was is what its own deletion says: the timestamp of that commit, against the time it named.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use thalweg_engine::{CollectionRef, ExpiryChange, Intent, Update};
use tokio::runtime::Runtime;

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, number, percent, spread};

use super::target::Target;
use super::world::{Random, World, document, drive, id, runtime};
use crate::machine::Others;

const CLIENTS: u64 = 64;
const LOADED_AT_ONCE: u64 = 5_000;
/// From the loading to the first document that is due.
const AHEAD: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(300);
const LATE_SECONDS: Target = Target::AtMost(1.0);
const OF_CAPACITY: Target = Target::AtLeast(0.75);

/// What falls due.
struct Load {
    name: &'static str,
    per_second: u64,
    seconds: u64,
    beside: Beside,
    target: Option<Target>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Writes,
}

/// What came of it.
struct Outcome {
    late: Samples,
    /// Of what the writers reach alone.
    writes: Option<f64>,
    /// Expiries a second, from when the first was due to the end of the last.
    rate: f64,
}

pub(super) fn run(extent: Extent) -> Result<()> {
    let runtime = runtime()?;
    let world = World::filled(&runtime, extent.choose(200_000, 2_000))?;
    let rate = extent.choose(5_000, 500);
    let seconds = extent.choose(10, 1);
    let at_rate = |name, beside| Load {
        name,
        per_second: rate,
        seconds,
        beside,
        target: Some(LATE_SECONDS),
    };
    let beyond = |name, beside| Load {
        name,
        per_second: 40 * rate,
        seconds: 1,
        beside,
        target: None,
    };
    let loads = [
        at_rate("alone", Beside::Nothing),
        at_rate("beside 64 writers at full speed", Beside::Writes),
        beyond("alone", Beside::Nothing),
        beyond("beside 64 writers at full speed", Beside::Writes),
    ];
    let mut table = Table::new([
        "expiries",
        "due a second",
        "carried out a second",
        "late, median s",
        "p99",
        "most",
        "target",
        "writers reach, of alone",
        "target",
    ]);
    let others = Others::watch()?;
    let mut alone = Samples::default();
    for load in &loads {
        let outcome = carry_out(&world, &runtime, load, &mut alone, extent)?;
        let late = &outcome.late;
        let written = |seconds: f64| format!("{} s", number(seconds));
        let is_beyond = load.target.is_none();
        table.row([
            load.name.to_owned(),
            number(load.per_second as f64),
            number(outcome.rate),
            number(late.median()),
            number(late.percentile(0.99)),
            number(late.largest()),
            load.target.map_or_else(String::new, |target| {
                target.verdict(late.largest(), written)
            }),
            outcome.writes.map_or_else(String::new, percent),
            match outcome.writes {
                Some(share) if is_beyond => OF_CAPACITY.verdict(share, percent),
                _ => String::new(),
            },
        ]);
    }
    table.print(&format!(
        "engine, expiry: writers alone reach {} txn/s; {}",
        spread(&alone),
        others.text()?
    ));
    Ok(())
}

fn carry_out(
    world: &World,
    runtime: &Runtime,
    load: &Load,
    alone: &mut Samples,
    extent: Extent,
) -> Result<Outcome> {
    let engine = &world.probe.engine;
    let write = |time: Duration| {
        let probe = world.probe.clone();
        drive(runtime, CLIENTS, time, move |client, turn| {
            probe.clone().transact(Random::of(client, turn))
        })
    };
    world.settle()?;
    let before = match load.beside {
        Beside::Nothing => None,
        Beside::Writes => Some(write(
            extent.choose(Duration::from_secs(5), Duration::from_millis(300)),
        )?),
    };
    let count = load.per_second * load.seconds;
    let begin = engine.now_micros() + AHEAD.as_micros() as u64;
    let per_second = load.per_second;
    let due = move |number: u64| begin + number * 1_000_000 / per_second;
    let name = format!("due_{begin}");
    load_documents(world, runtime, &name, count, due)?;
    let collection = engine
        .catalog()
        .by_name(&name)
        .context("there is no collection")?
        .id;
    let until_due = begin
        .checked_sub(engine.now_micros())
        .context("loading took too long")?;
    std::thread::sleep(Duration::from_micros(until_due));
    let writes = match before {
        None => None,
        Some(before) => {
            alone.push(before);
            // What is due at once lasts longer than the time in which it fell due.
            let time = load.seconds.max(extent.choose(5, 1));
            Some(write(Duration::from_secs(time))? / before)
        }
    };
    let deadline = std::time::Instant::now() + PATIENCE;
    while engine.snapshot()?.document_count(collection)? > 0 {
        ensure!(
            std::time::Instant::now() < deadline,
            "not everything expires"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let snapshot = engine.snapshot()?;
    let mut late = Samples::default();
    let mut last = begin;
    for number in 0..count {
        let record = snapshot.get(collection, id(number).as_str())?;
        let deleted = record.and_then(|record| record.deleted_at());
        let deleted = deleted.context("a document has not expired")?;
        ensure!(deleted >= due(number), "a document has expired early");
        ensure!(deleted >= last, "documents have expired out of order");
        last = deleted;
        late.push((deleted - due(number)) as f64 / 1e6);
    }
    Ok(Outcome {
        late,
        writes,
        rate: count as f64 / ((last - begin) as f64 / 1e6),
    })
}

fn load_documents(
    world: &World,
    runtime: &Runtime,
    name: &str,
    count: u64,
    due: impl Fn(u64) -> u64 + Copy + Send + Sync + 'static,
) -> Result<()> {
    let named = CollectionRef::Name {
        name: name.into(),
        create: true,
    };
    for from in (0..count).step_by(LOADED_AT_ONCE as usize) {
        let to = count.min(from + LOADED_AT_ONCE);
        let named = named.clone();
        let load = world.probe.engine.transact(move |transaction| {
            (from..to).try_for_each(|number| {
                transaction
                    .write(Intent::Put {
                        collection: named.clone(),
                        id: Some(id(number)),
                        document: document(number, 0),
                        expiry: ExpiryChange {
                            at: Update::Set(due(number)),
                            on_expire: Update::Keep,
                        },
                    })
                    .map(drop)
            })
        });
        runtime.block_on(load)?;
    }
    Ok(())
}

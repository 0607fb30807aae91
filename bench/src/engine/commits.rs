//! The probe transaction at 1, 16 and 64 committers: through the engine, through the store alone, and through others.
//!
//! For a store alone a thread of the harness writes what is waiting as one batch, the same for each store. PostgreSQL
//! and the engine group by themselves. All take turns.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::runtime::Runtime;

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, number, spread};

use super::harness;
use super::postgres::{OnPostgres, Postgres, Server};
use super::rows;
use super::stores::{Embedded, Fjall, Lmdb, Row, Store, Surreal};
use super::target::Target;
use super::world::{Random, World, drive, runtime};
use crate::machine::{Others, processor_seconds};

const COMMITTERS: [u64; 3] = [1, 16, 64];
const DOCUMENTS: u64 = 200_000;
/// What is compared.
const STORE: Target = Target::AtLeast(1.0);
const ENGINE: Target = Target::AtLeast(0.4);

/// Something that the probe transaction runs on.
trait Contestant {
    fn name(&self) -> String;

    /// Transactions a second.
    fn burst(&self, committers: u64, time: Duration) -> Result<f64>;

    /// Waits until what it does behind its commits is done, so that the next one is not charged for it.
    fn settle(&self) -> Result<()> {
        Ok(())
    }
}

pub(super) fn run(extent: Extent) -> Result<()> {
    let documents = extent.choose(DOCUMENTS, 2_000);
    let runtime = runtime()?;
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    let server = Server::find_or_start()?;
    if server.is_none() {
        println!(
            "\nPostgreSQL is not installed, and THALWEG_TEST_POSTGRES names no server: it is left out."
        );
    }
    let mut contestants: Vec<Box<dyn Contestant + '_>> = vec![
        Box::new(Grouped::filled(Fjall::open(&path("fjall"))?, documents)?),
        Box::new(Grouped::filled(
            Surreal::open(&path("surrealkv"))?,
            documents,
        )?),
        Box::new(Grouped::filled(Lmdb::open(&path("lmdb"))?, documents)?),
        Box::new(Grouped::filled(
            Embedded::open(&path("embedded"))?,
            documents,
        )?),
        Box::new(Whole {
            world: World::filled(&runtime, documents)?,
            runtime: &runtime,
        }),
    ];
    if let Some(server) = &server {
        contestants.push(Box::new(Postgres::filled(server, &runtime, documents, 64)?));
        contestants.push(Box::new(OnPostgres::filled(server, &runtime, documents)?));
    }
    // What filling has left to be written back must not be charged to the first turns.
    thread::sleep(extent.choose(Duration::from_secs(15), Duration::ZERO));
    let seen = turns(&contestants, extent)?;
    report(&contestants, &seen);
    Ok(())
}

/// What was seen of one of them with one number of committers.
#[derive(Default)]
struct Seen {
    /// Transactions a second.
    rates: Samples,
    /// Processor time of this process for each of them, what is done behind them included.
    microseconds: Samples,
}

/// Lets them run in turns; what was seen of each, by committers.
fn turns(contestants: &[Box<dyn Contestant + '_>], extent: Extent) -> Result<Vec<[Seen; 3]>> {
    let time = extent.choose(Duration::from_secs(10), Duration::from_millis(300));
    let rounds = extent.choose(3, 1);
    let mut seen: Vec<[Seen; 3]> = contestants.iter().map(|_| Default::default()).collect();
    let mut others = Samples::default();
    for _ in 0..rounds {
        for (column, &committers) in COMMITTERS.iter().enumerate() {
            for (contestant, seen) in contestants.iter().zip(&mut seen) {
                let watch = Others::watch()?;
                let processor = processor_seconds()?;
                let rate = contestant.burst(committers, time)?;
                eprintln!(
                    "{}, {committers} committers: {rate:.0}/s",
                    contestant.name()
                );
                seen[column].rates.push(rate);
                if !contestant.name().contains("PostgreSQL") {
                    others.push(watch.cpus()?);
                }
                contestant.settle()?;
                let processor = processor_seconds()? - processor;
                let transactions = rate * time.as_secs_f64();
                seen[column]
                    .microseconds
                    .push(processor / transactions * 1e6);
                thread::sleep(extent.choose(Duration::from_secs(1), Duration::ZERO));
            }
        }
    }
    println!(
        "\nengine, commits: {rounds} bursts of {} s in turns; others took {:.2} CPUs (median of the bursts, {:.2} at most; \
         PostgreSQL, a process of its own, not counted)",
        time.as_secs_f64(),
        others.median(),
        others.largest()
    );
    Ok(seen)
}

fn report(contestants: &[Box<dyn Contestant + '_>], seen: &[[Seen; 3]]) {
    let mut rates = Table::new(["probe transactions/s with", "1", "16", "64"]);
    let mut costs = Table::new([
        "processor µs in this process for each, with",
        "1",
        "16",
        "64",
    ]);
    for (contestant, [one, some, many]) in contestants.iter().zip(seen) {
        let of = |text: fn(&Samples) -> String, part: fn(&Seen) -> &Samples| {
            [one, some, many].map(|seen| text(part(seen)))
        };
        let [one, some, many] = of(spread, |seen| &seen.rates);
        rates.row([contestant.name(), one, some, many]);
        let [one, some, many] = of(
            |samples| number(samples.median()),
            |seen| &seen.microseconds,
        );
        costs.row([contestant.name(), one, some, many]);
    }
    rates.print("Medians (lowest–highest)");
    costs.print("Medians, clients included, servers of their own not");
    let [fjall, surrealkv, lmdb, store, engine, ..] = seen else {
        return;
    };
    let median = |seen: &[Seen; 3], column: usize| seen[column].rates.median();
    let times = |share: f64| format!("{} ×", number(share));
    let mut targets = Table::new([
        "of the best of fjall, surrealkv and LMDB, with",
        "1",
        "16",
        "64",
    ]);
    for (name, ours, target) in [("store", store, STORE), ("whole engine", engine, ENGINE)] {
        let [one, some, many] = [0, 1, 2].map(|column| {
            let peers = [fjall, surrealkv, lmdb].map(|peer| median(peer, column));
            let share = median(ours, column) / peers.into_iter().fold(f64::NAN, f64::max);
            format!("{} ({})", times(share), target.verdict(share, times))
        });
        targets.row([name.to_owned(), one, some, many]);
    }
    targets.print("Targets");
}

/// A store behind the harness that groups.
struct Grouped<S> {
    store: S,
    documents: u64,
    /// Transactions so far: each is another one.
    next: AtomicU64,
}

impl<S: Store> Grouped<S> {
    fn filled(store: S, documents: u64) -> Result<Self> {
        let rows: Vec<Row> = (0..documents).flat_map(rows::preloaded).collect();
        for rows in rows.chunks(10_000) {
            store.write(rows)?;
        }
        let last = rows::document_key(documents - 1);
        ensure!(
            store.get(&last)?.is_some(),
            "{} has lost a document",
            store.name()
        );
        Ok(Self {
            store,
            documents,
            next: AtomicU64::new(0),
        })
    }
}

impl<S: Store> Contestant for Grouped<S> {
    fn name(&self) -> String {
        self.store.name().to_owned()
    }

    fn burst(&self, committers: u64, time: Duration) -> Result<f64> {
        let done = harness::burst(&self.store, committers, time, &|| {
            rows::transaction(self.next.fetch_add(1, Ordering::Relaxed), self.documents)
        })?;
        Ok(done as f64 / time.as_secs_f64())
    }

    fn settle(&self) -> Result<()> {
        self.store.settle()
    }
}

/// The whole engine.
struct Whole<'r> {
    world: World,
    runtime: &'r Runtime,
}

impl Contestant for Whole<'_> {
    fn name(&self) -> String {
        "Thalweg, the whole engine".to_owned()
    }

    fn burst(&self, committers: u64, time: Duration) -> Result<f64> {
        let probe = self.world.probe.clone();
        drive(self.runtime, committers, time, move |client, turn| {
            probe.clone().transact(Random::of(client, turn))
        })
    }

    fn settle(&self) -> Result<()> {
        self.world.settle()
    }
}

impl Contestant for Postgres<'_> {
    fn name(&self) -> String {
        "PostgreSQL, synchronous_commit=on".to_owned()
    }

    fn burst(&self, committers: u64, time: Duration) -> Result<f64> {
        self.drive(committers, time)
    }
}

impl Contestant for OnPostgres<'_> {
    fn name(&self) -> String {
        "Thalweg on PostgreSQL, the whole engine".to_owned()
    }

    fn burst(&self, committers: u64, time: Duration) -> Result<f64> {
        let probe = self.probe.clone();
        drive(self.runtime, committers, time, move |client, turn| {
            probe.clone().transact(Random::of(client, turn))
        })
    }
}

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
use super::machine::Others;
use super::postgres::{OnPostgres, Postgres, Server};
use super::rows;
use super::stores::{Embedded, Fjall, Lmdb, Row, Store, Surreal};
use super::target::Target;
use super::world::{Random, World, drive, runtime};

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
    let rates = turns(&contestants, extent)?;
    report(&contestants, &rates);
    Ok(())
}

/// Lets them run in turns; the rates of each, by committers.
fn turns(contestants: &[Box<dyn Contestant + '_>], extent: Extent) -> Result<Vec<[Samples; 3]>> {
    let time = extent.choose(Duration::from_secs(10), Duration::from_millis(300));
    let rounds = extent.choose(3, 1);
    let mut rates: Vec<[Samples; 3]> = contestants.iter().map(|_| Default::default()).collect();
    let mut others = Samples::default();
    for _ in 0..rounds {
        for (column, &committers) in COMMITTERS.iter().enumerate() {
            for (contestant, rates) in contestants.iter().zip(&mut rates) {
                let watch = Others::watch()?;
                rates[column].push(contestant.burst(committers, time)?);
                if !contestant.name().contains("PostgreSQL") {
                    others.push(watch.cpus()?);
                }
                contestant.settle()?;
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
    Ok(rates)
}

fn report(contestants: &[Box<dyn Contestant + '_>], rates: &[[Samples; 3]]) {
    let mut table = Table::new(["probe transactions/s with", "1", "16", "64"]);
    for (contestant, [one, some, many]) in contestants.iter().zip(rates) {
        table.row([contestant.name(), spread(one), spread(some), spread(many)]);
    }
    table.print("Medians (lowest–highest)");
    let [peers @ .., _, _] = &rates[..5] else {
        return;
    };
    let best = |column: usize| {
        let rates = peers.iter().map(|rates| rates[column].median());
        rates.fold(f64::NAN, f64::max)
    };
    let times = |share: f64| format!("{} ×", number(share));
    let mut table = Table::new([
        "of the best of fjall, surrealkv and LMDB, with",
        "1",
        "16",
        "64",
    ]);
    for (name, rates, target) in [
        ("store", &rates[3], STORE),
        ("whole engine", &rates[4], ENGINE),
    ] {
        let [one, some, many] = [0, 1, 2].map(|column| {
            let share = rates[column].median() / best(column);
            format!("{} ({})", times(share), target.verdict(share, times))
        });
        table.row([name.to_owned(), one, some, many]);
    }
    table.print("Targets");
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

//! `sim`: runs simulations of many seeds, and says how to repeat the one that fails.
//!
//! `cargo xtask sim` is the usual way to run it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use clap::Parser;
use parking_lot::Mutex;
use thalweg_testkit::{Mode, Settings, StoreKind, Summary, simulate};

/// Simulates clients, faults and crashes, and checks that what the clients saw is strictly serializable.
#[derive(Parser)]
#[command(name = "sim")]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The only seed to run, as a failure names it.
    #[arg(long)]
    seed: Option<u64>,
    /// On which backend.
    #[arg(long, value_enum, default_value = "memory")]
    backend: StoreKind,
    /// How many transactions the clients of one seed make, together.
    #[arg(long, default_value_t = 300)]
    steps: usize,
    /// Let every client be a thread, and the engine run as in production. A seed then does not repeat a run.
    #[arg(long)]
    threads: bool,
}

impl Arguments {
    fn settings(&self, seed: u64) -> Settings {
        Settings {
            seed,
            store: self.backend,
            transactions: self.steps,
            mode: if self.threads {
                Mode::Threads
            } else {
                Mode::Stepped
            },
        }
    }
}

/// A seed that failed.
struct Failed {
    settings: Settings,
    account: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let seeds = match arguments.seed {
        Some(seed) => seed..seed + 1,
        None => 1..arguments.seeds + 1,
    };
    let count = seeds.end - seeds.start;
    match run_all(&arguments, seeds) {
        Ok(total) => {
            let seconds = started.elapsed().as_secs_f64();
            let backend = arguments.backend.name();
            println!("{count} seeds on {backend} in {seconds:.1} s, no anomaly: {total}");
            ExitCode::SUCCESS
        }
        Err(failed) => {
            tell(&smallest(failed));
            ExitCode::FAILURE
        }
    }
}

/// Runs the seeds on all processors. The smallest one that fails is told.
fn run_all(arguments: &Arguments, seeds: std::ops::Range<u64>) -> Result<Summary, Failed> {
    const SEEDS_BETWEEN_REPORTS: u64 = 50;
    let next = AtomicU64::new(seeds.start);
    let total = Mutex::new(Summary::default());
    let failed: Mutex<Option<Failed>> = Mutex::new(None);
    // Threads of one simulation at a time have the processors to themselves.
    let workers = match arguments.settings(0).mode {
        Mode::Threads => 1,
        Mode::Stepped => thread::available_parallelism().map_or(1, usize::from),
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || failed.lock().is_some() {
                        return;
                    }
                    let settings = arguments.settings(seed);
                    match run_one(&settings) {
                        Ok(summary) => total.lock().add(summary),
                        Err(account) => {
                            let mut failed = failed.lock();
                            if failed
                                .as_ref()
                                .is_none_or(|known| known.settings.seed > seed)
                            {
                                *failed = Some(Failed { settings, account });
                            }
                        }
                    }
                    let done = seed + 1 - seeds.start;
                    if done.is_multiple_of(SEEDS_BETWEEN_REPORTS) && seed + 1 < seeds.end {
                        println!("{done} seeds: {}", *total.lock());
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        Some(failed) => Err(failed),
        None => Ok(total.into_inner()),
    }
}

/// A panic, of the engine's or of an assertion, is a failure like any other.
fn run_one(settings: &Settings) -> Result<Summary, String> {
    match catch_unwind(AssertUnwindSafe(|| simulate(settings))) {
        Ok(result) => result.map_err(|failure| failure.to_string()),
        Err(panic) => {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!(
                "panicked: {}",
                message.unwrap_or("without a message")
            ))
        }
    }
}

/// A seed that fails in the same way with as few transactions as possible, if runs can be repeated: the failing one or one
/// of the first.
fn smallest(failed: Failed) -> Failed {
    const SEEDS_TRIED: u64 = 40;
    if failed.settings.mode == Mode::Threads {
        return failed;
    }
    let kind = |account: &str| account.lines().next().map(str::to_owned);
    let mut transactions = 16;
    while transactions < failed.settings.transactions {
        for seed in (1..=SEEDS_TRIED).chain([failed.settings.seed]) {
            let settings = Settings {
                seed,
                transactions,
                ..failed.settings
            };
            if let Err(account) = run_one(&settings)
                && kind(&account) == kind(&failed.account)
            {
                return Failed { settings, account };
            }
        }
        transactions += transactions / 2;
    }
    failed
}

fn tell(failed: &Failed) {
    let Settings {
        seed,
        store,
        transactions,
        mode,
    } = failed.settings;
    let threads = match mode {
        Mode::Threads => " --threads",
        Mode::Stepped => "",
    };
    println!("seed {seed} fails: {}", failed.account);
    println!(
        "again: cargo xtask sim --backend {} --steps {transactions} --seed {seed}{threads}",
        store.name()
    );
}

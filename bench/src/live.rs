//! Live queries, from a write to what its subscribers are told: latency, memory, fan-out, rate and bytes.
//!
//! Writes go over HTTP, events come over WebSockets. A latency is taken from sending the write, which includes its commit
//! and sync, or from its acknowledgement, which may come after the event; then it is negative. Everything runs on
//! loopback, servers, peers and this process on the same processors.
//! What others took of them is said after each part; to them belongs PostgreSQL, which no process here waits for.
//!
//! | module | what it holds |
//! |---|---|
//! | `million` | a commit and memory, with 1,000 and with 1,000,000 distinct live queries |
//! | `fan_out` | 10,000 sockets on one live query, beside `graphql-ws` |
//! | `by_id` | 19,000 distinct live queries by id |
//! | `rate` | 5,000 writes a second that affect 20 live queries each |
//! | `patches` | how long messages with patches are |
//! | `postgraphile` | one live query, beside PostGraphile 4 |
//! | `items` | the documents of most parts, and servers that hold them |
//! | `crowd` | a million subscriptions that no write concerns |
//! | `socket` | a client of `graphql-transport-ws` |

mod by_id;
mod crowd;
mod fan_out;
mod items;
mod million;
mod patches;
mod postgraphile;
mod rate;
mod socket;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;

use crate::Extent;
use crate::machine::Others;
use crate::statistics::Samples;
use crate::table::number;

/// How long an event may take to come.
const EVENT_MAX: Duration = Duration::from_secs(10);

/// What can be run by itself.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// What a commit costs among 1,000 and among 1,000,000 distinct live queries, and what those take in memory.
    Million,
    /// 10,000 sockets on one live query, beside `graphql-ws`.
    FanOut,
    /// 19,000 distinct live queries by id, one affected by each write.
    ById,
    /// 5,000 writes a second for a minute, each affecting 20 live queries.
    Rate,
    /// How long messages with patches are.
    Patches,
    /// One live query by id, beside PostGraphile 4.
    Postgraphile,
}

/// Runs the parts and prints their tables.
pub(crate) fn run(binary: &Path, extent: Extent, parts: &[Part]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    for part in parts {
        let (others, begun) = (Others::watch()?, Instant::now());
        match part {
            Part::Million => million::run(binary, &runtime, extent)?,
            Part::FanOut => fan_out::run(binary, extent)?,
            Part::ById => by_id::run(binary, &runtime, extent)?,
            Part::Rate => rate::run(binary, &runtime, extent)?,
            Part::Patches => patches::run(binary, &runtime)?,
            Part::Postgraphile => postgraphile::run(binary, &runtime, extent)?,
        }
        println!(
            "\n{}, {} s in all",
            others.text()?,
            number(begun.elapsed().as_secs_f64())
        );
    }
    Ok(())
}

/// Latencies of writes, from sending them and from their acknowledgements.
#[derive(Default)]
struct Latencies {
    from_sending_ms: Samples,
    from_answer_ms: Samples,
}

impl Latencies {
    /// The heads of a table of them, a row for each subject.
    const HEAD: [&str; 5] = [
        "",
        "sent → event p50 ms",
        "p99",
        "answered → event p50",
        "p99",
    ];

    fn push(&mut self, sent: Instant, answered: Instant, arrived: Instant) {
        self.from_sending_ms.push(signed_ms(sent, arrived));
        self.from_answer_ms.push(signed_ms(answered, arrived));
    }

    /// Median and 99th percentile from sending, and from the answer.
    fn cells(&self) -> [String; 4] {
        let of = |samples: &Samples, share| number(samples.percentile(share));
        [
            of(&self.from_sending_ms, 0.5),
            of(&self.from_sending_ms, 0.99),
            of(&self.from_answer_ms, 0.5),
            of(&self.from_answer_ms, 0.99),
        ]
    }
}

fn signed_ms(from: Instant, to: Instant) -> f64 {
    match to.checked_duration_since(from) {
        Some(later) => later.as_secs_f64() * 1e3,
        None => -(from - to).as_secs_f64() * 1e3,
    }
}

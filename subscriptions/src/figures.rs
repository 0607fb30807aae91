//! What live queries do, counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that many count at.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The upper bounds of the latency histogram, in microseconds.
pub const LATENCY_BOUNDS_MICROS: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000,
];

/// How long it took from a round's beginning, when its commits were seen, to its end, when their results could be told.
#[derive(Debug, Default)]
pub struct Latencies {
    /// By upper bound; the last one has none.
    buckets: [Count; LATENCY_BOUNDS_MICROS.len() + 1],
    sum_micros: Count,
}

impl Latencies {
    pub(crate) fn note(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].add(1);
        self.sum_micros.add(micros);
    }

    /// How many were within each of [`LATENCY_BOUNDS_MICROS`] and not within the one before, and at last how many
    /// were beyond all.
    pub fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(Count::get)
    }

    /// All of them together, in microseconds.
    pub fn sum_micros(&self) -> u64 {
        self.sum_micros.get()
    }
}

/// What has been done since the start.
#[derive(Debug, Default)]
pub struct Figures {
    /// Subscriptions that there are now.
    pub registered: Count,
    /// Commits that were matched against the dependencies.
    pub commits: Count,
    /// Live queries that a commit was found to touch.
    pub matched: Count,
    /// Rounds in which some had to be evaluated.
    pub rounds: Count,
    /// Runs of live queries that a commit touched.
    pub woken: Count,
    /// Of those the ones in which all that costs something to read was told by the changes.
    pub maintained: Count,
    /// With [`LiveLimits::verify`](crate::LiveLimits::verify), those that a run in full did not agree with.
    pub mismatched: Count,
    /// Runs that gave the same result.
    pub suppressed: Count,
    /// Results that a subscription was not told of before there was a newer one.
    pub conflated: Count,
    /// Messages that clients were given.
    pub sent: Count,
    /// Of those the ones that were patches.
    pub patches: Count,
    /// Rounds from the commits that began them to their results.
    pub latencies: Latencies,
}

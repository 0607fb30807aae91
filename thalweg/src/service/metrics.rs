//! What the server does, in the text format of Prometheus.

use std::fmt::Write;

use thalweg_subscriptions::{LATENCY_BOUNDS_MICROS, LiveQueries};

use super::ResolverRunner;

/// The figures of the live queries.
pub(super) fn text(live: &LiveQueries<ResolverRunner>) -> String {
    let figures = live.figures();
    let mut out = Text::default();
    out.gauge(
        "thalweg_live_queries",
        "Distinct live queries",
        live.live_queries() as u64,
    );
    out.gauge(
        "thalweg_live_subscriptions",
        "Subscriptions to live queries",
        figures.registered.get(),
    );
    for (name, help, count) in [
        (
            "commits",
            "Commits matched against the dependencies of live queries",
            &figures.commits,
        ),
        (
            "matched",
            "Live queries that a commit was found to touch",
            &figures.matched,
        ),
        (
            "rounds",
            "Rounds in which live queries were evaluated",
            &figures.rounds,
        ),
        (
            "woken",
            "Runs of live queries that a commit touched",
            &figures.woken,
        ),
        (
            "maintained",
            "Runs in which all that costs something to read was told by the changes",
            &figures.maintained,
        ),
        (
            "mismatched",
            "Results told by the changes that a run in full did not agree with, where that is tested (live.verify)",
            &figures.mismatched,
        ),
        (
            "suppressed",
            "Runs that gave the same result, of which nothing was sent",
            &figures.suppressed,
        ),
        (
            "conflated",
            "Results that a subscription skipped because a newer one came first",
            &figures.conflated,
        ),
        (
            "messages",
            "Results and patches that clients were given",
            &figures.sent,
        ),
        ("patches", "Of those the patches", &figures.patches),
    ] {
        out.counter(&format!("thalweg_live_{name}_total"), help, count.get());
    }
    let (woken, maintained) = (figures.woken.get(), figures.maintained.get());
    out.counter(
        "thalweg_live_re_executed_total",
        "Runs that read the store, woken less maintained",
        woken.saturating_sub(maintained),
    );
    out.histogram(
        "thalweg_live_round_seconds",
        "How long it took from the commits that began a round to all its results",
        &LATENCY_BOUNDS_MICROS,
        figures.latencies.buckets(),
        figures.latencies.sum_micros(),
    );
    out.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // A string takes everything.
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        bounds_micros: &[u64],
        buckets: impl Iterator<Item = u64>,
        sum_micros: u64,
    ) {
        self.head(name, help, "histogram");
        let bounds = bounds_micros
            .iter()
            .map(|bound| seconds(*bound))
            .chain(["+Inf".to_owned()]);
        let mut up_to = 0;
        for (bound, count) in bounds.zip(buckets) {
            up_to += count;
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{bound}\"}} {up_to}");
        }
        let _ = writeln!(
            self.0,
            "{name}_sum {}\n{name}_count {up_to}",
            seconds(sum_micros)
        );
    }
}

fn seconds(micros: u64) -> String {
    (micros as f64 / 1e6).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_a_histogram_add_up() {
        let mut out = Text::default();
        out.histogram("h", "Help", &[100, 2_500], [1, 2, 3].into_iter(), 1_500_000);
        assert_eq!(
            out.0,
            "# HELP h Help.\n# TYPE h histogram\nh_bucket{le=\"0.0001\"} 1\nh_bucket{le=\"0.0025\"} 3\n\
             h_bucket{le=\"+Inf\"} 6\nh_sum 1.5\nh_count 6\n"
        );
    }
}

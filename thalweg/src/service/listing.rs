//! The live queries as operators see them: a JSON text.

use serde::Serialize;
use serde_json::value::RawValue;
use thalweg_engine::{Catalog, Dependency, DependencySet};
use thalweg_gateway::{LiveListing, LiveRank};
use thalweg_resolvers::OperationKey;
use thalweg_subscriptions::{Figures, LATENCY_BOUNDS_MICROS, Listed, LiveQueries, Rank};

use super::ResolverRunner;

/// So many dependencies of one live query are shown.
const DEPENDENCIES_MAX: usize = 20;
/// So many fields of one of them.
const FIELDS_MAX: usize = 50;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    /// Distinct live queries.
    total: usize,
    subscriptions: u64,
    figures: Counts,
    live_queries: Vec<LiveQuery>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    commits: u64,
    matched: u64,
    woken: u64,
    re_executed: u64,
    maintained: u64,
    mismatched: u64,
    suppressed: u64,
    conflated: u64,
    sent: u64,
    patches: u64,
    rounds: Rounds,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rounds {
    count: u64,
    micros: u64,
    /// How many took at most so long, and longer than the one before says.
    buckets: Vec<Bucket>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    /// The last one has no bound.
    to_micros: Option<u64>,
    count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LiveQuery {
    operation: Box<str>,
    operation_name: Option<Box<str>>,
    variables: Box<RawValue>,
    subscribers: usize,
    result_bytes: usize,
    result_ts: String,
    cost: Cost,
    dependencies_total: usize,
    dependencies: Vec<Depends>,
}

#[derive(Serialize)]
struct Cost {
    runs: u64,
    maintained: u64,
    micros: u64,
}

#[derive(Serialize)]
struct Depends {
    /// `null` where it is no collection's documents.
    collection: Option<String>,
    on: String,
    /// `null` for every field.
    fields: Option<Vec<String>>,
}

/// The live queries that are asked for, and what all of them do.
pub(super) fn text(
    live: &LiveQueries<ResolverRunner>,
    catalog: &Catalog,
    LiveListing { first, by }: LiveListing,
) -> String {
    let rank = match by {
        LiveRank::Subscribers => Rank::Subscribers,
        LiveRank::Cost => Rank::Time,
    };
    let listed = live.list(first, rank).into_iter();
    let listing = Listing {
        total: live.live_queries(),
        subscriptions: live.figures().registered.get(),
        figures: counts(live.figures()),
        live_queries: listed.map(|listed| live_query(&listed, catalog)).collect(),
    };
    serde_json::to_string(&listing).expect("its keys are strings, and nothing in it can fail")
}

fn counts(figures: &Figures) -> Counts {
    let (woken, maintained) = (figures.woken.get(), figures.maintained.get());
    let bounds = LATENCY_BOUNDS_MICROS
        .iter()
        .copied()
        .map(Some)
        .chain([None]);
    let latencies = &figures.latencies;
    Counts {
        commits: figures.commits.get(),
        matched: figures.matched.get(),
        woken,
        re_executed: woken.saturating_sub(maintained),
        maintained,
        mismatched: figures.mismatched.get(),
        suppressed: figures.suppressed.get(),
        conflated: figures.conflated.get(),
        sent: figures.sent.get(),
        patches: figures.patches.get(),
        rounds: Rounds {
            count: latencies.buckets().sum(),
            micros: latencies.sum_micros(),
            buckets: bounds
                .zip(latencies.buckets())
                .map(|(to_micros, count)| Bucket { to_micros, count })
                .collect(),
        },
    }
}

fn live_query(listed: &Listed<OperationKey>, catalog: &Catalog) -> LiveQuery {
    let key = &listed.key;
    let variables = String::from_utf8_lossy(key.variables()).into_owned();
    let (dependencies_total, dependencies) = depends(&listed.dependencies, catalog);
    LiveQuery {
        operation: key.text().into(),
        operation_name: key.operation_name().map(Into::into),
        variables: RawValue::from_string(variables).expect("the key of an operation is JSON"),
        subscribers: listed.subscribers,
        result_bytes: listed.result_bytes,
        result_ts: listed.result_ts.to_string(),
        cost: Cost {
            runs: listed.cost.runs,
            maintained: listed.cost.maintained,
            micros: u64::try_from(listed.cost.time.as_micros()).unwrap_or(u64::MAX),
        },
        dependencies_total,
        dependencies,
    }
}

/// How many dependencies there are, and the first of them.
fn depends(dependencies: &DependencySet, catalog: &Catalog) -> (usize, Vec<Depends>) {
    let system = dependencies.system_in_words();
    let total = system.len() + dependencies.reads().len();
    let system = system.into_iter().map(|words| Depends {
        collection: None,
        on: words.to_owned(),
        fields: None,
    });
    let reads = dependencies
        .reads()
        .iter()
        .map(|read| depends_on(read, catalog));
    (total, system.chain(reads).take(DEPENDENCIES_MAX).collect())
}

fn depends_on(read: &Dependency, catalog: &Catalog) -> Depends {
    let name = catalog
        .by_id(read.collection)
        .map(|collection| collection.name.to_string());
    let fields = read.mask.fields().map(|fields| {
        let mut names: Vec<String> = fields
            .iter()
            .take(FIELDS_MAX)
            .map(ToString::to_string)
            .collect();
        if fields.len() > FIELDS_MAX {
            names.push(format!("and {} more", fields.len() - FIELDS_MAX));
        }
        names
    });
    Depends {
        // One that has just been dropped has no name any more.
        collection: Some(name.unwrap_or_else(|| "a collection that is gone".to_owned())),
        on: read.scope.in_words(),
        fields,
    }
}

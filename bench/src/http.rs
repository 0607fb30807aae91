//! Requests per second over HTTP, from `wrk` with 16 connections: the server on a collection of many documents, beside
//! a handler that returns the same bytes for the same requests without any work.
//!
//! Both processes run all the time, under load in turns. `wrk` shares the machine's cores with them, so the processor
//! time that a server used for a request is reported too: it says more where cores are few.

pub(crate) mod bare;
mod measured;
pub(crate) mod wrk;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::Extent;
use crate::connection::{Connection, request};
use crate::documents;
use crate::server::Server;
use crate::table::{Table, number, percent};

pub(crate) use bare::serve_recorded;
pub(crate) use measured::Measured;

const BY_ID: &str = "query Order($id: ID!) { order(id: $id) { id customer city country status \
                     placedAt total currency quantity } }";
const LIST: &str = "query Orders($after: String) { orders(first: 20, after: $after) { \
                    nodes { id customer city status placedAt total currency } \
                    pageInfo { hasNextPage endCursor } } }";
const CURSOR: &str =
    "query($offset: Int) { orders(first: 1, offset: $offset) { pageInfo { endCursor } } }";
const SORTED: &str = "query Largest($city: String) { orders(filter: {city: {eq: $city}}, \
                      orderBy: [{total: DESC}], first: 20) { \
                      nodes { id customer city status placedAt total currency } } }";

/// A kind of request, with different variables each time.
struct Kind {
    name: &'static str,
    file: &'static str,
    requests: Vec<String>,
}

/// Runs the benchmark and prints its table.
pub(crate) fn run(binary: &Path, extent: Extent) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let count = extent.choose(100_000, 2_000);
    let server = Server::thalweg(binary, &scratch.path().join("data"))?;
    documents::load(binary, &server, scratch.path(), count)?;
    wrk::prepare(scratch.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (kinds, pairs) = runtime.block_on(record(server.address(), count))?;
    for kind in &kinds {
        let lines: String = kind.requests.iter().map(|it| format!("{it}\n")).collect();
        std::fs::write(scratch.path().join(kind.file), lines)?;
    }
    let recorded = scratch.path().join("recorded");
    bare::write(&recorded, &pairs)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare-server").arg(&recorded);
    let bare = Server::start(command)?;

    let (rounds, seconds) = extent.choose((5, 4), (1, 1));
    let mut table = Table::new(HEAD);
    for kind in &kinds {
        let [mut ours, mut theirs] = [Measured::default(), Measured::default()];
        for _ in 0..rounds {
            for (server, measured) in [(&server, &mut ours), (&bare, &mut theirs)] {
                measured.add(
                    scratch.path(),
                    kind.file,
                    server,
                    Duration::from_secs(seconds),
                )?;
            }
        }
        for (name, measured) in [
            (kind.name, &ours),
            ("– bare axum handler, same bytes", &theirs),
        ] {
            let of_bare = measured.rate() / theirs.rate();
            table.row([
                name.to_owned(),
                number(measured.rate()),
                percent(of_bare),
                number(measured.cpu_micros.median()),
                number(measured.p50_ms.median()),
                number(measured.p99_ms.median()),
            ]);
        }
    }
    table.print(&format!(
        "http: {} documents, wrk with 16 connections, medians of {rounds} rounds of {seconds} s",
        number(count as f64),
    ));
    Ok(())
}

const HEAD: [&str; 6] = [
    "",
    "requests/s",
    "of bare",
    "processor µs/request",
    "p50 ms",
    "p99 ms",
];

/// The requests of each kind, and what the server answers to each.
async fn record(address: &str, count: u64) -> Result<(Vec<Kind>, Vec<(String, Vec<u8>)>)> {
    let mut connection = Connection::open(address).await?;
    let spread = |index: u64| index * 7919 % count;
    let by_id = (0..1_000).map(|index| json!({ "id": documents::id(spread(index)) }));
    let mut after = Vec::new();
    for index in 0..200 {
        let offset = spread(index) % (count - 21);
        let data = connection
            .data(CURSOR, &json!({ "offset": offset }))
            .await?;
        after.push(json!({ "after": data["orders"]["pageInfo"]["endCursor"] }));
    }
    let cities = ["Uppsala", "Osaka", "Brno", "Lagos"].map(|city| json!({ "city": city }));
    let requests = |query: &str, variables: &mut dyn Iterator<Item = Value>| {
        variables
            .map(|variables| request(query, &variables))
            .collect::<Vec<_>>()
    };
    let kinds = vec![
        Kind {
            name: "by id",
            file: "by-id",
            requests: requests(BY_ID, &mut by_id.into_iter()),
        },
        Kind {
            name: "list of 20",
            file: "list",
            requests: requests(LIST, &mut after.into_iter()),
        },
        Kind {
            name: "list of 20, filtered and sorted, no index",
            file: "sorted",
            requests: requests(SORTED, &mut cities.into_iter()),
        },
    ];
    let mut pairs = Vec::new();
    for request in kinds.iter().flat_map(|kind| &kind.requests) {
        let answer = connection.graphql(request).await?;
        check(request, &answer)?;
        pairs.push((request.clone(), answer));
    }
    Ok((kinds, pairs))
}

/// Whether an answer is whole: a document, or 20 of them.
fn check(request: &str, answer: &[u8]) -> Result<()> {
    let parsed: Value = serde_json::from_slice(answer)?;
    let data = &parsed["data"];
    let nodes = data["orders"]["nodes"].as_array().map(Vec::len);
    let whole = data["order"].is_object() || nodes == Some(20);
    ensure!(
        whole && parsed["errors"].is_null(),
        "{request} was answered with {parsed}"
    );
    ensure!(!answer.contains(&b'\n'), "an answer has a line break");
    Ok(())
}

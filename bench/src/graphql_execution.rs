//! One query for 1,000 documents with 10 scalar fields each, from a prepared operation to the bytes of its response,
//! without a server; beside `serde_json` writing the same values from structs, and `async-graphql` executing the same
//! query over the same structs. `docs/decisions/0001-execution-to-bytes.md` rests on this.

mod dynamic_schema;
mod rows;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use serde_json::Value;
use thalweg_engine::{CollectionRef, Engine, EngineOptions, ExpiryChange, Intent};
use thalweg_model::Document;
use thalweg_resolvers::{IdNames, Limits, Operation, Request, Resolvers};
use thalweg_storage::{Backend, EmbeddedBackend, EmbeddedOptions, MemoryBackend};
use tokio::runtime::Runtime;

use crate::Extent;
use crate::documents;
use crate::statistics::Samples;
use crate::table::{Table, number};

use self::rows::QUERY;

const DOCUMENTS: u64 = 1_000;

/// One way to the response; the number is that of the turn.
type Run<'a> = Box<dyn FnMut(usize) -> Result<Vec<u8>> + 'a>;

/// Runs the benchmark and prints its table.
pub(crate) fn run(extent: Extent) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let memory = resolvers(&runtime, Arc::new(MemoryBackend::new()))?;
    let embedded = resolvers(&runtime, embedded(scratch.path())?)?;
    let rows = rows::generate(DOCUMENTS)?;
    let schema = dynamic_schema::build(rows.clone())?;
    let in_memory = prepare(&memory, QUERY)?;
    let in_embedded = prepare(&embedded, QUERY)?;
    let mut candidates: Vec<(&str, Run<'_>)> = vec![
        (
            "embedded store",
            Box::new(|_| execute(&embedded, &in_embedded)),
        ),
        ("memory store", Box::new(|_| execute(&memory, &in_memory))),
        (
            "embedded store, with `prepare` of a known text",
            Box::new(|_| execute(&embedded, &prepare(&embedded, QUERY)?)),
        ),
        (
            "embedded store, with `prepare` of a new text",
            Box::new(|turn| execute(&embedded, &prepare(&embedded, &format!("{QUERY} #{turn}"))?)),
        ),
        (
            "`serde_json` from structs",
            Box::new(|_| rows::write(&rows)),
        ),
        (
            "`async-graphql`, dynamic schema over structs",
            Box::new(|_| runtime.block_on(dynamic_schema::execute(&schema))),
        ),
    ];
    check(&mut candidates)?;
    let turns = extent.choose(400, 20);
    let mut millis: Vec<Samples> = candidates.iter().map(|_| Samples::default()).collect();
    for turn in 0..turns {
        for ((_, run), millis) in candidates.iter_mut().zip(&mut millis) {
            // Once without the clock: otherwise each would begin with the caches that its neighbour has left.
            black_box(run(2 * turn)?);
            let started = Instant::now();
            black_box(run(2 * turn + 1)?);
            millis.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    let names = candidates.iter().map(|(name, _)| *name);
    print(names.zip(&millis), turns);
    Ok(())
}

fn print<'a>(measured: impl Iterator<Item = (&'a str, &'a Samples)>, turns: usize) {
    let measured: Vec<_> = measured.collect();
    let first = measured
        .first()
        .map_or(f64::NAN, |(_, millis)| millis.median());
    let mut table = Table::new(["", "ms", "p99 ms", "of the first row"]);
    for (name, millis) in measured {
        let median = millis.median();
        table.row([
            name.to_owned(),
            number(median),
            number(millis.percentile(0.99)),
            format!("{} ×", number(median / first)),
        ]);
    }
    table.print(&format!(
        "graphql-execution: {} documents of 10 fields, medians of {turns} turns",
        number(DOCUMENTS as f64),
    ));
}

fn embedded(directory: &Path) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(EmbeddedBackend::open(
        directory,
        EmbeddedOptions::default(),
    )?))
}

/// Resolvers over the documents in that store.
fn resolvers(runtime: &Runtime, backend: Arc<dyn Backend>) -> Result<Resolvers> {
    let engine = Engine::open(backend, EngineOptions::default())?;
    let documents: Vec<Document> = (0..DOCUMENTS)
        .map(|index| Document::parse(documents::json(index).as_bytes()))
        .collect::<Result<_, _>>()?;
    let collection = CollectionRef::Name {
        name: documents::COLLECTION.into(),
        create: true,
    };
    runtime.block_on(engine.transact(move |transaction| {
        for document in &documents {
            transaction.write(Intent::Put {
                collection: collection.clone(),
                id: None,
                document: document.clone(),
                expiry: ExpiryChange::KEEP,
            })?;
        }
        Ok(())
    }))?;
    Ok(Resolvers::new(engine, Limits::default(), IdNames::Local))
}

fn prepare(resolvers: &Resolvers, text: &str) -> Result<Operation> {
    let prepared = resolvers.prepare(&Request::text(text));
    prepared.map_err(|failure| anyhow!("{}", String::from_utf8_lossy(&failure.body())))
}

/// A fresh snapshot and the response that shows it, as for each request of a client.
fn execute(resolvers: &Resolvers, operation: &Operation) -> Result<Vec<u8>> {
    let snapshot = resolvers.engine().snapshot()?;
    let (body, _) = resolvers.run(operation, &snapshot).into_parts();
    Ok(body.into())
}

/// Whether all give the same data.
fn check(candidates: &mut [(&str, Run<'_>)]) -> Result<()> {
    let mut expected: Option<Value> = None;
    for (name, run) in candidates {
        let mut response: Value = serde_json::from_slice(&run(usize::MAX)?)?;
        ensure!(
            response["errors"].is_null(),
            "{name}: {}",
            response["errors"]
        );
        let data = response["data"].take();
        let nodes = data["orders"]["nodes"].as_array().map_or(0, Vec::len);
        ensure!(nodes as u64 == DOCUMENTS, "{name} gives {nodes} documents");
        match &expected {
            None => expected = Some(data),
            Some(expected) => ensure!(data == *expected, "{name} gives other data"),
        }
    }
    Ok(())
}

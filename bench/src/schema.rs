//! Building the API schema of 500 collections of 40 fields each: for the first time, and again after a document of
//! one collection has brought a field; and what a commit costs that brings none.
//!
//! There is no peer: the bound is one of the project's own (a rebuild in under 100 ms), since every live query waits for
//! it when somebody's document brings a field.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use thalweg_engine::{CollectionRef, Engine, EngineOptions, Evolution, ExpiryChange, Intent};
use thalweg_model::Document;
use thalweg_resolvers::{IdNames, Limits, Request, Resolvers};
use thalweg_storage::MemoryBackend;
use tokio::runtime::Runtime;

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, number};

const FIELDS: usize = 40;

/// Runs the benchmark and prints its table.
pub(crate) fn run(extent: Extent) -> Result<()> {
    let collections = extent.choose(500, 20);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let options = EngineOptions {
        evolution: Evolution::Additive,
        ..EngineOptions::default()
    };
    let engine = Engine::open(Arc::new(MemoryBackend::new()), options)?;
    for collection in 0..collections {
        let fields: Vec<String> = (0..FIELDS).map(|field| value(field, collection)).collect();
        insert(
            &runtime,
            &engine,
            collection,
            &format!("{{{}}}", fields.join(",")),
        )?;
    }
    let mut first = Samples::default();
    let mut rebuilt = Samples::default();
    let mut unchanged = Samples::default();
    let mut bytes = 0;
    for turn in 0..extent.choose(10, 2) {
        let resolvers = Resolvers::new(engine.clone(), Limits::default(), IdNames::Local);
        time(&mut first, &resolvers)?;
        let before = resolvers.sdl().map_err(|_| anyhow!("no schema"))?;
        let collection = turn * 7 % collections;
        insert(
            &runtime,
            &engine,
            collection,
            &format!("{{\"new{turn}\":1}}"),
        )?;
        time(&mut rebuilt, &resolvers)?;
        let after = resolvers.sdl().map_err(|_| anyhow!("no schema"))?;
        ensure!(before != after, "the new field is in the schema");
        bytes = after.len();
        insert(
            &runtime,
            &engine,
            collection,
            &format!("{{\"new{turn}\":2}}"),
        )?;
        time(&mut unchanged, &resolvers)?;
    }
    engine.close();
    let mut table = Table::new(["from the request to its plan", "median ms", "largest ms"]);
    for (what, samples) in [
        ("first build, validated", &first),
        ("rebuilt after one collection has got a field", &rebuilt),
        ("after a commit that changes no type", &unchanged),
    ] {
        table.row([
            what.to_owned(),
            number(samples.median()),
            number(samples.largest()),
        ]);
    }
    table.print(&format!(
        "schema: {collections} collections of {FIELDS} fields, {bytes} bytes of SDL"
    ));
    Ok(())
}

/// A member of a document: scalars of all kinds, and now and then a list or an object.
fn value(field: usize, collection: usize) -> String {
    let value = match field % 8 {
        0 => format!("\"text {collection}\""),
        1 => collection.to_string(),
        2 => "0.5".to_owned(),
        3 => "true".to_owned(),
        4 => "\"2026-11-23T00:00:00Z\"".to_owned(),
        5 => "5000000000".to_owned(),
        6 => "[\"a\",\"b\"]".to_owned(),
        _ => "{\"street\":\"x\",\"zip\":7}".to_owned(),
    };
    format!("\"field{field}\":{value}")
}

fn insert(runtime: &Runtime, engine: &Engine, collection: usize, document: &str) -> Result<()> {
    let intent = Intent::Create {
        collection: CollectionRef::Name {
            name: format!("collection{collection}").into(),
            create: true,
        },
        id: None,
        document: Document::parse(document.as_bytes())?,
        expiry: ExpiryChange::KEEP,
    };
    runtime.block_on(engine.transact(move |transaction| {
        transaction.write(intent.clone())?;
        Ok(())
    }))?;
    Ok(())
}

/// Times what waits for the schema: a request.
fn time(samples: &mut Samples, resolvers: &Resolvers) -> Result<()> {
    let request = Request::text("{ __typename }");
    let start = Instant::now();
    let prepared = resolvers.prepare(&request);
    samples.push(start.elapsed().as_secs_f64() * 1e3);
    black_box(prepared.map_err(|_| anyhow!("it is refused"))?);
    Ok(())
}

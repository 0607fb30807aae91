//! The store alone, beside the engines it could have been: durable small transactions, point reads, scans.
//!
//! The transaction reads one key, and writes a document of some 200 bytes and an index row. Committers run it one
//! after the other, and a thread of the harness writes what is waiting as one batch, the same for each store. Bursts of
//! the stores take turns.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use thalweg_storage::{EmbeddedBackend, EmbeddedOptions};

use crate::Extent;
use crate::statistics::Samples;
use crate::table::{Table, number};

mod harness;
mod stores;

use self::stores::{Embedded, Fjall, Lmdb, Row, Store, Surreal};

/// Documents in the store before anything is timed; each has an index row.
const DOCUMENTS: u64 = 200_000;

/// Rows of one scan.
const SCAN_ROWS: usize = 1_000;

/// Runs the benchmark and prints its tables.
pub(crate) fn run(extent: Extent) -> Result<()> {
    let documents = extent.choose(DOCUMENTS, 5_000);
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    let embedded = Embedded::open(&path("embedded"))?;
    let lmdb = Lmdb::open(&path("lmdb"))?;
    let fjall = Fjall::open(&path("fjall"))?;
    let surreal = Surreal::open(&path("surrealkv"))?;
    let stores: [&dyn Store; 4] = [&embedded, &lmdb, &fjall, &surreal];
    for store in stores {
        let rows: Vec<Row> = (0..documents).flat_map(preloaded).collect();
        for rows in rows.chunks(10_000) {
            store.write(rows)?;
        }
        ensure!(
            store.get(&document_key(documents - 1))?.is_some(),
            "{} has lost a document",
            store.name()
        );
    }
    embedded.settle()?;
    reads(&[&embedded, &lmdb], documents, extent)?;
    commits(&stores, &embedded, documents, extent)?;
    sustained(&embedded, documents, extent)?;
    reopen(&directory.path().join("reopened"), extent)
}

/// Opening a store whose overlay was full when it was killed: a copy of the files of one that applies nothing.
fn reopen(directory: &Path, extent: Extent) -> Result<()> {
    let overlay_bytes = extent.choose(256 << 20, 8 << 20);
    let options = EmbeddedOptions {
        overlay_bytes_max: 2 * overlay_bytes,
        apply_bytes: u64::MAX,
        apply_after: Duration::MAX,
        apply_idle: Duration::MAX,
        ..EmbeddedOptions::default()
    };
    let store = Embedded::open_with(&directory.join("original"), options)?;
    let mut number = 0;
    while store.write_path().overlay_bytes < overlay_bytes {
        let rows: Vec<Row> = (number..number + 64).flat_map(preloaded).collect();
        store.write(&rows)?;
        number += 64;
    }
    for part in ["data", "log"] {
        let (from, to) = (
            directory.join("original").join(part),
            directory.join("copy").join(part),
        );
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(&from)? {
            let file = entry?.file_name();
            fs::copy(from.join(&file), to.join(&file))?;
        }
    }
    let started = Instant::now();
    let copy = EmbeddedBackend::open(&directory.join("copy"), options)?;
    let taken = started.elapsed();
    println!(
        "\nReopened in {} ms after a crash with a full log: {}",
        taken.as_millis(),
        copy.recovery()
    );
    Ok(())
}

/// A number that looks random, the same for the same input.
fn scramble(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

fn document_key(number: u64) -> Vec<u8> {
    let mut key = b"doc/orders/".to_vec();
    key.extend_from_slice(&scramble(number).to_be_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn index_key(value: u64, number: u64) -> Vec<u8> {
    let mut key = b"idx/orders/total/".to_vec();
    key.extend_from_slice(&(scramble(value) % 10_000).to_be_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn document(number: u64) -> Vec<u8> {
    let mut text = format!(
        r#"{{"id":"{number:016}","customer":"{:016x}","#,
        scramble(number)
    );
    while text.len() < 190 {
        text.push_str(r#""note":"as agreed","#);
    }
    text.push_str(r#""ok":true}"#);
    text.into_bytes()
}

fn preloaded(number: u64) -> [Row; 2] {
    [
        (document_key(number), document(number)),
        (index_key(number, number), Vec::new()),
    ]
}

/// The writes of transaction `number`: a document that is there gets a new content, and a new index row is added.
fn transaction(number: u64, documents: u64) -> [Row; 2] {
    let target = scramble(number) % documents;
    [
        (document_key(target), document(number)),
        (index_key(number, documents + number), Vec::new()),
    ]
}

fn reads(stores: &[&dyn Store], documents: u64, extent: Extent) -> Result<()> {
    let time = extent.choose(Duration::from_secs(2), Duration::from_millis(100));
    let mut table = Table::new(["store", "point reads/s", "scanned rows/s"]);
    let mut samples: Vec<[Samples; 2]> = stores.iter().map(|_| Default::default()).collect();
    for round in 0..extent.choose(5, 1) {
        for (store, [points, scans]) in stores.iter().zip(&mut samples) {
            let started = Instant::now();
            let mut count = 0;
            while started.elapsed() < time {
                store.read_burst(&mut |get| {
                    for _ in 0..1_000 {
                        count += 1;
                        ensure!(get(&document_key(scramble(round + count) % documents))?);
                    }
                    Ok(())
                })?;
            }
            points.push(count as f64 / started.elapsed().as_secs_f64());

            let started = Instant::now();
            let (mut rows, mut scan) = (0, 0);
            while started.elapsed() < time {
                scan += 1;
                rows += store.scan(&document_key(scramble(scan) % (documents / 2)), SCAN_ROWS)?;
            }
            scans.push(rows as f64 / started.elapsed().as_secs_f64());
        }
    }
    for (store, [points, scans]) in stores.iter().zip(&samples) {
        let name = store.name().to_owned();
        table.row([name, number(points.median()), number(scans.median())]);
    }
    table.print("Reads, one thread, nothing being written");
    Ok(())
}

fn commits(
    stores: &[&dyn Store],
    embedded: &Embedded,
    documents: u64,
    extent: Extent,
) -> Result<()> {
    let time = extent.choose(Duration::from_secs(10), Duration::from_millis(300));
    let committers = [1, 16, 64];
    let mut table = Table::new(["transactions/s with", "1", "16", "64"]);
    let mut samples: Vec<[Samples; 3]> = stores.iter().map(|_| Default::default()).collect();
    let mut first = 0;
    for _ in 0..extent.choose(3, 1) {
        for (column, &committers) in committers.iter().enumerate() {
            for (store, samples) in stores.iter().zip(&mut samples) {
                let done = harness::burst(*store, committers, time, &|number| {
                    transaction(first + number, documents)
                })?;
                first += done;
                samples[column].push(done as f64 / time.as_secs_f64());
                // What a store does behind its commits must not be charged to the next one.
                embedded.settle()?;
                thread::sleep(extent.choose(Duration::from_secs(1), Duration::ZERO));
            }
        }
    }
    for (store, samples) in stores.iter().zip(&samples) {
        let [one, sixteen, sixty_four] = samples;
        table.row([
            store.name().to_owned(),
            number(one.median()),
            number(sixteen.median()),
            number(sixty_four.median()),
        ]);
    }
    table.print("Durable transactions in bursts");
    Ok(())
}

/// Load for longer than the overlay can absorb, beside what the applier could do alone.
fn sustained(embedded: &Embedded, documents: u64, extent: Extent) -> Result<()> {
    let time = extent.choose(Duration::from_secs(60), Duration::from_millis(500));
    let before = embedded.write_path();
    let first = 1 << 40;
    let done = harness::burst(embedded, 64, time, &|number| {
        transaction(first + number, documents)
    })?;
    let during = embedded.write_path();
    embedded.settle()?;
    let after = embedded.write_path();
    let bytes = |from: u64, to: u64| (to - from) as f64 / 1e6;
    let applying = (after.applying - before.applying).as_secs_f64();
    let mut table = Table::new(["sustained, 64 committers", ""]);
    let rate = done as f64 / time.as_secs_f64();
    table.row(["transactions/s".to_owned(), number(rate)]);
    let applied = bytes(before.applied_bytes, after.applied_bytes);
    table.row([
        "applier, MB/s while it applies".to_owned(),
        number(applied / applying),
    ]);
    let limit = done as f64 / applying;
    table.row(["the same in transactions/s".to_owned(), number(limit)]);
    table.row([
        "applied transactions of the tree".to_owned(),
        number((after.applied_layers - before.applied_layers) as f64),
    ]);
    table.row([
        "MB waiting at the end".to_owned(),
        number(during.overlay_bytes as f64 / 1e6),
    ]);
    table.print("Sustained load");
    Ok(())
}

//! Import of a file of NDJSON: command line, HTTP, parsing, inference, log, store; beside the store alone.
//!
//! Every import runs against a server of its own on an empty directory, and ends with the server's answer, so with
//! everything synced. The stages are also measured one by one on one thread; they overlap in the server, so their sum
//! may exceed its time.

mod stages;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Extent;
use crate::documents::{self, Written};
use crate::server::Server;
use crate::statistics::Samples;
use crate::table::{Table, number, percent};

/// What takes time, in the order of the table.
const ROWS: [&str; 5] = [
    "`thalweg import` into `thalweg serve`",
    "engine alone, in process, documents parsed before",
    "store alone: the same bytes, batches of the same size",
    "parsing alone",
    "inference alone",
];

/// Runs the benchmark and prints its table.
pub(crate) fn run(binary: &Path, extent: Extent) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("documents.ndjson");
    let written = documents::write_file(&file, extent.choose(100_000_000, 4_000_000), u64::MAX)?;
    let text = fs::read(&file)?;
    let lines: Vec<&[u8]> = text.trim_ascii_end().split(|byte| *byte == b'\n').collect();
    let mut seconds: [Samples; 5] = Default::default();
    let mut sizes = [Samples::default(), Samples::default()];
    for _ in 0..extent.choose(3, 1) {
        let [whole, engine, store, parsing, inference] = &mut seconds;
        let [whole_size, store_size] = &mut sizes;
        let data = tempfile::tempdir_in(scratch.path())?;
        whole.push(import(binary, data.path(), &file)?.as_secs_f64());
        whole_size.push(disk_bytes(data.path())? as f64);
        drop(data);
        let data = tempfile::tempdir_in(scratch.path())?;
        store.push(stages::store(data.path(), &lines)?.as_secs_f64());
        store_size.push(disk_bytes(data.path())? as f64);
        drop(data);
        let data = tempfile::tempdir_in(scratch.path())?;
        engine.push(stages::engine(data.path(), &lines)?.as_secs_f64());
        drop(data);
        let (parsed, inferred) = stages::parse_and_infer(&lines)?;
        parsing.push(parsed.as_secs_f64());
        inference.push(inferred.as_secs_f64());
    }
    print(written, &seconds, &sizes);
    Ok(())
}

fn import(binary: &Path, data: &Path, file: &Path) -> Result<Duration> {
    let server = Server::thalweg(binary, data)?;
    let started = Instant::now();
    documents::import_file(binary, &server, documents::COLLECTION, file)?;
    Ok(started.elapsed())
}

fn print(written: Written, seconds: &[Samples; 5], sizes: &[Samples; 2]) {
    let megabytes = written.bytes as f64 / 1e6;
    let whole = seconds[0].median();
    let mut table = Table::new(["", "s", "rows/s", "MB/s", "share of the import"]);
    for (name, samples) in ROWS.iter().zip(seconds) {
        let median = samples.median();
        table.row([
            (*name).to_owned(),
            number(median),
            number(written.documents as f64 / median),
            number(megabytes / median),
            percent(median / whole),
        ]);
    }
    table.print(&format!(
        "import: {} documents, {} MB of NDJSON, medians",
        number(written.documents as f64),
        number(megabytes),
    ));
    println!(
        "\non disk afterwards: {} MB by the server, {} MB by the store alone",
        number(sizes[0].median() / 1e6),
        number(sizes[1].median() / 1e6),
    );
}

/// The room that a directory takes: holes in its files take none.
fn disk_bytes(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => disk_bytes(&entry.path())?,
            // The unit of `st_blocks`, whatever the file system.
            false => entry.metadata()?.blocks() * 512,
        };
    }
    Ok(bytes)
}

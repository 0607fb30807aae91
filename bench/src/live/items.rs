//! The documents that most parts use, small ones, and servers that hold them.
//!
//! Each item has an id, a lot and a place that no other has, with indexes on both. Writes change its quantity, which every
//! query shows, so that an event tells of which write it is.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::connection::{Connection, request};
use crate::documents;
use crate::server::Server;

const SCHEMA: &str = "type Item @collection(name: \"items\") \
                      @index(fields: [\"lot\"]) @index(fields: [\"place\"])";
const UPDATE: &str = "mutation Update($id: ID!, $quantity: Int) { \
                      updateItem(id: $id, patch: {quantity: $quantity}) { id } }";
const INDEXES: &str = "{ collections { indexes { status } } }";

const INDEXED_WITHIN: Duration = Duration::from_secs(120);
/// What the store has in its log when the import ends goes into its tree in this time.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// Settings for a million live queries.
const LIMITS: [&str; 2] = ["live.queries_max=2000000", "live.results_bytes_max=4GiB"];

/// Lots and places begin at multiples of this.
pub(super) const STRIDE: usize = 10;

pub(super) fn id(index: usize) -> String {
    format!("item-{index:07}")
}

/// Starts a server with so many items. It has been started anew since they were imported, so its memory is not what an
/// import leaves behind.
pub(super) fn server(binary: &Path, directory: &Path, count: usize) -> Result<Server> {
    std::fs::create_dir_all(directory)?;
    let (file, data) = (directory.join("items.ndjson"), directory.join("data"));
    write(&file, count)?;
    let server = Server::thalweg(binary, &data)?;
    documents::import_file(binary, &server, "items", &file)?;
    std::fs::remove_file(&file)?;
    declare(binary, &server, directory)?;
    std::thread::sleep(SETTLED_AFTER);
    drop(server);
    let server = Server::thalweg_with(binary, &data, &LIMITS)?;
    std::thread::sleep(SETTLED_AFTER);
    Ok(server)
}

fn write(path: &Path, count: usize) -> Result<()> {
    let mut out = BufWriter::new(File::create(path).with_context(|| path.display().to_string())?);
    for index in 0..count {
        let (id, at) = (id(index), index * STRIDE);
        writeln!(
            out,
            "{{\"id\":\"{id}\",\"name\":\"Item {index}\",\"lot\":{at},\"place\":{at},\"quantity\":0}}"
        )?;
    }
    Ok(out.flush()?)
}

fn declare(binary: &Path, server: &Server, directory: &Path) -> Result<()> {
    server.apply(binary, directory, SCHEMA)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(indexed(server.address()))
}

/// Waits until all indexes are built.
async fn indexed(address: &str) -> Result<()> {
    let begun = Instant::now();
    let mut connection = Connection::open(address).await?;
    loop {
        let text = connection.data(INDEXES, &json!({})).await?.to_string();
        if text.contains("READY") && !text.contains("BUILDING") {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < INDEXED_WITHIN && !text.contains("FAILED"),
            "the indexes are {text}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The body of the request that sets the quantity of an item.
pub(super) fn update(index: usize, quantity: u64) -> String {
    request(UPDATE, &json!({ "id": id(index), "quantity": quantity }))
}

/// An answer without errors.
pub(super) fn check(answer: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(answer);
    ensure!(
        !text.contains("\"errors\""),
        "a write was answered with {text}"
    );
    Ok(())
}

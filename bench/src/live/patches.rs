//! How long the messages are that tell of one changed field in a list of 100 rows: complete results, and patches.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::runtime::Runtime;

use super::socket::Socket;
use crate::connection::{Connection, request};
use crate::documents;
use crate::server::Server;
use crate::table::{Table, number, percent};

const LIST: &str = "query Orders @live { orders(first: 100, orderBy: [{id: ASC}]) { \
                    nodes { id customer city country status placedAt total quantity } } }";
const UPDATE: &str = "mutation Update($id: ID!, $quantity: Int) { \
                      updateOrder(id: $id, patch: {quantity: $quantity}) { id } }";
const ROWS: u64 = 100;
const QUANTITY: u64 = 1_234;

/// Runs it and prints its table.
pub(super) fn run(binary: &Path, runtime: &Runtime) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let server = Server::thalweg(binary, &scratch.path().join("data"))?;
    documents::load(binary, &server, scratch.path(), ROWS)?;
    let [complete, patch] = runtime.block_on(measure(server.address()))?;
    let mut table = Table::new(["what an event tells", "bytes", "of the complete result"]);
    for (name, bytes) in [("complete result", complete), ("patch", patch)] {
        table.row([
            name.to_owned(),
            number(bytes as f64),
            percent(bytes as f64 / complete as f64),
        ]);
    }
    table.print("live, patches: one field of one of 100 rows has changed (≤ 10 %)");
    Ok(())
}

/// The length of the message without and with patches.
async fn measure(address: &str) -> Result<[usize; 2]> {
    let mut plain = Socket::open(address).await?;
    let mut patched = Socket::open(address).await?;
    plain.subscribe(1, LIST, &json!({})).await?;
    let with_patches = LIST.replace("@live", "@live(patch: true)");
    patched.subscribe(1, &with_patches, &json!({})).await?;
    let mut connection = Connection::open(address).await?;
    let variables = json!({ "id": documents::id(ROWS / 2), "quantity": QUANTITY });
    let body = request(UPDATE, &variables);
    super::items::check(&connection.graphql(&body).await?)?;
    let mut lengths = [0; 2];
    for (socket, length) in [&mut plain, &mut patched].into_iter().zip(&mut lengths) {
        let event = socket.event().await?;
        ensure!(
            event.contains(&QUANTITY.to_string()),
            "another event: {event}"
        );
        *length = event.len();
    }
    Ok(lengths)
}

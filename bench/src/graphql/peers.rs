//! The other servers, with the same data: Mercurius with it in memory, PostGraphile with it in PostgreSQL.

use std::path::Path;

use anyhow::{Context, Result};
use thalweg_storage::conformance::postgres_server::PostgresServer;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

use crate::peers::node;
use crate::server::Server;

const TABLES: &str = "
    CREATE SCHEMA library;
    SET search_path TO library;
    CREATE TABLE authors (id text PRIMARY KEY, name text, country text, born int);
    CREATE TABLE books (
        id text PRIMARY KEY, title text, isbn text, year int, pages int, price float8, language text,
        publisher text, \"inPrint\" boolean, rating float8, author_id text REFERENCES authors (id)
    );
    CREATE INDEX ON books (author_id);";

/// How many documents go to PostgreSQL at a time.
const BATCH: usize = 5_000;

/// Mercurius, with JIT, over the documents of two files of NDJSON as objects in memory.
pub(super) fn mercurius(authors: &Path, books: &Path) -> Result<Server> {
    let mut command = node("mercurius.mjs");
    command.arg(authors).arg(books);
    Server::start(command)
}

/// PostGraphile on a PostgreSQL server of its own.
pub(super) struct PostGraphile {
    pub(super) server: Server,
    // Dropped after the server that uses it.
    _database: PostgresServer,
}

/// PostGraphile over tables with the documents of two files of NDJSON.
pub(super) fn postgraphile(
    runtime: &Runtime,
    authors: &Path,
    books: &Path,
) -> Result<PostGraphile> {
    let database = PostgresServer::start_new()?;
    runtime.block_on(fill(&database.url(), authors, books))?;
    let mut command = node("postgraphile.mjs");
    command.arg(database.url());
    Ok(PostGraphile {
        server: Server::start(command)?,
        _database: database,
    })
}

async fn fill(url: &str, authors: &Path, books: &Path) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute(TABLES).await?;
    for (table, file) in [("authors", authors), ("books", books)] {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let lines: Vec<&str> = text.lines().collect();
        let insert = format!(
            "INSERT INTO {table} SELECT * FROM json_populate_recordset(null::{table}, $1::text::json)"
        );
        let insert = client.prepare(&insert).await?;
        for batch in lines.chunks(BATCH) {
            client
                .execute(&insert, &[&format!("[{}]", batch.join(","))])
                .await?;
        }
    }
    client.batch_execute("VACUUM ANALYZE").await?;
    drop(client);
    Ok(connection.await??)
}

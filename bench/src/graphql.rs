//! GraphQL over HTTP beside other GraphQL servers, from `wrk` with 16 connections: books and their authors, by id and
//! in lists of 20 with the author of each.
//!
//! Four processes run all the time, under load in turns: Thalweg on its embedded store; a bare axum handler that returns
//! the same bytes; Mercurius with JIT over the same data as objects in memory; PostGraphile over the same data in
//! PostgreSQL. Their schemas name things differently; that the answers hold the same values is checked first.

mod library;
mod peers;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::Extent;
use crate::connection::{Connection, request};
use crate::documents;
use crate::http::{Measured, bare, wrk};
use crate::server::Server;
use crate::table::{Table, number, percent};

const AUTHORS: u64 = 1_000;

/// The relation, declared: detecting it takes the server a moment.
const SCHEMA: &str = "type Author @collection(name: \"authors\") { name: String }\n\
                      type Book @collection(name: \"books\") {\n\
                      author: Author @relation(field: \"author_id\")\n}";

/// How a server is asked for the two things.
struct Dialect {
    by_id: &'static str,
    list: &'static str,
    /// Gives the cursor of the row before a page, at `data.LIST.pageInfo.endCursor`; none where pages are taken by number.
    cursor: Option<&'static str>,
    /// The names of the two root fields, and of the author of a book.
    names: [&'static str; 3],
}

const OURS: Dialect = Dialect {
    by_id: "query Book($id: ID!) { book(id: $id) { id title isbn year pages price language publisher inPrint rating } }",
    list: "query Books($after: String) { books(first: 20, after: $after) { nodes { id title year author { id name } } \
           pageInfo { hasNextPage } } }",
    cursor: Some(
        "query($offset: Int) { books(first: 1, offset: $offset) { pageInfo { endCursor } } }",
    ),
    names: ["book", "books", "author"],
};
const MERCURIUS: Dialect = Dialect {
    list: "query Books($offset: Int!) { books(first: 20, offset: $offset) { nodes { id title year author { id name } } \
           pageInfo { hasNextPage } } }",
    cursor: None,
    ..OURS
};
const POSTGRAPHILE: Dialect = Dialect {
    by_id: "query Book($id: String!) { bookByRowId(rowId: $id) { id: rowId title isbn year pages price language publisher \
            inPrint rating } }",
    list: "query Books($after: Cursor) { allBooks(first: 20, after: $after) { nodes { id: rowId title year \
           authorByAuthorId { id: rowId name } } pageInfo { hasNextPage } } }",
    cursor: Some(
        "query($offset: Int) { allBooks(first: 1, offset: $offset) { pageInfo { endCursor } } }",
    ),
    names: ["bookByRowId", "allBooks", "authorByAuthorId"],
};

/// The requests of one kind, and the answers to them with all names alike.
#[derive(Default, Clone)]
struct Recorded {
    requests: Vec<String>,
    answers: Vec<Vec<u8>>,
    values: Vec<Value>,
}

/// A server and what it is asked.
struct Subject<'s> {
    name: &'static str,
    server: &'s Server,
    kinds: [Recorded; 2],
}

const KINDS: [&str; 2] = ["by id, 10 fields", "list of 20 with author"];

/// Runs the benchmark and prints its table.
pub(crate) fn run(binary: &Path, extent: Extent) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let directory = scratch.path();
    let books = extent.choose(100_000, 2_000);
    let [authors_file, books_file] =
        ["authors.ndjson", "books.ndjson"].map(|it| directory.join(it));
    library::write(&authors_file, AUTHORS, library::author)?;
    library::write(&books_file, books, |index| library::book(index, AUTHORS))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thalweg = thalweg(binary, directory, &authors_file, &books_file)?;
    let mercurius = peers::mercurius(&authors_file, &books_file).context("Mercurius")?;
    let postgraphile =
        peers::postgraphile(&runtime, &authors_file, &books_file).context("PostGraphile")?;
    let record = |server: &Server, dialect| runtime.block_on(record(server, dialect, books));
    let ours = record(&thalweg, &OURS)?;
    let recorded = directory.join("recorded");
    let pairs: Vec<(String, Vec<u8>)> = ours
        .iter()
        .flat_map(|kind| {
            kind.requests
                .iter()
                .cloned()
                .zip(kind.answers.iter().cloned())
        })
        .collect();
    bare::write(&recorded, &pairs)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare-server").arg(&recorded);
    let bare = Server::start(command)?;
    let subject = |name, server, kinds| Subject {
        name,
        server,
        kinds,
    };
    let subjects = [
        subject("– bare axum handler, same bytes", &bare, ours.clone()),
        subject("Thalweg", &thalweg, ours),
        subject(
            "– Mercurius, JIT, in memory",
            &mercurius,
            record(&mercurius, &MERCURIUS)?,
        ),
        subject(
            "– PostGraphile, PostgreSQL",
            &postgraphile.server,
            record(&postgraphile.server, &POSTGRAPHILE)?,
        ),
    ];
    check(&subjects)?;
    measure(&subjects, directory, extent, books)
}

fn thalweg(binary: &Path, directory: &Path, authors: &Path, books: &Path) -> Result<Server> {
    let server = Server::thalweg(binary, &directory.join("data"))?;
    documents::import_file(binary, &server, "authors", authors)?;
    documents::import_file(binary, &server, "books", books)?;
    server.apply(binary, directory, SCHEMA)?;
    Ok(server)
}

/// The requests of both kinds for a server, and what it answers.
async fn record(server: &Server, dialect: &Dialect, books: u64) -> Result<[Recorded; 2]> {
    let mut connection = Connection::open(server.address()).await?;
    let spread = |index: u64| index * 7919 % books;
    let [book, list, _] = dialect.names;
    let mut by_id = Recorded::default();
    for index in 0..1_000 {
        let variables = json!({ "id": library::book_id(spread(index)) });
        by_id
            .ask(&mut connection, dialect.by_id, &variables)
            .await?;
    }
    let mut lists = Recorded::default();
    for index in 0..200 {
        // A cursor stands for the row before the page.
        let offset = spread(index) % (books - 21);
        let variables = match dialect.cursor {
            None => json!({ "offset": offset + 1 }),
            Some(query) => {
                let found = connection.data(query, &json!({ "offset": offset })).await?;
                json!({ "after": found[list]["pageInfo"]["endCursor"] })
            }
        };
        lists.ask(&mut connection, dialect.list, &variables).await?;
    }
    by_id.normalize(book, dialect)?;
    lists.normalize(list, dialect)?;
    Ok([by_id, lists])
}

impl Recorded {
    async fn ask(
        &mut self,
        connection: &mut Connection,
        query: &str,
        variables: &Value,
    ) -> Result<()> {
        let request = request(query, variables);
        let answer = connection.graphql(&request).await?;
        ensure!(!answer.contains(&b'\n'), "an answer has a line break");
        self.requests.push(request);
        self.answers.push(answer);
        Ok(())
    }

    /// Takes the values out of the answers, the author's under the name that it has in ours.
    fn normalize(&mut self, root: &str, dialect: &Dialect) -> Result<()> {
        let [.., author] = dialect.names;
        for answer in &self.answers {
            let mut answer: Value = serde_json::from_slice(answer)?;
            let mut value = answer["data"][root].take();
            ensure!(
                value.is_object() && answer["errors"].is_null(),
                "{root} was answered with {answer}"
            );
            let nodes = value.get_mut("nodes").and_then(Value::as_array_mut);
            for node in nodes.into_iter().flatten() {
                let node = node.as_object_mut().context("a node is no object")?;
                let found = node.remove(author).context("a book has no author")?;
                node.insert("author".to_owned(), found);
            }
            as_javascript(&mut value);
            self.values.push(value);
        }
        Ok(())
    }
}

/// Numbers as JavaScript has them: 14.0 is 14.
fn as_javascript(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64() {
                *value = json!(float);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(as_javascript),
        Value::Object(members) => members.values_mut().for_each(as_javascript),
        _ => {}
    }
}

/// Whether all servers give the same values.
fn check(subjects: &[Subject<'_>]) -> Result<()> {
    for subject in subjects {
        for (kind, name) in KINDS.iter().enumerate() {
            let pairs = subject.kinds[kind]
                .values
                .iter()
                .zip(&subjects[0].kinds[kind].values);
            for (theirs, ours) in pairs {
                ensure!(
                    theirs == ours,
                    "{name}: {} gives {theirs}, not {ours}",
                    subject.name
                );
            }
        }
    }
    Ok(())
}

fn measure(subjects: &[Subject<'_>], directory: &Path, extent: Extent, books: u64) -> Result<()> {
    wrk::prepare(directory)?;
    for (index, subject) in subjects.iter().enumerate() {
        for (kind, recorded) in subject.kinds.iter().enumerate() {
            let lines: String = recorded
                .requests
                .iter()
                .map(|it| format!("{it}\n"))
                .collect();
            std::fs::write(directory.join(file(index, kind)), lines)?;
        }
    }
    let (rounds, seconds) = extent.choose((5, 4), (1, 1));
    let mut table = Table::new([
        "",
        "requests/s",
        "of bare",
        "Thalweg is",
        "processor µs/request",
        "p50 ms",
        "p99 ms",
    ]);
    for (kind, kind_name) in KINDS.iter().enumerate() {
        let mut measured: Vec<Measured> = subjects.iter().map(|_| Measured::default()).collect();
        // The first round warms caches and compilers up.
        for round in 0..=rounds {
            for (index, subject) in subjects.iter().enumerate() {
                let mut warm_up = Measured::default();
                let into = if round == 0 {
                    &mut warm_up
                } else {
                    &mut measured[index]
                };
                let requests = file(index, kind);
                into.add(
                    directory,
                    &requests,
                    subject.server,
                    Duration::from_secs(seconds),
                )?;
            }
        }
        let [bare, ours] = [0, 1].map(|index| measured[index].rate());
        for (subject, measured) in subjects.iter().zip(&measured) {
            table.row([
                format!("{kind_name}: {}", subject.name),
                number(measured.rate()),
                percent(measured.rate() / bare),
                format!("{} ×", number(ours / measured.rate())),
                number(measured.cpu_micros.median()),
                number(measured.p50_ms.median()),
                number(measured.p99_ms.median()),
            ]);
        }
    }
    table.print(&format!(
        "graphql: {} books, {} authors, wrk with 16 connections, medians of {rounds} rounds of {seconds} s",
        number(books as f64),
        number(AUTHORS as f64),
    ));
    Ok(())
}

/// The file with the requests of a kind for a subject.
fn file(subject: usize, kind: usize) -> String {
    format!("requests-{subject}-{kind}")
}

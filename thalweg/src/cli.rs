//! The command line: what can be asked for, and which values make sense.
//!
//! Whatever can be refused without touching a file or the network is refused here, as wrong usage
//! (exit code 2), so the subcommands receive arguments that already mean something. Every public
//! option has a help text, every subcommand an example.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use thalweg_engine::Evolution;
use thalweg_resolvers::IdNames;
use thalweg_storage::PostgresUrl;
use thalweg_storage::postgres::PostgresUrlError;

use crate::client::ServerUrl;
use crate::config::{self, Settings};

mod codegen;
mod server;

pub(crate) use codegen::{CodegenArguments, CodegenLanguage};
pub(crate) use server::{DevArguments, ServeArguments};

/// Thalweg: JSON documents in, a typed GraphQL API out, every query live.
#[derive(Debug, Parser)]
#[command(name = "thalweg", version, after_help = FIRST_STEPS)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a server for development: loopback only, no login, the console at /.
    #[command(after_help = DEV_EXAMPLES, after_long_help = config::help(DEV_EXAMPLES, &Settings::dev()))]
    Dev(DevArguments),
    /// Start a server.
    #[command(after_help = SERVE_EXAMPLES, after_long_help = config::help(SERVE_EXAMPLES, &Settings::serve()))]
    Serve(ServeArguments),
    /// Print the configuration that `serve` would have with the same options, as a file for --config.
    #[command(after_help = CONFIG_EXAMPLES, after_long_help = config::help(CONFIG_EXAMPLES, &Settings::serve()))]
    Config(ServeArguments),
    /// Put files of documents into a collection of a running server.
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArguments),
    /// Write collections of a running server as NDJSON.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArguments),
    /// Write a whole store, with its history, into one file; a server that uses it goes on.
    #[command(after_help = BACKUP_EXAMPLES)]
    Backup(BackupArguments),
    /// Put a backup into an empty store, of whatever kind.
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(RestoreArguments),
    /// Check a whole store: documents, history, log, counts, names.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArguments),
    /// Look at the API schema of a running server, or declare collections to it.
    Schema(SchemaArguments),
    /// Write what the tools of a client need to know of the schema.
    #[command(after_help = CODEGEN_EXAMPLES)]
    Codegen(CodegenArguments),
}

/// How the published types of collections follow their documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Evolve {
    /// Types are what the data says at any time; that may break clients.
    Follow,
    /// Data adds fields and types; it changes and removes none until that is promoted.
    Additive,
    /// Data changes nothing until that is promoted, but for a new collection's first types.
    Manual,
}

impl From<Evolve> for Evolution {
    fn from(evolve: Evolve) -> Evolution {
        match evolve {
            Evolve::Follow => Evolution::Follow,
            Evolve::Additive => Evolution::Additive,
            Evolve::Manual => Evolution::Manual,
        }
    }
}

/// What the API schema calls ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ids {
    /// `id` is a document's own id, `nodeId` the global one.
    Local,
    /// `id` is the global one, as Relay takes for granted; a document's own is `rowId`.
    Relay,
}

impl From<Ids> for IdNames {
    fn from(ids: Ids) -> IdNames {
        match ids {
            Ids::Local => IdNames::Local,
            Ids::Relay => IdNames::Relay,
        }
    }
}

/// A store that this build can open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreUrl {
    /// In this process, gone when it ends.
    Memory,
    /// The embedded store in a directory.
    File(PathBuf),
    /// A schema of a PostgreSQL database. Boxed, since it is much larger than the others.
    Postgres(Box<PostgresUrl>),
}

impl StoreUrl {
    fn of(store: Option<&StoreUrl>, data: Option<&Path>) -> StoreUrl {
        match (store, data) {
            (Some(store), _) => store.clone(),
            (None, Some(data)) => StoreUrl::File(data.to_owned()),
            (None, None) => StoreUrl::File(PathBuf::from("./thalweg-data")),
        }
    }
}

/// For messages: without what is secret.
impl std::fmt::Display for StoreUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreUrl::Memory => formatter.write_str("memory"),
            StoreUrl::File(path) => write!(formatter, "{}", path.display()),
            StoreUrl::Postgres(url) => write!(formatter, "PostgreSQL, schema {}", url.schema()),
        }
    }
}

/// What `thalweg import` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// Files of NDJSON, a JSON array, or CSV with a header; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The collection to put the documents into.
    #[arg(long, value_name = "NAME", value_parser = not_empty)]
    pub(crate) collection: String,
    /// The field that holds a document's id, nested ones with dots; without it `id`, or a new id.
    #[arg(long, value_name = "PATH", value_parser = not_empty)]
    pub(crate) id_field: Option<String>,
    /// Put in nothing of a file that has a faulty document, and do not go on to the next file.
    #[arg(long)]
    pub(crate) atomic: bool,
    /// How to print the report.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Lines for people.
    Text,
    /// One JSON object for programs.
    Json,
}

/// What `thalweg export` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// A collection to export, may be repeated; without it every collection.
    #[arg(long = "collection", value_name = "NAME", value_parser = not_empty)]
    pub(crate) collections: Vec<String>,
    /// A file for one collection, `-` for standard output; a directory for more than one, which
    /// then holds a file NAME.ndjson for each.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

/// What `thalweg backup` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The file to write, `-` for standard output; replaced when the backup is complete.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

/// What `thalweg restore` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The backup.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

/// What `thalweg verify` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// How to print the report.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ReportFormat,
}

/// Which store to work on.
#[derive(Debug, Args)]
pub(crate) struct StoreArguments {
    /// The data directory; short for `--store file:DIR` [default: ./thalweg-data].
    #[arg(long, value_name = "DIR", conflicts_with = "store")]
    data: Option<PathBuf>,
    /// The store: `file:PATH` or `postgres://USER@HOST/DATABASE`.
    #[arg(long, value_name = "URL", value_parser = kept_store_url)]
    store: Option<StoreUrl>,
}

impl StoreArguments {
    /// The store, from whichever of the two options names it.
    pub(crate) fn url(&self) -> StoreUrl {
        StoreUrl::of(self.store.as_ref(), self.data.as_deref())
    }
}

/// What `thalweg schema` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct SchemaArguments {
    #[command(subcommand)]
    pub(crate) command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// Print the API schema as GraphQL SDL.
    #[command(after_help = SCHEMA_PRINT_EXAMPLES)]
    Print(ServerArguments),
    /// Give collections the settings and indexes that a file declares.
    #[command(after_help = SCHEMA_APPLY_EXAMPLES)]
    Apply(SchemaApplyArguments),
    /// Publish of a collection's types what its documents say now, and tell what that changes.
    #[command(after_help = SCHEMA_PROMOTE_EXAMPLES)]
    Promote(SchemaPromoteArguments),
    /// Tell what has changed between two schemas; exit code 1 where that may break clients.
    #[command(after_help = SCHEMA_DIFF_EXAMPLES)]
    Diff(SchemaDiffArguments),
}

/// What `thalweg schema promote` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct SchemaPromoteArguments {
    /// The collection.
    #[arg(value_parser = not_empty)]
    pub(crate) collection: String,
    /// Only tell what would change.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How to print what changes.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

/// What `thalweg schema diff` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct SchemaDiffArguments {
    /// A file with SDL, `-` for standard input, or the URL of a running server.
    #[arg(value_parser = not_empty)]
    pub(crate) old: String,
    /// Likewise.
    #[arg(value_parser = not_empty)]
    pub(crate) new: String,
    /// How to print the changes.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ReportFormat,
}

/// What `thalweg schema apply` was asked to do.
#[derive(Debug, Args)]
pub(crate) struct SchemaApplyArguments {
    /// The file with the SDL; `-` for standard input.
    pub(crate) file: PathBuf,
    /// Say what would change, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How to print what was changed.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ReportFormat,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

/// Which running server to talk to.
#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    /// The server to talk to.
    #[arg(
        long = "server",
        value_name = "URL",
        default_value = "http://127.0.0.1:4000"
    )]
    pub(crate) url: ServerUrl,
}

impl Arguments {
    /// Refuses what only a combination of options shows to be wrong.
    pub(crate) fn checked(self) -> Result<Self, clap::Error> {
        match &self.command {
            Command::Export(export) if export.out.is_none() && export.collections.len() != 1 => {
                Err(wrong_usage(
                    "export",
                    "more than one collection needs --out DIR; standard output takes exactly one --collection",
                ))
            }
            Command::Import(import)
                if import
                    .files
                    .iter()
                    .filter(|file| file.as_os_str() == "-")
                    .count()
                    > 1 =>
            {
                Err(wrong_usage(
                    "import",
                    "standard input (-) can be read only once",
                ))
            }
            Command::Schema(SchemaArguments {
                command: SchemaCommand::Diff(diff),
            }) if diff.old == "-" && diff.new == "-" => Err(wrong_usage(
                "schema",
                "standard input (-) can be read only once",
            )),
            _ => Ok(self),
        }
    }
}

/// The same shape of message, usage line included, that clap gives for its own checks.
fn wrong_usage(subcommand: &str, message: &str) -> clap::Error {
    let mut root = Arguments::command();
    root.build();
    match root.find_subcommand_mut(subcommand) {
        Some(command) => command.error(ErrorKind::ArgumentConflict, message),
        None => root.error(ErrorKind::ArgumentConflict, message),
    }
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

/// `IP:PORT` or `localhost:PORT`; other names would need a lookup, and may mean several addresses.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = port
            .parse()
            .map_err(|_| format!("`{port}` is not a port"))?;
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse()
        .map_err(|_| "expected IP:PORT, such as 127.0.0.1:4000 or [::1]:4000".to_owned())
}

pub(crate) fn store_url(text: &str) -> Result<StoreUrl, String> {
    match text.split_once(':') {
        Some(("memory", "")) => Ok(StoreUrl::Memory),
        Some(("memory", _)) => Err("`memory:` takes nothing after the colon".to_owned()),
        Some(("file", "")) => Err("`file:` needs a path, such as file:./thalweg-data".to_owned()),
        Some(("file", path)) => Ok(StoreUrl::File(PathBuf::from(path))),
        Some(("postgres" | "postgresql", _)) => text
            .parse()
            .map(|url| StoreUrl::Postgres(Box::new(url)))
            .map_err(|error: PostgresUrlError| error.to_string()),
        Some(("tikv", _)) => Err(format!("the tikv store is not in this build; {STORES}")),
        _ => Err(format!("unknown kind of store; {STORES}")),
    }
}

/// A store that is still there when the command has ended.
fn kept_store_url(text: &str) -> Result<StoreUrl, String> {
    match store_url(text)? {
        StoreUrl::Memory => Err("a store in memory is gone when its server ends".to_owned()),
        store => Ok(store),
    }
}

/// What a message about the wrong store ends with.
const STORES: &str = "there are memory:, file:PATH and postgres://USER@HOST/DATABASE";

const FIRST_STEPS: &str = "\
First steps:
  thalweg dev --example movies             load example data, serve it, print the URL
  thalweg import cities.csv --collection cities
                                           add data of your own; its types appear at once

Exit codes: 0 done, 1 failed, 2 wrong usage.";

const DEV_EXAMPLES: &str = "\
Examples:
  thalweg dev
  thalweg dev --example movies --listen 127.0.0.1:0

When the server is ready, one line with its URL is printed. Ctrl-C stops it.";

const SERVE_EXAMPLES: &str = "\
Examples:
  thalweg serve --data /var/lib/thalweg
  thalweg serve --store memory: --listen 127.0.0.1:8080
  thalweg serve --config /etc/thalweg.toml --limit time_max=5s
  thalweg serve --store 'postgres://river@127.0.0.1/water?schema=rhine'
  thalweg serve --trusted-documents persisted-documents.json

A store in PostgreSQL has a schema of its own (`thalweg` unless named), and opens as many connections as
`connections=N` allows (32), and three more.";

const CONFIG_EXAMPLES: &str = "\
Examples:
  thalweg config > thalweg.toml            every setting with its default, to be changed
  thalweg config --config thalweg.toml --limit rows_max=5000000
                                           what that server would do, and where each value is from";

const IMPORT_EXAMPLES: &str = "\
Examples:
  thalweg import movies.json --collection movies
  thalweg import *.ndjson --collection events --id-field meta.eventId
  zcat big.csv.gz | thalweg import - --collection people --atomic

A document whose id is already there replaces the old one. A faulty line is reported as FILE:LINE,
the rest goes in, and the exit code is 1. Each file is one request, so --atomic holds for each file.
The kind of file is known by its extension (.ndjson, .jsonl, .json, .csv) or by how it begins.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  thalweg export --collection movies > movies.ndjson
  thalweg export --collection movies --collection people --out ./dump
  thalweg export --out ./dump              every collection

A file appears under its name only when it is complete.";

const BACKUP_EXAMPLES: &str = "\
Examples:
  thalweg backup --out monday.backup
  thalweg backup --out monday.backup --data /var/lib/thalweg
  thalweg backup --out - --store 'postgres://river@127.0.0.1/water' | ssh shore 'cat > water.backup'

The backup is the state of one moment, with the history that the store keeps. Of a data directory that a
server has open the server makes it, while it goes on: run the command as the server's user.";

const RESTORE_EXAMPLES: &str = "\
Examples:
  thalweg restore monday.backup --data ./restored
  thalweg restore monday.backup --store 'postgres://river@127.0.0.1/water'

The store must be empty. The whole file is checked before anything is written; if the command is interrupted
after that, the store is refused until the command has been run again to its end.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  thalweg verify
  thalweg verify --data /var/lib/thalweg --format json

No server may have a data directory open meanwhile; a store in PostgreSQL is checked while servers use it.
Exit code 1 when anything is wrong.";

const SCHEMA_PRINT_EXAMPLES: &str = "\
Example:
  thalweg schema print > schema.graphql

What was declared stands as directives on the types, so the file can be applied again.";

const SCHEMA_APPLY_EXAMPLES: &str = "\
Examples:
  thalweg schema apply schema.graphql
  echo 'type Movie @collection(ttl: \"30d\") @index(fields: [\"year DESC\"])' | thalweg schema apply -

The declaration replaces what was declared of the collections that it names: an index that it does not
name is dropped, a setting is as by default, a collection that is missing is created. All or nothing;
every mistake is told as FILE:LINE:COLUMN. Indexes are built in the background.";

const SCHEMA_PROMOTE_EXAMPLES: &str = "\
Examples:
  thalweg schema promote movies --dry-run
  thalweg schema promote movies

Where types do not follow the data by themselves (`--evolve additive` or `manual`), values that do not fit
the published type of their field read as null. Promotion publishes the types that the documents have now,
and takes away fields that no document has. Changes that may break clients are marked.";

const CODEGEN_EXAMPLES: &str = "\
Examples:
  thalweg codegen --lang relay --out .
  thalweg codegen --lang relay --documents 'app/**/*.tsx' --out relay --schema schema.graphql

Of Relay it writes schema.graphql, relay.config.json for relay-compiler, and getDataID.ts for relay-runtime, and makes the
folder __generated__ for what the compiler makes; run relay-compiler there. The schema says which names ids have (`serve --ids`). Each run writes
schema.graphql and getDataID.ts anew; a relay.config.json that has been changed is kept, unless --force is given.";

const SCHEMA_DIFF_EXAMPLES: &str = "\
Examples:
  thalweg schema diff released.graphql http://127.0.0.1:4000
  thalweg schema print | thalweg schema diff released.graphql - --format json

The kinds of changes are those of graphql-inspector; breaking is what graphql-js finds breaking.";

#[cfg(test)]
mod tests;

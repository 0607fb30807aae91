//! The settings: each named once, with what it means, what values it takes, and where it goes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thalweg_engine::{Evolution, write_duration};
use thalweg_resolvers::IdNames;

use super::Settings;
use super::value::{Given, write_bytes};
use crate::cli::StoreUrl;

/// A setting.
pub(super) struct Knob {
    /// The section of the file that it stands in; empty for what stands above all sections.
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    /// What it is, as a sentence or two.
    pub(super) meaning: &'static str,
    /// Whether it is only another way to set something.
    pub(super) is_alias: bool,
    slot: Slot,
}

/// Where a setting goes, and so what it takes.
enum Slot {
    /// A number of things, at least so many.
    Count(u64, fn(&mut Settings) -> &mut usize),
    Count64(fn(&mut Settings) -> &mut u64),
    Count32(fn(&mut Settings) -> &mut u32),
    /// A number of bytes, at least so many.
    Bytes(u64, fn(&mut Settings) -> &mut usize),
    Bytes64(u64, fn(&mut Settings) -> &mut u64),
    Time(fn(&mut Settings) -> &mut Duration),
    Flag(fn(&mut Settings) -> &mut bool),
    Address(fn(&mut Settings) -> &mut SocketAddr),
    Store(fn(&mut Settings) -> &mut StoreUrl),
    Directory(fn(&mut Settings) -> &mut StoreUrl),
    Names(fn(&mut Settings) -> &mut Vec<String>),
    Evolve(fn(&mut Settings) -> &mut Evolution),
    Ids(fn(&mut Settings) -> &mut IdNames),
    /// Empty for none.
    Path(fn(&mut Settings) -> &mut Option<PathBuf>),
}

/// The shortest time that means anything.
const TIME_MIN: Duration = Duration::from_millis(1);

/// What a message says where both of them are given in one place.
pub(super) const DATA_AND_STORE: &str =
    "data and store both say where the documents are; give one of them";

impl Knob {
    /// `section.key`
    pub(super) fn name(&self) -> String {
        match self.section {
            "" => self.key.to_owned(),
            section => format!("{section}.{}", self.key),
        }
    }

    /// The variable of the environment that sets it.
    pub(super) fn variable(&self) -> String {
        let name = self.name().replace('.', "_").to_uppercase();
        format!("{}{name}", super::VARIABLE_PREFIX)
    }

    pub(super) fn sets_store(&self) -> bool {
        matches!(self.slot, Slot::Store(_) | Slot::Directory(_))
    }

    /// Takes a value, or says what is wrong with it.
    pub(super) fn set(&self, settings: &mut Settings, given: &Given<'_>) -> Result<(), String> {
        /// Where all memory there is would be no bound.
        const MAX: u64 = i64::MAX as u64;
        match self.slot {
            Slot::Count(min, place) => {
                let count = given.count(min, u64::MAX)?;
                *place(settings) = usize::try_from(count).unwrap_or(usize::MAX);
            }
            Slot::Count64(place) => *place(settings) = given.count(1, u64::MAX)?,
            Slot::Count32(place) => {
                let count = given.count(1, u64::from(u32::MAX))?;
                *place(settings) = u32::try_from(count).unwrap_or(u32::MAX);
            }
            Slot::Bytes(min, place) => {
                let bytes = given.bytes(min, MAX)?;
                *place(settings) = usize::try_from(bytes).unwrap_or(usize::MAX);
            }
            Slot::Bytes64(min, place) => *place(settings) = given.bytes(min, MAX)?,
            Slot::Time(place) => *place(settings) = given.time(TIME_MIN)?,
            Slot::Flag(place) => *place(settings) = given.flag()?,
            Slot::Address(place) => *place(settings) = given.address()?,
            Slot::Store(place) => *place(settings) = given.store()?,
            Slot::Directory(place) => *place(settings) = given.directory()?,
            Slot::Names(place) => *place(settings) = given.names()?,
            Slot::Evolve(place) => *place(settings) = given.evolution()?,
            Slot::Ids(place) => *place(settings) = given.ids()?,
            Slot::Path(place) => *place(settings) = given.path()?,
        }
        Ok(())
    }

    /// The present value as TOML; `None` where that may hold a secret.
    pub(super) fn toml(&self, settings: &Settings) -> Option<String> {
        // The places are given for writing, and this reads too seldom to mind a copy.
        let settings = &mut settings.clone();
        Some(match self.slot {
            Slot::Count(_, place) => place(settings).to_string(),
            Slot::Count64(place) => place(settings).to_string(),
            Slot::Count32(place) => place(settings).to_string(),
            Slot::Bytes(_, place) => format!("\"{}\"", write_bytes(*place(settings) as u64)),
            Slot::Bytes64(_, place) => format!("\"{}\"", write_bytes(*place(settings))),
            Slot::Time(place) => format!("\"{}\"", time(*place(settings))),
            Slot::Flag(place) => place(settings).to_string(),
            Slot::Address(place) => format!("\"{}\"", place(settings)),
            Slot::Store(place) => match place(settings) {
                StoreUrl::Memory => "\"memory:\"".to_owned(),
                StoreUrl::File(path) => text(&format!("file:{}", path.display())),
                StoreUrl::Postgres(_) => return None,
            },
            Slot::Directory(place) => match place(settings) {
                StoreUrl::File(path) => text(&path.display().to_string()),
                _ => "\"\"".to_owned(),
            },
            Slot::Names(place) => {
                let names: Vec<String> = place(settings).iter().map(|name| text(name)).collect();
                format!("[{}]", names.join(", "))
            }
            Slot::Evolve(place) => text(match place(settings) {
                Evolution::Follow => "follow",
                Evolution::Additive => "additive",
                Evolution::Manual => "manual",
            }),
            Slot::Ids(place) => text(match place(settings) {
                IdNames::Local => "local",
                IdNames::Relay => "relay",
            }),
            Slot::Path(place) => {
                let path = place(settings).as_ref();
                text(&path.map_or_else(String::new, |path| path.display().to_string()))
            }
        })
    }
}

/// A time in the one unit that most say: minutes only where they are even.
fn time(time: Duration) -> String {
    let text = write_duration(time);
    match text.chars().filter(char::is_ascii_alphabetic).count() {
        0..=2 => text,
        _ => format!("{}s", time.as_secs()),
    }
}

/// A text as TOML: JSON's escapes are among its own.
fn text(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The setting of a name on the command line: its whole name, or that without the section where it is one of `[limits]`
/// or no other has it.
pub(super) fn named(name: &str) -> Option<usize> {
    let position = |is_it: &dyn Fn(&Knob) -> bool| KNOBS.iter().position(is_it);
    let whole = position(&|knob| knob.name() == name);
    let of_limits = || position(&|knob| knob.section == "limits" && knob.key == name);
    let alone = || {
        let of_that_key = KNOBS.iter().filter(|knob| knob.key == name).count();
        position(&|knob| of_that_key == 1 && knob.key == name)
    };
    whole.or_else(of_limits).or_else(alone)
}

/// The sections in their order.
pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|(name, _)| *name)
}

pub(super) fn section_meaning(section: &str) -> &'static str {
    let mut sections = SECTIONS.iter();
    let found = sections.find(|(name, _)| *name == section);
    found.map_or("", |(_, meaning)| meaning)
}

const SECTIONS: [(&str, &str); 7] = [
    ("limits", "What one operation may ask for and cost."),
    ("http", "Requests, connections and sockets."),
    ("live", "Live queries and subscriptions."),
    ("import", "Imports over HTTP."),
    (
        "engine",
        "Transactions, documents, and how long what is past is kept.",
    ),
    ("embedded", "The embedded store."),
    ("postgres", "A store in PostgreSQL."),
];

const fn knob(section: &'static str, key: &'static str, slot: Slot, meaning: &'static str) -> Knob {
    Knob {
        section,
        key,
        meaning,
        is_alias: false,
        slot,
    }
}

use Slot::{Address, Bytes, Bytes64, Count, Count32, Count64, Directory, Flag, Names, Store, Time};

/// All settings, by section.
pub(super) static KNOBS: &[Knob] = &[
    knob(
        "",
        "listen",
        Address(|s| &mut s.listen),
        "The address to listen on; port 0 takes a free one.",
    ),
    knob(
        "",
        "store",
        Store(|s| &mut s.store),
        "The store: memory: (gone at exit), file:PATH or postgres://USER@HOST/DATABASE.",
    ),
    Knob {
        is_alias: true,
        ..knob(
            "",
            "data",
            Directory(|s| &mut s.store),
            "Where to keep the data; short for a store file:DIR.",
        )
    },
    knob(
        "",
        "auto_create",
        Flag(|s| &mut s.limits.auto_create),
        "Create a collection when something is first inserted into it. `dev` does unless told otherwise.",
    ),
    knob(
        "",
        "evolve",
        Slot::Evolve(|s| &mut s.engine.evolution),
        "How published types follow the data: follow (they are what the data says at any time), additive (data adds fields, and changes and removes none until that is promoted) or manual (nothing changes until that is promoted). `dev` follows unless told otherwise.",
    ),
    knob(
        "",
        "keep_deprecated",
        Time(|s| &mut s.engine.deprecated_kept),
        "How long a field that no document has stays, deprecated, where data only adds; every operation that uses it starts the time anew.",
    ),
    knob(
        "",
        "ids",
        Slot::Ids(|s| &mut s.ids),
        "What the API schema calls ids: local (id is a document's own id, nodeId the global one) or relay (id is the global one, as Relay takes for granted, rowId the document's own). What is stored, imported and exported is the same.",
    ),
    knob(
        "",
        "allow_anonymous",
        Flag(|s| &mut s.allow_anonymous),
        "Let everybody who can reach the address read and write; an address that is not a loopback one is refused without this. Of no use for `dev`.",
    ),
    knob(
        "",
        "allow_hosts",
        Names(|s| &mut s.allow_hosts),
        "Host names under which the server is reached. Empty: localhost on a loopback address, any on others. Of no use for `dev`.",
    ),
    knob(
        "",
        "allow_origins",
        Names(|s| &mut s.allow_origins),
        "Origins whose pages may ask from a browser, such as https://app.example.com. Of no use for `dev`.",
    ),
    knob(
        "",
        "trusted_documents",
        Slot::Path(|s| &mut s.trusted_documents),
        "A file or directory that lists the only documents that are run (http.md says in which forms). Empty: any. Of no use for `dev`.",
    ),
    knob(
        "limits",
        "rows_max",
        Count64(|s| &mut s.limits.rows_max),
        "How many rows (documents and revisions of them) an operation may look at: estimated before it runs, counted while it does.",
    ),
    knob(
        "limits",
        "time_max",
        Time(|s| &mut s.time_max),
        "How long an operation may take, its time in a queue included.",
    ),
    knob(
        "limits",
        "page_default",
        Count(1, |s| &mut s.limits.page_default),
        "How many rows a list gives when neither first nor last is said.",
    ),
    knob(
        "limits",
        "page_max",
        Count(1, |s| &mut s.limits.page_max),
        "The largest first or last.",
    ),
    knob(
        "limits",
        "offset_max",
        Count(0, |s| &mut s.limits.offset_max),
        "The largest offset: rows to pass over have to be looked at one by one.",
    ),
    knob(
        "limits",
        "bulk_writes_max",
        Count(1, |s| &mut s.limits.bulk_writes_max),
        "How many documents one bulk mutation may change or delete.",
    ),
    knob(
        "limits",
        "groups_max",
        Count(1, |s| &mut s.limits.groups_max),
        "How many groups an aggregate may come to, whatever part of them is shown.",
    ),
    knob(
        "limits",
        "aggregate_bytes_max",
        Bytes(1 << 10, |s| &mut s.limits.aggregate_bytes_max),
        "The memory that an aggregate's keys, distinct values and extremes may take.",
    ),
    knob(
        "limits",
        "response_bytes_max",
        Bytes(1 << 10, |s| &mut s.limits.response_bytes_max),
        "The longest response.",
    ),
    knob(
        "limits",
        "errors_max",
        Count(1, |s| &mut s.limits.errors_max),
        "How many errors a response shows.",
    ),
    knob(
        "limits",
        "depth_max",
        Count(1, |s| &mut s.limits.depth_max),
        "How deep selections may nest, fragments followed. The introspection that tools send nests about 15 deep.",
    ),
    knob(
        "limits",
        "aliases_max",
        Count(0, |s| &mut s.limits.aliases_max),
        "How many selections of an operation may have an alias, fragments followed.",
    ),
    knob(
        "limits",
        "root_fields_max",
        Count(1, |s| &mut s.limits.root_fields_max),
        "How many root fields an operation may have, fragments followed.",
    ),
    knob(
        "limits",
        "fields_max",
        Count(1, |s| &mut s.limits.fields_max),
        "How many fields the operations of a text may select together, fragments followed.",
    ),
    knob(
        "limits",
        "deferred_max",
        Count(0, |s| &mut s.limits.deferred_max),
        "How many fragments of an operation may be deferred, fragments followed: each is run on its own, within rows_max and time_max of its own.",
    ),
    knob(
        "limits",
        "variables_max",
        Count(0, |s| &mut s.limits.variables_max),
        "How many variables an operation may declare.",
    ),
    knob(
        "limits",
        "text_bytes_max",
        Bytes(1, |s| &mut s.limits.text_bytes_max),
        "The longest text of an operation. Data belongs into variables.",
    ),
    knob(
        "limits",
        "tokens_max",
        Count(1, |s| &mut s.limits.tokens_max),
        "How many lexical tokens the text may have.",
    ),
    knob(
        "limits",
        "input_bytes_max",
        Bytes(0, |s| &mut s.limits.input_bytes_max),
        "The memory that the values of variables may take where they are used again.",
    ),
    knob(
        "limits",
        "introspections_max",
        Count(0, |s| &mut s.limits.introspections_max),
        "How many __schema and __type fields an operation may have.",
    ),
    knob(
        "limits",
        "introspection_aliases_max",
        Count(0, |s| &mut s.limits.introspection_aliases_max),
        "How many selections below them may have an alias.",
    ),
    knob(
        "limits",
        "scan_warning_rows",
        Count64(|s| &mut s.limits.scan_warning_rows),
        "How many documents a list may look at without an index before the response warns of it.",
    ),
    knob(
        "limits",
        "plan_cache_bytes_max",
        Bytes(0, |s| &mut s.limits.cache_bytes_max),
        "How many bytes of operation text are kept parsed and planned. That takes about ten times as much memory.",
    ),
    knob(
        "http",
        "request_bytes_max",
        Bytes(1 << 10, |s| &mut s.gateway.request_bytes_max),
        "The largest body of a GraphQL request, and the largest WebSocket message.",
    ),
    knob(
        "http",
        "batch_max",
        Count(0, |s| &mut s.gateway.batch_max),
        "How many requests one batch (a JSON array) may have; 0 refuses batches.",
    ),
    knob(
        "http",
        "batch_response_bytes_max",
        Bytes(1 << 10, |s| &mut s.gateway.batch_response_bytes_max),
        "How long the answers of a batch may be together before what is left of it is not run.",
    ),
    knob(
        "http",
        "operations_max",
        Count(1, |s| &mut s.gateway.operations_max),
        "Queries and mutations under way at once. Further ones are UNAVAILABLE (503, Retry-After); what begins to live waits for its turn.",
    ),
    knob(
        "http",
        "compress_bytes_min",
        Bytes(0, |s| &mut s.gateway.compress_bytes_min),
        "How long a response must be for it to be compressed, where the client takes that. 1TiB for never.",
    ),
    knob(
        "http",
        "long_responses_max",
        Count(1, |s| &mut s.long_responses_max),
        "How many responses of more than 256 KiB are written at a time. Further ones wait for their turn.",
    ),
    knob(
        "http",
        "kept_bytes_max",
        Bytes(0, |s| &mut s.kept_bytes_max),
        "How many bytes of long responses are kept in memory for clients that are slow to take them, all together.",
    ),
    knob(
        "http",
        "persisted_bytes_max",
        Bytes(0, |s| &mut s.limits.persisted_bytes_max),
        "How many bytes of operation text clients may register by their hash; 0 switches automatic persisted queries off.",
    ),
    knob(
        "http",
        "connections_max",
        Count(1, |s| &mut s.gateway.connections_max),
        "Open connections. Further ones wait to be accepted.",
    ),
    knob(
        "http",
        "operations_per_socket_max",
        Count(1, |s| &mut s.gateway.operations_per_socket_max),
        "Operations under way on one WebSocket, subscriptions and live queries among them.",
    ),
    knob(
        "http",
        "init_timeout",
        Time(|s| &mut s.gateway.init_timeout),
        "How long a WebSocket may take to send connection_init.",
    ),
    knob(
        "http",
        "keep_alive",
        Time(|s| &mut s.gateway.keep_alive),
        "How often an idle WebSocket is pinged and an idle event stream gets a comment. A WebSocket that is silent for twice as long is dropped.",
    ),
    knob(
        "http",
        "write_timeout",
        Time(|s| &mut s.gateway.write_timeout),
        "How long a client may refuse to take what is written to it.",
    ),
    knob(
        "http",
        "read_timeout",
        Time(|s| &mut s.gateway.read_timeout),
        "How long a client may pause while it sends a request. The whole of a GraphQL request may take twice as long.",
    ),
    knob(
        "http",
        "drain_timeout",
        Time(|s| &mut s.gateway.drain_timeout),
        "How long connections may take to finish after shutdown has begun.",
    ),
    knob(
        "live",
        "queries_max",
        Count(0, |s| &mut s.live.queries_max),
        "How many distinct live queries there may be. Equal ones of any number of clients are one.",
    ),
    knob(
        "live",
        "results_bytes_max",
        Bytes(0, |s| &mut s.live.results_bytes_max),
        "How much memory their newest results may take together.",
    ),
    knob(
        "live",
        "held_bytes_max",
        Bytes(0, |s| &mut s.live.held_bytes_max),
        "How much memory older results may take together that clients still patch which are slow to read. Past it a client gets a complete result again.",
    ),
    knob(
        "live",
        "connection_held_bytes_max",
        Bytes(0, |s| &mut s.live.connection_held_bytes_max),
        "The same for one connection.",
    ),
    knob(
        "live",
        "kept_bytes_max",
        Bytes(0, |s| &mut s.live.kept_bytes_max),
        "How much memory may be used to keep what live queries have read, so that the changes tell the next result. Past it they read the store again.",
    ),
    knob(
        "live",
        "verify",
        Flag(|s| &mut s.live.verify),
        "Whether each result that the changes tell is compared with that of a run in full. It is for tests: it costs what the changes save.",
    ),
    knob(
        "live",
        "time_max",
        Time(|s| &mut s.live_time_max),
        "How long one evaluation of a live query may take.",
    ),
    knob(
        "import",
        "record_bytes_max",
        Bytes(1, |s| &mut s.gateway.import_record_bytes_max),
        "The largest single document of an import, as text.",
    ),
    knob(
        "import",
        "batch_documents_max",
        Count(1, |s| &mut s.gateway.import_batch_documents_max),
        "Documents in one transaction of an import.",
    ),
    knob(
        "import",
        "batch_bytes_max",
        Bytes(1, |s| &mut s.gateway.import_batch_bytes_max),
        "Text in one transaction of an import, exceeded by at most one document.",
    ),
    knob(
        "import",
        "errors_max",
        Count(0, |s| &mut s.gateway.import_errors_max),
        "How many failed lines an import reports one by one; it counts them all.",
    ),
    knob(
        "engine",
        "document_bytes_max",
        Bytes(1, |s| &mut s.engine.document_bytes_max),
        "The longest document, as JSON.",
    ),
    knob(
        "engine",
        "transaction_writes_max",
        Count(1, |s| &mut s.engine.transaction_writes_max),
        "How many writes one transaction may have.",
    ),
    knob(
        "engine",
        "policy_writes_max",
        Count(1, |s| &mut s.engine.policy_writes_max),
        "How many documents one transaction may change or delete because they name others that it deletes.",
    ),
    knob(
        "engine",
        "detect_relations",
        Flag(|s| &mut s.engine.detect_relations),
        "Look for relations in the documents when they have come to rest.",
    ),
    knob(
        "engine",
        "transaction_bytes_max",
        Bytes(1, |s| &mut s.engine.transaction_bytes_max),
        "How long the new images of one transaction may be together.",
    ),
    knob(
        "engine",
        "line_documents_max",
        Count64(|s| &mut s.engine.line_documents_max),
        "How many documents a transaction may look at when it is run while all others wait, since it has lost to others three times.",
    ),
    knob(
        "engine",
        "group_transactions_max",
        Count(1, |s| &mut s.engine.group_transactions_max),
        "How many transactions are written with one sync.",
    ),
    knob(
        "engine",
        "group_bytes_max",
        Bytes(1, |s| &mut s.engine.group_bytes_max),
        "How many bytes are written with one sync, exceeded by at most one transaction.",
    ),
    knob(
        "engine",
        "recent_commits_bytes_max",
        Bytes(0, |s| &mut s.engine.recent_commits_bytes_max),
        "Memory for the newest commits, which executions are validated against and live queries follow.",
    ),
    knob(
        "engine",
        "recovery_window",
        Time(|s| &mut s.engine.recovery_window),
        "How long the commit log is kept, and earlier images at least: as far back as change streams resume.",
    ),
    knob(
        "engine",
        "answers_kept",
        Time(|s| &mut s.engine.answers_kept),
        "How long answers are kept under their idempotency keys.",
    ),
    knob(
        "embedded",
        "map_bytes_max",
        Bytes64(1 << 20, |s| &mut s.embedded.map_bytes_max),
        "The size that the store may reach. Reserves address space only.",
    ),
    knob(
        "embedded",
        "overlay_bytes_max",
        Bytes64(1 << 20, |s| &mut s.embedded.overlay_bytes_max),
        "Memory for what is in the log and not yet in the B-tree; commits wait beyond it.",
    ),
    knob(
        "embedded",
        "pinned_bytes_max",
        Bytes64(1 << 20, |s| &mut s.embedded.pinned_bytes_max),
        "Memory that snapshots may keep of what is in the B-tree by now; commits are refused beyond it.",
    ),
    knob(
        "embedded",
        "snapshots_max",
        Count32(|s| &mut s.embedded.snapshots_max),
        "How many snapshots may be open at once.",
    ),
    knob(
        "embedded",
        "reader_lifetime_max",
        Time(|s| &mut s.embedded.reader_lifetime_max),
        "How long a snapshot may be read: space that is freed meanwhile cannot be used again.",
    ),
    knob(
        "postgres",
        "connection_wait_max",
        Time(|s| &mut s.postgres.connection_wait_max),
        "How long a new snapshot waits for a connection when all are in use. How many there are, the URL says (connections=N).",
    ),
    knob(
        "postgres",
        "answer_max",
        Time(|s| &mut s.postgres.answer_max),
        "How long an answer may take before the PostgreSQL server counts as gone.",
    ),
    knob(
        "postgres",
        "reader_lifetime_max",
        Time(|s| &mut s.postgres.reader_lifetime_max),
        "How long a snapshot may be read: PostgreSQL cannot clear away what is replaced meanwhile.",
    ),
];

//! The tables of a store, and the statements on them.
//!
//! ```text
//! SCHEMA.kv    (key bytea primary key, value bytea)   every key of the engine
//! SCHEMA.meta  (name text primary key, value bytea)   `format`, and `head`, which fences
//! ```
//!
//! `bytea` compares byte by byte, which is the order of the contract. The head has a table of its own because each batch
//! overwrites it: in a table with room on its pages that touches no index and cleans up after itself.

use tokio_postgres::Client;

use super::failure;
use crate::StorageError;

/// The newest format of the tables that this program reads, and the one that it writes.
const FORMAT: u32 = 1;

/// The oldest server that has what the statements need (`plan_cache_mode`).
const SERVER_VERSION_MIN: i32 = 120_000;

/// Serialises the creation of stores in one database; "THLW" in ASCII, which also marks our locks on single stores.
pub(super) const LOCK_CLASS: i32 = 0x5448_4C57;

/// Said once on each connection.
///
/// The planner must not be clever: every statement here is right with the primary key and nothing else, also in a table that
/// has grown a thousandfold since its statistics were taken. A commit waits for the disk at least, even where the
/// server's default does not; a stricter default is left alone. A transaction whose client has gone silent ends.
pub(super) fn settings(reader_seconds_max: u64) -> String {
    let idle_seconds_max = reader_seconds_max.saturating_add(10);
    format!(
        "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; SET jit = off; \
         SET plan_cache_mode = force_generic_plan; SET client_min_messages = error; \
         SET lock_timeout = '20s'; SET idle_in_transaction_session_timeout = '{idle_seconds_max}s'; \
         SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; \
         SET tcp_user_timeout = 11000; \
         SELECT set_config('synchronous_commit', 'on', false) \
         WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')"
    )
}

/// The statements of a store. The schema is a checked name, so it needs no escaping.
pub(super) struct Sql {
    pub(super) head: String,
    pub(super) first_head: String,
    pub(super) next_head: String,
    pub(super) get: String,
    pub(super) forward: String,
    pub(super) backward: String,
    pub(super) put: String,
    pub(super) delete: String,
    pub(super) delete_range: String,
    pub(super) notify: &'static str,
    pub(super) size: String,
    pub(super) count: String,
}

impl Sql {
    pub(super) fn of(schema: &str) -> Self {
        let (kv, meta) = (format!("\"{schema}\".kv"), format!("\"{schema}\".meta"));
        let page = |direction: &str| {
            format!(
                "SELECT key, value FROM {kv} WHERE key >= $1 AND key < $2 ORDER BY key {direction} LIMIT $3"
            )
        };
        Self {
            head: format!("SELECT value FROM {meta} WHERE name = 'head'"),
            // Waits for a rival that is about to insert, and inserts nothing after it.
            first_head: format!(
                "INSERT INTO {meta} (name, value) VALUES ('head', $1) ON CONFLICT DO NOTHING"
            ),
            // Waits for a rival that is about to update, and then compares again with what that one has left.
            next_head: format!("UPDATE {meta} SET value = $1 WHERE name = 'head' AND value = $2"),
            get: format!("SELECT value FROM {kv} WHERE key = $1"),
            forward: page("ASC"),
            backward: page("DESC"),
            put: format!(
                "INSERT INTO {kv} (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[]) \
                 ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value"
            ),
            delete: format!("DELETE FROM {kv} WHERE key = ANY($1::bytea[])"),
            delete_range: format!("DELETE FROM {kv} WHERE key >= $1 AND key < $2"),
            notify: "SELECT pg_notify($1, $2)",
            size: format!(
                "SELECT pg_total_relation_size('{kv}') + pg_total_relation_size('{meta}'), \
                 pg_stat_get_live_tuples('{kv}'::regclass), pg_stat_get_dead_tuples('{kv}'::regclass)"
            ),
            // 48 bytes are what a row takes beside its own: its headers, and its place in the index.
            count: format!(
                "SELECT coalesce(sum(pg_column_size(key) * 2 + pg_column_size(value) + 48), 0)::bigint FROM {kv}"
            ),
        }
    }
}

/// The number that PostgreSQL gave the table of keys: it tells the stores of a database apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoreId(u32);

impl StoreId {
    /// Where commits are announced.
    pub(super) fn channel(self) -> String {
        format!("thalweg_{}", self.0)
    }

    /// The second half of the key of the leader's lock.
    pub(super) fn lock(self) -> i32 {
        self.0.cast_signed()
    }
}

/// Checks the server and the tables, and creates those where there are none.
pub(super) async fn open(client: &mut Client, schema: &str) -> Result<StoreId, StorageError> {
    check_server(client).await?;
    ensure_tables(client, schema)
        .await
        .map_err(|error| failure::of("creating the tables", error))?;
    let sql = format!(
        "SELECT to_regclass('\"{schema}\".kv')::oid, to_regclass('\"{schema}\".meta')::oid"
    );
    let row = client
        .query_one(&sql, &[])
        .await
        .map_err(|error| failure::of("looking for the tables", error))?;
    let (kv, meta): (Option<u32>, Option<u32>) = (row.get(0), row.get(1));
    let (Some(kv), Some(_)) = (kv, meta) else {
        return Err(StorageError::Corrupt {
            detail: format!("schema {schema:?} has only one of the tables kv and meta"),
        });
    };
    check_format(client, schema).await?;
    Ok(StoreId(kv))
}

async fn check_server(client: &Client) -> Result<(), StorageError> {
    let sql = "SELECT current_setting('server_version_num')::int, pg_is_in_recovery()";
    let row = client
        .query_one(sql, &[])
        .await
        .map_err(|error| failure::of("asking for the server's version", error))?;
    let (version, is_standby): (i32, bool) = (row.get(0), row.get(1));
    let reason = if version < SERVER_VERSION_MIN {
        format!(
            "the server is PostgreSQL {}; 12 or newer is needed",
            version / 10_000
        )
    } else if is_standby {
        "the server is a standby, which nobody can write to; name the primary".to_owned()
    } else {
        return Ok(());
    };
    Err(StorageError::Unavailable { reason })
}

/// Creates the tables where neither is there, in one transaction.
async fn ensure_tables(client: &mut Client, schema: &str) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let lock = format!("SELECT pg_advisory_xact_lock({LOCK_CLASS}, 0)");
    transaction.batch_execute(&lock).await?;
    let sql = format!(
        "SELECT to_regnamespace('\"{schema}\"') IS NOT NULL, \
         num_nonnulls(to_regclass('\"{schema}\".kv'), to_regclass('\"{schema}\".meta'))"
    );
    let row = transaction.query_one(&sql, &[]).await?;
    let (has_schema, tables): (bool, i32) = (row.get(0), row.get(1));
    if !has_schema {
        let create = format!("CREATE SCHEMA \"{schema}\"");
        transaction.batch_execute(&create).await?;
    }
    if tables == 0 {
        let create = format!(
            "CREATE TABLE \"{schema}\".kv (key bytea PRIMARY KEY, value bytea NOT NULL); \
             CREATE TABLE \"{schema}\".meta (name text PRIMARY KEY, value bytea NOT NULL) WITH (fillfactor = 10); \
             INSERT INTO \"{schema}\".meta VALUES ('format', '\\x{FORMAT:08x}')"
        );
        transaction.batch_execute(&create).await?;
    }
    transaction.commit().await
}

async fn check_format(client: &Client, schema: &str) -> Result<(), StorageError> {
    let sql = format!("SELECT value FROM \"{schema}\".meta WHERE name = 'format'");
    let row = client
        .query_opt(&sql, &[])
        .await
        .map_err(|error| failure::of("reading the format", error))?;
    let stored: Option<Vec<u8>> = row.and_then(|row| row.try_get(0).ok());
    let version = stored
        .as_deref()
        .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
        .map(u32::from_be_bytes);
    match version {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => Err(StorageError::Format {
            found,
            supported: FORMAT,
        }),
        _ => Err(StorageError::Corrupt {
            detail: format!("schema {schema:?} has no valid format marker in its table meta"),
        }),
    }
}

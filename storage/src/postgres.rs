//! A store in PostgreSQL: two tables in a schema of its own, any number of servers, one writer at a time.
//!
//! The parts:
//!
//! - [`PostgresBackend`] opens the store and holds what its snapshots share;
//! - `url` and `options` say where it is and how it is used; `layout` has its tables and statements;
//! - `bridge` waits for asynchronous connections; `session` makes them, and pools them;
//! - `plan` decides what a batch comes to, `writer` commits that; `snapshot` reads;
//! - `leadership` and `listener` serve several servers on one store;
//! - `failure` says what an error means.
//!
//! **What is asked of PostgreSQL** is the contract and no more: the engine orders transactions itself, so the isolation of
//! its own transactions is used for two things only, a snapshot (`REPEATABLE READ READ ONLY`, one connection each) and
//! the conditional update of the head that every batch begins with. That row serialises the writers: whoever comes second
//! waits until the first has committed or gone, then finds another head and is fenced.
//!
//! **Doubt.** A batch is [`CommitError::Indeterminate`] only between the moment `COMMIT` is sent and its answer. Reading
//! does not settle it, since the transaction may still be running; a batch with a higher epoch does, since it waits on
//! the head's row for the end of that transaction.
//!
//! **Lost connections.** Nothing is retried that could have had an effect. A snapshot lives and dies with its connection;
//! the next one gets a new connection, so the store comes back with the server.
//!
//! **Readers.** An open snapshot keeps PostgreSQL from clearing away what was replaced since, for all tables of the
//! database. So it may be read for [`PostgresOptions::reader_lifetime_max`], and one that is neither read nor dropped is
//! ended by the server a little later.
//!
//! Connections go straight to the server, or through a pooler in session mode: prepared statements, the leader's lock
//! and notifications belong to a session.

mod bridge;
mod failure;
mod layout;
mod leadership;
mod listener;
mod options;
mod plan;
mod session;
mod snapshot;
mod url;
mod writer;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_postgres::{Client, Config};

use self::bridge::Bridge;
use self::layout::{Sql, StoreId};
use self::leadership::PostgresLeadership;
use self::listener::Listener;
pub use self::options::PostgresOptions;
use self::session::Sessions;
use self::snapshot::PostgresSnapshot;
pub use self::url::{PostgresUrl, PostgresUrlError};
use crate::readers::Readers;
use crate::{Backend, Batch, CommitError, Leadership, Snapshot, StorageError, Usage, Wake};

/// Up to this size of the tables, the live bytes are counted; beyond it, estimated from the server's statistics.
const COUNTED_BYTES_MAX: u64 = 32 << 20;

/// A [`Backend`] that keeps its data in a schema of a PostgreSQL database.
pub struct PostgresBackend {
    shared: Arc<Shared>,
}

/// What the backend and its snapshots share.
struct Shared {
    config: Config,
    options: PostgresOptions,
    store: StoreId,
    sql: Sql,
    readers: Arc<Readers>,
    listener: Listener,
    /// The connection that last asked for the leadership in vain, to ask again.
    candidate: Mutex<Option<Client>>,
    snapshots_max: u32,
    /// Dropped before the runtime that drives their connections.
    snapshots: Sessions,
    /// Of one session: batches are committed one after the other.
    commits: Sessions,
    bridge: Bridge,
}

impl PostgresBackend {
    /// Opens the store, and creates its schema and tables if there are none.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Unavailable`]: the server cannot be reached, refuses, is too old or a standby;
    /// - [`StorageError::Format`]: a newer program wrote the store;
    /// - [`StorageError::Corrupt`]: the schema holds something else.
    pub fn open(url: &PostgresUrl, options: PostgresOptions) -> Result<Self, StorageError> {
        let bridge = Bridge::start()?;
        let opening = async {
            let (mut client, _) = session::connect(&url.config, None).await?;
            layout::open(&mut client, &url.schema).await
        };
        let store = bridge
            .wait(async { timeout(options.answer_max, opening).await })
            .map_err(|_| failure::timed_out("opening the store"))??;
        let snapshots_max = url.connections.unwrap_or(options.snapshots_max).max(1);
        let pool = |size, wait_max| {
            let lifetime_max = options.reader_lifetime_max;
            session::pool(
                url.config.clone(),
                &url.schema,
                size,
                wait_max,
                lifetime_max,
            )
        };
        Ok(Self {
            shared: Arc::new(Shared {
                snapshots: pool(snapshots_max, options.connection_wait_max)?,
                commits: pool(1, options.answer_max)?,
                config: url.config.clone(),
                store,
                sql: Sql::of(&url.schema),
                readers: Arc::new(Readers::new(options.clock, options.reader_lifetime_max)),
                listener: Listener::default(),
                candidate: Mutex::default(),
                snapshots_max,
                options,
                bridge,
            }),
        })
    }
}

impl Backend for PostgresBackend {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        Ok(Box::new(PostgresSnapshot::open(&self.shared)?))
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        batch.check().map_err(CommitError::NotCommitted)?;
        let shared = &self.shared;
        let channel = shared.store.channel();
        let answer_max = shared.options.answer_max;
        let commit = writer::commit(&shared.commits, batch, &channel, answer_max);
        shared.bridge.wait(commit)
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        let (snapshots, oldest_snapshot) = self.shared.readers.summary();
        let (bytes_on_disk, bytes_live) = self.shared.bridge.wait(self.shared.sizes())?;
        Ok(Usage {
            bytes_on_disk,
            bytes_live,
            bytes_max: None,
            snapshots,
            oldest_snapshot,
        })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn lead(&self) -> Result<Option<Box<dyn Leadership>>, StorageError> {
        let taken = PostgresLeadership::take(&self.shared)?;
        Ok(taken.map(|leadership| Box::new(leadership) as Box<dyn Leadership>))
    }

    fn on_commit(&self, wake: Wake) {
        let Shared {
            listener,
            bridge,
            config,
            store,
            ..
        } = &*self.shared;
        listener.add(wake, bridge.handle(), config, *store);
    }
}

impl Shared {
    /// Bytes on disk, and bytes of the newest state.
    async fn sizes(&self) -> Result<(u64, u64), StorageError> {
        let pool_error = |error| failure::of_pool(error, self.snapshots_max);
        let session = self.snapshots.get().await.map_err(pool_error)?;
        let asking = async {
            let row = session.client.query_one(&self.sql.size, &[]).await?;
            let [disk, live, dead]: [i64; 3] = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?];
            let disk = disk.unsigned_abs();
            if disk <= COUNTED_BYTES_MAX {
                let row = session.client.query_one(&self.sql.count, &[]).await?;
                let counted: i64 = row.try_get(0)?;
                return Ok((disk, counted.unsigned_abs().min(disk)));
            }
            let (live, dead) = (
                u128::from(live.unsigned_abs()),
                u128::from(dead.unsigned_abs()),
            );
            let estimate = u128::from(disk) * live / (live + dead).max(1);
            Ok((disk, u64::try_from(estimate).unwrap_or(disk)))
        };
        let action = "asking for the size of the store";
        timeout(self.options.answer_max, asking)
            .await
            .map_err(|_| failure::timed_out(action))?
            .map_err(|error| failure::of(action, error))
    }
}

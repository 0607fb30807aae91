//! What can be configured, and why the defaults are what they are.

use std::time::{Duration, Instant};

/// How a [`PostgresBackend`](super::PostgresBackend) uses its server.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOptions {
    /// How many snapshots may be open at once; each has a connection of its own, made when it is first needed.
    ///
    /// 32 by default: a third of what a PostgreSQL server gives out unless told otherwise. Besides these a backend uses one
    /// connection to commit, one while it leads or wants to, and one while it watches.
    pub snapshots_max: u32,
    /// How long a new snapshot waits for a connection when all are in use. 5 s by default.
    pub connection_wait_max: Duration,
    /// How long an answer may take before the server counts as gone.
    ///
    /// 60 s by default: an honest batch of 16 MiB takes about a second, and a server that is busy with a checkpoint on a
    /// slow disk ten. What is dead rather than slow is noticed earlier, by the connection itself.
    pub answer_max: Duration,
    /// How long a snapshot may be read. Until it is dropped, PostgreSQL cannot clear away what was replaced meanwhile.
    ///
    /// 30 s by default, as for the embedded store.
    pub reader_lifetime_max: Duration,
    /// Where snapshots read their age. The monotonic clock of the system by default.
    pub clock: fn() -> Instant,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            snapshots_max: 32,
            connection_wait_max: Duration::from_secs(5),
            answer_max: Duration::from_secs(60),
            reader_lifetime_max: Duration::from_secs(30),
            clock: Instant::now,
        }
    }
}

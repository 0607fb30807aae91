//! Leadership by a lock that lives as long as a connection does.
//!
//! The lock only keeps two servers from deposing each other in turns. That a deposed one writes nothing is the
//! fence's doing, so a lock that is lost late does no harm.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_postgres::Client;

use super::layout::LOCK_CLASS;
use super::{Shared, failure, layout, session};
use crate::{Leadership, StorageError};

/// How often the leader asks its connection for a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// After this long without one it no longer calls itself the leader. Shorter than what the server waits before it gives the
/// lock of a silent client away (`tcp_keepalives_*` in the settings: 11 s).
const SILENCE_MAX: Duration = Duration::from_secs(6);

pub(super) struct PostgresLeadership {
    client: Arc<Client>,
    /// When the last sign of life was asked for that came.
    alive: Arc<Mutex<Instant>>,
    heartbeat: AbortHandle,
}

impl PostgresLeadership {
    /// Takes the lock, or returns `None` when another session has it.
    pub(super) fn take(shared: &Shared) -> Result<Option<Self>, StorageError> {
        let asked = Instant::now();
        let Some(client) = shared.bridge.wait(lock(shared))? else {
            return Ok(None);
        };
        let (client, alive) = (Arc::new(client), Arc::new(Mutex::new(asked)));
        let heartbeat = beat(Arc::clone(&client), Arc::clone(&alive));
        let heartbeat = shared.bridge.handle().spawn(heartbeat).abort_handle();
        Ok(Some(Self {
            client,
            alive,
            heartbeat,
        }))
    }
}

async fn lock(shared: &Shared) -> Result<Option<Client>, StorageError> {
    let action = "asking for the leadership";
    let kept = shared.candidate.lock().take();
    let client = match kept.filter(|client| !client.is_closed()) {
        Some(client) => client,
        None => {
            let (client, _) = session::connect(&shared.config, None).await?;
            let settings = layout::settings(shared.options.reader_lifetime_max.as_secs());
            timeout(shared.options.answer_max, client.batch_execute(&settings))
                .await
                .map_err(|_| failure::timed_out(action))?
                .map_err(|error| failure::of(action, error))?;
            client
        }
    };
    let exchange = async {
        let lock = shared.store.lock();
        client
            .query_one("SELECT pg_try_advisory_lock($1, $2)", &[&LOCK_CLASS, &lock])
            .await?
            .try_get(0)
    };
    let is_ours: bool = timeout(shared.options.answer_max, exchange)
        .await
        .map_err(|_| failure::timed_out(action))?
        .map_err(|error| failure::of(action, error))?;
    if is_ours {
        return Ok(Some(client));
    }
    // It will be asked again and again, which should not take a new connection each time.
    *shared.candidate.lock() = Some(client);
    Ok(None)
}

/// Notes every sign of life until one fails.
async fn beat(client: Arc<Client>, alive: Arc<Mutex<Instant>>) {
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        match timeout(SILENCE_MAX, client.check_connection()).await {
            Ok(Ok(())) => *alive.lock() = asked,
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

impl Leadership for PostgresLeadership {
    fn is_held(&self) -> bool {
        !self.client.is_closed() && self.alive.lock().elapsed() < SILENCE_MAX
    }
}

impl Drop for PostgresLeadership {
    fn drop(&mut self) {
        // With its last user gone the client says goodbye, and the server releases the lock.
        self.heartbeat.abort();
    }
}

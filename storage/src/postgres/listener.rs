//! Being told of commits: a connection that listens, and is made again whenever it breaks.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::sleep;
use tokio_postgres::{Client, Config};

use super::session::{self, Notified};
use super::{StoreId, failure};
use crate::StorageError;
use crate::Wake;

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Everybody who wants to be woken. The connection is made for the first one.
#[derive(Default)]
pub(super) struct Listener {
    wakes: Arc<Mutex<Vec<Wake>>>,
}

impl Listener {
    pub(super) fn add(&self, wake: Wake, runtime: &Handle, config: &Config, store: StoreId) {
        let mut wakes = self.wakes.lock();
        wakes.push(wake);
        if wakes.len() == 1 {
            runtime.spawn(listen(config.clone(), store, Arc::clone(&self.wakes)));
        }
    }
}

/// Listens until the runtime ends.
async fn listen(config: Config, store: StoreId, wakes: Arc<Mutex<Vec<Wake>>>) {
    let wake_all: Notified = Arc::new(move || {
        // Called without the lock, since what is woken may want to add another.
        let wakes = wakes.lock().clone();
        for wake in wakes {
            wake();
        }
    });
    let mut retry = RETRY_FIRST;
    loop {
        if let Ok((_client, driver)) = subscribe(&config, store, Arc::clone(&wake_all)).await {
            retry = RETRY_FIRST;
            // Whatever was committed while nobody listened.
            wake_all();
            // It ends with the connection; that it panicked would be just another end.
            let _ = driver.await;
        }
        sleep(retry).await;
        retry = (retry * 2).min(RETRY_MAX);
    }
}

async fn subscribe(
    config: &Config,
    store: StoreId,
    notified: Notified,
) -> Result<(Client, tokio::task::JoinHandle<()>), StorageError> {
    let (client, driver) = session::connect(config, Some(notified)).await?;
    client
        .batch_execute(&format!("LISTEN {}", store.channel()))
        .await
        .map_err(|error| failure::of("listening for commits", error))?;
    Ok((client, driver))
}

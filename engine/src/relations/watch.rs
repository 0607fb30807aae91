//! The thread that looks for relations when the documents have come to rest.
//!
//! It is woken by commits. While more of them come it waits, so that an import is looked at when it is over, but not for
//! ever: a database that is always written to is looked at too. With nobody writing it sleeps.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::engine::{Engine, Shared};
use crate::error::EngineError;
use crate::maintenance::Wake;

/// So long nothing is committed before it looks.
const REST: Duration = Duration::from_millis(500);
/// So long it waits for that at most.
const REST_MAX: Duration = Duration::from_secs(10);
/// After this long a look that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Engine {
    pub(crate) fn start_detection(&self) -> Result<(), EngineError> {
        let shared = Arc::downgrade(&self.shared);
        let published = Arc::clone(&self.shared.published);
        let thread = std::thread::Builder::new()
            .name("relations".to_owned())
            .spawn(move || run(&shared, &published.detection))
            .map_err(|error| EngineError::Thread {
                reason: error.to_string(),
            })?;
        *self.shared.detection_thread.lock() = Some(thread);
        Ok(())
    }
}

/// Looks for relations until the engine is closed or nobody has it any more.
fn run(shared: &Weak<Shared>, wake: &Wake) {
    // Its futures wait for the committer only.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return;
    };
    while !wake.is_closed() {
        let began = Instant::now();
        while wake.rest(REST) && began.elapsed() < REST_MAX {}
        if wake.is_closed() {
            return;
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let engine = Engine::from_shared(shared);
        let looked = runtime.block_on(engine.detect_relations());
        // Not held while it waits: it must not keep the engine from being dropped.
        drop(engine);
        // What it commits itself wakes it; then there is nothing to look at.
        match looked {
            Ok(_) => {
                wake.wait(None);
            }
            Err(_) => {
                wake.wait(Some(RETRY_AFTER));
            }
        }
    }
}

//! Background work: what nobody waits for, done in ordinary transactions.
//!
//! A [`Duty`] knows the next piece of its work, as intents that depend on nothing: what they do is decided by the state
//! that they meet when they are committed, so a piece that has become pointless does nothing. A piece is bounded, so
//! that it delays no commit of others for long.
//!
//! A thread of the engine does it ([`MaintenanceMode::Background`]), woken when the catalog changes and when this
//! server becomes the one who writes; or whoever calls
//! [`Maintenance::step`], which is how a simulation decides when it happens.

use std::sync::Weak;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::declared::BackfillDuty;
use crate::engine::{Engine, Shared};
use crate::error::{EngineError, TransactionError};
use crate::index::duty::IndexDuty;
use crate::intent::Intent;
use crate::published_types::TypesDuty;
use crate::transaction::Transaction;

/// Who does the background work of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MaintenanceMode {
    /// A thread of the engine.
    #[default]
    Background,
    /// Nobody but callers of [`Maintenance::step`].
    Manual,
}

/// One kind of background work.
pub(crate) trait Duty: Send + Sync {
    /// The next piece of it: what one transaction writes. `None` where there is nothing to do.
    fn next(&self, engine: &Engine) -> Result<Option<Vec<Intent>>, EngineError>;

    /// What to write where a piece was refused; `None` to try it again later.
    fn refused(&self, _intents: &[Intent], _error: &TransactionError) -> Option<Vec<Intent>> {
        None
    }
}

/// The background work of an engine, a piece at a time.
pub struct Maintenance {
    engine: Engine,
    duties: Vec<Box<dyn Duty>>,
}

impl Maintenance {
    pub(crate) fn new(engine: Engine) -> Self {
        Maintenance {
            engine,
            duties: vec![
                Box::new(IndexDuty),
                Box::new(TypesDuty),
                Box::new(BackfillDuty),
            ],
        }
    }

    /// Does the next piece of each duty, one transaction each. Whether there was any; where another server writes to the
    /// store, the work is that server's.
    pub async fn step(&self) -> Result<bool, TransactionError> {
        if !self.engine.leads() {
            return Ok(false);
        }
        let mut has_done_something = false;
        for duty in &self.duties {
            let Some(intents) = duty.next(&self.engine)? else {
                continue;
            };
            if let Err(error) = self.write(intents.clone()).await {
                let Some(instead) = duty.refused(&intents, &error) else {
                    return Err(error);
                };
                self.write(instead).await?;
            }
            has_done_something = true;
        }
        Ok(has_done_something)
    }

    async fn write(&self, intents: Vec<Intent>) -> Result<(), TransactionError> {
        let code = move |transaction: &mut Transaction<'_>| {
            for intent in &intents {
                transaction.write(intent.clone())?;
            }
            Ok(())
        };
        self.engine.transact(code).await.map(|_| ())
    }
}

/// Wakes the thread that does the background work.
#[derive(Default)]
pub(crate) struct Wake {
    signal: Mutex<Signal>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Default)]
enum Signal {
    /// Nothing has happened since the thread looked; `wake → Work`, `close → Closed`.
    #[default]
    Idle,
    /// There may be work; the thread takes it back to `Idle`, `close → Closed`.
    Work,
    /// The thread is to end.
    Closed,
}

impl Wake {
    /// There may be something to do.
    pub(crate) fn wake(&self) {
        let mut signal = self.signal.lock();
        // Who has not taken it yet need not be woken again.
        if *signal == Signal::Idle {
            *signal = Signal::Work;
            self.changed.notify_all();
        }
    }

    pub(crate) fn close(&self) {
        *self.signal.lock() = Signal::Closed;
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.signal.lock() == Signal::Closed
    }

    /// Waits until there may be something to do, or for `time_max`. Whether there may be.
    pub(crate) fn wait(&self, time_max: Option<Duration>) -> bool {
        let mut signal = self.signal.lock();
        if *signal == Signal::Idle {
            match time_max {
                Some(time_max) => {
                    self.changed.wait_for(&mut signal, time_max);
                }
                None => self.changed.wait(&mut signal),
            }
        }
        Wake::take(&mut signal)
    }

    /// Waits for that time whatever there is to do, unless it is closed. Whether there may be something to do then.
    pub(crate) fn rest(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut signal = self.signal.lock();
        while *signal != Signal::Closed {
            if self.changed.wait_until(&mut signal, until).timed_out() {
                break;
            }
        }
        Wake::take(&mut signal)
    }

    fn take(signal: &mut Signal) -> bool {
        let has_work = *signal == Signal::Work;
        if has_work {
            *signal = Signal::Idle;
        }
        has_work
    }
}

/// After this long a piece that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Does the work of an engine until it is closed or nobody has it any more.
pub(crate) fn run(shared: &Weak<Shared>, wake: &Wake) {
    // It needs no timers and no sockets: its futures wait for the committer only.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return;
    };
    while !wake.is_closed() {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let maintenance = Maintenance::new(Engine::from_shared(shared));
        let done = runtime.block_on(maintenance.step());
        // Not held while it waits: it must not keep the engine from being dropped.
        drop(maintenance);
        match done {
            Ok(true) => {}
            Ok(false) => {
                wake.wait(None);
            }
            // It is told to whoever asks the engine whether it is ready.
            Err(_) => {
                wake.wait(Some(RETRY_AFTER));
            }
        }
    }
}

//! Who writes to a store that several servers share, and how the others follow.
//!
//! One server leads: it has the committer. The others read the store by themselves, so their reads are as fresh as the
//! leader's; they follow its commits through the log, which wakes their live queries, and refuse transactions that write.
//! When the leader's connection ends, or it gives up, one of them takes over.
//!
//! A [`Keeper`] sees to that, for every server of a shared store:
//!
//! ```text
//!            won the leadership, took the store over
//!  following ───────────────────────────────────────► leading
//!      ▲                                                 │
//!      └─────────────────────────────────────────────────┘
//!        lost the leadership, or a batch was deposed or in doubt
//! ```
//!
//! Taking over commits a head of a higher epoch before it reads anything, so a batch in doubt has landed by then or never
//! will: that is how a server gets over a database that was away for a while. The fence makes this safe; that servers
//! agree who leads only keeps them from deposing each other in turns.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thalweg_model::CommitTs;
use thalweg_storage::Leadership;

use crate::commit::Commit;
use crate::engine::{Door, Engine, Shared};
use crate::error::EngineError;
use crate::log;

/// What a server is to its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It writes.
    Leader,
    /// It reads, and follows what another one writes.
    Follower,
}

/// How long the keeper rests when nothing wakes it.
const REST: Duration = Duration::from_millis(500);

/// How long a follower waits before it asks for the leadership again, which may take a connection.
const ASKING_PAUSE: Duration = Duration::from_secs(1);

/// How many bytes of commits are read from the log at a time.
const FOLLOWED_BYTES: usize = 8 << 20;

/// The thread that keeps a server in its role.
pub(crate) struct KeeperThread {
    stop: Arc<AtomicBool>,
    wake: mpsc::SyncSender<()>,
    thread: JoinHandle<Option<Box<dyn Leadership>>>,
}

impl KeeperThread {
    /// Starts it, with what the engine has been opened as.
    pub(crate) fn start(
        engine: &Engine,
        leadership: Option<Box<dyn Leadership>>,
    ) -> Result<KeeperThread, EngineError> {
        let mut keeper = Keeper {
            shared: Arc::downgrade(&engine.shared),
            leadership,
            asked: None,
        };
        let stop = Arc::new(AtomicBool::new(false));
        // One signal that has not been seen yet says as much as many.
        let (wake, woken) = mpsc::sync_channel(1);
        let on_commit = wake.clone();
        engine.shared.backend.on_commit(Arc::new(move || {
            // Full: it will look anyway. Disconnected: it has ended.
            let _ = on_commit.try_send(());
        }));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(move || {
                while !stopping.load(Ordering::SeqCst) && keeper.step().is_some() {
                    let _ = woken.recv_timeout(REST);
                }
                keeper.leadership
            })
            .map_err(|error| EngineError::Thread {
                reason: error.to_string(),
            })?;
        Ok(KeeperThread { stop, wake, thread })
    }

    /// Stops it. Returns the leadership, if it has it, to be given up.
    pub(crate) fn stop(self) -> Option<Box<dyn Leadership>> {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.wake.try_send(());
        // A keeper that panicked has nothing left to give up.
        self.thread.join().ok().flatten()
    }
}

struct Keeper {
    /// Ends with the last user of the engine.
    shared: Weak<Shared>,
    leadership: Option<Box<dyn Leadership>>,
    /// When it last asked for the leadership, and did not get it.
    asked: Option<Instant>,
}

impl Keeper {
    /// Looks after the role once; `None` where nobody uses the engine any more.
    fn step(&mut self) -> Option<()> {
        let engine = Engine {
            shared: self.shared.upgrade()?,
        };
        if let Some(leadership) = &self.leadership {
            if leadership.is_held() && engine.shared.published.failure().is_none() {
                return Some(());
            }
            engine.stop_leading();
            self.leadership = None;
        }
        // What fails here is tried again at the next step; until then the engine says that it is not ready.
        if let Err(error) = self.follow_or_lead(&engine) {
            engine.shared.published.fail(&error);
        }
        Some(())
    }

    fn follow_or_lead(&mut self, engine: &Engine) -> Result<(), EngineError> {
        let is_early = self
            .asked
            .is_some_and(|asked| asked.elapsed() < ASKING_PAUSE);
        if !is_early {
            self.asked = None;
            if let Some(leadership) = engine.shared.backend.lead()? {
                engine.start_leading()?;
                self.leadership = Some(leadership);
                return Ok(());
            }
            self.asked = Some(Instant::now());
        }
        engine.catch_up()?;
        engine.shared.published.heal();
        Ok(())
    }
}

impl Engine {
    /// What this server is to its store at the moment.
    pub fn role(&self) -> Role {
        match *self.shared.requests.lock() {
            Door::Open { .. } => Role::Leader,
            Door::Elsewhere | Door::Closed => Role::Follower,
        }
    }

    /// Refuses what still waits for the committer, and ends it.
    fn stop_leading(&self) {
        let published = &self.shared.published;
        published.fail(&EngineError::Deposed);
        self.shared.close_door(Door::Elsewhere);
        self.shared.join_pipeline();
    }

    fn start_leading(&self) -> Result<(), EngineError> {
        let start = self.shared.take_over()?;
        // What was in doubt when the last leadership ended has landed by now or never will.
        self.catch_up()?;
        // Before anything is written: a failure from then on is a new one.
        self.shared.published.heal();
        self.shared.start_pipeline(start)
    }

    /// Publishes the commits that others have made since the newest published one.
    pub(crate) fn catch_up(&self) -> Result<(), EngineError> {
        let published = &self.shared.published;
        loop {
            let snapshot = self.snapshot()?;
            let known = *published.head().borrow();
            if snapshot.ts() <= known {
                return Ok(());
            }
            let logged = match log::read::commits(&snapshot, known, FOLLOWED_BYTES) {
                // What has been erased since cannot be published, and what it touched is not known.
                Ok(logged) if logged.iter().any(|commit| commit.lacks_images) => Vec::new(),
                Ok(logged) => logged,
                // It was away for longer than the log reaches back: everybody has to look anew.
                Err(EngineError::ChangesGone { .. }) => Vec::new(),
                Err(error) => return Err(error),
            };
            if logged.is_empty() {
                published.skip_to(snapshot.ts(), snapshot.catalog());
                return Ok(());
            }
            let commits = logged.into_iter().map(|logged| {
                if !logged.changes_catalog {
                    return logged.commit;
                }
                // The catalog of that moment is not kept; whoever acts on it finds the newest one right.
                Arc::new(Commit {
                    catalog: Some(Arc::clone(snapshot.catalog())),
                    ..Commit::clone(&logged.commit)
                })
            });
            let commits: Vec<_> = commits.collect();
            debug_assert!(commits.iter().all(|commit| commit.ts > known));
            published.publish(commits);
        }
    }
}

/// The store's catalog version, which every batch that changes the catalog stores, so that other servers notice.
pub(crate) fn decode_version(stored: &[u8]) -> Result<CommitTs, EngineError> {
    let bytes = stored.try_into().map_err(|_| EngineError::Corrupt {
        what: "catalog version",
    })?;
    Ok(CommitTs::from_micros(u64::from_be_bytes(bytes)))
}

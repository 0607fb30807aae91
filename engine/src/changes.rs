//! The change stream: every commit, in order, from any commit that the log still follows.
//!
//! A [`ChangeStream`] is a cursor. What it yields it reads when it is asked: from the newest commits in memory where
//! they reach back far enough, else from the log. So a slow reader holds its cursor and, for the names of collections,
//! a catalog; how far behind it is costs nothing. When it has fallen behind what the log keeps, it ends with
//! [`EngineError::ChangesGone`].
//!
//! Invariants
//!
//! - The changes of a commit come together and in its order; emptied collections come first.
//! - [`ChangePage::resume_from`] moves over whole commits only, so whoever resumes there misses nothing.
//! - A page holds about [`PAGE_BYTES_MAX`] bytes of images, however large a commit is.
//!
//! What is not here: how a change looks to a client (`resolvers`, `gateway`).

mod names;
mod page;

use std::sync::Arc;

use rustc_hash::FxHashSet;
use thalweg_model::{CollectionId, CommitTs, ErrorClass, ErrorCode};
use thiserror::Error;
use tokio::sync::watch;

use crate::as_of;
use crate::catalog::Catalog;
use crate::commit::ChangeKind;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::history::{self, Hidden};
use crate::log::read;
use crate::record::Record;
use crate::snapshot::Snapshot;

use names::Names;
use page::{Builder, Items};

/// About how many bytes of images a page has. One more event may begin below this and end above it.
const PAGE_BYTES_MAX: usize = 256 << 10;
/// How many events a page has at most.
const PAGE_EVENTS_MAX: usize = 1000;
/// How many documents of a snapshot are read at a time; of large ones the history gives fewer.
const SNAPSHOT_DOCUMENTS: usize = 200;
/// How many pages may be read from the store at the same time, for all streams together.
pub(crate) const PAGES_READ_MAX: usize = 4;

/// What happened to a document or to a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeEventKind {
    /// A change of one document.
    Document(ChangeKind),
    /// All documents of the collection were removed at once, or the collection was dropped with them.
    Truncate,
    /// Nothing happened: the document as it was when the stream began.
    Snapshot,
}

impl ChangeEventKind {
    /// Its name to clients.
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeEventKind::Document(ChangeKind::Create) => "CREATE",
            ChangeEventKind::Document(ChangeKind::Update) => "UPDATE",
            ChangeEventKind::Document(ChangeKind::Delete) => "DELETE",
            ChangeEventKind::Document(ChangeKind::Restore) => "RESTORE",
            ChangeEventKind::Document(ChangeKind::Purge) => "PURGE",
            ChangeEventKind::Truncate => "TRUNCATE",
            ChangeEventKind::Snapshot => "SNAPSHOT",
        }
    }
}

/// One change.
#[derive(Clone, Debug)]
pub struct ChangeEvent {
    /// The commit that made it; of a snapshot, the commit whose state it shows.
    pub commit_ts: CommitTs,
    /// The collection's name after the commit, or its last one.
    pub collection: Arc<str>,
    /// The document's id; `None` where the collection was emptied.
    pub id: Option<Box<str>>,
    /// What happened.
    pub kind: ChangeEventKind,
    /// The document before, of an update and a soft deletion. `None` also where it has been erased since.
    pub before: Option<Arc<Record<'static>>>,
    /// The document after, where there then is one that is not softly deleted. `None` also where it has been
    /// erased since; what became of the document is then told by a later change.
    pub after: Option<Arc<Record<'static>>>,
    /// Whether nothing of its commit follows, so that one can resume after it.
    pub ends_commit: bool,
}

/// Some consecutive changes.
#[derive(Clone, Debug)]
pub struct ChangePage {
    /// In order. None only where a snapshot has ended without any more documents.
    pub events: Vec<ChangeEvent>,
    /// From where to resume after this page; `None` within a snapshot.
    pub resume_from: Option<CommitTs>,
}

/// Where a change stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangesStart {
    /// With the next commit.
    Now,
    /// With the commit after this one.
    After(CommitTs),
    /// With all documents as they are now, then the commits after that.
    Snapshot,
}

/// Why a change stream cannot begin.
#[derive(Clone, Debug, Error)]
pub enum ChangesError {
    /// The store failed, or the changes are gone.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A named collection does not exist.
    #[error("there is no collection {name:?}")]
    NoSuchCollection {
        /// The name.
        name: String,
    },
    /// The list of collections is empty.
    #[error(
        "the list of collections is empty, so there would be nothing to tell; leave it out for all collections"
    )]
    NoCollections,
    /// The commit to resume from is later than the newest one.
    #[error(
        "{since} is later than the newest commit, {head}: it is not a commitTs of this database"
    )]
    NotYet {
        /// What was asked for.
        since: CommitTs,
        /// The newest commit.
        head: CommitTs,
    },
}

impl ChangesError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            ChangesError::Engine(error) => error.code(),
            ChangesError::NoSuchCollection { .. }
            | ChangesError::NoCollections
            | ChangesError::NotYet { .. } => ErrorCode::BadRequest,
        }
    }

    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            ChangesError::Engine(error) => error.class(),
            ChangesError::NoSuchCollection { .. }
            | ChangesError::NoCollections
            | ChangesError::NotYet { .. } => ErrorClass::Caller,
        }
    }
}

/// Which collections a stream shows: those that had one of the names when the stream began, whatever they are called
/// later, and those that have one of them when a commit changes them.
#[derive(Debug)]
struct Filter {
    names: FxHashSet<Box<str>>,
    ids: FxHashSet<CollectionId>,
}

/// Where a stream stands. Only a page that was read as a whole moves it.
#[derive(Clone, Debug)]
struct Position {
    phase: Phase,
    names: Names,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Reads the documents as of `at`. Ends when no collection is left.
    Snapshot {
        at: CommitTs,
        /// Those that are still to be read, the one at hand last.
        collections: Vec<CollectionId>,
        /// The last id that was read of the one at hand.
        after: Option<String>,
    },
    /// Follows the commits.
    Following {
        /// The last commit that was told as a whole.
        after: CommitTs,
        /// How much of the commit after that has been told.
        told: usize,
    },
}

/// Reads changes as they come. See the module's documentation.
pub struct ChangeStream {
    engine: Engine,
    head: watch::Receiver<CommitTs>,
    filter: Option<Arc<Filter>>,
    position: Position,
}

impl ChangeStream {
    /// Begins a stream of the named collections, or of all. Reads from the store, so it may block for a moment.
    pub fn open(
        engine: &Engine,
        collections: Option<&[String]>,
        start: ChangesStart,
    ) -> Result<Self, ChangesError> {
        // Subscribed before the snapshot is taken, so that no commit falls in between.
        let head = engine.head();
        let snapshot = engine.snapshot()?;
        let filter = collections
            .map(|names| Filter::new(names, snapshot.catalog()))
            .transpose()?
            .map(Arc::new);
        let newest = snapshot.ts();
        let (phase, from) = match start {
            ChangesStart::Now => (Phase::following(newest), newest),
            ChangesStart::After(since) if since > newest => {
                return Err(ChangesError::NotYet {
                    since,
                    head: newest,
                });
            }
            ChangesStart::After(since) => (Phase::following(since), since),
            ChangesStart::Snapshot => {
                let all = snapshot.catalog().collections().map(|known| known.id);
                let wanted = |id: &CollectionId| {
                    let filter = filter.as_ref();
                    filter.is_none_or(|filter| filter.ids.contains(id))
                };
                let mut collections: Vec<_> = all.filter(wanted).collect();
                collections.reverse();
                let phase = Phase::Snapshot {
                    at: newest,
                    collections,
                    after: None,
                };
                (phase, newest)
            }
        };
        if engine.recent_page(from, 0).is_none() {
            // Tells before the stream has begun that it cannot.
            read::entries(&snapshot, from, 0)?;
        }
        let names = Names::at(&snapshot, from)?;
        Ok(ChangeStream {
            engine: engine.clone(),
            head,
            filter,
            position: Position { phase, names },
        })
    }

    /// Waits for the next changes. `None` when the engine is gone.
    ///
    /// The future can be dropped before it is ready: nothing is lost then. After an error the stream has ended.
    pub async fn next(&mut self) -> Result<Option<ChangePage>, EngineError> {
        loop {
            let Phase::Following { after, told } = self.position.phase else {
                return self.read().await.map(Some);
            };
            self.head.borrow_and_update();
            let page = match self.engine.recent_page(after, PAGE_BYTES_MAX) {
                Some(commits) if commits.is_empty() => {
                    if self.head.changed().await.is_err() {
                        return Ok(None);
                    }
                    continue;
                }
                Some(commits) => {
                    let mut builder =
                        Builder::new(self.filter.as_deref(), &mut self.position.names);
                    let mut position = (after, told);
                    for commit in &commits {
                        let items = Items::InMemory(commit);
                        if !builder.take(commit.ts, &items, &mut position)? {
                            break;
                        }
                    }
                    let events = builder.finish();
                    self.position.follow(position, &self.engine);
                    ChangePage {
                        events,
                        resume_from: Some(position.0),
                    }
                }
                None => self.read().await?,
            };
            // Of commits that the filter lets nothing through of, only the cursor tells.
            if !page.events.is_empty() {
                return Ok(Some(page));
            }
        }
    }

    /// From where to resume if nothing more is read; `None` within a snapshot. It moves on with commits of which the
    /// filter lets nothing through.
    pub fn resume_from(&self) -> Option<CommitTs> {
        match self.position.phase {
            Phase::Snapshot { .. } => None,
            Phase::Following { after, .. } => Some(after),
        }
    }

    /// Reads a page from the store.
    async fn read(&mut self) -> Result<ChangePage, EngineError> {
        let _permit = self.engine.page_permit().await;
        let (engine, filter) = (self.engine.clone(), self.filter.clone());
        let mut position = self.position.clone();
        let read = move || {
            let page = position.read(&engine, filter.as_deref())?;
            Ok((page, position))
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok((page, position))) => {
                self.position = position;
                Ok(page)
            }
            Ok(Err(error)) => Err(error),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(EngineError::Closed),
            },
        }
    }
}

impl std::fmt::Debug for ChangeStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeStream")
            .field("phase", &self.position.phase)
            .finish_non_exhaustive()
    }
}

impl Filter {
    fn new(names: &[String], catalog: &Catalog) -> Result<Self, ChangesError> {
        if names.is_empty() {
            return Err(ChangesError::NoCollections);
        }
        let mut ids = FxHashSet::default();
        for name in names {
            let Some(found) = catalog.by_name(name) else {
                return Err(ChangesError::NoSuchCollection { name: name.clone() });
            };
            ids.insert(found.id);
        }
        let names = names.iter().map(|name| name.as_str().into()).collect();
        Ok(Filter { names, ids })
    }

    fn admits(&self, collection: CollectionId, name: &str) -> bool {
        self.ids.contains(&collection) || self.names.contains(name)
    }
}

impl Phase {
    fn following(after: CommitTs) -> Self {
        Phase::Following { after, told: 0 }
    }
}

impl Position {
    fn follow(&mut self, (after, told): (CommitTs, usize), engine: &Engine) {
        self.phase = Phase::Following { after, told };
        self.names.catch_up(after, &engine.catalog());
    }

    fn read(
        &mut self,
        engine: &Engine,
        filter: Option<&Filter>,
    ) -> Result<ChangePage, EngineError> {
        match self.phase.clone() {
            Phase::Following { after, told } => self.read_log(engine, filter, (after, told)),
            Phase::Snapshot {
                at,
                collections,
                after,
            } => self.read_snapshot(engine, at, collections, after),
        }
    }

    fn read_log(
        &mut self,
        engine: &Engine,
        filter: Option<&Filter>,
        mut position: (CommitTs, usize),
    ) -> Result<ChangePage, EngineError> {
        let snapshot = engine.snapshot()?;
        let mut builder = Builder::new(filter, &mut self.names);
        for (ts, stored) in read::entries(&snapshot, position.0, PAGE_BYTES_MAX)? {
            let whole = read::whole(snapshot.reader(), ts, stored)?;
            let items = Items::Logged {
                snapshot: &snapshot,
                ts,
                entry: read::decode(&whole)?,
            };
            if !builder.take(ts, &items, &mut position)? {
                break;
            }
        }
        let events = builder.finish();
        self.follow(position, engine);
        Ok(ChangePage {
            events,
            resume_from: Some(position.0),
        })
    }

    fn read_snapshot(
        &mut self,
        engine: &Engine,
        at: CommitTs,
        mut collections: Vec<CollectionId>,
        mut after: Option<String>,
    ) -> Result<ChangePage, EngineError> {
        let mut events = Vec::new();
        while let Some(collection) = collections.last().copied() {
            let snapshot = engine.snapshot()?;
            let found = if snapshot.emptied_ts(collection)? > at {
                // What it had then is gone; that it was emptied is among the changes that follow.
                None
            } else {
                check_followed(&snapshot, at)?;
                let after = after.as_deref();
                let page = as_of::page(
                    &snapshot,
                    collection,
                    Some((at, Hidden::Show)),
                    after,
                    SNAPSHOT_DOCUMENTS,
                );
                Some(page?)
            };
            after = found.as_ref().and_then(|page| page.next.clone());
            if after.is_none() {
                collections.pop();
            }
            let name = self.names.get(collection);
            if let (Some(page), Some(name)) = (found, name) {
                let shown = page.rows.into_iter().filter(|row| !row.is_deleted());
                events.extend(shown.map(|row| snapshot_event(at, name, row)));
            }
            if !events.is_empty() {
                break;
            }
        }
        let resume_from = collections.is_empty().then_some(at);
        self.phase = match resume_from {
            Some(at) => Phase::following(at),
            None => Phase::Snapshot {
                at,
                collections,
                after,
            },
        };
        Ok(ChangePage {
            events,
            resume_from,
        })
    }
}

/// Refuses to begin where not all that follows is still in the log.
fn check_followed(snapshot: &Snapshot, from: CommitTs) -> Result<(), EngineError> {
    let oldest = history::trimmed(snapshot.reader())?;
    if from < oldest {
        return Err(EngineError::ChangesGone { oldest });
    }
    Ok(())
}

fn snapshot_event(at: CommitTs, collection: &Arc<str>, row: Record<'static>) -> ChangeEvent {
    ChangeEvent {
        commit_ts: at,
        collection: Arc::clone(collection),
        id: Some(row.id().into()),
        kind: ChangeEventKind::Snapshot,
        before: None,
        after: Some(Arc::new(row)),
        ends_commit: false,
    }
}

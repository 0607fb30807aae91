//! What the committer tells everybody else: the newest commits, the catalogs, and whether writing goes on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use thalweg_model::CommitTs;
use tokio::sync::watch;

use crate::catalog::Catalog;
use crate::commit::{Commit, RecentCommits};
use crate::error::EngineError;
use crate::maintenance::Wake;
use crate::pin::Pins;
use crate::published_types::Imports;
use crate::upkeep::Signal;

/// How many catalogs are kept for readers that have opened the backend but not looked theirs up yet. Who comes later
/// than that opens the backend again.
const CATALOGS_MAX: usize = 64;

pub(crate) struct Published {
    /// The catalog from each timestamp on, newest last; never empty. An entry is added before the batch that makes it
    /// true is committed, so whoever sees the batch finds it.
    catalogs: RwLock<VecDeque<(CommitTs, Arc<Catalog>)>>,
    /// The catalog of the newest published commit.
    newest: RwLock<Arc<Catalog>>,
    pub(crate) recent: RwLock<RecentCommits>,
    /// The newest published commit; it is in `recent` before it is here.
    head: watch::Sender<CommitTs>,
    /// Told of what commits make due.
    pub(crate) upkeep: Arc<Signal>,
    recovery_window: Duration,
    /// Set once, when writing has become impossible until the store is opened again.
    failure: RwLock<Option<EngineError>>,
    /// Woken by changes of the catalog.
    pub(crate) maintenance: Wake,
    /// Whose fields are still settling.
    pub(crate) imports: Imports,
    /// Woken by commits.
    pub(crate) detection: Wake,
    /// Who holds back what the committer would erase.
    pub(crate) pins: Arc<Pins>,
}

impl Published {
    pub(crate) fn new(
        head: CommitTs,
        catalog: Arc<Catalog>,
        recent: RecentCommits,
        recovery_window: Duration,
    ) -> Self {
        Published {
            catalogs: RwLock::new(VecDeque::from([(CommitTs::ZERO, Arc::clone(&catalog))])),
            newest: RwLock::new(catalog),
            recent: RwLock::new(recent),
            head: watch::Sender::new(head),
            upkeep: Arc::default(),
            recovery_window,
            failure: RwLock::new(None),
            maintenance: Wake::default(),
            imports: Imports::default(),
            detection: Wake::default(),
            pins: Arc::default(),
        }
    }

    /// The catalog of a state whose head is `ts`; `None` where that is so old that it is no longer known.
    pub(crate) fn catalog_at(&self, ts: CommitTs) -> Option<Arc<Catalog>> {
        let catalogs = self.catalogs.read();
        let at = catalogs.partition_point(|(from, _)| *from <= ts);
        Some(Arc::clone(&catalogs.get(at.checked_sub(1)?)?.1))
    }

    pub(crate) fn newest_catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.newest.read())
    }

    /// The catalog of that very version.
    pub(crate) fn catalog_of(&self, version: CommitTs) -> Option<Arc<Catalog>> {
        let catalogs = self.catalogs.read();
        let mut newest_first = catalogs.iter().rev().map(|(_, catalog)| catalog);
        newest_first
            .find(|catalog| catalog.version == version)
            .cloned()
    }

    /// Makes a new catalog findable before the state that it belongs to is.
    pub(crate) fn announce(&self, catalog: &Arc<Catalog>) {
        let mut catalogs = self.catalogs.write();
        let at = catalogs.partition_point(|(from, _)| *from < catalog.version);
        catalogs.insert(at, (catalog.version, Arc::clone(catalog)));
        if catalogs.len() > CATALOGS_MAX {
            catalogs.pop_front();
        }
    }

    /// Takes back an announcement: the state will not come to be.
    pub(crate) fn take_back(&self, catalog: &Arc<Catalog>) {
        self.catalogs
            .write()
            .retain(|(_, announced)| !Arc::ptr_eq(announced, catalog));
    }

    /// Publishes durable commits.
    pub(crate) fn publish(&self, commits: Vec<Arc<Commit>>) {
        let Some(last) = commits.last() else { return };
        let head = last.ts;
        // Those that are read from the log are of several groups, so it need not be the last that has one.
        let mut newest_first = commits.iter().rev();
        let catalog = newest_first.find_map(|commit| commit.catalog.clone());
        let changes_catalog = catalog.is_some();
        if let Some(catalog) = catalog {
            *self.newest.write() = catalog;
        }
        let catalog = self.newest_catalog();
        self.upkeep
            .tell_commits(&commits, &catalog, self.recovery_window);
        let mut recent = self.recent.write();
        for commit in commits {
            recent.push(commit);
        }
        drop(recent);
        self.head.send_replace(head);
        self.detection.wake();
        if changes_catalog {
            self.maintenance.wake();
        }
    }

    /// Goes on from a later commit, for want of those between.
    pub(crate) fn skip_to(&self, ts: CommitTs, catalog: &Arc<Catalog>) {
        *self.newest.write() = Arc::clone(catalog);
        self.recent.write().skip_to(ts);
        self.head.send_replace(ts);
    }

    pub(crate) fn head(&self) -> watch::Receiver<CommitTs> {
        self.head.subscribe()
    }

    pub(crate) fn failure(&self) -> Option<EngineError> {
        self.failure.read().clone()
    }

    /// Notes that it can be written again.
    pub(crate) fn heal(&self) {
        // Asked first, since this is called again and again.
        if self.failure.read().is_some() {
            *self.failure.write() = None;
        }
    }

    /// Notes that nothing more can be written, and why. The first reason stays.
    pub(crate) fn fail(&self, error: &EngineError) {
        self.failure.write().get_or_insert_with(|| error.clone());
    }
}

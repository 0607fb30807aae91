//! Reads of a query that is run again and again: kept, and moved along by the changes instead of made anew.
//!
//! Who runs a query gives what is kept of it to the snapshot ([`Snapshot::keep_reads`](crate::Snapshot::keep_reads)), runs
//! it, takes back what is kept then, and has that follow every commit which touches the run's dependencies
//! ([`KeptReads::follow`]), in order, until the next run on the state after them. Between a run and the next one no commit may
//! be left out; if one is, what is kept is to be thrown away. What is read is then the same as without.
//!
//! Kept are pages, and totals of all documents of a filter, where reading them has looked at more than a few documents:
//! all else costs about as much to keep as to read. Filters over related documents are read anew.

use crate::aggregate::kept::KeptTotals;
use crate::aggregate::{Aggregate, Aggregated};
use crate::commit::Commit;
use crate::error::EngineError;
use crate::find::each::{FindEach, find_each};
use crate::find::kept::KeptPage;
use crate::find::{self, Choice, Find, Found, View};
use crate::join;
use crate::predicate::Predicate;

/// What has looked at no more documents than this is not kept.
const CHEAP_ROWS: u64 = 16;
/// More reads of one query are not kept.
const READS_MAX: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub struct KeptReads {
    pages: Vec<Used<KeptPage>>,
    totals: Vec<Used<KeptTotals>>,
    /// Reads that were answered in this run, and reads that are worth keeping and had to be made.
    hits: u32,
    misses: u32,
}

#[derive(Debug)]
struct Used<T> {
    read: T,
    /// Whether this run has asked for it.
    in_use: bool,
}

/// What is kept of a page.
enum Known {
    /// All of it.
    Page(Found<'static>),
    /// It was kept, and lost more rows than there were beyond it.
    RanOut,
    Nothing,
}

impl KeptReads {
    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty() && self.totals.is_empty()
    }

    /// Whether the last run had something to read that is worth keeping, and all of it was kept.
    pub fn was_enough(&self) -> bool {
        self.hits > 0 && self.misses == 0
    }

    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        let pages: usize = self.pages.iter().map(|kept| kept.read.bytes()).sum();
        pages + self.totals.len() * size_of::<Used<KeptTotals>>()
    }

    /// Follows a commit that touches the dependencies of the last run.
    pub fn follow(&mut self, commit: &Commit) {
        if !commit.emptied.is_empty() {
            let emptied = &commit.emptied;
            self.pages
                .retain(|kept| !emptied.contains(&kept.read.collection()));
            self.totals
                .retain(|kept| !emptied.contains(&kept.read.collection()));
        }
        for change in &commit.changes {
            for kept in &mut self.pages {
                if kept.read.collection() == change.collection {
                    kept.read.follow(change);
                }
            }
            for kept in &mut self.totals {
                if kept.read.collection() == change.collection {
                    kept.read.follow(change);
                }
            }
        }
    }

    /// A run begins.
    pub(crate) fn begin(&mut self) {
        (self.hits, self.misses) = (0, 0);
        self.pages.iter_mut().for_each(|kept| kept.in_use = false);
        self.totals.iter_mut().for_each(|kept| kept.in_use = false);
    }

    /// A run has ended: what it did not ask for is of no use.
    pub(crate) fn end(&mut self) {
        self.pages.retain(|kept| kept.in_use);
        self.totals.retain(|kept| kept.in_use);
    }

    /// A page, from what is kept where that has it.
    pub(crate) fn find<'s>(
        &mut self,
        view: View<'s>,
        wanted: &Find,
    ) -> Result<Found<'s>, EngineError> {
        if join::has_relations(&wanted.filter) {
            return find::find(view, wanted, Choice::Any);
        }
        match self.known(wanted) {
            Known::Page(found) => return Ok(found),
            Known::RanOut => {}
            Known::Nothing => {
                // What it costs is not known before it is read.
                let found = find::find(view, wanted, Choice::Any)?;
                if !self.is_worth_keeping(wanted, &found) {
                    return Ok(found);
                }
            }
        }
        self.keep(view, wanted)
    }

    /// The same of several pages, read together but for those that are to be kept.
    pub(crate) fn find_each<'s>(
        &mut self,
        view: View<'s>,
        wanted: &FindEach,
    ) -> Result<Vec<Found<'s>>, EngineError> {
        if join::has_relations(&wanted.find.filter) {
            return find_each(view, wanted);
        }
        let finds: Vec<Find> = (0..wanted.each.len()).map(|it| wanted.one(it)).collect();
        let known: Vec<Known> = finds.iter().map(|find| self.known(find)).collect();
        let all = known.iter().zip(&wanted.each);
        let unknown = all.filter(|(known, _)| matches!(known, Known::Nothing));
        let read = FindEach {
            each: unknown.map(|(_, own)| own.clone()).collect(),
            ..wanted.clone()
        };
        let mut read = find_each(view, &read)?.into_iter();
        let mut pages = Vec::with_capacity(finds.len());
        for (find, known) in finds.iter().zip(known) {
            let page = match known {
                Known::Page(found) => Some(found),
                Known::RanOut => None,
                Known::Nothing => {
                    let found = read.next().expect("what is not known was read");
                    let is_kept = self.is_worth_keeping(find, &found);
                    Some(found).filter(|_| !is_kept)
                }
            };
            pages.push(match page {
                Some(page) => page,
                None => self.keep(view, find)?,
            });
        }
        Ok(pages)
    }

    /// What is kept of a page.
    fn known(&mut self, wanted: &Find) -> Known {
        let kept = self.pages.iter().position(|kept| kept.read.is_of(wanted));
        let Some(kept) = kept else {
            return Known::Nothing;
        };
        let page = &mut self.pages[kept];
        if page.read.is_enough() {
            page.in_use = true;
            self.hits += 1;
            return Known::Page(page.read.found());
        }
        self.pages.swap_remove(kept);
        Known::RanOut
    }

    fn is_worth_keeping(&mut self, wanted: &Find, found: &Found<'_>) -> bool {
        // A count may come from an index, of which no document was looked at.
        let is_counted = wanted.count_total && *wanted.filter != Predicate::True;
        let is_cheap = found.rows_read <= CHEAP_ROWS && !is_counted;
        if is_cheap || self.pages.len() >= READS_MAX || !KeptPage::is_for(wanted) {
            self.misses += u32::from(!is_cheap);
            return false;
        }
        true
    }

    /// Reads a page and keeps it.
    fn keep(&mut self, view: View<'_>, wanted: &Find) -> Result<Found<'static>, EngineError> {
        self.misses += 1;
        let read = KeptPage::read(view, wanted)?;
        let found = read.found();
        if self.pages.len() < READS_MAX {
            self.pages.push(Used { read, in_use: true });
        }
        Ok(found)
    }

    /// Totals, from what is kept where that has them; `None` where such are not kept.
    pub(crate) fn aggregate(
        &mut self,
        view: View<'_>,
        wanted: &Aggregate,
    ) -> Result<Option<Aggregated>, EngineError> {
        if !KeptTotals::is_for(wanted) {
            return Ok(None);
        }
        let kept = self.totals.iter().position(|kept| kept.read.is_of(wanted));
        if let Some(kept) = kept {
            let totals = &mut self.totals[kept];
            if totals.read.is_enough() {
                totals.in_use = true;
                self.hits += 1;
                return Ok(Some(totals.read.made()));
            }
            self.totals.swap_remove(kept);
        }
        self.misses += 1;
        let (made, read) = KeptTotals::read(view, wanted)?;
        if self.totals.len() < READS_MAX {
            self.totals.push(Used { read, in_use: true });
        }
        Ok(Some(made))
    }
}

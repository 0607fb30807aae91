//! Reads of which nothing can be looked up, grouped by what they read.

use std::fmt::Write as _;
use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHasher};
use thalweg_engine::{Change, Range, Sight};

use crate::entries::{Entries, Entry};

/// The reads of one range, whichever fields they look at.
struct Group {
    range: Range,
    entries: Entries,
}

/// Groups by the fingerprint of their range; few ranges share one.
#[derive(Default)]
pub(super) struct Groups(FxHashMap<u64, Vec<Group>>);

impl Groups {
    pub(super) fn insert(&mut self, range: &Range, entry: Entry) {
        let groups = self.0.entry(fingerprint(range)).or_default();
        match groups.iter_mut().find(|group| group.range == *range) {
            Some(group) => group.entries.insert(entry),
            None => groups.push(Group {
                range: range.clone(),
                entries: Entries::One(entry),
            }),
        }
    }

    pub(super) fn remove(&mut self, range: &Range, entry: Entry) {
        let fingerprint = fingerprint(range);
        let Some(groups) = self.0.get_mut(&fingerprint) else {
            return;
        };
        groups.retain_mut(|group| group.range != *range || !group.entries.remove(entry));
        if groups.is_empty() {
            self.0.remove(&fingerprint);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Visits the reads of the ranges that a change is seen in, with what is seen there.
    pub(super) fn affected<'c>(
        &self,
        change: &'c Change,
        mut visit: impl FnMut(Entry, &Sight<'c>),
    ) {
        for group in self.0.values().flatten() {
            match group.range.sight(change) {
                Sight::Nothing => {}
                sight => group.entries.each(&mut |entry| visit(entry, &sight)),
            }
        }
    }

    pub(super) fn all(&self, visit: &mut impl FnMut(Entry)) {
        for group in self.0.values().flatten() {
            group.entries.each(visit);
        }
    }
}

struct Sink(FxHasher);

impl std::fmt::Write for Sink {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// Equal ranges have the same: it is taken of how they are told to a developer, in which nothing is left out.
fn fingerprint(range: &Range) -> u64 {
    let mut sink = Sink(FxHasher::default());
    // A sink takes everything.
    let _ = write!(sink, "{range:?}");
    sink.0.finish()
}

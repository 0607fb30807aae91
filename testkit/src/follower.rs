//! Following the commits that an engine publishes, which is what its change stream and its live queries are made of.
//!
//! What a follower is told must be exactly the commits of the order: all of them, in it, each with the images before and
//! after, and none that is not there after a crash.

use std::collections::BTreeSet;
use std::sync::Arc;

use thalweg_engine::{Commit, Engine};
use thalweg_model::CommitTs;

use crate::anomaly::{Anomaly, Kind};
use crate::client::Collections;
use crate::document::{Collection, Image};
use crate::model::{Key, Model};

/// Commits that were told without a gap.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// It has every commit after this.
    pub after: u64,
    /// It has every commit up to this one.
    pub until: u64,
    /// They themselves, in the order in which they were told.
    pub commits: Vec<Told>,
}

/// A commit as it was told.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its timestamp.
    pub ts: u64,
    /// The documents that it changed: before and after.
    pub changes: Vec<(Collection, String, Option<Image>, Option<Image>)>,
    /// The collections that it emptied.
    pub emptied: Vec<Collection>,
}

impl Told {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.emptied.is_empty()
    }
}

/// Follows one engine.
pub(crate) struct Follower {
    collections: Collections,
    stretches: Vec<Stretch>,
}

impl Follower {
    /// Follows an engine from its newest commit on.
    pub(crate) fn new(engine: &Engine, collections: Collections) -> Follower {
        Follower {
            collections,
            stretches: vec![Stretch::from(newest(engine))],
        }
    }

    /// Takes what has been published since it last looked.
    pub(crate) fn look(&mut self, engine: &Engine) {
        let head = newest(engine);
        let stretch = self.stretches.last_mut().expect("there is always one");
        if head == stretch.until {
            return;
        }
        match engine.recent_commits(CommitTs::from_micros(stretch.until)) {
            Some(commits) => {
                let told = commits.iter().map(|commit| told(commit, &self.collections));
                stretch.commits.extend(told);
                stretch.until = head;
            }
            // They are no longer in memory.
            None => self.stretches.push(Stretch::from(head)),
        }
    }

    pub(crate) fn into_stretches(self) -> Vec<Stretch> {
        self.stretches
    }
}

impl Stretch {
    fn from(ts: u64) -> Stretch {
        Stretch {
            after: ts,
            until: ts,
            commits: Vec::new(),
        }
    }
}

fn newest(engine: &Engine) -> u64 {
    engine.head().borrow().as_micros()
}

fn told(commit: &Arc<Commit>, collections: &Collections) -> Told {
    let changes = commit.changes.iter().filter_map(|change| {
        let image = |record: &Option<_>| record.as_deref().map(Image::of);
        let collection = collections.of_id(change.collection)?;
        Some((
            collection,
            change.id.to_string(),
            image(&change.before),
            image(&change.after),
        ))
    });
    let emptied = commit.emptied.iter();
    Told {
        ts: commit.ts.as_micros(),
        changes: changes.collect(),
        emptied: emptied.filter_map(|id| collections.of_id(*id)).collect(),
    }
}

/// Checks what was told against the states of the order: each from its timestamp on, the empty one first.
pub(crate) fn check(stretch: &Stretch, states: &[(u64, Model)]) -> Result<(), Anomaly> {
    let wrong = |line: String| Err(Anomaly::new(Kind::WrongCommitTold, vec![line]));
    let mut told = stretch.commits.iter();
    for pair in states.windows(2) {
        let [(_, before), (ts, after)] = pair else {
            continue;
        };
        if *ts <= stretch.after || *ts > stretch.until {
            continue;
        }
        // A commit that only keeps an answer, or only changes the catalog, leaves the documents as they are.
        let Some(commit) = told.find(|told| told.ts >= *ts || !told.is_empty()) else {
            return wrong(format!("a follower was never told of the commit at {ts}"));
        };
        if commit.ts != *ts {
            return wrong(format!(
                "a follower was told of a commit at {} where the one at {ts} comes next",
                commit.ts
            ));
        }
        if let Some(line) = difference(commit, before, after) {
            return wrong(format!(
                "of the commit at {ts} a follower was told that {line}"
            ));
        }
    }
    match told.find(|told| !told.is_empty()) {
        Some(commit) => wrong(format!(
            "a follower was told of a commit at {} that is not there",
            commit.ts
        )),
        None => Ok(()),
    }
}

/// In what a told commit differs from the step between two states.
fn difference(commit: &Told, before: &Model, after: &Model) -> Option<String> {
    let mut told: BTreeSet<Key> = BTreeSet::new();
    for (collection, id, was, is) in &commit.changes {
        let was_there = before.get(*collection, id);
        let expected = was_there.filter(|_| !commit.emptied.contains(collection));
        let shown = |image: Option<&Image>| image.map_or("nothing".to_owned(), Image::to_string);
        for (when, image, expected) in [
            ("was", was.as_ref(), expected),
            ("became", is.as_ref(), after.get(*collection, id)),
        ] {
            let expected = expected.map(|image| &**image);
            if image != expected {
                let (image, expected) = (shown(image), shown(expected));
                let name = collection.name();
                return Some(format!("{name}/{id} {when} {image}, not {expected}"));
            }
        }
        told.insert((*collection, id.clone()));
    }
    let missing = before.changed_keys(after).into_iter().find(|key| {
        // Its number changes with each time that it comes to be.
        if key.0 == Collection::Scratch {
            return false;
        }
        let is_gone = after.get(key.0, &key.1).is_none();
        let is_told = told.contains(key) || (is_gone && commit.emptied.contains(&key.0));
        !is_told
    });
    missing.map(|(collection, id)| format!("{}/{id} stayed as it was", collection.name()))
}

#[cfg(test)]
mod tests;

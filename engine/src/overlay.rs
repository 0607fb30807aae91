//! Images that the backend does not show yet, over a snapshot of it.
//!
//! The committer applies transactions to the state that the ones before them left, whether or not that is durable. What
//! they wrote lies in [`Delta`]s: one for the group that is being filled, one for each group that is on its way into the
//! backend. An [`Overlay`] stacks them; the newest one that knows a document decides. A transaction that reads what it has
//! written itself has a delta of its own on top of those: [`Layers`].

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_model::{CollectionId, DocumentId};

use crate::group::Image;
use crate::idempotency::FirstAnswer;
use crate::index::unique::UniqueEntries;
use crate::record::Record;

/// What one group of transactions changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delta {
    collections: FxHashMap<CollectionId, CollectionDelta>,
    answers: FxHashMap<Arc<str>, Arc<FirstAnswer>>,
    unique: UniqueEntries,
}

#[derive(Clone, Debug, Default)]
struct CollectionDelta {
    /// Nothing below this delta shows any more.
    emptied: bool,
    images: BTreeMap<DocumentId, Image>,
}

/// Deltas over a snapshot, the newest on top.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    lower: Vec<Arc<Delta>>,
    top: Delta,
}

/// An overlay, and over it what the transaction that reads has written itself.
#[derive(Clone, Copy)]
pub(crate) struct Layers<'o> {
    own: Option<&'o Delta>,
    overlay: &'o Overlay,
}

/// What an overlay knows of a document.
pub(crate) enum Overlaid<'o> {
    /// Nothing: what the backend shows is true.
    Unknown,
    /// This is its image; `None` where there is no such document.
    Known(Option<&'o Arc<Record<'static>>>),
}

/// What an overlay knows of a whole collection.
pub(crate) struct CollectionOverlay<'o> {
    /// Whether the backend's documents are gone.
    pub(crate) hides_stored: bool,
    /// The images of single documents, which go before the backend's.
    pub(crate) images: BTreeMap<&'o str, Option<&'o Arc<Record<'static>>>>,
}

impl Overlay {
    /// An empty delta over others, the oldest first.
    pub(crate) fn over(lower: Vec<Arc<Delta>>) -> Self {
        Overlay {
            lower,
            top: Delta::default(),
        }
    }

    /// The topmost delta, which what is opened next will stand over.
    pub(crate) fn into_top(self) -> Delta {
        self.top
    }

    fn newest_first(&self) -> impl Iterator<Item = &Delta> {
        std::iter::once(&self.top).chain(self.lower.iter().rev().map(|delta| &**delta))
    }

    /// It, and over it what a transaction has written itself.
    pub(crate) fn under<'o>(&'o self, own: Option<&'o Delta>) -> Layers<'o> {
        Layers { own, overlay: self }
    }

    /// Sets an image, or says that there is none.
    pub(crate) fn put(&mut self, collection: CollectionId, id: DocumentId, image: Image) {
        self.top.put(collection, id, image);
    }

    /// Says that a collection has no documents but those that are put after this.
    pub(crate) fn empty(&mut self, collection: CollectionId) {
        self.top.empty(collection);
    }

    /// Who holds which unique value, as far as it knows: the newest delta first.
    pub(crate) fn unique(&self) -> impl Iterator<Item = &UniqueEntries> {
        self.newest_first().map(|delta| &delta.unique)
    }

    pub(crate) fn change_unique(&mut self, changed: UniqueEntries) {
        self.top.unique.merge(changed);
    }

    /// The answer that was given under an idempotency key.
    pub(crate) fn answer(&self, key: &str) -> Option<&Arc<FirstAnswer>> {
        self.newest_first().find_map(|delta| delta.answers.get(key))
    }

    pub(crate) fn put_answer(&mut self, key: Arc<str>, answer: Arc<FirstAnswer>) {
        self.top.answers.insert(key, answer);
    }
}

impl<'o> Layers<'o> {
    fn newest_first(self) -> impl Iterator<Item = &'o Delta> {
        self.own.into_iter().chain(self.overlay.newest_first())
    }

    pub(crate) fn image(self, collection: CollectionId, id: &str) -> Overlaid<'o> {
        for delta in self.newest_first() {
            let Some(changed) = delta.collections.get(&collection) else {
                continue;
            };
            if let Some(image) = changed.images.get(id) {
                return Overlaid::Known(image.as_ref());
            }
            if changed.emptied {
                return Overlaid::Known(None);
            }
        }
        Overlaid::Unknown
    }

    /// All that it knows of a collection; `None` where that is nothing.
    pub(crate) fn collection(self, collection: CollectionId) -> Option<CollectionOverlay<'o>> {
        let mut known = None;
        for delta in self.newest_first() {
            let Some(changed) = delta.collections.get(&collection) else {
                continue;
            };
            let known: &mut CollectionOverlay<'o> =
                known.get_or_insert_with(|| CollectionOverlay {
                    hides_stored: false,
                    images: BTreeMap::new(),
                });
            for (id, image) in &changed.images {
                known.images.entry(id.as_str()).or_insert(image.as_ref());
            }
            if changed.emptied {
                known.hides_stored = true;
                break;
            }
        }
        known
    }
}

impl Delta {
    /// What it knows of a document; `None` where what is below it decides.
    pub(crate) fn image(&self, collection: CollectionId, id: &str) -> Option<Image> {
        let changed = self.collections.get(&collection)?;
        match changed.images.get(id) {
            Some(image) => Some(image.clone()),
            None => changed.emptied.then_some(None),
        }
    }

    /// Sets an image, or says that there is none. Returns whether it knew the document already.
    pub(crate) fn put(&mut self, collection: CollectionId, id: DocumentId, image: Image) -> bool {
        let changed = self.collections.entry(collection).or_default();
        changed.images.insert(id, image).is_some()
    }

    /// Takes an image out of it.
    pub(crate) fn take(&mut self, collection: CollectionId, id: &str) -> Option<Image> {
        self.collections.get_mut(&collection)?.images.remove(id)
    }

    /// Says that a collection has no documents but those that are put after this.
    pub(crate) fn empty(&mut self, collection: CollectionId) {
        let emptied = CollectionDelta {
            emptied: true,
            images: BTreeMap::new(),
        };
        self.collections.insert(collection, emptied);
    }
}

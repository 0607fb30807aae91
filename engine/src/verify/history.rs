//! Earlier images: each held until the next one was written, and the last one until the current one was, or until the
//! document was deleted for good, and then a mark hides them.
//!
//! Images may be missing where nobody can see them: those that ended before the collection's history is kept, and those
//! that a mark hides, are erased little by little.

use std::borrow::Cow;

use thalweg_model::{CollectionId, CommitTs};

use super::documents::check_fields;
use super::{FindingKind, Store, document_name, name};
use crate::catalog::COLLECTIONS;
use crate::error::EngineError;
use crate::history::Entry;
use crate::keyspace::{self, Keyspace};

/// An image that an earlier one is compared with.
struct Next {
    written: CommitTs,
    version: u64,
}

/// What is known of the document whose images come.
struct Walk {
    collection: CollectionId,
    id: String,
    /// What was written before then is hidden.
    erased: CommitTs,
    /// The image that came last.
    next: Option<Next>,
}

/// An image, as far as it is compared with others.
struct Image {
    until: CommitTs,
    version: u64,
    is_hidden: bool,
    /// It ended when images were kept.
    is_kept: bool,
}

pub(super) fn check(store: &mut Store<'_>) -> Result<(), EngineError> {
    let mut walk = None;
    store.scan(Keyspace::History, &mut |store, key, value| {
        check_entry(store, &mut walk, key, value)
    })
}

/// The images of a document come with the latest first, and before them the mark that hides some.
fn check_entry<'r>(
    store: &mut Store<'r>,
    walk: &mut Option<Walk>,
    key: &[u8],
    value: Cow<'r, [u8]>,
) -> Result<(), EngineError> {
    let kind = FindingKind::History;
    let Ok((collection, id, written)) = keyspace::parse_history(key) else {
        store.done.earlier_images += 1;
        let detail = "it is no key of an earlier image";
        store.find(FindingKind::Key, name(key), detail);
        return Ok(());
    };
    if collection != COLLECTIONS && !store.counted.contains_key(&collection) {
        let place = document_name(collection, &id);
        store.find(kind, place, "there is no such collection, but history");
    }
    let is_same = |walk: &Walk| walk.collection == collection && walk.id == id;
    let walk = match walk {
        Some(known) if is_same(known) => known,
        _ => walk.insert(Walk {
            collection,
            id,
            erased: CommitTs::ZERO,
            next: None,
        }),
    };
    let length = value.len();
    match Entry::decode(written, value) {
        Ok(Entry::Erased(erased)) => {
            check_mark(store, walk, erased, length);
            Ok(())
        }
        Ok(Entry::Image { until, stored, .. }) => {
            store.done.earlier_images += 1;
            check_image(store, walk, written, until, stored)
        }
        Err(_) => {
            let place = document_name(collection, &walk.id);
            store.find(kind, place, "it does not say until when something held");
            Ok(())
        }
    }
}

fn check_mark(store: &mut Store<'_>, walk: &mut Walk, erased: CommitTs, length: usize) {
    let place = document_name(walk.collection, &walk.id);
    if length != size_of::<u64>() || erased == CommitTs::ZERO || erased > store.head.commit_ts {
        let detail = format!("its history is hidden up to {erased}, which cannot be");
        store.find(FindingKind::History, place, detail);
    }
    walk.erased = erased;
    store
        .marks
        .insert((walk.collection, walk.id.clone()), erased);
}

fn check_image<'r>(
    store: &mut Store<'r>,
    walk: &mut Walk,
    written: CommitTs,
    until: CommitTs,
    stored: Cow<'r, [u8]>,
) -> Result<(), EngineError> {
    let kind = FindingKind::History;
    let (collection, id) = (walk.collection, &*walk.id);
    let place = format!("{} as of {written}", document_name(collection, id));
    let owner = keyspace::document(collection, id);
    let Some(record) = store.image(kind, &place, stored, &owner)? else {
        return Ok(());
    };
    check_fields(store, kind, &place, &record);
    if record.id() != id || record.commit_ts() != written {
        store.find(kind, &place, "it is of another document or commit");
    }
    if until <= written || until > store.head.commit_ts {
        let detail = format!("it held until {until}, which cannot be");
        store.find(kind, &place, detail);
    }
    let image = Image {
        until,
        version: record.version(),
        is_hidden: written < walk.erased,
        is_kept: until > store.kept_from(collection)?,
    };
    if image.is_hidden && until > walk.erased {
        let detail = format!(
            "it held until {until}, but the document was deleted for good at {}",
            walk.erased
        );
        store.find(kind, &place, detail);
    }
    let later = match walk.next.take() {
        Some(later) => Some(later),
        None => store.current(collection, id)?.map(|current| Next {
            written: current.commit_ts(),
            version: current.version(),
        }),
    };
    match later {
        Some(later) => check_succession(store, &place, &image, &later),
        // The catalog's history is not hidden. That a document cannot be read is a finding of its own.
        None if collection == COLLECTIONS || store.reader.get(&owner)?.is_some() => {}
        None if !image.is_hidden => {
            store.find(kind, &place, "the document is gone, but it is not hidden");
        }
        None => {}
    }
    walk.next = Some(Next {
        written,
        version: image.version,
    });
    Ok(())
}

/// A document that was deleted for good and came again begins with version 1, and what was before is hidden; else
/// versions go on, and nothing lies between two of them.
fn check_succession(store: &mut Store<'_>, place: &str, image: &Image, later: &Next) {
    let (until, version) = (image.until, image.version);
    let detail = if until > later.written {
        format!(
            "it held until {until}, but the next one was written at {}",
            later.written
        )
    } else if image.is_hidden {
        return;
    } else if later.version == 1 {
        "the document was deleted for good and came again, but it is not hidden".to_owned()
    } else if !image.is_kept {
        return;
    } else if until < later.written {
        format!("between {until} and {} there is no image", later.written)
    } else if Some(later.version) != version.checked_add(1) {
        format!("version {version} is followed by version {}", later.version)
    } else {
        return;
    };
    store.find(FindingKind::History, place, detail);
}

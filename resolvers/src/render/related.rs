//! Related documents.
//!
//! The documents that a page names are loaded level by level before any of it is written: the keys of all rows
//! together, each once, then the keys in what was found, and so on; and likewise the pages of documents that name its
//! rows. So how often the store is asked does not depend on how many rows there are. A document that occurs again in a
//! response is copied from where it was written first.

use std::cell::Cell;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};
use thalweg_engine::{EngineError, FindEach, Found, Predicate, Record, Test, integer_of};
use thalweg_model::{ErrorClass, ErrorCode, Kind, Value, ValueRef};
use thalweg_schema_infer::RelationKey;

use super::{Nulled, PageFound, Path, Renderer, Source};
use crate::bind::{Bound, BoundList};
use crate::cost;
use crate::failure::Refusal;
use crate::ordered::NoPage;
use crate::plan::related::{BackSelection, IdKind, NamedSelection};
use crate::plan::selection::{DocumentSelection, Target};
use crate::related_keys::{Key, Named, key_of, load};

/// What was loaded for one selection.
#[derive(Default)]
pub(super) struct Store<'a> {
    /// The documents that are named, by key: the text of an id, or the encoded value of a field.
    found: FxHashMap<Box<[u8]>, Rc<Loaded<'a>>>,
    /// The pages of documents that name one, by its id.
    pages: FxHashMap<Box<str>, Rc<Found<'a>>>,
    /// How many documents they may have.
    held: usize,
    /// Why pages could not be loaded.
    failure: Option<EngineError>,
}

/// What a key names.
struct Loaded<'a> {
    record: Option<Record<'a>>,
    /// Where in the response it was written last, and how often the response had been cut by then: what was written may
    /// be gone since.
    written: Cell<Option<(usize, usize, u64)>>,
}

/// How many documents are kept for one selection. Beyond that they are loaded anew.
const LOADED_MAX: usize = 10_000;
/// How many documents the pages of one selection have at most that are loaded together.
const AHEAD_MAX: usize = 50_000;

impl<'a> Renderer<'a> {
    /// Loads what the documents of a page name and what names them, as far as it is selected.
    pub(crate) fn load<'r, 's: 'r>(
        &mut self,
        selection: &DocumentSelection,
        rows: impl Iterator<Item = &'r Record<'s>>,
    ) {
        if !selection.named.is_empty() || !selection.backs.is_empty() {
            self.load_related(selection, &rows.collect::<Vec<_>>());
        }
    }

    fn load_related(&mut self, selection: &DocumentSelection, rows: &[&Record<'_>]) {
        for named in &selection.named {
            let mut keys: Vec<Key> = Vec::new();
            for row in rows {
                if let Some(value) = row.document().at(&named.path) {
                    keys.extend(named.values(value).filter_map(|it| key_of(&named.key, it)));
                }
            }
            self.load_keys(named, keys);
        }
        for back in &selection.backs {
            self.load_pages(back, rows);
        }
    }

    /// For how many rows at a time that is done: all, unless what names them is too much.
    pub(super) fn rows_ahead(&self, selection: &DocumentSelection) -> usize {
        let lists = selection.backs.iter().filter_map(|back| self.bound(back));
        let rows = lists.map(|(_, list)| AHEAD_MAX / list.find.limit.saturating_add(1));
        rows.min().map_or(usize::MAX, |rows| rows.max(1))
    }

    /// The arguments of a way back.
    fn bound(&self, back: &BackSelection) -> Option<(Source<'a>, &'a BoundList)> {
        let source = self.source?;
        match source.inner.get(back.inner)? {
            Bound::List(list) => Some((source, list)),
            _ => None,
        }
    }

    fn load_pages(&mut self, back: &BackSelection, rows: &[&Record<'_>]) {
        let Some((source, list)) = self.bound(back) else {
            return;
        };
        if list.joined.is_some() {
            return;
        }
        if self.stores.len() <= back.store {
            self.stores.resize_with(back.store + 1, Store::default);
        }
        let pages = &mut self.stores[back.store].pages;
        let (mut ids, mut each) = (Vec::new(), Vec::new());
        let mut seen = FxHashSet::default();
        for row in rows {
            if !pages.contains_key(row.id()) && seen.insert(row.id()) {
                ids.push(row.id());
                each.push(back.names(row).unwrap_or(Predicate::Or(Vec::new())));
            }
        }
        let documents_max = ids.len().saturating_mul(list.find.limit.saturating_add(1));
        // Too many to hold at once: each page is loaded where it is shown.
        if ids.is_empty() || (documents_max > AHEAD_MAX && ids.len() > 1) {
            return;
        }
        let store = &mut self.stores[back.store];
        store.held += documents_max;
        if store.held > 2 * AHEAD_MAX {
            store.pages.clear();
            store.held = documents_max;
        }
        let wanted = FindEach {
            find: list.find.clone(),
            field: back.field.clone(),
            each,
        };
        let found = match source.snapshot.find_each(&wanted) {
            Ok(found) => found,
            Err(error) => {
                if !source.snapshot.is_past() {
                    self.dependencies.merge(cost::dependencies(&list.find));
                }
                self.stores[back.store].failure = Some(error);
                return;
            }
        };
        let mut found: Vec<Rc<Found<'a>>> = found.into_iter().map(Rc::new).collect();
        for page in &mut found {
            let page = Rc::get_mut(page).expect("nobody else has it yet");
            self.dependencies
                .merge(std::mem::take(&mut page.dependencies));
        }
        for selection in back.selection.documents() {
            self.load(selection, found.iter().flat_map(|page| page.rows.iter()));
        }
        let pages = &mut self.stores[back.store].pages;
        pages.extend(ids.into_iter().map(Box::from).zip(found));
    }

    fn load_keys(&mut self, named: &NamedSelection, mut keys: Vec<Key>) {
        let Some(Source { snapshot, .. }) = self.source else {
            return;
        };
        if self.stores.len() <= named.store {
            self.stores.resize_with(named.store + 1, Store::default);
        }
        let store = &mut self.stores[named.store];
        if store.found.len() > LOADED_MAX {
            store.found.clear();
        }
        if !store.found.is_empty() {
            keys.retain(|key| !store.found.contains_key(&key.bytes));
        }
        keys.sort_unstable_by(|one, two| one.bytes.cmp(&two.bytes));
        keys.dedup_by(|one, two| one.bytes == two.bytes);
        if keys.is_empty() {
            return;
        }
        let wanted = Named {
            target: named.target,
            key: &named.key,
            mask: &named.mask,
        };
        let loaded = load(snapshot, wanted, &keys, &mut self.dependencies);
        let records = match loaded {
            Ok(records) => records,
            Err(error) => {
                self.store_error = Some(error);
                return;
            }
        };
        self.load(&named.selection, records.iter().flatten());
        let store = &mut self.stores[named.store];
        for (key, record) in keys.into_iter().zip(records) {
            let found = Loaded {
                record,
                written: Cell::new(None),
            };
            store.found.insert(key.bytes, Rc::new(found));
        }
    }

    /// What the field of an object names: a document, or a list of documents with null where there is none.
    pub(super) fn named(
        &mut self,
        named: &NamedSelection,
        object: ValueRef<'_>,
        target: &Target,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let value = object.get_hinted(&named.name, &mut self.hints[named.slot]);
        let Some(value) = value.filter(|value| !value.is_null()) else {
            self.null();
            return Ok(());
        };
        let is_list = value.kind() == Kind::List;
        if is_list != named.is_list || value.kind() == Kind::Object {
            let message = if named.is_list {
                "the stored value is no list of keys, so it names no documents; _json has it as it is"
            } else {
                "the stored value is no key, so it names no document; _json has it as it is"
            };
            return Err(self.refuse(ErrorCode::TypeDrift, message, path, target.location));
        }
        if !named.is_list {
            return self.one(named, value, target, path);
        }
        self.list(value.items(), path, |renderer, value, path| {
            let start = renderer.out.len();
            let written = renderer.one(named, value, target, path);
            renderer.settle(written, start, false)
        })
    }

    fn one(
        &mut self,
        named: &NamedSelection,
        value: ValueRef<'_>,
        target: &Target,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let Some(key) = key_of(&named.key, value) else {
            self.null();
            return Ok(());
        };
        let found = match self.loaded(named, &key.bytes) {
            Some(found) => found,
            None => {
                // Nobody loaded it with others.
                let bytes = key.bytes.clone();
                self.load_keys(named, vec![key]);
                match self.loaded(named, &bytes) {
                    Some(found) => found,
                    None => return Err(self.refuse_unread(path, target)),
                }
            }
        };
        let Some(record) = &found.record else {
            self.null();
            return Ok(());
        };
        if let Some((start, end, cuts)) = found.written.get()
            && cuts == self.cuts
        {
            self.out.extend_from_within(start..end);
            return Ok(());
        }
        let (start, errors) = (self.out.len(), self.errors.len() + self.hidden_errors);
        self.document(&named.selection, named.target, record, path)?;
        // Errors are told at each place.
        if errors == self.errors.len() + self.hidden_errors {
            found.written.set(Some((start, self.out.len(), self.cuts)));
        }
        Ok(())
    }

    fn loaded(&self, named: &NamedSelection, key: &[u8]) -> Option<Rc<Loaded<'a>>> {
        self.stores.get(named.store)?.found.get(key).cloned()
    }

    fn refuse_unread(&mut self, path: &Path<'_>, target: &Target) -> Nulled {
        let (code, message) = match &self.store_error {
            Some(error) => (error.code(), error.to_string()),
            None => (
                ErrorCode::Internal,
                "there is nothing to read related documents from here".to_owned(),
            ),
        };
        self.refuse(code, message, path, target.location)
    }

    /// The documents whose field names a document, in pages.
    pub(super) fn back(
        &mut self,
        back: &BackSelection,
        record: &Record<'_>,
        target: &Target,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let Some((source, list)) = self.bound(back) else {
            let bound = self.source.and_then(|source| source.inner.get(back.inner));
            let Some(Bound::Refused(refusals)) = bound else {
                return Err(self.refuse_unread(path, target));
            };
            for refusal in refusals {
                self.refuse(refusal.code, &*refusal.message, path, target.location);
            }
            return Err(Nulled);
        };
        let mut positions = None;
        let found = match list.joined {
            None => self.page(back, record),
            Some(_) => {
                // These are sorted in memory, each by itself.
                let own = back.names(record).unwrap_or(Predicate::Or(Vec::new()));
                let find = FindEach::one_of(&list.find, &own);
                let found = list.found(source.snapshot, &find, &mut self.dependencies);
                found.map(|(mut found, placed)| {
                    positions = placed;
                    self.dependencies
                        .merge(std::mem::take(&mut found.dependencies));
                    Rc::new(found)
                })
            }
        };
        let found = match found {
            Ok(found) => found,
            Err(NoPage::Refused(refusal)) => {
                return Err(self.refuse(refusal.code, &*refusal.message, path, target.location));
            }
            Err(NoPage::Store(error)) => {
                let (code, message) = (error.code(), error.to_string());
                if error.class() != ErrorClass::Caller {
                    self.store_error = Some(error);
                }
                return Err(self.refuse(code, message, path, target.location));
            }
        };
        let page = PageFound {
            collection: back.source,
            found: &found,
            order: &list.find.order,
            fingerprint: list.fingerprint,
            positions: positions.as_ref(),
        };
        self.connection(&back.selection, &page, path)
    }

    /// The page of documents that name this one.
    fn page(&mut self, back: &BackSelection, record: &Record<'_>) -> Result<Rc<Found<'a>>, NoPage> {
        let loaded = |renderer: &Self| {
            let store = renderer.stores.get(back.store);
            store.and_then(|store| store.pages.get(record.id()).cloned())
        };
        if let Some(found) = loaded(self) {
            return Ok(found);
        }
        let failure = |renderer: &Self| renderer.stores.get(back.store)?.failure.clone();
        if failure(self).is_none() {
            // Nobody loaded it with others.
            self.load_pages(back, &[record]);
        }
        match (loaded(self), failure(self)) {
            (Some(found), _) => Ok(found),
            (None, Some(error)) => Err(NoPage::Store(error)),
            (None, None) => Err(NoPage::Refused(Refusal::new(
                ErrorCode::Internal,
                "there is nothing to read related documents from here",
            ))),
        }
    }
}

impl NamedSelection {
    /// The values that name documents, where the field holds this.
    fn values<'v>(&self, value: ValueRef<'v>) -> impl Iterator<Item = ValueRef<'v>> {
        let items = self.is_list.then(|| value.items());
        let single = (!self.is_list).then_some(value);
        single.into_iter().chain(items.into_iter().flatten())
    }
}

impl BackSelection {
    /// What the documents that name this one satisfy; `None` where there is nothing to name it by.
    fn names(&self, record: &Record<'_>) -> Option<Predicate> {
        let test = match &self.key {
            RelationKey::Id => id_test(record.id(), self.ids)?,
            RelationKey::Field(path) => {
                let value = record.document().at(path)?;
                if matches!(value.kind(), Kind::Null | Kind::List | Kind::Object) {
                    return None;
                }
                Test::Eq(value.to_value())
            }
        };
        let test = if self.is_list {
            Test::ItemSome(Box::new(test))
        } else {
            test
        };
        Some(Predicate::Field(self.field.clone(), test))
    }
}

/// Whether a value names the document of an id: its text, or the integer of that text. `None` where none can.
fn id_test(id: &str, ids: IdKind) -> Option<Test> {
    let text = Value::string(id);
    let integer = integer_of(id);
    match (ids, integer) {
        (IdKind::Texts, _) | (IdKind::Either, None) => Some(Test::Eq(text)),
        (IdKind::Integers, integer) => integer.map(Test::Eq),
        (IdKind::Either, Some(integer)) => Some(Test::In(vec![text, integer])),
    }
}

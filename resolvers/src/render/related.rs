//! Related documents.
//!
//! The documents that a page names are loaded level by level before any of it is written: the keys of all rows
//! together, each once, then the keys in what was found, and so on. So how often the store is asked does not depend on
//! how many rows there are. A document that occurs again in a response is copied from where it was written first.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_engine::{Find, Predicate, Record, Test, integer_of};
use thalweg_model::{ErrorClass, ErrorCode, Kind, Value, ValueRef};
use thalweg_schema_infer::RelationKey;

use super::{Nulled, PageFound, Path, Renderer, Source};
use crate::bind::Bound;
use crate::ordered::NoPage;
use crate::plan::related::{BackSelection, IdKind, NamedSelection};
use crate::plan::selection::{DocumentSelection, Target};
use crate::related_keys::{Key, Named, key_of, load};

/// The documents that were loaded for one selection, by key: the text of an id, or the encoded value of a field.
#[derive(Default)]
pub(super) struct Store<'a> {
    found: FxHashMap<Box<[u8]>, Rc<Loaded<'a>>>,
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
impl<'a> Renderer<'a> {
    /// Loads what the documents of a page name, as far as it is selected.
    pub(crate) fn load<'r, 's: 'r>(
        &mut self,
        selection: &DocumentSelection,
        rows: &(impl Iterator<Item = &'r Record<'s>> + Clone),
    ) {
        for named in &selection.named {
            let mut keys: Vec<Key> = Vec::new();
            for row in rows.clone() {
                if let Some(value) = row.document().at(&named.path) {
                    keys.extend(named.values(value).filter_map(|it| key_of(&named.key, it)));
                }
            }
            self.load_keys(named, keys);
        }
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
        self.load(&named.selection, &records.iter().flatten());
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
        let bound = self
            .source
            .and_then(|source| Some((source, source.inner.get(back.inner)?)));
        let (source, list) = match bound {
            Some((source, Bound::List(list))) => (source, list),
            Some((_, Bound::Refused(refusals))) => {
                for refusal in refusals {
                    self.refuse(refusal.code, &*refusal.message, path, target.location);
                }
                return Err(Nulled);
            }
            _ => return Err(self.refuse_unread(path, target)),
        };
        let names_it = back.names(record);
        let filter = match &*list.find.filter {
            _ if names_it.is_none() => Predicate::Or(Vec::new()),
            Predicate::True => names_it.unwrap_or_default(),
            filter => Predicate::And(names_it.into_iter().chain([filter.clone()]).collect()),
        };
        let find = Find {
            filter: Arc::new(filter),
            ..list.find.clone()
        };
        let (mut found, positions) =
            match list.found(source.snapshot, &find, &mut self.dependencies) {
                Ok(found) => found,
                Err(NoPage::Refused(refusal)) => {
                    return Err(self.refuse(
                        refusal.code,
                        &*refusal.message,
                        path,
                        target.location,
                    ));
                }
                Err(NoPage::Store(error)) => {
                    let (code, message) = (error.code(), error.to_string());
                    if error.class() != ErrorClass::Caller {
                        self.store_error = Some(error);
                    }
                    return Err(self.refuse(code, message, path, target.location));
                }
            };
        self.dependencies
            .merge(std::mem::take(&mut found.dependencies));
        let page = PageFound {
            collection: back.source,
            found: &found,
            order: &find.order,
            fingerprint: list.fingerprint,
            positions: positions.as_ref(),
        };
        self.connection(&back.selection, &page, path)
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

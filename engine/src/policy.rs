//! Referential policies: what a declared relation says of the documents that name one which goes.
//!
//! The catalog has them by the collection whose documents are named; a draft carries them out (`draft/policies.rs`).

use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_model::{CollectionId, DocumentId, FieldPath, Kind, PatchOperation, Value, ValueRef};
use thalweg_schema_infer::{OnDelete, RelationKey};

use crate::catalog::Collection;
use crate::field::FieldRef;
use crate::join::integer_of;
use crate::predicate::{Predicate, Test};
use crate::record::Record;

/// What becomes of documents of one collection when those go that they name by one field.
#[derive(Debug, PartialEq)]
pub(crate) struct Policy {
    /// The collection of the documents that name others.
    pub(crate) source: CollectionId,
    /// The field by which they do.
    pub(crate) field: FieldPath,
    /// Whether it holds a list of names.
    pub(crate) is_list: bool,
    /// What the names are of those others.
    pub(crate) key: RelationKey,
    /// Never [`OnDelete::NoAction`].
    pub(crate) on_delete: OnDelete,
}

/// The policies of all collections, by the collection whose documents are named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policies {
    by_target: FxHashMap<CollectionId, Arc<[Arc<Policy>]>>,
}

impl Policies {
    /// Those about the documents that name some of a collection.
    pub(crate) fn about(&self, target: CollectionId) -> &[Arc<Policy>] {
        self.by_target.get(&target).map_or(&[], |policies| policies)
    }

    /// The same, to be kept while the catalog changes.
    pub(crate) fn shared_about(&self, target: CollectionId) -> Arc<[Arc<Policy>]> {
        let known = self.by_target.get(&target);
        known.map_or_else(|| Arc::from([]), Arc::clone)
    }

    /// Takes the relations of a collection in, in the place of those that it had.
    pub(crate) fn replace(&mut self, collection: &Collection) {
        self.forget(collection.id);
        for relation in &collection.stored_relations.list {
            if relation.on_delete == OnDelete::NoAction {
                continue;
            }
            let policy = Arc::new(Policy {
                source: collection.id,
                field: relation.field.clone(),
                is_list: relation.is_list,
                key: relation.key.clone(),
                on_delete: relation.on_delete,
            });
            let known = self.shared_about(relation.target);
            let all = known.iter().cloned().chain([policy]).collect();
            self.by_target.insert(relation.target, all);
        }
    }

    /// Forgets the relations of a collection.
    pub(crate) fn forget(&mut self, source: CollectionId) {
        self.by_target.retain(|_, policies| {
            if policies.iter().any(|policy| policy.source == source) {
                let others = policies.iter().filter(|policy| policy.source != source);
                *policies = others.cloned().collect();
            }
            !policies.is_empty()
        });
    }
}

impl Policy {
    /// By what a document is named: nothing where it has no name. An id may be stored as text or as a number.
    pub(crate) fn names_of(&self, record: &Record<'_>) -> Vec<Value> {
        match &self.key {
            RelationKey::Id => names_of_id(record.id()),
            RelationKey::Field(path) => {
                let value = record.document().at(path).filter(|value| is_name(*value));
                value.map(ValueRef::to_value).into_iter().collect()
            }
        }
    }

    /// What a document of the source names.
    pub(crate) fn named_by(&self, record: &Record<'_>) -> Vec<Value> {
        let Some(value) = record.document().at(&self.field) else {
            return Vec::new();
        };
        match self.is_list {
            true if value.kind() == Kind::List => value
                .items()
                .filter(|item| is_name(*item))
                .map(ValueRef::to_value)
                .collect(),
            false if is_name(value) => vec![value.to_value()],
            _ => Vec::new(),
        }
    }

    /// That a document names one of these.
    pub(crate) fn naming(&self, names: Vec<Value>) -> Predicate {
        let test = Test::In(names);
        let test = match self.is_list {
            true => Test::ItemSome(Box::new(test)),
            false => test,
        };
        Predicate::Field(FieldRef::Path(self.field.clone()), test)
    }

    /// That a document names anything.
    pub(crate) fn naming_any(&self) -> Predicate {
        let test = match self.is_list {
            true => Test::ItemSome(Box::new(Test::IsNull(false))),
            false => Test::IsNull(false),
        };
        Predicate::Field(FieldRef::Path(self.field.clone()), test)
    }

    /// What makes a document name these no longer.
    pub(crate) fn unname(&self, names: Vec<Value>) -> PatchOperation {
        let path = self.field.clone();
        match self.is_list {
            true => PatchOperation::Pull {
                path,
                values: names,
            },
            false => PatchOperation::Set {
                path,
                value: Value::null(),
            },
        }
    }

    /// That a document of the target has one of these names; `None` where names are ids.
    pub(crate) fn named(&self, names: Vec<Value>) -> Option<Predicate> {
        match &self.key {
            RelationKey::Id => None,
            RelationKey::Field(path) => {
                let field = FieldRef::Path(path.clone());
                Some(Predicate::Field(field, Test::In(names)))
            }
        }
    }
}

/// The stored forms that name a document by its id.
fn names_of_id(id: &str) -> Vec<Value> {
    let text = Value::string(id);
    [text].into_iter().chain(integer_of(id)).collect()
}

/// The id that a stored value names.
pub(crate) fn id_of_name(name: &Value) -> Option<DocumentId> {
    DocumentId::from_value(name.as_ref())?.ok()
}

/// Whether a value can name a document.
fn is_name(value: ValueRef<'_>) -> bool {
    !matches!(value.kind(), Kind::Null | Kind::List | Kind::Object)
}

//! The workload's reads and writes, as the engine takes them.

use std::sync::Arc;

use thalweg_engine::{
    CollectionRef, Comparison, DeclaredRelation, ExpiryChange, FieldRef, Find, Intent, OrderKey,
    Position, Predicate, Test,
};
use thalweg_model::{CollectionId, DocumentId, Patch, PatchOperation, Value};
use thalweg_schema_infer::{OnDelete, RelationKey};

use crate::document::{Collection, Field, Item, Members};
use crate::plan::{Change, Filter, Query, Write};

use super::Collections;

pub(super) fn document_id(id: &str) -> DocumentId {
    DocumentId::new(id).expect("the workload's ids are short and not empty")
}

/// What becomes of pets when owners go.
pub(super) fn policies() -> Intent {
    let relations = [
        (Field::Owner, OnDelete::Cascade),
        (Field::Friend, OnDelete::SetNull),
        (Field::Warden, OnDelete::Restrict),
    ];
    let relations = relations.map(|(field, on_delete)| DeclaredRelation {
        field: field.path(),
        is_list: false,
        target: Arc::from(Collection::Owners.name()),
        key: RelationKey::Id,
        name: None,
        inverse: None,
        on_delete,
        is_indexed: true,
    });
    Intent::Relate {
        collection: CollectionRef::Name {
            name: Arc::from(Collection::Pets.name()),
            create: false,
        },
        relations: relations.into(),
        refused: Vec::new(),
    }
}

pub(super) fn intent(write: &Write, collections: Collections) -> Intent {
    let named = |collection: Collection| match collections.lasting(collection) {
        Some(id) => CollectionRef::Id(id),
        None => CollectionRef::Name {
            name: Arc::from(collection.name()),
            create: true,
        },
    };
    match write {
        Write::Create(collection, id, members) => Intent::Create {
            collection: named(*collection),
            id: Some(document_id(id)),
            document: members.to_document(),
            expiry: ExpiryChange::KEEP,
        },
        Write::Put(collection, id, members) => Intent::Put {
            collection: named(*collection),
            id: Some(document_id(id)),
            document: members.to_document(),
            expiry: ExpiryChange::KEEP,
        },
        Write::Replace(collection, id, members, if_version) => Intent::Replace {
            collection: collections.id(*collection),
            id: document_id(id),
            document: members.to_document(),
            if_version: *if_version,
            expiry: ExpiryChange::KEEP,
        },
        Write::Patch {
            collection,
            id,
            changes,
            if_version,
            otherwise,
        } => Intent::Patch {
            collection: collections.id(*collection),
            id: document_id(id),
            patch: Patch {
                operations: changes.iter().map(operation).collect(),
            },
            if_version: *if_version,
            otherwise: otherwise.as_ref().map(Members::to_document),
            expiry: ExpiryChange::KEEP,
        },
        Write::Delete {
            collection,
            id,
            permanent,
            if_version,
        } => Intent::Delete {
            collection: collections.id(*collection),
            id: document_id(id),
            permanent: *permanent,
            if_version: *if_version,
            purge_at: None,
        },
        Write::Restore(collection, id) => Intent::Restore {
            collection: collections.id(*collection),
            id: document_id(id),
            to: None,
        },
        Write::Truncate(collection) => Intent::TruncateCollection {
            name: Arc::from(collection.name()),
        },
        Write::Drop(collection) => Intent::DropCollection {
            name: Arc::from(collection.name()),
        },
    }
}

fn operation(change: &Change) -> PatchOperation {
    let one = |item: &i64| vec![Value::int(*item)];
    match change {
        Change::Set(field, item) => PatchOperation::Set {
            path: field.path(),
            value: item.to_value(),
        },
        Change::Remove(field) => PatchOperation::Remove { path: field.path() },
        Change::Add(field, by) => PatchOperation::Increment {
            path: field.path(),
            by: Value::int(*by),
        },
        Change::Push(field, item) => PatchOperation::Push {
            path: field.path(),
            values: one(item),
        },
        Change::AddToSet(field, item) => PatchOperation::AddToSet {
            path: field.path(),
            values: one(item),
        },
        Change::Pull(field, item) => PatchOperation::Pull {
            path: field.path(),
            values: one(item),
        },
    }
}

pub(super) fn find(query: &Query, collection: CollectionId) -> Find {
    let order = query.order.iter().map(|(field, descending)| OrderKey {
        field: stored(*field),
        descending: *descending,
        instant: false,
    });
    let position = |id: &Option<String>| {
        let id = id.as_ref()?;
        Some(Position::from_bytes(id.as_bytes().to_vec()))
    };
    Find {
        collection,
        filter: Arc::new(predicate(&query.filter)),
        deleted: query.deleted,
        order: order.collect(),
        after: position(&query.after),
        before: position(&query.before),
        offset: query.offset,
        limit: query.limit,
        from_end: query.from_end,
        count_total: query.total,
        read: query.look.mask(),
    }
}

fn stored(field: Field) -> FieldRef {
    FieldRef::Path(field.path())
}

fn predicate(filter: &Filter) -> Predicate {
    let compare = |field: Field, comparison, number| {
        Predicate::Field(stored(field), Test::Compare(comparison, Value::int(number)))
    };
    match filter {
        Filter::All => Predicate::True,
        Filter::Equals(field, item) => Predicate::Field(stored(*field), Test::Eq(item.to_value())),
        Filter::AtLeast(field, least) => compare(*field, Comparison::GreaterOrEqual, *least),
        Filter::Below(field, end) => compare(*field, Comparison::Less, *end),
        Filter::Holds(field, item) => {
            let holds = Test::Eq(Item::Int(*item).to_value());
            Predicate::Field(stored(*field), Test::ItemSome(Box::new(holds)))
        }
        Filter::Not(other) => Predicate::Not(Box::new(predicate(other))),
        Filter::Both(both) => Predicate::And(vec![predicate(&both.0), predicate(&both.1)]),
    }
}

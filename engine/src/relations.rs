//! How the documents of a collection name those of others: what is kept of that with the collection.
//!
//! A relation is declared, or found in the documents ([`detect`]). Its names are given when the group ends that brings
//! it, like all names ([`name_relations`]); what is made of it in the API is `schema-infer`'s.

mod detect;
mod watch;

use std::sync::Arc;

use thalweg_model::{CollectionId, FieldPath, ValueRef, write_json_string};
use thalweg_schema_infer::{
    NameRegistry, OnDelete, Relation, RelationKey, RelationNaming, RelationOrigin,
};

pub(crate) use detect::Looked;

use crate::catalog::{Catalog, Collection};
use crate::field::FieldRef;
use crate::index::{IndexDefinition, IndexField, ListItems};

/// How many relations the documents of a collection may have.
pub const RELATIONS_MAX: usize = 64;

/// What is stored of the relations of a collection.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StoredRelations {
    /// In the order in which they came.
    pub list: Vec<StoredRelation>,
    /// Fields that are declared to be no relations.
    pub refused: Vec<FieldPath>,
    /// How the collection was when it was last looked at for relations; `None` before that.
    pub looked_at: Option<LookedAt>,
}

/// How a collection was when it was looked at for relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LookedAt {
    /// How many documents it had.
    pub documents: u64,
    /// How many fields they had that could hold keys.
    pub fields: u64,
}

/// A relation as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRelation {
    /// The field that names documents.
    pub field: FieldPath,
    /// Whether it holds a list.
    pub is_list: bool,
    /// The collection whose documents it names.
    pub target: CollectionId,
    /// By what it names them.
    pub key: RelationKey,
    /// The name that was asked for beside the field.
    pub name: Option<Arc<str>>,
    /// The name that was asked for on the way back.
    pub inverse: Option<Arc<str>>,
    /// Where it comes from.
    pub origin: RelationOrigin,
    /// What becomes of documents when the one that they name goes.
    pub on_delete: OnDelete,
    /// Whether the database makes the indexes that it needs.
    pub is_indexed: bool,
    /// What was found in the documents, once it was looked at.
    pub evidence: Option<RelationEvidence>,
}

/// What speaks for a relation in the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationEvidence {
    /// How many documents had a value in the field.
    pub documents: u64,
    /// Of how many of them all values named a document.
    pub matching: u64,
    /// How many different values there were.
    pub distinct: u64,
    /// Whether only some of the documents were looked at.
    pub sampled: bool,
    /// When that was, in microseconds since the Unix epoch.
    pub at: u64,
}

/// A relation that is to be, as somebody declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredRelation {
    /// The field that names documents.
    pub field: FieldPath,
    /// Whether it holds a list.
    pub is_list: bool,
    /// The name of the collection whose documents it names.
    pub target: Arc<str>,
    /// By what it names them.
    pub key: RelationKey,
    /// The name beside the field, where it is not to be made up.
    pub name: Option<Arc<str>>,
    /// The name on the way back, likewise.
    pub inverse: Option<Arc<str>>,
    /// What becomes of documents when the one that they name goes.
    pub on_delete: OnDelete,
    /// Whether to make the indexes that it needs.
    pub is_indexed: bool,
}

impl StoredRelation {
    /// What a declaration comes to, with the evidence that there was for the same.
    pub(crate) fn declared(
        declared: &DeclaredRelation,
        target: CollectionId,
        before: &StoredRelations,
    ) -> StoredRelation {
        let same = |it: &&StoredRelation| {
            (&it.field, it.target, &it.key) == (&declared.field, target, &declared.key)
        };
        let evidence = before.list.iter().find(same).and_then(|it| it.evidence);
        StoredRelation {
            field: declared.field.clone(),
            is_list: declared.is_list,
            target,
            key: declared.key.clone(),
            name: declared.name.clone(),
            inverse: declared.inverse.clone(),
            origin: RelationOrigin::Declared,
            on_delete: declared.on_delete,
            is_indexed: declared.is_indexed,
            evidence,
        }
    }

    /// The index over the field, by which the documents that name one are found.
    pub(crate) fn source_index(&self) -> IndexField {
        IndexField {
            field: FieldRef::Path(self.field.clone()),
            items: self.is_list.then_some(ListItems::Whole),
            descending: false,
            instant: false,
        }
    }

    /// The index of the target by which those that are named are found; none is needed by id.
    pub(crate) fn target_index(&self) -> Option<IndexField> {
        match &self.key {
            RelationKey::Id => None,
            RelationKey::Field(path) => Some(IndexField {
                field: FieldRef::Path(path.clone()),
                items: None,
                descending: false,
                instant: false,
            }),
        }
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"field\":");
        write_path(&self.field, out);
        out.extend_from_slice(
            format!(",\"list\":{},\"target\":{}", self.is_list, self.target).as_bytes(),
        );
        if let RelationKey::Field(path) = &self.key {
            out.extend_from_slice(b",\"key\":");
            write_path(path, out);
        }
        for (member, text) in [("name", &self.name), ("inverse", &self.inverse)] {
            if let Some(text) = text {
                out.extend_from_slice(format!(",\"{member}\":").as_bytes());
                write_json_string(text, out);
            }
        }
        let rest = format!(
            ",\"origin\":\"{}\",\"onDelete\":\"{}\",\"index\":{}",
            self.origin.as_str(),
            self.on_delete.as_str(),
            self.is_indexed
        );
        out.extend_from_slice(rest.as_bytes());
        if let Some(evidence) = &self.evidence {
            let RelationEvidence {
                documents,
                matching,
                distinct,
                sampled,
                at,
            } = evidence;
            let evidence = format!(
                ",\"evidence\":{{\"documents\":{documents},\"matching\":{matching},\"distinct\":{distinct},\
                 \"sampled\":{sampled},\"at\":{at}}}"
            );
            out.extend_from_slice(evidence.as_bytes());
        }
        out.push(b'}');
    }

    fn from_stored(stored: ValueRef<'_>) -> Option<StoredRelation> {
        let text = |name| stored.get(name).and_then(ValueRef::as_str);
        let optional = |name| text(name).map(|text| Arc::from(&*text));
        Some(StoredRelation {
            field: read_path(stored.get("field")?)?,
            is_list: stored.get("list")?.as_bool()?,
            target: CollectionId(u32::try_from(stored.get("target")?.as_i64()?).ok()?),
            key: match stored.get("key") {
                None => RelationKey::Id,
                Some(path) => RelationKey::Field(read_path(path)?),
            },
            name: optional("name"),
            inverse: optional("inverse"),
            origin: match &*text("origin")? {
                "DECLARED" => RelationOrigin::Declared,
                "DETECTED" => RelationOrigin::Detected,
                _ => return None,
            },
            on_delete: OnDelete::from_name(&text("onDelete")?)?,
            is_indexed: stored.get("index")?.as_bool()?,
            evidence: match stored.get("evidence") {
                None => None,
                Some(evidence) => {
                    let number = |name| u64::try_from(evidence.get(name)?.as_i64()?).ok();
                    Some(RelationEvidence {
                        documents: number("documents")?,
                        matching: number("matching")?,
                        distinct: number("distinct")?,
                        sampled: evidence.get("sampled")?.as_bool()?,
                        at: number("at")?,
                    })
                }
            },
        })
    }
}

impl StoredRelations {
    /// Appends what is stored of them as members of the collection's document.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        if !self.list.is_empty() {
            out.extend_from_slice(b",\"relations\":");
            write_list(&self.list, out, StoredRelation::write_json);
        }
        if !self.refused.is_empty() {
            out.extend_from_slice(b",\"refusedRelations\":");
            write_list(&self.refused, out, write_path);
        }
        if let Some(LookedAt { documents, fields }) = self.looked_at {
            let looked_at =
                format!(",\"relationsLookedAt\":{{\"documents\":{documents},\"fields\":{fields}}}");
            out.extend_from_slice(looked_at.as_bytes());
        }
    }

    /// What was stored, nothing by a version without relations; `None` of what cannot be read.
    pub(crate) fn from_document(document: ValueRef<'_>) -> Option<StoredRelations> {
        let items = |name| document.get(name).into_iter().flat_map(ValueRef::items);
        let looked_at = document.get("relationsLookedAt");
        Some(StoredRelations {
            list: items("relations")
                .map(StoredRelation::from_stored)
                .collect::<Option<_>>()?,
            refused: items("refusedRelations")
                .map(read_path)
                .collect::<Option<_>>()?,
            looked_at: match looked_at {
                None => None,
                Some(looked_at) => {
                    let number = |name| u64::try_from(looked_at.get(name)?.as_i64()?).ok();
                    Some(LookedAt {
                        documents: number("documents")?,
                        fields: number("fields")?,
                    })
                }
            },
        })
    }

    /// Whether a field is one, or declared to be none.
    pub(crate) fn knows(&self, field: &FieldPath) -> bool {
        self.refused.contains(field) || self.list.iter().any(|it| it.field == *field)
    }
}

fn write_list<T>(items: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

fn write_path(path: &FieldPath, out: &mut Vec<u8>) {
    write_list(path.segments(), out, |name, out| {
        write_json_string(name, out);
    });
}

fn read_path(stored: ValueRef<'_>) -> Option<FieldPath> {
    let names: Option<Vec<Arc<str>>> = stored
        .items()
        .map(|name| Some(Arc::from(&*name.as_str()?)))
        .collect();
    FieldPath::new(names?)
}

/// Gives the relations of all collections their names, in the order in which the collections were created. Whether the
/// API fields of any collection changed.
pub(crate) fn name_relations(catalog: &mut Catalog, names: &mut NameRegistry) -> bool {
    let mut changed: Vec<Collection> = Vec::new();
    for collection in catalog.collections() {
        let stored = &collection.stored_relations.list;
        if stored.is_empty() && collection.relations.is_empty() {
            continue;
        }
        let mut relations: Vec<Arc<Relation>> = Vec::with_capacity(stored.len());
        for relation in stored {
            let Some(target) = catalog.by_id(relation.target) else {
                continue;
            };
            let naming = RelationNaming {
                source: &collection.name,
                target: &target.name,
                field: &relation.field,
                is_list: relation.is_list,
                name: relation.name.as_deref(),
                inverse: relation.inverse.as_deref(),
            };
            if let Some((name, inverse)) = names.relation(&naming) {
                relations.push(Arc::new(Relation {
                    field: relation.field.clone(),
                    is_list: relation.is_list,
                    target: relation.target,
                    key: relation.key.clone(),
                    name,
                    inverse,
                    origin: relation.origin,
                    on_delete: relation.on_delete,
                }));
            }
        }
        if *relations != *collection.relations {
            changed.push(Collection {
                relations: relations.into(),
                ..(**collection).clone()
            });
        }
    }
    let has_changed = !changed.is_empty();
    for collection in changed {
        catalog.insert(collection);
    }
    has_changed
}

/// The indexes that the database makes of a collection by itself, for what its documents name and for what names them.
pub(crate) fn needed_indexes(catalog: &Catalog, collection: &Collection) -> Vec<IndexDefinition> {
    let mut needed: Vec<IndexDefinition> = Vec::new();
    let mut add = |field: IndexField| {
        let definition = IndexDefinition {
            fields: vec![field],
            unique: false,
        };
        if definition.check().is_ok() && !needed.contains(&definition) {
            needed.push(definition);
        }
    };
    let indexed = |relation: &&StoredRelation| relation.is_indexed;
    for relation in collection.stored_relations.list.iter().filter(indexed) {
        add(relation.source_index());
    }
    for other in catalog.collections() {
        for relation in other.stored_relations.list.iter().filter(indexed) {
            if relation.target == collection.id
                && let Some(field) = relation.target_index()
            {
                add(field);
            }
        }
    }
    needed
}

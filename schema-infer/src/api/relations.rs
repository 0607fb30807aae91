//! Relations as fields of the types: beside the stored fields, and on the way back.

use std::collections::HashMap;
use std::sync::Arc;

use thalweg_model::CollectionId;

use super::ApiCollection;
use super::ids::IdNames;
use super::sdl::Related;
use super::writer::{Body, Writer};
use crate::names::CollectionNames;
use crate::relation::Relation;
use crate::types::{FieldType, ObjectType};

/// A relation as a field of one of the types that it connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The field's name.
    pub name: String,
    /// The relation.
    pub relation: Arc<Relation>,
    /// The collection whose documents name others: an index into the collections of the API schema.
    pub source: usize,
    /// The collection of the others, likewise.
    pub target: usize,
    /// Which way the field leads.
    pub way: Way,
}

/// Which way a relation is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// To the document that the stored field names.
    One,
    /// To the documents that the stored field lists, in its order.
    Many,
    /// To the documents whose field names this one.
    Back,
}

impl Link {
    /// The collection that the field leads to.
    pub fn leads_to(&self) -> usize {
        match self.way {
            Way::One | Way::Many => self.target,
            Way::Back => self.source,
        }
    }
}

/// The relations of all collections, by the types whose fields they are.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_type: HashMap<String, Vec<Link>>,
    /// By the type that they lead to.
    ways: HashMap<String, Ways>,
}

/// How the documents of a collection are led to: one at a time, several.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ways {
    pub(super) one: bool,
    pub(super) several: bool,
}

impl Links {
    pub(super) fn of(collections: &[ApiCollection], ids: IdNames) -> Links {
        let positions: HashMap<CollectionId, usize> = collections
            .iter()
            .enumerate()
            .map(|(position, collection)| (collection.id, position))
            .collect();
        let mut links = Links::default();
        for (source, collection) in collections.iter().enumerate() {
            for relation in collection.relations.iter() {
                // The object around the field may have become something else; then nothing stands beside the field.
                let beside = type_around(&collection.schema.object, relation);
                let target = positions.get(&relation.target).copied();
                let (Some(beside), Some(target)) = (beside, target) else {
                    continue;
                };
                let way = if relation.is_list {
                    Way::Many
                } else {
                    Way::One
                };
                let link = |name: &str, way| Link {
                    name: name.to_owned(),
                    relation: Arc::clone(relation),
                    source,
                    target,
                    way,
                };
                let target_type = &collections[target].schema.names.type_name;
                let to_target = links.ways.entry(target_type.clone()).or_default();
                to_target.one |= way == Way::One;
                to_target.several |= way == Way::Many;
                let source_type = &collection.schema.names.type_name;
                links.ways.entry(source_type.clone()).or_default().several = true;
                // Only documents have an id.
                let is_document = relation.field.segments().len() == 1;
                let own_id = is_document.then(|| collection.schema.own_id(ids));
                let own_id = own_id.as_deref().unwrap_or_default();
                links.add(beside, own_id, link(&relation.name, way));
                let back = &*collections[target].schema;
                let own_id = back.own_id(ids);
                links.add(&back.object, &own_id, link(&relation.inverse, Way::Back));
            }
        }
        links
    }

    /// Adds a field to a type. `rowId` has not always been reserved, so a relation may have the name that the documents'
    /// own id has; then the relation gives way.
    fn add(&mut self, object: &ObjectType, own_id: &str, mut link: Link) {
        let links = self.by_type.entry(object.name.clone()).or_default();
        let is_taken = |name: &String| {
            name == own_id
                || object.field(name).is_some()
                || links.iter().any(|other| other.name == *name)
        };
        while is_taken(&link.name) {
            link.name.push('_');
        }
        links.push(link);
    }

    /// How the documents of a collection are led to.
    pub(super) fn ways_to(&self, names: &CollectionNames) -> Ways {
        self.ways.get(&names.type_name).copied().unwrap_or_default()
    }

    pub(super) fn of_type(&self, type_name: &str) -> &[Link] {
        self.by_type
            .get(type_name)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Those of all types, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Link> {
        self.by_type.values().flatten()
    }

    pub(super) fn find(&self, type_name: &str, field: &str) -> Option<&Link> {
        let mut links = self.of_type(type_name).iter();
        links.find(|link| link.name == field)
    }
}

/// The type of the object that has a relation's field.
fn type_around<'o>(object: &'o ObjectType, relation: &Relation) -> Option<&'o ObjectType> {
    let (_, outer) = relation.field.segments().split_last()?;
    let mut around = object;
    for name in outer {
        let mut fields = around.fields.iter();
        let field = fields.find(|field| field.json_name == *name)?;
        let FieldType::Object(inner) = &field.ty else {
            return None;
        };
        around = inner;
    }
    Some(around)
}

/// Writes the relations of a type as its fields.
pub(super) fn write_fields(links: &[Link], collections: &[ApiCollection], body: &mut Body<'_>) {
    for link in links {
        let other: &CollectionNames = &collections[link.leads_to()].schema.names;
        let (collection, field) = (&other.collection, &link.relation.field);
        match link.way {
            Way::One => body.member(
                &format!("The document of `{collection}` that `{field}` names, null if there is none."),
                &[&link.name, ": ", &other.type_name],
            ),
            Way::Many => body.member(
                &format!(
                    "The documents of `{collection}` that `{field}` lists, null in the place of one that is not there."
                ),
                &[&link.name, ": [", &other.type_name, "]"],
            ),
            Way::Back => body.member(
                &format!("The documents of `{collection}` whose `{field}` names this one, in pages."),
                &[
                    &link.name,
                    "(filter: ",
                    &other.filter,
                    ", orderBy: [",
                    &other.order_by,
                    "!], first: Int, after: String, last: Int, before: String, offset: Int): ",
                    &other.connection,
                    "!",
                ],
            ),
        }
    }
}

/// Writes the keys of a type's order for the documents that its own name.
pub(super) fn write_order_fields(related: Related<'_>, type_name: &str, body: &mut Body<'_>) {
    for link in related.links.of_type(type_name) {
        if link.way == Way::One {
            let other = &related.collections[link.leads_to()].schema.names;
            body.plain(&[&link.name, ": ", &other.order_by]);
        }
    }
}

/// Writes the keys of a type's filter for the documents that its own are related to.
pub(super) fn write_filter_fields(related: Related<'_>, type_name: &str, body: &mut Body<'_>) {
    for link in related.links.of_type(type_name) {
        let other = &related.collections[link.leads_to()].schema.names;
        match link.way {
            Way::One => body.plain(&[&link.name, ": ", &other.reference_filter()]),
            Way::Many | Way::Back => body.plain(&[&link.name, ": ", &other.relation_filter()]),
        }
    }
}

/// The key of the filter of a document that another leads to; not where its documents have a field of that name.
pub(super) fn write_is_null(object: &ObjectType, body: &mut Body<'_>) {
    if object.field(IS_NULL).is_none() {
        body.member("There is no such document.", &[IS_NULL, ": Boolean"]);
    }
}

/// The key with which a filter asks whether there is such a document.
pub(super) const IS_NULL: &str = "isNull";

/// Writes the filter of documents that another leads to.
pub(super) fn write_relation_filter(names: &CollectionNames, writer: &mut Writer<'_>) {
    let name = names.relation_filter();
    writer.block(
        "What holds of the related documents.",
        &["input ", &name],
        |body| {
            body.member("One of them passes, at least.", &["some: ", &names.filter]);
            body.member(
                "All of them pass; true where there are none.",
                &["every: ", &names.filter],
            );
            body.member("None of them passes.", &["none: ", &names.filter]);
            body.member("How many they are.", &["length: IntFilter"]);
        },
    );
}

/// Writes the types that tell of relations.
pub(super) fn write_types(writer: &mut Writer<'_>) {
    writer.block(
        "A relation of a collection: what its documents name others by.",
        &["type CollectionRelation"],
        |body| {
            body.member("The field beside the stored one.", &["name: String!"]);
            body.member("The field of the target for the way back.", &["inverse: String!"]);
            body.member("The stored field, under its original names.", &["field: String!"]);
            body.member("Whether it holds a list.", &["list: Boolean!"]);
            body.member("The collection that it leads to.", &["target: String!"]);
            body.member("The field there whose values are named: `id`, or another.", &["targetField: String!"]);
            body.plain(&["origin: RelationOrigin!"]);
            body.plain(&["onDelete: OnDelete!"]);
            body.member(
                "What was found when the documents were last looked at for this, null where that has not been yet.",
                &["evidence: RelationEvidence"],
            );
        },
    );
    writer.block(
        "Where a relation comes from.",
        &["enum RelationOrigin"],
        |body| {
            body.plain(&["DECLARED"]);
            body.member("The documents were found to be so.", &["DETECTED"]);
        },
    );
    writer.block("", &["type RelationEvidence"], |body| {
        body.member(
            "How many documents had a value in the field.",
            &["documents: BigInt!"],
        );
        body.member(
            "Of how many of them every value named a document.",
            &["matching: BigInt!"],
        );
        body.member("Of how many some value named none.", &["dangling: BigInt!"]);
        body.member(
            "How many different values there were.",
            &["distinct: BigInt!"],
        );
        body.member(
            "`matching` of `documents`, from 0 to 1.",
            &["ratio: Float!"],
        );
        body.member(
            "Whether only some of the documents were looked at, because there are so many.",
            &["sampled: Boolean!"],
        );
        body.plain(&["at: DateTime!"]);
    });
    writer.block(
        "What becomes of the documents that name one which is deleted.",
        &["enum OnDelete"],
        |body| {
            body.member(
                "Nothing: they name a document that is not there.",
                &["NO_ACTION"],
            );
            body.member("They keep it from being deleted.", &["RESTRICT"]);
            body.member("They name nothing from then on.", &["SET_NULL"]);
            body.member("They are deleted too.", &["CASCADE"]);
        },
    );
}

/// Writes the directive that declares relations.
pub(super) fn write_directive(writer: &mut Writer<'_>) {
    writer.line(
        "A relation: the stored `field` (`tag_ids[]` for a list) names documents of the collection `to` by `references`. On a \
         field whose type is that of a collection, the field is the relation's name. `inverse` names the way back. \
         `none` says that a field is no relation.",
        "directive @relation(field: String, references: String = \"id\", to: String, name: String, inverse: String, \
         onDelete: OnDelete = NO_ACTION, index: Boolean = true, none: Boolean = false) repeatable on OBJECT | FIELD_DEFINITION",
    );
}

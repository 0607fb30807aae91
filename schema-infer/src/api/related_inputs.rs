//! Relations in inputs and patches: documents at the other end of them, to be connected or created.

use super::relations::{Link, Way};
use super::sdl::Related;
use super::writer::{Body, Writer};
use crate::names::CollectionNames;

/// Writes the relations of a collection's documents, or of objects in them, as fields of the input or the patch of those.
pub(super) fn write_fields(type_name: &str, related: Related<'_>, body: &mut Body<'_>) {
    for link in related.links.of_type(type_name) {
        let other = &related.collections[link.leads_to()].schema.names;
        let (collection, field) = (&other.collection, &link.relation.field);
        match link.way {
            Way::One => body.member(
                &format!(
                    "The document of `{collection}` that `{field}` is to name: null for none."
                ),
                &[&link.name, ": ", &other.type_name, "RelationInput"],
            ),
            Way::Many => body.member(
                &format!("The documents of `{collection}` that `{field}` is to list."),
                &[&link.name, ": [", &other.type_name, "RelationInput!]"],
            ),
            Way::Back => body.member(
                &format!("Documents of `{collection}` whose `{field}` is to name this one."),
                &[&link.name, ": ", &other.type_name, "RelationsInput"],
            ),
        }
    }
}

/// Writes the types of those fields, of the collections to which some lead.
pub(super) fn write_types(related: Related<'_>, writer: &mut Writer<'_>) {
    let (mut one, mut back) = (
        vec![false; related.collections.len()],
        vec![false; related.collections.len()],
    );
    for link in related.links.all() {
        mark(link, &mut one, &mut back);
    }
    for (position, collection) in related.collections.iter().enumerate() {
        let names = &collection.schema.names;
        if one[position] {
            write_one(names, writer);
        }
        if back[position] {
            write_back(names, writer);
        }
    }
}

fn mark(link: &Link, one: &mut [bool], back: &mut [bool]) {
    let leads_to = match link.way {
        Way::One | Way::Many => one,
        Way::Back => back,
    };
    leads_to[link.leads_to()] = true;
}

fn write_one(names: &CollectionNames, writer: &mut Writer<'_>) {
    let description = format!(
        "A document of `{}` at the other end of a relation: one of the two.",
        names.collection
    );
    let name = format!("input {}RelationInput", names.type_name);
    writer.block(&description, &[&name], |body| {
        body.member("The id of one that is there.", &["connect: ID"]);
        body.member("A new one.", &["create: ", &names.input]);
    });
}

fn write_back(names: &CollectionNames, writer: &mut Writer<'_>) {
    let description = format!(
        "Documents of `{}` at the other end of a relation; those that are there already stay.",
        names.collection
    );
    let name = format!("input {}RelationsInput", names.type_name);
    writer.block(&description, &[&name], |body| {
        body.member("The ids of ones that are there.", &["connect: [ID!]"]);
        body.member("New ones.", &["create: [", &names.input, "!]"]);
    });
}

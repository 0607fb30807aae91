//! The SDL of a whole database: roots, the types of each collection, and what all of them share.

use std::collections::HashMap;
use std::sync::Arc;

use super::bindings::SystemField;
use super::ids::IdNames;
use super::relations::{self, Link, Links};
use super::writer::{Body, Writer};
use super::{
    ApiCollection, aggregates, declared, evolution, filters, inputs, related_inputs, revisions,
    roots,
};
use crate::declared::CollectionMode;
use crate::names::is_system_collection;
use crate::types::{CollectionSchema, FieldType, MapType, ObjectType};

/// The text of a schema in parts: the roots, the definitions of each collection, and what all of them share.
#[derive(Debug)]
pub(super) struct Parts {
    roots: Arc<str>,
    collections: Vec<Arc<Part>>,
    shared: Arc<str>,
    taken: aggregates::Taken,
    ids: IdNames,
}

/// The definitions of one collection.
#[derive(Debug)]
struct Part {
    of: MadeOf,
    text: Arc<str>,
    /// Which shared types they refer to.
    shared: filters::Shared,
}

/// All that the definitions of a collection say: where it is the same, they are.
#[derive(Debug, PartialEq)]
struct MadeOf {
    schema: Arc<CollectionSchema>,
    mode: CollectionMode,
    directives: Arc<str>,
    /// The relations that are fields of its types, and the collections that they lead to. How others lead to it is in them:
    /// each relation that does has a way back.
    links: Vec<(Link, Names)>,
}

/// The names of a collection: two of the same names are alike.
#[derive(Debug)]
struct Names(Arc<CollectionSchema>);

impl PartialEq for Names {
    fn eq(&self, other: &Names) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.names == other.0.names
    }
}

impl MadeOf {
    fn new(collection: &ApiCollection, related: Related<'_>) -> MadeOf {
        let schema = &collection.schema;
        let nested = nested(&schema.object);
        let objects = nested.iter().filter_map(|nested| match nested.ty {
            NestedType::Object(object) => Some(&object.name),
            NestedType::Map(_) => None,
        });
        let types = std::iter::once(&schema.names.type_name).chain(objects);
        let links = types.flat_map(|name| related.links.of_type(name));
        MadeOf {
            schema: Arc::clone(schema),
            mode: collection.mode,
            directives: Arc::clone(&collection.directives),
            links: links
                .map(|link| {
                    let other = &related.collections[link.leads_to()].schema;
                    (link.clone(), Names(Arc::clone(other)))
                })
                .collect(),
        }
    }
}

impl Parts {
    /// Takes from an earlier text what is still the same.
    pub(super) fn new(
        collections: &[ApiCollection],
        links: &Links,
        taken: aggregates::Taken,
        ids: IdNames,
        previous: Option<&Parts>,
    ) -> Parts {
        let alike = previous.filter(|parts| parts.ids == ids && parts.taken == taken);
        let schemas: Vec<&CollectionSchema> = collections
            .iter()
            .map(|collection| &*collection.schema)
            .collect();
        let roots = text(previous.map(|parts| &parts.roots), |writer| {
            roots::write(&schemas, &taken, ids, writer);
        });
        let related = Related {
            links,
            collections,
            ids,
        };
        let known: HashMap<&str, &Arc<Part>> = alike
            .iter()
            .flat_map(|parts| &parts.collections)
            .map(|part| (part.of.schema.names.type_name.as_str(), part))
            .collect();
        let mut shared = filters::Shared::default();
        let parts: Vec<Arc<Part>> = collections
            .iter()
            .map(|collection| {
                let of = MadeOf::new(collection, related);
                let known = known.get(collection.schema.names.type_name.as_str());
                let part = match known {
                    Some(known) if known.of == of => Arc::clone(known),
                    _ => {
                        let mut shared = filters::Shared::default();
                        let text = text(None, |writer| {
                            write_collection(collection, related, &taken, &mut shared, writer);
                        });
                        Arc::new(Part { of, text, shared })
                    }
                };
                shared.add(&part.shared);
                part
            })
            .collect();
        let shared = text(previous.map(|parts| &parts.shared), |writer| {
            shared.write(writer);
            write_system_types(ids, writer);
            aggregates::write_shared(&taken, writer);
            declared::write_types(writer);
            related_inputs::write_types(related, writer);
            relations::write_types(writer);
            evolution::write_types(writer);
            write_scalars(writer);
            declared::write_directives(writer);
            relations::write_directive(writer);
        });
        Parts {
            roots,
            collections: parts,
            shared,
            taken,
            ids,
        }
    }

    pub(super) fn taken(&self) -> &aggregates::Taken {
        &self.taken
    }

    /// In the order of the text, in which an empty line is between them.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        let collections = self.collections.iter().map(|part| &part.text);
        let all = std::iter::once(&self.roots).chain(collections);
        all.chain([&self.shared])
    }

    /// The whole text.
    pub(super) fn to_text(&self) -> String {
        let mut whole = String::with_capacity(self.texts().map(|text| text.len() + 1).sum());
        for (number, text) in self.texts().enumerate() {
            whole.push_str(if number == 0 { "" } else { "\n" });
            whole.push_str(text);
        }
        whole
    }
}

/// What is written; an earlier text itself where that is the same.
fn text(earlier: Option<&Arc<str>>, write: impl FnOnce(&mut Writer<'_>)) -> Arc<str> {
    let mut text = String::new();
    write(&mut Writer::new(&mut text));
    match earlier {
        Some(earlier) if **earlier == *text => Arc::clone(earlier),
        _ => Arc::from(text),
    }
}

/// System collections are never part of the API schema.
pub(super) fn is_exposed(schema: &CollectionSchema) -> bool {
    !is_system_collection(&schema.names.collection)
}

/// A type inside documents that has a name of its own.
pub(super) struct Nested<'a> {
    pub(super) ty: NestedType<'a>,
    /// True if only records lie between the document and this: then a patch merges into it and an
    /// order may look into it. In lists and maps whole items are written, and nothing is ordered by.
    pub(super) in_place: bool,
}

pub(super) enum NestedType<'a> {
    Object(&'a ObjectType),
    Map(&'a MapType),
}

/// The named types inside an object: an outer one comes before those inside it.
pub(super) fn nested(object: &ObjectType) -> Vec<Nested<'_>> {
    let mut found = Vec::new();
    for field in &object.fields {
        collect(&field.ty, true, &mut found);
    }
    found
}

fn collect<'a>(ty: &'a FieldType, in_place: bool, found: &mut Vec<Nested<'a>>) {
    match ty {
        FieldType::List(item, _) => collect(item, false, found),
        FieldType::Object(object) => {
            found.push(Nested {
                ty: NestedType::Object(object),
                in_place,
            });
            for field in &object.fields {
                collect(&field.ty, in_place, found);
            }
        }
        FieldType::Map { entry } => {
            found.push(Nested {
                ty: NestedType::Map(entry),
                in_place,
            });
            collect(&entry.value, false, found);
        }
        _ => {}
    }
}

/// What surrounds a type: its relations are looked up here, and what ids are called.
#[derive(Clone, Copy)]
pub(super) struct Related<'a> {
    pub(super) links: &'a Links,
    pub(super) collections: &'a [ApiCollection],
    pub(super) ids: IdNames,
}

impl Related<'_> {
    fn write_fields(self, type_name: &str, body: &mut Body<'_>) {
        relations::write_fields(self.links.of_type(type_name), self.collections, body);
    }
}

fn write_collection(
    collection: &ApiCollection,
    related: Related<'_>,
    taken: &aggregates::Taken,
    shared: &mut filters::Shared,
    writer: &mut Writer<'_>,
) {
    let schema = &*collection.schema;
    let nested = nested(&schema.object);
    write_document_type(collection, related, writer);
    for ty in &nested {
        match ty.ty {
            NestedType::Object(object) => {
                let is_declared = object.fields.iter().any(|field| field.declared.is_some());
                writer.block("", &["type ", &object.name], |body| {
                    write_fields(object, is_declared, body);
                    related.write_fields(&object.name, body);
                });
            }
            NestedType::Map(entry) => write_entry_type(entry, writer),
        }
    }
    write_connection(schema, writer);
    revisions::write(&schema.names, writer);
    aggregates::write(schema, &nested, taken, related.ids, shared, writer);
    filters::write(schema, &nested, related, shared, writer);
    inputs::write(schema, &nested, related, writer);
}

fn write_document_type(collection: &ApiCollection, related: Related<'_>, writer: &mut Writer<'_>) {
    let (schema, directives) = (&*collection.schema, &*collection.directives);
    let is_declared = collection.mode != CollectionMode::Flexible;
    let names = &schema.names;
    let description = format!("A document of the collection `{}`.", names.collection);
    writer.block(
        &description,
        &[
            "type ",
            &names.type_name,
            " implements Node",
            if directives.is_empty() { "" } else { " " },
            directives,
        ],
        |body| {
            for field in SystemField::ALL.iter().take(2) {
                write_system_field(*field, schema, related.ids, body);
            }
            write_fields(&schema.object, is_declared, body);
            related.write_fields(&names.type_name, body);
            for field in SystemField::ALL.iter().skip(2) {
                if *field == SystemField::Json {
                    revisions::write_field(names, body);
                }
                write_system_field(*field, schema, related.ids, body);
            }
        },
    );
}

fn write_system_field(
    field: SystemField,
    schema: &CollectionSchema,
    ids: IdNames,
    body: &mut Body<'_>,
) {
    let description = match field {
        SystemField::NodeId => "Global and opaque: what `node` takes.",
        SystemField::Id => "Unique in its collection.",
        SystemField::Version => "Grows with every change of the document; what `ifVersion` takes.",
        SystemField::CommitTs => "The commit that wrote the document as it is.",
        SystemField::CreatedAt => "When the document was created.",
        SystemField::UpdatedAt => "When the document was last changed.",
        SystemField::DeletedAt => "When the document was deleted, null unless it was.",
        SystemField::ExpiresAt => {
            "When the document expires, where it says so itself; else the collection's `ttl` counts."
        }
        SystemField::PurgeAt => {
            "When the deleted document is removed for good, where its deletion said so; else the collection's \
             `purgeAfter` counts."
        }
        SystemField::Json => "The stored document as it is, under its original names.",
    };
    let required = if field.is_nullable() { "" } else { "!" };
    body.member(
        description,
        &[
            &schema.system_name(field, ids),
            ": ",
            field.scalar_name(),
            required,
        ],
    );
}

/// The fields as they are read, with the directives that declare the same again.
fn write_fields(object: &ObjectType, is_declared: bool, body: &mut Body<'_>) {
    let mut ty = String::new();
    for field in &object.fields {
        ty.clear();
        field.write_output(&mut ty);
        declared::write_field(field, is_declared, &mut ty);
        body.field(field, &[&ty]);
    }
}

fn write_entry_type(entry: &MapType, writer: &mut Writer<'_>) {
    let mut value = String::new();
    entry.value.write_output(&mut value);
    if entry.is_value_required {
        value.push('!');
    }
    writer.block("", &["type ", &entry.entry_name], |body| {
        body.plain(&["key: String!"]);
        body.plain(&["value: ", &value]);
    });
}

fn write_connection(schema: &CollectionSchema, writer: &mut Writer<'_>) {
    let names = &schema.names;
    writer.block(
        "A page of documents.",
        &["type ", &names.connection],
        |body| {
            body.plain(&["edges: [", &names.edge, "!]!"]);
            body.member(
                "The documents without their cursors.",
                &["nodes: [", &names.type_name, "!]!"],
            );
            body.plain(&["pageInfo: PageInfo!"]);
            body.member(
                "How many documents pass the filter, on all pages.",
                &["totalCount: Int!"],
            );
        },
    );
    writer.block("", &["type ", &names.edge], |body| {
        body.member("What `after` and `before` take.", &["cursor: String!"]);
        body.plain(&["node: ", &names.type_name, "!"]);
    });
}

fn write_system_types(ids: IdNames, writer: &mut Writer<'_>) {
    writer.block("Anything with a global id.", &["interface Node"], |body| {
        body.plain(&[ids.global(), ": ID!"]);
    });
    writer.block(
        "Where a page lies among all pages.",
        &["type PageInfo"],
        |body| {
            body.plain(&["hasNextPage: Boolean!"]);
            body.plain(&["hasPreviousPage: Boolean!"]);
            body.plain(&["startCursor: String"]);
            body.plain(&["endCursor: String"]);
        },
    );
    writer.block(
        "What the database knows of a collection.",
        &["type Collection"],
        |body| {
            body.member("As given by whoever made it.", &["name: String!"]);
            body.member("The type of its documents.", &["typeName: String!"]);
            body.member(
                "The field of `Query` that lists its documents.",
                &["listField: String!"],
            );
            body.plain(&["mode: CollectionMode!"]);
            body.member(
                "How many documents it has, deleted ones aside.",
                &["count: BigInt!"],
            );
            body.member(
                "Which kinds of values its documents have, counted.",
                &["shape: JSON!"],
            );
            body.plain(&["createdAt: DateTime!"]);
            body.member(
                "What it does with time.",
                &["settings: CollectionSettings!"],
            );
            body.plain(&["indexes: [CollectionIndex!]!"]);
            body.member(
                "How its documents name others.",
                &["relations: [CollectionRelation!]!"],
            );
            evolution::write_collection_fields(body);
            body.member(
                "What is being done to older documents so that they are as declared.",
                &["backfills: [CollectionBackfill!]!"],
            );
        },
    );
    writer.block(
        "How much of a collection's types is declared.",
        &["enum CollectionMode"],
        |body| {
            body.member("All types are inferred from the documents.", &["FLEXIBLE"]);
            body.member(
                "Declared fields are enforced, the rest is inferred.",
                &["PARTIAL"],
            );
            body.member("Undeclared fields are refused.", &["STRICT"]);
        },
    );
    writer.block(
        "The API schema that this very operation runs on.",
        &["type SchemaInfo"],
        |body| {
            body.member("The commit that made it.", &["version: Timestamp!"]);
            body.plain(&["sdl: String!"]);
            evolution::write_schema_fields(body);
        },
    );
    write_change_types(ids, writer);
    writer.block("What a bulk mutation did.", &["type BulkResult"], |body| {
        body.member("How many documents it wrote.", &["count: Int!"]);
        body.member("Their ids.", &["ids: [ID!]!"]);
    });
    writer.block(
        "Whether deleted documents are found.",
        &["enum Deleted"],
        |body| {
            body.plain(&["EXCLUDE"]);
            body.plain(&["INCLUDE"]);
            body.plain(&["ONLY"]);
        },
    );
    writer.block("", &["enum OrderDirection"], |body| {
        body.member(
            "Smallest first; null and missing before everything else.",
            &["ASC"],
        );
        body.member(
            "Largest first; null and missing after everything else.",
            &["DESC"],
        );
    });
}

fn write_change_types(ids: IdNames, writer: &mut Writer<'_>) {
    writer.block(
        "What a commit did to one document, or to a collection as a whole.",
        &["type Change"],
        |body| {
            body.member("The commit.", &["commitTs: Timestamp!"]);
            body.member("The name of the collection.", &["collection: String!"]);
            body.member(
                "The document's id, null where the whole collection was emptied.",
                &[ids.own(), ": ID"],
            );
            body.plain(&["kind: ChangeKind!"]);
            body.member(
                "The document before, of `UPDATE` and `DELETE`.",
                &["before: JSON"],
            );
            body.member(
                "The document after, of `CREATE`, `UPDATE`, `RESTORE` and `SNAPSHOT`.",
                &["after: JSON"],
            );
        },
    );
    writer.block("What happened.", &["enum ChangeKind"], |body| {
        body.plain(&["CREATE"]);
        body.plain(&["UPDATE"]);
        body.member("Deleted, so that it can be restored.", &["DELETE"]);
        body.plain(&["RESTORE"]);
        body.member("Deleted for good.", &["PURGE"]);
        body.member("The collection was emptied, or dropped.", &["TRUNCATE"]);
        body.member("As it was when the stream began.", &["SNAPSHOT"]);
    });
}

fn write_scalars(writer: &mut Writer<'_>) {
    writer.line(
        "An integer of any size: a JSON number up to 2^53, a string beyond; either is accepted.",
        "scalar BigInt",
    );
    writer.line(
        "A point in time, such as `2026-11-23T01:02:03.456789Z`.",
        "scalar DateTime @specifiedBy(url: \"https://www.rfc-editor.org/rfc/rfc3339\")",
    );
    writer.line(
        "A calendar date, such as `2026-11-23`.",
        "scalar Date @specifiedBy(url: \"https://www.rfc-editor.org/rfc/rfc3339\")",
    );
    writer.line(
        "A span of time, such as `P30D` or `30d`.",
        "scalar Duration",
    );
    writer.line(
        "Bytes as base64 text.",
        "scalar Bytes @specifiedBy(url: \"https://www.rfc-editor.org/rfc/rfc4648\")",
    );
    writer.line(
        "Any JSON value, as stored.",
        "scalar JSON @specifiedBy(url: \"https://www.rfc-editor.org/rfc/rfc8259\")",
    );
    writer.line(
        "The timestamp of a commit: microseconds, as a string.",
        "scalar Timestamp",
    );
    writer.line(
        "Keeps the query's result live: a new result is sent whenever it has changed; with `patch`, as a JSON Patch of the data.",
        "directive @live(if: Boolean = true, patch: Boolean = false) on QUERY",
    );
    writer.line(
        "Lets a fragment come after the rest of the response, where the client takes responses in parts.",
        "directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT",
    );
    writer.line(
        "Lets the items of a list after the first `initialCount` come later, where the client takes responses in parts.",
        "directive @stream(if: Boolean! = true, label: String, initialCount: Int = 0) on FIELD",
    );
}

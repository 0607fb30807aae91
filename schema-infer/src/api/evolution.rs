//! What shows how types evolve: changes of the API schema, drift, promotion, and the fields that are deprecated.

use std::collections::HashMap;
use std::sync::Arc;

use thalweg_model::CollectionId;

use super::ApiCollection;
use super::writer::{Body, Writer};
use crate::types::{FieldType, ObjectType};

/// A field that no document has any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeprecatedField {
    /// The collection whose documents had it.
    pub collection: CollectionId,
    /// The original names on the way to it.
    pub path: Arc<[Arc<str>]>,
}

/// The deprecated fields by the names of an object type, or an input type made of it, and of the field.
pub(super) type DeprecatedFields = HashMap<String, HashMap<String, DeprecatedField>>;

/// What the names of the types end in that have the fields of an object.
const SUFFIXES: [&str; 7] = [
    "",
    "Filter",
    "Increment",
    "Input",
    "ListItems",
    "OrderBy",
    "Patch",
];

pub(super) fn add_deprecated(collection: &ApiCollection, found: &mut DeprecatedFields) {
    add_of_object(
        collection.id,
        &collection.schema.object,
        &mut Vec::new(),
        found,
    );
}

fn add_of_object(
    collection: CollectionId,
    object: &ObjectType,
    path: &mut Vec<Arc<str>>,
    found: &mut DeprecatedFields,
) {
    for field in &object.fields {
        path.push(Arc::clone(&field.json_name));
        if field.deprecated.is_some() {
            let deprecated = DeprecatedField {
                collection,
                path: Arc::from(&path[..]),
            };
            for suffix in SUFFIXES {
                let fields = found.entry(format!("{}{suffix}", object.name)).or_default();
                fields.insert(field.name.clone(), deprecated.clone());
            }
        }
        let mut ty = &field.ty;
        loop {
            match ty {
                FieldType::List(item, _) => ty = item,
                FieldType::Map { entry } => ty = &entry.value,
                FieldType::Object(inner) => {
                    add_of_object(collection, inner, path, found);
                    break;
                }
                _ => break,
            }
        }
        path.pop();
    }
}

/// The fields of `SchemaInfo` and of `Collection` that belong here.
pub(super) fn write_schema_fields(body: &mut Body<'_>) {
    body.member(
        "What has changed since the schema of the commit `since`; null where that is no longer known. Without it: what \
         has changed since the event before, so nothing in an answer that comes once.",
        &["changes(since: Timestamp): [ApiChange!]"],
    );
}

pub(super) fn write_collection_fields(body: &mut Body<'_>) {
    body.member(
        "Where its documents do not fit the published types: what `promoteSchema` would accept.",
        &["drift: [CollectionDrift!]!"],
    );
}

pub(super) fn write_mutation(body: &mut Body<'_>) {
    body.member(
        "Publishes of a collection's types what its documents say now, and tells what that changes; with `dryRun` it \
         only tells.",
        &["promoteSchema(collection: String!, dryRun: Boolean = false): SchemaPromotion!"],
    );
}

pub(super) fn write_types(writer: &mut Writer<'_>) {
    writer.block(
        "One change of an API schema.",
        &["type ApiChange"],
        |body| {
            body.member(
                "In the terms of graphql-inspector, such as `FIELD_ADDED` or `FIELD_TYPE_CHANGED`.",
                &["kind: String!"],
            );
            body.member(
                "What has changed, such as `Movie.title`.",
                &["path: String!"],
            );
            body.member("Whether clients may break.", &["breaking: Boolean!"]);
            body.plain(&["description: String!"]);
        },
    );
    writer.block(
        "Values that do not fit a published type, or that no published field has.",
        &["type CollectionDrift"],
        |body| {
            body.member(
                "The names on the way there; `[]` leads into a list, `{}` into a keyed map.",
                &["path: [String!]!"],
            );
            body.member(
                "The same with original names.",
                &["originalPath: [String!]!"],
            );
            body.member(
                "The published type, null where the field is not published.",
                &["published: String"],
            );
            body.member(
                "The type that all values there would have together.",
                &["found: String!"],
            );
            body.member(
                "How many documents have such a value; in lists and maps the values are counted.",
                &["documents: BigInt!"],
            );
            body.member(
                "How many of those values are of which kind.",
                &["kinds: JSON!"],
            );
        },
    );
    writer.block(
        "What `promoteSchema` did, or would do.",
        &["type SchemaPromotion"],
        |body| {
            body.member("The collection as it is now.", &["collection: Collection!"]);
            body.plain(&["changes: [ApiChange!]!"]);
        },
    );
}

//! The root types: what can be asked, done and followed.

use super::aggregates::{self, Taken};
use super::evolution;
use super::ids::IdNames;
use super::writer::{Body, Writer};
use crate::names::CollectionNames;
use crate::types::CollectionSchema;

pub(super) fn write(
    collections: &[&CollectionSchema],
    taken: &Taken,
    ids: IdNames,
    writer: &mut Writer<'_>,
) {
    writer.block(
        "Reading. Every collection has a field for one document, one for lists of them, and one for aggregates.",
        &["type Query"],
        |body| write_query(collections, taken, ids, body),
    );
    writer.block(
        "Writing. All fields of one operation are one transaction, in order: all or nothing.",
        &["type Mutation"],
        |body| write_mutation(collections, ids, body),
    );
    writer.block(
        "Following. Every field of `Query`, live: first the result as it is now, then the newest one \
         whenever it has changed.",
        &["type Subscription"],
        |body| {
            write_query(collections, taken, ids, body);
            write_changes(body);
        },
    );
}

fn write_changes(body: &mut Body<'_>) {
    body.member(
        "The change stream: every change of the named collections, or of all, in the order of the commits. It \
         skips nothing. A message has the changes of one commit. `since` is the `commitTs` after which to begin, \
         else it begins now; with `snapshot` it begins with all documents as they are.",
        &["changes(collections: [String!], since: Timestamp, snapshot: Boolean = false): [Change!]!"],
    );
}

fn write_query(
    collections: &[&CollectionSchema],
    taken: &Taken,
    ids: IdNames,
    body: &mut Body<'_>,
) {
    for schema in collections {
        let names = &schema.names;
        body.member(
            &format!(
                "One document of `{}`, null if there is none with this id; `at` looks back.",
                names.collection
            ),
            &[
                &names.by_id_field,
                "(",
                ids.own(),
                ": ID!, at: DateTime, deleted: Deleted = EXCLUDE): ",
                &names.type_name,
            ],
        );
        body.member(
            &format!(
                "The documents of `{}` that pass the filter, in pages.",
                names.collection
            ),
            &[
                &names.list_field,
                "(filter: ",
                &names.filter,
                ", orderBy: [",
                &names.order_by,
                "!], first: Int, after: String, last: Int, before: String, offset: Int, \
                 at: DateTime, deleted: Deleted = EXCLUDE): ",
                &names.connection,
                "!",
            ],
        );
        aggregates::write_root(schema, taken, body);
    }
    body.member(
        "Any document by its global id.",
        &["node(", ids.global(), ": ID!): Node"],
    );
    body.member(
        "The collections of this database.",
        &["collections: [Collection!]!"],
    );
    body.member(
        "The schema that you are looking at.",
        &["schema: SchemaInfo!"],
    );
}

fn write_mutation(collections: &[&CollectionSchema], ids: IdNames, body: &mut Body<'_>) {
    for schema in collections {
        write_single(&schema.names, ids.own(), body);
        write_bulk(&schema.names, body);
    }
    body.member(
        "Inserts documents into any collection, which is created if there is none of this name \
         (where the server allows it). Gives the documents as stored.",
        &["insertDocuments(collection: String!, documents: [JSON!]!): [JSON!]!"],
    );
    body.member(
        "Creates an empty collection. Its types follow from the documents that are put in.",
        &["createCollection(name: String!): Collection!"],
    );
    body.member(
        "Renames a collection; its types and root fields get new names too.",
        &["renameCollection(from: String!, to: String!): Collection!"],
    );
    body.member(
        "Removes all documents of a collection and keeps the collection.",
        &["truncateCollection(name: String!): Collection!"],
    );
    body.member(
        "Removes a collection with all its documents; gives it as it was.",
        &["dropCollection(name: String!): Collection!"],
    );
    body.member(
        "Makes the collections that the SDL declares as it declares them; all or nothing. With `dryRun` it only says what that would change.",
        &["applySchema(sdl: String!, dryRun: Boolean = false): SchemaChange!"],
    );
    evolution::write_mutation(body);
}

/// `id`: what a document's own id is called.
fn write_single(names: &CollectionNames, id: &str, body: &mut Body<'_>) {
    let CollectionNames {
        type_name,
        input,
        patch,
        ..
    } = names;
    body.member(
        &format!("Adds a document to `{}`.", names.collection),
        &[
            &names.create,
            "(input: ",
            input,
            "!, ",
            id,
            ": ID): ",
            type_name,
            "!",
        ],
    );
    body.member(
        "Changes the given fields; null if there is no such document.",
        &[
            &names.update,
            "(",
            id,
            ": ID!, patch: ",
            patch,
            "!, ifVersion: BigInt): ",
            type_name,
        ],
    );
    body.member(
        "Inserts the document, or merges it into the one that is there.",
        &[
            &names.upsert,
            "(",
            id,
            ": ID!, input: ",
            input,
            "!): ",
            type_name,
            "!",
        ],
    );
    body.member(
        "Puts another document in its place; null if there is no such document.",
        &[
            &names.replace,
            "(",
            id,
            ": ID!, input: ",
            input,
            "!, ifVersion: BigInt): ",
            type_name,
        ],
    );
    body.member(
        "Deletes the document, so that it can be restored unless `permanent`, until `purgeAt`; null if there is none.",
        &[
            &names.delete,
            "(",
            id,
            ": ID!, permanent: Boolean = false, purgeAt: DateTime, ifVersion: BigInt): ",
            type_name,
        ],
    );
    body.member(
        "Takes back a deletion, or makes the document again what it was at that time; null if there is no such \
         document.",
        &[
            &names.restore,
            "(",
            id,
            ": ID!, at: DateTime): ",
            type_name,
        ],
    );
}

fn write_bulk(names: &CollectionNames, body: &mut Body<'_>) {
    let CollectionNames {
        type_name,
        input,
        patch,
        filter,
        ..
    } = names;
    body.member(
        &format!("Adds documents to `{}`.", names.collection),
        &[
            &names.create_many,
            "(inputs: [",
            input,
            "!]!): [",
            type_name,
            "!]!",
        ],
    );
    body.member(
        "Changes the given fields in all documents that pass the filter.",
        &[
            &names.update_many,
            "(filter: ",
            filter,
            "!, patch: ",
            patch,
            "!): BulkResult!",
        ],
    );
    body.member(
        "Deletes all documents that pass the filter.",
        &[
            &names.delete_many,
            "(filter: ",
            filter,
            "!, permanent: Boolean = false, purgeAt: DateTime): BulkResult!",
        ],
    );
}

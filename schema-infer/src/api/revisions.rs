//! The types of a document's history.

use super::bindings::{HISTORY_FIELD, TypeBinding};
use super::writer::{Body, Writer};
use crate::names::CollectionNames;

/// The names of a collection's history types, and what they stand for.
pub(super) fn types(names: &CollectionNames, index: usize) -> [(String, TypeBinding); 3] {
    [
        (names.revision(), TypeBinding::Revision(index)),
        (
            names.revision_connection(),
            TypeBinding::RevisionConnection(index),
        ),
        (names.revision_edge(), TypeBinding::RevisionEdge(index)),
    ]
}

/// The field of a document that has its revisions.
pub(super) fn write_field(names: &CollectionNames, body: &mut Body<'_>) {
    body.member(
        "The document's revisions that are kept, the newest first.",
        &[
            HISTORY_FIELD,
            "(first: Int, after: String, last: Int, before: String): ",
            &names.revision_connection(),
            "!",
        ],
    );
}

/// The types of a collection's history.
pub(super) fn write(names: &CollectionNames, writer: &mut Writer<'_>) {
    let (revision, edge) = (names.revision(), names.revision_edge());
    writer.block(
        "What a document was from one write to the next.",
        &["type ", &revision],
        |body| {
            body.plain(&["version: BigInt!"]);
            body.member("The commit that wrote it.", &["commitTs: Timestamp!"]);
            body.member("When that was.", &["at: DateTime!"]);
            body.member("Who wrote it, where that is known.", &["author: String"]);
            body.plain(&["kind: RevisionKind!"]);
            body.member(
                "The top-level fields, under their original names, in which it differs from the revision before; null \
                 where that is no longer kept.",
                &["changed: [String!]"],
            );
            body.member("The document as it was then.", &["document: ", &names.type_name, "!"]);
            body.member("The same as stored.", &["_json: JSON!"]);
        },
    );
    writer.block("", &["type ", &names.revision_connection()], |body| {
        body.plain(&["edges: [", &edge, "!]!"]);
        body.plain(&["nodes: [", &revision, "!]!"]);
        body.plain(&["pageInfo: PageInfo!"]);
    });
    writer.block("", &["type ", &edge], |body| {
        body.plain(&["cursor: String!"]);
        body.plain(&["node: ", &revision, "!"]);
    });
}

//! What can be declared: the directives of `applySchema`, and the types that show what was.

use super::writer::Writer;

pub(super) fn write_types(writer: &mut Writer<'_>) {
    writer.block(
        "What becomes of a document that expires.",
        &["enum OnExpire"],
        |body| {
            body.member("It is deleted so that it can be restored.", &["SOFT"]);
            body.member("It is removed for good, with its history.", &["PERMANENT"]);
        },
    );
    writer.block("What made a revision.", &["enum RevisionKind"], |body| {
        body.plain(&["CREATED"]);
        body.plain(&["UPDATED"]);
        body.plain(&["DELETED"]);
        body.member(
            "A deletion was taken back, or an earlier revision written again.",
            &["RESTORED"],
        );
        body.member("Deleted because its time had come.", &["EXPIRED"]);
    });
    writer.block(
        "What a collection does with time.",
        &["type CollectionSettings"],
        |body| {
            body.member(
                "How long earlier revisions are kept: `forever`, `none`, or a duration such as `30d`.",
                &["retain: String!"],
            );
            body.member(
                "Whether a deletion can be taken back unless it is permanent.",
                &["softDelete: Boolean!"],
            );
            body.member(
                "How long after a write documents expire.",
                &["ttl: Duration"],
            );
            body.member(
                "What becomes of those that expire.",
                &["onExpire: OnExpire!"],
            );
            body.member(
                "How long after their deletion documents are removed for good.",
                &["purgeAfter: Duration"],
            );
        },
    );
    writer.block("", &["type CollectionIndex"], |body| {
        body.member(
            "In the notation of `@index`, under original names.",
            &["fields: [String!]!"],
        );
        body.plain(&["unique: Boolean!"]);
        body.member(
            "Whether the database made it by itself, for a relation.",
            &["automatic: Boolean!"],
        );
        body.plain(&["status: IndexStatus!"]);
        body.member(
            "How much of it is built, from 0 to 1.",
            &["progress: Float!"],
        );
        body.member("How many rows it has, about.", &["rows: BigInt!"]);
        body.member("Why it could not be built.", &["failure: String"]);
    });
    writer.block("", &["enum IndexStatus"], |body| {
        body.member(
            "Kept up to date already, but older documents are not in it yet.",
            &["BUILDING"],
        );
        body.member("Used.", &["READY"]);
        body.member("Could not be built.", &["FAILED"]);
        body.member("On its way out.", &["DROPPING"]);
    });
    writer.block("What `applySchema` did.", &["type SchemaChange"], |body| {
        body.member(
            "The collections that the SDL declares, as they are now.",
            &["collections: [Collection!]!"],
        );
        body.member(
            "What was changed, in words; nothing where all was so already.",
            &["changes: [String!]!"],
        );
    });
}

pub(super) fn write_directives(writer: &mut Writer<'_>) {
    writer.line(
        "Declares a collection: what it is called and what it does with time. What is not given is as by default.",
        "directive @collection(name: String, mode: CollectionMode = FLEXIBLE, softDelete: Boolean = true, \
         ttl: Duration, onExpire: OnExpire, purgeAfter: Duration, retain: String = \"forever\") on OBJECT",
    );
    writer.line(
        "An index over fields, such as `year DESC`, `address.city` or `tags[]`; on a field, over that field.",
        "directive @index(fields: [String!], unique: Boolean = false) repeatable on OBJECT | FIELD_DEFINITION",
    );
    writer.line(
        "An index that lets no two documents have the same value, null aside.",
        "directive @unique on FIELD_DEFINITION",
    );
}

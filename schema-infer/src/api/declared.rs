//! What can be declared: the directives of `applySchema`, and the types that show what was.

use super::writer::{Writer, escape};
use crate::types::Field;

/// Appends the directives that declare a field as it is: how it is stored, and its default. In a type whose fields are
/// declared, those that are not say so, so that the printed schema does not declare them.
pub(super) fn write_field(field: &Field, is_declared: bool, out: &mut String) {
    let mut directive = |name: &str, argument: &str, value: &str| {
        out.push_str(" @");
        out.push_str(name);
        out.push('(');
        out.push_str(argument);
        out.push_str(": ");
        out.push_str(value);
        out.push(')');
    };
    let quoted = |text: &str| {
        let mut quoted = String::from("\"");
        escape(text, &mut quoted);
        quoted.push('"');
        quoted
    };
    let declared = field.declared.as_deref();
    let json_name = declared.map_or(&field.json_name, |declared| &declared.json_name);
    if **json_name != *field.name {
        directive("field", "name", &quoted(json_name));
    }
    if **json_name != *field.json_name {
        directive("was", "name", &quoted(&field.json_name));
    }
    if let Some(default) = declared.and_then(|declared| declared.default.as_deref()) {
        directive("default", "value", default);
    }
    if is_declared && declared.is_none() {
        out.push_str(" @inferred");
    }
}

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
    writer.block(
        "Background work on the documents of a collection after a declaration.",
        &["type CollectionBackfill"],
        |body| {
            body.plain(&["kind: BackfillKind!"]);
            body.member("The fields, under original names.", &["fields: [String!]!"]);
            body.member("The name that the field had.", &["was: String"]);
            body.member(
                "How much of it is done, from 0 to 1.",
                &["progress: Float!"],
            );
            body.member(
                "Why it has stopped; declare the same again to go on.",
                &["failure: String"],
            );
        },
    );
    writer.block("", &["enum BackfillKind"], |body| {
        body.member("Older documents get the default of a field.", &["DEFAULT"]);
        body.member("The values of a field move to its new name.", &["RENAME"]);
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
        "directive @collection(name: String, type: String, mode: CollectionMode = FLEXIBLE, softDelete: Boolean = true, \
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
    writer.line(
        "The name that a field has in stored documents, where that is another one.",
        "directive @field(name: String!) on FIELD_DEFINITION",
    );
    writer.line(
        "What a field is where it is not given; `\"now()\"` is the time of the write.",
        "directive @default(value: JSON) on FIELD_DEFINITION",
    );
    writer.line(
        "The name that a declared field has in the documents that are there: its values move to the new one.",
        "directive @was(name: String!) on FIELD_DEFINITION",
    );
    writer.line(
        "The field is not declared: documents have it.",
        "directive @inferred on FIELD_DEFINITION",
    );
}

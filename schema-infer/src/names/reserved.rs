//! The names that belong to the system, now or by announcement.
//!
//! A name is reserved before the feature that uses it exists, since a name once given to a field or
//! a collection is never taken back.

const TYPES: &[&str] = &[
    "ApiChange",
    "BackfillKind",
    "BulkResult",
    "Change",
    "ChangeKind",
    "Collection",
    "CollectionBackfill",
    "CollectionDrift",
    "CollectionIndex",
    "CollectionMode",
    "CollectionRef",
    "CollectionRelation",
    "CollectionSettings",
    "Deleted",
    "IndexStatus",
    "Job",
    "JobConnection",
    "JobEdge",
    "JobFilter",
    "JobStatus",
    "Mutation",
    "NestedListFilter",
    "Node",
    "OnDelete",
    "OnExpire",
    "OrderDirection",
    "PageInfo",
    "Query",
    "RelationEvidence",
    "RelationOrigin",
    "RevisionKind",
    "SchemaChange",
    "SchemaInfo",
    "SchemaPromotion",
    "Subscription",
    "TimeUnit",
    "_Any",
    "_Entity",
    "_Service",
];

const SCALARS: &[&str] = &[
    "BigInt",
    "Boolean",
    "Bytes",
    "Date",
    "DateTime",
    "Duration",
    "Float",
    "ID",
    "Int",
    "JSON",
    "String",
    "Timestamp",
];

const QUERY_FIELDS: &[&str] = &[
    "_entities",
    "_service",
    "changes",
    "collections",
    "jobs",
    "node",
    "nodes",
    "schema",
];

const MUTATION_FIELDS: &[&str] = &[
    "applySchema",
    "cancelJob",
    "createCollection",
    "dropCollection",
    "insertDocuments",
    "promoteSchema",
    "renameCollection",
    "schedule",
    "truncateCollection",
];

/// Keys that stand beside the fields of documents in outputs, inputs and patches.
const DOCUMENT_FIELDS: &[&str] = &[
    "_addToSet",
    "_commitTs",
    "_createdAt",
    "_deletedAt",
    "_expiresAt",
    "_extra",
    "_history",
    "_inc",
    "_json",
    "_onExpire",
    "_pull",
    "_purgeAt",
    "_push",
    "_set",
    "_unset",
    "_updatedAt",
    "_version",
    "id",
    "nodeId",
    "rowId",
];

/// Keys of filters that stand beside the fields of objects inside documents.
const NESTED_FIELDS: &[&str] = &["exists", "isNull"];

/// What may name no field at any depth: the keys of filters, and what an enum value may not be.
const ANY_FIELDS: &[&str] = &["and", "false", "not", "null", "or", "true"];

/// What the names of a collection's types end in.
const COLLECTION_SUFFIXES: &[&str] = &[
    "",
    "Aggregate",
    "AggregateAverage",
    "AggregateCount",
    "AggregateSum",
    "AggregateValues",
    "Connection",
    "Edge",
    "Field",
    "Filter",
    "Group",
    "GroupBucket",
    "GroupOrderBy",
    "GroupTime",
    "Having",
    "HavingCount",
    "HavingNumbers",
    "Increment",
    "Input",
    "ListItems",
    "OrderBy",
    "Patch",
    "ReferenceFilter",
    "RelationFilter",
    "RelationInput",
    "RelationsInput",
    "Revision",
    "RevisionConnection",
    "RevisionEdge",
    "SearchConnection",
    "SearchEdge",
];

/// What the names of the types of an object inside documents end in.
pub(super) const OBJECT_SUFFIXES: &[&str] = &[
    "",
    "AggregateAverage",
    "AggregateCount",
    "AggregateSum",
    "Filter",
    "HavingCount",
    "HavingNumbers",
    "Increment",
    "Input",
    "ListFilter",
    "ListItems",
    "OrderBy",
    "Patch",
];

/// What the names of the types of a keyed map inside documents end in.
pub(super) const MAP_SUFFIXES: &[&str] = &[
    "Entry",
    "EntryFilter",
    "EntryInput",
    "MapFilter",
    "MapListFilter",
    "MapPatch",
];

pub(super) fn is_type(name: &str) -> bool {
    TYPES.contains(&name) || SCALARS.contains(&name) || is_shared_filter(name)
}

/// The operator objects of scalars and of lists of scalars: `StringFilter`, `IntListListFilter`.
fn is_shared_filter(name: &str) -> bool {
    let Some(mut item) = name.strip_suffix("Filter") else {
        return false;
    };
    while let Some(inner) = item.strip_suffix("List") {
        item = inner;
    }
    SCALARS.contains(&item)
}

pub(super) fn is_query_field(name: &str) -> bool {
    QUERY_FIELDS.contains(&name)
}

pub(super) fn is_mutation_field(name: &str) -> bool {
    MUTATION_FIELDS.contains(&name)
}

/// `top`: a field of the document itself, not of an object inside it.
pub(super) fn is_field(name: &str, top: bool) -> bool {
    let beside = if top { DOCUMENT_FIELDS } else { NESTED_FIELDS };
    ANY_FIELDS.contains(&name) || beside.contains(&name)
}

pub(super) fn collection_types(type_name: &str) -> Vec<String> {
    COLLECTION_SUFFIXES
        .iter()
        .map(|suffix| format!("{type_name}{suffix}"))
        .collect()
}

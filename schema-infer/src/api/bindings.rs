//! What the names in an operation stand for.
//!
//! Two kinds of tables: by name for a whole [`ApiSchema`](super::ApiSchema) (root fields and object
//! types), and by key for one input or output object. The latter need no stored table of their own:
//! the name registry keeps the system keys (`and`, `_set`, `id`, …) apart from the fields that come
//! from documents, so a key is either a system key or an [`ObjectType`] field, never both.

use std::sync::Arc;

use super::ids::IdNames;
use crate::names::CollectionNames;
use crate::types::{CollectionSchema, Field, MapType, ObjectType};

/// A field of `Query` and of `Subscription`. The index is the collection's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryField {
    /// `node(nodeId:)`, by a global id
    Node,
    /// `collections`
    Collections,
    /// `schema`
    Schema,
    /// `changes`, of `Subscription` only
    Changes,
    /// One document: `movie(id:)`, by its own id
    ById(usize),
    /// A connection: `movies(filter:, …)`
    List(usize),
    /// `moviesAggregate(filter:, …)`
    Aggregate(usize),
}

/// A field of `Mutation`. The index is the collection's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MutationField {
    /// `createMovie`
    Create(usize),
    /// `createMovies`
    CreateMany(usize),
    /// `updateMovie`
    Update(usize),
    /// `updateMovies`
    UpdateMany(usize),
    /// `upsertMovie`
    Upsert(usize),
    /// `replaceMovie`
    Replace(usize),
    /// `deleteMovie`
    Delete(usize),
    /// `deleteMovies`
    DeleteMany(usize),
    /// `restoreMovie`
    Restore(usize),
    /// `insertDocuments`
    InsertDocuments,
    /// `createCollection`
    CreateCollection,
    /// `renameCollection`
    RenameCollection,
    /// `truncateCollection`
    TruncateCollection,
    /// `dropCollection`
    DropCollection,
    /// `applySchema`
    ApplySchema,
    /// `promoteSchema`
    PromoteSchema,
}

/// What an object type stands for. Indices are those of collections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeBinding {
    /// The root of queries.
    Query,
    /// The root of mutations.
    Mutation,
    /// The root of subscriptions; its fields are those of `Query`, and `changes`.
    Subscription,
    /// The interface `Node`.
    Node,
    /// The documents of a collection.
    Collection(usize),
    /// An object inside documents.
    Object {
        /// The collection it belongs to.
        collection: usize,
        /// Its fields.
        object: Arc<ObjectType>,
    },
    /// An entry `{key value}` of a keyed map inside documents.
    MapEntry {
        /// The collection it belongs to.
        collection: usize,
        /// The type of the values.
        entry: Arc<MapType>,
    },
    /// `MovieConnection`
    Connection(usize),
    /// `MovieEdge`
    Edge(usize),
    /// `MovieAggregate`
    Aggregate(usize),
    /// `MovieGroup`
    Group(usize),
    /// An object of an aggregate or a group: its values, sums, …
    AggregatePart(usize),
    /// `MovieRevision`
    Revision(usize),
    /// `MovieRevisionConnection`
    RevisionConnection(usize),
    /// `MovieRevisionEdge`
    RevisionEdge(usize),
    /// `PageInfo`
    PageInfo,
    /// `Collection`, what the database says about one of its collections.
    CollectionInfo,
    /// `CollectionSettings`
    CollectionSettings,
    /// `CollectionIndex`
    CollectionIndex,
    /// `CollectionRelation`
    CollectionRelation,
    /// `RelationEvidence`
    RelationEvidence,
    /// `CollectionBackfill`
    CollectionBackfill,
    /// `SchemaChange`
    SchemaChange,
    /// `SchemaInfo`
    SchemaInfo,
    /// `ApiChange`, of a schema
    ApiChange,
    /// `CollectionDrift`
    CollectionDrift,
    /// `SchemaPromotion`
    SchemaPromotion,
    /// `Change`
    Change,
    /// `BulkResult`
    BulkResult,
}

/// A field that every document has, whatever is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SystemField {
    /// `nodeId`, or `id` for Relay: global and opaque; not in filters.
    NodeId,
    /// `id`, or `rowId` for Relay: the document's own.
    Id,
    /// `_version`
    Version,
    /// `_commitTs`
    CommitTs,
    /// `_createdAt`
    CreatedAt,
    /// `_updatedAt`
    UpdatedAt,
    /// `_deletedAt`
    DeletedAt,
    /// `_expiresAt`
    ExpiresAt,
    /// `_purgeAt`
    PurgeAt,
    /// `_json`: the stored document; not in filters.
    Json,
}

/// A field of a collection's object type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputField<'a> {
    /// A field that every document has.
    System(SystemField),
    /// `_history`: the document's revisions.
    History,
    /// A field from the documents.
    Member(&'a Field),
}

/// A key of a filter on documents or on objects inside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterKey<'a> {
    /// A list of filters, all of which must hold.
    And,
    /// A list of filters, one of which must hold.
    Or,
    /// A filter that must not hold.
    Not,
    /// An operator object for a system field.
    System(SystemField),
    /// Whether the object itself is null or missing; of objects inside documents.
    IsNull,
    /// Whether the object itself is present, be it as null; of objects inside documents.
    Exists,
    /// An operator object, or a filter for what the field holds.
    Member(&'a Field),
}

/// The one key of an element of `orderBy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderTarget<'a> {
    /// Order by a system field.
    System(SystemField),
    /// Order by a field; if it holds an object, the value is again an object with one key.
    Member(&'a Field),
}

/// A key of a collection's input object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKey<'a> {
    /// The document's own id.
    Id,
    /// `_extra`: an object with original names.
    Extra,
    /// `_expiresAt`
    ExpiresAt,
    /// `_onExpire`
    OnExpire,
    /// A typed field.
    Member(&'a Field),
}

/// A key of a collection's patch object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKey<'a> {
    /// `_unset`: values of the collection's field enum.
    Unset,
    /// `_set`: an object with original names; stores nulls.
    Set,
    /// `_inc`: numbers to add, by field.
    Increment,
    /// `_push`: items to append, by list field.
    Push,
    /// `_addToSet`: items to append unless there, by list field.
    AddToSet,
    /// `_pull`: items to remove, by list field.
    Pull,
    /// `_extra`: an object with original names, merged like typed fields.
    Extra,
    /// `_expiresAt`
    ExpiresAt,
    /// `_onExpire`
    OnExpire,
    /// A typed field: absent leaves alone, null removes, objects merge, lists replace.
    Member(&'a Field),
}

/// A key of the patch of a keyed map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapPatchKey {
    /// `set`: entries to insert or replace.
    Set,
    /// `remove`: keys to remove.
    Remove,
}

macro_rules! operators {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every operator, in the order of the SDL.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The operator's name in GraphQL.
            pub fn graphql_name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The operator with this name.
            pub fn from_graphql_name(name: &str) -> Option<$name> {
                match name { $($text => Some($name::$variant),)* _ => None }
            }
        }
    };
}

operators! {
    /// A key of the operator object of a scalar, such as `StringFilter`.
    ScalarOperator {
        /// Equal.
        Eq = "eq",
        /// Not equal.
        Ne = "ne",
        /// Equal to one of a list.
        In = "in",
        /// Equal to none of a list.
        NotIn = "notIn",
        /// Less than.
        Lt = "lt",
        /// Less than or equal.
        Lte = "lte",
        /// Greater than.
        Gt = "gt",
        /// Greater than or equal.
        Gte = "gte",
        /// Null or missing.
        IsNull = "isNull",
        /// Present, be it as null.
        Exists = "exists",
        /// A string's beginning.
        StartsWith = "startsWith",
        /// A string's end.
        EndsWith = "endsWith",
        /// A part of a string.
        Contains = "contains",
        /// A pattern for the whole string.
        Like = "like",
    }
}

operators! {
    /// A key of the filter of a list.
    ListOperator {
        /// An item passes the filter.
        Some = "some",
        /// Every item passes the filter.
        Every = "every",
        /// No item passes the filter.
        None = "none",
        /// The number of items.
        Length = "length",
        /// Null or missing.
        IsNull = "isNull",
        /// Present, be it as null.
        Exists = "exists",
    }
}

operators! {
    /// A key of the filter of a keyed map.
    MapOperator {
        /// `{key: String!, value: filter}`: the value under the key passes the filter; without
        /// `value`, the key is there.
        Entry = "entry",
        /// Null or missing.
        IsNull = "isNull",
        /// Present, be it as null.
        Exists = "exists",
    }
}

operators! {
    /// What can be made of the values of a field, beside counting documents.
    AggregateFunction {
        /// How many different ones there are.
        CountDistinct = "countDistinct",
        /// Their sum.
        Sum = "sum",
        /// Their average.
        Average = "avg",
        /// The least.
        Min = "min",
        /// The greatest.
        Max = "max",
    }
}

/// The keys of a filter that test the object itself.
const IS_NULL: &str = "isNull";
const EXISTS: &str = "exists";

/// The field that has a document's revisions.
pub(super) const HISTORY_FIELD: &str = "_history";

impl SystemField {
    /// Every system field, in the order of the SDL.
    pub const ALL: &'static [SystemField] = &[
        SystemField::NodeId,
        SystemField::Id,
        SystemField::Version,
        SystemField::CommitTs,
        SystemField::CreatedAt,
        SystemField::UpdatedAt,
        SystemField::DeletedAt,
        SystemField::ExpiresAt,
        SystemField::PurgeAt,
        SystemField::Json,
    ];

    /// The field's name in GraphQL.
    pub fn graphql_name(self, ids: IdNames) -> &'static str {
        match self {
            SystemField::NodeId => ids.global(),
            SystemField::Id => ids.own(),
            SystemField::Version => "_version",
            SystemField::CommitTs => "_commitTs",
            SystemField::CreatedAt => "_createdAt",
            SystemField::UpdatedAt => "_updatedAt",
            SystemField::DeletedAt => "_deletedAt",
            SystemField::ExpiresAt => "_expiresAt",
            SystemField::PurgeAt => "_purgeAt",
            SystemField::Json => "_json",
        }
    }

    /// The system field with this name.
    pub fn from_graphql_name(name: &str, ids: IdNames) -> Option<SystemField> {
        SystemField::ALL
            .iter()
            .copied()
            .find(|field| field.graphql_name(ids) == name)
    }

    /// True if documents can be filtered and ordered by the field.
    pub fn is_queryable(self) -> bool {
        !matches!(self, SystemField::NodeId | SystemField::Json)
    }

    /// Whether it holds a time.
    pub fn is_time(self) -> bool {
        self.scalar_name() == "DateTime"
    }

    /// Whether not every document has it.
    pub fn is_nullable(self) -> bool {
        matches!(
            self,
            SystemField::DeletedAt | SystemField::ExpiresAt | SystemField::PurgeAt
        )
    }

    /// The scalar that the field reads as.
    pub fn scalar_name(self) -> &'static str {
        match self {
            SystemField::NodeId | SystemField::Id => "ID",
            SystemField::Version => "BigInt",
            SystemField::CommitTs => "Timestamp",
            SystemField::CreatedAt
            | SystemField::UpdatedAt
            | SystemField::DeletedAt
            | SystemField::ExpiresAt
            | SystemField::PurgeAt => "DateTime",
            SystemField::Json => "JSON",
        }
    }
}

impl CollectionSchema {
    /// What a field of the collection's object type reads.
    pub fn output_field(&self, name: &str, ids: IdNames) -> Option<OutputField<'_>> {
        match self.system_field(name, ids) {
            _ if name == HISTORY_FIELD => Some(OutputField::History),
            Some(field) => Some(OutputField::System(field)),
            None => self.object.field(name).map(OutputField::Member),
        }
    }

    /// What a key of the collection's filter means.
    pub fn filter_key(&self, name: &str, ids: IdNames) -> Option<FilterKey<'_>> {
        match self.queryable_field(name, ids) {
            Some(field) => Some(FilterKey::System(field)),
            None => self.object.key_of_fields(name),
        }
    }

    /// What a key of an `orderBy` element means.
    pub fn order_target(&self, name: &str, ids: IdNames) -> Option<OrderTarget<'_>> {
        match self.queryable_field(name, ids) {
            Some(field) => Some(OrderTarget::System(field)),
            None => self.object.order_field(name).map(OrderTarget::Member),
        }
    }

    /// What a key of the collection's input means.
    pub fn input_key(&self, name: &str, ids: IdNames) -> Option<InputKey<'_>> {
        match name {
            _ if *name == *self.own_id(ids) => Some(InputKey::Id),
            "_extra" => Some(InputKey::Extra),
            "_expiresAt" => Some(InputKey::ExpiresAt),
            "_onExpire" => Some(InputKey::OnExpire),
            _ => self.object.field(name).map(InputKey::Member),
        }
    }

    fn queryable_field(&self, name: &str, ids: IdNames) -> Option<SystemField> {
        self.system_field(name, ids)
            .filter(|field| field.is_queryable())
    }

    /// What a key of the collection's patch means.
    pub fn patch_key(&self, name: &str) -> Option<PatchKey<'_>> {
        Some(match name {
            "_unset" => PatchKey::Unset,
            "_set" => PatchKey::Set,
            "_inc" => PatchKey::Increment,
            "_push" => PatchKey::Push,
            "_addToSet" => PatchKey::AddToSet,
            "_pull" => PatchKey::Pull,
            "_extra" => PatchKey::Extra,
            "_expiresAt" => PatchKey::ExpiresAt,
            "_onExpire" => PatchKey::OnExpire,
            _ => PatchKey::Member(self.object.field(name)?),
        })
    }
}

impl ObjectType {
    /// What a key of the filter of this object means, which is inside documents; never a system field.
    pub fn filter_key(&self, name: &str) -> Option<FilterKey<'_>> {
        self.key_of_fields(name)
            .or_else(|| match name.trim_end_matches('_') {
                IS_NULL => Some(FilterKey::IsNull),
                EXISTS => Some(FilterKey::Exists),
                _ => None,
            })
    }

    /// The names of the keys that test the object itself. A field of such a name is called otherwise, but one that was
    /// named before there were these keys keeps its name, and they give way.
    pub(super) fn own_tests(&self) -> [String; 2] {
        [IS_NULL, EXISTS].map(|name| {
            let mut name = name.to_owned();
            while self.field(&name).is_some() {
                name.push('_');
            }
            name
        })
    }

    fn key_of_fields(&self, name: &str) -> Option<FilterKey<'_>> {
        match name {
            "and" => Some(FilterKey::And),
            "or" => Some(FilterKey::Or),
            "not" => Some(FilterKey::Not),
            _ => self.field(name).map(FilterKey::Member),
        }
    }

    /// The field that a key of the order of this object means; lists and maps have no order.
    pub fn order_field(&self, name: &str) -> Option<&Field> {
        self.field(name)
            .filter(|field| super::is_orderable(&field.ty))
    }
}

impl MapPatchKey {
    /// The key with this name.
    pub fn from_graphql_name(name: &str) -> Option<MapPatchKey> {
        match name {
            "set" => Some(MapPatchKey::Set),
            "remove" => Some(MapPatchKey::Remove),
            _ => None,
        }
    }
}

impl QueryField {
    pub(super) fn system_fields() -> impl Iterator<Item = (String, QueryField)> {
        [
            ("node", QueryField::Node),
            ("collections", QueryField::Collections),
            ("schema", QueryField::Schema),
            ("changes", QueryField::Changes),
        ]
        .into_iter()
        .map(|(name, field)| (name.to_owned(), field))
    }
}

impl MutationField {
    pub(super) fn system_fields() -> impl Iterator<Item = (String, MutationField)> {
        [
            ("insertDocuments", MutationField::InsertDocuments),
            ("createCollection", MutationField::CreateCollection),
            ("renameCollection", MutationField::RenameCollection),
            ("truncateCollection", MutationField::TruncateCollection),
            ("dropCollection", MutationField::DropCollection),
            ("applySchema", MutationField::ApplySchema),
            ("promoteSchema", MutationField::PromoteSchema),
        ]
        .into_iter()
        .map(|(name, field)| (name.to_owned(), field))
    }

    pub(super) fn of_collection(
        names: &CollectionNames,
        index: usize,
    ) -> [(&str, MutationField); 9] {
        [
            (&names.create, MutationField::Create(index)),
            (&names.create_many, MutationField::CreateMany(index)),
            (&names.update, MutationField::Update(index)),
            (&names.update_many, MutationField::UpdateMany(index)),
            (&names.upsert, MutationField::Upsert(index)),
            (&names.replace, MutationField::Replace(index)),
            (&names.delete, MutationField::Delete(index)),
            (&names.delete_many, MutationField::DeleteMany(index)),
            (&names.restore, MutationField::Restore(index)),
        ]
    }
}

impl TypeBinding {
    pub(super) fn system_types() -> impl Iterator<Item = (String, TypeBinding)> {
        [
            ("Query", TypeBinding::Query),
            ("Mutation", TypeBinding::Mutation),
            ("Subscription", TypeBinding::Subscription),
            ("Node", TypeBinding::Node),
            ("PageInfo", TypeBinding::PageInfo),
            ("Collection", TypeBinding::CollectionInfo),
            ("CollectionSettings", TypeBinding::CollectionSettings),
            ("CollectionIndex", TypeBinding::CollectionIndex),
            ("CollectionRelation", TypeBinding::CollectionRelation),
            ("RelationEvidence", TypeBinding::RelationEvidence),
            ("CollectionBackfill", TypeBinding::CollectionBackfill),
            ("SchemaChange", TypeBinding::SchemaChange),
            ("SchemaInfo", TypeBinding::SchemaInfo),
            ("ApiChange", TypeBinding::ApiChange),
            ("CollectionDrift", TypeBinding::CollectionDrift),
            ("SchemaPromotion", TypeBinding::SchemaPromotion),
            ("Change", TypeBinding::Change),
            ("BulkResult", TypeBinding::BulkResult),
        ]
        .into_iter()
        .map(|(name, binding)| (name.to_owned(), binding))
    }
}

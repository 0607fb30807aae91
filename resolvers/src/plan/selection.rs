//! Selections, compiled: what to write for a value of each type.
//!
//! Conditions have been decided, fragments followed and fields merged; what is left is a list of items in response
//! order, each with its key already encoded.

use std::sync::Arc;

use apollo_compiler::Name;
use thalweg_engine::{FieldMask, FieldRef};
use thalweg_model::FieldName;
use thalweg_schema_infer::SystemField;

use super::related::{BackSelection, NamedSelection};
use crate::failure::Location;

/// Where a selected value goes in the response.
#[derive(Debug)]
pub(crate) struct Target {
    /// The response key.
    pub(crate) key: Name,
    /// `,"key":`, of which the first item of an object leaves out the comma.
    pub(crate) label: Box<[u8]>,
    /// Where the field stands in the operation's text.
    pub(crate) location: Option<Location>,
    /// Whether null may not stand there.
    pub(crate) is_non_null: bool,
}

/// A selected value and where it goes.
#[derive(Debug)]
pub(crate) struct Selected<S> {
    pub(crate) target: Target,
    pub(crate) source: S,
}

/// The selection on a document.
#[derive(Debug)]
pub(crate) struct DocumentSelection {
    pub(crate) items: Vec<Selected<DocumentSource>>,
    /// The fields that the selection looks at.
    pub(crate) mask: FieldMask,
    /// What is selected of documents that it names, at any place in it.
    pub(crate) named: Vec<Arc<NamedSelection>>,
    /// What is selected of documents that name it.
    pub(crate) backs: Vec<Arc<BackSelection>>,
}

/// Where a field of a document comes from.
#[derive(Debug)]
pub(crate) enum DocumentSource {
    /// The name of the type, as JSON.
    TypeName(Box<[u8]>),
    System(SystemField),
    Stored(StoredField),
    History(HistorySelection),
    Named(Arc<NamedSelection>),
    Back(Arc<BackSelection>),
}

/// The selection on a document's history.
#[derive(Debug)]
pub(crate) struct HistorySelection {
    /// Which of the plan's inner fields has its arguments.
    pub(crate) inner: usize,
    pub(crate) items: Vec<Selected<HistorySource>>,
}

/// Where a field of a connection of revisions comes from.
#[derive(Debug)]
pub(crate) enum HistorySource {
    TypeName(Box<[u8]>),
    Nodes(Vec<Selected<RevisionSource>>),
    Edges(Vec<Selected<RevisionEdgeSource>>),
    PageInfo(Vec<Selected<PageInfoSource>>),
}

/// Where a field of an edge to a revision comes from.
#[derive(Debug)]
pub(crate) enum RevisionEdgeSource {
    TypeName(Box<[u8]>),
    Cursor,
    Node(Vec<Selected<RevisionSource>>),
}

/// Where a field of a revision comes from.
#[derive(Debug)]
pub(crate) enum RevisionSource {
    TypeName(Box<[u8]>),
    Version,
    CommitTs,
    At,
    Author,
    Kind,
    Changed,
    Document(DocumentSelection),
    Json,
}

/// A field of a stored object.
#[derive(Debug)]
pub(crate) struct StoredField {
    pub(crate) name: FieldName,
    /// Which of the run's inline caches remembers the field's place.
    pub(crate) slot: usize,
    pub(crate) ty: OutputType,
    /// Whether the response has it under its stored name and its type is of scalars, so that it can be copied with its
    /// name.
    pub(crate) is_as_stored: bool,
}

impl StoredField {
    /// A field of that stored name under a response key; `slot` is the inline cache for it.
    pub(crate) fn new(name: FieldName, key: &Name, slot: usize, ty: OutputType) -> Self {
        StoredField {
            is_as_stored: name.as_str() == key.as_str() && ty.is_scalar(),
            name,
            slot,
            ty,
        }
    }
}

/// A type, with the selection on it.
#[derive(Debug)]
pub(crate) enum OutputType {
    Boolean,
    Int,
    BigInt,
    Float,
    String,
    /// A string of that format; where the type is latched others may have come.
    DateTime,
    /// Likewise.
    Date,
    Json,
    List {
        item: Box<OutputType>,
        is_item_non_null: bool,
    },
    Object(Vec<Selected<ObjectSource>>),
    /// A keyed map, read as a list of entries.
    Map(Vec<Selected<EntrySource>>),
}

impl OutputType {
    /// Whether its values are scalars, which have no selection.
    fn is_scalar(&self) -> bool {
        !matches!(
            self,
            OutputType::List { .. } | OutputType::Object(_) | OutputType::Map(_)
        )
    }
}

/// Where a field of an object inside a document comes from.
#[derive(Debug)]
pub(crate) enum ObjectSource {
    TypeName(Box<[u8]>),
    Stored(StoredField),
    Named(Arc<NamedSelection>),
}

/// Where a field of an entry of a keyed map comes from.
#[derive(Debug)]
pub(crate) enum EntrySource {
    TypeName(Box<[u8]>),
    Key,
    Value(OutputType),
}

/// The selection on a connection.
#[derive(Debug)]
pub(crate) struct ConnectionSelection {
    pub(crate) items: Vec<Selected<ConnectionSource>>,
    /// The fields of the documents that are looked at.
    pub(crate) mask: FieldMask,
    /// Whether `totalCount` is selected.
    pub(crate) counts_total: bool,
    /// Whether anything is selected that depends on which rows the page has.
    pub(crate) reads_rows: bool,
}

impl ConnectionSelection {
    /// The selections on the documents of the page.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &DocumentSelection> {
        self.items.iter().flat_map(|item| {
            let (nodes, edges) = match &item.source {
                ConnectionSource::Nodes(selection) => (Some(selection), &[][..]),
                ConnectionSource::Edges(items) => (None, items.as_slice()),
                _ => (None, &[][..]),
            };
            let of_edges = edges.iter().filter_map(|edge| match &edge.source {
                EdgeSource::Node(selection) => Some(selection),
                _ => None,
            });
            nodes.into_iter().chain(of_edges)
        })
    }
}

/// Where a field of a connection comes from.
#[derive(Debug)]
pub(crate) enum ConnectionSource {
    TypeName(Box<[u8]>),
    Nodes(DocumentSelection),
    Edges(Vec<Selected<EdgeSource>>),
    PageInfo(Vec<Selected<PageInfoSource>>),
    TotalCount,
}

/// Where a field of an edge comes from.
#[derive(Debug)]
pub(crate) enum EdgeSource {
    TypeName(Box<[u8]>),
    Cursor,
    Node(DocumentSelection),
}

/// Where a field of a `PageInfo` comes from.
#[derive(Debug)]
pub(crate) enum PageInfoSource {
    TypeName(Box<[u8]>),
    HasNextPage,
    HasPreviousPage,
    StartCursor,
    EndCursor,
}

/// Where a field of a `Collection` comes from.
#[derive(Debug)]
pub(crate) enum InfoSource {
    TypeName(Box<[u8]>),
    Name,
    GraphqlTypeName,
    ListField,
    Mode,
    Count,
    Shape,
    CreatedAt,
    Settings(Vec<Selected<SettingsSource>>),
    Indexes(Vec<Selected<IndexSource>>),
    Relations(Vec<Selected<RelationSource>>),
    Drift(Vec<Selected<DriftSource>>),
    Backfills(Vec<Selected<BackfillSource>>),
}

/// Where a field of `CollectionDrift` comes from.
#[derive(Debug)]
pub(crate) enum DriftSource {
    TypeName(Box<[u8]>),
    Path,
    OriginalPath,
    Published,
    Found,
    Documents,
    Kinds,
}

/// Where a field of `ApiChange` comes from.
#[derive(Debug)]
pub(crate) enum ApiChangeSource {
    TypeName(Box<[u8]>),
    Kind,
    Path,
    Breaking,
    Description,
}

/// Where a field of `SchemaPromotion` comes from.
#[derive(Debug)]
pub(crate) enum PromotionSource {
    TypeName(Box<[u8]>),
    Collection(Vec<Selected<InfoSource>>),
    Changes(Vec<Selected<ApiChangeSource>>),
}

/// Where a field of `CollectionBackfill` comes from.
#[derive(Debug)]
pub(crate) enum BackfillSource {
    TypeName(Box<[u8]>),
    Kind,
    Fields,
    Was,
    Progress,
    Failure,
}

/// Where a field of `CollectionSettings` comes from.
#[derive(Debug)]
pub(crate) enum SettingsSource {
    TypeName(Box<[u8]>),
    Retain,
    SoftDelete,
    Ttl,
    OnExpire,
    PurgeAfter,
}

/// Where a field of `CollectionRelation` comes from.
#[derive(Debug)]
pub(crate) enum RelationSource {
    TypeName(Box<[u8]>),
    Name,
    Inverse,
    Field,
    IsList,
    Target,
    TargetField,
    Origin,
    OnDelete,
    Evidence(Vec<Selected<EvidenceSource>>),
}

/// Where a field of `RelationEvidence` comes from.
#[derive(Debug)]
pub(crate) enum EvidenceSource {
    TypeName(Box<[u8]>),
    Documents,
    Matching,
    Dangling,
    Distinct,
    Ratio,
    IsSampled,
    At,
}

/// Where a field of `CollectionIndex` comes from.
#[derive(Debug)]
pub(crate) enum IndexSource {
    TypeName(Box<[u8]>),
    Fields,
    Unique,
    IsAutomatic,
    Status,
    Progress,
    Rows,
    Failure,
}

/// Where a field of `SchemaChange` comes from.
#[derive(Debug)]
pub(crate) enum SchemaChangeSource {
    TypeName(Box<[u8]>),
    Collections(Vec<Selected<InfoSource>>),
    Changes,
}

/// Where a field of `Change` comes from.
#[derive(Debug)]
pub(crate) enum ChangeSource {
    TypeName(Box<[u8]>),
    CommitTs,
    Collection,
    Id,
    Kind,
    Before,
    After,
}

/// Where a field of `SchemaInfo` comes from.
#[derive(Debug)]
pub(crate) enum SchemaSource {
    TypeName(Box<[u8]>),
    Version,
    Sdl,
    Changes {
        /// Which of the plan's inner fields has its argument.
        inner: usize,
        items: Vec<Selected<ApiChangeSource>>,
    },
}

/// Where a field of a `BulkResult` comes from.
#[derive(Debug)]
pub(crate) enum BulkSource {
    TypeName(Box<[u8]>),
    Count,
    Ids,
}

/// The engine's field for a system field, where looking at it can tell two images of a document apart.
pub(super) fn add_to_mask(mask: &mut FieldMask, field: SystemField) {
    match field {
        // A document keeps its id for life.
        SystemField::NodeId | SystemField::Id => {}
        SystemField::Version => mask.add(FieldRef::Version),
        SystemField::CommitTs => mask.add(FieldRef::CommitTs),
        SystemField::CreatedAt => mask.add(FieldRef::CreatedAt),
        SystemField::UpdatedAt => mask.add(FieldRef::UpdatedAt),
        SystemField::DeletedAt => mask.add(FieldRef::DeletedAt),
        SystemField::ExpiresAt => mask.add(FieldRef::ExpiresAt),
        SystemField::PurgeAt => mask.add(FieldRef::PurgeAt),
        SystemField::Json => *mask = FieldMask::all(),
    }
}

//! Selections on related documents, compiled.

use std::sync::Arc;

use thalweg_engine::{FieldMask, FieldRef};
use thalweg_model::{CollectionId, FieldName, FieldPath};
use thalweg_schema_infer::{ApiCollection, RelationKey};

use super::selection::{ConnectionSelection, DocumentSelection};

/// The selection on the documents that a stored field names.
#[derive(Debug)]
pub(crate) struct NamedSelection {
    /// Which of the run's stores has the documents that were loaded for it.
    pub(crate) store: usize,
    /// The way to the field from the document's root.
    pub(crate) path: FieldPath,
    /// The field in the object around it.
    pub(crate) name: FieldName,
    /// Which of the run's inline caches remembers the field's place in that object.
    pub(crate) slot: usize,
    /// Whether it holds a list.
    pub(crate) is_list: bool,
    pub(crate) key: RelationKey,
    /// Whose documents it names.
    pub(crate) target: CollectionId,
    pub(crate) selection: DocumentSelection,
    /// What a dependency on such a document looks at: the selection, and the field that it is found by.
    pub(crate) mask: FieldMask,
}

/// The selection on the documents whose field names one.
#[derive(Debug)]
pub(crate) struct BackSelection {
    /// Which of the run's stores has the pages that were loaded for it.
    pub(crate) store: usize,
    /// Which of the plan's inner fields has its arguments.
    pub(crate) inner: usize,
    /// Whose documents name it.
    pub(crate) source: CollectionId,
    /// By which of their fields.
    pub(crate) field: FieldRef,
    /// Whether that holds a list.
    pub(crate) is_list: bool,
    /// What of the document they name.
    pub(crate) key: RelationKey,
    /// What it holds ids as.
    pub(crate) ids: IdKind,
    pub(crate) selection: Arc<ConnectionSelection>,
}

/// What a field holds ids as, by its type. Where that is known, one range of an index has all documents that name one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdKind {
    Texts,
    Integers,
    Either,
}

/// A field below the root fields that takes arguments.
#[derive(Debug)]
pub(crate) enum InnerField {
    /// `_history`
    Revisions,
    /// `changes` of the schema.
    SchemaChanges,
    /// The way back of a relation, to documents of that collection.
    Back {
        collection: Box<ApiCollection>,
        selection: Arc<ConnectionSelection>,
    },
}

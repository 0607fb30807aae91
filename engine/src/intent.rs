//! Writes as intents: what to do to whatever the document is when its turn comes.
//!
//! A transaction does not compute after-images. It says what it wants, and the committer applies that in commit
//! order to the then-current image; so two patches of different fields both survive, and an increment depends on
//! nothing that it does not read.

use std::sync::Arc;

use thalweg_model::{CollectionId, Document, DocumentId, Patch};

use crate::index::{IndexDefinition, IndexId};
use crate::record::Record;

/// Names the collection of an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectionRef {
    /// A collection of the catalog.
    Id(CollectionId),
    /// By name; `create` makes it where it is missing.
    Name {
        /// The name.
        name: Arc<str>,
        /// Whether to create it.
        create: bool,
    },
}

/// One write of a transaction.
///
/// A softly deleted document counts as absent, except for [`Intent::Delete`] with `permanent` and
/// [`Intent::Restore`].
#[derive(Clone, Debug)]
pub enum Intent {
    /// Inserts a document; refused where the id is taken.
    Create {
        /// Where.
        collection: CollectionRef,
        /// Its id; else the document's own member `id` (a string or an integer), else a new UUIDv7.
        id: Option<DocumentId>,
        /// The document.
        document: Document,
    },
    /// Inserts a document, or replaces the one of that id.
    Put {
        /// Where.
        collection: CollectionRef,
        /// Its id, as for [`Intent::Create`].
        id: Option<DocumentId>,
        /// The document.
        document: Document,
    },
    /// Replaces a document; does nothing where it is absent.
    Replace {
        /// Where.
        collection: CollectionId,
        /// Which.
        id: DocumentId,
        /// The new document.
        document: Document,
        /// Refuse the transaction unless this is the current version.
        if_version: Option<u64>,
    },
    /// Changes parts of a document.
    Patch {
        /// Where.
        collection: CollectionId,
        /// Which.
        id: DocumentId,
        /// What to change.
        patch: Patch,
        /// Refuse the transaction unless this is the current version.
        if_version: Option<u64>,
        /// What to create where it is absent; else nothing is done then.
        otherwise: Option<Document>,
    },
    /// Deletes a document; does nothing where it is absent.
    Delete {
        /// Where.
        collection: CollectionId,
        /// Which.
        id: DocumentId,
        /// For good, rather than softly.
        permanent: bool,
        /// Refuse the transaction unless this is the current version.
        if_version: Option<u64>,
    },
    /// Takes back a soft deletion; does nothing where the document is absent or not deleted.
    Restore {
        /// Where.
        collection: CollectionId,
        /// Which.
        id: DocumentId,
    },
    /// Creates an empty collection; refused where the name is taken.
    CreateCollection {
        /// Its name.
        name: Arc<str>,
    },
    /// Gives a collection another name.
    RenameCollection {
        /// Its name now.
        from: Arc<str>,
        /// Its name then.
        to: Arc<str>,
    },
    /// Deletes all documents of a collection for good, at once.
    TruncateCollection {
        /// Its name.
        name: Arc<str>,
    },
    /// Deletes a collection with all that is in it.
    DropCollection {
        /// Its name.
        name: Arc<str>,
    },
    /// Gives a collection an index; does nothing where it has one of that definition. It is maintained from this
    /// commit on and built in the background. One that has failed is built anew.
    CreateIndex {
        /// Of which collection.
        collection: CollectionRef,
        /// What it is made of.
        definition: IndexDefinition,
    },
    /// Takes an index away; does nothing where there is none of that definition. Its rows are removed in the
    /// background.
    DropIndex {
        /// From which collection.
        collection: CollectionRef,
        /// What it is made of.
        definition: IndexDefinition,
    },
    /// Does the next page of background work on an index: builds it, or erases it; nothing where there is nothing to
    /// do. This is what the maintenance of the engine sends.
    MaintainIndex {
        /// Of which collection.
        collection: CollectionId,
        /// Which.
        index: IndexId,
    },
}

/// What an intent did.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// The collection that it was applied to.
    pub collection: Option<CollectionId>,
    /// The image that it found, if it shows a document.
    pub before: Option<Arc<Record<'static>>>,
    /// The image that it left: the changed document, or the same one where nothing changed. For a permanent deletion
    /// there is none.
    pub after: Option<Arc<Record<'static>>>,
    /// Whether it changed anything.
    pub changed: bool,
}

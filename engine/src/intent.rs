//! Writes as intents: what to do to whatever the document is when its turn comes.
//!
//! A transaction does not compute after-images. It says what it wants, and the committer applies that in commit
//! order to the then-current image; so two patches of different fields both survive, and an increment depends on
//! nothing that it does not read.

use std::sync::Arc;

use thalweg_model::{CollectionId, CommitTs, Document, DocumentId, FieldPath, Patch};

use crate::declared::{BackfillCursor, Declaration};
use crate::index::{IndexDefinition, IndexId};
use crate::made_id::has_own_id;
use crate::record::Record;
use crate::relations::DeclaredRelation;
use crate::settings::{OnExpire, SettingsChange, Update};
use crate::upkeep::UpkeepWork;

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
        /// What to do about its expiry.
        expiry: ExpiryChange,
    },
    /// Inserts a document, or replaces the one of that id.
    Put {
        /// Where.
        collection: CollectionRef,
        /// Its id, as for [`Intent::Create`].
        id: Option<DocumentId>,
        /// The document.
        document: Document,
        /// What to do about its expiry.
        expiry: ExpiryChange,
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
        /// What to do about its expiry.
        expiry: ExpiryChange,
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
        /// What to do about its expiry.
        expiry: ExpiryChange,
    },
    /// Deletes a document; does nothing where it is absent. A permanent deletion hides the document's history at once.
    Delete {
        /// Where.
        collection: CollectionId,
        /// Which.
        id: DocumentId,
        /// For good, rather than as the collection's `soft_delete` says.
        permanent: bool,
        /// When to delete it for good, in microseconds since the Unix epoch, rather than as the collection's
        /// `purge_after` says. Only a soft deletion has such a time.
        purge_at: Option<u64>,
        /// Refuse the transaction unless this is the current version.
        if_version: Option<u64>,
    },
    /// Takes back a soft deletion, or writes an earlier revision again as a new one; does nothing where the document is
    /// absent, or not deleted and no revision is named. An expiry that has passed by then is not restored.
    Restore {
        /// Where.
        collection: CollectionId,
        /// Which.
        id: DocumentId,
        /// The revision that held then; refused where the document was not there, or deleted.
        to: Option<CommitTs>,
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
    /// Publishes of a collection's types what its documents say now, although clients may have been written against
    /// others; nothing of one without documents.
    PromoteTypes {
        /// Its name.
        collection: Arc<str>,
    },
    /// Changes the settings of a collection.
    Configure {
        /// Which.
        collection: CollectionRef,
        /// What to change.
        change: SettingsChange,
    },
    /// Replaces what is declared of how the documents of a collection name others. Relations that were found in the
    /// documents stay, but for the fields that are named here.
    Relate {
        /// Of which collection.
        collection: CollectionRef,
        /// The relations.
        relations: Vec<DeclaredRelation>,
        /// Fields that are none.
        refused: Vec<FieldPath>,
    },
    /// Declares what the documents of a collection are like; refused where those that are there are not so.
    Declare {
        /// Which.
        collection: CollectionRef,
        /// What is declared. It replaces what was declared before.
        declaration: Declaration,
    },
    /// Writes a page of older documents as they have to be by what was declared. This is what the maintenance of the
    /// engine sends; it does nothing where that pass over the documents is over.
    Backfill {
        /// Which.
        collection: CollectionId,
        /// The pass.
        since: CommitTs,
        /// The documents.
        ids: Vec<DocumentId>,
        /// How far the pass has come with it; `None` at the end of the collection.
        to: Option<BackfillCursor>,
    },
    /// Stops a backfill whose documents cannot be written.
    FailBackfill {
        /// Of which collection.
        collection: CollectionId,
        /// The pass.
        since: CommitTs,
        /// Why.
        reason: Arc<str>,
    },
    /// What the engine does by itself when its time has come.
    Upkeep(Upkeep),
}

impl Intent {
    /// The document that it is meant for, where it says which.
    pub(crate) fn target(&self) -> Option<&DocumentId> {
        match self {
            Intent::Create { id, .. } | Intent::Put { id, .. } => id.as_ref(),
            Intent::Replace { id, .. }
            | Intent::Patch { id, .. }
            | Intent::Delete { id, .. }
            | Intent::Restore { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The place of the id of a new document, where the committer would have to make one up.
    pub(crate) fn missing_id(&mut self) -> Option<&mut Option<DocumentId>> {
        match self {
            Intent::Create { id, document, .. } | Intent::Put { id, document, .. } => {
                (id.is_none() && !has_own_id(document)).then_some(id)
            }
            _ => None,
        }
    }
}

/// A piece of the engine's own work, which nobody else can make.
#[derive(Clone, Debug)]
pub struct Upkeep(pub(crate) UpkeepWork);

/// What a write does to when the document expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ExpiryChange {
    /// When it expires, in microseconds since the Unix epoch. A new document has no such time unless it is set here.
    pub at: Update<u64>,
    /// What becomes of it then.
    pub on_expire: Update<OnExpire>,
}

impl ExpiryChange {
    /// Leaves all as it is.
    pub const KEEP: ExpiryChange = ExpiryChange {
        at: Update::Keep,
        on_expire: Update::Keep,
    };
}

/// Who makes a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    author: Option<Arc<str>>,
}

impl Origin {
    /// Longest name of an author, in bytes.
    pub const AUTHOR_BYTES_MAX: usize = 255;

    /// A transaction of somebody; a name that is too long is cut.
    pub fn by(author: &str) -> Origin {
        let end = author.floor_char_boundary(Self::AUTHOR_BYTES_MAX);
        Origin {
            author: Some(author[..end].into()),
        }
    }

    /// Who it is, where that is known.
    pub fn author(&self) -> Option<&Arc<str>> {
        self.author.as_ref()
    }
}

/// What a transaction wants to write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intents {
    pub(crate) list: Vec<Intent>,
    /// How many intents there were at the end of each statement but the last, ascending.
    pub(crate) ends: Vec<usize>,
    pub(crate) origin: Origin,
}

impl Intents {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Ends a statement, if it has any intent.
    pub(crate) fn end_statement(&mut self) {
        if self.list.len() > self.ends.last().copied().unwrap_or_default() {
            self.ends.push(self.list.len());
        }
    }
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

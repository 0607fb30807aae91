//! The code of a mutation's transaction: bound root fields become intents.
//!
//! It may run several times, so it has no effect but through the transaction and what it returns.

use std::sync::Arc;

use parking_lot::Mutex;
use thalweg_engine::{
    Catalog, Collection, CollectionRef, EngineError, ExpiryChange, Find, Intent, IntentError,
    Record, Transaction, TransactionError,
};
use thalweg_model::{CollectionId, DocumentId, ErrorCode, Patch, PatchOperation};
use thalweg_schema_infer::{ApiCollection, CollectionSchema};

use crate::bind::{Bound, Write};
use crate::cost::{self, Allowance};
use crate::declaration::{self, Change, Declaration};
use crate::new_document::NewDocument;
use crate::operation::Prepared;
use crate::plan::{Action, MutationAction};

/// What the transaction's code gives beside its steps.
pub(super) struct Written {
    /// The first step of each root field, and behind the last the number of steps.
    pub(super) starts: Vec<usize>,
    /// The ids that each bulk root field selected.
    pub(super) selected: Vec<Vec<Box<str>>>,
    /// Which steps of each root field are those of its own documents; `None` where all are, since nothing is nested.
    pub(super) own: Vec<Option<Vec<usize>>>,
    /// The catalog before, where a root field changes collections: a dropped one is shown as it was.
    pub(super) before: Option<Arc<Catalog>>,
    /// By root field: what a declared schema was found to change.
    pub(super) applied: Vec<(usize, Applied)>,
    /// By root field: what a promotion publishes.
    pub(super) promoted: Vec<(usize, Promoted)>,
}

/// What a promotion comes to.
pub(super) struct Promoted {
    /// The catalog before.
    pub(super) catalog: Arc<Catalog>,
    /// The collection before.
    pub(super) collection: Arc<Collection>,
    /// Its types then.
    pub(super) types: Arc<CollectionSchema>,
}

/// What a declared schema comes to.
pub(super) struct Applied {
    /// The collections that it declares.
    pub(super) collections: Vec<Arc<str>>,
    /// What it changes, in words.
    pub(super) changes: Vec<String>,
    /// Nothing of it is written.
    pub(super) is_dry: bool,
}

/// The transaction's code: turns bound root fields into intents.
pub(super) fn write_all(
    prepared: &Prepared,
    starts: &Mutex<Vec<usize>>,
    allowance: &Allowance,
    transaction: &mut Transaction<'_>,
) -> Result<Written, TransactionError> {
    transaction.set_budget(Some(allowance.rows_max), allowance.interrupt.clone());
    let mut writer = Writer {
        transaction,
        rows_max: allowance.rows_max,
        steps: 0,
        written: Written {
            starts: Vec::new(),
            selected: Vec::new(),
            own: Vec::new(),
            before: None,
            applied: Vec::new(),
            promoted: Vec::new(),
        },
        touched: Vec::new(),
    };
    starts.lock().clear();
    for (root, bound) in prepared.plan.roots.iter().zip(prepared.bound.iter()) {
        starts.lock().push(writer.steps);
        writer.written.starts.push(writer.steps);
        writer.written.own.push(None);
        let mut selected = Vec::new();
        if let (Action::Mutation(action), Bound::Write(write)) = (&root.action, bound) {
            selected = writer.root(action, write)?;
        }
        writer.written.selected.push(selected);
        writer.transaction.end_statement();
    }
    let steps = writer.steps;
    writer.written.starts.push(steps);
    Ok(writer.written)
}

pub(super) struct Writer<'w, 's> {
    pub(super) transaction: &'w mut Transaction<'s>,
    /// How many documents all root fields may look at together.
    rows_max: u64,
    pub(super) steps: usize,
    written: Written,
    /// The collections that earlier root fields write.
    touched: Vec<CollectionRef>,
}

impl<'s> Writer<'_, 's> {
    fn root(
        &mut self,
        action: &MutationAction,
        write: &Write,
    ) -> Result<Vec<Box<str>>, TransactionError> {
        match action {
            MutationAction::Document { collection, .. }
            | MutationAction::CreateMany { collection, .. } => {
                self.documents(collection, write)?;
                Ok(Vec::new())
            }
            MutationAction::Bulk { collection, .. } => self.bulk(collection.id, write),
            MutationAction::InsertDocuments => {
                let Write::Insert {
                    collection,
                    create,
                    documents,
                } = write
                else {
                    return Ok(Vec::new());
                };
                let collection = CollectionRef::Name {
                    name: Arc::clone(collection),
                    create: *create,
                };
                for document in documents {
                    let document = document.clone();
                    self.write(Intent::Create {
                        collection: collection.clone(),
                        id: None,
                        document,
                        expiry: ExpiryChange::KEEP,
                    })?;
                }
                self.touched.push(collection);
                Ok(Vec::new())
            }
            MutationAction::Collection { .. } => {
                self.collection(write)?;
                Ok(Vec::new())
            }
            MutationAction::PromoteSchema(_) => {
                if let Write::PromoteSchema {
                    collection,
                    dry_run,
                } = write
                {
                    self.promote(collection, *dry_run)?;
                }
                Ok(Vec::new())
            }
            MutationAction::ApplySchema(_) => {
                if let Write::ApplySchema {
                    declaration,
                    is_dry,
                } = write
                {
                    self.apply(declaration, *is_dry)?;
                }
                Ok(Vec::new())
            }
        }
    }

    pub(super) fn write(&mut self, intent: Intent) -> Result<(), TransactionError> {
        self.transaction.write(intent)?;
        self.steps += 1;
        Ok(())
    }

    fn documents(&mut self, api: &ApiCollection, write: &Write) -> Result<(), TransactionError> {
        let collection = api.id;
        self.touched.push(CollectionRef::Id(collection));
        match write {
            Write::Create(new) if new.related.is_empty() => self.write(create(collection, new)),
            Write::Create(new) => {
                let step = self.create_nested(collection, new)?;
                self.own_steps(vec![step]);
                Ok(())
            }
            Write::CreateMany(documents) => {
                let mut steps = Vec::with_capacity(documents.len());
                for new in documents {
                    steps.push(self.create_nested(collection, new)?);
                }
                self.own_steps(steps);
                Ok(())
            }
            Write::Update {
                id,
                patch,
                expiry,
                if_version,
                related,
            } => {
                let step = self.change_nested(collection, id, related, true, |_, operations| {
                    Ok(Intent::Patch {
                        collection,
                        id: id.clone(),
                        patch: patch_with(patch, operations),
                        if_version: *if_version,
                        otherwise: None,
                        expiry: *expiry,
                    })
                })?;
                self.own_steps(vec![step]);
                Ok(())
            }
            Write::Upsert {
                id,
                document,
                patch,
                expiry,
                related,
            } => {
                let step = self.change_nested(collection, id, related, false, |writer, all| {
                    Ok(Intent::Patch {
                        collection,
                        id: id.clone(),
                        otherwise: Some(writer.with(document, all.clone())?),
                        patch: patch_with(patch, all),
                        if_version: None,
                        expiry: *expiry,
                    })
                })?;
                self.own_steps(vec![step]);
                Ok(())
            }
            Write::Replace {
                id,
                document,
                expiry,
                if_version,
                related,
            } => {
                let step = self.change_nested(collection, id, related, true, |writer, all| {
                    Ok(Intent::Replace {
                        collection,
                        id: id.clone(),
                        document: writer.with(document, all)?,
                        if_version: *if_version,
                        expiry: *expiry,
                    })
                })?;
                self.own_steps(vec![step]);
                Ok(())
            }
            Write::Delete {
                id,
                permanent,
                purge_at,
                if_version,
            } => self.write(Intent::Delete {
                collection,
                id: id.clone(),
                permanent: *permanent,
                purge_at: *purge_at,
                if_version: *if_version,
            }),
            Write::Restore { id, to } => self.write(Intent::Restore {
                collection,
                id: id.clone(),
                to: *to,
            }),
            _ => Ok(()),
        }
    }

    /// Notes which steps of the present root field are those of its own documents.
    fn own_steps(&mut self, mut steps: Vec<usize>) {
        let start = self.written.starts.last().copied().unwrap_or_default();
        if steps.len() == self.steps - start {
            return;
        }
        for step in &mut steps {
            *step -= start;
        }
        if let Some(own) = self.written.own.last_mut() {
            *own = Some(steps);
        }
    }

    /// A bulk mutation selects among the documents as the root fields before it leave them.
    fn bulk(
        &mut self,
        collection: CollectionId,
        write: &Write,
    ) -> Result<Vec<Box<str>>, TransactionError> {
        self.touched.push(CollectionRef::Id(collection));
        match write {
            Write::UpdateMany {
                find,
                patch,
                expiry,
                related,
            } => {
                let operations = self.name_others(related)?;
                let patch = patch_with(patch, operations);
                self.each(find, |id| Intent::Patch {
                    collection,
                    id,
                    patch: patch.clone(),
                    if_version: None,
                    otherwise: None,
                    expiry: *expiry,
                })
            }
            Write::DeleteMany {
                find,
                permanent,
                purge_at,
            } => self.each(find, |id| Intent::Delete {
                collection,
                id,
                permanent: *permanent,
                purge_at: *purge_at,
                if_version: None,
            }),
            _ => Ok(Vec::new()),
        }
    }

    /// Whether an earlier root field writes to the collection, which may not exist or not be known by its name yet.
    fn is_touched(&self, id: Option<CollectionId>, name: Option<&str>) -> bool {
        self.touched.iter().any(|touched| match touched {
            CollectionRef::Id(touched) => id == Some(*touched),
            CollectionRef::Name { name: touched, .. } => name == Some(&**touched),
        })
    }

    /// Finds what a bulk mutation is about, unless that costs more than it may.
    fn select(&mut self, find: &Find) -> Result<Vec<Record<'s>>, TransactionError> {
        let (rows_max, part) = (self.rows_max, self.steps);
        let estimated = self.transaction.estimate(find)?;
        let catalog = self.transaction.catalog();
        let collection = catalog.by_id(find.collection).map(|found| &**found);
        let refused = |code, message| TransactionError::Refused {
            code,
            message,
            part,
        };
        if estimated > rows_max {
            let advice = cost::advice(collection, find);
            let message = format!(
                "the mutation would look at about {estimated} documents; at most {rows_max} are allowed: {advice}"
            );
            return Err(refused(ErrorCode::LimitExceeded, message));
        }
        match self.transaction.find(find) {
            Err(TransactionError::Engine(error)) if cost::is_of_cost(&error) => {
                let advice = cost::advice(collection, find);
                let message = match error {
                    EngineError::RowsExceeded => format!(
                        "the mutation looks at more than {rows_max} documents, which is the most that one may; nothing \
                         was written: {advice}"
                    ),
                    _ => format!("{error}; nothing was written: {advice}"),
                };
                Err(refused(error.code(), message))
            }
            found => Ok(found?),
        }
    }

    fn each(
        &mut self,
        find: &Find,
        intent: impl Fn(DocumentId) -> Intent,
    ) -> Result<Vec<Box<str>>, TransactionError> {
        let records = self.select(find)?;
        let writes_max = find.limit.saturating_sub(1);
        if records.len() > writes_max {
            return Err(TransactionError::Refused {
                code: ErrorCode::LimitExceeded,
                message: format!(
                    "the filter selects more than {writes_max} documents, which is the most that one bulk mutation may write; narrow it and send several"
                ),
                part: self.steps,
            });
        }
        let mut ids = Vec::with_capacity(records.len());
        for record in &records {
            let id =
                DocumentId::new(record.id()).map_err(|_| EngineError::Corrupt { what: "id" })?;
            ids.push(id.as_str().into());
            self.write(intent(id))?;
        }
        Ok(ids)
    }

    /// A declaration is compared with the catalog of the transaction's snapshot, which does not show what earlier root
    /// fields change of collections; so it comes first.
    fn apply(&mut self, declaration: &Declaration, is_dry: bool) -> Result<(), TransactionError> {
        let part = self.steps;
        if !self.touched.is_empty() {
            return Err(TransactionError::Refused {
                code: ErrorCode::BadRequest,
                message: "applySchema must come before all other writes; put it first, or send it on its own".to_owned(),
                part,
            });
        }
        let catalog = self.transaction.catalog();
        let (collections, changes) =
            declaration::changes(declaration, catalog).map_err(|refusal| {
                TransactionError::Refused {
                    code: refusal.code,
                    message: refusal.message,
                    part,
                }
            })?;
        for name in &collections {
            self.touched.push(CollectionRef::Name {
                name: Arc::clone(name),
                create: false,
            });
        }
        let mut applied = Applied {
            collections,
            changes: Vec::with_capacity(changes.len()),
            is_dry: false,
        };
        let mut changes = changes;
        let mut violations = Vec::new();
        for change in &mut changes {
            if let Intent::Declare {
                collection: CollectionRef::Name { name, .. },
                declaration,
            } = &mut change.intent
                && let Some(collection) = catalog.by_name(name)
            {
                violations.extend(self.transaction.judge(collection, declaration)?);
            }
        }
        if !violations.is_empty() {
            return Err(TransactionError::Intent {
                step: part,
                error: IntentError::NotSatisfied { violations },
            });
        }
        applied.is_dry = is_dry;
        for Change { intent, words } in changes {
            if !is_dry {
                self.write(intent)?;
            }
            applied.changes.push(words);
        }
        let root = self.written.selected.len();
        self.written.applied.push((root, applied));
        Ok(())
    }

    /// What is published then follows from the documents of the transaction's snapshot, which does not show earlier root
    /// fields' writes; so it comes before them.
    fn promote(&mut self, name: &Arc<str>, dry_run: bool) -> Result<(), TransactionError> {
        let part = self.steps;
        let refused = |code, message| TransactionError::Refused {
            code,
            message,
            part,
        };
        let catalog = Arc::clone(self.transaction.catalog());
        let Some(collection) = catalog.by_name(name).cloned() else {
            let message = format!("there is no collection {:?}", &**name);
            return Err(refused(ErrorCode::NotFound, message));
        };
        if self.is_touched(Some(collection.id), Some(name)) {
            let message = "promoteSchema must come before writes to its collection; put it first, or send it on its own";
            return Err(refused(ErrorCode::BadRequest, message.to_owned()));
        }
        let types = self.transaction.promoted_types(&collection)?;
        if !dry_run {
            self.write(Intent::PromoteTypes {
                collection: Arc::clone(name),
            })?;
        }
        let root = self.written.selected.len();
        let promoted = Promoted {
            catalog,
            collection,
            types,
        };
        self.written.promoted.push((root, promoted));
        Ok(())
    }

    fn collection(&mut self, write: &Write) -> Result<(), TransactionError> {
        let (intent, name) = match write {
            Write::CreateCollection { name } => (
                Intent::CreateCollection {
                    name: Arc::clone(name),
                },
                name,
            ),
            Write::RenameCollection { from, to } => (
                Intent::RenameCollection {
                    from: Arc::clone(from),
                    to: Arc::clone(to),
                },
                from,
            ),
            Write::TruncateCollection { name } => (
                Intent::TruncateCollection {
                    name: Arc::clone(name),
                },
                name,
            ),
            Write::DropCollection { name } => (
                Intent::DropCollection {
                    name: Arc::clone(name),
                },
                name,
            ),
            _ => return Ok(()),
        };
        if let Intent::DropCollection { name } = &intent {
            let id = self
                .transaction
                .catalog()
                .by_name(name)
                .map(|found| found.id);
            if self.is_touched(id, Some(name)) {
                return Err(TransactionError::Refused {
                    code: ErrorCode::BadRequest,
                    message: format!(
                        "{name} is written by an earlier field of the operation, whose result could not be shown once it is dropped; drop it in an operation of its own"
                    ),
                    part: self.steps,
                });
            }
        }
        let mut touch = |name: &Arc<str>| {
            self.touched.push(CollectionRef::Name {
                name: Arc::clone(name),
                create: false,
            });
        };
        touch(name);
        if let Intent::RenameCollection { to, .. } = &intent {
            touch(to);
        }
        self.written.before = Some(Arc::clone(self.transaction.catalog()));
        self.write(intent)
    }
}

/// A patch that sets fields by which others are named, too.
fn patch_with(patch: &Patch, operations: Vec<PatchOperation>) -> Patch {
    let mut patch = patch.clone();
    patch.operations.extend(operations);
    patch
}

pub(super) fn create(collection: CollectionId, new: &NewDocument) -> Intent {
    Intent::Create {
        collection: CollectionRef::Id(collection),
        id: new.id.clone(),
        document: new.document.clone(),
        expiry: new.expiry,
    }
}

//! The code of a mutation's transaction: bound root fields become intents.
//!
//! It may run several times, so it has no effect but through the transaction and what it returns.

use std::sync::Arc;

use parking_lot::Mutex;
use thalweg_engine::{
    Catalog, CollectionRef, EngineError, ExpiryChange, Find, Intent, Record, Transaction,
    TransactionError,
};
use thalweg_model::{CollectionId, DocumentId, ErrorCode};
use thalweg_schema_infer::ApiCollection;

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
    /// The catalog before, where a root field changes collections: a dropped one is shown as it was.
    pub(super) before: Option<Arc<Catalog>>,
    /// By root field: what a declared schema was found to change.
    pub(super) applied: Vec<(usize, Applied)>,
}

/// What a declared schema comes to.
pub(super) struct Applied {
    /// The collections that it declares.
    pub(super) collections: Vec<Arc<str>>,
    /// What it changes, in words.
    pub(super) changes: Vec<String>,
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
            before: None,
            applied: Vec::new(),
        },
        touched: Vec::new(),
    };
    starts.lock().clear();
    for (root, bound) in prepared.plan.roots.iter().zip(prepared.bound.iter()) {
        starts.lock().push(writer.steps);
        writer.written.starts.push(writer.steps);
        let mut selected = Vec::new();
        if let (Action::Mutation(action), Bound::Write(write)) = (&root.action, bound) {
            selected = writer.root(action, write)?;
        }
        writer.written.selected.push(selected);
    }
    let steps = writer.steps;
    writer.written.starts.push(steps);
    Ok(writer.written)
}

struct Writer<'w, 's> {
    transaction: &'w mut Transaction<'s>,
    /// How many documents all root fields may look at together.
    rows_max: u64,
    steps: usize,
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
            MutationAction::ApplySchema(_) => {
                if let Write::ApplySchema(declaration) = write {
                    self.apply(declaration)?;
                }
                Ok(Vec::new())
            }
        }
    }

    fn write(&mut self, intent: Intent) -> Result<(), TransactionError> {
        self.transaction.write(intent)?;
        self.steps += 1;
        Ok(())
    }

    fn documents(&mut self, api: &ApiCollection, write: &Write) -> Result<(), TransactionError> {
        let collection = api.id;
        self.touched.push(CollectionRef::Id(collection));
        match write {
            Write::Create(new) => self.write(create(collection, new)),
            Write::CreateMany(documents) => documents
                .iter()
                .try_for_each(|new| self.write(create(collection, new))),
            Write::Update {
                id,
                patch,
                expiry,
                if_version,
            } => self.write(Intent::Patch {
                collection,
                id: id.clone(),
                patch: patch.clone(),
                if_version: *if_version,
                otherwise: None,
                expiry: *expiry,
            }),
            Write::Upsert {
                id,
                document,
                patch,
                expiry,
            } => self.write(Intent::Patch {
                collection,
                id: id.clone(),
                patch: patch.clone(),
                if_version: None,
                otherwise: Some(document.clone()),
                expiry: *expiry,
            }),
            Write::Replace {
                id,
                document,
                expiry,
                if_version,
            } => self.write(Intent::Replace {
                collection,
                id: id.clone(),
                document: document.clone(),
                if_version: *if_version,
                expiry: *expiry,
            }),
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
            } => self.each(find, |id| Intent::Patch {
                collection,
                id,
                patch: patch.clone(),
                if_version: None,
                otherwise: None,
                expiry: *expiry,
            }),
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
    fn apply(&mut self, declaration: &Declaration) -> Result<(), TransactionError> {
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
        };
        for Change { intent, words } in changes {
            self.write(intent)?;
            applied.changes.push(words);
        }
        let root = self.written.selected.len();
        self.written.applied.push((root, applied));
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

fn create(collection: CollectionId, new: &NewDocument) -> Intent {
    Intent::Create {
        collection: CollectionRef::Id(collection),
        id: new.id.clone(),
        document: new.document.clone(),
        expiry: new.expiry,
    }
}

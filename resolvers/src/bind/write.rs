//! The arguments of mutations.

use std::sync::Arc;

use thalweg_engine::{ExpiryChange, Find};
use thalweg_model::{CommitTs, Document, DocumentId, Patch, Value};
use thalweg_schema_infer::ApiCollection;

use super::{Bound, find_all};
use crate::declaration::{self, Declaration};
use crate::failure::Refusal;
use crate::input::{Fields, Input};
use crate::instant;
use crate::limits::Limits;
use crate::nested::{self, Nesting, Offer, Related};
use crate::new_document::{self, NewDocument, document_id};
use crate::patch;
use crate::plan::{BulkMutation, CollectionMutation, DocumentMutation, MutationAction};
use crate::schema::SchemaVersion;

/// What a root field of a mutation writes.
#[derive(Debug)]
pub(crate) enum Write {
    Create(NewDocument),
    CreateMany(Vec<NewDocument>),
    Update {
        id: DocumentId,
        patch: Patch,
        expiry: ExpiryChange,
        if_version: Option<u64>,
        related: Vec<Related>,
    },
    /// Creates the document, or merges it into the one that is there.
    Upsert {
        id: DocumentId,
        document: Document,
        patch: Patch,
        expiry: ExpiryChange,
        related: Vec<Related>,
    },
    Replace {
        id: DocumentId,
        document: Document,
        expiry: ExpiryChange,
        if_version: Option<u64>,
        related: Vec<Related>,
    },
    Delete {
        id: DocumentId,
        permanent: bool,
        purge_at: Option<u64>,
        if_version: Option<u64>,
    },
    Restore {
        id: DocumentId,
        to: Option<CommitTs>,
    },
    UpdateMany {
        find: Find,
        patch: Patch,
        expiry: ExpiryChange,
        related: Vec<Related>,
    },
    DeleteMany {
        find: Find,
        permanent: bool,
        purge_at: Option<u64>,
    },
    Insert {
        collection: Arc<str>,
        create: bool,
        documents: Vec<Document>,
    },
    CreateCollection {
        name: Arc<str>,
    },
    RenameCollection {
        from: Arc<str>,
        to: Arc<str>,
    },
    TruncateCollection {
        name: Arc<str>,
    },
    DropCollection {
        name: Arc<str>,
    },
    PromoteSchema {
        collection: Arc<str>,
        dry_run: bool,
    },
    ApplySchema {
        declaration: Declaration,
        /// Only say what it would change.
        is_dry: bool,
    },
}

impl Write {
    /// Whether it may look at every document of a collection: it finds those to write by a filter, or judges a declaration.
    pub(crate) fn reads_a_collection(&self) -> bool {
        matches!(
            self,
            Write::UpdateMany { .. } | Write::DeleteMany { .. } | Write::ApplySchema { .. }
        )
    }
}

pub(super) fn bind(
    action: &MutationAction,
    arguments: &Fields,
    schema: &SchemaVersion,
    limits: &Limits,
) -> Result<Bound, Refusal> {
    if let MutationAction::ApplySchema(_) = action {
        let sdl = arguments.text("sdl").ok_or_else(|| required("sdl"))?;
        return Ok(match declaration::read(&sdl, schema.api.ids(), limits) {
            Ok(declaration) => Bound::Write(Write::ApplySchema {
                declaration,
                is_dry: arguments.flag("dryRun"),
            }),
            Err(refusals) => Bound::Refused(refusals.into()),
        });
    }
    write(action, arguments, schema, limits).map(Bound::Write)
}

fn write(
    action: &MutationAction,
    arguments: &Fields,
    schema: &SchemaVersion,
    limits: &Limits,
) -> Result<Write, Refusal> {
    let nesting = Nesting {
        api: &schema.api,
        depth_max: limits.depth_max,
    };
    match action {
        MutationAction::ApplySchema(_) => Err(required("sdl")),
        MutationAction::PromoteSchema(_) => Ok(Write::PromoteSchema {
            collection: name(arguments, "collection")?,
            dry_run: arguments.flag("dryRun"),
        }),
        MutationAction::Document {
            operation,
            collection,
            ..
        } => document(*operation, collection, nesting, arguments),
        MutationAction::CreateMany { collection, .. } => {
            let inputs = arguments
                .present("inputs")
                .map(Input::as_list)
                .unwrap_or_default();
            let documents = inputs.iter().enumerate().map(|(index, input)| {
                let input = input.as_object().ok_or_else(|| required("inputs"))?;
                nesting.document(collection, input, None, &format!("inputs[{index}]"), 0)
            });
            Ok(Write::CreateMany(documents.collect::<Result<_, _>>()?))
        }
        MutationAction::Bulk {
            operation,
            collection,
            ..
        } => {
            let find = find_all(collection, arguments, schema, limits)?;
            Ok(match operation {
                BulkMutation::Update => {
                    let (patch, expiry, related) =
                        patch_argument(collection, nesting, Offer::Naming, arguments)?;
                    Write::UpdateMany {
                        find,
                        patch,
                        expiry,
                        related,
                    }
                }
                BulkMutation::Delete => {
                    let (permanent, purge_at) = deletion(arguments)?;
                    Write::DeleteMany {
                        find,
                        permanent,
                        purge_at,
                    }
                }
            })
        }
        MutationAction::InsertDocuments => insert(arguments, limits),
        MutationAction::Collection { operation, .. } => Ok(match operation {
            CollectionMutation::Create => Write::CreateCollection {
                name: name(arguments, "name")?,
            },
            CollectionMutation::Rename => Write::RenameCollection {
                from: name(arguments, "from")?,
                to: name(arguments, "to")?,
            },
            CollectionMutation::Truncate => Write::TruncateCollection {
                name: name(arguments, "name")?,
            },
            CollectionMutation::Drop => Write::DropCollection {
                name: name(arguments, "name")?,
            },
        }),
    }
}

fn document(
    operation: DocumentMutation,
    collection: &ApiCollection,
    nesting: Nesting<'_>,
    arguments: &Fields,
) -> Result<Write, Refusal> {
    let ids = nesting.api.ids();
    let id = || document_id(&arguments.text(ids.own()).unwrap_or_default());
    let given = || {
        let input = input_argument(arguments)?;
        nesting.document(collection, input, arguments.present(ids.own()), "input", 0)
    };
    Ok(match operation {
        DocumentMutation::Create => Write::Create(given()?),
        DocumentMutation::Update => {
            let (patch, expiry, related) =
                patch_argument(collection, nesting, Offer::Everything, arguments)?;
            Write::Update {
                id: id()?,
                patch,
                expiry,
                if_version: if_version(arguments)?,
                related,
            }
        }
        DocumentMutation::Upsert => {
            let given = given()?;
            let input = input_argument(arguments)?;
            let operations = new_document::merge_operations(&collection.schema, ids, input)?;
            Write::Upsert {
                id: id()?,
                document: given.document,
                patch: patch::finish(operations)?,
                expiry: given.expiry,
                related: given.related,
            }
        }
        DocumentMutation::Replace => {
            let given = given()?;
            Write::Replace {
                id: id()?,
                document: given.document,
                expiry: given.expiry,
                if_version: if_version(arguments)?,
                related: given.related,
            }
        }
        DocumentMutation::Delete => {
            let (permanent, purge_at) = deletion(arguments)?;
            Write::Delete {
                id: id()?,
                permanent,
                purge_at,
                if_version: if_version(arguments)?,
            }
        }
        DocumentMutation::Restore => Write::Restore {
            id: id()?,
            to: instant::at(arguments)?,
        },
    })
}

/// Whether a deletion is permanent, and when it becomes so otherwise.
fn deletion(arguments: &Fields) -> Result<(bool, Option<u64>), Refusal> {
    let permanent = arguments.flag("permanent");
    let purge_at = instant::argument(arguments, "purgeAt")?;
    if permanent && purge_at.is_some() {
        return Err(Refusal::bad_request(
            "permanent deletes for good now, purgeAt later; say one of them",
        ));
    }
    Ok((permanent, purge_at))
}

fn insert(arguments: &Fields, limits: &Limits) -> Result<Write, Refusal> {
    let items = arguments
        .present("documents")
        .map(Input::as_list)
        .unwrap_or_default();
    let mut documents = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let value: Option<&Value> = item.as_scalar();
        let document = value.and_then(|value| Document::from_value(value.clone()).ok());
        documents.push(document.ok_or_else(|| {
            Refusal::bad_request(format!(
                "documents[{index}] is not a JSON object; documents are"
            ))
        })?);
    }
    let collection = name(arguments, "collection")?;
    Ok(Write::Insert {
        collection,
        create: limits.auto_create,
        documents,
    })
}

fn input_argument(arguments: &Fields) -> Result<&Fields, Refusal> {
    arguments
        .present("input")
        .and_then(Input::as_object)
        .ok_or_else(|| required("input"))
}

fn patch_argument(
    collection: &ApiCollection,
    nesting: Nesting<'_>,
    offer: Offer,
    arguments: &Fields,
) -> Result<(Patch, ExpiryChange, Vec<Related>), Refusal> {
    let input = arguments.present("patch").and_then(Input::as_object);
    let input = input.ok_or_else(|| required("patch"))?;
    let patch = patch::from_input(&collection.schema, nesting.api.ids(), input)?;
    let related = nesting.related(collection, input, "patch", offer, 0)?;
    let mut all = patch.operations.clone();
    all.extend(nested::placeholders(&related));
    patch::finish(all)?;
    Ok((patch, instant::expiry(input)?, related))
}

fn if_version(arguments: &Fields) -> Result<Option<u64>, Refusal> {
    let Some(given) = arguments.present("ifVersion") else {
        return Ok(None);
    };
    let version = given.as_scalar().and_then(|value| value.as_ref().as_i64());
    match version.and_then(|version| u64::try_from(version).ok()) {
        Some(version) => Ok(Some(version)),
        None => Err(Refusal::bad_request(
            "ifVersion is a document's _version, which is 1 or more",
        )),
    }
}

fn name(arguments: &Fields, argument: &str) -> Result<Arc<str>, Refusal> {
    arguments
        .text(argument)
        .map(Arc::from)
        .ok_or_else(|| required(argument))
}

/// Coercion has made sure of required arguments; this is for what it could not.
fn required(argument: &str) -> Refusal {
    Refusal::bad_request(format!("the argument {argument} is required"))
}

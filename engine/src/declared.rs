//! What is declared of a collection's documents, and what is still being done to older ones so that they satisfy it.
//!
//! A declaration is part of the collection's document in `_collections`, so declaring is a commit like any other, and has
//! a history. It is enforced where after-images are made ([`crate::draft`]), whoever writes. Softly deleted documents
//! satisfy it too: they can be read, and restored.
//!
//! A declaration is committed only where the documents that are there satisfy it, which the counted shape tells at the
//! commit's own turn, but for two things that the engine brings about itself, in bounded transactions of its own:
//!
//! - *Defaults* that older documents lack. Every document that is written is filled from the first moment; when all are,
//!   a required field is published as such.
//! - *Renames*, in two passes, so that at any moment all documents have the field under one name, which is where it is read
//!   from, filtered and ordered: first the values are copied to the new name, and every write keeps both alike; then
//!   reading changes over, in one commit; then the old name is removed.
//!
//! ```text
//! declared ──► Copying ──all copied──► Removing ──all removed──► done
//!                 read: old name          read: new name
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use thalweg_model::{CommitTs, Document, ValueRef, write_json_string, write_rfc3339};
use thalweg_schema_infer::declared::check::Mistakes;
use thalweg_schema_infer::declared::counted::Renamed;
use thalweg_schema_infer::declared::{CollectionMode, DeclaredSchema, Published};
use thalweg_schema_infer::{CollectionSchema, NameRegistry, Pins};

use crate::error::EngineError;

mod duty;
mod judge;

pub(crate) use duty::BackfillDuty;
pub use duty::BackfillProgress;
pub use duty::Cursor as BackfillCursor;
pub(crate) use duty::Cursor;
pub use judge::Violation;
pub(crate) use judge::{judge, new_renames};

/// What is to be declared of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// What documents have to be like; `None` of a flexible collection.
    pub schema: Option<DeclaredSchema>,
    /// The names that its type and its fields are to have in the API.
    pub pins: Pins,
    /// Fields that documents have under another name. One that was declared before under its name stays as it is.
    pub renames: Vec<Rename>,
    /// Whoever makes it has looked at every document, where the counts cannot tell: its transaction depends on them all.
    pub(crate) is_scanned: bool,
}

/// That a field gets another name in stored documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// Its name in the documents that are there.
    pub from: Arc<str>,
    /// Its declared name.
    pub to: Arc<str>,
}

impl Declaration {
    /// Nothing but a schema.
    pub fn new(schema: Option<DeclaredSchema>) -> Declaration {
        Declaration {
            schema,
            pins: Pins::default(),
            renames: Vec::new(),
            is_scanned: false,
        }
    }
}

/// What is declared of a collection that is not flexible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// What documents have to be like.
    pub schema: DeclaredSchema,
    /// What is being done to older ones, in order.
    pub backfills: Vec<Backfill>,
}

/// Work on older documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backfill {
    /// What is done.
    pub kind: BackfillKind,
    /// The commit that began this pass over the documents.
    pub since: CommitTs,
    /// Why it has stopped. Declaring the same again goes on with it.
    pub failure: Option<Arc<str>>,
}

/// What a backfill does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackfillKind {
    /// Gives older documents the defaults of these fields.
    Default {
        /// Their paths, as a verdict of the counts has them.
        fields: Vec<Arc<str>>,
    },
    /// Moves the values of a field to its new name.
    Rename {
        /// The field.
        rename: Rename,
        /// How far it is.
        phase: RenamePhase,
    },
}

/// Where the values of a field are that gets another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenamePhase {
    /// All are under the old name, some under the new one too: `all copied → Removing`.
    Copying,
    /// All are under the new name, some under the old one too; then the backfill is done.
    Removing,
}

/// How a document comes to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way<'a> {
    /// As a whole: what it lacks, it was not given.
    Whole,
    /// By a patch of this document: what is as it was before was not meant.
    Patch(ValueRef<'a>),
}

impl Declared {
    /// How much is declared.
    pub fn mode(&self) -> CollectionMode {
        self.schema.mode()
    }

    pub(crate) fn renames(&self) -> impl Iterator<Item = (&Rename, RenamePhase)> {
        self.backfills
            .iter()
            .filter_map(|backfill| match &backfill.kind {
                BackfillKind::Rename { rename, phase } => Some((rename, *phase)),
                BackfillKind::Default { .. } => None,
            })
    }

    /// The fields that documents have under their old name, all of them.
    pub(crate) fn copied(&self) -> Vec<Renamed<'_>> {
        let copying = self
            .renames()
            .filter(|(_, phase)| *phase == RenamePhase::Copying);
        copying
            .map(|(rename, _)| Renamed {
                from: &rename.from,
                to: &rename.to,
            })
            .collect()
    }

    /// The document that a write leaves: with what it lacks, and a field that is being renamed under the names that it has
    /// to have now.
    pub(crate) fn conform<'d>(
        &self,
        document: &'d Document,
        way: Way<'_>,
        now: CommitTs,
    ) -> Result<Cow<'d, Document>, EngineError> {
        let mut document = Cow::Borrowed(document);
        for (rename, phase) in self.renames() {
            if let Some(json) = renamed(document.root(), rename, phase, way) {
                document = Cow::Owned(parse(&json)?);
            }
        }
        let mut time = vec![b'"'];
        write_rfc3339(
            i64::try_from(now.as_micros()).unwrap_or(i64::MAX),
            &mut time,
        );
        time.push(b'"');
        if let Some(json) = self.schema.fill(document.root(), &time) {
            document = Cow::Owned(parse(&json)?);
        }
        Ok(document)
    }

    /// What is wrong with a document that conforms.
    pub(crate) fn check(&self, document: ValueRef<'_>) -> Mistakes {
        // A field on its way is there under both names.
        let copied = self.copied();
        let allowed: Vec<&str> = copied.iter().map(|renamed| renamed.from).collect();
        self.schema.check(document, &allowed)
    }

    /// The backfills of renames: those that are new, and those that are under way.
    pub(crate) fn renaming(
        renames: impl IntoIterator<Item = Rename>,
        before: Option<&Declared>,
        since: CommitTs,
    ) -> Vec<Backfill> {
        let under_way = before.into_iter().flat_map(|before| &before.backfills);
        let under_way = under_way
            .filter(|backfill| matches!(backfill.kind, BackfillKind::Rename { .. }))
            .map(|backfill| Backfill {
                failure: None,
                ..backfill.clone()
            });
        let new = renames.into_iter().map(|rename| Backfill {
            kind: BackfillKind::Rename {
                rename,
                phase: RenamePhase::Copying,
            },
            since,
            failure: None,
        });
        under_way.chain(new).collect()
    }

    /// The types, with the declared ones in place of those that are inferred.
    pub(crate) fn publish(
        &self,
        inferred: CollectionSchema,
        names: &mut NameRegistry,
    ) -> CollectionSchema {
        let mut unfilled = Vec::new();
        for backfill in &self.backfills {
            if let BackfillKind::Default { fields } = &backfill.kind {
                unfilled.extend(fields.iter().map(|field| &**field));
            }
        }
        let removing = self
            .renames()
            .filter(|(_, phase)| *phase == RenamePhase::Removing);
        let published = Published {
            declared: &self.schema,
            renamed: self.copied(),
            hidden: removing.map(|(rename, _)| &*rename.from).collect(),
            unfilled,
        };
        inferred.publish(&published, names)
    }

    /// Appends the members of the collection's document.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"declared\":");
        self.schema.write_json(out);
        if self.backfills.is_empty() {
            return;
        }
        out.extend_from_slice(b",\"backfills\":[");
        for (index, backfill) in self.backfills.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            backfill.write_json(out);
        }
        out.push(b']');
    }

    /// Of a collection's document; `Some(None)` where nothing is declared, `None` of a corrupt one.
    pub(crate) fn from_document(document: ValueRef<'_>) -> Option<Option<Declared>> {
        let Some(schema) = document.get("declared") else {
            return Some(None);
        };
        let backfills = match document.get("backfills") {
            None => Vec::new(),
            Some(backfills) => {
                let all: Option<Vec<_>> = backfills.items().map(Backfill::from_stored).collect();
                all?
            }
        };
        Some(Some(Declared {
            schema: DeclaredSchema::from_json(schema)?,
            backfills,
        }))
    }
}

fn parse(json: &[u8]) -> Result<Document, EngineError> {
    // The parts come from a document, and what is added is within the depth that declarations may have.
    Document::parse(json).map_err(|_| EngineError::Corrupt { what: "document" })
}

/// A document with a field under the names that it has to have; `None` where it is so already.
fn renamed(
    document: ValueRef<'_>,
    rename: &Rename,
    phase: RenamePhase,
    way: Way<'_>,
) -> Option<Vec<u8>> {
    let (from, to) = (document.get(&rename.from), document.get(&rename.to));
    let value = match way {
        Way::Whole => to.or(from),
        Way::Patch(before) => {
            let changed = |name: &str, now: Option<ValueRef<'_>>| {
                before.get(name).map(ValueRef::json) != now.map(ValueRef::json)
            };
            if changed(&rename.to, to) {
                to
            } else if changed(&rename.from, from) {
                from
            } else {
                to.or(from)
            }
        }
    };
    let value = value.map(ValueRef::json);
    let old = match phase {
        RenamePhase::Copying => value,
        RenamePhase::Removing => None,
    };
    if from.map(ValueRef::json) == old && to.map(ValueRef::json) == value {
        return None;
    }
    Some(with_members(
        document,
        [(&rename.from, old), (&rename.to, value)],
    ))
}

/// The JSON text of an object with other values under two names, `None` for none.
fn with_members(object: ValueRef<'_>, members: [(&Arc<str>, Option<&[u8]>); 2]) -> Vec<u8> {
    let mut out = vec![b'{'];
    let mut put = |name: &str, json: &[u8]| {
        if out.len() > 1 {
            out.push(b',');
        }
        write_json_string(name, &mut out);
        out.push(b':');
        out.extend_from_slice(json);
    };
    for (name, value) in object.members() {
        match members.iter().find(|(changed, _)| ***changed == *name) {
            None => put(&name, value.json()),
            Some((_, Some(json))) => put(&name, json),
            Some((_, None)) => {}
        }
    }
    for (name, json) in members {
        if let Some(json) = json
            && object.get(name).is_none()
        {
            put(name, json);
        }
    }
    out.push(b'}');
    out
}

impl Backfill {
    /// Whether the engine goes on with it by itself.
    pub fn is_running(&self) -> bool {
        self.failure.is_none()
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{{\"since\":{}", self.since.as_micros()).as_bytes());
        match &self.kind {
            BackfillKind::Default { fields } => {
                out.extend_from_slice(b",\"fields\":[");
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_json_string(field, out);
                }
                out.push(b']');
            }
            BackfillKind::Rename { rename, phase } => {
                out.extend_from_slice(b",\"from\":");
                write_json_string(&rename.from, out);
                out.extend_from_slice(b",\"to\":");
                write_json_string(&rename.to, out);
                let is_copied = *phase == RenamePhase::Removing;
                out.extend_from_slice(format!(",\"copied\":{is_copied}").as_bytes());
            }
        }
        if let Some(failure) = &self.failure {
            out.extend_from_slice(b",\"failure\":");
            write_json_string(failure, out);
        }
        out.push(b'}');
    }

    fn from_stored(stored: ValueRef<'_>) -> Option<Backfill> {
        let text = |name| Some(Arc::from(&*stored.get(name)?.as_str()?));
        let kind = match stored.get("fields") {
            Some(fields) => {
                let fields = fields
                    .items()
                    .map(|field| Some(Arc::from(&*field.as_str()?)));
                BackfillKind::Default {
                    fields: fields.collect::<Option<_>>()?,
                }
            }
            None => BackfillKind::Rename {
                rename: Rename {
                    from: text("from")?,
                    to: text("to")?,
                },
                phase: if stored.get("copied")?.as_bool()? {
                    RenamePhase::Removing
                } else {
                    RenamePhase::Copying
                },
            },
        };
        let since = u64::try_from(stored.get("since")?.as_i64()?).ok()?;
        Some(Backfill {
            kind,
            since: CommitTs::from_micros(since),
            failure: match stored.get("failure") {
                None => None,
                Some(_) => Some(text("failure")?),
            },
        })
    }
}

#[cfg(test)]
mod tests;

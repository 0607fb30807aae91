//! Whether the documents that are there satisfy a declaration: from the counts, and where they cannot tell, or something
//! has to be named, by looking.

use thalweg_model::Document;
use thalweg_schema_infer::Shape;
use thalweg_schema_infer::declared::DeclaredSchema;
use thalweg_schema_infer::declared::counted::{CountedMistake, IDS_MAX, Renamed, Tally, Verdict};

use super::{Declaration, Declared, Rename, Way};
use crate::catalog::Collection;
use crate::error::EngineError;
use crate::snapshot::Snapshot;
use crate::transaction::Transaction;

/// How many documents are looked at to name some that do not satisfy a declaration.
const LOOKED_AT_MAX: u64 = 1_000_000;

/// Mistakes of one kind in the documents of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The collection's name.
    pub collection: String,
    /// What is wrong, how often, and where.
    pub mistake: CountedMistake,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.collection, self.mistake)
    }
}

/// The renames of a declaration that mean something to a collection: of fields that were not declared under their new name
/// before, and that some document has under the old one.
pub(crate) fn new_renames<'d>(
    renames: &'d [Rename],
    declared: Option<&Declared>,
    shape: &Shape,
) -> Vec<&'d Rename> {
    let is_declared =
        |name: &str| declared.is_some_and(|declared| declared.schema.object.field(name).is_some());
    renames
        .iter()
        .filter(|rename| !is_declared(&rename.to) && shape.may_have(&rename.from))
        .collect()
}

/// What the counts say of a schema in a collection, with the renames that are new and those that are under way.
pub(crate) fn judge(
    schema: &DeclaredSchema,
    renames: &[&Rename],
    declared: Option<&Declared>,
    shape: &Shape,
) -> Verdict {
    let mut renamed = declared.map_or_else(Vec::new, Declared::copied);
    renamed.extend(renames.iter().map(|rename| Renamed {
        from: &rename.from,
        to: &rename.to,
    }));
    schema.judge(shape, &renamed)
}

impl Transaction<'_> {
    /// What is wrong with the documents of a collection as to a declaration, with the ids of some that it is wrong
    /// with. Where the counts do not tell, every document is looked at, and the transaction depends on them.
    ///
    /// The commit judges by the counts again when its turn comes; this is for whoever wants to know more than that it was
    /// refused, and sooner.
    pub fn judge(
        &mut self,
        collection: &Collection,
        declaration: &mut Declaration,
    ) -> Result<Vec<Violation>, EngineError> {
        let Some(schema) = &declaration.schema else {
            return Ok(Vec::new());
        };
        let snapshot = self.snapshot();
        let counted = snapshot.statistics(collection.id)?;
        let declared = collection.declared.as_deref();
        let renames = new_renames(&declaration.renames, declared, &counted.shape);
        let verdict = judge(schema, &renames, declared, &counted.shape);
        let is_known = verdict.unknown.is_empty();
        let mut mistakes = verdict.mistakes;
        if is_known && mistakes.is_empty() {
            return Ok(Vec::new());
        }
        let renames: Vec<Rename> = renames.into_iter().cloned().collect();
        let looked = looked_at(
            snapshot,
            collection,
            schema,
            &renames,
            is_known.then_some(&mistakes),
        )?;
        if is_known {
            for mistake in &mut mistakes {
                let same = looked
                    .iter()
                    .find(|it| it.path == mistake.path && it.found == mistake.found);
                mistake.ids = same.map_or_else(Vec::new, |same| same.ids.clone());
            }
        } else {
            mistakes = looked;
            if mistakes.is_empty() {
                declaration.is_scanned = true;
                self.depend_on_all(collection.id);
            }
        }
        let name = collection.name.to_string();
        let violation = |mistake| Violation {
            collection: name.clone(),
            mistake,
        };
        Ok(mistakes.into_iter().map(violation).collect())
    }
}

/// What is wrong with documents, found by looking at them: at all, or until there are enough ids of every mistake that is
/// `known`.
fn looked_at(
    snapshot: &Snapshot,
    collection: &Collection,
    schema: &DeclaredSchema,
    renames: &[Rename],
    known: Option<&Vec<CountedMistake>>,
) -> Result<Vec<CountedMistake>, EngineError> {
    let mut tally = Tally::default();
    // As they would be once everything is done that the engine does by itself.
    let target = Declared {
        schema: schema.clone(),
        backfills: Declared::renaming(
            renames.iter().cloned(),
            collection.declared.as_deref(),
            snapshot.ts(),
        ),
    };
    let mut looked = 0_u64;
    let mut failure = None;
    snapshot.each_document(collection.id, &mut |record| {
        looked += 1;
        let judged = Document::from_value(record.document().to_value())
            .map_err(|_| EngineError::Corrupt { what: "document" })
            .and_then(|document| {
                let done = target.conform(&document, Way::Whole, snapshot.ts())?;
                Ok(target.check(done.root()))
            });
        match judged {
            Ok(mistakes) => tally.add(record.id(), &mistakes),
            Err(error) => {
                failure = Some(error);
                return false;
            }
        }
        let is_enough = || {
            known.is_some_and(|known| {
                let mut known = known.iter();
                known.all(|mistake| tally.ids_of(mistake) >= mistake.count.min(IDS_MAX as u64))
            })
        };
        let may_go_on = known.is_none() || looked < LOOKED_AT_MAX;
        may_go_on && (!looked.is_multiple_of(64) || !is_enough())
    })?;
    match failure {
        Some(error) => Err(error),
        None => Ok(tally.into_mistakes()),
    }
}

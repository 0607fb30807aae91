//! Documents into a collection, as the gateway's import reads them.

use std::sync::Arc;

use thalweg_engine::{
    CollectionRef, Engine, EngineOptions, ExpiryChange, ImportGuard, Intent, IntentError, Step,
    TransactionError,
};
use thalweg_gateway::{
    ApiError, ImportFailure, ImportOptions, ImportOutcome, ImportRecord, ImportSink,
};
use thalweg_model::{Document, DocumentId, ErrorCode, FieldPath};
use uuid::Uuid;

/// What an atomic import may hold in memory, in bytes of JSON.
const ATOMIC_BYTES_MAX: usize = 256 << 20;

/// An import under way.
pub(crate) struct Import {
    engine: Engine,
    collection: CollectionRef,
    /// While it runs, the types that it brings follow its documents.
    _guard: ImportGuard,
    id_field: Option<FieldPath>,
    /// Longest document, in bytes of JSON.
    document_bytes_max: usize,
    /// For an atomic import, what has been read so far.
    atomic: Option<Collected>,
}

#[derive(Default)]
struct Collected {
    writes: Vec<Write>,
    bytes: usize,
}

/// One document on its way in.
#[derive(Clone)]
struct Write {
    line: u64,
    intent: Intent,
}

impl Import {
    pub(crate) fn begin(
        engine: Engine,
        collection: &str,
        options: ImportOptions,
        auto_create: bool,
    ) -> Result<Self, ApiError> {
        if !auto_create && engine.catalog().by_name(collection).is_none() {
            return Err(ApiError::new(
                ErrorCode::NotFound,
                format!("there is no collection {collection:?}; create it first"),
            ));
        }
        Ok(Import {
            _guard: engine.begin_import(collection),
            engine,
            collection: CollectionRef::Name {
                name: collection.into(),
                create: auto_create,
            },
            id_field: options.id_field,
            // The server opens its engine with these options.
            document_bytes_max: EngineOptions::default().document_bytes_max,
            atomic: options.atomic.then(Collected::default),
        })
    }

    /// Refuses here what the engine would refuse, so that a batch with many such documents is not tried once for each.
    fn write(&self, record: ImportRecord) -> Result<Write, ImportFailure> {
        let ImportRecord { line, document } = record;
        let refuse = |message: String| ImportFailure {
            line,
            code: ErrorCode::BadRequest,
            message,
        };
        let (bytes, bytes_max) = (document.json().len(), self.document_bytes_max);
        if bytes > bytes_max {
            let error = IntentError::DocumentTooLarge { bytes, bytes_max };
            return Err(failure(line, &error));
        }
        let root = document.root();
        let id = match &self.id_field {
            None => root.get("id").and_then(DocumentId::from_value),
            Some(path) => Some(match root.at(path).and_then(DocumentId::from_value) {
                Some(id) => id,
                None => DocumentId::new(&Uuid::now_v7().to_string()),
            }),
        };
        let id = id.transpose().map_err(|error| refuse(error.to_string()))?;
        self.check(line, id.as_ref(), &document)?;
        let intent = Intent::Put {
            collection: self.collection.clone(),
            id,
            document,
            expiry: ExpiryChange::KEEP,
        };
        Ok(Write { line, intent })
    }

    /// Whether a document is as declared, as far as is known before it is committed.
    fn check(
        &self,
        line: u64,
        id: Option<&DocumentId>,
        document: &Document,
    ) -> Result<(), ImportFailure> {
        let CollectionRef::Name { name, .. } = &self.collection else {
            return Ok(());
        };
        let catalog = self.engine.catalog();
        let Some(collection) = catalog.by_name(name).filter(|it| it.declared.is_some()) else {
            return Ok(());
        };
        // One that cannot even be looked at is refused by the commit.
        let Ok(mistakes) = collection.check(document, catalog.version) else {
            return Ok(());
        };
        if mistakes.is_empty() {
            return Ok(());
        }
        let place = id.map_or_else(String::new, |id| format!(" {id:?}"));
        Err(ImportFailure {
            line,
            code: ErrorCode::SchemaViolation,
            message: format!(
                "document{place} of collection {name:?} is not as declared: {mistakes}"
            ),
        })
    }

    /// Commits a batch. Should the engine still refuse a document, it is left out and reported, and the others are
    /// committed.
    async fn commit(&self, mut writes: Vec<Write>) -> Result<ImportOutcome, ApiError> {
        let mut outcome = ImportOutcome::default();
        while !writes.is_empty() {
            match self.transact(&writes).await {
                Ok(steps) => {
                    count(&steps, &mut outcome);
                    break;
                }
                Err(TransactionError::Intent { step, error }) if is_about_document(&error) => {
                    let refused = writes.remove(step);
                    outcome.failures.push(failure(refused.line, &error));
                }
                Err(error) => return Err(ApiError::new(error.code(), error.to_string())),
            }
        }
        Ok(outcome)
    }

    async fn transact(&self, writes: &[Write]) -> Result<Vec<Step>, TransactionError> {
        let intents: Arc<[Intent]> = writes.iter().map(|write| write.intent.clone()).collect();
        let committed = self
            .engine
            .transact(move |transaction| {
                for intent in intents.iter() {
                    transaction.write(intent.clone())?;
                }
                Ok(())
            })
            .await?;
        Ok(committed.steps)
    }
}

impl ImportSink for Import {
    async fn push(&mut self, records: Vec<ImportRecord>) -> Result<ImportOutcome, ApiError> {
        let mut writes = Vec::with_capacity(records.len());
        let mut failures = Vec::new();
        for record in records {
            match self.write(record) {
                Ok(write) => writes.push(write),
                Err(failure) => failures.push(failure),
            }
        }
        let Some(collected) = &mut self.atomic else {
            let mut outcome = self.commit(writes).await?;
            failures.append(&mut outcome.failures);
            failures.sort_by_key(|failure| failure.line);
            return Ok(ImportOutcome {
                failures,
                ..outcome
            });
        };
        collected.bytes += writes.iter().map(Write::bytes).sum::<usize>();
        if collected.bytes > ATOMIC_BYTES_MAX {
            return Err(ApiError::new(
                ErrorCode::LimitExceeded,
                format!(
                    "an atomic import holds at most {ATOMIC_BYTES_MAX} bytes of documents; \
                     import without atomic, or in parts"
                ),
            ));
        }
        collected.writes.append(&mut writes);
        Ok(ImportOutcome {
            failures,
            ..ImportOutcome::default()
        })
    }

    async fn finish(mut self) -> Result<ImportOutcome, ApiError> {
        let mut outcome = ImportOutcome::default();
        let Some(Collected { writes, .. }) = self.atomic.take() else {
            return Ok(outcome);
        };
        match self.transact(&writes).await {
            Ok(steps) => count(&steps, &mut outcome),
            Err(TransactionError::Intent { step, error }) if is_about_document(&error) => {
                let line = writes.get(step).map_or(0, |write| write.line);
                outcome.failures.push(failure(line, &error));
            }
            Err(error) => return Err(ApiError::new(error.code(), error.to_string())),
        }
        Ok(outcome)
    }
}

impl Write {
    fn bytes(&self) -> usize {
        match &self.intent {
            Intent::Put { document, .. } => document.json().len(),
            _ => 0,
        }
    }
}

fn count(steps: &[Step], outcome: &mut ImportOutcome) {
    let replaced = steps.iter().filter(|step| step.before.is_some()).count() as u64;
    outcome.replaced += replaced;
    outcome.inserted += steps.len() as u64 - replaced;
}

fn failure(line: u64, error: &IntentError) -> ImportFailure {
    ImportFailure {
        line,
        code: error.code(),
        message: error.to_string(),
    }
}

/// Whether the next document might do better.
fn is_about_document(error: &IntentError) -> bool {
    matches!(
        error,
        IntentError::Id { .. }
            | IntentError::DocumentTooLarge { .. }
            | IntentError::SchemaViolation { .. }
    )
}

#[cfg(test)]
mod tests;

//! Documents into a collection, as the gateway's import reads them.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use thalweg_engine::{
    CollectionRef, Engine, EngineOptions, ExpiryChange, ImportGuard, Intent, IntentError, Sent,
    Step, Transaction, TransactionError,
};
use thalweg_gateway::{
    ApiError, ImportFailure, ImportOptions, ImportOutcome, ImportRecord, ImportSink,
};
use thalweg_model::{Document, DocumentId, ErrorCode, FieldPath};
use uuid::Uuid;

/// What an atomic import may hold in memory, in bytes of JSON.
const ATOMIC_BYTES_MAX: usize = 256 << 20;
/// How many batches are sent before the first of them has to be durable: while one is written to the disk the next is put
/// in order and the one after it parsed.
const UNDER_WAY_MAX: usize = 3;

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
    /// The batches that have been sent and not heard of, the oldest first.
    under_way: VecDeque<Batch>,
    /// What has become of documents, and has not been told yet.
    untold: ImportOutcome,
}

/// Some documents in one transaction.
struct Batch {
    writes: Vec<Write>,
    sent: Sent<()>,
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
            under_way: VecDeque::new(),
            untold: ImportOutcome::default(),
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

    /// Sends a batch to be committed.
    async fn send(&mut self, writes: Vec<Write>) -> Result<(), ApiError> {
        if writes.is_empty() {
            return Ok(());
        }
        let sent = self.transaction(&writes).await;
        let sent = sent.map_err(|error| api_error(&error))?;
        self.under_way.push_back(Batch { writes, sent });
        Ok(())
    }

    async fn transaction(&self, writes: &[Write]) -> Result<Sent<()>, TransactionError> {
        let intents: Arc<[Intent]> = writes.iter().map(|write| write.intent.clone()).collect();
        let code = move |transaction: &mut Transaction<'_>| transaction.write_all(&intents);
        self.engine.send_transaction(code).await
    }

    /// Waits for the oldest batch, and notes what has become of it.
    async fn wait_for_oldest(&mut self) -> Result<(), ApiError> {
        let Some(Batch { writes, sent }) = self.under_way.pop_front() else {
            return Ok(());
        };
        match sent.committed().await {
            Ok(committed) => {
                count(&committed.steps, &mut self.untold);
                Ok(())
            }
            Err(refused) => self.commit_again(writes, refused).await,
        }
    }

    /// Commits what the engine has not refused of a batch, because what is declared has changed, say. The batches behind it
    /// may be committed already, so they are dealt with first: what they have written would have taken the place of what is
    /// here.
    async fn commit_again(
        &mut self,
        writes: Vec<Write>,
        refused: TransactionError,
    ) -> Result<(), ApiError> {
        let mut batches = vec![(writes, Err(refused))];
        for Batch { writes, sent } in std::mem::take(&mut self.under_way) {
            let done = sent.committed().await;
            batches.push((writes, done.map(|committed| committed.steps)));
        }
        let mut written: HashSet<DocumentId> = HashSet::new();
        let mut oldest_error = None;
        while let Some((mut writes, done)) = batches.pop() {
            let done = match done {
                Ok(steps) => Ok(steps),
                Err(refused) => self.without_refused(&mut writes, refused, &written).await,
            };
            match done {
                Ok(steps) => {
                    count(&steps, &mut self.untold);
                    written.extend(writes.iter().filter_map(Write::id).cloned());
                }
                Err(error) => oldest_error = Some(error),
            }
        }
        oldest_error.map_or(Ok(()), Err)
    }

    /// Commits a batch without the documents that are refused, and those that have been written since.
    async fn without_refused(
        &mut self,
        writes: &mut Vec<Write>,
        mut refused: TransactionError,
        written: &HashSet<DocumentId>,
    ) -> Result<Vec<Step>, ApiError> {
        loop {
            match &refused {
                TransactionError::Intent { step, error } if is_about_document(error) => {
                    let line = writes.remove(*step).line;
                    self.untold.failures.push(failure(line, error));
                }
                _ => return Err(api_error(&refused)),
            }
            let before = writes.len();
            writes.retain(|write| write.id().is_none_or(|id| !written.contains(id)));
            self.untold.replaced += (before - writes.len()) as u64;
            match self.commit(writes).await {
                Ok(steps) => return Ok(steps),
                Err(again) => refused = again,
            }
        }
    }

    async fn commit(&self, writes: &[Write]) -> Result<Vec<Step>, TransactionError> {
        let committed = self.transaction(writes).await?.committed().await?;
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
            self.untold.failures.append(&mut failures);
            self.send(writes).await?;
            while self.under_way.len() > UNDER_WAY_MAX {
                self.wait_for_oldest().await?;
            }
            return Ok(std::mem::take(&mut self.untold));
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

    async fn settle(&mut self) -> (ImportOutcome, Option<ApiError>) {
        let mut first = None;
        while !self.under_way.is_empty() {
            let done = self.wait_for_oldest().await;
            first = first.or(done.err());
        }
        (std::mem::take(&mut self.untold), first)
    }

    async fn finish(mut self) -> Result<ImportOutcome, ApiError> {
        let mut outcome = ImportOutcome::default();
        let Some(Collected { writes, .. }) = self.atomic.take() else {
            return Ok(outcome);
        };
        match self.commit(&writes).await {
            Ok(steps) => count(&steps, &mut outcome),
            Err(TransactionError::Intent { step, error }) if is_about_document(&error) => {
                let line = writes.get(step).map_or(0, |write| write.line);
                outcome.failures.push(failure(line, &error));
            }
            Err(error) => return Err(api_error(&error)),
        }
        Ok(outcome)
    }
}

impl Write {
    fn id(&self) -> Option<&DocumentId> {
        match &self.intent {
            Intent::Put { id, .. } => id.as_ref(),
            _ => None,
        }
    }

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

fn api_error(error: &TransactionError) -> ApiError {
    ApiError::new(error.code(), error.to_string())
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

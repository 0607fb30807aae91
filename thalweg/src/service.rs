//! The database as the gateway sees it: resolvers, live queries, changes, imports and exports over one engine.

mod changes;
mod chunks;
mod export;
mod import;
mod listing;
mod live;
mod metrics;
mod parts;
mod patience;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde_json::value::RawValue;
use thalweg_engine::{Catalog, Engine, EngineError, IdempotencyKey, Interrupt, Snapshot};
use thalweg_gateway::{
    Answer, Api, ApiError, ChangeItem, ChangesOptions, Connection as _, Followed, GraphqlRequest,
    GraphqlResponse, ImportOptions, LiveItem, LiveListing, OperationKind, PartsFormat,
};
use thalweg_model::{CommitTs, ErrorCode, Value};
use thalweg_resolvers::{
    Chunked, Extensions, Failure, IncrementalFormat, Operation, OperationKey, Request, Resolvers,
};
use thalweg_subscriptions::{Evaluation, LiveQueries, Runner, SubscribeError};

use self::patience::{Patience, Waiting};
use crate::config::Settings;

pub(crate) use import::Import;

/// Documents that the lists of a query may scan together for it to be run where the request arrived; above, it could
/// hold up the other requests of the thread, so it is run on a thread of its own.
const INLINE_DOCUMENTS_MAX: u64 = 2_000;

/// Implements [`Api`] over an engine.
pub(crate) struct Service {
    engine: Engine,
    resolvers: Resolvers,
    live: LiveQueries<ResolverRunner>,
    long: chunks::LongResponses,
    auto_create: bool,
    /// How long an operation may take.
    time_max: Duration,
}

impl Service {
    /// Starts to serve an engine.
    pub(crate) fn start(engine: Engine, settings: &Settings) -> Result<Self, EngineError> {
        let auto_create = settings.limits.auto_create;
        let resolvers = Resolvers::new(engine.clone(), settings.limits.clone(), settings.ids);
        let runner = ResolverRunner {
            resolvers: resolvers.clone(),
            time_max: settings.live_time_max,
        };
        let live = LiveQueries::start(engine.clone(), runner, settings.live.clone())?;
        Ok(Service {
            engine,
            resolvers,
            live,
            long: chunks::LongResponses::new(
                settings.long_responses_max,
                settings.kept_bytes_max,
                chunks::PATIENCE,
            ),
            auto_create,
            time_max: settings.time_max,
        })
    }

    /// What runs its operations.
    pub(crate) fn resolvers(&self) -> &Resolvers {
        &self.resolvers
    }

    async fn mutate(&self, operation: Operation, key: Option<IdempotencyKey>) -> GraphqlResponse {
        // It is run to its end also when its client has gone, but not for ever.
        let operation = operation.interrupted_by(Patience::of(self.time_max));
        match key {
            None => response(&self.resolvers.mutate(&operation).await),
            Some(key) => match self.resolvers.mutate_once(&operation, key).await {
                Ok(body) => with_data(body),
                Err(failure) => refused(&failure),
            },
        }
    }

    /// Runs a query where the request arrived, if it touches few documents and its response is short; else on a thread of its
    /// own, from which a long response leaves while it is written.
    async fn query_in_chunks(&self, operation: Operation, extensions: Extensions) -> Answer<Parts> {
        let snapshot = match self.engine.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => return Answer::Whole(unavailable(&error)),
        };
        if is_short(&operation, &snapshot) {
            let mut sink = chunks::OnlyShort;
            let operation = operation
                .clone()
                .interrupted_by(Patience::of(self.time_max));
            let ran = self
                .resolvers
                .run_chunked(&operation, &snapshot, &extensions, &mut sink);
            if let Chunked::Whole(evaluation) = ran {
                return Answer::Whole(response(&evaluation));
            }
        }
        // A thread may be long in coming, and a snapshot that waits for it would keep the store from reusing space.
        drop(snapshot);
        let (engine, resolvers) = (self.engine.clone(), self.resolvers.clone());
        let time_max = self.time_max;
        let (sink, mut receiver) = self.long.channel();
        tokio::spawn(chunks::drive(sink, move |sink| {
            let operation = operation.clone().interrupted_by(sink.interrupt(time_max));
            let snapshot = match engine.snapshot() {
                Ok(snapshot) => snapshot,
                Err(error) => return chunks::Ended::Whole(unavailable(&error)),
            };
            match resolvers.run_chunked(&operation, &snapshot, &extensions, sink) {
                Chunked::Whole(evaluation) => chunks::Ended::Whole(response(&evaluation)),
                Chunked::Sent => chunks::Ended::Sent,
                Chunked::Broken => chunks::Ended::Broken,
            }
        }));
        match receiver.recv().await {
            Some(chunks::First::Whole(response)) => Answer::Whole(response),
            Some(chunks::First::Chunk(Ok(first))) => {
                let first = stream::iter([Ok(first)]);
                Answer::Chunks(Box::pin(first.chain(chunks::rest(receiver))))
            }
            Some(chunks::First::Chunk(Err(_))) | None => {
                let message = "the query failed in a way that it should not; nothing was changed";
                Answer::Whole(GraphqlResponse::request_error(ErrorCode::Internal, message))
            }
        }
    }

    async fn query(&self, operation: Operation, extensions: Extensions) -> GraphqlResponse {
        let patience = Patience::of(self.time_max);
        let operation = operation.interrupted_by(Arc::<Patience>::clone(&patience));
        // Dropped with this future, which is when the client goes.
        let _waiting = Waiting(Arc::clone(&patience));
        let snapshot = match self.engine.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => return unavailable(&error),
        };
        if is_short(&operation, &snapshot) {
            return response(&self.resolvers.run_once(&operation, &snapshot, &extensions));
        }
        // A thread may be long in coming, and a snapshot that waits for it would keep the store from reusing space.
        drop(snapshot);
        let (engine, resolvers) = (self.engine.clone(), self.resolvers.clone());
        let run = move || {
            // Its turn may come late.
            if let Some(interruption) = patience.interrupted() {
                return Err(EngineError::Interrupted(interruption));
            }
            let snapshot = engine.snapshot()?;
            Ok(resolvers.run_once(&operation, &snapshot, &extensions))
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(Ok(evaluation)) => response(&evaluation),
            Ok(Err(error)) => unavailable(&error),
            Err(_) => {
                let message = "the query failed in a way that it should not; nothing was changed";
                GraphqlResponse::request_error(ErrorCode::Internal, message)
            }
        }
    }
}

/// What the gateway sends of a query piece by piece.
type Parts = Pin<Box<dyn Stream<Item = Result<Bytes, ApiError>> + Send>>;

/// Whether an operation certainly touches few documents, all its lists together.
fn is_short(operation: &Operation, snapshot: &Snapshot) -> bool {
    let mut documents = 0_u64;
    operation.scanned_collections().all(|collection| {
        snapshot.stored_count(collection).is_ok_and(|count| {
            documents = documents.saturating_add(count);
            documents <= INLINE_DOCUMENTS_MAX
        })
    })
}

fn response(evaluation: &thalweg_resolvers::Evaluation) -> GraphqlResponse {
    with_data(evaluation.body().clone())
}

fn with_data(body: Bytes) -> GraphqlResponse {
    GraphqlResponse {
        body,
        has_data: true,
        failure: None,
    }
}

fn refused(failure: &Failure) -> GraphqlResponse {
    GraphqlResponse {
        body: failure.body(),
        has_data: false,
        failure: Some(failure.code()),
    }
}

fn unavailable(error: &EngineError) -> GraphqlResponse {
    GraphqlResponse::request_error(error.code(), &error.to_string())
}

fn not_subscribed(error: &SubscribeError) -> GraphqlResponse {
    let code = match error {
        SubscribeError::Engine(error) => return unavailable(error),
        SubscribeError::Invalid(errors) => {
            let mut body = b"{\"errors\":".to_vec();
            body.extend_from_slice(errors);
            body.push(b'}');
            let failure = Some(ErrorCode::SchemaChanged);
            return GraphqlResponse {
                body: body.into(),
                has_data: false,
                failure,
            };
        }
        SubscribeError::TooMany { .. } | SubscribeError::TooLarge { .. } => {
            ErrorCode::LimitExceeded
        }
        SubscribeError::Broken => ErrorCode::Internal,
        SubscribeError::Closed => ErrorCode::Unavailable,
    };
    GraphqlResponse::request_error(code, &error.to_string())
}

/// What a JSON object that the gateway passed on says, or why it cannot be read.
fn object(name: &str, json: Option<&RawValue>) -> Result<Option<Value>, GraphqlResponse> {
    match json {
        None => Ok(None),
        Some(json) => Request::object_from_json(name, json.get().as_bytes())
            .map_err(|failure| refused(&failure)),
    }
}

impl Api for Service {
    type Operation = ServiceOperation;
    type Events = Pin<Box<dyn Stream<Item = LiveItem> + Send>>;
    type Parts = Parts;
    type Connection = live::ServiceConnection;
    type Import = Import;
    type Export = Pin<Box<dyn Stream<Item = Result<Bytes, ApiError>> + Send>>;
    type Changes = Pin<Box<dyn Stream<Item = Result<Vec<ChangeItem>, ApiError>> + Send>>;

    fn prepare(&self, request: GraphqlRequest) -> Result<ServiceOperation, GraphqlResponse> {
        let header = request.idempotency_key;
        let mut request = Request {
            query: request.query,
            document_id: request.document_id,
            operation_name: request.operation_name,
            variables: object("variables", request.variables.as_deref())?,
            extensions: object("extensions", request.extensions.as_deref())?,
        };
        let refused = |failure| refused(&failure);
        let extensions = Extensions::of(&request).map_err(refused)?;
        let key = agreed_key(header, extensions.idempotency_key.clone())?;
        if key.is_some() {
            // A key belongs to a text, whether that is sent or named.
            self.resolvers.resolve_text(&mut request).map_err(refused)?;
        }
        let key = key.map(|key| request.idempotency_key(&key)).transpose();
        let key = key.map_err(refused)?;
        if let Some(key) = &key
            && let Some(body) = self.resolvers.first_answer(key).map_err(refused)?
        {
            return Ok(ServiceOperation::Answered(body));
        }
        let operation = self.resolvers.prepare(&request).map_err(refused)?;
        Ok(ServiceOperation::Prepared {
            operation,
            key,
            extensions,
            resume_from: resume_from(&request)?,
        })
    }

    fn kind(&self, operation: &ServiceOperation) -> OperationKind {
        let ServiceOperation::Prepared { operation, .. } = operation else {
            return OperationKind::Mutation;
        };
        match operation.kind() {
            thalweg_resolvers::OperationKind::Query => OperationKind::Query,
            thalweg_resolvers::OperationKind::Mutation => OperationKind::Mutation,
            thalweg_resolvers::OperationKind::Subscription => OperationKind::Subscription,
        }
    }

    fn is_live(&self, operation: &ServiceOperation) -> bool {
        matches!(operation, ServiceOperation::Prepared { operation, .. } if operation.is_live())
    }

    async fn execute_in_chunks(&self, operation: ServiceOperation) -> Answer<Parts> {
        match operation {
            ServiceOperation::Prepared {
                operation,
                extensions,
                ..
            } if operation.kind() != thalweg_resolvers::OperationKind::Mutation => {
                self.query_in_chunks(operation, extensions).await
            }
            operation => Answer::Whole(self.execute(operation).await),
        }
    }

    fn is_incremental(&self, operation: &ServiceOperation) -> bool {
        matches!(operation, ServiceOperation::Prepared { operation, .. } if operation.is_incremental())
    }

    async fn execute_in_parts(
        &self,
        operation: ServiceOperation,
        format: PartsFormat,
    ) -> Result<Self::Parts, GraphqlResponse> {
        let ServiceOperation::Prepared {
            operation,
            extensions,
            ..
        } = operation
        else {
            let message = "a mutation comes as a whole";
            return Err(GraphqlResponse::request_error(
                ErrorCode::BadRequest,
                message,
            ));
        };
        let format = match format {
            PartsFormat::Defer20220824 => IncrementalFormat::Paths,
            PartsFormat::IncrementalV02 => IncrementalFormat::Ids,
        };
        let snapshot = self
            .engine
            .snapshot()
            .map_err(|error| unavailable(&error))?;
        let run = self
            .resolvers
            .run_incrementally(&operation, snapshot, &extensions, format)
            .map_err(|failure| refused(&failure))?;
        Ok(Box::pin(parts::messages(run, self.time_max)))
    }

    async fn execute(&self, operation: ServiceOperation) -> GraphqlResponse {
        match operation {
            ServiceOperation::Answered(body) => with_data(body),
            ServiceOperation::Prepared {
                operation,
                key,
                extensions,
                ..
            } => {
                if operation.kind() == thalweg_resolvers::OperationKind::Mutation {
                    self.mutate(operation, key).await
                } else {
                    self.query(operation, extensions).await
                }
            }
        }
    }

    fn connect(&self) -> live::ServiceConnection {
        live::ServiceConnection::new(
            self.engine.clone(),
            self.resolvers.clone(),
            self.live.connect(),
        )
    }

    async fn subscribe(
        &self,
        operation: ServiceOperation,
        resume_from: Option<CommitTs>,
    ) -> Result<Self::Events, GraphqlResponse> {
        let connection = self.connect();
        match connection.subscribe(0, operation, resume_from).await? {
            Followed::Together => Ok(Box::pin(live::only(connection))),
            Followed::Alone(events) => Ok(events),
        }
    }

    fn sdl(&self) -> Arc<str> {
        // An SDL that cannot be made is a defect, which a reader of the SDL should see rather than an old one.
        self.resolvers.sdl().unwrap_or_else(|failure| {
            let errors = failure
                .errors()
                .iter()
                .map(|error| format!("# {}\n", error.message));
            errors.collect::<String>().into()
        })
    }

    fn ready(&self) -> Result<(), String> {
        self.engine.ready().map_err(|error| error.to_string())
    }

    fn metrics(&self) -> String {
        metrics::text(&self.live)
    }

    fn live_queries(&self, listing: LiveListing) -> String {
        listing::text(&self.live, &self.engine.catalog(), listing)
    }

    fn import(&self, collection: &str, options: ImportOptions) -> Result<Import, ApiError> {
        Import::begin(self.engine.clone(), collection, options, self.auto_create)
    }

    async fn export(&self, collection: &str, meta: bool) -> Result<Self::Export, ApiError> {
        Ok(Box::pin(export::export(
            self.engine.clone(),
            collection,
            meta,
        )?))
    }

    async fn changes(&self, options: ChangesOptions) -> Result<Self::Changes, ApiError> {
        let request = changes::request(options)?;
        let changes = changes::open(&self.engine, request, None).await?;
        Ok(Box::pin(changes::as_json(changes)))
    }
}

/// What became of a request.
pub(crate) enum ServiceOperation {
    /// It is a repetition: this was the response to the mutation when it came first.
    Answered(Bytes),
    /// It is to be run.
    Prepared {
        operation: Operation,
        /// What names a mutation across its repetitions. Queries and subscriptions may carry one too, since some
        /// clients give one to every request; it means nothing there.
        key: Option<IdempotencyKey>,
        extensions: Extensions,
        /// From where the client wants to go on.
        resume_from: Option<CommitTs>,
    },
}

/// The key that header and extensions agree on.
fn agreed_key(
    header: Option<String>,
    extension: Option<String>,
) -> Result<Option<String>, GraphqlResponse> {
    if header.is_some() && extension.is_some() && header != extension {
        return Err(GraphqlResponse::request_error(
            ErrorCode::BadRequest,
            "the header Idempotency-Key and extensions.thalweg.idempotencyKey differ; give one of them",
        ));
    }
    Ok(header.or(extension))
}

/// `extensions.thalweg.resumeFrom`.
fn resume_from(request: &Request) -> Result<Option<CommitTs>, GraphqlResponse> {
    let extensions = request.extensions.as_ref().map(Value::as_ref);
    let Some(wanted) = extensions
        .and_then(|all| all.get("thalweg"))
        .and_then(|ours| ours.get("resumeFrom"))
    else {
        return Ok(None);
    };
    let ts = wanted.as_str().and_then(|text| text.parse().ok());
    ts.map(Some).ok_or_else(|| {
        GraphqlResponse::request_error(
            ErrorCode::BadRequest,
            "extensions.thalweg.resumeFrom must be the commitTs of an event, as a string",
        )
    })
}

/// Runs live queries with the resolvers.
pub(crate) struct ResolverRunner {
    resolvers: Resolvers,
    /// How long one evaluation may take.
    time_max: Duration,
}

impl Runner for ResolverRunner {
    type Query = Operation;
    type Key = OperationKey;

    fn key(&self, query: &Operation) -> Arc<OperationKey> {
        Arc::clone(query.key())
    }

    fn prepare(&self, key: &OperationKey, catalog: &Arc<Catalog>) -> Result<Operation, Bytes> {
        self.resolvers
            .prepare_key(key, catalog)
            .map_err(|failure| failure.errors_json())
    }

    fn is_more_than_its_key(&self, query: &Operation) -> bool {
        query.is_more_than_its_key()
    }

    fn version(&self, catalog: &Arc<Catalog>) -> Option<CommitTs> {
        self.resolvers.schema_version(catalog).ok()
    }

    fn run(&self, query: &Operation, snapshot: &Snapshot) -> Result<Evaluation, EngineError> {
        let query = query.clone().interrupted_by(Patience::of(self.time_max));
        let evaluation = self.resolvers.run_live(&query, snapshot)?;
        let (result, data_from, dependencies) = evaluation.into_result();
        Ok(Evaluation {
            result,
            data_from,
            dependencies,
        })
    }

    fn revalidate(&self, query: &Operation, catalog: &Arc<Catalog>) -> Result<Operation, Bytes> {
        self.resolvers
            .revalidate(query, catalog)
            .map_err(|failure| failure.errors_json())
    }

    fn broken(&self) -> Bytes {
        Failure::new(ErrorCode::Internal, SubscribeError::Broken.to_string()).errors_json()
    }

    fn mismatched(&self, query: &Operation, maintained: &[u8], fresh: &[u8]) {
        eprintln!(
            "thalweg: a defect: the changes told another result than a run in full has\n  {query:?}\n  told: {}\n  has:  {}",
            String::from_utf8_lossy(maintained),
            String::from_utf8_lossy(fresh),
        );
    }
}

#[cfg(test)]
mod tests;

//! A database double: a handful of operations told apart by their text, and collections in memory.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use thalweg_gateway::{
    Answer, Api, ApiError, ChangeItem, ChangesOptions, Connection, Drained, Followed, Gateway,
    GatewayOptions, GraphqlRequest, GraphqlResponse, ImportFailure, ImportOptions, ImportOutcome,
    ImportRecord, ImportSink, LiveEvent, LiveItem, LiveListing, OperationKind, PartsFormat, Told,
};
use thalweg_model::{CommitTs, DocumentId, ErrorCode};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

type Collections = BTreeMap<String, BTreeMap<String, String>>;

/// What tests look at and turn.
#[derive(Clone)]
pub(crate) struct Double {
    pub(crate) collections: Arc<Mutex<Collections>>,
    /// The value that live operations show; every change is an event.
    pub(crate) value: watch::Sender<u64>,
    /// Live operations that have been registered and not dropped.
    pub(crate) living: Arc<AtomicUsize>,
    /// Mutations that ran to their end.
    pub(crate) mutations: Arc<AtomicU64>,
    pub(crate) ready: Arc<Mutex<Result<(), String>>>,
    /// How often change streams have been polled for more.
    pub(crate) polled: Arc<AtomicUsize>,
}

pub(crate) struct Operation {
    kind: OperationKind,
    live: bool,
    text: String,
    variables: Option<String>,
}

fn json(text: impl Into<String>) -> GraphqlResponse {
    GraphqlResponse {
        body: Bytes::from(text.into()),
        has_data: true,
        failure: None,
    }
}

/// A connection of which every operation is told by itself.
pub(crate) struct Streams(Double);

impl Connection<Double> for Streams {
    async fn subscribe(
        &self,
        _number: u64,
        operation: Operation,
        resume_from: Option<CommitTs>,
    ) -> Result<Followed<<Double as Api>::Events>, GraphqlResponse> {
        let events = Api::subscribe(&self.0, operation, resume_from).await?;
        Ok(Followed::Alone(events))
    }

    fn unsubscribe(&self, _number: u64) {}

    async fn next(&self) -> Option<Told> {
        std::future::pending().await
    }

    fn shown(&self) -> Option<CommitTs> {
        Some(CommitTs::from_micros(7))
    }
}

impl Api for Double {
    type Operation = Operation;
    type Events = Pin<Box<dyn Stream<Item = LiveItem> + Send>>;
    type Parts = Pin<Box<dyn Stream<Item = Result<Bytes, ApiError>> + Send>>;
    type Import = Import;
    type Export = Pin<Box<dyn Stream<Item = Result<Bytes, ApiError>> + Send>>;
    type Connection = Streams;
    type Changes = Pin<Box<dyn Stream<Item = Result<Vec<ChangeItem>, ApiError>> + Send>>;

    fn connect(&self) -> Streams {
        Streams(self.clone())
    }

    fn prepare(&self, request: GraphqlRequest) -> Result<Operation, GraphqlResponse> {
        let refuse = |code, message: &str| Err(GraphqlResponse::request_error(code, message));
        let Some(text) = request.query else {
            return refuse(
                ErrorCode::PersistedQueryNotSupported,
                "send the query's text",
            );
        };
        let variables = request
            .variables
            .map(|variables| variables.get().to_owned());
        if text.contains("panic in prepare") {
            panic!("asked to");
        }
        if text.matches('{').count() != text.matches('}').count() {
            return refuse(ErrorCode::ParseFailed, "expected '}'");
        }
        if text.contains("ID!")
            && variables
                .as_deref()
                .is_none_or(|text| text.contains("null"))
        {
            return refuse(ErrorCode::BadRequest, "$id must not be null");
        }
        if ![
            "__type",
            "value",
            "slow",
            "panic",
            "big",
            "forbidden",
            "failing",
            "finite",
            "variables",
            "long",
        ]
        .iter()
        .any(|known| text.contains(known))
        {
            return refuse(ErrorCode::ValidationFailed, "there is no such field");
        }
        let kind = match text.split_whitespace().next() {
            Some("mutation") => OperationKind::Mutation,
            Some("subscription") => OperationKind::Subscription,
            _ => OperationKind::Query,
        };
        Ok(Operation {
            kind,
            live: text.contains("@live"),
            text,
            variables,
        })
    }

    fn kind(&self, operation: &Operation) -> OperationKind {
        operation.kind
    }

    fn is_live(&self, operation: &Operation) -> bool {
        operation.live
    }

    fn is_incremental(&self, operation: &Operation) -> bool {
        operation.text.contains("@defer")
    }

    async fn execute_in_parts(
        &self,
        operation: Operation,
        format: PartsFormat,
    ) -> Result<Self::Parts, GraphqlResponse> {
        if operation.text.contains("forbidden") {
            return Err(GraphqlResponse::request_error(
                ErrorCode::Forbidden,
                "not for you",
            ));
        }
        let later = if operation.text.contains("failing") {
            Err(ApiError::new(ErrorCode::Unavailable, "the store is gone"))
        } else {
            Ok(Bytes::from(format!(
                "{{\"format\":\"{format:?}\",\"hasNext\":false}}"
            )))
        };
        let first = Ok(Bytes::from_static(b"{\"data\":{},\"hasNext\":true}"));
        let later = stream::once(async {
            // By now the first part has left.
            tokio::time::sleep(Duration::from_millis(50)).await;
            later
        });
        Ok(stream::once(async { first }).chain(later).boxed())
    }

    async fn execute_in_chunks(&self, operation: Operation) -> Answer<Self::Parts> {
        if !operation.text.contains("long") {
            return Answer::Whole(self.execute(operation).await);
        }
        let piece = Bytes::from("x".repeat(1 << 16));
        let mut chunks = vec![Ok(Bytes::from_static(b"{\"data\":\""))];
        chunks.extend((0..16).map(|_| Ok(piece.clone())));
        chunks.push(if operation.text.contains("failing") {
            Err(ApiError::new(ErrorCode::Unavailable, "the store is gone"))
        } else {
            Ok(Bytes::from_static(b"\"}"))
        });
        Answer::Chunks(stream::iter(chunks).boxed())
    }

    async fn execute(&self, operation: Operation) -> GraphqlResponse {
        if operation.text.contains("slow") {
            let _living = Living::new(&self.living);
            let long = operation.text.contains("forever");
            tokio::time::sleep(Duration::from_millis(if long { 3_600_000 } else { 300 })).await;
        }
        if operation.text.contains("panic") {
            panic!("asked to");
        }
        if operation.text.contains("forbidden") {
            return GraphqlResponse::request_error(ErrorCode::Forbidden, "not for you");
        }
        if operation.kind == OperationKind::Mutation {
            self.mutations.fetch_add(1, Ordering::SeqCst);
            self.value.send_modify(|value| *value += 1);
            return json("{\"data\":{\"set\":true}}");
        }
        if operation.text.contains("failing") {
            return json(
                "{\"data\":null,\"errors\":[{\"message\":\"no\",\"path\":[\"failing\"]}]}",
            );
        }
        if operation.text.contains("variables") {
            return json(format!(
                "{{\"data\":{}}}",
                operation.variables.unwrap_or("null".into())
            ));
        }
        if operation.text.contains("big") {
            return json(format!("{{\"data\":\"{}\"}}", "x".repeat(1 << 20)));
        }
        let value = *self.value.borrow();
        match operation.live {
            true => json(format!(
                "{{\"data\":{{\"value\":{value}}},\"extensions\":{{\"thalweg\":{{\"live\":false}}}}}}"
            )),
            false => json(format!("{{\"data\":{{\"value\":{value}}}}}")),
        }
    }

    async fn subscribe(
        &self,
        operation: Operation,
        resume_from: Option<CommitTs>,
    ) -> Result<Self::Events, GraphqlResponse> {
        if operation.text.contains("forbidden") {
            return Err(GraphqlResponse::request_error(
                ErrorCode::Forbidden,
                "not for you",
            ));
        }
        let padding = if operation.text.contains("big") {
            1 << 20
        } else {
            0
        };
        let event = move |value: u64| {
            LiveItem::Event(LiveEvent {
                resume_from: Some(CommitTs::from_micros(value)),
                body: Bytes::from(format!(
                    "{{\"data\":{{\"value\":{value}}},\"extensions\":\"{}\"}}",
                    "x".repeat(padding)
                )),
            })
        };
        let last = if operation.text.contains("failing") {
            LiveItem::Ended(Bytes::from_static(
                b"[{\"message\":\"changed\",\"extensions\":{\"code\":\"SCHEMA_CHANGED\"}}]",
            ))
        } else {
            LiveItem::Complete
        };
        if operation.text.contains("finite") || operation.text.contains("failing") {
            let first = resume_from.map_or(1, |ts| ts.as_micros() + 1);
            return Ok(stream::iter([event(first), event(first + 1), last]).boxed());
        }
        if operation.text.contains("panic") {
            return Ok(stream::once(async { panic!("asked to") }).boxed());
        }
        let living = Living::new(&self.living);
        let mut values = self.value.subscribe();
        values.mark_changed();
        Ok(
            stream::unfold((values, living), move |(mut values, living)| async move {
                values.changed().await.ok()?;
                let value = *values.borrow_and_update();
                Some((event(value), (values, living)))
            })
            .boxed(),
        )
    }

    fn sdl(&self) -> Arc<str> {
        "type Query { value: Int }\n".into()
    }

    fn metrics(&self) -> String {
        "# TYPE values gauge\nvalues 1\n".into()
    }

    fn live_queries(&self, LiveListing { first, by }: LiveListing) -> String {
        format!("{{\"total\":{first},\"by\":\"{by:?}\"}}")
    }

    fn ready(&self) -> Result<(), String> {
        self.ready.lock().expect("not poisoned").clone()
    }

    fn import(&self, collection: &str, options: ImportOptions) -> Result<Import, ApiError> {
        if collection.starts_with('_') {
            return Err(ApiError::new(
                ErrorCode::Forbidden,
                "system collections are not imported",
            ));
        }
        Ok(Import {
            double: self.clone(),
            collection: collection.to_owned(),
            options,
            staged: Vec::new(),
        })
    }

    async fn export(&self, collection: &str, meta: bool) -> Result<Self::Export, ApiError> {
        let Some(documents) = self
            .collections
            .lock()
            .expect("fine")
            .get(collection)
            .cloned()
        else {
            let message = format!("there is no collection `{collection}`");
            return Err(ApiError::new(ErrorCode::NotFound, message));
        };
        let lines = documents
            .into_values()
            .map(move |text| match text.as_str() {
                "{\"id\":\"broken\"}" => {
                    Err(ApiError::new(ErrorCode::Unavailable, "the store is gone"))
                }
                _ if meta => Ok(Bytes::from(format!("{{\"_meta\":1,{}\n", &text[1..]))),
                _ => Ok(Bytes::from(text + "\n")),
            });
        let lines = stream::iter(lines).then(|line| async {
            if line.is_err() {
                // By now the lines before have left.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            line
        });
        Ok(lines.boxed())
    }

    /// The changes are the values, from the one after `since` on; 3 is gone, and a collection "big" has long ones.
    async fn changes(&self, options: ChangesOptions) -> Result<Self::Changes, ApiError> {
        let gone = || ApiError::new(ErrorCode::HistoryGone, "gone; begin with a snapshot");
        let since = options.since.map_or(100, CommitTs::as_micros);
        if since == 3 {
            return Err(gone());
        }
        let is_big = options
            .collections
            .as_ref()
            .is_some_and(|names| names[0] == "big");
        let padding = if is_big { 1 << 20 } else { 0 };
        let living = Living::new(&self.living);
        let polled = Arc::clone(&self.polled);
        let next = move |(value, living): (u64, Living)| {
            let polled = Arc::clone(&polled);
            async move {
                polled.fetch_add(1, Ordering::SeqCst);
                let item = |json: String, at| ChangeItem {
                    json: Some(Bytes::from(json)),
                    resume_from: at,
                };
                let items = match value {
                    7 => Err(gone()),
                    value if value >= 1000 => std::future::pending().await,
                    value => Ok(vec![
                        item(format!("[{value},1,\"{}\"]", "x".repeat(padding)), None),
                        item(format!("[{value},2]"), Some(CommitTs::from_micros(value))),
                    ]),
                };
                Some((items, (value + 1, living)))
            }
        };
        Ok(stream::unfold((since + 1, living), next).boxed())
    }
}

struct Living(Arc<AtomicUsize>);

impl Living {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) struct Import {
    double: Double,
    collection: String,
    options: ImportOptions,
    staged: Vec<(String, String)>,
}

impl Import {
    fn commit(&mut self) -> ImportOutcome {
        let mut outcome = ImportOutcome::default();
        let mut collections = self.double.collections.lock().expect("fine");
        let collection = collections.entry(self.collection.clone()).or_default();
        for (id, text) in self.staged.drain(..) {
            match collection.insert(id, text) {
                None => outcome.inserted += 1,
                Some(_) => outcome.replaced += 1,
            }
        }
        outcome
    }
}

impl ImportSink for Import {
    async fn push(&mut self, records: Vec<ImportRecord>) -> Result<ImportOutcome, ApiError> {
        let mut failures = Vec::new();
        for ImportRecord { line, document } in records {
            let root = document.root();
            let id = match &self.options.id_field {
                Some(path) => root.at(path),
                None => root.get("id"),
            };
            match id.and_then(DocumentId::from_value) {
                Some(Ok(id)) if id.as_str() == "stop" => {
                    return Err(ApiError::new(ErrorCode::Unavailable, "the disk is full"));
                }
                Some(Ok(id)) => {
                    let text = String::from_utf8_lossy(document.json()).into_owned();
                    self.staged.push((id.as_str().to_owned(), text));
                }
                _ => failures.push(ImportFailure {
                    line,
                    code: ErrorCode::SchemaViolation,
                    message: "the double wants an id".into(),
                }),
            }
        }
        let mut outcome = if self.options.atomic {
            ImportOutcome::default()
        } else {
            self.commit()
        };
        outcome.failures = failures;
        Ok(outcome)
    }

    async fn settle(&mut self) -> (ImportOutcome, Option<ApiError>) {
        (ImportOutcome::default(), None)
    }

    async fn finish(mut self) -> Result<ImportOutcome, ApiError> {
        Ok(self.commit())
    }
}

/// A gateway that is being served.
pub(crate) struct Served {
    pub(crate) double: Double,
    pub(crate) address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Drained>,
}

impl Served {
    pub(crate) async fn start() -> Self {
        Self::start_with(GatewayOptions::default()).await
    }

    pub(crate) async fn start_with(options: GatewayOptions) -> Self {
        let double = Double {
            collections: Arc::default(),
            value: watch::Sender::new(1),
            living: Arc::default(),
            mutations: Arc::default(),
            ready: Arc::new(Mutex::new(Ok(()))),
            polled: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let gateway = Gateway::new(double.clone(), options);
        let task = tokio::spawn(gateway.serve(listener, async {
            let _ = stopped.await;
        }));
        Self {
            double,
            address,
            stop: Some(stop),
            task,
        }
    }

    pub(crate) fn begin_shutdown(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).expect("the server runs");
        }
    }

    pub(crate) async fn shut_down(mut self) -> Drained {
        self.begin_shutdown();
        self.task.await.expect("the server does not panic")
    }
}

/// Waits until something is so, for at most five seconds.
pub(crate) async fn until(mut so: impl FnMut() -> bool) {
    within(async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Awaits something that should not take long.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .expect("takes too long")
}

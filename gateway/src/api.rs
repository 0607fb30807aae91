//! What the gateway needs from the rest of the program, as one trait.
//!
//! The binary implements [`Api`] over resolvers, subscriptions and the engine; the tests of this crate
//! implement it in memory. Results cross this border as finished JSON, so that nothing is built twice.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use serde_json::value::RawValue;
use thalweg_model::{CommitTs, Document, ErrorCode, FieldPath};

use crate::error::errors_list;

/// A GraphQL request as it came over any transport: well-formed, but neither parsed nor validated.
#[derive(Debug, Default)]
pub struct GraphqlRequest {
    /// The document's text. Absent only when `document_id` or a persisted query in `extensions` names it.
    pub query: Option<String>,
    /// The id of a document that is known to the server.
    pub document_id: Option<String>,
    /// Which operation of the document to run; never empty.
    pub operation_name: Option<String>,
    /// A JSON object, as sent.
    pub variables: Option<Box<RawValue>>,
    /// A JSON object, as sent.
    pub extensions: Option<Box<RawValue>>,
    /// The header `Idempotency-Key`, where the transport has headers for each request.
    pub idempotency_key: Option<String>,
}

/// The kind of a GraphQL operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Reads once, or lives on when it is `@live`.
    Query,
    /// Writes; never run for a GET.
    Mutation,
    /// Yields events until it ends.
    Subscription,
}

/// A complete GraphQL response.
#[derive(Clone, Debug)]
pub struct GraphqlResponse {
    /// The response map as JSON text: `{"data": …}` or `{"errors": […]}`.
    pub body: Bytes,
    /// Whether the map has a `data` entry, be it `null`. Without it the request failed before execution.
    pub has_data: bool,
    /// Why the request failed before execution; it chooses the HTTP status where the media type has one.
    pub failure: Option<ErrorCode>,
}

impl GraphqlResponse {
    /// A request error: nothing was executed, and `message` says what would be right.
    ///
    /// ```
    /// use thalweg_gateway::GraphqlResponse;
    /// use thalweg_model::ErrorCode;
    /// let response = GraphqlResponse::request_error(ErrorCode::ParseFailed, "expected a name");
    /// assert_eq!(
    ///     &response.body[..],
    ///     br#"{"errors":[{"message":"expected a name","extensions":{"code":"PARSE_FAILED"}}]}"#
    /// );
    /// ```
    pub fn request_error(code: ErrorCode, message: &str) -> Self {
        let mut body = b"{\"errors\":".to_vec();
        body.extend_from_slice(&errors_list(code, message));
        body.push(b'}');
        Self {
            body: Bytes::from(body),
            has_data: false,
            failure: Some(code),
        }
    }
}

/// One result of a live operation.
#[derive(Clone, Debug)]
pub struct LiveEvent {
    /// From where a client resumes after it: the state that the result shows. `None` where it has to begin anew.
    pub resume_from: Option<CommitTs>,
    /// A complete GraphQL response map.
    pub body: Bytes,
}

/// The answer to a query.
#[derive(Debug)]
pub enum Answer<C> {
    /// All of it.
    Whole(GraphqlResponse),
    /// The pieces of a long response that has data.
    Chunks(C),
}

/// In which format a query's parts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartsFormat {
    /// `deferSpec=20220824`: each part says its path.
    Defer20220824,
    /// `incrementalSpec=v0.2`: parts are announced under ids.
    IncrementalV02,
}

/// What a live operation yields.
#[derive(Clone, Debug)]
pub enum LiveItem {
    /// A new result.
    Event(LiveEvent),
    /// The operation cannot go on; a JSON list of GraphQL errors. Nothing follows.
    Ended(Bytes),
    /// The operation has finished. Nothing follows.
    Complete,
}

/// How a live operation is told.
#[derive(Debug)]
pub enum Followed<E> {
    /// Together with the others of its connection: by [`Connection::next`].
    Together,
    /// By itself.
    Alone(E),
}

/// What a connection yields: each of the operations that have something to tell, by its number.
pub type Told = Vec<(u64, LiveItem)>;

/// The live operations of one client, which are told together, so that all that it sees is of one state. Dropping it ends
/// them.
pub trait Connection<A: Api>: Send + Sync + 'static {
    /// Registers a subscription or a live query under a number that no other one has at the time.
    ///
    /// Dropping the future may leave it registered: `unsubscribe` follows.
    fn subscribe(
        &self,
        number: u64,
        operation: A::Operation,
        resume_from: Option<CommitTs>,
    ) -> impl Future<Output = Result<Followed<A::Events>, GraphqlResponse>> + Send;

    /// Ends what is registered under a number, if anything is.
    fn unsubscribe(&self, number: u64);

    /// Waits until there is something to tell; `None` when nothing more comes. States that nobody asked for in time are
    /// skipped, so the gateway may be as slow as its client. Dropping the future loses nothing.
    fn next(&self) -> impl Future<Output = Option<Told>> + Send;

    /// The state that all shows which `next` has given so far, so that a client which has got that may resume from it; `None`
    /// where that is not known.
    fn shown(&self) -> Option<CommitTs>;
}

/// Which live queries are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveListing {
    /// How many at most.
    pub first: usize,
    /// Which of them.
    pub by: LiveRank,
}

impl Default for LiveListing {
    fn default() -> Self {
        LiveListing {
            first: 100,
            by: LiveRank::Subscribers,
        }
    }
}

/// Which live queries are listed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveRank {
    /// Those that most clients follow.
    Subscribers,
    /// Those whose runs have taken the most time.
    Cost,
}

/// Which changes of the change stream are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangesOptions {
    /// The collections; all where `None`.
    pub collections: Option<Vec<String>>,
    /// The commit after which to begin; `None` for now, or with a snapshot.
    pub since: Option<CommitTs>,
    /// Whether to begin with all documents as they are.
    pub snapshot: bool,
}

/// A step of the change stream.
#[derive(Clone, Debug)]
pub struct ChangeItem {
    /// A change, as a JSON object; `None` where only the point to resume from has moved.
    pub json: Option<Bytes>,
    /// From where to resume after it, where that is possible.
    pub resume_from: Option<CommitTs>,
}

/// Why an import, an export or the change stream cannot begin or go on.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The published code.
    pub code: ErrorCode,
    /// What was wrong, and what would be right.
    pub message: String,
}

impl ApiError {
    /// An error with a code and a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// How documents are to be imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The field that holds a document's id, instead of `id`.
    pub id_field: Option<FieldPath>,
    /// All documents in one transaction, or none.
    pub atomic: bool,
}

/// One well-formed document of an import.
#[derive(Clone, Debug)]
pub struct ImportRecord {
    /// The line of the body on which it begins, counted from 1.
    pub line: u64,
    /// The document.
    pub document: Document,
}

/// One document that an import did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFailure {
    /// The line of the body that is to blame, counted from 1.
    pub line: u64,
    /// The published code.
    pub code: ErrorCode,
    /// What was wrong with it.
    pub message: String,
}

impl fmt::Display for ImportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// What became of some documents of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportOutcome {
    /// How many were new.
    pub inserted: u64,
    /// How many took the place of a document with the same id.
    pub replaced: u64,
    /// Those that were not taken.
    pub failures: Vec<ImportFailure>,
}

impl ImportOutcome {
    /// Adds what became of others.
    pub fn add(&mut self, mut others: ImportOutcome) {
        self.inserted += others.inserted;
        self.replaced += others.replaced;
        self.failures.append(&mut others.failures);
    }
}

/// An import under way. Dropping it abandons what has not been committed.
pub trait ImportSink: Send + 'static {
    /// Takes a batch: about 1,000 documents or 1 MiB of text, in the order of the body.
    ///
    /// Unless the import is atomic, the batch is one transaction; a document that cannot be stored is among the failures and
    /// the others are in. Batches take effect in their order, but some may still be on their way on return: the outcome is
    /// that of those that have become durable since the last call. An atomic import only collects and checks here. An error
    /// ends the whole import; batches behind the one that failed may be in.
    fn push(
        &mut self,
        records: Vec<ImportRecord>,
    ) -> impl Future<Output = Result<ImportOutcome, ApiError>> + Send;

    /// Waits for the batches that are on their way, also after an error. The outcome counts what has become of them; the
    /// error is the first that there was among them.
    fn settle(&mut self) -> impl Future<Output = (ImportOutcome, Option<ApiError>)> + Send;

    /// Commits what is still open: everything, if the import is atomic. Not called when an atomic import
    /// had failures. The outcome counts only what is not counted yet.
    fn finish(self) -> impl Future<Output = Result<ImportOutcome, ApiError>> + Send;
}

/// The database as the gateway sees it.
pub trait Api: Sized + Send + Sync + 'static {
    /// A validated operation with coerced variables, pinned to the schema it was validated against.
    type Operation: Send + Sync + 'static;
    /// The results of a live operation. Polling it asks for the newest result; states that nobody asked
    /// for in time are skipped behind it, so the gateway may be as slow as its client. Dropping it ends the
    /// operation.
    type Events: Stream<Item = LiveItem> + Send + 'static;
    /// The messages of a query of which parts come later, each a JSON object; or the pieces of a long response. An error breaks
    /// the response off.
    type Parts: Stream<Item = Result<Bytes, ApiError>> + Send + 'static;
    /// The live operations of one client.
    type Connection: Connection<Self>;
    /// An import under way.
    type Import: ImportSink;
    /// NDJSON in chunks. An error cuts the response off, so that the client sees that it is not whole.
    type Export: Stream<Item = Result<Bytes, ApiError>> + Send + 'static;
    /// Changes in order, some at a time. Nothing is skipped: the stream reads on when it is polled. An error is the
    /// last item.
    type Changes: Stream<Item = Result<Vec<ChangeItem>, ApiError>> + Send + 'static;

    /// Parses, validates and coerces variables: fast, and without waiting for anything.
    fn prepare(&self, request: GraphqlRequest) -> Result<Self::Operation, GraphqlResponse>;

    /// What kind of operation it is.
    fn kind(&self, operation: &Self::Operation) -> OperationKind;

    /// Whether it is a query with `@live` switched on.
    fn is_live(&self, operation: &Self::Operation) -> bool;

    /// Whether it is a query of which parts may come later, by `@defer` or `@stream`.
    fn is_incremental(&self, operation: &Self::Operation) -> bool;

    /// Runs a query or a mutation. A live query is answered once, with `extensions.thalweg.live: false`.
    /// The gateway may drop the future of a query, never that of a mutation.
    fn execute(&self, operation: Self::Operation) -> impl Future<Output = GraphqlResponse> + Send;

    /// Runs a query whose response may leave while it is written, if it is long.
    fn execute_in_chunks(
        &self,
        operation: Self::Operation,
    ) -> impl Future<Output = Answer<Self::Parts>> + Send;

    /// Runs a query whose parts may come one after the other.
    fn execute_in_parts(
        &self,
        operation: Self::Operation,
        format: PartsFormat,
    ) -> impl Future<Output = Result<Self::Parts, GraphqlResponse>> + Send;

    /// A connection for a client that may have several live operations.
    fn connect(&self) -> Self::Connection;

    /// Registers a subscription or a live query that is the only one of its client. `resume_from` comes from the transport and has precedence
    /// over what the request's extensions say.
    fn subscribe(
        &self,
        operation: Self::Operation,
        resume_from: Option<CommitTs>,
    ) -> impl Future<Output = Result<Self::Events, GraphqlResponse>> + Send;

    /// The API schema as SDL.
    fn sdl(&self) -> Arc<str>;

    /// Whether requests can be served now, else why not.
    fn ready(&self) -> Result<(), String>;

    /// Figures about what it does, in the text format of Prometheus.
    fn metrics(&self) -> String;

    /// The live queries that there are, what they do together, and what each costs, as a JSON object.
    fn live_queries(&self, listing: LiveListing) -> String;

    /// Begins an import into a collection.
    fn import(&self, collection: &str, options: ImportOptions) -> Result<Self::Import, ApiError>;

    /// Begins an export of one snapshot of a collection; `meta` adds the system fields, except those under whose
    /// names a document has members of its own.
    fn export(
        &self,
        collection: &str,
        meta: bool,
    ) -> impl Future<Output = Result<Self::Export, ApiError>> + Send;

    /// Begins a change stream.
    fn changes(
        &self,
        options: ChangesOptions,
    ) -> impl Future<Output = Result<Self::Changes, ApiError>> + Send;
}

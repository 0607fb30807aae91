//! A GraphQL operation, from text to bytes.
//!
//! The way of a request, one module a step:
//!
//! | step | modules |
//! |---|---|
//! | a request is read, and its text found where it only names it | [`request`](Request), [`extensions`](Extensions), [`failure`](Failure), `persisted` |
//! | its text is parsed and validated within [`Limits`], once per API schema | `limits`, `document`, `schema`, `cache` |
//! | the operation is compiled to a plan: conditions decided, fields merged, keys encoded | `plan` |
//! | variables and arguments are coerced to their types | `input` |
//! | and bound to what the engine takes | `bind`, `filter`, `order`, `page`, `new_document`, `patch`, `node_id`, `declaration` |
//! | a query runs on a snapshot, a mutation as a transaction, within what it may cost | `run`, `mutate`, `cost` |
//! | with the documents that are related to what it finds, and in their order | `related_keys`, `ordered` |
//! | and writes its response straight from stored bytes | `render` |
//! | a query with `@defer` or `@stream` does so in parts | `incremental` |
//! | the change stream, which is neither, is told | `changes` |
//! | what has changed between two API schemas | `schema_diff`, `schema_history` |
//!
//! [`Resolvers`] is the door: [`Resolvers::prepare`] gives an [`Operation`], [`Resolvers::run`] and
//! [`Resolvers::mutate`] give an [`Evaluation`].
//!
//! Invariants
//!
//! - An operation is pinned to the version of the API schema that it was prepared against.
//! - Whatever a request holds, it ends in a precise error or in a response, within the limits: no panic, no unbounded
//!   recursion, no time that grows faster than the text.
//! - [`Evaluation::dependencies`] covers everything that [`Evaluation::result`] shows.
//! - No tree of values is built for a response.
//!
//! Not here: HTTP and WebSocket (`gateway`), sharing and waking of live queries (`subscriptions`), storage and
//! conflicts (`engine`), how types follow from documents (`schema-infer`).

mod bind;
mod cache;
mod changes;
mod cost;
mod declaration;
mod document;
mod extensions;
mod failure;
mod field_uses;
mod filter;
mod incremental;
mod index_advice;
mod input;
mod instant;
mod limits;
mod mutate;
mod nested;
mod new_document;
mod node_id;
mod notes;
mod operation;
mod order;
mod ordered;
mod page;
mod patch;
mod persisted;
mod plan;
mod related_keys;
mod render;
mod request;
mod resolvers;
mod revision_page;
mod run;
mod schema;
mod schema_diff;
mod schema_history;

pub use changes::{ChangesRequest, write_change_json};
pub use extensions::Extensions;
pub use failure::{Details, Failure, GraphqlError, Location, PathSegment};
pub use incremental::{IncrementalFormat, IncrementalRun};
pub use limits::Limits;
pub use operation::{Operation, OperationKey};
pub use persisted::{TrustedDocuments, text_hash};
pub use plan::OperationKind;
pub use render::{ChunkSink, Evaluation, LiveResult, live_message, write_members_with_id};
pub use request::Request;
pub use resolvers::Resolvers;
pub use run::Chunked;
pub use schema_diff::{ApiChange, InvalidSchema, diff_sdl};
pub use thalweg_schema_infer::IdNames;

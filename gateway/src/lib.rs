//! The only crate that speaks HTTP, WebSocket and SSE.
//!
//! Purpose: carry GraphQL operations, imports and exports between clients and an [`Api`], and serve the
//! console, the schema and the health of the process. It decides *how* something is answered (media type,
//! status, close code, framing), never *what* the answer is: parsing, validating and running an operation
//! belong to the [`Api`], and a result arrives here as finished JSON bytes that are passed on untouched.
//!
//! What holds here:
//! - every error of every endpoint is JSON, `{"errors": [{"message", "extensions": {"code"}}]}`, with a code
//!   from [`thalweg_model::ErrorCode`];
//! - whatever a client sends, memory stays within what [`GatewayOptions`] says: bodies are bounded or
//!   streamed, a socket has a bounded number of operations, and a slow reader is awaited, not buffered for;
//! - a browser page from an origin that was not allowed reads and writes nothing ([`OriginPolicy`]);
//! - a panic while answering is answered as `INTERNAL`, and the server lives.
//!
//! What is not here: the GraphQL language, transactions, live-query maintenance (the stream behind
//! [`Api::Events`] conflates), and TLS.
//!
//! | module | what it is about |
//! |---|---|
//! | `api` | the trait that the binary implements over the engine |
//! | `options` | limits, time-outs and the origin policy |
//! | `server` | accepting connections, and draining them |
//! | `router`, `guard` | paths; Host, Origin, CORS and panics, in front of all of them |
//! | `graphql`, `request`, `batch`, `accept`, `execution` | GraphQL over HTTP |
//! | `sse` | GraphQL over SSE, distinct connections mode |
//! | `multipart` | queries in parts, and live operations, as `multipart/mixed` |
//! | `websocket` | `graphql-transport-ws` |
//! | `import`, `export` | documents in and out |
//! | `changes` | the change stream over SSE |
//! | `console`, `schema`, `health`, `live_queries` | what a person or a load balancer looks at |
//! | `compress` | gzip, where it is worth while |
//! | `body`, `error` | reading bodies within limits; answering with errors |

mod accept;
mod api;
mod batch;
mod body;
mod changes;
mod compress;
mod console;
mod error;
mod execution;
mod export;
mod graphql;
mod guard;
mod health;
mod import;
mod live_queries;
mod multipart;
mod options;
mod request;
mod router;
mod schema;
mod server;
mod sse;
mod websocket;

pub use api::{
    Answer, Api, ApiError, ChangeItem, ChangesOptions, Connection, Followed, GraphqlRequest,
    GraphqlResponse, ImportFailure, ImportOptions, ImportOutcome, ImportRecord, ImportSink,
    LiveEvent, LiveItem, LiveListing, LiveRank, OperationKind, PartsFormat, Told,
};
pub use options::{GatewayOptions, OriginPolicy};
pub use server::{Drained, Gateway};

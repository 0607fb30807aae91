//! The gateway over real sockets, in front of a database double.

mod batch;
mod changes;
mod double;
mod graphql_http;
mod http;
mod import_export;
mod multipart;
mod pages;
mod server;
mod sse;
mod websocket;

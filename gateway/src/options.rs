//! What an operator can set: limits, time-outs, and who may ask from a browser.

use std::time::Duration;

/// Which hosts and browser origins are served.
///
/// A browser sends `Origin` with every request that a page of another origin could use to write, so refusing
/// unknown origins keeps foreign pages out; checking `Host` keeps out pages whose name was rebound to this
/// address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPolicy {
    /// `localhost`, `127.0.0.1` and `[::1]` with any port, both as `Host` and as `Origin`.
    Localhost,
    /// Only what is listed.
    AllowList {
        /// Host names, with a port where only that port is meant. Empty: any `Host` is served, and no page
        /// is trusted for being on the same host. A page served from a listed host may ask that host.
        hosts: Vec<String>,
        /// Origins of other pages that may ask, such as `https://app.example.com`.
        origins: Vec<String>,
    },
}

/// Limits, time-outs and policies of a gateway. `Default` is what `thalweg dev` uses.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Which hosts and browser origins are served.
    pub origins: OriginPolicy,
    /// The largest body of a GraphQL request, and the largest WebSocket message, in bytes.
    pub request_bytes_max: usize,
    /// The longest text of a GraphQL document, in bytes. Large data belongs into variables.
    pub query_bytes_max: usize,
    /// How many requests one batch may have; 0 refuses batches.
    pub batch_max: usize,
    /// How long the answers of a batch may be together, in bytes, before what is left of it is not run.
    pub batch_response_bytes_max: usize,
    /// Queries and mutations under way at once, over all connections. Further ones are refused as
    /// [`Unavailable`](thalweg_model::ErrorCode::Unavailable); what begins to live waits for its turn.
    pub operations_max: usize,
    /// The largest single document of an import, in bytes of its text.
    pub import_record_bytes_max: usize,
    /// Documents in one import transaction.
    pub import_batch_documents_max: usize,
    /// Bytes of text in one import transaction, exceeded by at most one document.
    pub import_batch_bytes_max: usize,
    /// How many failed lines an import reports one by one; it counts them all.
    pub import_errors_max: usize,
    /// Open connections. Further ones wait to be accepted.
    pub connections_max: usize,
    /// Operations under way on one WebSocket.
    pub operations_per_socket_max: usize,
    /// How long a WebSocket may take to send `connection_init`.
    pub init_timeout: Duration,
    /// How often an idle WebSocket is pinged and an idle event stream gets a comment. A WebSocket that has
    /// been silent for twice as long is dropped.
    pub keep_alive: Duration,
    /// How long a client may refuse to take what is written to it, over any transport.
    pub write_timeout: Duration,
    /// How long a client may pause while it sends a request. The whole body of a GraphQL request may take twice as
    /// long; the body of an import may take any time.
    pub read_timeout: Duration,
    /// How long a response must be for it to be compressed, in bytes; `usize::MAX` for never.
    pub compress_bytes_min: usize,
    /// How long connections may take to finish after shutdown has begun.
    pub drain_timeout: Duration,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            origins: OriginPolicy::Localhost,
            request_bytes_max: 4 << 20,
            query_bytes_max: 1 << 20,
            batch_max: 10,
            batch_response_bytes_max: 64 << 20,
            operations_max: 4_096,
            import_record_bytes_max: 16 << 20,
            import_batch_documents_max: 1_000,
            import_batch_bytes_max: 1 << 20,
            import_errors_max: 1_000,
            connections_max: 16_000,
            operations_per_socket_max: 1_000,
            init_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(15),
            write_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(60),
            // About what one packet carries.
            compress_bytes_min: 1_400,
            drain_timeout: Duration::from_secs(20),
        }
    }
}

//! Running operations so that neither a panic nor a vanished client does harm.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use thalweg_model::{CommitTs, ErrorCode};

use crate::api::{Answer, Api, Connection, Followed, GraphqlResponse, OperationKind};
use crate::error::INTERNAL_MESSAGE;
use crate::router::Shared;

/// Runs a query or a mutation. Dropping the future cancels a query; a mutation runs to its end, because its
/// outcome must not depend on when the client hung up.
pub(crate) async fn execute<A: Api>(
    shared: &Arc<Shared<A>>,
    operation: A::Operation,
) -> GraphqlResponse {
    if shared.api.kind(&operation) != OperationKind::Mutation {
        return caught(shared.api.execute(operation))
            .await
            .unwrap_or_else(internal);
    }
    let shared = Arc::clone(shared);
    let run = tokio::spawn(async move { shared.api.execute(operation).await });
    run.await.unwrap_or_else(|_| internal(Panicked))
}

/// Runs a query whose response may be long. Dropping the future, or the chunks, cancels it.
pub(crate) async fn execute_in_chunks<A: Api>(
    shared: &Arc<Shared<A>>,
    operation: A::Operation,
) -> Answer<A::Parts> {
    caught(shared.api.execute_in_chunks(operation))
        .await
        .unwrap_or_else(|panicked| Answer::Whole(internal(panicked)))
}

/// Registers a subscription or a live query, whose first evaluation is an operation like any other.
pub(crate) async fn subscribe<A: Api>(
    shared: &Arc<Shared<A>>,
    operation: A::Operation,
    resume_from: Option<CommitTs>,
) -> Result<A::Events, GraphqlResponse> {
    let _admitted = shared.admitted().await;
    caught(shared.api.subscribe(operation, resume_from))
        .await
        .unwrap_or_else(|e| Err(internal(e)))
}

/// Registers a live operation of a connection that may have several.
pub(crate) async fn subscribe_on<A: Api>(
    shared: &Arc<Shared<A>>,
    connection: &A::Connection,
    number: u64,
    operation: A::Operation,
) -> Result<Followed<A::Events>, GraphqlResponse> {
    let _admitted = shared.admitted().await;
    caught(connection.subscribe(number, operation, None))
        .await
        .unwrap_or_else(|e| Err(internal(e)))
}

/// Something panicked. The panic hook has reported where.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Awaits a future and turns a panic into a value. What it touched is dropped with it, so nothing is seen
/// in a half-changed state.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    AssertUnwindSafe(future)
        .catch_unwind()
        .await
        .map_err(|_| Panicked)
}

/// The response of an operation that panicked.
pub(crate) fn internal(_: Panicked) -> GraphqlResponse {
    GraphqlResponse::request_error(ErrorCode::Internal, INTERNAL_MESSAGE)
}

//! The paths, and what their handlers share.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use thalweg_model::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::api::Api;
use crate::error::HttpError;
use crate::options::GatewayOptions;
use crate::{changes, console, export, graphql, guard, health, import, live_queries, schema};

/// What every handler sees.
pub(crate) struct Shared<A> {
    pub(crate) api: A,
    pub(crate) options: GatewayOptions,
    draining: watch::Sender<bool>,
    /// One permit for each operation that may be under way.
    operations: Arc<Semaphore>,
}

impl<A: Api> Shared<A> {
    pub(crate) fn new(api: A, options: GatewayOptions) -> Self {
        let operations_max = options.operations_max.min(Semaphore::MAX_PERMITS);
        Self {
            api,
            options,
            draining: watch::Sender::new(false),
            operations: Arc::new(Semaphore::new(operations_max)),
        }
    }

    /// Room for one more operation while the permit is held, or why there is none.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, HttpError> {
        let admitted = Arc::clone(&self.operations).try_acquire_owned();
        admitted.map_err(|_| HttpError::overloaded(self.options.operations_max))
    }

    /// Waits for room. A refused subscription would be lost to its client, whereas one that waits takes next to nothing.
    pub(crate) async fn admitted(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed, so there always is a permit in the end.
        Arc::clone(&self.operations).acquire_owned().await.ok()
    }

    pub(crate) fn drain(&self) -> Drain {
        Drain(self.draining.subscribe())
    }

    /// Tells every connection to come to its end. There is no way back.
    pub(crate) fn begin_drain(&self) {
        self.draining.send_replace(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}

/// Learns when the server begins to shut down.
#[derive(Clone)]
pub(crate) struct Drain(watch::Receiver<bool>);

impl Drain {
    /// Waits for the shutdown; returns at once when it has begun.
    pub(crate) async fn begun(&mut self) {
        // An error means that the server is gone altogether, which ends its connections all the same.
        let _ = self.0.wait_for(|draining| *draining).await;
    }
}

pub(crate) fn build<A: Api>(shared: &Arc<Shared<A>>) -> Router {
    Router::new()
        .route("/", get(console::index))
        .route("/console/{*path}", get(console::asset))
        .route("/graphql", get(graphql::get::<A>).post(graphql::post::<A>))
        .route("/schema.graphql", get(schema::get::<A>))
        .route("/import/{collection}", post(import::post::<A>))
        .route("/export/{collection}", get(export::get::<A>))
        .route("/changes", get(changes::get::<A>))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready::<A>))
        .route("/metrics", get(health::metrics::<A>))
        .route("/live", get(live_queries::get::<A>))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        // Bodies are bounded where they are read: imports are streams of any length.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(shared), guard::guard::<A>))
        .with_state(Arc::clone(shared))
}

/// axum adds the `Allow` header, which it knows for each path.
async fn method_not_allowed(uri: Uri) -> Response {
    let methods = match uri.path() {
        "/graphql" => "GET and POST",
        path if path.starts_with("/import/") => "POST",
        _ => "GET",
    };
    HttpError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::BadRequest,
        format!("{} takes {methods}", uri.path()),
    )
    .into_response()
}

async fn not_found(uri: Uri) -> Response {
    HttpError::new(
        StatusCode::NOT_FOUND,
        ErrorCode::NotFound,
        format!(
            "there is nothing at {}; the API is at /graphql, the console at /, the schema at \
             /schema.graphql, documents go in at /import/{{collection}} and out at \
             /export/{{collection}}, and changes come from /changes",
            uri.path()
        ),
    )
    .into_response()
}

//! What the server is compared with: an axum handler that reads the request's body and returns prepared bytes for it.
//!
//! Everything that a server for JSON over HTTP does anyway is in it, and nothing else: the same versions of axum,
//! hyper and tokio, the same runtime, the same number of connections, bodies of the same bytes.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

/// Answers by the bodies of their requests.
type Recorded = Arc<HashMap<Bytes, Bytes>>;

/// Writes pairs of request and answer, neither of which has a line break.
pub(crate) fn write(path: &Path, pairs: &[(String, Vec<u8>)]) -> Result<()> {
    let mut text = Vec::new();
    for (request, answer) in pairs {
        for line in [request.as_bytes(), answer] {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
    }
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// Serves such a file on a free port until the process is killed.
pub(crate) fn serve_recorded(path: &Path) -> Result<()> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let (pairs, _) = lines.as_chunks::<2>();
    let copy = |line: &[u8]| Bytes::copy_from_slice(line);
    let recorded: Recorded = Arc::new(
        pairs
            .iter()
            .map(|[request, answer]| (copy(request), copy(answer)))
            .collect(),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("ready at http://{}/", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            // A socket that refuses is broken, and its first read says so.
            let _ = stream.set_nodelay(true);
        });
        let router = Router::new()
            .route("/graphql", post(answer))
            .with_state(recorded);
        axum::serve(listener, router).await?;
        Ok(())
    })
}

async fn answer(State(recorded): State<Recorded>, body: Bytes) -> Response {
    match recorded.get(&body) {
        Some(answer) => ([(CONTENT_TYPE, "application/json")], answer.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

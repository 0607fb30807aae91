//! A query in parts: each message is made on a thread of its own, and the next one while the client takes this one.
//!
//! A client that takes nothing holds nothing of the store: what is held is given back before a message waits for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use thalweg_gateway::ApiError;
use thalweg_model::ErrorCode;
use thalweg_resolvers::IncrementalRun;
use tokio::sync::mpsc;

use super::patience::{Patience, Waiting};

/// Messages that are made before the first of them is taken.
const AHEAD_MAX: usize = 2;

/// The messages of a run, each of which may take `time_max` to be made. Dropping the stream ends the run.
pub(super) fn messages(
    run: IncrementalRun,
    time_max: Duration,
) -> impl Stream<Item = Result<Bytes, ApiError>> + Send + use<> {
    let (sender, receiver) = mpsc::channel(AHEAD_MAX);
    tokio::spawn(drive(run, time_max, sender));
    stream::unfold(receiver, |mut receiver| async move {
        let message = receiver.recv().await?;
        Some((message, receiver))
    })
}

async fn drive(
    mut run: IncrementalRun,
    time_max: Duration,
    sender: mpsc::Sender<Result<Bytes, ApiError>>,
) {
    loop {
        let patience = Patience::of(time_max);
        let waiting = Waiting(Arc::clone(&patience));
        run.set_interrupt(patience);
        let made = tokio::task::spawn_blocking(move || {
            let message = run.next_message();
            (run, message)
        });
        let made = tokio::select! {
            made = made => made,
            () = sender.closed() => return,
        };
        drop(waiting);
        let message = match made {
            Ok((_, None)) => return,
            Ok((made, Some(message))) => {
                run = made;
                message
            }
            Err(_) => {
                let message = "the query failed in a way that it should not";
                let error = ApiError::new(ErrorCode::Internal, message);
                // Whoever has gone need not be told.
                let _ = sender.send(Err(error)).await;
                return;
            }
        };
        let place = match sender.try_reserve() {
            Ok(place) => Ok(place),
            Err(_) => {
                run.release();
                sender.reserve().await
            }
        };
        match place {
            Ok(place) => place.send(Ok(message)),
            Err(_) => return,
        }
    }
}

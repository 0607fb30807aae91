//! Long responses, written on a thread of their own while the client takes their beginning.
//!
//! What a long response may take while it is under way is bounded for all of them together. So many are written at a time, each a
//! few chunks ahead of its client; another waits for its turn before it reads anything. A thread reads from a snapshot, so it
//! waits for its client only so long. A client that is slower gets the rest from memory, of which there is so much for all: the
//! thread writes on as far as there is room, and is over. A response for which there is no room in time is broken off, since a
//! snapshot must not be held for longer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, stream};
use thalweg_engine::{Interrupt, Interruption};
use thalweg_gateway::{ApiError, GraphqlResponse};
use thalweg_model::ErrorCode;
use thalweg_resolvers::ChunkSink;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::patience;

/// Chunks that wait for the client before the thread does.
const AHEAD_MAX: usize = 2;
/// For how long one waits for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(60);

type Chunk = Result<Bytes, ApiError>;

/// For how long a thread waits while it holds a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// For its client, in all, before it writes into memory.
    pub(super) client: Duration,
    /// From its beginning until there is room in memory. Less than the life of a reader of the store.
    pub(super) room: Duration,
}

/// What the service has of it.
pub(super) const PATIENCE: Patience = Patience {
    client: Duration::from_secs(5),
    room: Duration::from_secs(20),
};

/// What all long responses share.
pub(super) struct LongResponses {
    turns: Arc<Semaphore>,
    room_kib: Arc<Semaphore>,
    patience: Patience,
}

impl LongResponses {
    /// So many are written at a time, and so many bytes kept for slow clients.
    pub(super) fn new(runs_max: usize, kept_bytes_max: usize, patience: Patience) -> Self {
        let most = Semaphore::MAX_PERMITS;
        LongResponses {
            turns: Arc::new(Semaphore::new(runs_max.min(most))),
            room_kib: Arc::new(Semaphore::new((kept_bytes_max >> 10).min(most))),
            patience,
        }
    }

    /// A sink, and what comes out at its other end.
    pub(super) fn channel(&self) -> (ToClient, mpsc::Receiver<First>) {
        let (sender, receiver) = mpsc::channel(AHEAD_MAX);
        let sink = ToClient {
            sender,
            turns: Arc::clone(&self.turns),
            turn: None,
            is_crowded: false,
            room_kib: Arc::clone(&self.room_kib),
            patience: self.patience,
            began: Instant::now(),
            kept: VecDeque::new(),
        };
        (sink, receiver)
    }
}

/// Refuses everything: for a run where only a short response is of use.
pub(super) struct OnlyShort;

impl ChunkSink for OnlyShort {
    fn take(&mut self, _: Bytes) -> bool {
        false
    }
}

/// What a run on a thread comes to first.
pub(super) enum First {
    /// The whole response.
    Whole(GraphqlResponse),
    /// The beginning of a long one.
    Chunk(Chunk),
}

/// The sink of a run on a thread.
pub(super) struct ToClient {
    sender: mpsc::Sender<First>,
    turns: Arc<Semaphore>,
    /// Needed from the first chunk on, until the run is over.
    turn: Option<OwnedSemaphorePermit>,
    /// Whether the run ended because there was no turn for it.
    is_crowded: bool,
    room_kib: Arc<Semaphore>,
    /// What is left of it.
    patience: Patience,
    began: Instant,
    /// What is to be sent when the run is over.
    kept: VecDeque<Kept>,
}

/// A chunk in memory, and the room that it takes.
struct Kept {
    chunk: Bytes,
    _room: OwnedSemaphorePermit,
}

impl ChunkSink for ToClient {
    fn take(&mut self, chunk: Bytes) -> bool {
        if self.sender.is_closed() {
            return false;
        }
        if self.turn.is_none() {
            self.turn = Arc::clone(&self.turns).try_acquire_owned().ok();
            self.is_crowded = self.turn.is_none();
            if self.is_crowded {
                return false;
            }
        }
        if !self.kept.is_empty() || self.patience.client.is_zero() {
            return self.keep(chunk);
        }
        let since = Instant::now();
        let is_late = match self.sender.try_reserve() {
            Ok(place) => {
                place.send(First::Chunk(Ok(chunk)));
                return true;
            }
            Err(_) => {
                let reserved = timeout(self.patience.client, self.sender.reserve());
                match Handle::current().block_on(reserved) {
                    Ok(Ok(place)) => {
                        place.send(First::Chunk(Ok(chunk.clone())));
                        false
                    }
                    Ok(Err(_)) => return false,
                    Err(_) => true,
                }
            }
        };
        self.patience.client = self.patience.client.saturating_sub(since.elapsed());
        !is_late || self.keep(chunk)
    }
}

/// Ends a run when its time is up, or its client has gone.
struct Waited {
    patience: Arc<patience::Patience>,
    sender: mpsc::Sender<First>,
}

impl Interrupt for Waited {
    fn interrupted(&self) -> Option<Interruption> {
        if self.sender.is_closed() {
            return Some(Interruption::Abandoned);
        }
        self.patience.interrupted()
    }
}

impl ToClient {
    /// What ends a run that begins now. It must not outlive the run, since the response is not over while there is one.
    pub(super) fn interrupt(&self, time_max: Duration) -> Arc<dyn Interrupt> {
        Arc::new(Waited {
            patience: patience::Patience::of(time_max),
            sender: self.sender.clone(),
        })
    }

    fn keep(&mut self, chunk: Bytes) -> bool {
        let kib = u32::try_from(chunk.len().div_ceil(1024)).unwrap_or(u32::MAX);
        let room = match Arc::clone(&self.room_kib).try_acquire_many_owned(kib) {
            Ok(room) => Some(room),
            Err(_) => {
                let patience = self.patience.room.saturating_sub(self.began.elapsed());
                let room = Arc::clone(&self.room_kib).acquire_many_owned(kib);
                let room = Handle::current().block_on(timeout(patience, room));
                room.ok().and_then(Result::ok)
            }
        };
        match room {
            Some(_room) => self.kept.push_back(Kept { chunk, _room }),
            None => return false,
        }
        true
    }
}

/// How a run on a thread ended.
pub(super) enum Ended {
    /// With a response of which nothing has been sent.
    Whole(GraphqlResponse),
    /// All has been sent, or kept to be.
    Sent,
    /// The response breaks off.
    Broken,
}

/// Runs on a thread of its own, and sends what is left when that is over and holds nothing of the store any more.
///
/// It may run twice: a response that turns out to be long when there is no turn for it begins anew when there is one.
pub(super) async fn drive(
    mut sink: ToClient,
    run: impl Fn(&mut ToClient) -> Ended + Send + Sync + 'static,
) {
    let sender = sink.sender.clone();
    let run = Arc::new(run);
    loop {
        let this_run = Arc::clone(&run);
        let ran = tokio::task::spawn_blocking(move || {
            sink.began = Instant::now();
            sink.is_crowded = false;
            let ended = this_run(&mut sink);
            // The turn is over with the run.
            sink.turn = None;
            (ended, sink)
        });
        let Ok((ended, ran)) = ran.await else {
            return send_all(&sender, VecDeque::new(), Some(broken())).await;
        };
        sink = ran;
        if sink.is_crowded {
            let turn = Arc::clone(&sink.turns).acquire_owned();
            let turn = tokio::select! {
                () = sender.closed() => return,
                turn = timeout(TURN_WAIT_MAX, turn) => turn,
            };
            if let Ok(Ok(turn)) = turn {
                sink.turn = Some(turn);
                continue;
            }
            let message = "too many long responses are under way; ask for fewer rows or fields, or try again later";
            let refused = GraphqlResponse::request_error(ErrorCode::Unavailable, message);
            return send_all(&sender, VecDeque::new(), Some(First::Whole(refused))).await;
        }
        let last = match ended {
            Ended::Whole(response) => Some(First::Whole(response)),
            Ended::Sent => None,
            Ended::Broken => Some(broken()),
        };
        return send_all(&sender, sink.kept, last).await;
    }
}

fn broken() -> First {
    let message = "a long response could not be completed";
    First::Chunk(Err(ApiError::new(ErrorCode::Internal, message)))
}

async fn send_all(sender: &mpsc::Sender<First>, kept: VecDeque<Kept>, last: Option<First>) {
    for Kept { chunk, _room } in kept {
        // Whoever has gone need not be told.
        if sender.send(First::Chunk(Ok(chunk))).await.is_err() {
            return;
        }
    }
    if let Some(last) = last {
        let _ = sender.send(last).await;
    }
}

/// The chunks after the first one.
pub(super) fn rest(receiver: mpsc::Receiver<First>) -> impl Stream<Item = Chunk> + Send + use<> {
    stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await? {
            First::Chunk(chunk) => Some((chunk, receiver)),
            // A run gives either the whole or chunks.
            First::Whole(_) => None,
        }
    })
}

#[cfg(test)]
mod tests;

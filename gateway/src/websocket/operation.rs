//! The operations of one socket: which are under way, and how each runs.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use thalweg_model::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::message;
use super::writer::Outgoing;
use crate::api::{Api, GraphqlRequest, GraphqlResponse, LiveItem, OperationKind};
use crate::error::{INTERNAL_MESSAGE, errors_list};
use crate::execution::{self, caught, internal};
use crate::router::Shared;

/// The operations under way on one socket.
pub(super) struct Operations<A> {
    shared: Arc<Shared<A>>,
    outgoing: mpsc::Sender<Outgoing>,
    table: Arc<Mutex<Table>>,
    /// One permit for each operation until its last message is in the queue.
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct Table {
    by_id: HashMap<String, Running>,
    /// Tells an operation from an earlier one with the same id.
    next_number: u64,
}

struct Running {
    number: u64,
    cancelled: Arc<AtomicBool>,
    task: AbortHandle,
    stage: Stage,
}

/// How far an operation has come. It begins as `Preparing`; [`Run::enter`] makes the only transition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Being parsed and validated.
    Preparing,
    /// A query that is answered once.
    Reading,
    /// A mutation. It runs to its end and keeps its permit, whoever still wants to know.
    Writing,
    /// A subscription or a live query: goes on until it is ended.
    Living,
}

impl Table {
    fn cancel_all(&mut self) {
        for (_, running) in self.by_id.drain() {
            running.cancel();
        }
    }
}

impl Running {
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        if self.stage != Stage::Writing {
            self.task.abort();
        }
    }
}

/// Why an operation was not started.
pub(super) enum NotStarted {
    /// Its id is that of an operation under way.
    IdInUse,
    /// As many operations are under way as may be.
    TooMany(usize),
}

impl<A: Api> Operations<A> {
    pub(super) fn new(shared: Arc<Shared<A>>, outgoing: mpsc::Sender<Outgoing>) -> Self {
        let most = shared.options.operations_per_socket_max;
        Self {
            shared,
            outgoing,
            table: Arc::default(),
            permits: Arc::new(Semaphore::new(most)),
        }
    }

    pub(super) fn start(&self, id: String, request: GraphqlRequest) -> Result<(), NotStarted> {
        let mut table = lock(&self.table);
        if table.by_id.contains_key(&id) {
            return Err(NotStarted::IdInUse);
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return Err(NotStarted::TooMany(
                self.shared.options.operations_per_socket_max,
            ));
        };
        let number = table.next_number;
        table.next_number += 1;
        let cancelled = Arc::new(AtomicBool::new(false));
        let run = Run {
            shared: Arc::clone(&self.shared),
            outgoing: self.outgoing.clone(),
            table: Arc::clone(&self.table),
            id: id.clone(),
            number,
            cancelled: Arc::clone(&cancelled),
            _permit: permit,
        };
        // The table stays locked until the task is in it, so the task cannot leave before it has entered.
        let task = tokio::spawn(run.run(request)).abort_handle();
        table.by_id.insert(
            id,
            Running {
                number,
                cancelled,
                task,
                stage: Stage::Preparing,
            },
        );
        Ok(())
    }

    /// The client has lost interest: nothing more is sent for this id.
    pub(super) fn cancel(&self, id: &str) {
        if let Some(running) = lock(&self.table).by_id.remove(id) {
            running.cancel();
        }
    }

    pub(super) fn cancel_all(&self) {
        lock(&self.table).cancel_all();
    }

    /// Ends what would go on by itself and waits for what has a single result.
    pub(super) async fn wind_down(&self) {
        lock(&self.table).by_id.retain(|_, running| {
            let lives_on = running.stage == Stage::Living;
            if lives_on {
                running.cancel();
            }
            !lives_on
        });
        let all = u32::try_from(self.shared.options.operations_per_socket_max).unwrap_or(u32::MAX);
        // The semaphore is never closed; were it, there would be nothing to wait for.
        let _ = self.permits.acquire_many(all).await;
    }
}

impl<A> Drop for Operations<A> {
    fn drop(&mut self) {
        lock(&self.table).cancel_all();
    }
}

/// A panic cannot happen while the table is locked; a poisoned one is as good as any.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One operation on its way.
struct Run<A> {
    shared: Arc<Shared<A>>,
    outgoing: mpsc::Sender<Outgoing>,
    table: Arc<Mutex<Table>>,
    id: String,
    number: u64,
    cancelled: Arc<AtomicBool>,
    _permit: OwnedSemaphorePermit,
}

impl<A: Api> Run<A> {
    async fn run(self, request: GraphqlRequest) {
        let prepared = caught(async { self.shared.api.prepare(request) })
            .await
            .unwrap_or_else(|panicked| Err(internal(panicked)));
        let operation = match prepared {
            Ok(operation) => operation,
            Err(response) => return self.fail(&response).await,
        };
        let stage = match self.shared.api.kind(&operation) {
            OperationKind::Subscription => Stage::Living,
            OperationKind::Query if self.shared.api.is_live(&operation) => Stage::Living,
            OperationKind::Query => Stage::Reading,
            OperationKind::Mutation => Stage::Writing,
        };
        if !self.enter(stage) {
            return;
        }
        if stage == Stage::Living {
            return self.live(operation).await;
        }
        let response = match self.shared.admit() {
            Ok(_admitted) => execution::execute(&self.shared, operation).await,
            Err(error) => GraphqlResponse::request_error(error.code(), error.message()),
        };
        if response.has_data {
            self.send(message::next(&self.id, &response.body)).await;
            self.finish(message::complete(&self.id)).await;
        } else {
            self.fail(&response).await;
        }
    }

    async fn live(&self, operation: A::Operation) {
        let events = match execution::subscribe(&self.shared, operation, None).await {
            Ok(events) => events,
            Err(response) => return self.fail(&response).await,
        };
        let mut events = pin!(events);
        loop {
            // The next result is asked for when this one is in the queue, so a slow socket skips states.
            match caught(events.next()).await {
                Ok(Some(LiveItem::Event(event))) => {
                    self.send(message::next(&self.id, &event.body)).await;
                }
                Ok(Some(LiveItem::Ended(errors))) => {
                    return self.finish(message::error(&self.id, &errors)).await;
                }
                Ok(Some(LiveItem::Complete) | None) => {
                    return self.finish(message::complete(&self.id)).await;
                }
                Err(_) => {
                    let errors = errors_list(ErrorCode::Internal, INTERNAL_MESSAGE);
                    return self.finish(message::error(&self.id, &errors)).await;
                }
            }
        }
    }

    /// False when the operation must not go on: it has been cancelled, or it would live into a shutdown.
    fn enter(&self, stage: Stage) -> bool {
        let mut table = lock(&self.table);
        match table.by_id.get_mut(&self.id) {
            Some(running) if running.number == self.number => running.stage = stage,
            _ => return false,
        }
        if stage == Stage::Living && self.shared.is_draining() {
            table.by_id.remove(&self.id);
            return false;
        }
        true
    }

    async fn fail(&self, response: &GraphqlResponse) {
        let errors = errors_of(response);
        self.finish(message::error(&self.id, &errors)).await;
    }

    async fn send(&self, text: String) {
        let cancelled = Some(Arc::clone(&self.cancelled));
        // A closed queue means that the socket is gone, and this task is about to be aborted.
        let _ = self.outgoing.send(Outgoing::Text { text, cancelled }).await;
    }

    /// Sends the last message. The id is free before the client can know that the operation has ended.
    async fn finish(&self, text: String) {
        {
            let mut table = lock(&self.table);
            match table.by_id.get(&self.id) {
                Some(running) if running.number == self.number => {
                    table.by_id.remove(&self.id);
                }
                _ => return,
            }
        }
        self.send(text).await;
    }
}

/// The list of errors inside a response that has no data.
fn errors_of(response: &GraphqlResponse) -> Vec<u8> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        errors: &'a RawValue,
    }
    match serde_json::from_slice::<Body<'_>>(&response.body) {
        Ok(body) => body.errors.get().as_bytes().to_vec(),
        Err(_) => errors_list(ErrorCode::Internal, INTERNAL_MESSAGE),
    }
}

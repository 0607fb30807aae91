//! The operations of one socket: which are under way, and how each runs.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use slotmap::{Key, KeyData, SlotMap, new_key_type};
use thalweg_model::{CommitTs, ErrorCode};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::message;
use super::writer::Outgoing;
use crate::api::{
    Api, Connection, Followed, GraphqlRequest, GraphqlResponse, LiveItem, OperationKind, Told,
};
use crate::error::{INTERNAL_MESSAGE, errors_list};
use crate::execution::{self, caught, internal};
use crate::router::Shared;

/// The operations under way on one socket.
pub(super) struct Operations<A: Api> {
    shared: Arc<Shared<A>>,
    outgoing: mpsc::Sender<Outgoing>,
    table: Arc<Mutex<Table>>,
    /// What tells its live operations.
    connection: Arc<A::Connection>,
    /// One permit for each operation until its last message is in the queue.
    permits: Arc<Semaphore>,
    /// Notified when a shutdown has begun and the live operations are told nothing more.
    told: Notify,
}

new_key_type! {
    /// Tells an operation from an earlier one with the same id.
    struct Place;
}

/// A socket may follow a great many live queries, so an entry is small.
#[derive(Default)]
struct Table {
    places: HashMap<Arc<str>, Place>,
    running: SlotMap<Place, Running>,
}

struct Running {
    id: Arc<str>,
    /// Whether it has been cancelled, for what is on its way to the queue or in it. One that is told with the others has no
    /// such messages.
    cancelled: Option<Arc<AtomicBool>>,
    stage: Stage,
}

/// How far an operation has come. It begins as `Preparing`; [`Run::enter`] takes it further.
enum Stage {
    /// Being parsed and validated.
    Preparing(AbortHandle),
    /// A query that is answered once.
    Reading(AbortHandle),
    /// A mutation. It runs to its end and keeps its permit, whoever still wants to know.
    Writing,
    /// A subscription or a live query that is being registered, which is seen through.
    Registering(AbortHandle),
    /// A live operation that is told by a task of its own.
    Streaming(AbortHandle),
    /// A live operation that is told with the others. It has no task, and so keeps its permit here.
    Followed(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit),
}

impl Stage {
    /// Whether it goes on until it is ended.
    fn lives_on(&self) -> bool {
        matches!(
            self,
            Stage::Registering(_) | Stage::Streaming(_) | Stage::Followed(_)
        )
    }

    fn task(&self) -> Option<&AbortHandle> {
        match self {
            Stage::Preparing(task)
            | Stage::Reading(task)
            | Stage::Registering(task)
            | Stage::Streaming(task) => Some(task),
            Stage::Writing | Stage::Followed(_) => None,
        }
    }
}

impl Running {
    /// Ends it, once it is out of the table; `unsubscribe` ends what is told with the others.
    fn cancel(&self, unsubscribe: impl FnOnce()) {
        if let Some(cancelled) = &self.cancelled {
            cancelled.store(true, Ordering::Release);
        }
        match &self.stage {
            Stage::Followed(_) => unsubscribe(),
            // It sees that it is out of the table.
            Stage::Registering(_) => {}
            stage => {
                if let Some(task) = stage.task() {
                    task.abort();
                }
            }
        }
    }
}

impl Table {
    fn has(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    fn remove(&mut self, id: &str) -> Option<(Place, Running)> {
        let place = self.places.remove(id)?;
        Some((place, self.running.remove(place)?))
    }

    /// Takes out those that satisfy a test.
    fn extract(&mut self, test: impl Fn(&Running) -> bool) -> Vec<(Place, Running)> {
        let ids: Vec<Arc<str>> = self
            .running
            .values()
            .filter(|running| test(running))
            .map(|running| Arc::clone(&running.id))
            .collect();
        ids.iter().filter_map(|id| self.remove(id)).collect()
    }
}

impl Place {
    /// By what the connection knows it.
    fn number(self) -> u64 {
        self.data().as_ffi()
    }

    fn of(number: u64) -> Place {
        KeyData::from_ffi(number).into()
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
        let connection = shared.api.connect();
        Self {
            shared,
            outgoing,
            table: Arc::default(),
            connection: Arc::new(connection),
            permits: Arc::new(Semaphore::new(most)),
            told: Notify::new(),
        }
    }

    pub(super) fn start(&self, id: String, request: GraphqlRequest) -> Result<(), NotStarted> {
        let mut table = lock(&self.table);
        if table.has(&id) {
            return Err(NotStarted::IdInUse);
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return Err(NotStarted::TooMany(
                self.shared.options.operations_per_socket_max,
            ));
        };
        let id: Arc<str> = id.into();
        // The table stays locked until the task is in it, so the task cannot leave before it has entered.
        let place = table.running.insert_with_key(|place| {
            let cancelled = Arc::new(AtomicBool::new(false));
            let run = Run {
                shared: Arc::clone(&self.shared),
                outgoing: self.outgoing.clone(),
                table: Arc::clone(&self.table),
                connection: Arc::clone(&self.connection),
                id: Arc::clone(&id),
                place,
                cancelled: Arc::clone(&cancelled),
            };
            let task = tokio::spawn(run.run(request, permit)).abort_handle();
            Running {
                id: Arc::clone(&id),
                cancelled: Some(cancelled),
                stage: Stage::Preparing(task),
            }
        });
        table.places.insert(id, place);
        Ok(())
    }

    /// The client has lost interest: nothing more is sent for this id.
    pub(super) fn cancel(&self, id: &str) {
        let running = lock(&self.table).remove(id);
        if let Some((place, running)) = running {
            running.cancel(|| self.connection.unsubscribe(place.number()));
        }
    }

    pub(super) fn cancel_all(&self) {
        let all = lock(&self.table).extract(|_| true);
        for (place, running) in all {
            running.cancel(|| self.connection.unsubscribe(place.number()));
        }
    }

    /// Ends what would go on by itself and waits for what has a single result. Returns the state from which a client may
    /// resume its live queries, where there is one for all of them.
    pub(super) async fn wind_down(&self) -> Option<CommitTs> {
        // What has been given to be told is in the queue then.
        self.told.notified().await;
        let shown = self.connection.shown();
        let is_of_all = lock(&self.table).running.values().all(|running| {
            !matches!(
                running.stage,
                Stage::Preparing(_) | Stage::Registering(_) | Stage::Streaming(_)
            )
        });
        let living = lock(&self.table).extract(|running| running.stage.lives_on());
        for (place, running) in living {
            running.cancel(|| self.connection.unsubscribe(place.number()));
        }
        let all = u32::try_from(self.shared.options.operations_per_socket_max).unwrap_or(u32::MAX);
        // The semaphore is never closed; were it, there would be nothing to wait for.
        let _ = self.permits.acquire_many(all).await;
        shown.filter(|_| is_of_all)
    }

    /// What the live operations have to tell which are told together, as soon as there is something; `None` when nothing more
    /// comes. What comes next is asked for when this is sent, so a slow socket skips states.
    pub(super) async fn next_told(&self) -> Option<Told> {
        caught(self.connection.next()).await.ok().flatten()
    }

    /// Says that no more is told.
    pub(super) fn has_told(&self) {
        self.told.notify_one();
    }

    /// The message that tells of an operation; `None` where nothing more is told of it.
    pub(super) fn message(&self, number: u64, item: LiveItem) -> Option<String> {
        let mut table = lock(&self.table);
        // Who has been cancelled meanwhile is told nothing more.
        let running = table.running.get(Place::of(number))?;
        let id = match running.stage {
            Stage::Registering(_) | Stage::Followed(_) => Arc::clone(&running.id),
            _ => return None,
        };
        if !matches!(item, LiveItem::Event(_)) {
            // The id is free before the client can know that the operation has ended.
            table.remove(&id);
        }
        drop(table);
        Some(match item {
            LiveItem::Event(event) => message::next(&id, &event.body),
            LiveItem::Ended(errors) => message::error(&id, &errors),
            LiveItem::Complete => message::complete(&id),
        })
    }
}

impl<A: Api> Drop for Operations<A> {
    fn drop(&mut self) {
        self.cancel_all();
    }
}

/// A panic cannot happen while the table is locked; a poisoned one is as good as any.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One operation on its way.
struct Run<A: Api> {
    shared: Arc<Shared<A>>,
    outgoing: mpsc::Sender<Outgoing>,
    table: Arc<Mutex<Table>>,
    connection: Arc<A::Connection>,
    id: Arc<str>,
    place: Place,
    cancelled: Arc<AtomicBool>,
}

impl<A: Api> Run<A> {
    async fn run(self, request: GraphqlRequest, permit: OwnedSemaphorePermit) {
        let prepared = caught(async { self.shared.api.prepare(request) })
            .await
            .unwrap_or_else(|panicked| Err(internal(panicked)));
        let operation = match prepared {
            Ok(operation) => operation,
            Err(response) => return self.fail(&response).await,
        };
        let kind = self.shared.api.kind(&operation);
        if kind == OperationKind::Subscription || self.shared.api.is_live(&operation) {
            if self.enter_living() {
                self.live(operation, permit).await;
            }
            return;
        }
        let entered = self.enter(|task| match kind {
            OperationKind::Mutation => Stage::Writing,
            _ => Stage::Reading(task),
        });
        if !entered {
            return;
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

    async fn live(self, operation: A::Operation, permit: OwnedSemaphorePermit) {
        let number = self.place.number();
        let subscribed =
            execution::subscribe_on(&self.shared, &self.connection, number, operation).await;
        match subscribed {
            Ok(Followed::Together) => {
                let mut table = lock(&self.table);
                match table.running.get_mut(self.place) {
                    Some(running) => {
                        running.stage = Stage::Followed(permit);
                        running.cancelled = None;
                    }
                    None => {
                        drop(table);
                        self.connection.unsubscribe(number);
                    }
                }
            }
            Ok(Followed::Alone(events)) => {
                if self.enter(Stage::Streaming) {
                    self.stream(events).await;
                }
            }
            Err(response) => self.fail(&response).await,
        }
    }

    async fn stream(&self, events: A::Events) {
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

    /// Takes the operation to another stage, which may want its task. False when it must not go on, because it has been
    /// cancelled.
    fn enter(&self, stage: impl FnOnce(AbortHandle) -> Stage) -> bool {
        let mut table = lock(&self.table);
        let Some(running) = table.running.get_mut(self.place) else {
            return false;
        };
        match running.stage.task() {
            Some(task) => running.stage = stage(task.clone()),
            None => return false,
        }
        true
    }

    /// The same for one that lives on. It may be told from then on. False also where it would live into a shutdown.
    fn enter_living(&self) -> bool {
        if !self.enter(Stage::Registering) {
            return false;
        }
        let mut table = lock(&self.table);
        if self.shared.is_draining() {
            table.remove(&self.id);
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
            if !table.running.contains_key(self.place) {
                return;
            }
            table.remove(&self.id);
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

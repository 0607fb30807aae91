//! The committer's pipeline, step by step: what a group may read that is not durable yet, and what becomes of it when
//! the group before it fails.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use thalweg_engine::{
    CollectionRef, Committed, Engine, EngineOptions, EngineStepper, ExpiryChange, FieldMask,
    FieldRef, IdempotencyKey, Intent, OrderKey, Place, Predicate, Record, Stage, Test,
    TransactionError,
};
use thalweg_model::{CollectionId, CommitTs, ErrorCode, Value};
use thalweg_storage::{Backend, MemoryBackend};
use tokio::task::JoinHandle;

use crate::faults::{Fate, Faulty};
use crate::fixture::{
    SetClock, collection, commit, create, document, find_all, id, increment, json_of, patch, path,
    set,
};

/// An engine that does nothing but what the test says.
pub(crate) struct Stepped {
    pub(crate) engine: Engine,
    pub(crate) stepper: EngineStepper,
    pub(crate) clock: Arc<SetClock>,
}

impl Stepped {
    pub(crate) fn open(backend: Arc<dyn Backend>) -> Stepped {
        let clock = Arc::new(SetClock::new(1_000_000_000));
        Stepped::open_at(backend, clock)
    }

    fn open_at(backend: Arc<dyn Backend>, clock: Arc<SetClock>) -> Stepped {
        Stepped::open_as(backend, clock, EngineOptions::default())
    }

    pub(crate) fn open_with(backend: Arc<dyn Backend>, options: EngineOptions) -> Stepped {
        Stepped::open_as(backend, Arc::new(SetClock::new(1_000_000_000)), options)
    }

    fn open_as(backend: Arc<dyn Backend>, clock: Arc<SetClock>, options: EngineOptions) -> Stepped {
        let (engine, stepper) =
            Engine::open_stepped(backend, options, Arc::clone(&clock) as Arc<_>).unwrap();
        Stepped {
            engine,
            stepper,
            clock,
        }
    }

    /// Sends a transaction, up to the committer's door.
    pub(crate) async fn send<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let task = tokio::spawn(work);
        settle().await;
        task
    }

    pub(crate) async fn send_commit(
        &self,
        intents: Vec<Intent>,
    ) -> JoinHandle<Result<Committed<()>, TransactionError>> {
        let engine = self.engine.clone();
        self.send(async move { commit(&engine, intents).await })
            .await
    }

    /// Takes all that was sent into the open group.
    pub(crate) fn order(&mut self) {
        while self.stepper.step(Stage::Order) {}
    }

    pub(crate) fn hand_over(&mut self) {
        assert!(self.stepper.step(Stage::HandOver));
    }

    pub(crate) async fn write_if_any(&mut self) {
        self.stepper.step(Stage::Write);
        settle().await;
    }

    pub(crate) async fn write(&mut self) {
        assert!(self.stepper.step(Stage::Write));
        settle().await;
    }

    /// Everything that was sent, to its end.
    pub(crate) async fn run(&mut self) {
        loop {
            self.order();
            let moved = self.stepper.step(Stage::HandOver) | self.stepper.step(Stage::Write);
            settle().await;
            if !moved && !self.stepper.can_step(Stage::Order) {
                return;
            }
        }
    }

    pub(crate) async fn seed(&mut self, json: &str) -> CollectionId {
        let seeded = self.send_commit(vec![create("a", json)]).await;
        self.run().await;
        seeded.await.unwrap().unwrap();
        collection(&self.engine, "a")
    }
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

/// A revision is restored though it, or what replaced it, is on its way into the store.
#[tokio::test]
async fn what_is_in_flight_has_a_past_too() {
    let mut engine = Stepped::open(Arc::new(MemoryBackend::new()));
    let a = engine.seed(r#"{"id":"x","n":0}"#).await;
    let seeded = engine.engine.snapshot().unwrap().ts().as_micros();
    let ts = |after| CommitTs::from_micros(seeded + after);
    let restore = |to| Intent::Restore {
        collection: a,
        id: id("x"),
        to: Some(to),
    };
    let flown = patch(a, "x", vec![set("n", "1")]);
    let in_flight = engine.send_commit(vec![flown]).await;
    engine.order();
    engine.hand_over();
    let mut sent = Vec::new();
    for intents in [
        vec![patch(a, "x", vec![set("n", "2")])],
        vec![restore(ts(1))],
        vec![restore(ts(0))],
        vec![restore(ts(2))],
        // Within one transaction the newest state is what it found.
        vec![patch(a, "x", vec![set("n", "5")]), restore(ts(5))],
        vec![restore(ts(7))],
    ] {
        sent.push(engine.send_commit(intents).await);
        engine.order();
    }
    engine.run().await;
    in_flight.await.unwrap().unwrap();
    let mut seen = Vec::new();
    for done in sent {
        seen.push(match done.await.unwrap() {
            Ok(done) => {
                let after = done.steps.last().unwrap().after.as_ref().unwrap();
                String::from_utf8_lossy(after.document().json()).into_owned()
            }
            Err(error) => error.code().as_str().to_owned(),
        });
    }
    let n = |n: i32| format!(r#"{{"id":"x","n":{n}}}"#);
    assert_eq!(
        seen,
        [n(2), n(1), n(0), n(2), n(2), "BAD_REQUEST".to_owned()]
    );
    assert_eq!(
        json_of(&engine.engine.snapshot().unwrap(), a, "x").unwrap(),
        n(2)
    );
}

/// Adds one to what it reads.
async fn read_modify_write(engine: Engine, a: CollectionId) -> Result<i64, TransactionError> {
    let committed = engine
        .transact(move |transaction| {
            let record = transaction
                .get(a, &id("x"), FieldMask::all())?
                .expect("it exists");
            let n = record.document().get("n").and_then(|n| n.as_i64()).unwrap();
            transaction.write(patch(a, "x", vec![set("n", &(n + 1).to_string())]))?;
            Ok(n + 1)
        })
        .await?;
    Ok(committed.value)
}

#[tokio::test]
async fn one_group_holds_every_change_of_a_hot_document() {
    let mut world = Stepped::open(Arc::new(MemoryBackend::new()));
    let a = world.seed(r#"{"id":"x","n":0}"#).await;
    let mut tasks = Vec::new();
    for _ in 0..64 {
        let engine = world.engine.clone();
        tasks.push(world.send(read_modify_write(engine, a)).await);
    }
    world.order();
    world.hand_over();
    world.write().await;
    for (task, n) in tasks.into_iter().zip(1..) {
        assert_eq!(task.await.unwrap().unwrap(), n);
    }
}

#[tokio::test]
async fn a_group_reads_what_the_one_before_it_has_not_yet_made_durable() {
    let mut world = Stepped::open(Arc::new(MemoryBackend::new()));
    let a = world.seed(r#"{"id":"x","n":0}"#).await;
    let engine = world.engine.clone();
    let first = world.send(read_modify_write(engine.clone(), a)).await;
    world.order();
    world.hand_over();
    let second = world.send(read_modify_write(engine.clone(), a)).await;
    let refused = world
        .send_commit(vec![Intent::Patch {
            collection: a,
            id: id("x"),
            patch: thalweg_model::Patch {
                operations: vec![increment("n", 1)],
            },
            if_version: Some(1),
            otherwise: None,
            expiry: ExpiryChange::KEEP,
        }])
        .await;
    world.order();
    assert!(!first.is_finished() && !second.is_finished());
    assert!(
        !refused.is_finished(),
        "it was refused for what is not durable"
    );
    world.write().await;
    assert_eq!(first.await.unwrap().unwrap(), 1);
    assert!(!second.is_finished() && !refused.is_finished());
    world.run().await;
    assert_eq!(second.await.unwrap().unwrap(), 2);
    assert_eq!(
        refused.await.unwrap().unwrap_err().code(),
        ErrorCode::VersionMismatch
    );
}

#[tokio::test]
async fn what_was_built_on_a_lost_group_is_built_again() {
    let backend = Faulty::new();
    let mut world = Stepped::open(Arc::clone(&backend) as Arc<dyn Backend>);
    let a = world.seed(r#"{"id":"x","n":0}"#).await;
    backend.set(Fate::Refuse);
    let engine = world.engine.clone();
    let lost = world.send(read_modify_write(engine.clone(), a)).await;
    let lost_create = world.send_commit(vec![create("b", r#"{"id":1}"#)]).await;
    world.order();
    world.hand_over();
    let kept = world.send(read_modify_write(engine.clone(), a)).await;
    // It is refused for a document that will not come to be.
    let kept_create = world
        .send_commit(vec![create("b", r#"{"id":1,"new":2}"#)])
        .await;
    world.order();
    world.write().await;
    assert!(lost.await.unwrap().is_err());
    assert!(lost_create.await.unwrap().is_err());
    backend.set(Fate::Commit);
    world.run().await;
    assert_eq!(kept.await.unwrap().unwrap(), 1);
    kept_create.await.unwrap().unwrap();
    let b = collection(&engine, "b");
    let json = json_of(&engine.snapshot().unwrap(), b, "1").unwrap();
    assert_eq!(json, r#"{"id":1,"new":2}"#);
}

#[tokio::test]
async fn nothing_is_answered_after_a_batch_whose_outcome_is_unknown() {
    let backend = Faulty::new();
    let mut world = Stepped::open(Arc::clone(&backend) as Arc<dyn Backend>);
    let a = world.seed(r#"{"id":"x","n":0}"#).await;
    backend.set(Fate::LandUnknown);
    let engine = world.engine.clone();
    let unknown = world.send(read_modify_write(engine.clone(), a)).await;
    world.order();
    world.hand_over();
    let after = world.send(read_modify_write(engine.clone(), a)).await;
    world.order();
    world.write().await;
    for task in [unknown, after] {
        let error = task.await.unwrap().unwrap_err();
        assert_eq!(error.code(), ErrorCode::Indeterminate);
    }
    backend.set(Fate::Commit);
    let reopened = Stepped::open(backend);
    let json = json_of(&reopened.engine.snapshot().unwrap(), a, "x");
    assert_eq!(json.as_deref(), Some(r#"{"id":"x","n":1}"#));
}

pub(crate) async fn add_once(
    engine: Engine,
    a: CollectionId,
    key: &'static str,
    by: i64,
) -> Result<String, TransactionError> {
    let key = IdempotencyKey::new(key, u64::try_from(by).unwrap()).unwrap();
    let first = engine
        .transact_once(
            Place::Caller,
            key,
            move |transaction| transaction.write(patch(a, "x", vec![increment("n", by)])),
            move |committed| {
                let after = committed.steps[0].after.as_ref().unwrap();
                let mut answer = after.document().json().to_vec();
                // The second kind of answer is long enough to be stored in chunks.
                answer.resize(answer.len().max(if by == 2 { 3 << 20 } else { 0 }), b' ');
                answer
            },
        )
        .await?;
    Ok(String::from_utf8(first.answer.to_vec()).unwrap())
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let mut world = Stepped::open(Arc::clone(&backend));
    let a = world.seed(r#"{"id":"x","n":0}"#).await;
    let engine = world.engine.clone();
    let in_one_group = [
        world.send(add_once(engine.clone(), a, "k", 1)).await,
        world.send(add_once(engine.clone(), a, "k", 1)).await,
    ];
    world.order();
    world.hand_over();
    let in_the_next = world.send(add_once(engine.clone(), a, "k", 1)).await;
    world.run().await;
    for task in in_one_group.into_iter().chain([in_the_next]) {
        assert_eq!(task.await.unwrap().unwrap(), r#"{"id":"x","n":1}"#);
    }
    let long = world.send(add_once(engine.clone(), a, "long", 2)).await;
    world.run().await;
    let long = long.await.unwrap().unwrap();
    let reused = world.send(add_once(engine, a, "k", 3)).await;
    world.run().await;
    let error = reused.await.unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::BadRequest);
    // The answers outlive the server.
    let clock = Arc::clone(&world.clock);
    drop(world);
    let mut world = Stepped::open_at(Arc::clone(&backend), clock);
    let engine = world.engine.clone();
    let again = [("k", 1, r#"{"id":"x","n":1}"#), ("long", 2, long.as_str())];
    for (key, by, expected) in again {
        let task = world.send(add_once(engine.clone(), a, key, by)).await;
        world.run().await;
        assert_eq!(task.await.unwrap().unwrap(), expected);
    }
    // After a day they are forgotten, and erased.
    world.clock.advance(Duration::from_secs(24 * 60 * 60 + 1));
    let task = world.send(add_once(engine.clone(), a, "k", 1)).await;
    world.run().await;
    assert_eq!(task.await.unwrap().unwrap(), r#"{"id":"x","n":4}"#);
    let task = world.send(add_once(engine.clone(), a, "k", 1)).await;
    world.run().await;
    assert_eq!(task.await.unwrap().unwrap(), r#"{"id":"x","n":4}"#);
    let reader = backend.snapshot().unwrap();
    let mut bytes = 0;
    let (from, to) = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    reader
        .scan(
            from,
            to,
            thalweg_storage::Direction::Forward,
            &mut |_, value| {
                bytes += value.len();
                std::ops::ControlFlow::Continue(())
            },
        )
        .unwrap();
    assert!(bytes < 1 << 20, "{bytes} bytes are left of a long answer");
}

/// One write of a random transaction.
#[derive(Clone, Debug)]
enum Act {
    Put(u8, i64),
    Increment(u8),
    Delete(u8, bool),
    Truncate,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..8_u8, 0..4_i64).prop_map(|(of, n)| Act::Put(of, n)),
        2 => (0..8_u8).prop_map(Act::Increment),
        2 => (0..8_u8, any::<bool>()).prop_map(|(of, permanent)| Act::Delete(of, permanent)),
        1 => Just(Act::Truncate),
    ]
}

fn intent(a: CollectionId, act: &Act) -> Intent {
    match act {
        Act::Put(of, n) => Intent::Put {
            collection: CollectionRef::Id(a),
            id: Some(id(&format!("d{of}"))),
            document: document(&format!(r#"{{"n":{n}}}"#)),
            expiry: ExpiryChange::KEEP,
        },
        Act::Increment(of) => patch(a, &format!("d{of}"), vec![increment("n", 1)]),
        Act::Delete(of, permanent) => Intent::Delete {
            collection: a,
            id: id(&format!("d{of}")),
            permanent: *permanent,
            if_version: None,
            purge_at: None,
        },
        Act::Truncate => Intent::TruncateCollection { name: "a".into() },
    }
}

fn shown(rows: &[Record<'_>]) -> Vec<String> {
    rows.iter().map(|row| format!("{row:?}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A transaction that is run in the line reads the state that the ones before it left, durable or not: the very
    /// state that is read once all is durable.
    #[test]
    fn the_line_reads_what_will_be_durable(
        durable in prop::collection::vec(act(), 0..6),
        flying in prop::collection::vec(act(), 0..6),
        open in prop::collection::vec(act(), 0..6),
        find_n in 0..4_i64,
        descending in any::<bool>(),
        from_end in any::<bool>(),
        limit in 1..6_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = Stepped::open(Arc::new(MemoryBackend::new()));
            let a = world.seed(r#"{"id":"hot","n":0}"#).await;
            for act in &durable {
                let task = world.send_commit(vec![intent(a, act)]).await;
                world.run().await;
                task.await.unwrap().unwrap();
            }
            let engine = world.engine.clone();
            let mut find = find_all(a);
            find.limit = limit;
            find.from_end = from_end;
            find.filter = Arc::new(Predicate::Field(
                FieldRef::Path(path("n")),
                Test::Ne(Value::int(find_n)),
            ));
            find.order = Arc::from([OrderKey {
                field: FieldRef::Path(path("n")),
                descending,
                instant: false,
            }]);
            // It reads what the first write of the flight changes, so its first run does not hold.
            let reads = {
                let (find, engine) = (find.clone(), engine.clone());
                async move {
                    engine.transact(move |transaction| {
                        transaction.get(a, &id("hot"), FieldMask::all())?;
                        let by_id = transaction.find(&find_all(a))?;
                        let found = transaction.find(&find)?;
                        transaction.write(create("log", "{}"))?;
                        Ok((shown(&by_id), shown(&found)))
                    }).await
                }
            };
            let mut tasks = vec![world.send_commit(vec![intent(a, &Act::Put(9, 9)), Intent::Delete {
                collection: a,
                id: id("hot"),
                permanent: true,
                if_version: None,
                purge_at: None,
            }]).await];
            for act in flying.iter().chain(&open) {
                tasks.push(world.send_commit(vec![intent(a, act)]).await);
            }
            let reader = world.send(reads).await;
            for _ in 0..=flying.len() {
                prop_assert!(world.stepper.step(Stage::Order));
            }
            world.hand_over();
            world.order();
            world.run().await;
            let read = reader.await.unwrap().unwrap();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            let snapshot = engine.snapshot().unwrap();
            prop_assert_eq!(&read.value.0, &shown(&snapshot.find(&find_all(a)).unwrap().rows));
            prop_assert_eq!(&read.value.1, &shown(&snapshot.find(&find).unwrap().rows));
            Ok(())
        })?;
    }
}

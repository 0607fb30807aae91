//! A client: runs plans on an engine, and notes what it saw.

mod translate;

use std::sync::Arc;

use parking_lot::Mutex;
use thalweg_engine::{
    Catalog, Committed, Engine, EngineError, Found, IdempotencyKey, Intent, IntentError, Place,
    Record, Snapshot, Step, Transaction, TransactionError,
};
use thalweg_model::{CollectionId, ErrorClass, ErrorCode, PatchError};

use crate::document::{Collection, Image, Look, Seen};
use crate::history::{Outcome, Reason, Refusal, StepSeen};
use crate::pause::{join, pause};
use crate::plan::{Decision, Observation, Plan, Read, Style, decide};

use self::translate::{document_id, find, intent, policies};

/// The numbers that an engine has given to the workload's collections.
#[derive(Clone, Copy, Debug)]
pub struct Collections([CollectionId; Collection::LASTING.len()]);

impl Collections {
    /// Looks them up; all of them exist once [`Collections::create`] has run.
    pub fn of(engine: &Engine) -> Result<Collections, EngineError> {
        let catalog = engine.snapshot()?.catalog().clone();
        let mut ids = [CollectionId(0); Collection::LASTING.len()];
        for (id, collection) in ids.iter_mut().zip(Collection::LASTING) {
            let found = catalog.by_name(collection.name());
            *id = found
                .ok_or(EngineError::Corrupt {
                    what: "catalog: a collection of the workload is missing",
                })?
                .id;
        }
        Ok(Collections(ids))
    }

    /// Creates them, all in one transaction.
    pub async fn create(engine: &Engine) -> Result<(), TransactionError> {
        let create = |transaction: &mut Transaction<'_>| {
            for collection in Collection::LASTING {
                let name = Arc::from(collection.name());
                transaction.write(Intent::CreateCollection { name })?;
            }
            transaction.write(policies())?;
            Ok(())
        };
        engine.transact(create).await.map(drop)
    }

    /// The collection that has that number.
    pub(crate) fn of_id(&self, id: CollectionId) -> Option<Collection> {
        let place = self.0.iter().position(|known| *known == id)?;
        Some(Collection::LASTING[place])
    }

    /// The number of a collection that is always there.
    fn lasting(&self, collection: Collection) -> Option<CollectionId> {
        let place = Collection::LASTING
            .iter()
            .position(|it| *it == collection)?;
        Some(self.0[place])
    }

    /// For writes that only collections have that are always there.
    fn id(&self, collection: Collection) -> CollectionId {
        self.lasting(collection)
            .expect("the workload patches and deletes in lasting collections")
    }

    /// The number of a collection, if a catalog has it.
    fn within(&self, catalog: Option<&Catalog>, collection: Collection) -> Option<CollectionId> {
        self.lasting(collection).or_else(|| {
            let found = catalog?.by_name(collection.name())?;
            Some(found.id)
        })
    }
}

/// The first answers of transactions with an idempotency key. What the engine keeps of each is its place here, so an
/// answer that comes back must be that of the run that was committed.
#[derive(Debug, Default)]
pub struct Answers(Mutex<Vec<(Vec<Observation>, Vec<StepSeen>)>>);

impl Answers {
    fn keep(&self, committed: Committed<Vec<Observation>>) -> Vec<u8> {
        let mut answers = self.0.lock();
        let place = answers.len() as u64;
        let steps = committed.steps.iter().map(step_seen).collect();
        answers.push((committed.value, steps));
        place.to_be_bytes().to_vec()
    }

    fn find(&self, answer: &[u8]) -> Option<(Vec<Observation>, Vec<StepSeen>)> {
        let place = u64::from_be_bytes(answer.try_into().ok()?);
        self.0.lock().get(usize::try_from(place).ok()?).cloned()
    }
}

/// What a client needs to run plans.
#[derive(Clone)]
pub struct Session {
    /// The engine.
    pub engine: Engine,
    /// The collections in it.
    pub collections: Collections,
    /// Shared by all sessions on one store.
    pub answers: Arc<Answers>,
}

/// Runs a plan to its end. `name` tells it apart from all others.
pub async fn run(session: &Session, name: &str, plan: &Arc<Plan>) -> Outcome {
    let Session {
        engine,
        collections,
        ..
    } = session;
    match plan.style {
        Style::Snapshot => read_snapshot(engine, *collections, plan).await,
        Style::Transaction => match engine.transact(code(*collections, plan)).await {
            Ok(committed) => Outcome::Done {
                ts: committed.commit_ts.as_micros(),
                reads: committed.value,
                steps: committed.steps.iter().map(step_seen).collect(),
            },
            Err(error) => failed(&error),
        },
        Style::Once => {
            let (first, second) =
                join(run_once(session, name, plan), run_once(session, name, plan)).await;
            either(first, second)
        }
    }
}

fn code(
    collections: Collections,
    plan: &Arc<Plan>,
) -> impl Fn(&mut Transaction<'_>) -> Result<Vec<Observation>, TransactionError> + use<> {
    let plan = Arc::clone(plan);
    move |transaction: &mut Transaction<'_>| execute(transaction, collections, &plan)
}

async fn run_once(session: &Session, name: &str, plan: &Arc<Plan>) -> Outcome {
    let key = IdempotencyKey::new(name, 0).expect("a name is short and not empty");
    let answers = Arc::clone(&session.answers);
    let run = session.engine.transact_once(
        Place::Caller,
        key,
        code(session.collections, plan),
        move |committed| answers.keep(committed),
    );
    match run.await {
        Ok(first) => match session.answers.find(&first.answer) {
            Some((reads, steps)) => Outcome::Done {
                ts: first.commit_ts.as_micros(),
                reads,
                steps,
            },
            None => Outcome::Refused(Refusal::StrangeAnswer),
        },
        Err(error) => failed(&error),
    }
}

/// What became of a transaction that was sent twice: if either was committed it was, and both must say the same of it.
fn either(first: Outcome, second: Outcome) -> Outcome {
    match (first, second) {
        (first @ Outcome::Done { .. }, second @ Outcome::Done { .. }) => {
            if first == second {
                first
            } else {
                Outcome::Refused(Refusal::StrangeAnswer)
            }
        }
        (done @ Outcome::Done { .. }, _) | (_, done @ Outcome::Done { .. }) => done,
        (unknown @ Outcome::Unknown(_), _) | (_, unknown @ Outcome::Unknown(_)) => unknown,
        (refused @ Outcome::Refused(_), _) | (_, refused @ Outcome::Refused(_)) => refused,
        (first @ Outcome::Failed(_), Outcome::Failed(_)) => first,
    }
}

fn execute(
    transaction: &mut Transaction<'_>,
    collections: Collections,
    plan: &Plan,
) -> Result<Vec<Observation>, TransactionError> {
    for write in &plan.first {
        transaction.write(intent(write, collections))?;
    }
    let mut seen = Vec::with_capacity(plan.reads.len());
    // To look at the catalog is to depend on it.
    let catalog = plan.reads_catalog().then(|| &**transaction.catalog());
    for read in &plan.reads {
        seen.push(match read {
            Read::Document {
                collection,
                id,
                look,
            } => {
                let id = document_id(id);
                let record = match collections.within(catalog, *collection) {
                    Some(collection) => transaction.get(collection, &id, look.mask())?,
                    None => None,
                };
                document(record.as_ref(), look)
            }
            Read::Page(query) => {
                let rows = match collections.within(catalog, query.collection) {
                    Some(collection) => transaction.find(&find(query, collection))?,
                    None => Vec::new(),
                };
                Observation::Page {
                    rows: rows.iter().map(|record| row(record, &query.look)).collect(),
                    beyond: None,
                    total: None,
                }
            }
        });
    }
    match decide(plan, &seen) {
        Decision::Refuse => Err(TransactionError::Refused {
            code: ErrorCode::BadRequest,
            message: "the guard does not hold".to_owned(),
            part: 0,
        }),
        Decision::Write(writes) => {
            for write in &writes {
                transaction.write(intent(write, collections))?;
            }
            Ok(seen)
        }
    }
}

/// Others go on between one read and the next, which must not show.
async fn read_snapshot(engine: &Engine, collections: Collections, plan: &Plan) -> Outcome {
    let snapshot = match engine.snapshot() {
        Ok(snapshot) => snapshot,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let mut reads = Vec::with_capacity(plan.reads.len());
    for read in &plan.reads {
        pause().await;
        match read_one(&snapshot, collections, read) {
            Ok(seen) => reads.push(seen),
            Err(error) => return Outcome::Failed(error.to_string()),
        }
    }
    Outcome::Done {
        ts: snapshot.ts().as_micros(),
        reads,
        steps: Vec::new(),
    }
}

fn read_one(
    snapshot: &Snapshot,
    collections: Collections,
    read: &Read,
) -> Result<Observation, EngineError> {
    match read {
        Read::Document {
            collection,
            id,
            look,
        } => {
            let record = match collections.within(Some(snapshot.catalog()), *collection) {
                Some(collection) => snapshot.get(collection, id)?,
                None => None,
            };
            Ok(document(record.as_ref(), look))
        }
        Read::Page(query) => {
            let catalog = Some(&**snapshot.catalog());
            let Some(collection) = collections.within(catalog, query.collection) else {
                return Ok(Observation::Page {
                    rows: Vec::new(),
                    beyond: Some((false, false)),
                    total: query.total.then_some(0),
                });
            };
            let Found {
                rows,
                has_before,
                has_after,
                total,
                ..
            } = snapshot.find(&find(query, collection))?;
            Ok(Observation::Page {
                rows: rows.iter().map(|record| row(record, &query.look)).collect(),
                beyond: Some((has_before, has_after)),
                total,
            })
        }
    }
}

fn document(record: Option<&Record<'_>>, look: &Look) -> Observation {
    Observation::Document(record.map(|record| (record.is_deleted(), see(record, look))))
}

fn row(record: &Record<'_>, look: &Look) -> (String, Seen) {
    (record.id().to_owned(), see(record, look))
}

fn see(record: &Record<'_>, look: &Look) -> Seen {
    look.see(&Image::of(record))
}

fn step_seen(step: &Step) -> StepSeen {
    let image = |record: &Option<Arc<Record<'static>>>| record.as_deref().map(Image::of);
    StepSeen {
        before: image(&step.before),
        after: image(&step.after),
        changed: step.changed,
    }
}

/// What an error says about whether anything was written is taken at its word, and so is checked.
fn failed(error: &TransactionError) -> Outcome {
    match error {
        TransactionError::Intent { step, error } => Outcome::Refused(Refusal::Write {
            step: *step,
            reason: reason(error),
        }),
        TransactionError::Refused { code, .. } if *code == ErrorCode::BadRequest => {
            Outcome::Refused(Refusal::Guard)
        }
        error if error.class() == ErrorClass::Indeterminate => Outcome::Unknown(error.to_string()),
        error => Outcome::Failed(error.to_string()),
    }
}

fn reason(error: &IntentError) -> Reason {
    match error {
        IntentError::AlreadyExists { .. } => Reason::AlreadyExists,
        IntentError::VersionMismatch { found, .. } => Reason::Version { found: *found },
        IntentError::Patch(PatchError::NotANumber { .. }) => Reason::NotANumber,
        IntentError::Patch(PatchError::NotAList { .. }) => Reason::NotAList,
        IntentError::NoSuchCollection { .. } => Reason::NoSuchCollection,
        IntentError::Restricted { .. } => Reason::Restricted,
        other => Reason::Other(other.to_string()),
    }
}

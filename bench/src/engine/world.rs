//! An engine with documents in it, and clients that run transactions against it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use thalweg_engine::{
    CollectionRef, Engine, EngineOptions, ExpiryChange, FieldMask, IndexDefinition, IndexStatus,
    Intent, Place, Record, Retain, SettingsChange, Transaction, TransactionError,
};
use thalweg_model::{CollectionId, Document, DocumentId};
use thalweg_storage::{Backend, EmbeddedBackend, EmbeddedOptions};
use tokio::runtime::Runtime;

const COLLECTION: &str = "probe";
/// Documents in one transaction while the store is filled.
const LOADED_AT_ONCE: u64 = 5_000;

/// An engine on an embedded store of its own.
pub(crate) struct World {
    pub(crate) probe: Probe,
    pub(crate) store: Arc<EmbeddedBackend>,
    /// Removed with all that is in it, where the world made it.
    _directory: Option<TempDir>,
}

/// What a client needs.
#[derive(Clone)]
pub(crate) struct Probe {
    pub(crate) engine: Engine,
    pub(crate) collection: CollectionId,
    /// How many documents there are; their ids are the numbers below.
    pub(crate) documents: u64,
    place: Place,
}

impl World {
    /// An engine with that many documents.
    pub(crate) fn filled(runtime: &Runtime, documents: u64) -> Result<World> {
        World::with(
            runtime,
            documents,
            EngineOptions::default(),
            Retain::Forever,
        )
    }

    /// The same, with other options, and earlier images kept that long.
    pub(crate) fn with(
        runtime: &Runtime,
        documents: u64,
        options: EngineOptions,
        retain: Retain,
    ) -> Result<World> {
        let directory = tempfile::tempdir()?;
        let store = EmbeddedBackend::open(directory.path(), EmbeddedOptions::default())?;
        let mut world = World::on(runtime, store, documents, options, retain)?;
        world._directory = Some(directory);
        world.settle()?;
        Ok(world)
    }

    /// The same in a store that is empty yet.
    pub(crate) fn on(
        runtime: &Runtime,
        store: EmbeddedBackend,
        documents: u64,
        options: EngineOptions,
        retain: Retain,
    ) -> Result<World> {
        let store = Arc::new(store);
        let backend = Arc::clone(&store) as Arc<dyn Backend>;
        let engine = Engine::open(backend, options)?;
        Ok(World {
            probe: Probe::filled(runtime, engine, Place::Caller, documents, retain)?,
            store,
            _directory: None,
        })
    }

    /// Waits until nothing is left to be done behind the commits.
    pub(crate) fn settle(&self) -> Result<()> {
        Ok(self.store.drain()?)
    }
}

fn is_ready(engine: &Engine) -> bool {
    let catalog = engine.catalog();
    let collection = catalog.by_name(COLLECTION);
    collection.is_some_and(|collection| {
        let mut indexes = collection.indexes.iter();
        indexes.all(|index| index.status == IndexStatus::Ready)
    })
}

impl Drop for World {
    fn drop(&mut self) {
        self.probe.engine.close();
    }
}

impl Probe {
    /// A collection of that many documents in an empty store.
    pub(crate) fn filled(
        runtime: &Runtime,
        engine: Engine,
        place: Place,
        documents: u64,
        retain: Retain,
    ) -> Result<Probe> {
        let named = CollectionRef::Name {
            name: COLLECTION.into(),
            create: true,
        };
        let prepare = [
            Intent::CreateIndex {
                collection: named.clone(),
                definition: IndexDefinition::parse(["group"], false)?,
            },
            Intent::Configure {
                collection: named,
                change: SettingsChange {
                    retain: Some(retain),
                    ..SettingsChange::default()
                },
            },
        ];
        runtime.block_on(engine.transact_blocking(move |transaction| {
            let mut intents = prepare.iter().cloned();
            intents.try_for_each(|intent| transaction.write(intent).map(drop))
        }))?;
        let catalog = engine.catalog();
        let collection = catalog
            .by_name(COLLECTION)
            .context("there is no collection")?
            .id;
        for from in (0..documents).step_by(LOADED_AT_ONCE as usize) {
            let to = documents.min(from + LOADED_AT_ONCE);
            let load = engine.transact_blocking(move |transaction| {
                (from..to)
                    .try_for_each(|number| transaction.write(put(collection, number, 0)).map(drop))
            });
            runtime.block_on(load)?;
        }
        let loaded = engine.snapshot()?.document_count(collection)?;
        ensure!(loaded == documents, "{loaded} documents were loaded");
        while !is_ready(&engine) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Probe {
            engine,
            collection,
            documents,
            place,
        })
    }

    async fn run(
        &self,
        code: impl Fn(&mut Transaction<'_>) -> Result<(), TransactionError> + Send + Sync + 'static,
    ) -> Result<()> {
        match self.place {
            Place::Caller => self.engine.transact(code).await?,
            Place::BlockingThread => self.engine.transact_blocking(code).await?,
        };
        Ok(())
    }

    /// The probe transaction on random documents.
    pub(crate) async fn transact(self, random: Random) -> Result<()> {
        let (read, written) = random.probe(self.documents);
        let collection = self.collection;
        let probe = self.run(move |transaction| {
            transaction.get(collection, &id(read), FieldMask::all())?;
            transaction
                .write(put(collection, written, random.0))
                .map(drop)
        });
        probe.await
    }

    /// Adds one to the count of a document.
    pub(crate) async fn count(self, number: u64) -> Result<()> {
        let collection = self.collection;
        let counted = self.run(move |transaction| {
            let record = transaction.get(collection, &id(number), FieldMask::all())?;
            let count = record.as_ref().map_or(0, count_of);
            transaction
                .write(put(collection, number, count + 1))
                .map(drop)
        });
        counted.await
    }

    /// The sum of the counts of the first documents.
    pub(crate) fn sum(&self, documents: u64) -> Result<u64> {
        let snapshot = self.engine.snapshot()?;
        let mut sum = 0;
        for number in 0..documents {
            let record = snapshot.get(self.collection, id(number).as_str())?;
            sum += record.as_ref().map_or(0, count_of);
        }
        Ok(sum)
    }
}

/// How many times a second that many clients get through their work, each again and again. The work is told which
/// client it is for, and which turn, never the same in this process.
pub(crate) fn drive<Work>(
    runtime: &Runtime,
    clients: u64,
    time: Duration,
    work: impl Fn(u64, u64) -> Work + Clone + Send + 'static,
) -> Result<f64>
where
    Work: Future<Output = Result<()>> + Send,
{
    // No two bursts write the same: what changes nothing is no write.
    static BURSTS: AtomicU64 = AtomicU64::new(0);
    let first = BURSTS.fetch_add(1, Ordering::Relaxed) << 32;
    let started = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let work = work.clone();
            runtime.spawn(async move {
                let mut turns = 0_u64;
                while started.elapsed() < time {
                    work(client, first + turns).await?;
                    turns += 1;
                }
                anyhow::Ok(turns)
            })
        })
        .collect();
    let mut turns = 0;
    for task in tasks {
        turns += runtime.block_on(task)??;
    }
    Ok(turns as f64 / started.elapsed().as_secs_f64())
}

/// The runtime that clients run on, as the server's.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

/// Numbers that are the same in every run.
#[derive(Clone, Copy)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// One of a client's turn.
    pub(crate) fn of(client: u64, turn: u64) -> Random {
        Random(client.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ turn)
    }

    /// Which of so many documents a probe transaction reads, and which it writes.
    pub(crate) fn probe(self, documents: u64) -> (u64, u64) {
        (self.below(0, documents), self.below(1, documents))
    }

    /// The `n`th number below `end`.
    pub(crate) fn below(self, n: u64, end: u64) -> u64 {
        let mut bits = self
            .0
            .wrapping_add(n << 48)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end
    }
}

/// The id of a document.
pub(crate) fn id(number: u64) -> DocumentId {
    DocumentId::new(&format!("{number:010}")).expect("ten digits are an id")
}

/// Writes a document whose index row follows from its number and its count.
pub(crate) fn put(collection: CollectionId, number: u64, count: u64) -> Intent {
    Intent::Put {
        collection: CollectionRef::Id(collection),
        id: Some(id(number)),
        document: document(number, count),
        expiry: ExpiryChange::KEEP,
    }
}

/// What [`json`] writes.
pub(crate) fn document(number: u64, count: u64) -> Document {
    Document::parse(json(number, count).as_bytes()).expect("this is a JSON object")
}

/// A document of about 200 bytes.
pub(crate) fn json(number: u64, count: u64) -> String {
    format!(
        r#"{{"group":{},"count":{count},"name":"document {number}","active":true,"ratio":0.5,"text":"{:-<100}"}}"#,
        number.wrapping_add(count) % 1000,
        "a text of some length",
    )
}

fn count_of(record: &Record<'_>) -> u64 {
    let count = record
        .document()
        .get("count")
        .and_then(|count| count.as_i64());
    count
        .and_then(|count| u64::try_from(count).ok())
        .unwrap_or(0)
}

//! An engine on an embedded store with documents in it, and clients that run transactions against it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use thalweg_engine::{
    CollectionRef, Engine, EngineOptions, ExpiryChange, FieldMask, IndexDefinition, IndexStatus,
    Intent, Record,
};
use thalweg_model::{CollectionId, Document, DocumentId};
use thalweg_storage::{EmbeddedBackend, EmbeddedOptions};
use tokio::runtime::Runtime;

const COLLECTION: &str = "probe";
/// Documents in one transaction while the store is filled.
const LOADED_AT_ONCE: u64 = 5_000;

/// The engine, and what it stands on.
pub(crate) struct World {
    pub(crate) probe: Probe,
    _directory: TempDir,
}

/// What a client needs.
#[derive(Clone)]
pub(crate) struct Probe {
    pub(crate) engine: Engine,
    pub(crate) collection: CollectionId,
    /// How many documents there are; their ids are the numbers below.
    pub(crate) documents: u64,
}

impl World {
    /// An engine with that many documents.
    pub(crate) fn filled(runtime: &Runtime, documents: u64) -> Result<World> {
        let directory = tempfile::tempdir()?;
        let backend = EmbeddedBackend::open(directory.path(), EmbeddedOptions::default())?;
        let engine = Engine::open(Arc::new(backend), EngineOptions::default())?;
        let named = CollectionRef::Name {
            name: COLLECTION.into(),
            create: true,
        };
        let index = Intent::CreateIndex {
            collection: named.clone(),
            definition: IndexDefinition::parse(&["group"], false)?,
        };
        runtime.block_on(engine.transact(move |transaction| transaction.write(index.clone())))?;
        for from in (0..documents).step_by(LOADED_AT_ONCE as usize) {
            let to = documents.min(from + LOADED_AT_ONCE);
            let named = named.clone();
            let load = engine.transact(move |transaction| {
                for number in from..to {
                    transaction.write(Intent::Put {
                        collection: named.clone(),
                        id: Some(id(number)),
                        document: document(number, 0),
                        expiry: ExpiryChange::KEEP,
                    })?;
                }
                Ok(())
            });
            runtime.block_on(load)?;
        }
        let catalog = engine.catalog();
        let collection = catalog
            .by_name(COLLECTION)
            .context("there is no collection")?
            .id;
        let loaded = engine.snapshot()?.document_count(collection)?;
        ensure!(loaded == documents, "{loaded} documents were loaded");
        while !is_ready(&engine) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(World {
            probe: Probe {
                engine,
                collection,
                documents,
            },
            _directory: directory,
        })
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
    /// The probe transaction on random documents.
    pub(crate) async fn transact(self, random: Random) -> Result<()> {
        let (read, written) = (
            random.below(0, self.documents),
            random.below(1, self.documents),
        );
        let collection = self.collection;
        let probe = self.engine.transact(move |transaction| {
            transaction.get(collection, &id(read), FieldMask::all())?;
            transaction.write(put(collection, written, random.0))
        });
        probe.await?;
        Ok(())
    }

    /// Adds one to the count of a document.
    pub(crate) async fn count(self, number: u64) -> Result<()> {
        let collection = self.collection;
        let counted = self.engine.transact(move |transaction| {
            let record = transaction.get(collection, &id(number), FieldMask::all())?;
            let count = record.as_ref().map_or(0, count_of);
            transaction.write(put(collection, number, count + 1))
        });
        counted.await?;
        Ok(())
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

/// How many times a second that many clients get through their work, each again and again.
pub(crate) fn drive<Work>(
    runtime: &Runtime,
    clients: u64,
    time: Duration,
    work: impl Fn(u64, u64) -> Work + Clone + Send + 'static,
) -> Result<f64>
where
    Work: Future<Output = Result<()>> + Send,
{
    let started = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let work = work.clone();
            runtime.spawn(async move {
                let mut turns = 0_u64;
                while started.elapsed() < time {
                    work(client, turns).await?;
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
        .enable_time()
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

pub(crate) fn id(number: u64) -> DocumentId {
    DocumentId::new(&format!("{number:010}")).expect("ten digits are an id")
}

fn put(collection: CollectionId, number: u64, count: u64) -> Intent {
    Intent::Put {
        collection: CollectionRef::Id(collection),
        id: Some(id(number)),
        document: document(number, count),
        expiry: ExpiryChange::KEEP,
    }
}

/// About 200 bytes of JSON.
fn document(number: u64, count: u64) -> Document {
    let json = format!(
        r#"{{"group":{},"count":{count},"name":"document {number}","active":true,"ratio":0.5,"text":"{:-<100}"}}"#,
        (number + count) % 1000,
        "a text of some length",
    );
    Document::parse(json.as_bytes()).expect("this is a JSON object")
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

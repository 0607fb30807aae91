//! The stages of an import, each alone and on one thread.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use thalweg_engine::{CollectionRef, Engine, EngineOptions, ExpiryChange, Intent};
use thalweg_model::{CommitTs, Document, DocumentId};
use thalweg_schema_infer::Shape;
use thalweg_storage::{Backend, Batch, EmbeddedBackend, EmbeddedOptions, Head, Write};

use crate::documents;

/// What the server's import commits at once: documents of this size stay below its limit in bytes.
const BATCH: usize = 1_000;
/// How many of them the server's import has under way.
const UNDER_WAY_MAX: usize = 3;

/// Puts the texts into the store as they are, one synced batch after the other.
pub(super) fn store(directory: &Path, lines: &[&[u8]]) -> Result<Duration> {
    let backend = EmbeddedBackend::open(directory, EmbeddedOptions::default())?;
    let mut head = None;
    let mut index = 0;
    let started = Instant::now();
    for lines in lines.chunks(BATCH) {
        let put = |line: &&[u8]| {
            let key = key(index);
            index += 1;
            Write::Put {
                key,
                value: line.to_vec(),
            }
        };
        let writes = lines.iter().map(put).collect();
        let batch = Batch {
            expected: head,
            head: after(head),
            writes,
        };
        backend.commit(&batch)?;
        head = Some(batch.head);
    }
    Ok(started.elapsed())
}

/// As long as the key that the engine gives the same document.
fn key(index: u64) -> Vec<u8> {
    let mut key = vec![0, 0, 0, 0, 1, 0, 0, 0, 1];
    key.extend_from_slice(documents::id(index).as_bytes());
    key
}

fn after(head: Option<Head>) -> Head {
    let batch = head.map_or(1, |head| head.batch + 1);
    Head {
        epoch: 1,
        commit_ts: CommitTs::from_micros(batch),
        batch,
    }
}

/// Puts parsed documents into an engine, in transactions of which some are under way at any moment, as the server's import
/// does. Parsing is not counted.
pub(super) fn engine(directory: &Path, lines: &[&[u8]]) -> Result<Duration> {
    let backend = EmbeddedBackend::open(directory, EmbeddedOptions::default())?;
    let engine = Engine::open(Arc::new(backend), EngineOptions::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let collection = CollectionRef::Name {
        name: documents::COLLECTION.into(),
        create: true,
    };
    let batches: Vec<Arc<[Intent]>> = lines
        .chunks(BATCH)
        .map(|lines| lines.iter().map(|line| put(&collection, line)).collect())
        .collect::<Result<_>>()?;
    let started = Instant::now();
    runtime.block_on(async {
        let mut under_way = VecDeque::new();
        for intents in batches {
            let sent = engine.send_transaction(move |transaction| transaction.write_all(&intents));
            under_way.push_back(sent.await?);
            if under_way.len() > UNDER_WAY_MAX
                && let Some(oldest) = under_way.pop_front()
            {
                oldest.committed().await?;
            }
        }
        for sent in under_way {
            sent.committed().await?;
        }
        anyhow::Ok(())
    })?;
    let taken = started.elapsed();
    engine.close();
    Ok(taken)
}

fn put(collection: &CollectionRef, line: &[u8]) -> Result<Intent> {
    let document = Document::parse(line)?;
    let id = document.root().get("id").and_then(DocumentId::from_value);
    let id = id.context("a document without id")??;
    Ok(Intent::Put {
        collection: collection.clone(),
        id: Some(id),
        document,
        expiry: ExpiryChange::KEEP,
    })
}

/// The time for parsing to stored form, and the time for counting the shape.
pub(super) fn parse_and_infer(lines: &[&[u8]]) -> Result<(Duration, Duration)> {
    let (mut parsing, mut inference) = (Duration::ZERO, Duration::ZERO);
    let mut shape = Shape::new();
    for lines in lines.chunks(BATCH) {
        let started = Instant::now();
        let documents: Vec<Document> = lines
            .iter()
            .map(|line| Document::parse(line))
            .collect::<Result<_, _>>()?;
        let parsed = Instant::now();
        for document in &documents {
            shape.add(document.root());
        }
        parsing += parsed - started;
        inference += parsed.elapsed();
    }
    anyhow::ensure!(
        shape.documents() == lines.len() as u64,
        "the shape lost a document"
    );
    Ok((parsing, inference))
}

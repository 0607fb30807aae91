//! A collection as NDJSON: one state of it, however long the client takes to read.
//!
//! No backend reader lives longer than one page: each page is read anew as of the export's timestamp, which the
//! history makes possible.

use bytes::Bytes;
use futures_util::{Stream, stream};
use thalweg_engine::{Engine, EngineError, HistoricalPage, Record};
use thalweg_gateway::ApiError;
use thalweg_model::{CollectionId, CommitTs, ErrorCode, write_json_string, write_rfc3339};

/// Documents that are read at a time.
const PAGE_DOCUMENTS: usize = 500;

struct Reading {
    engine: Engine,
    collection: CollectionId,
    at: CommitTs,
    after: Option<String>,
    meta: bool,
    done: bool,
}

pub(super) fn export(
    engine: Engine,
    name: &str,
    meta: bool,
) -> Result<impl Stream<Item = Result<Bytes, ApiError>> + Send + use<>, ApiError> {
    let snapshot = engine.snapshot().map_err(|error| failed(&error))?;
    let Some(collection) = snapshot
        .catalog()
        .by_name(name)
        .map(|collection| collection.id)
    else {
        let message = format!("there is no collection {name:?}");
        return Err(ApiError::new(ErrorCode::NotFound, message));
    };
    let at = snapshot.ts();
    drop(snapshot);
    let reading = Reading {
        engine,
        collection,
        at,
        after: None,
        meta,
        done: false,
    };
    Ok(stream::unfold(reading, |mut reading| async move {
        if reading.done {
            return None;
        }
        let chunk = reading.read().await;
        reading.done |= chunk.is_err();
        Some((chunk, reading))
    }))
}

impl Reading {
    async fn read(&mut self) -> Result<Bytes, ApiError> {
        let (engine, collection, at) = (self.engine.clone(), self.collection, self.at);
        let after = self.after.take();
        let read = move || engine.historical_page(collection, at, after.as_deref(), PAGE_DOCUMENTS);
        let page = tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| ApiError::new(ErrorCode::Internal, "reading the collection failed"))?;
        let HistoricalPage { rows, next } = page.map_err(|error| failed(&error))?;
        let mut lines = Vec::new();
        for record in rows.iter().filter(|record| !record.is_deleted()) {
            write_line(record, self.meta, &mut lines);
        }
        self.done = next.is_none();
        self.after = next;
        Ok(Bytes::from(lines))
    }
}

fn failed(error: &EngineError) -> ApiError {
    ApiError::new(error.code(), error.to_string())
}

/// The document as stored, with its id in front where it has no member `id` of its own.
fn write_line(record: &Record<'_>, meta: bool, out: &mut Vec<u8>) {
    let document = record.document();
    let json = document.json();
    let members = json.get(1..json.len() - 1).unwrap_or_default();
    out.push(b'{');
    let mut first = true;
    let mut separate = |out: &mut Vec<u8>| {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
    };
    if document.get("id").is_none() {
        separate(out);
        out.extend_from_slice(b"\"id\":");
        write_json_string(record.id(), out);
    }
    if !members.is_empty() {
        separate(out);
        out.extend_from_slice(members);
    }
    if meta {
        separate(out);
        write_meta(record, out);
    }
    out.extend_from_slice(b"}\n");
}

fn write_meta(record: &Record<'_>, out: &mut Vec<u8>) {
    let text = format!(
        "\"_version\":{},\"_commitTs\":\"{}\",\"_createdAt\":\"",
        record.version(),
        record.commit_ts()
    );
    out.extend_from_slice(text.as_bytes());
    write_rfc3339(micros(record.created_at()), out);
    out.extend_from_slice(b"\",\"_updatedAt\":\"");
    write_rfc3339(micros(record.updated_at()), out);
    out.push(b'"');
}

fn micros(unsigned: u64) -> i64 {
    i64::try_from(unsigned).unwrap_or(i64::MAX)
}

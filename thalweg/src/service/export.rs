//! A collection as NDJSON: one state of it, however long the client takes to read.
//!
//! No backend reader lives longer than one page: each page is read anew as of the export's timestamp, which the
//! history makes possible.

use bytes::Bytes;
use futures_util::{Stream, stream};
use thalweg_engine::{Engine, EngineError, HistoricalPage, Record};
use thalweg_gateway::ApiError;
use thalweg_model::{CollectionId, CommitTs, ErrorCode, write_rfc3339};
use thalweg_resolvers::write_members_with_id;

/// Documents that are read at a time; of large ones the engine gives fewer.
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

/// The document as stored, with its real id; the fields that `meta` adds give way to members of the same names.
fn write_line(record: &Record<'_>, meta: bool, out: &mut Vec<u8>) {
    out.push(b'{');
    write_members_with_id(record, out);
    if meta {
        write_meta(record, out);
    }
    out.extend_from_slice(b"}\n");
}

fn write_meta(record: &Record<'_>, out: &mut Vec<u8>) {
    let stored = record.document();
    let mut member = |name: &str, write: &dyn Fn(&mut Vec<u8>)| {
        if stored.get(name).is_none() {
            // The id, which always stands before, has no comma of its own.
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            write(out);
        }
    };
    let instant = |at: u64| {
        move |out: &mut Vec<u8>| {
            out.push(b'"');
            write_rfc3339(micros(at), out);
            out.push(b'"');
        }
    };
    member("_version", &|out| {
        out.extend_from_slice(record.version().to_string().as_bytes());
    });
    member("_commitTs", &|out| {
        out.extend_from_slice(format!("\"{}\"", record.commit_ts()).as_bytes());
    });
    member("_createdAt", &instant(record.created_at()));
    member("_updatedAt", &instant(record.updated_at()));
    if let Some(expires_at) = record.expires_at() {
        member("_expiresAt", &instant(expires_at));
    }
}

fn micros(unsigned: u64) -> i64 {
    i64::try_from(unsigned).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

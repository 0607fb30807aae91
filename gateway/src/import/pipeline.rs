//! An import's stages, which run at the same time: read and split, parse, store.
//!
//! The request's own task reads and splits; each batch is parsed on a thread that may block; one task stores
//! the batches in order. The queue between them is short, so a store that is slow slows the client down. The
//! storing task is told when the body has ended: if instead its queue just closes, the client has vanished
//! and what has not been sent to be committed is abandoned.

use bytes::Bytes;
use thalweg_model::{Document, ErrorCode};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::format::Format;
use super::record::{Limits, RawBatch, RawRecord, Reading, Splitter};
use super::report::Report;
use crate::api::{ImportFailure, ImportRecord, ImportSink};
use crate::body::Chunks;
use crate::error::HttpError;
use crate::options::GatewayOptions;

/// Batches between splitting and storing, parsed or being parsed.
const BATCHES_MAX: usize = 2;

/// What the storing task is sent.
enum Step {
    Batch(JoinHandle<Parsed>),
    /// The body has been read to its end, or as far as it could be made sense of.
    End,
    /// The body broke off.
    Broken(HttpError),
}

struct Parsed {
    records: Vec<ImportRecord>,
    failures: Vec<ImportFailure>,
}

/// Runs an import to its end, or as far as it can go.
pub(super) async fn run<S: ImportSink>(
    options: &GatewayOptions,
    sink: S,
    atomic: bool,
    format: Format,
    head: Bytes,
    chunks: &mut Chunks,
) -> Report {
    let (steps, received) = mpsc::channel(BATCHES_MAX);
    let report = Report::new(options.import_errors_max);
    let errors_max = options.import_errors_max;
    let storing = tokio::spawn(store(sink, atomic, received, report));
    let mut splitter = format.splitter();
    // When storing has ended early, nobody takes the steps, and its report says why.
    let _ = split(limits(options), splitter.as_mut(), head, chunks, &steps).await;
    drop(steps);
    let mut report = storing.await.unwrap_or_else(|_| {
        let mut report = Report::new(errors_max);
        report.end_by_panic();
        report
    });
    if splitter.has_stopped() {
        report.body_unreadable();
    }
    report
}

fn limits(options: &GatewayOptions) -> Limits {
    Limits {
        documents_max: options.import_batch_documents_max.max(1),
        bytes_max: options.import_batch_bytes_max.max(1),
        record_bytes_max: options.import_record_bytes_max,
    }
}

type Closed = mpsc::error::SendError<Step>;

async fn split(
    limits: Limits,
    splitter: &mut dyn Splitter,
    head: Bytes,
    chunks: &mut Chunks,
    steps: &mpsc::Sender<Step>,
) -> Result<(), Closed> {
    let mut batch = RawBatch::new(limits);
    let mut next = Some(Ok(head));
    while let Some(chunk) = next {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                hand_on(&mut batch, splitter.reading(), steps).await?;
                return steps.send(Step::Broken(error)).await;
            }
        };
        let mut rest = &chunk[..];
        while !rest.is_empty() && !splitter.has_stopped() {
            let taken = splitter.push(rest, &mut batch);
            rest = &rest[taken..];
            if batch.is_full() {
                hand_on(&mut batch, splitter.reading(), steps).await?;
            }
        }
        if splitter.has_stopped() {
            break;
        }
        next = chunks.next().await;
    }
    if !splitter.has_stopped() {
        splitter.finish(&mut batch);
    }
    hand_on(&mut batch, splitter.reading(), steps).await?;
    steps.send(Step::End).await
}

async fn hand_on(
    batch: &mut RawBatch,
    reading: Reading,
    steps: &mpsc::Sender<Step>,
) -> Result<(), Closed> {
    if batch.is_empty() {
        return Ok(());
    }
    let batch = batch.take();
    steps
        .send(Step::Batch(spawn_blocking(move || parse(batch, &reading))))
        .await
}

fn parse(batch: RawBatch, reading: &Reading) -> Parsed {
    let RawBatch {
        text,
        records,
        mut failures,
        ..
    } = batch;
    let mut parsed = Vec::with_capacity(records.len());
    for RawRecord { line, range } in records {
        match parse_one(line, &text[range], reading) {
            Ok(record) => parsed.push(record),
            Err(failure) => failures.push(failure),
        }
    }
    Parsed {
        records: parsed,
        failures,
    }
}

fn parse_one(line: u64, text: &[u8], reading: &Reading) -> Result<ImportRecord, ImportFailure> {
    let failure = |line, message| ImportFailure {
        line,
        code: ErrorCode::BadRequest,
        message,
    };
    let document = match reading {
        Reading::Csv(header) => header
            .document(text)
            .map_err(|message| failure(line, message))?,
        Reading::Json => Document::parse(text).map_err(|error| {
            let before = &text[..error.offset.min(text.len())];
            failure(line + super::record::line_ends(before), error.to_string())
        })?,
    };
    Ok(ImportRecord { line, document })
}

async fn store<S: ImportSink>(
    mut sink: S,
    atomic: bool,
    mut steps: mpsc::Receiver<Step>,
    mut report: Report,
) -> Report {
    let whole = loop {
        match steps.recv().await {
            Some(Step::Batch(parsing)) => {
                let Ok(parsed) = parsing.await else {
                    report.end_by_panic();
                    break false;
                };
                report.fail(parsed.failures);
                // An atomic import that has failed reads on only to report every bad line.
                if parsed.records.is_empty() || (atomic && report.has_failures()) {
                    continue;
                }
                match sink.push(parsed.records).await {
                    Ok(outcome) => report.add(outcome),
                    Err(error) => {
                        report.end_by(error);
                        break false;
                    }
                }
            }
            Some(Step::End) => break true,
            Some(Step::Broken(error)) => {
                report.end_by_http(&error);
                break false;
            }
            None => break false,
        }
    };
    let (outcome, error) = sink.settle().await;
    report.add(outcome);
    let is_settled = error.is_none();
    if let Some(error) = error {
        report.end_by(error);
    }
    let finish = whole && is_settled && !(atomic && report.has_failures());
    if !finish {
        if atomic {
            report.nothing_is_in();
        }
        return report;
    }
    match sink.finish().await {
        Ok(outcome) => report.add(outcome),
        Err(error) => {
            report.end_by(error);
            if atomic {
                report.nothing_is_in();
            }
        }
    }
    report
}

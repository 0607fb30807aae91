//! Records cut out of a body: one contiguous text for a batch, and where each record lies in it.
//!
//! A [`Splitter`] only finds where a record begins and ends; whether the record is well-formed is found out
//! later, off the runtime's threads. Its state survives any chunk boundary: the same body gives the same
//! records however it is cut.

use std::ops::Range;

use thalweg_model::ErrorCode;

use crate::api::ImportFailure;

/// Cuts a body into records.
pub(super) trait Splitter: Send {
    /// Takes input until it is used up or the batch is full, which happens only at the end of a record.
    /// Returns how many bytes were taken.
    fn push(&mut self, input: &[u8], batch: &mut RawBatch) -> usize;

    /// The body has ended.
    fn finish(&mut self, batch: &mut RawBatch);

    /// Whether the body could not be read to its end. The last failure says why.
    fn has_stopped(&self) -> bool;

    /// What every record of the body is read with.
    fn reading(&self) -> Reading;
}

/// How a record's text becomes a document.
#[derive(Clone, Debug)]
pub(super) enum Reading {
    /// It is JSON.
    Json,
    /// It is a CSV row under this header.
    Csv(super::csv::Header),
}

/// A record's place in its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawRecord {
    /// The line on which it begins, counted from 1.
    pub(super) line: u64,
    pub(super) range: Range<usize>,
}

/// The limits of batches and records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) documents_max: usize,
    pub(super) bytes_max: usize,
    pub(super) record_bytes_max: usize,
}

/// Records that will be parsed and stored together.
#[derive(Debug)]
pub(super) struct RawBatch {
    limits: Limits,
    /// The text of all records, and at its end the part of the one that is not complete.
    pub(super) text: Vec<u8>,
    pub(super) records: Vec<RawRecord>,
    pub(super) failures: Vec<ImportFailure>,
    /// Where the incomplete record begins.
    open_at: usize,
}

impl RawBatch {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            text: Vec::new(),
            records: Vec::new(),
            failures: Vec::new(),
            open_at: 0,
        }
    }

    /// Whether it should be handed on. Failures count, since they take memory too.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() + self.failures.len() >= self.limits.documents_max
            || self.open_at >= self.limits.bytes_max
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.failures.is_empty()
    }

    /// Adds to the record that is being read; false when that makes it too large, and then it is dropped.
    #[must_use]
    pub(super) fn extend(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room() {
            self.drop_open();
            return false;
        }
        self.text.extend_from_slice(bytes);
        true
    }

    /// How many bytes the incomplete record may still grow by.
    pub(super) fn room(&self) -> usize {
        self.limits
            .record_bytes_max
            .saturating_sub(self.open().len())
    }

    /// The part of the incomplete record that has been read.
    pub(super) fn open(&self) -> &[u8] {
        &self.text[self.open_at..]
    }

    /// The record is complete.
    pub(super) fn close(&mut self, line: u64) {
        self.records.push(RawRecord {
            line,
            range: self.open_at..self.text.len(),
        });
        self.open_at = self.text.len();
    }

    /// The record is not to be kept.
    pub(super) fn drop_open(&mut self) {
        self.text.truncate(self.open_at);
    }

    pub(super) fn fail(&mut self, line: u64, message: impl Into<String>) {
        self.failures.push(ImportFailure {
            line,
            code: ErrorCode::BadRequest,
            message: message.into(),
        });
    }

    pub(super) fn fail_too_large(&mut self, line: u64) {
        self.failures.push(ImportFailure {
            line,
            code: ErrorCode::LimitExceeded,
            message: format!(
                "the document that begins here is larger than {} bytes, the most that one may have",
                self.limits.record_bytes_max
            ),
        });
    }

    /// Hands on what is complete and begins anew; what is incomplete goes along into the new batch.
    pub(super) fn take(&mut self) -> Self {
        let mut next = Self::new(self.limits);
        next.text = self.text.split_off(self.open_at);
        std::mem::replace(self, next)
    }
}

/// How many line ends there are.
pub(super) fn line_ends(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
pub(super) mod testing {
    //! Splitting whole bodies in tests.

    use super::*;

    pub(in crate::import) const LIMITS: Limits = Limits {
        documents_max: 3,
        bytes_max: 1_000,
        record_bytes_max: 40,
    };

    /// A record (line, text) or a failure (line, message).
    pub(in crate::import) type Split = Vec<(u64, Result<String, String>)>;

    /// Splits a body that arrives in pieces of the given sizes, repeated.
    pub(in crate::import) fn split(
        mut splitter: impl Splitter,
        body: &[u8],
        sizes: &[usize],
    ) -> Split {
        let mut batch = RawBatch::new(LIMITS);
        let mut found = Vec::new();
        let mut sizes = sizes.iter().copied().cycle();
        let mut rest = body;
        while !rest.is_empty() && !splitter.has_stopped() {
            let size = sizes.next().unwrap_or(rest.len()).clamp(1, rest.len());
            let (mut piece, after) = rest.split_at(size);
            while !piece.is_empty() && !splitter.has_stopped() {
                let taken = splitter.push(piece, &mut batch);
                assert!(
                    taken > 0 || batch.is_full() || splitter.has_stopped(),
                    "no progress"
                );
                piece = &piece[taken..];
                if batch.is_full() {
                    collect(&batch.take(), &mut found);
                }
            }
            rest = after;
        }
        if !splitter.has_stopped() {
            splitter.finish(&mut batch);
        }
        collect(&batch, &mut found);
        found.sort_by_key(|(line, _)| *line);
        found
    }

    fn collect(batch: &RawBatch, found: &mut Split) {
        for record in &batch.records {
            let text = String::from_utf8_lossy(&batch.text[record.range.clone()]).into_owned();
            found.push((record.line, Ok(text)));
        }
        for failure in &batch.failures {
            found.push((failure.line, Err(failure.message.clone())));
        }
    }
}

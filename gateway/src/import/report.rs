//! What an import's client is told at the end.

use std::fmt::Write as _;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use thalweg_model::{ErrorCode, write_json_string};

use crate::api::{ApiError, ImportFailure, ImportOutcome};
use crate::error::{HttpError, INTERNAL_MESSAGE, status_of};

/// The counts of an import, and the failures that are reported one by one.
#[derive(Debug)]
pub(super) struct Report {
    inserted: u64,
    replaced: u64,
    failed: u64,
    errors: Vec<ImportFailure>,
    errors_max: usize,
    status: StatusCode,
    /// Why the import as a whole ended early.
    ended_by: Option<ApiError>,
}

impl Report {
    pub(super) fn new(errors_max: usize) -> Self {
        Self {
            inserted: 0,
            replaced: 0,
            failed: 0,
            errors: Vec::new(),
            errors_max,
            status: StatusCode::OK,
            ended_by: None,
        }
    }

    pub(super) fn has_failures(&self) -> bool {
        self.failed > 0
    }

    pub(super) fn add(&mut self, outcome: ImportOutcome) {
        self.inserted += outcome.inserted;
        self.replaced += outcome.replaced;
        self.fail(outcome.failures);
    }

    pub(super) fn fail(&mut self, failures: Vec<ImportFailure>) {
        self.failed += failures.len() as u64;
        let room = self.errors_max - self.errors.len();
        self.errors.extend(failures.into_iter().take(room));
    }

    /// The body could not be read to its end; a failure among those reported says why.
    pub(super) fn body_unreadable(&mut self) {
        self.status = StatusCode::BAD_REQUEST;
    }

    /// The import ended early, and what is counted so far is in.
    /// The first reason counts.
    pub(super) fn end_by(&mut self, error: ApiError) {
        if self.ended_by.is_some() {
            return;
        }
        self.status = status_of(error.code);
        self.ended_by = Some(error);
    }

    pub(super) fn end_by_http(&mut self, error: &HttpError) {
        self.end_by(ApiError::new(error.code(), error.message()));
    }

    pub(super) fn end_by_panic(&mut self) {
        self.end_by(ApiError::new(ErrorCode::Internal, INTERNAL_MESSAGE));
    }

    /// The import was atomic and has failed.
    pub(super) fn nothing_is_in(&mut self) {
        (self.inserted, self.replaced) = (0, 0);
        if self.status == StatusCode::OK {
            self.status = StatusCode::BAD_REQUEST;
        }
    }

    fn body(&self) -> Vec<u8> {
        let mut head = String::new();
        let _ = write!(
            head,
            "{{\"inserted\":{},\"replaced\":{},\"failed\":{},\"errors\":[",
            self.inserted, self.replaced, self.failed
        );
        let mut out = head.into_bytes();
        let mut first = true;
        if let Some(error) = &self.ended_by {
            write_error(None, error.code, &error.message, &mut first, &mut out);
        }
        // Failures of one batch are found at different stages of it.
        let mut errors: Vec<&ImportFailure> = self.errors.iter().collect();
        errors.sort_by_key(|failure| failure.line);
        for failure in errors {
            write_error(
                Some(failure.line),
                failure.code,
                &failure.message,
                &mut first,
                &mut out,
            );
        }
        out.extend_from_slice(b"]}");
        out
    }
}

fn write_error(
    line: Option<u64>,
    code: ErrorCode,
    message: &str,
    first: &mut bool,
    out: &mut Vec<u8>,
) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    out.push(b'{');
    if let Some(line) = line {
        out.extend_from_slice(format!("\"line\":{line},").as_bytes());
    }
    out.extend_from_slice(b"\"message\":");
    write_json_string(message, out);
    out.extend_from_slice(b",\"extensions\":{\"code\":");
    write_json_string(code.as_str(), out);
    out.extend_from_slice(b"}}");
}

impl IntoResponse for Report {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        (self.status, [(CONTENT_TYPE, json)], self.body()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(line: u64) -> ImportFailure {
        ImportFailure {
            line,
            code: ErrorCode::BadRequest,
            message: "bad".into(),
        }
    }

    #[test]
    fn all_failures_are_counted_and_the_first_reported() {
        let mut report = Report::new(2);
        report.add(ImportOutcome {
            inserted: 3,
            replaced: 1,
            failures: vec![failure(9)],
        });
        report.fail(vec![failure(4), failure(12)]);
        assert_eq!(
            String::from_utf8_lossy(&report.body()),
            "{\"inserted\":3,\"replaced\":1,\"failed\":3,\"errors\":[\
             {\"line\":4,\"message\":\"bad\",\"extensions\":{\"code\":\"BAD_REQUEST\"}},\
             {\"line\":9,\"message\":\"bad\",\"extensions\":{\"code\":\"BAD_REQUEST\"}}]}"
        );
        assert_eq!(report.status, StatusCode::OK);
        report.nothing_is_in();
        assert_eq!(
            (report.inserted, report.status),
            (0, StatusCode::BAD_REQUEST)
        );
    }

    #[test]
    fn an_early_end_comes_first_and_chooses_the_status() {
        let mut report = Report::new(2);
        report.fail(vec![failure(1)]);
        report.end_by(ApiError::new(ErrorCode::Unavailable, "the disk is full"));
        assert_eq!(report.status, StatusCode::SERVICE_UNAVAILABLE);
        let body = String::from_utf8_lossy(&report.body()).into_owned();
        assert!(
            body.contains("\"errors\":[{\"message\":\"the disk is full\""),
            "{body}"
        );
    }
}

//! Errors as GraphQL clients see them.
//!
//! A [`GraphqlError`] is one entry of `errors`; a [`Failure`] is a request that was refused before anything ran, so
//! its response has no `data`. Both know their [`ErrorCode`] and write themselves as JSON.

use bytes::Bytes;
use thalweg_engine::{IntentError, TransactionError, Violation};
use thalweg_model::{ErrorCode, write_json_string};

/// A place in the operation's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

/// A step on the way from the root of the response to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathSegment {
    /// A response key.
    Key(Box<str>),
    /// A position in a list, from 0.
    Index(usize),
}

/// One entry of a response's `errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphqlError {
    /// `extensions.code`.
    pub code: ErrorCode,
    /// What was wrong, where, and what would be right.
    pub message: String,
    /// The places in the operation's text that it is about.
    pub locations: Vec<Location>,
    /// The field of the response that it is about; empty when it is about the whole request.
    pub path: Vec<PathSegment>,
    /// What `extensions` has beside the code.
    pub details: Details,
}

/// Members of an error's `extensions` beside its code, which say for programs what the message says for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// Each with a comma before it.
    json: Vec<u8>,
}

impl Details {
    /// Adds a member, whose value is JSON.
    #[must_use]
    pub(crate) fn with_json(mut self, name: &str, value: &[u8]) -> Self {
        self.json.push(b',');
        write_json_string(name, &mut self.json);
        self.json.push(b':');
        self.json.extend_from_slice(value);
        self
    }

    /// Adds a member with a string.
    #[must_use]
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        let mut json = Vec::with_capacity(value.len() + 2);
        write_json_string(value, &mut json);
        self.with_json(name, &json)
    }
}

impl GraphqlError {
    /// An error about the whole request.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        GraphqlError {
            code,
            message: message.into(),
            locations: Vec::new(),
            path: Vec::new(),
            details: Details::default(),
        }
    }

    /// The same error at a place in the text.
    #[must_use]
    pub fn at(mut self, location: Option<Location>) -> Self {
        self.locations.extend(location);
        self
    }

    /// Appends the error as a JSON object.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"message\":");
        write_json_string(&self.message, out);
        if !self.locations.is_empty() {
            out.extend_from_slice(b",\"locations\":[");
            for (index, location) in self.locations.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let Location { line, column } = location;
                out.extend_from_slice(
                    format!("{{\"line\":{line},\"column\":{column}}}").as_bytes(),
                );
            }
            out.push(b']');
        }
        if !self.path.is_empty() {
            out.extend_from_slice(b",\"path\":");
            write_path(&self.path, out);
        }
        out.extend_from_slice(b",\"extensions\":{\"code\":\"");
        out.extend_from_slice(self.code.as_str().as_bytes());
        out.push(b'"');
        out.extend_from_slice(&self.details.json);
        out.extend_from_slice(b"}}");
    }
}

/// A JSON list of strings.
fn strings_json(strings: &[impl AsRef<str>]) -> Vec<u8> {
    let mut json = vec![b'['];
    for (index, string) in strings.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write_json_string(string.as_ref(), &mut json);
    }
    json.push(b']');
    json
}

/// Appends a path as a JSON list.
pub(crate) fn write_path(path: &[PathSegment], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, segment) in path.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match segment {
            PathSegment::Key(key) => write_json_string(key, out),
            PathSegment::Index(index) => out.extend_from_slice(index.to_string().as_bytes()),
        }
    }
    out.push(b']');
}

/// `[{"collection": …, "path": …, "kind": …, "expected": …, "found": …, "count": …, "ids": […]}, …]`
fn violations_json(violations: &[Violation]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (index, violation) in violations.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"collection\":");
        write_json_string(&violation.collection, &mut out);
        out.extend_from_slice(b",");
        violation.mistake.write_members(&mut out);
        out.push(b'}');
    }
    out.push(b']');
    out
}

/// Appends `"errors":[…]` without anything around it.
pub(crate) fn write_errors(errors: &[GraphqlError], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"errors\":[");
    for (index, error) in errors.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        error.write(out);
    }
    out.push(b']');
}

/// A request that was refused before it ran: a *request error* in the words of the GraphQL specification.
///
/// Never without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    errors: Vec<GraphqlError>,
}

impl Failure {
    /// A refusal for one reason.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Failure {
            errors: vec![GraphqlError::new(code, message)],
        }
    }

    /// A refusal for several reasons; `fallback` is the reason when the list is empty.
    pub(crate) fn from_errors(errors: Vec<GraphqlError>, fallback: ErrorCode) -> Self {
        if errors.is_empty() {
            return Failure::new(fallback, "the request could not be read");
        }
        Failure { errors }
    }

    /// The code of the first error, by which a transport chooses its status.
    pub fn code(&self) -> ErrorCode {
        self.errors
            .first()
            .map_or(ErrorCode::Internal, |error| error.code)
    }

    /// The errors, at least one.
    pub fn errors(&self) -> &[GraphqlError] {
        &self.errors
    }

    /// The complete response: `{"errors":[…]}`.
    pub fn body(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        out.push(b'{');
        write_errors(&self.errors, &mut out);
        out.push(b'}');
        Bytes::from(out)
    }

    /// The errors alone, `[…]`, as the `error` message of `graphql-transport-ws` carries them.
    pub fn errors_json(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        out.push(b'[');
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            error.write(&mut out);
        }
        out.push(b']');
        Bytes::from(out)
    }
}

impl From<GraphqlError> for Failure {
    fn from(error: GraphqlError) -> Self {
        Failure {
            errors: vec![error],
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                formatter.write_str("; ")?;
            }
            formatter.write_str(&error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Why the arguments of one root field cannot be taken, before it is known where in the response that is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    pub(crate) details: Details,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Refusal {
            code,
            message: message.into(),
            details: Details::default(),
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Refusal::new(ErrorCode::BadRequest, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Refusal::new(ErrorCode::LimitExceeded, message)
    }

    /// A mistake in a declared schema. Its place is in the SDL rather than in the operation's text, so it is told apart
    /// from `locations`.
    pub(crate) fn in_sdl(
        code: ErrorCode,
        message: impl Into<String>,
        location: Option<Location>,
    ) -> Self {
        let Some(Location { line, column }) = location else {
            return Refusal::new(code, message);
        };
        let place = format!("{{\"line\":{line},\"column\":{column}}}");
        Refusal {
            code,
            message: format!("sdl {line}:{column}: {}", message.into()),
            details: Details::default().with_json("sdl", place.as_bytes()),
        }
    }

    /// What the engine refused, with what it says for programs.
    pub(crate) fn of(error: &TransactionError) -> Self {
        let refusal = Refusal::new(error.code(), error.to_string());
        let TransactionError::Intent { error, .. } = error else {
            return refusal;
        };
        let details = match error {
            IntentError::UniqueViolation {
                collection,
                fields,
                value,
                id,
            } => Details::default()
                .with("collection", collection)
                .with_json("fields", &strings_json(fields))
                .with_json("value", value.as_bytes())
                .with("id", id.as_str()),
            IntentError::AlreadyExists { collection, id } => Details::default()
                .with("collection", collection)
                .with_json("fields", b"[\"id\"]")
                .with("value", id.as_str())
                .with("id", id.as_str()),
            IntentError::SchemaViolation {
                collection,
                id,
                mistakes,
            } => Details::default()
                .with("collection", collection)
                .with("id", id.as_str())
                .with_json("mistakes", &mistakes.to_json()),
            IntentError::NotSatisfied { violations } => {
                Details::default().with_json("violations", &violations_json(violations))
            }
            IntentError::Restricted {
                target,
                collection,
                field,
                count,
                ids,
            } => Details::default()
                .with("target", target)
                .with("collection", collection)
                .with("field", field)
                .with_json("count", count.to_string().as_bytes())
                .with_json("ids", &strings_json(ids)),
            IntentError::VersionMismatch {
                id,
                expected,
                found,
            } => {
                let found = found.map_or("null".to_owned(), |found| found.to_string());
                Details::default()
                    .with("id", id.as_str())
                    .with_json("expected", expected.to_string().as_bytes())
                    .with_json("found", found.as_bytes())
            }
            _ => Details::default(),
        };
        Refusal { details, ..refusal }
    }
}

//! The frame of a response: `data`, `errors`, `extensions`, and root fields in it.

use bytes::Bytes;
use thalweg_engine::DependencySet;
use thalweg_model::{CommitTs, ErrorCode};

use super::{Delivery, Nulled, Path, Renderer};
use crate::failure::{GraphqlError, write_errors};
use crate::notes::Notes;
use crate::plan::RootField;

/// How every response with data begins.
const DATA: &[u8] = b"{\"data\":";

/// A response, and what it depends on.
#[derive(Debug, Clone)]
pub struct Evaluation {
    body: Bytes,
    /// Where `extensions` begins; what is before it does not depend on the time.
    result_len: usize,
    commit_ts: CommitTs,
    has_errors: bool,
    dependencies: DependencySet,
}

impl Evaluation {
    /// The complete response: `{"data":…,"errors":[…],"extensions":{"thalweg":{"commitTs":"…"}}}`.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The response up to its extensions. Two evaluations of one operation have the same result if these bytes are
    /// equal, whatever their timestamps.
    pub fn result(&self) -> &[u8] {
        &self.body[..self.result_len]
    }

    /// The complete response with a later timestamp, for a result that still holds then.
    pub fn body_at(&self, commit_ts: CommitTs) -> Bytes {
        let mut out = Vec::with_capacity(self.body.len() + 4);
        out.extend_from_slice(self.result());
        write_extensions(commit_ts, &Notes::default(), &mut out);
        Bytes::from(out)
    }

    /// The state that the response shows: for a mutation, its own commit.
    pub fn commit_ts(&self) -> CommitTs {
        self.commit_ts
    }

    /// Whether the response has `errors`.
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// What the response depends on. A commit that does not touch it cannot change the result. Nothing for a mutation.
    pub fn dependencies(&self) -> &DependencySet {
        &self.dependencies
    }

    /// Takes the response apart, without copying.
    pub fn into_parts(self) -> (Bytes, DependencySet) {
        (self.body, self.dependencies)
    }

    /// The result, where in it the data begins that ends with it (unless it has errors), and what it depends on;
    /// without copying.
    pub fn into_result(self) -> (Bytes, Option<usize>, DependencySet) {
        let data_from = (!self.has_errors).then_some(DATA.len());
        (
            self.body.slice(..self.result_len),
            data_from,
            self.dependencies,
        )
    }
}

impl Renderer<'_> {
    /// Writes `data` from its root fields; a root field that may not be null and has no value makes all of it null, and
    /// so does a response that outgrows its bound. Of a committed mutation as much is shown as fits.
    pub(crate) fn data<'p>(
        &mut self,
        roots: impl Iterator<Item = &'p RootField>,
        mut write: impl FnMut(&mut Self, usize, &'p RootField) -> Result<(), Nulled>,
    ) {
        self.raw(DATA);
        let start = self.out.len();
        let mut written = Ok(());
        self.out.push(b'{');
        for (index, root) in roots.enumerate() {
            self.label(&root.target, index == 0);
            let start = self.out.len();
            let value =
                write(self, index, root).and_then(|()| self.check_size(&Path::root(&root.target)));
            if self.is_committed {
                // A root field that is too long becomes null, and the others may still fit.
                self.is_full = false;
            }
            if value.is_err() {
                self.note_nulled();
            }
            let is_non_null = root.target.is_non_null
                && (value.is_ok() || !self.is_boundary(&Path::root(&root.target)));
            if let Err(nulled) = self.settle(value, start, is_non_null) {
                // The other root fields are not worth computing: nothing of them would be seen.
                written = Err(nulled);
                break;
            }
        }
        self.out.push(b'}');
        if written.is_err() {
            self.cut(start);
            self.null();
        }
    }

    /// Writes `data` as null, for a mutation of which nothing was done.
    pub(crate) fn no_data(&mut self) {
        self.raw(b"{\"data\":null");
    }

    /// Completes the response and sends its end to where its beginning has gone.
    pub(crate) fn deliver(
        mut self,
        commit_ts: Option<CommitTs>,
        notes: &Notes,
        dependencies: DependencySet,
    ) -> (Evaluation, Delivery) {
        let (chunks, sent) = (self.chunks.take(), self.sent);
        let evaluation = self.finish(commit_ts, notes, dependencies);
        let delivery = chunks.map_or(Delivery::None, |chunks| chunks.end(sent, &evaluation.body));
        (evaluation, delivery)
    }

    /// Completes the response.
    pub(crate) fn finish(
        mut self,
        commit_ts: Option<CommitTs>,
        notes: &Notes,
        dependencies: DependencySet,
    ) -> Evaluation {
        if self.hidden_errors > 0 {
            let message = format!("{} more errors are not shown", self.hidden_errors);
            self.errors
                .push(GraphqlError::new(ErrorCode::LimitExceeded, message));
        }
        let has_errors = !self.errors.is_empty();
        if has_errors {
            self.out.push(b',');
            write_errors(&self.errors, &mut self.out);
        }
        let result_len = self.out.len();
        match commit_ts {
            Some(commit_ts) => write_extensions(commit_ts, notes, &mut self.out),
            None => self.out.push(b'}'),
        }
        let commit_ts = commit_ts.unwrap_or_default();
        Evaluation {
            body: Bytes::from(self.out),
            result_len,
            commit_ts,
            has_errors,
            dependencies,
        }
    }
}

/// What a client is told of a live operation: a result in full or, where it has the one before, how it differs.
#[derive(Clone, Copy, Debug)]
pub enum LiveResult<'r> {
    /// As [`Evaluation::result`] gives it.
    Full(&'r [u8]),
    /// A JSON Patch (RFC 6902) of the data.
    Patch(&'r [u8]),
}

/// The message of a live operation that shows the state of `commit_ts`; `revision` counts those of a client that takes
/// patches.
pub fn live_message(result: LiveResult<'_>, revision: Option<u64>, commit_ts: CommitTs) -> Bytes {
    let mut out = Vec::new();
    match result {
        LiveResult::Full(result) => {
            out.reserve(result.len() + 100);
            out.extend_from_slice(result);
        }
        LiveResult::Patch(operations) => {
            out.reserve(operations.len() + 100);
            out.extend_from_slice(b"{\"patch\":");
            out.extend_from_slice(operations);
        }
    }
    if let Some(revision) = revision {
        out.extend_from_slice(b",\"revision\":");
        out.extend_from_slice(revision.to_string().as_bytes());
    }
    write_extensions(commit_ts, &Notes::default(), &mut out);
    Bytes::from(out)
}

fn write_extensions(commit_ts: CommitTs, notes: &Notes, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"extensions\":{\"thalweg\":{\"commitTs\":\"");
    out.extend_from_slice(commit_ts.to_string().as_bytes());
    out.push(b'"');
    notes.write(out);
    out.extend_from_slice(b"}}}");
}

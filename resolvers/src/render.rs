//! Rendering: values become the bytes of a response, without a tree in between.
//!
//! A [`Renderer`] writes into one buffer. Where a value cannot be given, its place is null and an error says why; if
//! null may not stand there, the writer steps back to the nearest place where it may ("Handling Field Errors" of the
//! GraphQL specification). A function that returns [`Nulled`] has recorded its error; what it has written is cut off
//! by whoever writes the null.

mod aggregate;
mod catalog;
mod chunks;
mod document;
mod evolution;
mod history;
mod id;
mod list;
mod related;
mod relation_info;
mod response;
mod value;

use apollo_compiler::Name;
use thalweg_engine::{DependencySet, EngineError, Snapshot};
use thalweg_model::{ErrorCode, Member, MemberRun};

use crate::bind::Bound;
use crate::failure::{GraphqlError, Location, PathSegment, Refusal};
use crate::limits::Limits;
use crate::plan::selection::{Selected, Target};

pub use chunks::ChunkSink;
pub(crate) use chunks::Delivery;
use chunks::{CHUNK_BYTES, Chunks};
pub use id::write_members_with_id;
pub(crate) use list::PageFound;
pub use response::{Evaluation, LiveResult, live_message};

/// A value that may not be null has none. The error is recorded already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nulled;

/// What of a stored object is written for a selected field.
#[derive(Clone, Copy)]
enum AsStored<'v> {
    /// The member as it stands, name and all.
    Member(Member<'v>),
    /// Null, since there is no such member.
    Absent,
    /// That takes a closer look.
    No,
}

/// The way from the root of the response, as a chain through the stack: it costs nothing until an error needs it.
#[derive(Clone, Copy)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    segment: Segment<'p>,
}

#[derive(Clone, Copy)]
enum Segment<'p> {
    Key(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(crate) fn root(target: &'p Target) -> Self {
        Path {
            parent: None,
            segment: Segment::Key(&target.key),
        }
    }

    fn key(&'p self, target: &'p Target) -> Path<'p> {
        Path {
            parent: Some(self),
            segment: Segment::Key(&target.key),
        }
    }

    fn index(&'p self, index: usize) -> Path<'p> {
        Path {
            parent: Some(self),
            segment: Segment::Index(index),
        }
    }

    /// Whether the response keys on the way are the first ones of a chain.
    fn leads_along(&self, chain: &[Name]) -> bool {
        let mut keys = Vec::new();
        let mut next = Some(self);
        while let Some(path) = next {
            if let Segment::Key(key) = path.segment {
                keys.push(key);
            }
            next = path.parent;
        }
        let wanted = chain.iter().map(Name::as_str).take(keys.len());
        keys.len() <= chain.len() && keys.into_iter().rev().eq(wanted)
    }

    /// Whether this is an item of a list that is a field of a root field.
    fn is_row_of_root(&self) -> bool {
        let depth = std::iter::successors(Some(self), |path| path.parent).count();
        depth == 3 && matches!(self.segment, Segment::Index(_))
    }

    fn to_segments(self) -> Vec<PathSegment> {
        let mut segments = Vec::new();
        let mut next = Some(&self);
        while let Some(path) = next {
            segments.push(match path.segment {
                Segment::Key(key) => PathSegment::Key(key.into()),
                Segment::Index(index) => PathSegment::Index(index),
            });
            next = path.parent;
        }
        segments.reverse();
        segments
    }
}

/// Writes one response.
pub(crate) struct Renderer<'a> {
    out: Vec<u8>,
    errors: Vec<GraphqlError>,
    hidden_errors: usize,
    /// Where each selected stored field was found last.
    hints: Vec<u32>,
    limits: &'a Limits,
    /// Whether the response has outgrown its bound: no null on the way to the root settles that.
    is_full: bool,
    /// Where it goes when it is long.
    chunks: Option<Chunks<'a>>,
    /// Bytes of it that have gone there.
    sent: usize,
    /// Whether what the response shows is committed: an error must not look as if nothing had been done.
    is_committed: bool,
    /// Where null may stand whatever the types say: on this way from the root.
    boundary: &'a [Name],
    /// Where more than the documents themselves is read from.
    source: Option<Source<'a>>,
    /// The last time that the store could not be read.
    store_error: Option<EngineError>,
    /// The related documents that were loaded, by the selection on them.
    stores: Vec<related::Store<'a>>,
    /// What those depend on.
    dependencies: DependencySet,
    /// How often written bytes were taken back.
    cuts: u64,
}

/// What a renderer reads while it writes.
#[derive(Clone, Copy)]
struct Source<'a> {
    snapshot: &'a Snapshot,
    /// The arguments of the plan's inner fields.
    inner: &'a [Bound],
}

impl<'a> Renderer<'a> {
    /// For a mutation that is committed.
    pub(crate) fn committed(slots: usize, limits: &'a Limits) -> Self {
        Renderer {
            is_committed: true,
            ..Renderer::new(slots, limits)
        }
    }

    pub(crate) fn new(slots: usize, limits: &'a Limits) -> Self {
        Renderer {
            out: Vec::with_capacity(1024),
            errors: Vec::new(),
            hidden_errors: 0,
            hints: vec![0; slots],
            limits,
            is_full: false,
            is_committed: false,
            chunks: None,
            sent: 0,
            boundary: &[],
            source: None,
            store_error: None,
            stores: Vec::new(),
            dependencies: DependencySet::none(),
            cuts: 0,
        }
    }

    /// For what is shown inside of objects that are there already: an error goes no further up than to those that the
    /// chain leads to.
    pub(crate) fn within(self, boundary: &'a [Name]) -> Self {
        Renderer { boundary, ..self }
    }

    /// Whether null may stand at a place whose type does not have it.
    #[cold]
    fn is_boundary(&self, path: &Path<'_>) -> bool {
        !self.boundary.is_empty() && path.leads_along(self.boundary)
    }

    /// From now on reads from that view.
    pub(crate) fn look_at(&mut self, snapshot: &'a Snapshot, inner: &'a [Bound]) {
        self.stores.clear();
        self.source = Some(Source { snapshot, inner });
    }

    /// The last time that the store could not be read while the response was written.
    pub(crate) fn take_store_error(&mut self) -> Option<EngineError> {
        self.store_error.take()
    }

    /// What was read while the response was written.
    pub(crate) fn take_dependencies(&mut self) -> DependencySet {
        std::mem::take(&mut self.dependencies)
    }

    /// Records an error at a place of the response.
    pub(crate) fn refuse(
        &mut self,
        code: ErrorCode,
        message: impl Into<String>,
        path: &Path<'_>,
        location: Option<Location>,
    ) -> Nulled {
        self.refuse_with(code, || message.into(), path, location)
    }

    /// The same where the message takes work, which is done only if the error is shown.
    fn refuse_with(
        &mut self,
        code: ErrorCode,
        message: impl FnOnce() -> String,
        path: &Path<'_>,
        location: Option<Location>,
    ) -> Nulled {
        if self.errors.len() >= self.limits.errors_max {
            self.hidden_errors += 1;
        } else {
            let error = GraphqlError::new(code, message()).at(location);
            self.errors.push(GraphqlError {
                path: path.to_segments(),
                ..error
            });
        }
        Nulled
    }

    pub(crate) fn refuse_root(&mut self, refusal: &Refusal, target: &Target) -> Nulled {
        let path = Path::root(target);
        let shown = self.errors.len();
        let nulled = self.refuse(refusal.code, &*refusal.message, &path, target.location);
        if let Some(error) = self.errors.get_mut(shown) {
            error.details = refusal.details.clone();
        }
        nulled
    }

    /// Records several errors of a root field.
    pub(crate) fn refuse_all(&mut self, refusals: &[Refusal], target: &Target) -> Nulled {
        for refusal in refusals {
            self.refuse_root(refusal, target);
        }
        Nulled
    }

    /// Writes a value that is JSON already.
    pub(crate) fn json(&mut self, json: &[u8]) {
        self.raw(json);
    }

    fn raw(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    fn null(&mut self) {
        self.raw(b"null");
    }

    fn number(&mut self, number: u64) {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            // Below ten, so it fits.
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
    }

    /// A 64-bit integer as `BigInt`: a JSON number up to 2^53, else a string.
    fn big_integer(&mut self, number: u64) {
        if number <= SAFE_INTEGER_MAX {
            self.number(number);
        } else {
            self.out.push(b'"');
            self.number(number);
            self.out.push(b'"');
        }
    }

    /// Lets somebody else write a value.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.out);
    }

    /// Writes an object: each selected item by `write`, null where that fails and null may stand.
    pub(crate) fn object<S>(
        &mut self,
        items: &[Selected<S>],
        path: &Path<'_>,
        write: impl FnMut(&mut Self, &S, &Target, &Path<'_>) -> Result<(), Nulled>,
    ) -> Result<(), Nulled> {
        self.stored_object(items, path, |_, _, _| AsStored::No, write)
    }

    /// The same of a stored object, where `as_stored` gives the members that are written as they stand in it. Those that
    /// follow each other there too are copied together.
    fn stored_object<'v, S>(
        &mut self,
        items: &[Selected<S>],
        path: &Path<'_>,
        as_stored: impl Fn(&mut Self, &S, &Target) -> AsStored<'v>,
        mut write: impl FnMut(&mut Self, &S, &Target, &Path<'_>) -> Result<(), Nulled>,
    ) -> Result<(), Nulled> {
        self.out.push(b'{');
        let mut run: Option<MemberRun<'v>> = None;
        let mut is_first = true;
        for item in items {
            let as_stored = as_stored(self, &item.source, &item.target);
            if let AsStored::Member(member) = as_stored {
                if !run.as_mut().is_some_and(|run| run.push(member)) {
                    self.copy(run.replace(MemberRun::of(member)), &mut is_first);
                }
                continue;
            }
            self.copy(run.take(), &mut is_first);
            self.label(&item.target, is_first);
            is_first = false;
            if let AsStored::Absent = as_stored {
                self.null();
                continue;
            }
            let start = self.out.len();
            let path = path.key(&item.target);
            let written = write(self, &item.source, &item.target, &path);
            let is_non_null =
                item.target.is_non_null && (written.is_ok() || !self.is_boundary(&path));
            self.settle(written, start, is_non_null)?;
            self.check_size(&path)?;
        }
        self.copy(run, &mut is_first);
        self.out.push(b'}');
        // Of what was copied: parts of one stored object, so the response is not much beyond its bound.
        self.check_size(path)
    }

    /// Writes the members of a run.
    #[inline]
    fn copy(&mut self, run: Option<MemberRun<'_>>, is_first: &mut bool) {
        if let Some(run) = run {
            if !*is_first {
                self.out.push(b',');
            }
            *is_first = false;
            self.raw(run.text());
        }
    }

    #[inline]
    fn label(&mut self, target: &Target, is_first: bool) {
        self.raw(&target.label[usize::from(is_first)..]);
    }

    /// Puts null where a value could not be written, unless null may not stand there.
    fn settle(
        &mut self,
        written: Result<(), Nulled>,
        start: usize,
        is_non_null: bool,
    ) -> Result<(), Nulled> {
        match written {
            Err(Nulled) if is_non_null || self.is_full => Err(Nulled),
            Err(Nulled) => {
                self.cut(start);
                self.null();
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Takes back what has been written from there on.
    fn cut(&mut self, start: usize) {
        self.out.truncate(start);
        self.cuts += 1;
    }

    /// Writes a list of objects, which may not be null, and keeps the response within its bound.
    pub(crate) fn list<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        path: &Path<'_>,
        mut write: impl FnMut(&mut Self, T, &Path<'_>) -> Result<(), Nulled>,
    ) -> Result<(), Nulled> {
        self.out.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            let path = path.index(index);
            let start = self.out.len();
            let written = write(self, item, &path);
            if written.is_err() {
                let is_non_null = !self.is_boundary(&path);
                self.settle(written, start, is_non_null)?;
            }
            self.check_size(&path)?;
            if self.out.len() >= CHUNK_BYTES {
                self.send_chunk(&path)?;
            }
        }
        self.out.push(b']');
        Ok(())
    }

    #[inline]
    fn check_size(&mut self, path: &Path<'_>) -> Result<(), Nulled> {
        if self.sent + self.out.len() <= self.limits.response_bytes_max {
            Ok(())
        } else {
            Err(self.refuse_size(path))
        }
    }

    #[cold]
    fn refuse_size(&mut self, path: &Path<'_>) -> Nulled {
        self.is_full = true;
        let bytes_max = self.limits.response_bytes_max;
        let advice = if self.is_committed {
            "the mutation is committed, but this is not shown of it"
        } else {
            "ask for fewer rows or fields"
        };
        let message = format!(
            "the response has more than {bytes_max} bytes, which is the most that is allowed; {advice}"
        );
        self.refuse(ErrorCode::LimitExceeded, message, path, None)
    }
}

/// 2^53: up to here a double holds every integer.
const SAFE_INTEGER_MAX: u64 = 1 << 53;

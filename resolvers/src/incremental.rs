//! Incremental delivery: a query whose `@defer` and `@stream` parts come after the rest.
//!
//! The operation is taken apart into *parts* (`split`): the first is what is not deferred, and each deferred fragment is a
//! part of its own, an operation that selects the way to the fragment and what the fragment selects. A part is run like
//! any query, when its turn comes, so the first message leaves before anything that is deferred has been read. All parts
//! are run on the state that the first one showed. Its objects are then cut out of its result and sent under their paths
//! (`places`, `message`). What `@stream` holds back of a list is cut off the part that has the list: that makes the first
//! message short, and does not make its work less.
//!
//! No object is sent to a place that the client has not been given: only those places are kept of a part that stand in its
//! parent. An error inside a deferred fragment makes null of the fragment's object at most.
//!
//! The merge of all messages is the result that the operation has without the directives.

mod message;
mod places;
mod rules;
mod split;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use thalweg_engine::{EngineError, Interrupt, Snapshot};
use thalweg_model::{CommitTs, ErrorCode, Kind, Value, ValueRef};

use crate::bind::{self, Binding, input_failure};
use crate::extensions::Extensions;
use crate::failure::{Failure, PathSegment};
use crate::input::Coercion;
use crate::notes::Notes;
use crate::operation::{Operation, Prepared};
use crate::plan::compile;
use crate::resolvers::{Resolvers, choose};

pub use message::IncrementalFormat;
use message::{Messages, Record};
use places::{Place, path_of, places};
pub(crate) use rules::check;
pub(crate) use split::{Part, split};

/// For how long the first part's snapshot is kept for the others. Later ones look back to its time instead, which costs
/// more where a collection has been written to since, and holds nothing.
const SNAPSHOT_KEPT: Duration = Duration::from_secs(2);

/// A query under way that is answered in parts.
pub struct IncrementalRun {
    resolvers: Resolvers,
    /// Each with the operation that it comes to.
    parts: Vec<(Part, Operation)>,
    commit_ts: CommitTs,
    snapshot: Option<(Snapshot, Instant)>,
    /// What is still to be run, in order.
    waiting: VecDeque<Delivery>,
    messages: Messages,
    /// Who is asked whether the making of a message is to go on.
    interrupt: Option<Arc<dyn Interrupt>>,
}

/// A part that is to be run, and where its objects go.
struct Delivery {
    part: usize,
    records: Vec<Record>,
    notes: Notes,
}

impl Operation {
    /// Whether it is a query with a `@defer` or a `@stream` in force.
    pub fn is_incremental(&self) -> bool {
        !self.inner.parts.is_empty()
    }
}

impl Resolvers {
    /// Begins to answer an [incremental](Operation::is_incremental) query on a snapshot. Nothing is read yet.
    pub fn run_incrementally(
        &self,
        operation: &Operation,
        snapshot: Snapshot,
        extensions: &Extensions,
        format: IncrementalFormat,
    ) -> Result<IncrementalRun, Failure> {
        let parts = self.part_operations(operation)?;
        // What it cost is not known when the first part leaves.
        let notes = Notes {
            cost: None,
            ..Notes::once(operation.is_live(), extensions)
        };
        let first = Delivery {
            part: 0,
            records: Vec::new(),
            notes,
        };
        Ok(IncrementalRun {
            resolvers: self.clone(),
            parts,
            commit_ts: snapshot.ts(),
            snapshot: Some((snapshot, Instant::now())),
            waiting: VecDeque::from([first]),
            messages: Messages::new(format),
            interrupt: None,
        })
    }

    /// Compiles and binds every part.
    fn part_operations(&self, operation: &Operation) -> Result<Vec<(Part, Operation)>, Failure> {
        let prepared = &*operation.inner;
        let (schema, limits) = (&prepared.schema, self.limits());
        let parsed = schema.parse(&prepared.text, limits)?;
        let whole = choose(&parsed, prepared.operation_name.as_deref())?;
        let mut coercion = Coercion::new(&schema.types, &whole.variables, limits);
        let variables = coercion.variables(prepared.variables.as_ref());
        let errors = coercion.into_errors();
        if !errors.is_empty() {
            return Err(input_failure(errors, &parsed));
        }
        let binding = Binding {
            schema,
            parsed: &parsed,
            operation: whole,
            variables: &variables,
            limits,
        };
        let mut operations = Vec::with_capacity(prepared.parts.len());
        for part in &prepared.parts {
            let plan = compile(schema, &parsed.document, &part.operation, &variables)?;
            let bound = bind::bind(&plan, &binding)?;
            let inner = Prepared {
                schema: Arc::clone(schema),
                plan: Arc::new(plan),
                bound,
                text: Arc::clone(&prepared.text),
                name: prepared.name.clone(),
                coerced: prepared.coerced.clone(),
                key: OnceLock::new(),
                operation_name: prepared.operation_name.clone(),
                variables: prepared.variables.clone(),
                is_live: false,
                takes_patches: false,
                parts: Vec::new(),
                boundary: part.chain.clone(),
                // The whole operation has noted its own.
                uses: self.engine().hold_fields(Box::default()),
                moved_from: None,
            };
            let inner = Arc::new(inner);
            let interrupt = None;
            operations.push((part.clone(), Operation { inner, interrupt }));
        }
        Ok(operations)
    }
}

impl IncrementalRun {
    /// Runs until there is a message, and gives it; `None` after the last. Blocks for as long as its reads do.
    pub fn next_message(&mut self) -> Option<Bytes> {
        loop {
            if let Some(message) = self.messages.pop(self.waiting.is_empty()) {
                return Some(message);
            }
            let delivery = self.waiting.pop_front()?;
            self.deliver(delivery);
        }
    }

    /// Who is asked from now on whether the making of a message is to go on: how long a client takes to take one does not
    /// count.
    pub fn set_interrupt(&mut self, interrupt: Arc<dyn Interrupt>) {
        self.interrupt = Some(interrupt);
    }

    /// Gives back what is held of the store, because nobody knows when the next message will be wanted.
    pub fn release(&mut self) {
        self.snapshot = None;
    }

    /// The state that the first part showed.
    fn view(&mut self) -> Result<Snapshot, EngineError> {
        if let Some((snapshot, since)) = self.snapshot.take()
            && since.elapsed() < SNAPSHOT_KEPT
        {
            return Ok(snapshot);
        }
        self.resolvers.view_at(self.commit_ts)
    }

    fn deliver(&mut self, delivery: Delivery) {
        let Delivery {
            part,
            records,
            notes,
        } = delivery;
        let since = self.snapshot.as_ref().map(|(_, since)| *since);
        let view = match self.view() {
            Ok(view) => view,
            Err(error) => {
                let failure = Failure::new(error.code(), error.to_string());
                return self.fail(part, &records, &failure);
            }
        };
        let operation = Operation {
            interrupt: self.interrupt.clone(),
            ..self.parts[part].1.clone()
        };
        let (evaluation, _) = self.resolvers.evaluate(&operation, &view, notes);
        if let Some(since) = since {
            self.snapshot = Some((view, since));
        }
        match Value::parse(evaluation.body()) {
            Ok(response) => self.tell(part, &records, response.as_ref()),
            Err(error) => {
                let failure = Failure::new(ErrorCode::Internal, error.to_string());
                self.fail(part, &records, &failure);
            }
        }
    }

    /// Nothing of a part can be given.
    fn fail(&mut self, part: usize, records: &[Record], failure: &Failure) {
        if part == 0 {
            self.messages.refuse(failure);
            self.waiting.clear();
            return;
        }
        let errors: Vec<Vec<u8>> = failure
            .errors()
            .iter()
            .map(|error| {
                let mut json = Vec::new();
                error.write(&mut json);
                json
            })
            .collect();
        let label = self.parts[part].0.label.as_deref();
        for record in records {
            let errors: Vec<&[u8]> = errors.iter().map(Vec::as_slice).collect();
            self.messages.failed(record, label, &errors);
        }
        self.messages.close();
    }

    /// Makes the messages of a part's response, and notes what is to come after it.
    fn tell(&mut self, index: usize, records: &[Record], response: ValueRef<'_>) {
        let (part, _) = &self.parts[index];
        let data = response.get("data").filter(|data| !data.is_null());
        let mut errors: Vec<Located<'_>> = response
            .get("errors")
            .into_iter()
            .flat_map(ValueRef::items)
            .map(Located::of)
            .collect();
        let shown = Shown::of(part, records, data);

        // Everything that is promised with this part or behind it, so that it is announced with what it belongs to.
        let mut streamed: Vec<Vec<(Record, Place<'_>)>> = Vec::new();
        for stream in &part.streams {
            let lists = places(data, &stream.chain, &part.streams, false)
                .into_iter()
                .filter(|place| shown.has(&place.path))
                .filter(|place| place.value.kind() == Kind::List)
                .filter(|place| place.value.items().count() > stream.initial_count)
                .map(|place| (self.messages.record(&place), place));
            streamed.push(lists.collect());
        }
        let mut deferred: Vec<(usize, Vec<Record>)> = Vec::new();
        for (child, (of, _)) in self.parts.iter().enumerate() {
            if of.parent != Some(index) {
                continue;
            }
            let objects = places(data, &of.chain, &part.streams, true)
                .into_iter()
                .filter(|place| shown.has(&place.path) && place.value.kind() == Kind::Object)
                .map(|place| self.messages.record(&place));
            deferred.push((child, objects.collect()));
        }

        // Errors in what is held back of a list come with that.
        let mut late: Vec<Vec<Located<'_>>> = part.streams.iter().map(|_| Vec::new()).collect();
        errors.retain(|error| {
            let covering = places::covering(&error.path, &part.streams);
            match covering.and_then(|stream| late.get_mut(stream)) {
                Some(late) => {
                    late.push(error.clone());
                    false
                }
                None => true,
            }
        });

        let announce = |messages: &mut Messages, covered_by: Option<usize>| {
            for (stream, lists) in part.streams.iter().zip(&streamed) {
                for (record, _) in lists {
                    if record.covered_by == covered_by {
                        messages.announce(record, stream.label.as_deref());
                    }
                }
            }
            for (child, objects) in &deferred {
                let label = self.parts[*child].0.label.as_deref();
                for record in objects {
                    if record.covered_by == covered_by {
                        messages.announce(record, label);
                    }
                }
            }
        };

        if index == 0 {
            let errors: Vec<&[u8]> = errors.iter().map(|error| error.json).collect();
            let cuts = places::cuts(part);
            let extensions = response.get("extensions").map(ValueRef::json);
            self.messages.first(data, &cuts, &errors, extensions);
        } else {
            let cuts = places::cuts(part);
            for (position, (record, value)) in shown.objects.iter().enumerate() {
                // What is about no object of the part, because it was over before there was one, is told once.
                let errors: Vec<&[u8]> = errors
                    .iter()
                    .filter(|error| {
                        error.path.starts_with(&record.path)
                            || position == 0 && !shown.owns(&error.path)
                    })
                    .map(|error| error.json)
                    .collect();
                let label = part.label.as_deref();
                match value {
                    Some(value) => self.messages.object(record, label, *value, &cuts, &errors),
                    None => self.messages.failed(record, label, &errors),
                }
            }
        }
        announce(&mut self.messages, None);
        self.messages.close();
        for (index, (stream, lists)) in part.streams.iter().zip(&streamed).enumerate() {
            if lists.is_empty() {
                continue;
            }
            let cuts = places::cuts_below(&stream.chain, &part.streams);
            for (record, place) in lists {
                let errors: Vec<&[u8]> = late[index]
                    .iter()
                    .filter(|error| error.path.starts_with(&record.path))
                    .map(|error| error.json)
                    .collect();
                self.messages
                    .items(record, stream, place.value, &cuts, &errors);
            }
            announce(&mut self.messages, Some(index));
            self.messages.close();
        }
        for (part, records) in deferred {
            if !records.is_empty() {
                self.waiting.push_back(Delivery {
                    part,
                    records,
                    notes: Notes::default(),
                });
            }
        }
    }
}

/// An error of a response, and where it is.
#[derive(Clone)]
struct Located<'v> {
    json: &'v [u8],
    path: Vec<PathSegment>,
}

impl<'v> Located<'v> {
    fn of(error: ValueRef<'v>) -> Self {
        Located {
            json: error.json(),
            path: path_of(error),
        }
    }
}

/// Which objects of a part are told: those whose places the client has been given.
struct Shown<'r, 'v> {
    objects: Vec<(&'r Record, Option<ValueRef<'v>>)>,
    /// Their paths, where the part has objects at others too.
    only: Option<HashSet<&'r [PathSegment]>>,
}

impl<'r, 'v> Shown<'r, 'v> {
    fn of(part: &Part, records: &'r [Record], data: Option<ValueRef<'v>>) -> Self {
        if part.parent.is_none() {
            return Shown {
                objects: Vec::new(),
                only: None,
            };
        }
        // Both are in the order of the lists, which are of the same state.
        let mut found = places(data, &part.chain, &[], true).into_iter().peekable();
        let mut objects = Vec::with_capacity(records.len());
        let mut has_others = false;
        for record in records {
            while found.next_if(|place| place.path < record.path).is_some() {
                has_others = true;
            }
            let value = found
                .next_if(|place| place.path == record.path)
                .map(|place| place.value)
                .filter(|value| value.kind() == Kind::Object);
            objects.push((record, value));
        }
        has_others |= found.peek().is_some();
        let only = has_others.then(|| records.iter().map(|record| &*record.path).collect());
        Shown { objects, only }
    }

    /// Whether a place is in one of them.
    fn has(&self, path: &[PathSegment]) -> bool {
        let Some(only) = &self.only else { return true };
        (0..=path.len()).any(|end| only.contains(&path[..end]))
    }

    /// Whether an error is about one of them.
    fn owns(&self, path: &[PathSegment]) -> bool {
        let mut objects = self.objects.iter();
        objects.any(|(record, _)| path.starts_with(&record.path))
    }
}

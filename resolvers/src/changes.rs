//! The change stream as a subscription: what was asked for, and a message of changes.
//!
//! `changes` is no live query: it has no result that could be evaluated, shared or compared. Whoever serves it opens
//! an [`engine`](thalweg_engine::ChangeStream) stream for each subscriber and has each message written here.

use bytes::Bytes;
use thalweg_engine::{ChangeEvent, ChangesStart, DependencySet, Record};
use thalweg_model::{CommitTs, ErrorCode, write_json_string};

use crate::bind::Bound;
use crate::failure::{Failure, GraphqlError, Refusal};
use crate::input::{Fields, Input};
use crate::notes::Notes;
use crate::operation::Operation;
use crate::plan::Action;
use crate::plan::selection::{ChangeSource, Selected};
use crate::render::{Nulled, Path, Renderer, write_members_with_id};
use crate::resolvers::Resolvers;

/// Which changes a subscription asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesRequest {
    /// The collections; all where `None`.
    pub collections: Option<Vec<String>>,
    /// Where to begin.
    pub start: ChangesStart,
}

impl ChangesRequest {
    /// Puts together what a client says of where to begin, over whichever protocol.
    ///
    /// ```
    /// use thalweg_engine::ChangesStart;
    /// use thalweg_resolvers::ChangesRequest;
    /// let request = ChangesRequest::new(None, None, true).unwrap();
    /// assert_eq!(request.start, ChangesStart::Snapshot);
    /// ```
    ///
    /// The error says why `since` and `snapshot` do not go together.
    pub fn new(
        collections: Option<Vec<String>>,
        since: Option<CommitTs>,
        snapshot: bool,
    ) -> Result<Self, &'static str> {
        let start = match (since, snapshot) {
            (Some(_), true) => {
                return Err(
                    "`since` and `snapshot` exclude each other: a snapshot begins with everything",
                );
            }
            (Some(since), false) => ChangesStart::After(since),
            (None, true) => ChangesStart::Snapshot,
            (None, false) => ChangesStart::Now,
        };
        Ok(ChangesRequest { collections, start })
    }
}

/// Binds the arguments of `changes`.
pub(crate) fn bind(arguments: &Fields) -> Result<Bound, Refusal> {
    let names = arguments.present("collections").map(Input::as_list);
    let collections = names.map(|names| names.iter().filter_map(Input::as_text).collect());
    let since = since(arguments)?;
    let request = ChangesRequest::new(collections, since, arguments.flag("snapshot"));
    request
        .map(|request| Bound::Changes(Box::new(request)))
        .map_err(Refusal::bad_request)
}

/// The argument `since`.
pub(crate) fn since(arguments: &Fields) -> Result<Option<CommitTs>, Refusal> {
    let Some(text) = arguments.text("since") else {
        return Ok(None);
    };
    let since = text.parse();
    since
        .map(Some)
        .map_err(|_| Refusal::bad_request("`since` must be a commitTs"))
}

impl Operation {
    /// What the operation asks of the change stream; `None` of every other operation. Fails where the arguments
    /// cannot be meant.
    pub fn changes(&self) -> Option<Result<&ChangesRequest, Failure>> {
        let prepared = &*self.inner;
        let mut roots = prepared.plan.roots.iter().zip(prepared.bound.iter());
        let (root, bound) = roots.find(|(root, _)| matches!(root.action, Action::Changes(_)))?;
        Some(match bound {
            Bound::Changes(request) => Ok(request),
            Bound::Refused(refusals) => {
                let errors = refusals.iter().map(|refusal| {
                    let error = GraphqlError::new(refusal.code, refusal.message.clone());
                    error.at(root.target.location)
                });
                Err(Failure::from_errors(
                    errors.collect(),
                    ErrorCode::BadRequest,
                ))
            }
            _ => Err(Failure::new(
                ErrorCode::Internal,
                "the field's arguments are of another field",
            )),
        })
    }
}

impl Resolvers {
    /// The message that tells some changes of one commit, in GraphQL's form. `resume_from` goes into its extensions.
    pub fn changes_message(
        &self,
        operation: &Operation,
        events: &[ChangeEvent],
        resume_from: Option<CommitTs>,
    ) -> Bytes {
        let mut renderer = Renderer::new(0, self.limits());
        let roots = operation.inner.plan.roots.iter();
        renderer.data(roots, |renderer, _, root| {
            let path = Path::root(&root.target);
            match &root.action {
                Action::Changes(items) => renderer.list(events.iter(), &path, |to, event, path| {
                    write_change(to, items, event, path)
                }),
                _ => Err(renderer.refuse(
                    ErrorCode::Internal,
                    "the field cannot be run here",
                    &path,
                    root.target.location,
                )),
            }
        });
        let message = renderer.finish(resume_from, &Notes::default(), DependencySet::none());
        message.into_parts().0
    }
}

fn write_change(
    renderer: &mut Renderer<'_>,
    items: &[Selected<ChangeSource>],
    event: &ChangeEvent,
    path: &Path<'_>,
) -> Result<(), Nulled> {
    renderer.object(items, path, |renderer, source, _, _| {
        renderer.write(|out| match source {
            ChangeSource::TypeName(json) => out.extend_from_slice(json),
            ChangeSource::CommitTs => write_timestamp(event.commit_ts, out),
            ChangeSource::Collection => write_json_string(&event.collection, out),
            ChangeSource::Id => write_id(event, out),
            ChangeSource::Kind => write_json_string(event.kind.as_str(), out),
            ChangeSource::Before => write_document(event.before.as_deref(), out),
            ChangeSource::After => write_document(event.after.as_deref(), out),
        });
        Ok(())
    })
}

/// Writes a change as a JSON object with all of its fields, named as in GraphQL. The id is `id`, as in the documents as
/// stored, whatever the API schema calls it.
pub fn write_change_json(event: &ChangeEvent, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"commitTs\":");
    write_timestamp(event.commit_ts, out);
    out.extend_from_slice(b",\"collection\":");
    write_json_string(&event.collection, out);
    out.extend_from_slice(b",\"id\":");
    write_id(event, out);
    out.extend_from_slice(b",\"kind\":");
    write_json_string(event.kind.as_str(), out);
    out.extend_from_slice(b",\"before\":");
    write_document(event.before.as_deref(), out);
    out.extend_from_slice(b",\"after\":");
    write_document(event.after.as_deref(), out);
    out.push(b'}');
}

fn write_timestamp(ts: CommitTs, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(ts.to_string().as_bytes());
    out.push(b'"');
}

fn write_id(event: &ChangeEvent, out: &mut Vec<u8>) {
    match &event.id {
        Some(id) => write_json_string(id, out),
        None => out.extend_from_slice(b"null"),
    }
}

fn write_document(document: Option<&Record<'_>>, out: &mut Vec<u8>) {
    match document {
        Some(record) => {
            out.push(b'{');
            write_members_with_id(record, out);
            out.push(b'}');
        }
        None => out.extend_from_slice(b"null"),
    }
}

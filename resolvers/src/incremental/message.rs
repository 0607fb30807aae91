//! The messages of an incremental response, in either of the formats that clients know.

use std::collections::VecDeque;

use bytes::Bytes;
use thalweg_model::{ValueRef, write_json_string};

use super::places::{Cut, Place, write_cut};
use super::split::StreamUse;
use crate::failure::{Failure, PathSegment, write_path};

/// Bytes of streamed items after which a message is sent.
const ITEMS_BYTES: usize = 64 << 10;

/// How a message says where its parts belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncrementalFormat {
    /// `deferSpec=20220824`: each part has its path.
    Paths,
    /// `incrementalSpec=v0.2`: parts are announced as `pending` under an id, by which they come and are `completed`.
    Ids,
}

/// An object or a list that comes later.
#[derive(Debug)]
pub(super) struct Record {
    id: usize,
    pub(super) path: Vec<PathSegment>,
    /// Which of the part's streams has to have come before.
    pub(super) covered_by: Option<usize>,
}

/// The messages that are ready, and the one that is being made.
pub(super) struct Messages {
    format: IncrementalFormat,
    next_id: usize,
    ready: VecDeque<Draft>,
    open: Draft,
}

/// Members of a message.
#[derive(Default)]
struct Draft {
    /// `"data":…` and what stands beside it, in the first message.
    response: Vec<u8>,
    /// Entries, with commas between them.
    pending: Vec<u8>,
    incremental: Vec<u8>,
    completed: Vec<u8>,
}

impl Messages {
    pub(super) fn new(format: IncrementalFormat) -> Self {
        Messages {
            format,
            next_id: 0,
            ready: VecDeque::new(),
            open: Draft::default(),
        }
    }

    /// The next message; `is_last` says that nothing comes after those that are ready.
    pub(super) fn pop(&mut self, is_last: bool) -> Option<Bytes> {
        let draft = self.ready.pop_front()?;
        let has_next = !(is_last && self.ready.is_empty());
        Some(draft.finish(has_next))
    }

    /// Ends the message that is being made, if anything is in it.
    pub(super) fn close(&mut self) {
        let draft = std::mem::take(&mut self.open);
        if !draft.is_empty() {
            self.ready.push_back(draft);
        }
    }

    /// The only message of a request that cannot be answered.
    pub(super) fn refuse(&mut self, failure: &Failure) {
        let body = failure.body();
        // Between the braces.
        let members = body.get(1..body.len().saturating_sub(1));
        self.open.response = members.unwrap_or_default().to_vec();
        self.close();
    }

    /// The response without what comes later.
    pub(super) fn first(
        &mut self,
        data: Option<ValueRef<'_>>,
        cuts: &[Cut<'_>],
        errors: &[&[u8]],
        extensions: Option<&[u8]>,
    ) {
        let out = &mut self.open.response;
        out.extend_from_slice(b"\"data\":");
        match data {
            Some(data) => write_cut(data, cuts, out),
            None => out.extend_from_slice(b"null"),
        }
        write_errors(errors, out);
        if let Some(extensions) = extensions {
            out.extend_from_slice(b",\"extensions\":");
            out.extend_from_slice(extensions);
        }
    }

    /// Something that comes later, at this place.
    pub(super) fn record(&mut self, place: &Place<'_>) -> Record {
        let id = self.next_id;
        self.next_id += 1;
        Record {
            id,
            path: place.path.clone(),
            covered_by: place.covered_by,
        }
    }

    /// Says that a record comes later, where the format has that.
    pub(super) fn announce(&mut self, record: &Record, label: Option<&str>) {
        if self.format == IncrementalFormat::Paths {
            return;
        }
        let out = entry(&mut self.open.pending);
        write_id(record, out);
        out.extend_from_slice(b",\"path\":");
        write_path(&record.path, out);
        write_label(label, out);
        out.push(b'}');
    }

    /// The object of a deferred fragment.
    pub(super) fn object(
        &mut self,
        record: &Record,
        label: Option<&str>,
        value: ValueRef<'_>,
        cuts: &[Cut<'_>],
        errors: &[&[u8]],
    ) {
        let out = entry(&mut self.open.incremental);
        match self.format {
            IncrementalFormat::Paths => {
                out.extend_from_slice(b"\"path\":");
                write_path(&record.path, out);
                write_label(label, out);
            }
            IncrementalFormat::Ids => write_id(record, out),
        }
        out.extend_from_slice(b",\"data\":");
        write_cut(value, cuts, out);
        write_errors(errors, out);
        out.push(b'}');
        self.complete(record, &[]);
    }

    /// A deferred fragment that has come to nothing.
    pub(super) fn failed(&mut self, record: &Record, label: Option<&str>, errors: &[&[u8]]) {
        if self.format == IncrementalFormat::Ids {
            return self.complete(record, errors);
        }
        let out = entry(&mut self.open.incremental);
        out.extend_from_slice(b"\"path\":");
        write_path(&record.path, out);
        write_label(label, out);
        out.extend_from_slice(b",\"data\":null");
        write_errors(errors, out);
        out.push(b'}');
    }

    /// What was held back of a list, in as many messages as its length asks for. The last one stays open.
    pub(super) fn items(
        &mut self,
        record: &Record,
        stream: &StreamUse,
        list: ValueRef<'_>,
        cuts: &[Cut<'_>],
        errors: &[&[u8]],
    ) {
        let mut errors = errors;
        let mut items = list
            .items()
            .enumerate()
            .skip(stream.initial_count)
            .peekable();
        while let Some((index, _)) = items.peek() {
            let out = entry(&mut self.open.incremental);
            match self.format {
                IncrementalFormat::Paths => {
                    let mut path = record.path.clone();
                    path.push(PathSegment::Index(*index));
                    out.extend_from_slice(b"\"path\":");
                    write_path(&path, out);
                    write_label(stream.label.as_deref(), out);
                }
                IncrementalFormat::Ids => write_id(record, out),
            }
            out.extend_from_slice(b",\"items\":[");
            let mut is_first = true;
            while out.len() < ITEMS_BYTES
                && let Some((_, item)) = items.next()
            {
                if !is_first {
                    out.push(b',');
                }
                is_first = false;
                write_cut(item, cuts, out);
            }
            out.push(b']');
            write_errors(std::mem::take(&mut errors), out);
            out.push(b'}');
            if items.peek().is_some() {
                self.close();
            }
        }
        self.complete(record, &[]);
    }

    fn complete(&mut self, record: &Record, errors: &[&[u8]]) {
        if self.format == IncrementalFormat::Paths {
            return;
        }
        let out = entry(&mut self.open.completed);
        write_id(record, out);
        write_errors(errors, out);
        out.push(b'}');
    }
}

impl Draft {
    fn is_empty(&self) -> bool {
        self.response.is_empty()
            && self.pending.is_empty()
            && self.incremental.is_empty()
            && self.completed.is_empty()
    }

    fn finish(mut self, has_next: bool) -> Bytes {
        let mut out = vec![b'{'];
        out.append(&mut self.response);
        for (name, entries) in [
            ("pending", &self.pending),
            ("incremental", &self.incremental),
            ("completed", &self.completed),
        ] {
            if entries.is_empty() {
                continue;
            }
            if out.len() > 1 {
                out.push(b',');
            }
            write_json_string(name, &mut out);
            out.extend_from_slice(b":[");
            out.extend_from_slice(entries);
            out.push(b']');
        }
        out.extend_from_slice(if has_next {
            b",\"hasNext\":true}"
        } else {
            b",\"hasNext\":false}"
        });
        Bytes::from(out)
    }
}

/// Begins an entry of a list.
fn entry(entries: &mut Vec<u8>) -> &mut Vec<u8> {
    if !entries.is_empty() {
        entries.push(b',');
    }
    entries.push(b'{');
    entries
}

fn write_id(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\"id\":\"{}\"", record.id).as_bytes());
}

fn write_label(label: Option<&str>, out: &mut Vec<u8>) {
    if let Some(label) = label {
        out.extend_from_slice(b",\"label\":");
        write_json_string(label, out);
    }
}

fn write_errors(errors: &[&[u8]], out: &mut Vec<u8>) {
    if errors.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"errors\":[");
    for (index, error) in errors.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(error);
    }
    out.push(b']');
}

//! Places in a response: where a chain of response keys leads, through all lists on the way.

use apollo_compiler::Name;
use thalweg_model::{Kind, ValueRef};

use super::split::{Part, StreamUse};
use crate::failure::PathSegment;

/// A value, and where in the response it is.
#[derive(Debug)]
pub(super) struct Place<'v> {
    pub(super) path: Vec<PathSegment>,
    pub(super) value: ValueRef<'v>,
    /// Which of the part's streams brings it, where it is in what that holds back.
    pub(super) covered_by: Option<usize>,
}

/// Every place that a chain leads to, in order. A list at its end is a place itself, or with `into_lists` its items are.
pub(super) fn places<'v>(
    data: Option<ValueRef<'v>>,
    chain: &[Name],
    streams: &[StreamUse],
    into_lists: bool,
) -> Vec<Place<'v>> {
    let mut walk = Walk {
        chain,
        streams,
        into_lists,
        path: Vec::new(),
        found: Vec::new(),
    };
    if let Some(data) = data {
        walk.value(data, 0, None, false);
    }
    walk.found
}

struct Walk<'w, 'v> {
    chain: &'w [Name],
    streams: &'w [StreamUse],
    into_lists: bool,
    path: Vec<PathSegment>,
    found: Vec<Place<'v>>,
}

impl<'v> Walk<'_, 'v> {
    fn value(
        &mut self,
        value: ValueRef<'v>,
        depth: usize,
        covered_by: Option<usize>,
        is_item: bool,
    ) {
        let is_end = depth == self.chain.len();
        match value.kind() {
            Kind::List if !is_end || self.into_lists => {
                // A list in a list is part of an item.
                let here = |stream: &StreamUse| !is_item && stream.chain == self.chain[..depth];
                let stream = self.streams.iter().position(here);
                for (index, item) in value.items().enumerate() {
                    let held_back = stream
                        .filter(|stream| index >= self.streams[*stream].initial_count)
                        .or(covered_by);
                    self.path.push(PathSegment::Index(index));
                    self.value(item, depth, held_back, true);
                    self.path.pop();
                }
            }
            _ if is_end => self.found.push(Place {
                path: self.path.clone(),
                value,
                covered_by,
            }),
            Kind::Object => {
                let key = &self.chain[depth];
                if let Some(member) = value.get(key) {
                    self.path.push(PathSegment::Key(key.as_str().into()));
                    self.value(member, depth + 1, covered_by, false);
                    self.path.pop();
                }
            }
            _ => {}
        }
    }
}

/// Which stream brings what is at a path.
pub(super) fn covering(path: &[PathSegment], streams: &[StreamUse]) -> Option<usize> {
    let mut found = None;
    let mut keys: Vec<&str> = Vec::new();
    let mut was_key = false;
    for segment in path {
        match segment {
            PathSegment::Key(key) => {
                keys.push(key);
                was_key = true;
            }
            PathSegment::Index(index) => {
                let here = |stream: &StreamUse| {
                    was_key
                        && *index >= stream.initial_count
                        && stream
                            .chain
                            .iter()
                            .map(Name::as_str)
                            .eq(keys.iter().copied())
                };
                found = streams.iter().position(here).or(found);
                was_key = false;
            }
        }
    }
    found
}

/// The path of an error.
pub(super) fn path_of(error: ValueRef<'_>) -> Vec<PathSegment> {
    let segments = error.get("path").into_iter().flat_map(ValueRef::items);
    segments
        .filter_map(|segment| match segment.as_str() {
            Some(key) => Some(PathSegment::Key(key.into())),
            None => {
                let index = segment.as_i64()?;
                usize::try_from(index).ok().map(PathSegment::Index)
            }
        })
        .collect()
}

/// A list that is cut off, from a value that it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut<'c> {
    chain: &'c [Name],
    initial_count: usize,
}

/// What is cut off the objects of a part.
pub(super) fn cuts(part: &Part) -> Vec<Cut<'_>> {
    below(part.chain.len(), part.streams.iter())
}

/// What is cut off the items of a list.
pub(super) fn cuts_below<'c>(chain: &[Name], streams: &'c [StreamUse]) -> Vec<Cut<'c>> {
    let inner = streams
        .iter()
        .filter(|stream| stream.chain.len() > chain.len() && stream.chain.starts_with(chain));
    below(chain.len(), inner)
}

fn below<'c>(depth: usize, streams: impl Iterator<Item = &'c StreamUse>) -> Vec<Cut<'c>> {
    let cut = |stream: &'c StreamUse| Cut {
        chain: stream.chain.get(depth..).unwrap_or_default(),
        initial_count: stream.initial_count,
    };
    streams.map(cut).collect()
}

/// Writes a value without what is cut off it.
pub(super) fn write_cut(value: ValueRef<'_>, cuts: &[Cut<'_>], out: &mut Vec<u8>) {
    if cuts.is_empty() {
        out.extend_from_slice(value.json());
        return;
    }
    match value.kind() {
        Kind::List => {
            let here = cuts.iter().find(|cut| cut.chain.is_empty());
            let length = here.map_or(usize::MAX, |cut| cut.initial_count);
            let inner: Vec<Cut<'_>> = cuts
                .iter()
                .filter(|cut| !cut.chain.is_empty())
                .copied()
                .collect();
            out.push(b'[');
            for (index, item) in value.items().take(length).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_cut(item, &inner, out);
            }
            out.push(b']');
        }
        Kind::Object => {
            out.push(b'{');
            for (index, (key, member)) in value.members().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                thalweg_model::write_json_string(&key, out);
                out.push(b':');
                let inner: Vec<Cut<'_>> = cuts
                    .iter()
                    .filter_map(|cut| {
                        let (first, chain) = cut.chain.split_first()?;
                        (*first == *key).then_some(Cut { chain, ..*cut })
                    })
                    .collect();
                write_cut(member, &inner, out);
            }
            out.push(b'}');
        }
        _ => out.extend_from_slice(value.json()),
    }
}

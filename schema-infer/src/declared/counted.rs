//! A shape against a declared schema: whether all documents that were counted satisfy it, without looking at one.
//!
//! The counts say of each position how many values of each kind are there, so they say how many mistakes there are.
//! They cannot tell
//!
//! - where a declared field may be among the members that are not tracked by name,
//! - of lists and objects that are not looked into, and
//! - of the formats that are not counted, `Duration` and `Bytes`, where there are strings.
//!
//! Then the documents themselves have to be asked ([`super::check`]).

use std::collections::BTreeMap;

use thalweg_model::write_json_string;

use super::check::{Found, ID_MEMBER};
use super::scalar::Misfits;
use super::{
    DeclaredField, DeclaredObject, DeclaredScalar, DeclaredSchema, DeclaredType, member_path,
};
use crate::shape::{Counter, Node, ObjectNode, Shape};

/// What the counts say of a declared schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The mistakes, by path.
    pub mistakes: Vec<CountedMistake>,
    /// The paths at which it cannot be told.
    pub unknown: Vec<String>,
    /// The fields with a default that are absent from documents, or may be.
    pub to_fill: Vec<String>,
}

/// Mistakes of one kind at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedMistake {
    /// Where, as in [`super::check::Mistake::path`].
    pub path: String,
    /// The declared type; nothing for a field that is not declared.
    pub expected: Option<String>,
    /// What is there.
    pub found: Found,
    /// How many values are so, or lack.
    pub count: u64,
    /// Up to [`IDS_MAX`] documents that have it. The counts do not know them; whoever looks adds them.
    pub ids: Vec<String>,
}

/// How many documents are named of one kind of mistake.
pub const IDS_MAX: usize = 10;

/// How many kinds of mistakes are told apart where documents are looked at one by one.
const KINDS_MAX: usize = 1000;

impl CountedMistake {
    /// Appends the members of a JSON object.
    pub fn write_members(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"path\":");
        write_json_string(&self.path, out);
        out.extend_from_slice(format!(",\"kind\":\"{}\"", self.found.kind()).as_bytes());
        if let Some(expected) = &self.expected {
            out.extend_from_slice(b",\"expected\":");
            write_json_string(expected, out);
        }
        out.extend_from_slice(b",\"found\":");
        write_json_string(&self.found.to_string(), out);
        out.extend_from_slice(format!(",\"count\":{},\"ids\":[", self.count).as_bytes());
        for (index, id) in self.ids.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_json_string(id, out);
        }
        out.push(b']');
    }
}

impl std::fmt::Display for CountedMistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let CountedMistake {
            path,
            expected,
            found,
            count,
            ids,
        } = self;
        match expected {
            Some(expected) => write!(f, "{path} must be {expected}, but is {found} {count} times")?,
            None => write!(f, "{path} is not declared, but is there {count} times")?,
        }
        if !ids.is_empty() {
            write!(f, " ({})", ids.join(", "))?;
        }
        Ok(())
    }
}

/// A field that documents still have under another name.
#[derive(Clone, Copy, Debug)]
pub struct Renamed<'a> {
    /// Its name in the documents.
    pub from: &'a str,
    /// Its declared name.
    pub to: &'a str,
}

impl DeclaredSchema {
    /// What the counts say of the documents that were counted, where those fields have other names in them.
    pub fn judge(&self, shape: &Shape, renamed: &[Renamed<'_>]) -> Verdict {
        let mut judge = Judge {
            is_strict: self.is_strict,
            renamed,
            verdict: Verdict::default(),
        };
        judge.object(&self.object, shape.root(), "", true);
        judge.verdict
    }
}

struct Judge<'a> {
    is_strict: bool,
    renamed: &'a [Renamed<'a>],
    verdict: Verdict,
}

impl Judge<'_> {
    fn add(&mut self, path: &str, expected: Option<String>, found: Found, count: u64) {
        if count > 0 {
            self.verdict.mistakes.push(CountedMistake {
                path: path.to_owned(),
                expected,
                found,
                count,
                ids: Vec::new(),
            });
        }
    }

    fn object(&mut self, declared: &DeclaredObject, object: &ObjectNode, path: &str, top: bool) {
        let renamed = if top { self.renamed } else { &[] };
        for field in declared.fields() {
            let stored = renamed.iter().find(|renamed| *renamed.to == *field.name);
            let stored = stored.map_or(&*field.name, |renamed| renamed.from);
            let here = member_path(path, &field.name);
            let node = object.record.get(stored);
            let present = node.map_or(0, Node::total);
            // Where it is tracked, it is tracked alone.
            if node.is_none() && object.overflow.is_some() {
                self.verdict.unknown.push(here.clone());
                if field.default.is_some() {
                    self.verdict.to_fill.push(here);
                }
                continue;
            }
            self.absent(field, object.count.saturating_sub(present), &here);
            if let Some(node) = node {
                self.value(&field.ty, field.is_required, node, &here);
            }
        }
        if self.is_strict {
            self.undeclared(declared, object, path, top);
        }
    }

    fn absent(&mut self, field: &DeclaredField, absent: u64, path: &str) {
        if absent == 0 {
            return;
        }
        if field.default.is_some() {
            self.verdict.to_fill.push(path.to_owned());
        } else if field.is_required {
            self.add(path, Some(field.describe()), Found::Nothing, absent);
        }
    }

    fn undeclared(
        &mut self,
        declared: &DeclaredObject,
        object: &ObjectNode,
        path: &str,
        top: bool,
    ) {
        for member in object.record.iter() {
            let is_known = declared.field(&member.name).is_some()
                || (top
                    && (*member.name == *ID_MEMBER
                        || self.renamed.iter().any(|it| *it.from == *member.name)));
            if !is_known {
                let path = member_path(path, &member.name);
                self.add(&path, None, Found::Undeclared, member.node.total());
            }
        }
        if object.overflow.is_some() {
            self.verdict.unknown.push(format!("{path}{{}}"));
        }
    }

    fn value(&mut self, ty: &DeclaredType, is_required: bool, node: &Node, path: &str) {
        let expected = || Some(format!("{ty}{}", if is_required { "!" } else { "" }));
        if is_required {
            self.add(path, expected(), Found::Null, node.get(Counter::Null));
        }
        let scalars = match ty {
            DeclaredType::Scalar(DeclaredScalar::Json) => return,
            DeclaredType::Scalar(scalar) => scalar.misfits(node),
            DeclaredType::List { .. } | DeclaredType::Object(_) | DeclaredType::Map { .. } => {
                all_scalars(node)
            }
        };
        match scalars {
            Misfits::Known(kinds) => {
                for (kind, count) in kinds {
                    self.add(path, expected(), Found::Other(kind), count);
                }
            }
            Misfits::Unknown => self.verdict.unknown.push(path.to_owned()),
        }
        // Those are lists or objects, and which of them is not known.
        if node.get(Counter::Opaque) > 0 {
            self.verdict.unknown.push(path.to_owned());
        }
        if let Some(list) = &node.list {
            match ty {
                DeclaredType::List { item, is_required } => {
                    self.value(item, *is_required, &list.item, &format!("{path}[]"));
                }
                _ => self.add(path, expected(), Found::Other("a list"), list.count),
            }
        }
        if let Some(object) = &node.object {
            match ty {
                DeclaredType::Object(declared) => self.object(declared, object, path, false),
                DeclaredType::Map { value, is_required } => {
                    let values = object.values();
                    self.value(value, *is_required, &values, &format!("{path}{{}}"));
                }
                _ => self.add(path, expected(), Found::Other("an object"), object.count),
            }
        }
    }
}

/// All scalars but nulls, where none fits.
fn all_scalars(node: &Node) -> Misfits {
    let integers = node.get(Counter::Int53) + node.get(Counter::IntBeyond);
    let kinds = [
        ("a boolean", node.get(Counter::Boolean)),
        ("an integer", node.get(Counter::Int32)),
        ("an integer beyond 32 bits", integers),
        ("a fraction", node.get(Counter::Float)),
        ("a string", node.get(Counter::String)),
    ];
    Misfits::Known(kinds.into_iter().filter(|(_, count)| *count > 0).collect())
}

/// Counts the mistakes of documents that are looked at one by one, with the ids of the first of each kind.
#[derive(Debug, Default)]
pub struct Tally {
    mistakes: BTreeMap<(String, Found), CountedMistake>,
}

impl Tally {
    /// Counts what is wrong with one document.
    pub fn add(&mut self, id: &str, mistakes: &super::check::Mistakes) {
        for mistake in &mistakes.list {
            let key = (mistake.path.clone(), mistake.found.clone());
            if self.mistakes.len() >= KINDS_MAX && !self.mistakes.contains_key(&key) {
                continue;
            }
            let counted = self.mistakes.entry(key).or_insert_with(|| CountedMistake {
                path: mistake.path.clone(),
                expected: mistake.expected.clone(),
                found: mistake.found.clone(),
                count: 0,
                ids: Vec::new(),
            });
            counted.count += 1;
            let is_known = counted.ids.last().is_some_and(|last| last == id);
            if counted.ids.len() < IDS_MAX && !is_known {
                counted.ids.push(id.to_owned());
            }
        }
    }

    /// How many ids there are of documents that have such a mistake.
    pub fn ids_of(&self, mistake: &CountedMistake) -> u64 {
        let key = (mistake.path.clone(), mistake.found.clone());
        let counted = self.mistakes.get(&key);
        counted.map_or(0, |counted| counted.ids.len() as u64)
    }

    /// What was counted, by path.
    pub fn into_mistakes(self) -> Vec<CountedMistake> {
        self.mistakes.into_values().collect()
    }
}

//! Patches applied to documents.
//!
//! A patch is a set of operations on field paths. The paths are merged into a tree, the document's
//! text is written anew along it, and whatever no operation touches is copied as it stands. Members
//! keep their order; new ones are appended in the order of the operations.

use std::collections::{BTreeSet, HashMap};

use thiserror::Error;

use crate::access::label_name;
use crate::document::Document;
use crate::error::{ErrorClass, ErrorCode};
use crate::json::{JsonError, write_json_string};
use crate::parse::DEPTH_MAX;
use crate::path::FieldPath;
use crate::value::{Kind, Value, ValueRef};

/// A change of one field.
///
/// An operation that brings a field into being makes the objects on the way to it, in place of
/// values of other kinds that stand there. For [`Increment`](PatchOperation::Increment),
/// [`Push`](PatchOperation::Push) and [`AddToSet`](PatchOperation::AddToSet) a null counts as absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchOperation {
    /// Puts the value there, whatever was there before.
    Set {
        /// The field.
        path: FieldPath,
        /// Its new value.
        value: Value,
    },
    /// Takes the field away; nothing if it is absent.
    Remove {
        /// The field.
        path: FieldPath,
    },
    /// Adds to a number: exactly if both are integers, as doubles otherwise. An absent number
    /// becomes `by`.
    Increment {
        /// The field.
        path: FieldPath,
        /// The number to add.
        by: Value,
    },
    /// Appends to a list, which is made if absent.
    Push {
        /// The field.
        path: FieldPath,
        /// The items to append.
        values: Vec<Value>,
    },
    /// Appends those values that the list does not hold yet, each once.
    AddToSet {
        /// The field.
        path: FieldPath,
        /// The items to add.
        values: Vec<Value>,
    },
    /// Takes all items that equal one of the values out of a list; nothing if it is absent or null.
    Pull {
        /// The field.
        path: FieldPath,
        /// The items to take out.
        values: Vec<Value>,
    },
}

impl PatchOperation {
    /// The field that it changes.
    pub fn path(&self) -> &FieldPath {
        match self {
            PatchOperation::Set { path, .. }
            | PatchOperation::Remove { path }
            | PatchOperation::Increment { path, .. }
            | PatchOperation::Push { path, .. }
            | PatchOperation::AddToSet { path, .. }
            | PatchOperation::Pull { path, .. } => path,
        }
    }

    /// Whether the field exists afterwards even if it did not before.
    fn creates(&self) -> bool {
        !matches!(
            self,
            PatchOperation::Remove { .. } | PatchOperation::Pull { .. }
        )
    }
}

/// Changes to make together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// In the order in which they are to be made.
    pub operations: Vec<PatchOperation>,
}

impl Patch {
    /// Two operations on the same path, or on a path and one inside it, where the order would
    /// matter. The shorter path is first.
    pub fn conflicts(&self) -> Option<(FieldPath, FieldPath)> {
        let mut paths: Vec<_> = self.operations.iter().map(PatchOperation::path).collect();
        // Sorted, a path stands directly before everything under it.
        paths.sort_unstable();
        let mut pairs = paths.windows(2);
        pairs
            .find(|pair| pair[1].starts_with(pair[0]))
            .map(|pair| (pair[0].clone(), pair[1].clone()))
    }
}

/// Why a patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatchError {
    /// An increment where there is something else than a number, or by something else.
    #[error("{path} cannot be incremented: not a number")]
    NotANumber {
        /// The field.
        path: FieldPath,
    },
    /// An increment whose result is no number that can be stored.
    #[error("{path} cannot be incremented: the result is out of range")]
    NumberOutOfRange {
        /// The field.
        path: FieldPath,
    },
    /// An operator of lists where there is something else.
    #[error("{path} is not a list")]
    NotAList {
        /// The field.
        path: FieldPath,
    },
    /// A path with more steps than a document can have levels.
    #[error("a path has {segments} segments, at most {DEPTH_MAX} are possible")]
    PathTooDeep {
        /// The length of the path.
        segments: usize,
    },
    /// The result exceeds the bounds of a document.
    #[error("the changed document cannot be stored: {0}")]
    Result(JsonError),
}

impl PatchError {
    /// The code that clients see.
    pub fn code(&self) -> ErrorCode {
        match self {
            PatchError::PathTooDeep { .. } => ErrorCode::LimitExceeded,
            PatchError::Result(error) => error.code(),
            _ => ErrorCode::BadRequest,
        }
    }

    /// The class of the code.
    pub fn class(&self) -> ErrorClass {
        self.code().class()
    }
}

/// The document after the patch.
///
/// ```
/// use thalweg_model::{Document, FieldPath, Patch, PatchOperation, Value, apply};
///
/// let document = Document::parse(br#"{"title": "Alien", "votes": 41}"#)?;
/// let patch = Patch {
///     operations: vec![
///         PatchOperation::Increment { path: FieldPath::top("votes"), by: Value::int(1) },
///         PatchOperation::Set { path: FieldPath::top("seen"), value: Value::boolean(true) },
///     ],
/// };
/// assert_eq!(apply(&document, &patch)?.json(), br#"{"title":"Alien","votes":42,"seen":true}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn apply(document: &Document, patch: &Patch) -> Result<Document, PatchError> {
    if patch.conflicts().is_none() {
        return apply_disjoint(document, &patch.operations);
    }
    // Here the order matters: one after the other.
    let mut document = document.clone();
    for operation in patch.operations.chunks(1) {
        document = apply_disjoint(&document, operation)?;
    }
    Ok(document)
}

fn apply_disjoint(
    document: &Document,
    operations: &[PatchOperation],
) -> Result<Document, PatchError> {
    let mut changes = Changes::default();
    // What creates members goes first, so that they are appended in the order of their operations.
    let creating = operations.iter().filter(|operation| operation.creates());
    for operation in creating.chain(operations.iter().filter(|operation| !operation.creates())) {
        changes.insert(operation)?;
    }
    let mut json = Vec::with_capacity(document.json().len() + 64);
    changes.write_object(Some(document.root()), &mut json)?;
    Document::parse(&json).map_err(PatchError::Result)
}

/// What is to change inside an object: a tree with the operations at its leaves.
#[derive(Default)]
struct Changes<'p> {
    members: Vec<(&'p str, Change<'p>)>,
    /// Where in `members` a name is.
    positions: HashMap<&'p str, usize>,
}

/// What is to change in a field: an operation on it, or else changes inside it.
#[derive(Default)]
struct Change<'p> {
    operation: Option<&'p PatchOperation>,
    inside: Changes<'p>,
}

impl<'p> Changes<'p> {
    /// Adds an operation whose path overlaps no other's.
    fn insert(&mut self, operation: &'p PatchOperation) -> Result<(), PatchError> {
        let segments = operation.path().segments();
        if segments.len() > DEPTH_MAX {
            return Err(PatchError::PathTooDeep {
                segments: segments.len(),
            });
        }
        let mut changes = self;
        for (depth, segment) in segments.iter().enumerate() {
            let change = changes.member(segment);
            if depth + 1 == segments.len() {
                change.operation = Some(operation);
                break;
            }
            changes = &mut change.inside;
        }
        Ok(())
    }

    /// The change of a member, new if there was none.
    fn member(&mut self, name: &'p str) -> &mut Change<'p> {
        let position = *self.positions.entry(name).or_insert_with(|| {
            self.members.push((name, Change::default()));
            self.members.len() - 1
        });
        &mut self.members[position].1
    }

    /// Writes the object with the changes made; `None` stands for an empty one.
    fn write_object(
        &self,
        object: Option<ValueRef<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<(), PatchError> {
        out.push(b'{');
        let first = out.len();
        let mut is_seen = vec![false; self.members.len()];
        for (label, value) in object.into_iter().flat_map(ValueRef::raw_members) {
            let start = out.len();
            if start > first {
                out.push(b',');
            }
            out.extend_from_slice(label);
            let name = label_name(label).unwrap_or_default();
            let Some(&position) = self.positions.get(name.as_ref()) else {
                out.extend_from_slice(value.json());
                continue;
            };
            is_seen[position] = true;
            if !self.members[position].1.write(Some(value), out)? {
                out.truncate(start);
            }
        }
        for ((name, change), _) in self.members.iter().zip(is_seen).filter(|(_, seen)| !seen) {
            let start = out.len();
            if start > first {
                out.push(b',');
            }
            write_json_string(name, out);
            out.push(b':');
            if !change.write(None, out)? {
                out.truncate(start);
            }
        }
        out.push(b'}');
        Ok(())
    }
}

impl Change<'_> {
    /// Writes the field's new value, if it has one afterwards: false means that the field is absent
    /// and what was written is to be dropped.
    fn write(&self, before: Option<ValueRef<'_>>, out: &mut Vec<u8>) -> Result<bool, PatchError> {
        if let Some(operation) = self.operation {
            return operation.write(before, out);
        }
        match before {
            Some(object) if object.kind() == Kind::Object => {
                self.inside.write_object(Some(object), out)?;
            }
            _ if self.creates() => self.inside.write_object(None, out)?,
            Some(other) => out.extend_from_slice(other.json()),
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Whether something exists afterwards even if nothing did before.
    fn creates(&self) -> bool {
        self.operation.map_or_else(
            || {
                self.inside
                    .members
                    .iter()
                    .any(|(_, change)| change.creates())
            },
            PatchOperation::creates,
        )
    }
}

impl PatchOperation {
    /// As [`Change::write`].
    fn write(&self, before: Option<ValueRef<'_>>, out: &mut Vec<u8>) -> Result<bool, PatchError> {
        let present = before.filter(|value| !value.is_null());
        match self {
            PatchOperation::Set { value, .. } => out.extend_from_slice(value.json()),
            PatchOperation::Remove { .. } => return Ok(false),
            PatchOperation::Increment { path, by } => {
                write_sum(present, by.as_ref(), path, out)?;
            }
            PatchOperation::Push { path, values } => {
                let items = list_items(present, path)?;
                write_list(
                    items.into_iter().chain(values.iter().map(Value::as_ref)),
                    out,
                );
            }
            PatchOperation::AddToSet { path, values } => {
                let mut items = list_items(present, path)?;
                let mut known: BTreeSet<_> = items.iter().copied().collect();
                items.extend(
                    values
                        .iter()
                        .map(Value::as_ref)
                        .filter(|value| known.insert(*value)),
                );
                write_list(items, out);
            }
            PatchOperation::Pull { path, values } => {
                let Some(list) = present else {
                    out.extend_from_slice(b"null");
                    return Ok(before.is_some());
                };
                let pulled: BTreeSet<_> = values.iter().map(Value::as_ref).collect();
                let items = list_items(Some(list), path)?;
                write_list(items.into_iter().filter(|item| !pulled.contains(item)), out);
            }
        }
        Ok(true)
    }
}

/// The items of the list; none if it is absent.
fn list_items<'v>(
    list: Option<ValueRef<'v>>,
    path: &FieldPath,
) -> Result<Vec<ValueRef<'v>>, PatchError> {
    match list {
        Some(list) if list.kind() == Kind::List => Ok(list.items().collect()),
        Some(_) => Err(PatchError::NotAList { path: path.clone() }),
        None => Ok(Vec::new()),
    }
}

fn write_list<'v>(items: impl IntoIterator<Item = ValueRef<'v>>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item.json());
    }
    out.push(b']');
}

fn write_sum(
    number: Option<ValueRef<'_>>,
    by: ValueRef<'_>,
    path: &FieldPath,
    out: &mut Vec<u8>,
) -> Result<(), PatchError> {
    let not_a_number = || PatchError::NotANumber { path: path.clone() };
    let out_of_range = || PatchError::NumberOutOfRange { path: path.clone() };
    let added = by.as_f64().ok_or_else(not_a_number)?;
    let Some(number) = number else {
        out.extend_from_slice(by.json());
        return Ok(());
    };
    let base = number.as_f64().ok_or_else(not_a_number)?;
    if number.kind() == Kind::Int && by.kind() == Kind::Int {
        let sum = wide_int(number)
            .zip(wide_int(by))
            .and_then(|(left, right)| left.checked_add(right));
        out.extend_from_slice(sum.ok_or_else(out_of_range)?.to_string().as_bytes());
        return Ok(());
    }
    let sum = base + added;
    if !sum.is_finite() {
        return Err(out_of_range());
    }
    // The `Debug` form is the shortest text that reads back as the same double, with an exponent
    // where that is shorter, and always that of a non-integer.
    out.extend_from_slice(format!("{sum:?}").as_bytes());
    Ok(())
}

fn wide_int(number: ValueRef<'_>) -> Option<i128> {
    std::str::from_utf8(number.json()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;

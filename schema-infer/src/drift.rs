//! Where the data does not fit the published types, with counts: what promotion would accept.
//!
//! A value that does not fit reads as null, with a located error, and stays whole in `_json`.

#[cfg(test)]
mod tests;

use crate::derive::{ID_MEMBER, scalar_type};
use crate::evolve::Evidence;
use crate::keyed_map::{self, Reading};
use crate::shape::{Counter, Node, ObjectNode};
use crate::types::{CollectionSchema, Field, FieldType, ObjectType};

/// One position at which documents have what the published types do not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The GraphQL names on the way there; an unpublished field has none, and its own name stands here. `[]` follows a
    /// list and `{}` a keyed map that the way leads into.
    pub path: Vec<String>,
    /// The same with original names.
    pub original_path: Vec<String>,
    /// The published type as SDL; `None` where the field is not published.
    pub published: Option<String>,
    /// The type that the data would have by itself, in the same notation; objects are `object` and keyed maps
    /// `[{key value}]`.
    pub found: String,
    /// How many values there are that do not fit, or that are not published; inside lists and maps a document may have
    /// several.
    pub values: u64,
    /// How many of which kind those are, most first: `string`, `int`, `bigInt`, `float`, `boolean`, `list`, `object`.
    pub kinds: Vec<(&'static str, u64)>,
}

impl CollectionSchema {
    /// Where documents that look like that do not fit these types, in the order of the fields.
    pub fn drift(&self, evidence: Evidence<'_>) -> Vec<Drift> {
        let mut search = Search::default();
        let skip = (!evidence.publishes_id).then_some(ID_MEMBER);
        search.object(&self.object, evidence.shape.root(), skip, true);
        search.found
    }
}

#[derive(Default)]
struct Search {
    path: Vec<String>,
    original_path: Vec<String>,
    found: Vec<Drift>,
}

impl Search {
    fn object(
        &mut self,
        published: &ObjectType,
        node: &ObjectNode,
        skip: Option<&str>,
        is_document: bool,
    ) {
        for field in &published.fields {
            if let Some(inner) = node.record.get(&field.json_name) {
                self.within(&field.name, &field.json_name, |search| {
                    search.value(&field.ty, inner);
                });
            }
        }
        // Keys are data, so that one of them is not published says nothing.
        if !is_document && matches!(keyed_map::read(node, false), Reading::Map(_)) {
            return;
        }
        for member in node.record.iter() {
            let is_published = published
                .fields
                .iter()
                .any(|field: &Field| field.json_name == member.name);
            if is_published || skip == Some(&*member.name) {
                continue;
            }
            let Some(found) = found_type(&member.node) else {
                continue;
            };
            self.within(&member.name, &member.name, |search| {
                search.note(None, found, kinds(&member.node));
            });
        }
    }

    fn within(&mut self, name: &str, json_name: &str, look: impl FnOnce(&mut Self)) {
        self.path.push(name.to_owned());
        self.original_path.push(json_name.to_owned());
        look(self);
        self.path.pop();
        self.original_path.pop();
    }

    fn value(&mut self, published: &FieldType, node: &Node) {
        let misfits = misfits(published, node);
        if !misfits.is_empty() {
            let mut text = String::new();
            published.write_output(&mut text);
            let found = found_type(node).unwrap_or_default();
            self.note(Some(text), found, misfits);
        }
        match published {
            FieldType::List(item, _) => {
                if let Some(list) = &node.list {
                    self.within("[]", "[]", |search| search.value(item, &list.item));
                }
            }
            FieldType::Object(object) => {
                if let Some(inner) = &node.object {
                    self.object(object, inner, None, false);
                }
            }
            FieldType::Map { entry } => {
                if let Some(inner) = &node.object {
                    self.within("{}", "{}", |search| {
                        search.value(&entry.value, &inner.values());
                    });
                }
            }
            _ => {}
        }
    }

    fn note(
        &mut self,
        published: Option<String>,
        found: String,
        mut kinds: Vec<(&'static str, u64)>,
    ) {
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        self.found.push(Drift {
            path: self.path.clone(),
            original_path: self.original_path.clone(),
            published,
            found,
            values: kinds
                .iter()
                .fold(0, |sum: u64, (_, count)| sum.saturating_add(*count)),
            kinds,
        });
    }
}

/// How many values of each kind there are, nulls aside.
fn kinds(node: &Node) -> Vec<(&'static str, u64)> {
    let counts = [
        ("boolean", node.get(Counter::Boolean)),
        ("int", node.get(Counter::Int32)),
        (
            "bigInt",
            node.get(Counter::Int53)
                .saturating_add(node.get(Counter::IntBeyond)),
        ),
        ("float", node.get(Counter::Float)),
        ("string", node.get(Counter::String)),
        ("list", node.list.as_ref().map_or(0, |list| list.count)),
        (
            "object",
            node.object.as_ref().map_or(0, |object| object.count),
        ),
        ("deep", node.get(Counter::Opaque)),
    ];
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// The kinds among those at a position that a type does not take.
fn misfits(ty: &FieldType, node: &Node) -> Vec<(&'static str, u64)> {
    let fits: &[&str] = match ty {
        FieldType::Json => return Vec::new(),
        FieldType::Boolean => &["boolean"],
        FieldType::Int => &["int"],
        FieldType::BigInt => &["int", "bigInt"],
        FieldType::Float => &["int", "bigInt", "float"],
        FieldType::String
        | FieldType::DateTime
        | FieldType::Date
        | FieldType::Id
        | FieldType::Duration
        | FieldType::Bytes => &["string"],
        // What is not looked into is a list or an object, and nobody knows which.
        FieldType::List(..) => &["list", "deep"],
        FieldType::Object(_) | FieldType::Map { .. } => &["object", "deep"],
    };
    let mut misfits = kinds(node);
    misfits.retain(|(kind, _)| !fits.contains(kind));
    let formatted = match ty {
        FieldType::DateTime => Some(node.get(Counter::DateTime)),
        FieldType::Date => Some(node.get(Counter::Date)),
        _ => None,
    };
    if let Some(formatted) = formatted {
        let others = node.get(Counter::String).saturating_sub(formatted);
        misfits.extend((others > 0).then_some(("string", others)));
    }
    misfits
}

/// The type that the values at a position have by themselves; `None` where they have none.
fn found_type(node: &Node) -> Option<String> {
    let scalar = scalar_type(node);
    Some(match (scalar, &node.list, &node.object) {
        (None, None, None) => return None,
        (Some(scalar), None, None) => scalar.scalar_name().unwrap_or_default().to_owned(),
        (None, Some(list), None) => format!("[{}]", found_type(&list.item)?),
        (None, None, Some(object)) => match keyed_map::read(object, false) {
            Reading::Map(value) => {
                found_type(&value)?;
                "[{key value}]".to_owned()
            }
            Reading::Record(record) => {
                record.iter().find_map(|member| found_type(&member.node))?;
                "object".to_owned()
            }
        },
        (None, Some(list), Some(object))
            if list.count == list.empty && object.count == object.empty =>
        {
            return None;
        }
        _ => "JSON".to_owned(),
    })
}

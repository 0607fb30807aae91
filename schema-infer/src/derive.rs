//! From counts to types: the GraphQL type of every position in the documents of a collection.
//!
//! The rules, for the values at one position, nulls aside:
//!
//! - nothing, or nothing but `{}` and `[]`: not published;
//! - integers: `Int`, or `BigInt` if one needs more than 32 bits; with fractions among them `Float`;
//! - strings: `DateTime` or `Date` if all of them are such, otherwise `String`;
//! - lists: a list of what the items are; objects: a named type, or a list of entries if
//!   `keyed_map` says so; neither is published if nothing in it is;
//! - lists in lists, more than five deep: `JSON`;
//! - more than one of these kinds: `JSON`.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::keyed_map::{self, Reading};
use crate::names::{CollectionNames, NameRegistry, Names, Scope};
use crate::shape::{Counter, Node, ObjectNode, Record, Shape};
use crate::types::{CollectionSchema, Field, FieldType, Items, MapType, ObjectType};

/// The member that holds a document's id. It reads as the system field `id`.
pub(crate) const ID_MEMBER: &str = "id";

/// How many lists may be around a type. Clients learn types by the standard introspection query,
/// which asks for a fixed number of wrappers, seven in older ones; what is wrapped deeper has no name
/// for them, and the whole schema is refused. Five leave room for non-null ones.
const LIST_LEVELS_MAX: usize = 5;

impl CollectionSchema {
    /// The types of a collection whose documents have this shape.
    ///
    /// `publish_id_member`: whether the documents' own member `id` becomes a field (named `id_`). Give
    /// false while it always equals the document's id, which `id` reads already.
    ///
    /// The registry names what has no name yet; store it when its
    /// [`revision`](NameRegistry::revision) has grown.
    pub fn derive(
        names: &CollectionNames,
        shape: &Shape,
        publish_id_member: bool,
        registry: &mut NameRegistry,
    ) -> CollectionSchema {
        let (scope, allocator) = registry.scope(&names.collection);
        let mut derivation = Derivation { names: allocator };
        let place = Place {
            parent: &names.type_name,
            is_document: true,
            skip: (!publish_id_member).then_some(ID_MEMBER),
        };
        // A document is never a map: members that are not tracked are read through `_json`.
        let fields = derivation.fields(&shape.root().record, scope, place);
        let object = Arc::new(ObjectType::new(names.type_name.clone(), fields));
        CollectionSchema {
            names: names.clone(),
            object,
        }
    }
}

pub(crate) struct Derivation<'a> {
    pub(crate) names: Names<'a>,
}

/// Where the fields of a record are.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The name of the type that they are fields of.
    pub(crate) parent: &'a str,
    pub(crate) is_document: bool,
    /// The member that is not a field.
    pub(crate) skip: Option<&'a str>,
}

/// Where a value is: its nested types are named `<parent><field>`.
#[derive(Clone, Copy)]
pub(crate) struct Position<'a> {
    pub(crate) parent: &'a str,
    pub(crate) field: &'a str,
}

impl Derivation<'_> {
    /// The published fields, in the order in which they were first seen.
    fn fields(&mut self, record: &Record, scope: &mut Scope, place: Place<'_>) -> Vec<Field> {
        let mut fields: Vec<(usize, Field)> = Vec::with_capacity(record.len());
        for member in record.iter() {
            if place.skip == Some(&*member.name) {
                continue;
            }
            // Unpublished ones are named too: that fixes their place in the order.
            let Some(position) = scope.position(&member.name, place.is_document, &mut self.names)
            else {
                continue;
            };
            let (json_name, name, inner) = scope.entry(position);
            let at = Position {
                parent: place.parent,
                field: name,
            };
            if let Some(ty) = self.published_type(&member.node, inner, at) {
                let field = Field::inferred(name.to_owned(), Arc::clone(json_name), ty);
                fields.push((position, field));
            }
        }
        fields.sort_by_key(|(position, _)| *position);
        fields.into_iter().map(|(_, field)| field).collect()
    }

    /// The type of a field or of a map's values. `None`: not published.
    pub(crate) fn published_type(
        &mut self,
        node: &Node,
        scope: &mut Scope,
        at: Position<'_>,
    ) -> Option<FieldType> {
        let ty = self.field_type(node, scope, at)?;
        Some(if ty.list_levels() > LIST_LEVELS_MAX {
            FieldType::Json
        } else {
            ty
        })
    }

    /// `None`: not published.
    fn field_type(
        &mut self,
        node: &Node,
        scope: &mut Scope,
        at: Position<'_>,
    ) -> Option<FieldType> {
        let scalar = scalar_type(node);
        match (scalar, &node.list, &node.object) {
            (scalar, None, None) => scalar,
            (None, Some(list), None) => {
                let item = self.field_type(&list.item, scope, at)?;
                Some(FieldType::List(Box::new(item), Items::Nullable))
            }
            (None, None, Some(object)) => self.object_type(object, scope, at),
            // Lists and objects without content are no evidence by themselves, but where values
            // of another kind are published they could not be served as those.
            (None, Some(list), Some(object)) => {
                let only_empty = list.count == list.empty && object.count == object.empty;
                (!only_empty).then_some(FieldType::Json)
            }
            (Some(_), _, _) => Some(FieldType::Json),
        }
    }

    fn object_type(
        &mut self,
        object: &ObjectNode,
        scope: &mut Scope,
        at: Position<'_>,
    ) -> Option<FieldType> {
        match keyed_map::read(object, scope.reads_as_map()) {
            Reading::Map(value) => {
                scope.set_reads_as_map(true, &mut self.names);
                let name = scope.map_name(at.parent, at.field, &mut self.names);
                let inside = Position {
                    parent: &name,
                    field: "Value",
                };
                let value = self.published_type(&value, scope.value(), inside)?;
                let entry_name = format!("{name}Entry");
                Some(FieldType::Map {
                    entry: Arc::new(MapType {
                        name,
                        entry_name,
                        value,
                        is_value_required: false,
                    }),
                })
            }
            Reading::Record(record) => {
                scope.set_reads_as_map(false, &mut self.names);
                if record.len() == 0 {
                    return None;
                }
                let name = scope.type_name(at.parent, at.field, &mut self.names);
                let place = Place {
                    parent: &name,
                    is_document: false,
                    skip: None,
                };
                let fields = self.fields(record, scope, place);
                if fields.is_empty() {
                    return None;
                }
                Some(FieldType::Object(Arc::new(ObjectType::new(name, fields))))
            }
        }
    }
}

/// The type of the scalars at a position; `JSON` if they are of several kinds, `None` if there are
/// none but nulls.
pub(crate) fn scalar_type(node: &Node) -> Option<FieldType> {
    let integers = node.get(Counter::Int32) > 0;
    let large = node.get(Counter::Int53) > 0 || node.get(Counter::IntBeyond) > 0;
    let float = node.get(Counter::Float) > 0;
    let number = if float {
        Some(FieldType::Float)
    } else if large {
        Some(FieldType::BigInt)
    } else {
        integers.then_some(FieldType::Int)
    };
    let strings = node.get(Counter::String);
    let string = if strings == 0 {
        None
    } else if node.get(Counter::DateTime) == strings {
        Some(FieldType::DateTime)
    } else if node.get(Counter::Date) == strings {
        Some(FieldType::Date)
    } else {
        Some(FieldType::String)
    };
    let boolean = (node.get(Counter::Boolean) > 0).then_some(FieldType::Boolean);
    let opaque = (node.get(Counter::Opaque) > 0).then_some(FieldType::Json);
    let mut kinds = [boolean, number, string, opaque].into_iter().flatten();
    match (kinds.next(), kinds.next()) {
        (Some(_), Some(_)) => Some(FieldType::Json),
        (kind, _) => kind,
    }
}

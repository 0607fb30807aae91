//! What becomes of published types when the data changes.
//!
//! A client was written against types that it has seen, so these are *latched*: data adds fields and types, and changes
//! or removes none.
//!
//! | | `Follow` | `Additive` | `Manual` |
//! |---|---|---|---|
//! | a new field, in documents or inside them | added | added | added by promotion |
//! | values of another kind than the field's | the type changes | drift | drift |
//! | no document has the field any more | removed | deprecated | deprecated |
//! | there are no documents any more | all stays | all stays | all stays |
//!
//! A collection that has no fields yet takes its first ones in any case. Promotion accepts what the data says, as
//! `Follow` does. A deprecated field is one again as soon as a document has it; that it goes after a grace period is
//! decided by whoever has a clock, and done by [`CollectionSchema::without_vanished`].
//!
//! A record stays a record and a keyed map a map, whatever `keyed_map` makes of the data now. A
//! record whose members have come to look like keys gets no further fields: they would have no end.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use thalweg_model::CommitTs;

use crate::derive::{Derivation, ID_MEMBER, Place, Position};
use crate::keyed_map::{self, Reading};
use crate::names::{CollectionNames, NameRegistry, Scope};
use crate::shape::{Node, ObjectNode, Shape};
use crate::types::{CollectionSchema, Deprecation, Field, FieldType, MapType, ObjectType};

/// How the published types of collections follow their documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Evolution {
    /// They are what the data says at any time.
    #[default]
    Follow,
    /// Fields and types are added; what is published stays as it is.
    Additive,
    /// Only promotion changes them.
    Manual,
}

/// What the types of a collection are made of.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What its documents look like.
    pub shape: &'a Shape,
    /// Whether their own member `id` is a field; see [`CollectionSchema::derive`].
    pub publishes_id: bool,
}

/// How published types are held to what they were.
#[derive(Clone, Copy, Debug)]
pub struct Latch {
    /// What data may change.
    pub evolution: Evolution,
    /// The commit that is told as the one that took fields from the data; `None` while documents are still coming in
    /// that may have them.
    pub vanished_at: Option<CommitTs>,
}

impl CollectionSchema {
    /// The published types after the documents have come to be what `evidence` says: the same ones where nothing about
    /// them changes.
    pub fn evolve(
        self: &Arc<Self>,
        evidence: Evidence<'_>,
        latch: Latch,
        registry: &mut NameRegistry,
    ) -> Arc<CollectionSchema> {
        if evidence.shape.documents() == 0 {
            return Arc::clone(self);
        }
        if latch.evolution == Evolution::Follow {
            return self.promote(evidence, registry);
        }
        let (scope, allocator) = registry.scope(&self.names.collection);
        let mut walk = Walk {
            derivation: Derivation { names: allocator },
            adds: latch.evolution == Evolution::Additive || self.object.fields.is_empty(),
            vanished_at: latch.vanished_at,
        };
        let place = Place {
            parent: &self.names.type_name,
            is_document: true,
            skip: (!evidence.publishes_id).then_some(ID_MEMBER),
        };
        let object = walk.object(&self.object, evidence.shape.root(), scope, place);
        match object {
            None => Arc::clone(self),
            Some(object) => Arc::new(CollectionSchema {
                names: self.names.clone(),
                object,
            }),
        }
    }

    /// What the data says now, whatever was published. The types of a collection without documents stay.
    pub fn promote(
        self: &Arc<Self>,
        evidence: Evidence<'_>,
        registry: &mut NameRegistry,
    ) -> Arc<CollectionSchema> {
        if evidence.shape.documents() == 0 {
            return Arc::clone(self);
        }
        let derived =
            CollectionSchema::derive(&self.names, evidence.shape, evidence.publishes_id, registry);
        if derived == **self {
            Arc::clone(self)
        } else {
            Arc::new(derived)
        }
    }

    /// The same types under the names of a collection that was renamed: nested types are named after it.
    pub fn renamed(
        &self,
        names: &CollectionNames,
        registry: &mut NameRegistry,
    ) -> CollectionSchema {
        let (scope, allocator) = registry.scope(&names.collection);
        let mut naming = Naming {
            derivation: Derivation { names: allocator },
        };
        let object = naming.object(&self.object, scope, &names.type_name, true);
        CollectionSchema {
            names: names.clone(),
            object: Arc::new(object),
        }
    }

    /// Without the deprecated fields of which `is_over` says that they need not be kept: it is given the path of
    /// original names to each, as [`deprecated`](CollectionSchema::deprecated) gives it.
    pub fn without_vanished(
        self: &Arc<Self>,
        is_over: &mut dyn FnMut(&FieldPathText, Deprecation) -> bool,
    ) -> Arc<CollectionSchema> {
        let mut path = Vec::new();
        match pruned(&self.object, &mut path, is_over) {
            None => Arc::clone(self),
            Some(object) => Arc::new(CollectionSchema {
                names: self.names.clone(),
                object,
            }),
        }
    }

    /// The deprecated fields, each with the original names on the way to it; lists and the values of maps have none.
    pub fn deprecated(&self) -> Vec<(Vec<Arc<str>>, Deprecation)> {
        let mut found = Vec::new();
        collect_deprecated(&self.object, &mut Vec::new(), &mut found);
        found
    }
}

/// The original names on the way to a field.
type FieldPathText = [Arc<str>];

fn collect_deprecated(
    object: &ObjectType,
    path: &mut Vec<Arc<str>>,
    found: &mut Vec<(Vec<Arc<str>>, Deprecation)>,
) {
    for field in &object.fields {
        path.push(Arc::clone(&field.json_name));
        if let Some(deprecated) = field.deprecated {
            found.push((path.clone(), deprecated));
        }
        if let Some(inner) = object_inside(&field.ty) {
            collect_deprecated(inner, path, found);
        }
        path.pop();
    }
}

/// The object type at the bottom of lists and maps.
fn object_inside(ty: &FieldType) -> Option<&Arc<ObjectType>> {
    match ty {
        FieldType::List(item, _) => object_inside(item),
        FieldType::Map { entry } => object_inside(&entry.value),
        FieldType::Object(object) => Some(object),
        _ => None,
    }
}

/// The type with another object type at its bottom.
fn with_object_inside(ty: &FieldType, object: Arc<ObjectType>) -> FieldType {
    match ty {
        FieldType::List(item, items) => {
            FieldType::List(Box::new(with_object_inside(item, object)), *items)
        }
        FieldType::Map { entry } => FieldType::Map {
            entry: Arc::new(MapType {
                value: with_object_inside(&entry.value, object),
                ..MapType::clone(entry)
            }),
        },
        FieldType::Object(_) => FieldType::Object(object),
        scalar => scalar.clone(),
    }
}

/// `None` where nothing goes. An object keeps its last field: an empty type is none.
fn pruned(
    object: &ObjectType,
    path: &mut Vec<Arc<str>>,
    is_over: &mut dyn FnMut(&FieldPathText, Deprecation) -> bool,
) -> Option<Arc<ObjectType>> {
    let is_document = path.is_empty();
    let mut fields = Vec::with_capacity(object.fields.len());
    let mut has_changed = false;
    for field in &object.fields {
        path.push(Arc::clone(&field.json_name));
        let is_gone = field
            .deprecated
            .is_some_and(|deprecated| is_over(path, deprecated));
        let inner = object_inside(&field.ty).filter(|_| !is_gone);
        let inner = inner.and_then(|inner| pruned(inner, path, is_over));
        path.pop();
        has_changed |= is_gone || inner.is_some();
        if is_gone {
            continue;
        }
        let mut field = field.clone();
        if let Some(inner) = inner {
            field.ty = with_object_inside(&field.ty, inner);
        }
        fields.push(field);
    }
    if !has_changed || (fields.is_empty() && !is_document) {
        return None;
    }
    Some(Arc::new(ObjectType::new(object.name.clone(), fields)))
}

/// Goes through published types and what is counted at their positions. Gives `None` where nothing changes.
struct Walk<'a> {
    derivation: Derivation<'a>,
    adds: bool,
    vanished_at: Option<CommitTs>,
}

impl Walk<'_> {
    fn object(
        &mut self,
        published: &Arc<ObjectType>,
        node: &ObjectNode,
        scope: &mut Scope,
        place: Place<'_>,
    ) -> Option<Arc<ObjectType>> {
        let mut fields: Option<Vec<Field>> = None;
        let mut unpublished = Vec::new();
        let mut present = 0;
        let mut cursor = 0;
        for member in node.record.iter() {
            let found = match published.fields.get(cursor) {
                Some(field) if *field.json_name == *member.name => Some(cursor),
                // Unpublished members are named too: that fixes their place in the order.
                _ => self.find(published, &member.name, scope, place),
            };
            let Some(at) = found else {
                if place.skip != Some(&*member.name) {
                    unpublished.push(member);
                }
                continue;
            };
            cursor = at + 1;
            present += 1;
            let field = &published.fields[at];
            let ty = self.inside(field, &member.node, scope);
            if ty.is_some() || field.deprecated.is_some() {
                let field = Field {
                    ty: ty.unwrap_or_else(|| field.ty.clone()),
                    deprecated: None,
                    ..field.clone()
                };
                fields.get_or_insert_with(|| published.fields.clone())[at] = field;
            }
        }
        if present < published.fields.len() {
            self.mark_vanished(published, node, &mut fields);
        }
        if self.adds && !unpublished.is_empty() && may_have_more_fields(node, place) {
            let mut added = Vec::new();
            for member in unpublished {
                let Some(position) = scope.known_position(&member.name) else {
                    continue;
                };
                let (json_name, name, inner) = scope.entry(position);
                let at = Position {
                    parent: place.parent,
                    field: name,
                };
                let ty = self.derivation.published_type(&member.node, inner, at);
                added.extend(ty.map(|ty| {
                    let field = Field::inferred(name.to_owned(), Arc::clone(json_name), ty);
                    (position, field)
                }));
            }
            if !added.is_empty() {
                added.sort_by_key(|(position, _)| *position);
                let fields = fields.get_or_insert_with(|| published.fields.clone());
                fields.extend(added.into_iter().map(|(_, field)| field));
            }
        }
        let fields = fields?;
        Some(Arc::new(ObjectType::new(published.name.clone(), fields)))
    }

    /// The position of the published field that a member is.
    fn find(
        &mut self,
        published: &ObjectType,
        json_name: &str,
        scope: &mut Scope,
        place: Place<'_>,
    ) -> Option<usize> {
        let names = &mut self.derivation.names;
        let position = match scope.known_position(json_name) {
            Some(position) => position,
            None if place.skip == Some(json_name) => return None,
            None => scope.position(json_name, place.is_document, names)?,
        };
        let (_, name, _) = scope.entry(position);
        published.position(name)
    }

    /// The type of a published field, where something inside it changes.
    fn inside(&mut self, field: &Field, node: &Node, scope: &mut Scope) -> Option<FieldType> {
        object_inside(&field.ty)?;
        let position = scope.known_position(&field.json_name)?;
        let (_, _, inner) = scope.entry(position);
        self.ty(&field.ty, node, inner)
    }

    fn ty(&mut self, published: &FieldType, node: &Node, scope: &mut Scope) -> Option<FieldType> {
        match published {
            FieldType::List(item, items) => {
                let item = self.ty(item, &node.list.as_ref()?.item, scope)?;
                Some(FieldType::List(Box::new(item), *items))
            }
            FieldType::Object(object) => {
                let place = Place {
                    parent: &object.name,
                    is_document: false,
                    skip: None,
                };
                let object = self.object(object, node.object.as_ref()?, scope, place)?;
                Some(FieldType::Object(object))
            }
            FieldType::Map { entry } => {
                object_inside(&entry.value)?;
                let values = node.object.as_ref()?.values();
                let value = self.ty(&entry.value, &values, scope.value())?;
                let entry = MapType {
                    value,
                    ..MapType::clone(entry)
                };
                Some(FieldType::Map {
                    entry: Arc::new(entry),
                })
            }
            _ => None,
        }
    }

    /// Deprecates the published fields that no object has, if that can be told.
    fn mark_vanished(
        &self,
        published: &ObjectType,
        node: &ObjectNode,
        fields: &mut Option<Vec<Field>>,
    ) {
        // Beyond the bounds of a shape members are counted together, and nobody knows which there are.
        let are_all_known = node.overflow.is_none();
        for (at, field) in published.fields.iter().enumerate() {
            if node.record.get(&field.json_name).is_some() {
                continue;
            }
            let deprecated = match (field.deprecated, self.vanished_at) {
                (Some(_), _) if !are_all_known => None,
                (None, Some(since)) if are_all_known && node.count > node.empty => {
                    Some(Deprecation { since })
                }
                (known, _) => known,
            };
            if deprecated != field.deprecated {
                fields.get_or_insert_with(|| published.fields.clone())[at].deprecated = deprecated;
            }
        }
    }
}

/// Whether the members of the objects here are names of fields rather than keys. Documents always have fields.
fn may_have_more_fields(node: &ObjectNode, place: Place<'_>) -> bool {
    place.is_document || matches!(keyed_map::read(node, false), Reading::Record(_))
}

/// Gives types the names that the registry has for them.
struct Naming<'a> {
    derivation: Derivation<'a>,
}

impl Naming<'_> {
    fn object(
        &mut self,
        object: &ObjectType,
        scope: &mut Scope,
        parent: &str,
        is_document: bool,
    ) -> ObjectType {
        let mut fields = Vec::with_capacity(object.fields.len());
        for field in &object.fields {
            let names = &mut self.derivation.names;
            // Beyond the bound on names there is none to give.
            let Some(position) = scope.position(&field.json_name, is_document, names) else {
                continue;
            };
            let (_, name, inner) = scope.entry(position);
            let name = name.to_owned();
            let at = Position {
                parent,
                field: &name,
            };
            let ty = self.ty(&field.ty, inner, at);
            fields.push(Field {
                ty,
                name,
                ..field.clone()
            });
        }
        ObjectType::new(parent.to_owned(), fields)
    }

    fn ty(&mut self, ty: &FieldType, scope: &mut Scope, at: Position<'_>) -> FieldType {
        let names = &mut self.derivation.names;
        match ty {
            FieldType::List(item, items) => {
                FieldType::List(Box::new(self.ty(item, scope, at)), *items)
            }
            FieldType::Object(object) => {
                let name = scope.type_name(at.parent, at.field, names);
                FieldType::Object(Arc::new(self.object(object, scope, &name, false)))
            }
            FieldType::Map { entry } => {
                let name = scope.map_name(at.parent, at.field, names);
                let inside = Position {
                    parent: &name,
                    field: "Value",
                };
                let value = self.ty(&entry.value, scope.value(), inside);
                let entry_name = format!("{name}Entry");
                FieldType::Map {
                    entry: Arc::new(MapType {
                        name,
                        entry_name,
                        value,
                        is_value_required: entry.is_value_required,
                    }),
                }
            }
            scalar => scalar.clone(),
        }
    }
}

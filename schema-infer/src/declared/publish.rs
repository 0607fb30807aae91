//! Declared types in place of inferred ones.
//!
//! A declared field is published as it is declared, before any document has it, and whatever the counts say. Beside it, in
//! a collection that is not strict, stand the fields that are inferred. A field that is being renamed is published under
//! its new name from the start; while its values move it is read from where all documents have it.

use std::sync::Arc;

use thalweg_model::{Kind, ValueRef};

use super::counted::Renamed;
use super::{DeclaredObject, DeclaredSchema, DeclaredType, DefaultValue, member_path};
use crate::names::{NameRegistry, Names, Scope};
use crate::types::{CollectionSchema, DeclaredAs, Field, FieldType, Items, MapType, ObjectType};

/// A declared schema as far as documents satisfy it by now.
#[derive(Clone, Debug)]
pub struct Published<'a> {
    /// What is declared.
    pub declared: &'a DeclaredSchema,
    /// Fields that are read under an older name.
    pub renamed: Vec<Renamed<'a>>,
    /// Members of documents that are on their way out.
    pub hidden: Vec<&'a str>,
    /// Fields whose default some documents may lack: they may be null until then.
    pub unfilled: Vec<&'a str>,
}

impl CollectionSchema {
    /// The types with the declared ones in place of the inferred ones.
    #[must_use]
    pub fn publish(
        self,
        published: &Published<'_>,
        registry: &mut NameRegistry,
    ) -> CollectionSchema {
        let (scope, names) = registry.scope(&self.names.collection);
        let mut publisher = Publisher { published, names };
        let place = Place {
            parent: &self.names.type_name,
            path: "",
            is_document: true,
        };
        let inferred = &self.object.fields;
        let fields = publisher.fields(&published.declared.object, inferred, scope, place);
        CollectionSchema {
            object: Arc::new(ObjectType::new(self.names.type_name.clone(), fields)),
            names: self.names,
        }
    }
}

struct Publisher<'a> {
    published: &'a Published<'a>,
    names: Names<'a>,
}

#[derive(Clone, Copy)]
struct Place<'a> {
    /// The name of the type that they are fields of.
    parent: &'a str,
    /// Where it is in documents.
    path: &'a str,
    is_document: bool,
}

/// Where a value is: its nested types are named `<parent><field>`.
#[derive(Clone, Copy)]
struct Position<'a> {
    parent: &'a str,
    field: &'a str,
    path: &'a str,
}

impl Publisher<'_> {
    /// The fields in the order in which they got their names, which is that of their first sight.
    fn fields(
        &mut self,
        declared: &DeclaredObject,
        inferred: &[Field],
        scope: &mut Scope,
        place: Place<'_>,
    ) -> Vec<Field> {
        let Place {
            parent,
            path,
            is_document,
        } = place;
        let mut fields: Vec<(usize, Field)> = Vec::with_capacity(declared.fields().len());
        let published = self.published;
        let renamed = |to: &str| {
            let mut renamed = published.renamed.iter().filter(|_| is_document);
            renamed.find(|renamed| renamed.to == to)
        };
        for field in declared.fields() {
            let Some(position) = scope.position(&field.name, is_document, &mut self.names) else {
                continue;
            };
            let path = member_path(path, &field.name);
            let is_unfilled = self.published.unfilled.contains(&&*path);
            let stored = renamed(&field.name).map_or(&*field.name, |renamed| renamed.from);
            let (json_name, name, inner) = scope.entry(position);
            let json_name = match stored == &**json_name {
                true => Arc::clone(json_name),
                false => Arc::from(stored),
            };
            let name = name.to_owned();
            let known = inferred
                .iter()
                .find(|inferred| *inferred.json_name == *stored);
            let at = Position {
                parent,
                field: &name,
                path: &path,
            };
            let ty = self.field_type(&field.ty, known.map(|known| &known.ty), inner, at);
            fields.push((
                position,
                Field {
                    ty,
                    json_name,
                    deprecated: None,
                    is_required: field.is_required && !is_unfilled,
                    declared: Some(Arc::new(DeclaredAs {
                        json_name: Arc::clone(&field.name),
                        default: field.default.as_ref().map(literal),
                    })),
                    name,
                },
            ));
        }
        if !self.published.declared.is_strict {
            for field in inferred {
                let is_moved = is_document
                    && (published.hidden.contains(&&*field.json_name)
                        || published
                            .renamed
                            .iter()
                            .any(|it| it.from == &*field.json_name));
                if is_moved || declared.field(&field.json_name).is_some() {
                    continue;
                }
                let position = scope.position(&field.json_name, is_document, &mut self.names);
                // What is no field of documents (a relation stands beside one) comes last.
                fields.push((position.unwrap_or(usize::MAX), field.clone()));
            }
        }
        fields.sort_by_key(|(position, _)| *position);
        fields.into_iter().map(|(_, field)| field).collect()
    }

    fn field_type(
        &mut self,
        declared: &DeclaredType,
        inferred: Option<&FieldType>,
        scope: &mut Scope,
        at: Position<'_>,
    ) -> FieldType {
        match declared {
            DeclaredType::Scalar(scalar) => scalar.field_type(),
            DeclaredType::List { item, is_required } => {
                let inferred = match inferred {
                    Some(FieldType::List(item, _)) => Some(&**item),
                    _ => None,
                };
                let path = format!("{}[]", at.path);
                let at = Position { path: &path, ..at };
                let item = self.field_type(item, inferred, scope, at);
                FieldType::List(Box::new(item), Items::required(*is_required))
            }
            DeclaredType::Map { value, is_required } => {
                let inferred = match inferred {
                    Some(FieldType::Map { entry }) => Some(&entry.value),
                    _ => None,
                };
                let name = scope.map_name(at.parent, at.field, &mut self.names);
                let path = format!("{}{{}}", at.path);
                let inside = Position {
                    parent: &name,
                    field: "Value",
                    path: &path,
                };
                let value = self.field_type(value, inferred, scope.value(), inside);
                let entry_name = format!("{name}Entry");
                FieldType::Map {
                    entry: Arc::new(MapType {
                        name,
                        entry_name,
                        value,
                        is_value_required: *is_required,
                    }),
                }
            }
            DeclaredType::Object(object) => {
                let inferred = match inferred {
                    Some(FieldType::Object(object)) => &object.fields[..],
                    _ => &[],
                };
                let name = scope.type_name(at.parent, at.field, &mut self.names);
                let place = Place {
                    parent: &name,
                    path: at.path,
                    is_document: false,
                };
                let fields = self.fields(object, inferred, scope, place);
                FieldType::Object(Arc::new(ObjectType::new(name, fields)))
            }
        }
    }
}

/// What a default says for the time of the commit.
pub(super) const NOW_LITERAL: &str = "\"now()\"";

/// A default as a GraphQL literal: JSON, but that the names of members stand without quotes.
fn literal(default: &DefaultValue) -> Box<str> {
    match default {
        DefaultValue::Now => NOW_LITERAL.into(),
        DefaultValue::Constant(value) => {
            let mut out = Vec::new();
            write_literal(value.as_ref(), &mut out);
            String::from_utf8_lossy(&out).into()
        }
    }
}

fn write_literal(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value.kind() {
        Kind::List => {
            out.push(b'[');
            for (index, item) in value.items().enumerate() {
                out.extend_from_slice(if index > 0 { b", " } else { b"" });
                write_literal(item, out);
            }
            out.push(b']');
        }
        Kind::Object => {
            out.push(b'{');
            for (index, (name, member)) in value.members().enumerate() {
                out.extend_from_slice(if index > 0 { b", " } else { b"" });
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b": ");
                write_literal(member, out);
            }
            out.push(b'}');
        }
        _ => out.extend_from_slice(value.json()),
    }
}

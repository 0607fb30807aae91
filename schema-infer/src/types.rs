//! The GraphQL types of one collection, as plain values.
//!
//! They know both names of everything: the GraphQL one, which is unique and legal, and the original
//! JSON one, under which the value is stored. Equality means "the same API types".

use std::sync::Arc;

use thalweg_model::{CommitTs, write_rfc3339};

use crate::names::CollectionNames;

/// The type of a field, of a list's items or of a map's values. Inferred types are always nullable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// `Boolean`
    Boolean,
    /// `Int`: every number seen was an integer within 32 bits.
    Int,
    /// `BigInt`: every number seen was an integer, some beyond 32 bits.
    BigInt,
    /// `Float`: numbers, not all of them integers.
    Float,
    /// `String`
    String,
    /// `DateTime`: every string seen was an RFC 3339 date-time.
    DateTime,
    /// `Date`: every string seen was a calendar date, `YYYY-MM-DD`.
    Date,
    /// `ID`: strings, where that is declared.
    Id,
    /// `Duration`: strings that are spans of time, where that is declared.
    Duration,
    /// `Bytes`: strings that are base64 text, where that is declared.
    Bytes,
    /// `JSON`: values of more than one kind, in and out as stored.
    Json,
    /// A list, and whether its items may be null.
    List(Box<FieldType>, Items),
    /// A record with known fields.
    Object(Arc<ObjectType>),
    /// An object with unbounded keys and one type of value, read as a list of entries.
    Map {
        /// The type of the entries.
        entry: Arc<MapType>,
    },
}

/// Whether the items of a list may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Items {
    /// They may: inferred ones always.
    Nullable,
    /// They are declared not to be.
    Required,
}

impl Items {
    pub(crate) fn required(is_required: bool) -> Items {
        if is_required {
            Items::Required
        } else {
            Items::Nullable
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Items::Nullable => "",
            Items::Required => "!",
        }
    }
}

/// A GraphQL object type made of a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectType {
    /// The GraphQL name, for example `MovieAddress`.
    pub name: String,
    /// In the order in which the fields were first seen.
    pub fields: Vec<Field>,
    /// Positions in `fields`, sorted by GraphQL name.
    by_name: Vec<u32>,
}

/// A published field of an object type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The GraphQL name.
    pub name: String,
    /// The name in the stored document.
    pub json_name: Arc<str>,
    /// The type of its values.
    pub ty: FieldType,
    /// Set while no document has the field any more.
    pub deprecated: Option<Deprecation>,
    /// Whether it is declared to be there and not null, and every document satisfies that.
    pub is_required: bool,
    /// What was declared of it; `None` where its type is inferred.
    pub declared: Option<Arc<DeclaredAs>>,
}

/// Why a field is still published that no document has: clients may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// The commit after which no document had the field.
    pub since: CommitTs,
}

impl Deprecation {
    /// What clients are told: `no document has it since 2026-01-31T12:00:00.000000Z`.
    pub fn reason(&self) -> String {
        let mut reason = b"no document has it since ".to_vec();
        let micros = i64::try_from(self.since.as_micros()).unwrap_or(i64::MAX);
        write_rfc3339(micros, &mut reason);
        String::from_utf8_lossy(&reason).into_owned()
    }
}

/// What is shown of a field's declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredAs {
    /// The declared name in the stored document. It is another one than [`Field::json_name`] while values move.
    pub json_name: Arc<str>,
    /// The default, as a GraphQL literal.
    pub default: Option<Box<str>>,
}

impl Field {
    /// A field whose type is inferred.
    pub fn inferred(name: String, json_name: Arc<str>, ty: FieldType) -> Field {
        Field {
            name,
            json_name,
            ty,
            deprecated: None,
            is_required: false,
            declared: None,
        }
    }

    /// Whether it must be given when a document is created.
    pub fn must_be_given(&self) -> bool {
        let has_default = |declared: &Arc<DeclaredAs>| declared.default.is_some();
        self.is_required && !self.declared.as_ref().is_some_and(has_default)
    }

    /// The type as an output position says it, with `!` where it is required.
    pub fn write_output(&self, out: &mut String) {
        self.ty.write_output(out);
        if self.is_required {
            out.push('!');
        }
    }
}

/// The entries `{key value}` of a keyed map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapType {
    /// The name that the other names of this map begin with, for example `CountryTranslations`:
    /// `CountryTranslationsPatch`, `CountryTranslationsMapFilter`, ….
    pub name: String,
    /// The GraphQL name of the entry, for example `CountryTranslationsEntry`.
    pub entry_name: String,
    /// The type of the values.
    pub value: FieldType,
    /// Whether no value may be null.
    pub is_value_required: bool,
}

/// Everything the API says about the documents of one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionSchema {
    /// The names of the collection's root fields and types.
    pub names: CollectionNames,
    /// The collection's own fields; the system fields (`id`, `_version`, …) are not among them.
    pub object: Arc<ObjectType>,
}

impl ObjectType {
    /// An object type whose fields are looked up by name in logarithmic time.
    pub fn new(name: String, fields: Vec<Field>) -> ObjectType {
        let mut by_name: Vec<u32> = (0..).take(fields.len()).collect();
        by_name.sort_by(|a, b| fields[*a as usize].name.cmp(&fields[*b as usize].name));
        ObjectType {
            name,
            fields,
            by_name,
        }
    }

    /// The field with this GraphQL name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.position(name).map(|position| &self.fields[position])
    }

    /// Calls with every field of this object and of those inside it.
    pub fn for_each_field<'a>(&'a self, visit: &mut dyn FnMut(&'a Field)) {
        for field in &self.fields {
            visit(field);
            let mut ty = &field.ty;
            loop {
                match ty {
                    FieldType::List(item, _) => ty = item,
                    FieldType::Map { entry } => ty = &entry.value,
                    FieldType::Object(object) => break object.for_each_field(visit),
                    _ => break,
                }
            }
        }
    }

    /// The position in [`ObjectType::fields`] of the field with this GraphQL name.
    pub fn position(&self, name: &str) -> Option<usize> {
        let found = self
            .by_name
            .binary_search_by(|&field| self.fields[field as usize].name.as_str().cmp(name));
        found.ok().map(|index| self.by_name[index] as usize)
    }
}

impl FieldType {
    /// The name of the type if it is a scalar.
    pub fn scalar_name(&self) -> Option<&'static str> {
        Some(match self {
            FieldType::Boolean => "Boolean",
            FieldType::Int => "Int",
            FieldType::BigInt => "BigInt",
            FieldType::Float => "Float",
            FieldType::String => "String",
            FieldType::DateTime => "DateTime",
            FieldType::Date => "Date",
            FieldType::Id => "ID",
            FieldType::Duration => "Duration",
            FieldType::Bytes => "Bytes",
            FieldType::Json => "JSON",
            FieldType::List(..) | FieldType::Object(_) | FieldType::Map { .. } => return None,
        })
    }

    /// True for types that are read without a selection: scalars and lists of them.
    pub fn is_leaf(&self) -> bool {
        match self {
            FieldType::List(item, _) => item.is_leaf(),
            FieldType::Object(_) | FieldType::Map { .. } => false,
            _ => true,
        }
    }

    /// How many lists are around the named type, a keyed map's list of entries among them.
    pub(crate) fn list_levels(&self) -> usize {
        match self {
            FieldType::List(item, _) => 1 + item.list_levels(),
            FieldType::Map { .. } => 1,
            _ => 0,
        }
    }

    /// True for the numeric types, which `_inc` takes.
    pub fn is_number(&self) -> bool {
        matches!(self, FieldType::Int | FieldType::BigInt | FieldType::Float)
    }

    /// Writes the type as an output position says it: `String`, `[MovieCast]`, `[XEntry!]`.
    pub fn write_output(&self, out: &mut String) {
        match self {
            FieldType::List(item, items) => {
                out.push('[');
                item.write_output(out);
                out.push_str(items.mark());
                out.push(']');
            }
            FieldType::Object(object) => out.push_str(&object.name),
            FieldType::Map { entry } => {
                out.push('[');
                out.push_str(&entry.entry_name);
                out.push_str("!]");
            }
            scalar => out.push_str(scalar.scalar_name().unwrap_or_default()),
        }
    }
}

//! From the fields of a declared type to what they declare: types, original names, defaults, renames.
//!
//! Names are still those of the SDL here; which original names they stand for depends on the catalog (`schema`).

use std::sync::Arc;

use apollo_compiler::ast::{FieldDefinition, Type, Value as Literal};
use apollo_compiler::schema::{Component, ExtendedType, ObjectType};
use apollo_compiler::{Node, Schema};
use thalweg_model::{Value, write_json_string};
use thalweg_schema_infer::declared::{
    CollectionMode, DeclaredField, DeclaredObject, DeclaredScalar, DeclaredSchema, DeclaredType,
    DefaultValue,
};
use thalweg_schema_infer::{IdNames, SystemField};

/// How deep lists, maps and objects may be nested.
const DEPTH_MAX: usize = 24;
/// How many lists may be around a type: clients learn types by a query that asks for so many wrappers.
const LIST_LEVELS_MAX: usize = 5;
/// How many fields a collection may declare, those inside objects included.
const FIELDS_MAX: usize = 5000;
/// The default that is the time of the write.
const NOW: &str = "now()";

/// A declared field under its name in the SDL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SdlField {
    pub(crate) name: Arc<str>,
    /// The name in stored documents, where it is given.
    pub(crate) original: Option<Arc<str>>,
    pub(crate) ty: SdlType,
    pub(crate) is_required: bool,
    pub(crate) default: Option<DefaultValue>,
    /// The name that documents have it under.
    pub(crate) was: Option<Arc<str>>,
}

/// A declared type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SdlType {
    Scalar(DeclaredScalar),
    List {
        item: Box<SdlType>,
        is_required: bool,
    },
    Object(Vec<SdlField>),
    Map {
        value: Box<SdlType>,
        is_required: bool,
    },
}

impl SdlType {
    /// The type with the names of the SDL for original ones, which decides what a default may be.
    fn declared(&self) -> DeclaredType {
        match self {
            SdlType::Scalar(scalar) => DeclaredType::Scalar(*scalar),
            SdlType::List { item, is_required } => DeclaredType::List {
                item: Box::new(item.declared()),
                is_required: *is_required,
            },
            SdlType::Map { value, is_required } => DeclaredType::Map {
                value: Box::new(value.declared()),
                is_required: *is_required,
            },
            SdlType::Object(fields) => {
                let fields = fields.iter().map(|field| DeclaredField {
                    name: Arc::clone(field.original.as_ref().unwrap_or(&field.name)),
                    ty: field.ty.declared(),
                    is_required: field.is_required,
                    default: field.default.clone(),
                });
                DeclaredType::Object(DeclaredObject::new(fields.collect()))
            }
        }
    }
}

/// A mistake, with the field that it is about.
pub(super) type Mistake = (Node<FieldDefinition>, String);

/// Reads the fields of a collection's type. In a flexible collection they declare nothing but names.
pub(super) fn read(
    object: &ObjectType,
    mode: CollectionMode,
    schema: &Schema,
    mistakes: &mut Vec<Mistake>,
) -> Vec<SdlField> {
    let mut reader = Reader {
        schema,
        is_enforced: mode != CollectionMode::Flexible,
        mistakes,
        inside: Vec::new(),
        fields: 0,
    };
    reader.object(object)
}

struct Reader<'r> {
    schema: &'r Schema,
    /// Whether what is declared is enforced, so that what cannot be stored is a mistake.
    is_enforced: bool,
    mistakes: &'r mut Vec<Mistake>,
    /// The types around the fields that are being read.
    inside: Vec<&'r str>,
    fields: usize,
}

impl<'r> Reader<'r> {
    fn refuse(&mut self, field: &Node<FieldDefinition>, message: String) {
        self.mistakes.push((field.clone(), message));
    }

    fn object(&mut self, object: &'r ObjectType) -> Vec<SdlField> {
        let is_document = self.inside.is_empty();
        self.inside.push(object.name.as_str());
        let mut fields: Vec<SdlField> = Vec::with_capacity(object.fields.len());
        for field in object.fields.values() {
            let is_system = is_document && is_system(object, field);
            let is_stored = !is_system && !field.directives.has("inferred") && !self.relates(field);
            if !is_stored {
                self.refuse_directives(field);
                continue;
            }
            self.fields += 1;
            if self.fields == FIELDS_MAX + 1 {
                let message = format!(
                    "a collection declares at most {FIELDS_MAX} fields, inside objects too"
                );
                self.refuse(field, message);
            }
            if self.fields > FIELDS_MAX {
                break;
            }
            let Some(read) = self.field(field, is_document) else {
                continue;
            };
            let stored =
                |field: &SdlField| Arc::clone(field.original.as_ref().unwrap_or(&field.name));
            if let Some(other) = fields.iter().find(|other| stored(other) == stored(&read)) {
                let message = format!(
                    "{} and {} of {} are both stored as {:?}",
                    other.name,
                    read.name,
                    object.name,
                    stored(&read)
                );
                self.refuse(field, message);
                continue;
            }
            if let Some(other) = fields.iter().find(|other| {
                other.was.as_ref() == Some(&stored(&read))
                    || read.was.as_ref() == Some(&stored(other))
                    || (read.was.is_some() && read.was == other.was)
            }) {
                let message = format!(
                    "{} was {:?}, which is declared beside it ({}); rename one after the other",
                    read.name,
                    read.was
                        .as_ref()
                        .or(other.was.as_ref())
                        .map_or("", |was| was),
                    other.name
                );
                self.refuse(field, message);
            }
            fields.push(read);
        }
        self.inside.pop();
        fields
    }

    /// Whether a field leads to documents rather than being stored: it stands beside what is stored.
    fn relates(&self, field: &FieldDefinition) -> bool {
        let named = self.schema.types.get(field.ty.inner_named_type());
        let leads_to_documents = match named {
            Some(ExtendedType::Object(object)) => {
                object.directives.has("collection")
                    || object
                        .implements_interfaces
                        .iter()
                        .any(|name| name.name == "Node")
            }
            Some(ExtendedType::Interface(_)) => true,
            _ => false,
        };
        leads_to_documents || !field.arguments.is_empty()
    }

    /// What means nothing on a field that is not stored, or not declared.
    fn refuse_directives(&mut self, field: &Component<FieldDefinition>) {
        for name in ["field", "default", "was"] {
            let is_meant = name == "field" && field.directives.has("inferred");
            if field.directives.has(name) && !is_meant {
                let message = format!("@{name} on {}, which is no declared field", field.name);
                self.refuse(field, message);
            }
        }
    }

    fn field(
        &mut self,
        field: &'r Component<FieldDefinition>,
        is_document: bool,
    ) -> Option<SdlField> {
        let ty = self.ty(field, &field.ty, 0);
        let text = |directive: &str| {
            let directive = field.directives.get(directive)?;
            let given = directive.specified_argument_by_name("name")?;
            given.as_str().map(Arc::from)
        };
        let was: Option<Arc<str>> = text("was");
        if !self.is_enforced {
            for name in ["default", "was"] {
                if field.directives.has(name) {
                    let message = format!(
                        "@{name} on {}: fields of a FLEXIBLE collection are not declared; give it the mode PARTIAL or STRICT",
                        field.name
                    );
                    self.refuse(field, message);
                }
            }
        }
        if was.is_some() && !is_document {
            let message = format!(
                "@was on {}, which is inside an object; only the fields of documents themselves can be renamed",
                field.name
            );
            self.refuse(field, message);
        }
        let ty = ty?;
        let is_required = field.ty.is_non_null();
        let default = self.default(field, &ty, is_required);
        Some(SdlField {
            name: field.name.as_str().into(),
            original: text("field"),
            ty,
            is_required,
            default,
            was,
        })
    }

    fn ty(
        &mut self,
        field: &'r Component<FieldDefinition>,
        ty: &'r Type,
        lists: usize,
    ) -> Option<SdlType> {
        if lists > LIST_LEVELS_MAX || lists + self.inside.len() > DEPTH_MAX {
            let message = format!(
                "{} is nested too deep: at most {LIST_LEVELS_MAX} lists in each other and {DEPTH_MAX} levels in all",
                field.name
            );
            self.refuse(field, message);
            return None;
        }
        let name = match ty {
            Type::List(item) | Type::NonNullList(item) => {
                if let Some(value) = self.entry_value(item) {
                    let inner = self.ty(field, &value.ty, lists + 1)?;
                    return Some(SdlType::Map {
                        value: Box::new(inner),
                        is_required: value.ty.is_non_null(),
                    });
                }
                let inner = self.ty(field, item, lists + 1)?;
                return Some(SdlType::List {
                    item: Box::new(inner),
                    is_required: item.is_non_null(),
                });
            }
            Type::Named(name) | Type::NonNullNamed(name) => name.as_str(),
        };
        if let Some(scalar) = DeclaredScalar::from_name(name) {
            return Some(SdlType::Scalar(scalar));
        }
        match self.schema.types.get(name) {
            Some(ExtendedType::Object(object)) if !self.inside.contains(&name) => {
                Some(SdlType::Object(self.object(object)))
            }
            Some(ExtendedType::Object(_)) if self.is_enforced => {
                let message = format!(
                    "{name} contains itself; a declared type has an end, so declare {} as JSON",
                    field.name
                );
                self.refuse(field, message);
                None
            }
            Some(_) if self.is_enforced => {
                let message = format!(
                    "values of type {name} are not stored; take a scalar (a String for an enum), a list or an object type"
                );
                self.refuse(field, message);
                None
            }
            _ => None,
        }
    }

    /// The values of a keyed map, where a list of its entries is declared: `type XEntry { key: String! value: … }`.
    fn entry_value(&self, item: &Type) -> Option<&'r Component<FieldDefinition>> {
        let (Type::NonNullNamed(name) | Type::Named(name)) = item else {
            return None;
        };
        let Some(ExtendedType::Object(entry)) = self.schema.types.get(name) else {
            return None;
        };
        let key = entry.fields.get("key")?;
        let is_entry = name.ends_with("Entry")
            && entry.fields.len() == 2
            && key.ty.is_non_null()
            && key.ty.is_named()
            && key.ty.inner_named_type() == "String";
        entry.fields.get("value").filter(|_| is_entry)
    }

    fn default(
        &mut self,
        field: &Component<FieldDefinition>,
        ty: &SdlType,
        is_required: bool,
    ) -> Option<DefaultValue> {
        let directive = field.directives.get("default")?;
        let Some(given) = directive.specified_argument_by_name("value") else {
            let message = format!("@default on {} says no value", field.name);
            self.refuse(field, message);
            return None;
        };
        let is_date_time = *ty == SdlType::Scalar(DeclaredScalar::DateTime);
        if is_date_time && given.as_str() == Some(NOW) {
            return Some(DefaultValue::Now);
        }
        let mut json = Vec::new();
        let read = write_literal(given, &mut json).and_then(|()| {
            Value::parse(&json).map_err(|error| format!("it is not a value: {error}"))
        });
        let value = match read {
            Ok(value) if value.as_ref().is_null() => {
                let message = format!(
                    "the default of {} is null, which is what a field is without one; leave it out",
                    field.name
                );
                self.refuse(field, message);
                return None;
            }
            Ok(value) => value,
            Err(reason) => {
                let message = format!("the default of {}: {reason}", field.name);
                self.refuse(field, message);
                return None;
            }
        };
        let alone = DeclaredSchema {
            is_strict: true,
            object: DeclaredObject::new(vec![DeclaredField {
                name: field.name.as_str().into(),
                ty: ty.declared(),
                is_required,
                default: None,
            }]),
        };
        let mut document = vec![b'{'];
        write_json_string(&field.name, &mut document);
        document.push(b':');
        document.extend_from_slice(value.json());
        document.push(b'}');
        if let Ok(mut document) = Value::parse(&document) {
            if let Some(filled) = alone.fill(document.as_ref(), b"\"2000-01-01T00:00:00Z\"")
                && let Ok(filled) = Value::parse(&filled)
            {
                document = filled;
            }
            let wrong = alone.check(document.as_ref(), &[]);
            if !wrong.is_empty() {
                let message = format!("the default of {} does not fit: {wrong}", field.name);
                self.refuse(field, message);
                return None;
            }
        }
        Some(DefaultValue::Constant(value))
    }
}

/// Whether a field of a document's type is the system's, by whichever names for ids the type was written.
fn is_system(object: &ObjectType, field: &FieldDefinition) -> bool {
    let own = IdNames::Relay.own();
    if field.name.trim_end_matches('_') != own {
        let is_named = |ids| SystemField::from_graphql_name(&field.name, ids).is_some();
        return field.name == "_history" || IdNames::ALL.into_iter().any(is_named);
    }
    // `rowId` was free once: where it is no id, or stands beside another one, it is a stored field.
    field.ty.is_named()
        && field.ty.inner_named_type() == "ID"
        && !field.directives.has("field")
        && !object.fields.contains_key(IdNames::Local.global())
}

/// A literal as JSON.
fn write_literal(literal: &Literal, out: &mut Vec<u8>) -> Result<(), String> {
    match literal {
        Literal::Null => out.extend_from_slice(b"null"),
        Literal::Boolean(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Literal::Int(number) => out.extend_from_slice(number.as_str().as_bytes()),
        Literal::Float(number) => out.extend_from_slice(number.as_str().as_bytes()),
        Literal::String(text) => write_json_string(text, out),
        Literal::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_literal(item, out)?;
            }
            out.push(b']');
        }
        Literal::Object(members) => {
            out.push(b'{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_json_string(name, out);
                out.push(b':');
                write_literal(member, out)?;
            }
            out.push(b'}');
        }
        Literal::Enum(name) => {
            return Err(format!("{name} is no value; write a string: \"{name}\""));
        }
        Literal::Variable(name) => return Err(format!("${name} stands for nothing here")),
    }
    Ok(())
}

//! The stored form of a declared schema: JSON, as part of its collection's document.
//!
//! `{"strict": true, "fields": [{"name": "title", "type": "String", "required": true, "default": {"value": "?"}}]}`; a type
//! is a scalar's name, `{"list": …}`, `{"map": …}` or `{"fields": […]}`; `{"now": true}` is the default of the time.

use thalweg_model::{Kind, ValueRef, write_json_string};

use super::{
    DeclaredField, DeclaredObject, DeclaredScalar, DeclaredSchema, DeclaredType, DefaultValue,
};

/// Declarations end far above this; only corrupt documents nest deeper.
const DEPTH_MAX: usize = 100;

impl DeclaredSchema {
    /// Appends the JSON text to store.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{{\"strict\":{},", self.is_strict).as_bytes());
        write_fields(&self.object, out);
        out.push(b'}');
    }

    /// Reads what [`DeclaredSchema::write_json`] wrote; `None` of anything else.
    pub fn from_json(stored: ValueRef<'_>) -> Option<DeclaredSchema> {
        Some(DeclaredSchema {
            is_strict: stored.get("strict")?.as_bool()?,
            object: read_fields(stored, 0)?,
        })
    }
}

fn write_fields(object: &DeclaredObject, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"fields\":[");
    for (index, field) in object.fields().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"name\":");
        write_json_string(&field.name, out);
        out.extend_from_slice(b",\"type\":");
        write_type(&field.ty, out);
        write_required(field.is_required, out);
        match &field.default {
            None => {}
            Some(DefaultValue::Now) => out.extend_from_slice(b",\"default\":{\"now\":true}"),
            Some(DefaultValue::Constant(value)) => {
                out.extend_from_slice(b",\"default\":{\"value\":");
                out.extend_from_slice(value.json());
                out.push(b'}');
            }
        }
        out.push(b'}');
    }
    out.push(b']');
}

fn write_type(ty: &DeclaredType, out: &mut Vec<u8>) {
    match ty {
        DeclaredType::Scalar(scalar) => write_json_string(scalar.as_str(), out),
        DeclaredType::List { item, is_required } => {
            out.extend_from_slice(b"{\"list\":");
            write_type(item, out);
            write_required(*is_required, out);
            out.push(b'}');
        }
        DeclaredType::Map { value, is_required } => {
            out.extend_from_slice(b"{\"map\":");
            write_type(value, out);
            write_required(*is_required, out);
            out.push(b'}');
        }
        DeclaredType::Object(object) => {
            out.push(b'{');
            write_fields(object, out);
            out.push(b'}');
        }
    }
}

fn write_required(is_required: bool, out: &mut Vec<u8>) {
    if is_required {
        out.extend_from_slice(b",\"required\":true");
    }
}

fn read_fields(stored: ValueRef<'_>, depth: usize) -> Option<DeclaredObject> {
    let fields = stored.get("fields")?;
    let read = |stored: ValueRef<'_>| {
        let default = match stored.get("default") {
            None => None,
            Some(default) => Some(match default.get("value") {
                Some(value) => DefaultValue::Constant(value.to_value()),
                None => default
                    .get("now")?
                    .as_bool()?
                    .then_some(DefaultValue::Now)?,
            }),
        };
        Some(DeclaredField {
            name: stored.get("name")?.as_str()?.into(),
            ty: read_type(stored.get("type")?, depth)?,
            is_required: is_required(stored)?,
            default,
        })
    };
    let fields: Option<Vec<_>> = fields.items().map(read).collect();
    Some(DeclaredObject::new(fields?))
}

fn read_type(stored: ValueRef<'_>, depth: usize) -> Option<DeclaredType> {
    if depth > DEPTH_MAX {
        return None;
    }
    if stored.kind() == Kind::String {
        return DeclaredScalar::from_name(&stored.as_str()?).map(DeclaredType::Scalar);
    }
    let inner = |name| {
        let stored = stored.get(name)?;
        Some(Box::new(read_type(stored, depth + 1)?))
    };
    Some(if stored.get("list").is_some() {
        DeclaredType::List {
            item: inner("list")?,
            is_required: is_required(stored)?,
        }
    } else if stored.get("map").is_some() {
        DeclaredType::Map {
            value: inner("map")?,
            is_required: is_required(stored)?,
        }
    } else {
        DeclaredType::Object(read_fields(stored, depth + 1)?)
    })
}

fn is_required(stored: ValueRef<'_>) -> Option<bool> {
    match stored.get("required") {
        None => Some(false),
        Some(required) => required.as_bool(),
    }
}

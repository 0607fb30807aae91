//! The defaults that a document lacks.
//!
//! A field that has a default is never absent: wherever a document is written without it, it is given it. In objects
//! inside documents that holds where the object itself is there.

use thalweg_model::{Kind, ValueRef, write_json_string};

use super::{DeclaredObject, DeclaredSchema, DeclaredType, DefaultValue};

impl DeclaredSchema {
    /// The JSON text of a document with what it lacks, `None` where it lacks nothing. `now` is the JSON text of the time
    /// of the commit.
    pub fn fill(&self, document: ValueRef<'_>, now: &[u8]) -> Option<Vec<u8>> {
        if !self.object.has_defaults() || !object_lacks(&self.object, document) {
            return None;
        }
        let mut out = Vec::with_capacity(document.json().len() + 64);
        write_object(&self.object, document, now, &mut out);
        Some(out)
    }
}

fn object_lacks(declared: &DeclaredObject, object: ValueRef<'_>) -> bool {
    declared.fields().iter().any(|field| {
        if field.default.is_none() && !field.ty.has_defaults() {
            return false;
        }
        match object.get(&field.name) {
            None => field.default.is_some(),
            Some(value) => lacks(&field.ty, value),
        }
    })
}

fn lacks(ty: &DeclaredType, value: ValueRef<'_>) -> bool {
    match (ty, value.kind()) {
        (DeclaredType::List { item, .. }, Kind::List) if ty.has_defaults() => {
            value.items().any(|value| lacks(item, value))
        }
        (DeclaredType::Object(object), Kind::Object) => object_lacks(object, value),
        (DeclaredType::Map { value: ty, .. }, Kind::Object) if ty.has_defaults() => {
            value.members().any(|(_, value)| lacks(ty, value))
        }
        _ => false,
    }
}

fn write_object(declared: &DeclaredObject, object: ValueRef<'_>, now: &[u8], out: &mut Vec<u8>) {
    out.push(b'{');
    let mut is_first = true;
    let mut begin = |name: &str, out: &mut Vec<u8>| {
        if !std::mem::replace(&mut is_first, false) {
            out.push(b',');
        }
        write_json_string(name, out);
        out.push(b':');
    };
    for (name, value) in object.members() {
        begin(&name, out);
        match declared.field(&name) {
            Some(field) => write(&field.ty, value, now, out),
            None => out.extend_from_slice(value.json()),
        }
    }
    for field in declared.fields() {
        let Some(default) = &field.default else {
            continue;
        };
        if object.get(&field.name).is_some() {
            continue;
        }
        begin(&field.name, out);
        match default {
            DefaultValue::Constant(value) => write(&field.ty, value.as_ref(), now, out),
            DefaultValue::Now => out.extend_from_slice(now),
        }
    }
    out.push(b'}');
}

fn write(ty: &DeclaredType, value: ValueRef<'_>, now: &[u8], out: &mut Vec<u8>) {
    if !lacks(ty, value) {
        out.extend_from_slice(value.json());
        return;
    }
    match ty {
        DeclaredType::List { item, .. } => {
            out.push(b'[');
            for (index, value) in value.items().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, value, now, out);
            }
            out.push(b']');
        }
        DeclaredType::Object(object) => write_object(object, value, now, out),
        DeclaredType::Map { value: ty, .. } => {
            out.push(b'{');
            for (index, (name, value)) in value.members().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_json_string(&name, out);
                out.push(b':');
                write(ty, value, now, out);
            }
            out.push(b'}');
        }
        DeclaredType::Scalar(_) => out.extend_from_slice(value.json()),
    }
}

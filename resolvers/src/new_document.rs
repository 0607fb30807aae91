//! Input objects as documents.
//!
//! Fields get their original names back, entries of keyed maps become members, `_extra` is merged in. What the
//! client did not give is not in the document; what it gave as null is.

use std::collections::HashSet;

use thalweg_engine::ExpiryChange;
use thalweg_model::{
    Document, DocumentId, FieldPath, Kind, PatchOperation, Value, write_json_string,
};
use thalweg_schema_infer::{CollectionSchema, FieldType, IdNames, InputKey, ObjectType};

use crate::failure::Refusal;
use crate::input::{Fields, Input};
use crate::instant;
use crate::nested::Related;

/// A document as a client gave it, with its id where it gave one.
#[derive(Debug, Clone)]
pub(crate) struct NewDocument {
    pub(crate) id: Option<DocumentId>,
    pub(crate) document: Document,
    pub(crate) expiry: ExpiryChange,
    /// What is at the other end of its relations.
    pub(crate) related: Vec<Related>,
}

/// Reads a collection's input object without the relations in it; `id` is the document's id as it is given beside it.
pub(crate) fn from_input(
    schema: &CollectionSchema,
    ids: IdNames,
    input: &Fields,
    id: Option<&Input>,
) -> Result<NewDocument, Refusal> {
    let mut members = Members::new();
    for (name, value) in input.iter() {
        match schema.input_key(name, ids) {
            Some(InputKey::Id | InputKey::ExpiresAt | InputKey::OnExpire) | None => {}
            Some(InputKey::Extra) => members.extra(extra_members(schema, ids, value)?)?,
            Some(InputKey::Member(field)) => {
                members.begin(&field.json_name)?;
                write(&field.ty, value, &mut members.json)?;
            }
        }
    }
    Ok(NewDocument {
        id: agreed_id(schema, ids, id, input)?,
        document: members.finish()?,
        expiry: instant::expiry(input)?,
        related: Vec::new(),
    })
}

/// The id that an argument and the input beside it agree on.
fn agreed_id(
    schema: &CollectionSchema,
    ids: IdNames,
    argument: Option<&Input>,
    input: &Fields,
) -> Result<Option<DocumentId>, Refusal> {
    let (own, key) = (ids.own(), schema.own_id(ids));
    let argument = argument.and_then(Input::as_text);
    let member = input.get(&key).and_then(Input::as_text);
    if let (Some(argument), Some(member)) = (&argument, &member)
        && argument != member
    {
        return Err(Refusal::bad_request(format!(
            "the argument {own} is {argument:?} but input.{key} is {member:?}; give one of them, or the same"
        )));
    }
    argument.or(member).map(|id| document_id(&id)).transpose()
}

/// An id that a client gave.
pub(crate) fn document_id(id: &str) -> Result<DocumentId, Refusal> {
    DocumentId::new(id).map_err(|error| Refusal::bad_request(error.to_string()))
}

/// A JSON object that is written member by member, refusing a name that comes twice.
struct Members {
    json: Vec<u8>,
    names: HashSet<Box<str>>,
}

impl Members {
    fn new() -> Self {
        Members {
            json: vec![b'{'],
            names: HashSet::new(),
        }
    }

    fn begin(&mut self, name: &str) -> Result<(), Refusal> {
        if !self.names.is_empty() {
            self.json.push(b',');
        }
        if !self.names.insert(name.into()) {
            return Err(twice(name));
        }
        write_json_string(name, &mut self.json);
        self.json.push(b':');
        Ok(())
    }

    fn extra(&mut self, members: Vec<(String, Value)>) -> Result<(), Refusal> {
        for (name, value) in members {
            self.begin(&name)?;
            self.json.extend_from_slice(value.json());
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Document, Refusal> {
        self.json.push(b'}');
        Document::parse(&self.json).map_err(|error| {
            Refusal::bad_request(format!("the input is not a storable document: {error}"))
        })
    }
}

fn twice(name: &str) -> Refusal {
    Refusal::bad_request(format!(
        "the path {name} is given twice: as a field and in _extra"
    ))
}

/// The members of `_extra` or `_set`: an object with original names.
pub(crate) fn extra_members(
    schema: &CollectionSchema,
    ids: IdNames,
    value: &Input,
) -> Result<Vec<(String, Value)>, Refusal> {
    let value = match value {
        Input::Null => return Ok(Vec::new()),
        Input::Scalar(value) if value.as_ref().kind() == Kind::Object => value,
        _ => {
            return Err(Refusal::bad_request(
                "_extra and _set take an object of original names",
            ));
        }
    };
    let members: Vec<(String, Value)> = value
        .as_ref()
        .members()
        .map(|(name, value)| (name.into_owned(), value.to_value()))
        .collect();
    if members.iter().any(|(name, _)| name == "id") {
        return Err(Refusal::bad_request(format!(
            "_extra and _set cannot hold id; a document's id is given as {} and never changes",
            schema.own_id(ids)
        )));
    }
    Ok(members)
}

/// Appends an input value as it is stored.
pub(crate) fn write(ty: &FieldType, value: &Input, out: &mut Vec<u8>) -> Result<(), Refusal> {
    match (ty, value) {
        (FieldType::List(item, _), Input::List(items)) => {
            out.push(b'[');
            for (index, value) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, value, out)?;
            }
            out.push(b']');
        }
        (FieldType::Object(object), Input::Object(fields)) => write_object(object, fields, out)?,
        (FieldType::Map { entry }, Input::List(entries)) => {
            out.push(b'{');
            let mut names: HashSet<String> = HashSet::with_capacity(entries.len());
            for item in entries.iter() {
                let (key, value) = map_entry(item)?;
                if !names.is_empty() {
                    out.push(b',');
                }
                write_json_string(&key, out);
                out.push(b':');
                write(&entry.value, value, out)?;
                if let Some(key) = names.replace(key) {
                    return Err(Refusal::bad_request(format!(
                        "the key {key:?} is given twice"
                    )));
                }
            }
            out.push(b'}');
        }
        (_, value) => value.write_json(out),
    }
    Ok(())
}

fn write_object(object: &ObjectType, fields: &Fields, out: &mut Vec<u8>) -> Result<(), Refusal> {
    out.push(b'{');
    let mut is_first = true;
    for (name, value) in fields.iter() {
        let Some(field) = object.field(name) else {
            continue;
        };
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        write_json_string(&field.json_name, out);
        out.push(b':');
        write(&field.ty, value, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// The key and the value of an entry of a keyed map.
pub(crate) fn map_entry(item: &Input) -> Result<(String, &Input), Refusal> {
    let entry = item.as_object();
    let key = entry.and_then(|entry| entry.text("key"));
    match (entry, key) {
        (Some(entry), Some(key)) => Ok((key, entry.get("value").unwrap_or(&Input::Null))),
        _ => Err(Refusal::bad_request(
            "an entry of a keyed map is {key, value}, not null",
        )),
    }
}

/// An input value in stored form.
pub(crate) fn stored(ty: &FieldType, value: &Input) -> Result<Value, Refusal> {
    if let Input::Scalar(value) = value {
        return Ok(value.clone());
    }
    let mut json = Vec::new();
    write(ty, value, &mut json)?;
    Value::parse(&json)
        .map_err(|error| Refusal::bad_request(format!("the value cannot be stored: {error}")))
}

/// The operations that merge an input object into a document that exists: objects and keyed maps merge, all else
/// replaces, nulls are stored.
pub(crate) fn merge_operations(
    schema: &CollectionSchema,
    ids: IdNames,
    input: &Fields,
) -> Result<Vec<PatchOperation>, Refusal> {
    let mut operations = Vec::new();
    for (name, value) in input.iter() {
        match schema.input_key(name, ids) {
            Some(InputKey::Id | InputKey::ExpiresAt | InputKey::OnExpire) | None => {}
            Some(InputKey::Extra) => {
                for (name, value) in extra_members(schema, ids, value)? {
                    merge_json(&FieldPath::top(&name), &value, &mut operations);
                }
            }
            Some(InputKey::Member(field)) => {
                let path = FieldPath::top(&field.json_name);
                merge(path, &field.ty, value, &mut operations)?;
            }
        }
    }
    Ok(operations)
}

fn merge(
    path: FieldPath,
    ty: &FieldType,
    value: &Input,
    operations: &mut Vec<PatchOperation>,
) -> Result<(), Refusal> {
    match (ty, value) {
        (FieldType::Object(object), Input::Object(fields)) if fields.len() > 0 => {
            for (name, value) in fields.iter() {
                let Some(field) = object.field(name) else {
                    continue;
                };
                merge(path.child(&field.json_name), &field.ty, value, operations)?;
            }
        }
        (FieldType::Map { entry }, Input::List(entries)) if !entries.is_empty() => {
            for item in entries.iter() {
                let (key, value) = map_entry(item)?;
                let value = stored(&entry.value, value)?;
                operations.push(PatchOperation::Set {
                    path: path.child(&key),
                    value,
                });
            }
        }
        _ => operations.push(PatchOperation::Set {
            path,
            value: stored(ty, value)?,
        }),
    }
    Ok(())
}

fn merge_json(path: &FieldPath, value: &Value, operations: &mut Vec<PatchOperation>) {
    if value.as_ref().kind() == Kind::Object && !value.as_ref().is_empty() {
        for (name, member) in value.as_ref().members() {
            merge_json(&path.child(&name), &member.to_value(), operations);
        }
        return;
    }
    operations.push(PatchOperation::Set {
        path: path.clone(),
        value: value.clone(),
    });
}

//! Patch arguments as the model's patch operations.
//!
//! A field that is absent is left alone, null removes it, nested objects merge, lists replace, keyed maps take
//! `{set, remove}`. One path in two operators is refused.

use thalweg_model::{FieldPath, Kind, Patch, PatchOperation, Value};
use thalweg_schema_infer::{
    CollectionSchema, FieldType, IdNames, MapPatchKey, MapType, ObjectType, PatchKey,
};

use crate::failure::Refusal;
use crate::input::{Fields, Input};
use crate::new_document::{extra_members, map_entry, stored};

/// Reads a collection's patch object.
pub(crate) fn from_input(
    schema: &CollectionSchema,
    ids: IdNames,
    input: &Fields,
) -> Result<Patch, Refusal> {
    let mut operations = Vec::with_capacity(input.len());
    for (name, value) in input.iter() {
        let Some(key) = schema.patch_key(name) else {
            continue;
        };
        match key {
            PatchKey::Member(field) => {
                member(
                    FieldPath::top(&field.json_name),
                    &field.ty,
                    value,
                    &mut operations,
                )?;
            }
            // Read by themselves: they are no part of the stored document.
            PatchKey::ExpiresAt | PatchKey::OnExpire => {}
            PatchKey::Extra => {
                for (name, value) in extra_members(schema, ids, value)? {
                    merge(FieldPath::top(&name), &value, &mut operations);
                }
            }
            PatchKey::Set => {
                for (name, value) in extra_members(schema, ids, value)? {
                    operations.push(PatchOperation::Set {
                        path: FieldPath::top(&name),
                        value,
                    });
                }
            }
            PatchKey::Unset => {
                for name in value.as_list() {
                    let field = name.as_text().and_then(|name| schema.object.field(&name));
                    let path = field.map(|field| FieldPath::top(&field.json_name));
                    operations.extend(path.map(|path| PatchOperation::Remove { path }));
                }
            }
            PatchKey::Increment | PatchKey::Push | PatchKey::AddToSet | PatchKey::Pull => {
                let Some(fields) = value.as_object() else {
                    continue;
                };
                operators(key, &schema.object, fields, None, &mut operations)?;
            }
        }
    }
    finish(operations)
}

/// A patch of these operations, unless two of them change one path.
pub(crate) fn finish(operations: Vec<PatchOperation>) -> Result<Patch, Refusal> {
    let patch = Patch { operations };
    match patch.conflicts() {
        None => Ok(patch),
        Some((first, second)) if first == second => Err(Refusal::bad_request(format!(
            "the patch changes {first} twice; give each path once"
        ))),
        Some((first, second)) => Err(Refusal::bad_request(format!(
            "the patch changes both {first} and {second}, of which one is part of the other; give each path once"
        ))),
    }
}

fn member(
    path: FieldPath,
    ty: &FieldType,
    value: &Input,
    operations: &mut Vec<PatchOperation>,
) -> Result<(), Refusal> {
    match (ty, value) {
        (_, Input::Null) => operations.push(PatchOperation::Remove { path }),
        (FieldType::Object(object), Input::Object(fields)) => {
            for (name, value) in fields.iter() {
                let Some(field) = object.field(name) else {
                    continue;
                };
                member(path.child(&field.json_name), &field.ty, value, operations)?;
            }
        }
        (FieldType::Map { entry }, Input::Object(changes)) => {
            map_changes(&path, entry, changes, operations)?;
        }
        _ => operations.push(PatchOperation::Set {
            path,
            value: stored(ty, value)?,
        }),
    }
    Ok(())
}

fn map_changes(
    path: &FieldPath,
    entry: &MapType,
    changes: &Fields,
    operations: &mut Vec<PatchOperation>,
) -> Result<(), Refusal> {
    for (name, value) in changes.iter() {
        match MapPatchKey::from_graphql_name(name) {
            Some(MapPatchKey::Set) => {
                for item in value.as_list() {
                    let (key, value) = map_entry(item)?;
                    let value = stored(&entry.value, value)?;
                    operations.push(PatchOperation::Set {
                        path: path.child(&key),
                        value,
                    });
                }
            }
            Some(MapPatchKey::Remove) => {
                for key in value.as_list().iter().filter_map(Input::as_text) {
                    operations.push(PatchOperation::Remove {
                        path: path.child(&key),
                    });
                }
            }
            None => {}
        }
    }
    Ok(())
}

/// `_inc`, `_push`, `_addToSet`, `_pull`: operands by field, nested objects followed.
fn operators(
    key: PatchKey<'_>,
    object: &ObjectType,
    operands: &Fields,
    prefix: Option<&FieldPath>,
    operations: &mut Vec<PatchOperation>,
) -> Result<(), Refusal> {
    for (name, operand) in operands.iter() {
        let Some(field) = object.field(name) else {
            continue;
        };
        let path = match prefix {
            Some(prefix) => prefix.child(&field.json_name),
            None => FieldPath::top(&field.json_name),
        };
        match (&field.ty, operand) {
            (_, Input::Null) => {}
            (FieldType::Object(inner), Input::Object(operands)) => {
                operators(key, inner, operands, Some(&path), operations)?;
            }
            (ty, operand) => operations.push(operation(key, path, ty, operand)?),
        }
    }
    Ok(())
}

fn operation(
    key: PatchKey<'_>,
    path: FieldPath,
    ty: &FieldType,
    operand: &Input,
) -> Result<PatchOperation, Refusal> {
    if key == PatchKey::Increment {
        return Ok(PatchOperation::Increment {
            path,
            by: stored(ty, operand)?,
        });
    }
    let item = match ty {
        FieldType::List(item, _) => item,
        other => other,
    };
    let values = match operand {
        Input::List(items) => items
            .iter()
            .map(|value| stored(item, value))
            .collect::<Result<Vec<Value>, _>>()?,
        single => vec![stored(item, single)?],
    };
    Ok(match key {
        PatchKey::AddToSet => PatchOperation::AddToSet { path, values },
        PatchKey::Pull => PatchOperation::Pull { path, values },
        _ => PatchOperation::Push { path, values },
    })
}

/// Merges a JSON value as typed fields are merged: null removes, objects merge, all else replaces.
fn merge(path: FieldPath, value: &Value, operations: &mut Vec<PatchOperation>) {
    match value.as_ref().kind() {
        Kind::Null => operations.push(PatchOperation::Remove { path }),
        Kind::Object if !value.as_ref().is_empty() => {
            for (name, value) in value.as_ref().members() {
                merge(path.child(&name), &value.to_value(), operations);
            }
        }
        _ => operations.push(PatchOperation::Set {
            path,
            value: value.clone(),
        }),
    }
}
